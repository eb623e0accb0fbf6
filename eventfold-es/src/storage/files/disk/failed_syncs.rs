//! Failed syncs that this process remembers, and the functions that note them.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The stores that this process has open, and the closed ones that are in doubt.
static STORES: Mutex<Vec<Store>> = Mutex::new(Vec::new());

#[derive(Debug)]
struct Store {
    /// The prefix of the paths of the store's files.
    dir: PathBuf,
    /// The directory as a canonical path.
    canonical: PathBuf,
    is_open: bool,
    in_doubt: bool,
    note: Note,
}

/// Notes that a sync failed in the store in the given directory.
pub(crate) type Note = fn(&Path);

/// Failed syncs in a store's directory are noted until this is dropped.
#[derive(Debug)]
pub(crate) struct Noting {
    canonical: PathBuf,
}

impl Noting {
    /// `dir` is the prefix of the files' paths, `canonical` is the canonical path of the same
    /// directory. `note` is called for each failed sync there.
    pub(crate) fn start(dir: &Path, canonical: &Path, note: Note) -> Self {
        let mut stores = stores();
        let known = stores.iter_mut().find(|store| store.canonical == canonical);
        if let Some(store) = known {
            dir.clone_into(&mut store.dir);
            store.is_open = true;
            store.note = note;
        } else {
            stores.push(Store {
                dir: dir.to_owned(),
                canonical: canonical.to_owned(),
                is_open: true,
                in_doubt: false,
                note,
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

/// Remembers and notes that the file or directory `path` could not be synced.
pub(crate) fn tell(path: &Path) {
    let (dir, note) = {
        let mut stores = stores();
        let Some(store) = store_of(&mut stores, path) else {
            return;
        };
        store.in_doubt = true;
        (store.dir.clone(), store.note)
    };
    note(&dir);
}

/// Whether this process remembers that a sync failed in the open store that `path` belongs to.
pub(crate) fn is_remembered(path: &Path) -> bool {
    store_of(&mut stores(), path).is_some_and(|store| store.in_doubt)
}

/// Ends the doubt about the open store that `path` belongs to.
pub(crate) fn settle(path: &Path) {
    if let Some(store) = store_of(&mut stores(), path) {
        store.in_doubt = false;
    }
}

/// Forgets the failed syncs of the store in `dir`, as if this were another process.
#[cfg(test)]
pub(crate) fn forget(dir: &Path) {
    stores().retain(|store| store.dir != dir);
}
