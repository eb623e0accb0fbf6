//! Workflows over many aggregates: [`ProcessManager`], and [`React`] for typed events.

use serde::{Serialize, de::DeserializeOwned};

mod dead_letter;
mod due;
mod failure_kind;
mod order;
mod origin;
mod outbox;
mod retry;
mod targets;

pub use dead_letter::DeadLetter;
pub use due::Due;
pub use failure_kind::FailureKind;
pub(crate) use order::{Order, Timer};
pub(crate) use outbox::Unwritable;
pub use outbox::{OrSend, Outbox, SendTogether};
pub use retry::{Backoff, OnFailure, Retry};
pub use targets::Targets;

use crate::domain::aggregate::Aggregate;
use crate::domain::command::CommandEnvelope;
use crate::event::{DecodeError, DomainEvent, EventSet, LifecycleEvent, Recorded, StoredEvent};

/// A workflow that reacts to events with commands for other aggregates.
///
/// Register it with a store ([`AggregateStoreBuilder::process_manager`]). The store runs it in
/// [`AggregateStore::run_process_managers`], or continuously if the store is
/// [live](crate::store::AggregateStoreBuilder::live). It follows the journal from its own position.
/// Its commands are saved with its state before they are sent. So each command takes effect once,
/// whenever the program ends.
///
/// In a live store, a command that does not succeed is tried again as [`Retry`] says; on demand it
/// is tried once. After the last attempt the process manager may answer the failure, by
/// [`or_send`](OrSend::or_send) or [`on_dead_letter`](Self::on_dead_letter). If it does not, the
/// command becomes a [`DeadLetter`], a line of `process_managers/<NAME>/dead_letters.jsonl`:
/// `{"envelope":{…},"error":"…","ts":1767225600,"id":"17",…}`. The line has the command with its
/// context, the error, and the time in seconds since 1970.
/// [`AggregateStore::dead_letters`](crate::store::AggregateStore::dead_letters) lists and replays
/// dead letters.
///
/// A process manager is never built again from the first event, since that would send its commands
/// again. It never reacts twice to an event that its checkpoint includes.
///
/// Its name is its identity, on disk and in its commands' keys. Under another name it is a new
/// process manager, which reacts to all events again. The timers and unsent commands of the old one
/// stay where they are, and opening a store logs a warning about them. Without `name = ".."` in the
/// derive, renaming the type renames the process manager.
///
/// One instance serves all streams: to track many workflows, keep a map of them by id. The state is
/// saved as JSON, and that JSON is read back first. A state that could not be read again, with a
/// NaN in it for example, is not saved, and its commands are not sent. Runs then fail with the
/// cause until an event leads to a state that can be saved. If a command could not be read again,
/// or is nested too deeply for the files, the process manager cannot take the event that led to it
/// ([`OnFailure`]).
///
/// A later version of the type must be able to read the state: give new fields `#[serde(default)]`,
/// and keep the names of the others. If its checkpoint cannot be read, a process manager is
/// [stopped](crate::following::Running::Stopped): its files are left as they are, and runs fail
/// with the cause. The store and the other process managers work.
///
/// Most programs derive this trait (see [`derive@ProcessManager`](crate::ProcessManager)) and
/// implement [`React`] for each aggregate. You can also implement it by hand, on events as JSON:
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
#[doc(alias("saga", "workflow", "orchestration", "policy", "reactor"))]
pub trait ProcessManager: Default + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Names the process manager on disk: its checkpoint and its dead letters are in
    /// `process_managers/<NAME>`. The name is used unchanged as a directory name, and is checked
    /// like [`Projection::NAME`](crate::domain::projection::Projection::NAME). It is part of the
    /// idempotency keys. A process manager with another name is another one, which reacts to all
    /// events again.
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

    /// Reacts to one event of the stream `aggregate_type/stream_id`, and returns the commands to
    /// dispatch, in order. It depends on its arguments and the state alone, and ignores events that
    /// it does not know. If it panics, runs fail until the store is opened again.
    ///
    /// An event with an integer above `u64::MAX` or below `i64::MIN` does not reach this function,
    /// since `event.data` cannot hold it: the process manager cannot take the event.
    /// [`react_stored`](Self::react_stored) can read it.
    ///
    /// Fields that a command's context does not set are filled in: the event's correlation id, the
    /// event's id as causation id, and an idempotency key. The key is made of the manager's name,
    /// the event's position and the command's index.
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

    /// Reacts to one event in its stored form. A store calls this function. By default it calls
    /// [`react`](Self::react), and leaves out what the store noted about an aggregate itself
    /// ([`StoredEvent::lifecycle`]).
    ///
    /// # Errors
    ///
    /// Why the event cannot be read.
    fn react_stored(
        &mut self,
        stored: StoredEvent<'_>,
        out: &mut Outbox<'_>,
    ) -> Result<(), DecodeError> {
        if stored.lifecycle()?.is_some() {
            return Ok(());
        }
        let record = stored.record();
        let event = stored
            .to_eventfold()
            .map_err(|source| DecodeError::malformed(stored.name(), source))?;
        for envelope in self.react(record.aggregate_type(), record.id(), &event) {
            out.send_envelope(envelope);
        }
        Ok(())
    }

    /// Learns that one of its commands failed and would become the dead letter `letter`, and may
    /// answer. By default it does nothing.
    ///
    /// If it puts a command or a timer into `out`, these take the place of the dead letter: none is
    /// left, so nobody can replay the command beside the answer. Otherwise the command becomes a dead
    /// letter. In both cases the changed state and the cancelled timers are kept. It is called again
    /// if the program ends before that is saved; then nothing of the first call is left. So an answer
    /// takes effect once, like a reaction.
    ///
    /// It is called when no [`or_send`](OrSend::or_send) is left for the command, and the command
    /// certainly had no effect. It is not called for the commands of an answer, for which it can use
    /// `or_send`, and not again for a dead letter that is replayed.
    ///
    /// `out` fills in the correlation id and the causation id of the failed command, and counts
    /// [`schedule`](Outbox::schedule) from [`DeadLetter::time`].
    ///
    /// If it panics, or if what it leaves cannot be saved, the state stays as it was before and the
    /// command becomes a dead letter. [`FollowerStatus::last_error`](crate::FollowerStatus::last_error)
    /// says so.
    ///
    /// With the derive, name a function of the same signature:
    /// `#[process_manager(on_dead_letter = Self::give_back, ..)]`.
    ///
    /// ```
    /// # use eventfold_es::__private::example::{Add, Counter, CounterEvent};
    /// use eventfold_es::{DeadLetter, FailureKind, Outbox, ProcessManager, React, Recorded};
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Debug, Default, Serialize, Deserialize, ProcessManager)]
    /// #[process_manager(aggregates(Counter), dispatches(Counter), on_dead_letter = Self::count)]
    /// struct SumUp;
    ///
    /// impl SumUp {
    ///     /// Counts what was refused. Other dead letters wait for somebody to replay them.
    ///     fn count(&mut self, letter: &DeadLetter, out: &mut Outbox<'_>) {
    ///         if letter.kind == Some(FailureKind::Refusal) {
    ///             out.send::<Counter>("refused", Add(1));
    ///         }
    ///     }
    /// }
    ///
    /// impl React<Counter> for SumUp {
    ///     fn react_to(&mut self, _: &CounterEvent, record: &Recorded<'_>, out: &mut Outbox<'_>) {
    ///         if record.id() != "all" {
    ///             out.send::<Counter>("all", Add(0)); // there is nothing to add
    ///         }
    ///     }
    /// }
    /// ```
    fn on_dead_letter(&mut self, letter: &DeadLetter, out: &mut Outbox<'_>) {
        let _ = (letter, out);
    }

    /// The events that it reacts to by their types, for [`UnknownEvents`](crate::UnknownEvents).
    #[doc(hidden)]
    fn event_sets() -> &'static [EventSet] {
        &[]
    }

    /// The aggregate types that it sends commands to, besides those that are registered with the
    /// store.
    #[doc(hidden)]
    fn targets<T: Targets>(_targets: &mut T) {}
}

/// How a process manager reacts to the events of one type of aggregate.
///
/// Implement it for each aggregate that `#[process_manager(aggregates(...))]` lists. It gets each
/// event as its aggregate does, under its current name. `record` has the event's stream, its
/// position and its time.
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

    /// Reacts to what the store noted about the aggregate itself: that it has ended, is archived or is
    /// no more archived. By default it does nothing. What was said of
    /// [`react_to`](Self::react_to) holds here too.
    ///
    /// ```
    /// use eventfold_es::{prelude::*, LifecycleEvent};
    /// # use eventfold_es::__private::example::{Add, Counter};
    /// use serde::{Deserialize, Serialize};
    ///
    /// /// Counts the counters that have ended, in a counter of its own.
    /// #[derive(Debug, Default, Serialize, Deserialize, ProcessManager)]
    /// #[process_manager(name = "ends", aggregates(Counter), dispatches(Counter))]
    /// struct Ends;
    ///
    /// impl React<Counter> for Ends {
    ///     fn react_to(
    ///         &mut self,
    ///         _: &<Counter as Aggregate>::DomainEvent,
    ///         _: &Recorded<'_>,
    ///         _: &mut Outbox<'_>,
    ///     ) {
    ///     }
    ///
    ///     fn lifecycle(
    ///         &mut self,
    ///         noted: &LifecycleEvent,
    ///         _: &Recorded<'_>,
    ///         out: &mut Outbox<'_>,
    ///     ) {
    ///         if let LifecycleEvent::Ended { .. } = noted {
    ///             out.send::<Counter>("ended", Add(1));
    ///         }
    ///     }
    /// }
    /// ```
    fn lifecycle(
        &mut self,
        _noted: &LifecycleEvent,
        _record: &Recorded<'_>,
        _out: &mut Outbox<'_>,
    ) {
    }
}

/// How a process manager reacts to one type of events that belong to no aggregate, such as those of
/// [decisions](crate::Decider).
///
/// Implement it for each event that `#[process_manager(events(...))]` lists. It gets each event under
/// its current name. An event of that type which belongs to an aggregate goes to [`React`], if the
/// aggregate is listed. `record` has the event's position, its time and its tags.
///
/// ```
/// use eventfold_es::{prelude::*, testing};
/// # use eventfold_es::__private::example::{Add, Counter};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
/// struct Subscribed {
///     #[tag]
///     course: String,
/// }
///
/// /// Keeps a counter of each course's subscriptions.
/// #[derive(Debug, Default, Serialize, Deserialize, ProcessManager)]
/// #[process_manager(name = "count", events(Subscribed), dispatches(Counter))]
/// struct Count;
///
/// impl ReactTo<Subscribed> for Count {
///     fn react_to_event(&mut self, event: &Subscribed, _: &Recorded<'_>, out: &mut Outbox<'_>) {
///         out.send::<Counter>(&event.course, Add(1));
///     }
/// }
///
/// testing::process_manager::<Count>()
///     .when_event(Subscribed { course: "c-1".into() })
///     .then(|out| {
///         out.send::<Counter>("c-1", Add(1));
///     });
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not react to the event `{E}`",
    label = "no `impl ReactTo<{E}> for {Self}`",
    note = "write `impl ReactTo<{E}> for {Self}`, or remove `{E}` from the events of `{Self}`"
)]
pub trait ReactTo<E: DomainEvent> {
    /// Reacts to `event`, as [`React::react_to`].
    ///
    /// See the example of [`ReactTo`].
    fn react_to_event(&mut self, event: &E, record: &Recorded<'_>, out: &mut Outbox<'_>);
}

/// The outcome of the commands in one run of the process managers. See
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
    /// How many commands failed and were written to the dead letters.
    pub dead_lettered: usize,
}
