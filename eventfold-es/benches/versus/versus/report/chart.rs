//! The rows with goals as a chart: one panel a row, one bar each, linear from zero.

use std::fmt::Write as _;

use super::{Part, Report};
use crate::contender::Contender;
use crate::rows::Row;
use crate::stats::{Spread, number};

const WIDTH: u32 = 760;
const LABELS: u32 = 90;
const BARS: f64 = 520.0;
const BAR: u32 = 18;
const TITLE: u32 = 30;

pub(super) fn write(report: &Report, part: Part) -> String {
    let rows = part.rows(report).filter(|row| !row.goals.is_empty());
    let mut body = String::new();
    let mut y = 12;
    for row in rows {
        y = panel(&mut body, row, y);
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{y}\" \
         viewBox=\"0 0 {WIDTH} {y}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{y}\" fill=\"#ffffff\"/>\n{body}</svg>\n"
    )
}

/// Draws a row from `y` on; returns where the next one begins.
fn panel(out: &mut String, row: &Row, mut y: u32) -> u32 {
    let better = if row.unit.is_time() { "less" } else { "more" };
    let _ = writeln!(
        out,
        "<text x=\"8\" y=\"{}\" font-weight=\"bold\">{}, {} ({better} is better)</text>",
        y + 14,
        row.name,
        row.unit.name()
    );
    y += TITLE - 8;
    let medians = Contender::ALL.map(|who| Spread::of(&row.values(who)).map(|s| s.median));
    let most = medians
        .iter()
        .flatten()
        .fold(0.0, |most: f64, value| most.max(*value));
    for (contender, median) in Contender::ALL.into_iter().zip(medians) {
        let Some(median) = median else { continue };
        let fill = match contender {
            Contender::Current => "#0b6e4f",
            Contender::RawDisk | Contender::NoStore => "#b8b8b8",
            Contender::Published
            | Contender::Sqlite
            | Contender::UmaDb
            | Contender::Tephra
            | Contender::Evento
            | Contender::Mnesis
            | Contender::Aggregates => "#7a9cc6",
        };
        let width = (median / most * BARS).max(1.0);
        let _ = writeln!(
            out,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\
             <rect x=\"{LABELS}\" y=\"{y}\" width=\"{width:.1}\" height=\"{}\" fill=\"{fill}\"/>\
             <text x=\"{:.1}\" y=\"{}\">{}</text>",
            LABELS - 6,
            y + 12,
            contender.name(),
            BAR - 4,
            f64::from(LABELS) + width + 6.0,
            y + 12,
            number(median),
        );
        y += BAR;
    }
    y + 10
}
