//! Reads the journal's commits from a position back to the beginning, the newest first.
//!
//! A line is checked with the checksum that the line before it states, so both are read. Only the
//! segments, and the parts of them, that hold the wanted commits are read.

use std::ops::ControlFlow;
use std::sync::Arc;

use memchr::{memchr, memrchr};

use crate::storage::encoding::sealed::{split_sum, verified};
use crate::storage::error::{StorageError, StorageResult};
use crate::storage::files::format::commit_line::{CommitLine, stated_position, stated_sum};
use crate::storage::files::journal::Index;
use crate::storage::files::journal::reader::stated_previous;
use crate::storage::files::journal::readers::Reading;
use crate::storage::files::journal::segment::SegmentFile;

/// The size of the first read from the file. Each further read is twice as large.
const FIRST_CHUNK: u64 = if cfg!(test) { 64 } else { 16 * 1024 };
/// The size of the largest reads, unless a line is larger.
const LARGEST_CHUNK: u64 = 256 * 1024;
/// How many bytes may lie between the place that is looked up and the first line that is wanted.
const NEAR: u64 = if cfg!(test) { 64 } else { 64 * 1024 };

/// A place in the journal that moves towards the beginning.
#[derive(Debug)]
pub(crate) struct BackwardReader {
    index: Arc<Index>,
    /// Events at this position and after it are skipped.
    before: u64,
    /// Events up to this position are not read.
    after: u64,
    #[expect(dead_code, reason = "it is held")]
    reading: Reading,
    open: Option<OpenSegment>,
}

/// The segment that the reader is in.
#[derive(Debug)]
struct OpenSegment {
    segment: SegmentFile,
    /// The position of its first event.
    first: u64,
    /// The lines up to this offset are still to be read.
    offset: u64,
    /// The checksum of the line that ends at `offset`, if it is known.
    sum: Option<u64>,
    /// The bytes before `offset`, as far as they were read.
    buffer: Vec<u8>,
    chunk: u64,
}

/// The line that was read last, in the buffer of its segment.
struct Last {
    start: usize,
    is_header: bool,
}

impl BackwardReader {
    /// A reader of the events before the position `before`, all of which are durable.
    pub(crate) fn new(index: Arc<Index>, before: u64) -> Self {
        Self::down_to(index, before, 0)
    }

    /// As [`new`](Self::new). The beginning is that of the events after the position `after`.
    pub(crate) fn down_to(index: Arc<Index>, before: u64, after: u64) -> Self {
        Self {
            reading: index.reading(after),
            index,
            before,
            after,
            open: None,
        }
    }

    /// Passes each commit to `each`, the newest first, until `each` breaks off. `each` also gets
    /// how many of the commit's events are wanted. If `each` fails, the commit counts as not read.
    /// Returns whether the beginning of the journal is reached.
    pub(crate) fn read(
        &mut self,
        mut each: impl FnMut(&CommitLine<'_>, usize) -> StorageResult<ControlFlow<()>>,
    ) -> StorageResult<bool> {
        while self.before > self.after + 1 {
            match self.read_one(&mut each) {
                Ok(ControlFlow::Continue(())) => {}
                Ok(ControlFlow::Break(())) => return Ok(self.before <= self.after + 1),
                Err(error) => {
                    self.open = None;
                    return Err(error);
                }
            }
        }
        Ok(true)
    }

    fn read_one(
        &mut self,
        each: &mut impl FnMut(&CommitLine<'_>, usize) -> StorageResult<ControlFlow<()>>,
    ) -> StorageResult<ControlFlow<()>> {
        let newest = self.before - 1;
        let open = match &mut self.open {
            Some(open) => open,
            None => self
                .open
                .insert(OpenSegment::holding(&self.index, newest, None)?),
        };
        let end = open.offset;
        let last = open.take_line()?;
        let line = &open.buffer[last.start..open.buffer.len() - 1];
        if last.is_header {
            let previous = stated_previous(line);
            self.open = match self.before.cmp(&open.first) {
                std::cmp::Ordering::Equal => {
                    Some(OpenSegment::holding(&self.index, newest, previous)?)
                }
                _ => return Err(open.lacks(newest)),
            };
            return Ok(ControlFlow::Continue(()));
        }
        let offset = end - (line.len() as u64 + 1);
        let commit = CommitLine::read(line)
            .map_err(|cause| StorageError::damaged(open.segment.path(), offset, cause))?;
        let mut flow = ControlFlow::Continue(());
        if commit.position < self.before {
            if commit.last() < newest {
                return Err(open.lacks(newest));
            }
            let wanted = usize::try_from(self.before - commit.position).unwrap_or(usize::MAX);
            flow = each(&commit, wanted.min(commit.events.len()))?;
            self.before = commit.position;
        }
        open.forget_line(last.start, offset);
        Ok(flow)
    }
}

impl OpenSegment {
    /// The segment that holds the durable event at `position`. Its reading starts at the end of the
    /// segment or, in a large one, near that event. `sum` is the checksum of the segment's last
    /// line if it is known.
    fn holding(index: &Index, position: u64, sum: Option<u64>) -> StorageResult<Self> {
        index.check_has_after(position - 1)?;
        let first = index
            .holding(position)
            .ok_or_else(|| StorageError::damaged(&index.path(1), 0, "the file is missing"))?;
        let mut open = Self {
            segment: index.open(first)?,
            first,
            offset: 0,
            sum,
            buffer: Vec::new(),
            chunk: FIRST_CHUNK,
        };
        match index.end().filter(|end| end.segment == first) {
            Some(end) => {
                open.offset = end.offset;
                open.sum = Some(end.chain);
            }
            // No line has zeros, which may follow the last one.
            None => open.offset = open.segment.used_length()?,
        }
        open.approach(position)?;
        Ok(open)
    }

    /// Moves back to the end of a line that is near the event at `position`, and not before it.
    fn approach(&mut self, position: u64) -> StorageResult<()> {
        let mut before = 0;
        while self.offset - before > NEAR {
            let middle = before + (self.offset - before) / 2;
            let Some((start, stated)) = self.line_after(middle)? else {
                break;
            };
            if stated > position {
                self.offset = start;
                self.sum = None;
            } else {
                before = start;
            }
        }
        Ok(())
    }

    /// Where the first line after `offset` starts, and the position that it states. `None` if no
    /// line starts there that can be told.
    fn line_after(&mut self, offset: u64) -> StorageResult<Option<(u64, u64)>> {
        let (mut from, mut chunk) = (offset, FIRST_CHUNK);
        loop {
            let until = (from + chunk).min(self.offset);
            let bytes = self.bytes(from, until)?;
            if let Some(end) = memchr(b'\n', &bytes) {
                let start = from + end as u64 + 1;
                let until = (start + FIRST_CHUNK).min(self.offset);
                let line = self.bytes(start, until)?;
                return Ok(stated_position(&line).map(|stated| (start, stated)));
            }
            if until == self.offset {
                return Ok(None);
            }
            from = until;
            chunk *= 2;
        }
    }

    /// Checks the line that ends at `offset`. It stays at the end of the buffer.
    fn take_line(&mut self) -> StorageResult<Last> {
        let (start, before) = self.fill_line()?;
        if self.buffer.last() != Some(&b'\n') {
            let cause = "the line has no end";
            return Err(StorageError::damaged(
                self.segment.path(),
                self.offset,
                cause,
            ));
        }
        let line = &self.buffer[start..self.buffer.len() - 1];
        let seed = match before {
            Some(before) => stated_sum(&self.buffer[..before]),
            None => stated_previous(line),
        };
        let sum = seed.and_then(|seed| verified(line, seed));
        if sum.is_none() || self.sum.is_some_and(|known| sum != Some(known)) {
            let offset = self.offset - (self.buffer.len() - start) as u64;
            let cause = "the checksum does not match";
            return Err(StorageError::damaged(self.segment.path(), offset, cause));
        }
        Ok(Last {
            start,
            is_header: before.is_none(),
        })
    }

    /// Moves before the line that starts at `start` in the buffer and at `offset` in the file.
    fn forget_line(&mut self, start: usize, offset: u64) {
        self.buffer.truncate(start);
        self.offset = offset;
        let before = self.buffer.strip_suffix(b"\n");
        self.sum = before.and_then(split_sum).map(|(_, sum)| sum);
        self.chunk = self.chunk.min(LARGEST_CHUNK);
    }

    /// Reads until the buffer holds the line that ends at `offset`, and the checksum of the line
    /// before it. Returns where in the buffer the two begin and end; `None` if there is no line
    /// before it.
    fn fill_line(&mut self) -> StorageResult<(usize, Option<usize>)> {
        let mut searched = 0;
        loop {
            let unread = self.offset - self.buffer.len() as u64;
            let end = self.buffer.len().saturating_sub(1);
            // The bytes at the end of the buffer that were searched before have no line break.
            let found = memrchr(b'\n', &self.buffer[..end.saturating_sub(searched)]);
            let is_sum_there = |before: &usize| unread == 0 || *before >= FIRST_SUM;
            if let Some(before) = found.filter(is_sum_there) {
                return Ok((before + 1, Some(before)));
            }
            if unread == 0 {
                if self.buffer.last() != Some(&b'\n') {
                    let cause = "the header is not there";
                    return Err(StorageError::damaged(self.segment.path(), 0, cause));
                }
                return Ok((0, None));
            }
            if found.is_none() {
                searched = end;
            }
            let from = unread.saturating_sub(self.chunk);
            let mut bytes = self.bytes(from, unread)?;
            bytes.append(&mut self.buffer);
            self.buffer = bytes;
            self.chunk *= 2;
        }
    }

    /// The bytes of the file in this range.
    fn bytes(&mut self, from: u64, until: u64) -> StorageResult<Vec<u8>> {
        let length = usize::try_from(until - from).unwrap_or(usize::MAX);
        let mut bytes = vec![0; length];
        if self.segment.read_at(from, &mut bytes)? < length {
            let cause = "the file ends before this byte";
            return Err(StorageError::damaged(self.segment.path(), until, cause));
        }
        Ok(bytes)
    }

    /// The error for a durable event that is not where the segment should hold it.
    fn lacks(&self, position: u64) -> StorageError {
        let cause = format!("the durable event at position {position} is not there");
        StorageError::damaged(self.segment.path(), self.offset, cause)
    }
}

/// How many bytes before a line break are enough for the checksum of its line.
const FIRST_SUM: usize = crate::storage::encoding::sealed::SUM_LEN;

#[cfg(test)]
pub(crate) mod tests {
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::ids::StreamId;
    use crate::storage::encoding::event_line;
    use crate::storage::encoding::event_line::EncodedEvents;
    use crate::storage::error::StorageErrorKind;
    use crate::storage::files::crash::extent;
    use crate::storage::files::format::commit_line::{Place, write};
    use crate::storage::files::journal::reader::Reader;
    use crate::storage::files::journal::{Journal, Spare};

    /// A journal of several segments with commits of one to three events, of many sizes.
    pub(crate) fn journal(dir: &Path) -> Journal {
        let mut journal = Journal::create(dir).unwrap();
        let id = StreamId::new("a", "b").unwrap();
        let mut version = 0;
        for i in 0..150_usize {
            let mut events = EncodedEvents::new(event_line::seed(&id));
            for _ in 0..=i % 3 {
                version += 1;
                // Some lines are larger than many reads.
                let text = "x".repeat(if i % 40 == 7 { 5_000 } else { i * 7 % 150 });
                let event = eventfold::Event::new("Happened", serde_json::json!(text));
                events.push_event(&event, version, 1).unwrap();
            }
            let place = Place {
                stream: br#""type":"a","id":"b""#,
                version: version - (i % 3) as u64,
                offset: 0,
            };
            if !journal.has_room_for(1_000) {
                let name = Spare::name(i as u64);
                let spare = Spare::create(dir, &name, journal.next_capacity()).unwrap();
                journal.start_segment(spare).unwrap();
            }
            let mut batch = journal.begin_batch();
            write(&mut batch, &place, events.as_encoded(), &mut Vec::new());
            journal.append(&batch).unwrap();
        }
        journal
    }

    pub(crate) type Events = Vec<(u64, String)>;

    fn forward(journal: &Journal) -> Events {
        let mut events = Events::new();
        let mut reader = Reader::new(journal.index(), 0);
        reader
            .read_to(journal.end().position, |commit, _| {
                let texts = commit.events.iter().map(|event| event.get().to_owned());
                events.extend((commit.position..).zip(texts));
                StorageResult::Ok(ControlFlow::Continue(()))
            })
            .unwrap();
        events
    }

    /// Reads on until the beginning, and breaks off after each commit if `in_steps`.
    pub(crate) fn backward(reader: &mut BackwardReader, in_steps: bool) -> StorageResult<Events> {
        let mut events = Events::new();
        loop {
            let is_done = reader.read(|commit, wanted| {
                let texts = commit.events.iter().map(|event| event.get().to_owned());
                let mut these: Events = (commit.position..).zip(texts).take(wanted).collect();
                these.reverse();
                events.extend(these);
                Ok(if in_steps {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                })
            })?;
            if is_done {
                return Ok(events);
            }
        }
    }

    fn segments(dir: &Path) -> Vec<PathBuf> {
        let mut paths: Vec<PathBuf> = std::fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|e| e == "jsonl"))
            .collect();
        paths.sort();
        paths
    }

    #[test]
    fn from_every_position_the_events_come_in_the_reverse_order() {
        let dir = tempfile::tempdir().unwrap();
        let journal = journal(dir.path());
        assert!(segments(dir.path()).len() > 4);
        let mut events = forward(&journal);
        assert_eq!(events.len() as u64, journal.end().position);
        events.reverse();
        for before in 0..=journal.end().position + 1 {
            let mut reader = BackwardReader::new(journal.index(), before);
            let read = backward(&mut reader, before % 2 == 0).unwrap();
            let from = usize::try_from(journal.end().position + 1 - before.max(1)).unwrap();
            assert!(read == events[from..], "before {before}");
        }
    }

    #[test]
    fn zeros_and_what_is_not_durable_yet_are_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let journal = journal(dir.path());
        let events = forward(&journal);
        let segments = segments(dir.path());
        let (newest, sealed) = segments.split_last().unwrap();
        for (i, path) in sealed.iter().enumerate() {
            let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
            let length = file.metadata().unwrap().len();
            file.set_len(length + [0, 1, 700, 5_000][i % 4]).unwrap();
        }
        let mut bytes = std::fs::read(newest).unwrap();
        let end = usize::try_from(journal.end().offset).unwrap();
        bytes.splice(
            end..,
            *b"{\"len\":        99,\"pos\":1,\"count\"\0\0half a line",
        );
        std::fs::write(newest, bytes).unwrap();
        let mut reader = BackwardReader::new(journal.index(), journal.end().position + 1);
        let mut read = backward(&mut reader, false).unwrap();
        read.reverse();
        assert!(read == events);
    }

    #[test]
    fn only_what_is_near_the_position_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let journal = journal(dir.path());
        let segments = segments(dir.path());
        // The beginning of each segment is lost, and the first two altogether.
        for path in &segments {
            let mut bytes = std::fs::read(path).unwrap();
            let third = bytes.len() / 3;
            bytes[..third].fill(b'?');
            std::fs::write(path, bytes).unwrap();
        }
        std::fs::remove_file(&segments[0]).unwrap();
        std::fs::remove_file(&segments[1]).unwrap();
        for before in [
            journal.end().position + 1,
            journal.index().holding(journal.end().position).unwrap(),
        ] {
            let mut reader = BackwardReader::new(journal.index(), before);
            let mut newest = 0;
            let read = |commit: &CommitLine<'_>, _| {
                newest = newest.max(commit.last());
                Ok(ControlFlow::Break(()))
            };
            assert!(!reader.read(read).unwrap());
            assert_eq!(newest, before - 1);
            // It does not go on as if nothing was missing.
            let error = backward(&mut reader, false).unwrap_err();
            assert_eq!(error.kind(), StorageErrorKind::Damaged, "{error}");
        }
    }

    #[test]
    fn a_changed_byte_is_an_error_that_names_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let journal = journal(dir.path());
        for path in segments(dir.path()) {
            let bytes = std::fs::read(&path).unwrap();
            let end = bytes.iter().position(|byte| *byte == 0);
            // The header of the first segment is not read: nothing is before it.
            let is_first = journal.index().path(1) == path;
            let header = bytes.iter().position(|byte| *byte == b'\n').unwrap();
            let start = if is_first { header } else { 0 };
            let step = 41 * usize::try_from(extent::step()).unwrap();
            for at in (start..end.unwrap_or(bytes.len())).step_by(step) {
                let mut changed = bytes.clone();
                changed[at] ^= 1;
                std::fs::write(&path, changed).unwrap();
                let before = journal.end().position + 1;
                let mut reader = BackwardReader::new(journal.index(), before);
                let read = backward(&mut reader, false).map(drop);
                let name = path.file_name().unwrap().to_str().unwrap();
                let Err(error) = read else {
                    panic!("a changed byte was not seen: {name} at {at}, header {header}");
                };
                assert!(error.to_string().contains(name), "{error} at {at}");
            }
            std::fs::write(&path, bytes).unwrap();
        }
    }
}
