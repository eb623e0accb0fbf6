//! The head of an aggregate: its state with everything that was decided, durable or not.

use std::collections::HashSet;

use crate::domain::aggregate::{Aggregate, apply_all};
use crate::erasures::ReadAfter;
use crate::error::{guarded, panic_message};
use crate::event::Standing;
use crate::runtime::actor::keys::Keys;
use crate::storage::snapshot::Draft;
use crate::storage::stream::Stream;

pub(crate) struct Head<A> {
    pub(crate) state: A,
    pub(crate) version: u64,
    /// The activation whose commits these are.
    pub(crate) epoch: u64,
    /// The version of the newest snapshot.
    pub(crate) snapshot_version: u64,
    pub(crate) keys: Keys,
    /// Whether it has ended or is archived.
    pub(crate) standing: Standing,
    /// The names of events that were left out.
    pub(crate) unknown: Vec<String>,
    /// Hashes of the ids of all events of the stream; kept from the first injection on.
    pub(crate) event_ids: Option<HashSet<u128>>,
    /// What was erased when the state began to be read.
    pub(crate) read_after: ReadAfter,
}

impl<A: Aggregate> Head<A> {
    /// Folds `events` into the state. They are stored as `stored` events. If `apply` panics, the
    /// state is lost.
    pub(crate) fn evolve(
        &mut self,
        events: &[A::DomainEvent],
        stored: u64,
    ) -> Result<(), Box<dyn std::any::Any + Send>> {
        apply_all(&mut self.state, events)?;
        self.version += stored;
        Ok(())
    }

    /// A snapshot of the head if one is due and its state can be written.
    pub(crate) fn draft_if_due(&mut self, every: u64, stream: &Stream) -> Option<Box<Draft>> {
        let is_due = self.version.saturating_sub(self.snapshot_version) >= every;
        is_due.then(|| self.draft(stream)).flatten()
    }

    /// A snapshot of the head, `None` if its state cannot be written.
    fn draft(&mut self, stream: &Stream) -> Option<Box<Draft>> {
        // The next one is due only after as many further events, even if this one fails.
        self.snapshot_version = self.version;
        let state = match guarded(|| serde_json::to_vec(&self.state)) {
            Ok(Ok(state)) => state,
            Ok(Err(error)) => {
                stream.lacks_snapshot(&format!("its state cannot be written: {error}"));
                return None;
            }
            Err(panic) => {
                let panic = panic_message(&*panic);
                stream.lacks_snapshot(&format!("writing its state panicked: {panic}"));
                return None;
            }
        };
        Some(Box::new(Draft {
            state,
            read_back: |state| match guarded(|| serde_json::from_slice::<A>(state)) {
                Ok(read) => read.map(drop).map_err(|error| error.to_string()),
                Err(panic) => Err(panic_message(&*panic)),
            },
            state_version: A::STATE_VERSION,
            keys: self.keys.list(),
            unknown: self.unknown.clone(),
            events: A::__fingerprint(),
            standing: self.standing.clone(),
            read_after: self.read_after.clone(),
        }))
    }
}
