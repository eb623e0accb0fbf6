//! What a command led to: [`Committed`].

use crate::domain::aggregate::Aggregate;
use crate::ids::{Position, Version};

/// What a command led to, durably.
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
    /// The events that the command stored; none if it changed nothing. Those of the first one if it
    /// repeats an idempotency key.
    pub events: Vec<A::DomainEvent>,
    /// The stream's version after them.
    pub version: Version,
    /// The position of the last of them; of the stream's newest durable event if there are none.
    pub position: Position,
}
