//! The slots of aggregates. An aggregate has a slot while it is in use, live or passivated.
//!
//! A live aggregate is kept without a handle as long as messages wait for it or it has events. One
//! without events has nothing to keep: it leaves memory with its last handle. Invariant R5.

use std::any::Any;
use std::collections::HashMap;
#[cfg(feature = "personal")]
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
#[cfg(feature = "personal")]
use tokio::sync::oneshot;

use crate::domain::aggregate::Aggregate;
use crate::ids::StreamId;
use crate::meter::CommandMeter;
use crate::personal::Keys;
use crate::runtime::actor::conflict::Conflicts;
use crate::runtime::actor::idle::Activity;
use crate::runtime::actor::mailbox::{MAILBOX, Mail};
use crate::runtime::actor::{Actor, Home};
use crate::runtime::background;
use crate::runtime::passivation::{Passivate, Passivator};
use crate::runtime::running::Running;
use crate::storage::Storage;
use crate::storage::error::StorageError;
use crate::storage::stream::Stream;
use crate::storage::unfinished::Unfinished;

/// How many aggregates are named in an error.
const LISTED: usize = 5;

type Mailbox<A> = mpsc::Sender<Mail<A>>;

/// One aggregate, and its activation if it has one.
pub(crate) struct Slot<A: Aggregate> {
    stream: Stream,
    snapshot_every: u64,
    activity: Arc<Activity>,
    live: Mutex<Option<Live<A>>>,
    registry: Weak<Registry>,
    /// Counts its commands.
    meter: Arc<CommandMeter>,
}

/// An activation of an aggregate.
struct Live<A: Aggregate> {
    mailbox: Mailbox<A>,
    /// Whether the registry keeps the slot.
    is_kept: bool,
}

impl<A: Aggregate> Live<A> {
    /// Whether messages wait in the mailbox, or callers wait for room in it.
    fn is_behind(&self) -> bool {
        let mailbox = &self.mailbox;
        mailbox.capacity() < mailbox.max_capacity() || mailbox.strong_count() > 1
    }
}

impl<A: Aggregate> Slot<A> {
    fn live(&self) -> MutexGuard<'_, Option<Live<A>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the registry keep the slot from now on.
    fn keep(self: &Arc<Self>, live: &mut Live<A>) {
        if !live.is_kept
            && let Some(registry) = self.registry.upgrade()
        {
            live.is_kept = true;
            registry.keep(self.stream.id(), self.clone());
        }
    }

    pub(crate) fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Counts the aggregate's commands.
    #[inline]
    pub(crate) fn meter(&self) -> &Arc<CommandMeter> {
        &self.meter
    }

    /// Whether a message is probably served without a load before it.
    pub(crate) fn is_loaded(&self) -> bool {
        self.activity.is_loaded()
    }

    /// Puts `mail` into the mailbox, or returns it if the aggregate is not live or the mailbox is
    /// full.
    pub(crate) fn try_send(self: &Arc<Self>, mail: Mail<A>) -> Result<(), Mail<A>> {
        match &mut *self.live() {
            Some(live) => {
                live.mailbox
                    .try_send(mail)
                    .map_err(|refused| match refused {
                        TrySendError::Full(mail) | TrySendError::Closed(mail) => mail,
                    })?;
                self.keep(live);
                Ok(())
            }
            None => Err(mail),
        }
    }

    /// The mailbox of the aggregate, for one message. If the aggregate is not live, it is
    /// activated as by [`activate`](Self::activate), on the background runtime if the caller's has
    /// ended.
    pub(crate) fn mailbox(
        self: &Arc<Self>,
        storage: &Storage,
        passivator: &Arc<Passivator>,
        is_runtime_over: bool,
    ) -> std::io::Result<Mailbox<A>> {
        let mut live = self.live();
        let (activation, new) = self.activation(&mut live, storage, passivator)?;
        self.keep(activation);
        let mailbox = activation.mailbox.clone();
        drop(live);
        if let Some(actor) = new {
            self.start(actor, passivator, is_runtime_over)?;
        }
        Ok(mailbox)
    }

    /// Activates the aggregate if it is not live, on the caller's runtime, or on the background
    /// runtime if there is none.
    pub(crate) fn activate(
        self: &Arc<Self>,
        storage: &Storage,
        passivator: &Arc<Passivator>,
    ) -> std::io::Result<()> {
        let mut live = self.live();
        let (_, new) = self.activation(&mut live, storage, passivator)?;
        drop(live);
        match new {
            Some(actor) => self.start(actor, passivator, false),
            None => Ok(()),
        }
    }

    /// The activation in `live`. If there was none, it is made, and the caller starts its actor
    /// without the lock.
    fn activation<'a>(
        self: &Arc<Self>,
        live: &'a mut Option<Live<A>>,
        storage: &Storage,
        passivator: &Arc<Passivator>,
    ) -> std::io::Result<(&'a mut Live<A>, Option<Actor<A>>)> {
        if live.as_ref().is_some_and(|live| live.mailbox.is_closed()) {
            *live = None;
        }
        if let Some(live) = live {
            Ok((live, None))
        } else {
            let (mailbox, actor) = self.actor(storage, passivator)?;
            let is_kept = false;
            Ok((live.insert(Live { mailbox, is_kept }), Some(actor)))
        }
    }

    /// A new actor and its mailbox.
    fn actor(
        self: &Arc<Self>,
        storage: &Storage,
        passivator: &Arc<Passivator>,
    ) -> std::io::Result<(Mailbox<A>, Actor<A>)> {
        let registry = self.registry.upgrade();
        let registry = registry.filter(|registry| !registry.running.is_over());
        let registry = registry.ok_or_else(StorageError::closed)?;
        let (sender, receiver) = mpsc::channel(MAILBOX);
        let live = &storage.meters().live;
        live.now.add(1);
        live.activations.add(1);
        let actor = Actor {
            clock: storage.clock().clone(),
            keys: registry.keys.clone(),
            passivator: passivator.clone(),
            stream: self.stream.clone(),
            home: Arc::<Self>::downgrade(self),
            activity: self.activity.clone(),
            snapshot_every: self.snapshot_every,
            mailbox: receiver,
            head: None,
            conflicts: Conflicts::on(&self.stream),
            turn: None,
        };
        Ok((sender, actor))
    }

    /// Starts an actor, on the background runtime if there is no other or the caller's has ended. A
    /// runtime that has ended drops the actor at once, and an actor that is dropped takes the lock of
    /// its slot. So does the thread that is told of the idle time.
    fn start(
        self: &Arc<Self>,
        actor: Actor<A>,
        passivator: &Passivator,
        is_runtime_over: bool,
    ) -> std::io::Result<()> {
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) if !is_runtime_over => drop(runtime.spawn(actor.run())),
            _ => drop(background::runtime()?.spawn(actor.run())),
        }
        self.activity.touch();
        self.clone().watch(passivator);
        Ok(())
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

    /// Stops keeping the slot, unless messages wait.
    fn let_go(&self) {
        let mut live = self.live();
        let kept = match &mut *live {
            Some(live) if live.is_kept && !live.is_behind() => {
                live.is_kept = false;
                self.registry
                    .upgrade()
                    .and_then(|registry| registry.let_go(self.stream.id()))
            }
            _ => None,
        };
        // This may be the slot's last reference, which takes the lock.
        drop(live);
        drop(kept);
    }

    /// Drops the mailbox at the end of an activation, unless the next activation has its own
    /// already.
    fn release(&self) {
        let mut live = self.live();
        if live.as_ref().is_none_or(|live| live.mailbox.is_closed()) {
            *live = None;
            let kept = self
                .registry
                .upgrade()
                .and_then(|registry| registry.let_go(self.stream.id()));
            drop(live);
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
        let Some(live) = &*self.live() else {
            return true;
        };
        let asked = live.mailbox.try_send(Mail::PassivateIfIdle);
        let is_full = matches!(asked, Err(TrySendError::Full(_)));
        if is_full {
            self.activity.touch();
        }
        !is_full
    }
}

/// A slot of any aggregate type.
pub(crate) trait LiveAggregate: Any + Send + Sync {
    /// Whether an actor is resident.
    fn is_alive(&self) -> bool;

    /// Lets the actor serve the waiting messages and end. Does not wait for the end. A caller that
    /// waits for room in the mailbox comes first.
    fn retire(&self);

    /// Whether calls wait for it.
    fn is_behind(&self) -> bool;

    /// Lets the actor drop its head once that is durable. `None` if there is no actor.
    #[cfg(feature = "personal")]
    fn reload(&self) -> Option<Pin<Box<dyn Future<Output = ()> + Send>>>;
}

impl<A: Aggregate> LiveAggregate for Slot<A> {
    fn is_alive(&self) -> bool {
        let live = self.live();
        live.as_ref().is_some_and(|live| !live.mailbox.is_closed())
    }

    fn retire(&self) {
        // An actor ends when its last sender is gone.
        let live = self.live().take();
        drop(live);
    }

    fn is_behind(&self) -> bool {
        self.live().as_ref().is_some_and(Live::is_behind)
    }

    #[cfg(feature = "personal")]
    fn reload(&self) -> Option<Pin<Box<dyn Future<Output = ()> + Send>>> {
        let mailbox = self.live().as_ref()?.mailbox.clone();
        Some(Box::pin(async move {
            let (done, reloaded) = oneshot::channel();
            // An actor that ends has no head any more.
            if mailbox.send(Mail::Reload(done)).await.is_ok() {
                let _ = reloaded.await;
            }
        }))
    }
}

/// The aggregates of a store that are in use. Live ones with events are kept even if nobody else
/// keeps them.
#[derive(Default)]
pub(crate) struct Registry {
    slots: Mutex<HashMap<StreamId, Entry>>,
    running: Running,
    /// The keys of the store's personal data.
    pub(crate) keys: Keys,
}

struct Entry {
    known: Weak<dyn LiveAggregate>,
    live: Option<Arc<dyn LiveAggregate>>,
}

impl Registry {
    /// The aggregates of a store with these keys, none yet.
    pub(crate) fn new(keys: Keys) -> Self {
        Self {
            keys,
            ..Self::default()
        }
    }

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
            live: Mutex::new(None),
            registry: Arc::downgrade(self),
            meter: storage.meters().of_aggregate(A::AGGREGATE_TYPE),
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

    /// The slots of all aggregates.
    pub(crate) fn all(&self) -> Vec<Arc<dyn LiveAggregate>> {
        self.slots()
            .values()
            .filter_map(|entry| entry.known.upgrade())
            .collect()
    }

    /// Lets the aggregate leave memory, once it has served the messages that wait. Does not wait for
    /// that. Its next message loads it again.
    pub(crate) fn passivate(&self, id: &StreamId) {
        let slot = self.slots().get(id).and_then(|entry| entry.known.upgrade());
        // Without the lock: this may be the slot's last reference, which takes it.
        if let Some(slot) = slot {
            slot.retire();
        }
    }

    pub(crate) fn running(&self) -> &Running {
        &self.running
    }

    /// Activates no more aggregates, and waits until all calls in progress are answered. Aggregates
    /// that have nothing to do cost nothing.
    pub(crate) async fn retire(&self) {
        self.running.end().await;
    }

    /// Lets all aggregates leave memory, on a thread of its own if there is a runtime. Their tasks
    /// end by themselves.
    pub(crate) fn let_all_go(self: &Arc<Self>) {
        let registry = self.clone();
        let let_go = move || {
            for slot in registry.all() {
                slot.retire();
            }
            // The last references, which take the lock.
            let kept: Vec<_> = {
                let mut slots = registry.slots();
                slots.values_mut().map(|entry| entry.live.take()).collect()
            };
            drop(kept);
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(let_go)),
            Err(_) => let_go(),
        }
    }

    /// Whether the aggregate is live.
    pub(crate) fn is_live(&self, id: &StreamId) -> bool {
        let slot = self.slots().get(id).and_then(|entry| entry.known.upgrade());
        slot.is_some_and(|slot| slot.is_alive())
    }

    /// How many aggregates have a slot.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.slots().len()
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
