//! Why a command failed, in one word: [`FailureKind`].

use serde::{Deserialize, Serialize};

/// What kind of failure a command of a process manager met. [`Retry`](crate::Retry) treats each in
/// its own way.
///
/// ```
/// use eventfold_es::{DeadLetter, FailureKind};
///
/// /// Whether sending it again may help.
/// fn may_pass(letter: &DeadLetter) -> bool {
///     matches!(letter.kind, Some(FailureKind::Io | FailureKind::Panic))
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum FailureKind {
    /// The aggregate, the decision or a layer refused the command:
    /// [`ExecuteError::Domain`](crate::ExecuteError::Domain),
    /// [`ExecuteError::Refused`](crate::ExecuteError::Refused).
    Refusal,
    /// A layer refused the command for now: [`Refused::for_now`](crate::Refused::for_now).
    Postponed,
    /// The stream was not at the version that the command expected:
    /// [`ExecuteError::ExpectedVersion`](crate::ExecuteError::ExpectedVersion). It is never tried
    /// again: the basis of the command has changed, and does not change back.
    ExpectedVersion,
    /// Other writers of the stream came first, again and again:
    /// [`ExecuteError::Conflict`](crate::ExecuteError::Conflict).
    Conflict,
    /// The stream could not be loaded, or the events could not be stored:
    /// [`ExecuteError::Io`](crate::ExecuteError::Io).
    Io,
    /// The aggregate's code panicked: [`ExecuteError::Panicked`](crate::ExecuteError::Panicked).
    Panic,
    /// No aggregate can take the command: nobody registered its type, its JSON cannot be read, or no
    /// stream can have its id. Or its idempotency key belongs to another command, or commands that take
    /// effect together have [too many](crate::TogetherError::TooLarge) aggregates or events. It is never
    /// tried again.
    Undeliverable,
    /// The aggregate has ended: [`ExecuteError::Ended`](crate::ExecuteError::Ended). It is never tried
    /// again.
    Ended,
    /// The aggregate is archived: [`ExecuteError::Archived`](crate::ExecuteError::Archived). It is
    /// never tried again by itself; replay the dead letter once the aggregate is unarchived.
    Archived,
}
