//! Keeps a backup close behind a store that another process writes: [`Following`].
//!
//! The last segment of the copy grows in place, behind what its manifest states. Everything else is as
//! in a backup.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use crate::clock::unix_millis;
use crate::storage::error::{StorageError, StorageErrorKind, StorageResult};
use crate::storage::files::backup::copy::Segment;
use crate::storage::files::backup::kept;
use crate::storage::files::backup::manifest::Manifest;
use crate::storage::files::backup::pace::Pace;
use crate::storage::files::backup::source::Source;
use crate::storage::files::backup::take::{Taken, Taking};
use crate::storage::files::disk;
use crate::storage::files::disk::{File, Open};
use crate::storage::files::journal::end::End;
use crate::storage::files::journal::paths::{list_segments, segment_path};
use crate::storage::files::journal::segment::SegmentFile;
use crate::storage::files::recovery::scan::scan_segment;

/// How often the files of process managers are copied.
const MANAGERS_EVERY: Duration = Duration::from_secs(1);

/// A copy that follows a store. The directory of the copy is locked until it is dropped.
#[derive(Debug)]
pub(crate) struct Following {
    taking: Taking,
    /// The last segment of the copy, once it was written anew.
    tail: Option<File>,
    managers_at: Instant,
}

impl Following {
    /// Brings the copy in `target` up to what is durable in `source`.
    pub(crate) fn begin(
        source: &Path,
        target: &Path,
        pace: &mut Pace,
    ) -> StorageResult<(Self, Taken)> {
        let source = Source::of_dir(source, true)?;
        let mut taking = Taking::begin(source, target, false)?;
        let taken = taking.take(pace)?;
        let following = Self {
            taking,
            tail: None,
            managers_at: Instant::now(),
        };
        Ok((following, taken))
    }

    /// Copies what is new. Returns where the copy ends.
    pub(crate) fn step(&mut self, pace: &mut Pace) -> StorageResult<End> {
        if self.managers_at.elapsed() >= MANAGERS_EVERY {
            self.managers_at = Instant::now();
            self.copy_managers()?;
        }
        let known = self.taking.manifest.end;
        let end = self.taking.end()?;
        if end.position == known.position {
            return Ok(known);
        }
        if self.taking.source_identity()? != self.taking.manifest.identity
            && self.taking.manifest.identity.is_some()
        {
            let cause = "is the copy of another timeline: the store was restored meanwhile";
            let kind = StorageErrorKind::InvalidInput;
            return Err(StorageError::file(kind, &self.taking.base, cause));
        }
        self.taking.check_goes_on()?;
        self.append(known, end, pace)?;
        let manifest = Manifest {
            end,
            identity: self.taking.source_identity()?,
            taken_ms: unix_millis(SystemTime::now()),
            ..self.taking.manifest
        };
        manifest.write(&self.taking.base)?;
        self.taking.manifest = manifest;
        Ok(end)
    }

    fn copy_managers(&mut self) -> StorageResult<()> {
        let managers = self.taking.read_managers()?;
        let newest = self.taking.source.newest()?;
        let end = self.taking.manifest.end.position;
        for (name, files) in &managers {
            kept::keep(&self.taking.base, name, newest, end, files)?;
            kept::thin_out(&self.taking.base, name)?;
        }
        Ok(())
    }

    /// Appends the lines from `known` to `end`.
    fn append(&mut self, known: End, end: End, pace: &mut Pace) -> StorageResult<()> {
        let (from, to) = (self.taking.source.journal(), self.taking.journal());
        let mut is_new = false;
        for first in list_segments(&from)? {
            if first < known.segment || first > end.segment {
                continue;
            }
            let until = (first == end.segment).then_some(end.offset);
            let path = segment_path(&to, first);
            if first == known.segment
                && let Some(tail) = &self.tail
            {
                let mut source = SegmentFile::open(&from, first)?;
                let mut bytes = source.read_written(known.offset)?;
                let source = source.path();
                if let Some(until) = until {
                    let length = usize::try_from(until - known.offset).unwrap_or(usize::MAX);
                    bytes.truncate(length);
                }
                let mut reached = known;
                scan_segment(source, &mut &bytes[..], &mut reached, &mut |_| Ok(()))?;
                if reached.offset != known.offset + bytes.len() as u64 {
                    let cause = "the line is not valid, although it was durable";
                    return Err(StorageError::damaged(source, reached.offset, cause));
                }
                let failed = |error| StorageError::io("write", &path, error);
                tail.write_at(known.offset, &bytes).map_err(failed)?;
                tail.sync_data().map_err(failed)?;
                pace.wrote(bytes.len() as u64)?;
            } else {
                Segment::read(&from, first, until)?.write(&to, pace)?;
                is_new = true;
                // A sealed segment grows no more, and may be compressed.
                if until.is_some() {
                    let file = File::open(&path, Open::Existing)
                        .map_err(|e| StorageError::io("open", &path, e))?;
                    self.tail = Some(file);
                }
            }
        }
        if is_new {
            disk::sync_dir(&to)?;
        }
        Ok(())
    }
}
