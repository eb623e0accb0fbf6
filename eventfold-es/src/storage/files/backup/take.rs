//! Takes a backup: [`Taking`].
//!
//! The order makes it consistent at one position: first most of the journal, then the files of the
//! process managers, then the rest of the journal, up to what was durable after those files were read.
//! So the journal has everything that they rely on. The manifest comes last.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use crate::clock::unix_millis;
use crate::storage::error::{StorageError, StorageErrorKind, StorageResult};
use crate::storage::files::backup::copy::{Segment, is_same, remove_other, temporary};
use crate::storage::files::backup::manifest::{Manifest, Stage};
use crate::storage::files::backup::pace::Pace;
use crate::storage::files::backup::source::Source;
use crate::storage::files::backup::{begin, kept, meta, target};
use crate::storage::files::disk;
use crate::storage::files::doubt;
use crate::storage::files::format::commit_line::Identity;
use crate::storage::files::journal::beginning::{Beginning, Segments};
use crate::storage::files::journal::end::End;
use crate::storage::files::journal::newest_identity;
use crate::storage::files::journal::paths::{form_path, list_segments};
use crate::storage::files::journal::segment::SegmentFile;
use crate::storage::files::layout::{StreamLayout, list_dirs};
use crate::storage::files::lock::{DirLock, Patience};
use crate::storage::files::recovery::scan::check_chain;

/// How long a copy waits until what another process wrote last is known to be durable.
const CATCH_UP: Duration = Duration::from_secs(2);
/// How long it waits before it looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// What a backup has, and what of it is new.
#[derive(Debug, Clone, Default)]
pub(crate) struct Taken {
    pub(crate) position: u64,
    /// The time of the last commit.
    pub(crate) ms: u64,
    /// How many segments of the journal were copied or linked.
    pub(crate) segments: u64,
    /// How many bytes of them.
    pub(crate) bytes: u64,
    /// The process managers that the backup has files of.
    pub(crate) process_managers: Vec<String>,
}

/// A backup that is being taken. The target is locked until it is dropped.
#[derive(Debug)]
pub(crate) struct Taking {
    pub(crate) source: Source,
    pub(crate) base: PathBuf,
    pub(crate) manifest: Manifest,
    /// Whether sealed segments are linked.
    links: bool,
    /// A sync failed in the target: what is behind the manifest's place is copied again.
    in_doubt: bool,
    _lock: DirLock,
}

impl Taking {
    /// Looks at the target, and begins a backup there if it has none.
    pub(crate) fn begin(source: Source, target: &Path, links: bool) -> StorageResult<Self> {
        let target = target::canonical(target)?;
        let from = target::canonical(source.layout().base_dir())?;
        target::check_apart(&from, &target)?;
        target::look(&target)?;
        disk::create_private_dir(&target)?;
        let lock = DirLock::take(&target, &Patience::default())?;
        let base = lock.dir().to_owned();
        let journal = source.journal();
        let identity = newest_identity(&journal, &list_segments(&journal)?)?;
        let refused = |cause: &str| {
            let kind = StorageErrorKind::InvalidInput;
            Err(StorageError::file(kind, &base, cause))
        };
        let manifest = match target::look(&base)? {
            Some(found) if found.stage == Stage::Restoring => {
                return refused("has a store that is being restored: choose an empty directory");
            }
            Some(found) => {
                if found.identity.is_some() && found.identity != identity {
                    return refused(
                        "is the backup of another store, or of another timeline of this one: choose an \
                         empty directory",
                    );
                }
                source.check_has(found.end, &base)?;
                found
            }
            None => {
                let begun = Manifest::begun(identity, Stage::Begun);
                begun.write(&base)?;
                begun
            }
        };
        let to = StreamLayout::new(&base).journal_dir();
        disk::create_private_dir(&to)?;
        let in_doubt = doubt::is_noted(&to)?;
        Ok(Self {
            source,
            base,
            manifest,
            links,
            in_doubt,
            _lock: lock,
        })
    }

    pub(crate) fn journal(&self) -> PathBuf {
        StreamLayout::new(&self.base).journal_dir()
    }

    /// Brings the backup up to what is durable now.
    pub(crate) fn take(&mut self, pace: &mut Pace) -> StorageResult<Taken> {
        let mut taken = Taken::default();
        let begins = if self.manifest.end.offset == 0 {
            Some(begin::copy(self.source.layout(), &self.base)?)
        } else {
            None
        };
        let end = self.end()?;
        self.copy_journal(end, pace, &mut taken)?;

        let managers = self.read_managers()?;
        let newest = self.source.newest()?;
        let end = self.end_at(newest)?;
        self.copy_journal(end, pace, &mut taken)?;
        let kept_to = self.manifest.end.position;
        for (name, files) in &managers {
            kept::keep(&self.base, name, newest, kept_to, files)?;
        }
        let layout = self.source.layout();
        meta::copy(layout, layout.raw_names(), &self.base)?;
        if begins.is_some_and(|begins| begins.dropped != self.source_dropped().unwrap_or(u64::MAX))
        {
            let cause = "dropped old files of its journal while it was copied: copy it again";
            let dir = self.source.layout().base_dir();
            return Err(StorageError::file(StorageErrorKind::Busy, dir, cause));
        }
        self.finish(end)?;
        for name in kept::names(&self.base)? {
            kept::thin_out(&self.base, &name)?;
            taken.process_managers.push(name);
        }
        taken.position = end.position;
        taken.ms = end.ms;
        Ok(taken)
    }

    /// The records of all process managers of the source.
    pub(crate) fn read_managers(&self) -> StorageResult<Vec<(String, kept::Files)>> {
        let dir = self.source.layout().process_managers_dir();
        let mut managers = Vec::new();
        for name in list_dirs(&dir)? {
            let files = kept::read_records(&dir.join(&name))?;
            if !files.is_empty() {
                managers.push((name, files));
            }
        }
        Ok(managers)
    }

    /// Where the durable lines of the source end, or the backup if that is known to be further.
    pub(crate) fn end(&mut self) -> StorageResult<End> {
        let end = self.source.end()?;
        let known = self.manifest.end;
        Ok(if end.position < known.position {
            known
        } else {
            end
        })
    }

    /// Up to where the journal of the source has no events any more.
    fn source_dropped(&self) -> StorageResult<u64> {
        Ok(Beginning::read(&self.source.journal())?.dropped)
    }

    /// Fails if the journal of the source begins after the end of the copy.
    pub(crate) fn check_goes_on(&self) -> StorageResult<()> {
        self.source.check_has(self.manifest.end, &self.base)
    }

    /// The identity of the source now.
    pub(crate) fn source_identity(&self) -> StorageResult<Option<Identity>> {
        let from = self.source.journal();
        newest_identity(&from, &list_segments(&from)?)
    }

    /// The durable end, at `newest` or after it if that is known soon.
    fn end_at(&mut self, newest: u64) -> StorageResult<End> {
        let start = Instant::now();
        loop {
            let end = self.end()?;
            let is_late = start.elapsed() > CATCH_UP || !self.source.may_catch_up();
            if end.position >= newest || is_late {
                return Ok(end);
            }
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    /// Copies what the backup lacks of the journal up to `end`.
    fn copy_journal(&mut self, end: End, pace: &mut Pace, taken: &mut Taken) -> StorageResult<()> {
        let (from, to) = (self.source.journal(), self.journal());
        let mut lacking = Vec::new();
        for first in list_segments(&from)? {
            if first <= end.segment && end.offset > 0 && !self.has(first, end)? {
                let length = if first == end.segment {
                    end.offset
                } else {
                    SegmentFile::open(&from, first)?.stored_length()?
                };
                lacking.push(first);
                pace.total += length;
            }
        }
        for first in lacking {
            let is_last = first == end.segment;
            taken.segments += 1;
            if self.links && !is_last {
                let length = link(&from, &to, first)?;
                taken.bytes += length;
                pace.advance(length);
            } else {
                let segment = Segment::read(&from, first, is_last.then_some(end.offset))?;
                segment.write(&to, pace)?;
                taken.bytes += segment.stored_length();
            }
        }
        Ok(())
    }

    /// Whether the backup has the segment that begins at `first`, up to `end` if it is the last one.
    fn has(&self, first: u64, end: End) -> StorageResult<bool> {
        let to = self.journal();
        if self.in_doubt && first >= self.manifest.end.segment {
            return Ok(false);
        }
        if first < end.segment {
            return is_same(&self.source.journal(), &to, first);
        }
        let Some(mut segment) = SegmentFile::open_if_there(&to, first)? else {
            return Ok(false);
        };
        Ok(segment.used_length()? == end.offset
            && segment.stated_before(end.offset)? == Some(end.chain))
    }

    /// Checks the journal of the backup, and states that it has everything up to `end`. Invariant B1.
    fn finish(&mut self, end: End) -> StorageResult<()> {
        let journal = self.journal();
        check_chain(&journal, &Segments::of(&journal)?, end)?;
        disk::sync_dir(&journal)?;
        if self.in_doubt {
            doubt::settle(&journal)?;
            self.in_doubt = false;
        }
        let identity = self.source_identity()?;
        let manifest = Manifest {
            end,
            identity: self.manifest.identity.or(identity),
            taken_ms: unix_millis(SystemTime::now()),
            stage: Stage::Finished,
        };
        manifest.write(&self.base)?;
        self.manifest = manifest;
        Ok(())
    }
}

/// Gives the file of a sealed segment a further name in `to`, after it was checked. Returns how many bytes
/// it has.
fn link(from: &Path, to: &Path, first: u64) -> StorageResult<u64> {
    loop {
        let segment = Segment::read(from, first, None)?;
        let is_compressed = segment.is_compressed();
        let path = form_path(to, first, is_compressed);
        let temporary = temporary(&path);
        disk::remove(&temporary)?;
        match disk::link(&form_path(from, first, is_compressed), &temporary) {
            // The store has compressed it meanwhile.
            Err(error) if error.is_not_found() && !is_compressed => continue,
            linked => linked?,
        }
        disk::rename(&temporary, &path)?;
        remove_other(to, &form_path(to, first, !is_compressed))?;
        return Ok(segment.stored_length());
    }
}
