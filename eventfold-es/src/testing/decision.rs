//! Given, when, then: a decision.

#![allow(
    clippy::return_self_not_must_use,
    reason = "a check may be the last thing that is said"
)]

use std::collections::HashMap;
use std::fmt;
use std::time::SystemTime;

use serde_json::Value;

use crate::clock::unix_millis;
use crate::domain::aggregate::Aggregate;
use crate::domain::command::CommandContext;
use crate::domain::decider::{Decider, ModelOf, decide_on};
use crate::domain::decision_model::ModelState;
use crate::event::{DomainEvent, Tag, Tags};
use crate::ids::StreamId;
use crate::testing::diff::diff;
use crate::testing::form::{Form, Place, checked, checked_event, time_of};
use crate::testing::outcome::{Answer, Outcome};

/// A decision in a store without events. [`given`](DecisionGiven::given) adds some.
///
/// The store has the events of all aggregates and those that belong to none. For each command, every
/// model is folded from the events that it selects, as a store does. A mistake in a tag is noticed so:
/// an event that a model should see does not change the decision.
///
/// Every test also checks that an event comes back unchanged from its stored form, that its tags can be
/// stored, and that deciding a command twice gives the same answer.
///
/// A decision may depend on its [`DecisionContext`](crate::DecisionContext). Here nobody sends the
/// commands, and what happens is a second apart from the beginning of 2026 on.
/// [`with_context`](DecisionGiven::with_context) and [`at`](DecisionGiven::at) set something else.
///
/// ```
/// # eventfold_es::__courses!();
/// use eventfold_es::testing;
///
/// let subscribe = |course: &str| Subscribe { course: course.into(), student: "Ada".into() };
/// let subscribed = |course: &str| Subscribed { course: course.into(), student: "Ada".into() };
/// testing::decision::<Subscribing>()
///     .given(CourseDefined { course: "c-1".into(), capacity: 1 })
///     .given(CourseDefined { course: "c-2".into(), capacity: 0 })
///     .when(subscribe("c-1"))
///     .then(events![subscribed("c-1")])
///     .when(subscribe("c-2"))
///     .then_error(|error| *error == SubscribeError::Full);
/// ```
#[doc(alias("fixture", "given when then", "bdd", "dcb"))]
#[must_use]
pub fn decision<D: Decider>() -> DecisionGiven<D> {
    DecisionGiven {
        history: History::default(),
        of: std::marker::PhantomData,
    }
}

/// A decision in a store with events. It takes commands. Made by [`decision()`].
pub struct DecisionGiven<D> {
    history: History,
    of: std::marker::PhantomData<fn() -> D>,
}

/// The result of a command for a decision.
pub struct DecisionWhen<D: Decider> {
    given: DecisionGiven<D>,
    outcome: Outcome<D::Error>,
}

impl<D> fmt::Debug for DecisionGiven<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.history.fmt(f)
    }
}

impl<D: Decider> fmt::Debug for DecisionWhen<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DecisionWhen")
            .field("given", &self.given)
            .field("outcome", &self.outcome)
            .finish()
    }
}

impl<D: Decider> DecisionGiven<D> {
    /// A further event, which belongs to no aggregate. It has its tags. No model need read it.
    ///
    /// # Panics
    ///
    /// If the event does not come back from its stored form, or a tag cannot be stored.
    ///
    /// See the example of [`decision()`].
    #[track_caller]
    #[must_use]
    pub fn given<E: DomainEvent>(mut self, event: E) -> Self {
        match self.history.add_event(&event) {
            Ok(_) => self,
            Err(message) => panic!("{message}"),
        }
    }

    /// Further events of the aggregate `id`. They have their tags, and that of their stream.
    ///
    /// # Panics
    ///
    /// As [`given`](Self::given), or if no aggregate can have this id.
    ///
    /// ```
    /// use eventfold_es::{prelude::*, testing};
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
    /// # #[aggregate(commands(), events(Opened))]
    /// # struct Account;
    /// # #[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)] struct Opened;
    /// # impl Evolve<Opened> for Account { fn evolve(&mut self, _: &Opened) {} }
    /// # #[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
    /// # struct CardIssued { #[tag] account: String }
    /// # #[derive(Debug, Clone, Serialize, Deserialize)] struct IssueCard { account: String }
    /// # #[derive(Debug, thiserror::Error)] #[error("no such account")] struct NoAccount;
    ///
    /// #[derive(Debug, Default, DecisionModel)]
    /// #[decision_model(aggregate = Account, events(Opened))]
    /// struct IsOpen(bool);
    ///
    /// # impl Evolve<Opened> for IsOpen { fn evolve(&mut self, _: &Opened) { self.0 = true; } }
    /// #[derive(Decision)]
    /// #[decision(command = IssueCard, events(CardIssued), error = NoAccount)]
    /// struct IssuingCard {
    ///     #[model(account)]
    ///     is_open: IsOpen,
    /// }
    ///
    /// # impl Decide<IssueCard> for IssuingCard {
    /// #     fn decide(&self, command: IssueCard) -> Decision<Self> {
    /// #         if !self.is_open.0 { return Err(NoAccount); }
    /// #         Ok(events![CardIssued { account: command.account }])
    /// #     }
    /// # }
    /// testing::decision::<IssuingCard>()
    ///     .given_of::<Account>("alice", events![Opened])
    ///     .when(IssueCard { account: "alice".into() })
    ///     .then(events![CardIssued { account: "alice".into() }])
    ///     .when(IssueCard { account: "bob".into() })
    ///     .then_error(|NoAccount| true);
    /// ```
    #[track_caller]
    #[must_use]
    pub fn given_of<A: Aggregate>(mut self, id: &str, events: Vec<A::DomainEvent>) -> Self {
        if let Err(error) = StreamId::new(A::AGGREGATE_TYPE, id) {
            panic!("no aggregate can have this id: {error}");
        }
        for event in &events {
            if let Err(message) = self.history.add_of::<A>(id, event) {
                panic!("{message}");
            }
        }
        self
    }

    /// A further event as an older program stored it: its name, its version, its tags and its payload.
    ///
    /// # Panics
    ///
    /// If a text is no tag. If a model cannot read the event, [`when`](Self::when) panics.
    ///
    /// ```
    /// # eventfold_es::__courses!();
    /// # use eventfold_es::testing;
    /// testing::decision::<Subscribing>()
    ///     .given_stored("CourseDefined", 1, &["course:c-1"], serde_json::json!({ "course": "c-1", "capacity": 1 }))
    ///     .when(Subscribe { course: "c-1".into(), student: "Ada".into() })
    ///     .then(events![Subscribed { course: "c-1".into(), student: "Ada".into() }]);
    /// ```
    #[track_caller]
    #[must_use]
    pub fn given_stored(mut self, name: &str, version: u32, tags: &[&str], data: Value) -> Self {
        let mut form = Form::new(name, version, data);
        for tag in tags {
            match tag.parse::<Tag>() {
                Ok(tag) => form.tags.insert(tag),
                Err(error) => panic!("{error}"),
            };
        }
        self.history.push(form, None);
        self
    }

    /// Sets the time of the further events and commands, until it is set again. A store has its time
    /// in milliseconds, so it is cut to them.
    ///
    /// ```
    /// # eventfold_es::__courses!();
    /// # use std::time::SystemTime;
    /// # use eventfold_es::testing;
    /// let given = testing::decision::<Subscribing>().at(SystemTime::UNIX_EPOCH);
    /// ```
    #[must_use]
    pub fn at(mut self, time: SystemTime) -> Self {
        self.history.time = Some(unix_millis(time));
        self
    }

    /// Sets the context of the further events and commands: who sends them, and what they belong to.
    ///
    /// # Panics
    ///
    /// If the context has an expected version or an idempotency key. Those are checked by a store.
    ///
    /// ```
    /// # eventfold_es::__courses!();
    /// # use eventfold_es::testing;
    /// let ann = CommandContext::default().with_actor("ann");
    /// let given = testing::decision::<Subscribing>().with_context(ann);
    /// ```
    #[track_caller]
    #[must_use]
    pub fn with_context(mut self, context: CommandContext) -> Self {
        assert!(
            context.expected_version.is_none() && context.idempotency_key.is_none(),
            "a store checks the expected version and the idempotency key, and this kit does not: \
             leave them out, and test them with a store in memory"
        );
        self.history.context = context;
        self
    }

    /// Decides a command.
    ///
    /// # Panics
    ///
    /// If deciding the command twice gives two answers, if a model cannot read an event, if a value of
    /// the command cannot be part of a tag, or if an event of the decision does not come back from its
    /// stored form.
    ///
    /// See the example of [`decision()`].
    #[track_caller]
    #[must_use]
    pub fn when(self, command: impl Into<D::Command> + Clone) -> DecisionWhen<D> {
        self.when_made(move || command.clone().into())
    }

    /// Decides a command that is not `Clone`. The function makes it each time that it is decided.
    ///
    /// # Panics
    ///
    /// As [`when`](Self::when).
    ///
    /// ```
    /// # eventfold_es::__courses!();
    /// # use eventfold_es::testing;
    /// testing::decision::<Subscribing>()
    ///     .when_made(|| Subscribe { course: "c-1".into(), student: "Ada".into() })
    ///     .then_error(|error| *error == SubscribeError::Full);
    /// ```
    #[track_caller]
    #[must_use]
    pub fn when_made(mut self, command: impl Fn() -> D::Command) -> DecisionWhen<D> {
        match self.history.decide::<D>(command) {
            Ok(result) => DecisionWhen {
                given: self,
                outcome: Outcome::new(result),
            },
            Err(message) => panic!("{message}"),
        }
    }
}

impl<D: Decider> DecisionWhen<D> {
    /// Checks that the command was accepted, with exactly these events in this order.
    ///
    /// # Panics
    ///
    /// If the command was refused, or other events happened. Events are compared in their stored
    /// form, with their tags.
    ///
    /// See the example of [`decision()`].
    #[track_caller]
    pub fn then(self, events: Vec<D::DomainEvent>) -> Self {
        let expected = events.iter().map(Form::of_tagged).collect();
        self.outcome.check_events(expected);
        self
    }

    /// Checks that the command was accepted, without events.
    ///
    /// # Panics
    ///
    /// If the command was refused, or an event happened.
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
    /// See the example of [`decision()`].
    #[track_caller]
    pub fn then_error(mut self, is_so: impl FnOnce(&D::Error) -> bool) -> Self {
        self.outcome.check_error(is_so);
        self
    }

    /// A further event, as [`DecisionGiven::given`].
    ///
    /// # Panics
    ///
    /// As [`DecisionGiven::given`], or if the previous command was refused and no
    /// [`then_error`](Self::then_error) expects that.
    #[track_caller]
    #[must_use]
    pub fn given<E: DomainEvent>(self, event: E) -> DecisionGiven<D> {
        self.go_on().given(event)
    }

    /// Further events of an aggregate, as [`DecisionGiven::given_of`].
    ///
    /// # Panics
    ///
    /// As [`given`](Self::given).
    #[track_caller]
    #[must_use]
    pub fn given_of<A: Aggregate>(self, id: &str, events: Vec<A::DomainEvent>) -> DecisionGiven<D> {
        self.go_on().given_of::<A>(id, events)
    }

    /// Decides a further command, in a store that has the events of the earlier ones.
    ///
    /// # Panics
    ///
    /// As [`DecisionGiven::when`], or if the previous command was refused and no
    /// [`then_error`](Self::then_error) expects that.
    ///
    /// See the example of [`decision()`].
    #[track_caller]
    #[must_use]
    pub fn when(self, command: impl Into<D::Command> + Clone) -> Self {
        self.go_on().when(command)
    }

    /// Decides a further command, made by a function as for [`DecisionGiven::when_made`].
    ///
    /// # Panics
    ///
    /// As [`when`](Self::when).
    #[track_caller]
    #[must_use]
    pub fn when_made(self, command: impl Fn() -> D::Command) -> Self {
        self.go_on().when_made(command)
    }

    /// Sets the time of the further events and commands, as [`DecisionGiven::at`].
    ///
    /// # Panics
    ///
    /// If the previous command was refused and no [`then_error`](Self::then_error) expects that.
    #[track_caller]
    #[must_use]
    pub fn at(self, time: SystemTime) -> DecisionGiven<D> {
        self.go_on().at(time)
    }

    /// Sets the context of the further events and commands, as [`DecisionGiven::with_context`].
    ///
    /// # Panics
    ///
    /// As [`DecisionGiven::with_context`], or if the previous command was refused and no
    /// [`then_error`](Self::then_error) expects that.
    #[track_caller]
    #[must_use]
    pub fn with_context(self, context: CommandContext) -> DecisionGiven<D> {
        self.go_on().with_context(context)
    }

    #[track_caller]
    fn go_on(self) -> DecisionGiven<D> {
        self.outcome.refuse_silence();
        self.given
    }
}

/// All events of a store, in order.
#[derive(Debug, Default)]
struct History {
    events: Vec<Happened>,
    /// The time that the test set, in milliseconds since 1970.
    time: Option<u64>,
    /// That of the further events and commands.
    context: CommandContext,
    /// The versions of the streams, by type and id.
    versions: HashMap<(&'static str, String), u64>,
}

/// An event of a [`History`].
#[derive(Debug)]
struct Happened {
    form: Form,
    /// With that of the stream.
    tags: Tags,
    ms: u64,
    context: CommandContext,
    /// The stream with the event's version, unless it belongs to no aggregate.
    stream: Option<(&'static str, String, u64)>,
}

impl History {
    /// The time of what happens next.
    fn next_ms(&self) -> u64 {
        self.time
            .unwrap_or_else(|| time_of(self.events.len() as u64 + 1))
    }

    fn place<'a>(&'a self, stream: Option<(&'a str, &'a str, u64)>) -> Place<'a> {
        let (aggregate_type, id, version) = stream.unwrap_or(("", "", 0));
        Place {
            aggregate_type,
            id,
            version,
            position: self.events.len() as u64 + 1,
            ms: self.next_ms(),
            context: Some(&self.context),
        }
    }

    fn push(&mut self, form: Form, stream: Option<(&'static str, String, u64)>) {
        let mut tags = form.tags.clone();
        // An id that is no value of a tag cannot be asked for.
        let of_stream = stream.as_ref();
        tags.extend(of_stream.and_then(|(of, id, _)| Tag::new(of, id).ok()));
        self.events.push(Happened {
            form,
            tags,
            ms: self.next_ms(),
            context: self.context.clone(),
            stream,
        });
    }

    fn add_event<E: DomainEvent>(&mut self, event: &E) -> Result<Form, String> {
        let form = checked_event(event, self.place(None))?;
        self.push(form.clone(), None);
        Ok(form)
    }

    fn add_of<A: Aggregate>(&mut self, id: &str, event: &A::DomainEvent) -> Result<(), String> {
        let key = (A::AGGREGATE_TYPE, id.to_owned());
        let version = self.versions.get(&key).map_or(1, |version| version + 1);
        let place = self.place(Some((A::AGGREGATE_TYPE, id, version)));
        let form = checked::<A>(event, place)?;
        self.push(form, Some((A::AGGREGATE_TYPE, id.to_owned(), version)));
        self.versions.insert(key, version);
        Ok(())
    }

    /// The states of the models of a command.
    fn fold<D: Decider>(&self, command: &D::Command) -> Result<Vec<ModelState>, String> {
        let fold = |model: &ModelOf<D::Command>| {
            let of_model = |error: &dyn fmt::Display| {
                format!("the model `{}` of `{}`: {error}", model.field, D::NAME)
            };
            let query = model.query(command).map_err(|error| of_model(&error))?;
            let mut state = model.fresh();
            for (event, position) in self.events.iter().zip(1..) {
                if query.matches(&event.form.name, &event.tags) {
                    let folded = event.stored(position, |stored| model.fold(&mut state, stored));
                    folded.map_err(|error| of_model(&error))?;
                }
            }
            Ok(state)
        };
        D::__MODELS.iter().map(fold).collect()
    }

    /// Decides a command, and adds its events. The outer error says which rule is broken.
    fn decide<D: Decider>(
        &mut self,
        command: impl Fn() -> D::Command,
    ) -> Result<Result<Vec<Form>, D::Error>, String> {
        let context = self.context.decision(self.next_ms());
        let mut states = self.fold::<D>(&command())?;
        let mut others = self.fold::<D>(&command())?;
        let outcome = decide_on::<D>(&mut states, command(), &context);
        let answer = Answer::of_events(&outcome, Form::of_tagged);
        for states in [&mut states, &mut others] {
            let again = decide_on::<D>(states, command(), &context);
            let again = Answer::of_events(&again, Form::of_tagged);
            if !answer.is_like(&again) {
                return Err(format!(
                    "the same command after the same events has two answers; deciding must depend on \
                     nothing but the models, the command and the `DecisionContext`, and a model on \
                     nothing but its events\n\n{}",
                    diff(&answer.lines(), &again.lines())
                ));
            }
        }
        let events = match outcome {
            Ok(events) => events,
            Err(error) => return Ok(Err(error)),
        };
        // The events of one command have one time.
        let before = self.time.replace(self.next_ms());
        let added: Result<Vec<Form>, String> =
            events.iter().map(|event| self.add_event(event)).collect();
        self.time = before;
        added.map(Ok)
    }
}

impl Happened {
    /// Passes the event to `take` as a store would.
    fn stored<R>(&self, position: u64, take: impl FnOnce(crate::event::StoredEvent<'_>) -> R) -> R {
        let stream = self.stream.as_ref();
        let (aggregate_type, id, version) = stream.map_or(("", "", 0), |(of, id, version)| {
            (*of, id.as_str(), *version)
        });
        let place = Place {
            aggregate_type,
            id,
            version,
            position,
            ms: self.ms,
            context: Some(&self.context),
        };
        self.form.stored(place, take)
    }
}
