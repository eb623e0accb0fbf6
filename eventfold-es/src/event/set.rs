//! The events of one type of aggregate, for what reads the events of several.

use super::UnknownEvents;
use crate::aggregate::Aggregate;

/// What a reader must know of an aggregate's events besides reading them. Not part of the public
/// interface.
#[derive(Debug, Clone, Copy)]
pub struct EventSet {
    pub(crate) aggregate_type: &'static str,
    pub(crate) unknown: UnknownEvents,
    pub(crate) knows: fn(&str) -> bool,
}

impl EventSet {
    /// The events of `A`.
    #[must_use]
    pub const fn of<A: Aggregate>() -> Self {
        Self {
            aggregate_type: A::AGGREGATE_TYPE,
            unknown: A::UNKNOWN_EVENTS,
            knows: A::knows_event,
        }
    }

    /// The aggregate's [`AGGREGATE_TYPE`](Aggregate::AGGREGATE_TYPE).
    #[must_use]
    pub const fn aggregate_type(&self) -> &'static str {
        self.aggregate_type
    }
}
