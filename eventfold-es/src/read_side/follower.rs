//! Following the journal: each event of the subscribed types once, in order, with a place to
//! resume from.

use std::fmt::Display;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::checkpoint::{self, Checkpoint, Cursors, Unusable};
use super::outbox;
use super::skipped::{Poisoned, Skipped};
use super::status::Progress;
use crate::engine::disk;
use crate::engine::{CommitLine, Engine, JournalReader, Line};
use crate::error::panic_message;
use crate::event::{Recorded, StoredEvent};
use crate::process_manager::OnFailure;

/// How many events may pass between two saved checkpoints.
const SAVE_EVENTS: u64 = 10_000;
/// How much time may pass between two saved checkpoints while events come in.
pub(crate) const SAVE_TIME: Duration = Duration::from_secs(5);

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
    on_failure: OnFailure,
    skipped: Skipped,
    progress: Arc<Progress>,
    /// The directory's own entry was made durable.
    is_dir_durable: bool,
    /// The next chance to save is to be taken.
    save_now: bool,
    /// The store is closed: the directory may be another's.
    is_sealed: bool,
}

/// Why following stopped short.
enum Stop {
    Io(io::Error),
    Poisoned(Poisoned),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl<S: Serialize + DeserializeOwned + Default> Follower<S> {
    /// A follower that keeps its checkpoint in `dir`. `checkpoint` is what was read from there.
    pub(crate) fn new(
        name: &'static str,
        engine: Arc<Engine>,
        dir: PathBuf,
        checkpoint: Checkpoint<S>,
        on_failure: OnFailure,
    ) -> io::Result<Self> {
        let (skipped, events) = Skipped::open(&dir)?;
        let progress = Arc::new(Progress::new(name, checkpoint.position));
        for event in events {
            progress.add_skipped(event);
        }
        Ok(Self {
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
            on_failure,
            skipped,
            progress,
            is_dir_durable: false,
            save_now: false,
            is_sealed: false,
        })
    }

    pub(crate) fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.engine
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
    ///
    /// If an event is passed over, events before it may be handed over again: the state is built
    /// again from where it was saved last. Then this returns behind that event, so that the caller
    /// saves before it goes on.
    pub(crate) fn follow<E: Display>(
        &mut self,
        types: &[&str],
        head: u64,
        mut each: impl FnMut(&mut S, StoredEvent<'_>) -> Result<(), E>,
    ) -> io::Result<()> {
        if let Some(failed) = &self.failed {
            return Err(io::Error::other(failed.clone()));
        }
        if self.is_sealed {
            return Ok(());
        }
        let mut until = head;
        while self.position < head {
            match self.follow_to(types, until, &mut each) {
                Ok(()) => {
                    self.save_now |= until < head;
                    break;
                }
                Err(Stop::Poisoned(poisoned)) if self.on_failure == OnFailure::Skip => {
                    until = poisoned.position;
                    self.skip(&poisoned)?;
                }
                Err(Stop::Poisoned(poisoned)) => {
                    let text = self.describe(&poisoned);
                    self.progress.stop(&text);
                    self.failed = Some(text.clone());
                    return Err(io::Error::other(text));
                }
                Err(Stop::Io(error)) => return Err(error),
            }
        }
        if self.position >= self.engine.head() {
            // From here on the position says it all.
            self.cursors = None;
        }
        Ok(())
    }

    fn describe(&self, poisoned: &Poisoned) -> String {
        format!(
            "`{}` at position {}, event `{}` of {}/{}: {}",
            self.name,
            poisoned.position,
            poisoned.event,
            poisoned.aggregate_type,
            poisoned.id,
            poisoned.error,
        )
    }

    /// Records that an event is passed over, and goes back to where the state was saved last.
    fn skip(&mut self, poisoned: &Poisoned) -> io::Result<()> {
        let text = self.describe(poisoned);
        let event = self.skipped.add(poisoned, self.engine.clock().now_ms())?;
        self.progress.add_skipped(event);
        self.progress.fail(&format!("passed over: {text}"));
        self.failed = Some(text);
        let checkpoint = match checkpoint::read::<S>(&self.dir) {
            Ok(checkpoint) => checkpoint.unwrap_or_else(Checkpoint::start),
            Err(Unusable::Io(error) | Unusable::Damaged(error)) => return Err(error),
        };
        self.failed = None;
        self.state = checkpoint.state;
        self.position = checkpoint.position;
        self.saved_position = checkpoint.position;
        self.cursors = checkpoint.cursors;
        self.reader = self.engine.reader(self.position);
        Ok(())
    }

    fn follow_to<E: Display>(
        &mut self,
        types: &[&str],
        head: u64,
        each: &mut impl FnMut(&mut S, StoredEvent<'_>) -> Result<(), E>,
    ) -> Result<(), Stop> {
        let Self {
            reader,
            state,
            position,
            cursors,
            skipped,
            on_failure,
            ..
        } = self;
        let mut poisoned = None;
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
                    let is_skipped =
                        *on_failure == OnFailure::Skip && skipped.contains(record.position);
                    let handed = || if is_skipped { Ok(()) } else { each(state, event) };
                    let failure = match catch_unwind(AssertUnwindSafe(handed)) {
                        Ok(Ok(())) => None,
                        Ok(Err(error)) => Some(format!("cannot go on: {error}")),
                        Err(panic) => Some(format!("panicked: {}", panic_message(&*panic))),
                    };
                    if let Some(error) = failure {
                        poisoned = Some(Poisoned {
                            position: record.position,
                            event: event.name().to_owned(),
                            aggregate_type: commit.aggregate_type.clone().into_owned(),
                            id: commit.id.clone().into_owned(),
                            error,
                        });
                        return Err(io::Error::other("poisoned"));
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
        }
        self.progress.set_position(self.position);
        match poisoned {
            Some(poisoned) => Err(Stop::Poisoned(poisoned)),
            None => followed.map_err(Stop::Io),
        }
    }

    /// Whether it is time to save.
    pub(crate) fn is_save_due(&self) -> bool {
        let unsaved = self.position - self.saved_position;
        unsaved > 0
            && (self.save_now
                || unsaved >= SAVE_EVENTS
                || self.saved_at.elapsed() >= SAVE_TIME)
    }

    /// Saves if it is time to. A failure is reported and tried again later: the events are there.
    pub(crate) fn save_if_due(&mut self) {
        if self.is_save_due()
            && let Err(error) = self.save()
        {
            tracing::warn!(name = self.name, %error, "the checkpoint could not be saved");
            self.saved_at = Instant::now();
            self.save_now = false;
        }
    }

    /// Saves state and position together, unless nothing changed or the state cannot be trusted.
    pub(crate) fn save(&mut self) -> io::Result<()> {
        if self.position == self.saved_position {
            return Ok(());
        }
        self.save_with(None)
    }

    /// Saves state and position together with what a process manager has not seen through, unless
    /// the state cannot be trusted.
    pub(crate) fn save_with(&mut self, pending: Option<&outbox::Saved>) -> io::Result<()> {
        if self.failed.is_some() || self.is_sealed {
            return Ok(());
        }
        if !self.is_dir_durable {
            disk::create_dir(&self.dir)?;
            for parent in self.dir.ancestors().skip(1).take(2) {
                disk::sync_dir(parent)?;
            }
            self.is_dir_durable = true;
        }
        let (state, cursors) = (&self.state, self.cursors.as_ref());
        checkpoint::write(&self.dir, state, self.position, cursors, pending)?;
        self.saved_position = self.position;
        self.saved_at = Instant::now();
        self.save_now = false;
        Ok(())
    }

    /// When the state was saved last.
    pub(crate) fn saved_at(&self) -> Instant {
        self.saved_at
    }

    /// Nothing is written from now on.
    pub(crate) fn seal(&mut self) {
        self.is_sealed = true;
    }

    pub(crate) fn is_sealed(&self) -> bool {
        self.is_sealed
    }

    /// Whether the state cannot be trusted any more.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed.is_some()
    }
}

fn read_line<'a>(commit: &CommitLine<'a>, i: usize) -> io::Result<Line<'a>> {
    serde_json::from_str(commit.events[i].get()).map_err(|cause| {
        let position = commit.position + i as u64;
        let text = format!("the event at position {position} cannot be read: {cause}");
        io::Error::new(io::ErrorKind::InvalidData, text)
    })
}
