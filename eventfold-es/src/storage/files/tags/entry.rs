//! What the index has of an event: [`Entry`].

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::storage::error::StorageResult;
use crate::storage::files::format::commit_line::CommitLine;

/// Seeds the hashes of idempotency keys, so that they differ from those of tags.
const KEY: u64 = 1;

/// One tag of one event. The order is that of the index: by hash, then by position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    /// Of the tag.
    pub(crate) hash: u64,
    /// Of the event.
    pub(crate) position: u64,
    /// Where the line of the event's commit begins in its segment.
    pub(crate) offset: u64,
}

/// The hash of a tag. Different tags may have the same hash.
pub(crate) fn hash_of_tag(tag: &str) -> u64 {
    xxh3_64(tag.as_bytes())
}

/// The hash of an idempotency key of events that belong to no aggregate.
pub(crate) fn hash_of_key(key: &str) -> u64 {
    xxh3_64_with_seed(key.as_bytes(), KEY)
}

/// Adds the entries of a commit whose line begins at `offset` in its segment.
pub(crate) fn add_entries(
    commit: &CommitLine<'_>,
    offset: u64,
    entries: &mut Vec<Entry>,
) -> StorageResult<()> {
    for part in commit.parts() {
        for i in 0..part.events.len() {
            part.read_event(i, |event| {
                let record = event.record();
                let tags = record.tags().map(hash_of_tag);
                let key = record.key.filter(|_| !record.is_of_aggregate());
                entries.extend(tags.chain(key.map(hash_of_key)).map(|hash| Entry {
                    hash,
                    position: record.position,
                    offset,
                }));
            })?;
        }
    }
    Ok(())
}
