//! Directories that are held open. A path below a held directory is looked up in that directory.
//! The directory may have been moved or deleted, or a link in its path may have been changed.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

/// The directories that this process holds. No two have the same path.
static HELD: RwLock<Vec<Arc<Held>>> = RwLock::new(Vec::new());

/// A directory that is held open.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) path: PathBuf,
    /// The open directory, if the system can look names up in it.
    #[cfg(unix)]
    pub(crate) dir: std::fs::File,
}

/// From now on, paths below `held` are looked up in it. No other held directory may have its path.
pub(crate) fn add(held: Arc<Held>) {
    let mut all = HELD.write().unwrap_or_else(PoisonError::into_inner);
    all.push(held);
}

/// Ends the effect of [`add`].
pub(crate) fn remove(held: &Arc<Held>) {
    let mut all = HELD.write().unwrap_or_else(PoisonError::into_inner);
    all.retain(|other| !Arc::ptr_eq(other, held));
}

/// The innermost held directory above `path`, and the rest of the path. Invariant D10.
pub(crate) fn holding(path: &Path) -> Option<(Arc<Held>, &Path)> {
    let all = HELD.read().unwrap_or_else(PoisonError::into_inner);
    all.iter()
        .filter_map(|held| Some((held, below(&held.path, path)?)))
        .max_by_key(|(held, _)| held.path.as_os_str().len())
        .map(|(held, rest)| (held.clone(), rest))
}

/// The path from `base` to `path`, if `path` is below `base`.
#[cfg(unix)]
fn below<'a>(base: &Path, path: &'a Path) -> Option<&'a Path> {
    use std::os::unix::ffi::OsStrExt as _;

    // Compares bytes, which is faster: this runs for each call.
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
