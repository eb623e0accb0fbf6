//! The form of [CloudEvents 1.0](https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md), in
//! its JSON format, one event a line.
//!
//! What `CloudEvents` has no attribute for is in extension attributes. Their names have lower-case letters
//! and digits only, and their values are texts, booleans, or whole numbers of 32 bits. So positions and
//! versions are texts, and so are arrays and objects, as JSON. The guide page `moving` lists them.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::clock::{from_unix_millis, unix_millis};
use crate::storage::encoding::event_line::write_number;
use crate::store::export::event_lines::{Read, stream, tags, write_text};
use crate::store::export::exported::ExportedEvent;
use crate::store::export::row::Row;

/// The first time that `time` cannot state: the end of the year 9999.
const END_OF_TIME: u64 = 253_402_300_800_000;

/// Writes an event as a line, without the line end.
pub(crate) fn write(out: &mut Vec<u8>, row: &Row<'_>) {
    let record = row.record;
    let of_aggregate = record.is_of_aggregate();
    out.extend_from_slice(b"{\"specversion\":\"1.0\"");
    match record.event_id {
        Some(id) => write_text(out, b",\"id\":", id),
        None => write_text(out, b",\"id\":", &made_id(row)),
    }
    write_text(out, b",\"source\":", &source(record.aggregate_type));
    write_text(out, b",\"type\":", row.name);
    if of_aggregate {
        write_text(out, b",\"subject\":", record.id);
    }
    let ms = record.unix_millis();
    if ms < END_OF_TIME {
        let time = humantime::format_rfc3339_millis(from_unix_millis(ms));
        write_text(out, b",\"time\":", &time.to_string());
    } else {
        write_text(out, b",\"unixms\":", &ms.to_string());
    }
    write_text(out, b",\"position\":", &record.position.to_string());
    let (place, of) = row.place;
    if of > 1 {
        write_number(out, b",\"commitindex\":", place);
        write_number(out, b",\"commitcount\":", of);
    }
    if of_aggregate {
        write_text(out, b",\"aggregatetype\":", record.aggregate_type);
        write_text(out, b",\"version\":", &record.version.to_string());
    }
    if record.event_id.is_none() {
        out.extend_from_slice(b",\"withoutid\":true");
    }
    if let Some(actor) = record.actor {
        write_text(out, b",\"actor\":", actor);
    }
    if let Some(key) = record.key {
        write_text(out, b",\"idempotencykey\":", key);
        if let Some(command) = row.command {
            write_text(out, b",\"commandhash\":", command);
        }
    }
    let tags: Vec<&str> = record.tags().collect();
    if !tags.is_empty() {
        let tags = serde_json::to_string(&tags).expect("texts can be written");
        write_text(out, b",\"tags\":", &tags);
    }
    if let Some(meta) = row.meta() {
        write_text(out, b",\"meta\":", meta);
    }
    out.extend_from_slice(b",\"data\":");
    out.extend_from_slice(row.data.as_bytes());
    out.push(b'}');
}

/// `source` for the events of an aggregate type: a reference that is a path with one segment.
fn source(aggregate_type: &str) -> String {
    let mut source = "/".to_owned();
    for byte in aggregate_type.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            source.push(char::from(byte));
        } else {
            let _ = write!(source, "%{byte:02X}");
        }
    }
    source
}

/// `id` for an event without an id of its own, which another program wrote.
fn made_id(row: &Row<'_>) -> String {
    let record = row.record;
    format!("{}/{}/{}", record.aggregate_type, record.id, record.version)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    #[serde(rename = "specversion")]
    _form: Cow<'a, str>,
    id: String,
    #[serde(borrow)]
    source: Cow<'a, str>,
    #[serde(rename = "type")]
    name: String,
    #[serde(borrow)]
    subject: Option<Cow<'a, str>>,
    #[serde(borrow)]
    time: Option<Cow<'a, str>>,
    #[serde(borrow)]
    datacontenttype: Option<Cow<'a, str>>,
    #[serde(borrow)]
    unixms: Option<Cow<'a, str>>,
    #[serde(borrow)]
    position: Option<Cow<'a, str>>,
    commitindex: Option<u64>,
    commitcount: Option<u64>,
    #[serde(borrow)]
    aggregatetype: Option<Cow<'a, str>>,
    #[serde(borrow)]
    version: Option<Cow<'a, str>>,
    #[serde(default)]
    withoutid: bool,
    actor: Option<String>,
    idempotencykey: Option<String>,
    commandhash: Option<String>,
    #[serde(borrow)]
    tags: Option<Cow<'a, str>>,
    meta: Option<String>,
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
    if let Some(kind) = &line.datacontenttype
        && kind != "application/json"
    {
        return Err(format!(
            "`datacontenttype` is `{kind}`: only payloads in JSON can be stored"
        ));
    }
    let aggregate_type = line.aggregatetype.as_deref();
    let own = source(aggregate_type.unwrap_or_default());
    if line.source != own {
        return Err(format!(
            "`source` is `{}`, which would be lost: write `{own}`, and keep the other one in `meta`, if \
             it is needed",
            line.source
        ));
    }
    let place = match (line.commitindex, line.commitcount) {
        (Some(index), Some(count)) => Some((index, count)),
        (None, None) => None,
        _ => return Err("`commitindex` and `commitcount` go together".to_owned()),
    };
    let tags = match &line.tags {
        Some(json) => {
            let texts = serde_json::from_str::<Vec<Cow<'_, str>>>(json);
            let texts = texts.map_err(|error| {
                format!("`tags` is not the text of a JSON array of texts: {error}")
            })?;
            tags(&texts)?
        }
        None => tags(&[])?,
    };
    let meta = line.meta.map(RawValue::from_string).transpose();
    let event = ExportedEvent {
        stream: stream(
            aggregate_type,
            line.subject.as_deref(),
            "`aggregatetype`",
            "`subject`",
        )?,
        version: number("version", line.version.as_deref())?.map(Into::into),
        position: number("position", line.position.as_deref())?.map(crate::ids::Position::new),
        name: line.name,
        event_id: (!line.withoutid).then_some(line.id),
        unix_millis: match (line.time, number("unixms", line.unixms.as_deref())?) {
            (Some(time), None) => millis(&time)?,
            (None, Some(ms)) => ms,
            (Some(_), Some(_)) => return Err("`time` and `unixms` exclude each other".to_owned()),
            (None, None) => return Err("missing field `time`".to_owned()),
        },
        actor: line.actor,
        key: line.idempotencykey,
        command: line.commandhash,
        tags,
        meta: meta.map_err(|error| format!("`meta` is not the text of JSON: {error}"))?,
        data: line.data.to_owned(),
    };
    Ok(Read { event, place })
}

/// A number that is written as a text.
fn number(name: &str, text: Option<&str>) -> Result<Option<u64>, String> {
    let Some(text) = text else { return Ok(None) };
    match text.parse() {
        Ok(number) => Ok(Some(number)),
        Err(_) => Err(format!(
            "`{name}` is not the text of a whole number: {text:?}"
        )),
    }
}

/// Milliseconds since 1970 of a time as RFC 3339 has it. What is below a millisecond is left out.
fn millis(text: &str) -> Result<u64, String> {
    let refused = || {
        format!(
            "`time` is not a time since 1970 as RFC 3339 has it, such as 2026-01-31T12:00:00Z: {text:?}"
        )
    };
    // `humantime` reads times in UTC only.
    let (time, offset) = match text
        .len()
        .checked_sub(6)
        .and_then(|at| text.split_at_checked(at))
    {
        Some((time, offset)) if offset.starts_with(['+', '-']) => {
            (format!("{time}Z"), Some(offset))
        }
        _ => (text.to_uppercase(), None),
    };
    let time = humantime::parse_rfc3339(&time.to_uppercase()).map_err(|_| refused())?;
    let time = match offset {
        None => Some(time),
        Some(offset) => {
            let digits = |range: std::ops::Range<usize>, most: u64| {
                let digits = offset.get(range)?;
                let is_number = digits.bytes().all(|digit| digit.is_ascii_digit());
                let number: u64 = digits.parse().ok().filter(|_| is_number)?;
                (number <= most).then_some(number)
            };
            let is_split = offset.as_bytes()[3] == b':';
            let hours = digits(1..3, 23).filter(|_| is_split).ok_or_else(refused)?;
            let minutes = digits(4..6, 59).ok_or_else(refused)?;
            let offset_of_utc = Duration::from_secs(hours * 3600 + minutes * 60);
            if offset.starts_with('+') {
                time.checked_sub(offset_of_utc)
            } else {
                time.checked_add(offset_of_utc)
            }
        }
    };
    let time = time.filter(|time| *time >= std::time::UNIX_EPOCH);
    time.map(unix_millis).ok_or_else(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_in_any_offset_and_times_before_1970_are_refused() {
        for (text, ms) in [
            ("2026-01-01T00:00:00Z", 1_767_225_600_000),
            ("2026-01-01t00:00:00.123z", 1_767_225_600_123),
            ("2026-01-01T02:00:00.123456789+02:00", 1_767_225_600_123),
            ("2025-12-31T18:30:00-05:30", 1_767_225_600_000),
            ("1970-01-01T00:00:00Z", 0),
            ("9999-12-31T23:59:59.999Z", END_OF_TIME - 1),
        ] {
            assert_eq!(millis(text), Ok(ms), "{text}");
        }
        for text in [
            "",
            "Z",
            "2026-01-01",
            "2026-01-01T00:00:00",
            "2026-01-01T00:00:00+1:00",
            "2026-01-01T00:00:00+24:00",
            "2026-01-01T00:00:00+00:60",
            "2026-01-01T00:00:00+ab:cd",
            "2026-01-01T00:00:00é+0:0",
            "1969-12-31T23:59:59Z",
            "1970-01-01T00:00:00+00:01",
            "2026-13-01T00:00:00Z",
        ] {
            assert!(millis(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_source_is_a_path_of_one_segment_for_any_aggregate_type() {
        assert_eq!(source("bank-account"), "/bank-account");
        assert_eq!(source("a/b ü"), "/a%2Fb%20%C3%BC");
        assert_eq!(source(""), "/");
    }
}
