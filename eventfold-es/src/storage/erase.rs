//! What erasing a person's data needs of a storage: notes about the whole store, and the end of what was
//! folded from it.

use std::fmt;

use crate::event::StoredEvent;
use crate::ids::StreamId;
use crate::storage::Storage;
use crate::storage::error::{StorageError, StorageErrorKind, StorageResult};
use crate::storage::files::layout::{FORGETTING_FILE, KEYS_FILE};

/// A note about the whole store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Note {
    /// The store's name for its keys.
    Keys,
    /// The subjects that are being forgotten.
    Forgetting,
}

impl Note {
    /// What it is called in the storage.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Keys => KEYS_FILE,
            Self::Forgetting => FORGETTING_FILE,
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Storage {
    /// Fails if the data of a person cannot be erased here.
    pub(crate) fn check_can_erase(&self) -> StorageResult<()> {
        let why = match self {
            Self::Files(_) => return Ok(()),
            Self::Memory(memory) if !memory.is_shared() => return Ok(()),
            Self::Memory(_) => "in a memory that several stores share",
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => "on PostgreSQL",
        };
        let text = format!(
            "personal data cannot be kept in a store {why} yet, because the other processes that have the \
             store open would not erase what they hold: use a store in a directory, or leave `keys` out"
        );
        Err(StorageError::new(StorageErrorKind::Unsupported, text))
    }

    /// The content of a note, `None` if there is none.
    pub(crate) fn note(&self, note: Note) -> StorageResult<Option<Vec<u8>>> {
        match self {
            Self::Files(files) => files.note(note.name()),
            Self::Memory(memory) => Ok(memory.note(note.name())),
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => self.check_can_erase().map(|()| None),
        }
    }

    /// Replaces a note durably.
    pub(crate) fn replace_note(&self, note: Note, content: &[u8]) -> StorageResult<()> {
        match self {
            Self::Files(files) => files.replace_note(note.name(), content),
            Self::Memory(memory) => {
                memory.set_note(note.name(), Some(content));
                Ok(())
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => self.check_can_erase(),
        }
    }

    /// Removes a note durably.
    pub(crate) fn remove_note(&self, note: Note) -> StorageResult<()> {
        match self {
            Self::Files(files) => files.remove_note(note.name()),
            Self::Memory(memory) => {
                memory.set_note(note.name(), None);
                Ok(())
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => self.check_can_erase(),
        }
    }

    /// Passes the events up to the position `dropped`, which the log does not have any more, to `each`. Blocks.
    pub(crate) fn each_dropped(
        &self,
        dropped: u64,
        each: impl FnMut(StoredEvent<'_>),
    ) -> StorageResult<()> {
        match self {
            Self::Files(files) => files.each_dropped(dropped, each),
            Self::Memory(_) => Ok(()),
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => Ok(()),
        }
    }

    /// Removes the snapshots of these streams durably, and returns how many there were. Those that wait to be
    /// written are of no use any more, as they were read before the erasure. Blocks.
    pub(crate) fn remove_snapshots(&self, streams: &[StreamId]) -> StorageResult<u64> {
        match self {
            Self::Files(files) => files.remove_snapshots(streams),
            Self::Memory(memory) => Ok(memory.remove_snapshots(streams)),
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => self.check_can_erase().map(|()| 0),
        }
    }
}
