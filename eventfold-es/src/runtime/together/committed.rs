//! The answer to commands that took effect together: [`CommittedTogether`].

use std::any::Any;
use std::fmt;

use crate::domain::aggregate::Aggregate;
use crate::ids::{Position, StreamId, Version};
use crate::runtime::handle::AggregateHandle;

/// The result of commands that took effect together. It is durable.
///
/// ```
/// # use eventfold_es::{*, __private::example::*};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let store = AggregateStore::in_memory().open().await?;
/// let (a, b) = (store.get::<Counter>("a").await?, store.get::<Counter>("b").await?);
/// let done = store.together().send(&a, Add(5)).send(&b, Add(7)).commit().await?;
/// assert_eq!(done.events::<Counter>(1), Some(&[CounterEvent::Added { amount: 7 }][..]));
/// assert_eq!(done.version_of(&a), Some(Version::from(1)));
/// assert!(done.position_of(&a) < done.position_of(&b));
/// assert_eq!(done.position, store.head());
/// # Ok(())
/// # }
/// ```
pub struct CommittedTogether {
    /// The position of the last event of all. If there are no events, that of the newest durable
    /// event of these aggregates.
    pub position: Position,
    /// Whether this answer repeats that of earlier commands with the same idempotency key. Then these
    /// commands stored nothing.
    pub repeated: bool,
    /// Of each command, its events.
    pub(crate) events: Vec<Box<dyn Any + Send + Sync>>,
    pub(crate) streams: Vec<CommittedStream>,
}

/// What became of one aggregate.
#[derive(Debug)]
pub(crate) struct CommittedStream {
    pub(crate) id: StreamId,
    pub(crate) version: Version,
    pub(crate) position: Position,
}

impl CommittedTogether {
    /// The events that a command stored; none if it changed nothing. `command` is its place in the
    /// order of sending, from 0. `None` if there is no such command, or if it is of another aggregate
    /// type than `A`.
    ///
    /// If the answer is [`repeated`](Self::repeated), the events of an aggregate with several commands
    /// are all given with its first one.
    ///
    /// See the example of [`CommittedTogether`].
    #[must_use]
    pub fn events<A: Aggregate>(&self, command: usize) -> Option<&[A::DomainEvent]> {
        let events = self.events.get(command)?;
        // Not of the box itself, which is `Any` too.
        let events: &(dyn Any + Send + Sync) = &**events;
        events
            .downcast_ref::<Vec<A::DomainEvent>>()
            .map(Vec::as_slice)
    }

    /// The version of an aggregate after these commands. `None` if it did not take part.
    ///
    /// See the example of [`CommittedTogether`].
    #[must_use]
    pub fn version_of<A: Aggregate>(&self, aggregate: &AggregateHandle<A>) -> Option<Version> {
        self.stream(aggregate).map(|stream| stream.version)
    }

    /// The position of the last event of an aggregate. If it has none here, that of its newest durable
    /// event. `None` if the aggregate did not take part.
    ///
    /// See the example of [`CommittedTogether`].
    #[must_use]
    pub fn position_of<A: Aggregate>(&self, aggregate: &AggregateHandle<A>) -> Option<Position> {
        self.stream(aggregate).map(|stream| stream.position)
    }

    fn stream<A: Aggregate>(&self, aggregate: &AggregateHandle<A>) -> Option<&CommittedStream> {
        let id = aggregate.stream().id();
        self.streams.iter().find(|stream| stream.id == *id)
    }
}

impl fmt::Debug for CommittedTogether {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommittedTogether")
            .field("position", &self.position)
            .field("repeated", &self.repeated)
            .field("streams", &self.streams)
            .finish_non_exhaustive()
    }
}
