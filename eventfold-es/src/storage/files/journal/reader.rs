//! Reads the journal's commits from a position on, in order, up to the durable head.

use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use crate::storage::encoding::event_line::line_end;
use crate::storage::encoding::sealed::verified;
use crate::storage::error::{StorageError, StorageResult};
use crate::storage::files::ahead::{Ahead, Lines};
use crate::storage::files::format::commit_line::{CommitLine, Outline};
use crate::storage::files::journal::Index;
use crate::storage::files::journal::end::End;
use crate::storage::files::journal::readers::Reading;
use crate::storage::files::journal::segment::SegmentFile;

/// The size of the first read from the file. Each further read is twice as large.
const FIRST_CHUNK: u64 = 16 * 1024;
/// The size of the largest reads from the file.
const LARGEST_CHUNK: u64 = 256 * 1024;
/// From reads of this size on another thread reads ahead: whoever read so much reads on.
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
    /// Where the line that was taken last is in `buffer`, unless it was read ahead.
    line: Range<usize>,
    chunk: u64,
    /// Nothing is written to it any more.
    is_sealed: bool,
    /// Reads what follows. The buffer is not used then.
    ahead: Option<Box<Ahead<KnownCommit>>>,
    /// What follows could not be read ahead.
    is_ahead_over: bool,
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
        if let Some(open) = &mut self.open
            && !open.is_sealed
        {
            // What was read ahead may be from before a write was complete.
            open.rewind();
            open.is_sealed = is_sealed(&self.index, open.end.segment);
        }
        while self.after < head {
            let open = match &mut self.open {
                Some(open) => open,
                None => self.open.insert(OpenSegment::at(&self.index, self.after)?),
            };
            let after = self.after;
            let mut flow = ControlFlow::Continue(());
            let last = open.next(&self.index, |commit| {
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
                        // Nobody knows when it reads on, and others may need the thread.
                        if open.ahead.is_some() {
                            open.rewind();
                        }
                        break;
                    }
                }
                Ok(None) => {
                    let (end, chunk) = (open.end, open.chunk);
                    self.open = Some(OpenSegment::after(&self.index, end, chunk)?);
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
        let read = open.next(index, |commit| {
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
        let end = End::of_empty(first, chain);
        Self::new(index, segment, end, FIRST_CHUNK)
    }

    /// The segment that follows `end`. Its first read is of the size `chunk`.
    fn after(index: &Index, end: End, chunk: u64) -> StorageResult<Self> {
        let first = end.position + 1;
        if index.holding(first) != Some(first) {
            let path = index.path(end.segment);
            let cause = "the line is not valid, although it was durable";
            return Err(StorageError::damaged(&path, end.offset, cause));
        }
        Self::new(index, index.open(first)?, end.of_next(), chunk)
    }

    fn new(index: &Index, segment: SegmentFile, end: End, chunk: u64) -> StorageResult<Self> {
        let mut open = Self {
            segment,
            end,
            buffer: Vec::new(),
            used: 0,
            line: 0..0,
            chunk,
            is_sealed: is_sealed(index, end.segment),
            ahead: None,
            is_ahead_over: false,
        };
        if !open.take_line(index)? {
            let cause = "the header is missing";
            return Err(StorageError::damaged(open.segment.path(), 0, cause));
        }
        Ok(open)
    }

    /// Reads the next commit, `None` at the end of the segment.
    fn next<E: From<StorageError>>(
        &mut self,
        index: &Index,
        read: impl FnOnce(&CommitLine<'_>) -> Result<u64, E>,
    ) -> Result<Option<u64>, E> {
        let offset = self.end.offset;
        if !self.take_line(index)? {
            return Ok(None);
        }
        let commit = match self.ahead.as_ref().and_then(|ahead| ahead.line()) {
            Some((line, known)) => CommitLine::read_outlined(line, known.outline.as_ref()),
            None => CommitLine::read(&self.buffer[self.line.clone()]),
        };
        let commit =
            commit.map_err(|cause| StorageError::damaged(self.segment.path(), offset, cause))?;
        let last = read(&commit)?;
        self.end.position = commit.last();
        Ok(Some(last))
    }

    /// Discards the bytes that were read and not used.
    fn rewind(&mut self) {
        self.buffer.clear();
        self.used = 0;
        self.chunk = FIRST_CHUNK;
        self.ahead = None;
        self.is_ahead_over = false;
    }

    /// Checks the next line and moves past it. False if the segment's lines end here.
    fn take_line(&mut self, index: &Index) -> StorageResult<bool> {
        if let Some(ahead) = &mut self.ahead {
            if let Some((line, known)) = ahead.next() {
                self.end.chain = known.chain;
                self.end.offset += line.len() as u64 + 1;
                return Ok(true);
            }
            // The lines end here, or the next one is not valid.
            self.ahead = None;
            self.is_ahead_over = true;
            self.buffer.clear();
            self.used = 0;
        }
        let mut searched = self.used;
        loop {
            if self.buffer.get(self.used) == Some(&0) {
                return Ok(false);
            }
            if let Some(length) = line_end(&self.buffer[self.used..], searched - self.used) {
                self.check(length)?;
                return Ok(true);
            }
            if self.chunk >= AHEAD_FROM && !self.is_ahead_over {
                self.ahead = read_ahead(index, self.end).map(Box::new);
                self.is_ahead_over = self.ahead.is_none();
                if self.ahead.is_some() {
                    return self.take_line(index);
                }
            }
            self.buffer.drain(..self.used);
            self.used = 0;
            searched = self.buffer.len();
            let offset = self.end.offset + searched as u64;
            let read = (self.segment).read_on(offset, self.chunk, &mut self.buffer)?;
            if read == 0 {
                return Ok(false);
            }
            self.chunk = (self.chunk * 2).min(LARGEST_CHUNK);
        }
    }

    /// Checks the next line, which has this length, and moves past it.
    fn check(&mut self, length: usize) -> StorageResult<()> {
        let line = self.used..self.used + length;
        let cause = "the checksum does not match";
        self.end.chain = verified(&self.buffer[line.clone()], self.end.chain)
            .ok_or_else(|| StorageError::damaged(self.segment.path(), self.end.offset, cause))?;
        self.end.offset += length as u64 + 1;
        self.used = line.end + 1;
        self.line = line;
        Ok(())
    }
}

/// What is known of a line whose checksum is right.
#[derive(Debug)]
struct KnownCommit {
    /// The checksum.
    chain: u64,
    /// Where its members are, if that was found out.
    outline: Option<Outline>,
}

/// A segment that is read ahead.
struct SegmentAhead {
    segment: SegmentFile,
    /// The checksum of the line before.
    chain: u64,
}

impl Lines for SegmentAhead {
    type Known = KnownCommit;

    fn read_on(&mut self, offset: u64, about: usize, out: &mut Vec<u8>) -> Option<usize> {
        self.segment.read_on(offset, about as u64, out).ok()
    }

    fn check(&mut self, line: &str, in_detail: bool) -> Option<KnownCommit> {
        self.chain = verified(line.as_bytes(), self.chain)?;
        Some(KnownCommit {
            chain: self.chain,
            outline: in_detail.then(|| Outline::of(line)).flatten(),
        })
    }
}

/// Reads the segment of `end` from there on, on a thread of its own.
fn read_ahead(index: &Index, end: End) -> Option<Ahead<KnownCommit>> {
    let journal = index.dir().to_owned();
    Ahead::start(end.offset, move || {
        // Whichever form the segment has by now: the checksums tell that it is the same.
        let segment = SegmentFile::open_if_there(&journal, end.segment).ok()??;
        let chain = end.chain;
        Some(SegmentAhead { segment, chain })
    })
}

/// Whether nothing is written any more to the segment that begins at `first`.
fn is_sealed(index: &Index, first: u64) -> bool {
    index.holding(u64::MAX) != Some(first)
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
