//! An actor that is lent to a group: [`Borrowed`]. Invariant C14.

use crate::domain::aggregate::Aggregate;
use crate::domain::command::{CommandContext, Fingerprint};
use crate::error::ExecuteError;
use crate::storage::encoding::event_line::EncodedEvents;
use crate::storage::snapshot::{Draft, KnownKey};

/// The events of one command, also in their stored form.
pub(crate) type Proposed<A> = (Vec<<A as Aggregate>::DomainEvent>, EncodedEvents);

/// A lent actor. Nobody else uses its head until it is given back, by dropping this.
pub(crate) trait Borrowed<A: Aggregate>: Send {
    /// The epoch and the version of the head.
    fn head(&self) -> (u64, u64);

    /// The events that were stored under an idempotency key.
    fn known(&self, key: &str) -> Option<KnownKey>;

    /// Decides a command on the head, and leaves the head as it is. `now` is the command's time.
    fn propose(
        &mut self,
        command: A::Command,
        context: &CommandContext,
        fingerprint: Option<Fingerprint>,
        now: u64,
    ) -> Result<Option<Proposed<A>>, ExecuteError<A::Error>>;

    /// Folds proposed events into the head. They are stored as `stored` events.
    fn evolve(
        &mut self,
        events: &[A::DomainEvent],
        stored: u64,
    ) -> Result<(), ExecuteError<A::Error>>;

    /// The head's new events will be stored: remembers their key, and returns a snapshot that is
    /// due.
    fn keep(&mut self, key: Option<KnownKey>) -> Option<Box<Draft>>;

    /// The head has events that will not be stored: it is loaded again before its next use.
    fn forget(&mut self);
}
