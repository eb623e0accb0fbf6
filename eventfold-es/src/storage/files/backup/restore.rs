//! Makes a new directory of a backup, with the store as it was at a position or a time.

use std::path::Path;

use crate::storage::error::{StorageError, StorageErrorKind, StorageResult};
use crate::storage::files::backup::copy::Segment;
use crate::storage::files::backup::manifest::{Manifest, Stage};
use crate::storage::files::backup::pace::Pace;
use crate::storage::files::backup::{begin, kept, meta, promote, target};
use crate::storage::files::disk;
use crate::storage::files::format::commit_line::CommitLine;
use crate::storage::files::journal::beginning::{Beginning, Segments};
use crate::storage::files::journal::end::End;
use crate::storage::files::journal::paths::{list_segments, remove_segment};
use crate::storage::files::journal::segment::SegmentFile;
use crate::storage::files::layout::{StreamLayout, read_raw_names};
use crate::storage::files::lock::{DirLock, Patience};
use crate::storage::files::recovery::scan::check_chain;
use crate::storage::restored::Restored;

/// What a restored store is to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Point {
    /// Everything that the backup has.
    Newest,
    /// The commits up to this position.
    Position(u64),
    /// The commits up to this time, in milliseconds since 1970.
    Time(u64),
}

impl Point {
    fn has(self, commit: &CommitLine<'_>) -> bool {
        match self {
            Self::Newest => true,
            Self::Position(position) => commit.last() <= position,
            Self::Time(ms) => commit.ms.value() <= ms,
        }
    }
}

/// What becomes of a process manager that has no checkpoint at or before the restored position. See
/// [`Restore::without_checkpoint`](crate::Restore::without_checkpoint).
///
/// ```
/// use eventfold_es::WithoutCheckpoint;
///
/// assert_eq!(WithoutCheckpoint::default(), WithoutCheckpoint::Refuse);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum WithoutCheckpoint {
    /// Nothing is restored, and the error names it.
    #[default]
    Refuse,
    /// It begins with an empty state behind the restored position. It knows nothing of what was
    /// before: what it had under way is not finished, its timers are gone.
    FromNow,
    /// It begins with an empty state before the first event and reacts to all of them again. A command
    /// that the journal shows to have taken effect is not sent again. One that had no effect, because
    /// it was refused or stored no event, is sent again.
    ReactAgain,
}

/// What a process manager of a restored store continues from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Continued {
    /// Files that were kept when the journal ended at this position.
    Kept(u64),
    FromNow,
    ReactAgain,
}

/// What was restored.
#[derive(Debug, Clone)]
pub(crate) struct RestoredTo {
    pub(crate) end: End,
    pub(crate) process_managers: Vec<(String, Continued)>,
}

/// Restores the backup `backup` into the directory `target`, which is empty or missing.
pub(crate) fn restore(
    backup: &Path,
    target: &Path,
    point: Point,
    without: WithoutCheckpoint,
    pace: &mut Pace,
) -> StorageResult<RestoredTo> {
    let backup = &target::canonical(backup)?;
    let manifest = finished(backup)?;
    let (from, begins) = source(backup)?;
    check_point(backup, &manifest, begins, point)?;
    let target = target::canonical(target)?;
    target::check_apart(backup, &target)?;
    check_empty(&target)?;
    disk::create_private_dir(&target)?;
    let lock = DirLock::take(&target, &Patience::default())?;
    let base = lock.dir();
    check_empty(base)?;
    Manifest::begun(manifest.identity, Stage::Restoring).write(base)?;

    let to = StreamLayout::new(base);
    let journal = to.journal_dir();
    disk::create_private_dir(&journal)?;
    begin::copy(&from, base)?;
    let end = copy(&from.journal_dir(), &journal, manifest.end, point, pace)?;
    check_chain(&journal, &Segments::of(&journal)?, end)?;
    disk::sync_dir(&journal)?;
    meta::copy(&from, from.raw_names(), base)?;

    let mut process_managers = Vec::new();
    for name in kept::names(backup)? {
        let continued = install(backup, base, &name, end.position, without)?;
        process_managers.push((name, continued));
    }
    let stage = Stage::Finished;
    let finished = Manifest {
        end,
        stage,
        ..manifest
    };
    finished.write(base)?;
    promote::promote(base)?;
    Ok(RestoredTo {
        end,
        process_managers,
    })
}

/// The manifest of the directory `backup`, which must be a whole backup.
fn finished(backup: &Path) -> StorageResult<Manifest> {
    let kind = StorageErrorKind::InvalidInput;
    let refused = |cause: &str| StorageError::file(kind, backup, cause);
    if !disk::is_dir(backup) {
        let cause = "is no directory";
        return Err(StorageError::file(StorageErrorKind::Missing, backup, cause));
    }
    match Manifest::read(backup)? {
        Some(manifest) if manifest.stage == Stage::Finished => Ok(manifest),
        Some(_) => Err(refused("is a backup that is not finished: take it again")),
        None => Err(refused("is not a backup")),
    }
}

/// The directories of the backup, and where its journal begins.
fn source(backup: &Path) -> StorageResult<(StreamLayout, Beginning)> {
    let layout = StreamLayout::with_raw_names(backup.to_owned(), read_raw_names(backup)?);
    let begins = Beginning::read(&layout.journal_dir())?;
    Ok((layout, begins))
}

/// Fails if the backup does not know what the store was like at `point`.
fn check_point(
    backup: &Path,
    manifest: &Manifest,
    begins: Beginning,
    point: Point,
) -> StorageResult<()> {
    let is_dropped = match point {
        Point::Newest => false,
        Point::Position(position) => position < begins.dropped,
        Point::Time(ms) => ms < begins.ms,
    };
    if is_dropped {
        let dropped = begins.dropped;
        let cause = format!(
            "does not know what the store was like then: its journal begins after position {dropped}, because \
             older events were dropped"
        );
        return Err(StorageError::file(StorageErrorKind::Dropped, backup, cause));
    }
    let cause = match point {
        Point::Position(position) if position > manifest.end.position => {
            let end = manifest.end.position;
            format!("ends at position {end}, before position {position}")
        }
        Point::Time(ms) if ms > manifest.taken_ms.max(manifest.end.ms) => format!(
            "was taken at {} ms since 1970, before the time {ms}",
            manifest.taken_ms
        ),
        _ => return Ok(()),
    };
    let kind = StorageErrorKind::InvalidInput;
    Err(StorageError::file(kind, backup, cause))
}

/// Fails if the directory has anything but the remains of an attempt to restore.
fn check_empty(base: &Path) -> StorageResult<()> {
    match target::look(base)? {
        None => Ok(()),
        Some(manifest) if manifest.stage == Stage::Restoring => Ok(()),
        Some(_) => {
            let cause = "has a backup: choose an empty directory";
            let kind = StorageErrorKind::InvalidInput;
            Err(StorageError::file(kind, base, cause))
        }
    }
}

/// Copies the commits up to `point` from the journal `from`, which is used up to `until`.
fn copy(from: &Path, to: &Path, until: End, point: Point, pace: &mut Pace) -> StorageResult<End> {
    for first in list_segments(to)? {
        remove_segment(to, first)?;
    }
    let Segments {
        beginning,
        firsts: mut segments,
    } = Segments::of(from)?;
    segments.retain(|first| *first <= until.segment && until.offset > 0);
    for first in &segments {
        pace.total += if *first == until.segment {
            until.offset
        } else {
            SegmentFile::open(from, *first)?.stored_length()?
        };
    }
    let mut end = beginning.end();
    for first in segments {
        let last = (first == until.segment).then_some(until.offset);
        let mut segment = Segment::read(from, first, last)?;
        let is_cut = segment.cut(|commit| point.has(commit))?;
        if segment.is_empty() {
            break;
        }
        segment.write(to, pace)?;
        end = segment.end;
        if is_cut {
            break;
        }
    }
    Ok(end)
}

/// Lets the process manager `name` continue in the store `base`, from the newest kept files at or
/// before `position`.
fn install(
    backup: &Path,
    base: &Path,
    name: &str,
    position: u64,
    without: WithoutCheckpoint,
) -> StorageResult<Continued> {
    let moments = kept::moments(backup, name)?;
    if let Some(moment) = moments.iter().rfind(|moment| moment.position <= position) {
        let files = kept::read(backup, name, *moment)?;
        promote::install(base, name, &files, position)?;
        return Ok(Continued::Kept(moment.position));
    }
    let mut restored = Restored::until(position);
    let continued = match without {
        WithoutCheckpoint::Refuse => {
            let cause = format!(
                "has no checkpoint of process manager `{name}` at or before position {position}: \
                 restore a later position, or choose whether it begins from now or reacts again"
            );
            let kind = StorageErrorKind::InvalidInput;
            return Err(StorageError::file(kind, backup, cause));
        }
        WithoutCheckpoint::FromNow => {
            restored.from = Some(position);
            Continued::FromNow
        }
        WithoutCheckpoint::ReactAgain => {
            restored.after = Some(0);
            Continued::ReactAgain
        }
    };
    promote::note(base, name, restored)?;
    Ok(continued)
}
