//! A commit: events that are stored together or not at all, those of one command in most cases.

use std::io;
use std::sync::Arc;

use crate::error::{ExecuteError, StateError, TogetherError};
use crate::storage::condition::{Clause, HandedOver};
use crate::storage::encoding::event_line::EncodedEvents;
use crate::storage::error::{StorageError, StorageErrorKind};
use crate::storage::snapshot::Draft;
use crate::storage::term::Term;

/// How often a command is decided at most, unless the builder says otherwise.
pub(crate) const CONFLICT_ROUNDS: u32 = 16;

/// A request to store the events of one command. The encoded events are passed beside it.
pub(crate) struct Commit {
    /// The activation that decided the events.
    pub(crate) epoch: u64,
    /// The version of the stream that the events were decided on.
    pub(crate) expected: u64,
    /// A snapshot of the state after these events. It is saved once they are durable.
    pub(crate) snapshot: Option<Box<Draft>>,
    /// Once this term has ended, the answer is [`CommitError::Conflict`] and nothing is stored.
    pub(crate) term: Option<Arc<Term>>,
    pub(crate) done: Done,
}

/// Takes the answer to a request: the position of the last event that the answer depends on. It
/// runs on a thread of the storage and must not block.
pub(crate) type Done = Box<dyn FnOnce(Result<u64, CommitError>) + Send>;

/// A request to store events of several streams, and of no stream. `S` is a stream.
pub(crate) struct GroupCommit<S> {
    /// Each stream at most once.
    pub(crate) streams: Vec<StreamPart<S>>,
    /// Events that belong to no stream.
    pub(crate) of_none: Option<EncodedEvents>,
    /// If one of these does not hold, the answer is [`CommitError::ConditionFailed`].
    pub(crate) condition: Vec<Clause>,
    /// Learns what becomes of the commit before any later commit is examined.
    pub(crate) handed_over: Option<Arc<HandedOver>>,
    /// As that of a [`Commit`]. Without streams the answer is [`CommitError::ConditionFailed`].
    pub(crate) term: Option<Arc<Term>>,
    /// It is of an import, and is refused once the store has lost the turn to import.
    pub(crate) is_imported: bool,
    pub(crate) done: GroupDone,
}

/// The part of a group that concerns one stream.
pub(crate) struct StreamPart<S> {
    pub(crate) stream: S,
    /// The activation that decided the events.
    pub(crate) epoch: u64,
    /// The version of the stream that the events were decided on.
    pub(crate) expected: u64,
    /// Empty if the stream only has to be at the expected version.
    pub(crate) events: EncodedEvents,
    /// A snapshot of the state after these events. It is saved once they are durable.
    pub(crate) snapshot: Option<Box<Draft>>,
}

/// Takes the answer to a group: the position of the last event of each stream, in the order of the
/// streams, then the newest position at the time of the commit, which is that of the last event of no
/// stream if there is one. A stream without events in the group has the position of its last durable
/// event. Runs as [`Done`] does.
pub(crate) type GroupDone = Box<dyn FnOnce(Result<Vec<u64>, CommitError>) + Send>;

impl<S> GroupCommit<S> {
    /// The same request with other values for its streams, `None` if a stream has none.
    pub(crate) fn map_streams<T>(self, map: impl Fn(S) -> Option<T>) -> Option<GroupCommit<T>> {
        let streams = self.streams.into_iter().map(|part| {
            Some(StreamPart {
                stream: map(part.stream)?,
                epoch: part.epoch,
                expected: part.expected,
                events: part.events,
                snapshot: part.snapshot,
            })
        });
        Some(GroupCommit {
            streams: streams.collect::<Option<_>>()?,
            of_none: self.of_none,
            condition: self.condition,
            handed_over: self.handed_over,
            term: self.term,
            is_imported: self.is_imported,
            done: self.done,
        })
    }

    /// Notes the position of the last event for those that depend on this commit.
    pub(crate) fn place(&self, position: u64) {
        if let Some(handed_over) = &self.handed_over {
            handed_over.place(position);
        }
    }

    /// Notes the failure for those that depend on this commit.
    pub(crate) fn fail(&self) {
        if let Some(handed_over) = &self.handed_over {
            handed_over.fail();
        }
    }

    /// How many bytes the events take.
    pub(crate) fn size(&self) -> usize {
        let parts = self.streams.iter().map(|part| part.events.size());
        parts.sum::<usize>() + self.of_none.as_ref().map_or(0, EncodedEvents::size)
    }

    /// Whether an event has tags, or an idempotency key that no stream has.
    pub(crate) fn is_tagged(&self) -> bool {
        let mut parts = self.streams.iter();
        self.of_none.is_some() || parts.any(|part| part.events.is_tagged())
    }

    /// How many events there are.
    pub(crate) fn count(&self) -> u64 {
        let parts = self.streams.iter().map(|part| part.events.count());
        parts.sum::<u64>() + self.of_none.as_ref().map_or(0, EncodedEvents::count)
    }
}

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
    /// Nothing of the commit is stored: an event is stored that its condition excludes, or a commit is
    /// not stored that the condition is based on.
    #[error("an event is stored that the condition excludes")]
    ConditionFailed,
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
            CommitError::Conflict { .. } | CommitError::ConditionFailed => {
                Self::new(StorageErrorKind::Busy, error)
            }
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
            CommitError::Conflict { .. } | CommitError::ConditionFailed => Self::Conflict,
            CommitError::Unknown(_) => Self::OutcomeUnknown(error.to_io()),
            error => Self::Io(error.to_io()),
        }
    }
}

impl From<CommitError> for TogetherError {
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
