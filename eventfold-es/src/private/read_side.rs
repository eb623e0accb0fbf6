//! How derived projections and process managers handle an event.

use serde::{Serialize, de::DeserializeOwned};

use crate::domain::aggregate::Aggregate;
use crate::domain::command::CommandEnvelope;
use crate::domain::decider::Decider;
use crate::domain::process_manager::{Outbox, ProcessManager, Targets};
use crate::domain::projection::Projection;
use crate::event::{Recorded, StoredEvent};

/// [`Projection::apply`] through [`Projection::apply_stored`]. It cannot fail, so an event that
/// cannot be read leaves the projection unchanged. A store is stricter, and does not call this.
pub fn apply_eventfold<P: Projection>(
    projection: &mut P,
    aggregate_type: &str,
    id: &str,
    event: &eventfold::Event,
) {
    let data = event.data.to_string();
    let record = Recorded::of_eventfold(event, aggregate_type, id);
    let stored = StoredEvent::new(&event.event_type, &data).with_record(&record);
    if let Err(error) = projection.apply_stored(stored) {
        tracing::warn!(projection = P::NAME, %error, "event left out");
    }
}

/// [`ProcessManager::react`] through [`ProcessManager::react_stored`], as [`apply_eventfold`].
pub fn react_eventfold<M: ProcessManager>(
    manager: &mut M,
    aggregate_type: &str,
    id: &str,
    event: &eventfold::Event,
) -> Vec<CommandEnvelope> {
    let data = event.data.to_string();
    let record = Recorded::of_eventfold(event, aggregate_type, id);
    let stored = StoredEvent::new(&event.event_type, &data).with_record(&record);
    let mut out = Outbox::new(M::NAME, &record);
    let sent = manager
        .react_stored(stored, &mut out)
        .map_err(|error| error.to_string())
        .and_then(|()| out.into_sent().map_err(|error| error.to_string()));
    sent.unwrap_or_else(|error| {
        tracing::warn!(process_manager = M::NAME, %error, "event left out");
        Vec::new()
    })
}

/// An aggregate that process managers can send commands to.
///
/// The impl requires serde's traits, the trait does not, and the impl is not recommended. So the
/// compiler reports the aggregate once, without a list of the types that implement serde's traits.
#[diagnostic::on_unimplemented(
    message = "the commands of `{Self}` cannot be sent by a process manager",
    label = "`{Self}` is not an aggregate whose commands are serialised",
    note = "`{Self}` must be an aggregate, and its command type needs serde's `Serialize` and `Deserialize`",
    note = "with `#[aggregate(commands(...))]` it has both, unless `command_enum(derive(...))` leaves them out"
)]
pub trait DispatchTarget: Sized {
    /// Adds itself to the targets.
    fn add_to<T: Targets>(targets: &mut T);
}

#[diagnostic::do_not_recommend]
impl<A> DispatchTarget for A
where
    A: Aggregate,
    A::Command: Serialize + DeserializeOwned,
{
    fn add_to<T: Targets>(targets: &mut T) {
        targets.add::<A>();
    }
}

/// A decision that process managers can send commands to, in the way of a [`DispatchTarget`].
#[diagnostic::on_unimplemented(
    message = "the command of `{Self}` cannot be sent by a process manager",
    label = "`{Self}` is not a decision whose command is serialised",
    note = "`{Self}` must be a decision, and its command type needs serde's `Serialize` and `Deserialize`",
    note = "its command type is the one that `#[decision(command = ...)]` names"
)]
pub trait DecisionTarget: Sized {
    /// Adds itself to the targets.
    fn add_to<T: Targets>(targets: &mut T);
}

#[diagnostic::do_not_recommend]
impl<D> DecisionTarget for D
where
    D: Decider,
    D::Command: Serialize + DeserializeOwned,
{
    fn add_to<T: Targets>(targets: &mut T) {
        targets.add_decision::<D>();
    }
}
