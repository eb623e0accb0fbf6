//! A commit: the events of one command, stored whole or not at all.

use std::io;

use crate::error::{ExecuteError, StateError};
use crate::storage::error::{StorageError, StorageErrorKind};
use crate::storage::snapshot::Draft;

/// A request to store the events of one command. The encoded events are passed beside it.
pub(crate) struct Commit {
    /// The activation that decided the events.
    pub(crate) epoch: u64,
    /// The version of the stream that the events were decided on.
    pub(crate) expected: u64,
    /// A snapshot of the state after these events. It is saved once they are durable.
    pub(crate) snapshot: Option<Box<Draft>>,
    pub(crate) done: Done,
}

/// Takes the answer to a request: the position of the last event that the answer depends on. It
/// runs on a thread of the storage and must not block.
pub(crate) type Done = Box<dyn FnOnce(Result<u64, CommitError>) + Send>;

/// Why a commit failed.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum CommitError {
    /// Nothing of the commit is stored.
    #[error(transparent)]
    NotStored(StorageError),
    /// Whether the commit is stored is unknown until the store is opened again.
    #[error(transparent)]
    Unknown(StorageError),
    /// Nothing of the commit is stored: the store failed earlier and must be opened again.
    #[error("the store has failed and must be opened again: {0}")]
    Failed(StorageError),
    /// Nothing of the commit is stored: others stored events in the stream, which is now at the
    /// version `actual`. The command can be decided again on these.
    #[error("others stored events in the stream first: it is at version {actual} now")]
    Conflict { actual: u64 },
    /// Nothing of the commit is stored: another activation has taken over the stream.
    #[error("another activation has taken over the stream")]
    Superseded,
    /// Nothing of the commit is stored: the store is shut down.
    #[error("the store is shut down")]
    Closed,
}

impl CommitError {
    /// This error as an I/O error, for a caller whose error type has no better variant.
    pub(crate) fn to_io(&self) -> io::Error {
        StorageError::from(self.clone()).into()
    }
}

impl From<CommitError> for StorageError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::NotStored(error) | CommitError::Unknown(error) => error,
            CommitError::Failed(error) => {
                error.in_context("the store has failed and must be opened again")
            }
            CommitError::Conflict { .. } => Self::new(StorageErrorKind::Busy, error),
            CommitError::Superseded => {
                let kind = StorageErrorKind::Io(io::ErrorKind::Interrupted);
                Self::new(kind, error)
            }
            CommitError::Closed => Self::closed(),
        }
    }
}

impl<E: std::error::Error + Send + Sync + 'static> From<CommitError> for ExecuteError<E> {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Closed => Self::Closed,
            CommitError::Conflict { .. } => Self::Conflict,
            CommitError::Unknown(_) => Self::OutcomeUnknown(error.to_io()),
            error => Self::Io(error.to_io()),
        }
    }
}

impl From<CommitError> for StateError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Closed => Self::Closed,
            error => Self::Io(error.to_io()),
        }
    }
}
