//! An event as the console keeps it while it makes a page: [`Event`].

use crate::event::{Meta, StoredEvent};

/// How many bytes of a payload a row of a list needs.
pub(crate) const FOR_LIST: usize = 400;
/// How many bytes of a payload a page about one event shows.
pub(crate) const FOR_PAGE: usize = 32 * 1024;

/// An event, with the beginning of its payload.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) position: u64,
    /// Empty if the event belongs to no aggregate.
    pub(crate) aggregate_type: String,
    pub(crate) id: String,
    pub(crate) version: u64,
    pub(crate) name: String,
    pub(crate) ms: u64,
    pub(crate) own_id: Option<String>,
    pub(crate) actor: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) correlation: Option<String>,
    pub(crate) causation: Option<String>,
    pub(crate) tags: Vec<String>,
    pub(crate) meta: Option<Cut>,
    pub(crate) data: Cut,
}

/// The beginning of a text, and the length of all of it in bytes.
#[derive(Debug, Clone)]
pub(crate) struct Cut {
    pub(crate) text: String,
    pub(crate) length: usize,
}

impl Cut {
    /// At most `most` bytes of `text`.
    pub(crate) fn of(text: &str, most: usize) -> Self {
        let mut end = most.min(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        Self {
            text: text[..end].to_owned(),
            length: text.len(),
        }
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.text.len() < self.length
    }
}

impl Event {
    /// `stored`, with at most `most` bytes of its payload.
    pub(crate) fn of(stored: StoredEvent<'_>, most: usize) -> Self {
        let record = stored.record();
        let meta = match record.meta {
            Meta::Json(json) => Some(Cut::of(json, most)),
            Meta::Value(value) => Some(Cut::of(&value.to_string(), most)),
            Meta::None => None,
        };
        Self {
            position: record.position,
            aggregate_type: record.aggregate_type.to_owned(),
            id: record.id.to_owned(),
            version: record.version,
            name: stored.name().to_owned(),
            ms: record.unix_millis(),
            own_id: record.event_id.map(str::to_owned),
            actor: record.actor.map(str::to_owned),
            key: record.key.map(str::to_owned),
            correlation: record.correlation_id().map(Into::into),
            causation: record.causation_id().map(Into::into),
            tags: record.tags().map(str::to_owned).collect(),
            meta,
            data: Cut::of(stored.data(), most),
        }
    }

    pub(crate) fn is_of_aggregate(&self) -> bool {
        !self.aggregate_type.is_empty()
    }
}
