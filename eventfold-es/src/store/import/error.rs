//! Why an import ended: [`ImportError`].

use std::io;

use crate::ids::{Position, StreamId, Version};
use crate::storage::commit::CommitError;
use crate::storage::error::StorageError;

/// Why lines were not [imported](crate::AggregateStore::import). What the lines before say is stored, and
/// nothing else. Once the cause is mended, import all lines again: those that are stored are passed over.
///
/// ```
/// # use eventfold_es::*;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let store = AggregateStore::in_memory().open().await?;
/// let lines = std::io::Cursor::new("{\"eventfold\":1,\"event\"");
/// let error = store.import(lines).await.unwrap_err();
/// assert!(matches!(error, ImportError::Line { line: 1, .. }));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// A line cannot be imported.
    #[error("line {line}: {reason}")]
    Line {
        /// Its number, from 1 on.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },

    /// An event does not fit the end of its stream: the store has other events there, or events before
    /// it are missing.
    #[error(
        "line {line}: this is version {stated} of stream {stream}, which is at version {actual} in this \
         store"
    )]
    Version {
        /// The number of the line, from 1 on.
        line: u64,
        /// The stream.
        stream: StreamId,
        /// The version that the line states.
        stated: Version,
        /// The version of the stream.
        actual: Version,
    },

    /// An event would get another position than its line states, and positions are to be
    /// [kept](crate::Import::keep_positions), or have to be because process managers come along.
    #[error(
        "line {line}: this event is at position {stated}, and would be at {next} in this store"
    )]
    Position {
        /// The number of the line, from 1 on.
        line: u64,
        /// The position that the line states.
        stated: Position,
        /// The position that it would get, or has got because another commit came first.
        next: Position,
    },

    /// [`map`](crate::Import::map) failed.
    #[error("line {line}: {source}")]
    Map {
        /// The number of the line, from 1 on.
        line: u64,
        /// Its error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },

    /// It is not decided what a process manager makes of the events, or it cannot be so. Nothing was
    /// imported, unless the text says that lines are cut off.
    #[error("{0}")]
    ProcessManagers(io::Error),

    /// The lines could not be read.
    #[error("cannot read line {line}: {source}")]
    Input {
        /// The number of the line, from 1 on.
        line: u64,
        /// The error.
        source: io::Error,
    },

    /// The events could not be stored, or the store could not be read. As for
    /// [`ExecuteError::Io`](crate::ExecuteError::Io).
    #[error("I/O error: {0}")]
    Io(#[from] io::Error),

    /// The disk failed, or the server was lost, while events were made durable. It is unknown which of
    /// the last events are stored. Import again, on files after the store was opened again.
    #[error("it is unknown whether the last events are stored: {0}")]
    OutcomeUnknown(io::Error),

    /// The store is shut down.
    #[error("the store is shut down")]
    Closed,
}

impl ImportError {
    pub(crate) fn line(line: u64, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self::Line { line, reason }
    }

    /// What is undecided of process managers, or the error from looking for them.
    pub(super) fn of_managers(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::InvalidInput => Self::ProcessManagers(error),
            _ => Self::Io(error),
        }
    }

    /// The error of the commit that begins in `line`.
    pub(crate) fn of_commit(line: u64, error: CommitError) -> Self {
        match error {
            CommitError::Closed => Self::Closed,
            CommitError::Unknown(_) => Self::OutcomeUnknown(error.to_io()),
            CommitError::Conflict { .. } | CommitError::Superseded => {
                let reason = "others stored events in its streams meanwhile: import again";
                Self::line(line, reason)
            }
            error => Self::Io(error.to_io()),
        }
    }
}

impl From<StorageError> for ImportError {
    fn from(error: StorageError) -> Self {
        use crate::storage::error::StorageErrorKind;
        match error.kind() {
            StorageErrorKind::Closed => Self::Closed,
            _ => Self::Io(error.into()),
        }
    }
}

/// By the kind: lines that cannot be read are [`InvalidData`](io::ErrorKind::InvalidData), lines that do
/// not fit the store and what is undecided are [`InvalidInput`](io::ErrorKind::InvalidInput).
impl From<ImportError> for io::Error {
    fn from(error: ImportError) -> Self {
        let kind = match &error {
            ImportError::Line { .. } => io::ErrorKind::InvalidData,
            ImportError::Version { .. }
            | ImportError::Position { .. }
            | ImportError::Map { .. }
            | ImportError::ProcessManagers(_) => io::ErrorKind::InvalidInput,
            ImportError::Input { source, .. } => source.kind(),
            ImportError::Io(error) | ImportError::OutcomeUnknown(error) => error.kind(),
            ImportError::Closed => io::ErrorKind::NotConnected,
        };
        Self::new(kind, error)
    }
}
