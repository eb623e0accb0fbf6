//! The async handle to one aggregate: [`AggregateHandle`].

use std::fmt;
use std::io;
use std::sync::Arc;

use eventfold::EventReader;
use tokio::sync::oneshot;
use tracing::Span;

use crate::domain::aggregate::Aggregate;
use crate::domain::command::CommandContext;
use crate::domain::layer::Call;
use crate::error::{ExecuteError, Panic, StateError};
use crate::event::{Lifecycle, LifecycleEvent};
use crate::ids::{Position, StreamId, Version};
use crate::runtime::actor::{Attempt, LiveAggregate as _, Mail, Read, Reply, Request, Slot};
use crate::runtime::aggregates::Hold;
use crate::runtime::committed::{Committed, Loaded, Preview};
use crate::runtime::delivery::deliver;
use crate::runtime::layers;
use crate::runtime::running::InProgress;
use crate::runtime::sender::Sender;
use crate::runtime::spans;
use crate::storage::stream::Stream;

/// Where the answer to a command comes.
type Answer<A> = oneshot::Receiver<Result<Committed<A>, ExecuteError<<A as Aggregate>::Error>>>;

/// A handle to one aggregate. Clones lead to the same aggregate.
///
/// An aggregate runs on the tokio runtime of the call that brought it into memory. If that runtime
/// ends, the next call brings the aggregate back on its own runtime. If that runtime exists but is
/// not driven (a current-thread runtime outside of `block_on`), all callers wait.
///
/// A handle stays valid when the aggregate leaves memory: the next call brings it back. A handle
/// keeps the store open.
///
/// An aggregate executes its commands one at a time, in the order in which they arrive. While 64
/// messages wait in its mailbox, further callers wait too.
///
/// ```
/// # use eventfold_es::{*, __private::example::*};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let store = AggregateStore::open(dir.path()).await?;
/// let counter = store.get::<Counter>("c-1").await?;
/// let done = counter.send(Add(5)).await?; // durable when it returns
/// assert_eq!(done.version, 1);
/// assert_eq!(counter.state().await?.value, 5);
/// # Ok(())
/// # }
/// ```
#[must_use = "a handle does nothing until a command is sent"]
pub struct AggregateHandle<A: Aggregate> {
    store: Arc<Hold>,
    slot: Arc<Slot<A>>,
    reader: EventReader,
}

impl<A: Aggregate> AggregateHandle<A> {
    /// A handle to the aggregate in `slot`, which is activated.
    pub(crate) fn get(store: &Arc<Hold>, id: &StreamId) -> io::Result<Self> {
        store.check_open()?;
        store.storage.check_id(id)?;
        let slot = store.registry.slot::<A>(
            &store.storage,
            id,
            store.idle_timeout,
            store.snapshot_every,
        )?;
        slot.activate(&store.storage, &store.passivator)?;
        let reader = EventReader::new(store.storage.dir_of(slot.stream()));
        Ok(Self {
            store: store.clone(),
            slot,
            reader,
        })
    }

    /// A handle to the aggregate `id` if its stream has events. Activates nothing.
    pub(crate) async fn find(store: &Arc<Hold>, id: &StreamId) -> io::Result<Option<Self>> {
        store.check_open()?;
        store.storage.check_id(id)?;
        if store.storage.stream(id).has_events().await? {
            Self::get(store, id).map(Some)
        } else {
            Ok(None)
        }
    }

    /// Sends a command, waits until its events are durable and returns them with their version and
    /// position.
    ///
    /// It takes the aggregate's [`Command`](Aggregate::Command), or a type that converts into it,
    /// such as a listed command of a derived aggregate. If the caller drops the future while it
    /// waits, the command is executed all the same.
    ///
    /// # Errors
    ///
    /// * [`ExecuteError::Domain`]: the aggregate refused the command;
    /// * [`ExecuteError::Refused`]: a [layer](crate::Layer) refused the command;
    /// * [`ExecuteError::Io`]: the stream could not be loaded, or the events could not be stored;
    /// * [`ExecuteError::OutcomeUnknown`]: the disk failed, and it is unknown whether the events
    ///   are stored;
    /// * [`ExecuteError::Panicked`], [`ActorGone`](ExecuteError::ActorGone),
    ///   [`Closed`](ExecuteError::Closed): see there. Nothing is stored.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let store = AggregateStore::open(dir.path()).await?;
    /// # let counter = store.get::<Counter>("c-1").await?;
    /// let done = counter.send(Add(5)).await?;
    /// assert_eq!(done.events, [CounterEvent::Added { amount: 5 }]);
    /// let refused = counter.send(Add(0)).await.unwrap_err();
    /// assert!(matches!(refused, ExecuteError::Domain(NothingToAdd)));
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias("unit of work", "transaction", "dispatch"))]
    pub async fn send(
        &self,
        command: impl Into<A::Command>,
    ) -> Result<Committed<A>, ExecuteError<A::Error>> {
        self.send_with(command, CommandContext::default()).await
    }

    /// Sends a command with a context: who sends it, what it belongs to, and which version it
    /// expects.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send); [`ExecuteError::ExpectedVersion`] if the stream is not at the version
    /// that the context expects; [`ExecuteError::Io`] with [`io::ErrorKind::InvalidInput`] if its idempotency key
    /// is empty.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let store = AggregateStore::open(dir.path()).await?;
    /// # let counter = store.get::<Counter>("c-1").await?;
    /// let context = CommandContext::default().with_actor("ann").with_expected_version(0);
    /// let done = counter.send_with(Add(5), context).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn send_with(
        &self,
        command: impl Into<A::Command>,
        context: CommandContext,
    ) -> Result<Committed<A>, ExecuteError<A::Error>> {
        self.send_as(command.into(), context, None).await
    }

    /// Sends a command through the layers; `sender` is the process manager that sends it, if one does.
    pub(crate) async fn send_as(
        &self,
        command: A::Command,
        mut context: CommandContext,
        sender: Option<&Sender>,
    ) -> Result<Committed<A>, ExecuteError<A::Error>> {
        let timing = self.store.storage.meters().time(self.slot.meter());
        let span = spans::execute::<A>(self.stream_id(), &command);
        spans::trace(&span, &mut context);
        let answer = if self.store.layers.is_empty() {
            match self.message(&span, command, context, sender) {
                Ok((message, answer)) => self.answer(message, answer).await,
                Err(error) => Err(ExecuteError::Io(error)),
            }
        } else {
            let name = A::command_name(&command);
            let process_manager = sender.map(|sender| sender.name);
            let call = Call::new(self.stream_id(), name, process_manager, context);
            let send = |context| async {
                let (message, answer) = self.message(&span, command, context, sender)?;
                self.answer(message, answer).await
            };
            let layers = &self.store.layers;
            // Boxed, so that the future of a store without layers is small.
            Box::pin(layers.around(call, &span, send, layers::outcome::<A>)).await
        };
        let is_stored = matches!(&answer, Ok(done) if !done.repeated && !done.events.is_empty());
        timing.end(layers::metered(layers::outcome(&answer)), is_stored);
        if !span.is_disabled() {
            span.record("outcome", layers::outcome(&answer).name());
        }
        answer
    }

    /// The message for a command, and where its answer comes. In a box, so that the futures around
    /// it do not copy the command.
    #[inline]
    fn message(
        &self,
        span: &Span,
        command: A::Command,
        context: CommandContext,
        sender: Option<&Sender>,
    ) -> io::Result<(Mail<A>, Answer<A>)> {
        context.check()?;
        spans::note_context(span, &context);
        let (reply, answer) = self.reply();
        let term = sender.and_then(|sender| sender.term.clone());
        let attempt = Attempt::new(command, context, spans::deciding(span), reply, term);
        Ok((Mail::Execute(Box::new(attempt)), answer))
    }

    /// Sends a command to the actor, and waits for its answer.
    async fn answer(
        &self,
        message: Mail<A>,
        answer: Answer<A>,
    ) -> Result<Committed<A>, ExecuteError<A::Error>> {
        self.deliver(message).await?;
        match answer.await {
            Ok(result) => result,
            // The command's task is gone: its runtime ended, or the store's own threads did.
            Err(_) => match self.store.storage.check_failed() {
                Ok(()) => Err(ExecuteError::ActorGone),
                Err(error) => Err(ExecuteError::OutcomeUnknown(error.to_io())),
            },
        }
    }

    /// Executes a command, waits until its events are durable and returns them. It is
    /// [`send_with`](Self::send_with) without version and position, as in 0.2.0.
    ///
    /// # Errors
    ///
    /// As [`send_with`](Self::send_with).
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let store = AggregateStore::open(dir.path()).await?;
    /// # let counter = store.get::<Counter>("c-1").await?;
    /// let events = counter.execute(Add(5), CommandContext::default()).await?;
    /// assert_eq!(events, [CounterEvent::Added { amount: 5 }]);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn execute(
        &self,
        cmd: A::Command,
        ctx: CommandContext,
    ) -> Result<Vec<A::DomainEvent>, ExecuteError<A::Error>> {
        self.send_with(cmd, ctx).await.map(|done| done.events)
    }

    /// A copy of the state, which includes every command that was answered before. It is durable.
    ///
    /// # Errors
    ///
    /// * [`StateError::Io`]: the stream could not be loaded, or the state could not be made
    ///   durable;
    /// * [`StateError::ActorGone`], [`StateError::Closed`]: see there.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let store = AggregateStore::open(dir.path()).await?;
    /// # let counter = store.get::<Counter>("c-1").await?;
    /// counter.send(Add(5)).await?;
    /// assert_eq!(counter.state().await?, Counter { value: 5 });
    /// # Ok(())
    /// # }
    /// ```
    pub async fn state(&self) -> Result<A, StateError> {
        Ok(self.read(|state, _| state.clone()).await?.0)
    }

    /// A copy of the state with its version and position, which belong together. It includes every
    /// command that was answered before, and is durable.
    ///
    /// A command that is sent
    /// [expecting this version](crate::domain::command::CommandContext::with_expected_version)
    /// succeeds only if nobody has changed the aggregate since.
    ///
    /// # Errors
    ///
    /// As [`state`](Self::state).
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let store = AggregateStore::open(dir.path()).await?;
    /// # let counter = store.get::<Counter>("c-1").await?;
    /// let done = counter.send(Add(5)).await?;
    /// let loaded = counter.load().await?;
    /// assert_eq!(loaded.state.value, 5);
    /// assert_eq!((loaded.version, loaded.position), (done.version, done.position));
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias("etag", "optimistic locking"))]
    pub async fn load(&self) -> Result<Loaded<A>, StateError> {
        let read = self.read(|state, version| (state.clone(), version)).await?;
        let ((state, version), position) = read;
        Ok(Loaded {
            state,
            version,
            position,
        })
    }

    /// Calls `look` with the state and returns its result. The state is not copied. The call
    /// returns when the state that `look` saw is durable. Commands of this aggregate wait while
    /// `look` runs.
    ///
    /// # Errors
    ///
    /// * [`StateError::Io`]: the stream could not be loaded, or the state could not be made
    ///   durable;
    /// * [`StateError::Panicked`]: `look` panicked;
    /// * [`StateError::ActorGone`], [`StateError::Closed`]: see there.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let store = AggregateStore::open(dir.path()).await?;
    /// # let counter = store.get::<Counter>("c-1").await?;
    /// # counter.send(Add(5)).await?;
    /// let is_even = counter.inspect(|state| state.value % 2 == 0).await?;
    /// assert!(!is_even);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn inspect<T: Send + 'static>(
        &self,
        look: impl FnOnce(&A) -> T + Send + 'static,
    ) -> Result<T, StateError> {
        Ok(self.read(|state, _| look(state)).await?.0)
    }

    /// The stream's version: how many events it holds, all durable; 0 if it does not exist.
    ///
    /// # Errors
    ///
    /// * [`StateError::Io`]: the stream could not be loaded, or the events could not be made
    ///   durable;
    /// * [`StateError::ActorGone`], [`StateError::Closed`]: see there.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let store = AggregateStore::open(dir.path()).await?;
    /// # let counter = store.get::<Counter>("c-1").await?;
    /// assert_eq!(counter.version().await?, 0);
    /// counter.send(Add(5)).await?;
    /// assert_eq!(counter.version().await?, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn version(&self) -> Result<Version, StateError> {
        Ok(self.read(|_, version| version).await?.0)
    }

    /// As [`load`](Self::load), but without asking whether other processes have stored events since this
    /// process read the stream or last stored events in it. It has all commands that this process has
    /// answered. On files, where one process writes, it is the same as `load`; on PostgreSQL it saves a
    /// round trip, and succeeds while the server is not reached, if the aggregate is in memory.
    ///
    /// # Errors
    ///
    /// As [`state`](Self::state).
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let store = AggregateStore::open(dir.path()).await?;
    /// # let counter = store.get::<Counter>("c-1").await?;
    /// let done = counter.send(Add(5)).await?;
    /// let loaded = counter.load_local().await?;
    /// assert_eq!((loaded.state.value, loaded.version), (5, done.version));
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias("freshness", "stale read", "eventual consistency"))]
    pub async fn load_local(&self) -> Result<Loaded<A>, StateError> {
        let read = |state: &A, version| (state.clone(), version);
        let read = self.read_with(Request::ReadLocal, read).await?;
        let ((state, version), position) = read;
        Ok(Loaded {
            state,
            version,
            position,
        })
    }

    async fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&A, Version) -> T + Send + 'static,
    ) -> Result<(T, Position), StateError> {
        self.read_with(Request::Read, look).await
    }

    async fn read_with<T: Send + 'static>(
        &self,
        request: impl FnOnce(Read<A>) -> Request<A>,
        look: impl FnOnce(&A, Version) -> T + Send + 'static,
    ) -> Result<(T, Position), StateError> {
        let (reply, answer) = self.reply();
        let id = self.stream_id().clone();
        let read = request(Box::new(move |head| {
            let seen = head.and_then(|(state, version)| {
                let look = std::panic::AssertUnwindSafe(|| look(state, version));
                std::panic::catch_unwind(look)
                    .map_err(|panic| StateError::Panicked(Panic::new("inspect", &id, &*panic)))
            });
            Box::new(move |durable| {
                let result = match durable {
                    Ok(position) => seen.map(|seen| (seen, Position::new(position))),
                    Err(error) => Err(error.into()),
                };
                reply.send(result);
            })
        }));
        self.deliver(Mail::Request(Box::new(read))).await?;
        answer.await.map_err(|_| StateError::ActorGone)?
    }

    /// What a command would lead to now: its events, and the state and the version after them.
    /// Nothing is stored, and the aggregate stays as it is. A user interface may show it before the
    /// user confirms, or check a form with it.
    ///
    /// Another command may come before the same command is [sent](Self::send), and lead to another
    /// result. To send it only if nothing has changed, let it
    /// [expect](CommandContext::with_expected_version) the version before these events.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), for the same reasons. `OutcomeUnknown` is then about earlier
    /// commands.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let store = AggregateStore::open(dir.path()).await?;
    /// # let counter = store.get::<Counter>("c-1").await?;
    /// let preview = counter.preview(Add(5)).await?;
    /// assert_eq!(preview.events, [CounterEvent::Added { amount: 5 }]);
    /// assert_eq!((preview.state.value, preview.version), (5, 1.into()));
    /// let refused = counter.preview(Add(0)).await.unwrap_err();
    /// assert!(matches!(refused, ExecuteError::Domain(NothingToAdd)));
    /// assert_eq!(counter.version().await?, 0); // nothing is stored
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias("dry run", "simulate", "what if", "validate"))]
    pub async fn preview(
        &self,
        command: impl Into<A::Command>,
    ) -> Result<Preview<A>, ExecuteError<A::Error>> {
        self.preview_with(command, CommandContext::default()).await
    }

    /// What a command with a context would lead to now, as [`preview`](Self::preview). The context's
    /// conditions hold: the version that it expects, and its idempotency key. If the key is already
    /// used, the preview is the answer of the command that used it.
    ///
    /// # Errors
    ///
    /// As [`send_with`](Self::send_with), for the same reasons.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let store = AggregateStore::open(dir.path()).await?;
    /// # let counter = store.get::<Counter>("c-1").await?;
    /// let context = CommandContext::default().with_expected_version(7);
    /// let refused = counter.preview_with(Add(5), context).await.unwrap_err();
    /// assert!(matches!(refused, ExecuteError::ExpectedVersion { .. }));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn preview_with(
        &self,
        command: impl Into<A::Command>,
        context: CommandContext,
    ) -> Result<Preview<A>, ExecuteError<A::Error>> {
        let (command, layers) = (command.into(), &self.store.layers);
        if layers.is_empty() {
            return self.preview_within(command, context).await;
        }
        let name = A::command_name(&command);
        let call = Call::new(self.stream_id(), name, None, context).previewed();
        let preview = |context| self.preview_within(command, context);
        let outcome = layers::preview_outcome::<A>;
        Box::pin(layers.around(call, &Span::current(), preview, outcome)).await
    }

    /// Lets the actor preview a command.
    async fn preview_within(
        &self,
        command: A::Command,
        context: CommandContext,
    ) -> Result<Preview<A>, ExecuteError<A::Error>> {
        context.check()?;
        let (reply, answer) = self.reply();
        let request = Request::Preview {
            command,
            context,
            reply,
        };
        self.deliver(Mail::Request(Box::new(request))).await?;
        answer.await.map_err(|_| ExecuteError::ActorGone)?
    }

    /// Whether the aggregate has ended or is archived. The answer is durable and current, as that of
    /// [`state`](Self::state).
    ///
    /// # Errors
    ///
    /// Those of [`state`](Self::state).
    ///
    /// See the example of [`Lifecycle`].
    pub async fn lifecycle(&self) -> Result<Lifecycle, StateError> {
        let (reply, answer) = self.reply();
        let request = Request::Lifecycle(reply);
        self.deliver(Mail::Request(Box::new(request))).await?;
        let standing = answer.await.map_err(|_| StateError::ActorGone)??;
        Ok(Lifecycle::from(&standing))
    }

    /// Stores what was noted about the aggregate itself, unless it would change nothing.
    pub(crate) async fn note(
        &self,
        event: LifecycleEvent,
        context: CommandContext,
    ) -> io::Result<Lifecycle> {
        let (reply, answer) = self.reply();
        let request = Request::Note {
            event,
            context,
            reply,
        };
        let message = Mail::Request(Box::new(request));
        self.deliver(message).await.map_err(io::Error::from)?;
        let standing = answer.await.map_err(|_| StateError::ActorGone)??;
        Ok(Lifecycle::from(&standing))
    }

    /// Appends an event that was decided elsewhere.
    pub(crate) async fn inject(&self, event: eventfold::Event) -> io::Result<()> {
        let (reply, answer) = self.reply();
        let request = Request::Inject { event, reply };
        let message = Mail::Request(Box::new(request));
        self.deliver(message).await.map_err(io::Error::from)?;
        answer
            .await
            .map_err(|_| io::Error::other(StateError::ActorGone))?
    }

    fn reply<T, E>(&self) -> (Reply<T, E>, oneshot::Receiver<Result<T, E>>) {
        let (caller, answer) = oneshot::channel();
        let call = InProgress::new(self.store.aggregates.clone());
        (Reply::new(call, caller), answer)
    }

    /// Puts a message into the aggregate's mailbox.
    #[inline]
    fn deliver(&self, mail: Mail<A>) -> impl Future<Output = Result<(), StateError>> {
        deliver(&self.store.aggregates, &self.slot, mail)
    }

    /// The aggregate's id within its type.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let store = AggregateStore::open(dir.path()).await?;
    /// # let counter = store.get::<Counter>("c-1").await?;
    /// assert_eq!(counter.id(), "c-1");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn id(&self) -> &str {
        self.stream_id().id()
    }

    pub(crate) fn stream(&self) -> &Stream {
        self.slot.stream()
    }

    pub(crate) fn slot(&self) -> &Arc<Slot<A>> {
        &self.slot
    }

    pub(crate) fn store(&self) -> &Arc<Hold> {
        &self.store
    }

    pub(crate) fn stream_id(&self) -> &StreamId {
        self.stream().id()
    }

    /// Reads the stream's file. The file does not exist before the stream's first event.
    ///
    /// A line is written some milliseconds after its command is answered, and under load up to a
    /// second after. This call blocks until then, so the file has everything that was
    /// answered before. If the file cannot be written,
    /// [`AggregateStore::read_events`](crate::store::AggregateStore::read_events) still has all
    /// events; it checks every line.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let store = AggregateStore::open(dir.path()).await?;
    /// # let counter = store.get::<Counter>("c-1").await?;
    /// counter.send(Add(5)).await?;
    /// for line in counter.reader().read_from(0)? {
    ///     let (event, _next_offset, _hash) = line?;
    ///     assert_eq!(event.event_type, "Added");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn reader(&self) -> &EventReader {
        self.slot.stream().flush();
        &self.reader
    }

    /// Whether the aggregate is in memory. The next call brings it back if it is not.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let store = AggregateStore::open(dir.path()).await?;
    /// # let counter = store.get::<Counter>("c-1").await?;
    /// assert!(counter.is_alive());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn is_alive(&self) -> bool {
        !self.store.is_closed() && self.slot.is_alive()
    }
}

impl<A: Aggregate> Clone for AggregateHandle<A> {
    fn clone(&self) -> Self {
        Self {
            store: self.store.clone(),
            slot: self.slot.clone(),
            reader: self.reader.clone(),
        }
    }
}

impl<A: Aggregate> fmt::Debug for AggregateHandle<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AggregateHandle")
            .field("stream", self.stream_id())
            .field("is_alive", &self.is_alive())
            .finish_non_exhaustive()
    }
}
