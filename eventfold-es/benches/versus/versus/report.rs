//! The numbers as a table, as JSON and as a chart.

use std::io;
use std::path::Path;

use serde_json::{Value, json};

use crate::machine::Machine;
use crate::rows::{Contender, Row};
use crate::stats::Spread;
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
        table::write(self)
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

    /// Brings the chart and the page in `dir` up to date.
    pub(crate) fn write_docs(&self, dir: &Path) -> io::Result<()> {
        const BEGIN: &str = "<!-- measured -->\n";
        const END: &str = "<!-- end of what is measured -->";

        std::fs::write(dir.join("speed.svg"), chart::write(self))?;
        let path = dir.join("speed.md");
        let page = std::fs::read_to_string(&path)?;
        let parts = page
            .split_once(BEGIN)
            .and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
        let Some((before, after)) = parts else {
            let text = format!("{} has no place for the tables", path.display());
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        };
        let tables = self.tables();
        std::fs::write(&path, format!("{before}{BEGIN}\n{tables}\n{END}{after}"))
    }
}

fn row_json(row: &Row) -> Value {
    let mut contenders = serde_json::Map::new();
    for contender in Contender::ALL {
        let values = row.values(contender);
        let measured = match Spread::of(&values) {
            Some(spread) => json!({
                "median": spread.median,
                "least": spread.least,
                "most": spread.most,
                "rounds": values,
                "this_crate_is_better_by": Spread::of(&row.ratios(Contender::Current, contender)).map(|r| r.median),
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
