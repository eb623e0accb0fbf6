//! Past states of an aggregate: [`AggregateHandle::at`].

use std::time::SystemTime;

use crate::clock::unix_millis;
use crate::domain::aggregate::Aggregate;
use crate::error::StateError;
use crate::ids::{Position, Version};
use crate::runtime::actor::{Until, load_until};
use crate::runtime::background::blocking;
use crate::runtime::committed::Past;
use crate::runtime::handle::AggregateHandle;
use crate::runtime::inside;

/// A point in the history of an aggregate: a version, a position or a time. See
/// [`AggregateHandle::at`].
///
/// ```
/// use eventfold_es::{At, Position, Version};
/// use std::time::SystemTime;
///
/// assert_eq!(At::from(Version::from(3)), At::Version(Version::from(3)));
/// let _ = At::from("17".parse::<Position>()?);
/// let _ = At::from(SystemTime::now());
/// # Ok::<(), eventfold_es::InvalidPosition>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum At {
    /// After the event of this version; 0 is before the first event.
    Version(Version),
    /// After the commits up to this position in the store.
    Position(Position),
    /// Before the first event that is later than this time.
    Time(SystemTime),
}

impl From<Version> for At {
    fn from(version: Version) -> Self {
        Self::Version(version)
    }
}

impl From<Position> for At {
    fn from(position: Position) -> Self {
        Self::Position(position)
    }
}

impl From<SystemTime> for At {
    fn from(time: SystemTime) -> Self {
        Self::Time(time)
    }
}

impl<A: Aggregate> AggregateHandle<A> {
    /// The state that the aggregate had at a [`Version`], a [`Position`] or a [`SystemTime`], with the
    /// version, the position and the time of the newest event in it. It is a value to look at: nothing
    /// can be sent to it, and nothing is stored.
    ///
    /// * `Version`: the state after the event of this version. Version 0 is before the first event.
    /// * `Position`: the state after all events of the aggregate at this position of the store or before
    ///   it. A position within a commit is rounded down to the commit before, because a commit is whole
    ///   or not there. So the states of several aggregates at one position belong together.
    /// * `SystemTime`: the state before the first event that is later. An event that was
    ///   [injected](crate::AggregateStore::inject_event) keeps its own time, so the times of a stream
    ///   need not be in order: events behind a later one are not in the state, whatever their times. A
    ///   time in the future gives the newest state.
    ///
    /// Before the aggregate's first event the state is the default, at version 0, also if the aggregate
    /// does not exist.
    ///
    /// The events are read as they would be today: in their current form, and folded by the present
    /// code. It is not the state that an older program had. Events that were taken over from a directory
    /// of 0.2.0 have a position and a time, to the second. All of them count as stored before everything
    /// else, in the order of their times.
    ///
    /// It costs as much as loading the aggregate, beside the commands that the aggregate executes
    /// meanwhile. If the newest snapshot is not too new it is used, but not for a time. Otherwise all
    /// events up to the point are read. They are never all in memory. If events were taken over from
    /// another program, a position may have to be looked up in the journal.
    ///
    /// # Errors
    ///
    /// [`StateError::Io`] with
    ///
    /// * [`InvalidInput`](std::io::ErrorKind::InvalidInput): the stream has no such version yet, or the position is ahead of
    ///   the newest event;
    /// * [`InvalidData`](std::io::ErrorKind::InvalidData): an event before the point cannot be read, or a file is damaged;
    ///   the text says which, and where. Events after the point do not matter;
    /// * any other: the error of reading.
    ///
    /// [`StateError::Closed`]: the store is shut down.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # use std::time::SystemTime;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let store = AggregateStore::in_memory().open().await?;
    /// # let counter = store.get::<Counter>("c-1").await?;
    /// let first = counter.send(Add(5)).await?;
    /// counter.send(Add(6)).await?;
    ///
    /// assert_eq!(counter.at(first.version).await?.state.value, 5);
    /// assert_eq!(counter.at(Version::from(0)).await?.state.value, 0);
    /// assert_eq!(counter.at(store.head()).await?.state.value, 11);
    /// assert_eq!(counter.at(SystemTime::now()).await?.state.value, 11);
    /// assert!(counter.at(Version::from(3)).await.is_err()); // not stored yet
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias("time travel", "as of", "history", "audit", "temporal query"))]
    pub async fn at(&self, point: impl Into<At>) -> Result<Past<A>, StateError> {
        let point = point.into();
        let store = self.store().clone();
        if store.is_closed() {
            return Err(StateError::Closed);
        }
        store.storage.check_process()?;
        let log = store.storage.log();
        let until = match point {
            At::Version(version) => Until::Version(version.into()),
            At::Time(time) => Until::Time(unix_millis(time)),
            At::Position(position) => {
                let (log, position) = (log.clone(), position.get());
                log.check_stored(position)?;
                let rounded = blocking(move || Ok(log.end_of_commits(position)?));
                Until::Before(rounded.await?)
            }
        };
        let stream = self.stream().clone();
        // Readers of the log see an event shortly before its stream has it. If those commits fail, what
        // is there counts.
        let _ = stream.settle().await;
        let own = inside::Aggregate::of(self.stream_id());
        // Not on one of the few threads that load aggregates, whose commands wait for them.
        let load = move || own.run(|| load_until(&stream, &log, until));
        Ok(blocking(load).await?)
    }
}
