//! The names of the files in the journal's directory.

use std::path::{Path, PathBuf};

use crate::storage::error::StorageResult;
use crate::storage::files::disk;

/// The high-water marks of the streams.
pub(crate) const STREAM_ENDS: &str = "stream_ends";
/// The note that a sync failed.
pub(crate) const SYNC_FAILED: &str = "sync_failed";
/// The checkpoint.
pub(crate) const CHECKPOINT: &str = "checkpoint.json";

/// The checkpoint of the journal in `journal`.
pub(crate) fn checkpoint(journal: &Path) -> PathBuf {
    journal.join(CHECKPOINT)
}

/// The note in `journal` that a sync failed.
pub(crate) fn sync_failed(journal: &Path) -> PathBuf {
    journal.join(SYNC_FAILED)
}

/// The file in `journal` with the high-water marks of the streams.
pub(crate) fn stream_ends(journal: &Path) -> PathBuf {
    journal.join(STREAM_ENDS)
}

/// The segment whose first event has the position `first`.
pub(crate) fn segment_path(journal: &Path, first: u64) -> PathBuf {
    journal.join(format!("{first:020}.jsonl"))
}

/// The position of the first event of the segment `name`; `None` if `name` is not a segment's name.
pub(crate) fn first_of_segment(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".jsonl")?;
    if digits.len() != 20 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

/// The positions of the first events of the segments in `journal`, in order.
pub(crate) fn list_segments(journal: &Path) -> StorageResult<Vec<u64>> {
    let entries = disk::list(journal)?;
    let names = entries.iter().filter_map(|entry| entry.name.to_str());
    let mut segments: Vec<u64> = names.filter_map(first_of_segment).collect();
    segments.sort_unstable();
    Ok(segments)
}

/// The name of the spare `number`, a segment that is prepared before its use.
pub(crate) fn spare(number: u64) -> String {
    format!("spare-{number}.tmp")
}

/// Whether `name` is the name of a spare.
pub(crate) fn is_spare(name: &str) -> bool {
    name.starts_with("spare-")
}

/// Whether the store keeps a file called `name` in the journal's directory.
pub(crate) fn is_known(name: &str) -> bool {
    matches!(name, CHECKPOINT | SYNC_FAILED | STREAM_ENDS) || first_of_segment(name).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_file_named_with_twenty_digits_is_a_segment() {
        let name = |path: PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
        let segment = name(segment_path(Path::new("journal"), 17));
        assert_eq!(first_of_segment(&segment), Some(17));
        for other in [
            "17.jsonl",
            "+0000000000000000017.jsonl",
            "00000000000000000017.json",
        ] {
            assert_eq!(first_of_segment(other), None, "{other}");
        }
        assert_eq!(first_of_segment("99999999999999999999.jsonl"), None);
    }
}
