//! Code of the user around every command: [`Layer`].

use std::error::Error;
use std::fmt;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use crate::domain::command::CommandContext;
use crate::error::Refused;
use crate::ids::{Position, StreamId, Version};

/// Code around every command of a store: it may refuse the command, add to its context, and see
/// its outcome. Use it for what concerns all commands: authorisation, the tenant in the metadata,
/// a rate limit, measuring.
///
/// Add it with [`AggregateStoreBuilder::layer`](crate::AggregateStoreBuilder::layer). Layers see
/// the commands of all senders: handles, [`CommandBus`](crate::CommandBus), process managers, and
/// replayed dead letters. They see [previews](crate::AggregateHandle::preview) too, so that a preview
/// shows what the command would lead to. [`Call::process_manager`] tells whether a process manager sends it.
/// [`inject_event`](crate::AggregateStore::inject_event) sends no command.
///
/// The layer that was added first is the outermost one: its [`before`](Self::before) runs first
/// and its [`after`](Self::after) last. Both run in the task of the sender. They do not wait:
/// whoever needs an answer from elsewhere gets it before the command is sent, and puts it into the
/// context.
///
/// ```
/// # use eventfold_es::__private::example::*;
/// use eventfold_es::{AggregateStore, Call, CommandContext, ExecuteError, Layer, Refused};
///
/// #[derive(Debug, thiserror::Error)]
/// #[error("nobody may send {0} without a name")]
/// struct Anonymous(&'static str);
///
/// /// Refuses users without a name, and notes their tenant.
/// struct Authorisation;
///
/// impl Layer for Authorisation {
///     fn before(&self, call: &mut Call<'_>) -> Result<(), Refused> {
///         if call.process_manager().is_some() {
///             return Ok(());
///         }
///         let command = call.command();
///         let actor = call.context().actor.as_deref().ok_or(Anonymous(command))?;
///         let tenant = actor.split('@').next_back().unwrap_or_default().to_owned();
///         call.add_metadata("tenant", tenant);
///         Ok(())
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path();
/// let store = AggregateStore::builder(path).layer(Authorisation).open().await?;
/// let counter = store.get::<Counter>("c-1").await?;
///
/// let error = counter.send(Add(5)).await.unwrap_err();
/// let ExecuteError::Refused(refused) = error else { panic!("{error}") };
/// assert!(refused.downcast_ref::<Anonymous>().is_some());
///
/// let ann = CommandContext::default().with_actor("ann@acme");
/// counter.send_with(Add(5), ann).await?;
/// let events = store.read_events("counter", "c-1").await?;
/// assert_eq!(events[0].meta.as_ref().unwrap()["tenant"], "acme");
/// # Ok(())
/// # }
/// ```
#[doc(alias("middleware", "interceptor", "hook", "authorization", "authorisation"))]
pub trait Layer: Send + Sync + 'static {
    /// Runs before the command is put into the mailbox of its aggregate. If it panics, the caller
    /// gets [`ExecuteError::Panicked`](crate::ExecuteError::Panicked).
    ///
    /// # Errors
    ///
    /// Why the command is refused: any error, by `?` or [`Refused::new`]. The aggregate does not
    /// get the command, and the caller gets
    /// [`ExecuteError::Refused`](crate::ExecuteError::Refused). A process manager's command becomes
    /// a dead letter, unless the refusal is [for now](Refused::for_now).
    fn before(&self, call: &mut Call<'_>) -> Result<(), Refused> {
        let _ = call;
        Ok(())
    }

    /// Runs when the command has ended, once for each call that this layer's
    /// [`before`](Self::before) let through. If it panics, the panic is logged, and the caller gets
    /// the command's result all the same.
    ///
    /// ```
    /// use eventfold_es::{Call, CallOutcome, Layer};
    ///
    /// struct Measure;
    ///
    /// impl Layer for Measure {
    ///     fn after(&self, call: &Call<'_>, outcome: CallOutcome<'_>) {
    ///         let (name, time) = (outcome.name(), call.elapsed());
    ///         println!("{} of {}: {name} after {time:?}", call.command(), call.aggregate_type());
    ///     }
    /// }
    /// ```
    fn after(&self, call: &Call<'_>, outcome: CallOutcome<'_>) {
        let _ = (call, outcome);
    }
}

/// A command on its way through the [layers](Layer).
///
/// See the example of [`Layer`].
#[derive(Debug)]
pub struct Call<'a> {
    stream: &'a StreamId,
    command: &'static str,
    process_manager: Option<&'static str>,
    is_preview: bool,
    context: CommandContext,
    start: Instant,
}

impl<'a> Call<'a> {
    pub(crate) fn new(
        stream: &'a StreamId,
        command: &'static str,
        process_manager: Option<&'static str>,
        context: CommandContext,
    ) -> Self {
        Self {
            stream,
            command,
            process_manager,
            is_preview: false,
            context,
            start: Instant::now(),
        }
    }

    /// The command is only previewed.
    pub(crate) fn previewed(self) -> Self {
        Self {
            is_preview: true,
            ..self
        }
    }

    pub(crate) fn stream(&self) -> &'a StreamId {
        self.stream
    }

    /// The type of the aggregate that gets the command.
    #[must_use]
    pub fn aggregate_type(&self) -> &'a str {
        self.stream.aggregate_type()
    }

    /// The id of the aggregate that gets the command.
    #[must_use]
    pub fn id(&self) -> &'a str {
        self.stream.id()
    }

    /// The name of the command, see [`Aggregate::command_name`](crate::Aggregate::command_name).
    #[must_use]
    pub fn command(&self) -> &'static str {
        self.command
    }

    /// The process manager that sends the command, `None` if the program sends it itself.
    #[must_use]
    pub fn process_manager(&self) -> Option<&'static str> {
        self.process_manager
    }

    /// Whether the command is only [previewed](crate::AggregateHandle::preview): nothing of it will
    /// be stored.
    ///
    /// ```
    /// # use eventfold_es::{Call, Layer, Refused};
    /// struct Counting;
    ///
    /// impl Layer for Counting {
    ///     fn before(&self, call: &mut Call<'_>) -> Result<(), Refused> {
    ///         if !call.is_preview() {
    ///             println!("another command: {}", call.command());
    ///         }
    ///         Ok(())
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn is_preview(&self) -> bool {
        self.is_preview
    }

    /// The context of the command, with what the layers changed so far.
    #[must_use]
    pub fn context(&self) -> &CommandContext {
        &self.context
    }

    /// How long ago the command was sent.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Sets who issues the command.
    pub fn set_actor(&mut self, actor: impl Into<String>) {
        self.context.actor = Some(actor.into());
    }

    /// Sets what the command belongs to, across aggregates.
    pub fn set_correlation_id(&mut self, id: impl Into<String>) {
        self.context.correlation_id = Some(id.into());
    }

    /// Adds a member to the `meta` of the command's events. It replaces a member of that name.
    pub fn add_metadata(&mut self, name: impl Into<String>, value: impl Into<Value>) {
        let metadata = &mut self.context.metadata;
        // Any other value than an object would be ignored.
        let mut members = match metadata.take() {
            Some(Value::Object(members)) => members,
            _ => Map::new(),
        };
        members.insert(name.into(), value.into());
        *metadata = Some(Value::Object(members));
    }
}

/// How a command ended, for [`Layer::after`].
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum CallOutcome<'a> {
    /// The command succeeded.
    #[non_exhaustive]
    Succeeded {
        /// How many events it stored. If it repeats an idempotency key, how many the first command
        /// with that key stored.
        events: usize,
        /// The stream's version after them.
        version: Version,
        /// The position of the last of them.
        position: Position,
    },
    /// The command was only previewed, and would succeed.
    Previewed,
    /// The aggregate refused the command with this error, or a layer that was added later did.
    Refused(&'a (dyn Error + Send + Sync + 'static)),
    /// The stream was not at the expected version, or other writers were first again and again.
    Conflict,
    /// Any other [`ExecuteError`](crate::ExecuteError).
    Failed(&'a (dyn Error + Send + Sync + 'static)),
    /// The caller dropped the future. The command is executed all the same if its aggregate has it.
    Abandoned,
}

impl CallOutcome<'_> {
    /// The name of the outcome: `succeeded`, `previewed`, `refused`, `conflict`, `failed` or
    /// `abandoned`. The span `execute` has it as `outcome`.
    ///
    /// ```
    /// assert_eq!(eventfold_es::CallOutcome::Abandoned.name(), "abandoned");
    /// ```
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Succeeded { .. } => "succeeded",
            Self::Previewed => "previewed",
            Self::Refused(_) => "refused",
            Self::Conflict => "conflict",
            Self::Failed(_) => "failed",
            Self::Abandoned => "abandoned",
        }
    }
}

impl fmt::Display for CallOutcome<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) | Self::Failed(error) => write!(f, "{}: {error}", self.name()),
            _ => f.write_str(self.name()),
        }
    }
}
