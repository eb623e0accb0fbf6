//! One event as the journal has it: [`Entry`].

use std::ops::ControlFlow;
use std::time::SystemTime;

use crate::clock::from_unix_millis;
use crate::event::{RecordedEvent, StoredEvent};
use crate::storage::error::{StorageErrorKind, StorageResult};
use crate::storage::files::format::commit_line::Part;
use crate::storage::files::journal::backward::BackwardReader;
use crate::storage::files::journal::reader::Reader;
use crate::storage::files::observe::ObservedJournal;

/// An event, with what the journal has besides. A
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
    /// Unix milliseconds. Unknown for an entry from a stream's file.
    committed: Option<u64>,
}

impl<'a> Entry<'a> {
    /// An event that was read from the file of its stream.
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

    /// The event's line, as the file of its stream has it, without the line end.
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

    /// When the event was committed. It never decreases from one event to the next. `None` for an
    /// entry of [`read_stream`](crate::inspect::StoreReader::read_stream) that comes from the stream's
    /// file, which does not have it.
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

/// Passes the events after `after` to `each`, until it breaks off.
pub(super) fn read_forwards(
    journal: &ObservedJournal,
    after: u64,
    mut each: impl FnMut(Entry<'_>) -> ControlFlow<()>,
) -> StorageResult<()> {
    let mut reader = Reader::new(journal.index().clone(), after);
    let mut read = |reader: &mut Reader| {
        reader.read_to(journal.head(), |commit, first| {
            for part in commit.parts() {
                for i in part.first_of(first)..part.events.len() {
                    if pass(&part, i, commit.ms, &mut each)?.is_break() {
                        return StorageResult::Ok(ControlFlow::Break(()));
                    }
                }
            }
            Ok(ControlFlow::Continue(()))
        })
    };
    match read(&mut reader) {
        // A store that opens after a failed sync puts new files in the place of its segments. The next
        // attempt opens the new file, and goes on where this one stopped.
        Err(error) if error.kind() == StorageErrorKind::Damaged => read(&mut reader),
        done => done,
    }
}

/// Passes the events before `before`, or all, to `each`, the newest first, until it breaks off.
pub(super) fn read_backwards(
    journal: &ObservedJournal,
    before: Option<u64>,
    mut each: impl FnMut(Entry<'_>) -> ControlFlow<()>,
) -> StorageResult<()> {
    let newest = journal.head() + 1;
    let before = before.map_or(newest, |before| before.min(newest));
    let mut reader = BackwardReader::new(journal.index().clone(), before);
    let done = reader.read(|commit, wanted| {
        let parts: Vec<_> = commit.parts().collect();
        for part in parts.iter().rev() {
            for i in (0..part.wanted_of(wanted)).rev() {
                if pass(part, i, commit.ms, &mut each)?.is_break() {
                    return StorageResult::Ok(ControlFlow::Break(()));
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    });
    done.map(drop)
}

fn pass(
    part: &Part<'_, '_>,
    i: usize,
    committed: u64,
    each: &mut impl FnMut(Entry<'_>) -> ControlFlow<()>,
) -> StorageResult<ControlFlow<()>> {
    let line = part.events[i].get();
    part.read_event(i, |event| {
        each(Entry {
            event,
            line,
            committed: Some(committed),
        })
    })
}
