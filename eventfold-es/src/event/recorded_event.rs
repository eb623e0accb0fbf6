//! An event that owns its data: [`RecordedEvent`].

use std::borrow::Cow;
use std::time::SystemTime;

use serde_json::Value;

use crate::event::{
    DecodeError, Decoded, DomainEvent, LifecycleEvent, Meta, Number, Recorded, StoredEvent,
};
use crate::ids::{Position, TraceParent, Version};

/// An event as a store has recorded it: its name and payload, with its stream, place, time and
/// origin. A [`Subscription`](crate::Subscription) delivers it.
///
/// ```
/// # use eventfold_es::{*, __private::example::*};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let store = AggregateStore::open(dir.path()).await?;
/// let counter = store.get::<Counter>("c-1").await?;
/// let context = CommandContext::default().with_actor("ann");
/// counter.send_with(Add(5), context).await?;
///
/// let mut events = store.subscribe(Position::default());
/// let event = events.next().await.expect("the store is open")?;
/// assert_eq!((event.aggregate_type(), event.id()), ("counter", "c-1"));
/// assert_eq!((event.name(), event.data()), ("Added", r#"{"amount":5}"#));
/// assert_eq!(event.version(), 1);
/// assert_eq!(event.position(), store.head());
/// assert_eq!(event.actor(), Some("ann"));
/// assert!(event.event_id().is_some() && event.correlation_id().is_none());
/// assert!(event.time().elapsed()?.as_secs() < 60);
///
/// let decoded = event.decode::<Counter>()?;
/// assert_eq!(decoded.as_slice(), [CounterEvent::Added { amount: 5 }]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct RecordedEvent {
    pub(crate) aggregate_type: String,
    id: String,
    pub(crate) name: String,
    data: String,
    version: u64,
    position: u64,
    ts: u64,
    ms: Option<u64>,
    event_id: Option<String>,
    actor: Option<String>,
    meta: Option<String>,
    tags: Vec<Cow<'static, str>>,
}

impl RecordedEvent {
    pub(crate) fn new(stored: StoredEvent<'_>) -> Self {
        let record = stored.record();
        Self {
            aggregate_type: record.aggregate_type.to_owned(),
            id: record.id.to_owned(),
            name: stored.name().to_owned(),
            data: stored.data().to_owned(),
            version: record.version,
            position: record.position,
            ts: record.ts.value(),
            ms: record.ms.map(Number::value),
            event_id: record.event_id.map(str::to_owned),
            actor: record.actor.map(str::to_owned),
            meta: match record.meta {
                Meta::Json(json) => Some(json.to_owned()),
                // An event from a line has its `meta` as JSON text.
                Meta::None | Meta::Value(_) => None,
            },
            tags: record.tags().map(|tag| tag.to_owned().into()).collect(),
        }
    }

    /// The same data as a borrowed [`Recorded`].
    ///
    /// See the example of [`RecordedEvent`], whose other functions are those of [`Recorded`].
    #[must_use]
    pub fn record(&self) -> Recorded<'_> {
        Recorded {
            aggregate_type: &self.aggregate_type,
            id: &self.id,
            version: self.version,
            position: self.position,
            ts: Number::Read(self.ts),
            ms: self.ms.map(Number::Read),
            event_id: self.event_id.as_deref(),
            actor: self.actor.as_deref(),
            key: None,
            meta: self.meta.as_deref().map_or(Meta::None, Meta::Json),
            tags: &self.tags,
        }
    }

    /// The event's tags, see [`Recorded::tags`].
    ///
    /// See the example of [`RecordedEvent`].
    pub fn tags(&self) -> impl Iterator<Item = &str> {
        self.tags.iter().map(|tag| &**tag)
    }

    /// The stored name.
    ///
    /// See the example of [`RecordedEvent`].
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The payload as JSON text.
    ///
    /// See the example of [`RecordedEvent`].
    #[must_use]
    pub fn data(&self) -> &str {
        &self.data
    }

    /// Whether the event belongs to an aggregate, see [`Recorded::is_of_aggregate`].
    #[must_use]
    pub fn is_of_aggregate(&self) -> bool {
        self.record().is_of_aggregate()
    }

    /// The aggregate's type, the first half of the stream's name. Empty for an event that [belongs
    /// to none](Self::is_of_aggregate).
    ///
    /// See the example of [`RecordedEvent`].
    #[must_use]
    pub fn aggregate_type(&self) -> &str {
        &self.aggregate_type
    }

    /// The aggregate's id, the second half of the stream's name. Empty for an event that [belongs
    /// to none](Self::is_of_aggregate).
    ///
    /// See the example of [`RecordedEvent`].
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The event's version in its stream, from 1 on. 0 for an event that [belongs to no
    /// aggregate](Self::is_of_aggregate).
    ///
    /// See the example of [`RecordedEvent`].
    #[must_use]
    pub fn version(&self) -> Version {
        Version::new(self.version)
    }

    /// The event's position in the store. [Subscribe](crate::store::AggregateStore::subscribe) from
    /// it to get the events after this one.
    ///
    /// See the example of [`RecordedEvent`].
    #[must_use]
    pub fn position(&self) -> Position {
        Position::new(self.position)
    }

    /// When the event happened: to the millisecond, or to the second if another program wrote it.
    ///
    /// See the example of [`RecordedEvent`].
    #[must_use]
    pub fn time(&self) -> SystemTime {
        self.record().time()
    }

    /// [`time`](Self::time) in milliseconds since 1970.
    ///
    /// See the example of [`RecordedEvent`].
    #[must_use]
    pub fn unix_millis(&self) -> u64 {
        self.record().unix_millis()
    }

    /// The event's own id. Every event that a store wrote has one.
    ///
    /// See the example of [`RecordedEvent`].
    #[must_use]
    pub fn event_id(&self) -> Option<&str> {
        self.event_id.as_deref()
    }

    /// Who sent the command, if its context said so.
    ///
    /// See the example of [`RecordedEvent`].
    #[must_use]
    pub fn actor(&self) -> Option<&str> {
        self.actor.as_deref()
    }

    /// The id of the request or the workflow that the event belongs to, if it has one.
    ///
    /// See the example of [`RecordedEvent`].
    #[must_use]
    pub fn correlation_id(&self) -> Option<Cow<'_, str>> {
        self.record().correlation_id()
    }

    /// The id of the event or message that led to this one, if it is known.
    ///
    /// See the example of [`RecordedEvent`].
    #[must_use]
    pub fn causation_id(&self) -> Option<Cow<'_, str>> {
        self.record().causation_id()
    }

    /// The span of a distributed trace in which the event was decided, if it is known.
    ///
    /// See the example of [`RecordedEvent`].
    #[must_use]
    pub fn traceparent(&self) -> Option<TraceParent> {
        self.record().traceparent()
    }

    /// The event's `meta` as JSON, `None` if it has none.
    ///
    /// See the example of [`RecordedEvent`].
    #[must_use]
    pub fn metadata(&self) -> Option<Value> {
        self.record().metadata()
    }

    /// What the store noted about an aggregate itself with this; `None` if it is an event.
    ///
    /// See the example of [`LifecycleEvent`].
    ///
    /// # Errors
    ///
    /// As [`StoredEvent::lifecycle`].
    pub fn lifecycle(&self) -> Result<Option<LifecycleEvent>, DecodeError> {
        self.stored(&self.record()).lifecycle()
    }

    /// Reads the event as an `E` in its current form, whichever aggregate it belongs to.
    ///
    /// # Errors
    ///
    /// As [`DomainEvent::decode`].
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::{Add, Counter}};
    /// # use serde::{Deserialize, Serialize};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let store = AggregateStore::open(dir.path()).await?;
    /// # store.get::<Counter>("c-1").await?.send(Add(5)).await?;
    /// #[derive(Debug, Serialize, Deserialize, DomainEvent)]
    /// struct Added {
    ///     amount: u64,
    /// }
    ///
    /// let mut events = store.subscribe(Position::default()).event::<Added>();
    /// let event = events.next().await.expect("the store is open")?;
    /// assert_eq!(event.decode_as::<Added>()?.as_slice()[0].amount, 5);
    /// # Ok(())
    /// # }
    /// ```
    pub fn decode_as<E: DomainEvent>(&self) -> Result<Decoded<E>, DecodeError> {
        E::decode(self.stored(&self.record()))
    }

    pub(crate) fn stored<'a>(&'a self, record: &'a Recorded<'a>) -> StoredEvent<'a> {
        StoredEvent::new(&self.name, &self.data).with_record(record)
    }
}
