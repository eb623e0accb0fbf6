//! Where a follower of the journal stands: its state and its position, in one file.
//!
//! `journal_checkpoint.json` is ours, `journal_checkpoint.v2.json` that of version 2, and so on.
//! `checkpoint.json` is that of eventfold-es 0.2.0, which kept a cursor for each stream instead of a
//! position; it is read once, as version 1, and left as it is.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::error::{guarded, panic_message};
use crate::following::chain::Chain;
use crate::following::outgoing::Saved;
use crate::ids::StreamId;
use crate::storage::files::disk;
use crate::storage::files::{CommitPart, Engine, line_before, line_hash, sealed};
use crate::text::shown;

/// A follower's place.
#[derive(Debug)]
pub(crate) struct Checkpoint<S> {
    pub(crate) state: S,
    /// All events up to here are in the state.
    pub(crate) position: u64,
    /// The checksum of the journal's line that holds the last of them. Those of an earlier form lack it.
    pub(crate) chain: Option<u64>,
    /// The checksum of the events that were passed over.
    pub(crate) passed_over: u64,
    /// If the state is 0.2.0's: which events it has, while the position says nothing about them.
    pub(crate) cursors: Option<Cursors>,
    /// Which events were left out of the state because nobody knew their names.
    pub(crate) unknown: Vec<UnknownEvent>,
    /// The fingerprint of the events that the state was folded from.
    pub(crate) events: u64,
    /// What a process manager had not seen through.
    pub(crate) pending: Saved,
}

impl<S: Default> Checkpoint<S> {
    /// The place before the first event.
    pub(crate) fn beginning() -> Self {
        Self {
            state: S::default(),
            position: 0,
            chain: Some(0),
            passed_over: 0,
            cursors: None,
            unknown: Vec::new(),
            events: 0,
            pending: Saved::default(),
        }
    }
}

impl<S> Checkpoint<S> {
    /// Why it is not of the history that the journal of `engine` tells, `None` if it is.
    pub(crate) fn misfit(&self, engine: &Engine) -> io::Result<Option<String>> {
        let (position, head) = (self.position, engine.head());
        if position > head {
            let cause = format!(
                "is ahead of the journal: it is at position {position}, the journal ends at {head}"
            );
            return Ok(Some(cause));
        }
        if let Some(chain) = self.chain
            && engine.chain_at(position)? != chain
        {
            return Ok(Some(another_history(position)));
        }
        match &self.cursors {
            Some(cursors) => cursors.misfit(engine),
            None => Ok(None),
        }
    }
}

/// What is wrong with a checkpoint at `position` whose checksum is not that of the journal.
pub(crate) fn another_history(position: u64) -> String {
    format!("is of another time: up to position {position} the journal tells another history")
}

/// An event that nobody knew: its aggregate's type, and its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UnknownEvent {
    #[serde(rename = "type")]
    pub(crate) aggregate_type: String,
    pub(crate) event: String,
}

/// A checkpoint that is there and cannot be used.
#[derive(Debug)]
pub(crate) enum Unusable {
    Io(io::Error),
    Damaged(io::Error),
    /// It is as it was written, but its state is not one of the type.
    Unfit(PathBuf, serde_json::Error),
}

impl Unusable {
    pub(crate) fn into_io(self) -> io::Error {
        match self {
            Self::Io(error) | Self::Damaged(error) => error,
            Self::Unfit(path, cause) => {
                let text = format!(
                    "the state saved in {} does not fit its type: {cause}",
                    shown(&path)
                );
                io::Error::new(io::ErrorKind::InvalidData, text)
            }
        }
    }

    /// The error of the process manager `name`, which cannot do without its checkpoint.
    pub(crate) fn of_manager(self, name: &str) -> io::Error {
        let text = match self {
            Self::Unfit(path, cause) => format!(
                "the saved state of process manager `{name}` in {} does not fit its type: {cause}; \
                 give new fields `#[serde(default)]`",
                shown(&path)
            ),
            Self::Io(cause) | Self::Damaged(cause) => format!(
                "process manager `{name}` is stopped, since without its checkpoint it would send \
                 its commands again: {cause}"
            ),
        };
        io::Error::new(io::ErrorKind::InvalidData, text)
    }
}

/// The file of the version `version` in `dir`.
fn ours(dir: &Path, version: u32) -> PathBuf {
    dir.join(match version {
        1 => "journal_checkpoint.json".to_owned(),
        _ => format!("journal_checkpoint.v{version}.json"),
    })
}

/// Whether a file may be a checkpoint, of whatever version.
pub(crate) fn is_one(file_name: &str) -> bool {
    let version = file_name
        .strip_prefix("journal_checkpoint.v")
        .and_then(|rest| rest.strip_suffix(".json"));
    ["journal_checkpoint.json", "checkpoint.json"].contains(&file_name)
        || version.is_some_and(|version| version.parse::<u32>().is_ok())
}

/// Removes the checkpoint of the version `version` in `dir`.
pub(crate) fn remove(dir: &Path, version: u32) -> io::Result<()> {
    disk::remove(&ours(dir, version))
}

/// Reads the checkpoint of the version `version` in `dir`, `None` if there is none.
pub(crate) fn read<S: DeserializeOwned>(
    dir: &Path,
    version: u32,
) -> Result<Option<Checkpoint<S>>, Unusable> {
    let found = read_file(&ours(dir, version))?;
    if found.is_some() || version != 1 {
        return Ok(found);
    }
    read_file(&dir.join("checkpoint.json"))
}

/// Reads the checkpoint in `path`, `None` if there is none.
pub(crate) fn read_file<S: DeserializeOwned>(
    path: &Path,
) -> Result<Option<Checkpoint<S>>, Unusable> {
    #[derive(Deserialize)]
    struct Old<'a> {
        #[serde(borrow)]
        state: &'a RawValue,
        cursors: Cursors,
    }

    let Some(bytes) = disk::read_if_there(path).map_err(Unusable::Io)? else {
        return Ok(None);
    };
    let damaged = |cause: &dyn std::fmt::Display| Unusable::Damaged(disk::damaged(path, 0, cause));
    let unfit = |cause| Unusable::Unfit(path.to_owned(), cause);
    if path.ends_with("checkpoint.json") {
        let old: Old<'_> = serde_json::from_slice(&bytes).map_err(|cause| damaged(&cause))?;
        return Ok(Some(Checkpoint {
            state: serde_json::from_str(old.state.get()).map_err(unfit)?,
            position: 0,
            chain: None,
            passed_over: 0,
            cursors: Some(old.cursors),
            unknown: Vec::new(),
            events: 0,
            pending: Saved::default(),
        }));
    }
    if sealed::is_right(&bytes, 0) != Some(true) {
        return Err(damaged(&"the checksum does not match"));
    }
    let read = Ours::read(&bytes).map_err(|cause| damaged(&cause))?;
    Ok(Some(Checkpoint {
        state: serde_json::from_str(read.state.get()).map_err(unfit)?,
        position: read.position,
        chain: read.chain.map(|Chain(chain)| chain),
        passed_over: read.passed_over.map_or(0, |Chain(sum)| sum),
        cursors: read.cursors,
        unknown: read.unknown,
        events: read.events,
        pending: read.pending,
    }))
}

/// A checkpoint of ours as its file has it.
#[derive(Deserialize)]
struct Ours<'a> {
    position: u64,
    #[serde(default)]
    chain: Option<Chain>,
    #[serde(default)]
    passed_over: Option<Chain>,
    #[serde(default, rename = "skipped")]
    unknown: Vec<UnknownEvent>,
    #[serde(default)]
    events: u64,
    cursors: Option<Cursors>,
    #[serde(default)]
    pending: Saved,
    #[serde(borrow)]
    state: &'a RawValue,
}

impl<'a> Ours<'a> {
    fn read(bytes: &'a [u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(bytes)
    }
}

/// Why a state is not saved: no later open could take it up.
#[derive(Debug, thiserror::Error)]
enum Unsaveable {
    #[error("it cannot be written as JSON: {0}")]
    Unwritable(serde_json::Error),
    #[error("as JSON it could not be read again: {0} (JSON has no NaN and no infinity)")]
    State(serde_json::Error),
    #[error("writing it as JSON, or reading it again, panicked: {0}")]
    Panicked(String),
    #[error("its commands and timers could not be read again: {0}")]
    File(serde_json::Error),
}

/// What is written besides the state.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) position: u64,
    pub(crate) chain: u64,
    pub(crate) passed_over: u64,
    pub(crate) unknown: &'a [UnknownEvent],
    pub(crate) events: u64,
    pub(crate) cursors: Option<&'a Cursors>,
    pub(crate) pending: Option<&'a Saved>,
}

/// Replaces the checkpoint of the follower `name` of the version `version` in `dir`, all or nothing.
///
/// # Errors
///
/// [`io::ErrorKind::InvalidData`] if what would be saved could not be read again; then nothing
/// changes.
pub(crate) fn write<S: Serialize + DeserializeOwned>(
    name: &str,
    dir: &Path,
    version: u32,
    place: Place<'_>,
    state: &S,
) -> io::Result<()> {
    let bytes = encode(place, state).map_err(|cause| {
        let text = format!("the state of `{name}` is not saved: {cause}");
        io::Error::new(io::ErrorKind::InvalidData, text)
    })?;
    disk::create_dir(dir)?;
    disk::replace_durably(&ours(dir, version), &bytes)
}

/// The file's content, which is known to be readable.
fn encode<S: Serialize + DeserializeOwned>(
    place: Place<'_>,
    state: &S,
) -> Result<Vec<u8>, Unsaveable> {
    let unwritable = Unsaveable::Unwritable;
    let mut out = format!("{{\"position\":{}", place.position).into_bytes();
    write_member(&mut out, "chain", &Chain(place.chain)).map_err(unwritable)?;
    if place.passed_over != 0 {
        let sum = Chain(place.passed_over);
        write_member(&mut out, "passed_over", &sum).map_err(unwritable)?;
    }
    if !place.unknown.is_empty() {
        write_member(&mut out, "skipped", &place.unknown).map_err(unwritable)?;
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
    let read = Ours::read(&out).map_err(Unsaveable::File)?;
    let state = guarded(|| serde_json::from_str::<S>(read.state.get()).map(drop));
    state.map_err(panicked)?.map_err(Unsaveable::State)?;
    Ok(out)
}

/// Reads back what a process manager has not seen through, as it stands in a checkpoint.
///
/// # Errors
///
/// Why it could not be read.
pub(crate) fn read_back_pending(pending: &Saved) -> Result<(), String> {
    let place = Place {
        position: 0,
        chain: 0,
        passed_over: 0,
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

/// How far 0.2.0 had read each stream, by `type/id`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Cursors(HashMap<String, Cursor>);

#[derive(Debug, Serialize, Deserialize)]
struct Cursor {
    offset: u64,
    /// `eventfold`'s hash of the line before that.
    #[serde(default, skip_serializing)]
    hash: Option<String>,
}

impl Cursors {
    /// Why they are not of the streams that are there, `None` if they are.
    fn misfit(&self, engine: &Engine) -> io::Result<Option<String>> {
        for (name, cursor) in &self.0 {
            let Some(hash) = cursor.hash.as_deref().filter(|_| cursor.offset > 0) else {
                continue;
            };
            let id = name
                .split_once('/')
                .map(|(kind, id)| StreamId::new(kind, id));
            let Some(Ok(id)) = id else { continue };
            let line = line_before(&engine.stream(&id), cursor.offset, None)?;
            let is_there = line.is_some_and(|line| format!("{:016x}", line_hash(&line)) == hash);
            if !is_there {
                let offset = cursor.offset;
                let cause = format!(
                    "has read stream {name} up to byte {offset}, where no event \
                                     ends that it knows: one of them is of another time"
                );
                return Ok(Some(cause));
            }
        }
        Ok(None)
    }

    /// How many of the events that a commit has of a stream the state has already.
    pub(crate) fn seen(&self, commit: &CommitPart<'_, '_>) -> usize {
        let key = format!("{}/{}", commit.aggregate_type, commit.id);
        let Some(cursor) = self.0.get(&key) else {
            return 0;
        };
        let mut end = commit.offset;
        let ends = commit.events.iter().map(|event| {
            end += event.get().len() as u64 + 1;
            end
        });
        ends.take_while(|end| *end <= cursor.offset).count()
    }
}
