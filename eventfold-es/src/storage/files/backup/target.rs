//! The directory that a backup or a restored store goes into.

use std::path::{Path, PathBuf};

use crate::storage::error::{StorageError, StorageErrorKind, StorageResult};
use crate::storage::files::backup::manifest;
use crate::storage::files::backup::manifest::Manifest;
use crate::storage::files::disk;
use crate::storage::files::layout::PARTS;

/// The path of `dir`, which need not exist, without links.
pub(crate) fn canonical(dir: &Path) -> StorageResult<PathBuf> {
    let failed = |e| StorageError::io("open", dir, e);
    let dir = std::path::absolute(dir).map_err(failed)?;
    let mut missing = Vec::new();
    let mut there = dir.as_path();
    loop {
        match there.canonicalize() {
            Ok(mut found) => {
                found.extend(missing.iter().rev());
                return Ok(found);
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let (Some(parent), Some(name)) = (there.parent(), there.file_name()) else {
                    return Err(StorageError::io("open", &dir, error));
                };
                missing.push(name);
                there = parent;
            }
            Err(error) => return Err(StorageError::io("open", &dir, error)),
        }
    }
}

/// Fails if one of the two directories is within the other one. Both are canonical.
pub(crate) fn check_apart(source: &Path, target: &Path) -> StorageResult<()> {
    let cause = if source == target {
        "is the directory to copy: choose another one"
    } else if target.starts_with(source) {
        "is within the directory to copy: choose a place outside of it"
    } else if source.starts_with(target) {
        "has the directory to copy within it: choose another place"
    } else {
        return Ok(());
    };
    let kind = StorageErrorKind::InvalidInput;
    Err(StorageError::file(kind, target, cause))
}

/// What is in the directory `base`: a backup, or `None` if it is empty or missing.
///
/// # Errors
///
/// If it has anything else.
pub(crate) fn look(base: &Path) -> StorageResult<Option<Manifest>> {
    let refused = |cause: &str| {
        let kind = StorageErrorKind::InvalidInput;
        Err(StorageError::file(kind, base, cause))
    };
    let entries = match disk::list(base) {
        Err(error) if error.is_not_found() => return Ok(None),
        Err(_) if disk::is_file(base) => return refused("is a file, not a directory"),
        entries => entries?,
    };
    if let Some(manifest) = Manifest::read(base)? {
        return Ok(Some(manifest));
    }
    let names: Vec<_> = entries.iter().map(|entry| entry.name.as_os_str()).collect();
    if PARTS
        .iter()
        .any(|part| names.iter().any(|name| name == part))
    {
        return refused("has a store, not a backup: choose an empty directory");
    }
    // Both may be there without a manifest if an attempt ended early.
    let is_other = |name: &&std::ffi::OsStr| *name != "lock" && *name != manifest::DIR;
    if names.into_iter().any(|name| is_other(&name)) {
        return refused("is not empty and has no backup: choose an empty directory");
    }
    Ok(None)
}
