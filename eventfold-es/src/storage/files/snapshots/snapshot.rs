//! A snapshot: the state at a version, so that a load need not fold the events before it.
//!
//! The file is `views/state.snapshot.json` as [`eventfold::Snapshot`] has it, with further keys
//! that `eventfold` ignores. It is written without a sync. Its checksum shows whether the file is
//! whole; if it is not, all events are folded.

use std::io::Write as _;

use serde::Deserialize;

use crate::storage::encoding::event_line::write_member;
use crate::storage::encoding::sealed;
use crate::storage::error::StorageResult;
use crate::storage::files::disk;
use crate::storage::files::streams::end::{StreamEnd, line_hash};
use crate::storage::files::streams::extent::Extent;
use crate::storage::files::streams::load::line_before;
use crate::storage::files::streams::stream::Stream;
use crate::storage::place::Place;
use crate::storage::snapshot::Draft;
use crate::storage::snapshot::Snapshot;

/// The file's content, for a stream that ends at `end`.
fn content(draft: &Draft, stream: &Stream, end: &StreamEnd) -> Vec<u8> {
    let mut out = Vec::with_capacity(draft.state.len() + 256);
    out.extend_from_slice(b"{\"state\":");
    out.extend_from_slice(&draft.state);
    let _ = write!(
        out,
        ",\"offset\":{},\"hash\":\"{:016x}\",\"state_version\":{},\"version\":{},\"position\":{}",
        end.offset, end.hash, draft.state_version, end.version, end.position
    );
    write_member(&mut out, "keys", &draft.keys);
    write_member(&mut out, "unknown", &draft.unknown);
    if draft.events != 0 {
        write_member(&mut out, "events", &draft.events);
    }
    if !draft.standing.is_usual() {
        write_member(&mut out, "lifecycle", &draft.standing);
    }
    sealed::seal(&mut out, 0, stream.seed());
    out
}

/// Writes a snapshot of `stream` at `end`. Fails if a load could not read its state.
pub(crate) fn save(stream: &Stream, draft: &Draft, end: &StreamEnd) -> StorageResult<()> {
    draft.check()?;
    let path = stream.snapshot_file();
    if let Some(views) = path.parent() {
        disk::create_dir(views)?;
    }
    disk::replace(&path, &content(draft, stream, end), false)
}

/// Where the stream ended when the snapshot was taken, as the snapshot states it.
#[derive(Debug, Deserialize)]
struct End {
    offset: u64,
    hash: String,
    version: u64,
    position: u64,
}

/// Reads the snapshot of `stream`. `None` if there is none, or if it is not whole, not ours, or
/// does not fit the stream as the journal has it.
pub(crate) fn read(stream: &Stream, extent: &Extent) -> StorageResult<Option<Snapshot>> {
    let Some((content, end)) = whole(stream) else {
        return Ok(None);
    };
    if !fits(stream, &end, extent)? {
        tracing::debug!(stream = %stream.id(), "a snapshot of another history is ignored");
        return Ok(None);
    }
    let place = Place::of_files(end);
    Ok(Some(Snapshot { content, place }))
}

/// The content of the snapshot of `stream`, and where the stream ended. `None` if there is none, or
/// if it is not whole or not ours.
pub(crate) fn whole(stream: &Stream) -> Option<(String, StreamEnd)> {
    let bytes = match disk::read_if_there(&stream.snapshot_file()) {
        Ok(bytes) => bytes?,
        Err(error) => {
            // The load folds all events instead.
            tracing::warn!(stream = %stream.id(), %error, "a snapshot that cannot be read is ignored");
            return None;
        }
    };
    if sealed::is_right(&bytes, stream.seed()) != Some(true) {
        tracing::debug!(stream = %stream.id(), "a snapshot that is damaged or of another stream is ignored");
        return None;
    }
    let content = String::from_utf8(bytes).ok()?;
    let end: End = serde_json::from_str(&content).ok()?;
    let end = StreamEnd {
        version: end.version,
        offset: end.offset,
        hash: u64::from_str_radix(&end.hash, 16).ok()?,
        position: end.position,
    };
    Some((content, end))
}

/// Whether a snapshot at `end` fits the stream as the journal has it. The line before `end` must be
/// the one that the snapshot states. It must not be after the stream's last line. Invariant S1.
fn fits(stream: &Stream, end: &StreamEnd, extent: &Extent) -> StorageResult<bool> {
    let mark = extent.mark;
    if end.version > mark.version {
        return Ok(false);
    }
    let line = line_before(stream, end.offset, extent.unflushed.as_ref())?;
    Ok(line.is_some_and(|line| {
        let is_last = end.version == mark.version;
        line_hash(&line) == end.hash && (!is_last || line_hash(line.trim_ascii()) == mark.hash)
    }))
}
