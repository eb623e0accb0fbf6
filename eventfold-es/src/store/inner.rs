//! What a store consists of while somebody uses it.

use std::io;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::AggregateStore;
use crate::actor::Residents;
use crate::aggregate::Aggregate;
use crate::engine::{Engine, Job};
use crate::handle::AggregateHandle;
use crate::read_side::live::Live;
use crate::read_side::{Dispatchers, ReadSide, closed};
use crate::stream::StreamId;

/// The hold that users have on a store: its clones and handles. When they let go, the directory is
/// announced as about to be released, even if a message in a mailbox keeps the store for a moment.
pub(crate) struct StoreHold {
    pub(crate) store: Arc<StoreInner>,
    /// Whether it is that of users, not that of a command which the store sends by itself.
    is_users: bool,
}

impl Deref for StoreHold {
    type Target = StoreInner;

    fn deref(&self) -> &StoreInner {
        &self.store
    }
}

impl Drop for StoreHold {
    fn drop(&mut self) {
        if self.is_users {
            self.store.engine.announce_close();
            if let Some(live) = self.store.live.get() {
                live.stop();
            }
        }
    }
}

/// What the clones of a store, its handles and the messages on their way share.
pub(crate) struct StoreInner {
    pub(crate) engine: Arc<Engine>,
    pub(crate) residents: Arc<Residents>,
    pub(super) read_side: Arc<ReadSide>,
    pub(super) idle_timeout: Duration,
    pub(super) snapshot_every: u64,
    /// Set by `shutdown`: nothing new is accepted.
    pub(super) closing: AtomicBool,
    /// If projections and process managers run in the background.
    pub(super) live: OnceLock<Live>,
}

impl StoreInner {
    pub(crate) fn is_closed(&self) -> bool {
        self.closing.load(Ordering::Acquire) || self.engine.is_closed()
    }

    /// A store for a command that is sent in the background: it does not count as a user's.
    pub(crate) fn borrowed(store: Arc<Self>) -> AggregateStore {
        let inner = Arc::new(StoreHold {
            store,
            is_users: false,
        });
        AggregateStore { inner }
    }

    pub(crate) fn dispatchers(&self) -> &Dispatchers {
        &self.read_side.dispatchers
    }

    /// Saves the projections as they are.
    #[cfg(test)]
    pub(crate) fn save_projections(&self) {
        self.read_side.save_projections();
    }

    /// Fails if the store is shut down, or has failed.
    pub(crate) fn check_usable(&self) -> io::Result<()> {
        if self.is_closed() {
            return Err(closed());
        }
        self.engine.check_failed().map_err(|error| error.to_io())
    }
}

impl StoreHold {
    pub(super) fn of_users(store: Arc<StoreInner>) -> Arc<Self> {
        Arc::new(Self {
            store,
            is_users: true,
        })
    }

    /// A handle to the aggregate `id`.
    pub(super) fn handle<A: Aggregate>(
        self: &Arc<Self>,
        id: &StreamId,
    ) -> io::Result<AggregateHandle<A>> {
        if self.is_closed() {
            return Err(closed());
        }
        self.engine.layout().check(id)?;
        let slot =
            self.residents
                .slot::<A>(&self.engine, id, self.idle_timeout, self.snapshot_every)?;
        AggregateHandle::new(self.clone(), slot)
    }
}

impl Drop for StoreInner {
    fn drop(&mut self) {
        let read_side = self.read_side.clone();
        let save = Job::Run(Box::new(move || read_side.close()));
        self.engine.keeper().submit(save);
        self.engine.close();
    }
}
