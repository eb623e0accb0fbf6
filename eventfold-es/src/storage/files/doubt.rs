//! Whether what the system shows of a store's files can be taken for what is on the disk.
//!
//! After a sync that failed, a file system may take for written what is not. What is written to the same
//! blocks again need not reach the disk either, whatever a further sync says. So each sync that fails is
//! noted, and the next open has new files take the place of those that may be concerned.
//!
//! The note need not be durable: after a failure of the power, and when the file system was mounted
//! anew, what is read is what is on the disk. If there can be no note, this process remembers.

use std::io;
use std::path::Path;

use crate::storage::files::disk;
use crate::storage::files::disk::failed_syncs::{self, Noting};
use crate::storage::files::disk::{File, Open};
use crate::storage::files::journal::paths;
use crate::storage::files::layout::StreamLayout;

/// Has the syncs that fail in a store's directory noted, until what is returned is dropped. `dir` is the
/// directory as the paths of its files begin, `canonical` in the one form that names it.
pub(crate) fn start_noting(dir: &Path, canonical: &Path) -> Noting {
    Noting::start(dir, canonical, write_note)
}

/// Notes that a sync failed in the store in `dir`. Invariant D3.
fn write_note(dir: &Path) {
    let journal = StreamLayout::new(dir).journal_dir();
    if let Err(error) = create_note(&journal) {
        tracing::error!(%error, "a sync failed, which could not be noted: only this process may open the store again, unless its file system is mounted anew before");
    }
}

/// If no file can be created, the checkpoint becomes the note, which needs no space and no descriptor.
fn create_note(journal: &Path) -> io::Result<()> {
    let note = paths::sync_failed(journal);
    match File::open(&note, Open::Create) {
        Ok(_) => Ok(()),
        Err(error) => disk::rename(&paths::checkpoint(journal), &note)
            .map_err(|_| disk::at("create", &note, &error)),
    }
}

/// Whether a sync failed in the store whose journal is in `journal`, since it was opened last without
/// an error.
pub(crate) fn is_noted(journal: &Path) -> io::Result<bool> {
    let is_remembered = failed_syncs::is_remembered(journal);
    let note = paths::sync_failed(journal);
    let is_there = disk::find_itself(&note)
        .map_err(|e| disk::at("find", &note, &e))?
        .is_some();
    Ok(is_remembered || is_there)
}

/// Ends the doubt: new files have taken the place of all that may have been concerned.
pub(crate) fn settle(journal: &Path) -> io::Result<()> {
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
