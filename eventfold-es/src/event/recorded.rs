//! An event's stream, place, time and origin: [`Recorded`].

use std::borrow::Cow;
use std::time::SystemTime;

use serde::Deserialize;
use serde_json::Value;

use crate::clock::from_unix_millis;
use crate::event::Number;
use crate::ids::{Position, TraceParent, Version};

/// What is recorded with an event: its stream, its version and position, its time, and its origin.
///
/// It is borrowed from the line that holds the event. Fields that are seldom needed are parsed only
/// on access.
///
/// ```
/// use eventfold_es::{Recorded, StoredEvent};
///
/// let event = eventfold::Event::new("Deposited", serde_json::json!({ "amount": 5 }))
///     .with_actor("ann")
///     .with_meta(serde_json::json!({ "correlation_id": "r-1" }));
/// let record = Recorded::of_eventfold(&event, "account", "alice");
/// assert_eq!((record.aggregate_type(), record.id()), ("account", "alice"));
/// assert_eq!(record.actor(), Some("ann"));
/// assert_eq!(record.correlation_id().as_deref(), Some("r-1"));
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Recorded<'a> {
    pub(crate) aggregate_type: &'a str,
    pub(crate) id: &'a str,
    /// 0 where it is not known.
    pub(crate) version: u64,
    /// 0 where it is not known.
    pub(crate) position: u64,
    /// Seconds since 1970, as `eventfold` has them.
    pub(crate) ts: Number<'a>,
    /// Milliseconds since 1970, if the program that wrote the event recorded them.
    pub(crate) ms: Option<Number<'a>>,
    pub(crate) event_id: Option<&'a str>,
    pub(crate) actor: Option<&'a str>,
    /// The idempotency key of its command, where it is known.
    pub(crate) key: Option<&'a str>,
    pub(crate) meta: Meta<'a>,
    pub(crate) tags: &'a [Cow<'a, str>],
}

/// The member of `meta` that holds the version of the payload's shape.
pub(crate) const SCHEMA_VERSION: &str = "schema_version";
/// The member of `meta` that holds the place in a trace.
pub(crate) const TRACEPARENT: &str = "traceparent";

/// An event's `meta`, parsed or not.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Meta<'a> {
    None,
    /// JSON text, which may not have been parsed yet.
    Json(&'a str),
    Value(&'a Value),
}

/// The members of `meta` that the framework writes.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Known<'a> {
    #[serde(borrow)]
    correlation_id: Option<Text<'a>>,
    #[serde(borrow)]
    causation_id: Option<Text<'a>>,
    #[serde(borrow)]
    traceparent: Option<Text<'a>>,
}

/// A member that is text, or another value that the framework did not write.
#[derive(Deserialize)]
#[serde(untagged)]
enum Text<'a> {
    Text(#[serde(borrow)] Cow<'a, str>),
    Other(serde::de::IgnoredAny),
}

impl Recorded<'static> {
    /// The record of an event without any recorded data.
    pub(crate) const NOTHING: Self = Self {
        aggregate_type: "",
        id: "",
        version: 0,
        position: 0,
        ts: Number::ZERO,
        ms: None,
        event_id: None,
        actor: None,
        key: None,
        meta: Meta::None,
        tags: &[],
    };
}

impl<'a> Recorded<'a> {
    /// The record of an event at a time in milliseconds since 1970, of which nothing else is known.
    pub(crate) fn at(ms: u64) -> Self {
        Self {
            ts: Number::Read(ms / 1000),
            ms: Some(Number::Read(ms)),
            ..Recorded::NOTHING
        }
    }

    /// The record of an `eventfold` event, in the stream `aggregate_type/id`. Such an event has no
    /// version and no position; both are 0.
    ///
    /// See the example of [`Recorded`].
    #[must_use]
    pub fn of_eventfold(event: &'a eventfold::Event, aggregate_type: &'a str, id: &'a str) -> Self {
        Self {
            aggregate_type,
            id,
            ts: Number::Read(event.ts),
            event_id: event.id.as_deref(),
            actor: event.actor.as_deref(),
            meta: event.meta.as_ref().map_or(Meta::None, Meta::Value),
            ..Recorded::NOTHING
        }
    }

    /// Whether the event belongs to an aggregate. A commit may also have events that belong to
    /// none. Their type and id are empty and their version is 0; they have a position like all
    /// events.
    ///
    /// ```
    /// # use eventfold_es::Recorded;
    /// let event = eventfold::Event::new("Closed", serde_json::Value::Null);
    /// assert!(Recorded::of_eventfold(&event, "account", "a").is_of_aggregate());
    /// ```
    #[must_use]
    pub fn is_of_aggregate(&self) -> bool {
        !self.aggregate_type.is_empty()
    }

    /// The event's tags, each `name:value`, in order. The name of the event's aggregate is not among
    /// them, although a [`Query`](crate::Query) finds all events of the aggregate by it.
    ///
    /// ```
    /// # use eventfold_es::Recorded;
    /// let event = eventfold::Event::new("Closed", serde_json::Value::Null);
    /// assert_eq!(Recorded::of_eventfold(&event, "account", "a").tags().count(), 0);
    /// ```
    pub fn tags(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.tags.iter().map(|tag| &**tag)
    }

    /// The aggregate's type, the first half of the stream's name. Empty for an event that [belongs
    /// to none](Self::is_of_aggregate).
    ///
    /// See the example of [`Recorded`].
    #[must_use]
    pub fn aggregate_type(&self) -> &'a str {
        self.aggregate_type
    }

    /// The aggregate's id, the second half of the stream's name. Empty for an event that [belongs
    /// to none](Self::is_of_aggregate).
    ///
    /// See the example of [`Recorded`].
    #[must_use]
    pub fn id(&self) -> &'a str {
        self.id
    }

    /// The event's version in its stream, from 1 on. 0 if the event is in no store, or [belongs to
    /// no aggregate](Self::is_of_aggregate).
    ///
    /// ```
    /// # use eventfold_es::{Recorded, Version};
    /// let event = eventfold::Event::new("Closed", serde_json::Value::Null);
    /// assert_eq!(u64::from(Recorded::of_eventfold(&event, "account", "a").version()), 0);
    /// ```
    #[must_use]
    pub fn version(&self) -> Version {
        Version::new(self.version)
    }

    /// The event's position in the store, from 1 on. The beginning if the event is in no store, or
    /// if the reader does not know the position: if another program wrote the event, only readers
    /// of the journal know it.
    ///
    /// ```
    /// # use eventfold_es::{Position, Recorded};
    /// let event = eventfold::Event::new("Closed", serde_json::Value::Null);
    /// let record = Recorded::of_eventfold(&event, "account", "a");
    /// assert_eq!(record.position(), Position::default());
    /// ```
    #[must_use]
    pub fn position(&self) -> Position {
        Position::new(self.position)
    }

    /// When the event happened: to the millisecond, or to the second if another program wrote it. A
    /// time that the system cannot represent is 1970.
    ///
    /// ```
    /// # use eventfold_es::Recorded;
    /// let event = eventfold::Event::new("Closed", serde_json::Value::Null);
    /// let age = Recorded::of_eventfold(&event, "account", "a").time().elapsed()?;
    /// assert!(age.as_secs() < 60);
    /// # Ok::<(), std::time::SystemTimeError>(())
    /// ```
    #[must_use]
    pub fn time(&self) -> SystemTime {
        from_unix_millis(self.unix_millis())
    }

    /// [`time`](Self::time) in milliseconds since 1970.
    ///
    /// ```
    /// # use eventfold_es::Recorded;
    /// let mut event = eventfold::Event::new("Closed", serde_json::Value::Null);
    /// event.ts = 2;
    /// assert_eq!(Recorded::of_eventfold(&event, "account", "a").unix_millis(), 2_000);
    /// ```
    #[must_use]
    pub fn unix_millis(&self) -> u64 {
        match self.ms {
            Some(ms) => ms.value(),
            None => self.ts.value().saturating_mul(1000),
        }
    }

    /// The event's own id. Every event that a store wrote has one.
    ///
    /// ```
    /// # use eventfold_es::Recorded;
    /// let event = eventfold::Event::new("Closed", serde_json::Value::Null).with_id("e-1");
    /// assert_eq!(Recorded::of_eventfold(&event, "account", "a").event_id(), Some("e-1"));
    /// ```
    #[must_use]
    pub fn event_id(&self) -> Option<&'a str> {
        self.event_id
    }

    /// Who sent the command, if its context said so.
    ///
    /// See the example of [`Recorded`].
    #[must_use]
    pub fn actor(&self) -> Option<&'a str> {
        self.actor
    }

    /// The id of the request or the workflow that the event belongs to, if it has one.
    ///
    /// See the example of [`Recorded`].
    #[must_use]
    pub fn correlation_id(&self) -> Option<Cow<'a, str>> {
        self.text("correlation_id", |known| known.correlation_id)
    }

    /// The id of the event or message that led to this one, if it is known.
    ///
    /// ```
    /// # use eventfold_es::Recorded;
    /// let event = eventfold::Event::new("Closed", serde_json::Value::Null)
    ///     .with_meta(serde_json::json!({ "causation_id": "e-1" }));
    /// let record = Recorded::of_eventfold(&event, "account", "a");
    /// assert_eq!(record.causation_id().as_deref(), Some("e-1"));
    /// ```
    #[must_use]
    pub fn causation_id(&self) -> Option<Cow<'a, str>> {
        self.text("causation_id", |known| known.causation_id)
    }

    /// The span of a distributed trace in which the event was decided, if it is known.
    ///
    /// ```
    /// # use eventfold_es::Recorded;
    /// let header = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    /// let event = eventfold::Event::new("Closed", serde_json::Value::Null)
    ///     .with_meta(serde_json::json!({ "traceparent": header }));
    /// let record = Recorded::of_eventfold(&event, "account", "a");
    /// assert_eq!(record.traceparent(), header.parse().ok());
    /// ```
    #[must_use]
    pub fn traceparent(&self) -> Option<TraceParent> {
        if let Meta::Json(json) = self.meta
            && !json.contains(TRACEPARENT)
        {
            // Few events have it, and those that a store wrote have its name in these letters.
            return None;
        }
        let text = self.text(TRACEPARENT, |known| known.traceparent)?;
        text.parse().ok()
    }

    /// The event's `meta` as JSON, `None` if it has none. It has the metadata and the ids of the
    /// command's context.
    ///
    /// ```
    /// # use eventfold_es::Recorded;
    /// let event = eventfold::Event::new("Closed", serde_json::Value::Null)
    ///     .with_meta(serde_json::json!({ "ip": "::1" }));
    /// let record = Recorded::of_eventfold(&event, "account", "a");
    /// assert_eq!(record.metadata().unwrap()["ip"], "::1");
    /// ```
    #[must_use]
    pub fn metadata(&self) -> Option<Value> {
        match self.meta {
            Meta::None => None,
            Meta::Json(json) => serde_json::from_str(json).ok(),
            Meta::Value(value) => Some(value.clone()),
        }
    }

    /// `meta.schema_version`, 1 if there is none. The error is the value found, if that is not a
    /// version.
    ///
    /// Every event that is read needs it, and few events have it. So the text is searched for the
    /// name before `meta` is parsed.
    #[inline]
    pub(crate) fn schema_version(&self) -> Result<u32, String> {
        match self.meta {
            Meta::None => Ok(1),
            Meta::Json(json) if !may_hold_version(json) => Ok(1),
            Meta::Json(json) => {
                let meta: Value = serde_json::from_str(json).map_err(|error| error.to_string())?;
                version_in(&meta)
            }
            Meta::Value(meta) => version_in(meta),
        }
    }

    fn text(
        &self,
        name: &str,
        take: impl FnOnce(Known<'a>) -> Option<Text<'a>>,
    ) -> Option<Cow<'a, str>> {
        match self.meta {
            Meta::None => None,
            Meta::Json(json) => {
                let known: Known<'a> = serde_json::from_str(json).ok()?;
                match take(known)? {
                    Text::Text(text) => Some(text),
                    Text::Other(_) => None,
                }
            }
            Meta::Value(value) => value.get(name)?.as_str().map(Cow::Borrowed),
        }
    }
}

/// Whether `json` may have a member `schema_version`. Its name may be written with escapes.
fn may_hold_version(json: &str) -> bool {
    json.contains(SCHEMA_VERSION) || json.contains('\\')
}

fn version_in(meta: &Value) -> Result<u32, String> {
    let Some(found) = meta.get(SCHEMA_VERSION) else {
        return Ok(1);
    };
    let version = found.as_u64().and_then(|version| version.try_into().ok());
    version
        .filter(|version| *version > 0)
        .ok_or_else(|| found.to_string())
}
