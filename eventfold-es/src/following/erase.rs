//! What was saved of projections, when a person's data is erased.

use serde::de::IgnoredAny;

use crate::following::checkpoint;
use crate::storage::Storage;
use crate::storage::error::StorageResult;
use crate::storage::record::Records;
use crate::storage::record_name::{Follower, RecordName};

/// The names of the projections that have a saved state with the event at `first` or a later one. Blocks.
pub(crate) fn saved_since(storage: &Storage, first: u64) -> StorageResult<Vec<String>> {
    let mut names = Vec::new();
    for name in storage.followers(Follower::Projection)? {
        let records = storage.records(Follower::Projection, &name);
        for record in records.names()? {
            if matches!(record, RecordName::Checkpoint(_)) && has_since(&records, record, first) {
                names.push(name.clone());
            }
        }
    }
    names.dedup();
    Ok(names)
}

/// Whether a saved state has the event at `first` or a later one. One that cannot be read may have it.
fn has_since(records: &Records, record: RecordName, first: u64) -> bool {
    let saved = checkpoint::read_record::<IgnoredAny>(records, record);
    !matches!(saved, Ok(Some(saved)) if saved.position < first)
}

/// Removes the saved states of all projections, of all their versions, also of those that are not registered,
/// that have the event at `first` or a later one. Returns the names of the projections. Blocks.
pub(crate) fn remove_saved_since(storage: &Storage, first: u64) -> StorageResult<Vec<String>> {
    let mut removed = Vec::new();
    for name in storage.followers(Follower::Projection)? {
        let records = storage.records(Follower::Projection, &name);
        records.remove_temporaries()?;
        for record in records.names()? {
            if !matches!(record, RecordName::Checkpoint(_)) {
                continue;
            }
            if has_since(&records, record, first) {
                records.remove_durably(record)?;
                removed.push(name.clone());
            }
        }
    }
    removed.dedup();
    Ok(removed)
}
