//! An event on its way into a line: [`Row`].

use crate::event::{Meta, Recorded, StoredEvent};

/// An event, and what a line has besides.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row<'a> {
    pub(crate) name: &'a str,
    /// The payload as JSON text.
    pub(crate) data: &'a str,
    pub(crate) record: &'a Recorded<'a>,
    /// The fingerprint of the command.
    pub(crate) command: Option<&'a str>,
    /// Which of its commit's events it is, from 1 on, and how many the commit has.
    pub(crate) place: (u64, u64),
}

impl<'a> Row<'a> {
    pub(crate) fn new(
        event: StoredEvent<'a>,
        record: &'a Recorded<'a>,
        command: Option<&'a str>,
        place: (u64, u64),
    ) -> Self {
        Self {
            name: event.name(),
            data: event.data(),
            record,
            command,
            place,
        }
    }

    /// The metadata as JSON text. An event that was read from a store has it as text.
    pub(crate) fn meta(&self) -> Option<&'a str> {
        match self.record.meta {
            Meta::Json(json) => Some(json),
            Meta::None | Meta::Value(_) => None,
        }
    }
}
