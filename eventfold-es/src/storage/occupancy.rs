//! One store a place, and how long its end is waited for, where no file system tells.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use crate::storage::error::{StorageError, StorageErrorKind, StorageResult};
use crate::storage::files::lock::Patience;
use crate::storage::unfinished::Unfinished;
use crate::sync::lock;

/// Whether a place has a store of this process.
#[derive(Debug, Default)]
pub(crate) struct Occupancy {
    store: Mutex<Option<OpenStore>>,
    left: Condvar,
}

/// The store that is open in a place.
struct OpenStore {
    is_closing: bool,
    /// The caller of `open` gave up waiting, so the store ends as soon as it is open.
    given_up: Arc<AtomicBool>,
    /// The work that must finish before the store ends.
    unfinished: Option<Weak<dyn Unfinished>>,
}

impl fmt::Debug for OpenStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenStore")
            .field("is_closing", &self.is_closing)
            .finish_non_exhaustive()
    }
}

impl Occupancy {
    /// Notes that a store is open. If another one is about to end, waits for the end.
    /// `place` is for messages, and `rule` says that it has one store.
    pub(crate) fn enter(&self, patience: &Patience, place: &str, rule: &str) -> StorageResult<()> {
        let mut store = self.wait(patience, place)?;
        if store.is_some() {
            let text = format!(
                "{place} is already open in this process: {rule}; clone it, or shut it down first"
            );
            return Err(StorageError::new(StorageErrorKind::Busy, text));
        }
        *store = Some(OpenStore {
            is_closing: false,
            given_up: patience.given_up(),
            unfinished: None,
        });
        Ok(())
    }

    /// If a store is about to end, waits for the end.
    #[cfg(feature = "postgres")]
    pub(crate) fn wait_for_end(&self, patience: &Patience, place: &str) -> StorageResult<()> {
        self.wait(patience, place).map(drop)
    }

    /// Waits until no store is about to end.
    fn wait(
        &self,
        patience: &Patience,
        place: &str,
    ) -> StorageResult<MutexGuard<'_, Option<OpenStore>>> {
        let mut store = lock(&self.store);
        let mut since = Instant::now();
        loop {
            patience.check()?;
            let ending =
                |open: &&OpenStore| open.is_closing || open.given_up.load(Ordering::Acquire);
            let Some(open) = store.as_ref().filter(ending) else {
                return Ok(store);
            };
            let rest = patience.longest_release().saturating_sub(since.elapsed());
            if !rest.is_zero() {
                let waited = self.left.wait_timeout(store, rest);
                (store, _) = waited.unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let unfinished = open.unfinished.clone();
            // Unlocks first: the last reference to the unfinished work may be dropped below.
            drop(store);
            let unfinished = unfinished.and_then(|unfinished| unfinished.upgrade());
            if let Some(cause) = patience.not_released(unfinished) {
                let text = format!("{place} {cause}");
                return Err(StorageError::new(StorageErrorKind::Busy, text));
            }
            since = Instant::now();
            store = lock(&self.store);
        }
    }

    /// Notes that the store is about to end. The end waits until `unfinished` is dropped.
    pub(crate) fn announce_end(&self, unfinished: Option<Weak<dyn Unfinished>>) {
        if let Some(store) = &mut *lock(&self.store) {
            store.is_closing = true;
            store.unfinished = unfinished;
        }
    }

    /// Notes that the store has ended.
    pub(crate) fn leave(&self) {
        *lock(&self.store) = None;
        self.left.notify_all();
    }
}
