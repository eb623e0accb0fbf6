//! The current time: the system's, or the one that a test sets.

use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;

/// The source of a store's time: for its events, timers and retries.
#[derive(Debug, Clone, Default)]
pub(crate) enum Clock {
    #[default]
    System,
    Manual(ManualClock),
}

impl Clock {
    /// Milliseconds since 1970.
    pub(crate) fn now_ms(&self) -> u64 {
        let now = match self {
            Self::System => SystemTime::now(),
            Self::Manual(clock) => clock.now(),
        };
        unix_millis(now)
    }

    /// Waits until the time `due`, for ever if it is `None`. May return early.
    pub(crate) async fn wait_until(&self, due: Option<u64>) {
        let Some(due) = due else {
            return std::future::pending().await;
        };
        match self {
            Self::System => {
                let wait = Duration::from_millis(due.saturating_sub(self.now_ms()));
                tokio::time::sleep(wait.min(LONGEST_SLEEP)).await;
            }
            Self::Manual(clock) => {
                let mut moved = clock.0.moved.subscribe();
                while self.now_ms() < due && moved.changed().await.is_ok() {}
            }
        }
    }
}

/// Somebody may set the system's clock while a timer waits. The timer notices that after this time.
const LONGEST_SLEEP: Duration = Duration::from_secs(10);

/// The nanoseconds since some moment, which never decrease. Every command asks for them.
#[inline]
pub(crate) fn monotonic_nanos() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    let passed = START.elapsed();
    // Half a thousand years fit.
    passed.as_secs() * 1_000_000_000 + u64::from(passed.subsec_nanos())
}

/// Milliseconds since 1970.
pub(crate) fn unix_millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The time `ms` milliseconds after 1970; 1970 if the system cannot represent it.
pub(crate) fn from_unix_millis(ms: u64) -> SystemTime {
    UNIX_EPOCH
        .checked_add(Duration::from_millis(ms))
        .unwrap_or(UNIX_EPOCH)
}

/// A clock that stands still until a test advances it, see
/// [`AggregateStoreBuilder::clock`](crate::store::AggregateStoreBuilder::clock) and
/// [testing](crate::guide::testing_a_domain). Clones are the same clock.
///
/// ```
/// use std::time::{Duration, SystemTime};
///
/// use eventfold_es::ManualClock;
///
/// let clock = ManualClock::new(SystemTime::UNIX_EPOCH);
/// clock.advance(Duration::from_secs(60));
/// assert_eq!(clock.now(), SystemTime::UNIX_EPOCH + Duration::from_secs(60));
/// ```
#[doc(alias("fake clock", "mock clock", "time travel"))]
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<Manual>);

#[derive(Debug)]
struct Manual {
    now: Mutex<SystemTime>,
    moved: watch::Sender<()>,
}

impl ManualClock {
    /// A clock that is set to `now`.
    ///
    /// See the example of [`ManualClock`].
    #[must_use]
    pub fn new(now: SystemTime) -> Self {
        Self(Arc::new(Manual {
            now: Mutex::new(now),
            moved: watch::Sender::new(()),
        }))
    }

    /// The current time.
    ///
    /// See the example of [`ManualClock`].
    #[must_use]
    pub fn now(&self) -> SystemTime {
        *self.0.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Advances the clock; timers that are due by then fire. The clock stays where it is if the
    /// system cannot represent the new time.
    ///
    /// See the example of [`ManualClock`].
    pub fn advance(&self, by: Duration) {
        let mut now = self.0.now.lock().unwrap_or_else(PoisonError::into_inner);
        *now = now.checked_add(by).unwrap_or(*now);
        drop(now);
        self.0.moved.send_replace(());
    }
}

/// How many milliseconds have passed since `start`, for events of `tracing`.
pub(crate) fn millis(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// A duration in nanoseconds.
pub(crate) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn monotonic_time_passes_as_instants_do() {
        let start = Instant::now();
        let before = monotonic_nanos();
        let inner = Instant::now();
        while monotonic_nanos() == before {}
        let least = nanos(inner.elapsed());
        let passed = monotonic_nanos() - before;
        assert!(passed <= nanos(start.elapsed()) && passed >= least);
    }
}
