//! How long an aggregate has been idle: [`Activity`].

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// When an aggregate was last used.
#[derive(Debug)]
pub(crate) struct Activity {
    start: Instant,
    idle_timeout: Duration,
    /// Microseconds since `start`.
    last_use: AtomicU64,
    /// Whether its state is in memory.
    is_loaded: AtomicBool,
}

impl Activity {
    pub(crate) fn new(idle_timeout: Duration) -> Self {
        Self {
            start: Instant::now(),
            idle_timeout,
            last_use: AtomicU64::new(0),
            is_loaded: AtomicBool::new(false),
        }
    }

    pub(crate) fn touch(&self) {
        let now = u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.last_use.store(now, Ordering::Relaxed);
    }

    pub(crate) fn set_loaded(&self, is_loaded: bool) {
        self.is_loaded.store(is_loaded, Ordering::Relaxed);
    }

    /// Whether a message is probably served without a load before it.
    pub(crate) fn is_loaded(&self) -> bool {
        self.is_loaded.load(Ordering::Relaxed)
    }

    /// When the idle time ends, `None` if the clock cannot represent that.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let last_use = Duration::from_micros(self.last_use.load(Ordering::Relaxed));
        self.start
            .checked_add(last_use)?
            .checked_add(self.idle_timeout)
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.deadline()
            .is_some_and(|deadline| deadline <= Instant::now())
    }
}
