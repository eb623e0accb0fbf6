//! Snapshots: the state at a version, so that loading need not fold all that led to it.
//!
//! The file is [`eventfold::Snapshot`]'s, `views/state.snapshot.json`, with keys behind it that
//! `eventfold` ignores. It is written without a sync: its checksum tells whether it is whole, and
//! without it the events are folded.

use std::io::{self, Write as _};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::storage::files::disk;
use crate::storage::files::format::event_line::write_member;
use crate::storage::files::format::sealed;
use crate::storage::files::streams::stream::{Stream, StreamEnd};

/// A snapshot that waits for its events to be durable.
#[derive(Debug)]
pub(crate) struct Draft {
    /// The state as JSON.
    pub(crate) state: Vec<u8>,
    /// Reads the state back; fails with the cause if a load could not.
    pub(crate) read_back: fn(&[u8]) -> Result<(), String>,
    pub(crate) state_version: u32,
    /// The idempotency keys that the stream still remembers.
    pub(crate) keys: Vec<KnownKey>,
    /// The event names that were left out of the state.
    pub(crate) skipped: Vec<String>,
    /// The fingerprint of the events that the state was folded from.
    pub(crate) events: u64,
}

/// An idempotency key and the events that were stored under it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KnownKey {
    pub(crate) key: String,
    /// The version of the first of its events.
    pub(crate) version: u64,
    pub(crate) count: u64,
    /// A place in the stream's file from which they are found: where a line begins, at or before
    /// theirs, with the version of that line.
    pub(crate) from_offset: u64,
    pub(crate) from_version: u64,
}

impl Draft {
    /// The file's content, for a stream that ends at `end`.
    pub(crate) fn finish(&self, stream: &Stream, end: &StreamEnd) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.state.len() + 256);
        out.extend_from_slice(b"{\"state\":");
        out.extend_from_slice(&self.state);
        let _ = write!(
            out,
            ",\"offset\":{},\"hash\":\"{:016x}\",\"state_version\":{},\"version\":{},\"position\":{}",
            end.offset, end.hash, self.state_version, end.version, end.position
        );
        write_member(&mut out, "keys", &self.keys);
        write_member(&mut out, "skipped", &self.skipped);
        if self.events != 0 {
            write_member(&mut out, "events", &self.events);
        }
        sealed::seal(&mut out, 0, stream.seed());
        out
    }
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
    disk::replace(&path, &draft.finish(stream, end), false)
}

/// A snapshot as it was read, whole but not yet compared with its stream.
#[derive(Debug)]
pub(crate) struct Saved {
    content: String,
}

/// What a snapshot says, apart from the state.
#[derive(Debug, Deserialize)]
pub(crate) struct Contents<'a> {
    #[serde(borrow)]
    pub(crate) state: &'a RawValue,
    offset: u64,
    hash: String,
    pub(crate) state_version: u32,
    version: u64,
    position: u64,
    pub(crate) keys: Vec<KnownKey>,
    pub(crate) skipped: Vec<String>,
    #[serde(default)]
    pub(crate) events: u64,
}

impl Saved {
    /// Reads the snapshot of `stream`, `None` if there is none that is whole and ours.
    pub(crate) fn read(stream: &Stream) -> Option<Self> {
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
        Some(Self { content })
    }

    /// Takes the snapshot apart, `None` if it lacks something.
    pub(crate) fn contents(&self) -> Option<Contents<'_>> {
        serde_json::from_str(&self.content).ok()
    }
}

impl Contents<'_> {
    /// Where the stream ended when the snapshot was taken.
    pub(crate) fn end(&self) -> Option<StreamEnd> {
        Some(StreamEnd {
            version: self.version,
            offset: self.offset,
            hash: u64::from_str_radix(&self.hash, 16).ok()?,
            position: self.position,
        })
    }
}
