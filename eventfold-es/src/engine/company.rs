//! How long the committer waits for company.
//!
//! Who was answered in one round tends to ask again at once, and what came meanwhile waits already.
//! If the next round set out with the first few of them, all others would wait for two syncs. So it
//! waits until it has as many, for half the time of a sync at most; a lone command expects no others
//! and sets out at once. While requests do not come as expected, the wait gets shorter and shorter.

use std::time::{Duration, Instant};

/// The least part of a sync that is waited, as a power of two.
const LEAST: u32 = 10;

/// The requests that are likely to come.
#[derive(Debug, Default)]
pub(super) struct Company {
    /// How many requests the round is likely to have.
    expected: usize,
    /// How long the last sync took.
    sync: Duration,
    /// How often in a row nobody came.
    disappointments: u32,
    /// When the round's wait ends, once it waits.
    until: Option<Instant>,
}

impl Company {
    /// Expects so many requests for the next round; the last sync took that long.
    pub(super) fn expect(&mut self, requests: usize, sync: Duration) {
        self.expected = requests;
        self.sync = sync;
        self.until = None;
    }

    /// Until when to look out for the first request before going to sleep, from which it takes long
    /// to wake up; `None` for a lone one, which has both processors to itself.
    pub(super) fn until_first(&self) -> Option<Instant> {
        (self.expected > 1).then(|| self.until())
    }

    fn until(&self) -> Instant {
        Instant::now() + self.sync / (2 << self.disappointments)
    }

    /// Until when a round of so many requests waits for the next; `None` if it has enough.
    pub(super) fn until_next(&mut self, present: usize) -> Option<Instant> {
        if present >= self.expected {
            return None;
        }
        let until = self.until.unwrap_or_else(|| self.until());
        self.until = Some(until);
        Some(until)
    }

    /// Whether somebody came in the time that was waited.
    pub(super) fn learn(&mut self, has_come: bool) {
        self.disappointments = if has_come {
            0
        } else {
            (self.disappointments + 1).min(LEAST)
        };
    }
}
