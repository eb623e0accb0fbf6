//! A stream of all events as they are stored: [`Subscription`].

pub(crate) mod ahead;
pub(crate) mod filter;

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;

use crate::domain::aggregate::Aggregate;
use crate::event::{DomainEvent, RecordedEvent, Tag};
use crate::ids::Position;
use crate::runtime::background::blocking;
use crate::storage::error::StorageResult;
use crate::storage::log::{Log, LogReader};
use ahead::{AHEAD, Ahead, Events, LOOKED_AT, Source, Taking, Then};
use filter::Filter;

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
/// take a name narrow it down. There are three such kinds of filter: types, ids and events. An event
/// must match each kind that is set, and one of the values of that kind. It must also have each tag
/// that [`tagged`](Self::tagged) asks for.
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
#[doc(alias("catch-up", "catch-up subscription", "change data capture", "listener"))]
#[must_use = "nothing is read before it is polled"]
pub struct Subscription(Ahead<FromLog>);

impl Subscription {
    pub(crate) fn new(log: Log, from: Position) -> Self {
        Self(Ahead::of(FromLog {
            reader: log.reader(from.get()),
            log,
            after: from.get(),
            has_begun: false,
        }))
    }

    /// A subscription that ends with `error` at once.
    pub(crate) fn ended(error: io::Error) -> Self {
        Self(Ahead::failed(error))
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
        self.narrowed(Filter::add_events_of::<E>)
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

    /// Only events with this tag. If it is called several times, an event must have all of the tags,
    /// as in a [`QueryItem`](crate::QueryItem). Events of an aggregate also have the tag
    /// `<aggregate type>:<id>`.
    ///
    /// All events are read and the others left out: [`AggregateStore::query`] finds a few events
    /// with a tag among many without reading the others.
    ///
    /// ```
    /// # use eventfold_es::{AggregateStore, Position, Tag};
    /// # async fn example(store: AggregateStore) -> Result<(), eventfold_es::InvalidTag> {
    /// let of_course = store.subscribe(Position::default()).tagged(Tag::new("course", "c-1")?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// [`AggregateStore::query`]: crate::store::AggregateStore::query
    pub fn tagged(self, tag: Tag) -> Self {
        self.narrowed(|filter| filter.tags.push(tag))
    }

    fn narrowed(self, narrow: impl FnOnce(&mut Filter)) -> Self {
        Self(self.0.narrowed(narrow))
    }

    /// The next event; waits for it if there is none yet. Returns `None` after the error at the
    /// end. Dropping the future loses nothing.
    ///
    /// See the example of [`Subscription`].
    pub async fn next(&mut self) -> Option<io::Result<RecordedEvent>> {
        poll_fn(|context| self.0.poll_event(context)).await
    }
}

impl Stream for Subscription {
    type Item = io::Result<RecordedEvent>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<RecordedEvent>>> {
        self.0.poll_event(context)
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("filter", &self.0.filter)
            .field("ahead", &self.0.ready())
            .field("state", &self.0.state_name())
            .finish()
    }
}

/// The source of the events. It holds only the parts of the store that it reads.
struct FromLog {
    log: Log,
    reader: LogReader,
    /// All events up to here were read.
    after: u64,
    has_begun: bool,
}

impl Source for FromLog {
    async fn read(self, filter: Arc<Filter>) -> (Events, Then<Self>) {
        match self.read_next(filter).await {
            Ok(read) => read,
            Err(error) => (Events::new(), Then::Failed(error)),
        }
    }
}

impl FromLog {
    /// Reads the next events, and waits if there are none.
    async fn read_next(mut self, filter: Arc<Filter>) -> io::Result<(Events, Then<Self>)> {
        if !self.has_begun {
            self.log.check_stored(self.after)?;
        }
        self.has_begun = true;
        let head = self.log.reached(self.after + 1).await?;
        blocking(move || {
            let mut events = Events::new();
            let filled = self.fill(head, &filter, &mut events);
            let then = match filled {
                Ok(()) => Then::More(self),
                Err(error) => Then::Failed(error.into()),
            };
            Ok((events, then))
        })
        .await
    }

    /// Reads events up to the durable position `head` into `events`, until there are enough.
    fn fill(&mut self, head: u64, filter: &Filter, events: &mut Events) -> StorageResult<()> {
        let until = head.min(self.after.saturating_add(LOOKED_AT));
        let mut taking = Taking::new(filter, AHEAD, events);
        let Self { reader, after, .. } = self;
        reader.read_to(until, |committed| {
            if taking.takes_stream(committed) {
                for i in 0..committed.len() {
                    taking.take(committed, i)?;
                }
            }
            *after = committed.last();
            Ok(taking.flow())
        })
    }
}
