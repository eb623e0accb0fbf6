//! The answers of an aggregate: [`Committed`], [`Preview`], [`Loaded`] and [`Past`].

use std::time::SystemTime;

use crate::domain::aggregate::Aggregate;
use crate::ids::{Position, Version};

/// The result of a command. It is durable.
///
/// ```
/// # use eventfold_es::{*, __private::example::*};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let store = AggregateStore::open(dir.path()).await?;
/// # let counter = store.get::<Counter>("c-1").await?;
/// let done = counter.send(Add(5)).await?;
/// assert_eq!(done.events, [CounterEvent::Added { amount: 5 }]);
/// assert_eq!(done.version, 1);
/// assert_eq!(done.position, store.head());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Committed<A: Aggregate> {
    /// The events that the command stored; none if it changed nothing. If the command repeats an
    /// idempotency key, the events of the first command with that key.
    pub events: Vec<A::DomainEvent>,
    /// The stream's version after these events.
    pub version: Version,
    /// The position of the last of these events. If there are none, the position of the stream's
    /// newest durable event.
    pub position: Position,
    /// Whether this answer repeats that of an earlier command with the same idempotency key. Then
    /// this command stored nothing.
    pub repeated: bool,
}

/// What a command would lead to.
/// [`AggregateHandle::preview`](crate::runtime::handle::AggregateHandle::preview) returns it. Nothing
/// of it is stored.
///
/// ```
/// # use eventfold_es::{*, __private::example::*};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let store = AggregateStore::open(dir.path()).await?;
/// let Preview { events, version, state, .. } = store.get::<Counter>("c-1").await?.preview(Add(5)).await?;
/// assert_eq!(events, [CounterEvent::Added { amount: 5 }]);
/// assert_eq!(state.value, 5);
/// assert_eq!(version, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Preview<A: Aggregate> {
    /// The events that the command would store, as they would be read back; none if it would change
    /// nothing. If its idempotency key is used, the events of the command that used it.
    pub events: Vec<A::DomainEvent>,
    /// The stream's version after these events.
    pub version: Version,
    /// The state after these events. If the idempotency key is used, the present state.
    pub state: A,
    /// Whether the idempotency key is used, so that the command would store nothing.
    pub repeated: bool,
}

/// The state of an aggregate, with the place in its stream that the state belongs to.
/// [`AggregateHandle::load`](crate::runtime::handle::AggregateHandle::load) returns it.
///
/// ```
/// # use eventfold_es::{*, __private::example::*};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let store = AggregateStore::open(dir.path()).await?;
/// let Loaded { state, version, position } = store.get::<Counter>("c-1").await?.load().await?;
/// assert_eq!(state.value, 0);
/// assert!(version == 0 && position == Position::default());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded<A> {
    /// The state.
    pub state: A,
    /// The stream's version: how many events the state is folded from.
    pub version: Version,
    /// The position of the newest of these events, the default if there is none.
    pub position: Position,
}

/// A past state of an aggregate, with the place in its stream that the state belongs to.
/// [`AggregateHandle::at`](crate::runtime::handle::AggregateHandle::at) returns it.
///
/// ```
/// # use eventfold_es::{*, __private::example::*};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let store = AggregateStore::in_memory().open().await?;
/// # let counter = store.get::<Counter>("c-1").await?;
/// let first = counter.send(Add(5)).await?;
/// counter.send(Add(6)).await?;
/// let Past { state, version, position, time, .. } = counter.at(first.position).await?;
/// assert_eq!(state.value, 5);
/// assert!(version == 1 && position == first.position && time.is_some());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Past<A> {
    /// The state.
    pub state: A,
    /// How many events the state is folded from: the version of the newest of them.
    pub version: Version,
    /// The position of the newest of these events, the default if there is none.
    pub position: Position,
    /// The time of the newest of these events, `None` if there is none.
    pub time: Option<SystemTime>,
}
