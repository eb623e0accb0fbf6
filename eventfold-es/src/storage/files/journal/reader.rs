//! Reads the journal's commits from a position on, in order, up to the durable head.

use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use crate::storage::encoding::event_line::line_end;
use crate::storage::encoding::sealed::verified;
use crate::storage::error::{StorageError, StorageResult};
use crate::storage::files::format::commit_line::CommitLine;
use crate::storage::files::journal::Index;
use crate::storage::files::journal::ahead::Ahead;
use crate::storage::files::journal::end::End;
use crate::storage::files::journal::readers::Reading;
use crate::storage::files::journal::segment::SegmentFile;

/// The size of the first read from the file. Each further read is twice as large.
const FIRST_CHUNK: u64 = 16 * 1024;
/// The size of the largest reads from the file.
const LARGEST_CHUNK: u64 = 256 * 1024;
/// From reads of this size on a compressed segment is decoded ahead: whoever read so much reads on.
const AHEAD_FROM: u64 = if cfg!(test) {
    2 * FIRST_CHUNK
} else {
    LARGEST_CHUNK
};

/// A place in the journal, with the bytes that were read ahead.
#[derive(Debug)]
pub(crate) struct Reader {
    index: Arc<Index>,
    /// Events up to this position are skipped.
    after: u64,
    reading: Reading,
    open: Option<OpenSegment>,
}

/// The segment that the reader is in.
#[derive(Debug)]
struct OpenSegment {
    segment: SegmentFile,
    /// The place in the journal of the byte at `used` in `buffer`.
    end: End,
    buffer: Vec<u8>,
    used: usize,
    chunk: u64,
    /// Decodes what comes behind the buffer.
    ahead: Option<Ahead>,
}

impl Reader {
    /// A reader of the events after position `after`.
    pub(crate) fn new(index: Arc<Index>, after: u64) -> Self {
        Self {
            reading: index.reading(after),
            index,
            after,
            open: None,
        }
    }

    /// Passes each commit up to the durable position `head` to `each`, with the index of its first
    /// new event, until `each` breaks off. If `each` fails, the commit counts as not read.
    pub(crate) fn read_to<E: From<StorageError>>(
        &mut self,
        head: u64,
        mut each: impl FnMut(&CommitLine<'_>, usize) -> Result<ControlFlow<()>, E>,
    ) -> Result<(), E> {
        if let Some(open) = &mut self.open {
            open.rewind();
        }
        while self.after < head {
            let open = match &mut self.open {
                Some(open) => open,
                None => self.open.insert(OpenSegment::at(&self.index, self.after)?),
            };
            let after = self.after;
            let mut flow = ControlFlow::Continue(());
            let last = open.next(|commit| {
                let first_new = (after + 1).saturating_sub(commit.position);
                if commit.last() > after {
                    flow = each(commit, usize::try_from(first_new).unwrap_or(usize::MAX))?;
                }
                Ok(commit.last())
            });
            match last {
                Ok(Some(last)) => {
                    self.after = self.after.max(last);
                    self.reading.moved_to(self.after);
                    if flow.is_break() {
                        break;
                    }
                }
                Ok(None) => {
                    let end = open.end;
                    self.open = Some(OpenSegment::after(&self.index, end)?);
                }
                Err(error) => {
                    // The next call reads from the file again: the bytes read ahead may be wrong.
                    self.open = None;
                    return Err(error);
                }
            }
        }
        Ok(())
    }
}

impl Reader {
    /// The checksum of the line that was read last; `None` if it is unknown.
    pub(crate) fn chain(&self) -> Option<u64> {
        self.open.as_ref().map(|open| open.end.chain)
    }

    /// Moves to the durable `position` and returns the checksum of the line that holds it; 0 for
    /// the beginning. `position` must not be before the position of the last call.
    pub(crate) fn chain_at(&mut self, position: u64) -> StorageResult<u64> {
        if position > 0 && position == self.index.dropped() {
            return chain_before(&self.index, position + 1);
        }
        let is_elsewhere =
            |open: &OpenSegment| self.index.holding(position) != Some(open.end.segment);
        if self.open.as_ref().is_none_or(is_elsewhere) {
            self.open = None;
            self.after = position.saturating_sub(1);
            self.reading.moved_to(self.after);
        }
        self.read_to(position, |_, _| {
            StorageResult::Ok(ControlFlow::Continue(()))
        })?;
        Ok(self.chain().unwrap_or(0))
    }
}

/// Passes the commits of the segment that begins at `first` to `each`, up to the one that has the
/// durable event at `until`, with the offset of each.
pub(crate) fn read_segment(
    index: &Index,
    first: u64,
    until: u64,
    mut each: impl FnMut(&CommitLine<'_>, u64) -> StorageResult<()>,
) -> StorageResult<()> {
    let mut open = OpenSegment::at(index, first.saturating_sub(1))?;
    while open.end.position < until {
        let offset = open.end.offset;
        let read = open.next(|commit| {
            each(commit, offset)?;
            StorageResult::Ok(commit.last())
        })?;
        if read.is_none() {
            break;
        }
    }
    Ok(())
}

/// The checksum of the last line before the segment that begins at `first`: as it was checked when the store
/// was opened, or as the header states it.
pub(crate) fn chain_before(index: &Index, first: u64) -> StorageResult<u64> {
    if let Some(chain) = index.noted_chain(first) {
        return Ok(chain);
    }
    previous_of(&mut index.open(first)?)
}

impl OpenSegment {
    /// The segment that holds the event after `after`.
    fn at(index: &Index, after: u64) -> StorageResult<Self> {
        index.check_has_after(after)?;
        let first = index
            .holding(after + 1)
            .ok_or_else(|| StorageError::damaged(&index.path(1), 0, "the file is missing"))?;
        // A segment's chain starts with the previous segment's checksum, which the header states.
        let mut segment = index.open(first)?;
        let chain = previous_of(&mut segment)?;
        Self::new(segment, End::of_empty(first, chain))
    }

    /// The segment that follows `end`.
    fn after(index: &Index, end: End) -> StorageResult<Self> {
        let first = end.position + 1;
        if index.holding(first) != Some(first) {
            let path = index.path(end.segment);
            let cause = "the line is not valid, although it was durable";
            return Err(StorageError::damaged(&path, end.offset, cause));
        }
        Self::new(index.open(first)?, end.of_next())
    }

    fn new(segment: SegmentFile, end: End) -> StorageResult<Self> {
        let mut open = Self {
            segment,
            end,
            buffer: Vec::new(),
            used: 0,
            chunk: FIRST_CHUNK,
            ahead: None,
        };
        if open.take_line()?.is_none() {
            let cause = "the header is missing";
            return Err(StorageError::damaged(open.segment.path(), 0, cause));
        }
        Ok(open)
    }

    /// Reads the next commit, `None` at the end of the segment.
    fn next<E: From<StorageError>>(
        &mut self,
        read: impl FnOnce(&CommitLine<'_>) -> Result<u64, E>,
    ) -> Result<Option<u64>, E> {
        let offset = self.end.offset;
        let Some(line) = self.take_line()? else {
            return Ok(None);
        };
        let commit = CommitLine::read(&self.buffer[line])
            .map_err(|cause| StorageError::damaged(self.segment.path(), offset, cause))?;
        let last = read(&commit)?;
        self.end.position = commit.last();
        Ok(Some(last))
    }

    /// Discards the bytes that were read ahead: they may be from before a write was complete.
    fn rewind(&mut self) {
        self.buffer.clear();
        self.used = 0;
        self.chunk = FIRST_CHUNK;
        self.ahead = None;
    }

    /// Checks the next line and moves past it. Returns where it is in the buffer, `None` if the
    /// segment's lines end here.
    fn take_line(&mut self) -> StorageResult<Option<Range<usize>>> {
        let Some(end) = self.fill_line()? else {
            return Ok(None);
        };
        let line = self.used..end;
        let cause = "the checksum does not match";
        self.end.chain = verified(&self.buffer[line.clone()], self.end.chain)
            .ok_or_else(|| StorageError::damaged(self.segment.path(), self.end.offset, cause))?;
        self.end.offset += line.len() as u64 + 1;
        self.used = end + 1;
        Ok(Some(line))
    }

    /// Reads from `offset` on, where the buffer ends. Returns how many bytes; 0 at the end.
    fn read_on(&mut self, offset: u64) -> StorageResult<usize> {
        if self.ahead.is_none() && self.chunk >= AHEAD_FROM {
            self.ahead = self.segment.ahead(offset);
        }
        let decoded = self.ahead.as_mut();
        if let Some(read) = decoded.and_then(|ahead| ahead.read_on(&mut self.buffer)) {
            return read;
        }
        self.ahead = None;
        self.segment.read_on(offset, self.chunk, &mut self.buffer)
    }

    /// Reads until the buffer holds a whole line, and returns where the line ends.
    fn fill_line(&mut self) -> StorageResult<Option<usize>> {
        let mut searched = self.used;
        loop {
            if self.buffer.get(self.used) == Some(&0) {
                return Ok(None);
            }
            if let Some(length) = line_end(&self.buffer[self.used..], searched - self.used) {
                return Ok(Some(self.used + length));
            }
            self.buffer.drain(..self.used);
            self.used = 0;
            searched = self.buffer.len();
            let offset = self.end.offset + searched as u64;
            let read = self.read_on(offset)?;
            if read == 0 {
                return Ok(None);
            }
            self.chunk = (self.chunk * 2).min(LARGEST_CHUNK);
        }
    }
}

/// The previous segment's checksum as the header of `segment` states it.
fn previous_of(segment: &mut SegmentFile) -> StorageResult<u64> {
    let start = segment.start()?;
    stated_previous(&start)
        .ok_or_else(|| StorageError::damaged(segment.path(), 0, "the header is not valid"))
}

/// The previous segment's checksum as the header in `start`, the beginning of a segment, states it.
pub(crate) fn stated_previous(start: &[u8]) -> Option<u64> {
    let line = start.split(|byte| *byte == b'\n').next()?;
    let text = std::str::from_utf8(line).ok()?;
    let (_, rest) = text.split_once("\"previous\":\"")?;
    u64::from_str_radix(rest.get(..16)?, 16).ok()
}
