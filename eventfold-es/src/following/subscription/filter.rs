//! Which events are delivered.

use crate::event::{DomainEvent, RecordedEvent};

/// The conditions for an event. An empty list is no condition.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    pub(crate) aggregate_types: Vec<String>,
    pub(crate) ids: Vec<String>,
    pub(crate) names: Vec<String>,
}

impl Filter {
    /// Lets the events of `E` through, under their current names and their aliases.
    pub(crate) fn add_events_of<E: DomainEvent>(&mut self) {
        for known in E::NAMES {
            self.names.push(known.name.to_owned());
            let aliases = known.aliases.iter().copied();
            self.names.extend(aliases.map(str::to_owned));
        }
    }

    pub(crate) fn takes_stream(&self, aggregate_type: &str, id: &str) -> bool {
        is_one_of(&self.aggregate_types, aggregate_type) && is_one_of(&self.ids, id)
    }

    pub(crate) fn takes_name(&self, name: &str) -> bool {
        is_one_of(&self.names, name)
    }

    pub(crate) fn takes(&self, event: &RecordedEvent) -> bool {
        self.takes_stream(event.aggregate_type(), event.id()) && self.takes_name(event.name())
    }
}

fn is_one_of(wanted: &[String], found: &str) -> bool {
    wanted.is_empty() || wanted.iter().any(|wanted| wanted == found)
}
