//! A directory that is held open and locked: [`HeldDir`].

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::storage::files::disk::entry::Identity;
use crate::storage::files::disk::held::{self, Held};
#[cfg(not(unix))]
use crate::storage::files::disk::portable as system;
#[cfg(unix)]
use crate::storage::files::disk::unix as system;

/// Keeps a directory held until it is dropped.
#[derive(Debug)]
pub(crate) struct HeldDir {
    held: Arc<Held>,
    /// This is a forked child's copy: unlocking it would release the parent's lock.
    is_copy: bool,
}

impl HeldDir {
    /// Holds the directory at `path`. No other directory may be held under this path.
    pub(crate) fn hold(path: &Path) -> io::Result<Self> {
        let held = Arc::new(Held {
            path: path.to_owned(),
            #[cfg(unix)]
            dir: system::open_dir(path)?,
        });
        held::add(held.clone());
        Ok(Self {
            held,
            is_copy: false,
        })
    }

    /// The identity of the directory, if the system has one.
    pub(crate) fn identity(&self) -> io::Result<Option<Identity>> {
        system::identity(&self.held)
    }

    /// Locks the directory against other programs. False if another program has it locked, `None`
    /// if directories cannot be locked here.
    pub(crate) fn try_lock(&self) -> Option<bool> {
        system::try_lock(&self.held)
    }

    /// Closes a forked child's copy without releasing the parent's lock.
    pub(crate) fn close_copy(mut self) {
        self.is_copy = true;
    }
}

impl Drop for HeldDir {
    fn drop(&mut self) {
        held::remove(&self.held);
        if !self.is_copy {
            // Closing is not enough: see `DirLock`.
            system::unlock(&self.held);
        }
    }
}
