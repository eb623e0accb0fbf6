//! Given, when, then: an aggregate.

#![allow(
    clippy::return_self_not_must_use,
    reason = "a check may be the last thing that is said"
)]

use std::time::SystemTime;

use crate::clock::unix_millis;
use crate::domain::aggregate::Aggregate;
use crate::domain::command::CommandContext;
use crate::domain::decision_context::DecisionContext;
use crate::ids::StreamId;
use crate::testing::diff::{diff, listed};
use crate::testing::form::{
    Form, Place, decode, pretty, restored, round_trip, same, saved, time_of,
};
use crate::testing::outcome::{Answer, Outcome};

/// An aggregate after `events`, which [`events!`](crate::events) lists.
///
/// See the [module](crate::testing) for an example, and for the further checks.
///
/// A decision may depend on its [`DecisionContext`]. Here it is the same in every run: the aggregate
/// is called `tested`, nobody sends the commands, and what happens is a second apart from the
/// beginning of 2026 on. [`with_id`](Given::with_id), [`with_context`](Given::with_context) and
/// [`at`](Given::at) set something else.
///
/// # Panics
///
/// If an event does not come back from its stored form, or leads to a state that does not come back
/// from its snapshot form.
///
/// ```
/// # use eventfold_es::{testing, __private::example::*};
/// testing::given::<Counter>(vec![CounterEvent::Added { amount: 5 }])
///     .then_state(|counter| counter.value == 5);
/// ```
#[doc(alias("fixture", "given when then", "bdd"))]
#[track_caller]
#[must_use]
pub fn given<A: Aggregate>(events: Vec<A::DomainEvent>) -> Given<A> {
    Given {
        aggregate: Tested {
            live: A::default(),
            restored: A::default(),
            replayed: A::default(),
            version: 0,
            id: "tested".to_owned(),
            time: None,
            context: CommandContext::default(),
            #[cfg(feature = "personal")]
            told: Vec::new(),
        },
    }
    .and(events)
}

/// An aggregate with a history. It takes commands.
#[derive(Debug)]
pub struct Given<A> {
    pub(super) aggregate: Tested<A>,
}

/// The result of a command.
#[derive(Debug)]
pub struct When<A: Aggregate> {
    aggregate: Tested<A>,
    outcome: Outcome<A::Error>,
}

/// The same aggregate in three copies, which must not differ.
#[derive(Debug)]
pub(super) struct Tested<A> {
    /// Folded from the events as they were given and decided.
    pub(super) live: A,
    /// Saved as a snapshot and read back after each command.
    pub(super) restored: A,
    /// Folded from the events as they are read from their stored form.
    pub(super) replayed: A,
    version: u64,
    pub(super) id: String,
    /// The time that the test set, in milliseconds since 1970.
    time: Option<u64>,
    context: CommandContext,
    /// All events as they were stored, with the subjects of their personal data, and their times.
    #[cfg(feature = "personal")]
    pub(super) told: Vec<(Form, serde_json::Value, u64)>,
}

impl<A: Aggregate> Given<A> {
    /// Further events.
    ///
    /// # Panics
    ///
    /// As [`given`].
    ///
    /// ```
    /// # use eventfold_es::{testing, __private::example::*};
    /// let five = testing::given::<Counter>(vec![CounterEvent::Added { amount: 5 }]);
    /// five.and(vec![CounterEvent::Added { amount: 2 }])
    ///     .then_state(|counter| counter.value == 7);
    /// ```
    #[track_caller]
    #[must_use]
    pub fn and(mut self, events: Vec<A::DomainEvent>) -> Self {
        for event in &events {
            let ms = self.aggregate.next_ms();
            self.aggregate.take(std::slice::from_ref(event), ms);
        }
        self
    }

    /// A further event as an older program stored it: its name, its version and its payload.
    ///
    /// # Panics
    ///
    /// If the event cannot be read, or as [`given`].
    ///
    /// ```
    /// # use eventfold_es::{testing, __private::example::*};
    /// testing::given::<Counter>(vec![])
    ///     .and_stored("Added", 1, serde_json::json!({ "amount": 5 }))
    ///     .then_state(|counter| counter.value == 5);
    /// ```
    #[track_caller]
    #[must_use]
    pub fn and_stored(mut self, name: &str, version: u32, data: serde_json::Value) -> Self {
        let form = Form::new(name, version, data);
        let ms = self.aggregate.next_ms();
        let place = place::<A>(&self.aggregate.id, self.aggregate.version + 1, ms);
        match decode::<A>(&form, place) {
            Ok(events) => drop(self.aggregate.take(events.as_slice(), ms)),
            Err(error) => panic!("{error}\n  {}", form.line()),
        }
        self
    }

    /// Sets the time of the further events and commands, until it is set again. A store has its time
    /// in milliseconds, so it is cut to them.
    ///
    /// ```
    /// # use std::time::{Duration, SystemTime};
    /// # use eventfold_es::{DecisionContext, prelude::*, testing};
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Clone, Default, Serialize, Deserialize, Aggregate)]
    /// # #[aggregate(commands(Open, Escalate), events(Opened, Escalated))]
    /// # struct Ticket { opened_ms: u64 }
    /// # #[derive(Debug, Clone, Serialize, Deserialize)] struct Open;
    /// # #[derive(Debug, Clone, Serialize, Deserialize)] struct Escalate;
    /// # #[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)] struct Opened { ms: u64 }
    /// # #[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)] struct Escalated;
    /// # impl DecideWith<Open> for Ticket {
    /// #     fn decide_with(&self, _: Open, context: &DecisionContext<'_>) -> Decision<Self> {
    /// #         Ok(events![Opened { ms: context.unix_millis() }])
    /// #     }
    /// # }
    /// # impl DecideWith<Escalate> for Ticket {
    /// #     fn decide_with(&self, _: Escalate, context: &DecisionContext<'_>) -> Decision<Self> {
    /// #         let age = context.unix_millis() - self.opened_ms;
    /// #         Ok(if age < 3_600_000 { events![] } else { events![Escalated] })
    /// #     }
    /// # }
    /// # impl Evolve<Opened> for Ticket {
    /// #     fn evolve(&mut self, event: &Opened) { self.opened_ms = event.ms; }
    /// # }
    /// # impl Evolve<Escalated> for Ticket { fn evolve(&mut self, _: &Escalated) {} }
    /// let noon = SystemTime::UNIX_EPOCH + Duration::from_secs(12 * 3600);
    /// testing::given::<Ticket>(events![])
    ///     .at(noon)
    ///     .when(Open)
    ///     .then(events![Opened { ms: 43_200_000 }])
    ///     .when(Escalate)
    ///     .then_nothing()
    ///     .at(noon + Duration::from_secs(3600))
    ///     .when(Escalate)
    ///     .then(events![Escalated]);
    /// ```
    #[must_use]
    pub fn at(mut self, time: SystemTime) -> Self {
        self.aggregate.time = Some(unix_millis(time));
        self
    }

    /// Sets the aggregate's id.
    ///
    /// # Panics
    ///
    /// If no stream can have it.
    ///
    /// ```
    /// # use eventfold_es::{testing, __private::example::*};
    /// testing::given::<Counter>(vec![])
    ///     .with_id("c-1")
    ///     .when(Add(5))
    ///     .then(vec![CounterEvent::Added { amount: 5 }]);
    /// ```
    #[track_caller]
    #[must_use]
    pub fn with_id(mut self, id: impl Into<String>) -> Self {
        let id = id.into();
        if let Err(error) = StreamId::new(A::AGGREGATE_TYPE, &id) {
            panic!("no aggregate can have this id: {error}");
        }
        self.aggregate.id = id;
        self
    }

    /// Sets the context of the further commands: who sends them, and what they belong to.
    ///
    /// # Panics
    ///
    /// If the context has an expected version or an idempotency key. Those are checked by a store,
    /// and not by the aggregate.
    ///
    /// ```
    /// # use eventfold_es::{CommandContext, testing, __private::example::*};
    /// testing::given::<Counter>(vec![])
    ///     .with_context(CommandContext::default().with_actor("ann"))
    ///     .when(Add(5))
    ///     .then(vec![CounterEvent::Added { amount: 5 }]);
    /// ```
    #[track_caller]
    #[must_use]
    pub fn with_context(mut self, context: CommandContext) -> Self {
        assert!(
            context.expected_version.is_none() && context.idempotency_key.is_none(),
            "a store checks the expected version and the idempotency key, and this kit does not: \
             leave them out, and test them with a store in memory"
        );
        self.aggregate.context = context;
        self
    }

    /// Sends the aggregate a command.
    ///
    /// # Panics
    ///
    /// If deciding the command twice gives two answers, or if its events or the state do not come
    /// back from their stored form.
    ///
    /// See the example of [the module](crate::testing).
    #[track_caller]
    #[must_use]
    pub fn when<C: Into<A::Command> + Clone>(self, command: C) -> When<A> {
        self.when_made(move || command.clone().into())
    }

    /// Sends the aggregate a command that is not `Clone`. The function makes it each time that it
    /// is decided.
    ///
    /// # Panics
    ///
    /// As [`when`](Self::when).
    ///
    /// ```
    /// # use eventfold_es::{testing, __private::example::*};
    /// testing::given::<Counter>(vec![])
    ///     .when_made(|| Add(5))
    ///     .then(vec![CounterEvent::Added { amount: 5 }]);
    /// ```
    #[track_caller]
    #[must_use]
    pub fn when_made(mut self, command: impl Fn() -> A::Command) -> When<A> {
        let outcome = Outcome::new(self.aggregate.decide(command));
        When {
            aggregate: self.aggregate,
            outcome,
        }
    }

    /// Checks the state.
    ///
    /// # Panics
    ///
    /// If `is_so` returns false. The state is shown.
    ///
    /// See the example of [`given`].
    #[track_caller]
    pub fn then_state(self, is_so: impl FnOnce(&A) -> bool) -> Self {
        self.aggregate.check(is_so);
        self
    }
}

impl<A: Aggregate> When<A> {
    /// Checks that the command was accepted, with exactly these events in this order.
    ///
    /// # Panics
    ///
    /// If the command was refused, or other events happened. Events are compared in their stored
    /// form, where a `HashSet` has no fixed order: use a `BTreeSet` in an event.
    ///
    /// See the example of [the module](crate::testing).
    #[track_caller]
    pub fn then(self, events: Vec<A::DomainEvent>) -> Self {
        self.outcome
            .check_events(events.iter().map(Form::of::<A>).collect());
        self
    }

    /// Checks that the command was accepted, without events.
    ///
    /// # Panics
    ///
    /// If the command was refused, or an event happened.
    ///
    /// ```
    /// # use eventfold_es::{testing, prelude::*};
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Clone, Default, Serialize, Deserialize, Aggregate)]
    /// # #[aggregate(commands(TurnOn), events(TurnedOn))]
    /// # struct Light { on: bool }
    /// # #[derive(Debug, Clone, Serialize, Deserialize)] struct TurnOn;
    /// # #[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)] struct TurnedOn;
    /// # impl Evolve<TurnedOn> for Light {
    /// #     fn evolve(&mut self, _: &TurnedOn) { self.on = true; }
    /// # }
    /// # impl Decide<TurnOn> for Light {
    /// #     fn decide(&self, _: TurnOn) -> Decision<Self> {
    /// #         Ok(if self.on { events![] } else { events![TurnedOn] })
    /// #     }
    /// # }
    /// testing::given::<Light>(events![TurnedOn]).when(TurnOn).then_nothing();
    /// ```
    #[track_caller]
    pub fn then_nothing(self) -> Self {
        self.then(Vec::new())
    }

    /// Checks that the command was refused, with an error for which `is_so` returns true.
    ///
    /// # Panics
    ///
    /// If the command was accepted, or refused with another error.
    ///
    /// See the example of [the module](crate::testing).
    #[track_caller]
    pub fn then_error(mut self, is_so: impl FnOnce(&A::Error) -> bool) -> Self {
        self.outcome.check_error(is_so);
        self
    }

    /// Checks the state after the command.
    ///
    /// # Panics
    ///
    /// If `is_so` returns false; the state is shown. Or if the command was refused and no
    /// [`then_error`](Self::then_error) expects that.
    ///
    /// See the example of [the module](crate::testing).
    #[track_caller]
    pub fn then_state(self, is_so: impl FnOnce(&A) -> bool) -> Self {
        self.outcome.refuse_silence();
        self.aggregate.check(is_so);
        self
    }

    /// Sends the aggregate a further command.
    ///
    /// # Panics
    ///
    /// As [`Given::when`], or if the previous command was refused and no
    /// [`then_error`](Self::then_error) expects that.
    ///
    /// See the example of [the module](crate::testing).
    #[track_caller]
    #[must_use]
    pub fn when<C: Into<A::Command> + Clone>(self, command: C) -> Self {
        self.go_on().when(command)
    }

    /// Sends the aggregate a further command, made by a function as for [`Given::when_made`].
    ///
    /// # Panics
    ///
    /// As [`when`](Self::when).
    ///
    /// ```
    /// # use eventfold_es::{testing, __private::example::*};
    /// testing::given::<Counter>(vec![])
    ///     .when(Add(5))
    ///     .when_made(|| Add(2))
    ///     .then_state(|counter| counter.value == 7);
    /// ```
    #[track_caller]
    #[must_use]
    pub fn when_made(self, command: impl Fn() -> A::Command) -> Self {
        self.go_on().when_made(command)
    }

    /// Sets the time of the further events and commands, as [`Given::at`].
    ///
    /// # Panics
    ///
    /// If the previous command was refused and no [`then_error`](Self::then_error) expects that.
    ///
    /// See the example of [`Given::at`].
    #[track_caller]
    #[must_use]
    pub fn at(self, time: SystemTime) -> Given<A> {
        self.go_on().at(time)
    }

    /// Sets the context of the further commands, as [`Given::with_context`].
    ///
    /// # Panics
    ///
    /// As [`Given::with_context`], or if the previous command was refused and no
    /// [`then_error`](Self::then_error) expects that.
    ///
    /// ```
    /// # use eventfold_es::{CommandContext, testing, __private::example::*};
    /// testing::given::<Counter>(vec![])
    ///     .when(Add(5))
    ///     .with_context(CommandContext::default().with_actor("ann"))
    ///     .when(Add(2))
    ///     .then_state(|counter| counter.value == 7);
    /// ```
    #[track_caller]
    #[must_use]
    pub fn with_context(self, context: CommandContext) -> Given<A> {
        self.go_on().with_context(context)
    }

    #[track_caller]
    pub(super) fn go_on(self) -> Given<A> {
        self.outcome.refuse_silence();
        let aggregate = self.aggregate;
        Given { aggregate }
    }
}

impl<A: Aggregate> Tested<A> {
    /// The time of what happens next.
    fn next_ms(&self) -> u64 {
        self.time.unwrap_or_else(|| time_of(self.version + 1))
    }

    /// Folds `events`, which happened at the time `ms`, into the aggregate.
    #[track_caller]
    fn take(&mut self, events: &[A::DomainEvent], ms: u64) -> Vec<Form> {
        let mut forms = Vec::new();
        for event in events {
            self.version += 1;
            let place = place::<A>(&self.id, self.version, ms);
            let form = round_trip::<A>(event, place);
            #[cfg(feature = "personal")]
            self.told
                .push((form.clone(), with_subjects::<A>(event), ms));
            apply(&mut self.live, event);
            apply(&mut self.restored, event);
            // It was read before.
            for event in decode::<A>(&form, place).into_iter().flatten() {
                apply(&mut self.replayed, &event);
            }
            forms.push(form);
        }
        if let Err(message) = self.compare() {
            panic!("{message}");
        }
        forms
    }

    pub(super) fn compare(&mut self) -> Result<(), String> {
        let (_, live) = saved("the state", &self.live)?;
        let (_, replayed) = saved("the state", &self.replayed)?;
        same(
            "events that are read from their stored form lead to another state",
            &live,
            &replayed,
        )?;
        let (_, gone_on) = saved("the state", &self.restored)?;
        same(
            "a state that is read from its snapshot form leads to another state",
            &live,
            &gone_on,
        )?;
        self.restored = restored("the state", &self.live)?;
        Ok(())
    }

    /// Decides a command, and folds its events.
    #[track_caller]
    fn decide(&mut self, command: impl Fn() -> A::Command) -> Result<Vec<Form>, A::Error> {
        let ms = self.next_ms();
        let context = DecisionContext {
            aggregate_type: A::AGGREGATE_TYPE,
            id: &self.id,
            version: self.version,
            ..self.context.decision(ms)
        };
        let outcome = self.live.handle_with(command(), &context);
        let answer = Answer::of::<A>(&outcome);
        let again = Answer::of::<A>(&self.live.handle_with(command(), &context));
        assert!(
            answer.is_like(&again),
            "the same command on the same state has two answers; deciding must depend on nothing \
             else; the time and the aggregate's own id are in its `DecisionContext`\n\n{}",
            diff(&answer.lines(), &again.lines())
        );
        let restored = Answer::of::<A>(&self.restored.handle_with(command(), &context));
        assert!(
            answer.is_like(&restored),
            "a state that is read from its snapshot form decides differently; it lacks what was \
             not saved\n\n{}",
            diff(&answer.lines(), &restored.lines())
        );
        match outcome {
            Ok(events) => Ok(self.take(&events, ms)),
            Err(error) => Err(error),
        }
    }

    #[track_caller]
    fn check(&self, is_so: impl FnOnce(&A) -> bool) {
        if !is_so(&self.live) {
            let state = match saved("the state", &self.live) {
                Ok((_, state)) => listed(&pretty(&state)),
                Err(error) => error,
            };
            panic!("the state is not as expected:\n{state}");
        }
    }
}

/// The payload of `event` in clear, with the subjects of its personal data.
#[cfg(feature = "personal")]
#[track_caller]
fn with_subjects<A: Aggregate>(event: &A::DomainEvent) -> serde_json::Value {
    use crate::personal::sealing::{NotStored, not_stored};

    let mut data = Vec::new();
    let written = not_stored(NotStored::WithSubject, || A::encode_event(event, &mut data));
    let read = |_| serde_json::from_slice(&data);
    let written = written.map_err(|error| error.to_string());
    match written.and_then(|name| read(name).map_err(|error| error.to_string())) {
        Ok(data) => data,
        Err(error) => panic!("{error}"),
    }
}

pub(super) fn apply<A: Aggregate>(state: &mut A, event: &A::DomainEvent) {
    *state = std::mem::take(state).apply(event);
}

pub(super) fn place<A: Aggregate>(id: &str, version: u64, ms: u64) -> Place<'_> {
    Place {
        aggregate_type: A::AGGREGATE_TYPE,
        id,
        version,
        position: version,
        ms,
        context: None,
    }
}
