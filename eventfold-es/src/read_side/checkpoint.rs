//! Where a follower of the journal stands: its state and its position, in one file.
//!
//! `journal_checkpoint.json` is ours; that of a process manager also has its outbox. `checkpoint.json` is that of eventfold-es 0.2.0, which kept a
//! cursor for each stream instead of a position; it is read once and left as it is.

use std::collections::HashMap;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
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
    /// What a process manager had not seen through.
    pub(crate) pending: outbox::Saved,
}

impl<S: Default> Checkpoint<S> {
    /// Before the first event.
    pub(crate) fn start() -> Self {
        Self {
            state: S::default(),
            position: 0,
            cursors: None,
            pending: outbox::Saved::default(),
        }
    }
}

/// A checkpoint that is there and cannot be used.
#[derive(Debug)]
pub(crate) enum Unusable {
    Io(io::Error),
    Damaged(io::Error),
}

fn ours(dir: &Path) -> PathBuf {
    dir.join("journal_checkpoint.json")
}

/// Reads the checkpoint in `dir`, `None` if there is none.
pub(crate) fn read<S: DeserializeOwned>(dir: &Path) -> Result<Option<Checkpoint<S>>, Unusable> {
    #[derive(Deserialize)]
    struct Ours<S> {
        position: u64,
        state: S,
        cursors: Option<Cursors>,
        #[serde(default)]
        pending: outbox::Saved,
    }
    #[derive(Deserialize)]
    struct Old<S> {
        state: S,
        cursors: Cursors,
    }

    let path = ours(dir);
    if let Some(bytes) = disk::read_if_there(&path).map_err(Unusable::Io)? {
        let damaged =
            |cause: &dyn std::fmt::Display| Unusable::Damaged(disk::damaged(&path, 0, cause));
        if split_sum(&bytes).is_none_or(|(body, sum)| xxh3_64(body) != sum) {
            return Err(damaged(&"the checksum does not match"));
        }
        let read: Ours<S> = serde_json::from_slice(&bytes).map_err(|cause| damaged(&cause))?;
        return Ok(Some(Checkpoint {
            state: read.state,
            position: read.position,
            cursors: read.cursors,
            pending: read.pending,
        }));
    }
    let path = dir.join("checkpoint.json");
    let Some(bytes) = disk::read_if_there(&path).map_err(Unusable::Io)? else {
        return Ok(None);
    };
    let old: Old<S> = serde_json::from_slice(&bytes)
        .map_err(|cause| Unusable::Damaged(disk::damaged(&path, 0, &cause)))?;
    Ok(Some(Checkpoint {
        state: old.state,
        position: 0,
        cursors: Some(old.cursors),
        pending: outbox::Saved::default(),
    }))
}

/// Replaces the checkpoint in `dir`, all or nothing.
pub(crate) fn write<S: Serialize>(
    dir: &Path,
    state: &S,
    position: u64,
    cursors: Option<&Cursors>,
    pending: Option<&outbox::Saved>,
) -> io::Result<()> {
    let mut out = Vec::new();
    write!(out, "{{\"position\":{position},\"state\":")?;
    serde_json::to_writer(&mut out, state)?;
    if let Some(cursors) = cursors {
        out.extend_from_slice(b",\"cursors\":");
        serde_json::to_writer(&mut out, cursors)?;
    }
    if let Some(pending) = pending {
        out.extend_from_slice(b",\"pending\":");
        serde_json::to_writer(&mut out, pending)?;
    }
    let sum = xxh3_64(&out);
    write_sum(&mut out, sum);
    disk::create_dir(dir)?;
    disk::replace_durably(&ours(dir), &out)
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
