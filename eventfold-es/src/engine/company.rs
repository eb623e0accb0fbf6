//! How long a round waits for company.
//!
//! Who was answered in one round tends to ask again at once, and what came while that round was made
//! durable waits already. If the next round set out with the first few of them, all others would wait
//! for two syncs. So it waits for as many as there were, for half the time of a sync at most; a lone
//! command expects nobody and waits for nothing.

use std::time::{Duration, Instant};

/// The requests that a round may wait for.
#[derive(Debug, Default)]
pub(super) struct Company {
    /// How many requests the round is likely to have.
    expected: usize,
    /// How long it waits for them.
    patience: Duration,
    /// How often in a row nobody came.
    disappointments: u32,
    /// When the round's patience ends, once it waits.
    until: Option<Instant>,
    /// How many requests it had when it began to wait.
    first: usize,
}

impl Company {
    /// Expects so many requests for the next round; the last sync took that long.
    pub(super) fn expect(&mut self, requests: usize, sync: Duration) {
        self.expected = requests;
        self.patience = sync / 2 / (1 << self.disappointments);
        self.until = None;
    }

    /// Whether a round of `present` requests, with none waiting, is better off with more.
    pub(super) fn is_worth_waiting_for(&mut self, present: usize) -> bool {
        if present >= self.expected {
            self.disappointments = 0;
            return false;
        }
        let now = Instant::now();
        let Some(until) = self.until else {
            self.until = Some(now + self.patience);
            self.first = present;
            return true;
        };
        if now < until {
            return true;
        }
        let has_come = present > self.first;
        self.disappointments = if has_come {
            0
        } else {
            (self.disappointments + 1).min(8)
        };
        false
    }
}
