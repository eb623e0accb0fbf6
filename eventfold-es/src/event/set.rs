//! The events of one aggregate type, or an event that belongs to none, for readers of several.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::event::{UnknownEvents, fingerprint};
use crate::model::{AggregateInfo, EventInfo};

/// The facts about events that a reader needs, besides reading them. Not part of the public
/// interface.
#[derive(Debug, Clone, Copy)]
pub struct EventSet {
    /// Empty for events that belong to no aggregate.
    pub(crate) aggregate_type: &'static str,
    pub(crate) unknown: UnknownEvents,
    pub(crate) knows: fn(&str) -> bool,
    pub(crate) fingerprint: fn() -> u64,
    pub(crate) about: About,
}

/// What the events say, for a [`Model`](crate::model::Model).
#[derive(Debug, Clone, Copy)]
pub(crate) enum About {
    Aggregate(fn() -> AggregateInfo),
    Event(fn(&mut Vec<EventInfo>)),
}

impl EventSet {
    /// A set of events that belong to no aggregate. Others of that kind are for other readers, so
    /// none is unknown.
    #[must_use]
    pub const fn of_event(
        knows: fn(&str) -> bool,
        fingerprint: fn() -> u64,
        about: fn(&mut Vec<EventInfo>),
    ) -> Self {
        Self {
            aggregate_type: "",
            unknown: UnknownEvents::Reject,
            knows,
            fingerprint,
            about: About::Event(about),
        }
    }

    /// The fingerprint of the events of all `sets`, 0 if that of each is 0.
    pub(crate) fn fingerprint(sets: &[Self]) -> u64 {
        let of_sets = sets.iter().map(|set| match (set.fingerprint)() {
            0 => 0,
            one => xxh3_64_with_seed(set.aggregate_type.as_bytes(), one),
        });
        fingerprint::combine(of_sets.collect())
    }

    /// The aggregate's [`AGGREGATE_TYPE`](crate::domain::aggregate::Aggregate::AGGREGATE_TYPE).
    #[must_use]
    pub const fn aggregate_type(&self) -> &'static str {
        self.aggregate_type
    }
}
