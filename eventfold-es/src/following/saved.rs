//! What projections and process managers have saved, read without their types: [`SavedFollower`],
//! [`SavedProcessManager`].

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::SystemTime;

use serde::de::IgnoredAny;

use crate::clock::from_unix_millis;
use crate::domain::command::{CommandEnvelope, StoredCommand};
use crate::domain::process_manager::{DeadLetter, Timer};
use crate::following::checkpoint;
use crate::following::checkpoint::{Checkpoint, Unusable};
use crate::following::dead_letters;
use crate::following::dead_letters::{DeadLetters, Letter};
use crate::following::outgoing::{Outgoing, Saved};
use crate::following::skipped;
use crate::following::skipped::SkippedEvent;
use crate::following::status::{Progress, ToDo};
use crate::ids::Position;
use crate::storage::error::{StorageError, StorageErrorKind, StorageResult};
use crate::storage::record::Records;
use crate::storage::record_name::RecordName;

/// What a projection or a read model in SQLite has saved, or the part of a process manager that is the same. From
/// [`StoreReader::projections`](crate::inspect::StoreReader::projections).
///
/// See the example of [`StoreReader`](crate::inspect::StoreReader).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SavedFollower {
    /// Its `NAME`.
    pub name: String,
    /// The version of a projection or a read model, 1 for a process manager.
    pub version: u32,
    /// All events up to here are in its saved state.
    pub position: Position,
    /// How many events are stored after that, also those that it does not subscribe to.
    pub lag: u64,
    /// The size of its checkpoint in bytes, most of which is the state.
    pub bytes: u64,
    /// The events that were left out of the state because their names are unknown: the type of the
    /// aggregate, and the name.
    pub unknown: Vec<(String, String)>,
    /// The events that it skipped, the oldest first.
    pub skipped: Vec<SkippedEvent>,
    /// Why its checkpoint cannot be used, if it cannot. Then the position is the beginning.
    pub problem: Option<String>,
    /// The file of a read model in SQLite. Its version and `bytes` are those of the file. A program that was
    /// built without the feature `sqlite` does not know the position, and the `problem` says so.
    pub read_model: Option<PathBuf>,
}

/// What a process manager has saved. From
/// [`StoreReader::process_managers`](crate::inspect::StoreReader::process_managers).
///
/// See the example of [`StoreReader`](crate::inspect::StoreReader).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SavedProcessManager {
    /// Name, position, skipped events.
    pub follower: SavedFollower,
    /// The commands that are being sent, or wait for their next attempt.
    pub outbox: Vec<SavedCommand>,
    /// The timers, the next one first.
    pub timers: Vec<SavedTimer>,
    /// The dead letters that can be read, the oldest first.
    pub dead_letters: Vec<DeadLetter>,
    /// Why other dead letters cannot be read, with the offsets of their lines.
    pub unreadable: Vec<(u64, String)>,
}

/// The target of a command of a process manager, and the command.
///
/// See the example of [`StoreReader`](crate::inspect::StoreReader).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SavedContent {
    /// The command, as in a [`DeadLetter`].
    pub envelope: CommandEnvelope,
    /// The further commands that take effect together with it.
    pub together: Vec<CommandEnvelope>,
    /// The name of the decision that the command is for.
    pub decision: Option<String>,
}

/// A command in the outbox of a process manager.
///
/// See the example of [`StoreReader`](crate::inspect::StoreReader).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SavedCommand {
    /// Unique within the process manager, in the order in which commands are sent.
    pub number: u64,
    /// How often it was tried when the checkpoint was saved.
    pub attempts: u32,
    /// The command and its target.
    pub content: SavedContent,
    /// Why it is not sent any more, if it was given up.
    pub given_up: Option<String>,
}

/// A timer of a process manager.
///
/// See the example of [`StoreReader`](crate::inspect::StoreReader).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SavedTimer {
    /// The key that it was scheduled under, or one made of the event that it comes from.
    pub key: String,
    /// When its command is sent.
    pub due: SystemTime,
    /// The command and its target.
    pub content: SavedContent,
}

/// The versions of the projection `name` that have a checkpoint among `records`. `head` is the
/// position of the newest event.
pub(crate) fn projection(
    name: &str,
    records: &Records,
    names: &[RecordName],
    head: u64,
) -> StorageResult<Vec<SavedFollower>> {
    let mut versions = Vec::new();
    for version in versions_of(names) {
        let read = read_checkpoint(records, version)?;
        versions.push(follower(name, records, version, &read, head)?);
    }
    Ok(versions)
}

/// What the process manager `name` has saved in `records`.
pub(crate) fn process_manager(
    name: &str,
    records: &Records,
    head: u64,
) -> StorageResult<SavedProcessManager> {
    let read = read_checkpoint(records, 1)?;
    let follower = follower(name, records, 1, &read, head)?;
    let saved = read.checkpoint.map(|read| read.pending);
    let settled = saved.as_ref().and_then(Saved::settled_letters);
    let letters = records.read(RecordName::DeadLetters)?.unwrap_or_default();
    let (letters, unreadable) = dead_letters::listed(&letters, settled);
    let letters = letters.into_iter().map(Letter::shown);
    let Saved {
        outgoing, timers, ..
    } = saved.unwrap_or_default();
    let commands = outgoing.into_iter().map(SavedCommand::new);
    let timers = timers.into_iter().map(SavedTimer::new);
    let mut timers = timers.collect::<StorageResult<Vec<_>>>()?;
    timers.sort_by_key(|timer| timer.due);
    Ok(SavedProcessManager {
        follower,
        outbox: commands.collect::<StorageResult<_>>()?,
        timers,
        dead_letters: letters.collect::<StorageResult<_>>()?,
        unreadable,
    })
}

/// Removes a dead letter of the process manager `name`, whose store is not open. False if there is
/// none with this id.
///
/// # Errors
///
/// If the saved outbox has its command too, which the process manager would send, or if the files do
/// not belong together.
pub(crate) fn discard(name: &str, records: &Records, id: &str) -> StorageResult<bool> {
    let refused = |cause: String| {
        let text = format!("the dead letter `{id}` of `{name}` is not discarded: {cause}");
        StorageError::new(StorageErrorKind::InvalidInput, text)
    };
    let saved = match checkpoint::read::<IgnoredAny>(records, 1) {
        Ok(read) => read.map(|read| read.pending).unwrap_or_default(),
        Err(error) => return Err(error.of_manager(name)),
    };
    let mut letters = DeadLetters::open(records, saved.settled_letters())?;
    if let Some(cause) = letters.misfit(&saved)? {
        return Err(refused(format!("the dead letters {cause}")));
    }
    if saved.letter_ids().contains(id) {
        let cause = "the program ended before it had saved that its command was given up: open the \
                     store with this process manager once, then discard it";
        return Err(refused(cause.to_owned()));
    }
    Ok(letters.remove(&HashSet::from([id]))? > 0)
}

/// A checkpoint, or why it cannot be used.
struct Read {
    checkpoint: Option<Checkpoint<IgnoredAny>>,
    problem: Option<String>,
}

fn read_checkpoint(records: &Records, version: u32) -> StorageResult<Read> {
    let (checkpoint, problem) = match checkpoint::read::<IgnoredAny>(records, version) {
        Ok(checkpoint) => (checkpoint, None),
        Err(Unusable::Storage(error)) => return Err(error),
        Err(error) => (None, Some(error.into_error().to_string())),
    };
    let is_old = checkpoint
        .as_ref()
        .is_some_and(|c| c.position == 0 && c.cursors.is_some());
    let old = is_old.then(|| {
        "eventfold-es 0.2.0 saved it, which has no positions: it is taken over when the store is opened"
            .to_owned()
    });
    Ok(Read {
        checkpoint,
        problem: problem.or(old),
    })
}

fn follower(
    name: &str,
    records: &Records,
    version: u32,
    read: &Read,
    head: u64,
) -> StorageResult<SavedFollower> {
    let length = |name| -> StorageResult<Option<u64>> {
        Ok(records.read(name)?.map(|bytes| bytes.len() as u64))
    };
    let bytes = match length(RecordName::Checkpoint(version))? {
        None if version == 1 => length(RecordName::OldCheckpoint)?,
        bytes => bytes,
    };
    let skipped = records.read(RecordName::Skipped(version))?;
    let checkpoint = read.checkpoint.as_ref();
    let position = checkpoint.map_or(0, |checkpoint| checkpoint.position);
    let unknown = checkpoint.map_or(&[][..], |checkpoint| &checkpoint.unknown);
    Ok(SavedFollower {
        name: name.to_owned(),
        version,
        position: Position::new(position),
        lag: head.saturating_sub(position),
        bytes: bytes.unwrap_or(0),
        unknown: unknown
            .iter()
            .map(|unknown| (unknown.aggregate_type.clone(), unknown.event.clone()))
            .collect(),
        skipped: skipped::listed(&skipped.unwrap_or_default()),
        problem: read.problem.clone(),
        read_model: None,
    })
}

fn versions_of(names: &[RecordName]) -> Vec<u32> {
    let mut versions: Vec<u32> = names
        .iter()
        .filter_map(|name| match name {
            RecordName::Checkpoint(version) => Some(*version),
            RecordName::OldCheckpoint => Some(1),
            RecordName::Skipped(_) | RecordName::DeadLetters | RecordName::Restored => None,
        })
        .collect();
    versions.sort_unstable();
    versions.dedup();
    versions
}

impl SavedProcessManager {
    /// Tells what is saved, until the process manager runs and knows better.
    pub(super) fn tell(&self, progress: &Progress) {
        progress.set_position(self.follower.position.get());
        for skipped in &self.follower.skipped {
            progress.add_skipped(skipped.clone());
        }
        progress.set_to_do(ToDo {
            outgoing: self.outbox.len(),
            timers: self.timers.len(),
            dead_letters: self
                .unreadable
                .is_empty()
                .then_some(self.dead_letters.len()),
            ..ToDo::default()
        });
    }
}

impl SavedContent {
    fn new(command: StoredCommand) -> StorageResult<Self> {
        let shown = command.into_shown();
        let shown =
            shown.map_err(|cause| StorageError::new(StorageErrorKind::Unreadable, cause))?;
        Ok(Self {
            envelope: shown.envelope,
            together: shown.together,
            decision: shown.decision,
        })
    }
}

impl SavedCommand {
    fn new(outgoing: Outgoing) -> StorageResult<Self> {
        Ok(Self {
            number: outgoing.number,
            attempts: outgoing.attempts,
            content: SavedContent::new(outgoing.envelope)?,
            given_up: outgoing.given_up.map(|given_up| given_up.error),
        })
    }
}

impl SavedTimer {
    fn new((key, timer): (String, Timer)) -> StorageResult<Self> {
        Ok(Self {
            key: key.strip_prefix('=').map(str::to_owned).unwrap_or(key),
            due: from_unix_millis(timer.due),
            content: SavedContent::new(timer.envelope)?,
        })
    }
}
