//! Tables that fit the terminal.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use crate::failure::Result;
use crate::output::Output;

/// How a column is aligned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Column {
    Text(&'static str),
    Number(&'static str),
}

pub(crate) use Column::{Number, Text};

/// Prints `rows` under `columns`. Where the output is no terminal, no row is broken.
pub(crate) fn print(out: &mut Output, columns: &[Column], rows: Vec<Vec<String>>) -> Result<()> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(columns.iter().map(|column| match column {
        Text(name) | Number(name) => *name,
    }));
    for row in rows {
        table.add_row(row);
    }
    for (i, column) in columns.iter().enumerate() {
        if let Some(cells) = table.column_mut(i) {
            cells.set_padding((0, 2));
            if matches!(column, Number(_)) {
                cells.set_cell_alignment(CellAlignment::Right);
            }
        }
    }
    match width() {
        Some(width) => {
            table.set_content_arrangement(ContentArrangement::Dynamic);
            table.set_width(width);
        }
        None => {
            table.set_content_arrangement(ContentArrangement::Disabled);
        }
    }
    for line in table.lines() {
        out.line(line.trim_end())?;
    }
    Ok(())
}

/// The width of the terminal, `None` if the output is none.
pub(crate) fn width() -> Option<u16> {
    terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| width.0)
}

/// A number of bytes for people.
pub(crate) fn bytes(bytes: u64) -> String {
    indicatif::HumanBytes(bytes).to_string()
}

/// A number with separators, for people.
pub(crate) fn count(number: u64) -> String {
    indicatif::HumanCount(number).to_string()
}
