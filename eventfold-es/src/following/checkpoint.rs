//! A follower's checkpoint: its state and its position, in one record.
//!
//! The record of eventfold-es 0.2.0 has a cursor for each stream instead of a position. It is read
//! once, as version 1, and is not changed.

use std::collections::HashMap;

use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::error::{guarded, panic_message};
use crate::following::chain::Chain;
use crate::following::outgoing::{Saved, ToSave};
use crate::ids::StreamId;
use crate::storage::Storage;
use crate::storage::encoding::sealed;
use crate::storage::error::{StorageError, StorageErrorKind, StorageResult};
use crate::storage::log::Committed;
use crate::storage::record::Records;
use crate::storage::record_name::RecordName;

/// A follower's checkpoint.
#[derive(Debug)]
pub(crate) struct Checkpoint<S> {
    pub(crate) state: S,
    /// All events up to here are in the state.
    pub(crate) position: u64,
    /// The checksum of the journal's line that holds the last of these events. An earlier form
    /// lacks it.
    pub(crate) chain: Option<u64>,
    /// The checksum of the events that were skipped.
    pub(crate) skipped_events: u64,
    /// For a state of 0.2.0: which events it has. The position says nothing about them.
    pub(crate) cursors: Option<Cursors>,
    /// The events that were left out of the state because their names are unknown.
    pub(crate) unknown: Vec<UnknownEvent>,
    /// The fingerprint of the events that the state was folded from.
    pub(crate) events: u64,
    /// The unfinished work of a process manager.
    pub(crate) pending: Saved,
}

impl<S: Default> Checkpoint<S> {
    /// The checkpoint before the first event.
    pub(crate) fn beginning() -> Self {
        Self {
            state: S::default(),
            position: 0,
            chain: Some(0),
            skipped_events: 0,
            cursors: None,
            unknown: Vec::new(),
            events: 0,
            pending: Saved::default(),
        }
    }
}

impl<S> Checkpoint<S> {
    /// Why it does not belong to the history in the journal of `storage`, `None` if it does.
    /// Invariant F9.
    pub(crate) fn misfit(&mut self, storage: &Storage) -> StorageResult<Option<String>> {
        let (position, mut head) = (self.position, storage.head());
        if position > head {
            // It may be the work of another process.
            head = storage.ask_head()?;
        }
        if position > head {
            let cause = format!(
                "is ahead of the journal: it is at position {position}, but the journal ends at \
                 position {head}"
            );
            return Ok(Some(cause));
        }
        if let Some(chain) = self.chain
            && storage.history_at(position)? != chain
        {
            return Ok(Some(another_history(position)));
        }
        match &mut self.cursors {
            Some(cursors) => cursors.misfit(storage),
            None => Ok(None),
        }
    }
}

/// The error text for a checkpoint at `position` whose checksum differs from the journal's.
pub(crate) fn another_history(position: u64) -> String {
    format!(
        "is from another history: up to position {position}, the journal has other events \
         than it was saved with"
    )
}

/// An event with an unknown name: its aggregate's type, and its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UnknownEvent {
    #[serde(rename = "type")]
    pub(crate) aggregate_type: String,
    pub(crate) event: String,
}

/// A checkpoint that exists and cannot be used.
#[derive(Debug)]
pub(crate) enum Unusable {
    Storage(StorageError),
    /// The record was changed since it was written.
    Damaged(StorageError),
    /// The record in this place is unchanged, but its state does not fit the type.
    Unfit(String, serde_json::Error),
}

impl Unusable {
    pub(crate) fn into_error(self) -> StorageError {
        match self {
            Self::Storage(error) | Self::Damaged(error) => error,
            Self::Unfit(place, cause) => {
                let text = format!("the state saved in {place} does not fit its type: {cause}");
                StorageError::new(StorageErrorKind::Unreadable, text)
            }
        }
    }

    /// The error of the process manager `name`, which cannot work without its checkpoint.
    /// Invariant F7.
    pub(crate) fn of_manager(self, name: &str) -> StorageError {
        match self {
            Self::Unfit(place, cause) => {
                let text = format!(
                    "the saved state of process manager `{name}` in {place} does not fit its type: \
                     {cause}; give new fields `#[serde(default)]`"
                );
                StorageError::new(StorageErrorKind::Unreadable, text)
            }
            Self::Storage(error) | Self::Damaged(error) => error.in_context(format!(
                "process manager `{name}` is stopped, because without its checkpoint it would send \
                 its commands again"
            )),
        }
    }
}

/// Removes the checkpoint of the version `version`.
pub(crate) fn remove(records: &Records, version: u32) -> StorageResult<()> {
    records.remove(RecordName::Checkpoint(version))
}

/// Reads the checkpoint of the version `version`, `None` if there is none.
pub(crate) fn read<S: DeserializeOwned>(
    records: &Records,
    version: u32,
) -> Result<Option<Checkpoint<S>>, Unusable> {
    let found = read_record(records, RecordName::Checkpoint(version))?;
    if found.is_some() || version != 1 {
        return Ok(found);
    }
    read_record(records, RecordName::OldCheckpoint)
}

/// Reads the checkpoint in the record `name`, `None` if there is none.
pub(crate) fn read_record<S: DeserializeOwned>(
    records: &Records,
    name: RecordName,
) -> Result<Option<Checkpoint<S>>, Unusable> {
    #[derive(Deserialize)]
    struct Old<'a> {
        #[serde(borrow)]
        state: &'a RawValue,
        cursors: HashMap<String, OldCursor>,
    }

    let Some(bytes) = records.read(name).map_err(Unusable::Storage)? else {
        return Ok(None);
    };
    let damaged = |cause: &str| Unusable::Damaged(records.damaged(name, 0, cause));
    let unfit = |cause| Unusable::Unfit(records.place(name).to_string(), cause);
    if name == RecordName::OldCheckpoint {
        let old: Old<'_> =
            serde_json::from_slice(&bytes).map_err(|cause| damaged(&cause.to_string()))?;
        return Ok(Some(Checkpoint {
            state: serde_json::from_str(old.state.get()).map_err(unfit)?,
            position: 0,
            chain: None,
            skipped_events: 0,
            cursors: Some(Cursors {
                versions: HashMap::new(),
                old: old.cursors,
            }),
            unknown: Vec::new(),
            events: 0,
            pending: Saved::default(),
        }));
    }
    let read = Ours::unsealed(&bytes).map_err(|cause| damaged(&cause))?;
    read.checkpoint().map(Some).map_err(unfit)
}

/// Reads a checkpoint of our form.
///
/// # Errors
///
/// Why it cannot be read.
pub(crate) fn of_bytes<S: DeserializeOwned>(bytes: &[u8]) -> Result<Checkpoint<S>, String> {
    let read = Ours::unsealed(bytes)?;
    read.checkpoint().map_err(|cause| cause.to_string())
}

/// Our form of a checkpoint, as its file has it.
#[derive(Deserialize)]
struct Ours<'a, P = Saved> {
    position: u64,
    #[serde(default)]
    chain: Option<Chain>,
    #[serde(default, rename = "skipped")]
    skipped_events: Option<Chain>,
    #[serde(default)]
    unknown: Vec<UnknownEvent>,
    #[serde(default)]
    events: u64,
    cursors: Option<Cursors>,
    #[serde(default)]
    pending: P,
    #[serde(borrow)]
    state: &'a RawValue,
}

impl<'a> Ours<'a> {
    /// Reads `bytes` if their checksum is right.
    fn unsealed(bytes: &'a [u8]) -> Result<Self, String> {
        if sealed::is_right(bytes, 0) != Some(true) {
            return Err("the checksum does not match".to_owned());
        }
        serde_json::from_slice(bytes).map_err(|cause| cause.to_string())
    }

    fn checkpoint<S: DeserializeOwned>(self) -> serde_json::Result<Checkpoint<S>> {
        Ok(Checkpoint {
            state: serde_json::from_str(self.state.get())?,
            position: self.position,
            chain: self.chain.map(|Chain(chain)| chain),
            skipped_events: self.skipped_events.map_or(0, |Chain(sum)| sum),
            cursors: self.cursors,
            unknown: self.unknown,
            events: self.events,
            pending: self.pending,
        })
    }
}

/// Why a state is not saved: no later open could read it.
#[derive(Debug, thiserror::Error)]
enum Unsaveable {
    #[error("it cannot be written as JSON: {0}")]
    Unwritable(serde_json::Error),
    #[error("its JSON could not be read again: {0} (JSON has no NaN and no infinity)")]
    State(serde_json::Error),
    #[error("writing it as JSON or reading it again panicked: {0}")]
    Panicked(String),
    #[error("its commands and timers could not be read again: {0}")]
    File(serde_json::Error),
}

/// The parts of a checkpoint besides the state.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) position: u64,
    pub(crate) chain: u64,
    pub(crate) skipped_events: u64,
    pub(crate) unknown: &'a [UnknownEvent],
    pub(crate) events: u64,
    pub(crate) cursors: Option<&'a Cursors>,
    pub(crate) pending: Option<&'a ToSave<'a>>,
}

/// Replaces the checkpoint of the follower `name` of the version `version`, all or nothing.
///
/// # Errors
///
/// If the checkpoint could not be read again; then nothing changes.
/// Invariant F1.
pub(crate) fn write<S: Serialize + DeserializeOwned>(
    name: &str,
    records: &Records,
    version: u32,
    place: Place<'_>,
    state: &S,
) -> StorageResult<()> {
    let bytes = content(name, place, state)?;
    let record = RecordName::Checkpoint(version);
    if place.pending.is_some() {
        records.replace(record, &bytes)
    } else {
        // Every process that has the store open saves the same projection.
        records.replace_older(record, place.position, &bytes)
    }
}

/// What the record of such a checkpoint has.
///
/// # Errors
///
/// If the checkpoint could not be read again.
pub(crate) fn content<S: Serialize + DeserializeOwned>(
    name: &str,
    place: Place<'_>,
    state: &S,
) -> StorageResult<Vec<u8>> {
    encode(place, state).map_err(|cause| {
        let text = format!("the state of `{name}` is not saved: {cause}");
        StorageError::new(StorageErrorKind::Unreadable, text)
    })
}

/// The file's content. It is checked to be readable.
fn encode<S: Serialize + DeserializeOwned>(
    place: Place<'_>,
    state: &S,
) -> Result<Vec<u8>, Unsaveable> {
    let unwritable = Unsaveable::Unwritable;
    let mut out = format!("{{\"position\":{}", place.position).into_bytes();
    write_member(&mut out, "chain", &Chain(place.chain)).map_err(unwritable)?;
    if place.skipped_events != 0 {
        let sum = Chain(place.skipped_events);
        write_member(&mut out, "skipped", &sum).map_err(unwritable)?;
    }
    if !place.unknown.is_empty() {
        write_member(&mut out, "unknown", &place.unknown).map_err(unwritable)?;
    }
    if place.events != 0 {
        write_member(&mut out, "events", &place.events).map_err(unwritable)?;
    }
    if let Some(cursors) = place.cursors {
        write_member(&mut out, "cursors", cursors).map_err(unwritable)?;
    }
    if let Some(pending) = place.pending {
        write_member(&mut out, "pending", pending).map_err(unwritable)?;
    }
    let panicked =
        |panic: Box<dyn std::any::Any + Send>| Unsaveable::Panicked(panic_message(&*panic));
    let written = guarded(|| write_member(&mut out, "state", state));
    written.map_err(panicked)?.map_err(unwritable)?;
    sealed::seal(&mut out, 0, 0);
    let state = state_in(
        &out,
        place.pending.is_some_and(|pending| pending.is_read_back),
    );
    let state = state.map_err(Unsaveable::File)?;
    let state = guarded(|| serde_json::from_str::<S>(state.get()).map(drop));
    state.map_err(panicked)?.map_err(Unsaveable::State)?;
    Ok(out)
}

/// The state in the file's content, which is read to its end.
fn state_in(content: &[u8], is_pending_read_back: bool) -> serde_json::Result<&RawValue> {
    if is_pending_read_back {
        // Besides the commands, the unfinished work has only numbers and texts. So it can be read if
        // it is JSON.
        let read: Ours<'_, IgnoredAny> = serde_json::from_slice(content)?;
        return Ok(read.state);
    }
    let read: Ours<'_> = serde_json::from_slice(content)?;
    Ok(read.state)
}

/// Reads back a process manager's unfinished work, as a checkpoint holds it.
///
/// # Errors
///
/// Why it could not be read.
pub(crate) fn read_back_pending(pending: &ToSave<'_>) -> Result<(), String> {
    let place = Place {
        position: 0,
        chain: 0,
        skipped_events: 0,
        unknown: &[],
        events: 0,
        cursors: None,
        pending: Some(pending),
    };
    let read_back = encode(place, &());
    read_back.map(drop).map_err(|error| error.to_string())
}

fn write_member<T: Serialize>(out: &mut Vec<u8>, name: &str, value: &T) -> serde_json::Result<()> {
    out.extend_from_slice(format!(",\"{name}\":").as_bytes());
    serde_json::to_writer(out, value)
}

/// The events of each stream, by `type/id`, that a state of 0.2.0 has.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Cursors {
    #[serde(flatten)]
    versions: HashMap<String, u64>,
    /// As 0.2.0 wrote them, until their versions are known.
    #[serde(skip)]
    old: HashMap<String, OldCursor>,
}

/// How far 0.2.0 had read a stream.
#[derive(Debug, Deserialize)]
struct OldCursor {
    offset: u64,
    /// `eventfold`'s hash of the line before `offset`.
    #[serde(default)]
    hash: Option<String>,
}

impl Cursors {
    /// Finds the versions of the cursors. Returns why the cursors do not belong to the existing
    /// streams, `None` if they do.
    fn misfit(&mut self, storage: &Storage) -> StorageResult<Option<String>> {
        for (name, cursor) in self.old.drain() {
            let id = name
                .split_once('/')
                .map(|(kind, id)| StreamId::new(kind, id));
            let Some(Ok(id)) = id else { continue };
            let hash = cursor.hash.as_deref();
            let Some(version) = storage.version_of_cursor(&id, cursor.offset, hash)? else {
                let offset = cursor.offset;
                let cause = format!(
                    "has read stream {name} up to byte {offset}, but the event that it read last \
                     does not end there: the checkpoint and the stream are from different times"
                );
                return Ok(Some(cause));
            };
            self.versions.insert(name, version);
        }
        Ok(None)
    }

    /// How many of the events are in the state already.
    pub(crate) fn seen(&self, committed: &Committed<'_>) -> usize {
        let key = format!("{}/{}", committed.aggregate_type(), committed.id());
        let Some(version) = self.versions.get(&key) else {
            return 0;
        };
        let is_seen = |i: &usize| committed.version(*i) <= *version;
        (0..committed.len()).take_while(is_seen).count()
    }
}
