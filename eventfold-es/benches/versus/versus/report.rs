//! The numbers as a table, as JSON and as a chart.

use std::io;
use std::path::Path;

use serde_json::{Value, json};

use crate::contender::Contender;
use crate::machine::Machine;
use crate::rows::Row;
use crate::stats::{Spread, lower_quartile};
use crate::work::growth::Size;

mod chart;
mod table;

/// All that was measured.
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) rounds: usize,
    pub(crate) seconds: f64,
    /// Those with goals first.
    pub(crate) rows: Vec<Row>,
    pub(crate) growth: Vec<Size>,
}

impl Report {
    pub(crate) fn tables(&self) -> String {
        let parts = Part::ALL.into_iter().filter(|part| part.is_measured(self));
        let tables: Vec<_> = parts.map(|part| table::write(self, part)).collect();
        tables.join("\n")
    }

    pub(crate) fn json(&self) -> Value {
        let rows: Vec<Value> = self.rows.iter().map(row_json).collect();
        json!({
            "machine": self.machine,
            "rounds": self.rounds,
            "seconds": self.seconds,
            "rows": rows,
            "growth": self.growth,
        })
    }

    /// Brings the charts and the page in `dir` up to date, as far as they were measured.
    pub(crate) fn write_docs(&self, dir: &Path) -> io::Result<()> {
        let path = dir.join("speed.md");
        for part in Part::ALL {
            if !part.is_measured(self) {
                continue;
            }
            let (chart, begin, end) = part.place();
            if let Some(chart) = chart {
                std::fs::write(dir.join(chart), chart::write(self, part))?;
            }
            let page = std::fs::read_to_string(&path)?;
            let parts = page
                .split_once(begin)
                .and_then(|(before, rest)| Some((before, rest.split_once(end)?.1)));
            let Some((before, after)) = parts else {
                let text = format!("{} has no place for the tables", path.display());
                return Err(io::Error::new(io::ErrorKind::InvalidData, text));
            };
            let tables = table::write(self, part);
            std::fs::write(&path, format!("{before}{begin}\n{tables}\n{end}{after}"))?;
        }
        Ok(())
    }
}

/// A part of the report, which has its own place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Accounts,
    Peers,
    Tags,
}

impl Part {
    const ALL: [Self; 3] = [Self::Accounts, Self::Peers, Self::Tags];

    fn has(self, row: &Row) -> bool {
        let part = if row.is_of_peers {
            Self::Peers
        } else if row.work.is_across_aggregates() {
            Self::Tags
        } else {
            Self::Accounts
        };
        self == part
    }

    fn rows(self, report: &Report) -> impl Iterator<Item = &Row> {
        report.rows.iter().filter(move |row| self.has(row))
    }

    fn is_measured(self, report: &Report) -> bool {
        let is_growth = self == Self::Accounts && !report.growth.is_empty();
        is_growth || self.rows(report).next().is_some()
    }

    /// The chart's file, if it has one, and between what the tables stand in the page.
    fn place(self) -> (Option<&'static str>, &'static str, &'static str) {
        match self {
            Self::Accounts => (
                Some("speed.svg"),
                "<!-- measured -->\n",
                "<!-- end of what is measured -->",
            ),
            Self::Peers => (
                None,
                "<!-- measured with peers -->\n",
                "<!-- end of what is measured with peers -->",
            ),
            Self::Tags => (
                Some("speed-tags.svg"),
                "<!-- measured with tags -->\n",
                "<!-- end of what is measured with tags -->",
            ),
        }
    }
}

fn row_json(row: &Row) -> Value {
    let mut contenders = serde_json::Map::new();
    for contender in Contender::ALL {
        let values = row.values(contender);
        let ratios = row.ratios(Contender::Current, contender);
        let measured = match Spread::of(&values) {
            Some(spread) => json!({
                "median": spread.median,
                "least": spread.least,
                "most": spread.most,
                "rounds": values,
                "decided_for_each": Spread::of(&row.attempts(contender)).map(|a| a.median),
                "this_crate_is_better_by": Spread::of(&ratios).map(|r| r.median),
                "lower_quartile_of_this": lower_quartile(&ratios),
            }),
            None => json!({ "not_measured": row.why_left_out(contender) }),
        };
        contenders.insert(contender.name().to_owned(), measured);
    }
    json!({
        "name": row.name,
        "unit": row.unit.name(),
        "goals": row.goals.iter().map(|goal| table::verdict(row, *goal)).collect::<Vec<_>>(),
        "measured": contenders,
    })
}
