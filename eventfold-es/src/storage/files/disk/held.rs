//! Directories that are held open. What is named below one of them is looked up in it, wherever its
//! path leads by then: it may have been moved or deleted, or a link be pointed elsewhere.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use crate::storage::files::disk::{Identity, system};

/// The directories that this process holds. No two have the same path.
static HELD: RwLock<Vec<Arc<Held>>> = RwLock::new(Vec::new());

#[derive(Debug)]
pub(crate) struct Held {
    path: PathBuf,
    /// The directory itself, unless the system cannot look names up in an open one.
    #[cfg(unix)]
    pub(crate) dir: std::fs::File,
}

/// Keeps a directory held.
#[derive(Debug)]
pub(crate) struct HeldDir {
    held: Arc<Held>,
    /// What is held is a forked child's copy: unlocking it would take the parent's lock.
    is_copy: bool,
}

impl HeldDir {
    /// Holds the directory at `path`, under which no other is held.
    pub(crate) fn hold(path: &Path) -> io::Result<Self> {
        let held = Arc::new(Held {
            path: path.to_owned(),
            #[cfg(unix)]
            dir: system::open_dir(path)?,
        });
        let mut all = HELD.write().unwrap_or_else(PoisonError::into_inner);
        all.push(held.clone());
        Ok(Self {
            held,
            is_copy: false,
        })
    }

    /// Which directory it is, where the system tells.
    pub(crate) fn identity(&self) -> io::Result<Option<Identity>> {
        system::identity(&self.held)
    }

    /// Locks the directory itself against other programs. False if another has it locked, `None` if
    /// directories cannot be locked here.
    pub(crate) fn try_lock(&self) -> Option<bool> {
        system::try_lock(&self.held)
    }

    /// Closes a forked child's copy, and leaves the parent its lock.
    pub(crate) fn close_copy(mut self) {
        self.is_copy = true;
    }
}

impl Drop for HeldDir {
    fn drop(&mut self) {
        let mut all = HELD.write().unwrap_or_else(PoisonError::into_inner);
        all.retain(|held| !Arc::ptr_eq(held, &self.held));
        drop(all);
        if !self.is_copy {
            // Closing is not enough: see `DirLock`.
            system::unlock(&self.held);
        }
    }
}

/// The innermost held directory that `path` leads into, and the way from there. Invariant D10.
pub(crate) fn holding(path: &Path) -> Option<(Arc<Held>, &Path)> {
    let all = HELD.read().unwrap_or_else(PoisonError::into_inner);
    all.iter()
        .filter_map(|held| Some((held, below(&held.path, path)?)))
        .max_by_key(|(held, _)| held.path.as_os_str().len())
        .map(|(held, rest)| (held.clone(), rest))
}

/// The way from `base` to `path`, if it leads there.
#[cfg(unix)]
fn below<'a>(base: &Path, path: &'a Path) -> Option<&'a Path> {
    use std::os::unix::ffi::OsStrExt as _;

    // Of bytes, since this is asked for each call.
    let rest = path.as_os_str().as_bytes();
    match rest.strip_prefix(base.as_os_str().as_bytes())? {
        [] => Some(Path::new(".")),
        [b'/', rest @ ..] => Some(Path::new(std::ffi::OsStr::from_bytes(rest))),
        _ => None,
    }
}

#[cfg(not(unix))]
fn below<'a>(base: &Path, path: &'a Path) -> Option<&'a Path> {
    path.strip_prefix(base).ok()
}
