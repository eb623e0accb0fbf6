//! What a store counts while it works: [`Meters`]. The parts of a store count here, and
//! [`AggregateStore::metrics`](crate::store::AggregateStore::metrics) reads.
//!
//! Counting must cost next to nothing. Each counter is one relaxed addition. What many threads count at
//! once is in shards, of which each thread uses one.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use crate::clock::monotonic_nanos;
use crate::erasures::Erasures;

mod commands;
mod histogram;
#[cfg(feature = "metrics")]
mod published;
mod shard;

pub(crate) use commands::{CommandMeter, Counts, Outcome, Timing};
pub use histogram::Distribution;
pub(crate) use histogram::{Histogram, NANOSECONDS, ONES, total};
#[cfg(feature = "metrics")]
pub(crate) use published::Published;
use shard::Sharded;

/// A number that only grows, or one that goes up and down.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub(crate) fn subtract(&self, fewer: u64) {
        self.0.fetch_sub(fewer, Ordering::Relaxed);
    }

    pub(crate) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What an open store has counted since it was opened.
#[derive(Debug)]
pub(crate) struct Meters {
    /// The commands of aggregates by the type, and those of decisions by the name.
    of_aggregates: Names,
    of_decisions: Names,
    /// From the sending of a command to its answer. They are large, and a store that is only read needs none.
    latency: Sharded<OnceLock<Box<Histogram>>>,
    /// When the storage last answered commits, by [`monotonic_nanos`].
    answered_at: Counter,
    pub(crate) appended: Appended,
    pub(crate) live: Live,
    pub(crate) decisions: DecisionMeter,
    pub(crate) erasures: Erasures,
    #[cfg(feature = "metrics")]
    published: std::sync::Mutex<Published>,
}

/// What was appended to the log.
#[derive(Debug, Default)]
pub(crate) struct Appended {
    pub(crate) events: Counter,
    pub(crate) bytes: Counter,
    pub(crate) commits: Counter,
    /// Batches that could not be made durable.
    pub(crate) failed: Counter,
    /// How many commits each batch has.
    pub(crate) batch: Histogram,
    /// How long each batch took to become durable.
    pub(crate) sync: Histogram,
    /// How many requests the committer has taken and not answered.
    pub(crate) in_hand: Counter,
    /// When the write that is under way began, by [`monotonic_nanos`]; 0 if there is none.
    pub(crate) writing_since: Counter,
}

/// Aggregates in memory.
#[derive(Debug, Default)]
pub(crate) struct Live {
    /// How many there are now.
    pub(crate) now: Counter,
    pub(crate) activations: Counter,
    /// Those that left memory because they were idle.
    pub(crate) passivations: Counter,
    /// How long each load of a stream took.
    pub(crate) load: Histogram,
    pub(crate) snapshots: Counter,
    /// Attempts at commands that were decided again because others stored events first.
    pub(crate) decided_again: Counter,
}

/// The states of decisions.
#[derive(Debug, Default)]
pub(crate) struct DecisionMeter {
    /// States that were in memory.
    pub(crate) kept: Counter,
    /// States that were read from the beginning.
    pub(crate) read: Counter,
}

/// Meters of commands, by name.
type Names = RwLock<BTreeMap<&'static str, Arc<CommandMeter>>>;

impl Meters {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            of_aggregates: Names::default(),
            of_decisions: Names::default(),
            latency: Sharded::default(),
            answered_at: Counter::default(),
            appended: Appended::default(),
            live: Live::default(),
            decisions: DecisionMeter::default(),
            erasures: Erasures::default(),
            #[cfg(feature = "metrics")]
            published: std::sync::Mutex::default(),
        })
    }

    /// The meter of the commands of an aggregate type.
    pub(crate) fn of_aggregate(&self, aggregate_type: &'static str) -> Arc<CommandMeter> {
        named(&self.of_aggregates, aggregate_type)
    }

    /// The meter of the commands of a decision.
    pub(crate) fn of_decision(&self, decision: &'static str) -> Arc<CommandMeter> {
        named(&self.of_decisions, decision)
    }

    /// The commands by aggregate type.
    pub(crate) fn aggregates(&self) -> Vec<(&'static str, Counts)> {
        counts(&self.of_aggregates)
    }

    /// The commands by decision.
    pub(crate) fn all_decisions(&self) -> Vec<(&'static str, Counts)> {
        counts(&self.of_decisions)
    }

    /// Begins to time a command that `meter` counts.
    #[inline]
    pub(crate) fn time<'a>(&'a self, meter: &'a CommandMeter) -> Timing<'a> {
        Timing::new(self, meter, monotonic_nanos())
    }

    /// When a command was answered that was sent at `sent`. If its events were stored, the moment is the
    /// one at which the storage answered, so no clock is read.
    #[inline]
    fn answered(&self, sent: u64, is_stored: bool) -> u64 {
        let answered = self.answered_at.get();
        if is_stored && answered > sent {
            answered
        } else {
            monotonic_nanos()
        }
    }

    /// Notes that the storage answers commits, at the time `now`, by [`monotonic_nanos`].
    pub(crate) fn answer_at(&self, now: u64) {
        self.answered_at.set(now);
    }

    /// What was published so far.
    #[cfg(feature = "metrics")]
    pub(crate) fn published(&self) -> &std::sync::Mutex<Published> {
        &self.published
    }

    /// How long commands took.
    pub(crate) fn latency(&self) -> Distribution {
        let used = self.latency.all().filter_map(OnceLock::get);
        total(used.map(Box::as_ref), NANOSECONDS)
    }
}

fn named(names: &Names, name: &'static str) -> Arc<CommandMeter> {
    let known = names.read().unwrap_or_else(PoisonError::into_inner);
    if let Some(meter) = known.get(name) {
        return meter.clone();
    }
    drop(known);
    let mut names = names.write().unwrap_or_else(PoisonError::into_inner);
    names.entry(name).or_default().clone()
}

fn counts(names: &Names) -> Vec<(&'static str, Counts)> {
    let names = names.read().unwrap_or_else(PoisonError::into_inner);
    names
        .iter()
        .map(|(name, meter)| (*name, meter.counts()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_command_ends_when_the_storage_answered_and_any_other_when_its_caller_goes_on() {
        let meters = Meters::new();
        let sent = monotonic_nanos();
        meters.answer_at(sent + 5);
        assert_eq!(meters.answered(sent, true), sent + 5);
        meters.answer_at(sent + 3_600_000_000_000);
        assert!(meters.answered(sent, false) < sent + 3_600_000_000_000);
        // The storage has answered nothing since it was sent.
        meters.answer_at(sent.saturating_sub(1));
        assert!(meters.answered(sent, true) >= sent);
    }

    #[test]
    fn commands_are_counted_by_outcome_and_a_caller_that_goes_away_counts_as_abandoned() {
        let meters = Meters::new();
        let meter = meters.of_aggregate("account");
        meters.time(&meter).end(Outcome::Succeeded, false);
        meters.time(&meter).end(Outcome::Refused, false);
        meters
            .time(&meters.of_aggregate("account"))
            .end(Outcome::Conflict, false);
        meters
            .time(&meters.of_decision("account"))
            .end(Outcome::Failed, false);
        drop(meters.time(&meter));
        let expected = Counts {
            succeeded: 1,
            refused: 1,
            conflicts: 1,
            failed: 0,
            abandoned: 1,
        };
        assert_eq!(meters.aggregates(), [("account", expected)]);
        let expected = Counts {
            failed: 1,
            ..Counts::default()
        };
        assert_eq!(meters.all_decisions(), [("account", expected)]);
        assert_eq!(meters.latency().count(), 4);
    }

    #[test]
    fn what_several_threads_count_is_added_up() {
        let meters = Meters::new();
        let meter = meters.of_aggregate("account");
        std::thread::scope(|scope| {
            for _ in 0..20 {
                scope.spawn(|| meters.time(&meter).end(Outcome::Succeeded, false));
            }
        });
        assert_eq!(meter.counts().succeeded, 20);
        assert_eq!(meters.latency().count(), 20);
    }
}
