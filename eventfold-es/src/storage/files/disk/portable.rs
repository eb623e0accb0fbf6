//! Calls for systems that cannot look names up in an open directory. There, open files keep the
//! store's directory from being moved or deleted.

use std::fs::{File, FileType, Metadata};
use std::io;
use std::path::Path;

use crate::storage::files::disk::access::{Access, Open};
use crate::storage::files::disk::entry::{Entry, Identity, Kind, Status};
use crate::storage::files::disk::held::{Held, holding};

pub(crate) fn open(path: &Path, access: Access) -> io::Result<File> {
    if access == Access::Own && find_itself(path).is_ok_and(|found| found.kind == Kind::Link) {
        let text = "it is a link, not a file of the store: remove it";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    let file = File::options()
        .read(true)
        .write(access != Access::Read)
        .create(!matches!(
            access,
            Access::Read | Access::Write(Open::Existing)
        ))
        .create_new(access == Access::Write(Open::New))
        .truncate(false)
        .open(path)?;
    if !file.metadata()?.is_file() {
        let text = "it is not a file";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    Ok(file)
}

/// The entries of a directory need no sync on these systems.
#[expect(clippy::unnecessary_wraps, reason = "other systems need it")]
pub(crate) fn sync_dir(_path: &Path) -> io::Result<()> {
    Ok(())
}

pub(crate) fn find(path: &Path) -> io::Result<Status> {
    std::fs::metadata(path).map(|metadata| found(&metadata))
}

pub(crate) fn find_itself(path: &Path) -> io::Result<Status> {
    std::fs::symlink_metadata(path).map(|metadata| found(&metadata))
}

fn found(metadata: &Metadata) -> Status {
    Status {
        kind: kind(metadata.file_type()),
        length: metadata.len(),
        is_readonly: metadata.permissions().readonly(),
        identity: None,
    }
}

fn kind(of: FileType) -> Kind {
    if of.is_dir() {
        Kind::Dir
    } else if of.is_file() {
        Kind::File
    } else if of.is_symlink() {
        Kind::Link
    } else {
        Kind::Other
    }
}

pub(crate) fn list(path: &Path) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        entries.push(Entry {
            name: entry.file_name(),
            kind: kind(entry.file_type()?),
        });
    }
    Ok(entries)
}

pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::rename(from, to)
}

pub(crate) fn link(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::hard_link(from, to)
}

pub(crate) fn remove(path: &Path) -> io::Result<()> {
    std::fs::remove_file(path)
}

pub(crate) fn remove_dir(path: &Path) -> io::Result<()> {
    std::fs::remove_dir(path)
}

/// Creates the directory at `path` and all missing directories above it. A held directory is never
/// created again. False if the directory exists.
pub(crate) fn create_dir(path: &Path) -> io::Result<bool> {
    if path.is_dir() {
        return Ok(false);
    }
    let Some((_, rest)) = holding(path) else {
        return std::fs::create_dir_all(path).map(|()| true);
    };
    let depth = rest.components().count();
    let mut missing: Vec<&Path> = path.ancestors().take(depth).collect();
    missing.reverse();
    for path in missing {
        match std::fs::create_dir(path) {
            Err(error) if !path.is_dir() => return Err(error),
            _ => {}
        }
    }
    Ok(true)
}

/// Whether the file was deleted. A file in use cannot be deleted on these systems.
#[expect(clippy::unnecessary_wraps, reason = "other systems tell")]
pub(crate) fn is_deleted(_file: &File) -> io::Result<bool> {
    Ok(false)
}

/// The identity of the directory that the path leads to now. These systems have none.
pub(crate) fn identity_now(_path: &Path) -> Option<Identity> {
    None
}

#[expect(clippy::unnecessary_wraps, reason = "other systems tell")]
pub(crate) fn identity(_held: &Held) -> io::Result<Option<Identity>> {
    Ok(None)
}

pub(crate) fn try_lock(_held: &Held) -> Option<bool> {
    None
}

pub(crate) fn unlock(_held: &Held) {}
