//! Workflows over many aggregates: [`ProcessManager`].

use serde::{Serialize, de::DeserializeOwned};

use crate::command::CommandEnvelope;

/// A workflow that reacts to events with commands for other aggregates.
///
/// A store that it is registered with ([`AggregateStoreBuilder::process_manager`]) runs it by
/// [`AggregateStore::run_process_managers`]: it follows the journal from its own position, and its
/// state is saved once the commands of a run were dispatched. After a crash in between, they are
/// dispatched again under the same idempotency keys, so that each takes effect once.
///
/// [`AggregateStoreBuilder::process_manager`]: crate::AggregateStoreBuilder::process_manager
/// [`AggregateStore::run_process_managers`]: crate::AggregateStore::run_process_managers
pub trait ProcessManager: Default + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Names the process manager on disk: its checkpoint and its dead letters are in
    /// `process_managers/<NAME>`.
    const NAME: &'static str;

    /// The aggregate types whose events it reacts to, each an
    /// [`AGGREGATE_TYPE`](crate::Aggregate::AGGREGATE_TYPE).
    fn subscriptions(&self) -> &'static [&'static str];

    /// Reacts to one event and returns the commands to dispatch. It depends on its arguments and
    /// the state alone, and passes over events that it does not know.
    fn react(
        &mut self,
        aggregate_type: &str,
        stream_id: &str,
        event: &eventfold::Event,
    ) -> Vec<CommandEnvelope>;
}

/// What became of the commands of one run of the process managers.
#[derive(Debug, Clone, Default)]
pub struct ProcessManagerReport {
    /// How many commands succeeded.
    pub dispatched: usize,
    /// How many did not, and were written to the dead letters.
    pub dead_lettered: usize,
}
