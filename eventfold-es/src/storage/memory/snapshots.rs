//! The newest snapshot of a stream in memory.

use std::sync::Mutex;

use serde_json::value::RawValue;

use crate::ids::StreamId;
use crate::storage::error::{StorageError, StorageErrorKind, StorageResult};
use crate::storage::place::Place;
use crate::storage::snapshot::{Contents, Draft, Snapshot, SnapshotWarnings};
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
        match content(draft) {
            Ok(content) => {
                let mut newest = lock(&self.newest);
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

    /// Reports that a snapshot could not be made or used.
    pub(super) fn lacks(&self, stream: &StreamId, error: &dyn std::fmt::Display) {
        self.warnings.give(stream, error);
    }
}

/// The snapshot as it is stored. Fails if a load could not read its state.
fn content(draft: Draft) -> StorageResult<String> {
    draft.check()?;
    let unreadable = |cause| StorageError::new(StorageErrorKind::Unreadable, cause);
    let state: &RawValue =
        serde_json::from_slice(&draft.state).map_err(|cause| unreadable(cause.to_string()))?;
    let contents = Contents {
        state,
        state_version: draft.state_version,
        keys: draft.keys,
        unknown: draft.unknown,
        events: draft.events,
    };
    serde_json::to_string(&contents).map_err(|cause| unreadable(cause.to_string()))
}
