//! What the committer is asked to do, and how it answers.

use std::io;
use std::sync::Arc;

use crate::error::{ExecuteError, StateError};
use crate::storage::files::commit::queue::Span;
use crate::storage::files::snapshots::snapshot::Draft;
use crate::storage::files::streams::stream::Stream;

/// How many KiB of commits may wait for the committer. Invariant C10.
pub(crate) const ROOM: u32 = 64 * 1024;

/// The events of one command, decided and encoded, to be made durable; they go beside it.
pub(crate) struct Commit {
    pub(crate) stream: Arc<Stream>,
    /// The activation that decided them.
    pub(crate) epoch: u64,
    /// A snapshot of the state after these events, to be kept once they are durable.
    pub(crate) snapshot: Option<Box<Draft>>,
    pub(crate) done: Done,
}

impl Commit {
    /// How many KiB it takes while it is under way; its events take so many bytes.
    pub(crate) fn kib(&self, events: usize) -> u32 {
        let snapshot = self.snapshot.as_ref().map_or(0, |draft| draft.state.len());
        let kib = (events + snapshot) / 1024 + 1;
        u32::try_from(kib).unwrap_or(ROOM).min(ROOM)
    }
}

/// A request to the committer; it serves them in order.
pub(crate) enum Request {
    Commit(Commit, Span),
    /// Asks to be told when all requests before this one are done.
    Fence {
        stream: Arc<Stream>,
        epoch: u64,
        done: Done,
    },
    /// Ends the committer, after all requests before this one.
    Close,
}

/// Takes the answer to a request: the position of the last event that it depends on. It runs on
/// the committer's thread and must not block.
pub(crate) type Done = Box<dyn FnOnce(Result<u64, CommitError>) + Send>;

/// Why a commit did not succeed.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum CommitError {
    /// Nothing of it is stored.
    #[error(transparent)]
    NotStored(Arc<io::Error>),
    /// Whether it is stored is unknown until the store is opened again.
    #[error(transparent)]
    Unknown(Arc<io::Error>),
    /// Nothing of it is stored: the store failed earlier and must be opened again.
    #[error("the store has failed and must be opened again: {0}")]
    Failed(Arc<io::Error>),
    /// Nothing of it is stored: another activation has taken over the stream.
    #[error("another activation has taken over the stream")]
    Superseded,
    /// Nothing of it is stored: the store is shut down.
    #[error("the store is shut down")]
    Closed,
}

impl CommitError {
    pub(crate) fn not_stored(error: io::Error) -> Self {
        Self::NotStored(Arc::new(error))
    }

    /// This error as an I/O error of its own, for a caller that has no better place for it.
    pub(crate) fn to_io(&self) -> io::Error {
        let kind = match self {
            Self::NotStored(e) | Self::Unknown(e) | Self::Failed(e) => e.kind(),
            Self::Superseded => io::ErrorKind::Interrupted,
            Self::Closed => io::ErrorKind::NotConnected,
        };
        io::Error::new(kind, self.clone())
    }
}

impl<E: std::error::Error + Send + Sync + 'static> From<CommitError> for ExecuteError<E> {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Closed => Self::Closed,
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
