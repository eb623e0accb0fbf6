//! The events that a store has, to recognise those that are imported again: [`Known`].

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::ControlFlow;

use xxhash_rust::xxh3::{xxh3_64, xxh3_128, xxh3_128_with_seed};

use crate::storage::Storage;
use crate::storage::error::StorageResult;

/// The events that a store has or gets, by the hashes of their ids.
#[derive(Debug, Default)]
pub(super) struct Known(HashMap<u128, Place, BuildHasherDefault<Hashed>>);

/// What an event is, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// A hash of its stream, name, time and payload.
    content: u64,
    /// 0 if it is not known.
    pub(super) position: u64,
}

impl Place {
    pub(super) fn new(
        position: u64,
        (kind, id): (&str, &str),
        (name, data): (&str, &str),
        unix_millis: u64,
    ) -> Self {
        let ms = unix_millis.to_string();
        let text = [kind, id, name, &ms, data].join("\0");
        Self {
            content: xxh3_64(text.as_bytes()),
            position,
        }
    }

    /// Whether both are the same event, wherever they are.
    pub(super) fn is_same(self, other: Self) -> bool {
        self.content == other.content
    }
}

impl Known {
    /// Reads the events of a store.
    pub(super) fn of(storage: &Storage) -> StorageResult<Self> {
        let mut known = Self::default();
        storage
            .reader(0)
            .read_to(storage.ask_head()?, |committed| {
                for i in 0..committed.len() {
                    committed.event(i, |event| {
                        let record = event.record();
                        let hash = if let Some(id) = record.event_id {
                            of_id(id)
                        } else {
                            let stream = (record.aggregate_type, record.id, record.version);
                            of_place(stream, event.name(), event.data())
                        };
                        let stream = (record.aggregate_type, record.id);
                        let content = (event.name(), event.data());
                        let ms = record.unix_millis();
                        let place = Place::new(record.position, stream, content, ms);
                        known.0.insert(hash, place);
                    })?;
                }
                StorageResult::Ok(ControlFlow::Continue(()))
            })?;
        Ok(known)
    }

    /// Adds an event. If it was there, returns what is known of it.
    pub(super) fn add(&mut self, event: u128, place: Place) -> Option<Place> {
        match self.0.entry(event) {
            Entry::Occupied(known) => Some(*known.get()),
            Entry::Vacant(vacant) => {
                vacant.insert(place);
                None
            }
        }
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
