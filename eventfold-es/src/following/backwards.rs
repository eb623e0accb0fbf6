//! The events of a store from the newest to the oldest: [`Backwards`].

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;

use crate::domain::aggregate::Aggregate;
use crate::event::{DomainEvent, RecordedEvent, Tag};
use crate::following::subscription::ahead::{
    AHEAD, Ahead, Events, LOOKED_AT, Source, Taking, Then,
};
use crate::following::subscription::filter::Filter;
use crate::ids::Position;
use crate::runtime::background::blocking;
use crate::storage::error::{StorageError, StorageResult};
use crate::storage::log::{BackwardReader, Log};

/// The stored events of a store, the newest first. Made by
/// [`AggregateStore::backwards`](crate::AggregateStore::backwards).
///
/// It is a [`Stream`](futures_core::Stream); [`next`](Self::next) works without that trait. It
/// reads as far as it is polled, at most 256 events ahead, and never the whole journal for a few
/// events. With filters it reads on until an event matches. Events that are stored after its first
/// read are not delivered; a [`Subscription`](crate::Subscription) delivers those.
///
/// The filters are those of a [`Subscription`](crate::Subscription#what-is-left-out).
///
/// It ends after the first event of the store, or with an error:
///
/// * [`io::ErrorKind::InvalidInput`]: the position to begin [before](Self::before) is ahead of the
///   newest event. It comes from another store, or this store was restored from a backup;
/// * [`io::ErrorKind::InvalidData`]: the journal is damaged, or holds an event that cannot be read;
///   the text says where;
/// * [`io::ErrorKind::NotConnected`]: the store was shut down;
/// * any other: the journal could not be read.
///
/// ```
/// # use eventfold_es::{*, __private::example::*};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let store = AggregateStore::in_memory().open().await?;
/// # let counter = store.get::<Counter>("c-1").await?;
/// for amount in 1..=5 {
///     counter.send(Add(amount)).await?;
/// }
/// // A page of two events, and the position that the next page begins before.
/// async fn page(store: &AggregateStore, before: Option<Position>) -> std::io::Result<Vec<RecordedEvent>> {
///     let mut events = store.backwards().aggregate::<Counter>();
///     if let Some(position) = before {
///         events = events.before(position);
///     }
///     let mut page = Vec::new();
///     while page.len() < 2
///         && let Some(event) = events.next().await
///     {
///         page.push(event?);
///     }
///     Ok(page)
/// }
/// let newest = page(&store, None).await?;
/// assert_eq!(newest[0].data(), r#"{"amount":5}"#);
/// let older = page(&store, Some(newest[1].position())).await?;
/// assert_eq!(older[0].data(), r#"{"amount":3}"#);
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing is read before it is polled"]
pub struct Backwards(Ahead<FromEnd>);

impl Backwards {
    pub(crate) fn new(log: Log) -> Self {
        Self(Ahead::of(FromEnd {
            log,
            before: None,
            most: AHEAD,
            reader: None,
        }))
    }

    /// One that ends with `error` at once.
    pub(crate) fn ended(error: io::Error) -> Self {
        Self(Ahead::failed(error))
    }

    /// Reads at most `events` ahead.
    pub(crate) fn ahead(mut self, events: usize) -> Self {
        if let Some(source) = self.0.source() {
            source.most = events.clamp(1, AHEAD);
        }
        self
    }

    /// Only events before `position`. It has no effect once an event was read.
    ///
    /// See the example of [`Backwards`].
    pub fn before(mut self, position: Position) -> Self {
        if let Some(source) = self.0.source() {
            source.before = Some(position.get());
        }
        self
    }

    /// Only events of aggregates of type `A`.
    ///
    /// See the example of [`Backwards`].
    pub fn aggregate<A: Aggregate>(self) -> Self {
        self.aggregate_type(A::AGGREGATE_TYPE)
    }

    /// Only events of aggregates of this type.
    ///
    /// ```
    /// # use eventfold_es::AggregateStore;
    /// # async fn example(store: AggregateStore) {
    /// let events = store.backwards().aggregate_type("order").id("o-1");
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
    /// # use eventfold_es::AggregateStore;
    /// # async fn example(store: AggregateStore) {
    /// let placed = store.backwards().event_name("OrderPlaced");
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
    /// # use eventfold_es::{AggregateStore, Tag};
    /// # async fn example(store: AggregateStore) -> Result<(), eventfold_es::InvalidTag> {
    /// let of_course = store.backwards().tagged(Tag::new("course", "c-1")?);
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

    /// The next older event; `None` after the first event of the store, or after an error. Dropping
    /// the future loses nothing.
    ///
    /// See the example of [`Backwards`].
    pub async fn next(&mut self) -> Option<io::Result<RecordedEvent>> {
        poll_fn(|context| self.0.poll_event(context)).await
    }
}

impl Stream for Backwards {
    type Item = io::Result<RecordedEvent>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<RecordedEvent>>> {
        self.0.poll_event(context)
    }
}

impl fmt::Debug for Backwards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backwards")
            .field("filter", &self.0.filter)
            .field("ahead", &self.0.ready())
            .field("state", &self.0.state_name())
            .finish()
    }
}

/// The source of the events. It holds only the parts of the store that it reads.
struct FromEnd {
    log: Log,
    before: Option<u64>,
    /// How many events are read in one go.
    most: usize,
    /// `None` before the first read.
    reader: Option<BackwardReader>,
}

impl Source for FromEnd {
    async fn read(mut self, filter: Arc<Filter>) -> (Events, Then<Self>) {
        let read = blocking(move || {
            let mut events = Events::new();
            let then = match self.fill(&filter, &mut events) {
                Ok(true) => Then::End,
                Ok(false) => Then::More(self),
                Err(error) => Then::Failed(error.into()),
            };
            Ok((events, then))
        });
        read.await
            .unwrap_or_else(|error| (Events::new(), Then::Failed(error)))
    }
}

impl FromEnd {
    /// Reads events into `events`, until there are enough. Returns whether there are no more.
    fn fill(&mut self, filter: &Filter, events: &mut Events) -> StorageResult<bool> {
        if self.log.is_closed() {
            return Err(StorageError::closed());
        }
        if self.reader.is_none()
            && let Some(before) = self.before
        {
            self.log.check_stored(before)?;
        }
        let start = || self.log.backward_reader(self.before);
        let reader = self.reader.get_or_insert_with(start);
        let mut taking = Taking::new(filter, self.most, events);
        let mut looked_at = 0;
        reader.read(|committed| {
            looked_at += committed.len() as u64;
            if taking.takes_stream(committed) {
                for i in (0..committed.len()).rev() {
                    taking.take(committed, i)?;
                }
            }
            if looked_at >= LOOKED_AT {
                return Ok(ControlFlow::Break(()));
            }
            Ok(taking.flow())
        })
    }
}
