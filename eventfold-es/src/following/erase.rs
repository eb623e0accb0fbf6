//! What was saved of projections, when a person's data is erased.

use serde::de::IgnoredAny;

use crate::following::checkpoint;
use crate::storage::Storage;
use crate::storage::error::StorageResult;
use crate::storage::record_name::{Follower, RecordName};

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
            let saved = checkpoint::read_record::<IgnoredAny>(&records, record);
            // One that cannot be read may have it too, and is of no use.
            let is_before = matches!(saved, Ok(Some(saved)) if saved.position < first);
            if !is_before {
                records.remove_durably(record)?;
                removed.push(name.clone());
            }
        }
    }
    removed.dedup();
    Ok(removed)
}
