//! The log at the seam: the commits of all streams, in the order of their positions.

use std::ops::ControlFlow;

use crate::event::StoredEvent;
use crate::storage::error::{StorageError, StorageResult};
use crate::storage::files::journal::reader::Reader as FileReader;
use crate::storage::files::log::{FileCommitted, FileLog};
use crate::storage::memory::{MemoryCommitted, MemoryLog, MemoryReader};

/// The log of an open store. It does not keep the store open.
#[derive(Debug, Clone)]
pub(crate) enum Log {
    Files(FileLog),
    Memory(MemoryLog),
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
        }
    }

    /// The position of the newest durable event.
    pub(crate) fn head(&self) -> u64 {
        match self {
            Self::Files(log) => log.head(),
            Self::Memory(log) => log.head(),
        }
    }

    /// A reader of the log that starts after position `after`.
    pub(crate) fn reader(&self, after: u64) -> LogReader {
        match self {
            Self::Files(log) => LogReader::Files(log.reader(after)),
            Self::Memory(log) => LogReader::Memory(log.reader(after)),
        }
    }
}

/// A place in the log.
#[derive(Debug)]
pub(crate) enum LogReader {
    Files(FileReader),
    Memory(MemoryReader),
}

impl LogReader {
    /// Passes the commits up to the durable position `head` to `each`, in order, until `each`
    /// breaks off. A call of `each` gets the events of one commit in one stream. If `each` fails,
    /// the commit counts as not read.
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
                    if first < part.events.len()
                        && each(&Committed::Files(FileCommitted::new(&part, first)))?.is_break()
                    {
                        flow = ControlFlow::Break(());
                    }
                }
                Ok(flow)
            }),
            Self::Memory(reader) => {
                reader.read_to(head, |committed| each(&Committed::Memory(committed)))
            }
        }
    }

    /// The checksum of the history up to the last commit that was read; `None` if it is unknown.
    pub(crate) fn history(&self) -> Option<u64> {
        match self {
            Self::Files(reader) => reader.chain(),
            Self::Memory(reader) => reader.history().ok(),
        }
    }

    /// Moves to the durable `position` and returns the checksum of the history up to it; 0 for the
    /// beginning. `position` must not be before the position of the last call.
    pub(crate) fn history_at(&mut self, position: u64) -> StorageResult<u64> {
        match self {
            Self::Files(reader) => reader.chain_at(position),
            Self::Memory(reader) => reader.history_at(position),
        }
    }
}

/// The events of one commit in one stream that were not read before.
#[derive(Debug)]
pub(crate) enum Committed<'a> {
    Files(FileCommitted<'a>),
    Memory(MemoryCommitted<'a>),
}

impl Committed<'_> {
    pub(crate) fn aggregate_type(&self) -> &str {
        match self {
            Self::Files(committed) => committed.aggregate_type(),
            Self::Memory(committed) => committed.id().aggregate_type(),
        }
    }

    pub(crate) fn id(&self) -> &str {
        match self {
            Self::Files(committed) => committed.id(),
            Self::Memory(committed) => committed.id().id(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Files(committed) => committed.len(),
            Self::Memory(committed) => committed.len(),
        }
    }

    /// The position of the event with index `i`.
    pub(crate) fn position(&self, i: usize) -> u64 {
        match self {
            Self::Files(committed) => committed.position(i),
            Self::Memory(committed) => committed.position(i),
        }
    }

    /// The version of the event with index `i` in its stream.
    pub(crate) fn version(&self, i: usize) -> u64 {
        match self {
            Self::Files(committed) => committed.version(i),
            Self::Memory(committed) => committed.version(i),
        }
    }

    /// The position of the last event.
    pub(crate) fn last(&self) -> u64 {
        match self {
            Self::Files(committed) => committed.last(),
            Self::Memory(committed) => committed.position(committed.len() - 1),
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
        }
    }

    /// Passes the idempotency keys of the events to `each`. An event without a key is skipped.
    pub(crate) fn keys(&self, each: impl FnMut(&str)) {
        match self {
            Self::Files(committed) => committed.keys(each),
            Self::Memory(committed) => committed.keys(each),
        }
    }
}
