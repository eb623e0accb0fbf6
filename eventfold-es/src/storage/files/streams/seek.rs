//! Finds the line of a version in a stream's file without reading all lines before it.

use std::io::{self, Read, Seek, SeekFrom};

use memchr::memchr;

use crate::storage::encoding::event_line as line;
use crate::storage::error::{StorageError, StorageResult};
use crate::storage::files::streams::content::Content;
use crate::storage::files::streams::end::StreamEnd;
use crate::storage::files::streams::extent::Extent;
use crate::storage::files::streams::stream::Stream;

/// The size of one read. The search ends when the range is no larger.
const NEAR: u64 = if cfg!(test) { 256 } else { 64 * 1024 };

/// A place in the file of `stream` at or before the line of `version`, with the version of the line
/// before the place. Lines of other programs do not state their versions, so near them the place
/// may be far before the line.
pub(crate) fn before(stream: &Stream, version: u64, extent: &Extent) -> StorageResult<StreamEnd> {
    let mut near = StreamEnd::default();
    let path = stream.file();
    // Compressed lines are read from the first one on.
    let content = Content::open(stream)?.filter(|content| content.rotated().is_none());
    let Some(mut file) = content.as_ref().map_or(Ok(None), |all| all.file_from(0))? else {
        return Ok(near);
    };
    let failed = |e| StorageError::io("read", &path, e);
    let length = file.metadata().map_err(failed)?.len();
    // Unflushed lines are after this offset.
    let mut beyond = extent
        .unflushed
        .as_ref()
        .map_or(length, |unflushed| unflushed.offset.min(length));
    while beyond.saturating_sub(near.offset) > NEAR {
        let middle = near.offset + (beyond - near.offset) / 2;
        let found = line_behind(&mut file, middle, beyond).map_err(failed)?;
        let Some((offset, bytes)) = found else {
            // No whole line begins between `middle` and `beyond`.
            beyond = middle;
            continue;
        };
        let stated = line::read(&bytes, stream.seed())
            .ok()
            .and_then(|line| line.stated_version());
        match stated {
            Some(stated) if stated <= version => {
                near.offset = offset;
                near.version = stated - 1;
            }
            Some(_) => beyond = middle,
            // If the line is damaged, the load that reads from here reports it.
            None => break,
        }
    }
    Ok(near)
}

/// The first whole line that begins after `from` and before `beyond`, and its offset.
fn line_behind(
    file: &mut &std::fs::File,
    from: u64,
    beyond: u64,
) -> io::Result<Option<(u64, Vec<u8>)>> {
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    let mut read = NEAR;
    loop {
        let more = file.take(read).read_to_end(&mut bytes)?;
        if let Some(start) = memchr(b'\n', &bytes).map(|newline| newline + 1) {
            let offset = from + start as u64;
            if offset >= beyond {
                return Ok(None);
            }
            if let Some(length) = memchr(b'\n', &bytes[start..]) {
                bytes.truncate(start + length);
                return Ok(Some((offset, bytes.split_off(start))));
            }
        }
        if more == 0 {
            return Ok(None);
        }
        read *= 2;
    }
}
