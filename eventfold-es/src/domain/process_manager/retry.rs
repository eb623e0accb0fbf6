//! What happens after a failure: [`Retry`], [`OnFailure`].

use std::time::Duration;

/// How often, and after which pauses, a failed command of a process manager is tried again, in a
/// store that is [live](crate::store::AggregateStoreBuilder::live). After the last attempt it
/// becomes a [dead letter](crate::DeadLetter).
///
/// The first pause is between half of `base` and `base`. Each further pause is twice as long, up to
/// `max`. The length within that range is random, so that commands that failed together are not all
/// retried together. A command that the aggregate refused is retried as well: the aggregate may
/// reach the state that the command needs. A command that no registered aggregate takes, or that
/// cannot be read, becomes a dead letter at once.
///
/// ```
/// use std::time::Duration;
///
/// use eventfold_es::Retry;
///
/// assert_eq!(Retry::default().attempts, 8);
/// let hasty = Retry { attempts: 3, base: Duration::from_millis(10), ..Retry::default() };
/// assert_eq!(hasty.max, Duration::from_secs(30));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// How often a command is tried altogether: 8 times by default, which takes 13 seconds at most.
    /// 0 counts as 1.
    pub attempts: u32,
    /// The longest that the first pause may be: 100 milliseconds by default.
    pub base: Duration,
    /// The longest that any pause may be: 30 seconds by default.
    pub max: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 8,
            base: Duration::from_millis(100),
            max: Duration::from_secs(30),
        }
    }
}

impl Retry {
    /// The pause in milliseconds after `attempts` attempts, `None` after the last attempt. `chance`
    /// decides its length within its range.
    pub(crate) fn pause(&self, attempts: u32, chance: u64) -> Option<u64> {
        if attempts >= self.attempts.max(1) {
            return None;
        }
        let doubled = 1_u32.checked_shl(attempts.saturating_sub(1));
        let pause = doubled.and_then(|times| self.base.checked_mul(times));
        let pause = pause.unwrap_or(self.max).min(self.max).as_millis();
        let pause = u64::try_from(pause).unwrap_or(u64::MAX);
        Some(pause - chance % (pause / 2 + 1))
    }
}

/// What a projection or a process manager does with an event that it cannot take: it cannot read
/// the event, or panics on it.
///
/// ```
/// assert_eq!(eventfold_es::OnFailure::default(), eventfold_es::OnFailure::Stop);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum OnFailure {
    /// It stops before the event, and returns the error whenever it is read or run. When the store
    /// is opened again, it continues from its last checkpoint.
    #[default]
    Stop,
    /// It skips the event. The event is recorded in `skipped.jsonl` beside its checkpoint, and in
    /// [`AggregateStore::read_side`](crate::store::AggregateStore::read_side). Its state is the one
    /// before the event, even if a panic left the state half changed: it is built again from the
    /// last checkpoint. A projection that is rebuilt meets the event again.
    Skip,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_pauses_double_up_to_the_maximum_and_lie_in_the_upper_half_of_their_range() {
        let retry = Retry {
            attempts: 5,
            base: Duration::from_millis(100),
            max: Duration::from_millis(300),
        };
        let range = |attempts| {
            let pauses = (0..1_000).filter_map(|chance| retry.pause(attempts, chance));
            let pauses: Vec<u64> = pauses.collect();
            Some((*pauses.iter().min()?, *pauses.iter().max()?))
        };
        assert_eq!(range(1), Some((50, 100)));
        assert_eq!(range(2), Some((100, 200)));
        assert_eq!(range(3), Some((150, 300)));
        assert_eq!(range(4), Some((150, 300)));
        assert_eq!(range(5), None);
        let endless = Retry {
            attempts: u32::MAX,
            ..retry
        };
        assert_eq!(endless.pause(1_000_000, 0), Some(300));
        let never = Retry {
            attempts: 0,
            ..retry
        };
        assert_eq!(never.pause(1, 0), None);
    }
}
