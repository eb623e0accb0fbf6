//! From the errors of the store to problem details.

use std::convert::Infallible;
use std::error::Error;
use std::fmt::Display;
use std::io;
use std::time::{Duration, SystemTime};

use axum::http::header;

use crate::error::{
    DispatchError, ExecuteError, JournalDropped, Refused, StateError, TogetherError, shown_time,
};
use crate::http::etag::etag;
use crate::http::problem::{ProblemDetails, ProblemType};
use crate::ids::{InvalidStreamId, Position, Version};
use crate::store::{AppendError, WaitError};
use crate::text::Shown;

/// After what time a client is to send its request again.
const AGAIN: Duration = Duration::from_secs(1);

/// How a refusal of the domain is answered: implemented by the [`Error`](crate::Aggregate::Error) of an
/// aggregate or a decision.
///
/// Without a function of its own it is 422, with the text of the error as `detail`. So that text is for the
/// callers of the service.
///
/// ```
/// # use eventfold_es::prelude::*;
/// use axum::http::StatusCode;
/// use eventfold_es::http::{ProblemDetails, ProblemType, Refusal};
///
/// #[derive(Debug, thiserror::Error)]
/// enum AccountError {
///     #[error("nothing to deposit")]
///     NothingToDeposit,
///     #[error("the account belongs to somebody else")]
///     NotYours,
/// }
///
/// impl Refusal for AccountError {
///     fn problem(&self) -> ProblemDetails {
///         match self {
///             Self::NotYours => ProblemDetails::new(StatusCode::FORBIDDEN),
///             refused => ProblemDetails::refused(refused),
///         }
///     }
/// }
///
/// assert_eq!(AccountError::NothingToDeposit.problem().status(), 422);
/// assert_eq!(AccountError::NotYours.problem().status(), 403);
/// ```
pub trait Refusal: Error {
    /// The answer to a command that was refused with this error.
    ///
    /// See the example of [`Refusal`].
    fn problem(&self) -> ProblemDetails {
        ProblemDetails::refused(self)
    }
}

impl Refusal for Infallible {}

impl ProblemDetails {
    /// The answer to a command that the domain refused: 422, with the text of its error as `detail`.
    ///
    /// See the example of [`Refusal`].
    #[must_use]
    pub fn refused(error: &(impl Display + ?Sized)) -> Self {
        Self::of(ProblemType::Refused).with_detail(error.to_string())
    }

    /// The answer to a command that failed, where the error of the domain has no [`Refusal`]: it may be a type
    /// of another crate. With one, `?` and [`From`] do the same.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// use eventfold_es::http::ProblemDetails;
    ///
    /// let failed = ExecuteError::Domain("abc".parse::<u32>().unwrap_err());
    /// let problem = ProblemDetails::of_command(failed, |refused| ProblemDetails::refused(refused));
    /// assert_eq!(problem.status(), 422);
    /// ```
    pub fn of_command<E: Error + Send + Sync + 'static>(
        error: ExecuteError<E>,
        refusal: impl FnOnce(&E) -> Self,
    ) -> Self {
        match error {
            ExecuteError::Domain(refused) => refusal(&refused),
            ExecuteError::Refused(refused) => of_layer(&refused),
            ExecuteError::ExpectedVersion { actual, .. } => Self::version_not_met(actual),
            ExecuteError::Ended { reason, when } => ended(&reason, when),
            ExecuteError::Archived { when } => archived(when),
            ExecuteError::Conflict => conflict(),
            ExecuteError::KeyReused { .. } => key_reused(),
            ExecuteError::Io(error) => error.into(),
            ExecuteError::ActorGone => unavailable(&"the runtime of an aggregate ended"),
            ExecuteError::Panicked(panic) => Self::internal(&panic),
            ExecuteError::OutcomeUnknown(error) => outcome_unknown(&error),
            ExecuteError::Closed => closed(),
        }
    }

    /// The answer to commands that did not take effect together. `refusal` gets the error of the aggregate that
    /// refused its command; [`From`] answers it by its text.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// use axum::http::StatusCode;
    /// use eventfold_es::http::ProblemDetails;
    ///
    /// # async fn example(store: AggregateStore) -> Result<(), Box<dyn std::error::Error>> {
    /// # let (one, two) = (store.get::<Counter>("c-1").await?, store.get::<Counter>("c-2").await?);
    /// let moved = store.together().send(&one, Add(5)).send(&two, Add(0)).commit().await;
    /// moved.map_err(|error| {
    ///     ProblemDetails::of_together(error, |refused| match refused.downcast_ref() {
    ///         Some(NothingToAdd) => ProblemDetails::new(StatusCode::BAD_REQUEST),
    ///         None => ProblemDetails::refused(refused),
    ///     })
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn of_together(
        error: TogetherError,
        refusal: impl FnOnce(&(dyn Error + Send + Sync + 'static)) -> Self,
    ) -> Self {
        match error {
            TogetherError::Domain { error, .. } => refusal(&*error),
            TogetherError::Refused { refused, .. } => of_layer(&refused),
            // Which of several resources the version is of, a header cannot say.
            TogetherError::ExpectedVersion { actual, .. } => {
                Self::of(ProblemType::VersionNotMet).with_member("version", u64::from(actual))
            }
            TogetherError::Ended { reason, when, .. } => ended(&reason, when),
            TogetherError::Archived { when, .. } => archived(when),
            TogetherError::Conflict => conflict(),
            TogetherError::KeyReused { .. } => key_reused(),
            TogetherError::TooLarge { what, actual, most } => Self::of(ProblemType::TooLarge)
                .with_detail(format!(
                    "There are {actual} {what}, and at most {most} may be."
                )),
            TogetherError::Io(error) => error.into(),
            TogetherError::ActorGone => unavailable(&"the runtime of an aggregate ended"),
            TogetherError::Panicked { panic, .. } => Self::internal(&panic),
            TogetherError::OutcomeUnknown(error) => outcome_unknown(&error),
            TogetherError::Closed => closed(),
        }
    }

    /// The answer to a command that a [`CommandBus`](crate::CommandBus) could not dispatch, or that failed there. What
    /// the aggregate or the decision answered is in a box of which only the service knows what it may be:
    /// `execution` gets it.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// use eventfold_es::http::ProblemDetails;
    ///
    /// # async fn example(bus: CommandBus, envelope: CommandEnvelope) -> Result<(), ProblemDetails> {
    /// bus.dispatch_envelope(envelope).await.map_err(|error| {
    ///     ProblemDetails::of_dispatch(error, |inner| match inner.downcast::<ExecuteError<NothingToAdd>>() {
    ///         Ok(failed) => ProblemDetails::from(*failed),
    ///         Err(other) => ProblemDetails::internal(&other),
    ///     })
    /// })
    /// # }
    /// ```
    pub fn of_dispatch(
        error: DispatchError,
        execution: impl FnOnce(Box<dyn Error + Send + Sync>) -> Self,
    ) -> Self {
        match error {
            DispatchError::Execution(inner) => execution(inner),
            DispatchError::Refused(refused) => of_layer(&refused),
            DispatchError::Io(error) => error.into(),
            DispatchError::Deserialization(error) => {
                Self::of(ProblemType::Malformed).with_detail(format!("The command: {error}."))
            }
            DispatchError::UnknownAggregateType(name) => Self::of(ProblemType::Malformed)
                .with_detail(format!(
                    "There are no aggregates of type `{}`.",
                    Shown(&name)
                )),
            DispatchError::UnknownDecision(name) => Self::of(ProblemType::Malformed)
                .with_detail(format!("There is no decision `{}`.", Shown(&name))),
            error @ (DispatchError::UnknownCommand | DispatchError::AmbiguousCommand { .. }) => {
                Self::internal(&error)
            }
        }
    }

    /// A fault of the service: 500. The client learns nothing about `error` but an `instance`, a UUID, with which it
    /// goes to the log through `tracing`.
    ///
    /// ```
    /// # use eventfold_es::http::ProblemDetails;
    /// let problem = ProblemDetails::internal(&"/etc/bank/rates.toml is missing");
    /// assert_eq!(problem.status(), 500);
    /// assert!(!problem.to_json().to_string().contains("rates"));
    /// ```
    #[must_use]
    pub fn internal(error: &dyn Display) -> Self {
        Self::logged(ProblemType::Internal, error)
    }

    /// The answer to a request for events that were dropped from the journal, up to this position.
    pub(crate) fn dropped(begins_after: Position) -> Self {
        let detail = format!("Only the events after position {begins_after} are kept. Begin anew.");
        Self::of(ProblemType::Dropped)
            .with_detail(detail)
            .with_member("begins_after", begins_after.get())
    }

    /// The answer to a request whose condition does not hold. It tells the version, as a member and as `ETag`.
    pub(crate) fn version_not_met(actual: Version) -> Self {
        let problem =
            Self::of(ProblemType::VersionNotMet).with_member("version", u64::from(actual));
        match etag(actual) {
            Some(tag) => problem
                .with_detail(format!(
                    "It is at version {actual}. Read it, and decide again."
                ))
                .with_header(header::ETAG, tag),
            None => problem.with_detail(
                "It does not exist. A request that is to create it has `If-None-Match: *`.",
            ),
        }
    }
}

impl<E: Refusal + Send + Sync + 'static> From<ExecuteError<E>> for ProblemDetails {
    fn from(error: ExecuteError<E>) -> Self {
        Self::of_command(error, E::problem)
    }
}

impl From<TogetherError> for ProblemDetails {
    fn from(error: TogetherError) -> Self {
        Self::of_together(error, Self::refused)
    }
}

impl From<StateError> for ProblemDetails {
    fn from(error: StateError) -> Self {
        Self::from(ExecuteError::<Infallible>::from(error))
    }
}

impl From<AppendError> for ProblemDetails {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::ConditionFailed => conflict(),
            AppendError::Io(error) => error.into(),
            AppendError::OutcomeUnknown(error) => outcome_unknown(&error),
            AppendError::Closed => closed(),
        }
    }
}

#[cfg(feature = "sqlite")]
impl From<crate::store::SqlError> for ProblemDetails {
    fn from(error: crate::store::SqlError) -> Self {
        match error {
            crate::store::SqlError::Follow(error) => error.into(),
            crate::store::SqlError::Query(error) => Self::internal(&error),
        }
    }
}

impl From<WaitError> for ProblemDetails {
    fn from(error: WaitError) -> Self {
        match error {
            WaitError::TimedOut { version, .. } => Self::of(ProblemType::NotReached)
                .with_member("version", u64::from(version))
                .retry_after(AGAIN),
            WaitError::State(error) => error.into(),
            WaitError::Io(error) => error.into(),
        }
    }
}

impl From<InvalidStreamId> for ProblemDetails {
    fn from(error: InvalidStreamId) -> Self {
        Self::of(ProblemType::InvalidId).with_detail(format!("The {error}."))
    }
}

/// By the kind of the error. Only that of an id goes to the client with its text.
impl From<io::Error> for ProblemDetails {
    fn from(error: io::Error) -> Self {
        use io::ErrorKind as Kind;
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
        if let Some(invalid) = inner {
            return Self::from(InvalidStreamId::clone(invalid));
        }
        if let Some(dropped) = JournalDropped::of(&error) {
            return Self::dropped(dropped.begins_after);
        }
        match error.kind() {
            Kind::StorageFull | Kind::QuotaExceeded => {
                Self::logged(ProblemType::DiskFull, &error).with_detail(NOTHING_STORED)
            }
            Kind::NotConnected => closed(),
            Kind::ResourceBusy
            | Kind::TimedOut
            | Kind::ConnectionRefused
            | Kind::ConnectionReset
            | Kind::ConnectionAborted
            | Kind::BrokenPipe
            | Kind::HostUnreachable
            | Kind::NetworkUnreachable
            | Kind::NetworkDown => unavailable(&error),
            _ => Self::internal(&error),
        }
    }
}

const NOTHING_STORED: &str = "Nothing of the request is stored. Send it again later.";

fn of_layer(refused: &Refused) -> ProblemDetails {
    let text = refused.to_string();
    if refused.is_for_now() {
        let problem = ProblemDetails::of(ProblemType::Unavailable).with_detail(text);
        problem.retry_after(AGAIN)
    } else {
        ProblemDetails::of(ProblemType::Forbidden).with_detail(text)
    }
}

fn ended(reason: &str, when: SystemTime) -> ProblemDetails {
    ProblemDetails::of(ProblemType::Ended)
        .with_detail(format!("It has ended, at {}: {reason}", shown_time(when)))
}

fn archived(when: SystemTime) -> ProblemDetails {
    ProblemDetails::of(ProblemType::Archived).with_detail(format!(
        "It is archived since {}, and takes no commands as long as it is.",
        shown_time(when)
    ))
}

fn conflict() -> ProblemDetails {
    ProblemDetails::of(ProblemType::Conflict).with_detail(
        "Others stored something first. Nothing of the request is stored. Send it again.",
    )
}

fn key_reused() -> ProblemDetails {
    ProblemDetails::of(ProblemType::KeyReused).with_detail(
        "Nothing of the request is stored. Give each command a key of its own, and send the same command if \
         you send it again.",
    )
}

fn outcome_unknown(error: &io::Error) -> ProblemDetails {
    ProblemDetails::logged(ProblemType::OutcomeUnknown, error)
        .with_detail(
            "The command may be stored. With an `Idempotency-Key`, send it again under the same key: it takes \
             effect once. Without one, look first whether it took effect.",
        )
        .retry_after(AGAIN)
}

/// A store that was shut down is no news to the log: its end was reported.
fn closed() -> ProblemDetails {
    ProblemDetails::of(ProblemType::Unavailable)
        .with_detail(NOTHING_STORED)
        .retry_after(AGAIN)
}

fn unavailable(error: &dyn Display) -> ProblemDetails {
    ProblemDetails::logged(ProblemType::Unavailable, error)
        .with_detail(NOTHING_STORED)
        .retry_after(AGAIN)
}

#[cfg(test)]
mod tests {
    use std::io;

    use crate::http::problem::ProblemDetails;
    use crate::storage::error::StorageError;

    #[test]
    fn dropped_events_are_gone() {
        let error =
            io::Error::from(StorageError::dropped(3, 17).in_context("the log cannot be read"));
        let problem = ProblemDetails::from(error).to_json();
        assert_eq!(
            (&problem["status"], &problem["begins_after"]),
            (&410.into(), &17.into())
        );
    }
}
