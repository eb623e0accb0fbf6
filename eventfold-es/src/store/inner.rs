//! What a store consists of while somebody uses it.

use std::io;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::actor::Residents;
use crate::aggregate::Aggregate;
use crate::engine::{Engine, Job};
use crate::handle::AggregateHandle;
use crate::read_side::{ReadSide, closed};
use crate::stream::StreamId;

/// The hold that users have on a store: its clones and handles. When they let go, the directory is
/// announced as about to be released, even if a message in a mailbox keeps the store for a moment.
pub(crate) struct StoreHold {
    pub(crate) store: Arc<StoreInner>,
}

impl Deref for StoreHold {
    type Target = StoreInner;

    fn deref(&self) -> &StoreInner {
        &self.store
    }
}

impl Drop for StoreHold {
    fn drop(&mut self) {
        self.store.engine.announce_close();
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
}

impl StoreInner {
    pub(crate) fn is_closed(&self) -> bool {
        self.closing.load(Ordering::Acquire) || self.engine.is_closed()
    }

    /// Saves the projections as they are.
    #[cfg(test)]
    pub(crate) fn save_projections(&self) {
        self.read_side.save_projections();
    }

    /// Fails if the store is shut down, or has failed.
    pub(super) fn check_usable(&self) -> io::Result<()> {
        if self.is_closed() {
            return Err(closed());
        }
        self.engine.check_failed().map_err(|error| error.to_io())
    }
}

impl StoreHold {
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
        let save = Job::Run(Box::new(move || read_side.close_projections()));
        self.engine.keeper().submit(save);
        self.engine.close();
    }
}
