//! Whether the store's files can be trusted to be on the disk as the system shows them.
//!
//! After a failed sync, a file system may treat blocks as written although they are not. Even if
//! the same blocks are written again and a further sync succeeds, they need not reach the disk. So
//! each failed sync is noted, and the next open replaces all files that may be affected with new
//! ones.
//!
//! The note need not be durable: after a power failure or a new mount, reads come from the disk. If
//! the note cannot be written, this process remembers the failure.

use std::path::Path;

use crate::storage::error::{StorageError, StorageResult};
use crate::storage::files::disk;
use crate::storage::files::disk::failed_syncs::{self, Noting};
use crate::storage::files::disk::{File, Open};
use crate::storage::files::journal::paths;
use crate::storage::files::layout::StreamLayout;

/// Notes failed syncs in a store's directory until the returned value is dropped. `dir` is the
/// prefix of the files' paths, `canonical` is the canonical path of the same directory.
pub(crate) fn start_noting(dir: &Path, canonical: &Path) -> Noting {
    Noting::start(dir, canonical, write_note)
}

/// Notes that a sync failed in the store in `dir`. Invariant D3.
fn write_note(dir: &Path) {
    let journal = StreamLayout::new(dir).journal_dir();
    if let Err(error) = create_note(&journal) {
        tracing::error!(%error, "a failed sync could not be noted: no other process may open the store before its file system was mounted again");
    }
}

/// If no file can be created, renames the checkpoint to the note: that needs no space or
/// descriptor.
fn create_note(journal: &Path) -> StorageResult<()> {
    let note = paths::sync_failed(journal);
    match File::open(&note, Open::Create) {
        Ok(_) => Ok(()),
        Err(error) => disk::rename(&paths::checkpoint(journal), &note)
            .map_err(|_| StorageError::io("create", &note, error)),
    }
}

/// Whether a sync failed in the store with this `journal` since the last open without an error.
pub(crate) fn is_noted(journal: &Path) -> StorageResult<bool> {
    let is_remembered = failed_syncs::is_remembered(journal);
    let note = paths::sync_failed(journal);
    let is_there = disk::find_itself(&note)
        .map_err(|e| StorageError::io("find", &note, e))?
        .is_some();
    Ok(is_remembered || is_there)
}

/// Ends the doubt, after all files that may have been affected were replaced with new ones.
pub(crate) fn settle(journal: &Path) -> StorageResult<()> {
    let (note, checkpoint) = (paths::sync_failed(journal), paths::checkpoint(journal));
    let has_checkpoint = disk::read_if_there(&note)?.is_some_and(|bytes| !bytes.is_empty());
    if has_checkpoint && !disk::is_there(&checkpoint) {
        disk::rename(&note, &checkpoint)?;
    } else {
        disk::remove(&note)?;
    }
    failed_syncs::settle(journal);
    Ok(())
}
