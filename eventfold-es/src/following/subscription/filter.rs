//! Which events are delivered.

use crate::event::{DomainEvent, Recorded, RecordedEvent, Tag};

/// The conditions for an event. An empty list is no condition. An event must have all of the tags, and
/// one of each other list.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    pub(crate) aggregate_types: Vec<String>,
    pub(crate) ids: Vec<String>,
    pub(crate) names: Vec<String>,
    pub(crate) tags: Vec<Tag>,
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

    /// Whether an event with this record has all of the tags. That of its aggregate counts, as in a
    /// query.
    pub(crate) fn takes_tags(&self, record: &Recorded<'_>) -> bool {
        let has =
            |wanted: &Tag| record.tags().any(|tag| tag == wanted.as_str()) || is_of(wanted, record);
        self.tags.iter().all(has)
    }

    pub(crate) fn takes(&self, event: &RecordedEvent) -> bool {
        self.takes_stream(event.aggregate_type(), event.id())
            && self.takes_name(event.name())
            && self.takes_tags(&event.record())
    }
}

fn is_one_of(wanted: &[String], found: &str) -> bool {
    wanted.is_empty() || wanted.iter().any(|wanted| wanted == found)
}

/// Whether `tag` is that of the event's aggregate, `<type>:<id>`.
fn is_of(tag: &Tag, record: &Recorded<'_>) -> bool {
    let id = tag.as_str().strip_prefix(record.aggregate_type());
    record.is_of_aggregate() && id.and_then(|id| id.strip_prefix(':')) == Some(record.id())
}
