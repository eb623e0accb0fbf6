//! Copies segments of a journal, and checks each line on the way.

use std::path::Path;

use crate::storage::encoding::event_line::line_end;
use crate::storage::error::{StorageError, StorageErrorKind, StorageResult};
use crate::storage::files::backup::pace::{PIECE, Pace};
use crate::storage::files::disk;
use crate::storage::files::disk::{File, Open};
use crate::storage::files::format::commit_line::{CommitLine, stated_sum};
use crate::storage::files::journal::end::End;
use crate::storage::files::journal::paths::segment_path;
use crate::storage::files::journal::reader::stated_previous;
use crate::storage::files::recovery::scan::{read_used, scan_segment, stated_before, used_length};

/// A segment in memory. Its lines are whole and chained.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) bytes: Vec<u8>,
    /// Where its lines end.
    pub(crate) end: End,
}

impl Segment {
    /// Reads the segment that begins at `first` in `journal`, up to the byte `until`. It must have
    /// whole lines up to there.
    pub(crate) fn read(journal: &Path, first: u64, until: Option<u64>) -> StorageResult<Self> {
        let path = segment_path(journal, first);
        let mut bytes = read_used(&path, 0)?;
        if let Some(until) = until {
            let until = usize::try_from(until).unwrap_or(usize::MAX);
            if bytes.len() < until {
                let cause = "the file ends before a line that was durable";
                return Err(StorageError::damaged(&path, bytes.len() as u64, cause));
            }
            bytes.truncate(until);
        }
        let previous = stated_previous(&bytes)
            .ok_or_else(|| StorageError::damaged(&path, 0, "the header is not valid"))?;
        let mut end = End::of_empty(first, previous);
        scan_segment(&path, &mut &bytes[..], &mut end, &mut |_| Ok(()))?;
        if end.offset != bytes.len() as u64 {
            let cause = "the line is not valid, although it was durable";
            return Err(StorageError::damaged(&path, end.offset, cause));
        }
        Ok(Self { bytes, end })
    }

    /// Cuts the commits off from the first one that is not `kept` on. Returns whether there was one.
    pub(crate) fn cut(&mut self, kept: impl Fn(&CommitLine<'_>) -> bool) -> StorageResult<bool> {
        let mut end = End::of_empty(self.end.segment, 0);
        let mut rest = &self.bytes[..];
        while let Some(length) = line_end(rest, 0) {
            let line = &rest[..length];
            if end.offset > 0 {
                let damaged = |cause| StorageError::new(StorageErrorKind::Bug, cause);
                let commit = CommitLine::read(line).map_err(damaged)?;
                if !kept(&commit) {
                    let length = usize::try_from(end.offset).unwrap_or(usize::MAX);
                    self.bytes.truncate(length);
                    self.end = end;
                    return Ok(true);
                }
                end.position = commit.last();
                end.ms = commit.ms;
            }
            end.chain = stated_sum(line).unwrap_or_default();
            end.offset += length as u64 + 1;
            rest = &rest[length + 1..];
        }
        Ok(false)
    }

    /// Whether it has no commits.
    pub(crate) fn is_empty(&self) -> bool {
        self.end.position < self.end.segment
    }

    /// Writes it as a new file into `journal`, which takes the place of one that is there, and reads
    /// it back. Invariant B2.
    pub(crate) fn write(&self, journal: &Path, pace: &mut Pace) -> StorageResult<()> {
        let path = segment_path(journal, self.end.segment);
        let temporary = path.with_extension("jsonl.tmp");
        let written = self.write_to(&temporary, pace);
        let renamed = written.and_then(|file| file.rename_to(&path));
        if renamed.is_err() {
            // An unfinished file takes the space that the next attempt needs.
            let _ = disk::remove(&temporary);
        }
        drop(renamed?);
        let back = disk::read(&path).map_err(|e| StorageError::io("read", &path, e))?;
        if back != self.bytes {
            let cause = "does not have what was just written to it: the disk is not to be trusted";
            return Err(StorageError::file(StorageErrorKind::Damaged, &path, cause));
        }
        Ok(())
    }

    fn write_to(&self, path: &Path, pace: &mut Pace) -> StorageResult<File> {
        let failed = |error| StorageError::io("write", path, error);
        let file = File::open(path, Open::New).map_err(failed)?;
        let mut offset = 0;
        for piece in self.bytes.chunks(PIECE) {
            file.write_at(offset, piece).map_err(failed)?;
            offset += piece.len() as u64;
            pace.wrote(piece.len() as u64)?;
        }
        file.sync_all().map_err(failed)?;
        Ok(file)
    }
}

/// Whether the segment that begins at `first` ends with the same line in both journals. All lines are
/// chained, so a segment that was checked when it was written has the same ones before it.
pub(crate) fn is_same(one: &Path, other: &Path, first: u64) -> StorageResult<bool> {
    let (one, other) = (segment_path(one, first), segment_path(other, first));
    if !disk::is_there(&other) {
        return Ok(false);
    }
    let length = used_length(&one)?;
    if used_length(&other)? != length {
        return Ok(false);
    }
    let sum = stated_before(&one, length)?;
    Ok(sum.is_some() && sum == stated_before(&other, length)?)
}
