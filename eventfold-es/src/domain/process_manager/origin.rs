//! What a reaction's commands come from: [`Origin`].

use std::borrow::Cow;

use crate::clock::unix_millis;
use crate::domain::process_manager::DeadLetter;
use crate::event::Recorded;
use crate::ids::TraceParent;

/// What the commands of an outbox come from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Origin<'a> {
    Event(&'a Recorded<'a>),
    /// A command that was given up when everything up to this position was reacted to.
    DeadLetter(&'a DeadLetter, u64),
}

impl Origin<'_> {
    /// The beginning of the keys of what comes from it. It is the same at each reaction. The number
    /// after the first `/` is a position that the checkpoint includes.
    pub(crate) fn key(&self) -> String {
        match self {
            Self::Event(record) => record.position.to_string(),
            Self::DeadLetter(letter, position) => format!("{position}/f{}", letter.id),
        }
    }

    pub(crate) fn unix_millis(&self) -> u64 {
        match self {
            Self::Event(record) => record.unix_millis(),
            Self::DeadLetter(letter, _) => unix_millis(letter.time),
        }
    }

    pub(crate) fn correlation_id(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Event(record) => record.correlation_id(),
            Self::DeadLetter(letter, _) => letter
                .envelope
                .context
                .correlation_id
                .as_deref()
                .map(Cow::Borrowed),
        }
    }

    pub(crate) fn traceparent(&self) -> Option<TraceParent> {
        match self {
            Self::Event(record) => record.traceparent(),
            Self::DeadLetter(letter, _) => letter.envelope.context.traceparent,
        }
    }

    pub(crate) fn causation_id(&self) -> Option<&str> {
        match self {
            Self::Event(record) => record.event_id(),
            Self::DeadLetter(letter, _) => letter.envelope.context.causation_id.as_deref(),
        }
    }
}
