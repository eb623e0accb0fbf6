//! Reading the events that a page needs, and no more.

use std::ops::ControlFlow;

use crate::console::event::{Event, FOR_LIST};
use crate::console::failure::{Failure, Result};
use crate::console::shared::Shared;
use crate::console::source::Source;
use crate::console::states::{Changes, KnownType, changes};
use crate::console::summary::Places;
use crate::event::{RecordedEvent, StoredEvent};
use crate::text::Shown;

/// How many events one request looks at, at most, in search of those that match.
pub(crate) const LOOKED_AT: u64 = 100_000;
/// How many bytes of payloads are kept while a part of the log is read backwards.
const MOST_KEPT: usize = 4 * 1024 * 1024;
/// How many rows a page has.
pub(crate) const ROWS: usize = 50;

/// Which events of the log are shown.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted {
    pub(crate) aggregate_type: Option<String>,
    pub(crate) id: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) tags: Vec<String>,
    pub(crate) correlation: Option<String>,
    pub(crate) since: Option<u64>,
    pub(crate) until: Option<u64>,
}

impl Wanted {
    pub(crate) fn takes(&self, stored: StoredEvent<'_>) -> bool {
        let record = stored.record();
        let is = |wanted: &Option<String>, found: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted == found)
        };
        let ms = || record.unix_millis();
        is(&self.aggregate_type, record.aggregate_type)
            && is(&self.id, record.id)
            && is(&self.name, stored.name())
            && self.since.is_none_or(|since| ms() >= since)
            && self.until.is_none_or(|until| ms() <= until)
            && self.tags.iter().all(|tag| has_tag(stored, tag))
            && self
                .correlation
                .as_ref()
                .is_none_or(|wanted| record.correlation_id().as_deref() == Some(wanted))
    }

    pub(crate) fn is_everything(&self) -> bool {
        self.aggregate_type.is_none()
            && self.id.is_none()
            && self.name.is_none()
            && self.tags.is_empty()
            && self.correlation.is_none()
            && self.since.is_none()
            && self.until.is_none()
    }
}

/// Whether the event has the tag, or belongs to the aggregate that it names.
fn has_tag(stored: StoredEvent<'_>, tag: &str) -> bool {
    let record = stored.record();
    let id = tag.strip_prefix(record.aggregate_type);
    let is_of =
        record.is_of_aggregate() && id.and_then(|id| id.strip_prefix(':')) == Some(record.id);
    is_of || record.tags().any(|found| found == tag)
}

/// Events of the log, the newest first.
pub(crate) struct LogPage {
    pub(crate) events: Vec<Event>,
    /// Where older ones go on, if there may be any.
    pub(crate) older: Option<u64>,
    /// Whether the search broke off before the page was full.
    pub(crate) is_unfinished: bool,
}

/// A page of the log before the position `before`.
pub(crate) fn log_page(shared: &Shared, wanted: &Wanted, before: Option<u64>) -> Result<LogPage> {
    let (from, down_to) = {
        let summary = shared.summary();
        let from = wanted.until.and_then(|until| summary.block_after(until));
        let down_to = wanted.since.map_or(0, |since| summary.block_before(since));
        (from, down_to)
    };
    let before = match (before, from) {
        (Some(before), Some(from)) => Some(before.min(from)),
        (before, from) => before.or(from),
    };
    let mut events = Vec::new();
    let (mut older, mut is_unfinished) = (None, false);
    let (mut looked_at, mut last) = (0, 0);
    shared.source.read_backwards(before, &mut |stored| {
        let position = stored.record().position;
        if position < down_to {
            return ControlFlow::Break(());
        }
        if events.len() == ROWS || looked_at == LOOKED_AT {
            older = Some(last);
            is_unfinished = events.len() < ROWS;
            return ControlFlow::Break(());
        }
        looked_at += 1;
        last = position;
        if wanted.takes(stored) {
            events.push(Event::of(stored, FOR_LIST));
        }
        ControlFlow::Continue(())
    })?;
    Ok(LogPage {
        events,
        older,
        is_unfinished,
    })
}

/// The event at a position, with at most `most` bytes of its payload.
pub(crate) fn event_at(source: &Source, position: u64, most: usize) -> Result<Option<Event>> {
    with_event_at(source, position, |stored| Event::of(stored, most))
}

/// Passes the event at a position to `take`.
pub(crate) fn with_event_at<T>(
    source: &Source,
    position: u64,
    take: impl FnOnce(StoredEvent<'_>) -> T,
) -> Result<Option<T>> {
    if position == 0 || position > source.head() {
        return Ok(None);
    }
    let mut take = Some(take);
    let mut found = None;
    source.read_backwards(position.checked_add(1), &mut |stored| {
        if stored.record().position == position {
            found = take.take().map(|take| take(stored));
        }
        ControlFlow::Break(())
    })?;
    Ok(found)
}

/// The positions of the events before and after the one at `position`. Not every number is a position.
pub(crate) fn neighbours(source: &Source, position: u64) -> Result<(Option<u64>, Option<u64>)> {
    let (mut before, mut after) = (None, None);
    source.read_backwards(Some(position), &mut |stored| {
        before = Some(stored.record().position);
        ControlFlow::Break(())
    })?;
    // Usually it is the next number, which is found sooner.
    if with_event_at(source, position + 1, |_| ())?.is_some() {
        return Ok((before, Some(position + 1)));
    }
    source.read(position, &mut |stored| {
        after = Some(stored.record().position);
        ControlFlow::Break(())
    })?;
    Ok((before, after))
}

/// Events of one aggregate, the newest first.
pub(crate) struct StreamPage {
    pub(crate) events: Vec<Event>,
    pub(crate) is_end: bool,
}

/// The events of the aggregate before the version `before`.
pub(crate) fn stream_page(
    source: &Source,
    places: &Places,
    (aggregate_type, id): (&str, &str),
    before: u64,
) -> Result<StreamPage> {
    let mut events: Vec<Event> = Vec::new();
    let (mut is_end, mut is_done) = (true, false);
    let mut take_from = |end: Option<u64>, first: u64| {
        source.read_backwards(end, &mut |stored| {
            let record = stored.record();
            if record.position < first {
                return ControlFlow::Break(());
            }
            let is_of = record.aggregate_type == aggregate_type && record.id == id;
            if !is_of || record.version >= before {
                return ControlFlow::Continue(());
            }
            is_end = events.len() < ROWS;
            if is_end {
                events.push(Event::of(stored, FOR_LIST));
            }
            is_done = !is_end || record.version == 1;
            if is_done {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })?;
        std::io::Result::Ok(is_done)
    };
    let mut is_done = places.after < source.head() && take_from(None, places.after + 1)?;
    for (after, end) in places.parts().rev() {
        if is_done {
            break;
        }
        is_done = take_from(Some(end), after + 1)?;
    }
    Ok(StreamPage { events, is_end })
}

/// Passes the events of the aggregate to `each`, from the first on, until it breaks off.
fn each_of_stream(
    source: &Source,
    places: &Places,
    (aggregate_type, id): (&str, &str),
    each: &mut dyn FnMut(&RecordedEvent) -> ControlFlow<()>,
) -> Result<()> {
    let is_of = |stored: &StoredEvent<'_>| {
        let record = stored.record();
        record.aggregate_type == aggregate_type && record.id == id
    };
    let mut flow = ControlFlow::Continue(());
    for (after, end) in places.parts() {
        // Backwards, since a reader comes to a place near the end of a file sooner that way.
        let (mut kept, mut bytes) = (Vec::new(), 0);
        source.read_backwards(Some(end), &mut |stored| {
            if stored.record().position <= after || bytes > MOST_KEPT {
                return ControlFlow::Break(());
            }
            if is_of(&stored) {
                bytes += stored.data().len();
                kept.push(RecordedEvent::new(stored));
            }
            ControlFlow::Continue(())
        })?;
        if bytes > MOST_KEPT {
            source.read(after, &mut |stored| {
                if stored.record().position >= end {
                    return ControlFlow::Break(());
                }
                if flow.is_continue() && is_of(&stored) {
                    flow = each(&RecordedEvent::new(stored));
                }
                flow
            })?;
        } else {
            for event in kept.iter().rev() {
                if flow.is_continue() {
                    flow = each(event);
                }
            }
        }
        if flow.is_break() {
            return Ok(());
        }
    }
    if places.after < source.head() {
        source.read(places.after, &mut |stored| {
            if flow.is_continue() && is_of(&stored) {
                flow = each(&RecordedEvent::new(stored));
            }
            flow
        })?;
    }
    Ok(())
}

/// The state of an aggregate after one of its events.
pub(crate) struct StateAt {
    pub(crate) version: u64,
    /// The event, with the beginning of its payload.
    pub(crate) event: Option<Event>,
    /// The state as JSON, or why there is none.
    pub(crate) state: std::result::Result<String, String>,
    pub(crate) changes: Option<Changes>,
}

/// The state of the aggregate at `version`, and what the last event changed.
pub(crate) fn state_at(
    shared: &Shared,
    known: &KnownType,
    id: &str,
    version: u64,
) -> Result<StateAt> {
    let places = shared.summary().places(known.name, id);
    let mut states = (known.begin)();
    let begins_after = shared.source.begins_after();
    let (mut before, mut event, mut failed) = (None, None, None);
    let (mut reached, mut lacks_first) = (0, false);
    if version > 0 {
        each_of_stream(&shared.source, &places, (known.name, id), &mut |recorded| {
            let at = u64::from(recorded.version());
            // Without its first event there is no state.
            if at > version || (reached == 0 && at > 1) {
                return ControlFlow::Break(());
            }
            reached = at;
            if at == version {
                before = states.json().ok();
                let record = recorded.record();
                event = Some(Event::of(recorded.stored(&record), FOR_LIST));
            }
            failed = states.fold(recorded).err();
            if at == version || failed.is_some() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })?;
        lacks_first = reached == 0 && begins_after > 0;
        if reached < version && failed.is_none() && !lacks_first {
            return Err(Failure::NotThere(format!(
                "The newest version of `{}/{}` is {reached}.",
                Shown(known.name),
                Shown(id)
            )));
        }
    }
    let state = match failed {
        Some(error) => Err(error.to_string()),
        None if lacks_first => Err(format!(
            "its first events were dropped from the journal, which begins after position {begins_after}, so no \
             state is made of the others"
        )),
        None => states.json().map_err(|error| error.to_string()),
    };
    let changes = match (&before, &state) {
        (Some(before), Ok(after)) => changes(before, after),
        _ => None,
    };
    Ok(StateAt {
        version,
        event,
        state,
        changes,
    })
}
