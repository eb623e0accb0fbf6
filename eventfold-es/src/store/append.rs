//! Events without an aggregate: appending them under a condition, and finding events by a query.

use std::io;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};

use tokio::sync::oneshot;
use uuid::Uuid;

use crate::domain::append::{AppendCondition, NewEvent};
use crate::domain::query::Query;
use crate::event::{RecordedEvent, StoredEvent, Tag};
use crate::ids::Position;
use crate::storage::commit::{CommitError, GroupCommit};
use crate::storage::condition::{After, Clause};
use crate::storage::encoding::event_line::{Common, EncodedEvents, seed_of_none};
use crate::storage::error::{StorageError, StorageErrorKind, StorageResult};
use crate::storage::search::Search;
use crate::store::AggregateStore;
use crate::sync::lock;

/// Why events were not [appended](AggregateStore::append).
///
/// See the example of [`AppendCondition`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// An event that the condition excludes is stored. Nothing of the append is stored. Read again
    /// and decide again.
    #[error("an event that the condition excludes is stored; read again and decide again")]
    ConditionFailed,

    /// The events could not be stored. By the kind:
    ///
    /// * [`InvalidInput`](io::ErrorKind::InvalidInput): there are no events, an event has no name, or
    ///   its payload has a line break;
    /// * [`InvalidData`](io::ErrorKind::InvalidData): an event is nested too deeply to be read again;
    /// * any other: as for [`ExecuteError::Io`](crate::ExecuteError::Io).
    #[error("I/O error: {0}")]
    Io(#[from] io::Error),

    /// The disk failed, or the server was lost, while the events were made durable. It is unknown
    /// whether they are stored, see
    /// [`ExecuteError::OutcomeUnknown`](crate::ExecuteError::OutcomeUnknown).
    #[error("it is unknown whether the events are stored: {0}")]
    OutcomeUnknown(io::Error),

    /// The store is shut down. Nothing of the append is stored.
    #[error("the store is shut down")]
    Closed,
}

impl From<CommitError> for AppendError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::ConditionFailed | CommitError::Conflict { .. } => Self::ConditionFailed,
            CommitError::Closed => Self::Closed,
            CommitError::Unknown(_) => Self::OutcomeUnknown(error.to_io()),
            error => Self::Io(error.to_io()),
        }
    }
}

/// What a [query](AggregateStore::query) found.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Found {
    /// The events, in the order that was asked for.
    pub events: Vec<RecordedEvent>,
    /// Up to where the store was read: the position of its newest event when the query was read, or
    /// the end of the range if that is [before](EventQuery::until) it. If the
    /// [limit](EventQuery::limit) ended a query that reads forwards, it is the position of the last
    /// event that was found. Later events were not looked at. A condition on the same query names it.
    pub position: Position,
}

/// A query before it is read, made by [`AggregateStore::query`].
///
/// ```
/// # use eventfold_es::*;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let store = AggregateStore::in_memory().open().await?;
/// # for name in ["Opened", "Closed"] {
/// #     let event = NewEvent::new(name, &())?.with_tag("course:c-1".parse()?);
/// #     store.append([event], None).await?;
/// # }
/// let of_course = Query::of(QueryItem::tagged("course:c-1".parse()?));
/// let newest = store.query(of_course).backwards().limit(1).read().await?;
/// assert_eq!(newest.events[0].name(), "Closed");
/// # Ok(())
/// # }
/// ```
#[must_use = "it is read by `read`"]
#[derive(Debug, Clone)]
pub struct EventQuery {
    store: AggregateStore,
    query: Query,
    after: u64,
    until: u64,
    backwards: bool,
    limit: usize,
}

impl EventQuery {
    /// Only events after `position`.
    ///
    /// ```
    /// # use eventfold_es::*;
    /// # async fn example(store: AggregateStore, read_up_to: Position) -> std::io::Result<()> {
    /// let newer = store.query(Query::all()).after(read_up_to).read().await?;
    /// # Ok(()) }
    /// ```
    pub fn after(mut self, position: Position) -> Self {
        self.after = position.get();
        self
    }

    /// Only events up to `position`, this one included.
    ///
    /// ```
    /// # use eventfold_es::*;
    /// # async fn example(store: AggregateStore, position: Position) -> std::io::Result<()> {
    /// let as_it_was = store.query(Query::all()).until(position).read().await?;
    /// # Ok(()) }
    /// ```
    pub fn until(mut self, position: Position) -> Self {
        self.until = position.get();
        self
    }

    /// The newest events first.
    ///
    /// See the example of [`EventQuery`].
    pub fn backwards(mut self) -> Self {
        self.backwards = true;
        self
    }

    /// At most `events` events.
    ///
    /// See the example of [`EventQuery`].
    pub fn limit(mut self, events: usize) -> Self {
        self.limit = events;
        self
    }

    /// Reads the events that are stored now.
    ///
    /// # Errors
    ///
    /// As [`AggregateStore::read_events`].
    ///
    /// See the example of [`EventQuery`].
    pub async fn read(self) -> io::Result<Found> {
        self.store.inner.check_open()?;
        let storage = &self.store.inner.storage;
        let until = self.until.min(storage.current_head().await?);
        let (after, backwards, limit) = (self.after, self.backwards, self.limit);
        let found = Arc::<Mutex<Vec<RecordedEvent>>>::default();
        let search = Search {
            query: self.query,
            after,
            until,
            backwards,
        };
        if limit > 0 {
            let events = found.clone();
            let each = move |event: StoredEvent<'_>| {
                let mut events = lock(&events);
                events.push(RecordedEvent::new(event));
                StorageResult::Ok(if events.len() < limit {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                })
            };
            storage.find(search, each).await?;
        }
        let events = std::mem::take(&mut *lock(&found));
        let is_cut_off = events.len() == limit && !backwards;
        let position = match events.last() {
            Some(last) if is_cut_off => last.position(),
            None if is_cut_off => Position::new(until.min(after)),
            _ => Position::new(until),
        };
        Ok(Found { events, position })
    }
}

impl AggregateStore {
    /// Finds the events that `query` selects, among all events of the store. An aggregate's events
    /// also have the tag `<aggregate type>:<id>`. Nothing is read before
    /// [`read`](EventQuery::read).
    ///
    /// A query whose items all have tags reads about as much as it finds. Other queries read all
    /// events of the range.
    ///
    /// See the examples of [`EventQuery`] and [`AppendCondition`].
    #[doc(alias("dcb", "search", "find events"))]
    pub fn query(&self, query: impl Into<Query>) -> EventQuery {
        EventQuery {
            store: self.clone(),
            query: query.into(),
            after: 0,
            until: u64::MAX,
            backwards: false,
            limit: usize::MAX,
        }
    }

    /// Appends events that belong to no aggregate, all or none, if the condition holds. Returns the
    /// position of the last event once they are durable.
    ///
    /// Followers get the events like all others: their aggregate type and id are empty
    /// ([`is_of_aggregate`](RecordedEvent::is_of_aggregate)), their version is 0. The events are in
    /// the journal, not in the file of a stream.
    ///
    /// Do not take the returned position for one that was read up to: others may have stored events
    /// before it. A condition names the [position of a query](Found::position).
    ///
    /// Once the events are on their way they are stored, even if the caller stops waiting.
    ///
    /// # Errors
    ///
    /// [`AppendError`]. Nothing is stored then, except as its
    /// [`OutcomeUnknown`](AppendError::OutcomeUnknown) says.
    ///
    /// See the example of [`AppendCondition`].
    #[doc(alias("dcb", "publish", "raw"))]
    pub async fn append(
        &self,
        events: impl IntoIterator<Item = NewEvent>,
        condition: Option<AppendCondition>,
    ) -> Result<Position, AppendError> {
        let storage = &self.inner.storage;
        if storage.is_closed() {
            return Err(AppendError::Closed);
        }
        self.inner.check_open().map_err(io::Error::from)?;
        let ms = storage.clock().now_ms();
        let mut encoded = EncodedEvents::new(seed_of_none());
        for event in events {
            encode(&mut encoded, &event, ms).map_err(io::Error::from)?;
        }
        if encoded.count() == 0 {
            let text = "there are no events to append";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text).into());
        }
        let clauses = condition.map_or_else(Vec::new, |condition| condition.clauses);
        let clause = |(query, after): (Query, Position)| Clause {
            query,
            after: After::Position(after.get()),
        };
        let (done, answer) = oneshot::channel();
        let group = GroupCommit {
            streams: Vec::new(),
            of_none: Some(encoded),
            condition: clauses.into_iter().map(clause).collect(),
            handed_over: None,
            term: None,
            is_imported: false,
            done: Box::new(move |result| drop(done.send(result))),
        };
        storage.commit_group(group).await;
        let positions = answer.await.unwrap_or(Err(CommitError::Closed))?;
        Ok(Position::new(positions.last().copied().unwrap_or_default()))
    }
}

fn encode(encoded: &mut EncodedEvents, event: &NewEvent, ms: u64) -> StorageResult<()> {
    if event.name.is_empty() {
        let text = "an event to append has no name";
        return Err(StorageError::new(StorageErrorKind::InvalidInput, text));
    }
    let data = event.data.get();
    if data.contains('\n') {
        let text = format!("the payload of the event `{}` has a line break", event.name);
        return Err(StorageError::new(StorageErrorKind::InvalidInput, text));
    }
    let mut common = Common {
        ms,
        ..Common::default()
    };
    let random = Uuid::new_v4().to_string();
    let own = event.id.as_deref();
    if let Some(id) = own {
        common.add_id(id);
    }
    common.add(event.actor.as_deref(), event.meta.as_ref());
    let id = own.is_none().then_some(&*random);
    let tags = event.tags.iter().map(Tag::as_str);
    encoded.push_tagged(&event.name, data.as_bytes(), id, 0, &common, tags);
    if encoded.is_too_deep() {
        let text = format!(
            "the payload or the metadata of the event `{}` is nested too deeply",
            event.name
        );
        return Err(StorageError::new(StorageErrorKind::Unreadable, text));
    }
    Ok(())
}
