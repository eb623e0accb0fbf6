//! Snapshots: saved states of aggregates, which spare a load most of its events.

pub(crate) mod queue;
pub(crate) mod snapshot;
