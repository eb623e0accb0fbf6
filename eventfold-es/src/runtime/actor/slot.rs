//! The slots of aggregates. An aggregate has a slot while it is in use, live or passivated.

use std::any::Any;
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use crate::domain::aggregate::Aggregate;
use crate::ids::StreamId;
use crate::runtime::actor::conflict::Conflicts;
use crate::runtime::actor::idle::Activity;
use crate::runtime::actor::mailbox::{MAILBOX, Mail};
use crate::runtime::actor::{Actor, Home};
use crate::runtime::background;
use crate::runtime::passivation::{Passivate, Passivator};
use crate::storage::Storage;
use crate::storage::stream::Stream;
use crate::storage::unfinished::Unfinished;

/// How many aggregates are named in an error.
const LISTED: usize = 5;

type Mailbox<A> = mpsc::Sender<Box<Mail<A>>>;

/// One aggregate: the mailbox of its activation, if it has one.
pub(crate) struct Slot<A: Aggregate> {
    stream: Stream,
    snapshot_every: u64,
    activity: Arc<Activity>,
    mailbox: Mutex<Option<Mailbox<A>>>,
    registry: Weak<Registry>,
}

impl<A: Aggregate> Slot<A> {
    fn mailbox(&self) -> MutexGuard<'_, Option<Mailbox<A>>> {
        self.mailbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether an actor is resident.
    pub(crate) fn is_alive(&self) -> bool {
        self.mailbox()
            .as_ref()
            .is_some_and(|mailbox| !mailbox.is_closed())
    }

    pub(crate) fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Puts `mail` into the mailbox, or returns it if the aggregate is not live or the mailbox is
    /// full.
    pub(crate) fn try_send(&self, mail: Box<Mail<A>>) -> Result<(), Box<Mail<A>>> {
        match &*self.mailbox() {
            Some(mailbox) => mailbox.try_send(mail).map_err(|refused| match refused {
                TrySendError::Full(mail) | TrySendError::Closed(mail) => mail,
            }),
            None => Err(mail),
        }
    }

    /// The mailbox of the aggregate. If the aggregate is not live, it is activated on the caller's
    /// runtime, or on the background runtime if there is none or it has ended.
    pub(crate) fn activate(
        self: &Arc<Self>,
        storage: &Storage,
        passivator: &Arc<Passivator>,
        is_runtime_over: bool,
    ) -> std::io::Result<Mailbox<A>> {
        let mut mailbox = self.mailbox();
        if let Some(live) = mailbox.as_ref().filter(|mailbox| !mailbox.is_closed()) {
            return Ok(live.clone());
        }
        let (sender, receiver) = mpsc::channel(MAILBOX);
        let actor = Actor {
            clock: storage.clock().clone(),
            passivator: passivator.clone(),
            stream: self.stream.clone(),
            home: Arc::<Self>::downgrade(self),
            activity: self.activity.clone(),
            snapshot_every: self.snapshot_every,
            mailbox: receiver,
            head: None,
            conflicts: Conflicts::on(&self.stream),
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) if !is_runtime_over => drop(runtime.spawn(actor.run())),
            _ => drop(background::runtime()?.spawn(actor.run())),
        }
        *mailbox = Some(sender.clone());
        self.activity.touch();
        if let Some(registry) = self.registry.upgrade() {
            registry.keep(self.stream.id(), self.clone());
        }
        drop(mailbox);
        self.clone().watch(passivator);
        Ok(sender)
    }
}

impl<A: Aggregate> Home for Slot<A> {
    /// Passivates the aggregate after its idle time.
    fn watch(self: Arc<Self>, passivator: &Passivator) {
        if let Some(deadline) = self.activity.deadline() {
            let watched: Weak<dyn Passivate> = Arc::<Self>::downgrade(&self);
            passivator.watch(watched, deadline);
        }
    }

    /// Drops the mailbox at the end of an activation, unless the next activation has its own
    /// already.
    fn release(&self) {
        let mut mailbox = self.mailbox();
        if mailbox.as_ref().is_some_and(mpsc::Sender::is_closed) {
            *mailbox = None;
            let kept = self
                .registry
                .upgrade()
                .and_then(|registry| registry.let_go(self.stream.id()));
            drop(mailbox);
            drop(kept);
        }
    }
}

impl<A: Aggregate> Drop for Slot<A> {
    fn drop(&mut self) {
        if let Some(registry) = self.registry.upgrade() {
            registry.forget(self.stream.id());
        }
    }
}

impl<A: Aggregate> Passivate for Slot<A> {
    fn deadline(&self) -> Option<Instant> {
        self.activity.deadline().filter(|_| self.is_alive())
    }

    fn passivate(&self) -> bool {
        let Some(mailbox) = &*self.mailbox() else {
            return true;
        };
        let asked = mailbox.try_send(Box::new(Mail::PassivateIfIdle));
        let is_full = matches!(asked, Err(TrySendError::Full(_)));
        if is_full {
            self.activity.touch();
        }
        !is_full
    }
}

/// A slot of any aggregate type.
pub(crate) trait LiveAggregate: Any + Send + Sync {
    /// Serves the waiting messages, leaves memory, and then returns.
    fn retire<'a>(&'a self) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

    /// Whether calls wait for it.
    fn is_behind(&self) -> bool;
}

impl<A: Aggregate> LiveAggregate for Slot<A> {
    fn retire<'a>(&'a self) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(async {
            let mailbox = self.mailbox().clone();
            let (done, retired) = oneshot::channel();
            if let Some(mailbox) = mailbox
                && mailbox.send(Box::new(Mail::Retire(done))).await.is_ok()
            {
                // The sender is dropped at the end, however the actor ends.
                let _ = retired.await;
            }
        })
    }

    fn is_behind(&self) -> bool {
        let mailbox = self.mailbox();
        let waits = |mailbox: &Mailbox<A>| mailbox.capacity() < mailbox.max_capacity();
        mailbox.as_ref().is_some_and(waits)
    }
}

/// The aggregates of a store that are in use. Live ones are kept even if nobody else keeps them.
#[derive(Default)]
pub(crate) struct Registry {
    slots: Mutex<HashMap<StreamId, Entry>>,
}

struct Entry {
    known: Weak<dyn LiveAggregate>,
    live: Option<Arc<dyn LiveAggregate>>,
}

impl Registry {
    fn slots(&self) -> MutexGuard<'_, HashMap<StreamId, Entry>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The slot of an aggregate.
    ///
    /// # Errors
    ///
    /// If the aggregate is live as another Rust type.
    pub(crate) fn slot<A: Aggregate>(
        self: &Arc<Self>,
        storage: &Storage,
        id: &StreamId,
        idle_timeout: Duration,
        snapshot_every: u64,
    ) -> std::io::Result<Arc<Slot<A>>> {
        let mut slots = self.slots();
        if let Some(known) = slots.get(id).and_then(|entry| entry.known.upgrade()) {
            // Drop the value without the lock held: this may be its last reference.
            drop(slots);
            let known: Arc<dyn Any + Send + Sync> = known;
            return known.downcast::<Slot<A>>().map_err(|_| {
                let text = format!(
                    "{id} is in use as another Rust type than {}",
                    std::any::type_name::<A>()
                );
                std::io::Error::new(std::io::ErrorKind::InvalidInput, text)
            });
        }
        let slot = Arc::new(Slot {
            stream: storage.stream(id),
            snapshot_every: A::SNAPSHOT_EVERY.unwrap_or(snapshot_every).max(1),
            activity: Arc::new(Activity::new(idle_timeout)),
            mailbox: Mutex::new(None),
            registry: Arc::downgrade(self),
        });
        let known: Arc<dyn LiveAggregate> = slot.clone();
        let entry = Entry {
            known: Arc::downgrade(&known),
            live: None,
        };
        slots.insert(id.clone(), entry);
        Ok(slot)
    }

    /// Keeps a live slot.
    fn keep<A: Aggregate>(&self, id: &StreamId, slot: Arc<Slot<A>>) {
        let known: Weak<dyn LiveAggregate> = Arc::<Slot<A>>::downgrade(&slot);
        let entry = Entry {
            known,
            live: Some(slot),
        };
        let before = self.slots().insert(id.clone(), entry);
        drop(before);
    }

    /// Stops keeping a slot. The caller drops it without the lock.
    fn let_go(&self, id: &StreamId) -> Option<Arc<dyn LiveAggregate>> {
        self.slots().get_mut(id)?.live.take()
    }

    fn forget(&self, id: &StreamId) {
        let mut slots = self.slots();
        // Another slot may have been made since the last user of this one was gone.
        if slots
            .get(id)
            .is_some_and(|entry| entry.known.strong_count() == 0)
        {
            slots.remove(id);
        }
    }

    /// The live aggregates.
    pub(crate) fn live(&self) -> Vec<Arc<dyn LiveAggregate>> {
        self.slots()
            .values()
            .filter_map(|entry| entry.live.clone())
            .collect()
    }

    /// Whether the aggregate is live.
    pub(crate) fn is_live(&self, id: &StreamId) -> bool {
        self.slots()
            .get(id)
            .is_some_and(|entry| entry.live.is_some())
    }
}

impl Unfinished for Registry {
    fn describe(&self) -> String {
        let slots = self.slots();
        let live = slots.iter().filter_map(|(id, entry)| {
            let live = entry.live.clone()?;
            Some((id.to_string(), live))
        });
        let live: Vec<_> = live.collect();
        drop(slots);
        let behind = live.iter().filter(|(_, slot)| slot.is_behind());
        let mut names: Vec<&str> = behind.map(|(id, _)| id.as_str()).collect();
        if names.is_empty() {
            names.extend(live.iter().map(|(id, _)| id.as_str()));
        }
        if names.is_empty() {
            return "a call is still in progress".to_owned();
        }
        names.sort_unstable();
        let more = names.len().saturating_sub(LISTED);
        names.truncate(LISTED);
        let more = if more == 0 {
            String::new()
        } else {
            format!(" and {more} more")
        };
        format!(
            "calls wait for {}{more}, whose tasks make no progress; if their tokio runtime is no \
             longer driven, drive it or drop it, then open the store again",
            names.join(", ")
        )
    }
}
