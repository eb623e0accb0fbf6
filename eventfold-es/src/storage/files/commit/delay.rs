//! The group-commit delay: how long the committer waits for more requests before it writes a batch.
//!
//! Callers that are answered together usually send again at once. A batch that starts with the first
//! of their requests makes all others wait for two syncs. So the committer waits until as many requests
//! are there as were answered. It waits at most half as long as a sync takes, and at most [`LONGEST`].
//! A lone command expects no others, so it does not wait. Each time that the expected requests do not
//! come, the next wait is shorter.

use std::time::{Duration, Instant};

/// How often the wait is halved at most.
const LEAST: u32 = 10;

/// The longest wait, for the case that the disk stalled during the last sync.
const LONGEST: Duration = Duration::from_millis(50);

/// How many requests are expected, and how long to wait for them.
#[derive(Debug, Default)]
pub(crate) struct GroupDelay {
    /// How many requests the batch is likely to have.
    expected: usize,
    /// How long the last sync took.
    sync: Duration,
    /// How many waits in a row ended without a request.
    disappointments: u32,
    /// When the batch's wait ends, once it has begun.
    until: Option<Instant>,
}

impl GroupDelay {
    /// Sets how many requests the next batch is expected to have, and how long the last sync took.
    pub(crate) fn expect(&mut self, requests: usize, sync: Duration) {
        self.expected = requests;
        self.sync = sync;
        self.until = None;
    }

    /// Until when to poll for the first request. After that the thread sleeps, and wakes slowly.
    /// `None` if only one caller is expected: then it wakes quickly.
    pub(crate) fn until_first(&self) -> Option<Instant> {
        (self.expected > 1).then(|| self.until())
    }

    fn until(&self) -> Instant {
        Instant::now() + self.wait()
    }

    fn wait(&self) -> Duration {
        (self.sync / (2 << self.disappointments)).min(LONGEST)
    }

    /// Until when a batch with `present` requests waits for the next; `None` if it has enough.
    pub(crate) fn until_next(&mut self, present: usize) -> Option<Instant> {
        if present >= self.expected {
            return None;
        }
        let until = self.until.unwrap_or_else(|| self.until());
        self.until = Some(until);
        Some(until)
    }

    /// Learns whether a request came during the wait.
    pub(crate) fn learn(&mut self, has_come: bool) {
        self.disappointments = if has_come {
            0
        } else {
            (self.disappointments + 1).min(LEAST)
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYNC: Duration = Duration::from_millis(80);

    #[test]
    fn a_lone_request_does_not_wait_and_a_batch_waits_for_the_expected_requests() {
        let mut delay = GroupDelay::default();
        assert_eq!(delay.until_next(1), None);
        delay.expect(1, SYNC);
        assert_eq!((delay.until_first(), delay.until_next(1)), (None, None));
        delay.expect(3, SYNC);
        assert!(delay.until_first().is_some() && delay.until_next(2).is_some());
        assert_eq!(delay.until_next(3), None);
    }

    #[test]
    fn a_batch_waits_at_most_half_as_long_as_a_sync_in_total() {
        let mut delay = GroupDelay::default();
        delay.expect(3, SYNC);
        assert_eq!(delay.wait(), SYNC / 2);
        let until = delay.until_next(1).unwrap();
        assert!(until <= Instant::now() + SYNC / 2);
        assert_eq!(delay.until_next(2), Some(until));
    }

    #[test]
    fn the_group_commit_delay_gets_shorter_while_no_request_comes() {
        let mut delay = GroupDelay::default();
        for _ in 0..50 {
            delay.expect(3, SYNC);
            delay.learn(false);
        }
        assert!(delay.wait() <= SYNC / 2048);
        delay.learn(true);
        assert_eq!(delay.wait(), SYNC / 2);
    }

    #[test]
    fn the_group_commit_delay_has_a_maximum_even_after_a_very_slow_sync() {
        let mut delay = GroupDelay::default();
        delay.expect(3, Duration::from_secs(3600));
        assert_eq!(delay.wait(), LONGEST);
    }

    #[test]
    fn each_batch_has_its_own_group_commit_delay() {
        let mut delay = GroupDelay::default();
        delay.expect(3, SYNC);
        let first = delay.until_next(1).unwrap();
        delay.expect(3, SYNC);
        assert!(delay.until_next(1).unwrap() > first);
    }
}
