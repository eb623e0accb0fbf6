//! Reading stored events as the events of an aggregate.

use std::io;

use crate::domain::aggregate::{Aggregate, about_aggregate};
use crate::error::{guarded, panic_message};
use crate::event::{
    About, DecodeError, Decoded, EventSet, LifecycleEvent, Recorded, RecordedEvent, StoredEvent,
    UnknownEvents,
};

/// The events that `A` reads from a stored event. `None` if `A` does not know the name and leaves
/// such events out.
pub(crate) fn decode_unless_left_out<A: Aggregate>(
    stored: StoredEvent<'_>,
) -> Result<Option<Decoded<A::DomainEvent>>, DecodeError> {
    if LifecycleEvent::of(stored)?.is_some() {
        return Ok(Some(Decoded::none()));
    }
    match A::decode_event(stored) {
        Err(DecodeError::UnknownName { .. }) if A::UNKNOWN_EVENTS == UnknownEvents::Skip => {
            Ok(None)
        }
        decoded => decoded.map(Some),
    }
}

/// Folds a stored event into `state`. Returns false if `A` does not know its name and leaves such
/// events out. If `apply` panics, the state is lost.
///
/// # Errors
///
/// Why the event cannot be folded, with its place.
pub(crate) fn fold_stored<A: Aggregate>(
    state: &mut A,
    stored: StoredEvent<'_>,
) -> io::Result<bool> {
    let panicked = |what: &str, panic: Box<dyn std::any::Any + Send>| {
        stored.failed(&format!("{what} panicked: {}", panic_message(&*panic)))
    };
    let events = match guarded(|| decode_unless_left_out::<A>(stored)) {
        Ok(Ok(Some(events))) => events,
        Ok(Ok(None)) => return Ok(false),
        Ok(Err(error)) => return Err(stored.failed(&error)),
        Err(panic) => return Err(panicked("decoding", panic)),
    };
    apply_all(state, events.as_slice()).map_err(|panic| panicked("`evolve`", panic))?;
    Ok(true)
}

/// Folds `events` into `state`. If `apply` panics, the state is lost.
pub(crate) fn apply_all<A: Aggregate>(
    state: &mut A,
    events: &[A::DomainEvent],
) -> Result<(), Box<dyn std::any::Any + Send>> {
    *state = guarded(|| {
        let mut state = std::mem::take(state);
        for event in events {
            state = state.apply(event);
        }
        state
    })?;
    Ok(())
}

/// The fold of an aggregate as an [`eventfold::ReduceFn`], for use in an [`eventfold::View`].
/// A view cannot fail. So an event that this aggregate does not know or cannot read leaves the
/// state unchanged, with a warning in the log. A store is stricter: see
/// [`Aggregate::UNKNOWN_EVENTS`].
/// [`Aggregate::UNKNOWN_EVENTS`].
///
/// ```
/// # use eventfold_es::{reducer, __private::example::Counter};
/// let reduce = reducer::<Counter>();
/// let added = eventfold::Event::new("Added", serde_json::json!({ "amount": 5 }));
/// assert_eq!(reduce(Counter::default(), &added).value, 5);
/// ```
#[must_use]
pub fn reducer<A: Aggregate>() -> eventfold::ReduceFn<A> {
    |state, event| {
        let data = event.data.to_string();
        let record = Recorded::of_eventfold(event, A::AGGREGATE_TYPE, "");
        let stored = StoredEvent::new(&event.event_type, &data).with_record(&record);
        match decode::<A>(stored) {
            Ok(events) => events.as_slice().iter().fold(state, A::apply),
            Err(error) => {
                tracing::warn!(aggregate_type = A::AGGREGATE_TYPE, %error, "event left out of the view");
                state
            }
        }
    }
}

/// The events that `stored` is today; none if the store noted something with it.
fn decode<A: Aggregate>(stored: StoredEvent<'_>) -> Result<Decoded<A::DomainEvent>, DecodeError> {
    match LifecycleEvent::of(stored)? {
        Some(_) => Ok(Decoded::none()),
        None => A::decode_event(stored),
    }
}

impl EventSet {
    /// The events of `A`.
    #[must_use]
    pub const fn of<A: Aggregate>() -> Self {
        Self {
            aggregate_type: A::AGGREGATE_TYPE,
            unknown: A::UNKNOWN_EVENTS,
            knows: A::knows_event,
            fingerprint: A::__fingerprint,
            about: About::Aggregate(about_aggregate::<A>),
        }
    }
}

impl RecordedEvent {
    /// Reads the event as one of the aggregate `A`, in its current form.
    ///
    /// # Errors
    ///
    /// [`DecodeError::OtherAggregate`] if it does not belong to an `A`; otherwise as
    /// [`Aggregate::decode_event`].
    ///
    /// See the example of [`RecordedEvent`].
    pub fn decode<A: Aggregate>(&self) -> Result<Decoded<A::DomainEvent>, DecodeError> {
        if self.aggregate_type != A::AGGREGATE_TYPE {
            return Err(DecodeError::OtherAggregate {
                name: self.name.clone(),
                aggregate_type: self.aggregate_type.clone(),
                expected: A::AGGREGATE_TYPE,
            });
        }
        decode::<A>(self.stored(&self.record()))
    }
}
