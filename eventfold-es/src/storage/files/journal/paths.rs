//! The names of the files in the journal's directory.

use std::path::{Path, PathBuf};

use crate::storage::error::StorageResult;
use crate::storage::files::disk::{self, Entry};

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

/// What the name of a compressed segment has behind that of a plain one.
const COMPRESSED: &str = ".zst";

/// The segment whose first event has the position `first`, if it is not compressed.
pub(crate) fn segment_path(journal: &Path, first: u64) -> PathBuf {
    journal.join(format!("{first:020}.jsonl"))
}

/// The same segment, if it is compressed.
pub(crate) fn compressed_path(journal: &Path, first: u64) -> PathBuf {
    journal.join(format!("{first:020}.jsonl{COMPRESSED}"))
}

/// The segment in the one form or in the other.
pub(crate) fn form_path(journal: &Path, first: u64, is_compressed: bool) -> PathBuf {
    if is_compressed {
        compressed_path(journal, first)
    } else {
        segment_path(journal, first)
    }
}

/// The file that has the segment: the compressed one if only that is there, otherwise the plain one.
pub(crate) fn segment_file(journal: &Path, first: u64) -> PathBuf {
    let plain = segment_path(journal, first);
    let compressed = compressed_path(journal, first);
    if !disk::is_there(&plain) && disk::is_there(&compressed) {
        return compressed;
    }
    plain
}

/// Whether the segment is there, in whichever form.
pub(crate) fn is_there(journal: &Path, first: u64) -> bool {
    disk::is_there(&segment_file(journal, first))
}

/// Removes the segment, in whichever form.
pub(crate) fn remove_segment(journal: &Path, first: u64) -> StorageResult<()> {
    disk::remove(&compressed_path(journal, first))?;
    disk::remove(&segment_path(journal, first))
}

/// The position of the first event of the segment `name`, and whether it is compressed; `None` if `name` is
/// not a segment's name.
pub(crate) fn first_of_segment(name: &str) -> Option<(u64, bool)> {
    let plain = name.strip_suffix(COMPRESSED);
    let digits = plain.unwrap_or(name).strip_suffix(".jsonl")?;
    if digits.len() != 20 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some((digits.parse().ok()?, plain.is_some()))
}

/// The positions of the first events of the segments in `journal`, in order.
pub(crate) fn list_segments(journal: &Path) -> StorageResult<Vec<u64>> {
    let mut segments = list_forms(journal)?;
    if segments.len() > 1 {
        // While a directory is listed, a segment may be compressed, and neither of its names be seen. It is
        // compressed once, so a second list has the other name.
        segments.extend(list_forms(journal)?);
    }
    let mut segments: Vec<u64> = segments.into_iter().map(|(first, _)| first).collect();
    segments.sort_unstable();
    segments.dedup();
    Ok(segments)
}

/// The files of the segments in `journal`: the position of the first event of each, and whether it is
/// compressed.
pub(crate) fn list_forms(journal: &Path) -> StorageResult<Vec<(u64, bool)>> {
    Ok(forms_among(&disk::list(journal)?))
}

/// As [`list_forms`], of what is in the journal's directory.
pub(crate) fn forms_among(entries: &[Entry]) -> Vec<(u64, bool)> {
    let names = entries.iter().filter_map(|entry| entry.name.to_str());
    let mut forms: Vec<(u64, bool)> = names.filter_map(first_of_segment).collect();
    forms.sort_unstable();
    forms
}

/// Removes the compressed files of segments that have a plain one: an attempt to compress them was
/// interrupted before the plain one was removed, which counts. `forms` are then without them.
pub(crate) fn remove_second_forms(
    journal: &Path,
    forms: &mut Vec<(u64, bool)>,
) -> StorageResult<()> {
    for pair in forms.windows(2) {
        if pair[0].0 == pair[1].0 {
            disk::remove(&compressed_path(journal, pair[0].0))?;
        }
    }
    // The plain one is before the compressed one.
    forms.dedup_by_key(|(first, _)| *first);
    Ok(())
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
        assert_eq!(first_of_segment(&segment), Some((17, false)));
        let compressed = name(compressed_path(Path::new("journal"), 17));
        assert_eq!(first_of_segment(&compressed), Some((17, true)));
        for other in [
            "17.jsonl",
            "+0000000000000000017.jsonl",
            "00000000000000000017.json",
            "00000000000000000017.zst",
            "00000000000000000017.jsonl.zst.tmp",
        ] {
            assert_eq!(first_of_segment(other), None, "{other}");
        }
        assert_eq!(first_of_segment("99999999999999999999.jsonl"), None);
    }
}
