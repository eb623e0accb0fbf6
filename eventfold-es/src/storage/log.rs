//! The log at the seam: the commits of all streams, in the order of their positions.

use std::ops::ControlFlow;

use crate::event::StoredEvent;
use crate::storage::error::{StorageError, StorageErrorKind, StorageResult};
use crate::storage::files::journal::backward::BackwardReader as FileBackwardReader;
use crate::storage::files::journal::reader::Reader as FileReader;
use crate::storage::files::log::{FileCommitted, FileLog};
use crate::storage::memory::{MemoryBackwardReader, MemoryCommitted, MemoryLog, MemoryReader};
#[cfg(feature = "postgres")]
use crate::storage::postgres::log::{PgBackwardReader, PgCommitted, PgLog, PgReader};

/// The log of an open store. It does not keep the store open.
#[derive(Debug, Clone)]
pub(crate) enum Log {
    Files(FileLog),
    Memory(MemoryLog),
    #[cfg(feature = "postgres")]
    Postgres(PgLog),
}

impl Log {
    /// Waits until an event at `position` or after it is durable, and returns the position of the
    /// newest durable event.
    ///
    /// # Errors
    ///
    /// Why no such event will be durable: the store was shut down, or has failed.
    pub(crate) async fn reached(&self, position: u64) -> StorageResult<u64> {
        match self {
            Self::Files(log) => log.reached(position).await,
            Self::Memory(log) => log.reached(position).await,
            #[cfg(feature = "postgres")]
            Self::Postgres(log) => log.reached(position).await,
        }
    }

    /// The position of the newest durable event.
    pub(crate) fn head(&self) -> u64 {
        match self {
            Self::Files(log) => log.head(),
            Self::Memory(log) => log.head(),
            #[cfg(feature = "postgres")]
            Self::Postgres(log) => log.head(),
        }
    }

    /// A reader of the log that starts after position `after`.
    pub(crate) fn reader(&self, after: u64) -> LogReader {
        match self {
            Self::Files(log) => LogReader::Files(log.reader(after)),
            Self::Memory(log) => LogReader::Memory(log.reader(after)),
            #[cfg(feature = "postgres")]
            Self::Postgres(log) => LogReader::Postgres(log.reader(after)),
        }
    }
}

impl Log {
    /// A reader of the log from its newest event, or from before the position `before`, back to the
    /// beginning. `before` must not be after the newest durable event.
    pub(crate) fn backward_reader(&self, before: Option<u64>) -> BackwardReader {
        match self {
            Self::Files(log) => BackwardReader::Files(log.backward_reader(before)),
            Self::Memory(log) => BackwardReader::Memory(log.backward_reader(before)),
            #[cfg(feature = "postgres")]
            Self::Postgres(log) => BackwardReader::Postgres(log.backward_reader(before)),
        }
    }

    /// How many events are after the position `after`, up to the durable position `until`; 0 if
    /// `until` is not after it. This is cheap, however many there are.
    pub(crate) fn count_between(&self, after: u64, until: u64) -> u64 {
        match self {
            Self::Files(_) => FileLog::count_between(after, until),
            Self::Memory(log) => log.count_between(after, until),
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => PgLog::count_between(after, until),
        }
    }

    /// The position before which the commits end that are whole at the durable `position`: it is just
    /// after `position`, or the position of the first event of the commit that `position` is within.
    /// This reads one or two commits.
    pub(crate) fn end_of_commits(&self, position: u64) -> StorageResult<u64> {
        let mut first = None;
        self.backward_reader(Some(position + 1)).read(|committed| {
            first = Some(committed.position(0));
            Ok(ControlFlow::Break(()))
        })?;
        let Some(first) = first else {
            return Ok(position + 1);
        };
        let mut last = first;
        self.reader(first - 1).read_to(first, |committed| {
            last = committed.last();
            StorageResult::Ok(ControlFlow::Continue(()))
        })?;
        Ok(if last > position { first } else { position + 1 })
    }

    /// Fails if `position` is after the newest durable event.
    pub(crate) fn check_stored(&self, position: u64) -> StorageResult<()> {
        let head = self.head();
        if position > head {
            let text =
                format!("position {position} is ahead of the newest event, which is at {head}");
            return Err(StorageError::new(StorageErrorKind::InvalidInput, text));
        }
        Ok(())
    }

    pub(crate) fn is_closed(&self) -> bool {
        match self {
            Self::Files(log) => log.is_closed(),
            Self::Memory(log) => log.is_closed(),
            #[cfg(feature = "postgres")]
            Self::Postgres(log) => log.is_closed(),
        }
    }
}

/// A place in the log that moves towards the beginning.
#[derive(Debug)]
pub(crate) enum BackwardReader {
    Files(FileBackwardReader),
    Memory(MemoryBackwardReader),
    #[cfg(feature = "postgres")]
    Postgres(PgBackwardReader),
}

impl BackwardReader {
    /// Passes the commits to `each`, the newest first, until `each` breaks off. A call of `each`
    /// gets the events of one commit in one stream. A commit is passed to its beginning, also if `each`
    /// breaks off within it. If `each` fails, the commit counts as not read. Returns whether the
    /// beginning of the log is reached.
    ///
    /// # Errors
    ///
    /// If the log cannot be read, or `each` fails.
    pub(crate) fn read(
        &mut self,
        mut each: impl FnMut(&Committed<'_>) -> StorageResult<ControlFlow<()>>,
    ) -> StorageResult<bool> {
        match self {
            Self::Files(reader) => reader.read(|commit, wanted| {
                let mut flow = ControlFlow::Continue(());
                let parts: Vec<_> = commit.parts().collect();
                // A commit is read to its end, even if `each` breaks off at one of its parts.
                for part in parts.iter().rev() {
                    let count = part.wanted_of(wanted);
                    let committed = FileCommitted::first_of(part, count, commit.ms);
                    if count > 0 && each(&Committed::Files(committed))?.is_break() {
                        flow = ControlFlow::Break(());
                    }
                }
                Ok(flow)
            }),
            Self::Memory(reader) => reader.read(|committed| each(&Committed::Memory(committed))),
            #[cfg(feature = "postgres")]
            Self::Postgres(reader) => {
                reader.read(|committed| each(&Committed::Postgres(committed)))
            }
        }
    }
}

/// A place in the log.
#[derive(Debug)]
pub(crate) enum LogReader {
    Files(FileReader),
    Memory(MemoryReader),
    #[cfg(feature = "postgres")]
    Postgres(PgReader),
}

impl LogReader {
    /// Passes the commits up to the durable position `head` to `each`, in order, until `each`
    /// breaks off. A call of `each` gets the events of one commit in one stream. A commit is passed to
    /// its end, also if `head` is within it or `each` breaks off within it. If `each` fails, the commit
    /// counts as not read.
    ///
    /// # Errors
    ///
    /// If the log cannot be read, or `each` fails.
    pub(crate) fn read_to<E: From<StorageError>>(
        &mut self,
        head: u64,
        mut each: impl FnMut(&Committed<'_>) -> Result<ControlFlow<()>, E>,
    ) -> Result<(), E> {
        match self {
            Self::Files(reader) => reader.read_to(head, |commit, first| {
                let mut flow = ControlFlow::Continue(());
                // A commit is read to its end, even if `each` breaks off at one of its parts.
                for part in commit.parts() {
                    let first = part.first_of(first);
                    let committed = FileCommitted::new(&part, first, commit.ms);
                    if first < part.events.len() && each(&Committed::Files(committed))?.is_break() {
                        flow = ControlFlow::Break(());
                    }
                }
                Ok(flow)
            }),
            Self::Memory(reader) => {
                reader.read_to(head, |committed| each(&Committed::Memory(committed)))
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(reader) => {
                reader.read_to(head, |committed| each(&Committed::Postgres(committed)))
            }
        }
    }

    /// The checksum of the history up to the last commit that was read; `None` if it is unknown.
    pub(crate) fn history(&self) -> Option<u64> {
        match self {
            Self::Files(reader) => reader.chain(),
            Self::Memory(reader) => reader.history().ok(),
            #[cfg(feature = "postgres")]
            Self::Postgres(reader) => reader.history(),
        }
    }

    /// Moves to the durable `position` and returns the checksum of the history up to it; 0 for the
    /// beginning. `position` must not be before the position of the last call.
    pub(crate) fn history_at(&mut self, position: u64) -> StorageResult<u64> {
        match self {
            Self::Files(reader) => reader.chain_at(position),
            Self::Memory(reader) => reader.history_at(position),
            #[cfg(feature = "postgres")]
            Self::Postgres(reader) => reader.history_at(position),
        }
    }
}

/// The wanted events of one commit in one stream.
#[derive(Debug)]
pub(crate) enum Committed<'a> {
    Files(FileCommitted<'a>),
    Memory(MemoryCommitted<'a>),
    #[cfg(feature = "postgres")]
    Postgres(PgCommitted<'a>),
}

impl Committed<'_> {
    pub(crate) fn aggregate_type(&self) -> &str {
        match self {
            Self::Files(committed) => committed.aggregate_type(),
            Self::Memory(committed) => committed.id().aggregate_type(),
            #[cfg(feature = "postgres")]
            Self::Postgres(committed) => committed.aggregate_type(),
        }
    }

    pub(crate) fn id(&self) -> &str {
        match self {
            Self::Files(committed) => committed.id(),
            Self::Memory(committed) => committed.id().id(),
            #[cfg(feature = "postgres")]
            Self::Postgres(committed) => committed.id(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Files(committed) => committed.len(),
            Self::Memory(committed) => committed.len(),
            #[cfg(feature = "postgres")]
            Self::Postgres(committed) => committed.len(),
        }
    }

    /// The position of the event with index `i`.
    pub(crate) fn position(&self, i: usize) -> u64 {
        match self {
            Self::Files(committed) => committed.position(i),
            Self::Memory(committed) => committed.position(i),
            #[cfg(feature = "postgres")]
            Self::Postgres(committed) => committed.position(i),
        }
    }

    /// The version of the event with index `i` in its stream.
    pub(crate) fn version(&self, i: usize) -> u64 {
        match self {
            Self::Files(committed) => committed.version(i),
            Self::Memory(committed) => committed.version(i),
            #[cfg(feature = "postgres")]
            Self::Postgres(committed) => committed.version(i),
        }
    }

    /// The position of the last event.
    pub(crate) fn last(&self) -> u64 {
        match self {
            Self::Files(committed) => committed.last(),
            Self::Memory(committed) => committed.position(committed.len() - 1),
            #[cfg(feature = "postgres")]
            Self::Postgres(committed) => committed.position(committed.len() - 1),
        }
    }

    /// Passes the event with index `i` to `read`.
    ///
    /// # Errors
    ///
    /// If the bytes are not an event, with the position.
    pub(crate) fn event<T>(
        &self,
        i: usize,
        read: impl FnOnce(StoredEvent<'_>) -> T,
    ) -> StorageResult<T> {
        match self {
            Self::Files(committed) => committed.event(i, read),
            Self::Memory(committed) => committed.event(i, read),
            #[cfg(feature = "postgres")]
            Self::Postgres(committed) => committed.event(i, read),
        }
    }

    /// Which of the commit's events the event with index `i` is, from 1 on, and how many the commit has.
    pub(crate) fn place_in_commit(&self, i: usize) -> (u64, u64) {
        match self {
            Self::Files(committed) => committed.place_in_commit(i),
            Self::Memory(committed) => committed.place_in_commit(i),
            #[cfg(feature = "postgres")]
            Self::Postgres(committed) => committed.place_in_commit(i),
        }
    }

    /// As [`event`](Self::event), with the fingerprint of the command as it is stored.
    pub(crate) fn event_and_command<T>(
        &self,
        i: usize,
        read: impl FnOnce(StoredEvent<'_>, Option<&str>) -> T,
    ) -> StorageResult<T> {
        match self {
            Self::Files(committed) => committed.event_and_command(i, read),
            Self::Memory(committed) => committed.event_and_command(i, read),
            #[cfg(feature = "postgres")]
            Self::Postgres(committed) => committed.event_and_command(i, read),
        }
    }

    /// As [`event`](Self::event), with the event's line, and with the time of the commit in milliseconds
    /// since 1970, where the storage has it.
    pub(crate) fn event_and_line<T>(
        &self,
        i: usize,
        read: impl FnOnce(StoredEvent<'_>, &str, Option<u64>) -> T,
    ) -> StorageResult<T> {
        match self {
            Self::Files(committed) => committed.event_and_line(i, read),
            Self::Memory(committed) => committed.event_and_line(i, read),
            #[cfg(feature = "postgres")]
            Self::Postgres(committed) => committed.event_and_line(i, read),
        }
    }

    /// Passes the idempotency keys of the events to `each`. An event without a key is skipped.
    pub(crate) fn keys(&self, each: impl FnMut(&str)) {
        match self {
            Self::Files(committed) => committed.keys(each),
            Self::Memory(committed) => committed.keys(each),
            #[cfg(feature = "postgres")]
            Self::Postgres(committed) => committed.keys(each),
        }
    }
}
