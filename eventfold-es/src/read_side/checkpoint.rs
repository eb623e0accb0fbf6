//! Where a follower of the journal stands: its state and its position, in one file.
//!
//! `journal_checkpoint.json` is ours, `journal_checkpoint.v2.json` that of version 2, and so on.
//! `checkpoint.json` is that of eventfold-es 0.2.0, which kept a cursor for each stream instead of a
//! position; it is read once, as version 1, and left as it is.

use std::collections::HashMap;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use xxhash_rust::xxh3::xxh3_64;

use super::outbox;
use crate::engine::disk;
use crate::engine::{CommitLine, split_sum, write_sum};

/// A follower's place.
#[derive(Debug)]
pub(crate) struct Checkpoint<S> {
    pub(crate) state: S,
    /// All events up to here are in the state.
    pub(crate) position: u64,
    /// If the state is 0.2.0's: which events it has, while the position says nothing about them.
    pub(crate) cursors: Option<Cursors>,
    /// Which events were left out of the state because nobody knew their names.
    pub(crate) unknown: Vec<UnknownEvent>,
    /// The fingerprint of the events that the state was folded from.
    pub(crate) events: u64,
    /// What a process manager had not seen through.
    pub(crate) pending: outbox::Saved,
}

impl<S: Default> Checkpoint<S> {
    /// The place before the first event.
    pub(crate) fn beginning() -> Self {
        Self {
            state: S::default(),
            position: 0,
            cursors: None,
            unknown: Vec::new(),
            events: 0,
            pending: outbox::Saved::default(),
        }
    }
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
                    path.display()
                );
                io::Error::new(io::ErrorKind::InvalidData, text)
            }
        }
    }

    /// The error of the process manager `name`, which cannot do without its checkpoint.
    pub(crate) fn of_manager(self, name: &str) -> io::Error {
        match self {
            Self::Unfit(path, cause) => {
                let text = format!(
                    "the saved state of process manager `{name}` in {} does not fit its type: \
                     {cause}; give new fields `#[serde(default)]`",
                    path.display()
                );
                io::Error::new(io::ErrorKind::InvalidData, text)
            }
            error => error.into_io(),
        }
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
    struct Ours<'a> {
        position: u64,
        #[serde(default, rename = "skipped")]
        unknown: Vec<UnknownEvent>,
        #[serde(default)]
        events: u64,
        cursors: Option<Cursors>,
        #[serde(default)]
        pending: outbox::Saved,
        #[serde(borrow)]
        state: &'a RawValue,
    }
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
            cursors: Some(old.cursors),
            unknown: Vec::new(),
            events: 0,
            pending: outbox::Saved::default(),
        }));
    }
    if split_sum(&bytes).is_none_or(|(body, sum)| xxh3_64(body) != sum) {
        return Err(damaged(&"the checksum does not match"));
    }
    let read: Ours<'_> = serde_json::from_slice(&bytes).map_err(|cause| damaged(&cause))?;
    Ok(Some(Checkpoint {
        state: serde_json::from_str(read.state.get()).map_err(unfit)?,
        position: read.position,
        cursors: read.cursors,
        unknown: read.unknown,
        events: read.events,
        pending: read.pending,
    }))
}

/// What is written besides the state.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) position: u64,
    pub(crate) unknown: &'a [UnknownEvent],
    pub(crate) events: u64,
    pub(crate) cursors: Option<&'a Cursors>,
    pub(crate) pending: Option<&'a outbox::Saved>,
}

/// Replaces the checkpoint of the version `version` in `dir`, all or nothing.
pub(crate) fn write<S: Serialize>(
    dir: &Path,
    version: u32,
    place: Place<'_>,
    state: &S,
) -> io::Result<()> {
    let mut out = Vec::new();
    write!(out, "{{\"position\":{}", place.position)?;
    if !place.unknown.is_empty() {
        out.extend_from_slice(b",\"skipped\":");
        serde_json::to_writer(&mut out, place.unknown)?;
    }
    if place.events != 0 {
        write!(out, ",\"events\":{}", place.events)?;
    }
    if let Some(cursors) = place.cursors {
        out.extend_from_slice(b",\"cursors\":");
        serde_json::to_writer(&mut out, cursors)?;
    }
    if let Some(pending) = place.pending {
        out.extend_from_slice(b",\"pending\":");
        serde_json::to_writer(&mut out, pending)?;
    }
    out.extend_from_slice(b",\"state\":");
    serde_json::to_writer(&mut out, state)?;
    let sum = xxh3_64(&out);
    write_sum(&mut out, sum);
    disk::create_dir(dir)?;
    disk::replace_durably(&ours(dir, version), &out)
}

/// How far 0.2.0 had read each stream, by `type/id`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Cursors(HashMap<String, Cursor>);

#[derive(Debug, Serialize, Deserialize)]
struct Cursor {
    offset: u64,
}

impl Cursors {
    /// How many of a commit's events the state has already.
    pub(crate) fn seen(&self, commit: &CommitLine<'_>) -> usize {
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
