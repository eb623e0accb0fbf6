//! Reading old payloads as current events.
//!
//! A derived `decode` takes a stored event through its steps like this. `first` or `then` reads the
//! payload if it has the version at which the step begins:
//!
//! ```text
//! let upcast = Upcast::of(stored, 3)?;
//! let event = upcast.first(1, "v1_to_v2", v1_to_v2)?.__result()?;
//! let event = upcast.then(2, "v2_to_v3", v2_to_v3, event)?.__result()?;
//! upcast.last::<Self, _>(event)
//! ```

use serde::de::DeserializeOwned;

use crate::event::{DecodeError, Decoded, Recorded, StoredEvent};

type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// Fails if `stored` has a newer version than `known`.
#[inline]
pub fn check_version(stored: StoredEvent<'_>, known: u32) -> Result<(), DecodeError> {
    let found = stored.schema_version()?;
    if found > known {
        return Err(DecodeError::NewerVersion {
            name: stored.name().to_owned(),
            stored: found,
            known,
        });
    }
    Ok(())
}

/// A function from an older shape of a payload to a newer one: `fn(Old) -> New`, or
/// `fn(Old, &Recorded<'_>) -> New`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a step from an old payload to a newer one",
    label = "not a function of one old payload",
    note = "a step is `fn(Old) -> New`, or `fn(Old, &Recorded<'_>) -> New` if it needs more than the payload"
)]
pub trait Step<Form> {
    /// The shape it takes.
    type Old;
    /// What it returns.
    type New;

    fn take(self, old: Self::Old, record: &Recorded<'_>) -> Self::New;
}

/// Marks a step that takes only the payload.
#[derive(Debug)]
pub struct OfPayload<Old>(Old);

/// Marks a step that also takes the record.
#[derive(Debug)]
pub struct OfPayloadAndRecord<Old>(Old);

#[diagnostic::do_not_recommend]
impl<F: FnOnce(Old) -> New, Old, New> Step<OfPayload<Old>> for F {
    type Old = Old;
    type New = New;

    fn take(self, old: Old, _: &Recorded<'_>) -> New {
        self(old)
    }
}

#[diagnostic::do_not_recommend]
impl<F, Old, New> Step<OfPayloadAndRecord<Old>> for F
where
    F: FnOnce(Old, &Recorded<'_>) -> New,
{
    type Old = Old;
    type New = New;

    fn take(self, old: Old, record: &Recorded<'_>) -> New {
        self(old, record)
    }
}

/// A shape that a payload had.
#[diagnostic::on_unimplemented(
    message = "the old payload `{Self}` cannot be read",
    label = "serde's `Deserialize` is missing for `{Self}`",
    note = "add `#[derive(serde::Deserialize)]` to `{Self}`; it must own its data"
)]
pub trait OldPayload: Sized {
    fn read(stored: StoredEvent<'_>) -> serde_json::Result<Self>;
}

#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned> OldPayload for T {
    fn read(stored: StoredEvent<'_>) -> serde_json::Result<Self> {
        serde_json::from_str(stored.data())
    }
}

/// The return value of one step is the argument of the next.
#[diagnostic::on_unimplemented(
    message = "this step takes `{Next}`, but the step before it returns `{Self}`",
    label = "takes `{Next}`, gets `{Self}`"
)]
pub trait GoesInto<Next> {
    fn into(self) -> Next;
}

#[diagnostic::do_not_recommend]
impl<T> GoesInto<T> for T {
    fn into(self) -> T {
        self
    }
}

/// The possible return types of the last step, or of the function of a retired event: one event, or
/// the events that replace it.
#[diagnostic::on_unimplemented(
    message = "the last step returns `{Self}`, but must return the event `{Event}`",
    label = "returns `{Self}`, must return `{Event}`",
    note = "it may be `{Event}`, or `Option`, `Vec` or `Decoded` of it if the event was retired or split, each also in a `Result`"
)]
pub trait Becomes<Event> {
    fn events(self) -> Decoded<Event>;
}

#[diagnostic::do_not_recommend]
impl<E> Becomes<E> for E {
    fn events(self) -> Decoded<E> {
        Decoded::one(self)
    }
}

#[diagnostic::do_not_recommend]
impl<E> Becomes<E> for Option<E> {
    fn events(self) -> Decoded<E> {
        self.map_or_else(Decoded::none, Decoded::one)
    }
}

#[diagnostic::do_not_recommend]
impl<E> Becomes<E> for Vec<E> {
    fn events(self) -> Decoded<E> {
        Decoded::many(self)
    }
}

#[diagnostic::do_not_recommend]
impl<E> Becomes<E> for Decoded<E> {
    fn events(self) -> Decoded<E> {
        self
    }
}

/// The error of a step that may fail.
#[diagnostic::on_unimplemented(
    message = "a step cannot fail with `{Self}`",
    label = "`{Self}` is neither an error nor text",
    note = "it must be an error that is `Send + Sync + 'static`, or a text"
)]
pub trait StepError {
    fn boxed(self) -> AnyError;
}

#[diagnostic::do_not_recommend]
impl<E: Into<AnyError>> StepError for E {
    fn boxed(self) -> AnyError {
        self.into()
    }
}

/// A stored event of an older version than the current one.
#[derive(Debug, Clone, Copy)]
pub struct Upcast<'a> {
    stored: StoredEvent<'a>,
    version: u32,
    current: u32,
}

impl<'a> Upcast<'a> {
    /// `stored`, to be read in the version `current`. Fails if it has a newer version.
    pub fn of(stored: StoredEvent<'a>, current: u32) -> Result<Self, DecodeError> {
        check_version(stored, current)?;
        Ok(Self {
            stored,
            version: stored.schema_version()?,
            current,
        })
    }

    /// `stored` in any version.
    pub fn any(stored: StoredEvent<'a>) -> Result<Self, DecodeError> {
        Self::of(stored, u32::MAX)
    }

    /// Whether no step is needed.
    pub fn is_current(&self) -> bool {
        self.version == self.current
    }

    /// Takes the step from version `from`, if the event has that version.
    pub fn first<Form, F: Step<Form>>(
        &self,
        from: u32,
        path: &'static str,
        step: F,
    ) -> Result<Returned<'a, F::New>, DecodeError>
    where
        F::Old: OldPayload,
    {
        self.then(from, path, step, None::<F::Old>)
    }

    /// Takes the step from version `from`, with the result of the previous step, or with the
    /// payload if the event has that version.
    pub fn then<Form, F: Step<Form>, Before: GoesInto<F::Old>>(
        &self,
        from: u32,
        path: &'static str,
        step: F,
        before: Option<Before>,
    ) -> Result<Returned<'a, F::New>, DecodeError>
    where
        F::Old: OldPayload,
    {
        let mut returned = Returned {
            value: None,
            name: self.stored.name(),
            version: from,
            step: path,
        };
        let old = match before {
            Some(before) => Some(before.into()),
            None if self.version == from => Some(self.stored.open(|| {
                let read = F::Old::read(self.stored);
                read.map_err(|error| returned.failed(Box::new(error)))
            })?),
            None => None,
        };
        returned.value = old.map(|old| step.take(old, self.stored.record()));
        Ok(returned)
    }

    /// The events that the last step returned.
    pub fn last<Event, New: Becomes<Event>>(
        &self,
        new: Option<New>,
    ) -> Result<Decoded<Event>, DecodeError> {
        let new = new.expect("there is a step from every version below the current one");
        Ok(new.events())
    }

    /// The events that the function `retired` returns for a retired event.
    pub fn retired<Form, F: Step<Form>>(
        &self,
        path: &'static str,
        retired: F,
        event: F::Old,
    ) -> Returned<'a, F::New> {
        Returned {
            value: Some(retired.take(event, self.stored.record())),
            name: self.stored.name(),
            version: self.version,
            step: path,
        }
    }
}

/// The return value of a step, if it was taken: a value, or a `Result` of one.
#[derive(Debug)]
pub struct Returned<'a, New> {
    value: Option<New>,
    name: &'a str,
    version: u32,
    step: &'static str,
}

impl<New> Returned<'_, New> {
    fn failed(&self, source: AnyError) -> DecodeError {
        DecodeError::Upcast {
            name: self.name.to_owned(),
            version: self.version,
            step: self.step,
            source,
        }
    }
}

/// For a step that may fail. The compiler prefers this to the method of [`Infallible`].
impl<New, E> Returned<'_, Result<New, E>> {
    pub fn __result(mut self) -> Result<Option<New>, DecodeError>
    where
        E: StepError,
    {
        match self.value.take() {
            None => Ok(None),
            Some(Ok(new)) => Ok(Some(new)),
            Some(Err(error)) => Err(self.failed(error.boxed())),
        }
    }
}

/// For a step that cannot fail.
pub trait Infallible: Sized {
    type New;

    fn __result(self) -> Result<Option<Self::New>, DecodeError>;
}

impl<New> Infallible for Returned<'_, New> {
    type New = New;

    fn __result(self) -> Result<Option<New>, DecodeError> {
        Ok(self.value)
    }
}
