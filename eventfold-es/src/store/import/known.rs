//! The events that a store has, to recognise those that are imported again: [`Known`].

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::ControlFlow;

use xxhash_rust::xxh3::{xxh3_128, xxh3_128_with_seed};

use crate::storage::Storage;
use crate::storage::error::StorageResult;

/// The hashes of the events that a store has or gets.
#[derive(Debug, Default)]
pub(super) struct Known(HashSet<u128, BuildHasherDefault<Hashed>>);

impl Known {
    /// Reads the events of a store.
    pub(super) fn of(storage: &Storage) -> StorageResult<Self> {
        let mut known = Self::default();
        storage.reader(0).read_to(storage.head(), |committed| {
            for i in 0..committed.len() {
                committed.event(i, |event| {
                    let record = event.record();
                    let hash = if let Some(id) = record.event_id {
                        of_id(id)
                    } else {
                        let stream = (record.aggregate_type, record.id, record.version);
                        of_place(stream, event.name(), event.data())
                    };
                    known.0.insert(hash);
                })?;
            }
            StorageResult::Ok(ControlFlow::Continue(()))
        })?;
        Ok(known)
    }

    /// Adds an event. False if it was there.
    pub(super) fn add(&mut self, event: u128) -> bool {
        self.0.insert(event)
    }
}

/// An event with this id.
pub(super) fn of_id(id: &str) -> u128 {
    xxh3_128(id.as_bytes())
}

/// An event without an id, which another program wrote, in this place with this content.
pub(super) fn of_place((kind, id, version): (&str, &str, u64), name: &str, data: &str) -> u128 {
    let version = version.to_string();
    let text = [kind, id, &version, name, data].join("\0");
    xxh3_128_with_seed(text.as_bytes(), 1)
}

/// A hash of what is a hash already.
#[derive(Debug, Default)]
pub(super) struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0 ^= u64::from_le_bytes(word);
        }
    }
}
