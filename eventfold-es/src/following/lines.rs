//! JSON lines with checksums: the content of records that grow line by line.

use serde::Serialize;

use crate::storage::encoding::sealed;
use crate::storage::error::{StorageError, StorageErrorKind, StorageResult};

/// `content`, an object, as a line with a checksum and a line end.
pub(crate) fn seal<T: Serialize>(content: &T) -> StorageResult<Vec<u8>> {
    let mut line = serde_json::to_vec(content)
        .map_err(|cause| StorageError::new(StorageErrorKind::Unreadable, cause))?;
    line.pop();
    sealed::seal(&mut line, 0, 0);
    line.push(b'\n');
    Ok(line)
}

/// The non-empty lines in `bytes`, without their ends, with their offsets.
pub(crate) fn split(bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut offset = 0;
    bytes
        .split_inclusive(|byte| *byte == b'\n')
        .filter_map(move |line| {
            let start = offset;
            offset += line.len();
            let text = line.strip_suffix(b"\n").unwrap_or(line);
            (!text.trim_ascii().is_empty()).then_some((start, text))
        })
}

/// Whether a line's checksum is right; `None` if it has none.
pub(crate) fn is_right(line: &[u8]) -> Option<bool> {
    sealed::is_right(line, 0)
}
