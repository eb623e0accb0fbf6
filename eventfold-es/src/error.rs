//! Why an operation failed, one enum an operation.

use std::io;

use crate::engine::CommitError;

/// Why a command did not succeed.
///
/// Unless a variant says otherwise, nothing of the command is stored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExecuteError<E: std::error::Error + Send + Sync + 'static> {
    /// The aggregate refused the command.
    #[error(transparent)]
    Domain(E),

    /// The stream is not at the version that the command expected
    /// ([`CommandContext::with_expected_version`](crate::CommandContext::with_expected_version)).
    #[error("the stream is not at the expected version")]
    Conflict,

    /// The stream could not be loaded, an event could not be encoded, or the commit could not be
    /// written.
    #[error("I/O error: {0}")]
    Io(#[from] io::Error),

    /// The task that ran the aggregate ended with its runtime before it came to this command.
    #[error("the runtime of the aggregate's task ended before the command was answered")]
    ActorGone,

    /// `decide` or `evolve` panicked. The aggregate returns to its durable state.
    #[error("{0}")]
    Panicked(Panic),

    /// The disk failed while the command was being made durable: whether it is stored is unknown
    /// until the store is opened again.
    #[error("whether the command is stored is unknown until the store is opened again: {0}")]
    OutcomeUnknown(io::Error),

    /// The store has been shut down.
    #[error("the store is shut down")]
    Closed,
}

/// Why the state of an aggregate could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// The stream could not be loaded, or what the state depends on could not be made durable.
    #[error("I/O error: {0}")]
    Io(#[from] io::Error),

    /// The task that ran the aggregate ended with its runtime before it came to this request.
    #[error("the runtime of the aggregate's task ended before the request was answered")]
    ActorGone,

    /// The function given to [`inspect`](crate::AggregateHandle::inspect) panicked.
    #[error("{0}")]
    Panicked(Panic),

    /// The store has been shut down.
    #[error("the store is shut down")]
    Closed,
}

/// Why a command could not be dispatched, or what became of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DispatchError {
    /// No aggregate of this type is registered.
    #[error("unknown aggregate type: {0}")]
    UnknownAggregateType(String),

    /// No registered aggregate takes commands of this type.
    #[error("no route registered for command type")]
    UnknownCommand,

    /// Several registered aggregates list this command type, so it does not say where it goes.
    #[error(
        "command type `{command}` is listed by several registered aggregates ({aggregates}); \
         dispatch the command enum of the one that is meant"
    )]
    AmbiguousCommand {
        /// The command's type in Rust.
        command: &'static str,
        /// The types of the aggregates that list it.
        aggregates: String,
    },

    /// The JSON is not a command of the aggregate.
    #[error("command deserialization failed: {0}")]
    Deserialization(serde_json::Error),

    /// The command did not succeed; the source is the [`ExecuteError`].
    #[error("command execution failed: {0}")]
    Execution(Box<dyn std::error::Error + Send + Sync>),

    /// The aggregate could not be reached.
    #[error("I/O error: {0}")]
    Io(#[from] io::Error),
}

/// A panic in code that the store calls.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{function}` of {stream} panicked: {message}")]
pub struct Panic {
    function: &'static str,
    stream: String,
    message: String,
}

impl Panic {
    pub(crate) fn new(
        function: &'static str,
        stream: &dyn std::fmt::Display,
        payload: &(dyn std::any::Any + Send),
    ) -> Self {
        Self {
            function,
            stream: stream.to_string(),
            message: panic_message(payload),
        }
    }

    /// The function that panicked: `decide`, `evolve` or `inspect`.
    #[must_use]
    pub fn function(&self) -> &str {
        self.function
    }

    /// What the panic said.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

/// The text of a panic.
pub(crate) fn panic_message(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a value that is not text").to_owned()
}

impl<E: std::error::Error + Send + Sync + 'static> From<CommitError> for ExecuteError<E> {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Closed => Self::Closed,
            CommitError::Unknown(_) => Self::OutcomeUnknown(error.to_io()),
            error => Self::Io(error.to_io()),
        }
    }
}

impl From<CommitError> for StateError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Closed => Self::Closed,
            error => Self::Io(error.to_io()),
        }
    }
}

impl<E: std::error::Error + Send + Sync + 'static> From<StateError> for ExecuteError<E> {
    fn from(error: StateError) -> Self {
        match error {
            StateError::Io(error) => Self::Io(error),
            StateError::ActorGone => Self::ActorGone,
            StateError::Panicked(panic) => Self::Panicked(panic),
            StateError::Closed => Self::Closed,
        }
    }
}
