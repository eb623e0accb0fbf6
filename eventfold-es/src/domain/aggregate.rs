//! The domain side: what an aggregate is, how it decides and how it evolves.

use std::borrow::Cow;

use serde::{Serialize, de::DeserializeOwned};

mod read;

pub(crate) use read::decode_unless_left_out;
pub use read::reducer;

use crate::domain::routes::CommandRoutes;
use crate::event;
use crate::event::{DecodeError, Decoded, EncodeError, StoredEvent, UnknownEvents};

/// A consistency boundary whose state is the fold of its own events.
///
/// The implementing type is the state. Most programs derive this trait (see
/// [`derive@Aggregate`](crate::Aggregate)) and implement [`Decide`] and [`Evolve`]; it can as well
/// be implemented by hand, with an event enum in serde's adjacently tagged form:
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
/// clock, no randomness. An aggregate decides ahead of the disk and is rebuilt from its events at
/// any time. What a decision needs from outside, the time for example, a new id or what another
/// service says, is found out before and comes with the command.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an aggregate",
    label = "`{Self}` does not implement `Aggregate`",
    note = "add `#[derive(Aggregate)]` with `#[aggregate(...)]` to `{Self}`, or implement `Aggregate` by hand"
)]
pub trait Aggregate:
    Default + Clone + Serialize + DeserializeOwned + Send + Sync + 'static
{
    /// Names this type of aggregate on disk: its streams are `streams/<AGGREGATE_TYPE>/<id>`, each
    /// part encoded as a file name (see [`StreamId`](crate::StreamId)). Another name is another
    /// aggregate, without the events of this one.
    ///
    /// ```
    /// # use eventfold_es::{Aggregate, __private::example::Counter};
    /// assert_eq!(Counter::AGGREGATE_TYPE, "counter");
    /// ```
    const AGGREGATE_TYPE: &'static str;

    /// The version of the state's shape, to be raised when that changes. A snapshot of another
    /// version is ignored and replaced; the events are folded then.
    ///
    /// ```
    /// # use eventfold_es::{Aggregate, __private::example::Counter};
    /// assert_eq!(Counter::STATE_VERSION, 1);
    /// ```
    const STATE_VERSION: u32 = 1;

    /// How many events apart snapshots are taken. `None` is the store's default
    /// ([`snapshot_every`](crate::store::AggregateStoreBuilder::snapshot_every)); 0 counts as 1,
    /// `u64::MAX` means never.
    ///
    /// ```
    /// # use eventfold_es::{Aggregate, __private::example::Counter};
    /// assert_eq!(Counter::SNAPSHOT_EVERY, None);
    /// ```
    const SNAPSHOT_EVERY: Option<u64> = None;

    /// What loading does with an event whose name is not known. A derived aggregate rejects it.
    ///
    /// ```
    /// # use eventfold_es::{Aggregate, UnknownEvents, __private::example::Counter};
    /// assert_eq!(Counter::UNKNOWN_EVENTS, UnknownEvents::Skip);
    /// ```
    const UNKNOWN_EVENTS: UnknownEvents = UnknownEvents::Skip;

    /// The commands this aggregate decides. Process managers reach it if they are `Deserialize` as
    /// well.
    type Command: Send + 'static;

    /// The events this aggregate produces and folds.
    ///
    /// A store reads each back from its stored form before it stores it, as a load will: an event that
    /// could not be loaded is refused with [`ExecuteError::Io`](crate::error::ExecuteError::Io). The state is
    /// folded from the events that were read so, and the command is answered with them: a field that is
    /// not stored is as it is after a load. What comes back, but as something else, is not noticed: an
    /// `Option` of a number that is not finite comes back as `None`, since JSON has no NaN and no
    /// infinity. The testing kit compares the stored forms.
    type DomainEvent: Serialize + DeserializeOwned + Send + Sync + Clone + 'static;

    /// Why a command is refused. [`Infallible`](std::convert::Infallible) if none ever is.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Decides a command on the current state.
    ///
    /// Returns the events that happened, none if the command changes nothing. A panic is answered
    /// as [`ExecuteError::Panicked`](crate::error::ExecuteError::Panicked).
    ///
    /// # Errors
    ///
    /// The reason for which the command is refused; nothing is stored then.
    ///
    /// ```
    /// # use eventfold_es::{Aggregate, __private::example::*};
    /// let counter = Counter { value: 2 };
    /// assert_eq!(counter.handle(Add(5))?, [CounterEvent::Added { amount: 5 }]);
    /// assert_eq!(counter.handle(Add(0)), Err(NothingToAdd));
    /// # Ok::<(), NothingToAdd>(())
    /// ```
    fn handle(&self, cmd: Self::Command) -> Result<Vec<Self::DomainEvent>, Self::Error>;

    /// Folds one event into the state and returns that. It must take every event that was ever
    /// stored: a panic here fails the load.
    ///
    /// ```
    /// # use eventfold_es::{Aggregate, __private::example::*};
    /// let counter = Counter { value: 2 }.apply(&CounterEvent::Added { amount: 5 });
    /// assert_eq!(counter.value, 7);
    /// ```
    #[must_use]
    fn apply(self, event: &Self::DomainEvent) -> Self;

    /// Writes an event in its stored form: returns its name and appends its payload to `data` as
    /// JSON.
    ///
    /// Unless overridden, the event is taken to be a serde enum tagged by `type` and `data`. A
    /// derived aggregate goes through [`DomainEvent`](crate::DomainEvent) instead.
    ///
    /// # Errors
    ///
    /// [`EncodeError`] if the event cannot be written as JSON or is not tagged so.
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
    /// stored, as `meta.schema_version`, above 1 only.
    ///
    /// `None`, unless overridden: then that member of `meta` is the program's own. A derived aggregate
    /// has the version of its [`DomainEvent`](crate::event::DomainEvent::schema_version).
    ///
    /// ```
    /// # use eventfold_es::{Aggregate, __private::example::*};
    /// assert_eq!(Counter::event_version(&CounterEvent::Added { amount: 5 }), None);
    /// ```
    fn event_version(_event: &Self::DomainEvent) -> Option<u32> {
        None
    }

    /// Reads an event from its stored form, the inverse of [`encode_event`](Self::encode_event).
    ///
    /// # Errors
    ///
    /// [`DecodeError::UnknownName`] if this aggregate has no event of that name,
    /// [`DecodeError::Malformed`] if it has one but the payload is not that event's. A derived
    /// aggregate fails as its [`DomainEvent`](crate::event::DomainEvent::decode) does.
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

    /// Which meanings of its events a state is folded from: under another fingerprint it is folded again.
    #[doc(hidden)]
    fn __fingerprint() -> u64 {
        0
    }

    /// The command types that [`CommandBus`](crate::CommandBus) routes here besides
    /// [`Command`](Self::Command) itself.
    #[doc(hidden)]
    fn command_routes(_routes: &mut CommandRoutes<Self::Command>) {}
}

/// What deciding a command yields: the events that happened, or the reason it is refused.
///
/// ```
/// # use eventfold_es::{Decision, __private::example::*};
/// let added: Decision<Counter> = Ok(vec![CounterEvent::Added { amount: 5 }]);
/// let refused: Decision<Counter> = Err(NothingToAdd);
/// ```
pub type Decision<A> = Result<Vec<<A as DecisionTypes>::DomainEvent>, <A as DecisionTypes>::Error>;

/// The types that a [`Decision`] is made of. [`derive@Aggregate`](crate::Aggregate) implements it; an
/// aggregate written by hand needs it only to be used with [`Decision`] and [`Decide`].
///
/// It asks nothing of the state, unlike [`Aggregate`]. So where a state is not `Default`, the compiler
/// says that about the state, and not about each `impl Decide` as well.
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
/// Implement it for each command that `#[aggregate(commands(...))]` lists.
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
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not decide the command `{C}`",
    label = "no `impl Decide<{C}> for {Self}`",
    note = "write `impl Decide<{C}> for {Self}`, or remove `{C}` from the commands of `{Self}`"
)]
pub trait Decide<C>: DecisionTypes {
    /// Decides `command` on the current state: which events happen, none if nothing changes.
    ///
    /// # Errors
    ///
    /// The reason for which the command is refused; nothing is stored then.
    fn decide(&self, command: C) -> Decision<Self>;
}

/// The effect of one event on the state.
///
/// Implement it for each event that `#[aggregate(events(...))]` lists. It cannot fail: an event
/// is a fact.
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
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not evolve by the event `{E}`",
    label = "no `impl Evolve<{E}> for {Self}`",
    note = "write `impl Evolve<{E}> for {Self}`, or remove `{E}` from the events of `{Self}`"
)]
pub trait Evolve<E> {
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
