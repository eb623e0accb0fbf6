//! Why an operation failed: one enum for each operation.

use std::fmt::Write as _;
use std::io;
use std::time::SystemTime;

mod together;

pub use together::TogetherError;

use crate::ids::{Position, Version};
use crate::text::Shown;

/// Why a command did not succeed.
///
/// Unless a variant says otherwise, nothing of the command is stored. The guide has a table
/// of [what to do](crate::guide::when_something_fails).
///
/// ```
/// # use eventfold_es::{*, __private::example::*};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let store = AggregateStore::open(dir.path()).await?;
/// # let counter = store.get::<Counter>("c-1").await?;
/// match counter.send(Add(0)).await {
///     Ok(done) => println!("stored up to version {}", done.version),
///     Err(ExecuteError::Domain(refused)) => println!("refused: {refused}"),
///     Err(ExecuteError::ExpectedVersion { actual, .. }) => println!("it is at {actual} already"),
///     Err(error) => return Err(error.into()),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExecuteError<E: std::error::Error + Send + Sync + 'static> {
    /// The aggregate refused the command, with its own
    /// [`Aggregate::Error`](crate::domain::aggregate::Aggregate::Error). The same command on the same state is refused
    /// again.
    #[error(transparent)]
    Domain(E),

    /// A [layer](crate::Layer) of the store refused the command. The aggregate did not get it.
    ///
    /// See the example of [`Layer`](crate::Layer).
    #[error("refused by a layer: {0}")]
    Refused(#[source] Refused),

    /// The stream is not at the version that the command expected
    /// ([`CommandContext::with_expected_version`](crate::domain::command::CommandContext::with_expected_version)).
    /// It is never retried: the basis of the command has changed.
    ///
    /// Load the state with its version, and decide again whether the command still makes sense. Without an
    /// expected version this does not happen: [who wins](crate::guide::questions#rules-and-writing) says when to use one.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # async fn add_up_to(counter: &AggregateHandle<Counter>, limit: u64)
    /// #     -> Result<(), Box<dyn std::error::Error>> {
    /// loop {
    ///     let loaded = counter.load().await?;
    ///     let missing = limit.saturating_sub(loaded.state.value);
    ///     if missing == 0 {
    ///         return Ok(());
    ///     }
    ///     let context = CommandContext::default().with_expected_version(loaded.version);
    ///     match counter.send_with(Add(missing), context).await {
    ///         Err(ExecuteError::ExpectedVersion { .. }) => {} // look again
    ///         done => return Ok(done.map(|_| ())?),
    ///     }
    /// }
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let store = AggregateStore::open(dir.path()).await?;
    /// # let counter = store.get::<Counter>("c-1").await?;
    /// # add_up_to(&counter, 7).await?;
    /// # assert_eq!(counter.state().await?.value, 7);
    /// # Ok(())
    /// # }
    /// ```
    #[error("the stream is at version {actual}, and the command expected {expected}")]
    ExpectedVersion {
        /// The version that the command expected.
        expected: Version,
        /// The version of the stream when the command was decided.
        actual: Version,
    },

    /// The aggregate has ended ([`AggregateStore::end`](crate::AggregateStore::end)). It takes no more
    /// commands; only a command that it answered before, with the same idempotency key, is answered as
    /// then.
    ///
    /// See the example of [`AggregateStore::end`](crate::AggregateStore::end).
    #[error("the aggregate has ended, at {}: {reason}", shown_time(*.when))]
    Ended {
        /// Why, as whoever ended it said.
        reason: String,
        /// When.
        when: SystemTime,
    },

    /// The aggregate is archived ([`AggregateStore::archive`](crate::AggregateStore::archive)). It takes
    /// commands again after [`AggregateStore::unarchive`](crate::AggregateStore::unarchive).
    ///
    /// See the example of [`AggregateStore::archive`](crate::AggregateStore::archive).
    #[error(
        "the aggregate is archived since {}; `AggregateStore::unarchive` undoes that",
        shown_time(*.when)
    )]
    Archived {
        /// When it was archived.
        when: SystemTime,
    },

    /// Other writers stored events in the stream again and again while the command was decided on
    /// the events before them. Or they did so once, and the aggregate cannot
    /// [repeat](crate::Aggregate::repeat) the command. Send the command again.
    ///
    /// A store in files or in memory is the only writer of its streams, so it never answers this.
    #[error("other writers stored events in the stream first, again and again; send it again")]
    Conflict,

    /// The idempotency key belongs to another command of this stream, with other content. Nothing of
    /// this command is stored. Two commands need two keys; a command that is sent again must be the
    /// same.
    ///
    /// Commands are compared by their [`fingerprint`](crate::Aggregate::fingerprint), if the
    /// aggregate has one.
    #[error(
        "the idempotency key {key:?} belongs to another command: give each command a key of its own, \
         and send the same command if you send it again"
    )]
    KeyReused {
        /// The idempotency key.
        key: String,
    },

    /// The stream could not be loaded, an event could not be encoded, or the commit could not be
    /// written. By the kind:
    ///
    /// * [`InvalidData`](io::ErrorKind::InvalidData): the stream's file is damaged or holds an
    ///   event that the aggregate cannot read (the text says which, and where). Or a new event
    ///   cannot be encoded, or could not be read again. Sending again does not help;
    /// * [`ResourceBusy`](io::ErrorKind::ResourceBusy): another program has locked the stream's
    ///   file, or changed it. Send again once that program has closed the file. If it appended
    ///   lines, commands fail with `InvalidData` from then on, until
    ///   [`repair`](crate::store::AggregateStore::repair) enters the lines;
    /// * [`InvalidInput`](io::ErrorKind::InvalidInput): the command's idempotency key is empty;
    /// * [`Deadlock`](io::ErrorKind::Deadlock): the aggregate's own code sent the command, and
    ///   would wait for itself;
    /// * [`NotConnected`](io::ErrorKind::NotConnected): this process was forked from the one that
    ///   opened the store, and must open the store itself;
    /// * any other: the error of the system, no space left for example. Remove the cause and send
    ///   again. If the text says that the store has failed, no command succeeds until the store is
    ///   opened again, see [`OutcomeUnknown`](Self::OutcomeUnknown).
    #[error("I/O error: {0}")]
    Io(#[from] io::Error),

    /// The runtime ended before the aggregate's task came to this command. Send it again from a
    /// runtime that keeps running; the aggregate is activated there.
    #[error("the runtime of the aggregate's task ended before the command was answered")]
    ActorGone,

    /// `decide` or `evolve` panicked, or writing an event as JSON or reading it back did, or
    /// [`Layer::before`](crate::Layer::before) did. The aggregate returns to its durable state, and the next command is decided on that.
    #[error("{0}")]
    Panicked(Panic),

    /// The disk failed, or the server was lost, while the command was being made durable. It is unknown
    /// whether the command is stored. Check whether it took effect, or repeat it: with an idempotency
    /// key it is stored once in either case.
    ///
    /// On files the store refuses every command from then on. Shut it down and open it again. The
    /// shutdown releases the directory even if it returns an error. On PostgreSQL the store goes on by
    /// itself once the server is reached, and finds out what is stored before it decides the next
    /// command.
    ///
    /// ```no_run
    /// # use eventfold_es::{*, __private::example::*};
    /// # async fn example(store: AggregateStore) -> Result<(), Box<dyn std::error::Error>> {
    /// # let counter = store.get::<Counter>("c-1").await?;
    /// let context = CommandContext::default().with_idempotency_key("payment-17");
    /// let mut outcome = counter.send_with(Add(5), context.clone()).await;
    /// if let Err(ExecuteError::OutcomeUnknown(_)) = &outcome {
    ///     let _ = store.shutdown().await; // says again why the store failed
    ///     let store = AggregateStore::open("./data").await?;
    ///     let counter = store.get::<Counter>("c-1").await?;
    ///     outcome = counter.send_with(Add(5), context).await;
    /// }
    /// # outcome?; Ok(())
    /// # }
    /// ```
    #[error("it is unknown whether the command is stored: {0}")]
    OutcomeUnknown(io::Error),

    /// The store has been shut down. Nothing of the command is stored. Open the store again and send
    /// the command through a handle of that store.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let store = AggregateStore::open(dir.path()).await?;
    /// # let counter = store.get::<Counter>("c-1").await?;
    /// store.shutdown().await?;
    /// assert!(matches!(counter.send(Add(5)).await, Err(ExecuteError::Closed)));
    ///
    /// let store = AggregateStore::open(dir.path()).await?;
    /// store.get::<Counter>("c-1").await?.send(Add(5)).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[error("the store is shut down")]
    Closed,
}

/// Why the state of an aggregate could not be read.
///
/// ```
/// # use eventfold_es::{*, __private::example::*};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let store = AggregateStore::open(dir.path()).await?;
/// # let counter = store.get::<Counter>("c-1").await?;
/// store.shutdown().await?;
/// assert!(matches!(counter.state().await, Err(StateError::Closed)));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// The stream could not be loaded, or the state could not be made durable. The kinds are those
    /// of [`ExecuteError::Io`].
    #[error("I/O error: {0}")]
    Io(#[from] io::Error),

    /// The runtime ended before the aggregate's task came to this request. Ask again from a runtime
    /// that keeps running.
    #[error("the runtime of the aggregate's task ended before the request was answered")]
    ActorGone,

    /// The function given to [`inspect`](crate::runtime::handle::AggregateHandle::inspect)
    /// panicked. The aggregate is unchanged.
    #[error("{0}")]
    Panicked(Panic),

    /// The store has been shut down: open it again.
    #[error("the store is shut down")]
    Closed,
}

/// Why a command could not be dispatched, or did not succeed.
///
/// ```
/// # use eventfold_es::{*, __private::example::*};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let store = AggregateStore::open(dir.path()).await?;
/// let bus = CommandBus::new(store); // nothing is registered
/// let error = bus.dispatch("c-1", Add(5), CommandContext::default()).await.unwrap_err();
/// assert!(matches!(error, DispatchError::UnknownCommand));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DispatchError {
    /// The store knows no aggregate of this type: neither
    /// [`AggregateStoreBuilder::aggregate_type`](crate::store::AggregateStoreBuilder::aggregate_type)
    /// nor the `dispatches(...)` of a process manager names it.
    /// [`CommandBus::dispatch_envelope`](crate::store::bus::CommandBus::dispatch_envelope) returns
    /// this error, and dead letters have it.
    #[error(
        "unknown aggregate type: {}; list it in `dispatches(...)` of the process manager, or \
         register it with `aggregate_type::<..>()`",
        Shown(.0)
    )]
    UnknownAggregateType(String),

    /// The store knows no decision of this name: neither
    /// [`AggregateStoreBuilder::decision`](crate::store::AggregateStoreBuilder::decision) nor the
    /// `decides(...)` of a process manager names it. Dead letters have this error.
    #[error(
        "unknown decision: {}; list it in `decides(...)` of the process manager, or register it with \
         `decision::<..>()`",
        Shown(.0)
    )]
    UnknownDecision(String),

    /// No registered aggregate takes commands of this type: see
    /// [`CommandBus::register`](crate::store::bus::CommandBus::register).
    #[error("no route registered for command type")]
    UnknownCommand,

    /// Several registered aggregates list this command type, so its target is ambiguous.
    #[error(
        "command type `{command}` is listed by several registered aggregates ({aggregates}); \
         dispatch the command enum of one of them"
    )]
    AmbiguousCommand {
        /// The command's type in Rust.
        command: &'static str,
        /// The types of the aggregates that list it.
        aggregates: String,
    },

    /// The JSON is not a command of the aggregate.
    /// [`CommandBus::dispatch_envelope`](crate::store::bus::CommandBus::dispatch_envelope) returns
    /// this error, and dead letters have it.
    #[error("command deserialization failed: {0}")]
    Deserialization(serde_json::Error),

    /// The command did not succeed. The box contains the [`ExecuteError`] of the aggregate or the
    /// decision that took it, or the [`TogetherError`](crate::TogetherError) of commands that were sent
    /// together:
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let store = AggregateStore::open(dir.path()).await?;
    /// # let mut bus = CommandBus::new(store);
    /// # bus.register::<Counter>();
    /// let error = bus.dispatch("c-1", Add(0), CommandContext::default()).await.unwrap_err();
    /// let DispatchError::Execution(inner) = error else { panic!("{error}") };
    /// let inner = inner.downcast_ref::<ExecuteError<NothingToAdd>>();
    /// assert!(matches!(inner, Some(ExecuteError::Domain(NothingToAdd))));
    /// # Ok(())
    /// # }
    /// ```
    #[error("command execution failed: {0}")]
    Execution(Box<dyn std::error::Error + Send + Sync>),

    /// A [layer](crate::Layer) of the store refused the command. The aggregate did not get it.
    #[error("refused by a layer: {0}")]
    Refused(#[source] Refused),

    /// The aggregate could not be reached:
    /// [`AggregateStore::get`](crate::store::AggregateStore::get) returned this error.
    #[error("I/O error: {0}")]
    Io(#[from] io::Error),
}

impl<E: std::error::Error + Send + Sync + 'static> From<ExecuteError<E>> for DispatchError {
    fn from(error: ExecuteError<E>) -> Self {
        match error {
            ExecuteError::Refused(refused) => Self::Refused(refused),
            error => Self::Execution(Box::new(error)),
        }
    }
}

/// Why a [layer](crate::Layer) refused a command: an error of the layer's own, to which it derefs.
///
/// ```
/// use eventfold_es::Refused;
///
/// #[derive(Debug, thiserror::Error)]
/// #[error("only {0} a second")]
/// struct TooMany(u32);
///
/// let refused = Refused::from(TooMany(50)).for_now();
/// assert_eq!(refused.to_string(), "only 50 a second");
/// assert!(matches!(refused.downcast_ref(), Some(TooMany(50))));
/// ```
#[derive(Debug)]
pub struct Refused {
    error: Box<dyn std::error::Error + Send + Sync>,
    is_for_now: bool,
}

impl Refused {
    /// A refusal with `error`, which may also be a text.
    ///
    /// ```
    /// # use eventfold_es::Refused;
    /// assert_eq!(Refused::new("closed on Sundays").to_string(), "closed on Sundays");
    /// ```
    pub fn new(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self {
            error: error.into(),
            is_for_now: false,
        }
    }

    /// The same command may pass later, for example when a rate limit allows it. In a live store, a
    /// process manager tries its command again, as [`Retry`](crate::Retry) says; otherwise a
    /// refused command becomes a dead letter at once.
    ///
    /// See the example of [`Refused`].
    #[must_use]
    pub fn for_now(mut self) -> Self {
        self.is_for_now = true;
        self
    }

    /// Whether the same command may pass later.
    ///
    /// ```
    /// # use eventfold_es::Refused;
    /// assert!(!Refused::new("no").is_for_now() && Refused::new("no").for_now().is_for_now());
    /// ```
    #[must_use]
    pub fn is_for_now(&self) -> bool {
        self.is_for_now
    }
}

impl<E: std::error::Error + Send + Sync + 'static> From<E> for Refused {
    fn from(error: E) -> Self {
        Self::new(error)
    }
}

impl std::ops::Deref for Refused {
    type Target = dyn std::error::Error + Send + Sync;

    fn deref(&self) -> &Self::Target {
        &*self.error
    }
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.error.fmt(f)
    }
}

/// The events are not in the journal any more: its oldest files were dropped
/// ([`keep_journal_for`](crate::AggregateStoreBuilder::keep_journal_for)). Whoever must read them gets this
/// error instead of fewer events: subscriptions and other readers from an early position on, a new
/// projection or process manager, a rebuild, an export, a past state. It is within an [`io::Error`] of the
/// kind [`InvalidInput`](io::ErrorKind::InvalidInput), in which [`of`](Self::of) finds it.
///
/// The aggregates have all their events. A backup from before has those of the journal.
///
/// ```
/// # use eventfold_es::{*, __private::example::*};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let store = AggregateStore::open(dir.path()).await?;
/// # store.get::<Counter>("c-1").await?.send(Add(5)).await?;
/// if let Err(error) = store.recent(20).await {
///     match JournalDropped::of(&error) {
///         Some(dropped) => println!("older ones were dropped, up to {}", dropped.begins_after),
///         None => return Err(error.into()),
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the events after position {asked_after} cannot be read: the journal begins after position \
     {begins_after}, because its oldest files were dropped (`keep_journal_for`); read from there on, or \
     restore a backup that has them to another directory"
)]
#[non_exhaustive]
pub struct JournalDropped {
    /// The events after this position were asked for.
    pub asked_after: Position,
    /// The journal has the events after this position.
    pub begins_after: Position,
}

/// A panic in code that the store calls: the aggregate's code, a [layer](crate::Layer), or the
/// function given to [`inspect`](crate::runtime::handle::AggregateHandle::inspect).
///
/// ```
/// # use eventfold_es::{*, __private::example::*};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let store = AggregateStore::open(dir.path()).await?;
/// # let counter = store.get::<Counter>("c-1").await?;
/// let error = counter.inspect(|_| panic!("out of luck")).await.map(|()| ()).unwrap_err();
/// let StateError::Panicked(panic) = error else { panic!("{error}") };
/// assert_eq!(panic.to_string(), "`inspect` of counter/c-1 panicked: out of luck");
/// assert_eq!((panic.function(), panic.message()), ("inspect", "out of luck"));
/// # Ok(())
/// # }
/// ```
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

    /// The function that panicked: `decide`
    /// ([`Aggregate::handle`](crate::domain::aggregate::Aggregate::handle)), `evolve`
    /// ([`Aggregate::apply`](crate::domain::aggregate::Aggregate::apply)), `serialize` or
    /// `deserialize` (an event's), `Layer::before` or `inspect`.
    ///
    /// See the example of [`Panic`].
    #[must_use]
    pub fn function(&self) -> &str {
        self.function
    }

    /// The message of the panic, if it was text.
    ///
    /// See the example of [`Panic`].
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

impl From<StateError> for io::Error {
    fn from(error: StateError) -> Self {
        match error {
            StateError::Io(error) => error,
            error => Self::other(error),
        }
    }
}

/// A time as it is shown in an error.
pub(crate) fn shown_time(time: SystemTime) -> String {
    // A time after the year 9999 cannot be written in this form.
    let mut text = String::new();
    match write!(text, "{}", humantime::format_rfc3339_seconds(time)) {
        Ok(()) => text,
        Err(_) => format!("{} ms since 1970", crate::clock::unix_millis(time)),
    }
}

/// The text of the error of calls after the store was shut down.
pub(crate) const CLOSED: &str = "the store is shut down";

/// The error of calls after the store was shut down.
pub(crate) fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, CLOSED)
}

/// Calls the user's code and returns a panic as an error.
pub(crate) fn guarded<T>(call: impl FnOnce() -> T) -> Result<T, Box<dyn std::any::Any + Send>> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(call))
}
