//! Records at the seam: the data that a projection or a process manager keeps besides the events.
//! A record is replaced as a whole, or it is a list of lines that grows.

use std::fmt;
use std::sync::Arc;

use crate::storage::error::{ErrorPlace, StorageError, StorageResult};
use crate::storage::files::lines::FileLines;
use crate::storage::files::records::FileRecords;
use crate::storage::memory::records::{MemoryLines, MemoryRecords};
#[cfg(feature = "postgres")]
use crate::storage::postgres::records::{PgLines, PgRecords};
use crate::storage::record_name::RecordName;
use crate::storage::term::Term;
use crate::text::Shown;

/// The records of one follower.
#[derive(Debug, Clone)]
pub(crate) enum Records {
    Files(FileRecords),
    Memory(MemoryRecords),
    #[cfg(feature = "postgres")]
    Postgres(PgRecords),
}

impl Records {
    /// The same records. Changes are refused once the term has ended. Invariant F11.
    pub(crate) fn within(self, term: &Arc<Term>) -> Self {
        match self {
            Self::Files(records) => Self::Files(records),
            Self::Memory(records) => Self::Memory(records.within(term)),
            #[cfg(feature = "postgres")]
            Self::Postgres(records) => Self::Postgres(records.within(term)),
        }
    }

    /// The content of a record, `None` if the record does not exist.
    pub(crate) fn read(&self, name: RecordName) -> StorageResult<Option<Vec<u8>>> {
        match self {
            Self::Files(records) => records.read(name),
            Self::Memory(records) => Ok(records.read(name)),
            #[cfg(feature = "postgres")]
            Self::Postgres(records) => records.read(name),
        }
    }

    /// The names of the existing records, sorted.
    pub(crate) fn names(&self) -> StorageResult<Vec<RecordName>> {
        match self {
            Self::Files(records) => records.names(),
            Self::Memory(records) => Ok(records.names()),
            #[cfg(feature = "postgres")]
            Self::Postgres(records) => records.names(),
        }
    }

    /// Makes the records durable as they can be read now. A process that was killed may have left them only in
    /// the system's memory.
    pub(crate) fn make_durable(&self) -> StorageResult<()> {
        match self {
            Self::Files(records) => records.make_durable(),
            Self::Memory(_) => Ok(()),
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => Ok(()),
        }
    }

    /// Replaces a record atomically and durably.
    pub(crate) fn replace(&self, name: RecordName, content: &[u8]) -> StorageResult<()> {
        match self {
            Self::Files(records) => records.replace(name, content),
            Self::Memory(records) => records.replace(name, content.to_vec()),
            #[cfg(feature = "postgres")]
            Self::Postgres(records) => records.replace(name, content),
        }
    }

    /// As [`replace`](Self::replace), for a state with the events up to `position`. If several stores
    /// save the same state, one with more events stays, and that is no error.
    pub(crate) fn replace_older(
        &self,
        name: RecordName,
        position: u64,
        content: &[u8],
    ) -> StorageResult<()> {
        match self {
            Self::Files(records) => records.replace(name, content),
            Self::Memory(records) => records.replace_older(name, position, content.to_vec()),
            #[cfg(feature = "postgres")]
            Self::Postgres(records) => records.replace_older(name, position, content),
        }
    }

    /// The position that a record was last replaced with by [`replace_older`](Self::replace_older), where
    /// several stores may replace it.
    #[cfg_attr(
        not(feature = "postgres"),
        expect(clippy::unnecessary_wraps, reason = "a server can fail")
    )]
    pub(crate) fn position(&self, name: RecordName) -> StorageResult<Option<u64>> {
        match self {
            Self::Files(_) => Ok(None),
            Self::Memory(records) => Ok(records.position(name)),
            #[cfg(feature = "postgres")]
            Self::Postgres(records) => records.position(name),
        }
    }

    pub(crate) fn remove(&self, name: RecordName) -> StorageResult<()> {
        match self {
            Self::Files(records) => records.remove(name),
            Self::Memory(records) => records.remove(name),
            #[cfg(feature = "postgres")]
            Self::Postgres(records) => records.remove(name),
        }
    }

    /// Removes what interrupted attempts to replace records left, durably.
    #[cfg(feature = "personal")]
    pub(crate) fn remove_temporaries(&self) -> StorageResult<()> {
        match self {
            Self::Files(records) => records.remove_temporaries(),
            Self::Memory(_) => Ok(()),
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => Ok(()),
        }
    }

    /// As [`remove`](Self::remove), durably, with what an interrupted attempt to replace it left.
    #[cfg(feature = "personal")]
    pub(crate) fn remove_durably(&self, name: RecordName) -> StorageResult<()> {
        match self {
            Self::Files(records) => records.remove_durably(name),
            Self::Memory(records) => records.remove(name),
            #[cfg(feature = "postgres")]
            Self::Postgres(records) => records.remove(name),
        }
    }

    /// A record that takes further lines, and its content.
    pub(crate) fn lines(&self, name: RecordName) -> StorageResult<(Lines, Vec<u8>)> {
        Ok(match self {
            Self::Files(records) => {
                let (lines, content) = records.lines(name)?;
                (Lines::Files(lines), content)
            }
            Self::Memory(records) => {
                let lines = records.lines(name);
                let content = lines.read();
                (Lines::Memory(lines), content)
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(records) => {
                let (lines, content) = records.lines(name)?;
                (Lines::Postgres(lines), content)
            }
        })
    }

    /// A record that takes further lines. Its old content is no longer needed.
    pub(crate) fn empty_lines(&self, name: RecordName) -> Lines {
        match self {
            Self::Files(records) => Lines::Files(records.empty_lines(name)),
            Self::Memory(records) => Lines::Memory(records.empty_lines(name)),
            #[cfg(feature = "postgres")]
            Self::Postgres(records) => Lines::Postgres(records.empty_lines(name)),
        }
    }

    /// Where a record is, for error messages.
    pub(crate) fn place(&self, name: RecordName) -> impl fmt::Display {
        let place = match self {
            Self::Files(records) => records.path(name).to_string_lossy().into_owned(),
            Self::Memory(records) => records.place(name),
            #[cfg(feature = "postgres")]
            Self::Postgres(records) => records.place(name),
        };
        Shown(&place).to_string()
    }

    /// Where all records of the follower are, for error messages, as [`place`](Self::place).
    pub(crate) fn all(&self) -> impl fmt::Display {
        let place = match self {
            Self::Files(records) => records.dir().to_string_lossy().into_owned(),
            Self::Memory(records) => records.owner().to_owned(),
            #[cfg(feature = "postgres")]
            Self::Postgres(records) => records.all(),
        };
        Shown(&place).to_string()
    }

    /// The error for a record that is damaged at the byte `offset`.
    pub(crate) fn damaged(&self, name: RecordName, offset: u64, cause: &str) -> StorageError {
        let advice = match name {
            RecordName::Checkpoint(_) | RecordName::OldCheckpoint | RecordName::Restored => {
                "a projection is built again by itself; for a process manager, restore the whole \
                 directory from a copy"
            }
            RecordName::DeadLetters => "restore the whole directory from a copy",
            RecordName::Skipped(_) => "only what this line told is lost",
        };
        StorageError::damaged_at(self.error_place(name), offset, cause).with_advice(advice)
    }

    /// Where a record is, for errors.
    fn error_place(&self, name: RecordName) -> ErrorPlace {
        match self {
            Self::Files(records) => ErrorPlace::File(records.path(name)),
            Self::Memory(records) => ErrorPlace::Record(records.place(name)),
            #[cfg(feature = "postgres")]
            Self::Postgres(records) => ErrorPlace::Record(records.place(name)),
        }
    }
}

/// A record that takes further lines. Each line is made durable by itself.
#[derive(Debug)]
pub(crate) enum Lines {
    Files(FileLines),
    Memory(MemoryLines),
    #[cfg(feature = "postgres")]
    Postgres(PgLines),
}

impl Lines {
    /// The length of the content in bytes.
    pub(crate) fn length(&self) -> u64 {
        match self {
            Self::Files(lines) => lines.length(),
            Self::Memory(lines) => lines.length(),
            #[cfg(feature = "postgres")]
            Self::Postgres(lines) => lines.length(),
        }
    }

    pub(crate) fn read(&self) -> StorageResult<Vec<u8>> {
        match self {
            Self::Files(lines) => lines.read(),
            Self::Memory(lines) => Ok(lines.read()),
            #[cfg(feature = "postgres")]
            Self::Postgres(lines) => lines.read(),
        }
    }

    /// Adds `line` durably. `line` includes its line end.
    pub(crate) fn add(&mut self, line: Vec<u8>) -> StorageResult<()> {
        match self {
            Self::Files(lines) => lines.add(line),
            Self::Memory(lines) => lines.add(&line),
            #[cfg(feature = "postgres")]
            Self::Postgres(lines) => lines.add(line),
        }
    }

    /// Replaces the content atomically and durably.
    pub(crate) fn replace(&mut self, content: &[u8]) -> StorageResult<()> {
        match self {
            Self::Files(lines) => lines.replace(content),
            Self::Memory(lines) => lines.replace(content),
            #[cfg(feature = "postgres")]
            Self::Postgres(lines) => lines.replace(content),
        }
    }

    /// Removes what a failed change may have left, and makes the rest durable.
    pub(crate) fn tidy(&mut self) -> StorageResult<()> {
        match self {
            Self::Files(lines) => lines.tidy(),
            Self::Memory(_) => Ok(()),
            #[cfg(feature = "postgres")]
            Self::Postgres(lines) => lines.tidy(),
        }
    }
}
