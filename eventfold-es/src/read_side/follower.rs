//! Following the journal: each event of the subscribed types once, in order, with a place to
//! resume from.

use std::io;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::checkpoint::{self, Checkpoint, Cursors, Skipped};
use crate::engine::{Engine, JournalReader};
use crate::error::panic_message;
use crate::event::{DecodeError, EventSet, StoredEvent, UnknownEvents};

/// How many events may pass between two saved checkpoints.
const SAVE_EVENTS: u64 = 10_000;
/// How much time may pass between two saved checkpoints while events come in.
const SAVE_TIME: Duration = Duration::from_secs(5);
/// After a save, how many times as long as it took no other is made: a large state that catches up
/// is not written over and over.
const SAVE_PAUSE: u32 = 20;

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
    /// The version that its checkpoint is of.
    version: u32,
    event_sets: &'static [EventSet],
    skipped: Vec<Skipped>,
    saved_position: u64,
    saved_at: Instant,
    /// How long the last save took.
    save_cost: Duration,
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
            version: 1,
            event_sets: &[],
            skipped: checkpoint.skipped,
            saved_position: checkpoint.position,
            saved_at: Instant::now(),
            save_cost: Duration::ZERO,
            failed: None,
        }
    }

    /// The same with a checkpoint of the version `version`, and with what is to be done with events
    /// that nobody knows. By default they are an error.
    pub(crate) fn reading(self, version: u32, event_sets: &'static [EventSet]) -> Self {
        Self {
            version,
            event_sets,
            ..self
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
        self.check()?;
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
            event_sets,
            skipped,
            ..
        } = self;
        let followed = reader.read_to(head, |commit, first_new| {
            if types.contains(&commit.aggregate_type.as_ref()) {
                let seen = cursors.as_ref().map_or(0, |cursors| cursors.seen(commit));
                for i in first_new.max(seen)..commit.events.len() {
                    commit.read_event(i, |event| {
                        let failure = match catch_unwind(AssertUnwindSafe(|| each(state, event))) {
                            Ok(Ok(())) => return Ok(()),
                            Ok(Err(DecodeError::UnknownName { .. }))
                                if is_skipped(event_sets, &commit.aggregate_type) =>
                            {
                                note_skipped(skipped, name, event);
                                return Ok(());
                            }
                            Ok(Err(error)) => format!("cannot go on: {error}"),
                            Err(panic) => format!("panicked: {}", panic_message(&*panic)),
                        };
                        let text = format!(
                            "`{name}` at position {}, stream {}/{}, version {}, event `{}`: {failure}",
                            event.record().position,
                            commit.aggregate_type,
                            commit.id,
                            event.record().version,
                            event.name(),
                        );
                        *failed = Some(text.clone());
                        Err(io::Error::other(text))
                    })??;
                    *position = commit.position + i as u64;
                }
            }
            *position = commit.last();
            Ok(ControlFlow::Continue(()))
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

    /// Fails if the state cannot be trusted any more.
    pub(crate) fn check(&self) -> io::Result<()> {
        match &self.failed {
            Some(failed) => Err(io::Error::other(failed.clone())),
            None => Ok(()),
        }
    }

    /// Saves if it is time to. A failure is reported and tried again later: the events are there.
    pub(crate) fn save_if_due(&mut self) {
        let unsaved = self.position - self.saved_position;
        if unsaved == 0 {
            return;
        }
        let elapsed = self.saved_at.elapsed();
        let is_due = unsaved >= SAVE_EVENTS || elapsed >= SAVE_TIME;
        let is_paused = elapsed < self.save_cost * SAVE_PAUSE;
        if is_due
            && !is_paused
            && let Err(error) = self.save()
        {
            tracing::warn!(name = self.name, %error, "the checkpoint could not be saved");
            self.saved_at = Instant::now();
        }
    }

    /// Saves state and position together, unless nothing changed or the state cannot be trusted.
    pub(crate) fn save(&mut self) -> io::Result<()> {
        if self.failed.is_none() && self.cursors.is_none() && self.position != self.saved_position {
            let start = Instant::now();
            let (position, skipped) = (self.position, &self.skipped);
            checkpoint::write(&self.dir, self.version, position, skipped, &self.state)?;
            self.saved_position = position;
            self.saved_at = Instant::now();
            self.save_cost = self.saved_at - start;
        }
        Ok(())
    }
}

/// Whether events of that type which nobody knows are left out.
fn is_skipped(event_sets: &[EventSet], aggregate_type: &str) -> bool {
    let mut of_type = event_sets
        .iter()
        .filter(|set| set.aggregate_type == aggregate_type);
    of_type.any(|set| set.unknown == UnknownEvents::Skip)
}

/// Notes that an event was left out, with one warning per name.
fn note_skipped(skipped: &mut Vec<Skipped>, name: &str, event: StoredEvent<'_>) {
    let this = Skipped {
        aggregate_type: event.record().aggregate_type().to_owned(),
        event: event.name().to_owned(),
    };
    if !skipped.contains(&this) {
        tracing::warn!(
            name,
            aggregate_type = this.aggregate_type,
            event = this.event,
            "an unknown event is left out"
        );
        skipped.push(this);
    }
}
