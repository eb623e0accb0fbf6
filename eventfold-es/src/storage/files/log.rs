//! The journal at the seam: [`FileLog`], and one of its commits, [`FileCommitted`].

use std::borrow::Cow;
use std::sync::Arc;

use serde::Deserialize;

use crate::event::{Number, StoredEvent};
use crate::storage::error::StorageResult;
use crate::storage::files::format::commit_line::Part;
use crate::storage::files::journal::Index;
use crate::storage::files::journal::backward::BackwardReader;
use crate::storage::files::journal::reader::Reader;
use crate::storage::health::Health;

/// The journal's durable head and its segments. It does not keep the store open. Invariant S4.
#[derive(Debug, Clone)]
pub(crate) struct FileLog {
    pub(crate) health: Arc<Health>,
    pub(crate) index: Arc<Index>,
}

impl FileLog {
    pub(crate) async fn reached(&self, position: u64) -> StorageResult<u64> {
        self.health.reached(position).await
    }

    pub(crate) fn head(&self) -> u64 {
        self.health.head()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.health.is_closed()
    }

    pub(crate) fn reader(&self, after: u64) -> Reader {
        Reader::new(self.index.clone(), after)
    }

    pub(crate) fn backward_reader(&self, before: Option<u64>) -> BackwardReader {
        let before = before.unwrap_or_else(|| self.head() + 1);
        BackwardReader::new(self.index.clone(), before)
    }

    /// Each event has a position. Invariant C8.
    pub(crate) fn count_between(after: u64, until: u64) -> u64 {
        until.saturating_sub(after)
    }
}

/// The wanted events of one commit in one stream, or in no stream.
#[derive(Debug)]
pub(crate) struct FileCommitted<'a> {
    part: &'a Part<'a, 'a>,
    first: usize,
    /// The index after the last event.
    end: usize,
    /// The time of the commit, in milliseconds since 1970.
    ms: Number<'a>,
}

/// The idempotency key in an event's line.
#[derive(Deserialize)]
struct Keyed<'a> {
    #[serde(borrow)]
    key: Option<Cow<'a, str>>,
}

impl<'a> FileCommitted<'a> {
    /// The events of `part` from the index `first` on. Their commit is of the time `ms`.
    pub(crate) fn new(part: &'a Part<'a, 'a>, first: usize, ms: Number<'a>) -> Self {
        Self {
            part,
            first,
            end: part.events.len(),
            ms,
        }
    }

    /// The first `count` events of `part`. Their commit is of the time `ms`.
    pub(crate) fn first_of(part: &'a Part<'a, 'a>, count: usize, ms: Number<'a>) -> Self {
        Self {
            part,
            first: 0,
            end: count,
            ms,
        }
    }

    pub(crate) fn aggregate_type(&self) -> &str {
        self.part.aggregate_type
    }

    pub(crate) fn id(&self) -> &str {
        self.part.id
    }

    pub(crate) fn len(&self) -> usize {
        self.end - self.first
    }

    pub(crate) fn position(&self, i: usize) -> u64 {
        self.part.position + (self.first + i) as u64
    }

    pub(crate) fn version(&self, i: usize) -> u64 {
        self.part.version + (self.first + i) as u64
    }

    pub(crate) fn last(&self) -> u64 {
        self.part.position + self.end as u64 - 1
    }

    pub(crate) fn place_in_commit(&self, i: usize) -> (u64, u64) {
        self.part.place_in_commit(self.first + i)
    }

    pub(crate) fn event<T>(
        &self,
        i: usize,
        read: impl FnOnce(StoredEvent<'_>) -> T,
    ) -> StorageResult<T> {
        self.part.read_event(self.first + i, read)
    }

    pub(crate) fn event_and_command<T>(
        &self,
        i: usize,
        read: impl FnOnce(StoredEvent<'_>, Option<&str>) -> T,
    ) -> StorageResult<T> {
        let part = self.part;
        part.read_line(self.first + i, |line, version, position| {
            let record = line.record((part.aggregate_type, part.id), version, position);
            read(line.event(&record), line.command.as_deref())
        })
    }

    pub(crate) fn event_and_line<T>(
        &self,
        i: usize,
        read: impl FnOnce(StoredEvent<'_>, &str, Option<u64>) -> T,
    ) -> StorageResult<T> {
        let line = self.part.events[self.first + i].get();
        self.event(i, |event| read(event, line, Some(self.ms.value())))
    }

    pub(crate) fn keys(&self, mut each: impl FnMut(&str)) {
        for event in &self.part.events[self.first..self.end] {
            if !event.get().contains("\"key\":") {
                continue;
            }
            // A line that cannot be read has no idempotency key of ours.
            let line: Option<Keyed<'_>> = serde_json::from_str(event.get()).ok();
            if let Some(key) = line.and_then(|line| line.key) {
                each(&key);
            }
        }
    }
}
