//! Feeding a place that keeps its own position: an outside follower, or a read model in a database.
//!
//! Each step hands one batch over, which the place takes in one transaction together with the position.
//! So nothing is kept here, and a batch that failed has left nothing. An event that is refused ends
//! the batch before it, and is the first of the next one. Invariant F12.

use std::collections::BTreeSet;
use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::follower::Reads;
use crate::domain::process_manager::{FailureKind, OnFailure, Retry};
use crate::error::closed;
use crate::event::{EventSet, StoredEvent};
use crate::following::checkpoint::UnknownEvent;
use crate::following::failure::Failure;
use crate::following::follower::{Handed, Refusal, describe, hand, note_unknown};
use crate::following::lease::Lease;
use crate::following::projecting::AnyProjecting;
use crate::following::skipped::{Poisoned, SkippedEvent};
use crate::following::status::Progress;
use crate::storage::Storage;
use crate::storage::error::StorageError;
use crate::storage::log::LogReader;

/// How far a batch goes at most, also if it has no events.
const SPAN: u64 = 64 * 1024;

/// A place that is fed.
pub(crate) trait Target: Send + 'static {
    /// The events that it gets.
    fn reads(&self) -> &Reads;

    /// The known events, if unknown ones may be left out.
    fn event_sets(&self) -> &'static [EventSet];

    /// How many events a batch has at most, but for the rest of a commit.
    fn batch_size(&self) -> usize;

    /// The position that it keeps.
    fn place(&mut self) -> io::Result<u64>;

    /// Takes a batch and the new position, both or neither.
    fn take(&mut self, batch: Feed<'_>) -> Result<Fed, Failed>;

    /// Records that an event is skipped.
    fn skip(&mut self, poisoned: &Poisoned) -> io::Result<SkippedEvent>;

    /// Builds everything again, because something that the place has was erased. False if only the host can.
    #[cfg(feature = "personal")]
    fn build_anew(_feeding: &mut Feeding<Self>) -> io::Result<bool>
    where
        Self: Sized,
    {
        Ok(false)
    }

    /// From now on nothing is read or written.
    fn close(&mut self);
}

/// A batch for a place, to be read.
pub(crate) struct Feed<'a> {
    pub(crate) storage: &'a Storage,
    pub(crate) after: u64,
    reader: &'a mut LogReader,
    reads: &'a Reads,
    event_sets: &'static [EventSet],
    name: &'static str,
    skipped: &'a BTreeSet<u64>,
    until: u64,
    limit: usize,
    /// Whether the batch ends after its first event, even within a commit.
    is_single: bool,
    /// The event before which the batch ends.
    before: Option<u64>,
}

/// What a batch had.
#[derive(Debug, Clone)]
pub(crate) struct Fed {
    /// All events up to here were in it, or in an earlier one.
    pub(crate) position: u64,
    /// The checksum of the history up to there, if it is known.
    pub(crate) history: Option<u64>,
    pub(crate) events: usize,
    /// The only event of a batch that ends after it.
    single: Option<Box<Poisoned>>,
}

/// Why a batch was not taken. Nothing of it has an effect.
pub(crate) enum Failed {
    /// An event was refused; the number of events before it.
    Event(Box<Poisoned>, usize),
    /// The place refused the batch.
    Batch(io::Error, Fed),
    /// It has nothing to do with the events.
    Io(io::Error),
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<StorageError> for Failed {
    fn from(error: StorageError) -> Self {
        Self::Io(error.into())
    }
}

impl Feed<'_> {
    /// Passes the events of the batch to `take`. Notes in `unknown` which events were left out because
    /// their names are unknown.
    pub(crate) fn read(
        self,
        unknown: &mut Vec<UnknownEvent>,
        mut take: impl FnMut(StoredEvent<'_>) -> Result<(), Refusal>,
    ) -> Result<Fed, Failed> {
        let mut fed = Fed {
            position: self.after,
            history: None,
            events: 0,
            single: None,
        };
        let mut poisoned = None;
        let mut is_within = false;
        let followed = self.reader.read_to(self.until, |committed| {
            if is_within {
                return Ok(ControlFlow::Break(()));
            }
            if self.reads.reads_type(committed.aggregate_type()) {
                for i in 0..committed.len() {
                    let position = committed.position(i);
                    if self.before == Some(position) || (self.is_single && fed.events > 0) {
                        is_within = true;
                        return Ok(ControlFlow::Break(()));
                    }
                    committed.event(i, |event| {
                        let record = event.record();
                        let is_left_out = self.skipped.contains(&position)
                            || !self
                                .reads
                                .reads_event(record.aggregate_type(), event.name());
                        if is_left_out {
                            return Ok(());
                        }
                        match hand(event, self.event_sets, || take(event)) {
                            Handed::Taken => {
                                fed.events += 1;
                                if self.is_single {
                                    let kind = io::ErrorKind::Other;
                                    let this = Poisoned::new(event, String::new(), kind);
                                    fed.single = Some(Box::new(this));
                                }
                                Ok(())
                            }
                            Handed::LeftOut => {
                                note_unknown(unknown, self.name, event);
                                Ok(())
                            }
                            Handed::Poisoned(refused) => {
                                let cause = io::Error::other(refused.error.clone());
                                poisoned = Some(refused);
                                Err(cause)
                            }
                            Handed::Later(cause) => Err(cause),
                        }
                    })??;
                    fed.position = position;
                }
            }
            fed.position = committed.last();
            // The rest of the commit comes all the same.
            Ok(if fed.events >= self.limit {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            })
        });
        if let Some(poisoned) = poisoned {
            return Err(Failed::Event(Box::new(poisoned), fed.events));
        }
        followed.map_err(Failed::Io)?;
        if is_within {
            // Its commit has more events.
            *self.reader = self.storage.reader(fed.position);
        } else {
            fed.history = self.reader.history();
        }
        Ok(fed)
    }
}

/// A place that is fed, and how far it is.
pub(crate) struct Feeding<T: Target> {
    name: &'static str,
    storage: Storage,
    target: T,
    reads: Reads,
    reader: LogReader,
    /// The place has all events up to here.
    position: u64,
    /// Whether the place was asked where it is since the last failure.
    is_placed: bool,
    /// Up to here each batch has one event, because one with several failed.
    single_until: u64,
    /// A refused event: the next batch ends before it.
    before: Option<u64>,
    /// How often the place refused the event that is next.
    attempts: u32,
    retry: Retry,
    /// The pause before the next attempt, in milliseconds.
    pause: Option<u64>,
    on_failure: OnFailure,
    skipped: BTreeSet<u64>,
    /// Why it is stopped.
    failed: Option<Failure>,
    progress: Arc<Progress>,
    /// If one of several stores feeds the place.
    election: Option<Lease>,
    is_closed: bool,
}

impl<T: Target> Feeding<T> {
    /// Feeds `target`, which has skipped the events `skipped`.
    pub(crate) fn new(
        name: &'static str,
        storage: &Storage,
        target: T,
        retry: Retry,
        on_failure: OnFailure,
        skipped: Vec<SkippedEvent>,
    ) -> Self {
        let progress = Arc::new(Progress::new(name, storage.log(), 0));
        let positions = skipped.iter().map(|event| event.position.get()).collect();
        for event in skipped {
            progress.add_skipped(event);
        }
        Self {
            name,
            reads: target.reads().clone(),
            target,
            reader: storage.reader(0),
            storage: storage.clone(),
            position: 0,
            is_placed: false,
            single_until: 0,
            before: None,
            attempts: 0,
            retry,
            pause: None,
            on_failure,
            skipped: positions,
            failed: None,
            progress,
            election: None,
            is_closed: false,
        }
    }

    /// Lets one of all stores that have this lease feed the place.
    pub(crate) fn elected_by(self, lease: Lease) -> Self {
        Self {
            election: Some(lease),
            ..self
        }
    }

    pub(crate) fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    /// Asks the place where it is, before anything is fed.
    #[cfg(feature = "sqlite")]
    pub(crate) fn begin(&mut self) -> io::Result<()> {
        self.place()
    }

    /// The position of the newest durable event.
    #[cfg(feature = "sqlite")]
    pub(crate) fn head(&self) -> u64 {
        self.storage.head()
    }

    /// The place has all events up to here.
    #[cfg(feature = "sqlite")]
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    #[cfg(feature = "sqlite")]
    pub(crate) fn target(&self) -> &T {
        &self.target
    }

    #[cfg(feature = "sqlite")]
    pub(crate) fn target_mut(&mut self) -> &mut T {
        &mut self.target
    }

    /// Feeds another place as this one.
    #[cfg(feature = "sqlite")]
    pub(crate) fn beside(&self, target: T) -> Self {
        let (retry, on_failure) = (self.retry, self.on_failure);
        Self::new(
            self.name,
            &self.storage,
            target,
            retry,
            on_failure,
            Vec::new(),
        )
    }

    /// Lets `other` take this one's place and report as this one.
    #[cfg(feature = "sqlite")]
    pub(crate) fn give_way_to(&mut self, mut other: Self) {
        self.progress.replace(&other.progress);
        other.progress = self.progress.clone();
        *self = other;
        // If it was stopped, it is not any more.
        self.progress.go_on();
        self.progress.tell();
    }

    /// Forgets that it is stopped, and asks the place where it is, also if another store feeds it: until then
    /// the old position would be told.
    pub(crate) fn ask_again(&mut self) -> io::Result<()> {
        if self.is_closed {
            return Err(closed());
        }
        self.is_placed = false;
        self.failed = None;
        self.attempts = 0;
        self.before = None;
        self.progress.go_on();
        self.place()
    }

    /// Hands the next batch over, at most up to the durable position `head`. True if the place has
    /// reached `head`.
    pub(crate) fn step(&mut self, head: u64) -> io::Result<bool> {
        if let Some(failure) = &self.failed {
            return Err(failure.clone().into());
        }
        if !self.is_placed {
            self.place()?;
        }
        if self.position >= head {
            return Ok(true);
        }
        let is_single = self.position < self.single_until;
        let next = Feed {
            storage: &self.storage,
            after: self.position,
            reader: &mut self.reader,
            reads: &self.reads,
            event_sets: self.target.event_sets(),
            name: self.name,
            skipped: &self.skipped,
            until: head.min(self.position.saturating_add(SPAN)),
            limit: self.target.batch_size().max(1),
            is_single,
            before: self.before,
        };
        match self.target.take(next) {
            Ok(fed) => {
                self.position = fed.position;
                self.before = None;
                self.attempts = 0;
                self.progress.set_position(fed.position);
                self.progress.tell();
                Ok(self.position >= head)
            }
            Err(failed) => {
                // Its transaction may have been committed all the same.
                self.is_placed = false;
                self.note(failed)
            }
        }
    }

    /// Asks the place how far it is.
    fn place(&mut self) -> io::Result<()> {
        let position = self.target.place()?;
        if position > self.storage.head() {
            let head = self.storage.ask_head()?;
            if position > head {
                let text = format!(
                    "`{}` is at position {position}, and the newest event at {head}: it has events of \
                     another store, or of a time from which this store was taken back; build it again \
                     from the beginning",
                    self.name
                );
                return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
            }
        }
        if position != self.position {
            self.before = None;
            self.attempts = 0;
        }
        self.position = position;
        self.reader = self.storage.reader(position);
        self.progress.set_position(position);
        self.is_placed = true;
        Ok(())
    }

    /// Decides what follows from a failure. An error is tried again after a pause.
    fn note(&mut self, failed: Failed) -> io::Result<bool> {
        match failed {
            Failed::Io(error) => Err(error),
            Failed::Event(poisoned, 0) => self.give_up(&poisoned),
            Failed::Event(poisoned, _) => {
                self.before = Some(poisoned.position);
                Ok(false)
            }
            Failed::Batch(error, fed) => {
                let Some(mut event) = fed.single else {
                    if fed.events == 0 {
                        return Err(named(self.name, &error));
                    }
                    // Which of its events is it?
                    self.progress.fail(&named(self.name, &error).to_string());
                    self.single_until = self.single_until.max(fed.position);
                    return Ok(false);
                };
                event.error = error.to_string();
                event.kind = error.kind();
                self.attempts = self.attempts.saturating_add(1);
                let chance = uuid::Uuid::new_v4().as_u64_pair().1;
                self.pause = self.retry.pause(FailureKind::Io, self.attempts, chance);
                if self.pause.is_none() {
                    return self.give_up(&event);
                }
                let text = format!(
                    "{} (attempt {})",
                    describe(self.name, &event),
                    self.attempts
                );
                Err(io::Error::new(event.kind, text))
            }
        }
    }

    /// Stops before an event, or skips it. Invariant F6.
    fn give_up(&mut self, poisoned: &Poisoned) -> io::Result<bool> {
        let text = describe(self.name, poisoned);
        if self.on_failure == OnFailure::Skip {
            let event = self.target.skip(poisoned)?;
            self.skipped.insert(poisoned.position);
            self.progress.add_skipped(event);
            self.progress.fail(&format!("an event was skipped: {text}"));
            self.attempts = 0;
            return Ok(false);
        }
        let failure = Failure::new(poisoned.kind, text);
        self.progress.stop(&failure);
        self.progress.tell();
        self.failed = Some(failure.clone());
        Err(failure.into())
    }

    /// Whether this store feeds the place, and no other one for it. Takes the lease if it is due to
    /// look and nobody has it.
    fn elect(&mut self) -> io::Result<bool> {
        let Some(lease) = &mut self.election else {
            return Ok(true);
        };
        if lease.term().is_some() {
            return Ok(true);
        }
        lease.note_loss();
        if !lease.look_in().is_zero() || lease.take()?.is_none() {
            return Ok(false);
        }
        self.is_placed = false;
        Ok(true)
    }
}

impl<T: Target> AnyProjecting for Feeding<T> {
    fn catch_up(&mut self) -> io::Result<()> {
        if self.is_closed {
            return Err(closed());
        }
        if !self.elect()? {
            return Ok(());
        }
        let head = self.storage.ask_head()?;
        let caught_up = (|| {
            while !self.step(head)? {}
            Ok(())
        })();
        if let Some(lease) = self.election.as_mut()
            && !self.progress.is_live()
        {
            lease.release();
        }
        caught_up
    }

    fn advance(&mut self, head: u64) -> io::Result<bool> {
        if self.is_closed || !self.elect()? {
            return Ok(true);
        }
        self.pause = None;
        let stepped = self.step(head);
        if stepped.is_err()
            && self.failed.is_some()
            && let Some(lease) = &mut self.election
        {
            // Another release may be able to go on.
            lease.release();
        }
        stepped
    }

    fn save(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn save_in(&self) -> Option<Duration> {
        let lease = self.election.as_ref().filter(|_| !self.is_closed)?;
        lease.term().is_none().then(|| lease.look_in())
    }

    #[cfg(feature = "personal")]
    fn build_anew_since(&mut self, first: u64) -> io::Result<bool> {
        if self.is_closed {
            return Err(closed());
        }
        self.place()?;
        if self.position < first {
            return Ok(false);
        }
        T::build_anew(self)
    }

    fn retry_in(&self) -> Option<Duration> {
        self.pause.map(Duration::from_millis)
    }

    fn close(&mut self) {
        self.is_closed = true;
        self.progress.tell();
        self.target.close();
        if let Some(lease) = &mut self.election {
            lease.release();
        }
    }
}

fn named(name: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("`{name}`: {error}"))
}
