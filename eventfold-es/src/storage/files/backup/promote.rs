//! Makes a store of a backup: cuts the journal at the backup's end, begins a new timeline, and puts
//! the files of process managers into their places.

use std::path::Path;
use std::sync::Arc;

use crate::storage::error::{StorageError, StorageErrorKind, StorageResult};
use crate::storage::files::backup::copy::Segment;
use crate::storage::files::backup::manifest::{Manifest, Stage};
use crate::storage::files::backup::pace::Pace;
use crate::storage::files::backup::{kept, manifest};
use crate::storage::files::disk;
use crate::storage::files::disk::Kind;
use crate::storage::files::format::commit_line::{Identity, write_header};
use crate::storage::files::journal::FIRST_SEGMENT;
use crate::storage::files::journal::end::End;
use crate::storage::files::journal::paths::{list_segments, remove_segment, segment_path};
use crate::storage::files::journal::segment::SegmentFile;
use crate::storage::files::layout::StreamLayout;
use crate::storage::files::records::FileRecords;
use crate::storage::record_name::RecordName;
use crate::storage::restored::Restored;

/// Makes a store of the directory `base`, which is locked, if it is a backup. If this is interrupted,
/// the next attempt does it again. Invariants B1, B3.
pub(crate) fn promote(base: &Path) -> StorageResult<()> {
    let Some(manifest) = Manifest::read(base)? else {
        // An earlier attempt may have ended after it removed the manifest.
        return remove_all(&manifest::dir(base));
    };
    let cause = match manifest.stage {
        Stage::Begun => "is a backup that is not finished: take it again, or remove the directory",
        Stage::Restoring => {
            "has a store whose restoring is not finished: restore it again, or remove the directory"
        }
        Stage::Finished => return promote_finished(base, &manifest),
    };
    let kind = StorageErrorKind::InvalidInput;
    Err(StorageError::file(kind, base, cause))
}

fn promote_finished(base: &Path, manifest: &Manifest) -> StorageResult<()> {
    let position = manifest.end.position;
    for name in kept::names(base)? {
        let moments = kept::moments(base, &name)?;
        let Some(newest) = moments.iter().rfind(|moment| moment.position <= position) else {
            let cause = format!(
                "has no checkpoint of process manager `{name}` at or before position {position}: make \
                 a store of it by `restore`, which asks what to do"
            );
            let kind = StorageErrorKind::InvalidInput;
            return Err(StorageError::file(kind, base, cause));
        };
        install(base, &name, &kept::read(base, &name, *newest)?, position)?;
    }
    begin_timeline(&StreamLayout::new(base).journal_dir(), manifest.end)?;
    disk::remove(&manifest::path(base))?;
    disk::sync_dir(&manifest::dir(base))?;
    tracing::info!(position, "a backup became a store, with a new timeline");
    remove_all(&manifest::dir(base))
}

/// Puts the records of a process manager into the store `base`, whose journal was cut at `until`.
pub(crate) fn install(
    base: &Path,
    name: &str,
    files: &kept::Files,
    until: u64,
) -> StorageResult<()> {
    let dir = StreamLayout::new(base).process_managers_dir().join(name);
    disk::create_private_dir(&dir)?;
    let records = FileRecords::new(dir);
    let own = records.path(RecordName::Restored);
    let mut restored = Restored::until(until);
    for (file, content) in files {
        let path = records.dir().join(file);
        if path == own {
            // The store was restored before, and the process manager has not caught up since.
            let earlier = Restored::read(content.as_bytes())
                .map_err(|cause| StorageError::file(StorageErrorKind::Damaged, &path, cause))?;
            restored = Restored { until, ..earlier };
        } else {
            disk::replace_durably(&path, content.as_bytes())?;
        }
    }
    records.replace(RecordName::Restored, &restored.to_bytes())
}

/// Puts a note into the store `base` for a process manager that has no checkpoint.
pub(crate) fn note(base: &Path, name: &str, restored: Restored) -> StorageResult<()> {
    let dir = StreamLayout::new(base).process_managers_dir().join(name);
    disk::create_private_dir(&dir)?;
    FileRecords::new(dir).replace(RecordName::Restored, &restored.to_bytes())
}

/// Cuts the journal at `end`, and begins a segment that states a new identity. Files are replaced, not
/// changed, since another directory may share them. Invariant B3.
fn begin_timeline(journal: &Path, end: End) -> StorageResult<()> {
    disk::create_private_dir(journal)?;
    for first in list_segments(journal)? {
        if first > end.segment || end.offset == 0 {
            remove_segment(journal, first)?;
        }
    }
    if end.offset > 0 && SegmentFile::open(journal, end.segment)?.used_length()? > end.offset {
        let segment = Segment::read(journal, end.segment, Some(end.offset))?;
        segment.write(journal, &mut Pace::new(None, None, Arc::default()))?;
    }
    let first = end.position + 1;
    let mut bytes = Vec::new();
    write_header(&mut bytes, Identity::new(), first, end.chain);
    bytes.resize(usize::try_from(FIRST_SEGMENT).unwrap_or(bytes.len()), 0);
    disk::replace_durably(&segment_path(journal, first), &bytes)
}

/// Removes a directory and everything in it, if it is there.
fn remove_all(dir: &Path) -> StorageResult<()> {
    let entries = match disk::list(dir) {
        Err(error) if error.is_not_found() => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let path = dir.join(&entry.name);
        if entry.kind == Kind::Dir {
            remove_all(&path)?;
        } else {
            disk::remove(&path)?;
        }
    }
    disk::remove_dir(dir)
}
