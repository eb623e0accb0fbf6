//! One event as the store has it: [`Entry`].

use std::ops::ControlFlow;
use std::time::SystemTime;

use crate::clock::from_unix_millis;
use crate::event::{RecordedEvent, StoredEvent};
use crate::storage::error::{StorageErrorKind, StorageResult};
use crate::storage::log::{BackwardReader, Committed, LogReader};

/// An event, with what the store has besides. A
/// [`StoreReader`](crate::inspect::StoreReader) passes it on as it reads.
///
/// ```
/// # use eventfold_es::{*, __private::example::*, inspect::StoreReader};
/// # use std::ops::ControlFlow;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let store = AggregateStore::open(dir.path()).await?;
/// let context = CommandContext::default().with_idempotency_key("payment-17");
/// store.get::<Counter>("c-1").await?.send_with(Add(5), context).await?;
/// StoreReader::open(dir.path())?.read(Position::default(), |entry| {
///     assert_eq!(entry.event().record().aggregate_type(), "counter");
///     assert_eq!(entry.idempotency_key(), Some("payment-17"));
///     assert!(entry.line().starts_with('{') && entry.committed().is_some());
///     assert_eq!(entry.to_recorded().version(), 1);
///     ControlFlow::Continue(())
/// })?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    event: StoredEvent<'a>,
    line: &'a str,
    /// Unix milliseconds. Unknown for an entry from a stream's file, and in a schema.
    committed: Option<u64>,
}

impl<'a> Entry<'a> {
    /// An event that was read from its stream.
    pub(super) fn of_stream(event: StoredEvent<'a>, line: &'a str) -> Self {
        Self {
            event,
            line,
            committed: None,
        }
    }

    /// The event, with its stream, version, position and origin.
    ///
    /// See the example of [`Entry`].
    #[must_use]
    pub fn event(&self) -> StoredEvent<'a> {
        self.event
    }

    /// The event's line, as the file of its stream or the table `events` has it, without the line end.
    ///
    /// See the example of [`Entry`].
    #[must_use]
    pub fn line(&self) -> &'a str {
        self.line
    }

    /// The idempotency key of the command that the event comes from, if it had one.
    ///
    /// See the example of [`Entry`].
    #[must_use]
    pub fn idempotency_key(&self) -> Option<&'a str> {
        self.event.record().key
    }

    /// When the event was committed. It never decreases from one event to the next. `None` in a schema of
    /// PostgreSQL, and for an entry of [`read_stream`](crate::inspect::StoreReader::read_stream) that
    /// comes from the stream's file: they do not have it.
    ///
    /// See the example of [`Entry`].
    #[must_use]
    pub fn committed(&self) -> Option<SystemTime> {
        self.committed.map(from_unix_millis)
    }

    /// The event with its own copy of the data.
    ///
    /// See the example of [`Entry`].
    #[must_use]
    pub fn to_recorded(&self) -> RecordedEvent {
        RecordedEvent::new(self.event)
    }
}

/// Passes the events after the place of `reader` up to `head` to `each`, until it breaks off.
pub(super) fn read_forwards(
    mut reader: LogReader,
    head: u64,
    mut each: impl FnMut(Entry<'_>) -> ControlFlow<()>,
) -> StorageResult<()> {
    let mut flow = ControlFlow::Continue(());
    let mut read = |reader: &mut LogReader| {
        reader.read_to(head, |committed| {
            for i in 0..committed.len() {
                // A commit is passed to its end.
                if flow.is_continue() {
                    flow = pass(committed, i, &mut each)?;
                }
            }
            StorageResult::Ok(flow)
        })
    };
    match read(&mut reader) {
        // A store that opens after a failed sync puts new files in the place of its segments. The next
        // attempt opens the new file, and goes on where this one stopped.
        Err(error) if error.kind() == StorageErrorKind::Damaged => read(&mut reader),
        done => done,
    }
}

/// Passes the events before the place of `reader` to `each`, the newest first, until it breaks off.
pub(super) fn read_backwards(
    mut reader: BackwardReader,
    mut each: impl FnMut(Entry<'_>) -> ControlFlow<()>,
) -> StorageResult<()> {
    let mut flow = ControlFlow::Continue(());
    let done = reader.read(|committed| {
        for i in (0..committed.len()).rev() {
            if flow.is_continue() {
                flow = pass(committed, i, &mut each)?;
            }
        }
        Ok(flow)
    });
    done.map(drop)
}

fn pass(
    committed: &Committed<'_>,
    i: usize,
    each: &mut impl FnMut(Entry<'_>) -> ControlFlow<()>,
) -> StorageResult<ControlFlow<()>> {
    committed.event_and_line(i, |event, line, committed| {
        each(Entry {
            event,
            line,
            committed,
        })
    })
}
