//! Whether what the system shows of a store's files can be taken for what is on the disk.
//!
//! After a sync that failed, a file system may take for written what is not. What is written to the same
//! blocks again need not reach the disk either, whatever a further sync says. So each sync that fails is
//! noted, and the next open has new files take the place of those that may be concerned.
//!
//! The note need not be durable: after a failure of the power, and when the file system was mounted
//! anew, what is read is what is on the disk. If there can be no note, this process remembers.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::storage::files::disk;
use crate::storage::files::disk::{File, Open};
use crate::storage::files::layout::StreamLayout;
use crate::storage::files::recovery::redo_point;

/// The stores that this process has open, and those that it has to open with doubt.
static STORES: Mutex<Vec<Store>> = Mutex::new(Vec::new());

#[derive(Debug)]
struct Store {
    /// The directory as the paths of its files begin.
    dir: PathBuf,
    /// The directory in the one form that names it.
    canonical: PathBuf,
    is_open: bool,
    in_doubt: bool,
}

/// Has the syncs that fail in a store's directory noted, until it is dropped.
#[derive(Debug)]
pub(crate) struct Noting {
    canonical: PathBuf,
}

impl Noting {
    /// `dir` is the directory as the paths of its files begin, `canonical` in the one form that names it.
    pub(crate) fn start(dir: &Path, canonical: &Path) -> Self {
        let mut stores = stores();
        let known = stores.iter_mut().find(|store| store.canonical == canonical);
        if let Some(store) = known {
            dir.clone_into(&mut store.dir);
            store.is_open = true;
        } else {
            stores.push(Store {
                dir: dir.to_owned(),
                canonical: canonical.to_owned(),
                is_open: true,
                in_doubt: false,
            });
        }
        Self {
            canonical: canonical.to_owned(),
        }
    }
}

impl Drop for Noting {
    fn drop(&mut self) {
        let mut stores = stores();
        for store in stores.iter_mut() {
            store.is_open &= store.canonical != self.canonical;
        }
        stores.retain(|store| store.is_open || store.in_doubt);
    }
}

fn stores() -> MutexGuard<'static, Vec<Store>> {
    STORES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The open store that `path` belongs to.
fn store_of<'a>(stores: &'a mut [Store], path: &Path) -> Option<&'a mut Store> {
    stores
        .iter_mut()
        .filter(|store| store.is_open && path.starts_with(&store.dir))
        .max_by_key(|store| store.dir.as_os_str().len())
}

/// The name of the note in the journal's directory.
pub(crate) const NOTE: &str = "sync_failed";

/// Where the doubt is noted.
pub(crate) fn file(journal: &Path) -> PathBuf {
    journal.join(NOTE)
}

/// Notes that the file or directory `path` could not be synced. Invariant D3.
pub(crate) fn note(path: &Path) {
    let journal = {
        let mut stores = stores();
        let Some(store) = store_of(&mut stores, path) else {
            return;
        };
        store.in_doubt = true;
        StreamLayout::new(&store.dir).journal_dir()
    };
    if let Err(error) = write(&journal) {
        tracing::error!(%error, "a sync failed, which could not be noted: only this process may open the store again, unless its file system is mounted anew before");
    }
}

/// If no file can be created, the checkpoint becomes the note, which needs no space and no descriptor.
fn write(journal: &Path) -> io::Result<()> {
    let note = file(journal);
    match File::open(&note, Open::Create) {
        Ok(_) => Ok(()),
        Err(error) => disk::rename(&redo_point::file(journal), &note)
            .map_err(|_| disk::at("create", &note, &error)),
    }
}

/// Whether a sync failed in the store whose journal is in `journal`, since it was opened last without
/// an error.
pub(crate) fn is_noted(journal: &Path) -> io::Result<bool> {
    let is_remembered = store_of(&mut stores(), journal).is_some_and(|store| store.in_doubt);
    let note = file(journal);
    let is_there = disk::find_itself(&note)
        .map_err(|e| disk::at("find", &note, &e))?
        .is_some();
    Ok(is_remembered || is_there)
}

/// Ends the doubt: new files have taken the place of all that may have been concerned.
pub(crate) fn settle(journal: &Path) -> io::Result<()> {
    let (note, checkpoint) = (file(journal), redo_point::file(journal));
    let has_checkpoint = disk::read_if_there(&note)?.is_some_and(|bytes| !bytes.is_empty());
    if has_checkpoint && !disk::is_there(&checkpoint) {
        disk::rename(&note, &checkpoint)?;
    } else {
        disk::remove(&note)?;
    }
    if let Some(store) = store_of(&mut stores(), journal) {
        store.in_doubt = false;
    }
    Ok(())
}

/// Has this process forget what it remembers of the store in `dir`, as if it were another one.
#[cfg(test)]
pub(crate) fn forget(dir: &Path) {
    stores().retain(|store| store.dir != dir);
}
