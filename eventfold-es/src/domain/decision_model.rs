//! What a decision knows of some events: [`DecisionModel`].

use std::any::{Any, TypeId};
use std::borrow::Cow;

use crate::domain::query::{Query, QueryItem};
use crate::event::{DecodeError, EventName, StoredEvent, Tags};

/// A state that is folded from the events that have one or several tags, for a
/// [decision](crate::Decider).
///
/// Derive it (see [`derive@DecisionModel`](crate::DecisionModel)) and implement
/// [`Evolve`](crate::Evolve) for each of its events. A model is made of its default and of the events
/// that its [query](Self::query) selects, in the order of the store. Such events may belong to
/// several aggregates or to none. A store may keep it in memory between two decisions, and never
/// saves it.
///
/// ```
/// use eventfold_es::{Query, StoredEvent, Tags, prelude::*};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
/// struct Subscribed {
///     #[tag]
///     course: String,
///     #[tag]
///     student: String,
/// }
///
/// /// How many students a course has.
/// #[derive(Debug, Default, DecisionModel)]
/// #[decision_model(tag = "course", events(Subscribed))]
/// struct Seats {
///     taken: u32,
/// }
///
/// impl Evolve<Subscribed> for Seats {
///     fn evolve(&mut self, _: &Subscribed) {
///         self.taken += 1;
///     }
/// }
///
/// let mut tags = Tags::new();
/// tags.add("course", "c-1")?;
/// assert!(Seats::query(tags.clone()).matches("Subscribed", &tags));
///
/// let mut seats = Seats::default();
/// seats.apply_stored(StoredEvent::new("Subscribed", r#"{"course":"c-1","student":"s-7"}"#))?;
/// assert_eq!(seats.taken, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias("dcb", "dynamic consistency boundary", "decision projection"))]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a decision model",
    label = "`{Self}` does not implement `DecisionModel`",
    note = "add `#[derive(DecisionModel)]` with `#[decision_model(...)]` to `{Self}`"
)]
pub trait DecisionModel: Default + Send + 'static {
    /// The names of its tags: it is folded from events that have all of them, each with the value that
    /// the decision gives. Without tags it is folded from all [`EVENTS`](Self::EVENTS).
    ///
    /// See the example of [`DecisionModel`].
    const TAGS: &'static [&'static str];

    /// The stored names of its events.
    ///
    /// See the example of [`DecisionModel`].
    const EVENTS: &'static [EventName];

    /// Folds one event in its stored form.
    ///
    /// # Errors
    ///
    /// As [`DomainEvent::decode`](crate::DomainEvent::decode). The model is unchanged then.
    ///
    /// See the example of [`DecisionModel`].
    fn apply_stored(&mut self, stored: StoredEvent<'_>) -> Result<(), DecodeError>;

    /// The events that it is folded from, if `tags` are its tags with their values.
    ///
    /// See the example of [`DecisionModel`].
    #[must_use]
    fn query(tags: Tags) -> Query {
        let names = Self::EVENTS.iter();
        let names = names.flat_map(|event| std::iter::once(&event.name).chain(event.aliases));
        // Without events and tags it selects everything, which no derived model does.
        QueryItem::new(names.map(|name| Cow::Borrowed(*name)), tags)
            .map_or_else(|_| Query::all(), Query::of)
    }

    /// Whether its one tag is that of an aggregate, `<type>:<id>`.
    #[doc(hidden)]
    const __IS_OF_AGGREGATE: bool = false;

    /// The model without its type.
    #[doc(hidden)]
    const __ERASED: ErasedModel = ErasedModel {
        type_id: TypeId::of::<Self>,
        query: Self::query,
        fresh: || Box::new(Self::default()),
        fold: |state, stored| state_of::<Self>(state).apply_stored(stored),
        tags: Self::TAGS,
        events: Self::EVENTS,
        is_of_aggregate: Self::__IS_OF_AGGREGATE,
    };

    /// The tag for which a decision gives the value called `given`: a model of an aggregate has one
    /// tag, and its value may have any name.
    #[doc(hidden)]
    fn __tag(given: &'static str) -> &'static str {
        if Self::__IS_OF_AGGREGATE {
            Self::TAGS[0]
        } else {
            given
        }
    }

    /// Takes the model out of its state, which is left in its default.
    #[doc(hidden)]
    fn __take(state: &mut ModelState) -> Self {
        std::mem::take(state_of(state))
    }

    /// Puts the model back into its state.
    #[doc(hidden)]
    fn __put_back(self, state: &mut ModelState) {
        *state_of(state) = self;
    }
}

/// The state of one model. Its type is known to the model that made it.
pub type ModelState = Box<dyn Any + Send>;

/// What a runtime does with models of many types.
#[derive(Debug, Clone, Copy)]
pub struct ErasedModel {
    pub(crate) type_id: fn() -> TypeId,
    pub(crate) query: fn(Tags) -> Query,
    pub(crate) fresh: fn() -> ModelState,
    pub(crate) fold: fn(&mut ModelState, StoredEvent<'_>) -> Result<(), DecodeError>,
    pub(crate) tags: &'static [&'static str],
    pub(crate) events: &'static [EventName],
    pub(crate) is_of_aggregate: bool,
}

/// The state as the model that it is. Panics if it is another one.
fn state_of<M: DecisionModel>(state: &mut ModelState) -> &mut M {
    // Not of the box itself, which is `Any` too.
    let state: &mut (dyn Any + Send) = &mut **state;
    state
        .downcast_mut()
        .expect("a state belongs to the model that made it")
}
