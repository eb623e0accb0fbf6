//! What happens after a failure: [`Retry`] with its [`Backoff`]s, [`OnFailure`].

use std::time::Duration;

use crate::domain::process_manager::FailureKind;

/// Which failed commands of a process manager are tried again, in a store that is
/// [live](crate::store::AggregateStoreBuilder::live): a [`Backoff`] for each [kind](FailureKind) of
/// failure.
///
/// By default a command that met a conflict, an I/O error, a panic or a layer that refuses it for
/// now is tried 8 times altogether. A
/// refusal is the aggregate's decision. It is not tried again, and commands behind it do not wait. A
/// command whose expected version has passed, or that no registered aggregate takes, is never tried
/// again.
///
/// While a command is tried again, the later commands for the same aggregate wait, so that their
/// order is kept. After the last attempt the process manager's
/// [`or_send`](crate::OrSend::or_send) or [`on_dead_letter`](crate::ProcessManager::on_dead_letter)
/// answers the failure, or the command becomes a [dead letter](crate::DeadLetter).
///
/// ```
/// use std::time::Duration;
///
/// use eventfold_es::{Backoff, Retry};
///
/// // The aggregate may reach the state that the command needs.
/// let patient = Retry::default().on_refusal(Backoff::attempts(5).first(Duration::from_secs(1)));
/// let hasty = Retry::none().on_io(Backoff::attempts(2));
/// assert_ne!(patient, hasty);
/// ```
#[doc(alias("backoff", "exponential backoff"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    refusal: Backoff,
    postponed: Backoff,
    conflict: Backoff,
    io: Backoff,
    panic: Backoff,
}

impl Default for Retry {
    fn default() -> Self {
        Self::none()
            .on_postponed(Backoff::default())
            .on_conflict(Backoff::default())
            .on_io(Backoff::default())
            .on_panic(Backoff::default())
    }
}

impl Retry {
    /// Nothing is tried again.
    ///
    /// See the example of [`Retry`].
    #[must_use]
    pub const fn none() -> Self {
        Self::all(Backoff::none())
    }

    /// Every failure is treated alike, a refusal too.
    ///
    /// ```
    /// # use eventfold_es::{Backoff, Retry};
    /// assert_eq!(Retry::all(Backoff::none()), Retry::none());
    /// ```
    #[must_use]
    pub const fn all(backoff: Backoff) -> Self {
        Self {
            refusal: backoff,
            postponed: backoff,
            conflict: backoff,
            io: backoff,
            panic: backoff,
        }
    }

    /// Sets what happens after the aggregate refused the command.
    ///
    /// See the example of [`Retry`].
    #[must_use]
    pub const fn on_refusal(mut self, backoff: Backoff) -> Self {
        self.refusal = backoff;
        self
    }

    /// Sets what happens after a layer refused the command
    /// [for now](crate::Refused::for_now).
    ///
    /// ```
    /// # use eventfold_es::{Backoff, Retry};
    /// let retry = Retry::default().on_postponed(Backoff::attempts(20));
    /// ```
    #[must_use]
    pub const fn on_postponed(mut self, backoff: Backoff) -> Self {
        self.postponed = backoff;
        self
    }

    /// Sets what happens after a conflict: other writers of the stream came first, again and again.
    ///
    /// ```
    /// # use eventfold_es::{Backoff, Retry};
    /// let retry = Retry::default().on_conflict(Backoff::attempts(3));
    /// ```
    #[must_use]
    pub const fn on_conflict(mut self, backoff: Backoff) -> Self {
        self.conflict = backoff;
        self
    }

    /// Sets what happens after an I/O error.
    ///
    /// See the example of [`Retry`].
    #[must_use]
    pub const fn on_io(mut self, backoff: Backoff) -> Self {
        self.io = backoff;
        self
    }

    /// Sets what happens after the aggregate's code panicked.
    ///
    /// ```
    /// # use eventfold_es::{Backoff, Retry};
    /// let retry = Retry::default().on_panic(Backoff::none());
    /// ```
    #[must_use]
    pub const fn on_panic(mut self, backoff: Backoff) -> Self {
        self.panic = backoff;
        self
    }

    /// The pause in milliseconds after `attempts` attempts of which the last failed as `kind` says,
    /// `None` if that was the last one. `chance` decides its length within its range.
    pub(crate) fn pause(&self, kind: FailureKind, attempts: u32, chance: u64) -> Option<u64> {
        let backoff = match kind {
            FailureKind::Refusal => self.refusal,
            FailureKind::Postponed => self.postponed,
            FailureKind::Conflict => self.conflict,
            FailureKind::Io => self.io,
            FailureKind::Panic => self.panic,
            FailureKind::ExpectedVersion
            | FailureKind::Undeliverable
            | FailureKind::Ended
            | FailureKind::Archived => Backoff::none(),
        };
        backoff.pause(attempts, chance)
    }
}

/// How often, and after which pauses, a failed command is tried again. See [`Retry`].
///
/// The first pause is between half of [`first`](Self::first) and all of it. Each further pause is
/// twice as long, up to [`longest`](Self::longest). The length within that range is random, so that
/// commands that failed together are not all retried together. By default there are 8 attempts, the
/// first pause is 100 milliseconds at most and the longest 30 seconds: 13 seconds altogether.
///
/// ```
/// use std::time::Duration;
///
/// use eventfold_es::Backoff;
///
/// let backoff = Backoff::attempts(20)
///     .first(Duration::from_millis(10))
///     .longest(Duration::from_secs(1));
/// assert_eq!(Backoff::attempts(8), Backoff::default());
/// # let _ = backoff;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    attempts: u32,
    first: Duration,
    longest: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self::attempts(8)
    }
}

impl Backoff {
    /// This many attempts altogether, with the default pauses between them. 0 counts as 1.
    ///
    /// See the example of [`Backoff`].
    #[must_use]
    pub const fn attempts(attempts: u32) -> Self {
        Self {
            attempts,
            first: Duration::from_millis(100),
            longest: Duration::from_secs(30),
        }
    }

    /// One attempt: the command is not tried again.
    ///
    /// See the example of [`Retry::all`].
    #[must_use]
    pub const fn none() -> Self {
        Self::attempts(1)
    }

    /// Sets the longest that the first pause may be.
    ///
    /// See the example of [`Backoff`].
    #[must_use]
    pub const fn first(mut self, pause: Duration) -> Self {
        self.first = pause;
        self
    }

    /// Sets the longest that any pause may be.
    ///
    /// See the example of [`Backoff`].
    #[must_use]
    pub const fn longest(mut self, pause: Duration) -> Self {
        self.longest = pause;
        self
    }

    fn pause(&self, attempts: u32, chance: u64) -> Option<u64> {
        if attempts >= self.attempts.max(1) {
            return None;
        }
        let doubled = 1_u32.checked_shl(attempts.saturating_sub(1));
        let pause = doubled.and_then(|times| self.first.checked_mul(times));
        let pause = pause.unwrap_or(self.longest).min(self.longest).as_millis();
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
        let backoff = Backoff::attempts(5)
            .first(Duration::from_millis(100))
            .longest(Duration::from_millis(300));
        let range = |attempts| {
            let pauses = (0..1_000).filter_map(|chance| backoff.pause(attempts, chance));
            let pauses: Vec<u64> = pauses.collect();
            Some((*pauses.iter().min()?, *pauses.iter().max()?))
        };
        assert_eq!(range(1), Some((50, 100)));
        assert_eq!(range(2), Some((100, 200)));
        assert_eq!(range(3), Some((150, 300)));
        assert_eq!(range(4), Some((150, 300)));
        assert_eq!(range(5), None);
        let endless = Backoff {
            attempts: u32::MAX,
            ..backoff
        };
        assert_eq!(endless.pause(1_000_000, 0), Some(300));
        let never = Backoff {
            attempts: 0,
            ..backoff
        };
        assert_eq!(never.pause(1, 0), None);
    }

    #[test]
    fn each_kind_of_failure_has_its_own_backoff() {
        let is_tried_again = |retry: Retry| {
            [
                FailureKind::Refusal,
                FailureKind::Postponed,
                FailureKind::Conflict,
                FailureKind::Io,
                FailureKind::Panic,
                FailureKind::ExpectedVersion,
                FailureKind::Undeliverable,
            ]
            .map(|kind| retry.pause(kind, 1, 0).is_some())
        };
        let twice = Backoff::attempts(2);
        let none = Retry::none();
        assert_eq!(is_tried_again(none), [false; 7]);
        let default = [false, true, true, true, true, false, false];
        assert_eq!(is_tried_again(Retry::default()), default);
        let all = [true, true, true, true, true, false, false];
        assert_eq!(is_tried_again(Retry::all(twice)), all);
        for (i, retry) in [
            none.on_refusal(twice),
            none.on_postponed(twice),
            none.on_conflict(twice),
            none.on_io(twice),
            none.on_panic(twice),
        ]
        .into_iter()
        .enumerate()
        {
            let mut expected = [false; 7];
            expected[i] = true;
            assert_eq!(is_tried_again(retry), expected);
        }
    }
}
