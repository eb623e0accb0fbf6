//! Events and states as they are stored.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::domain::aggregate::Aggregate;
use crate::domain::command::CommandContext;
use crate::event::{
    DecodeError, Decoded, DomainEvent, EncodeError, InvalidTag, LifecycleEvent, Meta, Recorded,
    SCHEMA_VERSION, StoredEvent, Tags, has_tags, read_back, value,
};
#[cfg(feature = "personal")]
use crate::personal::sealing::{NotStored, not_stored};
use crate::storage::encoding::event_line::is_too_deep;
use crate::testing::diff::diff;

/// 2026-01-01. The events of tests happen from then on, a second apart.
const BEGINNING: u64 = 1_767_225_600;

/// The time of the event at `position`, in milliseconds since 1970, unless a test sets another.
pub(super) fn time_of(position: u64) -> u64 {
    (BEGINNING + position) * 1000
}

/// An event in its stored form.
#[derive(Debug, Clone)]
pub(super) struct Form {
    pub(super) name: String,
    pub(super) version: u32,
    pub(super) data: Value,
    /// The payload as it is in a line.
    pub(super) text: String,
    pub(super) tags: Tags,
}

/// The stream of an event, its version, its position and its time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) aggregate_type: &'a str,
    pub(super) id: &'a str,
    pub(super) version: u64,
    pub(super) position: u64,
    /// Milliseconds since 1970.
    pub(super) ms: u64,
    /// The context of the command that stored the event.
    pub(super) context: Option<&'a CommandContext>,
}

impl Form {
    /// The form with this payload.
    pub(super) fn new(name: impl Into<String>, version: u32, data: Value) -> Self {
        let text = data.to_string();
        Self {
            name: name.into(),
            version,
            data,
            text,
            tags: Tags::new(),
        }
    }

    /// The form in which `A` stores `event`.
    pub(super) fn of<A: Aggregate>(event: &A::DomainEvent) -> Result<Self, String> {
        let mut data = Vec::new();
        let name = in_clear(|| A::encode_event(event, &mut data));
        let version = A::event_version(event).unwrap_or(1);
        let mut form = Self::read(name.map(std::borrow::Cow::into_owned), version, &data)?;
        form.set_tags(|tags| A::event_tags(event, tags), A::HAS_TAGS)?;
        Ok(form)
    }

    /// The form in which an event of the set `E` is stored, with its tags.
    pub(super) fn of_tagged<E: DomainEvent>(event: &E) -> Result<Self, String> {
        let mut form = Self::of_event(event)?;
        let has_tags = has_tags(E::NAMES);
        form.set_tags(|tags| event.append_tags(tags), has_tags)?;
        Ok(form)
    }

    /// Fails if a store would refuse the tags, or would not ask for them.
    fn set_tags(
        &mut self,
        append: impl FnOnce(&mut Tags) -> Result<(), InvalidTag>,
        has_tags: bool,
    ) -> Result<(), String> {
        let name = &self.name;
        append(&mut self.tags).map_err(|error| format!("event `{name}`: {error}"))?;
        if !has_tags && !self.tags.is_empty() {
            return Err(format!(
                "event `{name}` has tags, but its type says that it has none: set `HAS_TAGS` of the \
                 aggregate, or the `tags` in the `NAMES` of the event"
            ));
        }
        Ok(())
    }

    /// The form in which an event of the set `E` is stored, without its tags: a sample made by
    /// `Default` may have none.
    pub(super) fn of_event<E: DomainEvent>(event: &E) -> Result<Self, String> {
        let mut data = Vec::new();
        let encoded = in_clear(|| event.encode(&mut data));
        let name = encoded.map(|()| event.name().to_owned());
        let form = Self::read(name, event.schema_version(), &data)?;
        // A sample is a `Value` in a file.
        value::read(&form.text).map_err(|error| format!("event `{}`: {error}", form.name))?;
        Ok(form)
    }

    /// The form in which a store notes something about an aggregate itself.
    pub(super) fn of_lifecycle(noted: &LifecycleEvent) -> Result<Self, String> {
        let data = noted.data().map_err(|error| error.to_string())?;
        Self::read(Ok(noted.name().to_owned()), 1, &data)
    }

    fn read(name: Result<String, EncodeError>, version: u32, data: &[u8]) -> Result<Self, String> {
        let name = name.map_err(|error| error.to_string())?;
        let not_json = |error: &dyn std::fmt::Display| {
            format!("event `{name}` is not stored as JSON: {error}")
        };
        let text = std::str::from_utf8(data).map_err(|error| not_json(&error))?;
        let data = value::shown(text).map_err(|error| not_json(&error))?;
        Ok(Self {
            data,
            text: text.to_owned(),
            name,
            version,
            tags: Tags::new(),
        })
    }

    /// Whether both are the same. The order of unordered parts does not matter.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        (&self.name, self.version, &self.tags) == (&other.name, other.version, &other.tags)
            && alike(&self.data, &other.data)
    }

    /// The form as a line, without the members that only a store sets.
    pub(super) fn line(&self) -> String {
        let (name, data) = (json!(self.name), &self.data);
        let tags = if self.tags.is_empty() {
            String::new()
        } else {
            format!(r#","tags":{}"#, json!(self.tags))
        };
        let meta = match self.version {
            1 => String::new(),
            version => format!(r#","meta":{{"{SCHEMA_VERSION}":{version}}}"#),
        };
        format!(r#"{{"type":{name},"data":{data}{tags}{meta}}}"#)
    }

    /// Passes the event to `take` as a store would.
    pub(super) fn stored<R>(&self, place: Place<'_>, take: impl FnOnce(StoredEvent<'_>) -> R) -> R {
        let nobody = CommandContext::default();
        let context = place.context.unwrap_or(&nobody);
        let meta = context.meta(Some(self.version)).map(Value::Object);
        let event_id = format!("event-{}", place.position);
        let tags = self.tags.recorded();
        let record = Recorded {
            aggregate_type: place.aggregate_type,
            id: place.id,
            version: place.version,
            position: place.position,
            event_id: Some(&event_id),
            actor: context.actor.as_deref(),
            meta: meta.as_ref().map_or(Meta::None, Meta::Value),
            tags: &tags,
            ..Recorded::at(place.ms)
        };
        in_clear(|| take(StoredEvent::new(&self.name, &self.text).with_record(&record)))
    }
}

/// Runs `code`, in which personal data is written in clear. Nothing of it is stored.
pub(super) fn in_clear<T>(code: impl FnOnce() -> T) -> T {
    #[cfg(feature = "personal")]
    return not_stored(NotStored::Clear, code);
    #[cfg(not(feature = "personal"))]
    code()
}

/// The stored form of `event`. Panics unless the event comes back from it unchanged.
#[track_caller]
pub(super) fn round_trip<A: Aggregate>(event: &A::DomainEvent, place: Place<'_>) -> Form {
    match checked::<A>(event, place) {
        Ok(form) => form,
        Err(message) => panic!("{message}"),
    }
}

/// The stored form of `event`. Fails unless the event comes back from it unchanged.
pub(super) fn checked<A: Aggregate>(
    event: &A::DomainEvent,
    place: Place<'_>,
) -> Result<Form, String> {
    check(Form::of::<A>(event)?, place, A::decode_event, Form::of::<A>)
}

/// The stored form of `event`, of the set `E`. Fails unless the event comes back from it unchanged.
pub(super) fn checked_event<E: DomainEvent>(event: &E, place: Place<'_>) -> Result<Form, String> {
    let form = Form::of_tagged(event)?;
    check(form, place, E::decode, Form::of_tagged)
}

fn check<E>(
    form: Form,
    place: Place<'_>,
    decode: fn(StoredEvent<'_>) -> Result<Decoded<E>, DecodeError>,
    form_of: fn(&E) -> Result<Form, String>,
) -> Result<Form, String> {
    comes_back(&form, &form.stored(place, decode), form_of)?;
    // Fails if a store would refuse the event.
    if is_too_deep(&form.text) {
        return Err(format!("event `{}` is nested too deeply", form.name));
    }
    let read = form.stored(place, |stored| {
        let data = stored.data().as_bytes();
        read_back(stored.name(), data, stored.record(), decode)
    });
    read.map_err(|error| error.to_string())?;
    Ok(form)
}

/// Reads an event as `A` does.
pub(super) fn decode<A: Aggregate>(
    form: &Form,
    place: Place<'_>,
) -> Result<Decoded<A::DomainEvent>, DecodeError> {
    form.stored(place, A::decode_event)
}

/// Whether `read` is the one event that `form` was made of.
pub(super) fn comes_back<E>(
    form: &Form,
    read: &Result<Decoded<E>, DecodeError>,
    form_of: impl Fn(&E) -> Result<Form, String>,
) -> Result<(), String> {
    let title = format!(
        "event `{}` does not come back from its stored form",
        form.name
    );
    let line = form.line();
    let events = read
        .as_ref()
        .map_err(|error| format!("{title}: {error}\n  {line}"))?;
    let back: Result<Vec<Form>, String> = events.as_slice().iter().map(form_of).collect();
    let back = back.map_err(|error| format!("{title}: {error}"))?;
    match back.as_slice() {
        [back] if back.is_like(form) => Ok(()),
        back => Err(format!("{title}\n\n{}", diff(&[line], &lines(back)))),
    }
}

/// Events, a line for each.
pub(super) fn lines(forms: &[Form]) -> Vec<String> {
    forms.iter().map(Form::line).collect()
}

/// Whether both are the same. Array elements may be in any order, since a `HashSet` has another
/// order each time that it is read.
pub(super) fn alike(a: &Value, b: &Value) -> bool {
    a == b || sorted(a) == sorted(b)
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Array(elements) => {
            let mut elements: Vec<Value> = elements.iter().map(sorted).collect();
            elements.sort_by_cached_key(Value::to_string);
            Value::Array(elements)
        }
        Value::Object(members) => {
            let sorted = |(key, value): (&String, &Value)| (key.clone(), sorted(value));
            Value::Object(members.iter().map(sorted).collect())
        }
        value => value.clone(),
    }
}

/// The saved form of `state`; `what` names it in an error.
pub(super) fn saved<S: Serialize>(what: &str, state: &S) -> Result<(String, Value), String> {
    let cannot = |error| format!("{what} cannot be saved as JSON: {error}");
    let text = in_clear(|| serde_json::to_string(state)).map_err(cannot)?;
    let value = value::shown(&text).map_err(cannot)?;
    Ok((text, value))
}

/// `state`, saved and read back; `what` names it in an error.
pub(super) fn restored<S: Serialize + DeserializeOwned>(
    what: &str,
    state: &S,
) -> Result<S, String> {
    let (text, value) = saved(what, state)?;
    let back: S = serde_json::from_str(&text).map_err(|error| {
        format!("{what} does not come back from its saved form: {error}\n  {text}")
    })?;
    let (_, again) = saved(what, &back)?;
    same(
        &format!("{what} does not come back from its saved form"),
        &value,
        &again,
    )?;
    Ok(back)
}

/// An error that begins with `title` if the states are not the same.
pub(super) fn same(title: &str, expected: &Value, actual: &Value) -> Result<(), String> {
    if alike(expected, actual) {
        return Ok(());
    }
    Err(format!(
        "{title}\n\n{}",
        diff(&pretty(expected), &pretty(actual))
    ))
}

/// JSON on several lines.
pub(super) fn pretty(value: &Value) -> Vec<String> {
    format!("{value:#}").lines().map(str::to_owned).collect()
}
