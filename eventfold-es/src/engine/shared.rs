//! What all parts of an open store may know about its condition.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::sync::watch;

use super::commit::CommitError;

/// The condition of an open store.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// The position of the newest durable event.
    head: AtomicU64,
    /// Tells whoever waits for it that the head moved.
    head_moved: watch::Sender<()>,
    /// Why the store takes no more commits until it is opened again.
    failed: OnceLock<Arc<io::Error>>,
    closed: AtomicBool,
    /// A stream's file lacks what the journal has.
    left_behind: AtomicBool,
}

impl Shared {
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
        self.head_moved.send_replace(());
    }

    /// Is told of each move of the head from now on.
    pub(crate) fn head_moved(&self) -> watch::Receiver<()> {
        self.head_moved.subscribe()
    }

    /// Takes no more commits; the first cause counts.
    pub(crate) fn fail(&self, error: io::Error) -> Arc<io::Error> {
        self.failed.get_or_init(|| Arc::new(error)).clone()
    }

    pub(crate) fn check_failed(&self) -> Result<(), CommitError> {
        match self.failed.get() {
            Some(error) => Err(CommitError::Failed(error.clone())),
            None => Ok(()),
        }
    }

    pub(crate) fn refuse_new_requests(&self) {
        self.closed.store(true, Ordering::Release);
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
