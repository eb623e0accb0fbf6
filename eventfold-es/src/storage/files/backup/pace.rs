//! How fast a copy goes, and who is told: [`Pace`].

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::storage::error::{StorageError, StorageErrorKind, StorageResult};

/// How many bytes are written at a time.
pub(crate) const PIECE: usize = 256 * 1024;
/// The longest sleep, after which it is looked whether anybody still waits.
const LONGEST_SLEEP: Duration = Duration::from_millis(50);

/// The progress of a copy: bytes of the journal that are done, and to do.
pub(crate) type Told = Box<dyn FnMut(u64, u64) + Send>;

/// Limits the rate of a copy, tells its progress, and ends it if nobody waits for it any more.
pub(crate) struct Pace {
    /// Bytes a second.
    pub(crate) rate: Option<u64>,
    pub(crate) told: Option<Told>,
    pub(crate) given_up: Arc<AtomicBool>,
    pub(crate) done: u64,
    pub(crate) total: u64,
    start: Instant,
    /// How many bytes were written since `start`.
    written: u64,
}

impl Pace {
    pub(crate) fn new(rate: Option<u64>, told: Option<Told>, given_up: Arc<AtomicBool>) -> Self {
        Self {
            rate,
            told,
            given_up,
            done: 0,
            total: 0,
            start: Instant::now(),
            written: 0,
        }
    }

    /// Notes that so many bytes were written, and waits as long as the rate demands.
    ///
    /// # Errors
    ///
    /// If nobody waits for the copy any more.
    pub(crate) fn wrote(&mut self, bytes: u64) -> StorageResult<()> {
        self.written += bytes;
        self.advance(bytes);
        let due = self.rate.map_or(Duration::ZERO, |rate| {
            let micros = u128::from(self.written) * 1_000_000 / u128::from(rate.max(1));
            Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
        });
        loop {
            if self.given_up.load(Ordering::Acquire) {
                let kind = StorageErrorKind::Io(io::ErrorKind::Other);
                return Err(StorageError::new(
                    kind,
                    "nobody waits for the copy any more",
                ));
            }
            let rest = due.saturating_sub(self.start.elapsed());
            if rest.is_zero() {
                return Ok(());
            }
            std::thread::sleep(rest.min(LONGEST_SLEEP));
        }
    }

    /// Notes that so many bytes are done.
    pub(crate) fn advance(&mut self, bytes: u64) {
        self.done += bytes;
        self.total = self.total.max(self.done);
        if let Some(told) = &mut self.told {
            told(self.done, self.total);
        }
    }
}
