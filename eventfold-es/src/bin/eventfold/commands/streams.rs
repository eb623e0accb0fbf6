//! `ls` and `show`.

use std::cmp::Reverse;
use std::ops::ControlFlow;
use std::time::SystemTime;

use eventfold_es::inspect::{StoreReader, StreamSummaries, StreamSummary, visible};
use eventfold_es::{Lifecycle, Position, StreamId, Version};
use serde::Serialize;

use crate::args::{Ls, Show, Sort};
use crate::commands::reading::{print_head, until_failure};
use crate::event;
use crate::failure::{Failure, Result};
use crate::names::Names;
use crate::output::Output;
use crate::progress::Progress;
use crate::table::{self, Number, Text};
use crate::time;

/// A stream in JSON.
#[derive(Serialize)]
pub(crate) struct StreamJson<'a> {
    #[serde(rename = "type")]
    aggregate_type: &'a str,
    id: &'a str,
    events: u64,
    version: Version,
    #[serde(serialize_with = "time::serialize")]
    first: SystemTime,
    #[serde(serialize_with = "time::serialize")]
    last: SystemTime,
    bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<EndedJson<'a>>,
    #[serde(
        serialize_with = "time::serialize_known",
        skip_serializing_if = "Option::is_none"
    )]
    archived: Option<SystemTime>,
}

/// That an aggregate has ended, in JSON.
#[derive(Serialize)]
struct EndedJson<'a> {
    reason: &'a str,
    #[serde(serialize_with = "time::serialize")]
    when: SystemTime,
}

impl<'a> StreamJson<'a> {
    pub(crate) fn new(stream: &'a StreamSummary) -> Self {
        Self {
            aggregate_type: &stream.aggregate_type,
            id: &stream.id,
            events: stream.events,
            version: stream.version,
            first: stream.first,
            last: stream.last,
            bytes: stream.bytes,
            ended: stream.lifecycle.ended.as_ref().map(|ended| EndedJson {
                reason: &ended.reason,
                when: ended.when,
            }),
            archived: stream.lifecycle.archived,
        }
    }
}

pub(crate) fn list(reader: &mut StoreReader, ls: &Ls, out: &mut Output) -> Result<()> {
    let mut streams = StreamSummaries::default();
    let mut types = Names::default();
    let progress = Progress::events(reader.head());
    reader.read(Position::default(), |entry| {
        let event = entry.event();
        let aggregate_type = event.record().aggregate_type();
        let is_wanted = ls
            .aggregate_type
            .as_deref()
            .is_none_or(|wanted| wanted == aggregate_type);
        if is_wanted {
            streams.add(&entry);
        } else {
            types.add(aggregate_type);
        }
        progress.at(event.record().position());
        ControlFlow::Continue(())
    })?;
    drop(progress);
    let mut streams = streams.into_sorted();
    if let Some(wanted) = &ls.aggregate_type
        && streams.is_empty()
    {
        return Err(Failure::NotThere(types.lack("aggregate type", wanted)));
    }
    match ls.sort {
        Sort::Name => {}
        Sort::Events => streams.sort_by_key(|stream| Reverse(stream.events)),
        Sort::Bytes => streams.sort_by_key(|stream| Reverse(stream.bytes)),
        Sort::First => streams.sort_by_key(|stream| Reverse(stream.first)),
        Sort::Last => streams.sort_by_key(|stream| Reverse(stream.last)),
    }
    let all = streams.len();
    streams.truncate(ls.limit.unwrap_or(usize::MAX));
    if out.is_json() {
        return streams
            .iter()
            .try_for_each(|stream| out.json(&StreamJson::new(stream)));
    }
    print_table(&streams, out)?;
    if streams.len() < all {
        out.line(format_args!("{} of {all}", streams.len()))?;
    }
    print_head(reader, out)
}

/// How many rows are laid out together: a table needs memory for all of its rows.
const PORTION: usize = 2_000;

pub(crate) fn print_table(streams: &[StreamSummary], out: &mut Output) -> Result<()> {
    let mut columns = vec![
        Text("TYPE"),
        Text("ID"),
        Number("EVENTS"),
        Number("VERSION"),
        Text("FIRST"),
        Text("LAST"),
        Number("BYTES"),
    ];
    let is_usual = |stream: &StreamSummary| stream.lifecycle.takes_commands();
    let has_states = !streams.iter().all(is_usual);
    if has_states {
        columns.push(Text("STATE"));
    }
    for portion in streams.chunks(PORTION) {
        let rows = portion.iter().map(|stream| {
            let mut row = vec![
                visible(&stream.aggregate_type).to_string(),
                visible(&stream.id).to_string(),
                table::count(stream.events),
                stream.version.to_string(),
                time::shown(stream.first),
                time::shown(stream.last),
                table::bytes(stream.bytes),
            ];
            if has_states {
                row.push(state(&stream.lifecycle).to_owned());
            }
            row
        });
        table::print(out, &columns, rows.collect())?;
    }
    Ok(())
}

/// Whether an aggregate has ended or is archived, in a word.
fn state(lifecycle: &Lifecycle) -> &'static str {
    match (&lifecycle.ended, lifecycle.archived) {
        (None, None) => "",
        (None, Some(_)) => "archived",
        (Some(_), None) => "ended",
        (Some(_), Some(_)) => "ended, archived",
    }
}

/// Up to where a stream is shown.
enum Until {
    End,
    Version(Version),
    Time(SystemTime),
}

pub(crate) fn show(reader: &StoreReader, show: &Show, out: &mut Output) -> Result<()> {
    let until = match &show.at {
        None => Until::End,
        Some(at) => match at.parse() {
            Ok(version) => Until::Version(version),
            Err(_) => Until::Time(time::read(at)?),
        },
    };
    let id = StreamId::new(&show.aggregate_type, &show.id);
    let id = id.map_err(|error| Failure::Usage(error.to_string()))?;
    let (mut is_there, mut failed) = (false, Ok(()));
    let mut shown = StreamSummaries::default();
    reader.read_stream(&id, |entry| {
        let event = entry.event();
        let record = event.record();
        is_there = true;
        let is_after = match until {
            Until::End => false,
            Until::Version(last) => record.version() > last,
            Until::Time(last) => record.time() > last,
        };
        if is_after {
            return ControlFlow::Break(());
        }
        shown.add(&entry);
        match until_failure(&mut failed, || event::print_block(out, &entry)) {
            Some(()) => ControlFlow::Continue(()),
            None => ControlFlow::Break(()),
        }
    })?;
    failed?;
    if !is_there {
        return Err(Failure::NotThere(lack_of(reader, &id)?));
    }
    if out.is_json() {
        return Ok(());
    }
    for stream in shown.into_sorted() {
        print_state(&stream.lifecycle, out)?;
    }
    print_head(reader, out)
}

fn print_state(lifecycle: &Lifecycle, out: &mut Output) -> Result<()> {
    if let Some(ended) = &lifecycle.ended {
        let (when, reason) = (time::shown(ended.when), visible(&ended.reason));
        out.line(format_args!("It ended at {when}: {reason}"))?;
    }
    if let Some(when) = lifecycle.archived {
        let when = time::shown(when);
        out.line(format_args!("It is archived since {when}."))?;
    }
    Ok(())
}

/// Says that there is no such aggregate, with the names that are most like it.
fn lack_of(reader: &StoreReader, id: &StreamId) -> Result<String> {
    let (mut types, mut ids) = (Names::default(), Names::default());
    let progress = Progress::events(reader.head());
    reader.read(Position::default(), |entry| {
        let event = entry.event();
        let record = event.record();
        progress.at(record.position());
        if record.is_of_aggregate() && record.version() == 1 {
            types.add(record.aggregate_type());
            if record.aggregate_type() == id.aggregate_type() {
                ids.add(record.id());
            }
        }
        ControlFlow::Continue(())
    })?;
    Ok(if types.contains(id.aggregate_type()) {
        let of_type = visible(id.aggregate_type());
        ids.lack(&format!("aggregate of type `{of_type}` with id"), id.id())
    } else {
        types.lack("aggregate type", id.aggregate_type())
    })
}
