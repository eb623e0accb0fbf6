//! One commit as a line of the journal.
//!
//! ```text
//! {"len":       412,"pos":17,"count":2,"ms":1767225600123,"durable":16,
//!  "streams":[{"type":"bank-account","id":"alice","version":3,"offset":412,"count":2}],
//!  "events":[{…},{…}],"sum":"0123456789abcdef"}
//! ```
//!
//! `len` is the number of bytes before `,"sum"`. `pos` is the position of the first of `count`
//! events. `ms` is the commit's time, which is never before the time of the previous commit.
//! `durable` is the durable position when the batch was written: it proves that all events up to it
//! were on the disk. Each entry of `streams` states how many of the events are its own, in this
//! order, the version of the first, and where its line begins in the stream's file. Further events
//! belong to no stream and are in the journal only. `events` are the lines as the streams' files
//! have them. `sum` is chained: each line's checksum seeds the next line's, and a segment's header
//! is seeded with the last checksum of the segment before. `docs/format.md` describes every member.

use std::borrow::Cow;
use std::io::Write as _;
use std::ops::Range;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::event::one_or_many::OneOrMany;
use crate::event::{Number, StoredEvent};
use crate::storage::encoding::event_line;
use crate::storage::encoding::event_line::{
    Encoded, EventOutline, Line, Rest, begin_line, state_length, write_number,
};
use crate::storage::encoding::sealed::{seal, split_sum};
use crate::storage::error::{StorageError, StorageResult};
use crate::storage::files::journal::batch::JournalBatch;

mod outline;

pub(crate) use outline::Outline;

/// The version of the journal's format, in the header of each segment.
pub(crate) const FORMAT: u64 = 2;
/// The format of development versions, which were never released.
const DEVELOPMENT: u64 = 1;

/// An upper bound of the length of a segment's header.
pub(crate) const HEADER_MOST: u64 = 512;

/// Where a commit's events of one stream go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    /// `"type":"…","id":"…"`.
    pub(crate) stream: &'a [u8],
    pub(crate) version: u64,
    pub(crate) offset: u64,
}

/// Adds a commit of one stream to `batch`. Adds the ranges of its lines in the batch to `lines`.
pub(crate) fn write(
    batch: &mut JournalBatch,
    place: &Place<'_>,
    events: Encoded<'_>,
    lines: &mut Vec<Range<usize>>,
) {
    let first = batch.end.position + 1;
    let count = events.count();
    let start = begin(batch, count);
    let out = &mut batch.bytes;
    write_stream(out, place, count, true);
    out.extend_from_slice(b"}],\"events\":[");
    write_events(out, events.iter(), first, lines);
    end(batch, start, count);
}

/// Adds a commit of several streams, and of events that belong to no stream, to `batch`. Adds the
/// ranges of their lines in the batch to `lines`, one stream after the other.
pub(crate) fn write_parts(
    batch: &mut JournalBatch,
    streams: &[(Place<'_>, Encoded<'_>)],
    of_none: Option<Encoded<'_>>,
    lines: &mut Vec<Range<usize>>,
) {
    let first = batch.end.position + 1;
    let parts = streams.iter().map(|(_, events)| *events).chain(of_none);
    let count = parts.clone().map(Encoded::count).sum();
    let start = begin(batch, count);
    let out = &mut batch.bytes;
    for (i, (place, events)) in streams.iter().enumerate() {
        write_stream(out, place, events.count(), i == 0);
        out.push(b'}');
    }
    out.extend_from_slice(b"],\"events\":[");
    write_events(out, parts.flat_map(Encoded::iter), first, lines);
    end(batch, start, count);
}

/// Writes the events' lines, of which the first has the position `first`.
fn write_events<'a>(
    out: &mut Vec<u8>,
    events: impl Iterator<Item = &'a [u8]>,
    first: u64,
    lines: &mut Vec<Range<usize>>,
) {
    for (event, position) in events.zip(first..) {
        if position > first {
            out.push(b',');
        }
        let start = out.len();
        event_line::seal(event, position, out);
        lines.push(start..out.len());
    }
}

/// Adds lines that another program has written to the stream's file.
pub(crate) fn write_adopted(batch: &mut JournalBatch, place: &Place<'_>, lines: &[&[u8]]) {
    let count = lines.len() as u64;
    let start = begin(batch, count);
    let out = &mut batch.bytes;
    write_stream(out, place, count, true);
    out.extend_from_slice(b",\"adopted\":true}],\"events\":[");
    for (i, line) in lines.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        out.extend_from_slice(line);
    }
    end(batch, start, count);
}

fn begin(batch: &mut JournalBatch, count: u64) -> usize {
    let out = &mut batch.bytes;
    let start = out.len();
    begin_line(out);
    write_number(out, b"\"pos\":", batch.end.position + 1);
    write_number(out, b",\"count\":", count);
    write_number(out, b",\"ms\":", batch.end.ms);
    write_number(out, b",\"durable\":", batch.durable);
    out.extend_from_slice(b",\"streams\":[");
    start
}

/// Writes an entry of `streams`, without its closing bracket.
fn write_stream(out: &mut Vec<u8>, place: &Place<'_>, count: u64, is_first: bool) {
    out.extend_from_slice(if is_first { b"{" } else { b",{" });
    out.extend_from_slice(place.stream);
    write_number(out, b",\"version\":", place.version);
    write_number(out, b",\"offset\":", place.offset);
    write_number(out, b",\"count\":", count);
}

fn end(batch: &mut JournalBatch, start: usize, count: u64) {
    let out = &mut batch.bytes;
    out.push(b']');
    state_length(out, start);
    batch.end.chain = finish(out, start, batch.end.chain);
    batch.end.position += count;
}

/// The identity of a store's directory, which the header of each segment states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The directory's id, made together with its journal.
    pub(crate) directory: u128,
    /// The history's id. A history that does not continue another one has its own id.
    pub(crate) timeline: u128,
}

impl Identity {
    /// The identity of a new directory.
    pub(crate) fn new() -> Self {
        let random = || uuid::Uuid::new_v4().as_u128();
        Self {
            directory: random(),
            timeline: random(),
        }
    }
}

/// Writes the first line of a segment and returns its checksum.
pub(crate) fn write_header(
    out: &mut Vec<u8>,
    identity: Identity,
    first: u64,
    previous: u64,
) -> u64 {
    let start = out.len();
    let Identity {
        directory,
        timeline,
    } = identity;
    let _ = write!(
        out,
        "{{\"journal\":{FORMAT},\"first\":{first},\"previous\":\"{previous:016x}\",\
         \"directory\":\"{directory:032x}\",\"timeline\":\"{timeline:032x}\""
    );
    finish(out, start, previous)
}

fn finish(out: &mut Vec<u8>, start: usize, chain: u64) -> u64 {
    let sum = seal(out, start, chain);
    out.push(b'\n');
    sum
}

/// The checksum that `line` states. It is not verified here.
pub(crate) fn stated_sum(line: &[u8]) -> Option<u64> {
    split_sum(line).map(|(_, sum)| sum)
}

/// The position that the beginning of a commit's line states. It is not verified here.
pub(crate) fn stated_position(start: &[u8]) -> Option<u64> {
    const KEY: &[u8] = b"\"pos\":";

    // Only `len` comes before it.
    let near = &start[..start.len().min(64)];
    let key = near.windows(KEY.len()).position(|bytes| bytes == KEY)?;
    let rest = &near[key + KEY.len()..];
    let digits = &rest[..rest.iter().position(|byte| *byte == b',')?];
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// A commit, read from a line that is known to be valid.
#[derive(Debug)]
pub(crate) struct CommitLine<'a> {
    /// Of the first event.
    pub(crate) position: u64,
    /// The time of the commit in milliseconds since 1970.
    pub(crate) ms: Number<'a>,
    /// The durable position when the commit was written.
    pub(crate) durable: Number<'a>,
    streams: OneOrMany<StreamOfCommit<'a>>,
    /// At least one.
    pub(crate) events: OneOrMany<JournaledEvent<'a>>,
}

/// A stream that a commit names.
#[derive(Debug, Deserialize)]
struct StreamOfCommit<'a> {
    #[serde(borrow, rename = "type")]
    aggregate_type: Cow<'a, str>,
    #[serde(borrow)]
    id: Cow<'a, str>,
    version: u64,
    offset: u64,
    count: u64,
    #[serde(default)]
    adopted: bool,
}

/// A commit's events of one stream, or its events that belong to no stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part<'c, 'a> {
    /// Whether the events belong to a stream. Otherwise type and id are empty, version and offset
    /// are 0.
    pub(crate) is_of_stream: bool,
    pub(crate) aggregate_type: &'c str,
    pub(crate) id: &'c str,
    /// Of the first event.
    pub(crate) version: u64,
    /// Where the line of the first event begins in the stream's file.
    pub(crate) offset: u64,
    /// Another program wrote the lines before the commit.
    pub(crate) adopted: bool,
    /// How many events of the commit are before these.
    before: usize,
    /// How many events the commit has.
    of: usize,
    /// Of the first event.
    pub(crate) position: u64,
    /// Empty if the stream takes part without an event.
    pub(crate) events: &'c [JournaledEvent<'a>],
}

/// A commit as a general JSON reader reads it.
#[derive(Deserialize)]
struct Json<'a> {
    #[serde(rename = "pos")]
    position: u64,
    count: u64,
    ms: u64,
    durable: u64,
    #[serde(borrow)]
    streams: Vec<StreamOfCommit<'a>>,
    #[serde(borrow)]
    events: Vec<JournaledEvent<'a>>,
}

/// An event of a commit.
#[derive(Debug)]
pub(crate) struct JournaledEvent<'a> {
    json: &'a str,
    /// What is known of it, if the commit was read in our own form.
    own: Option<OwnEvent<'a>>,
}

/// What is known of an event in our own form.
#[derive(Debug)]
enum OwnEvent<'a> {
    /// How many bytes are before its position.
    Length(usize),
    Outline(&'a EventOutline),
}

impl<'a> JournaledEvent<'a> {
    #[inline]
    fn read_own(rest: &mut Rest<'a>) -> Option<Self> {
        let start = rest.start();
        let length = rest.pass_stated_length()?;
        rest.pass(b",\"pos\":")?;
        rest.later()?;
        rest.sum()?;
        let json = rest.since(start)?;
        Some(Self {
            json,
            own: Some(OwnEvent::Length(length)),
        })
    }

    /// Passes its members to `read`. `position` is the event's.
    #[inline]
    fn read<T>(&self, position: u64, read: impl FnOnce(&Line<'a>) -> T) -> serde_json::Result<T> {
        let line = match self.own {
            Some(OwnEvent::Outline(outline)) => outline.read(self.json),
            Some(OwnEvent::Length(length)) => {
                let body = self.json.get(..length);
                body.and_then(|body| Line::read_own(body, position))
            }
            None => None,
        };
        if let Some(line) = &line {
            return Ok(read(line));
        }
        Line::parse(self.json).map(|line| read(&line))
    }

    /// The event's line as its stream's file has it.
    pub(crate) fn get(&self) -> &'a str {
        self.json
    }
}

impl<'a, 'de: 'a> Deserialize<'de> for JournaledEvent<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = <&'a RawValue>::deserialize(deserializer)?;
        Ok(Self {
            json: json.get(),
            own: None,
        })
    }
}

impl<'a> StreamOfCommit<'a> {
    #[inline]
    fn read_own(rest: &mut Rest<'a>) -> Option<Self> {
        rest.pass(b"{\"type\":\"")?;
        let aggregate_type = Cow::Borrowed(rest.text()?);
        rest.pass(b",\"id\":\"")?;
        let id = Cow::Borrowed(rest.text()?);
        rest.pass(b",\"version\":")?;
        let version = rest.number()?;
        rest.pass(b",\"offset\":")?;
        let offset = rest.number()?;
        rest.pass(b",\"count\":")?;
        let count = rest.number()?;
        rest.pass(b"}")?;
        Some(Self {
            aggregate_type,
            id,
            version,
            offset,
            count,
            adopted: false,
        })
    }
}

/// Reads one or several values with commas between them.
#[inline]
fn list<'a, T>(
    rest: &mut Rest<'a>,
    read: impl Fn(&mut Rest<'a>) -> Option<T>,
) -> Option<OneOrMany<T>> {
    let first = read(rest)?;
    if rest.pass(b",").is_none() {
        return Some(OneOrMany::One(first));
    }
    let mut all = vec![first, read(rest)?];
    while rest.pass(b",").is_some() {
        all.push(read(rest)?);
    }
    Some(OneOrMany::Many(all))
}

impl<'a> CommitLine<'a> {
    /// Reads a line that is known to be valid. This is fast if the line has exactly the form that
    /// [`write`] writes.
    pub(crate) fn read(line: &'a [u8]) -> Result<Self, String> {
        Self::read_text(std::str::from_utf8(line).map_err(|e| e.to_string())?)
    }

    /// As [`read`](Self::read).
    #[inline]
    pub(crate) fn read_text(line: &'a str) -> Result<Self, String> {
        match Self::read_own(line) {
            Some(own) => Ok(own),
            None => Self::read_json(line),
        }
    }

    /// As [`read_text`](Self::read_text). `outline` is the line's, if it has one.
    #[inline]
    pub(crate) fn read_outlined(
        line: &'a str,
        outline: Option<&'a Outline>,
    ) -> Result<Self, String> {
        match outline.and_then(|outline| outline.read(line)) {
            Some(outlined) => Ok(outlined),
            None => Self::read_text(line),
        }
    }

    #[inline]
    fn read_own(line: &'a str) -> Option<Self> {
        let mut rest = Rest::new(line);
        let length = rest.length()?;
        rest.pass(b"\"pos\":")?;
        let position = rest.number()?;
        rest.pass(b",\"count\":")?;
        let count = rest.number()?;
        rest.pass(b",\"ms\":")?;
        let ms = rest.later()?;
        rest.pass(b",\"durable\":")?;
        let durable = rest.later()?;
        rest.pass(b",\"streams\":[")?;
        let streams = if rest.pass(b"]").is_some() {
            OneOrMany::Many(Vec::new())
        } else {
            let streams = list(&mut rest, StreamOfCommit::read_own)?;
            rest.pass(b"]")?;
            streams
        };
        rest.pass(b",\"events\":[")?;
        let events = list(&mut rest, JournaledEvent::read_own)?;
        rest.pass(b"]")?;
        (rest.start() == length).then_some(())?;
        rest.sum()?;
        let commit = Self {
            position,
            ms,
            durable,
            streams,
            events,
        };
        if !rest.is_empty() || commit.check(count).is_err() {
            return None;
        }
        Some(commit)
    }

    fn read_json(line: &'a str) -> Result<Self, String> {
        let json: Json<'a> = parse_text(line)?;
        let commit = Self {
            position: json.position,
            ms: Number::Read(json.ms),
            durable: Number::Read(json.durable),
            streams: OneOrMany::Many(json.streams),
            events: OneOrMany::Many(json.events),
        };
        commit.check(json.count)?;
        Ok(commit)
    }

    /// Checks the properties that readers rely on.
    fn check(&self, count: u64) -> Result<(), String> {
        let here = self.events.len() as u64;
        if self.position == 0 {
            return Err("position 0 is not possible".to_owned());
        }
        if self.position.checked_add(here).is_none() {
            return Err(format!(
                "its positions, from {} on, are too large",
                self.position
            ));
        }
        if here == 0 || count != here {
            return Err(format!("the line has {here} events, but states {count}"));
        }
        let mut left = here;
        for stream in self.streams.iter() {
            let taken = left.checked_sub(stream.count);
            left = taken.ok_or("the streams have more events than the commit")?;
            if stream.version == 0 || stream.version.checked_add(stream.count).is_none() {
                return Err(format!("a stream cannot have version {}", stream.version));
            }
        }
        Ok(())
    }

    /// The position of the last event.
    pub(crate) fn last(&self) -> u64 {
        self.position + self.events.len() as u64 - 1
    }

    /// The commit's parts in the order of their events: one for each stream, then one for the
    /// events that belong to no stream.
    pub(crate) fn parts(&self) -> impl Iterator<Item = Part<'_, 'a>> {
        let mut before = 0;
        let mut streams = self.streams.iter();
        let mut is_done = false;
        std::iter::from_fn(move || {
            let left = self.events.get(before..).unwrap_or_default();
            let position = self.position + before as u64;
            let part = if let Some(stream) = streams.next() {
                let count = usize::try_from(stream.count).unwrap_or(usize::MAX);
                Part {
                    is_of_stream: true,
                    aggregate_type: &stream.aggregate_type,
                    id: &stream.id,
                    version: stream.version,
                    offset: stream.offset,
                    adopted: stream.adopted,
                    before,
                    of: self.events.len(),
                    position,
                    events: left.get(..count).unwrap_or(left),
                }
            } else {
                if is_done || left.is_empty() {
                    return None;
                }
                is_done = true;
                Part {
                    is_of_stream: false,
                    aggregate_type: "",
                    id: "",
                    version: 0,
                    offset: 0,
                    adopted: false,
                    before,
                    of: self.events.len(),
                    position,
                    events: left,
                }
            };
            before += part.events.len();
            Some(part)
        })
    }

    /// The parts of the streams that get events.
    pub(crate) fn streams(&self) -> impl Iterator<Item = Part<'_, 'a>> {
        self.parts()
            .filter(|part| part.is_of_stream && !part.events.is_empty())
    }
}

impl Part<'_, '_> {
    /// The position of the last event. If there is none, the position before this part.
    pub(crate) fn last(&self) -> u64 {
        self.position + self.events.len() as u64 - 1
    }

    /// The index of the first new event in this part. `first` is the index of the first new event
    /// in the whole commit.
    pub(crate) fn first_of(&self, first: usize) -> usize {
        first.saturating_sub(self.before)
    }

    /// How many events of this part are among the first `wanted` events of the commit.
    pub(crate) fn wanted_of(&self, wanted: usize) -> usize {
        wanted.saturating_sub(self.before).min(self.events.len())
    }

    /// The lines of the events as the stream's file has them.
    pub(crate) fn lines(&self) -> Vec<u8> {
        let mut lines = Vec::new();
        for event in self.events {
            lines.extend_from_slice(event.get().as_bytes());
            lines.push(b'\n');
        }
        lines
    }

    /// Which of the commit's events the event with index `i` is, from 1 on, and how many the commit has.
    pub(crate) fn place_in_commit(&self, i: usize) -> (u64, u64) {
        ((self.before + i) as u64 + 1, self.of as u64)
    }

    /// Passes the event with index `i` to `read`.
    ///
    /// # Errors
    ///
    /// If the line is not an event, with the position.
    pub(crate) fn read_event<T>(
        &self,
        i: usize,
        read: impl FnOnce(StoredEvent<'_>) -> T,
    ) -> StorageResult<T> {
        self.read_line(i, |line, version, position| {
            let record = line.record((self.aggregate_type, self.id), version, position);
            read(line.event(&record))
        })
    }

    /// Passes the line of the event with index `i` to `read`, with its version and its position.
    ///
    /// # Errors
    ///
    /// As [`read_event`](Self::read_event).
    pub(crate) fn read_line<T>(
        &self,
        i: usize,
        read: impl FnOnce(&Line<'_>, u64, u64) -> T,
    ) -> StorageResult<T> {
        let position = self.position + i as u64;
        let version = if self.is_of_stream {
            self.version + i as u64
        } else {
            0
        };
        self.events[i]
            .read(position, |line| read(line, version, position))
            .map_err(|cause| StorageError::event(position, cause))
    }
}

/// The header of a segment, read from a line that is known to be valid.
#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) first: u64,
    pub(crate) identity: Identity,
}

/// Why a valid line is not a header that this program can read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HeaderError {
    #[error(
        "was written by a development version of eventfold-es 0.3.0, whose format was never released: no release can read it"
    )]
    Development,
    #[error("was written by a newer version: its format is {0}, and this version reads {FORMAT}")]
    Newer(u64),
    #[error("the header is not valid: {0}")]
    Damaged(String),
}

/// Fails if `journal` is not the format that this version reads.
pub(crate) fn check_format(journal: u64) -> Result<(), HeaderError> {
    match journal {
        FORMAT => Ok(()),
        DEVELOPMENT => Err(HeaderError::Development),
        other => Err(HeaderError::Newer(other)),
    }
}

impl Header {
    /// Reads a line that is known to be valid.
    pub(crate) fn read(line: &[u8]) -> Result<Self, HeaderError> {
        /// The member that a header of any format has.
        #[derive(Deserialize)]
        struct Format {
            journal: u64,
        }
        #[derive(Deserialize)]
        struct Content<'a> {
            first: u64,
            directory: &'a str,
            timeline: &'a str,
        }
        let damaged = HeaderError::Damaged;
        let text = std::str::from_utf8(line).map_err(|e| damaged(e.to_string()))?;
        let Format { journal } = parse_text(text).map_err(damaged)?;
        check_format(journal)?;
        let content: Content<'_> = parse_text(text).map_err(damaged)?;
        let id = |name: &str, digits: &str| {
            let parsed = u128::from_str_radix(digits, 16).ok();
            parsed
                .filter(|id| format!("{id:032x}") == digits)
                .ok_or_else(|| damaged(format!("its {name} is not 32 hexadecimal digits")))
        };
        Ok(Self {
            first: content.first,
            identity: Identity {
                directory: id("directory", content.directory)?,
                timeline: id("timeline", content.timeline)?,
            },
        })
    }
}

fn parse_text<'a, T: Deserialize<'a>>(line: &'a str) -> Result<T, String> {
    serde_json::from_str(line).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::encoding::event_line::{Common, EncodedEvents};
    use crate::storage::files::journal::end::End;

    /// The line of a commit with these payloads.
    fn written(id: &str, payloads: &[&str]) -> Vec<u8> {
        let mut batch = JournalBatch {
            bytes: Vec::new(),
            end: End {
                segment: 1,
                offset: 0,
                chain: 7,
                position: 16,
                ms: 1_767_225_600_124,
            },
            durable: 12,
            first: 0,
        };
        let mut stream = b"\"type\":\"account\",\"id\":".to_vec();
        event_line::write_str(&mut stream, id);
        let common = Common {
            ms: 1_767_225_600_123,
            ..Common::default()
        };
        let mut events = EncodedEvents::new(42);
        for (payload, version) in payloads.iter().zip(3..) {
            events.push("Deposited", payload.as_bytes(), "e-1", version, &common);
        }
        let place = Place {
            stream: &stream,
            version: 3,
            offset: 412,
        };
        write(&mut batch, &place, events.as_encoded(), &mut Vec::new());
        batch.bytes.pop();
        batch.bytes
    }

    fn read_own(line: &[u8]) -> Option<CommitLine<'_>> {
        CommitLine::read_own(std::str::from_utf8(line).expect("it is text"))
    }

    #[test]
    fn a_commit_in_our_form_is_read_as_a_json_parser_reads_it() {
        let tricky = r#"[{"sum":"0123456789abcdef"},{"type":"A","sum":"0123456789abcdef"}]"#;
        let line = written("alice", &[r#"{"amount":5}"#, "null", tricky]);
        let own = read_own(&line).expect("it is in our form");
        let json = read_json(&line).expect("it is JSON");
        assert_alike(&own, &json);
        let part = own.parts().next().expect("it has a stream");
        assert_eq!((part.aggregate_type, part.id), ("account", "alice"));
        assert_eq!((part.version, part.offset), (3, 412));
        assert_eq!((part.events.len(), own.last()), (3, 19));
    }

    fn read_json(line: &[u8]) -> Result<CommitLine<'_>, String> {
        CommitLine::read_json(std::str::from_utf8(line).expect("it is text"))
    }

    fn assert_alike(own: &CommitLine<'_>, json: &CommitLine<'_>) {
        assert_eq!(
            (own.position, own.durable.value()),
            (json.position, json.durable.value())
        );
        assert_eq!(own.ms.value(), json.ms.value());
        let shown = |commit: &CommitLine<'_>| -> Vec<String> {
            let parts = commit.parts().flat_map(|part| {
                let place = format!(
                    "{} {} {} {} {} {}",
                    part.is_of_stream,
                    part.aggregate_type,
                    part.id,
                    part.version,
                    part.offset,
                    part.position
                );
                let events = 0..part.events.len();
                let events = events.map(move |i| {
                    let shown = |event: StoredEvent<'_>| format!("{event:?}");
                    let event = part.read_event(i, shown).expect("it is an event");
                    format!("{} {event}", part.events[i].get())
                });
                std::iter::once(place).chain(events)
            });
            parts.collect()
        };
        assert_eq!(shown(own), shown(json));
    }

    #[test]
    fn a_commit_of_no_stream_is_in_our_form_too() {
        let mut batch = JournalBatch {
            bytes: Vec::new(),
            end: End::of_empty(1, 7),
            durable: 0,
            first: 0,
        };
        let mut events = EncodedEvents::new(event_line::seed_of_none());
        let common = Common::default();
        events.push_tagged("Noted", b"null", Some("e-1"), 0, &common, ["a:1", "b:2"]);
        write_parts(&mut batch, &[], Some(events.as_encoded()), &mut Vec::new());
        batch.bytes.pop();
        let own = read_own(&batch.bytes).expect("it is in our form");
        assert_alike(&own, &read_json(&batch.bytes).expect("it is JSON"));
        assert!(!own.parts().next().expect("it has events").is_of_stream);
    }

    /// The line of a commit of two streams and an event of no stream.
    fn written_of_several() -> Vec<u8> {
        let mut batch = JournalBatch {
            bytes: Vec::new(),
            end: End {
                ms: 5,
                ..End::of_empty(1, 7)
            },
            durable: 0,
            first: 0,
        };
        let mut events: Vec<_> = [2, 1, 1].map(|_| EncodedEvents::new(42)).into();
        for (i, count) in [2, 1, 1].into_iter().enumerate() {
            for version in 1..=count {
                events[i].push("Noted", b"null", "e-1", version, &Common::default());
            }
        }
        let place = |stream| Place {
            stream,
            version: 1,
            offset: 0,
        };
        let streams = [
            (place(br#""type":"a","id":"x""#), events[0].as_encoded()),
            (place(br#""type":"a","id":"y""#), events[1].as_encoded()),
        ];
        let of_none = Some(events[2].as_encoded());
        write_parts(&mut batch, &streams, of_none, &mut Vec::new());
        batch.bytes.pop();
        batch.bytes
    }

    #[test]
    fn a_commit_of_several_streams_assigns_each_event_to_its_stream() {
        let line = written_of_several();
        let own = read_own(&line).expect("it is in our form");
        assert_alike(&own, &read_json(&line).expect("it is JSON"));
        let parts: Vec<_> = own
            .parts()
            .map(|p| {
                (
                    p.aggregate_type,
                    p.id,
                    p.version,
                    p.position,
                    p.events.len(),
                )
            })
            .collect();
        let expected = [("a", "x", 1, 1, 2), ("a", "y", 1, 3, 1), ("", "", 0, 4, 1)];
        assert_eq!(parts, expected);
        assert_eq!(own.streams().count(), 2);
        assert_eq!(
            own.parts().map(|part| part.first_of(3)).collect::<Vec<_>>(),
            [3, 1, 0]
        );
    }

    #[test]
    fn a_commit_that_contradicts_itself_is_refused() {
        let line = String::from_utf8(written_of_several()).expect("it is text");
        for (ours, other, why) in [
            (
                "\"pos\":1,\"count\"",
                "\"pos\":0,\"count\"",
                "position 0 is not possible",
            ),
            (
                "\"count\":4",
                "\"count\":5",
                "the line has 4 events, but states 5",
            ),
            ("\"count\":2", "\"count\":4", "more events"),
            (
                "\"version\":1,\"offset\"",
                "\"version\":0,\"offset\"",
                "cannot have version 0",
            ),
        ] {
            let changed = line.replacen(ours, other, 1);
            assert_ne!(changed, line, "{ours}");
            let error = CommitLine::read(changed.as_bytes()).expect_err(why);
            assert!(error.contains(why), "{error}");
        }
        let (start, _) = line.split_once("\"events\":[").expect("it has events");
        let none = format!("{start}\"events\":[]}}").replace("\"count\":4", "\"count\":0");
        assert!(CommitLine::read(none.as_bytes()).is_err());
    }

    #[test]
    fn a_header_of_another_format_and_a_damaged_header_are_different_errors() {
        let identity = Identity {
            directory: 1,
            timeline: u128::MAX,
        };
        let mut line = Vec::new();
        write_header(&mut line, identity, 17, 0);
        let line = String::from_utf8(line).expect("it is text");
        let read = Header::read(line.as_bytes()).expect("it is ours");
        assert_eq!((read.first, read.identity), (17, identity));
        let with = |format: &str| line.replace("\"journal\":2", &format!("\"journal\":{format}"));
        let development = Header::read(with("1").as_bytes());
        assert!(matches!(development, Err(HeaderError::Development)));
        let newer = Header::read(with("3").as_bytes());
        assert!(matches!(newer, Err(HeaderError::Newer(3))));
        let short = line.replace(&"f".repeat(32), "ff");
        assert!(matches!(
            Header::read(short.as_bytes()),
            Err(HeaderError::Damaged(_))
        ));
    }

    #[test]
    fn a_commit_not_exactly_in_our_form_is_left_to_the_json_parser() {
        let escaped = written("al\"ice", &["null"]);
        assert!(read_own(&escaped).is_none());
        let commit = CommitLine::read(&escaped).expect("it is JSON");
        assert!(commit.parts().all(|part| part.id == "al\"ice"));
        let line = String::from_utf8(written("alice", &["null"])).expect("it is text");
        for (ours, other) in [
            (r#"}],"events""#, r#","adopted":true}],"events""#),
            (r#""pos":17,"count""#, r#""pos": 17,"count""#),
            (r#""offset":412"#, r#""offset":412,"more":1"#),
            ("}]", r#","later":"k"}]"#),
        ] {
            let changed = line.replace(ours, other);
            assert_ne!(changed, line, "{ours}");
            assert!(read_own(changed.as_bytes()).is_none(), "{changed}");
            assert!(CommitLine::read(changed.as_bytes()).is_ok(), "{changed}");
        }
    }

    #[test]
    fn an_event_not_exactly_in_our_form_is_left_to_the_json_parser() {
        let line = written("alice", &[r#"{"amount":5}"#]);
        let line = String::from_utf8(line).expect("it is text");
        let (start, event) = line.split_once("[{\"len\":").expect("it has an event");
        let (length, rest) = event.split_at(10);
        let count: usize = length.trim_start().parse().expect("it is a number");
        let longer = format!("[{{\"len\":{:>10}", count + 1);
        for (ours, other) in [
            (r#""ts":"#, r#""ts": "#),
            (r#"{"amount":5}"#, r#"{"amount":6}"#),
            (r#""data":"#, r#""data" :"#),
            ("Deposited", r"Dep\u006fsited"),
            (",\"version\":3,\"ms\"", ",\"version\":03,\"ms\""),
            (&format!("[{{\"len\":{length}"), &longer),
            (&format!("[{{\"len\":{length}"), "[{\"len\":       100"),
            (&format!("[{{\"len\":{length}"), "[{\"len\":         x"),
            (&format!("[{{\"len\":{length}"), "[{\"len\":9999999999"),
        ] {
            let changed = format!("{start}[{{\"len\":{length}{rest}").replace(ours, other);
            assert_ne!(changed, line, "{ours}");
            let shown = |commit: Result<CommitLine<'_>, String>| {
                let commit = commit.ok()?;
                let part = commit.parts().next()?;
                let event = part.read_event(0, |event| format!("{event:?}"));
                Some(event.map_err(|error| error.kind()))
            };
            let json = CommitLine::read_json(&changed);
            assert_eq!(
                shown(CommitLine::read(changed.as_bytes())),
                shown(json),
                "{changed}"
            );
        }
    }

    fn text(line: Vec<u8>) -> String {
        String::from_utf8(line).expect("it is text")
    }

    #[test]
    fn a_commit_is_read_by_its_outline_as_a_json_parser_reads_it() {
        let tricky = r#"[{"sum":"0123456789abcdef"},{"type":"A","sum":"0123456789abcdef"}]"#;
        let long = format!("{:?}", "é".repeat(100_000));
        for (id, payload) in [
            ("alice", "null"),
            ("é", r#"{"é":"é"}"#),
            ("", tricky),
            ("alice", &long),
        ] {
            let line = text(written(id, &[payload]));
            let outline = Outline::of(&line).expect("it has an outline");
            let outlined = outline.read(&line).expect("the line has this outline");
            assert_alike(
                &outlined,
                &CommitLine::read_json(&line).expect("it is JSON"),
            );
        }
    }

    #[test]
    fn only_a_commit_of_one_event_of_one_stream_in_our_form_has_an_outline() {
        let line = text(written("alice", &["null"]));
        for (ours, other) in [
            ("{\"len\":  ", "{\"len\": 1"),
            ("\"pos\":17,\"count\"", "\"pos\":0,\"count\""),
            ("\"pos\":17,\"count\"", "\"pos\":017,\"count\""),
            ("\"pos\":17,\"count\"", "\"pos\": 17,\"count\""),
            (
                "\"pos\":17,\"count\"",
                "\"pos\":18446744073709551615,\"count\"",
            ),
            ("\"count\":1,\"ms\"", "\"count\":2,\"ms\""),
            ("\"count\":1,\"ms\"", "\"count\":10,\"ms\""),
            ("\"durable\":12", "\"durable\":"),
            ("\"durable\":12", "\"durable\":12.0"),
            ("\"type\":\"account\"", "\"type\":\"acc\\u006funt\""),
            ("\"id\":\"alice\"", "\"id\":\"al\\u0069ce\""),
            ("\"id\":\"alice\"", "\"id\":\"alice\",\"more\":1"),
            ("\"version\":3,\"offset\"", "\"version\":0,\"offset\""),
            ("\"offset\":412", "\"offset\":-1"),
            ("\"count\":1}]", "\"count\":0}]"),
            ("\"count\":1}]", "\"count\":2}]"),
            ("\"count\":1}]", "\"count\":1,\"adopted\":true}]"),
            ("[{\"len\":  ", "[{\"len\": 1"),
            ("[{\"len\":", "[{\"len\" :"),
            (",\"pos\":17,\"sum\"", ",\"later\":1,\"pos\":17,\"sum\""),
            (",\"pos\":17,\"sum\"", ",\"pos\":17, \"sum\""),
            ("}],\"sum\"", "} ],\"sum\""),
            ("}],\"sum\"", "},{}],\"sum\""),
            ("}],\"sum\"", "}],\"later\":1,\"sum\""),
        ] {
            // The same length is stated, unless it is changed here.
            let changed = line.replacen(ours, other, 1);
            assert_ne!(changed, line, "{ours}");
            assert!(Outline::of(&changed).is_none(), "{changed}");
            let mut right = changed.clone().into_bytes();
            if !ours.starts_with('{') {
                let body = changed.rfind(",\"sum\"").expect("it has a checksum");
                let digits = format!("{body:>10}");
                right[7..17].copy_from_slice(digits.as_bytes());
            }
            let right = text(right);
            assert!(Outline::of(&right).is_none(), "{right}");
        }
        assert!(Outline::of(&format!("{line} ")).is_none());
        assert!(Outline::of(&text(written("alice", &["1", "2"]))).is_none());
        assert!(Outline::of(&text(written_of_several())).is_none());
        assert!(Outline::of("").is_none());
    }

    #[test]
    fn members_are_read_in_any_form_and_unknown_members_are_ignored() {
        let line = String::from_utf8(written("alice", &["null"])).expect("it is text");
        let more =
            r#","key":"k","command":"c-1","tags":["a:1","b:\"2\""],"later":{"x":1},"pos":17"#;
        let changed = line.replacen(r#","pos":17,"sum""#, &format!("{more},\"sum\""), 1);
        assert_ne!(changed, line);
        let commit = CommitLine::read(changed.as_bytes()).expect("it is JSON");
        let event = Line::parse(commit.events[0].get()).expect("it is an event");
        assert_eq!(event.command.as_deref(), Some("c-1"));
        assert_eq!(event.tags, ["a:1", "b:\"2\""]);
    }
}
