//! The queue of snapshots to write. It keeps only the newest snapshot of each stream, so a stream
//! that is written faster than its snapshots costs no more.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::clock::millis;
use crate::ids::StreamId;
use crate::storage::files::snapshots::snapshot::save;
use crate::storage::files::streams::end::StreamEnd;
use crate::storage::files::streams::stream::Stream;
use crate::storage::snapshot::Draft;

/// How many bytes of snapshots may wait. Further snapshots are dropped; the streams' next ones
/// replace them.
const MOST_BYTES: usize = 64 * 1024 * 1024;

#[derive(Debug, Default)]
pub(crate) struct SnapshotQueue {
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    by_stream: HashMap<StreamId, WaitingSnapshot>,
    bytes: usize,
}

#[derive(Debug)]
struct WaitingSnapshot {
    stream: Arc<Stream>,
    draft: Box<Draft>,
    end: StreamEnd,
}

impl SnapshotQueue {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a snapshot, or replaces an older one of the same stream. True if the queue was empty.
    pub(crate) fn push(&self, stream: Arc<Stream>, draft: Box<Draft>, end: StreamEnd) -> bool {
        let mut waiting = self.waiting();
        if waiting.bytes + draft.state.len() > MOST_BYTES && !waiting.by_stream.is_empty() {
            tracing::debug!(stream = %stream.id(), "a snapshot is left out: too many are waiting");
            return false;
        }
        let was_empty = waiting.by_stream.is_empty();
        waiting.bytes += draft.state.len();
        let id = stream.id().clone();
        let pending = WaitingSnapshot { stream, draft, end };
        if let Some(older) = waiting.by_stream.insert(id, pending) {
            waiting.bytes -= older.draft.state.len();
        }
        was_empty
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting().by_stream.is_empty()
    }

    /// Writes one snapshot. A failure is only reported, because the events are stored anyway. True if
    /// one was written.
    pub(crate) fn write_one(&self) -> bool {
        let pending = {
            let mut waiting = self.waiting();
            let id = waiting.by_stream.keys().next().cloned();
            let pending = id.and_then(|id| waiting.by_stream.remove(&id));
            if let Some(pending) = &pending {
                waiting.bytes -= pending.draft.state.len();
            }
            pending
        };
        let Some(WaitingSnapshot { stream, draft, end }) = pending else {
            return false;
        };
        let start = Instant::now();
        match save(&stream, &draft, &end) {
            Ok(()) => {
                tracing::debug!(
                    stream = %stream.id(),
                    version = end.version,
                    elapsed_ms = millis(start),
                    "snapshot saved"
                );
                stream.has_snapshot();
                true
            }
            Err(error) => {
                stream.lacks_snapshot(&error);
                false
            }
        }
    }
}
