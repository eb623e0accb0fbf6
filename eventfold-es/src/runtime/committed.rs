//! The answers of an aggregate: [`Committed`] and [`Loaded`].

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
