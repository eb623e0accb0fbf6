//! Snapshots: the state at a version, so that loading need not fold all that led to it.
//!
//! The file is [`eventfold::Snapshot`]'s, `views/state.snapshot.json`, with keys behind it that
//! `eventfold` ignores. It is written without a sync: its checksum tells whether it is whole, and
//! without it the events are folded.

use std::io::{self, Write as _};

use serde::Deserialize;

use crate::storage::encoding::event_line::write_member;
use crate::storage::encoding::sealed;
use crate::storage::files::disk;
use crate::storage::files::streams::end::{StreamEnd, line_hash};
use crate::storage::files::streams::load::line_before;
use crate::storage::files::streams::stream::Extent;
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
    sealed::seal(&mut out, 0, stream.seed());
    out
}

/// Writes a snapshot of `stream` at `end`, unless no load could read its state: then an older one, or
/// none, is better.
pub(crate) fn save(stream: &Stream, draft: &Draft, end: &StreamEnd) -> io::Result<()> {
    (draft.read_back)(&draft.state).map_err(|cause| {
        let text = format!("its state could not be read again: {cause}");
        io::Error::new(io::ErrorKind::InvalidData, text)
    })?;
    let path = stream.snapshot_file();
    if let Some(views) = path.parent() {
        disk::create_dir(views)?;
    }
    disk::replace(&path, &content(draft, stream, end), false)
}

/// Where a snapshot says that its stream ended when it was taken.
#[derive(Debug, Deserialize)]
struct End {
    offset: u64,
    hash: String,
    version: u64,
    position: u64,
}

/// Reads the snapshot of `stream`, `None` if there is none that is whole, ours, and of the stream as
/// the journal has it.
pub(crate) fn read(stream: &Stream, extent: &Extent) -> io::Result<Option<Snapshot>> {
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

/// The content of the snapshot of `stream`, and where that ended; `None` if there is none that is whole
/// and ours.
pub(crate) fn whole(stream: &Stream) -> Option<(String, StreamEnd)> {
    let bytes = match disk::read_if_there(&stream.snapshot_file()) {
        Ok(bytes) => bytes?,
        Err(error) => {
            // The events say the same.
            tracing::warn!(stream = %stream.id(), %error, "a snapshot that cannot be read is ignored");
            return None;
        }
    };
    if sealed::is_right(&bytes, stream.seed()) != Some(true) {
        tracing::debug!(stream = %stream.id(), "a snapshot that is not whole or not ours is ignored");
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

/// Whether a snapshot at `end` is of the stream as the journal has it: the line that it points at is
/// there, and is not behind the one with which the stream ends. Invariant S1.
fn fits(stream: &Stream, end: &StreamEnd, extent: &Extent) -> io::Result<bool> {
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
