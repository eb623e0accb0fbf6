//! What is printed: [`Output`].

use std::fmt;
use std::io::{self, BufWriter, Write as _};

use anstyle::Style;
use serde::Serialize;

use crate::failure::{Failure, Result};
use crate::json;

/// The standard output, as text or as JSON.
pub(crate) struct Output {
    out: BufWriter<io::Stdout>,
    is_json: bool,
    has_colours: bool,
}

impl Output {
    pub(crate) fn new(is_json: bool) -> Self {
        let choice = anstream::AutoStream::choice(&io::stdout());
        Self {
            out: BufWriter::with_capacity(64 * 1024, io::stdout()),
            is_json,
            has_colours: !is_json && choice != anstream::ColorChoice::Never,
        }
    }

    pub(crate) fn is_json(&self) -> bool {
        self.is_json
    }

    /// Prints `value` as one line of JSON.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> Result<()> {
        let text = serde_json::to_string(value).map_err(|e| Failure::Output(e.into()))?;
        self.line(json::visible(&text))
    }

    pub(crate) fn line(&mut self, text: impl fmt::Display) -> Result<()> {
        writeln!(self.out, "{text}").map_err(Failure::Output)
    }

    /// `text` in a style, where there are colours.
    pub(crate) fn styled(&self, style: Style, text: impl fmt::Display) -> String {
        if self.has_colours {
            format!("{style}{text}{style:#}")
        } else {
            text.to_string()
        }
    }

    /// Hands on what was printed so far.
    pub(crate) fn finish(&mut self) -> Result<()> {
        self.out.flush().map_err(Failure::Output)
    }
}
