//! Snapshots at the seam: a state on its way to the storage ([`Draft`]), and on its way back
//! ([`Snapshot`]).

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::storage::place::Place;

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
    pub(crate) unknown: Vec<String>,
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
}

/// A snapshot that fits its stream, as it was read.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) content: String,
    /// Up to where the events of the stream are in it.
    pub(crate) place: Place,
}

/// What a snapshot says.
#[derive(Debug, Deserialize)]
pub(crate) struct Contents<'a> {
    #[serde(borrow)]
    pub(crate) state: &'a RawValue,
    pub(crate) state_version: u32,
    pub(crate) keys: Vec<KnownKey>,
    pub(crate) unknown: Vec<String>,
    #[serde(default)]
    pub(crate) events: u64,
}

impl Snapshot {
    /// Takes it apart, `None` if it lacks something.
    pub(crate) fn contents(&self) -> Option<Contents<'_>> {
        serde_json::from_str(&self.content).ok()
    }
}
