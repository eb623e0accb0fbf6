//! The health of an open store, which all its parts may read.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;

use tokio::sync::Notify;

use crate::storage::commit::CommitError;
use crate::storage::error::{StorageError, StorageResult};
use crate::storage::trouble::Trouble;
use crate::sync::lock;

/// The health of an open store.
#[derive(Debug, Default)]
pub(crate) struct Health {
    /// The position of the newest durable event.
    head: AtomicU64,
    /// Why the store takes no more commits until it is opened again.
    failed: OnceLock<StorageError>,
    closed: AtomicBool,
    /// Wakes tasks that wait for a newer head or for the end. Costs almost nothing without them.
    changed: Notify,
    /// A stream's file lacks lines that the journal has.
    left_behind: AtomicBool,
    /// Whether the newest batch was not stored.
    is_refusing: AtomicBool,
    /// When and why the newest of these batches was not stored.
    refused: Mutex<Option<(Instant, StorageError)>>,
}

impl Health {
    pub(crate) fn new(head: u64) -> Arc<Self> {
        Arc::new(Self {
            head: AtomicU64::new(head),
            ..Self::default()
        })
    }

    pub(crate) fn head(&self) -> u64 {
        self.head.load(Ordering::Acquire)
    }

    pub(crate) fn set_head(&self, head: u64) {
        self.head.store(head, Ordering::Release);
        self.changed.notify_waiters();
    }

    /// Waits until the head is at `position` or after it, and returns the head.
    ///
    /// # Errors
    ///
    /// Why the head will never be there.
    pub(crate) async fn reached(&self, position: u64) -> StorageResult<u64> {
        loop {
            let mut changed = pin!(self.changed.notified());
            // From here on no change is missed.
            changed.as_mut().enable();
            // Read before the head: after the end, the head no longer moves.
            let ended = self.ended();
            let head = self.head();
            if head >= position {
                return Ok(head);
            }
            ended?;
            changed.await;
        }
    }

    fn ended(&self) -> StorageResult<()> {
        self.check_failed()?;
        if self.is_closed() {
            return Err(StorageError::closed());
        }
        Ok(())
    }

    /// Refuses all further commits. Keeps and returns the first cause.
    pub(crate) fn fail(&self, error: StorageError) -> StorageError {
        let first = self.failed.get_or_init(|| error).clone();
        self.changed.notify_waiters();
        first
    }

    pub(crate) fn check_failed(&self) -> Result<(), CommitError> {
        match self.failed.get() {
            Some(error) => Err(CommitError::Failed(error.clone())),
            None => Ok(()),
        }
    }

    /// Notes whether a batch was stored. Only the committer calls this.
    pub(crate) fn note_batch(&self, outcome: Result<(), &StorageError>) {
        match outcome {
            Ok(()) if !self.is_refusing.load(Ordering::Relaxed) => {}
            Ok(()) => {
                self.is_refusing.store(false, Ordering::Relaxed);
                *lock(&self.refused) = None;
            }
            Err(error) => {
                self.is_refusing.store(true, Ordering::Relaxed);
                *lock(&self.refused) = Some((Instant::now(), error.clone()));
            }
        }
    }

    /// What is wrong.
    pub(crate) fn troubles(&self) -> Vec<Trouble> {
        let mut troubles = Vec::new();
        if self.is_closed() {
            troubles.push(Trouble::Closed);
        }
        if let Some(error) = self.failed.get() {
            // Everything else follows from it.
            troubles.push(Trouble::Failed(error.clone()));
        } else if let Some((at, error)) = &*lock(&self.refused) {
            troubles.push(Trouble::Refused(error.clone(), at.elapsed()));
        }
        troubles
    }

    pub(crate) fn refuse_new_requests(&self) {
        self.closed.store(true, Ordering::Release);
        self.changed.notify_waiters();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    pub(crate) fn leave_behind(&self) {
        self.left_behind.store(true, Ordering::Release);
    }

    pub(crate) fn is_left_behind(&self) -> bool {
        self.left_behind.load(Ordering::Acquire)
    }
}
