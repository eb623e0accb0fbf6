//! Directories that are held open. What is named below one of them is looked up in it, wherever its
//! path leads by then: it may have been moved or deleted, or a link be pointed elsewhere.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

/// The directories that this process holds. No two have the same path.
static HELD: RwLock<Vec<Arc<Held>>> = RwLock::new(Vec::new());

/// A directory that is held open.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) path: PathBuf,
    /// The directory itself, unless the system cannot look names up in an open one.
    #[cfg(unix)]
    pub(crate) dir: std::fs::File,
}

/// Has what is below `held` looked up in it from now on. No other has its path.
pub(crate) fn add(held: Arc<Held>) {
    let mut all = HELD.write().unwrap_or_else(PoisonError::into_inner);
    all.push(held);
}

/// Ends that.
pub(crate) fn remove(held: &Arc<Held>) {
    let mut all = HELD.write().unwrap_or_else(PoisonError::into_inner);
    all.retain(|other| !Arc::ptr_eq(other, held));
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
