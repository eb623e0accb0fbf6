//! The newest snapshot of a stream in memory.

use std::sync::Mutex;

use crate::ids::StreamId;
use crate::storage::place::Place;
use crate::storage::snapshot::{Draft, Snapshot, SnapshotWarnings};
use crate::sync::lock;

/// The newest snapshot of one stream, if there is one.
#[derive(Debug, Default)]
pub(super) struct SavedSnapshot {
    newest: Mutex<Option<Snapshot>>,
    warnings: SnapshotWarnings,
}

impl SavedSnapshot {
    /// Saves a snapshot at `place`. A newer one stays. A failure is only reported, because the
    /// events are stored anyway. True if it could be made.
    pub(super) fn save(&self, stream: &StreamId, place: Place, draft: Draft) -> bool {
        // Before the draft is checked: nobody removes the snapshot in between.
        let mut newest = lock(&self.newest);
        match draft.into_text() {
            Ok(content) => {
                if newest
                    .as_ref()
                    .is_none_or(|saved| saved.place.version() <= place.version())
                {
                    *newest = Some(Snapshot { content, place });
                }
                self.warnings.end();
                true
            }
            Err(error) => {
                self.warnings.give(stream, &error);
                false
            }
        }
    }

    /// The newest snapshot, `None` if it is of a version after `version`. Invariant S1.
    pub(super) fn read(&self, version: u64) -> Option<Snapshot> {
        let newest = lock(&self.newest).clone();
        newest.filter(|snapshot| snapshot.place.version() <= version)
    }

    /// Removes the snapshot. True if there was one.
    #[cfg(feature = "personal")]
    pub(super) fn remove(&self) -> bool {
        lock(&self.newest).take().is_some()
    }

    /// Reports that a snapshot could not be made or used.
    pub(super) fn lacks(&self, stream: &StreamId, error: &dyn std::fmt::Display) {
        self.warnings.give(stream, error);
    }
}
