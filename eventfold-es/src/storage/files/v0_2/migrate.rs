//! Enters the streams of a directory of eventfold-es 0.2.0 into the journal, once.
//!
//! The lines are entered in the order of time. A line counts as at least as late as all lines
//! before it in its stream. Lines of equal time are ordered by type, id and line. The work can be
//! interrupted at any point: when it continues, lines that are already in the journal are skipped.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::ids::StreamId;
use crate::storage::encoding::event_line;
use crate::storage::error::{StorageError, StorageResult};
use crate::storage::files::disk;
use crate::storage::files::format::commit_line::write_adopted;
use crate::storage::files::journal::{AppendError, Journal, Spare};
use crate::storage::files::layout::{ARCHIVE_FILE, unfinished_file};
use crate::storage::files::streams::content::{self, Content};
use crate::storage::files::streams::end::StreamEnd;
use crate::storage::files::streams::mark::StreamHash;
use crate::storage::files::streams::stream::{Stream, Streams};
use crate::text::shown;

/// How many bytes are made durable at once.
const BATCH: usize = 4 * 1024 * 1024;
/// How often progress is reported.
const REPORT_EVERY: Duration = Duration::from_secs(2);

/// A line that is not in the journal yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct ForeignLine {
    /// The latest time of the stream up to this line.
    time: u64,
    /// The stream's index in the order of type and id.
    stream: usize,
    offset: u64,
    length: u64,
}

/// Enters all lines of the streams `ids` that the journal does not have. `ids` are sorted. `done`
/// has the offset up to which each stream's lines of other programs are in the journal. Returns the
/// streams that were touched.
pub(crate) fn migrate(
    journal: &mut Journal,
    streams: &Arc<Streams>,
    ids: &[StreamId],
    done: &HashMap<StreamId, u64>,
) -> StorageResult<HashMap<StreamHash, PathBuf>> {
    let mut pending = Vec::new();
    let mut ends = vec![StreamEnd::default(); ids.len()];
    let mut touched = HashMap::new();
    for (i, id) in ids.iter().enumerate() {
        let stream = streams.get(id);
        let before = pending.len();
        let done = done.get(id).copied().unwrap_or(0);
        match list_pending(&stream, i, done, &mut ends[i], &mut pending) {
            Ok(Some(unfinished)) => {
                cut_unfinished(&stream, unfinished)?;
                touched.insert(stream.hash(), stream.dir().to_owned());
            }
            Ok(None) => {}
            // The other streams must not suffer. Loading this stream reports the error again.
            Err(error) => {
                tracing::error!(stream = %id, %error, "only the events before this could be entered into the journal");
            }
        }
        if pending.len() > before {
            touched.insert(stream.hash(), stream.dir().to_owned());
        }
    }
    if !pending.is_empty() {
        pending.sort_unstable();
        append(journal, streams, ids, &pending, &mut ends)?;
    }
    Ok(touched)
}

/// Lists the lines of `stream` that are not in the journal, up to the first that is not an event.
/// `end` becomes the place before these lines. Returns the offset of an unfinished line.
fn list_pending(
    stream: &Stream,
    number: usize,
    done: u64,
    end: &mut StreamEnd,
    pending: &mut Vec<ForeignLine>,
) -> StorageResult<Option<u64>> {
    let path = stream.file();
    let Some(bytes) = content::read_all(stream)? else {
        return Ok(None);
    };
    let first_pending = pending.len();
    let (mut offset, mut time, mut version) = (0, 0, 0);
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let Some(line) = line.strip_suffix(b"\n") else {
            return Ok(Some(offset));
        };
        let length = line.len() as u64;
        let next = offset + length + 1;
        if length > 0 {
            let event = event_line::read(line, stream.seed())
                .map_err(|cause| StorageError::damaged(&path, offset, cause))?;
            time = event.time.value().max(time);
            version += 1;
            if event.position.is_some() || next <= done {
                // This line is in the journal, and so are all lines before it.
                pending.truncate(first_pending);
                *end = StreamEnd {
                    version,
                    offset: next,
                    ..StreamEnd::default()
                };
            } else {
                event_line::check_foreign(line)
                    .map_err(|cause| StorageError::damaged(&path, offset, cause))?;
                pending.push(ForeignLine {
                    time,
                    stream: number,
                    offset,
                    length,
                });
            }
        }
        offset = next;
    }
    Ok(None)
}

/// Cuts off the unfinished line at `offset`, and keeps it beside the file.
pub(crate) fn cut_unfinished(stream: &Stream, offset: u64) -> StorageResult<()> {
    let path = stream.file();
    let content = opened(stream)?;
    let Some(length) = offset.checked_sub(content.base()) else {
        let cause = "the rotated lines end within a line";
        let archive = stream.dir().join(ARCHIVE_FILE);
        return Err(StorageError::damaged(&archive, 0, cause));
    };
    let unfinished = content.read_at(offset, u64::MAX)?;
    let kept = stream.dir().join(unfinished_file(offset));
    tracing::warn!(stream = %stream.id(), offset, kept = %shown(&kept), "an unfinished line is cut off");
    disk::replace_durably(&kept, &unfinished)?;
    let cut = || -> io::Result<()> {
        let file = disk::File::open(&path, disk::Open::Existing)?;
        file.set_len(length)?;
        file.sync_all()
    };
    cut().map_err(|e| StorageError::io("cut", &path, e))
}

fn opened(stream: &Stream) -> StorageResult<Content> {
    let missing = || StorageError::damaged(&stream.file(), 0, "the file is missing");
    Content::open(stream)?.ok_or_else(missing)
}

fn append(
    journal: &mut Journal,
    streams: &Arc<Streams>,
    ids: &[StreamId],
    pending: &[ForeignLine],
    ends: &mut [StreamEnd],
) -> StorageResult<()> {
    let mut reported = Instant::now();
    // Compressed lines can only be read from the first one on.
    let mut rotated = HashMap::new();
    let numbers: BTreeSet<usize> = pending.iter().map(|line| line.stream).collect();
    for number in numbers {
        let stream = streams.get(&ids[number]);
        if stream.is_rotated() {
            rotated.insert(number, opened(&stream)?.read_at(0, u64::MAX)?);
        }
    }
    let mut open: Option<(usize, Content)> = None;
    let mut batch = journal.begin_batch();
    for (i, next) in pending.iter().enumerate() {
        let stream = streams.get(&ids[next.stream]);
        let line = if let Some(bytes) = rotated.get(&next.stream) {
            let start = usize::try_from(next.offset).unwrap_or(usize::MAX);
            let length = usize::try_from(next.length).unwrap_or(usize::MAX);
            let line = bytes.get(start..).and_then(|rest| rest.get(..length));
            line.unwrap_or_default().to_vec()
        } else {
            let content = match &open {
                Some((number, content)) if *number == next.stream => content,
                _ => &open.insert((next.stream, opened(&stream)?)).1,
            };
            content.read_at(next.offset, next.length)?
        };

        let end = &mut ends[next.stream];
        end.offset = next.offset;
        write_adopted(&mut batch, &stream.place(end), &[&line]);
        end.offset = next.offset + next.length + 1;
        end.version += 1;
        let position = batch.end.position;
        streams.marks().add_foreign(stream.hash(), &line, position);

        if batch.bytes.len() >= BATCH || i + 1 == pending.len() {
            journal.append(&batch).map_err(AppendError::into_error)?;
            if !journal.has_room_for(BATCH as u64) {
                let capacity = journal.next_capacity();
                let name = format!("migration-{i}.tmp");
                let spare = Spare::create(journal.dir(), &name, capacity)?;
                journal
                    .start_segment(spare)
                    .map_err(AppendError::into_error)?;
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
