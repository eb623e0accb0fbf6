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

use serde::Deserialize;
use serde_json::value::RawValue;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::Batch;
use crate::engine::line::{self, EncodedEvents, Line, split_sum, write_number, write_sum};
use crate::event::{Recorded, StoredEvent};

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

/// Adds a commit to `batch` and its lines, each with a line end, to `lines`.
pub(crate) fn write(
    batch: &mut Batch,
    place: &Place<'_>,
    events: &EncodedEvents,
    lines: &mut Vec<u8>,
) {
    let mut position = batch.end.position;
    write_with(batch, place, false, |out| {
        for (i, event) in events.iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            position += 1;
            let start = out.len();
            line::seal(event, position, place.seed, out);
            lines.extend_from_slice(&out[start..]);
            lines.push(b'\n');
        }
    });
    batch.end.position = position;
}

/// Adds lines that stand in the stream's file already, written there by another program.
pub(crate) fn write_adopted(batch: &mut Batch, place: &Place<'_>, lines: &[&[u8]]) {
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
    batch: &mut Batch,
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

/// The checksum of `line`, a line of the journal without its end, if it follows on `chain`.
pub(crate) fn verify(line: &[u8], chain: u64) -> Option<u64> {
    let (body, sum) = split_sum(line)?;
    (xxh3_64_with_seed(body, chain) == sum).then_some(sum)
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
    pub(crate) events: Vec<&'a RawValue>,
}

impl CommitLine<'_> {
    /// The position of the last event.
    pub(crate) fn last(&self) -> u64 {
        self.position + self.events.len() as u64 - 1
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
        let line = Line::parse(self.events[i].get()).map_err(|cause| {
            let text = format!("the event at position {position} cannot be read: {cause}");
            io::Error::new(io::ErrorKind::InvalidData, text)
        })?;
        // Neither is in a line that another program wrote.
        let record = Recorded {
            version: self.version + i as u64,
            position,
            ..line.record((&self.aggregate_type, &self.id))
        };
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
    let text = std::str::from_utf8(line).map_err(|e| e.to_string())?;
    serde_json::from_str(text).map_err(|e| e.to_string())
}
