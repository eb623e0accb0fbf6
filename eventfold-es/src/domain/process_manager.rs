//! Workflows over many aggregates: [`ProcessManager`], and [`React`] for typed events.

use serde::{Serialize, de::DeserializeOwned};

mod dead_letter;
mod order;
mod outbox;
mod retry;
mod targets;

pub use dead_letter::DeadLetter;
pub(crate) use order::{Order, Timer};
pub(crate) use outbox::Unwritable;
pub use outbox::{Due, Outbox};
pub use retry::{OnFailure, Retry};
pub use targets::Targets;

use crate::domain::aggregate::Aggregate;
use crate::domain::command::CommandEnvelope;
use crate::event::{DecodeError, EventSet, Recorded, StoredEvent};

/// A workflow that reacts to events with commands for other aggregates.
///
/// A store that it is registered with ([`AggregateStoreBuilder::process_manager`]) runs it by
/// [`AggregateStore::run_process_managers`], or continuously if it is
/// [live](crate::store::AggregateStoreBuilder::live). It follows the journal from its own position. Its
/// commands are saved with its state before they are sent, so that each takes effect once, whenever
/// the program ends.
///
/// A command that does not succeed is tried again as [`Retry`] says in a store that is live; on
/// demand it is tried once. When it is given up it is a [`DeadLetter`]: a line of
/// `process_managers/<NAME>/dead_letters.jsonl`,
/// `{"envelope":{…},"error":"…","ts":1767225600,"id":"17",…}`, the command with its context, what
/// it failed with, and when, in seconds since 1970.
/// [`AggregateStore::dead_letters`](crate::store::AggregateStore::dead_letters) lists and replays them.
///
/// A process manager is never built again from the first event, since that would send its commands
/// again: it never reacts twice to an event that its checkpoint includes.
///
/// Its name is its identity, on disk and in its commands' keys. Under another name it is a new process
/// manager, which reacts to all events again; the timers and unsent commands of the old one stay where
/// they are, and opening a store warns of that. Without `name = ".."` in the derive, renaming the type
/// renames the process manager.
///
/// One instance serves all streams: keep what belongs to one of many workflows in a map by its id.
/// The state is saved as JSON, which is read back first. A state that could not be read again, with a NaN
/// in it for example, is not saved, and its commands are not sent: runs fail with the cause until an event
/// makes it one that can be saved. If a command could not be read again, or is nested too deeply for the
/// files that keep it, the process manager cannot take the event that it comes from ([`OnFailure`]).
///
/// A later version of the type must be able to read the state: give new fields `#[serde(default)]`, keep
/// the names of the others. A process manager whose checkpoint cannot be read is
/// [stopped](crate::following::Running::Stopped), its files are left as they are, and runs fail with the cause; the
/// store and the others work.
///
/// Most programs derive this trait (see [`derive@ProcessManager`](crate::ProcessManager)) and
/// implement [`React`] for each aggregate. It can as well be implemented by hand, on events as JSON:
///
/// ```
/// use eventfold_es::{CommandContext, CommandEnvelope, ProcessManager};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Default, Serialize, Deserialize)]
/// struct Billing;
///
/// impl ProcessManager for Billing {
///     const NAME: &'static str = "billing";
///
///     fn subscriptions(&self) -> &'static [&'static str] {
///         &["order"]
///     }
///
///     fn react(&mut self, _: &str, id: &str, event: &eventfold::Event) -> Vec<CommandEnvelope> {
///         if event.event_type != "OrderPlaced" {
///             return Vec::new();
///         }
///         vec![CommandEnvelope {
///             aggregate_type: "invoice".to_owned(),
///             instance_id: id.to_owned(),
///             command: serde_json::json!({ "type": "Issue", "data": { "order": id } }),
///             context: CommandContext::default(),
///         }]
///     }
/// }
/// ```
///
/// [`AggregateStoreBuilder::process_manager`]: crate::store::AggregateStoreBuilder::process_manager
/// [`AggregateStore::run_process_managers`]: crate::store::AggregateStore::run_process_managers
pub trait ProcessManager: Default + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Names the process manager on disk: its checkpoint and its dead letters are in
    /// `process_managers/<NAME>`. It is the name of a directory as it is, checked as
    /// [`Projection::NAME`](crate::domain::projection::Projection::NAME) is, and is part of the idempotency
    /// keys: another name is another process manager, which reacts to all events again.
    ///
    /// ```
    /// # use eventfold_es::{ProcessManager, __private::example::Forward};
    /// assert_eq!(Forward::NAME, "forward");
    /// ```
    const NAME: &'static str;

    /// The aggregate types whose events it reacts to, each an
    /// [`AGGREGATE_TYPE`](crate::domain::aggregate::Aggregate::AGGREGATE_TYPE). Events of other types never reach
    /// it.
    ///
    /// ```
    /// # use eventfold_es::{ProcessManager, __private::example::Forward};
    /// assert_eq!(Forward.subscriptions(), ["counter"]);
    /// ```
    fn subscriptions(&self) -> &'static [&'static str];

    /// Reacts to one event, which is the stream's `aggregate_type/stream_id`, and returns the
    /// commands to dispatch, in order. It depends on its arguments and the state alone, and passes
    /// over events that it does not know. If it panics, runs fail until the store is opened again.
    ///
    /// An event with an integer above `u64::MAX` or below `i64::MIN` does not come here: `event.data`
    /// has no place for it, so it cannot be taken. [`react_stored`](Self::react_stored) can read it.
    ///
    /// What a command's context leaves out is filled in: the correlation id of the event, the
    /// event's id as causation id, and an idempotency key from the manager's name, the event's
    /// position and the command's index.
    ///
    /// ```
    /// # use eventfold_es::{ProcessManager, __private::example::Forward};
    /// let added = eventfold::Event::new("Added", serde_json::json!({ "amount": 5 }));
    /// let commands = Forward.react("counter", "c-1", &added);
    /// assert_eq!(commands[0].instance_id, "all");
    /// ```
    fn react(
        &mut self,
        aggregate_type: &str,
        stream_id: &str,
        event: &eventfold::Event,
    ) -> Vec<CommandEnvelope>;

    /// Reacts to one event in its stored form, which is what a store calls. As it is provided, it
    /// calls [`react`](Self::react).
    ///
    /// # Errors
    ///
    /// Why the event cannot be read.
    fn react_stored(
        &mut self,
        stored: StoredEvent<'_>,
        out: &mut Outbox<'_>,
    ) -> Result<(), DecodeError> {
        let record = stored.record();
        let event = stored
            .to_eventfold()
            .map_err(|source| DecodeError::malformed(stored.name(), source))?;
        for envelope in self.react(record.aggregate_type(), record.id(), &event) {
            out.send_envelope(envelope);
        }
        Ok(())
    }

    /// The events that are reacted to by their types, for
    /// [`UnknownEvents`](crate::UnknownEvents).
    #[doc(hidden)]
    fn event_sets() -> &'static [EventSet] {
        &[]
    }

    /// The aggregate types that commands are sent to, besides those that are registered with the store.
    #[doc(hidden)]
    fn targets<T: Targets>(_targets: &mut T) {}
}

/// How a process manager reacts to the events of one type of aggregate.
///
/// Implement it for each aggregate that `#[process_manager(aggregates(...))]` lists. It sees each
/// event as its aggregate does: under its name of today, and with `record`, which says whose it is,
/// where it stands and when it came about.
///
/// ```
/// # use eventfold_es::__private::example::{Add, Counter, CounterEvent};
/// use eventfold_es::{Outbox, ProcessManager, React, Recorded};
/// use serde::{Deserialize, Serialize};
///
/// /// Adds to the counter `all` what is added to any other.
/// #[derive(Debug, Default, Serialize, Deserialize, ProcessManager)]
/// #[process_manager(name = "sum-up", aggregates(Counter), dispatches(Counter))]
/// struct SumUp;
///
/// impl React<Counter> for SumUp {
///     fn react_to(&mut self, event: &CounterEvent, record: &Recorded<'_>, out: &mut Outbox<'_>) {
///         let CounterEvent::Added { amount } = event;
///         if record.id() != "all" {
///             out.send::<Counter>("all", Add(*amount));
///         }
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not react to the events of `{A}`",
    label = "no `impl React<{A}> for {Self}`",
    note = "write `impl React<{A}> for {Self}`, or remove `{A}` from the aggregates of `{Self}`"
)]
pub trait React<A: Aggregate> {
    /// Reacts to `event`: changes the process manager's state, and puts the commands to dispatch
    /// into `out`. It depends on its arguments and the state alone. If it panics, runs fail until
    /// the store is opened again.
    ///
    /// See the example of [`React`].
    fn react_to(&mut self, event: &A::DomainEvent, record: &Recorded<'_>, out: &mut Outbox<'_>);
}

/// What became of the commands of one run of the process managers. See
/// [`AggregateStore::run_process_managers`](crate::store::AggregateStore::run_process_managers).
///
/// ```
/// # use eventfold_es::ProcessManagerReport;
/// let report = ProcessManagerReport::default();
/// assert_eq!((report.dispatched, report.dead_lettered), (0, 0));
/// ```
#[derive(Debug, Clone, Default)]
pub struct ProcessManagerReport {
    /// How many commands succeeded, repeated ones included.
    pub dispatched: usize,
    /// How many did not, and were written to the dead letters.
    pub dead_lettered: usize,
}
