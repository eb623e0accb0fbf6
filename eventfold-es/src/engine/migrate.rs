//! Enters the streams of a directory that eventfold-es 0.2.0 wrote into the journal, once.
//!
//! The order is that of time, as far as the streams tell: each line counts as late as the latest
//! before it in its stream, equal times go by type, id and line. It can be interrupted anywhere:
//! what is in the journal already is left out when it is taken up again.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::adopted::Adopted;
use super::disk;
use super::journal::commit_line::write_adopted;
use super::journal::{AppendError, Journal, Spare};
use super::line;
use super::redo::AdoptedEnd;
use super::stream::{Stream, StreamEnd, Streams};
use super::upkeep::Dirty;
use crate::stream::StreamId;

/// How many bytes are made durable together.
const BATCH: usize = 4 * 1024 * 1024;
/// How often progress is reported.
const REPORT_EVERY: Duration = Duration::from_secs(2);

/// A line that is not in the journal yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Pending {
    /// The latest time of the stream up to this line.
    time: u64,
    /// The stream's place in the order of type and id.
    stream: usize,
    offset: u64,
    length: u64,
}

/// Journals all lines of the streams `ids`, which are sorted, that the journal does not have; `done`
/// is what it has of other programs' lines. Returns the streams it touched.
pub(crate) fn migrate(
    journal: &mut Journal,
    streams: &Arc<Streams>,
    ids: &[StreamId],
    done: &HashMap<StreamId, AdoptedEnd>,
) -> io::Result<Vec<Dirty>> {
    let mut pending = Vec::new();
    let mut ends = vec![StreamEnd::default(); ids.len()];
    for (i, id) in ids.iter().enumerate() {
        let stream = streams.get(id);
        if let Err(error) = list_pending(&stream, i, done.get(id), &mut ends[i], &mut pending) {
            // The others must not suffer; this one says so again when it is loaded.
            tracing::error!(stream = %id, %error, "the stream is entered up to here only");
        }
    }
    if pending.is_empty() {
        return Ok(Vec::new());
    }
    pending.sort_unstable();
    append(journal, streams, ids, &pending, &mut ends)?;

    let mut touched = Vec::new();
    let adopted: BTreeSet<usize> = pending.iter().map(|line| line.stream).collect();
    for (i, (id, end)) in ids.iter().zip(&ends).enumerate() {
        if adopted.contains(&i) {
            let stream = streams.get(id);
            Adopted::record(stream.dir(), end.offset, end.version, end.position)?;
            touched.push(Dirty {
                stream: stream.hash(),
                dir: stream.dir().to_owned(),
                end: end.offset,
            });
        }
    }
    Ok(touched)
}

/// Lists the lines of `stream` that are not in the journal, up to the first that is not an event;
/// `end` becomes the place before them.
fn list_pending(
    stream: &Stream,
    number: usize,
    done: Option<&AdoptedEnd>,
    end: &mut StreamEnd,
    pending: &mut Vec<Pending>,
) -> io::Result<()> {
    let path = stream.file();
    stream.refuse_rotated()?;
    let Some(bytes) = disk::read_if_there(&path)? else {
        return Ok(());
    };
    let first_pending = pending.len();
    let (mut offset, mut time, mut version) = (0, 0, 0);
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let Some(line) = line.strip_suffix(b"\n") else {
            break;
        };
        let length = line.len() as u64;
        let next = offset + length + 1;
        if length > 0 {
            let event = line::read(line, stream.seed())
                .map_err(|cause| disk::damaged(&path, offset, &cause))?;
            time = event.time.max(time);
            version += 1;
            let known = done.filter(|done| next <= done.offset);
            if let Some(position) = event.position.or(known.map(|done| done.position)) {
                // So is all that precedes it, whoever wrote it.
                pending.truncate(first_pending);
                *end = StreamEnd {
                    version,
                    offset: next,
                    hash: 0,
                    position,
                };
            } else {
                line::check_foreign(line).map_err(|cause| disk::damaged(&path, offset, &cause))?;
                pending.push(Pending {
                    time,
                    stream: number,
                    offset,
                    length,
                });
            }
        }
        offset = next;
    }
    Ok(())
}

fn append(
    journal: &mut Journal,
    streams: &Arc<Streams>,
    ids: &[StreamId],
    pending: &[Pending],
    ends: &mut [StreamEnd],
) -> io::Result<()> {
    let mut reported = Instant::now();
    let mut open: Option<(usize, File)> = None;
    let mut batch = journal.begin_batch();
    for (i, next) in pending.iter().enumerate() {
        let stream = streams.get(&ids[next.stream]);
        let file = match &mut open {
            Some((number, file)) if *number == next.stream => file,
            _ => {
                let file =
                    disk::open(&stream.file()).map_err(|e| disk::at("open", &stream.file(), &e))?;
                &mut open.insert((next.stream, file)).1
            }
        };
        let mut line = Vec::new();
        file.seek(SeekFrom::Start(next.offset))?;
        file.take(next.length).read_to_end(&mut line)?;

        let end = &mut ends[next.stream];
        end.offset = next.offset;
        write_adopted(&mut batch, &stream.place(end), &[&line]);
        end.offset = next.offset + next.length + 1;
        end.version += 1;
        end.position = batch.end.position;

        if batch.bytes.len() >= BATCH || i + 1 == pending.len() {
            journal.append(&batch).map_err(AppendError::into_io)?;
            if !journal.has_room_for(BATCH as u64) {
                let capacity = journal.next_capacity();
                let name = format!("migration-{i}.tmp");
                let spare = Spare::create(journal.dir(), &name, capacity)?;
                journal.start_segment(spare).map_err(AppendError::into_io)?;
            }
            batch = journal.begin_batch();
        }
        if reported.elapsed() >= REPORT_EVERY {
            tracing::info!(
                events = i + 1,
                of = pending.len(),
                "entering streams into the journal"
            );
            reported = Instant::now();
        }
    }
    tracing::info!(events = pending.len(), "streams entered into the journal");
    Ok(())
}
