//! One event as a line of its stream's file.
//!
//! A line is an [`eventfold::Event`] with keys behind it that `eventfold` ignores:
//!
//! ```text
//! {"type":"Deposited","data":{"amount":5},"ts":1767225600,"id":"…","actor":"…","meta":{…},
//!  "version":3,"ms":1767225600123,"key":"…","pos":17,"sum":"0123456789abcdef"}
//! ```
//!
//! `version` is the event's version in its stream, `ms` its time in milliseconds, `key` the
//! idempotency key of its command, `pos` its position in the journal. `sum` is the checksum of all
//! before it, seeded with the stream's name, so that a line is valid in its own stream only.
//! A line without `sum` was written by another program, eventfold-es 0.2.0 for example.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

mod common;
mod own;
pub(crate) mod spare;

pub(crate) use common::Common;
pub(crate) use own::Rest;

use crate::event::{Meta, Recorded, StoredEvent};
use crate::ids::StreamId;

/// `,"sum":"` + 16 hex digits + `"}`.
pub(crate) const SUM_LEN: usize = 8 + 16 + 2;

/// How deeply `serde_json` reads what is nested.
const DEEPEST: usize = 127;

/// The encoded events of one commit, still without position and checksum.
#[derive(Debug, Default)]
pub(crate) struct EncodedEvents {
    bytes: Vec<u8>,
    /// Where the events after the first begin: most commits have one and need no place for this.
    later: Vec<usize>,
}

impl EncodedEvents {
    /// Appends an event; `data` is its payload as JSON.
    pub(crate) fn push(
        &mut self,
        name: &str,
        data: &[u8],
        id: &str,
        version: u64,
        common: &Common,
    ) {
        self.begin();
        let out = &mut self.bytes;
        out.reserve(160 + data.len() + common.after_id.len());
        out.extend_from_slice(b"{\"type\":");
        write_str(out, name);
        out.extend_from_slice(b",\"data\":");
        out.extend_from_slice(data);
        let mut digits = itoa::Buffer::new();
        let ms = digits.format(common.ms);
        // Its digits without the last three are those of the seconds.
        let seconds = ms.len().checked_sub(3).filter(|length| *length > 0);
        out.extend_from_slice(b",\"ts\":");
        out.extend_from_slice(seconds.map_or("0", |length| &ms[..length]).as_bytes());
        out.extend_from_slice(b",\"id\":\"");
        out.extend_from_slice(id.as_bytes());
        out.push(b'"');
        out.extend_from_slice(&common.after_id);
        write_number(out, b",\"version\":", version);
        out.extend_from_slice(b",\"ms\":");
        out.extend_from_slice(ms.as_bytes());
        out.extend_from_slice(&common.key);
    }

    fn begin(&mut self) {
        if self.bytes.is_empty() {
            self.bytes = spare::take();
        } else {
            self.later.push(self.bytes.len());
        }
    }

    /// Appends an event that exists already, as it is.
    pub(crate) fn push_event(
        &mut self,
        event: &eventfold::Event,
        version: u64,
        ms: u64,
    ) -> serde_json::Result<()> {
        self.begin();
        serde_json::to_writer(&mut self.bytes, event)?;
        self.bytes.pop();
        write_number(&mut self.bytes, b",\"version\":", version);
        write_number(&mut self.bytes, b",\"ms\":", ms);
        Ok(())
    }

    pub(crate) fn count(&self) -> u64 {
        self.as_encoded().count()
    }

    /// Whether the last event is nested so deeply that no reader would take it.
    pub(crate) fn is_too_deep(&self) -> bool {
        let event = &self.bytes[self.later.last().copied().unwrap_or(0)..];
        // What is nested so deeply has as many brackets that open and that close.
        event.len() > 2 * DEEPEST && opening(event) > DEEPEST && depth(event) > DEEPEST
    }

    /// How many bytes the events take.
    pub(crate) fn size(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn as_encoded(&self) -> Encoded<'_> {
        Encoded::new(&self.bytes, &self.later)
    }

    /// What [`Encoded::new`] takes.
    pub(crate) fn into_parts(self) -> (Vec<u8>, Vec<usize>) {
        (self.bytes, self.later)
    }
}

/// The encoded events of one commit, wherever they are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Encoded<'a> {
    bytes: &'a [u8],
    later: &'a [usize],
}

impl<'a> Encoded<'a> {
    /// `later` says where in `bytes` the events after the first begin.
    pub(crate) fn new(bytes: &'a [u8], later: &'a [usize]) -> Self {
        Self { bytes, later }
    }

    pub(crate) fn count(self) -> u64 {
        (usize::from(!self.bytes.is_empty()) + self.later.len()) as u64
    }

    /// How many bytes the events take.
    pub(crate) fn size(self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = &'a [u8]> {
        let (bytes, later) = (self.bytes, self.later);
        let last = (!bytes.is_empty()).then_some(bytes.len());
        let ends = later.iter().copied().chain(last);
        ends.scan(0, |start, end| {
            Some(&bytes[std::mem::replace(start, end)..end])
        })
    }
}

/// Whether `payload` is nested so deeply that no reader would take its line.
#[cfg(feature = "testing")]
pub(crate) fn is_too_deep(payload: &str) -> bool {
    depth(payload.as_bytes()) >= DEEPEST
}

/// How many brackets open in `json`, those in strings included.
fn opening(json: &[u8]) -> usize {
    // In chunks whose count fits into a byte, so that many bytes are looked at at once.
    let chunks = json.chunks(255).map(|chunk| {
        let opening = |byte: &u8| u8::from(matches!(byte, b'{' | b'['));
        usize::from(chunk.iter().map(opening).sum::<u8>())
    });
    chunks.sum()
}

/// How deeply the arrays and objects of `json` are nested.
fn depth(json: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let mut in_string = false;
    let mut bytes = json.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' if in_string => drop(bytes.next()),
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// Writes `text` as a JSON string.
pub(crate) fn write_str(out: &mut Vec<u8>, text: &str) {
    let stands_for_itself = |byte: &u8| *byte >= b' ' && !matches!(byte, b'"' | b'\\');
    // No early end, so that many are looked at at once.
    let are_plain = text.as_bytes().iter();
    if are_plain.fold(true, |all, byte| all & stands_for_itself(byte)) {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
        return;
    }
    serde_json::to_writer(out, text).expect("writing a string to memory cannot fail");
}

/// Appends an encoded event as the line that is stored, without its line end.
pub(crate) fn seal(encoded: &[u8], position: u64, seed: u64, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(encoded);
    write_number(out, b",\"pos\":", position);
    let sum = xxh3_64_with_seed(&out[start..], seed);
    write_sum(out, sum);
}

/// Appends a checksum and the end of the object.
pub(crate) fn write_sum(out: &mut Vec<u8>, sum: u64) {
    out.extend_from_slice(&sum_and_end(sum));
}

/// `,"sum":"`, the checksum, `"}`.
fn sum_and_end(sum: u64) -> [u8; SUM_LEN] {
    let mut end = *b",\"sum\":\"................\"}";
    end[8..24].copy_from_slice(&hex(sum));
    end
}

/// A number as 16 hexadecimal digits.
fn hex(number: u64) -> [u8; 16] {
    let mut digits = [0; 16];
    let (halves, _) = digits.as_chunks_mut();
    halves[0] = hex_half(number >> 32);
    halves[1] = hex_half(number & 0xffff_ffff);
    digits
}

/// The 8 hexadecimal digits of `half`, all at once: each line that is read takes two of these.
fn hex_half(half: u64) -> [u8; 8] {
    // Each digit into a byte of its own.
    let pairs = (half << 16 | half) & 0x0000_ffff_0000_ffff;
    let bytes = (pairs << 8 | pairs) & 0x00ff_00ff_00ff_00ff;
    let digits = (bytes << 4 | bytes) & 0x0f0f_0f0f_0f0f_0f0f;
    // 1 where the digit is a letter, which only then reaches 16 with 6 more.
    let letters = ((digits + 0x0606_0606_0606_0606) >> 4) & 0x0101_0101_0101_0101;
    let text = digits + 0x3030_3030_3030_3030 + letters * u64::from(b'a' - 10 - b'0');
    text.to_be_bytes()
}

/// Appends `before` and a number.
pub(crate) fn write_number(out: &mut Vec<u8>, before: &[u8], number: u64) {
    out.extend_from_slice(before);
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// The checksum of a line, if it is right.
pub(crate) fn verified(line: &[u8], seed: u64) -> Option<u64> {
    let (body, end) = line.split_last_chunk()?;
    let sum = xxh3_64_with_seed(body, seed);
    (*end == sum_and_end(sum)).then_some(sum)
}

/// Splits a line into what its checksum covers and the checksum, `None` if it has none.
pub(crate) fn split_sum(line: &[u8]) -> Option<(&[u8], u64)> {
    let (body, tail) = line.split_at_checked(line.len().checked_sub(SUM_LEN)?)?;
    let hex = tail.strip_prefix(b",\"sum\":\"")?.strip_suffix(b"\"}")?;
    let mut sum = 0;
    for byte in hex {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => return None,
        };
        sum = sum << 4 | u64::from(digit);
    }
    Some((body, sum))
}

/// The seed of a stream's checksums.
pub(crate) fn seed(stream: &StreamId) -> u64 {
    let name = [stream.aggregate_type(), "\0", stream.id()].concat();
    xxh3_64(name.as_bytes())
}

/// A line of a stream, read.
#[derive(Debug, Deserialize)]
pub(crate) struct Line<'a> {
    #[serde(borrow, rename = "type")]
    pub(crate) name: Cow<'a, str>,
    /// The payload as JSON text; whether it is JSON is for its reader to find out.
    #[serde(borrow, deserialize_with = "json")]
    pub(crate) data: &'a str,
    /// Seconds since 1970.
    #[serde(rename = "ts")]
    pub(crate) time: u64,
    #[serde(borrow)]
    pub(crate) id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) actor: Option<Cow<'a, str>>,
    /// As `data`.
    #[serde(borrow, default, deserialize_with = "optional_json")]
    pub(crate) meta: Option<&'a str>,
    pub(crate) version: Option<u64>,
    pub(crate) ms: Option<u64>,
    #[serde(rename = "pos")]
    pub(crate) position: Option<u64>,
    #[serde(borrow)]
    pub(crate) key: Option<Cow<'a, str>>,
}

fn json<'de, D: Deserializer<'de>>(deserializer: D) -> Result<&'de str, D::Error> {
    <&RawValue>::deserialize(deserializer).map(RawValue::get)
}

fn optional_json<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de str>, D::Error> {
    let json = <Option<&RawValue>>::deserialize(deserializer)?;
    Ok(json.map(RawValue::get))
}

impl<'l> Line<'l> {
    /// Reads a line of the journal, whose checksum is that of its commit.
    pub(crate) fn parse(line: &'l str) -> serde_json::Result<Self> {
        let own = split_sum(line.as_bytes()).and_then(|_| Self::read_own(line));
        own.map_or_else(|| serde_json::from_str(line), Ok)
    }

    /// What is known of the line's event besides name and payload. Version and position are the
    /// reader's to know: a line of another program says neither.
    pub(crate) fn record<'a>(
        &'a self,
        (aggregate_type, id): (&'a str, &'a str),
        version: u64,
        position: u64,
    ) -> Recorded<'a> {
        Recorded {
            aggregate_type,
            id,
            version,
            position,
            ts: self.time,
            ms: self.ms,
            event_id: self.id.as_deref(),
            actor: self.actor.as_deref(),
            meta: self.meta.map_or(Meta::None, Meta::Json),
        }
    }

    /// The event, with `record` as what is known of it besides.
    pub(crate) fn event<'a>(&'a self, record: &'a Recorded<'a>) -> StoredEvent<'a> {
        StoredEvent::new(&self.name, self.data).with_record(record)
    }
}

/// What is wrong with a line.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LineError {
    #[error("the checksum does not match")]
    Checksum,
    #[error("the checksum is missing")]
    NoChecksum,
    #[error("the line is not text")]
    NotText,
    #[error("the line is not an event: {0}")]
    NotAnEvent(serde_json::Error),
}

/// Reads a line, without its line end, of the stream with that seed. Invariant D9.
pub(crate) fn read(line: &[u8], seed: u64) -> Result<Line<'_>, LineError> {
    let is_ours = verified(line, seed).is_some();
    if !is_ours && split_sum(line).is_some() {
        return Err(LineError::Checksum);
    }
    let text = std::str::from_utf8(line).map_err(|_| LineError::NotText)?;
    if is_ours && let Some(read) = Line::read_own(text) {
        return Ok(read);
    }
    let read: Line<'_> = serde_json::from_str(text).map_err(LineError::NotAnEvent)?;
    if is_ours != read.position.is_some() || is_ours != read.version.is_some() {
        return Err(LineError::NoChecksum);
    }
    Ok(read)
}

/// Fails if a line of another program, which [`read`] takes, is not an event for `eventfold`: what
/// follows the journal could not read it then, and in the journal it would stay for ever.
pub(crate) fn check_foreign(line: &[u8]) -> Result<(), LineError> {
    serde_json::from_slice::<eventfold::Event>(line)
        .map(drop)
        .map_err(LineError::NotAnEvent)
}

/// `,"name":<value as JSON>`.
pub(crate) fn write_member<T: Serialize>(out: &mut Vec<u8>, name: &str, value: &T) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
    serde_json::to_writer(out, value).expect("strings and JSON values can be written");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed() -> Vec<u8> {
        let mut events = EncodedEvents::default();
        let common = Common {
            after_id: br#","actor":"ann""#.to_vec(),
            key: br#","key":"k-1""#.to_vec(),
            ms: 1_767_225_600_123,
            ..Common::default()
        };
        events.push("Deposited", br#"{"amount":5}"#, "e-1", 3, &common);
        let mut line = Vec::new();
        seal(
            events.as_encoded().iter().next().unwrap(),
            17,
            42,
            &mut line,
        );
        line
    }

    #[test]
    fn a_line_is_an_eventfold_event_with_keys_behind_it() {
        let line = sealed();
        let event: eventfold::Event = serde_json::from_slice(&line).unwrap();
        assert_eq!(event.event_type, "Deposited");
        assert_eq!(event.ts, 1_767_225_600);
        assert_eq!(event.actor.as_deref(), Some("ann"));
        let own = read(&line, 42).unwrap();
        assert_eq!((own.version, own.position), (Some(3), Some(17)));
        assert_eq!(own.key.as_deref(), Some("k-1"));
    }

    #[test]
    fn a_checksum_is_written_as_sixteen_digits_and_read_back() {
        let every_digit = 0x0123_4567_89ab_cdef;
        for sum in [0, u64::MAX, every_digit, every_digit.rotate_left(4), 0x9a] {
            let mut line = b"{".to_vec();
            write_sum(&mut line, sum);
            assert_eq!(line, format!("{{,\"sum\":\"{sum:016x}\"}}").as_bytes());
            assert_eq!(split_sum(&line), Some((&b"{"[..], sum)));
        }
    }

    #[test]
    fn any_flipped_bit_of_a_line_is_found() {
        let line = sealed();
        for i in 0..line.len() * 8 {
            let mut flipped = line.clone();
            flipped[i / 8] ^= 1 << (i % 8);
            assert!(read(&flipped, 42).is_err(), "bit {i}");
        }
    }

    #[test]
    fn a_line_of_another_stream_is_refused_and_a_foreign_line_accepted() {
        assert!(matches!(read(&sealed(), 43), Err(LineError::Checksum)));
        let foreign = br#"{"type":"A","data":null,"ts":1}"#;
        assert_eq!(read(foreign, 42).unwrap().version, None);
    }
}
