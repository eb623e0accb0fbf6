//! Events with stored names: an event's name on disk, and how its payload is written and read.

mod about;
mod decoded;
mod fingerprint;
mod lifecycle;
mod number;
pub(crate) mod one_or_many;
mod read_back;
mod recorded;
mod recorded_event;
mod sealed;
mod set;
mod stored;
mod tagged;
mod tags;
pub(crate) mod value;
mod variant;

pub use about::{
    Schema, about_commands, about_event, about_variant, add_retired, add_retired_type,
};
pub(crate) use about::{about_command, about_events, about_names};
pub use decoded::Decoded;
pub use fingerprint::fingerprint;
pub use lifecycle::{Ended, Lifecycle, LifecycleEvent};
pub(crate) use lifecycle::{RESERVED, Standing};
pub use recorded::Recorded;
pub use recorded_event::RecordedEvent;
pub(crate) use set::About;
pub use set::EventSet;
pub use stored::{DecodeError, StoredEvent};
pub use tags::{InvalidTag, Tag, TagText, Tags, has_tags};

use crate::model::EventInfo;
use crate::text::Shown;
pub(crate) use number::{Digits, Number};
pub(crate) use read_back::read_back;
pub(crate) use recorded::{Meta, SCHEMA_VERSION, TRACEPARENT};
pub(crate) use sealed::seal;
pub(crate) use tagged::{
    decode as decode_tagged, encode as encode_tagged, knows as knows_tagged, names as tagged_names,
};
pub(crate) use variant::{decode as decode_variant, encode as encode_variant};

/// An event, or a set of events, that knows its stored names.
///
/// Derive it: on a struct it is one event, on an enum each variant is one. The stored form is
/// that of [`eventfold::Event`]: `type` is the name, `data` the payload (`null` for a unit).
///
/// ```
/// use eventfold_es::{DomainEvent, StoredEvent};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, Serialize, Deserialize, DomainEvent)]
/// #[event(name = "MoneyDeposited", alias = "Deposited")]
/// struct Deposited {
///     amount: u64,
/// }
///
/// let event = Deposited { amount: 5 };
/// let mut data = Vec::new();
/// event.encode(&mut data)?;
/// assert_eq!(event.name(), "MoneyDeposited");
/// assert_eq!(data, br#"{"amount":5}"#);
///
/// // An alias is an old name: still read, never written.
/// let old = Deposited::decode(StoredEvent::new("Deposited", r#"{"amount":7}"#))?;
/// assert_eq!(old.as_slice()[0].amount, 7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event",
    label = "no stored name is known for `{Self}`",
    note = "add `#[derive(DomainEvent)]` to `{Self}`"
)]
pub trait DomainEvent: Sized {
    /// The stored names of this type: one for a struct, one per variant for an enum.
    ///
    /// ```
    /// use eventfold_es::DomainEvent;
    ///
    /// # use serde::{Deserialize, Serialize};
    /// #[derive(Debug, Serialize, Deserialize, DomainEvent)]
    /// enum Light {
    ///     TurnedOn,
    ///     TurnedOff,
    /// }
    /// assert_eq!(Light::NAMES[1].name, "TurnedOff");
    /// ```
    const NAMES: &'static [EventName];

    /// The name under which this event is written.
    ///
    /// ```
    /// # use eventfold_es::{DomainEvent, DecodeError, StoredEvent};
    /// # #[derive(Debug, serde::Serialize, serde::Deserialize, DomainEvent)]
    /// # #[event(name = "MoneyDeposited", alias = "Deposited")]
    /// # struct Deposited { amount: u64 }
    /// assert_eq!(Deposited { amount: 5 }.name(), "MoneyDeposited");
    /// ```
    fn name(&self) -> &'static str;

    /// The version of the payload's shape that is written, from 1 on. It is stored as
    /// `meta.schema_version`, only if it is above 1.
    ///
    /// ```
    /// # use eventfold_es::DomainEvent;
    /// # use serde::{Deserialize, Serialize};
    /// #[derive(Serialize, Deserialize, DomainEvent)]
    /// #[event(version = 2, upcast(1 = in_cents))]
    /// struct Deposited {
    ///     cents: u64,
    /// }
    ///
    /// fn in_cents(dollars: u64) -> Deposited {
    ///     Deposited { cents: dollars * 100 }
    /// }
    ///
    /// assert_eq!(Deposited { cents: 500 }.schema_version(), 2);
    /// ```
    fn schema_version(&self) -> u32 {
        1
    }

    /// Appends the tags of this event, by which decisions and queries find it. A tag is stored with
    /// the event.
    ///
    /// By default it has none. A derived event has one for each field that is marked `#[tag]`.
    ///
    /// # Errors
    ///
    /// [`InvalidTag`] if a value cannot be part of a tag: it is empty or too long, or has control
    /// characters. A store refuses the event then.
    ///
    /// ```
    /// # use eventfold_es::{DomainEvent, Tags};
    /// # use serde::{Deserialize, Serialize};
    /// #[derive(Serialize, Deserialize, DomainEvent)]
    /// struct Subscribed {
    ///     #[tag]
    ///     course: String,
    ///     #[tag("student")]
    ///     by: Option<u64>,
    /// }
    ///
    /// let mut tags = Tags::new();
    /// Subscribed { course: "c-1".into(), by: Some(7) }.append_tags(&mut tags)?;
    /// assert_eq!(tags.to_string(), "course:c-1 student:7");
    /// # Ok::<(), eventfold_es::InvalidTag>(())
    /// ```
    fn append_tags(&self, _tags: &mut Tags) -> Result<(), InvalidTag> {
        Ok(())
    }

    /// Appends the payload to `data` as JSON, `null` for a unit.
    ///
    /// # Errors
    ///
    /// [`EncodeError`] if the payload cannot be written as JSON, for example a map whose keys are
    /// not strings. The content of `data` is then unspecified.
    ///
    /// A store refuses an event that [`decode`](Self::decode) could not read again. For example, a
    /// float that is not finite is written as `null`. The payload must have no line break; a
    /// `RawValue` may contain one.
    ///
    /// ```
    /// # use eventfold_es::{DomainEvent, DecodeError, StoredEvent};
    /// # #[derive(Debug, serde::Serialize, serde::Deserialize, DomainEvent)]
    /// # #[event(name = "MoneyDeposited", alias = "Deposited")]
    /// # struct Deposited { amount: u64 }
    /// let mut data = Vec::new();
    /// Deposited { amount: 5 }.encode(&mut data)?;
    /// assert_eq!(data, br#"{"amount":5}"#);
    /// # Ok::<(), eventfold_es::EncodeError>(())
    /// ```
    fn encode(&self, data: &mut Vec<u8>) -> Result<(), EncodeError>;

    /// Reads an event back from its stored form, under its name or an alias and in any version.
    /// Returns one event, unless the stored event was split or retired since.
    ///
    /// # Errors
    ///
    /// [`DecodeError::UnknownName`] if the name is not in [`NAMES`](Self::NAMES),
    /// * [`DecodeError::UnknownName`]: the name is not in [`NAMES`](Self::NAMES);
    /// * [`DecodeError::Malformed`]: the payload does not fit this event;
    /// * [`DecodeError::NewerVersion`], [`DecodeError::InvalidVersion`]: this event has no such
    ///   version;
    /// * [`DecodeError::Upcast`]: a step from the stored version to the current one fails.
    /// ```
    /// # use eventfold_es::{DomainEvent, DecodeError, StoredEvent};
    /// # #[derive(Debug, serde::Serialize, serde::Deserialize, DomainEvent)]
    /// # #[event(name = "MoneyDeposited", alias = "Deposited")]
    /// # struct Deposited { amount: u64 }
    /// let stored = StoredEvent::new("MoneyDeposited", r#"{"amount":5}"#);
    /// assert_eq!(Deposited::decode(stored)?.as_slice()[0].amount, 5);
    /// # Ok::<(), DecodeError>(())
    /// ```
    fn decode(stored: StoredEvent<'_>) -> Result<Decoded<Self>, DecodeError>;

    /// Reads an event as projections and process managers get it.
    ///
    /// # Errors
    ///
    /// As [`decode`](Self::decode).
    ///
    /// ```
    /// use eventfold_es::DomainEvent;
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Debug, PartialEq, Serialize, Deserialize, DomainEvent)]
    /// struct Deposited {
    ///     amount: u64,
    /// }
    ///
    /// let event = eventfold::Event::new("Deposited", serde_json::json!({ "amount": 5 }));
    /// assert_eq!(Deposited::from_eventfold(&event)?.as_slice(), [Deposited { amount: 5 }]);
    /// # Ok::<(), eventfold_es::DecodeError>(())
    /// ```
    fn from_eventfold(event: &eventfold::Event) -> Result<Decoded<Self>, DecodeError> {
        let data = event.data.to_string();
        let record = Recorded::of_eventfold(event, "", "");
        Self::decode(StoredEvent::new(&event.event_type, &data).with_record(&record))
    }

    /// Whether `name` is one of this type's names or aliases.
    ///
    /// ```
    /// # use eventfold_es::{DomainEvent, DecodeError, StoredEvent};
    /// # #[derive(Debug, serde::Serialize, serde::Deserialize, DomainEvent)]
    /// # #[event(name = "MoneyDeposited", alias = "Deposited")]
    /// # struct Deposited { amount: u64 }
    /// assert!(Deposited::knows("MoneyDeposited") && Deposited::knows("Deposited"));
    /// ```
    fn knows(name: &str) -> bool {
        Self::NAMES.iter().any(|known| known.is(name))
    }

    /// Tells the events, for a [`Model`](crate::model::Model).
    #[doc(hidden)]
    fn __about(events: &mut Vec<EventInfo>) {
        events.extend(Self::NAMES.iter().map(|name| about_event(name, &[], None)));
    }

    /// A sample of each event that `Default` can make, for the testing kit.
    #[doc(hidden)]
    fn __samples() -> Vec<Self> {
        Vec::new()
    }
}

/// A name under which an event is written, and the older names that are still read.
///
/// ```
/// use eventfold_es::EventName;
///
/// const DEPOSITED: EventName = EventName {
///     name: "MoneyDeposited",
///     aliases: &["Deposited"],
///     version: Some(2),
///     tags: &["account"],
/// };
/// assert!(DEPOSITED.is("Deposited"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventName {
    /// The name that is written.
    pub name: &'static str,
    /// Names that are also read, and never written.
    pub aliases: &'static [&'static str],
    /// The version of the payload's shape that is written. `None` if the event was retired: it is
    /// still read, and never written.
    pub version: Option<u32>,
    /// The names of the tags that the event may have, the part before the `:`.
    pub tags: &'static [&'static str],
}

impl EventName {
    /// Whether `name` is this name or one of its aliases.
    ///
    /// See the example of [`EventName`].
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.name == name || self.aliases.contains(&name)
    }
}

/// An event could not be written in its stored form. Its source is the cause.
///
/// ```
/// use eventfold_es::DomainEvent;
/// use std::collections::HashMap;
///
/// # use serde::{Deserialize, Serialize};
/// #[derive(Serialize, Deserialize, DomainEvent)]
/// struct Counted(HashMap<(u8, u8), u64>); // the keys of a JSON object are strings
///
/// let error = Counted([((0, 0), 1)].into()).encode(&mut Vec::new()).unwrap_err();
/// assert!(error.to_string().starts_with("event `Counted` cannot be written as JSON"));
/// ```
#[derive(Debug, thiserror::Error)]
#[error("event `{}` cannot be written as JSON: {source}", Shown(.event))]
pub struct EncodeError {
    event: String,
    source: serde_json::Error,
}

impl EncodeError {
    /// An error about the event `event`, for an [`Aggregate::encode_event`] or a
    /// [`DomainEvent::encode`] written by hand.
    ///
    /// ```
    /// use eventfold_es::EncodeError;
    ///
    /// let cause = serde_json::from_str::<u8>("no number").unwrap_err();
    /// assert!(EncodeError::new("Deposited", cause).to_string().contains("`Deposited`"));
    /// ```
    ///
    /// [`Aggregate::encode_event`]: crate::domain::aggregate::Aggregate::encode_event
    pub fn new(event: impl Into<String>, source: serde_json::Error) -> Self {
        Self {
            event: event.into(),
            source,
        }
    }
}

/// What loading does with an event whose name the aggregate does not know
/// ([`Aggregate::UNKNOWN_EVENTS`](crate::domain::aggregate::Aggregate::UNKNOWN_EVENTS)).
///
/// An event that was renamed is unknown until its old name is an alias of the new one.
///
/// ```
/// # use eventfold_es::{Aggregate, UnknownEvents, __private::example::Counter};
/// assert_eq!(Counter::UNKNOWN_EVENTS, UnknownEvents::Skip); // written by hand
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownEvents {
    /// Fail with an error that names the stream, the version and the event. `#[derive(Aggregate)]`
    /// chooses this.
    Reject,
    /// Leave the event out, with one warning per name. The snapshot keeps the names that were left
    /// out, and is discarded once one of them is known. This is the default for an aggregate
    /// written by hand, as in 0.2.0.
    Skip,
}
