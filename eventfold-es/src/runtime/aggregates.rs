//! The live aggregates of an open store, and their owners: [`Aggregates`], [`Hold`].

use std::fmt;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::personal::Keys;
use crate::runtime::actor::Registry;
use crate::runtime::decisions::boundary::Decisions;
use crate::runtime::layers::Layers;
use crate::runtime::passivation::Passivator;
use crate::runtime::running::{Running, Runs};
use crate::storage::Storage;
use crate::storage::error::{StorageError, StorageResult};

/// The part that a store's clones, handles and waiting messages share. When the last of them goes,
/// the store ends.
pub(crate) struct Aggregates {
    pub(crate) storage: Storage,
    pub(crate) registry: Arc<Registry>,
    pub(crate) passivator: Arc<Passivator>,
    pub(crate) idle_timeout: Duration,
    pub(crate) snapshot_every: u64,
    pub(crate) layers: Layers,
    pub(crate) decisions: Decisions,
    /// Held by one import at a time.
    pub(crate) importing: tokio::sync::Mutex<()>,
    follows: Arc<dyn Follows>,
    /// Set by `shutdown`: nothing new is accepted.
    is_closing: AtomicBool,
}

/// A follower of a store's log. It ends with the store.
pub(crate) trait Follows: Send + Sync {
    /// The users have let go: begin nothing new.
    fn let_go(&self);

    /// Saves its state for the last time. The store's files are still there.
    fn close(&self);
}

impl Aggregates {
    pub(crate) fn new(
        storage: Storage,
        follows: Arc<dyn Follows>,
        idle_timeout: Duration,
        snapshot_every: u64,
        layers: Layers,
        keys: Keys,
    ) -> Arc<Self> {
        Arc::new(Self {
            storage,
            passivator: Arc::new(Passivator::new()),
            registry: Arc::new(Registry::new(keys)),
            idle_timeout,
            snapshot_every,
            layers,
            decisions: Decisions::default(),
            importing: tokio::sync::Mutex::default(),
            follows,
            is_closing: AtomicBool::new(false),
        })
    }

    /// Refuses everything new from now on.
    pub(crate) fn start_closing(&self) {
        self.is_closing.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.is_closing.load(Ordering::SeqCst) || self.storage.is_closed()
    }

    /// Fails if the store is shut down, or belongs to another process.
    pub(crate) fn check_open(&self) -> StorageResult<()> {
        self.storage.check_process()?;
        if self.is_closed() {
            return Err(StorageError::closed());
        }
        Ok(())
    }

    /// Fails if the store is shut down, has failed, or belongs to another process.
    pub(crate) fn check_usable(&self) -> StorageResult<()> {
        self.check_open()?;
        Ok(self.storage.check_failed()?)
    }
}

impl Runs for Aggregates {
    fn running(&self) -> &Running {
        self.registry.running()
    }
}

impl fmt::Debug for Aggregates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Aggregates")
            .field("storage", &self.storage)
            .finish_non_exhaustive()
    }
}

impl Drop for Aggregates {
    fn drop(&mut self) {
        if !self.storage.process().is_this() {
            // A forked child's copy: it has no threads to close it, and must write nothing.
            return;
        }
        self.storage.announce_close(None);
        let (follows, storage) = (self.follows.clone(), self.storage.clone());
        let keys = self.registry.keys.clone();
        self.passivator.end(move || {
            // The store closes whatever happens here: the next `open` of the directory waits for
            // it.
            let saved = catch_unwind(AssertUnwindSafe(|| follows.close()));
            keys.close();
            storage.close();
            if saved.is_err() {
                tracing::error!(
                    "saving the projections and process managers panicked; this is a bug"
                );
            }
        });
    }
}

/// A hold on the live aggregates, which keeps the store open. When the users let go, the store
/// announces that it will release the directory. A message in a mailbox may keep the store open for
/// a moment longer.
pub(crate) struct Hold {
    pub(crate) aggregates: Arc<Aggregates>,
    /// Whether users hold it, and not a command that the store sends itself.
    is_users: bool,
}

impl Hold {
    /// The hold of a user.
    pub(crate) fn of_users(aggregates: Arc<Aggregates>) -> Arc<Self> {
        Arc::new(Self {
            aggregates,
            is_users: true,
        })
    }

    /// The hold of a command that is sent in the background.
    pub(crate) fn of_command(aggregates: Arc<Aggregates>) -> Arc<Self> {
        Arc::new(Self {
            aggregates,
            is_users: false,
        })
    }
}

impl Deref for Hold {
    type Target = Aggregates;

    fn deref(&self) -> &Aggregates {
        &self.aggregates
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        // Invariant R1.
        if self.is_users && self.storage.process().is_this() {
            let registry: Weak<Registry> = Arc::downgrade(&self.registry);
            self.storage.announce_close(Some(registry));
            self.follows.let_go();
        }
    }
}
