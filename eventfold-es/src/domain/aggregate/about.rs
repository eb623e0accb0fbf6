//! What an aggregate says about itself, for a [`Model`](crate::model::Model).

use crate::domain::aggregate::Aggregate;
use crate::event::{UnknownEvents, about_names, tagged_names};
use crate::model::{AggregateInfo, EventInfo};

/// What `A` says.
pub(crate) fn about_aggregate<A: Aggregate>() -> AggregateInfo {
    AggregateInfo {
        name: A::AGGREGATE_TYPE.to_owned(),
        state_version: A::STATE_VERSION,
        snapshot_every: A::SNAPSHOT_EVERY,
        skips_unknown_events: A::UNKNOWN_EVENTS == UnknownEvents::Skip,
        commands: A::__commands(),
        events: A::__events(),
    }
}

/// The events of an aggregate that is implemented by hand, by the names that its event enum tells serde.
pub(crate) fn about_tagged_events<A: Aggregate>() -> Option<Vec<EventInfo>> {
    let names = tagged_names::<A::DomainEvent>()?;
    // Another stored form may have other names.
    let is_known = names.iter().all(|name| A::knows_event(name));
    (is_known && !names.is_empty()).then(|| about_names(names.iter().copied()))
}
