//! What types say about themselves, as parts of a [`Model`].

use serde::de::DeserializeOwned;

use crate::domain::aggregate::{Aggregate, about_aggregate};
use crate::domain::decider::{Decider, ModelOf};
use crate::domain::process_manager::{ProcessManager, Targets};
use crate::domain::projection::Projection;
#[cfg(feature = "sqlite")]
use crate::domain::sql_projection::SqlProjection;
use crate::event::{About, EventSet, about_command, about_events};
use crate::model::{DecisionInfo, EventInfo, Model, ProcessManagerInfo, ProjectionInfo};

/// Adds the aggregate `A`.
pub(crate) fn aggregate<A: Aggregate>(model: &mut Model) {
    model.add_aggregate(about_aggregate::<A>());
}

/// Adds the decision `D` and its events.
pub(crate) fn decision<D: Decider>(model: &mut Model) {
    let events = about_events::<D::DomainEvent>();
    model.add_decision(DecisionInfo {
        name: D::NAME.to_owned(),
        command: about_command(D::COMMAND_NAME, D::__COMMAND_SCHEMA),
        events: names_of(&events),
        models: D::__MODELS.iter().map(ModelOf::about).collect(),
    });
    model.add_events(events);
}

/// Adds the projection `P`, and the aggregates and events that it lists.
pub(crate) fn projection<P: Projection>(model: &mut Model) {
    let read = Read::of(P::default().subscriptions(), P::event_sets(), model);
    add_projection(P::NAME, P::VERSION, read, model);
}

/// Adds the read model `P` as a projection.
#[cfg(feature = "sqlite")]
pub(crate) fn sql_projection<P: SqlProjection>(model: &mut Model) {
    let read = Read::of(P::subscriptions(), P::event_sets(), model);
    add_projection(P::NAME, P::VERSION, read, model);
}

fn add_projection(name: &str, version: u32, read: Read, model: &mut Model) {
    model.add_projection(ProjectionInfo {
        name: name.to_owned(),
        version,
        aggregates: read.aggregates,
        events: read.events,
        gets_all_other_events: read.gets_all_others,
    });
}

/// Adds the process manager `M`, the aggregates and events that it lists, and those that it sends
/// commands to.
pub(crate) fn process_manager<M: ProcessManager>(model: &mut Model) {
    let read = Read::of(M::default().subscriptions(), M::event_sets(), model);
    let mut sends = Sends {
        model,
        dispatches: Vec::new(),
        decides: Vec::new(),
    };
    M::targets(&mut sends);
    let Sends {
        mut dispatches,
        mut decides,
        ..
    } = sends;
    sort(&mut dispatches);
    sort(&mut decides);
    model.add_process_manager(ProcessManagerInfo {
        name: M::NAME.to_owned(),
        aggregates: read.aggregates,
        events: read.events,
        gets_all_other_events: read.gets_all_others,
        dispatches,
        decides,
    });
}

/// What a projection or a process manager reads.
struct Read {
    aggregates: Vec<String>,
    events: Vec<String>,
    gets_all_others: bool,
}

impl Read {
    /// Adds the aggregates and events of `sets` to the model.
    fn of(subscriptions: &[&str], sets: &[EventSet], model: &mut Model) -> Self {
        let (of_none, of_aggregates): (Vec<&str>, Vec<&str>) =
            subscriptions.iter().partition(|name| name.is_empty());
        let (mut events, mut has_events) = (Vec::new(), false);
        for set in sets {
            match set.about {
                About::Aggregate(about) => model.add_aggregate(about()),
                About::Event(about) => {
                    has_events = true;
                    let mut about_it = Vec::new();
                    about(&mut about_it);
                    events.extend(names_of(&about_it));
                    model.add_events(about_it);
                }
            }
        }
        let mut aggregates = of_aggregates.into_iter().map(str::to_owned).collect();
        sort(&mut aggregates);
        sort(&mut events);
        Self {
            aggregates,
            events,
            gets_all_others: !of_none.is_empty() && !has_events,
        }
    }
}

/// What a process manager sends commands to.
struct Sends<'a> {
    model: &'a mut Model,
    dispatches: Vec<String>,
    decides: Vec<String>,
}

impl Targets for Sends<'_> {
    fn add<A>(&mut self)
    where
        A: Aggregate,
        A::Command: DeserializeOwned,
    {
        aggregate::<A>(self.model);
        self.dispatches.push(A::AGGREGATE_TYPE.to_owned());
    }

    fn add_decision<D>(&mut self)
    where
        D: Decider,
        D::Command: DeserializeOwned,
    {
        decision::<D>(self.model);
        self.decides.push(D::NAME.to_owned());
    }
}

/// The names of those events that are written.
fn names_of(events: &[EventInfo]) -> Vec<String> {
    let written = events.iter().filter(|event| !event.is_retired);
    written.map(|event| event.name.clone()).collect()
}

fn sort(names: &mut Vec<String>) {
    names.sort_unstable();
    names.dedup();
}
