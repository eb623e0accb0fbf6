//! One commit as a line of the journal.
//!
//! ```text
//! {"pos":17,"durable":16,"type":"bank-account","id":"alice","version":3,"offset":412,
//!  "events":[{…},{…}],"sum":"0123456789abcdef"}
//! ```
//!
//! `pos` and `version` are those of the first event, `offset` is where its line begins in the
//! stream's file, `events` are the lines as the stream's file holds them. `durable` is the position
//! that was durable when the batch was written: it proves that all before it once was on disk.
//! `sum` is chained: each line's checksum seeds the next one's, a segment's header takes the last
//! of the segment before.

use std::borrow::Cow;
use std::io::{self, Write as _};
use std::ops::Range;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::event::StoredEvent;
use crate::event::one_or_many::OneOrMany;
use crate::storage::files::format::event_line;
use crate::storage::files::format::event_line::{
    Encoded, Line, Rest, split_sum, write_number, write_sum,
};
use crate::storage::files::journal::batch::JournalBatch;

/// The version of the journal's format, in the header of each segment.
const FORMAT: u64 = 1;

/// Where a commit goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    /// `"type":"…","id":"…"`.
    pub(crate) stream: &'a [u8],
    /// The seed of the stream's checksums.
    pub(crate) seed: u64,
    pub(crate) version: u64,
    pub(crate) offset: u64,
}

/// Adds a commit to `batch`, and where its lines are in that to `lines`.
pub(crate) fn write(
    batch: &mut JournalBatch,
    place: &Place<'_>,
    events: Encoded<'_>,
    lines: &mut Vec<Range<usize>>,
) {
    let mut position = batch.end.position;
    write_with(batch, place, false, |out| {
        for (i, event) in events.iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            position += 1;
            let start = out.len();
            event_line::seal(event, position, place.seed, out);
            lines.push(start..out.len());
        }
    });
    batch.end.position = position;
}

/// Adds lines that stand in the stream's file already, written there by another program.
pub(crate) fn write_adopted(batch: &mut JournalBatch, place: &Place<'_>, lines: &[&[u8]]) {
    write_with(batch, place, true, |out| {
        for (i, line) in lines.iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            out.extend_from_slice(line);
        }
    });
    batch.end.position += lines.len() as u64;
}

fn write_with(
    batch: &mut JournalBatch,
    place: &Place<'_>,
    adopted: bool,
    events: impl FnOnce(&mut Vec<u8>),
) {
    let out = &mut batch.bytes;
    let start = out.len();
    let (position, durable) = (batch.end.position + 1, batch.durable);
    write_number(out, b"{\"pos\":", position);
    write_number(out, b",\"durable\":", durable);
    out.push(b',');
    out.extend_from_slice(place.stream);
    write_number(out, b",\"version\":", place.version);
    write_number(out, b",\"offset\":", place.offset);
    if adopted {
        out.extend_from_slice(b",\"adopted\":true");
    }
    out.extend_from_slice(b",\"events\":[");
    events(out);
    out.push(b']');
    batch.end.chain = finish(out, start, batch.end.chain);
}

/// Writes the first line of a segment and returns its checksum.
pub(crate) fn write_header(out: &mut Vec<u8>, first: u64, previous: u64) -> u64 {
    let start = out.len();
    let _ = write!(
        out,
        "{{\"journal\":{FORMAT},\"first\":{first},\"previous\":\"{previous:016x}\""
    );
    finish(out, start, previous)
}

fn finish(out: &mut Vec<u8>, start: usize, chain: u64) -> u64 {
    let sum = xxh3_64_with_seed(&out[start..], chain);
    write_sum(out, sum);
    out.push(b'\n');
    sum
}

/// The checksum that `line` states, verified or not.
pub(crate) fn stated_sum(line: &[u8]) -> Option<u64> {
    split_sum(line).map(|(_, sum)| sum)
}

/// A commit, read from a line that is known to be valid.
#[derive(Debug, Deserialize)]
pub(crate) struct CommitLine<'a> {
    #[serde(rename = "pos")]
    pub(crate) position: u64,
    pub(crate) durable: u64,
    #[serde(borrow, rename = "type")]
    pub(crate) aggregate_type: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) id: Cow<'a, str>,
    pub(crate) version: u64,
    pub(crate) offset: u64,
    #[serde(default)]
    pub(crate) adopted: bool,
    #[serde(borrow)]
    pub(crate) events: OneOrMany<JournaledEvent<'a>>,
}

/// An event of a commit.
#[derive(Debug)]
pub(crate) struct JournaledEvent<'a> {
    json: &'a str,
    /// What it says, if the commit was read in our own form.
    line: Option<Line<'a>>,
}

impl<'a> JournaledEvent<'a> {
    #[inline]
    fn read_own(rest: &mut Rest<'a>) -> Option<Self> {
        let start = rest.start();
        let line = Some(rest.event()?);
        rest.sum()?;
        let json = rest.since(start)?;
        Some(Self { json, line })
    }

    /// The event as its stream's file holds it.
    pub(crate) fn get(&self) -> &'a str {
        self.json
    }
}

impl<'a, 'de: 'a> Deserialize<'de> for JournaledEvent<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = <&'a RawValue>::deserialize(deserializer)?;
        Ok(Self {
            json: json.get(),
            line: None,
        })
    }
}

impl<'a> CommitLine<'a> {
    /// Reads a line that is known to be valid, fast if it is in exactly the form in which [`write`]
    /// writes it.
    pub(crate) fn read(line: &'a [u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(line).map_err(|e| e.to_string())?;
        match Self::read_own(text) {
            Some(own) => Ok(own),
            None => parse_text(text),
        }
    }

    #[inline]
    fn read_own(line: &'a str) -> Option<Self> {
        let mut rest = Rest::new(line);
        rest.pass(b"{\"pos\":")?;
        let position = rest.number()?;
        rest.pass(b",\"durable\":")?;
        let durable = rest.number()?;
        rest.pass(b",\"type\":\"")?;
        let aggregate_type = Cow::Borrowed(rest.text()?);
        rest.pass(b",\"id\":\"")?;
        let id = Cow::Borrowed(rest.text()?);
        rest.pass(b",\"version\":")?;
        let version = rest.number()?;
        rest.pass(b",\"offset\":")?;
        let offset = rest.number()?;
        rest.pass(b",\"events\":[")?;
        let first = JournaledEvent::read_own(&mut rest)?;
        let events = if rest.pass(b",").is_none() {
            OneOrMany::One(first)
        } else {
            let mut events = vec![first, JournaledEvent::read_own(&mut rest)?];
            while rest.pass(b",").is_some() {
                events.push(JournaledEvent::read_own(&mut rest)?);
            }
            OneOrMany::Many(events)
        };
        rest.pass(b"]")?;
        rest.sum()?;
        if !rest.is_empty() {
            return None;
        }
        Some(Self {
            position,
            durable,
            aggregate_type,
            id,
            version,
            offset,
            adopted: false,
            events,
        })
    }

    /// The position of the last event.
    pub(crate) fn last(&self) -> u64 {
        self.position + self.events.len() as u64 - 1
    }

    /// The lines of its events as the stream's file holds them.
    pub(crate) fn lines(&self) -> Vec<u8> {
        let mut lines = Vec::new();
        for event in self.events.iter() {
            lines.extend_from_slice(event.get().as_bytes());
            lines.push(b'\n');
        }
        lines
    }

    /// Hands the event `i` of the commit to `read`.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidData`] with the position, if the line is not an event.
    pub(crate) fn read_event<T>(
        &self,
        i: usize,
        read: impl FnOnce(StoredEvent<'_>) -> T,
    ) -> io::Result<T> {
        let position = self.position + i as u64;
        let event = &self.events[i];
        let parsed;
        let line = if let Some(line) = &event.line {
            line
        } else {
            parsed = Line::parse(event.get()).map_err(|cause| {
                let text = format!("the event at position {position} cannot be read: {cause}");
                io::Error::new(io::ErrorKind::InvalidData, text)
            })?;
            &parsed
        };
        let stream = (&*self.aggregate_type, &*self.id);
        let record = line.record(stream, self.version + i as u64, position);
        Ok(read(line.event(&record)))
    }
}

/// The header of a segment, read from a line that is known to be valid.
#[derive(Debug, Deserialize)]
pub(crate) struct Header {
    pub(crate) journal: u64,
    pub(crate) first: u64,
}

impl Header {
    /// Whether this program can read the segment.
    pub(crate) fn is_readable(&self) -> bool {
        self.journal == FORMAT
    }
}

/// Reads a line that is known to be valid.
pub(crate) fn parse<'a, T: Deserialize<'a>>(line: &'a [u8]) -> Result<T, String> {
    parse_text(std::str::from_utf8(line).map_err(|e| e.to_string())?)
}

fn parse_text<'a, T: Deserialize<'a>>(line: &'a str) -> Result<T, String> {
    serde_json::from_str(line).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::files::format::event_line::{Common, EncodedEvents};
    use crate::storage::files::journal::end::End;

    /// A commit of such payloads, as it is written.
    fn written(id: &str, payloads: &[&str]) -> Vec<u8> {
        let mut batch = JournalBatch {
            bytes: Vec::new(),
            end: End {
                segment: 1,
                offset: 0,
                chain: 7,
                position: 16,
            },
            durable: 12,
        };
        let mut stream = b"\"type\":\"account\",\"id\":".to_vec();
        event_line::write_str(&mut stream, id);
        let common = Common {
            ms: 1_767_225_600_123,
            ..Common::default()
        };
        let mut events = EncodedEvents::default();
        for (payload, version) in payloads.iter().zip(3..) {
            events.push("Deposited", payload.as_bytes(), "e-1", version, &common);
        }
        let place = Place {
            stream: &stream,
            seed: 42,
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
    fn a_commit_in_our_own_form_is_read_as_any_reader_of_json_reads_it() {
        let tricky = r#"[{"sum":"0123456789abcdef"},{"type":"A","sum":"0123456789abcdef"}]"#;
        let line = written("alice", &[r#"{"amount":5}"#, "null", tricky]);
        let own = read_own(&line).expect("it is in our form");
        let json: CommitLine<'_> = parse(&line).expect("it is JSON");
        assert_eq!((own.position, own.durable), (json.position, json.durable));
        assert_eq!(own.aggregate_type, json.aggregate_type);
        assert_eq!((own.id.as_ref(), own.last()), ("alice", json.last()));
        assert_eq!((own.version, own.offset), (json.version, json.offset));
        assert_eq!(own.events.len(), 3);
        for i in 0..3 {
            assert_eq!(own.events[i].get(), json.events[i].get());
            let shown = |event: StoredEvent<'_>| format!("{event:?}");
            let (own, json) = (own.read_event(i, shown), json.read_event(i, shown));
            assert_eq!(own.expect("it is an event"), json.expect("it is an event"));
        }
    }

    #[test]
    fn what_is_not_quite_in_our_form_is_left_to_the_reader_of_json() {
        let escaped = written("al\"ice", &["null"]);
        assert!(read_own(&escaped).is_none());
        assert_eq!(
            CommitLine::read(&escaped).expect("it is JSON").id,
            "al\"ice"
        );
        let line = String::from_utf8(written("alice", &["null"])).expect("it is text");
        let (_, sum) = line.split_once("\"sum\":\"").expect("the event has one");
        for (ours, other) in [
            (r#","events""#, r#","adopted":true,"events""#),
            (r#""pos":17,"durable""#, r#""pos": 17,"durable""#),
            (r#""offset":412"#, r#""offset":412,"more":1"#),
            (r#""ts":"#, r#""ts": "#),
            (&sum[..16], r#"0123456789abcd\""#),
        ] {
            let changed = line.replace(ours, other);
            assert_ne!(changed, line, "{ours}");
            assert!(read_own(changed.as_bytes()).is_none(), "{changed}");
            assert!(CommitLine::read(changed.as_bytes()).is_ok(), "{changed}");
        }
    }
}
