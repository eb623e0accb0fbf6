//! Why commands did not take effect together: [`TogetherError`].

use std::error::Error;
use std::io;

use crate::error::{ExecuteError, Panic, Refused, StateError};
use crate::ids::{StreamId, Version};
use crate::storage::commit::CommitError;

/// Why the commands of a [`Together`](crate::Together) did not take effect. Nothing of any of them is
/// stored, except as [`OutcomeUnknown`](Self::OutcomeUnknown) says.
///
/// ```
/// # use eventfold_es::{*, __private::example::*};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let store = AggregateStore::in_memory().open().await?;
/// let (a, b) = (store.get::<Counter>("a").await?, store.get::<Counter>("b").await?);
/// let error = store.together().send(&a, Add(5)).send(&b, Add(0)).commit().await.unwrap_err();
/// assert_eq!(error.refusal::<NothingToAdd>(), Some((1, &NothingToAdd)));
/// assert_eq!(error.to_string(), "command 1, of counter/b: there is nothing to add");
/// assert_eq!(a.version().await?, 0); // nothing is stored
/// # Ok(())
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TogetherError {
    /// An aggregate refused its command.
    #[error("command {command}, of {stream}: {error}")]
    #[non_exhaustive]
    Domain {
        /// The command's place in the order of sending, from 0.
        command: usize,
        /// The aggregate's stream.
        stream: StreamId,
        /// The aggregate's own error, see [`refusal`](TogetherError::refusal).
        #[source]
        error: Box<dyn Error + Send + Sync>,
    },

    /// A [layer](crate::Layer) of the store refused a command. No aggregate got one.
    #[error("command {command}, of {stream}, was refused by a layer: {error}")]
    #[non_exhaustive]
    Refused {
        /// The command's place in the order of sending, from 0.
        command: usize,
        /// The aggregate's stream.
        stream: StreamId,
        /// What the layer said.
        #[source]
        error: Refused,
    },

    /// An aggregate is not at the version that was [expected](crate::Together::expecting).
    #[error("{stream} is at version {actual}, and {expected} was expected")]
    #[non_exhaustive]
    ExpectedVersion {
        /// The aggregate's stream.
        stream: StreamId,
        /// The version that was expected.
        expected: Version,
        /// The version when the commands were decided.
        actual: Version,
    },

    /// The commands are too many, or their events are. [`Together`](crate::Together) has the limits.
    #[error("the commands have {count} {unit} together, and at most {most} are possible")]
    #[non_exhaustive]
    TooLarge {
        /// What is counted.
        unit: &'static str,
        /// How many there are.
        count: usize,
        /// How many are possible.
        most: usize,
    },

    /// The idempotency key belongs to other commands of one of these aggregates, see
    /// [`ExecuteError::KeyReused`].
    #[error("the idempotency key {key:?} belongs to other commands of {stream}")]
    #[non_exhaustive]
    KeyReused {
        /// The idempotency key.
        key: String,
        /// The aggregate's stream.
        stream: StreamId,
    },

    /// See [`ExecuteError::Conflict`].
    #[error("other writers stored events in the streams first, again and again; send it again")]
    Conflict,

    /// See [`ExecuteError::Panicked`]. The panic names the aggregate.
    #[error("{0}")]
    Panicked(Panic),

    /// See [`ExecuteError::Io`]. The kind [`InvalidInput`](io::ErrorKind::InvalidInput) also says that
    /// there is no command, that an aggregate is of another store or is given as two Rust types, or that
    /// the context expects a version.
    #[error("I/O error: {0}")]
    Io(#[from] io::Error),

    /// See [`ExecuteError::ActorGone`].
    #[error("the runtime of an aggregate's task ended before the commands were answered")]
    ActorGone,

    /// See [`ExecuteError::OutcomeUnknown`].
    #[error("it is unknown whether the commands are stored, until the store is opened again: {0}")]
    OutcomeUnknown(io::Error),

    /// The store is shut down.
    #[error("the store is shut down")]
    Closed,
}

impl TogetherError {
    /// The error `E` with which an aggregate refused its command, and the command's place in the order
    /// of sending. `None` if it is another error.
    ///
    /// See the example of [`TogetherError`].
    #[must_use]
    pub fn refusal<E: Error + 'static>(&self) -> Option<(usize, &E)> {
        match self {
            Self::Domain { command, error, .. } => Some((*command, error.downcast_ref()?)),
            _ => None,
        }
    }

    /// The error of the command at this place.
    pub(crate) fn of_command<E: Error + Send + Sync + 'static>(
        error: ExecuteError<E>,
        command: usize,
        stream: &StreamId,
    ) -> Self {
        let stream = stream.clone();
        match error {
            ExecuteError::Domain(error) => Self::Domain {
                command,
                stream,
                error: Box::new(error),
            },
            ExecuteError::Refused(error) => Self::Refused {
                command,
                stream,
                error,
            },
            ExecuteError::ExpectedVersion { expected, actual } => Self::ExpectedVersion {
                stream,
                expected,
                actual,
            },
            ExecuteError::KeyReused { key } => Self::KeyReused { key, stream },
            ExecuteError::Conflict => Self::Conflict,
            ExecuteError::Io(error) => Self::Io(error),
            ExecuteError::ActorGone => Self::ActorGone,
            ExecuteError::Panicked(panic) => Self::Panicked(panic),
            ExecuteError::OutcomeUnknown(error) => Self::OutcomeUnknown(error),
            ExecuteError::Closed => Self::Closed,
        }
    }

    pub(crate) fn invalid(text: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Io(io::Error::new(io::ErrorKind::InvalidInput, text))
    }
}

impl From<StateError> for TogetherError {
    fn from(error: StateError) -> Self {
        match error {
            StateError::Io(error) => Self::Io(error),
            StateError::ActorGone => Self::ActorGone,
            StateError::Panicked(panic) => Self::Panicked(panic),
            StateError::Closed => Self::Closed,
        }
    }
}

impl From<CommitError> for TogetherError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Closed => Self::Closed,
            CommitError::Conflict { .. } | CommitError::ConditionFailed => Self::Conflict,
            CommitError::Unknown(_) => Self::OutcomeUnknown(error.to_io()),
            error => Self::Io(error.to_io()),
        }
    }
}
