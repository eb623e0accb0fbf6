//! Which events are printed: [`Wanted`].

use std::ops::ControlFlow;
use std::time::SystemTime;

use eventfold_es::inspect::{Entry, StoreReader};
use eventfold_es::{Position, Tag};

use crate::args::Filter;
use crate::commands::reading::to_the_beginning;
use crate::failure::{Failure, Result};
use crate::names::Names;
use crate::time;

/// The conditions for an event, and the names that were met, for what finds nothing.
pub(crate) struct Wanted<'a> {
    filter: &'a Filter,
    tags: Vec<Tag>,
    since: Option<SystemTime>,
    types: Names,
    events: Names,
}

impl<'a> Wanted<'a> {
    pub(crate) fn new(filter: &'a Filter) -> Result<Self> {
        let tags = filter.tag.iter().map(|tag| {
            tag.parse()
                .map_err(|error| Failure::Usage(format!("{error}")))
        });
        Ok(Self {
            filter,
            tags: tags.collect::<Result<_>>()?,
            since: filter.since.as_deref().map(time::read).transpose()?,
            types: Names::default(),
            events: Names::default(),
        })
    }

    /// Where reading begins.
    pub(crate) fn after(&self, reader: &StoreReader) -> Result<Position> {
        let from = match self.filter.from {
            Some(from) => from.to_string().parse().unwrap_or_default(),
            None => reader.begins_after(),
        };
        let Some(since) = self.since else {
            return Ok(from);
        };
        // A schema does not have the times of commits, and those of events may decrease.
        if !reader.is_of_directory() {
            return Ok(from);
        }
        // The times of commits never decrease.
        let mut before = Position::default();
        to_the_beginning(reader.read_backwards(None, |entry| {
            if entry.committed().is_some_and(|committed| committed < since) {
                before = entry.event().record().position();
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        }))?;
        Ok(from.max(before))
    }

    pub(crate) fn takes(&mut self, entry: &Entry<'_>) -> bool {
        let event = entry.event();
        let record = event.record();
        let is = |wanted: &Option<String>, found: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted == found)
        };
        if self.filter.aggregate_type.is_some() {
            self.types.add(record.aggregate_type());
        }
        if self.filter.event.is_some() {
            self.events.add(event.name());
        }
        is(&self.filter.aggregate_type, record.aggregate_type())
            && is(&self.filter.id, record.id())
            && is(&self.filter.event, event.name())
            && self
                .since
                .is_none_or(|since| entry.committed().unwrap_or_else(|| record.time()) >= since)
            && self.tags.iter().all(|tag| has(entry, tag))
    }

    /// Fails if a name in the filter was not met, although all events were read.
    pub(crate) fn check_names(&self) -> Result<()> {
        if self.filter.from.is_some() || self.since.is_some() {
            return Ok(());
        }
        let names = [
            ("aggregate type", &self.filter.aggregate_type, &self.types),
            ("event", &self.filter.event, &self.events),
        ];
        for (what, wanted, met) in names {
            if let Some(wanted) = wanted
                && !met.contains(wanted)
            {
                return Err(Failure::NotThere(met.lack(what, wanted)));
            }
        }
        Ok(())
    }
}

/// Whether the event has the tag, or belongs to the aggregate that it names.
fn has(entry: &Entry<'_>, tag: &Tag) -> bool {
    let event = entry.event();
    let record = event.record();
    let id = tag.as_str().strip_prefix(record.aggregate_type());
    let is_of =
        record.is_of_aggregate() && id.and_then(|id| id.strip_prefix(':')) == Some(record.id());
    is_of || record.tags().any(|found| found == tag.as_str())
}
