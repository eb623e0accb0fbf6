//! Copies segments of a journal, and checks each line on the way.

use std::path::{Path, PathBuf};

use crate::storage::encoding::event_line::line_end;
use crate::storage::error::{StorageError, StorageErrorKind, StorageResult};
use crate::storage::files::backup::pace::{PIECE, Pace};
use crate::storage::files::disk;
use crate::storage::files::disk::{File, Open};
use crate::storage::files::format::commit_line::{CommitLine, stated_sum};
use crate::storage::files::journal::end::End;
use crate::storage::files::journal::paths::form_path;
use crate::storage::files::journal::reader::stated_previous;
use crate::storage::files::journal::segment::{SegmentFile, Used};
use crate::storage::files::recovery::scan::scan_segment;

/// A segment in memory. Its lines are whole and chained.
#[derive(Debug)]
pub(crate) struct Segment {
    bytes: Vec<u8>,
    /// The file of a compressed segment, as long as it has all of `bytes`.
    compressed: Option<Vec<u8>>,
    /// Where its lines end.
    pub(crate) end: End,
}

impl Segment {
    /// Reads the segment that begins at `first` in `journal`, up to the byte `until`. It must have
    /// whole lines up to there. Without `until`, a compressed segment stays compressed. With it, the segment
    /// may be appended to, so it is not.
    pub(crate) fn read(journal: &Path, first: u64, until: Option<u64>) -> StorageResult<Self> {
        let mut file = SegmentFile::open(journal, first)?;
        let mut bytes = file.read_used(0).and_then(Used::whole)?;
        let path = file.path();
        let mut compressed = None;
        if let SegmentFile::Compressed(_) = file
            && until.is_none()
        {
            let stored = disk::read(path).map_err(|e| StorageError::io("read", path, e))?;
            compressed = Some(stored);
        }
        if let Some(until) = until {
            let until = usize::try_from(until).unwrap_or(usize::MAX);
            if bytes.len() < until {
                let cause = "the file ends before a line that was durable";
                return Err(StorageError::damaged(path, bytes.len() as u64, cause));
            }
            bytes.truncate(until);
        }
        let previous = stated_previous(&bytes)
            .ok_or_else(|| StorageError::damaged(path, 0, "the header is not valid"))?;
        let mut end = End::of_empty(first, previous);
        scan_segment(path, &mut &bytes[..], &mut end, &mut |_| Ok(()))?;
        if end.offset != bytes.len() as u64 {
            let cause = "the line is not valid, although it was durable";
            return Err(StorageError::damaged(path, end.offset, cause));
        }
        Ok(Self {
            bytes,
            compressed,
            end,
        })
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
                    self.compressed = None;
                    self.end = end;
                    return Ok(true);
                }
                end.position = commit.last();
                end.ms = commit.ms.value();
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

    pub(crate) fn is_compressed(&self) -> bool {
        self.compressed.is_some()
    }

    /// The bytes of its file.
    fn stored(&self) -> &[u8] {
        self.compressed.as_deref().unwrap_or(&self.bytes)
    }

    /// How many bytes its file has.
    pub(crate) fn stored_length(&self) -> u64 {
        self.stored().len() as u64
    }

    /// Writes it as a new file into `journal`, which takes the place of one that is there, in whichever form,
    /// and reads it back. Invariant B2.
    pub(crate) fn write(&self, journal: &Path, pace: &mut Pace) -> StorageResult<()> {
        let first = self.end.segment;
        let path = form_path(journal, first, self.is_compressed());
        let temporary = temporary(&path);
        let written = self.write_to(&temporary, pace);
        let renamed = written.and_then(|file| file.rename_to(&path));
        if renamed.is_err() {
            // An unfinished file takes the space that the next attempt needs.
            let _ = disk::remove(&temporary);
        }
        drop(renamed?);
        let back = disk::read(&path).map_err(|e| StorageError::io("read", &path, e))?;
        if back != self.stored() {
            let cause = "does not have what was just written to it: the disk is not to be trusted";
            return Err(StorageError::file(StorageErrorKind::Damaged, &path, cause));
        }
        remove_other(journal, &form_path(journal, first, !self.is_compressed()))
    }

    fn write_to(&self, path: &Path, pace: &mut Pace) -> StorageResult<File> {
        let failed = |error| StorageError::io("write", path, error);
        let file = File::open(path, Open::New).map_err(failed)?;
        let mut offset = 0;
        for piece in self.stored().chunks(PIECE) {
            file.write_at(offset, piece).map_err(failed)?;
            offset += piece.len() as u64;
            pace.wrote(piece.len() as u64)?;
        }
        file.sync_all().map_err(failed)?;
        Ok(file)
    }
}

/// The name of the file `path` until it is whole.
pub(crate) fn temporary(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    name.into()
}

/// Removes the other form of a segment that was just written, once its name is durable.
pub(crate) fn remove_other(journal: &Path, other: &Path) -> StorageResult<()> {
    if disk::is_there(other) {
        disk::sync_dir(journal)?;
        disk::remove(other)?;
    }
    Ok(())
}

/// Whether the segment that begins at `first` ends with the same line in both journals, in whichever form.
/// All lines are chained, so a segment that was checked when it was written has the same ones before it.
pub(crate) fn is_same(one: &Path, other: &Path, first: u64) -> StorageResult<bool> {
    let Some(mut other) = SegmentFile::open_if_there(other, first)? else {
        return Ok(false);
    };
    let mut one = SegmentFile::open(one, first)?;
    let length = one.used_length()?;
    if other.used_length()? != length {
        return Ok(false);
    }
    let sum = one.stated_before(length)?;
    Ok(sum.is_some() && sum == other.stated_before(length)?)
}
