//! `stats`.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;

use eventfold_es::Position;
use eventfold_es::inspect::{StoreReader, StreamSummaries, StreamSummary, visible};
use serde::Serialize;

use crate::args::Stats;
use crate::commands::streams::{StreamJson, print_table};
use crate::event::NAME;
use crate::failure::Result;
use crate::output::Output;
use crate::progress::Progress;
use crate::table::{self, Number, Text};
use crate::time;

const DAY: u64 = 86_400_000;
/// How wide the bars of the chart are at most.
const BAR: u64 = 40;

#[derive(Debug, Clone, Copy, Default, Serialize)]
struct Count {
    events: u64,
    bytes: u64,
}

impl Count {
    fn add(&mut self, bytes: u64) {
        self.events += 1;
        self.bytes += bytes;
    }
}

/// The counts of one pass.
#[derive(Default)]
struct Counts {
    all: Count,
    /// By the aggregate's type, then by the event's name.
    names: HashMap<Box<str>, HashMap<Box<str>, Count>>,
    /// By the day since 1970, in UTC.
    days: BTreeMap<u64, Count>,
    streams: StreamSummaries,
}

#[derive(Serialize)]
struct Document<'a> {
    head: Position,
    /// What is counted is after this position, if older events were dropped.
    #[serde(skip_serializing_if = "Option::is_none")]
    begins_after: Option<Position>,
    closed: bool,
    events: u64,
    bytes: u64,
    streams: usize,
    events_by_name: Vec<OfName<'a>>,
    days: Vec<OfDay>,
    largest: Vec<StreamJson<'a>>,
    disk: Vec<OfPart>,
}

#[derive(Serialize)]
struct OfName<'a> {
    #[serde(rename = "type")]
    aggregate_type: &'a str,
    event: &'a str,
    #[serde(flatten)]
    count: Count,
}

#[derive(Serialize)]
struct OfDay {
    day: String,
    #[serde(flatten)]
    count: Count,
    /// How many events there were at its end.
    total: u64,
}

#[derive(Serialize)]
struct OfPart {
    part: String,
    files: u64,
    bytes: u64,
}

pub(crate) fn print(reader: &StoreReader, stats: &Stats, out: &mut Output) -> Result<()> {
    let mut counts = Counts::default();
    let progress = Progress::events(reader.head());
    reader.read(reader.begins_after(), |entry| {
        let event = entry.event();
        let record = event.record();
        let bytes = entry.line().len() as u64 + 1;
        counts.all.add(bytes);
        counts
            .days
            .entry(record.unix_millis() / DAY)
            .or_default()
            .add(bytes);
        let aggregate_type = record.aggregate_type();
        let names = counts.names.get_mut(aggregate_type);
        if let Some(count) = names.and_then(|names| names.get_mut(event.name())) {
            count.add(bytes);
        } else {
            let names = counts.names.entry(aggregate_type.into()).or_default();
            names.entry(event.name().into()).or_default().add(bytes);
        }
        counts.streams.add(&entry);
        progress.at(record.position());
        ControlFlow::Continue(())
    })?;
    drop(progress);
    let streams = counts.streams.len();
    let mut largest = std::mem::take(&mut counts.streams).into_sorted();
    largest.sort_by_key(|stream| std::cmp::Reverse(stream.bytes));
    largest.truncate(stats.largest);
    let document = document(reader, &counts, streams, &largest)?;
    if out.is_json() {
        return out.json(&document);
    }
    print_text(&document, stats, &largest, out)
}

fn document<'a>(
    reader: &StoreReader,
    counts: &'a Counts,
    streams: usize,
    largest: &'a [StreamSummary],
) -> Result<Document<'a>> {
    let mut events_by_name: Vec<OfName<'_>> = Vec::new();
    for (aggregate_type, names) in &counts.names {
        events_by_name.extend(names.iter().map(|(event, count)| OfName {
            aggregate_type,
            event,
            count: *count,
        }));
    }
    events_by_name.sort_by_key(|of| (of.aggregate_type, of.event));
    let mut total = 0;
    let days = counts.days.iter().map(|(day, count)| {
        total += count.events;
        OfDay {
            day: time::day(*day),
            count: *count,
            total,
        }
    });
    let disk = reader.disk_use()?.parts.into_iter().map(|part| OfPart {
        part: part.name,
        files: part.files,
        bytes: part.bytes,
    });
    Ok(Document {
        head: reader.head(),
        begins_after: Some(reader.begins_after()).filter(|after| *after > Position::default()),
        closed: reader.was_closed(),
        events: counts.all.events,
        bytes: counts.all.bytes,
        streams,
        events_by_name,
        days: days.collect(),
        largest: largest.iter().map(StreamJson::new).collect(),
        disk: disk.collect(),
    })
}

fn print_text(
    document: &Document<'_>,
    stats: &Stats,
    largest: &[StreamSummary],
    out: &mut Output,
) -> Result<()> {
    out.line(format_args!(
        "{} events in {} streams, {}, up to position {}",
        table::count(document.events),
        table::count(document.streams as u64),
        table::bytes(document.bytes),
        document.head
    ))?;
    out.line(match document.disk.iter().any(|of| of.files > 0) {
        false => "The store is in PostgreSQL.",
        true if document.closed => "The store was closed in order.",
        true => "The store is open, or was not closed in order.",
    })?;

    heading(out, "Events by type and name")?;
    let rows = document.events_by_name.iter().map(|of| {
        vec![
            visible(of.aggregate_type).to_string(),
            visible(of.event).to_string(),
            table::count(of.count.events),
            table::bytes(of.count.bytes),
        ]
    });
    let columns = [
        Text("TYPE"),
        Text("EVENT"),
        Number("EVENTS"),
        Number("BYTES"),
    ];
    table::print(out, &columns, rows.collect())?;

    heading(out, "Days (UTC)")?;
    let hidden = document.days.len().saturating_sub(stats.days);
    let days = &document.days[hidden..];
    let most = days.iter().map(|of| of.count.events).max().unwrap_or(1);
    let rows = days.iter().map(|of| {
        let length = (of.count.events * BAR).div_ceil(most);
        vec![
            of.day.clone(),
            table::count(of.count.events),
            table::count(of.total),
            table::bytes(of.count.bytes),
            "▇".repeat(usize::try_from(length).unwrap_or(0)),
        ]
    });
    let columns = [
        Text("DAY"),
        Number("EVENTS"),
        Number("TOTAL"),
        Number("BYTES"),
        Text(""),
    ];
    table::print(out, &columns, rows.collect())?;
    if hidden > 0 {
        out.line(format_args!("and {hidden} days before"))?;
    }

    heading(out, "Largest streams")?;
    print_table(largest, out)?;

    heading(out, "Disk")?;
    let rows = document.disk.iter().map(|of| {
        vec![
            visible(&of.part).to_string(),
            table::count(of.files),
            table::bytes(of.bytes),
        ]
    });
    table::print(
        out,
        &[Text("PART"), Number("FILES"), Number("BYTES")],
        rows.collect(),
    )
}

fn heading(out: &mut Output, text: &str) -> Result<()> {
    let text = out.styled(NAME, text);
    out.line(format_args!("\n{text}"))
}
