//! Following the journal: each event of the subscribed types once, in order, with a place to
//! resume from.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::checkpoint::{self, Checkpoint, Cursors};
use crate::engine::{CommitLine, Engine, JournalReader, Line};
use crate::error::panic_message;
use crate::event::{DecodeError, Recorded, StoredEvent};

/// How many events may pass between two saved checkpoints.
const SAVE_EVENTS: u64 = 10_000;
/// How much time may pass between two saved checkpoints while events come in.
const SAVE_TIME: Duration = Duration::from_secs(5);

/// A state that follows the journal.
pub(crate) struct Follower<S> {
    name: &'static str,
    engine: Arc<Engine>,
    dir: PathBuf,
    reader: JournalReader,
    pub(crate) state: S,
    /// All events up to here are in the state.
    position: u64,
    cursors: Option<Cursors>,
    saved_position: u64,
    saved_at: Instant,
    /// Why the state cannot be trusted any more.
    failed: Option<String>,
}

impl<S: Serialize> Follower<S> {
    /// A follower that keeps its checkpoint in `dir`. `checkpoint` is what was read from there.
    pub(crate) fn new(
        name: &'static str,
        engine: Arc<Engine>,
        dir: PathBuf,
        checkpoint: Checkpoint<S>,
    ) -> Self {
        Self {
            name,
            reader: engine.reader(checkpoint.position),
            engine,
            dir,
            state: checkpoint.state,
            position: checkpoint.position,
            cursors: checkpoint.cursors,
            saved_position: checkpoint.position,
            saved_at: Instant::now(),
            failed: None,
        }
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The position of the newest durable event.
    pub(crate) fn head(&self) -> u64 {
        self.engine.head()
    }

    /// All events up to here are in the state.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Hands every event of the aggregate types `types` up to the durable position `head` that is
    /// not in the state yet to `each`. Costs nothing if there is none.
    pub(crate) fn follow(
        &mut self,
        types: &[&str],
        head: u64,
        mut each: impl FnMut(&mut S, StoredEvent<'_>) -> Result<(), DecodeError>,
    ) -> io::Result<()> {
        if let Some(failed) = &self.failed {
            return Err(io::Error::other(failed.clone()));
        }
        if self.position >= head {
            return Ok(());
        }
        let Self {
            reader,
            state,
            position,
            cursors,
            failed,
            name,
            ..
        } = self;
        let followed = reader.read_to(head, |commit, first_new| {
            if types.contains(&commit.aggregate_type.as_ref()) {
                let seen = cursors.as_ref().map_or(0, |cursors| cursors.seen(commit));
                for i in first_new.max(seen)..commit.events.len() {
                    let line = read_line(commit, i)?;
                    let record = Recorded {
                        version: commit.version + i as u64,
                        position: commit.position + i as u64,
                        ..line.record((&commit.aggregate_type, &commit.id))
                    };
                    let event = line.event(&record);
                    let failure = match catch_unwind(AssertUnwindSafe(|| each(state, event))) {
                        Ok(Ok(())) => None,
                        Ok(Err(error)) => Some(format!("cannot go on: {error}")),
                        Err(panic) => Some(format!("panicked: {}", panic_message(&*panic))),
                    };
                    if let Some(failure) = failure {
                        let text = format!(
                            "`{name}` at position {}, event `{}` of {}/{}: {failure}",
                            record.position,
                            event.name(),
                            commit.aggregate_type,
                            commit.id,
                        );
                        *failed = Some(text.clone());
                        return Err(io::Error::other(text));
                    }
                    *position = record.position;
                }
            }
            *position = commit.last();
            Ok(())
        });
        if followed.is_err() {
            // An event of a commit may be in the state already.
            self.reader = self.engine.reader(self.position);
        } else if self.position >= self.engine.head() {
            // From here on the position says it all.
            self.cursors = None;
        }
        followed
    }

    /// Saves if it is time to. A failure is reported and tried again later: the events are there.
    pub(crate) fn save_if_due(&mut self) {
        let unsaved = self.position - self.saved_position;
        let is_due =
            unsaved >= SAVE_EVENTS || (unsaved > 0 && self.saved_at.elapsed() >= SAVE_TIME);
        if is_due && let Err(error) = self.save() {
            tracing::warn!(name = self.name, %error, "the checkpoint could not be saved");
            self.saved_at = Instant::now();
        }
    }

    /// Saves state and position together, unless nothing changed or the state cannot be trusted.
    pub(crate) fn save(&mut self) -> io::Result<()> {
        if self.failed.is_none() && self.cursors.is_none() && self.position != self.saved_position {
            checkpoint::write(&self.dir, &self.state, self.position)?;
            self.saved_position = self.position;
            self.saved_at = Instant::now();
        }
        Ok(())
    }
}

fn read_line<'a>(commit: &CommitLine<'a>, i: usize) -> io::Result<Line<'a>> {
    serde_json::from_str(commit.events[i].get()).map_err(|cause| {
        let position = commit.position + i as u64;
        let text = format!("the event at position {position} cannot be read: {cause}");
        io::Error::new(io::ErrorKind::InvalidData, text)
    })
}
