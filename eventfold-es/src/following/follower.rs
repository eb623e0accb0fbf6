//! Following the journal: each event of the subscribed types once, in order, with a place to
//! resume from.

use std::io;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::clock::millis;
use crate::domain::process_manager::{OnFailure, Unwritable};
use crate::error::{guarded, panic_message};
use crate::event::{DecodeError, EventSet, LifecycleEvent, StoredEvent, UnknownEvents};
use crate::following::checkpoint;
use crate::following::checkpoint::{Checkpoint, Cursors, Place, UnknownEvent, Unusable};
use crate::following::failure::Failure;
use crate::following::outgoing::ToSave;
use crate::following::skipped::{Poisoned, SkippedEvents};
use crate::following::status::Progress;
use crate::storage::Storage;
use crate::storage::log::LogReader;
use crate::storage::record::Records;
use crate::text::{InStream, Shown};

/// How many events may pass between two saved checkpoints.
const SAVE_EVENTS: u64 = 10_000;
/// How much time may pass between two saved checkpoints while events come in.
const SAVE_TIME: Duration = Duration::from_secs(5);
/// After a save, no other is made for this many times the duration of the save. So a large state
/// that catches up is not written again and again.
const SAVE_PAUSE: u32 = 20;

/// A state that follows the journal.
pub(crate) struct Follower<S> {
    name: &'static str,
    storage: Storage,
    records: Records,
    reader: LogReader,
    pub(crate) state: S,
    /// All events up to here are in the state.
    position: u64,
    /// The checksum of the journal's line that holds the last of these events, if it is known.
    chain: Option<u64>,
    cursors: Option<Cursors>,
    /// The version of its checkpoint.
    version: u32,
    event_sets: &'static [EventSet],
    /// Events that were left out because their names are unknown.
    unknown: Vec<UnknownEvent>,
    saved_position: u64,
    saved_at: Instant,
    /// How long the last save took.
    save_cost: Duration,
    /// Why the state is not valid any more.
    failed: Option<Failure>,
    /// The event whose skipping was begun and not finished.
    unfinished: Option<Poisoned>,
    on_failure: OnFailure,
    skipped_events: SkippedEvents,
    /// The state after the last event that was skipped, and its position.
    backup: Option<(Vec<u8>, u64)>,
    /// The checkpoint on disk belongs to another state, which this one may replace.
    is_rebuilding: bool,
    progress: Arc<Progress>,
    /// Save at the next opportunity.
    save_now: bool,
}

/// Why an event could not be taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error(transparent)]
    Command(#[from] Unwritable),
    /// The text says why a database refused it.
    #[cfg(feature = "sqlite")]
    #[error("{0}")]
    Database(String),
}

/// Why following stopped early.
enum Stop {
    Io(io::Error),
    Poisoned(Poisoned),
}

impl<S: Serialize + DeserializeOwned + Default> Follower<S> {
    /// A follower that keeps its checkpoint in `records`. `checkpoint` was read from there.
    pub(crate) fn new(
        name: &'static str,
        storage: Storage,
        records: Records,
        checkpoint: Checkpoint<S>,
    ) -> Self {
        Self {
            name,
            reader: storage.reader(checkpoint.position),
            on_failure: OnFailure::Stop,
            skipped_events: SkippedEvents::from_beginning(&records, 1),
            backup: None,
            is_rebuilding: false,
            progress: Arc::new(Progress::new(name, storage.log(), checkpoint.position)),
            save_now: false,
            storage,
            records,
            state: checkpoint.state,
            position: checkpoint.position,
            chain: checkpoint.chain,
            cursors: checkpoint.cursors,
            version: 1,
            event_sets: &[],
            unknown: checkpoint.unknown,
            saved_position: checkpoint.position,
            saved_at: Instant::now(),
            save_cost: Duration::ZERO,
            failed: None,
            unfinished: None,
        }
    }

    /// Sets the version of the checkpoint and the known events. Without them, an event with an
    /// unknown name is an error.
    pub(crate) fn subscribed_to(self, version: u32, event_sets: &'static [EventSet]) -> Self {
        Self {
            version,
            event_sets,
            ..self
        }
    }

    /// Sets what to do with events that cannot be taken, and loads the events that were skipped so
    /// far.
    pub(crate) fn with_on_failure(mut self, on_failure: OnFailure) -> io::Result<Self> {
        let (skipped_events, events) =
            SkippedEvents::open(&self.records, self.version, &self.storage)?;
        for event in events {
            self.progress.add_skipped(event);
        }
        self.on_failure = on_failure;
        self.skipped_events = skipped_events;
        Ok(self)
    }

    /// Whether `sum` is the checksum of the events that were skipped up to its position.
    pub(crate) fn has_skipped(&self, sum: u64) -> bool {
        self.skipped_events.sum(self.position) == sum
    }

    /// The follower of a state that is built beside the one on disk.
    pub(crate) fn rebuilding(mut self, on_failure: OnFailure) -> Self {
        self.on_failure = on_failure;
        self.skipped_events = SkippedEvents::from_beginning(&self.records, self.version);
        self.is_rebuilding = true;
        self
    }

    /// Replaces `other`, whose state is dropped.
    pub(crate) fn take_place_of(&mut self, other: &Self) {
        self.report_to(other.progress.clone());
    }

    /// Tells from now on in `progress` how it is doing.
    pub(crate) fn report_to(&mut self, progress: Arc<Progress>) {
        progress.replace(&self.progress);
        self.progress = progress;
    }

    pub(crate) fn on_failure(&self) -> OnFailure {
        self.on_failure
    }

    pub(crate) fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    pub(crate) fn storage(&self) -> &Storage {
        &self.storage
    }

    pub(crate) fn records(&self) -> &Records {
        &self.records
    }

    /// The position of the newest durable event.
    pub(crate) fn head(&self) -> u64 {
        self.storage.head()
    }

    /// All events up to here are in the state.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Passes every event of the aggregate types `types`, of which `""` stands for none, after the state's position and up to the
    /// durable position `head`, to `each`. Costs nothing if there is none.
    ///
    /// If an event is skipped, earlier events may be passed again: the state is built again from
    /// the last checkpoint. This then returns after that event.
    pub(crate) fn follow<E: Into<Refusal>>(
        &mut self,
        types: &[&str],
        head: u64,
        mut each: impl FnMut(&mut S, StoredEvent<'_>) -> Result<(), E>,
    ) -> io::Result<()> {
        if let Some(poisoned) = self.unfinished.take() {
            // The disk may have been full in the earlier attempt.
            self.skip(&poisoned)?;
        }
        self.check()?;
        let mut until = head;
        while self.position < until {
            match self.follow_to(types, until, &mut each) {
                Ok(()) => {}
                Err(Stop::Poisoned(poisoned)) if self.on_failure == OnFailure::Skip => {
                    until = poisoned.position;
                    self.skip(&poisoned)?;
                }
                Err(Stop::Poisoned(poisoned)) => {
                    let failure = Failure::new(poisoned.kind, describe(self.name, &poisoned));
                    self.progress.stop(&failure);
                    self.failed = Some(failure.clone());
                    return Err(failure.into());
                }
                Err(Stop::Io(error)) => return Err(error),
            }
        }
        if until < head {
            // If another event is skipped, the state is built again from here.
            self.backup = Some((self.copy_of_state()?, self.position));
            self.save_now = true;
        }
        if self.position >= self.storage.head() {
            // From here on the position alone is enough. It is not for an older state.
            if self.cursors.take().is_some() {
                self.backup = None;
            }
        }
        Ok(())
    }

    fn follow_to<E: Into<Refusal>>(
        &mut self,
        types: &[&str],
        head: u64,
        each: &mut impl FnMut(&mut S, StoredEvent<'_>) -> Result<(), E>,
    ) -> Result<(), Stop> {
        let Self {
            reader,
            state,
            position,
            chain,
            cursors,
            name,
            event_sets,
            unknown,
            on_failure,
            skipped_events,
            ..
        } = self;
        let mut poisoned = None;
        let before = *position;
        let followed = reader.read_to(head, |committed| -> io::Result<_> {
            if types.contains(&committed.aggregate_type()) {
                let seen = cursors
                    .as_ref()
                    .map_or(0, |cursors| cursors.seen(committed));
                for i in seen..committed.len() {
                    committed.event(i, |event| {
                        let record = event.record();
                        if *on_failure == OnFailure::Skip
                            && skipped_events.contains(record.position)
                        {
                            return Ok(());
                        }
                        let refused = match hand(event, event_sets, || each(state, event)) {
                            Handed::Taken => return Ok(()),
                            Handed::LeftOut => {
                                note_unknown(unknown, name, event);
                                return Ok(());
                            }
                            Handed::Poisoned(refused) => refused,
                            Handed::Later(cause) => return Err(cause),
                        };
                        let cause = io::Error::other(refused.error.clone());
                        poisoned = Some(refused);
                        Err(cause)
                    })??;
                    *position = committed.position(i);
                }
            }
            *position = committed.last();
            Ok(ControlFlow::Continue(()))
        });
        if *position != before {
            *chain = reader.history().filter(|_| followed.is_ok());
        }
        if followed.is_err() {
            // Some events of a commit may be in the state already.
            self.reader = self.storage.reader(self.position);
        }
        self.progress.set_position(self.position);
        match poisoned {
            Some(poisoned) => Err(Stop::Poisoned(poisoned)),
            None => followed.map_err(Stop::Io),
        }
    }

    /// Records that an event is skipped, and goes back to a state from before it: a panic may have
    /// left this one half changed. Invariant F6.
    fn skip(&mut self, poisoned: &Poisoned) -> io::Result<()> {
        let text = describe(self.name, poisoned);
        // The state is invalid until it is complete again.
        self.failed = Some(Failure::new(poisoned.kind, text.clone()));
        self.unfinished = Some(poisoned.clone());
        if !self.skipped_events.contains(poisoned.position) {
            let now = self.storage.clock().now_ms();
            let chain = self.storage.history_at(poisoned.position)?;
            let event = self.skipped_events.add(poisoned, chain, now)?;
            self.progress.add_skipped(event);
            self.progress.fail(&format!("an event was skipped: {text}"));
        }
        let backup = self.backup.take();
        let backup = backup.filter(|(_, position)| *position >= self.saved_position);
        if let Some((state, position)) = backup {
            self.state = serde_json::from_slice(&state).map_err(|cause| self.unreadable(&cause))?;
            self.position = position;
            self.chain = None;
        } else {
            let checkpoint = if self.is_rebuilding {
                None
            } else {
                let read = checkpoint::read::<S>(&self.records, self.version);
                read.map_err(Unusable::into_error)?
            };
            let mut checkpoint = checkpoint.unwrap_or_else(Checkpoint::beginning);
            if let Some(cause) = checkpoint.misfit(&self.storage)? {
                let text = format!("the checkpoint of `{}` {cause}", self.name);
                return Err(io::Error::new(io::ErrorKind::InvalidData, text));
            }
            self.state = checkpoint.state;
            self.position = checkpoint.position;
            self.chain = checkpoint.chain;
            self.cursors = checkpoint.cursors;
            self.saved_position = checkpoint.position;
        }
        self.reader = self.storage.reader(self.position);
        self.failed = None;
        self.unfinished = None;
        Ok(())
    }

    /// Lets `change` change the state beside the events. The caller saves the state before it follows
    /// further events. If `change` panics or fails, or the new state could not be read again, the
    /// state is the one from before, and the text says why. Returns whether the state has changed.
    ///
    /// # Errors
    ///
    /// If no copy of the state could be made. Nothing has changed then.
    pub(crate) fn change<T>(
        &mut self,
        change: impl FnOnce(&mut S) -> Result<T, String>,
    ) -> io::Result<Result<(T, bool), String>> {
        self.check()?;
        let before = self.copy_of_state()?;
        let changed = guarded(|| change(&mut self.state));
        let changed = changed.map_err(|panic| format!("panicked: {}", panic_message(&*panic)));
        let after = changed.flatten().and_then(|done| {
            if serde_json::to_vec(&self.state).is_ok_and(|after| after == before) {
                return Ok((done, false));
            }
            let after = self.copy_of_state().map_err(|error| error.to_string())?;
            Ok((done, after != before))
        });
        match &after {
            Ok((_, true)) => self.backup = None,
            Ok((_, false)) => {}
            Err(_) => {
                let state = serde_json::from_slice(&before);
                self.state = state.map_err(|cause| self.unreadable(&cause))?;
            }
        }
        Ok(after)
    }

    /// The state as JSON that can be read again.
    fn copy_of_state(&self) -> io::Result<Vec<u8>> {
        let copy = serde_json::to_vec(&self.state);
        let copy = copy.map_err(|cause| self.unreadable(&cause))?;
        serde_json::from_slice::<S>(&copy).map_err(|cause| self.unreadable(&cause))?;
        Ok(copy)
    }

    fn unreadable(&self, cause: &serde_json::Error) -> io::Error {
        let text = format!("the state of `{}` could not be copied: {cause}", self.name);
        io::Error::new(io::ErrorKind::InvalidData, text)
    }

    /// Fails if the state is not valid any more.
    pub(crate) fn check(&self) -> io::Result<()> {
        match &self.failed {
            Some(failure) => Err(failure.clone().into()),
            None => Ok(()),
        }
    }

    /// Saves if that is due. A failure is reported and the save is tried again later; the events
    /// are safe.
    pub(crate) fn save_if_due(&mut self) {
        if self.is_save_due(false)
            && let Err(error) = self.save()
        {
            self.note_unsaved(&error);
        }
    }

    /// Whether a save is due, because of new events or because of another change (`has_changed`).
    pub(crate) fn is_save_due(&self, has_changed: bool) -> bool {
        let unsaved = self.position - self.saved_position;
        if unsaved == 0 && !has_changed {
            return false;
        }
        let elapsed = self.saved_at.elapsed();
        let is_due = unsaved >= SAVE_EVENTS || elapsed >= SAVE_TIME || self.save_now;
        let is_paused = elapsed < self.save_cost * SAVE_PAUSE;
        is_due && !is_paused
    }

    /// How long until the changes should be saved.
    pub(crate) fn save_in(&self, has_changed: bool) -> Option<Duration> {
        let is_unsaved = self.has_moved() || has_changed;
        is_unsaved.then(|| {
            let pause = SAVE_TIME.max(self.save_cost * SAVE_PAUSE);
            pause.saturating_sub(self.saved_at.elapsed())
        })
    }

    /// Whether the position differs from the saved one.
    pub(crate) fn has_moved(&self) -> bool {
        self.position != self.saved_position
    }

    /// Notes that a due save failed. It is tried again later.
    pub(crate) fn note_unsaved(&mut self, error: &io::Error) {
        self.progress
            .fail(&format!("the checkpoint could not be saved: {error}"));
        self.saved_at = Instant::now();
        self.save_now = false;
    }

    /// Saves state and position together, unless nothing changed or the state is not valid.
    pub(crate) fn save(&mut self) -> io::Result<()> {
        if self.failed.is_none() && self.has_moved() {
            self.save_with(None)?;
        }
        Ok(())
    }

    /// Saves state and position together with a process manager's unfinished work.
    pub(crate) fn save_with(&mut self, pending: Option<&ToSave<'_>>) -> io::Result<()> {
        self.check()?;
        let start = Instant::now();
        let chain = match self.chain {
            Some(chain) => chain,
            None => *self.chain.insert(self.storage.history_at(self.position)?),
        };
        let place = Place {
            position: self.position,
            chain,
            skipped_events: self.skipped_events.sum(self.position),
            unknown: &self.unknown,
            events: EventSet::fingerprint(self.event_sets),
            cursors: self.cursors.as_ref(),
            pending,
        };
        // This comes first: an older file may list other events, which this state must not skip.
        self.skipped_events.save()?;
        checkpoint::write(self.name, &self.records, self.version, place, &self.state)?;
        self.is_rebuilding = false;
        self.saved_position = self.position;
        self.saved_at = Instant::now();
        self.save_cost = self.saved_at - start;
        self.save_now = false;
        tracing::debug!(
            name = self.name,
            position = self.position,
            elapsed_ms = millis(start),
            "checkpoint saved"
        );
        Ok(())
    }
}

/// What became of an event that a state was to take.
pub(super) enum Handed {
    Taken,
    /// Its name is unknown, and such events are left out.
    LeftOut,
    Poisoned(Poisoned),
    /// It can be taken once a key can be reached. Invariant P4.
    Later(io::Error),
}

/// Lets `take` take the event.
pub(super) fn hand<E: Into<Refusal>>(
    event: StoredEvent<'_>,
    event_sets: &[EventSet],
    take: impl FnOnce() -> Result<(), E>,
) -> Handed {
    let record = event.record();
    let taken = catch_unwind(AssertUnwindSafe(take)).map(|taken| taken.map_err(Into::into));
    let mut kind = io::ErrorKind::Other;
    let error = match taken {
        Ok(Ok(())) => return Handed::Taken,
        // A follower that is written by hand and refuses what it does not know need not know this.
        Ok(Err(Refusal::Decode(DecodeError::UnknownName { .. })))
            if matches!(LifecycleEvent::of(event), Ok(Some(_))) =>
        {
            return Handed::Taken;
        }
        Ok(Err(Refusal::Decode(DecodeError::UnknownName { .. })))
            if is_left_out(event_sets, record.aggregate_type) =>
        {
            return Handed::LeftOut;
        }
        Ok(Err(Refusal::Decode(error @ DecodeError::Key { .. }))) => {
            return Handed::Later(event.failed(&error));
        }
        Ok(Err(error)) => {
            if matches!(error, Refusal::Decode(_)) {
                kind = io::ErrorKind::InvalidData;
            }
            format!("cannot process the event: {error}")
        }
        Err(panic) => format!("panicked: {}", panic_message(&*panic)),
    };
    Handed::Poisoned(Poisoned::new(event, error, kind))
}

/// The error text for an event that the follower `name` could not take.
pub(super) fn describe(name: &str, poisoned: &Poisoned) -> String {
    format!(
        "`{name}` at position {}, {}, event `{}`: {}",
        poisoned.position,
        InStream {
            aggregate_type: &poisoned.aggregate_type,
            id: &poisoned.id,
            version: poisoned.version,
        },
        Shown(&poisoned.event),
        poisoned.error,
    )
}

/// Whether unknown events of that aggregate type are left out.
fn is_left_out(event_sets: &[EventSet], aggregate_type: &str) -> bool {
    let mut of_type = event_sets
        .iter()
        .filter(|set| set.aggregate_type == aggregate_type);
    of_type.any(|set| set.unknown == UnknownEvents::Skip)
}

/// Notes that an event was left out, with one warning per name.
pub(super) fn note_unknown(unknown: &mut Vec<UnknownEvent>, name: &str, event: StoredEvent<'_>) {
    let this = UnknownEvent {
        aggregate_type: event.record().aggregate_type().to_owned(),
        event: event.name().to_owned(),
    };
    if !unknown.contains(&this) {
        tracing::warn!(
            name,
            aggregate_type = this.aggregate_type,
            event = this.event,
            "an unknown event is left out"
        );
        unknown.push(this);
    }
}
