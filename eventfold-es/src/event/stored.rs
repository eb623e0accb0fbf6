//! An event in its stored form: [`StoredEvent`], and why it could not be read.

use std::fmt;
use std::io;

use crate::event::{Meta, Recorded, value};
use crate::text::{InStream, Shown};

/// An event in its stored form: a name, and a payload in JSON text. Both are borrowed from the line
/// that holds them.
///
/// ```
/// use eventfold_es::StoredEvent;
///
/// let stored = StoredEvent::new("Deposited", r#"{"amount":5}"#);
/// assert_eq!(stored.to_string(), r#"Deposited {"amount":5}"#);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct StoredEvent<'a> {
    name: &'a str,
    data: &'a str,
    record: &'a Recorded<'a>,
}

impl<'a> StoredEvent<'a> {
    /// A stored event from its name and its payload in JSON text. Neither is checked.
    ///
    /// ```
    /// # use eventfold_es::StoredEvent;
    /// let stored = StoredEvent::new("Closed", "null");
    /// ```
    #[must_use]
    pub fn new(name: &'a str, data: &'a str) -> Self {
        Self {
            name,
            data,
            record: &Recorded::NOTHING,
        }
    }

    /// The same event with its record.
    ///
    /// ```
    /// # use eventfold_es::{Recorded, StoredEvent};
    /// let event = eventfold::Event::new("Closed", serde_json::Value::Null);
    /// let record = Recorded::of_eventfold(&event, "account", "alice");
    /// let stored = StoredEvent::new("Closed", "null").with_record(&record);
    /// assert_eq!(stored.record().id(), "alice");
    /// ```
    #[must_use]
    pub fn with_record(self, record: &'a Recorded<'a>) -> Self {
        Self { record, ..self }
    }

    /// The stored name.
    ///
    /// ```
    /// # use eventfold_es::StoredEvent;
    /// assert_eq!(StoredEvent::new("Closed", "null").name(), "Closed");
    /// ```
    #[must_use]
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// The payload as JSON text.
    ///
    /// ```
    /// # use eventfold_es::StoredEvent;
    /// assert_eq!(StoredEvent::new("Closed", "null").data(), "null");
    /// ```
    #[must_use]
    pub fn data(&self) -> &'a str {
        self.data
    }

    /// The event's record: its stream, its place, its time.
    ///
    /// See the example of [`with_record`](Self::with_record).
    #[must_use]
    pub fn record(&self) -> &'a Recorded<'a> {
        self.record
    }

    /// The version of the payload's shape: `meta.schema_version`, 1 if there is none.
    ///
    /// # Errors
    ///
    /// [`DecodeError::InvalidVersion`] if that member is not a version.
    ///
    /// ```
    /// # use eventfold_es::{Recorded, StoredEvent};
    /// let event = eventfold::Event::new("Closed", serde_json::Value::Null)
    ///     .with_meta(serde_json::json!({ "schema_version": 2 }));
    /// let record = Recorded::of_eventfold(&event, "account", "alice");
    /// let stored = StoredEvent::new("Closed", "null").with_record(&record);
    /// assert_eq!(stored.schema_version()?, 2);
    /// assert_eq!(StoredEvent::new("Closed", "null").schema_version()?, 1);
    /// # Ok::<(), eventfold_es::DecodeError>(())
    /// ```
    #[inline]
    pub fn schema_version(&self) -> Result<u32, DecodeError> {
        let found = self.record.schema_version();
        found.map_err(|found| DecodeError::InvalidVersion {
            name: self.name.to_owned(),
            found,
        })
    }

    /// Reads the payload by `read`. Fails if a key cannot be reached, and if the payload has personal data
    /// that was sealed for another event or field.
    #[cfg(feature = "personal")]
    #[inline]
    pub(crate) fn open<T>(
        &self,
        read: impl FnOnce() -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        use crate::personal::sealing::{self, OpenError};

        let opened = sealing::open(self.record.event_id, self.data, read);
        opened.map_err(|error| match error {
            OpenError::NoKey(cause) => DecodeError::Key {
                name: self.name.to_owned(),
                cause: cause.to_string(),
            },
            OpenError::Moved(cause) => {
                DecodeError::malformed(self.name, serde::de::Error::custom(cause))
            }
        })?
    }

    /// Reads the payload by `read`.
    #[cfg(not(feature = "personal"))]
    #[inline]
    #[expect(clippy::unused_self, reason = "with personal data it is used")]
    pub(crate) fn open<T>(
        &self,
        read: impl FnOnce() -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        read()
    }

    /// An error about this event: its stream, version and name, then `cause`.
    pub(crate) fn failed(&self, cause: &dyn fmt::Display) -> io::Error {
        let in_stream = InStream {
            aggregate_type: self.record.aggregate_type,
            id: self.record.id,
            version: self.record.version,
        };
        let text = format!("{in_stream}, event `{}`: {cause}", Shown(self.name));
        io::Error::new(io::ErrorKind::InvalidData, text)
    }

    /// The whole event as an `eventfold` event.
    ///
    /// # Errors
    ///
    /// The error from reading the payload or the `meta`. A whole number beyond 64 bits is an error:
    /// a [`serde_json::Value`] cannot hold it.
    ///
    /// ```
    /// # use eventfold_es::StoredEvent;
    /// let event = StoredEvent::new("Deposited", r#"{"amount":5}"#).to_eventfold()?;
    /// assert_eq!(event.data["amount"], 5);
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    pub fn to_eventfold(&self) -> serde_json::Result<eventfold::Event> {
        Ok(eventfold::Event {
            event_type: self.name.to_owned(),
            data: value::read(self.data)?,
            ts: self.record.ts.value(),
            id: self.record.event_id.map(str::to_owned),
            actor: self.record.actor.map(str::to_owned),
            meta: match self.record.meta {
                Meta::None => None,
                Meta::Json(json) => Some(value::read(json)?),
                Meta::Value(value) => Some(value.clone()),
            },
        })
    }

    /// Reads the payload as a `T`.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Malformed`] if the payload is not a `T`.
    ///
    /// ```
    /// # use eventfold_es::StoredEvent;
    /// let amounts: [u64; 2] = StoredEvent::new("Split", "[2, 3]").payload()?;
    /// assert_eq!(amounts, [2, 3]);
    /// # Ok::<(), eventfold_es::DecodeError>(())
    /// ```
    pub fn payload<T: serde::de::Deserialize<'a>>(&self) -> Result<T, DecodeError> {
        let read = || serde_json::from_str(self.data);
        self.open(|| read().map_err(|source| DecodeError::malformed(self.name, source)))
    }

    /// [`DecodeError::UnknownName`] for this event.
    /// [`DomainEvent::decode`](crate::event::DomainEvent::decode) returns it for a name that it
    /// does not know.
    ///
    /// ```
    /// # use eventfold_es::StoredEvent;
    /// let error = StoredEvent::new("Closed", "null").unknown();
    /// assert_eq!(error.to_string(), "no event is named `Closed`");
    /// ```
    #[must_use]
    pub fn unknown(&self) -> DecodeError {
        DecodeError::UnknownName {
            name: self.name.to_owned(),
        }
    }
}

impl fmt::Display for StoredEvent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", Shown(self.name), self.data)
    }
}

/// A stored event could not be read.
///
/// ```
/// # use eventfold_es::{Aggregate, DecodeError, StoredEvent, __private::example::Counter};
/// let unknown = Counter::decode_event(StoredEvent::new("Removed", "null"));
/// assert!(matches!(unknown, Err(DecodeError::UnknownName { name }) if name == "Removed"));
/// let malformed = Counter::decode_event(StoredEvent::new("Added", r#"{"amount":"5"}"#));
/// assert!(matches!(malformed, Err(DecodeError::Malformed { .. })));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// No event of the set has this name or alias.
    #[error("no event is named `{}`", Shown(.name))]
    UnknownName {
        /// The stored name.
        name: String,
    },
    /// The name is known, but the payload does not fit the event.
    #[error("event `{}` cannot be read: {source}", Shown(.name))]
    Malformed {
        /// The stored name.
        name: String,
        /// What is wrong with the payload.
        source: serde_json::Error,
    },
    /// A newer program stored the event, in a shape that this program does not have. Deploy that
    /// program again, or a newer one.
    #[error(
        "event `{}` is stored in version {stored}, but this program knows versions up to \
         {known}: a newer program wrote it",
        Shown(.name)
    )]
    NewerVersion {
        /// The stored name.
        name: String,
        /// The version that is stored.
        stored: u32,
        /// The newest version that this program knows.
        known: u32,
    },
    /// The event's `meta.schema_version` is not a whole number from 1 on, so the shape of its
    /// payload is unknown.
    #[error(
        "event `{}` has `{}` as its `meta.schema_version`, which is not a whole number of at least 1",
        Shown(.name),
        Shown(.found)
    )]
    InvalidVersion {
        /// The stored name.
        name: String,
        /// The value of that member, in JSON.
        found: String,
    },
    /// A step from an older version to the current one failed.
    #[error(
        "event `{}` cannot be upcast from version {version} by `{step}`: {source}",
        Shown(.name)
    )]
    Upcast {
        /// The stored name.
        name: String,
        /// The version that the step starts from.
        version: u32,
        /// The function, as it is written in the attribute.
        step: &'static str,
        /// The error of the function, or why it does not take the old payload.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The key of the event's personal data cannot be reached. It says nothing about the event, which can be
    /// read once the key is there.
    #[error("event `{}` cannot be read: {cause}", Shown(.name))]
    Key {
        /// The stored name.
        name: String,
        /// Why there is no key.
        cause: String,
    },
    /// The event belongs to another aggregate than the one that was to read it.
    #[error(
        "event `{}` belongs to aggregate type `{}`, not to `{expected}`",
        Shown(.name),
        Shown(.aggregate_type)
    )]
    OtherAggregate {
        /// The stored name.
        name: String,
        /// The type of the aggregate that the event belongs to.
        aggregate_type: String,
        /// The type of the aggregate that was to read it.
        expected: &'static str,
    },
}

impl DecodeError {
    pub(crate) fn malformed(name: &str, source: serde_json::Error) -> Self {
        Self::Malformed {
            name: name.to_owned(),
            source,
        }
    }
}
