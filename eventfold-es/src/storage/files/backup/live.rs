//! The journal of a store that another process writes: which of its lines are durable.
//!
//! A line shows by itself that it was written, and not that it was made durable: its writer may undo
//! it. What was durable is proven by a later line, by the redo point, or by the line in its stream's
//! file. Invariants C3, D1.

use std::path::PathBuf;

use crate::ids::StreamId;
use crate::storage::encoding::event_line::{self, line_end};
use crate::storage::encoding::sealed::verified;
use crate::storage::error::{StorageError, StorageResult};
use crate::storage::files::format::commit_line::CommitLine;
use crate::storage::files::journal::beginning::Beginning;
use crate::storage::files::journal::end::End;
use crate::storage::files::journal::paths::{list_segments, segment_file};
use crate::storage::files::journal::segment::SegmentFile;
use crate::storage::files::layout::StreamLayout;
use crate::storage::files::recovery::redo_point::RedoPoint;
use crate::storage::files::streams::content::Content;

/// What is known of a journal that grows.
#[derive(Debug)]
pub(crate) struct Live {
    layout: StreamLayout,
    journal: PathBuf,
    proven: End,
    written: u64,
}

impl Live {
    pub(crate) fn new(layout: &StreamLayout) -> StorageResult<Self> {
        let journal = layout.journal_dir();
        let checkpoint = RedoPoint::read(&journal)?;
        let start = Beginning::read(&journal)?.end();
        Ok(Self {
            layout: layout.clone(),
            proven: checkpoint.map_or(start, |checkpoint| checkpoint.end),
            journal,
            written: 0,
        })
    }

    /// Where the lines end that are known to be durable.
    pub(crate) fn proven(&self) -> End {
        self.proven
    }

    /// The position of the last line that is whole.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// Reads what was added.
    pub(crate) fn look(&mut self) -> StorageResult<()> {
        let mut ends = Vec::new();
        let mut proven = 0;
        let mut end = self.proven;
        let mut last = Vec::new();
        loop {
            let before = end;
            let path = segment_file(&self.journal, end.segment);
            let bytes = match SegmentFile::open_if_there(&self.journal, end.segment)? {
                Some(mut segment) => segment.read_written(end.offset)?,
                None => Vec::new(),
            };
            let mut rest = &bytes[..];
            while let Some(length) = line_end(rest, 0) {
                let line = &rest[..length];
                let Some(sum) = verified(line, end.chain) else {
                    break;
                };
                let is_header = end.offset == 0;
                end.chain = sum;
                end.offset += length as u64 + 1;
                rest = &rest[length + 1..];
                if is_header {
                    continue;
                }
                let commit = CommitLine::read(line)
                    .map_err(|cause| StorageError::damaged(&path, end.offset, cause))?;
                if commit.position != end.position + 1 {
                    let cause = "the positions have a gap";
                    return Err(StorageError::damaged(&path, end.offset, cause));
                }
                end.position = commit.last();
                end.ms = commit.ms.value();
                proven = proven.max(commit.durable.value());
                last.clear();
                last.extend_from_slice(line);
                ends.push(end);
            }
            let follows = list_segments(&self.journal)?.contains(&(end.position + 1));
            if follows && end.position >= end.segment {
                // A new segment begins only when everything before it is durable.
                proven = proven.max(end.position);
                end = end.of_next();
            } else if end == before {
                break;
            }
        }
        self.written = end.position;
        if let Some(checkpoint) = RedoPoint::read(&self.journal)? {
            proven = proven.max(checkpoint.end.position);
        }
        if proven < end.position && !last.is_empty() && self.is_in_stream(&last)? {
            proven = end.position;
        }
        if let Some(end) = ends.iter().rfind(|end| end.position <= proven) {
            self.proven = *end;
        }
        Ok(())
    }

    /// Whether a stream's file has its lines of the commit in `line`.
    fn is_in_stream(&self, line: &[u8]) -> StorageResult<bool> {
        let Ok(commit) = CommitLine::read(line) else {
            return Ok(false);
        };
        let Some(part) = commit.streams().next() else {
            return Ok(false);
        };
        let Ok(id) = StreamId::new(part.aggregate_type, part.id) else {
            return Ok(false);
        };
        let dir = self.layout.stream_dir(id.aggregate_type(), id.id());
        let Some(content) = Content::in_dir(&dir, event_line::seed(&id))? else {
            return Ok(false);
        };
        let lines = part.lines();
        Ok(content.read_at(part.offset, lines.len() as u64)? == lines)
    }
}
