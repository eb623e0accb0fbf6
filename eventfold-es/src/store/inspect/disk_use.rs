//! How much space a store's directory takes: [`DiskUse`].

#[cfg(feature = "console")]
use std::io;
use std::path::Path;

use crate::storage::error::{StorageError, StorageResult};
use crate::storage::files::disk;
use crate::storage::files::disk::Kind;
#[cfg(feature = "console")]
use crate::storage::files::layout::StreamLayout;

/// How much space a store takes.
///
/// See the example of [`StoreReader::disk_use`](crate::inspect::StoreReader::disk_use).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DiskUse {
    /// The directories in the store's directory, by name. The files that are in none are the part `.`.
    /// Of a schema: its tables, with their indexes.
    pub parts: Vec<Part>,
}

/// A part of a store's directory, or a table.
///
/// See the example of [`StoreReader::disk_use`](crate::inspect::StoreReader::disk_use).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Part {
    /// Its name, as `journal` or `streams`.
    pub name: String,
    /// How many files it has; 0 of a table.
    pub files: u64,
    /// The sum of their lengths in bytes, the zeros of prepared segments included.
    pub bytes: u64,
}

/// How much space the directory of `layout` takes.
#[cfg(feature = "console")]
pub(crate) fn in_layout(layout: &StreamLayout) -> io::Result<DiskUse> {
    Ok(of(layout.base_dir())?)
}

/// How much space tables of these names and sizes take.
#[cfg(feature = "postgres")]
pub(super) fn of_tables(tables: Vec<(String, u64)>) -> DiskUse {
    let parts = tables.into_iter().map(|(name, bytes)| Part {
        name,
        files: 0,
        bytes,
    });
    DiskUse {
        parts: parts.collect(),
    }
}

/// The parts of the directory `base`.
pub(super) fn of(base: &Path) -> StorageResult<DiskUse> {
    let mut own = Part::new(".".to_owned());
    let mut parts = Vec::new();
    for entry in disk::list(base)? {
        let path = base.join(&entry.name);
        // The parts may be links to directories elsewhere.
        if entry.kind != Kind::File && disk::is_dir(&path) {
            let mut part = Part::new(entry.name.to_string_lossy().into_owned());
            part.add_dir(&path)?;
            parts.push(part);
        } else {
            own.add_file(&path)?;
        }
    }
    parts.sort_by(|a, b| a.name.cmp(&b.name));
    parts.push(own);
    Ok(DiskUse { parts })
}

impl Part {
    fn new(name: String) -> Self {
        Self {
            name,
            files: 0,
            bytes: 0,
        }
    }

    /// Adds the files below `dir`. Those that are removed meanwhile are left out.
    fn add_dir(&mut self, dir: &Path) -> StorageResult<()> {
        let entries = match disk::list(dir) {
            Err(error) if error.is_not_found() => return Ok(()),
            entries => entries?,
        };
        for entry in entries {
            let path = dir.join(&entry.name);
            match entry.kind {
                Kind::Dir => self.add_dir(&path)?,
                _ => self.add_file(&path)?,
            }
        }
        Ok(())
    }

    fn add_file(&mut self, path: &Path) -> StorageResult<()> {
        let found = disk::find_itself(path).map_err(|e| StorageError::io("look at", path, e))?;
        if let Some(found) = found {
            self.files += 1;
            self.bytes += found.length;
        }
        Ok(())
    }
}
