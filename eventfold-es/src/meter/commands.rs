//! Counting and timing commands: [`CommandMeter`], [`Timing`].

use crate::meter::shard::{Shard, Sharded};
use crate::meter::{Counter, Meters};

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Succeeded,
    Refused,
    Conflict,
    Failed,
    /// The caller went away before the answer.
    Abandoned,
}

const OUTCOMES: usize = Outcome::Abandoned as usize + 1;

/// Counts commands of one kind by their outcomes.
#[derive(Debug, Default)]
pub(crate) struct CommandMeter(Sharded<[Counter; OUTCOMES]>);

/// How many commands ended how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Counts {
    pub(crate) succeeded: u64,
    pub(crate) refused: u64,
    pub(crate) conflicts: u64,
    pub(crate) failed: u64,
    pub(crate) abandoned: u64,
}

impl CommandMeter {
    #[inline]
    fn count(&self, outcome: Outcome, shard: Shard) {
        self.0.at(shard)[outcome as usize].add(1);
    }

    pub(crate) fn counts(&self) -> Counts {
        let of = |outcome: Outcome| {
            let shards = self.0.all();
            shards.map(|shard| shard[outcome as usize].get()).sum()
        };
        Counts {
            succeeded: of(Outcome::Succeeded),
            refused: of(Outcome::Refused),
            conflicts: of(Outcome::Conflict),
            failed: of(Outcome::Failed),
            abandoned: of(Outcome::Abandoned),
        }
    }
}

/// A command under way. If it is dropped before the end, its caller went away.
#[must_use]
pub(crate) struct Timing<'a> {
    meters: &'a Meters,
    meter: &'a CommandMeter,
    sent: u64,
}

impl<'a> Timing<'a> {
    #[inline]
    pub(super) fn new(meters: &'a Meters, meter: &'a CommandMeter, sent: u64) -> Self {
        Self {
            meters,
            meter,
            sent,
        }
    }

    /// Counts the command. `is_stored` says that events were stored for it.
    #[inline]
    pub(crate) fn end(self, outcome: Outcome, is_stored: bool) {
        let Self {
            meters,
            meter,
            sent,
        } = *std::mem::ManuallyDrop::new(self);
        let taken = meters.answered(sent, is_stored).saturating_sub(sent);
        let shard = Shard::own();
        let latency = meters.latency.at(shard);
        latency.get_or_init(Box::default).add(taken);
        meter.count(outcome, shard);
    }
}

impl Drop for Timing<'_> {
    fn drop(&mut self) {
        self.meter.count(Outcome::Abandoned, Shard::own());
    }
}
