//! The domain side: what an aggregate is, how it decides and how it evolves.

use std::borrow::Cow;

use serde::{Serialize, de::DeserializeOwned};

use crate::bus::CommandRoutes;
use crate::event::{self, DecodeError, EncodeError, StoredEvent, UnknownEvents};

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
/// any time.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an aggregate",
    label = "`{Self}` does not implement `Aggregate`",
    note = "add `#[derive(Aggregate)]` with `#[aggregate(...)]` to `{Self}`, or implement `Aggregate` by hand"
)]
pub trait Aggregate:
    Default + Clone + Serialize + DeserializeOwned + Send + Sync + 'static
{
    /// Names this type of aggregate on disk: its streams are `streams/<AGGREGATE_TYPE>/<id>`.
    const AGGREGATE_TYPE: &'static str;

    /// The version of the state's shape. A snapshot of another version is ignored and replaced.
    const STATE_VERSION: u32 = 1;

    /// How many events apart snapshots are taken. `None` is the store's default.
    const SNAPSHOT_EVERY: Option<u64> = None;

    /// What loading does with an event whose name is not known.
    const UNKNOWN_EVENTS: UnknownEvents = UnknownEvents::Skip;

    /// The commands this aggregate decides.
    type Command: Send + 'static;

    /// The events this aggregate produces and folds.
    type DomainEvent: Serialize + DeserializeOwned + Send + Sync + Clone + 'static;

    /// Why a command is refused.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Decides a command on the current state.
    ///
    /// Returns the events that happened, none if the command changes nothing.
    ///
    /// # Errors
    ///
    /// The reason for which the command is refused; nothing is stored then.
    fn handle(&self, cmd: Self::Command) -> Result<Vec<Self::DomainEvent>, Self::Error>;

    /// Folds one event into the state.
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
    fn encode_event(
        event: &Self::DomainEvent,
        data: &mut Vec<u8>,
    ) -> Result<Cow<'static, str>, EncodeError> {
        event::encode_tagged(event, data)
    }

    /// Reads an event from its stored form, the inverse of [`encode_event`](Self::encode_event).
    ///
    /// # Errors
    ///
    /// [`DecodeError::UnknownName`] if this aggregate has no event of that name,
    /// [`DecodeError::Malformed`] if it has one but the payload is not that event's.
    fn decode_event(stored: StoredEvent<'_>) -> Result<Self::DomainEvent, DecodeError> {
        event::decode_tagged(stored)
    }

    /// Whether this aggregate has an event of that stored name.
    fn knows_event(name: &str) -> bool {
        event::knows_tagged::<Self::DomainEvent>(name)
    }

    /// The command types that [`CommandBus`](crate::CommandBus) routes here besides
    /// [`Command`](Self::Command) itself.
    #[doc(hidden)]
    fn command_routes(_routes: &mut CommandRoutes<Self>) {}
}

/// What deciding a command yields: the events that happened, or the reason it is refused.
pub type Decision<A> = Result<Vec<<A as Aggregate>::DomainEvent>, <A as Aggregate>::Error>;

/// The decision on one command.
///
/// Implement it for each command that `#[aggregate(commands(...))]` lists.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not decide the command `{C}`",
    label = "no `impl Decide<{C}> for {Self}`",
    note = "write `impl Decide<{C}> for {Self}`, or remove `{C}` from the commands of `{Self}`"
)]
pub trait Decide<C>: Aggregate {
    /// Decides `command` on the current state: which events happen, none if nothing changes.
    ///
    /// # Errors
    ///
    /// The reason for which the command is refused.
    fn decide(&self, command: C) -> Decision<Self>;
}

/// The effect of one event on the state.
///
/// Implement it for each event that `#[aggregate(events(...))]` lists. It cannot fail: an event
/// is a fact.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not evolve by the event `{E}`",
    label = "no `impl Evolve<{E}> for {Self}`",
    note = "write `impl Evolve<{E}> for {Self}`, or remove `{E}` from the events of `{Self}`"
)]
pub trait Evolve<E> {
    /// Folds `event` into the state.
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

/// The fold of an aggregate as an [`eventfold::ReduceFn`], to plug it into an
/// [`eventfold::View`].
///
/// A view cannot fail, so an event that this aggregate does not know or cannot read leaves the
/// state as it is, with a warning in the log. A store is stricter: see
/// [`Aggregate::UNKNOWN_EVENTS`].
///
/// ```
/// # use eventfold_es::Aggregate; use serde::{Serialize, Deserialize};
/// # #[derive(Clone, Default, Serialize, Deserialize)] struct Counter { value: u64 }
/// # #[derive(Clone, Serialize, Deserialize)] #[serde(tag = "type", content = "data")]
/// # enum CounterEvent { Added { amount: u64 } }
/// # impl Aggregate for Counter {
/// #     const AGGREGATE_TYPE: &'static str = "counter";
/// #     type Command = (); type DomainEvent = CounterEvent; type Error = std::convert::Infallible;
/// #     fn handle(&self, _: ()) -> Result<Vec<CounterEvent>, Self::Error> { Ok(vec![]) }
/// #     fn apply(mut self, event: &CounterEvent) -> Self {
/// #         let CounterEvent::Added { amount } = event; self.value += amount; self }
/// # }
/// let reduce = eventfold_es::reducer::<Counter>();
/// let added = eventfold::Event::new("Added", serde_json::json!({ "amount": 5 }));
/// assert_eq!(reduce(Counter::default(), &added).value, 5);
/// ```
#[must_use]
pub fn reducer<A: Aggregate>() -> eventfold::ReduceFn<A> {
    |state, event| {
        let data = event.data.to_string();
        match A::decode_event(StoredEvent::new(&event.event_type, &data)) {
            Ok(event) => state.apply(&event),
            Err(error) => {
                tracing::warn!(aggregate_type = A::AGGREGATE_TYPE, %error, "event left out of the view");
                state
            }
        }
    }
}
