//! Reads one line of the journal whose place is known: [`PointReader`].

use std::path::Path;
use std::sync::Arc;

use crate::storage::encoding::event_line::line_end;
use crate::storage::error::{StorageError, StorageResult};
use crate::storage::files::format::commit_line::CommitLine;
use crate::storage::files::journal::Index;
use crate::storage::files::journal::segment::SegmentFile;

/// How many bytes are read at first.
const FIRST_CHUNK: usize = if cfg!(test) { 64 } else { 4 * 1024 };

/// Reads lines, each at its place. It keeps the last one, and the file of its segment.
#[derive(Debug)]
pub(crate) struct PointReader {
    index: Arc<Index>,
    open: Option<OpenSegment>,
}

#[derive(Debug)]
struct OpenSegment {
    first: u64,
    segment: SegmentFile,
    /// Where the line in `line` begins.
    offset: u64,
    line: Vec<u8>,
}

impl PointReader {
    pub(crate) fn new(index: Arc<Index>) -> Self {
        Self { index, open: None }
    }

    /// Reads the commit that has the event at `position`. Its line begins at `offset` in its segment.
    /// The line's checksum is not verified, because it is chained to the line before; its events have
    /// checksums of their own.
    pub(crate) fn read<T>(
        &mut self,
        position: u64,
        offset: u64,
        read: impl FnOnce(&CommitLine<'_>) -> StorageResult<T>,
    ) -> StorageResult<T> {
        let lacks = |path: &Path| {
            let cause = format!("the durable event at position {position} is not there");
            StorageError::damaged(path, offset, cause)
        };
        self.index.check_has_after(position.saturating_sub(1))?;
        let first = self.index.holding(position);
        let first = first.ok_or_else(|| lacks(&self.index.path(1)))?;
        if self.open.as_ref().is_none_or(|open| open.first != first) {
            self.open = Some(OpenSegment {
                first,
                segment: self.index.open(first)?,
                offset: 0,
                line: Vec::new(),
            });
        }
        let Some(open) = &mut self.open else {
            return Err(lacks(&self.index.path(first)));
        };
        if open.offset != offset || open.line.is_empty() {
            open.load(offset)?;
        }
        let commit = CommitLine::read(&open.line)
            .map_err(|cause| StorageError::damaged(open.segment.path(), offset, cause))?;
        if position < commit.position || position > commit.last() {
            return Err(lacks(open.segment.path()));
        }
        read(&commit)
    }
}

impl OpenSegment {
    /// Reads the line that begins at `offset`.
    fn load(&mut self, offset: u64) -> StorageResult<()> {
        self.line.clear();
        self.offset = offset;
        let mut chunk = FIRST_CHUNK;
        loop {
            let searched = self.line.len();
            self.line.resize(searched + chunk, 0);
            let from = offset + searched as u64;
            let read = self.segment.read_at(from, &mut self.line[searched..]);
            let read = read.inspect_err(|_| self.line.clear())?;
            self.line.truncate(searched + read);
            if let Some(end) = line_end(&self.line, searched) {
                self.line.truncate(end);
                return Ok(());
            }
            if read == 0 {
                self.line.clear();
                let cause = "the line has no end";
                return Err(StorageError::damaged(self.segment.path(), offset, cause));
            }
            chunk *= 2;
        }
    }
}
