//! The journal at the seam: [`FileLog`], and one of its commits, [`FileCommitted`].

use std::borrow::Cow;
use std::sync::Arc;

use serde::Deserialize;

use crate::event::StoredEvent;
use crate::storage::error::StorageResult;
use crate::storage::files::format::commit_line::Part;
use crate::storage::files::journal::Index;
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

    pub(crate) fn reader(&self, after: u64) -> Reader {
        Reader::new(self.index.clone(), after)
    }
}

/// The events of one commit in one stream, or in no stream, that were not read before.
#[derive(Debug)]
pub(crate) struct FileCommitted<'a> {
    part: &'a Part<'a, 'a>,
    first: usize,
}

/// The idempotency key in an event's line.
#[derive(Deserialize)]
struct Keyed<'a> {
    #[serde(borrow)]
    key: Option<Cow<'a, str>>,
}

impl<'a> FileCommitted<'a> {
    pub(crate) fn new(part: &'a Part<'a, 'a>, first: usize) -> Self {
        Self { part, first }
    }

    pub(crate) fn aggregate_type(&self) -> &str {
        self.part.aggregate_type
    }

    pub(crate) fn id(&self) -> &str {
        self.part.id
    }

    pub(crate) fn len(&self) -> usize {
        self.part.events.len() - self.first
    }

    pub(crate) fn position(&self, i: usize) -> u64 {
        self.part.position + (self.first + i) as u64
    }

    pub(crate) fn version(&self, i: usize) -> u64 {
        self.part.version + (self.first + i) as u64
    }

    pub(crate) fn last(&self) -> u64 {
        self.part.last()
    }

    pub(crate) fn event<T>(
        &self,
        i: usize,
        read: impl FnOnce(StoredEvent<'_>) -> T,
    ) -> StorageResult<T> {
        self.part.read_event(self.first + i, read)
    }

    pub(crate) fn keys(&self, mut each: impl FnMut(&str)) {
        for event in &self.part.events[self.first..] {
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
