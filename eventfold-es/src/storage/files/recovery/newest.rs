//! Looks in the streams' files for what shows that the journal lost its end: [`newest_in_streams`].

use std::path::Path;

use crate::ids::StreamId;
use crate::storage::encoding::event_line;
use crate::storage::error::{StorageErrorKind, StorageResult};
use crate::storage::files::disk;
use crate::storage::files::layout::{ARCHIVE_FILE, EVENTS_FILE, StreamLayout};
use crate::storage::files::shares::in_shares;
use crate::storage::files::streams::content::Content;

/// The newest position in the streams' files, and its stream. It is durable: a stream's lines are
/// written after the journal, so the journal must have them all. Invariant C3.
///
/// `length` says where the lines end that the journal has of a stream, if that is known. A file that is not longer
/// shows nothing new, and is not read.
pub(crate) fn newest_in_streams(
    layout: &StreamLayout,
    ids: &[StreamId],
    length: impl Fn(&StreamId) -> Option<u64> + Sync,
) -> StorageResult<Option<(u64, StreamId)>> {
    let newest_of = |ids: &[StreamId]| -> StorageResult<Option<(u64, StreamId)>> {
        let mut newest: Option<(u64, StreamId)> = None;
        for id in ids {
            let dir = layout.stream_dir(id.aggregate_type(), id.id());
            if length(id).is_some_and(|length| is_not_longer(&dir, length)) {
                continue;
            }
            if let Some(position) = newest_position(&dir, id)?
                && newest.as_ref().is_none_or(|(known, _)| *known < position)
            {
                newest = Some((position, id.clone()));
            }
        }
        Ok(newest)
    };
    let mut newest = None;
    for of_share in in_shares(ids, newest_of) {
        newest = newest.max(of_share?);
    }
    Ok(newest)
}

/// Whether the stream in `dir` has a file of at most this length and no rotated lines.
fn is_not_longer(dir: &Path, length: u64) -> bool {
    let (file, archive) = (dir.join(EVENTS_FILE), dir.join(ARCHIVE_FILE));
    matches!(disk::find(&archive), Ok(None))
        && matches!(disk::find(&file), Ok(Some(file)) if file.length <= length)
}

fn newest_position(dir: &Path, id: &StreamId) -> StorageResult<Option<u64>> {
    let seed = event_line::seed(id);
    let content = match Content::in_dir(dir, seed) {
        Err(error) if error.kind() == StorageErrorKind::Damaged => {
            // It proves nothing then. Loading the stream tells the error.
            tracing::error!(stream = %id, %error, "rotated lines cannot be read");
            return Ok(None);
        }
        content => content?,
    };
    let Some(content) = content else {
        return Ok(None);
    };
    let length = content.length()?;
    let mut back = 1024;
    loop {
        let start = length.saturating_sub(back);
        let tail = content.read_at(start, length - start)?;
        let newest = tail
            .split(|byte| *byte == b'\n')
            .rev()
            .filter_map(|line| event_line::read(line, seed).ok())
            .find_map(|line| line.position);
        if newest.is_some() || start == 0 {
            return Ok(newest);
        }
        // A line may have any length, and lines of other programs may follow it.
        back *= 64;
    }
}
