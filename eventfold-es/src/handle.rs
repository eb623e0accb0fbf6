//! The async handle to one aggregate: [`AggregateHandle`].

use std::fmt;
use std::io;
use std::sync::Arc;

use eventfold::EventReader;
use tokio::sync::oneshot;

use crate::actor::{Mail, Message, Request, Slot};
use crate::aggregate::Aggregate;
use crate::command::CommandContext;
use crate::error::{ExecuteError, Panic, StateError};
use crate::store::StoreInner;
use crate::stream::{Position, StreamId, Version};

/// What a command led to, durably.
#[derive(Debug, Clone)]
pub struct Committed<A: Aggregate> {
    /// The events that the command stored; none if it changed nothing.
    pub events: Vec<A::DomainEvent>,
    /// The stream's version after them.
    pub version: Version,
    /// The position of the last of them; of the stream's newest event if there are none.
    pub position: Position,
}

/// A handle to one aggregate. Clones lead to the same aggregate.
///
/// It outlives idleness: an aggregate that left memory comes back with the next call.
///
/// ```
/// # use eventfold_es::{Aggregate, AggregateStore}; use serde::{Serialize, Deserialize};
/// # #[derive(Clone, Default, Serialize, Deserialize)] struct Counter { value: u64 }
/// # #[derive(Debug, Clone, Serialize, Deserialize)] #[serde(tag = "type", content = "data")]
/// # enum CounterEvent { Added { amount: u64 } }
/// # struct Add(u64);
/// # impl Aggregate for Counter {
/// #     const AGGREGATE_TYPE: &'static str = "counter";
/// #     type Command = Add; type DomainEvent = CounterEvent; type Error = std::convert::Infallible;
/// #     fn handle(&self, add: Add) -> Result<Vec<CounterEvent>, Self::Error> {
/// #         Ok(vec![CounterEvent::Added { amount: add.0 }])
/// #     }
/// #     fn apply(mut self, event: &CounterEvent) -> Self {
/// #         let CounterEvent::Added { amount } = event; self.value += amount; self
/// #     }
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// let store = AggregateStore::open(dir.path()).await?;
/// let counter = store.get::<Counter>("c-1").await?;
/// let done = counter.send(Add(5)).await?; // durable when it returns
/// assert_eq!(done.version, 1);
/// assert_eq!(counter.state().await?.value, 5);
/// # Ok(())
/// # }
/// ```
#[must_use = "a handle does nothing until a command is sent"]
pub struct AggregateHandle<A: Aggregate> {
    store: Arc<StoreInner>,
    slot: Arc<Slot<A>>,
    reader: EventReader,
}

impl<A: Aggregate> AggregateHandle<A> {
    /// A handle to the aggregate in `slot`, which is activated.
    pub(crate) fn new(store: Arc<StoreInner>, slot: Arc<Slot<A>>) -> io::Result<Self> {
        slot.activate(&store.engine)?;
        let reader = EventReader::new(slot.stream().dir());
        Ok(Self {
            store,
            slot,
            reader,
        })
    }

    /// Sends a command and waits until its events are durable.
    ///
    /// If the caller goes away while it waits, the command is executed all the same.
    ///
    /// # Errors
    ///
    /// [`ExecuteError`]: the command was refused, or it could not be executed.
    pub async fn send(
        &self,
        command: impl Into<A::Command>,
    ) -> Result<Committed<A>, ExecuteError<A::Error>> {
        self.send_with(command, CommandContext::default()).await
    }

    /// Sends a command with a context: who sends it, what it belongs to, on which terms.
    ///
    /// # Errors
    ///
    /// [`ExecuteError`]: the command was refused, or it could not be executed.
    pub async fn send_with(
        &self,
        command: impl Into<A::Command>,
        context: CommandContext,
    ) -> Result<Committed<A>, ExecuteError<A::Error>> {
        let (reply, answer) = oneshot::channel();
        let request = Request::Execute {
            command: command.into(),
            context,
            reply,
        };
        self.deliver(request).await?;
        answer.await.map_err(|_| ExecuteError::ActorGone)?
    }

    /// Executes a command, waits until its events are durable and returns them.
    ///
    /// # Errors
    ///
    /// [`ExecuteError`]: the command was refused, or it could not be executed.
    pub async fn execute(
        &self,
        cmd: A::Command,
        ctx: CommandContext,
    ) -> Result<Vec<A::DomainEvent>, ExecuteError<A::Error>> {
        self.send_with(cmd, ctx).await.map(|done| done.events)
    }

    /// A copy of the state, with every command that was answered before. It is durable.
    ///
    /// # Errors
    ///
    /// [`StateError`]: the stream could not be loaded.
    pub async fn state(&self) -> Result<A, StateError> {
        self.read(|state, _| state.clone()).await
    }

    /// What `look` makes of the state, which is not copied. The answer waits until the state that
    /// `look` saw is durable.
    ///
    /// # Errors
    ///
    /// [`StateError`]: the stream could not be loaded, or `look` panicked.
    pub async fn inspect<T: Send + 'static>(
        &self,
        look: impl FnOnce(&A) -> T + Send + 'static,
    ) -> Result<T, StateError> {
        self.read(|state, _| look(state)).await
    }

    /// The stream's version: how many events it holds, all durable.
    ///
    /// # Errors
    ///
    /// [`StateError`]: the stream could not be loaded.
    pub async fn version(&self) -> Result<Version, StateError> {
        self.read(|_, version| version).await
    }

    async fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&A, Version) -> T + Send + 'static,
    ) -> Result<T, StateError> {
        let (reply, answer) = oneshot::channel();
        let id = self.stream_id().clone();
        let read = Request::Read(Box::new(move |head| {
            let seen = head.and_then(|(state, version)| {
                let look = std::panic::AssertUnwindSafe(|| look(state, version));
                std::panic::catch_unwind(look)
                    .map_err(|panic| StateError::Panicked(Panic::new("inspect", &id, &*panic)))
            });
            Box::new(move |durable| {
                let result = match durable {
                    Ok(_) => seen,
                    Err(error) => Err(error.into()),
                };
                drop(reply.send(result));
            })
        }));
        self.deliver(read).await?;
        answer.await.map_err(|_| StateError::ActorGone)?
    }

    /// Appends an event that was decided elsewhere.
    pub(crate) async fn inject(&self, event: eventfold::Event) -> io::Result<()> {
        let (reply, answer) = oneshot::channel();
        let request = Request::Inject { event, reply };
        self.deliver(request).await.map_err(crate::actor::into_io)?;
        answer
            .await
            .map_err(|_| io::Error::other(StateError::ActorGone))?
    }

    /// Puts a message into the aggregate's mailbox. One that is passivating gives it back; the next
    /// activation gets it then.
    async fn deliver(&self, request: Request<A>) -> Result<(), StateError> {
        let mut mail = Box::new(Mail::Message(Message {
            request,
            store: self.store.clone(),
        }));
        loop {
            if self.store.is_closed() {
                return Err(StateError::Closed);
            }
            let mailbox = self.slot.activate(&self.store.engine)?;
            match mailbox.send(mail).await {
                Ok(()) => return Ok(()),
                Err(returned) => mail = returned.0,
            }
        }
    }

    /// The aggregate's id within its type.
    #[must_use]
    pub fn id(&self) -> &str {
        self.stream_id().id()
    }

    fn stream_id(&self) -> &StreamId {
        self.slot.stream().id()
    }

    /// Reads the stream's file. It does not exist before the stream's first event.
    #[must_use]
    pub fn reader(&self) -> &EventReader {
        &self.reader
    }

    /// Whether the aggregate is in memory. The next call brings it back if it is not.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.slot.is_alive()
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
