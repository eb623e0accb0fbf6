//! A stream of all events as they are stored: [`Subscription`].

mod filter;

use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;

use crate::domain::aggregate::Aggregate;
use crate::event::{DomainEvent, RecordedEvent};
use crate::ids::Position;
use crate::runtime::background::blocking;
use crate::storage::error::{StorageError, StorageResult};
use crate::storage::log::{Log, LogReader};
use filter::Filter;

/// How many events are read ahead at most.
const AHEAD: usize = 256;
/// At this many bytes of events, reading ahead stops.
const AHEAD_BYTES: usize = 1024 * 1024;
/// How many events are examined in one go if all of them are left out.
const LOOKED_AT: u64 = 16 * 1024;

/// The events of a store from a position on: first the existing events, then each new one as soon
/// as it is durable, in order, each once. Made by [`AggregateStore::subscribe`].
///
/// It is a [`Stream`](futures_core::Stream); [`next`](Self::next) works without that trait. It
/// reads the journal at its own pace, at most 256 events ahead. If it is seldom polled, it loses
/// nothing and costs nothing.
///
/// # What is left out
///
/// [`aggregate`](Self::aggregate), [`id`](Self::id), [`event`](Self::event) and the functions that
/// take a name narrow it down. There are three kinds of filter: types, ids and events. An event
/// must match each kind that is set, and one of the values of that kind.
///
/// # How it ends
///
/// An error is the last item and says why no more events come:
///
/// * [`io::ErrorKind::NotConnected`]: the store was shut down, or its last clone and handle are
///   gone. Everything that it had stored was delivered before;
/// * [`io::ErrorKind::InvalidInput`]: the position to begin after is ahead of the newest event. It
///   comes from another store, or this store was restored from a backup;
/// * [`io::ErrorKind::InvalidData`]: the journal is damaged, or holds an event that cannot be read;
///   the text says where;
/// * any other: the journal could not be read, or the store failed with this error.
///
/// To continue later, store the position of the last event that was processed, and subscribe from
/// there. Store it together with the result of that event, so that the two cannot differ.
///
/// [`AggregateStore::subscribe`]: crate::store::AggregateStore::subscribe
///
/// ```
/// # use eventfold_es::{*, __private::example::*};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// let store = AggregateStore::open(dir.path()).await?;
/// let mut events = store.subscribe(Position::default());
/// store.get::<Counter>("c-1").await?.send(Add(5)).await?;
/// store.shutdown().await?;
///
/// let event = events.next().await.expect("not the end yet")?;
/// assert_eq!(event.name(), "Added");
/// let end = events.next().await.expect("the reason comes last").unwrap_err();
/// assert_eq!(end.kind(), std::io::ErrorKind::NotConnected);
/// assert!(events.next().await.is_none());
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing is read before it is polled"]
pub struct Subscription {
    filter: Arc<Filter>,
    ready: VecDeque<RecordedEvent>,
    state: State,
}

enum State {
    Idle(Source),
    Reading(Reading),
    /// The error is still to be delivered.
    Ending(io::Error),
    Ended,
}

type Reading = Pin<Box<dyn Future<Output = io::Result<(Source, Chunk)>> + Send>>;

/// The events of one read.
type Chunk = VecDeque<RecordedEvent>;

impl Subscription {
    pub(crate) fn new(log: Log, from: Position) -> Self {
        Self::in_state(State::Idle(Source {
            reader: log.reader(from.get()),
            log,
            after: from.get(),
            has_begun: false,
            failed: None,
        }))
    }

    /// A subscription that ends with `error` at once.
    pub(crate) fn ended(error: io::Error) -> Self {
        Self::in_state(State::Ending(error))
    }

    fn in_state(state: State) -> Self {
        Self {
            filter: Arc::default(),
            ready: VecDeque::new(),
            state,
        }
    }

    /// Only events of aggregates of type `A`.
    ///
    /// See the example of [`AggregateStore::subscribe`](crate::store::AggregateStore::subscribe).
    pub fn aggregate<A: Aggregate>(self) -> Self {
        self.aggregate_type(A::AGGREGATE_TYPE)
    }

    /// Only events of aggregates of this type.
    ///
    /// ```
    /// # use eventfold_es::{AggregateStore, Position};
    /// # async fn example(store: AggregateStore) {
    /// let events = store.subscribe(Position::default()).aggregate_type("order").id("o-1");
    /// # }
    /// ```
    pub fn aggregate_type(self, aggregate_type: impl Into<String>) -> Self {
        self.narrowed(|filter| filter.aggregate_types.push(aggregate_type.into()))
    }

    /// Only events of aggregates with this id.
    ///
    /// See the example of [`aggregate_type`](Self::aggregate_type).
    pub fn id(self, id: impl Into<String>) -> Self {
        self.narrowed(|filter| filter.ids.push(id.into()))
    }

    /// Only the events of `E`, under their current names and their aliases.
    ///
    /// See the example of [`RecordedEvent::decode_as`].
    pub fn event<E: DomainEvent>(self) -> Self {
        self.narrowed(|filter| {
            for known in E::NAMES {
                filter.names.push(known.name.to_owned());
                let aliases = known.aliases.iter().copied();
                filter.names.extend(aliases.map(str::to_owned));
            }
        })
    }

    /// Only events with this stored name.
    ///
    /// ```
    /// # use eventfold_es::{AggregateStore, Position};
    /// # async fn example(store: AggregateStore) {
    /// let placed = store.subscribe(Position::default()).event_name("OrderPlaced");
    /// # }
    /// ```
    pub fn event_name(self, name: impl Into<String>) -> Self {
        self.narrowed(|filter| filter.names.push(name.into()))
    }

    fn narrowed(mut self, narrow: impl FnOnce(&mut Filter)) -> Self {
        narrow(Arc::make_mut(&mut self.filter));
        self
    }

    /// The next event; waits for it if there is none yet. Returns `None` after the error at the
    /// end. Dropping the future loses nothing.
    ///
    /// See the example of [`Subscription`].
    pub async fn next(&mut self) -> Option<io::Result<RecordedEvent>> {
        poll_fn(|context| self.poll_event(context)).await
    }

    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<RecordedEvent>>> {
        loop {
            while let Some(event) = self.ready.pop_front() {
                // It may have been read ahead before the subscription was narrowed down.
                if self.filter.takes(&event) {
                    return Poll::Ready(Some(Ok(event)));
                }
            }
            self.state = match std::mem::replace(&mut self.state, State::Ended) {
                State::Idle(source) => State::Reading(Box::pin(source.read(self.filter.clone()))),
                State::Reading(mut reading) => match reading.as_mut().poll(context) {
                    Poll::Pending => {
                        self.state = State::Reading(reading);
                        return Poll::Pending;
                    }
                    Poll::Ready(Ok((mut source, chunk))) => {
                        self.ready = chunk;
                        match source.failed.take() {
                            None => State::Idle(source),
                            Some(error) => State::Ending(error.into()),
                        }
                    }
                    Poll::Ready(Err(error)) => State::Ending(error),
                },
                State::Ending(error) => return Poll::Ready(Some(Err(error))),
                State::Ended => return Poll::Ready(None),
            };
        }
    }
}

impl Stream for Subscription {
    type Item = io::Result<RecordedEvent>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<RecordedEvent>>> {
        self.poll_event(context)
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Idle(_) => "idle",
            State::Reading(_) => "reading",
            State::Ending(_) | State::Ended => "ended",
        };
        f.debug_struct("Subscription")
            .field("filter", &self.filter)
            .field("ahead", &self.ready.len())
            .field("state", &state)
            .finish()
    }
}

/// The source of the events. It holds only the parts of the store that it reads.
struct Source {
    log: Log,
    reader: LogReader,
    /// All events up to here were read.
    after: u64,
    has_begun: bool,
    /// The error that stops reading after `after`.
    failed: Option<StorageError>,
}

impl Source {
    /// Reads the next events, and waits if there are none.
    async fn read(mut self, filter: Arc<Filter>) -> io::Result<(Self, Chunk)> {
        if !self.has_begun && self.after > self.log.head() {
            let (after, head) = (self.after, self.log.head());
            let text = format!("position {after} is ahead of the newest event, which is at {head}");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        self.has_begun = true;
        let head = self.log.reached(self.after + 1).await?;
        blocking(move || {
            let mut chunk = Chunk::new();
            self.failed = self.fill(head, &filter, &mut chunk).err();
            Ok((self, chunk))
        })
        .await
    }

    /// Reads events up to the durable position `head` into `chunk`, until there are enough.
    fn fill(&mut self, head: u64, filter: &Filter, chunk: &mut Chunk) -> StorageResult<()> {
        let until = head.min(self.after.saturating_add(LOOKED_AT));
        let mut bytes = 0;
        let Self { reader, after, .. } = self;
        reader.read_to(until, |committed| {
            if filter.takes_stream(committed.aggregate_type(), committed.id()) {
                for i in 0..committed.len() {
                    committed.event(i, |stored| {
                        if filter.takes_name(stored.name()) {
                            bytes += stored.data().len();
                            chunk.push_back(RecordedEvent::new(stored));
                        }
                    })?;
                }
            }
            *after = committed.last();
            let is_enough = chunk.len() >= AHEAD || bytes >= AHEAD_BYTES;
            Ok(if is_enough {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            })
        })
    }
}
