//! An event as it is printed.

use std::borrow::Cow;
use std::time::SystemTime;

use anstyle::{AnsiColor, Style};
use eventfold_es::inspect::{Entry, visible};
use eventfold_es::{Position, Version};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::failure::Result;
use crate::json::pretty;
use crate::output::Output;
use crate::time;

/// An event in JSON. `type` and `id` are those of its aggregate, absent if it belongs to none.
#[derive(Serialize)]
pub(crate) struct EventJson<'a> {
    position: Position,
    #[serde(rename = "type", skip_serializing_if = "str::is_empty")]
    aggregate_type: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    id: &'a str,
    version: Version,
    event: &'a str,
    #[serde(serialize_with = "time::serialize")]
    time: SystemTime,
    ms: u64,
    #[serde(serialize_with = "time::serialize_known")]
    #[serde(skip_serializing_if = "Option::is_none")]
    committed: Option<SystemTime>,
    event_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    meta: Option<Value>,
    data: Cow<'a, RawValue>,
}

impl<'a> EventJson<'a> {
    pub(crate) fn new(entry: &Entry<'a>) -> Self {
        let event = entry.event();
        let record = event.record();
        let data = serde_json::from_str::<&RawValue>(event.data());
        Self {
            position: record.position(),
            aggregate_type: record.aggregate_type(),
            id: record.id(),
            version: record.version(),
            event: event.name(),
            time: record.time(),
            ms: record.unix_millis(),
            committed: entry.committed(),
            event_id: record.event_id(),
            actor: record.actor(),
            key: entry.idempotency_key(),
            tags: record.tags().collect(),
            meta: record.metadata(),
            // The journal's line was read as JSON, and its payload with it.
            data: data.map_or_else(|_| Cow::Owned(RawValue::NULL.to_owned()), Cow::Borrowed),
        }
    }
}

/// The name of the event's stream, `-` if it has none.
pub(crate) fn stream(entry: &Entry<'_>) -> String {
    let event = entry.event();
    let record = event.record();
    if record.is_of_aggregate() {
        format!(
            "{}/{}",
            visible(record.aggregate_type()),
            visible(record.id())
        )
    } else {
        "-".to_owned()
    }
}

pub(crate) const DIM: Style = Style::new().dimmed();
pub(crate) const NAME: Style = AnsiColor::Cyan.on_default().bold();

/// Prints the event on one line, or as JSON.
pub(crate) fn print_line(out: &mut Output, entry: &Entry<'_>) -> Result<()> {
    if out.is_json() {
        return out.json(&EventJson::new(entry));
    }
    let event = entry.event();
    let record = event.record();
    let position = out.styled(DIM, format_args!("{:>8}", record.position().to_string()));
    let time = out.styled(DIM, time::shown(record.time()));
    let name = out.styled(NAME, visible(event.name()));
    let stream = stream(entry);
    let version = out.styled(DIM, format_args!("#{}", record.version()));
    let data = visible(event.data());
    out.line(format_args!(
        "{position} {time} {stream} {version} {name} {data}"
    ))
}

/// Prints the event on several lines: where and when, then the payload.
pub(crate) fn print_block(out: &mut Output, entry: &Entry<'_>) -> Result<()> {
    if out.is_json() {
        // Not all of a stream's events have it, so none does.
        let committed = None;
        return out.json(&EventJson {
            committed,
            ..EventJson::new(entry)
        });
    }
    let event = entry.event();
    let record = event.record();
    let name = out.styled(NAME, visible(event.name()));
    let version = out.styled(DIM, format_args!("#{}", record.version()));
    let mut place = format!(
        "{}  position {}",
        time::shown(record.time()),
        record.position()
    );
    if let Some(actor) = record.actor() {
        place = format!("{place}  by {}", visible(actor));
    }
    let place = out.styled(DIM, place);
    out.line(format_args!("{version} {name}  {place}"))?;
    out.line(format_args!("  {}", pretty(event.data(), 1)))
}

/// Prints everything that is recorded with the event.
pub(crate) fn print_all(out: &mut Output, entry: &Entry<'_>) -> Result<()> {
    if out.is_json() {
        return out.json(&EventJson::new(entry));
    }
    let event = entry.event();
    let record = event.record();
    let mut rows = vec![
        ("event", visible(event.name()).to_string()),
        ("stream", stream(entry)),
        ("version", record.version().to_string()),
        ("position", record.position().to_string()),
        ("time", time::shown(record.time())),
    ];
    rows.extend(
        entry
            .committed()
            .map(|committed| ("committed", time::shown(committed))),
    );
    let texts = [
        ("event id", record.event_id().map(Cow::Borrowed)),
        ("actor", record.actor().map(Cow::Borrowed)),
        ("correlation", record.correlation_id()),
        ("causation", record.causation_id()),
        ("key", entry.idempotency_key().map(Cow::Borrowed)),
    ];
    for (name, text) in texts {
        rows.extend(text.map(|text| (name, visible(&text).to_string())));
    }
    let tags: Vec<String> = record.tags().map(|tag| visible(tag).to_string()).collect();
    if !tags.is_empty() {
        rows.push(("tags", tags.join(", ")));
    }
    for (name, value) in rows {
        let name = out.styled(DIM, format_args!("{name:<12}"));
        out.line(format_args!("{name}{value}"))?;
    }
    if let Some(meta) = record.metadata() {
        let name = out.styled(DIM, "meta");
        out.line(format_args!("{name}  {}", pretty(&meta.to_string(), 0)))?;
    }
    let name = out.styled(DIM, "data");
    out.line(format_args!("{name}  {}", pretty(event.data(), 0)))
}
