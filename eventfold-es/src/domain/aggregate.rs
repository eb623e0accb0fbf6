//! The domain side: what an aggregate is, how it decides and how it evolves.

use std::borrow::Cow;

use serde::{Serialize, de::DeserializeOwned};

mod about;
mod read;
#[cfg(feature = "console")]
mod states;

pub(crate) use about::{about_aggregate, about_tagged_events};
pub use read::reducer;
pub(crate) use read::{apply_all, decode_unless_left_out, fold_stored};
#[cfg(feature = "console")]
pub(crate) use states::{States, states_of};

use crate::domain::decision_context::DecisionContext;
use crate::domain::routes::CommandRoutes;
use crate::event;
use crate::event::{
    DecodeError, Decoded, EncodeError, EventName, InvalidTag, StoredEvent, Tags, UnknownEvents,
};
use crate::model::{CommandInfo, EventInfo};

/// A consistency boundary whose state is the fold of its own events.
///
/// The implementing type is the state. Most programs derive this trait (see
/// [`derive@Aggregate`](crate::Aggregate)) and implement [`Decide`] and [`Evolve`]. You can also
/// implement it by hand, with an event enum in serde's adjacently tagged form:
///
/// ```
/// use eventfold_es::Aggregate;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, Clone, Default, Serialize, Deserialize)]
/// struct Counter {
///     value: u64,
/// }
///
/// enum CounterCommand {
///     Add(u64),
/// }
///
/// #[derive(Debug, Clone, Serialize, Deserialize)]
/// #[serde(tag = "type", content = "data")]
/// enum CounterEvent {
///     Added { amount: u64 },
/// }
///
/// impl Aggregate for Counter {
///     const AGGREGATE_TYPE: &'static str = "counter";
///     type Command = CounterCommand;
///     type DomainEvent = CounterEvent;
///     type Error = std::convert::Infallible;
///
///     fn handle(&self, command: CounterCommand) -> Result<Vec<CounterEvent>, Self::Error> {
///         let CounterCommand::Add(amount) = command;
///         Ok(vec![CounterEvent::Added { amount }])
///     }
///
///     fn apply(mut self, event: &CounterEvent) -> Self {
///         let CounterEvent::Added { amount } = event;
///         self.value += amount;
///         self
///     }
/// }
/// ```
///
/// # Contract
///
/// [`handle`](Self::handle) and [`apply`](Self::apply) depend on their arguments alone: no I/O, no
/// clock, no randomness. The store decides commands before earlier ones are on the disk, and
/// rebuilds a state from its events at any time. If a decision needs the time, the aggregate's own
/// id or who sent the command, it takes a [`DecisionContext`]: see
/// [`handle_with`](Self::handle_with). If it needs something else from outside (a new id, another
/// service's answer), find it out first and put it into the command.
#[doc(alias(
    "aggregate root",
    "entity",
    "domain model",
    "ddd",
    "soft delete",
    "delete"
))]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an aggregate",
    label = "`{Self}` does not implement `Aggregate`",
    note = "add `#[derive(Aggregate)]` with `#[aggregate(...)]` to `{Self}`, or implement `Aggregate` by hand"
)]
pub trait Aggregate:
    Default + Clone + Serialize + DeserializeOwned + Send + Sync + 'static
{
    /// Names this type of aggregate on disk: its streams are `streams/<AGGREGATE_TYPE>/<id>`, each
    /// part encoded as a file name (see [`StreamId`](crate::StreamId)). A type with another name is
    /// another aggregate, without the events of this one.
    ///
    /// ```
    /// # use eventfold_es::{Aggregate, __private::example::Counter};
    /// assert_eq!(Counter::AGGREGATE_TYPE, "counter");
    /// ```
    const AGGREGATE_TYPE: &'static str;

    /// The version of the state's shape. Raise it when the shape changes. A snapshot of another
    /// version is ignored and replaced, and the state is folded from the events.
    ///
    /// ```
    /// # use eventfold_es::{Aggregate, __private::example::Counter};
    /// assert_eq!(Counter::STATE_VERSION, 1);
    /// ```
    const STATE_VERSION: u32 = 1;

    /// How many events lie between two snapshots. `None` is the store's default
    /// ([`snapshot_every`](crate::store::AggregateStoreBuilder::snapshot_every)). 0 counts as 1,
    /// `u64::MAX` means never.
    ///
    /// ```
    /// # use eventfold_es::{Aggregate, __private::example::Counter};
    /// assert_eq!(Counter::SNAPSHOT_EVERY, None);
    /// ```
    const SNAPSHOT_EVERY: Option<u64> = None;

    /// What loading does with an event whose name is unknown. A derived aggregate rejects it.
    ///
    /// ```
    /// # use eventfold_es::{Aggregate, UnknownEvents, __private::example::Counter};
    /// assert_eq!(Counter::UNKNOWN_EVENTS, UnknownEvents::Skip);
    /// ```
    const UNKNOWN_EVENTS: UnknownEvents = UnknownEvents::Skip;

    /// The commands that this aggregate decides. If they are `Deserialize` too, process managers
    /// can send them.
    type Command: Send + 'static;

    /// The events that this aggregate produces and folds.
    ///
    /// A store reads each event back from its stored form before it stores it, as a load will. It
    /// refuses an event that could not be loaded, with
    /// [`ExecuteError::Io`](crate::error::ExecuteError::Io). The state is folded from the events
    /// that were read back, and the answer to the command contains them. So a field that is not
    /// stored has its value after a load. The store does not notice an event that comes back
    /// changed: an `Option` of a number that is not finite comes back as `None`, since JSON has no
    /// NaN and no infinity. The testing kit compares the stored forms.
    type DomainEvent: Serialize + DeserializeOwned + Send + Sync + Clone + 'static;

    /// Why a command is refused. Use [`Infallible`](std::convert::Infallible) if no command ever
    /// is.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Decides a command on the current state.
    ///
    /// Returns the events that happened, none if the command changes nothing. After a panic the
    /// caller gets [`ExecuteError::Panicked`](crate::error::ExecuteError::Panicked).
    ///
    /// # Errors
    ///
    /// The reason why the command is refused. Nothing is stored then.
    ///
    /// ```
    /// # use eventfold_es::{Aggregate, __private::example::*};
    /// let counter = Counter { value: 2 };
    /// assert_eq!(counter.handle(Add(5))?, [CounterEvent::Added { amount: 5 }]);
    /// assert_eq!(counter.handle(Add(0)), Err(NothingToAdd));
    /// # Ok::<(), NothingToAdd>(())
    /// ```
    fn handle(&self, cmd: Self::Command) -> Result<Vec<Self::DomainEvent>, Self::Error>;

    /// Decides a command, as a store does: with its time, its origin, and the place of the
    /// aggregate.
    ///
    /// By default it calls [`handle`](Self::handle). Implement it if a decision depends on more than
    /// the state. A derived aggregate implements it with [`DecideWith`](crate::DecideWith), and its
    /// `handle` decides with `DecisionContext::default()`, which is outside a store.
    ///
    /// # Errors
    ///
    /// As [`handle`](Self::handle).
    ///
    /// ```
    /// # use eventfold_es::{Aggregate, DecisionContext, __private::example::*};
    /// let counter = Counter { value: 2 };
    /// let events = counter.handle_with(Add(5), &DecisionContext::default())?;
    /// assert_eq!(events, [CounterEvent::Added { amount: 5 }]);
    /// # Ok::<(), NothingToAdd>(())
    /// ```
    fn handle_with(
        &self,
        cmd: Self::Command,
        _context: &DecisionContext<'_>,
    ) -> Result<Vec<Self::DomainEvent>, Self::Error> {
        self.handle(cmd)
    }

    /// Folds one event into the state and returns the new state. It must take every event that was
    /// ever stored: a panic here fails the load.
    ///
    /// ```
    /// # use eventfold_es::{Aggregate, __private::example::*};
    /// let counter = Counter { value: 2 }.apply(&CounterEvent::Added { amount: 5 });
    /// assert_eq!(counter.value, 7);
    /// ```
    #[must_use]
    fn apply(self, event: &Self::DomainEvent) -> Self;

    /// A copy of a command, so that it can be decided again. `None` if there is none.
    ///
    /// A storage that several processes write to may refuse a commit, because another process
    /// stored events in the stream first. Then the aggregate loads these events and decides the
    /// copy. Without a copy the caller gets
    /// [`ExecuteError::Conflict`](crate::error::ExecuteError::Conflict).
    ///
    /// By default there is none. A derived aggregate clones the command if its command enum is
    /// `Clone`.
    ///
    /// ```
    /// # use eventfold_es::{Aggregate, __private::example::*};
    /// assert_eq!(Counter::repeat(&Add(5)), None);
    /// ```
    fn repeat(_command: &Self::Command) -> Option<Self::Command> {
        None
    }

    /// A fingerprint of a command's content. It is stored with the command's idempotency key. If a
    /// command with another fingerprint comes under the same key, it is refused with
    /// [`ExecuteError::KeyReused`](crate::error::ExecuteError::KeyReused). `None` means that commands
    /// under one key are not compared.
    ///
    /// By default it is `None`. A derived aggregate returns a checksum of the command's JSON, if the
    /// command enum is `Serialize`. The order of members does not matter, nor do members that are
    /// `null`, so a command keeps its fingerprint when an optional field is added to it. It is
    /// called only for commands with a key.
    ///
    /// ```
    /// # use eventfold_es::{Aggregate, __private::example::*};
    /// assert_eq!(Counter::fingerprint(&Add(5)), None);
    /// ```
    fn fingerprint(_command: &Self::Command) -> Option<u64> {
        None
    }

    /// Writes an event in its stored form: returns its name and appends its payload to `data` as
    /// JSON.
    ///
    /// By default, the event must be a serde enum tagged by `type` and `data`. A derived aggregate
    /// uses [`DomainEvent`](crate::DomainEvent) instead.
    ///
    /// # Errors
    ///
    /// [`EncodeError`] if the event cannot be written as JSON, or is not tagged like this.
    ///
    /// ```
    /// # use eventfold_es::{Aggregate, __private::example::*};
    /// let mut data = Vec::new();
    /// let name = Counter::encode_event(&CounterEvent::Added { amount: 5 }, &mut data)?;
    /// assert_eq!((&*name, &*data), ("Added", &br#"{"amount":5}"#[..]));
    /// # Ok::<(), eventfold_es::EncodeError>(())
    /// ```
    fn encode_event(
        event: &Self::DomainEvent,
        data: &mut Vec<u8>,
    ) -> Result<Cow<'static, str>, EncodeError> {
        event::encode_tagged(event, data)
    }

    /// The version of the payload's shape that [`encode_event`](Self::encode_event) writes. It is
    /// stored as `meta.schema_version`, only if it is above 1.
    ///
    /// By default it is `None`: the program may then use that member of `meta` itself. A derived
    /// aggregate returns the version of its
    /// [`DomainEvent`](crate::event::DomainEvent::schema_version).
    ///
    /// ```
    /// # use eventfold_es::{Aggregate, __private::example::*};
    /// assert_eq!(Counter::event_version(&CounterEvent::Added { amount: 5 }), None);
    /// ```
    fn event_version(_event: &Self::DomainEvent) -> Option<u32> {
        None
    }

    /// Whether some event of this aggregate may have tags. A store calls
    /// [`event_tags`](Self::event_tags) only then.
    ///
    /// ```
    /// # use eventfold_es::{Aggregate, __private::example::Counter};
    /// assert!(!Counter::HAS_TAGS);
    /// ```
    const HAS_TAGS: bool = false;

    /// Appends the tags of an event, by which decisions and queries find it. Besides those, a
    /// decision finds each event of an aggregate by `<AGGREGATE_TYPE>:<id>`, which is not among them.
    ///
    /// By default it has none. A derived aggregate uses
    /// [`DomainEvent::append_tags`](crate::event::DomainEvent::append_tags). Who implements this sets
    /// [`HAS_TAGS`](Self::HAS_TAGS) as well.
    ///
    /// # Errors
    ///
    /// [`InvalidTag`] if a value cannot be part of a tag. A store refuses the event then.
    ///
    /// ```
    /// # use eventfold_es::{Aggregate, Tags, __private::example::*};
    /// let mut tags = Tags::new();
    /// Counter::event_tags(&CounterEvent::Added { amount: 5 }, &mut tags)?;
    /// assert!(tags.is_empty());
    /// # Ok::<(), eventfold_es::InvalidTag>(())
    /// ```
    fn event_tags(_event: &Self::DomainEvent, _tags: &mut Tags) -> Result<(), InvalidTag> {
        Ok(())
    }

    /// Reads an event from its stored form, the inverse of [`encode_event`](Self::encode_event).
    ///
    /// # Errors
    ///
    /// [`DecodeError::UnknownName`] if this aggregate has no event of that name,
    /// [`DecodeError::Malformed`] if the payload does not fit the event. A derived aggregate fails
    /// as its [`DomainEvent`](crate::event::DomainEvent::decode) does.
    ///
    /// ```
    /// # use eventfold_es::{Aggregate, StoredEvent, __private::example::*};
    /// let event = Counter::decode_event(StoredEvent::new("Added", r#"{"amount":5}"#))?;
    /// assert_eq!(event.as_slice(), [CounterEvent::Added { amount: 5 }]);
    /// # Ok::<(), eventfold_es::DecodeError>(())
    /// ```
    fn decode_event(stored: StoredEvent<'_>) -> Result<Decoded<Self::DomainEvent>, DecodeError> {
        event::decode_tagged(stored).map(Decoded::one)
    }

    /// Whether this aggregate has an event of that stored name.
    ///
    /// ```
    /// # use eventfold_es::{Aggregate, __private::example::Counter};
    /// assert!(Counter::knows_event("Added") && !Counter::knows_event("Removed"));
    /// ```
    fn knows_event(name: &str) -> bool {
        event::knows_tagged::<Self::DomainEvent>(name)
    }

    /// A fingerprint of what the events mean. A snapshot with another fingerprint is not used.
    #[doc(hidden)]
    fn __fingerprint() -> u64 {
        0
    }

    /// The names of the events, if they are known when a program is compiled.
    #[doc(hidden)]
    const __EVENT_NAMES: Option<&'static [EventName]> = None;

    /// What the commands say, for a [`Model`](crate::model::Model). `None` if that is unknown.
    #[doc(hidden)]
    fn __commands() -> Option<Vec<CommandInfo>> {
        None
    }

    /// What the events say, for a [`Model`](crate::model::Model). `None` if that is unknown.
    #[doc(hidden)]
    fn __events() -> Option<Vec<EventInfo>> {
        about_tagged_events::<Self>()
    }

    /// The name of a command, for [layers](crate::Layer) and for the span `execute`. A derived
    /// aggregate has the names of its listed commands, as they are serialised. Otherwise it is the
    /// name of the type [`Command`](Self::Command), unless the aggregate says more:
    ///
    /// ```
    /// # use eventfold_es::{Aggregate, __private::example::*};
    /// assert_eq!(Counter::command_name(&Add(5)), "Add");
    /// ```
    fn command_name(_command: &Self::Command) -> &'static str {
        let name = std::any::type_name::<Self::Command>();
        let without_arguments = name.split('<').next().unwrap_or(name);
        without_arguments.rsplit("::").next().unwrap_or(name)
    }

    /// The command types that [`CommandBus`](crate::CommandBus) routes here besides
    /// [`Command`](Self::Command) itself.
    #[doc(hidden)]
    fn command_routes(_routes: &mut CommandRoutes<Self::Command>) {}
}

/// The result of deciding a command: the events that happened, or the reason why it is refused.
///
/// ```
/// # use eventfold_es::{Decision, __private::example::*};
/// let added: Decision<Counter> = Ok(vec![CounterEvent::Added { amount: 5 }]);
/// let refused: Decision<Counter> = Err(NothingToAdd);
/// ```
pub type Decision<A> = Result<Vec<<A as DecisionTypes>::DomainEvent>, <A as DecisionTypes>::Error>;

/// The types in a [`Decision`]. [`derive@Aggregate`](crate::Aggregate) and
/// [`Decision`](derive@crate::Decision) implement this trait. An
/// aggregate written by hand needs it only if it uses [`Decision`] and [`Decide`].
///
/// Unlike [`Aggregate`], it requires nothing of the state. So if a state is not `Default`, the
/// compiler reports that once, and not for each `impl Decide` as well.
///
/// ```
/// # use eventfold_es::{DecisionTypes, __private::example::*};
/// struct Lamp;
///
/// impl DecisionTypes for Lamp {
///     type DomainEvent = CounterEvent;
///     type Error = NothingToAdd;
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an aggregate that is derived",
    label = "`{Self}` decides no commands",
    note = "add `#[derive(Aggregate)]` with `#[aggregate(...)]` to `{Self}`"
)]
pub trait DecisionTypes {
    /// The aggregate's [`DomainEvent`](Aggregate::DomainEvent).
    type DomainEvent;

    /// The aggregate's [`Error`](Aggregate::Error).
    type Error;
}

/// The decision on one command.
///
/// Implement it for each command that `#[aggregate(commands(...))]` lists and for that of a
/// [decision](crate::Decider), or [`DecideWith`](crate::DecideWith) if the decision depends on the time or on who sent the command.
/// [`#[aggregate_impl]`](crate::aggregate_impl) implements it by a method.
///
/// ```
/// # use eventfold_es::prelude::*;
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Clone, Default, Serialize, Deserialize, Aggregate)]
/// # #[aggregate(commands(TurnOn), events(TurnedOn))]
/// # struct Light { on: bool }
/// # #[derive(Debug, Clone, Serialize, Deserialize)] struct TurnOn;
/// # #[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)] struct TurnedOn;
/// # impl Evolve<TurnedOn> for Light {
/// #     fn evolve(&mut self, _: &TurnedOn) {
/// #         self.on = true;
/// #     }
/// # }
/// impl Decide<TurnOn> for Light {
///     fn decide(&self, _: TurnOn) -> Decision<Self> {
///         Ok(if self.on { events![] } else { events![TurnedOn] })
///     }
/// }
/// # assert!(Light::default().handle(TurnOn.into()).is_ok_and(|events| events.len() == 1));
/// ```
#[doc(alias("command handler", "business rule"))]
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not decide the command `{C}`",
    label = "no `impl Decide<{C}> for {Self}`",
    note = "write `impl Decide<{C}> for {Self}` or a method in an `#[aggregate_impl]` block, or remove `{C}` from the commands of `{Self}`"
)]
pub trait Decide<C>: DecisionTypes {
    /// Decides `command` on the current state. Returns the events that happened, none if nothing
    /// changes.
    ///
    /// # Errors
    ///
    /// The reason why the command is refused. Nothing is stored then.
    fn decide(&self, command: C) -> Decision<Self>;
}

/// The effect of one event on the state.
///
/// Implement it for each event that `#[aggregate(events(...))]` or `#[decision_model(events(...))]`
/// lists. [`#[aggregate_impl]`](crate::aggregate_impl) implements it by a method of an aggregate. It
/// cannot fail: an event is a fact.
///
/// ```
/// # use eventfold_es::prelude::*;
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Clone, Default, Serialize, Deserialize, Aggregate)]
/// # #[aggregate(commands(TurnOn), events(TurnedOn))]
/// # struct Light { on: bool }
/// # #[derive(Debug, Clone, Serialize, Deserialize)] struct TurnOn;
/// # #[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)] struct TurnedOn;
/// # impl Decide<TurnOn> for Light {
/// #     fn decide(&self, _: TurnOn) -> Decision<Self> {
/// #         Ok(if self.on { events![] } else { events![TurnedOn] })
/// #     }
/// # }
/// impl Evolve<TurnedOn> for Light {
///     fn evolve(&mut self, _: &TurnedOn) {
///         self.on = true;
///     }
/// }
/// # assert!(Light::default().apply(&TurnedOn.into()).on);
/// ```
#[doc(alias("reducer", "fold"))]
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not evolve by the event `{E}`",
    label = "no `impl Evolve<{E}> for {Self}`",
    note = "write `impl Evolve<{E}> for {Self}` or a method in an `#[aggregate_impl]` block, or remove `{E}` from the events of `{Self}`"
)]
pub trait Evolve<E: ?Sized> {
    /// Folds `event` into the state. It must take every event of this type that was ever stored.
    fn evolve(&mut self, event: &E);
}

/// The events of a decision: `events![A { .. }, B]` is a `Vec` of the aggregate's event enum.
///
/// ```
/// # #[derive(Debug, PartialEq)] enum Event { Opened(Opened), Closed(Closed) }
/// # #[derive(Debug, PartialEq)] struct Opened; #[derive(Debug, PartialEq)] struct Closed;
/// # impl From<Opened> for Event { fn from(e: Opened) -> Self { Event::Opened(e) } }
/// # impl From<Closed> for Event { fn from(e: Closed) -> Self { Event::Closed(e) } }
/// use eventfold_es::events;
///
/// let both: Vec<Event> = events![Opened, Closed];
/// assert_eq!(both, [Event::Opened(Opened), Event::Closed(Closed)]);
/// let none: Vec<Event> = events![];
/// assert!(none.is_empty());
/// ```
#[macro_export]
macro_rules! events {
    ($($event:expr),* $(,)?) => {
        $crate::__private::vec![$($crate::__private::Into::into($event)),*]
    };
}
