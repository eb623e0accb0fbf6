//! The keys of a store while it is opened, and what a forgotten subject leaves behind: [`open`], [`Erasing`].

use std::collections::BTreeSet;
use std::io;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::event::StoredEvent;
use crate::following::erase::remove_saved_since;
use crate::ids::StreamId;
use crate::personal::keyring::Keyring;
use crate::personal::{KeyError, KeyStore, Keys, sealing};
use crate::storage::Storage;
use crate::storage::encoding::sealed;
use crate::storage::erase::Note;
use crate::storage::error::{StorageError, StorageErrorKind, StorageResult};

/// The store's name for its keys.
#[derive(Debug, Serialize, Deserialize)]
struct Named {
    store: String,
    /// The key store knows it.
    bound: bool,
}

impl Named {
    /// A new name, which is noted.
    fn new(storage: &Storage) -> StorageResult<Self> {
        let named = Self {
            store: Uuid::new_v4().simple().to_string(),
            bound: false,
        };
        write(storage, Note::Keys, &named)?;
        Ok(named)
    }
}

/// The subjects that are being forgotten.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Forgetting {
    subjects: BTreeSet<String>,
}

/// Reads a note that ends with its checksum.
fn read<T: DeserializeOwned>(storage: &Storage, note: Note) -> StorageResult<Option<T>> {
    let Some(bytes) = storage.note(note)? else {
        return Ok(None);
    };
    let is_right = sealed::is_right(&bytes, 0) == Some(true);
    let read = is_right
        .then(|| serde_json::from_slice(&bytes).ok())
        .flatten();
    let damaged = || {
        let text = format!("`meta/{note}` is damaged: restore it from a copy");
        StorageError::new(StorageErrorKind::Damaged, text)
    };
    read.map(Some).ok_or_else(damaged)
}

fn write<T: Serialize>(storage: &Storage, note: Note, content: &T) -> StorageResult<()> {
    let mut bytes = serde_json::to_vec(content).map_err(|error| {
        StorageError::new(
            StorageErrorKind::Bug,
            format!("`{note}` cannot be written: {error}"),
        )
    })?;
    bytes.pop();
    sealed::seal(&mut bytes, 0, 0);
    storage.replace_note(note, &bytes)
}

/// Opens the keys of a store that is being opened, and finishes what was being forgotten when it was last
/// open. Blocks.
///
/// `read_models` is the directory of read models in SQLite.
pub(super) fn open(
    storage: &Storage,
    keys: Option<Arc<dyn KeyStore>>,
    read_models: Option<&Path>,
) -> io::Result<Keys> {
    let Some(keys) = keys else {
        if storage.check_can_erase().is_ok() && storage.note(Note::Keys)?.is_some() {
            let text = "the store has personal data, or had some: open it with its keys, by \
                        `AggregateStoreBuilder::keys`";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        return Ok(Keys::default());
    };
    storage.check_can_erase()?;
    let noted = read::<Named>(storage, Note::Keys)?;
    let mut named = noted.map_or_else(|| Named::new(storage), Ok)?;
    let keyring = Keyring::open(named.store.clone(), !named.bound, keys);
    let keyring = keyring.map_err(|error| unusable(&error))?;
    if !named.bound {
        named.bound = true;
        write(storage, Note::Keys, &named)?;
    }
    let unfinished = read::<Forgetting>(storage, Note::Forgetting)?.unwrap_or_default();
    if !unfinished.subjects.is_empty() {
        for subject in &unfinished.subjects {
            let destroyed = keyring.destroy(&subject.as_str().into());
            destroyed.map_err(|error| unusable(&error))?;
        }
        Erasing::find(storage, &unfinished.subjects)?.remove_saved(storage)?;
        #[cfg(feature = "sqlite")]
        if let Some(dir) = read_models {
            crate::following::remove_read_models(dir)?;
        }
        #[cfg(not(feature = "sqlite"))]
        let _ = read_models;
        storage.remove_note(Note::Forgetting)?;
        tracing::info!(
            subjects = unfinished.subjects.len(),
            "what was being forgotten when the store was last open is forgotten"
        );
    }
    Ok(Keys {
        keyring: Some(keyring),
    })
}

fn unusable(error: &KeyError) -> io::Error {
    io::Error::other(format!("the keys of the store cannot be used: {error}"))
}

/// Notes durably that `subject` is being forgotten.
pub(super) fn begin(storage: &Storage, subject: &str) -> StorageResult<()> {
    let mut forgetting = read::<Forgetting>(storage, Note::Forgetting)?.unwrap_or_default();
    if forgetting.subjects.insert(subject.to_owned()) {
        write(storage, Note::Forgetting, &forgetting)?;
    }
    Ok(())
}

/// Notes durably that `subject` is forgotten.
pub(super) fn finish(storage: &Storage, subject: &str) -> StorageResult<()> {
    let mut forgetting = read::<Forgetting>(storage, Note::Forgetting)?.unwrap_or_default();
    forgetting.subjects.remove(subject);
    if forgetting.subjects.is_empty() {
        return storage.remove_note(Note::Forgetting);
    }
    write(storage, Note::Forgetting, &forgetting)
}

/// The events with personal data of some subjects.
#[derive(Debug, Default)]
pub(super) struct Erasing {
    pub(super) events: u64,
    /// The position of the first of them.
    pub(super) first: Option<u64>,
    pub(super) streams: BTreeSet<StreamId>,
}

impl Erasing {
    /// Finds them, by reading all durable events. Blocks.
    pub(super) fn find(storage: &Storage, subjects: &BTreeSet<String>) -> StorageResult<Self> {
        let mut found = Self::default();
        let dropped = storage.dropped();
        let mut reader = storage.reader(dropped);
        storage.each_dropped(dropped, |event| found.look_at(event, subjects))?;
        reader.read_to(storage.head(), |committed| -> StorageResult<_> {
            for i in 0..committed.len() {
                committed.event(i, |event| found.look_at(event, subjects))?;
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(found)
    }

    fn look_at(&mut self, event: StoredEvent<'_>, subjects: &BTreeSet<String>) {
        if !sealing::has_any_of(event.data(), subjects) {
            return;
        }
        let record = event.record();
        self.events += 1;
        let first = self.first.get_or_insert(record.position);
        *first = record.position.min(*first);
        if record.is_of_aggregate() {
            let id = StreamId::new(record.aggregate_type, record.id);
            self.streams.extend(id);
        }
    }

    /// Removes what was saved of the aggregates and projections that were folded from these events. Returns
    /// how many snapshots there were, and the names of the projections. Blocks.
    pub(super) fn remove_saved(&self, storage: &Storage) -> StorageResult<(u64, Vec<String>)> {
        let streams: Vec<_> = self.streams.iter().cloned().collect();
        let snapshots = storage.remove_snapshots(&streams)?;
        let projections = match self.first {
            Some(first) => remove_saved_since(storage, first)?,
            None => Vec::new(),
        };
        Ok((snapshots, projections))
    }
}
