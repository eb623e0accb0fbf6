//! Given and then: projections and process managers.

#![allow(
    clippy::return_self_not_must_use,
    reason = "a check may be the last thing that is said"
)]

use std::collections::HashMap;
use std::time::SystemTime;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::clock::{from_unix_millis, unix_millis};
use crate::domain::aggregate::Aggregate;
use crate::domain::command::{CommandContext, StoredCommand};
use crate::domain::decider::Decider;
use crate::domain::process_manager::{
    DeadLetter, FailureKind, Order, Outbox, ProcessManager, Targets,
};
use crate::domain::projection::Projection;
use crate::event::{DomainEvent, EventSet, LifecycleEvent, StoredEvent, value};
use crate::following::read_back;
use crate::ids::StreamId;
use crate::testing::diff::{diff, listed};
use crate::testing::form::{
    Form, Place, alike, checked_event, in_clear, pretty, restored, round_trip, same, saved, time_of,
};

/// A projection that has seen no event yet.
///
/// Its state is also saved and read back after every event, and the copy must evolve in the same
/// way. The events happen a second apart, from the beginning of 2026 on, and have no actor:
/// [`at`](ProjectionGiven::at) and [`with_context`](ProjectionGiven::with_context) set something
/// else.
///
/// ```
/// use eventfold_es::testing;
///
/// # use eventfold_es::__private::example::*;
/// testing::projection::<Total>()
///     .given::<Counter>("c-1", vec![CounterEvent::Added { amount: 5 }])
///     .given::<Counter>("c-2", vec![CounterEvent::Added { amount: 2 }])
///     .then_state(|total| total.value == 7);
/// ```
#[must_use]
pub fn projection<P: Projection>() -> ProjectionGiven<P> {
    ProjectionGiven {
        live: P::default(),
        restored: P::default(),
        journal: Journal::default(),
    }
}

/// A projection with the events that it has seen. Made by [`projection`].
#[derive(Debug)]
pub struct ProjectionGiven<P> {
    live: P,
    restored: P,
    journal: Journal,
}

impl<P: Projection> ProjectionGiven<P> {
    /// Sets the time of the further events. It stays the same until it is set again.
    ///
    /// See the example of [`with_context`](Self::with_context).
    #[must_use]
    pub fn at(mut self, time: SystemTime) -> Self {
        self.journal.time = Some(unix_millis(time));
        self
    }

    /// Sets the context of the commands that store the further events: their actor, what they belong
    /// to, and their metadata.
    ///
    /// # Panics
    ///
    /// If the context has an expected version or an idempotency key, which no event has.
    ///
    /// ```
    /// # use std::time::{Duration, SystemTime};
    /// use eventfold_es::{CommandContext, testing, prelude::*};
    /// # use eventfold_es::__private::example::*;
    /// # use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Debug, Clone, Default, Serialize, Deserialize, Projection)]
    /// #[projection(aggregates(Counter))]
    /// struct Last {
    ///     by: Option<String>,
    ///     ms: u64,
    /// }
    ///
    /// impl Project<Counter> for Last {
    ///     fn project(&mut self, _: &CounterEvent, record: &Recorded<'_>) {
    ///         self.by = record.actor().map(str::to_owned);
    ///         self.ms = record.unix_millis();
    ///     }
    /// }
    ///
    /// let ann = CommandContext::default().with_actor("ann");
    /// testing::projection::<Last>()
    ///     .with_context(ann)
    ///     .at(SystemTime::UNIX_EPOCH + Duration::from_secs(5))
    ///     .given::<Counter>("c-1", vec![CounterEvent::Added { amount: 5 }])
    ///     .then_state(|last| last.by.as_deref() == Some("ann") && last.ms == 5_000);
    /// ```
    #[track_caller]
    #[must_use]
    pub fn with_context(mut self, context: CommandContext) -> Self {
        self.journal.set_context(context);
        self
    }

    /// Further events, of the aggregate `id`, in the order of the store.
    ///
    /// # Panics
    /// If the projection does not subscribe to the aggregate or cannot read an event. If its state
    /// does not come back from its saved form, or evolves differently from there.
    ///
    /// See the example of [`projection`].
    #[track_caller]
    #[must_use]
    pub fn given<A: Aggregate>(mut self, id: &str, events: Vec<A::DomainEvent>) -> Self {
        check_subscribed::<A>(P::NAME, self.live.subscriptions());
        for event in &events {
            let told = self.journal.next::<A>(id, event);
            self.apply(&told);
        }
        self
    }

    /// A further event, which belongs to no aggregate, as those of decisions.
    ///
    /// # Panics
    ///
    /// If the projection does not list the event, cannot read it, or as [`given`](Self::given).
    ///
    /// See the example of [`derive@Projection`](crate::Projection).
    #[track_caller]
    #[must_use]
    pub fn given_event<E: DomainEvent>(mut self, event: E) -> Self {
        check_listed::<E>(P::NAME, self.live.subscriptions(), P::event_sets());
        let told = self.journal.next_event(&event);
        self.apply(&told);
        self
    }

    /// The store notes something about an aggregate itself: that it has ended, for example. The
    /// projection gets it as [`Project::lifecycle`](crate::Project::lifecycle).
    ///
    /// # Panics
    ///
    /// As [`given`](Self::given).
    ///
    /// ```
    /// use eventfold_es::{LifecycleEvent, testing};
    /// # use eventfold_es::__private::example::{Counter, Total};
    ///
    /// // It does not care.
    /// testing::projection::<Total>()
    ///     .given_lifecycle::<Counter>("c-1", LifecycleEvent::Archived)
    ///     .then_state(|total| total.value == 0);
    /// ```
    #[track_caller]
    #[must_use]
    pub fn given_lifecycle<A: Aggregate>(mut self, id: &str, noted: LifecycleEvent) -> Self {
        check_subscribed::<A>(P::NAME, self.live.subscriptions());
        let told = self.journal.next_lifecycle::<A>(id, &noted);
        self.apply(&told);
        self
    }

    #[track_caller]
    fn apply(&mut self, told: &Told) {
        let (live, other) = (&mut self.live, &mut self.restored);
        let applied = told.stored(|stored| {
            live.apply_stored(stored)?;
            other.apply_stored(stored)
        });
        if let Err(error) = applied {
            panic!("`{}` cannot read an event: {error}", P::NAME);
        }
        match gone_on(P::NAME, live, other) {
            Ok(restored) => self.restored = restored,
            Err(message) => panic!("{message}"),
        }
    }

    /// Checks the state.
    ///
    /// # Panics
    ///
    /// If `is_so` returns false. The state is shown.
    ///
    /// See the example of [`projection`].
    #[track_caller]
    pub fn then_state(self, is_so: impl FnOnce(&P) -> bool) -> Self {
        check(&self.live, is_so);
        self
    }
}

/// A process manager that has seen no event yet.
///
/// A copy that was saved and read back before also reacts to each event, and must send the same
/// commands.
///
/// ```
/// use eventfold_es::testing;
///
/// # use eventfold_es::__private::example::*;
/// testing::process_manager::<Forward>()
///     .given::<Counter>("c-1", vec![CounterEvent::Added { amount: 2 }])
///     .when::<Counter>("c-1", CounterEvent::Added { amount: 5 })
///     .then(|out| {
///         out.send::<Counter>("all", Add(5));
///     })
///     .when::<Counter>("all", CounterEvent::Added { amount: 5 })
///     .then_nothing();
/// ```
#[must_use]
pub fn process_manager<M: ProcessManager>() -> ProcessManagerGiven<M> {
    ProcessManagerGiven {
        live: M::default(),
        restored: M::default(),
        journal: Journal::default(),
    }
}

/// A process manager with the events that it has seen. Made by [`process_manager`].
#[derive(Debug)]
pub struct ProcessManagerGiven<M> {
    live: M,
    restored: M,
    journal: Journal,
}

/// The reaction of a process manager to an event.
#[derive(Debug)]
pub struct ProcessManagerWhen<M> {
    given: ProcessManagerGiven<M>,
    met: Met,
    sent: Vec<Value>,
}

impl<M: ProcessManager> ProcessManagerGiven<M> {
    /// Sets the time of the further events. It stays the same until it is set again.
    ///
    /// See the example of [`with_context`](Self::with_context).
    #[must_use]
    pub fn at(mut self, time: SystemTime) -> Self {
        self.journal.time = Some(unix_millis(time));
        self
    }

    /// Sets the context of the commands that store the further events: their actor, what they belong
    /// to, and their metadata.
    ///
    /// # Panics
    ///
    /// If the context has an expected version or an idempotency key, which no event has.
    ///
    /// ```
    /// # use std::time::{Duration, SystemTime};
    /// # use eventfold_es::{CommandContext, testing, __private::example::*};
    /// let ann = CommandContext::default().with_actor("ann").with_correlation_id("r-1");
    /// testing::process_manager::<Forward>()
    ///     .with_context(ann)
    ///     .at(SystemTime::UNIX_EPOCH + Duration::from_secs(5))
    ///     .given::<Counter>("c-1", vec![CounterEvent::Added { amount: 2 }]);
    /// ```
    #[track_caller]
    #[must_use]
    pub fn with_context(mut self, context: CommandContext) -> Self {
        self.journal.set_context(context);
        self
    }

    /// Earlier events of the aggregate `id`. Its reactions to them are not checked.
    ///
    /// # Panics
    ///
    /// As [`when`](Self::when).
    ///
    /// See the example of [`process_manager`].
    #[track_caller]
    #[must_use]
    pub fn given<A: Aggregate>(mut self, id: &str, events: Vec<A::DomainEvent>) -> Self {
        for event in events {
            self = self.when::<A>(id, event).given;
        }
        self
    }

    /// Lets it react to an event of the aggregate `id`.
    ///
    /// # Panics
    ///
    /// * If it does not subscribe to the aggregate, or cannot read the event;
    /// * if its state does not come back from its saved form, or evolves differently from there;
    /// * if a command goes to an id that no stream can have, or to a type that is not in a derived
    ///   `dispatches(...)`.
    ///
    /// See the example of [`process_manager`].
    #[track_caller]
    #[must_use]
    pub fn when<A: Aggregate>(
        mut self,
        id: &str,
        event: impl Into<A::DomainEvent>,
    ) -> ProcessManagerWhen<M> {
        check_subscribed::<A>(M::NAME, self.live.subscriptions());
        let told = self.journal.next::<A>(id, &event.into());
        self.react_to(told)
    }

    /// An earlier event that belongs to no aggregate, as those of decisions. Its reaction is not
    /// checked.
    ///
    /// # Panics
    ///
    /// As [`when_event`](Self::when_event).
    ///
    /// See the example of [`ReactTo`](crate::ReactTo).
    #[track_caller]
    #[must_use]
    pub fn given_event<E: DomainEvent>(self, event: E) -> Self {
        self.when_event(event).given
    }

    /// Lets it react to an event that belongs to no aggregate, as those of decisions.
    ///
    /// # Panics
    ///
    /// If it does not list the event, cannot read it, or as [`when`](Self::when).
    ///
    /// See the example of [`ReactTo`](crate::ReactTo).
    #[track_caller]
    #[must_use]
    pub fn when_event<E: DomainEvent>(mut self, event: E) -> ProcessManagerWhen<M> {
        check_listed::<E>(M::NAME, self.live.subscriptions(), M::event_sets());
        let told = self.journal.next_event(&event);
        self.react_to(told)
    }

    /// The store notes something about an aggregate itself: that it has ended, for example. The
    /// process manager gets it as [`React::lifecycle`](crate::React::lifecycle).
    ///
    /// # Panics
    ///
    /// As [`when`](Self::when).
    ///
    /// ```
    /// use eventfold_es::{LifecycleEvent, testing};
    /// # use eventfold_es::__private::example::{Counter, Forward};
    ///
    /// testing::process_manager::<Forward>()
    ///     .when_lifecycle::<Counter>("c-1", LifecycleEvent::Archived)
    ///     .then_nothing();
    /// ```
    #[track_caller]
    #[must_use]
    pub fn when_lifecycle<A: Aggregate>(
        mut self,
        id: &str,
        noted: LifecycleEvent,
    ) -> ProcessManagerWhen<M> {
        check_subscribed::<A>(M::NAME, self.live.subscriptions());
        let told = self.journal.next_lifecycle::<A>(id, &noted);
        self.react_to(told)
    }

    #[track_caller]
    fn react_to(mut self, told: Told) -> ProcessManagerWhen<M> {
        let (live, other) = (&mut self.live, &mut self.restored);
        let (sent, by_restored) = match (react(live, &told), react(other, &told)) {
            (Ok(sent), Ok(by_restored)) => (sent, by_restored),
            (Err(error), _) | (_, Err(error)) => {
                panic!("`{}` cannot react to an event: {error}", M::NAME)
            }
        };
        check_same::<M>(&sent, &by_restored);
        match gone_on(M::NAME, live, other) {
            Ok(restored) => self.restored = restored,
            Err(message) => panic!("{message}"),
        }
        ProcessManagerWhen {
            given: self,
            met: Met::Event(Box::new(told)),
            sent,
        }
    }

    /// Lets it answer the failure of `command`, which it had sent to the aggregate `id`: calls
    /// [`on_dead_letter`](ProcessManager::on_dead_letter). The command was tried once and had no
    /// effect. It failed as `kind` says, with the text `error`.
    ///
    /// # Panics
    ///
    /// * If its state does not come back from its saved form, or evolves differently from there;
    /// * if a command goes to an id that no stream can have, or to a type that is not in a derived
    ///   `dispatches(...)`.
    ///
    /// ```
    /// # use eventfold_es::{testing, FailureKind, __private::example::*};
    /// testing::process_manager::<Forward>()
    ///     .given::<Counter>("c-1", vec![CounterEvent::Added { amount: 2 }])
    ///     .when_failed::<Counter>("all", Add(2), FailureKind::Refusal, "the counter is full")
    ///     .then_nothing(); // the command becomes a dead letter
    /// ```
    #[track_caller]
    #[must_use]
    pub fn when_failed<A>(
        mut self,
        id: &str,
        command: impl Into<A::Command>,
        kind: FailureKind,
        error: &str,
    ) -> ProcessManagerWhen<M>
    where
        A: Aggregate,
        A::Command: Serialize,
    {
        let letter = self.journal.letter::<A>(id, &command.into(), kind, error);
        let position = self.journal.position;
        let (live, other) = (&mut self.live, &mut self.restored);
        let (sent, by_restored) = match (
            answer(live, &letter, position),
            answer(other, &letter, position),
        ) {
            (Ok(sent), Ok(by_restored)) => (sent, by_restored),
            (Err(error), _) | (_, Err(error)) => {
                panic!("`{}` cannot answer a failure: {error}", M::NAME)
            }
        };
        check_same::<M>(&sent, &by_restored);
        match gone_on(M::NAME, live, other) {
            Ok(restored) => self.restored = restored,
            Err(message) => panic!("{message}"),
        }
        ProcessManagerWhen {
            given: self,
            met: Met::Failure(Box::new(letter), position),
            sent,
        }
    }

    /// Checks the state.
    ///
    /// # Panics
    ///
    /// If `is_so` returns false. The state is shown.
    ///
    /// ```
    /// # use eventfold_es::{testing, __private::example::*};
    /// testing::process_manager::<Forward>().then_state(|forward| *forward == Forward);
    /// ```
    #[track_caller]
    pub fn then_state(self, is_so: impl FnOnce(&M) -> bool) -> Self {
        check(&self.live, is_so);
        self
    }
}

impl<M: ProcessManager> ProcessManagerWhen<M> {
    /// Sets the time of the further events, as [`ProcessManagerGiven::at`].
    ///
    /// See the example of [`ProcessManagerGiven::with_context`].
    #[must_use]
    pub fn at(self, time: SystemTime) -> ProcessManagerGiven<M> {
        self.given.at(time)
    }

    /// Sets the context of the further events, as [`ProcessManagerGiven::with_context`].
    ///
    /// # Panics
    ///
    /// As [`ProcessManagerGiven::with_context`].
    ///
    /// See the example there.
    #[track_caller]
    #[must_use]
    pub fn with_context(self, context: CommandContext) -> ProcessManagerGiven<M> {
        self.given.with_context(context)
    }

    /// Checks that it did exactly what `expected` does with its own outbox: the same commands,
    /// timers and cancellations, in the same order, each with the same commands to send
    /// [if it fails](crate::OrSend::or_send).
    ///
    /// # Panics
    ///
    /// If it did something else. Commands are compared in their stored form.
    ///
    /// See the example of [`process_manager`].
    #[track_caller]
    pub fn then(self, expected: impl FnOnce(&mut Outbox<'_>)) -> Self {
        let expected = match &self.met {
            Met::Event(told) => told.stored(|stored| {
                let mut out = Outbox::new(M::NAME, stored.record());
                expected(&mut out);
                sent(out)
            }),
            Met::Failure(letter, position) => in_clear(|| {
                let mut out = Outbox::answering(M::NAME, letter, *position);
                expected(&mut out);
                sent(out)
            }),
        };
        match expected {
            Ok(expected) if expected == self.sent => {}
            Ok(expected) => panic!(
                "`{}` did not do what was expected\n\n{}",
                M::NAME,
                diff(&lines(&expected), &lines(&self.sent))
            ),
            Err(error) => panic!("an expected command cannot be sent: {error}"),
        }
        self
    }

    /// Checks that it sent nothing.
    ///
    /// # Panics
    ///
    /// If it sent something.
    ///
    /// See the example of [`process_manager`].
    #[track_caller]
    pub fn then_nothing(self) -> Self {
        self.then(|_| {})
    }

    /// Checks the state after the event.
    ///
    /// # Panics
    ///
    /// If `is_so` returns false. The state is shown.
    ///
    /// See the example of [`ProcessManagerGiven::then_state`].
    #[track_caller]
    pub fn then_state(self, is_so: impl FnOnce(&M) -> bool) -> Self {
        check(&self.given.live, is_so);
        self
    }

    /// Lets it react to a further event.
    ///
    /// # Panics
    ///
    /// As [`ProcessManagerGiven::when`].
    ///
    /// See the example of [`process_manager`].
    #[track_caller]
    #[must_use]
    pub fn when<A: Aggregate>(self, id: &str, event: impl Into<A::DomainEvent>) -> Self {
        self.given.when::<A>(id, event)
    }

    /// Lets it react to a further event, which belongs to no aggregate.
    ///
    /// # Panics
    ///
    /// As [`ProcessManagerGiven::when_event`].
    ///
    /// See the example of [`ReactTo`](crate::ReactTo).
    #[track_caller]
    #[must_use]
    pub fn when_event<E: DomainEvent>(self, event: E) -> Self {
        self.given.when_event(event)
    }

    /// Lets it answer the failure of a command.
    ///
    /// # Panics
    ///
    /// As [`ProcessManagerGiven::when_failed`].
    ///
    /// See the example of [`ProcessManagerGiven::when_failed`].
    #[track_caller]
    #[must_use]
    pub fn when_failed<A>(
        self,
        id: &str,
        command: impl Into<A::Command>,
        kind: FailureKind,
        error: &str,
    ) -> Self
    where
        A: Aggregate,
        A::Command: Serialize,
    {
        self.given.when_failed::<A>(id, command, kind, error)
    }
}

/// What a process manager met: an event, or the failure of a command after all events up to a
/// position.
#[derive(Debug)]
enum Met {
    Event(Box<Told>),
    Failure(Box<DeadLetter>, u64),
}

/// The order of events over all streams.
#[derive(Debug, Default)]
struct Journal {
    position: u64,
    /// The time that the test set, in milliseconds since 1970.
    time: Option<u64>,
    /// That of the commands that store the events.
    context: CommandContext,
    /// How many commands failed.
    failed: u64,
    /// By type and id.
    versions: HashMap<(&'static str, String), u64>,
}

/// An event of a [`Journal`].
#[derive(Debug)]
struct Told {
    ms: u64,
    context: CommandContext,
    form: Form,
    aggregate_type: &'static str,
    id: String,
    version: u64,
    position: u64,
}

impl Journal {
    /// The time of the event at the present position.
    fn ms(&self) -> u64 {
        self.time.unwrap_or_else(|| time_of(self.position))
    }

    /// Sets the context of the further events.
    #[track_caller]
    fn set_context(&mut self, context: CommandContext) {
        assert!(
            context.expected_version.is_none() && context.idempotency_key.is_none(),
            "a store checks the expected version and the idempotency key, and an event has neither: \
             leave them out"
        );
        self.context = context;
    }

    /// `event` as the next one of the aggregate `id`.
    #[track_caller]
    fn next<A: Aggregate>(&mut self, id: &str, event: &A::DomainEvent) -> Told {
        self.tell::<A>(id, |place| round_trip::<A>(event, place))
    }

    /// What a store notes about an aggregate itself.
    #[track_caller]
    fn next_lifecycle<A: Aggregate>(&mut self, id: &str, noted: &LifecycleEvent) -> Told {
        self.tell::<A>(id, |_| match Form::of_lifecycle(noted) {
            Ok(form) => form,
            Err(message) => panic!("{message}"),
        })
    }

    #[track_caller]
    fn tell<A: Aggregate>(&mut self, id: &str, form: impl FnOnce(Place<'_>) -> Form) -> Told {
        self.position += 1;
        let key = (A::AGGREGATE_TYPE, id.to_owned());
        let version = *(self.versions.entry(key))
            .and_modify(|version| *version += 1)
            .or_insert(1);
        let place = Place {
            aggregate_type: A::AGGREGATE_TYPE,
            id,
            version,
            position: self.position,
            ms: self.ms(),
            context: Some(&self.context),
        };
        Told {
            ms: place.ms,
            context: self.context.clone(),
            form: form(place),
            aggregate_type: A::AGGREGATE_TYPE,
            id: id.to_owned(),
            version,
            position: self.position,
        }
    }

    /// `event` as the next one, which belongs to no aggregate.
    #[track_caller]
    fn next_event<E: DomainEvent>(&mut self, event: &E) -> Told {
        self.position += 1;
        let place = Place {
            aggregate_type: "",
            id: "",
            version: 0,
            position: self.position,
            ms: self.ms(),
            context: Some(&self.context),
        };
        let form = match checked_event(event, place) {
            Ok(form) => form,
            Err(message) => panic!("{message}"),
        };
        Told {
            ms: place.ms,
            context: self.context.clone(),
            form,
            aggregate_type: "",
            id: String::new(),
            version: 0,
            position: self.position,
        }
    }
}

impl Journal {
    /// The dead letter that `command` would become.
    #[track_caller]
    fn letter<A>(
        &mut self,
        id: &str,
        command: &A::Command,
        kind: FailureKind,
        error: &str,
    ) -> DeadLetter
    where
        A: Aggregate,
        A::Command: Serialize,
    {
        let context = CommandContext::default();
        let (of, id) = (A::AGGREGATE_TYPE, id.to_owned());
        let stored = in_clear(|| StoredCommand::new(of, id, command, context));
        let shown = match stored.and_then(StoredCommand::into_shown) {
            Ok(shown) => shown,
            Err(error) => panic!("the command cannot be written as JSON: {error}"),
        };
        self.failed += 1;
        DeadLetter {
            id: self.failed.to_string(),
            envelope: shown.envelope,
            together: shown.together,
            decision: shown.decision,
            error: error.to_owned(),
            kind: Some(kind),
            time: from_unix_millis(self.ms()),
            attempts: 1,
        }
    }
}

impl Told {
    /// Passes the event to `take` as a store would.
    fn stored<R>(&self, take: impl FnOnce(StoredEvent<'_>) -> R) -> R {
        let place = Place {
            aggregate_type: self.aggregate_type,
            id: &self.id,
            version: self.version,
            position: self.position,
            ms: self.ms,
            context: Some(&self.context),
        };
        self.form.stored(place, take)
    }
}

/// The commands, timers and cancellations of `manager` for an event.
fn react<M: ProcessManager>(manager: &mut M, event: &Told) -> Result<Vec<Value>, String> {
    event.stored(|stored| {
        let mut out = Outbox::new(M::NAME, stored.record());
        manager
            .react_stored(stored, &mut out)
            .map_err(|error| error.to_string())?;
        sent(out)
    })
}

/// The commands, timers and cancellations of `manager` for the failure of a command.
fn answer<M: ProcessManager>(
    manager: &mut M,
    letter: &DeadLetter,
    position: u64,
) -> Result<Vec<Value>, String> {
    in_clear(|| {
        let mut out = Outbox::answering(M::NAME, letter, position);
        manager.on_dead_letter(letter, &mut out);
        sent(out)
    })
}

/// Fails if a command has no possible target, or if the copy of the process manager did otherwise.
#[track_caller]
fn check_same<M: ProcessManager>(sent: &[Value], by_restored: &[Value]) {
    check_targets::<M>(sent);
    assert!(
        sent.len() == by_restored.len() && sent.iter().zip(by_restored).all(|(a, b)| alike(a, b)),
        "`{}` reacts differently after its state is saved and read back\n\n{}",
        M::NAME,
        diff(&lines(sent), &lines(by_restored))
    );
}

/// The content of an outbox: each command, timer and cancellation in its stored form.
fn sent(out: Outbox<'_>) -> Result<Vec<Value>, String> {
    let orders = out.finish().map_err(|error| error.to_string())?;
    for order in &orders {
        read_back(order).map_err(|error| error.to_string())?;
    }
    let stored = |order: Order| {
        Ok(match order {
            Order::Send(envelope, or_send) => with_or_send(command(&envelope)?, &or_send)?,
            Order::Schedule(key, timer) => {
                let schedule = json!({
                    "schedule": key,
                    "due": timer.due,
                    "command": command(&timer.envelope)?,
                });
                with_or_send(schedule, &timer.or_send)?
            }
            Order::Cancel(key) => json!({ "cancel": key }),
        })
    };
    orders.into_iter().map(stored).collect()
}

/// `order` with the commands to send if its command fails.
fn with_or_send(mut order: Value, or_send: &[StoredCommand]) -> Result<Value, String> {
    if !or_send.is_empty() {
        let or_send: Result<Vec<Value>, String> = or_send.iter().map(command).collect();
        order["or_send"] = Value::Array(or_send?);
    }
    Ok(order)
}

fn command(envelope: &StoredCommand) -> Result<Value, String> {
    let shown = serde_json::to_string(envelope).and_then(|stored| value::shown(&stored));
    let mut stored = shown.map_err(|error| error.to_string())?;
    if let Some(context) = stored["context"].as_object_mut() {
        context.retain(|_, value| !value.is_null());
    }
    Ok(stored)
}

/// A line for each command.
fn lines(commands: &[Value]) -> Vec<String> {
    commands.iter().map(Value::to_string).collect()
}

#[track_caller]
fn check_subscribed<A: Aggregate>(name: &str, subscriptions: &[&str]) {
    assert!(
        subscriptions.contains(&A::AGGREGATE_TYPE),
        "`{name}` does not subscribe to `{}`, so it never sees its events",
        A::AGGREGATE_TYPE
    );
}

/// Fails unless each event of `E` is listed, as far as a projection or process manager written by hand
/// says what it lists.
#[track_caller]
fn check_listed<E: DomainEvent>(name: &str, subscriptions: &[&str], sets: &[EventSet]) {
    let knows = |event: &str| {
        let mut of_none = sets.iter().filter(|set| set.aggregate_type().is_empty());
        sets.is_empty() || of_none.any(|set| (set.knows)(event))
    };
    for event in E::NAMES {
        assert!(
            subscriptions.contains(&"") && knows(event.name),
            "`{name}` does not list the event `{}` in `events(...)`, so it never sees it",
            event.name
        );
    }
}

/// The types and the decisions that a process manager lists as its targets.
#[derive(Default)]
struct Listed {
    types: Vec<&'static str>,
    decisions: Vec<&'static str>,
}

impl Targets for Listed {
    fn add<A>(&mut self)
    where
        A: Aggregate,
        A::Command: DeserializeOwned,
    {
        self.types.push(A::AGGREGATE_TYPE);
    }

    fn add_decision<D>(&mut self)
    where
        D: Decider,
        D::Command: DeserializeOwned,
    {
        self.decisions.push(D::NAME);
    }
}

/// Fails if a command goes to an id that no stream can have, or to a type or a decision that the
/// process manager's list of targets lacks.
#[track_caller]
fn check_targets<M: ProcessManager>(sent: &[Value]) {
    let mut known = Listed::default();
    M::targets(&mut known);
    let commands = sent.iter().flat_map(|order| {
        let scheduled = order
            .get("command")
            .filter(|_| order.get("schedule").is_some());
        let or_send = order.get("or_send").and_then(Value::as_array);
        let or_send = or_send.into_iter().flatten();
        or_send.chain([scheduled.unwrap_or(order)])
    });
    let parts = commands.flat_map(|command| match command.get("together") {
        Some(Value::Array(parts)) => parts.iter().collect(),
        _ => vec![command],
    });
    for envelope in parts {
        let part = |name: &str| envelope.get(name).and_then(Value::as_str);
        if let Some(decision) = part("decision") {
            assert!(
                known.decisions.is_empty() || known.decisions.contains(&decision),
                "`{}` sends a command to the decision `{decision}`, which is not in its `decides(...)`",
                M::NAME
            );
        }
        let (Some(aggregate_type), Some(id)) = (part("aggregate_type"), part("instance_id")) else {
            continue;
        };
        assert!(
            known.types.is_empty() || known.types.contains(&aggregate_type),
            "`{}` sends a command to `{aggregate_type}`, which is not in its `dispatches(...)`",
            M::NAME
        );
        if let Err(error) = StreamId::new(aggregate_type, id) {
            panic!(
                "`{}` sends a command to a stream that cannot exist: {error}",
                M::NAME
            );
        }
    }
}

/// A copy of `live`, made through its saved form. Fails if `other`, such a copy from before the
/// last event, evolved differently.
fn gone_on<S: Serialize + DeserializeOwned>(name: &str, live: &S, other: &S) -> Result<S, String> {
    let what = format!("the state of `{name}`");
    let (_, expected) = saved(&what, live)?;
    let (_, actual) = saved(&what, other)?;
    let title = format!("{what}, saved and read back, leads to another state");
    same(&title, &expected, &actual)?;
    restored(&what, live)
}

#[track_caller]
fn check<S: Serialize>(state: &S, is_so: impl FnOnce(&S) -> bool) {
    if !is_so(state) {
        let state = match saved("the state", state) {
            Ok((_, state)) => listed(&pretty(&state)),
            Err(error) => error,
        };
        panic!("the state is not as expected:\n{state}");
    }
}
