//! A projection at work.

use std::any::Any;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::process_manager::OnFailure;
use crate::domain::projection::Projection;
use crate::erasures::ReadAfter;
use crate::error::closed;
use crate::event::EventSet;
use crate::following::checkpoint;
use crate::following::checkpoint::{Checkpoint, UnknownEvent, Unusable};
use crate::following::exclusive::Exclusive;
use crate::following::follower::Follower;
use crate::following::lease::{Candidate, Lease};
use crate::following::status::Progress;
use crate::storage::Storage;
use crate::storage::record::Records;
use crate::storage::record_name::{Follower as Follows, RecordName};

/// How many events a long catch-up takes before it checks again whether to save.
const SLICE: u64 = 16 * 1024;

/// A registered projection: its state and its position.
pub(crate) struct Projecting<P: Projection> {
    /// The erasures before the state was read.
    read_after: ReadAfter,
    follower: Follower<P>,
    is_closed: bool,
    /// If one of several stores follows it for all.
    election: Option<Lease>,
}

impl<P: Projection> Projecting<P> {
    /// Continues the projection from its checkpoint. If that cannot be used, it is replaced: a
    /// projection can always be built again.
    pub(crate) fn open(storage: &Storage, on_failure: OnFailure) -> io::Result<Self> {
        let records = storage.records(Follows::Projection, P::NAME);
        Self::open_in(storage, records, on_failure)
    }

    fn open_in(storage: &Storage, records: Records, on_failure: OnFailure) -> io::Result<Self> {
        let (name, version) = (P::NAME, P::VERSION);
        let built_again = |why: &str| {
            tracing::warn!(
                projection = name,
                version,
                "{why}; the projection is built again"
            );
            Ok(Self::from_beginning(storage, records.clone(), on_failure))
        };
        let read_after = storage.meters().erasures.until_now();
        let checkpoint = match checkpoint::read::<P>(&records, P::VERSION) {
            Ok(Some(checkpoint)) if checkpoint.unknown.iter().any(is_known::<P>) => {
                return built_again(
                    "an event that was left out because its name was unknown is known now",
                );
            }
            Ok(Some(checkpoint)) if checkpoint.events != EventSet::fingerprint(P::event_sets()) => {
                return built_again("the versions of its events have changed");
            }
            Ok(Some(mut checkpoint)) => match checkpoint.misfit(storage)? {
                None => checkpoint,
                Some(cause) => {
                    if checkpoint.chain.is_none() && checkpoint.position > 0 {
                        // Once the journal is longer, nothing would show it.
                        checkpoint::remove(&records, P::VERSION)?;
                    }
                    return built_again(&format!("the checkpoint {cause}"));
                }
            },
            Ok(None) => Checkpoint::beginning(),
            Err(Unusable::Storage(error)) => return Err(error.into()),
            Err(error) => return built_again(&error.into_error().to_string()),
        };
        let (skipped_events, is_old) = (checkpoint.skipped_events, checkpoint.chain.is_none());
        let follower =
            Self::follower(storage, records.clone(), checkpoint).with_on_failure(on_failure)?;
        if !is_old && !follower.has_skipped(skipped_events) {
            return built_again("the events that it skipped are not those in its record");
        }
        Ok(Self {
            read_after,
            follower,
            is_closed: false,
            election: None,
        })
    }

    /// The projection before the first event.
    fn from_beginning(storage: &Storage, records: Records, on_failure: OnFailure) -> Self {
        let read_after = storage.meters().erasures.until_now();
        let follower = Self::follower(storage, records, Checkpoint::beginning());
        Self {
            read_after,
            follower: follower.rebuilding(on_failure),
            is_closed: false,
            election: None,
        }
    }

    /// The same projection before the first event.
    ///
    /// # Errors
    ///
    /// If another process runs it.
    pub(crate) fn anew(&self) -> io::Result<Self> {
        self.check_runs_here()?;
        let storage = self.follower.storage();
        let records = self.follower.records().clone();
        Ok(Self::from_beginning(
            storage,
            records,
            self.follower.on_failure(),
        ))
    }

    fn follower(storage: &Storage, records: Records, checkpoint: Checkpoint<P>) -> Follower<P> {
        Follower::new(P::NAME, storage.clone(), records, checkpoint)
            .subscribed_to(P::VERSION, P::event_sets())
    }

    /// What it does with events that it cannot take.
    pub(crate) fn on_failure(&self) -> OnFailure {
        self.follower.on_failure()
    }

    /// Lets one of all stores that have this `lease` follow for the others.
    fn elected_by(self, lease: Lease) -> Self {
        Self {
            election: Some(lease),
            ..self
        }
    }

    /// Whether this store follows the events, and no other one for it. Takes the lease if it is due to
    /// look and nobody has it. Otherwise it reads what the runner has saved.
    fn elect(&mut self) -> io::Result<bool> {
        let Some(lease) = &mut self.election else {
            return Ok(true);
        };
        if lease.term().is_some() {
            return Ok(true);
        }
        lease.note_loss();
        if !lease.look_in().is_zero() {
            return Ok(false);
        }
        let Some(term) = lease.take()? else {
            self.read_saved()?;
            return Ok(false);
        };
        let storage = self.follower.storage();
        let records = storage.records(Follows::Projection, P::NAME).within(&term);
        let continued = Self::open_in(storage, records, self.follower.on_failure());
        match continued {
            Ok(mut continued) => {
                continued.follower.take_place_of(&self.follower);
                self.follower = continued.follower;
                Ok(true)
            }
            Err(error) => {
                lease.release();
                Err(error)
            }
        }
    }

    /// Takes the state that the runner has saved, if it has more events.
    fn read_saved(&mut self) -> io::Result<()> {
        let storage = self.follower.storage();
        let records = storage.records(Follows::Projection, P::NAME);
        let saved = records.position(RecordName::Checkpoint(P::VERSION))?;
        if saved > Some(self.position()) {
            let mut saved = Self::open_in(storage, records, self.follower.on_failure())?;
            if saved.position() > self.position() {
                saved.follower.take_place_of(&self.follower);
                self.follower = saved.follower;
            }
        }
        // The runner may have told a later one.
        self.follower.progress().set_position(self.position());
        Ok(())
    }

    /// Whether another store follows it for this one, or is about to.
    fn is_followed_elsewhere(&self) -> bool {
        let lease = self.election.as_ref();
        lease.is_some_and(|lease| lease.term().is_none())
    }

    fn check_runs_here(&self) -> io::Result<()> {
        if !self.is_followed_elsewhere() {
            return Ok(());
        }
        let runner = self.follower.progress().runs_elsewhere();
        let runner = runner.unwrap_or_else(|| "no process yet".to_owned());
        let text = format!(
            "the projection `{}` is run by {runner}, so it is built again there",
            P::NAME
        );
        Err(io::Error::new(io::ErrorKind::ResourceBusy, text))
    }

    /// Brings the state up to the newest durable event.
    pub(crate) fn catch_up(&mut self) -> io::Result<&P> {
        if self.is_closed {
            return Err(closed());
        }
        if self.is_followed_elsewhere() {
            self.read_saved()?;
            return Ok(&self.follower.state);
        }
        let _span = tracing::debug_span!("projection_catchup", projection_name = P::NAME).entered();
        let head = self.follower.storage().ask_head()?;
        while !self.follow(head, SLICE)? {
            self.follower.save_if_due();
        }
        self.follower.save_if_due();
        Ok(&self.follower.state)
    }

    /// The state, if every event up to `position` is in it.
    pub(crate) fn at_least(&self, position: u64) -> io::Result<Option<&P>> {
        if self.is_closed {
            return Err(closed());
        }
        self.follower.check()?;
        Ok((self.position() >= position).then_some(&self.follower.state))
    }

    /// The state as it was last saved, if another store follows it for this one.
    pub(crate) fn saved_elsewhere(&self) -> Option<&P> {
        self.is_followed_elsewhere().then_some(&self.follower.state)
    }

    /// Folds the next `events` events, at most up to the durable position `head`. True if it has
    /// reached `head`.
    pub(crate) fn follow(&mut self, head: u64, events: u64) -> io::Result<bool> {
        let types = self.follower.state.subscriptions();
        let slice = head.min(self.position().saturating_add(events));
        self.follower.follow(types, slice, P::apply_stored)?;
        Ok(self.position() >= head)
    }

    /// All events up to here are in the state.
    pub(crate) fn position(&self) -> u64 {
        self.follower.position()
    }

    pub(crate) fn progress(&self) -> Arc<Progress> {
        self.follower.progress().clone()
    }

    /// The position of the newest durable event.
    pub(crate) fn head(&self) -> u64 {
        self.follower.head()
    }

    /// Brings `rebuilt` up to date with the journal, saves it, and replaces this one with it.
    pub(crate) fn replace_with(&mut self, mut rebuilt: Self) -> io::Result<()> {
        if self.is_closed {
            return Err(closed());
        }
        self.check_runs_here()?;
        if !rebuilt.read_after.is_newest() {
            rebuilt = self.anew()?;
        }
        while !rebuilt.follow(rebuilt.head(), SLICE)? {}
        rebuilt.follower.save()?;
        rebuilt.follower.take_place_of(&self.follower);
        tracing::info!(
            projection_name = P::NAME,
            position = rebuilt.position(),
            "projection built again"
        );
        rebuilt.election = self.election.take();
        *self = rebuilt;
        Ok(())
    }
}

pub(super) fn is_known<P: Projection>(event: &UnknownEvent) -> bool {
    P::event_sets()
        .iter()
        .any(|set| set.aggregate_type == event.aggregate_type && (set.knows)(&event.event))
}

/// A projection of any type, or what is fed outside of the store.
pub(crate) trait AnyProjecting: Send {
    fn catch_up(&mut self) -> io::Result<()>;
    /// Takes new events up to the durable position `head`, a slice at a time, and saves if that is
    /// due. True if it has reached `head`.
    fn advance(&mut self, head: u64) -> io::Result<bool>;
    fn save(&mut self) -> io::Result<()>;
    /// How long until the changes should be saved.
    fn save_in(&self) -> Option<Duration>;
    /// If the state has events from the position `first` on, removes what is saved of it, and builds it
    /// again, because something that it may have was erased. True if it was built again.
    #[cfg(feature = "personal")]
    fn build_anew_since(&mut self, first: u64) -> io::Result<bool>;
    /// How long to wait after an error before it goes on, if it says so.
    fn retry_in(&self) -> Option<Duration> {
        None
    }
    /// From now on nothing is read or written: the directory may be another store's.
    fn close(&mut self);
}

impl<P: Projection> AnyProjecting for Projecting<P> {
    fn catch_up(&mut self) -> io::Result<()> {
        self.catch_up().map(|_| ())
    }

    fn save(&mut self) -> io::Result<()> {
        if self.is_closed || self.is_followed_elsewhere() {
            return Ok(());
        }
        self.follower.save()
    }

    fn advance(&mut self, head: u64) -> io::Result<bool> {
        if self.is_closed {
            return Ok(true);
        }
        if !self.elect()? {
            return Ok(true);
        }
        let is_there = match self.follow(head, SLICE) {
            Ok(is_there) => is_there,
            Err(error) => {
                if let Some(lease) = self
                    .election
                    .as_mut()
                    .filter(|_| self.follower.check().is_err())
                {
                    // Another release may be able to go on.
                    lease.release();
                }
                return Err(error);
            }
        };
        self.follower.save_if_due();
        Ok(is_there)
    }

    #[cfg(feature = "personal")]
    fn build_anew_since(&mut self, first: u64) -> io::Result<bool> {
        if self.is_closed {
            return Err(closed());
        }
        if self.position() < first {
            return Ok(false);
        }
        let checkpoint = RecordName::Checkpoint(P::VERSION);
        self.follower.records().remove_durably(checkpoint)?;
        let mut anew = self.anew()?;
        anew.follower.take_place_of(&self.follower);
        anew.election = self.election.take();
        *self = anew;
        self.catch_up()?;
        self.follower.save()?;
        Ok(true)
    }

    fn save_in(&self) -> Option<Duration> {
        if self.is_closed {
            return None;
        }
        match &self.election {
            Some(lease) if lease.term().is_none() => Some(lease.look_in()),
            _ => self.follower.save_in(false),
        }
    }

    fn close(&mut self) {
        self.is_closed = true;
        if let Some(lease) = &mut self.election {
            lease.release();
        }
    }
}

/// A registered projection, with its type and as one of many.
pub(crate) struct Registered {
    pub(crate) typed: Arc<dyn Any + Send + Sync>,
    pub(crate) any: Arc<Exclusive<dyn AnyProjecting>>,
    pub(crate) progress: Arc<Progress>,
}

impl Registered {
    pub(crate) fn open<P: Projection>(
        storage: &Storage,
        on_failure: OnFailure,
        elected: Option<&Candidate>,
    ) -> io::Result<Self> {
        let mut projecting = Projecting::<P>::open(storage, on_failure)?;
        let progress = projecting.progress();
        if let Some((candidate, leases)) = elected.zip(storage.leases()) {
            let lease = Lease::new(
                leases,
                (Follows::Projection, P::NAME),
                candidate.clone(),
                storage.clock().clone(),
                progress.clone(),
                Arc::default(),
            );
            projecting = projecting.elected_by(lease);
        }
        let name = format!("projection `{}`", P::NAME);
        let projecting = Arc::new(Exclusive::new(name, projecting));
        Ok(Self {
            typed: projecting.clone(),
            any: projecting,
            progress,
        })
    }
}
