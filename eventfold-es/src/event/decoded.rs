//! The current events of one stored event: [`Decoded`].

use std::iter::Chain;
use std::{option, vec};

use crate::event::one_or_many::OneOrMany;

/// The events that a stored event is read as. Usually it is one. It is none if the event was
/// retired, and several if it was split since it was written.
///
/// ```
/// use eventfold_es::Decoded;
///
/// let one = Decoded::one("opened");
/// assert_eq!(one.map(str::len).into_iter().collect::<Vec<_>>(), [6]);
///
/// let split = Decoded::many(vec!["opened", "deposited"]);
/// assert_eq!(split.as_slice().len(), 2);
/// assert!(Decoded::<&str>::none().as_slice().is_empty());
/// ```
#[doc(alias("upcaster", "upcast"))]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded<E>(OneOrMany<E>);

impl<E> Decoded<E> {
    /// One event.
    ///
    /// See the example of [`Decoded`].
    #[must_use]
    pub fn one(event: E) -> Self {
        Self(OneOrMany::One(event))
    }

    /// Several events, in order.
    ///
    /// See the example of [`Decoded`].
    #[must_use]
    pub fn many(events: Vec<E>) -> Self {
        Self(OneOrMany::Many(events))
    }

    /// No event: the stored event has no meaning any more.
    ///
    /// See the example of [`Decoded`].
    #[must_use]
    pub fn none() -> Self {
        Self(OneOrMany::Many(Vec::new()))
    }

    /// The events, in order.
    ///
    /// See the example of [`Decoded`].
    #[must_use]
    pub fn as_slice(&self) -> &[E] {
        &self.0
    }

    /// The event if there is exactly one.
    ///
    /// # Errors
    ///
    /// `self` if there is no event, or several.
    ///
    /// ```
    /// # use eventfold_es::Decoded;
    /// assert_eq!(Decoded::one(5).into_one(), Ok(5));
    /// assert!(Decoded::<u8>::none().into_one().is_err());
    /// ```
    pub fn into_one(self) -> Result<E, Self> {
        match self.0 {
            OneOrMany::One(event) => Ok(event),
            OneOrMany::Many(mut events) => match events.pop() {
                Some(event) if events.is_empty() => Ok(event),
                last => {
                    events.extend(last);
                    Err(Self::many(events))
                }
            },
        }
    }

    /// Passes each event through `into`.
    ///
    /// See the example of [`Decoded`].
    #[must_use]
    pub fn map<T>(self, mut into: impl FnMut(E) -> T) -> Decoded<T> {
        Decoded(match self.0 {
            OneOrMany::One(event) => OneOrMany::One(into(event)),
            OneOrMany::Many(events) => OneOrMany::Many(events.into_iter().map(into).collect()),
        })
    }
}

impl<E> IntoIterator for Decoded<E> {
    type Item = E;
    type IntoIter = Chain<option::IntoIter<E>, vec::IntoIter<E>>;

    fn into_iter(self) -> Self::IntoIter {
        let (one, many) = match self.0 {
            OneOrMany::One(event) => (Some(event), Vec::new()),
            OneOrMany::Many(events) => (None, events),
        };
        one.into_iter().chain(many)
    }
}
