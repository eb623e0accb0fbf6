//! Events that are appended without an aggregate: [`NewEvent`] and [`AppendCondition`].

use serde::Serialize;
use serde::ser::Error as _;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};

use crate::domain::query::Query;
use crate::event::{DomainEvent, EncodeError, Tag, Tags};
use crate::ids::Position;

/// An event to [append](crate::AggregateStore::append): a name, a payload, and tags by which it is
/// found.
///
/// ```
/// use eventfold_es::NewEvent;
/// use serde_json::json;
///
/// let event = NewEvent::new("Subscribed", &json!({ "student": "ann" }))?
///     .with_tag("course:c-1".parse()?)
///     .with_tag("student:ann".parse()?)
///     .with_actor("registrar");
/// assert_eq!(event.tags().len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct NewEvent {
    pub(crate) name: String,
    pub(crate) data: Box<RawValue>,
    pub(crate) tags: Tags,
    pub(crate) id: Option<String>,
    pub(crate) actor: Option<String>,
    pub(crate) meta: Option<Map<String, Value>>,
}

impl NewEvent {
    /// An event with this stored name and this payload. It has no tags yet.
    ///
    /// # Errors
    ///
    /// If the payload cannot be written as JSON.
    ///
    /// See the example of [`NewEvent`].
    pub fn new<T: Serialize + ?Sized>(
        name: impl Into<String>,
        payload: &T,
    ) -> serde_json::Result<Self> {
        Ok(Self {
            name: name.into(),
            data: to_raw_value(payload)?,
            tags: Tags::new(),
            id: None,
            actor: None,
            meta: None,
        })
    }

    /// The stored form of `event`: its name, its payload, its tags, and its version in the metadata.
    ///
    /// # Errors
    ///
    /// As [`DomainEvent::encode`], and if the value of a tag cannot be part of a tag.
    ///
    /// ```
    /// # use eventfold_es::{DomainEvent, NewEvent};
    /// # #[derive(Debug, serde::Serialize, serde::Deserialize, DomainEvent)]
    /// # struct Deposited { amount: u64 }
    /// let event = NewEvent::of(&Deposited { amount: 5 })?;
    /// assert_eq!((event.name(), event.data()), ("Deposited", r#"{"amount":5}"#));
    /// # Ok::<(), eventfold_es::EncodeError>(())
    /// ```
    pub fn of<E: DomainEvent>(event: &E) -> Result<Self, EncodeError> {
        let name = event.name();
        let mut data = Vec::new();
        event.encode(&mut data)?;
        let data = serde_json::from_slice(&data).map_err(|error| EncodeError::new(name, error))?;
        let mut tags = Tags::new();
        let added = event.append_tags(&mut tags);
        added.map_err(|error| EncodeError::new(name, serde_json::Error::custom(error)))?;
        let version = event.schema_version();
        let meta = (version > 1).then(|| {
            let member = (crate::event::SCHEMA_VERSION.to_owned(), version.into());
            Map::from_iter([member])
        });
        Ok(Self {
            name: name.to_string(),
            data,
            tags,
            id: None,
            actor: None,
            meta,
        })
    }

    /// Adds a tag. Each tag is kept once.
    ///
    /// See the example of [`NewEvent`].
    #[must_use]
    pub fn with_tag(mut self, tag: Tag) -> Self {
        self.tags.insert(tag);
        self
    }

    /// Adds tags.
    ///
    /// ```
    /// # use eventfold_es::{NewEvent, Tags};
    /// let tags = Tags::from(["course:c-1".parse()?]);
    /// let event = NewEvent::new("Closed", &())?.with_tags(tags);
    /// assert!(event.tags().contains("course:c-1"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_tags(mut self, tags: impl IntoIterator<Item = Tag>) -> Self {
        self.tags.extend(tags);
        self
    }

    /// Gives the event an id. Without one it gets a random UUID. Whether another event has the same
    /// id is not checked.
    ///
    /// ```
    /// # use eventfold_es::NewEvent;
    /// let event = NewEvent::new("Closed", &())?.with_id("imported-17");
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    #[must_use]
    pub fn with_id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Says who caused the event.
    ///
    /// See the example of [`NewEvent`].
    #[must_use]
    pub fn with_actor(mut self, actor: impl Into<String>) -> Self {
        self.actor = Some(actor.into());
        self
    }

    /// Adds members to the event's metadata.
    ///
    /// ```
    /// # use eventfold_es::NewEvent;
    /// let meta = serde_json::Map::from_iter([("source".to_owned(), "import".into())]);
    /// let event = NewEvent::new("Closed", &())?.with_metadata(meta);
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    #[must_use]
    pub fn with_metadata(mut self, meta: Map<String, Value>) -> Self {
        self.meta.get_or_insert_default().extend(meta);
        self
    }

    /// The stored name.
    ///
    /// See the example of [`of`](Self::of).
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The payload as JSON text.
    ///
    /// See the example of [`of`](Self::of).
    #[must_use]
    pub fn data(&self) -> &str {
        self.data.get()
    }

    /// The tags.
    ///
    /// See the example of [`with_tags`](Self::with_tags).
    #[must_use]
    pub fn tags(&self) -> &Tags {
        &self.tags
    }
}

/// A condition for [appending](crate::AggregateStore::append) events: no event after a position
/// matches a query. Usually that is the query that was read to decide, and the position at which it
/// was read.
///
/// ```
/// # use eventfold_es::*;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let store = AggregateStore::in_memory().open().await?;
/// let email = Query::of(QueryItem::tagged("email:ann@example.com".parse()?));
/// let found = store.query(email.clone()).read().await?;
/// assert!(found.events.is_empty());
///
/// let claimed = NewEvent::new("EmailClaimed", &())?.with_tag("email:ann@example.com".parse()?);
/// let unclaimed = AppendCondition::no_event_matches(email).after(found.position);
/// store.append([claimed.clone()], Some(unclaimed.clone())).await?;
///
/// let again = store.append([claimed], Some(unclaimed)).await;
/// assert!(matches!(again, Err(AppendError::ConditionFailed)));
/// # Ok(())
/// # }
/// ```
#[doc(alias(
    "dcb",
    "dynamic consistency boundary",
    "optimistic",
    "conditional append"
))]
#[derive(Debug, Clone)]
pub struct AppendCondition {
    pub(crate) clauses: Vec<(Query, Position)>,
}

impl AppendCondition {
    /// No event of the whole store matches `query`.
    ///
    /// See the example of [`AppendCondition`].
    #[must_use]
    pub fn no_event_matches(query: Query) -> Self {
        Self {
            clauses: vec![(query, Position::default())],
        }
    }

    /// Only events after `position` count, for the query that was given last.
    ///
    /// See the example of [`AppendCondition`].
    #[must_use]
    pub fn after(mut self, position: Position) -> Self {
        if let Some((_, after)) = self.clauses.last_mut() {
            *after = position;
        }
        self
    }

    /// And no event matches `query`, with a position of its own.
    ///
    /// ```
    /// # use eventfold_es::{AppendCondition, Position, Query, QueryItem};
    /// # let (at, earlier) = (Position::default(), Position::default());
    /// let condition = AppendCondition::no_event_matches(QueryItem::of_type("Closed").into())
    ///     .after(at)
    ///     .and_no_event_matches(QueryItem::of_type("Moved").into())
    ///     .after(earlier);
    /// ```
    #[must_use]
    pub fn and_no_event_matches(mut self, query: Query) -> Self {
        self.clauses.push((query, Position::default()));
        self
    }
}
