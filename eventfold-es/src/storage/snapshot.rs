//! Snapshots at the seam: a state to store ([`Draft`]), and a state read back ([`Snapshot`]).

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::domain::command::Fingerprint;
use crate::erasures::ReadAfter;
use crate::event::Standing;
use crate::ids::StreamId;
use crate::storage::error::{StorageError, StorageErrorKind, StorageResult};
use crate::storage::place::Place;

/// A snapshot that waits until its events are durable.
#[derive(Debug)]
pub(crate) struct Draft {
    /// The state as JSON.
    pub(crate) state: Vec<u8>,
    /// Reads the state back. If a load could not read it, this fails with the cause.
    pub(crate) read_back: fn(&[u8]) -> Result<(), String>,
    pub(crate) state_version: u32,
    /// The idempotency keys that the stream still remembers.
    pub(crate) keys: Vec<KnownKey>,
    /// The event names that were left out of the state.
    pub(crate) unknown: Vec<String>,
    /// The fingerprint of the events that the state was folded from.
    pub(crate) events: u64,
    /// Whether the aggregate has ended or is archived.
    pub(crate) standing: Standing,
    /// The erasures before the state was read. Once there is a newer one it is not saved.
    pub(crate) read_after: ReadAfter,
}

impl Draft {
    /// Fails if a load could not read the state. Then an older snapshot, or none, is better.
    pub(crate) fn check(&self) -> StorageResult<()> {
        if !self.read_after.is_newest() {
            let text = "its state may have personal data that was erased since";
            return Err(StorageError::new(StorageErrorKind::Unreadable, text));
        }
        (self.read_back)(&self.state).map_err(|cause| {
            let text = format!("its state could not be read again: {cause}");
            StorageError::new(StorageErrorKind::Unreadable, text)
        })
    }

    /// The snapshot as text. Fails if a load could not read its state.
    pub(crate) fn into_text(self) -> StorageResult<String> {
        self.check()?;
        let unreadable = |cause: serde_json::Error| {
            StorageError::new(StorageErrorKind::Unreadable, cause.to_string())
        };
        let state: &RawValue = serde_json::from_slice(&self.state).map_err(unreadable)?;
        let contents = Contents {
            state,
            state_version: self.state_version,
            keys: self.keys,
            unknown: self.unknown,
            events: self.events,
            lifecycle: self.standing,
        };
        serde_json::to_string(&contents).map_err(unreadable)
    }
}

/// Reports that snapshots of a stream could not be made or used: once, until the next one is made.
/// Loading reads all events instead, which is only slower.
#[derive(Debug, Default)]
pub(crate) struct SnapshotWarnings {
    /// A warning was given, and no snapshot was made since.
    is_given: AtomicBool,
}

impl SnapshotWarnings {
    pub(crate) fn give(&self, stream: &StreamId, error: &dyn fmt::Display) {
        if self.is_given.swap(true, Ordering::Relaxed) {
            tracing::debug!(%stream, %error, "the stream still has no snapshot that can be used");
        } else {
            tracing::warn!(%stream, %error, "the stream has no snapshot that can be used: all events are loaded");
        }
    }

    /// Notes that a snapshot was made.
    pub(crate) fn end(&self) {
        self.is_given.store(false, Ordering::Relaxed);
    }
}

/// An idempotency key and the events that were stored under it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KnownKey {
    pub(crate) key: String,
    /// The version of the first of its events.
    pub(crate) version: u64,
    pub(crate) count: u64,
    /// The fingerprint of the command, if its aggregate has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) command: Option<Fingerprint>,
}

/// A snapshot as it was read. It fits its stream.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    pub(crate) content: String,
    /// The place up to which the state contains the stream's events.
    pub(crate) place: Place,
}

/// The parts of a snapshot.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Contents<'a> {
    #[serde(borrow)]
    pub(crate) state: &'a RawValue,
    pub(crate) state_version: u32,
    pub(crate) keys: Vec<KnownKey>,
    pub(crate) unknown: Vec<String>,
    #[serde(default)]
    pub(crate) events: u64,
    #[serde(default, skip_serializing_if = "Standing::is_usual")]
    pub(crate) lifecycle: Standing,
}

impl Snapshot {
    /// The parts of the snapshot, `None` if one is missing or invalid.
    pub(crate) fn contents(&self) -> Option<Contents<'_>> {
        serde_json::from_str(&self.content).ok()
    }
}
