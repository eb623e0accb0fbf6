//! Our own form of an export, one event a line:
//!
//! ```text
//! {"eventfold":1,"position":17,"commit":[1,2],"type":"order","id":"o-1","version":3,"event":"Placed",
//!  "event_id":"…","ms":1767225600123,"actor":"…","key":"…","command":"…","tags":["…"],"meta":{…},
//!  "data":{…}}
//! ```
//!
//! The guide page `moving` describes every member.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::event::{Tag, Tags};
use crate::ids::{Position, StreamId, Version};
use crate::storage::encoding::event_line::{write_number, write_str};
use crate::store::export::exported::ExportedEvent;
use crate::store::export::row::Row;

/// The number of the form.
pub(crate) const FORM: u64 = 1;

/// Writes an event as a line, without the line end.
pub(crate) fn write(out: &mut Vec<u8>, row: &Row<'_>) {
    let record = row.record;
    write_number(out, b"{\"eventfold\":", FORM);
    write_number(out, b",\"position\":", record.position);
    let (place, of) = row.place;
    if of > 1 {
        write_number(out, b",\"commit\":[", place);
        write_number(out, b",", of);
        out.push(b']');
    }
    if record.is_of_aggregate() {
        write_text(out, b",\"type\":", record.aggregate_type);
        write_text(out, b",\"id\":", record.id);
        write_number(out, b",\"version\":", record.version);
    }
    write_text(out, b",\"event\":", row.name);
    if let Some(id) = record.event_id {
        write_text(out, b",\"event_id\":", id);
    }
    write_number(out, b",\"ms\":", record.unix_millis());
    if let Some(actor) = record.actor {
        write_text(out, b",\"actor\":", actor);
    }
    if let Some(key) = record.key {
        write_text(out, b",\"key\":", key);
        if let Some(command) = row.command {
            write_text(out, b",\"command\":", command);
        }
    }
    write_tags(out, row);
    if let Some(meta) = row.meta() {
        out.extend_from_slice(b",\"meta\":");
        out.extend_from_slice(meta.as_bytes());
    }
    out.extend_from_slice(b",\"data\":");
    out.extend_from_slice(row.data.as_bytes());
    out.push(b'}');
}

/// `before` and a text.
pub(crate) fn write_text(out: &mut Vec<u8>, before: &[u8], text: &str) {
    out.extend_from_slice(before);
    write_str(out, text);
}

/// The event's tags as an array, or nothing if it has none.
fn write_tags(out: &mut Vec<u8>, row: &Row<'_>) {
    let mut before: &[u8] = b",\"tags\":[";
    for tag in row.record.tags() {
        write_text(out, before, tag);
        before = b",";
    }
    if before == b"," {
        out.push(b']');
    }
}

/// An event as it was read, and its place in its commit, if the commit has several.
pub(crate) struct Read {
    pub(crate) event: ExportedEvent,
    pub(crate) place: Option<(u64, u64)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    #[serde(rename = "eventfold")]
    _form: u64,
    position: Option<Position>,
    commit: Option<(u64, u64)>,
    #[serde(borrow, rename = "type")]
    aggregate_type: Option<Cow<'a, str>>,
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    version: Option<Version>,
    event: String,
    event_id: Option<String>,
    ms: u64,
    actor: Option<String>,
    key: Option<String>,
    command: Option<String>,
    #[serde(borrow, default)]
    tags: Vec<Cow<'a, str>>,
    #[serde(borrow)]
    meta: Option<&'a RawValue>,
    #[serde(borrow)]
    data: &'a RawValue,
}

/// Reads a line.
///
/// # Errors
///
/// What is wrong with it.
pub(crate) fn read(line: &str) -> Result<Read, String> {
    let line: Line<'_> = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let event = ExportedEvent {
        stream: stream(
            line.aggregate_type.as_deref(),
            line.id.as_deref(),
            "`type`",
            "`id`",
        )?,
        version: line.version,
        position: line.position,
        name: line.event,
        event_id: line.event_id,
        unix_millis: line.ms,
        actor: line.actor,
        key: line.key,
        command: line.command,
        tags: tags(&line.tags)?,
        meta: line.meta.map(ToOwned::to_owned),
        data: line.data.to_owned(),
    };
    Ok(Read {
        event,
        place: line.commit,
    })
}

/// The stream with these two names, `None` if there is neither.
pub(crate) fn stream(
    aggregate_type: Option<&str>,
    id: Option<&str>,
    type_name: &str,
    id_name: &str,
) -> Result<Option<StreamId>, String> {
    match (aggregate_type, id) {
        (Some(aggregate_type), Some(id)) => {
            let stream = StreamId::new(aggregate_type, id);
            stream.map(Some).map_err(|error| error.to_string())
        }
        (None, None) => Ok(None),
        (Some(_), None) => Err(format!("{id_name} is missing, and {type_name} is there")),
        (None, Some(_)) => Err(format!("{type_name} is missing, and {id_name} is there")),
    }
}

/// The tags with these texts.
pub(crate) fn tags(texts: &[Cow<'_, str>]) -> Result<Tags, String> {
    let tags = texts.iter().map(|text| text.parse::<Tag>());
    tags.collect::<Result<_, _>>()
        .map_err(|error| error.to_string())
}
