//! The answer to a group: [`CommittedTogether`].

use std::any::Any;
use std::fmt;

use crate::domain::aggregate::Aggregate;
use crate::ids::{Position, StreamId, Version};
use crate::runtime::committed::Committed;
use crate::runtime::handle::AggregateHandle;

/// The result of commands that took effect together. It is durable.
///
/// ```
/// # use eventfold_es::{*, __private::example::*};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let store = AggregateStore::open(dir.path()).await?;
/// let (one, two) = (store.get::<Counter>("c-1").await?, store.get::<Counter>("c-2").await?);
/// let done = store.together().send(&one, Add(5)).send(&two, Add(6)).commit().await?;
/// assert_eq!(done.events(&two), [CounterEvent::Added { amount: 6 }]);
/// assert_eq!(done.position, store.head());
/// # Ok(())
/// # }
/// ```
pub struct CommittedTogether {
    /// The position of the last event of the group. If there is none, that of the newest event of
    /// its aggregates.
    pub position: Position,
    /// Whether this answer repeats that of an earlier group with the same idempotency key. Then this
    /// group stored nothing.
    pub repeated: bool,
    answers: Vec<(StreamId, Box<dyn Answered>)>,
}

impl CommittedTogether {
    pub(crate) fn new(answers: Vec<(StreamId, Box<dyn Answered>)>, repeated: bool) -> Self {
        let positions = answers.iter().map(|(_, answer)| {
            let summary = answer.summary();
            (summary.events > 0, summary.position)
        });
        Self {
            // An event of the group is after all events that were stored before it.
            position: positions
                .max()
                .map_or(Position::default(), |(_, last)| last),
            repeated,
            answers,
        }
    }

    /// What the group did to one aggregate: all its events there, and version and position after
    /// them. `None` if the aggregate did not take part.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let store = AggregateStore::open(dir.path()).await?;
    /// let (one, two) = (store.get::<Counter>("c-1").await?, store.get::<Counter>("c-2").await?);
    /// let done = store.together().send(&one, Add(5)).send(&one, Add(6)).commit().await?;
    /// let of_one = done.of(&one).ok_or("it took part")?;
    /// assert_eq!((of_one.events.len(), of_one.version), (2, 2.into()));
    /// assert!(done.of(&two).is_none());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn of<A: Aggregate>(&self, aggregate: &AggregateHandle<A>) -> Option<&Committed<A>> {
        let mut answers = self.answers.iter();
        let (_, answer) = answers.find(|(stream, _)| stream == aggregate.stream_id())?;
        answer.as_any().downcast_ref()
    }

    /// The events that the group stored in one aggregate, in their order; none if it did not take
    /// part.
    ///
    /// See the example of [`CommittedTogether`].
    #[must_use]
    pub fn events<A: Aggregate>(&self, aggregate: &AggregateHandle<A>) -> &[A::DomainEvent] {
        self.of(aggregate).map_or(&[], |answer| &answer.events)
    }

    /// How many events the aggregate of the participant `i` has, and its version and position.
    pub(crate) fn summary(&self, i: usize) -> Summary {
        self.answers[i].1.summary()
    }
}

impl fmt::Debug for CommittedTogether {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let versions = self.answers.iter();
        let versions = versions.map(|(stream, answer)| (stream, answer.summary().version));
        f.debug_struct("CommittedTogether")
            .field("position", &self.position)
            .field("repeated", &self.repeated)
            .field("versions", &versions.collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// An answer in short.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Summary {
    pub(crate) events: usize,
    pub(crate) version: Version,
    pub(crate) position: Position,
}

/// The answer to a participant of any aggregate type.
pub(crate) trait Answered: Any + Send + Sync {
    fn summary(&self) -> Summary;

    fn as_any(&self) -> &dyn Any;
}

impl<A: Aggregate> Answered for Committed<A> {
    fn summary(&self) -> Summary {
        Summary {
            events: self.events.len(),
            version: self.version,
            position: self.position,
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
