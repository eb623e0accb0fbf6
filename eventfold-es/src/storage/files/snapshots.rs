//! Snapshots: saved states of aggregates. With a snapshot, a load reads only the events after it.

pub(crate) mod queue;
pub(crate) mod snapshot;
