//! The events of one stream: from its file as far as the journal proves it, then from the journal.
//!
//! Without the file the whole journal would be read. The file is only a shortcut. It counts if the
//! high-water marks are of the redo point, and the file has the line that the stream's mark names: then
//! its lines up to there are those of the journal up to the redo point. In any other case, and for what
//! came after the redo point, the journal is read.

use std::io::BufRead as _;
use std::ops::ControlFlow;
use std::path::Path;

use crate::ids::{StreamId, Version};
use crate::storage::encoding::event_line;
use crate::storage::error::{StorageError, StorageResult};
use crate::storage::files::journal::beginning::Beginning;
use crate::storage::files::journal::reader::Reader;
use crate::storage::files::layout::{EVENTS_FILE, StreamLayout};
use crate::storage::files::observe::ObservedJournal;
use crate::storage::files::recovery::redo_point::RedoPoint;
use crate::storage::files::streams::content::Content;
use crate::storage::files::streams::end::line_hash;
use crate::storage::files::streams::ends::Ends;
use crate::storage::files::streams::high_water::HighWaterMarks;
use crate::storage::files::streams::mark::Mark;
use crate::storage::files::streams::stream::stream_hash;
use crate::storage::log::LogReader;
use crate::store::inspect::entry::{Entry, read_forwards};

/// Passes the events of `id` to `each`, until it breaks off.
pub(super) fn read(
    layout: &StreamLayout,
    journal: &ObservedJournal,
    id: &StreamId,
    mut each: impl FnMut(Entry<'_>) -> ControlFlow<()>,
) -> StorageResult<()> {
    let dir = layout.stream_dir(id.aggregate_type(), id.id());
    let proven = match proven(layout, journal, id, &dir)? {
        Some(proven) => Some(proven),
        None => at_beginning(layout, id, &dir)?,
    };
    let (after, known) = proven.unwrap_or_default();
    if known.version > 0 && read_file(&dir, id, known.version, &mut each)?.is_break() {
        return Ok(());
    }
    let reader = LogReader::Files(Reader::new(journal.index().clone(), after));
    read_forwards(reader, journal.head(), |entry| {
        let record = *entry.event().record();
        let is_of_it = record.aggregate_type() == id.aggregate_type() && record.id() == id.id();
        if is_of_it && record.version() > Version::new(known.version) {
            return each(entry);
        }
        ControlFlow::Continue(())
    })
}

/// Up to which position the stream's file is proven to be complete, and where the stream ends there.
fn proven(
    layout: &StreamLayout,
    journal: &ObservedJournal,
    id: &StreamId,
    stream_dir: &Path,
) -> StorageResult<Option<(u64, Mark)>> {
    let dir = layout.journal_dir();
    let is_shown = |redo_point: &RedoPoint| redo_point.end.position <= journal.head();
    let Some(redo_point) = RedoPoint::read(&dir)?.filter(is_shown) else {
        return Ok(None);
    };
    let marks = HighWaterMarks::read(&dir, true)?;
    // They may have moved meanwhile.
    if !marks.are_of(redo_point.end) {
        return Ok(None);
    }
    let mark = marks.of(stream_hash(id));
    let is_there = mark.version == 0
        || mark.foreign == 0
        // A file that cannot be read is no shortcut: the journal has everything.
        && has_line(stream_dir, id, mark).unwrap_or(false);
    Ok(is_there.then_some((redo_point.end.position, mark)))
}

/// The same at the beginning of a journal whose older events were dropped.
fn at_beginning(
    layout: &StreamLayout,
    id: &StreamId,
    stream_dir: &Path,
) -> StorageResult<Option<(u64, Mark)>> {
    let journal = layout.journal_dir();
    let beginning = Beginning::read(&journal)?;
    let mark = Ends::read(&journal, &beginning)?.of(stream_hash(id));
    let is_there = mark.version == 0 || has_line(stream_dir, id, mark)?;
    Ok(is_there.then_some((beginning.dropped, mark)))
}

/// Whether the stream's files have our lines from the first version to that of the mark, which has its
/// hash.
fn has_line(dir: &Path, id: &StreamId, mark: Mark) -> StorageResult<bool> {
    let seed = event_line::seed(id);
    let (mut last, mut hash) = (0, 0);
    let flow = each_line(dir, seed, mark.version, |line| {
        let read = event_line::read(line, seed).ok();
        let version = read.filter(|read| read.position.is_some());
        if version.and_then(|read| read.stated_version()) != Some(last + 1) {
            return Ok(ControlFlow::Break(()));
        }
        last += 1;
        hash = line_hash(line);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(flow.is_continue() && last == mark.version && hash == mark.hash)
}

/// Passes the events up to a version to `each`. They were found valid before.
fn read_file(
    dir: &Path,
    id: &StreamId,
    last: u64,
    each: &mut impl FnMut(Entry<'_>) -> ControlFlow<()>,
) -> StorageResult<ControlFlow<()>> {
    let seed = event_line::seed(id);
    let mut version = 0;
    each_line(dir, seed, last, |line| {
        version += 1;
        let file = dir.join(EVENTS_FILE);
        let damaged = |cause: String| StorageError::damaged(&file, 0, cause);
        let text = std::str::from_utf8(line).map_err(|error| damaged(error.to_string()))?;
        let read = event_line::read(line, seed).map_err(|error| damaged(error.to_string()))?;
        let position = read.position.unwrap_or_default();
        let record = read.record((id.aggregate_type(), id.id()), version, position);
        Ok(each(Entry::of_stream(read.event(&record), text)))
    })
}

/// Passes the first `count` lines of the stream in `dir` to `each`, or fewer if it has fewer.
fn each_line(
    dir: &Path,
    seed: u64,
    count: u64,
    mut each: impl FnMut(&[u8]) -> StorageResult<ControlFlow<()>>,
) -> StorageResult<ControlFlow<()>> {
    let Some(content) = Content::in_dir(dir, seed)? else {
        return Ok(ControlFlow::Continue(()));
    };
    let mut reader = content.lines()?;
    let (mut line, mut passed) = (Vec::new(), 0);
    while passed < count {
        line.clear();
        let read = reader.read_until(b'\n', &mut line);
        read.map_err(|error| content.failed(error))?;
        let Some(line) = line.strip_suffix(b"\n") else {
            break;
        };
        if line.is_empty() {
            continue;
        }
        passed += 1;
        if each(line)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}
