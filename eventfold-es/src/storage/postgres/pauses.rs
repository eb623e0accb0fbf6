//! Giving way to other stores that write to the same stream and always come second: [`Pauses`].
//!
//! Of two stores that write to one stream without a pause, one may come first every time. The other one
//! says so, and the first one then waits once, for a few commits' time.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use crate::sync::lock;

/// After how many conflicts in a row a store asks the others to give way.
pub(super) const PATIENCE: u32 = 3;
const SHORTEST: Duration = Duration::from_millis(5);
const LONGEST: Duration = Duration::from_millis(200);
/// A pause is as long as so many batches.
const BATCHES: u32 = 4;
/// How many streams may have to give way at most.
const MOST: usize = 1024;

/// The streams in which this store is to give way.
#[derive(Debug, Default)]
pub(super) struct Pauses {
    streams: Mutex<HashSet<(String, String)>>,
    /// How many there are, so that the usual way takes no lock.
    count: AtomicUsize,
    /// How many nanoseconds the newest batch took.
    batch: AtomicU64,
}

impl Pauses {
    /// Notes how long a batch took.
    pub(super) fn note_batch(&self, nanos: u64) {
        self.batch.store(nanos, Ordering::Relaxed);
    }

    /// Asks for a pause in the stream of this name, as the server has it.
    pub(super) fn ask(&self, aggregate_type: &str, id: &str) {
        let mut streams = lock(&self.streams);
        if streams.len() < MOST {
            streams.insert((aggregate_type.to_owned(), id.to_owned()));
        }
        self.count.store(streams.len(), Ordering::Relaxed);
    }

    /// The pause before the next commit in the stream, which is asked for once.
    pub(super) fn take(&self, names: &(String, String)) -> Option<Duration> {
        if self.count.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let mut streams = lock(&self.streams);
        if !streams.remove(names) {
            return None;
        }
        self.count.store(streams.len(), Ordering::Relaxed);
        let batch = Duration::from_nanos(self.batch.load(Ordering::Relaxed));
        Some((batch * BATCHES).clamp(SHORTEST, LONGEST))
    }
}
