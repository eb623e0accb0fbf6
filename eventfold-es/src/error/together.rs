//! Why commands did not take effect together: [`TogetherError`].

use std::error::Error;
use std::io;
use std::time::SystemTime;

use crate::error::{Panic, Refused, StateError, shown_time};
use crate::ids::{StreamId, Version};

/// Why the commands of a [group](crate::Together) did not succeed.
///
/// Unless a variant says otherwise, nothing of any of the commands is stored, and no aggregate has
/// changed. `index` counts the commands from 0, in the order in which they were added.
///
/// ```
/// # use eventfold_es::{*, __private::example::*};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let store = AggregateStore::open(dir.path()).await?;
/// let (one, two) = (store.get::<Counter>("c-1").await?, store.get::<Counter>("c-2").await?);
/// let error = store.together().send(&one, Add(5)).send(&two, Add(0)).commit().await.unwrap_err();
/// assert!(matches!(error.refusal::<NothingToAdd>(), Some((1, NothingToAdd))));
/// assert_eq!(one.version().await?, 0);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TogetherError {
    /// An aggregate refused its command, with its own
    /// [`Aggregate::Error`](crate::Aggregate::Error) in the box. [`refusal`](Self::refusal) gets it
    /// out.
    #[error("command {index}, to {stream}, is refused: {error}")]
    Domain {
        /// Which command.
        index: usize,
        /// Its aggregate.
        stream: StreamId,
        /// The error of the aggregate.
        #[source]
        error: Box<dyn Error + Send + Sync>,
    },

    /// A [layer](crate::Layer) refused a command. No aggregate got any of the commands.
    #[error("command {index}, to {stream}, is refused by a layer: {refused}")]
    Refused {
        /// Which command.
        index: usize,
        /// Its aggregate.
        stream: StreamId,
        /// The error of the layer.
        #[source]
        refused: Refused,
    },

    /// An aggregate is not at the version that the group
    /// [expected](crate::Together::expecting). It is never retried.
    #[error("{stream} is at version {actual}, and the group expected {expected}")]
    ExpectedVersion {
        /// The aggregate.
        stream: StreamId,
        /// The version that the group expected.
        expected: Version,
        /// The version of the stream when the group was decided.
        actual: Version,
    },

    /// An aggregate has ended ([`AggregateStore::end`](crate::AggregateStore::end)): it takes no more
    /// commands.
    #[error("command {index}, to {stream}: the aggregate has ended, at {}: {reason}", shown_time(*.when))]
    Ended {
        /// Which command.
        index: usize,
        /// Its aggregate.
        stream: StreamId,
        /// Why it has ended, as whoever ended it said.
        reason: String,
        /// When.
        when: SystemTime,
    },

    /// An aggregate is archived ([`AggregateStore::archive`](crate::AggregateStore::archive)).
    #[error(
        "command {index}, to {stream}: the aggregate is archived since {}; \
         `AggregateStore::unarchive` undoes that",
        shown_time(*.when)
    )]
    Archived {
        /// Which command.
        index: usize,
        /// Its aggregate.
        stream: StreamId,
        /// When it was archived.
        when: SystemTime,
    },

    /// Other writers stored events in the streams again and again while the group was decided. Or
    /// they did so once, and an aggregate cannot [repeat](crate::Aggregate::repeat) its command.
    /// Commit the group again.
    ///
    /// A store in files or in memory is the only writer of its streams, so it never answers this.
    #[error(
        "other writers stored events in the streams first, again and again; commit the group again"
    )]
    Conflict,

    /// The idempotency key belongs to another command or group of commands in one of the streams.
    /// Commands are compared by their [`fingerprint`](crate::Aggregate::fingerprint), if all
    /// aggregates of the group have one, and in their order.
    #[error(
        "the idempotency key {key:?} belongs to another command of {stream}: give each group a key of \
         its own, and commit the same group if you commit it again"
    )]
    KeyReused {
        /// The idempotency key.
        key: String,
        /// The stream that knows the key.
        stream: StreamId,
    },

    /// The group is larger than a group may be. The limits are those of
    /// [`Together`](crate::Together).
    #[error("the group has {actual} {what}, and a group has at most {most}: make it smaller")]
    TooLarge {
        /// What there is too much of: `aggregates`, `events` or `bytes of events`.
        what: &'static str,
        /// How many the group has.
        actual: u64,
        /// How many it may have.
        most: u64,
    },

    /// A stream could not be loaded, an event could not be encoded, or the commit could not be
    /// written. The kinds are those of [`ExecuteError::Io`](crate::ExecuteError::Io). Besides,
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) is a group without commands, with a handle of
    /// another store, or whose context expects a version;
    /// [`Deadlock`](io::ErrorKind::Deadlock) is one that code of the store commits.
    #[error("I/O error: {0}")]
    Io(#[from] io::Error),

    /// The runtime ended before the group was decided. Commit it again from a runtime that keeps
    /// running.
    #[error("the runtime ended before the group was answered")]
    ActorGone,

    /// `decide` or `evolve` of an aggregate panicked, or writing an event as JSON or reading it back
    /// did, or [`Layer::before`](crate::Layer::before) did.
    #[error("command {index}: {panic}")]
    Panicked {
        /// Which command.
        index: usize,
        /// What panicked, and of which aggregate.
        panic: Panic,
    },

    /// The disk failed, or the server was lost, while the group was being made durable. It is unknown
    /// whether the group is stored: it is stored whole or not at all. See
    /// [`ExecuteError::OutcomeUnknown`](crate::ExecuteError::OutcomeUnknown) for what to do.
    #[error("it is unknown whether the group is stored: {0}")]
    OutcomeUnknown(io::Error),

    /// The store has been shut down. Open it again and commit the group through it.
    #[error("the store is shut down")]
    Closed,
}

impl TogetherError {
    /// The refusal of an aggregate whose error is an `E`, and the index of its command.
    ///
    /// See the example of [`TogetherError`].
    #[must_use]
    pub fn refusal<E: Error + 'static>(&self) -> Option<(usize, &E)> {
        match self {
            Self::Domain { index, error, .. } => Some((*index, error.downcast_ref()?)),
            _ => None,
        }
    }

    /// Which command failed, if it was one of them.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let store = AggregateStore::open(dir.path()).await?;
    /// let counter = store.get::<Counter>("c-1").await?;
    /// let error = store.together().send(&counter, Add(0)).commit().await.unwrap_err();
    /// assert_eq!(error.index(), Some(0));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn index(&self) -> Option<usize> {
        match self {
            Self::Domain { index, .. }
            | Self::Refused { index, .. }
            | Self::Ended { index, .. }
            | Self::Archived { index, .. }
            | Self::Panicked { index, .. } => Some(*index),
            _ => None,
        }
    }
}

impl From<StateError> for TogetherError {
    fn from(error: StateError) -> Self {
        match error {
            StateError::Io(error) => Self::Io(error),
            StateError::Panicked(panic) => Self::Io(io::Error::other(panic)),
            StateError::ActorGone => Self::ActorGone,
            StateError::Closed => Self::Closed,
        }
    }
}
