//! One event as a line of its stream's file.
//!
//! A line is an [`eventfold::Event`] with members that `eventfold` ignores, in this order:
//!
//! ```text
//! {"len":       229,"sizes":[12,0],"type":"Deposited","data":{"amount":5},"ts":1767225600,"id":"…",
//!  "actor":"…","meta":{…},"version":3,"ms":1767225600123,"key":"…","command":"…","tags":["…"],
//!  "pos":17,"sum":"0123456789abcdef"}
//! ```
//!
//! `len` is the number of bytes before `,"pos"`. `sizes` are the lengths of the values of `data`
//! and `meta`. `sum` is the checksum of the bytes before `,"pos"`. It is seeded with the stream's
//! name, and the position is mixed in ([`with_position`]). The actor computes the checksum of the
//! bytes; the committer adds the position. `docs/format.md` describes every member. A line without
//! `sum` was written by another program, eventfold-es 0.2.0 for example.

use std::borrow::Cow;

use memchr::memchr;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::storage::encoding::sealed::{split_sum, sum_and_end, write_sum};

mod common;
mod outline;
mod rest;
pub(crate) mod spare;

pub(crate) use common::Common;
pub(crate) use outline::{EventOutline, Span};
pub(crate) use rest::Rest;

use crate::domain::command::Fingerprint;
use crate::event::{Meta, Number, Recorded, StoredEvent};
use crate::ids::StreamId;

/// The beginning of our own lines. [`LEN_DIGITS`] bytes and a comma follow.
const HEAD: &[u8; 7] = b"{\"len\":";
/// How many bytes the number `len` takes, with the spaces before it.
const LEN_DIGITS: usize = 10;
/// The length of the checksum at the end of an encoded event. The position is not mixed in yet.
const CHECKSUM: usize = 8;

/// How deeply nested JSON `serde_json` reads.
const DEEPEST: usize = 127;

/// The encoded events of one stream in a commit. Each is followed by its checksum, and none has a
/// position yet.
#[derive(Debug)]
pub(crate) struct EncodedEvents {
    /// The seed of the stream's checksums.
    seed: u64,
    bytes: Vec<u8>,
    /// Where the events after the first begin. Most commits have one event, so this stays empty.
    later: Vec<usize>,
    /// Whether an event has tags.
    is_tagged: bool,
}

impl EncodedEvents {
    /// No events yet, for the stream with this [`seed`].
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            bytes: Vec::new(),
            later: Vec::new(),
            is_tagged: false,
        }
    }

    /// Appends an event; `data` is its payload as JSON.
    pub(crate) fn push(
        &mut self,
        name: &str,
        data: &[u8],
        id: &str,
        version: u64,
        common: &Common,
    ) {
        self.push_member(name, data, Some(id), version, common, &[]);
    }

    /// Appends an event with these tags. Without an `id`, `common` has the event's id.
    pub(crate) fn push_tagged<'t>(
        &mut self,
        name: &str,
        data: &[u8],
        id: Option<&str>,
        version: u64,
        common: &Common,
        tags: impl IntoIterator<Item = &'t str>,
    ) {
        let mut member = Vec::new();
        for tag in tags {
            let before: &[u8] = if member.is_empty() {
                b",\"tags\":["
            } else {
                b","
            };
            member.extend_from_slice(before);
            write_str(&mut member, tag);
        }
        if !member.is_empty() {
            member.push(b']');
            self.is_tagged = true;
        }
        self.push_member(name, data, id, version, common, &member);
    }

    fn push_member(
        &mut self,
        name: &str,
        data: &[u8],
        id: Option<&str>,
        version: u64,
        common: &Common,
        tags: &[u8],
    ) {
        let mut digits = itoa::Buffer::new();
        let ms = digits.format(common.ms);
        // The digits of `ms` without the last three are the seconds.
        let seconds = ms.len().checked_sub(3).filter(|length| *length > 0);
        let seconds = seconds.map_or("0", |length| &ms[..length]);
        self.write(name, data, (seconds, ms), id, version, common, tags);
    }

    #[allow(clippy::too_many_arguments, reason = "they are the members of a line")]
    fn write(
        &mut self,
        name: &str,
        data: &[u8],
        (seconds, ms): (&str, &str),
        id: Option<&str>,
        version: u64,
        common: &Common,
        tags: &[u8],
    ) {
        let start = self.begin();
        let out = &mut self.bytes;
        out.reserve(192 + name.len() + data.len() + common.after_id.len() + common.key.len());
        begin_line(out);
        write_number(out, b"\"sizes\":[", data.len() as u64);
        write_number(out, b",", common.meta_len() as u64);
        out.extend_from_slice(b"],\"type\":");
        write_str(out, name);
        out.extend_from_slice(b",\"data\":");
        out.extend_from_slice(data);
        out.extend_from_slice(b",\"ts\":");
        out.extend_from_slice(seconds.as_bytes());
        if let Some(id) = id {
            out.extend_from_slice(b",\"id\":\"");
            out.extend_from_slice(id.as_bytes());
            out.push(b'"');
        }
        out.extend_from_slice(&common.after_id);
        write_number(out, b",\"version\":", version);
        out.extend_from_slice(b",\"ms\":");
        out.extend_from_slice(ms.as_bytes());
        out.extend_from_slice(&common.key);
        out.extend_from_slice(tags);
        state_length(out, start);
        let sum = xxh3_64_with_seed(&out[start..], self.seed);
        out.extend_from_slice(&sum.to_le_bytes());
    }

    /// Begins an event, and returns its offset.
    fn begin(&mut self) -> usize {
        if self.bytes.is_empty() {
            self.bytes = spare::take();
        } else {
            self.later.push(self.bytes.len());
        }
        self.bytes.len()
    }

    /// Appends an existing event with its own id, time and `meta`.
    pub(crate) fn push_event(
        &mut self,
        event: &eventfold::Event,
        version: u64,
        ms: u64,
    ) -> serde_json::Result<()> {
        let mut common = Common::default();
        if let Some(id) = &event.id {
            common.add_id(id);
        }
        common.add(event.actor.as_deref(), event.meta.as_ref());
        let data = serde_json::to_vec(&event.data)?;
        let (mut seconds, mut millis) = (itoa::Buffer::new(), itoa::Buffer::new());
        let times = (seconds.format(event.ts), millis.format(ms));
        self.write(&event.event_type, &data, times, None, version, &common, &[]);
        Ok(())
    }

    /// Appends the later events of the same stream.
    pub(crate) fn append(&mut self, later: Self) {
        if self.bytes.is_empty() {
            *self = later;
        } else if !later.bytes.is_empty() {
            let start = self.bytes.len();
            self.bytes.extend_from_slice(&later.bytes);
            self.later.push(start);
            self.later.extend(later.later.iter().map(|at| start + at));
            spare::give_back(later.bytes);
        }
    }

    pub(crate) fn count(&self) -> u64 {
        self.as_encoded().count()
    }

    /// Whether the last event is nested so deeply that no reader could read it.
    pub(crate) fn is_too_deep(&self) -> bool {
        let event = &self.bytes[self.later.last().copied().unwrap_or(0)..];
        let event = &event[..event.len().saturating_sub(CHECKSUM)];
        // JSON nested this deeply has at least this many opening and closing brackets.
        event.len() > 2 * DEEPEST && opening(event) > DEEPEST && depth(event) > DEEPEST
    }

    /// How many bytes the events take.
    pub(crate) fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Whether an event has tags.
    pub(crate) fn is_tagged(&self) -> bool {
        self.is_tagged
    }

    pub(crate) fn as_encoded(&self) -> Encoded<'_> {
        Encoded::new(&self.bytes, &self.later)
    }

    /// The arguments for [`Encoded::new`].
    pub(crate) fn into_parts(self) -> (Vec<u8>, Vec<usize>) {
        (self.bytes, self.later)
    }
}

/// The encoded events of one commit, borrowed from a buffer.
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

/// Whether `payload` is nested so deeply that no reader could read its line.
#[cfg(feature = "testing")]
pub(crate) fn is_too_deep(payload: &str) -> bool {
    depth(payload.as_bytes()) >= DEEPEST
}

/// The number of opening brackets in `json`, including brackets in strings.
fn opening(json: &[u8]) -> usize {
    // In chunks whose count fits into a byte, so that the processor compares many bytes at once.
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
    // No early exit, so that the processor compares many bytes at once.
    let are_plain = text.as_bytes().iter();
    if are_plain.fold(true, |all, byte| all & stands_for_itself(byte)) {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
        return;
    }
    serde_json::to_writer(out, text).expect("writing a string to memory cannot fail");
}

/// Appends an encoded event as its stored line, without the line end.
pub(crate) fn seal(encoded: &[u8], position: u64, out: &mut Vec<u8>) {
    let Some((body, sum)) = encoded.split_last_chunk::<CHECKSUM>() else {
        return;
    };
    out.extend_from_slice(body);
    write_number(out, b",\"pos\":", position);
    write_sum(out, with_position(u64::from_le_bytes(*sum), position));
}

/// The checksum of a line: the event's checksum with the position mixed in. The factor is odd, so
/// two positions never give the same checksum.
fn with_position(sum: u64, position: u64) -> u64 {
    sum.wrapping_add(position.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// Begins a line with room for its length.
pub(crate) fn begin_line(out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"len\":          ,");
}

/// Writes the length of the line that began at `start`. If the length has too many digits, writes
/// the largest number, which readers cannot use to skip.
pub(crate) fn state_length(out: &mut [u8], start: usize) {
    let mut digits = itoa::Buffer::new();
    let length = (out.len() - start).min(9_999_999_999);
    let digits = digits.format(length).as_bytes();
    let end = start + HEAD.len() + LEN_DIGITS;
    out[end - digits.len()..end].copy_from_slice(digits);
}

/// The `len` that one of our lines states.
#[inline]
fn stated_length(line: &[u8]) -> Option<usize> {
    let (digits, rest) = line.strip_prefix(HEAD)?.split_first_chunk::<LEN_DIGITS>()?;
    if rest.first() != Some(&b',') {
        return None;
    }
    // Most lines have fewer than 100,000 bytes.
    match digits.split_first_chunk() {
        Some((b"     ", digits)) => padded_number(digits),
        _ => padded_number(digits),
    }
}

/// The number in `digits`, which is not 0. There may be spaces before it.
#[inline]
fn padded_number(digits: &[u8]) -> Option<usize> {
    let (mut number, mut is_number) = (0, true);
    // No early exit, so that the processor need not guess how many digits there are.
    for digit in digits {
        let value = u64::from(digit.wrapping_sub(b'0'));
        let is_space = *digit == b' ' && number == 0;
        // There is no leading zero.
        is_number &= is_space || (value <= 9 && number + value > 0);
        number = number * 10 + if is_space { 0 } else { value };
    }
    (is_number && number > 0).then(|| usize::try_from(number).ok())?
}

/// The end of the first line in `bytes`, `None` if there is no line end. The first `searched` bytes
/// have none. In our own lines the search skips the stated length, if a comma is there.
pub(crate) fn line_end(bytes: &[u8], searched: usize) -> Option<usize> {
    let hop = stated_length(bytes).filter(|length| bytes.get(*length) == Some(&b','));
    let from = hop.unwrap_or(0).max(searched);
    Some(from + memchr(b'\n', bytes.get(from..)?)?)
}

/// Whether the checksum of one of our lines is right. `line` has no line end.
pub(crate) fn is_sound(line: &[u8], seed: u64) -> bool {
    opened(line, seed).is_some()
}

/// The bytes that the checksum of one of our lines covers, and the position after them. `None` if
/// the checksum is wrong.
fn opened(line: &[u8], seed: u64) -> Option<(&[u8], u64)> {
    let (body, rest) = line.split_at_checked(stated_length(line)?)?;
    let (digits, end) = rest.strip_prefix(b",\"pos\":")?.split_last_chunk()?;
    let position = std::str::from_utf8(digits).ok()?.parse().ok()?;
    // A number has one form only.
    if digits.first() == Some(&b'0') && digits.len() > 1 || digits.first() == Some(&b'+') {
        return None;
    }
    let sum = with_position(xxh3_64_with_seed(body, seed), position);
    (*end == sum_and_end(sum)).then_some((body, position))
}

/// Appends `before` and a number.
pub(crate) fn write_number(out: &mut Vec<u8>, before: &[u8], number: u64) {
    out.extend_from_slice(before);
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// The seed of a stream's checksums.
pub(crate) fn seed(stream: &StreamId) -> u64 {
    seed_of(stream.aggregate_type(), stream.id())
}

/// As [`seed`]. Both parts are empty for events that belong to no stream.
pub(crate) fn seed_of(aggregate_type: &str, id: &str) -> u64 {
    xxh3_64([aggregate_type, "\0", id].concat().as_bytes())
}

/// The seed of the checksums of events that belong to no stream.
pub(crate) fn seed_of_none() -> u64 {
    seed_of("", "")
}

/// A line of a stream as it was read.
#[derive(Debug, Deserialize)]
pub(crate) struct Line<'a> {
    #[serde(borrow, rename = "type")]
    pub(crate) name: Cow<'a, str>,
    /// The payload as JSON text. Its reader finds out whether it is valid JSON.
    #[serde(borrow, deserialize_with = "json")]
    pub(crate) data: &'a str,
    /// Seconds since 1970.
    #[serde(rename = "ts")]
    pub(crate) time: Number<'a>,
    #[serde(borrow)]
    pub(crate) id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) actor: Option<Cow<'a, str>>,
    /// As `data`.
    #[serde(borrow, default, deserialize_with = "optional_json")]
    pub(crate) meta: Option<&'a str>,
    pub(crate) version: Option<Number<'a>>,
    pub(crate) ms: Option<Number<'a>>,
    #[serde(rename = "pos")]
    pub(crate) position: Option<u64>,
    #[serde(borrow)]
    pub(crate) key: Option<Cow<'a, str>>,
    /// The fingerprint of the command with the idempotency key `key`.
    #[serde(borrow)]
    pub(crate) command: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(crate) tags: Vec<Cow<'a, str>>,
}

fn json<'de, D: Deserializer<'de>>(deserializer: D) -> Result<&'de str, D::Error> {
    <&RawValue>::deserialize(deserializer).map(RawValue::get)
}

fn optional_json<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de str>, D::Error> {
    let json = <Option<&RawValue>>::deserialize(deserializer)?;
    Ok(json.map(RawValue::get))
}

impl<'l> Line<'l> {
    /// Reads an event's line from the journal, where the commit's checksum covers it.
    pub(crate) fn parse(line: &'l str) -> serde_json::Result<Self> {
        serde_json::from_str(line)
    }

    /// The version that the line states.
    pub(crate) fn stated_version(&self) -> Option<u64> {
        self.version.map(Number::value)
    }

    /// The fingerprint of the command with the idempotency key `key`.
    pub(crate) fn fingerprint(&self) -> Option<Fingerprint> {
        self.command.as_deref().and_then(Fingerprint::parse)
    }

    /// The event's metadata. The reader passes version and position, because a line of another
    /// program states neither.
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
            key: self.key.as_deref(),
            meta: self.meta.map_or(Meta::None, Meta::Json),
            tags: &self.tags,
        }
    }

    /// The event, with `record` as its metadata.
    pub(crate) fn event<'a>(&'a self, record: &'a Recorded<'a>) -> StoredEvent<'a> {
        StoredEvent::new(&self.name, self.data).with_record(record)
    }
}

/// Why a line is not valid.
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

/// Reads a line of the stream with this seed. `line` has no line end. Invariant D9.
pub(crate) fn read(line: &[u8], seed: u64) -> Result<Line<'_>, LineError> {
    let own = opened(line, seed);
    if own.is_none() && split_sum(line).is_some() {
        return Err(LineError::Checksum);
    }
    let text = std::str::from_utf8(line).map_err(|_| LineError::NotText)?;
    read_body(
        text,
        own.map(|(body, position)| (&text[..body.len()], position)),
    )
}

/// What is known of one of our lines whose checksum is right.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Verified {
    position: u64,
    /// `None` if it is not known, or if the line is not in exactly our form.
    outline: Option<EventOutline>,
}

/// What is known of `line`, if it is one of ours and its checksum is right. Its outline, if it is `outlined`.
pub(crate) fn verified(line: &str, seed: u64, outlined: bool) -> Option<Verified> {
    let (body, position) = opened(line.as_bytes(), seed)?;
    let body = line.get(..body.len()).filter(|_| outlined);
    Some(Verified {
        position,
        outline: body.and_then(|body| EventOutline::of(body, position)),
    })
}

/// Reads `line`, of which this is known.
#[inline]
pub(crate) fn read_verified<'a>(line: &'a str, known: &Verified) -> Result<Line<'a>, LineError> {
    if let Some(read) = known.outline.and_then(|outline| outline.read(line)) {
        return Ok(read);
    }
    let body = stated_length(line.as_bytes()).and_then(|length| line.get(..length));
    read_body(line, body.map(|body| (body, known.position)))
}

/// Reads a line. `own` are the part before its position and its position, if its checksum is right.
fn read_body<'a>(text: &'a str, own: Option<(&'a str, u64)>) -> Result<Line<'a>, LineError> {
    if let Some((body, position)) = own
        && let Some(read) = Line::read_own(body, position)
    {
        return Ok(read);
    }
    let read: Line<'_> = serde_json::from_str(text).map_err(LineError::NotAnEvent)?;
    let position = own.map(|(_, position)| position);
    if position != read.position || own.is_some() != read.version.is_some() {
        return Err(LineError::NoChecksum);
    }
    Ok(read)
}

/// An encoded event as JSON without position and checksum, and the checksum of all but its last
/// byte, for a storage that keeps them apart.
#[cfg(feature = "postgres")]
pub(crate) fn take_apart(encoded: &[u8]) -> Result<(String, u64), LineError> {
    let (body, sum) = encoded
        .split_last_chunk::<CHECKSUM>()
        .ok_or(LineError::NoChecksum)?;
    let mut text = std::str::from_utf8(body)
        .map_err(|_| LineError::NotText)?
        .to_owned();
    text.push('}');
    Ok((text, u64::from_le_bytes(*sum)))
}

/// Reads an event that [`take_apart`] returned, and that is stored at `position`.
#[cfg(feature = "postgres")]
pub(crate) fn read_apart(
    text: &str,
    sum: u64,
    seed: u64,
    position: u64,
) -> Result<Line<'_>, LineError> {
    let body = text.strip_suffix('}').ok_or(LineError::NoChecksum)?;
    if xxh3_64_with_seed(body.as_bytes(), seed) != sum {
        return Err(LineError::Checksum);
    }
    parse_apart(text, position)
}

/// As [`read_apart`], of an event whose checksum is known to be right.
#[cfg(feature = "postgres")]
pub(crate) fn parse_apart(text: &str, position: u64) -> Result<Line<'_>, LineError> {
    let body = text.strip_suffix('}').ok_or(LineError::NoChecksum)?;
    if stated_length(body.as_bytes()) == Some(body.len())
        && let Some(read) = Line::read_own(body, position)
    {
        return Ok(read);
    }
    let mut read: Line<'_> = serde_json::from_str(text).map_err(LineError::NotAnEvent)?;
    read.position = Some(position);
    Ok(read)
}

/// Fails if a line of another program is not an event for `eventfold`, although [`read`] accepts
/// it. Followers of the journal could not read it, and it could never be removed from the journal.
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
        let mut events = EncodedEvents::new(42);
        let common = Common {
            after_id: br#","actor":"ann""#.to_vec(),
            key: br#","key":"k-1""#.to_vec(),
            ms: 1_767_225_600_123,
            ..Common::default()
        };
        events.push("Deposited", br#"{"amount":5}"#, "e-1", 3, &common);
        let mut line = Vec::new();
        seal(events.as_encoded().iter().next().unwrap(), 17, &mut line);
        line
    }

    #[test]
    fn a_line_is_an_eventfold_event_with_further_members() {
        let line = sealed();
        let event: eventfold::Event = serde_json::from_slice(&line).unwrap();
        assert_eq!(event.event_type, "Deposited");
        assert_eq!(event.ts, 1_767_225_600);
        assert_eq!(event.actor.as_deref(), Some("ann"));
        let own = read(&line, 42).unwrap();
        assert_eq!((own.stated_version(), own.position), (Some(3), Some(17)));
        assert_eq!(own.key.as_deref(), Some("k-1"));
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
        assert!(read(foreign, 42).unwrap().version.is_none());
    }
}
