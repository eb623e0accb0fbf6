//! Calls for Unix systems. Each is relative to the [held](super::held) directory above its path.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RawMode, Stat};
use rustix::io::Errno;

use crate::storage::files::disk::access::{Access, Open};
use crate::storage::files::disk::entry::{Entry, Identity, Kind, Status};
use crate::storage::files::disk::held::{Held, holding};

/// Files that the store creates are accessible to their owner only.
const PRIVATE_FILE: Mode = Mode::RUSR.union(Mode::WUSR);
const PRIVATE_DIR: Mode = Mode::RWXU;

/// Makes a call with the directory in which `path` is looked up, and the rest of the path.
fn at<T>(
    path: &Path,
    call: impl FnOnce(BorrowedFd<'_>, &Path) -> Result<T, Errno>,
) -> io::Result<T> {
    Ok(match holding(path) {
        Some((held, rest)) => call(held.dir.as_fd(), rest)?,
        None => call(CWD, path)?,
    })
}

pub(crate) fn open(path: &Path, access: Access) -> io::Result<File> {
    // Opening a pipe must not wait for the other end.
    let always = OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
    let flags = match access {
        Access::Read => OFlags::RDONLY,
        Access::Write(Open::Existing) => OFlags::RDWR,
        Access::Write(Open::Create) => OFlags::RDWR | OFlags::CREATE,
        // The target of a link does not belong to the store.
        Access::Own => OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW,
        Access::Write(Open::New) => OFlags::RDWR | OFlags::CREATE | OFlags::EXCL,
    };
    let opened = at(path, |dir, path| {
        rustix::fs::openat(dir, path, always | flags, PRIVATE_FILE)
    });
    let file = match opened {
        Ok(file) => File::from(file),
        Err(error) if flags.contains(OFlags::NOFOLLOW) && is_link(path) => {
            let text = format!("it is a link, not a file of the store: remove it ({error})");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        Err(error) => return Err(error),
    };
    let found = file.metadata()?;
    if found.is_dir() {
        let text = "it is a directory, not a file";
        return Err(io::Error::new(io::ErrorKind::IsADirectory, text));
    }
    if !found.is_file() {
        let text = "it is not a file, but a pipe, a socket or a device";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    Ok(file)
}

fn is_link(path: &Path) -> bool {
    matches!(find_itself(path), Ok(found) if found.kind == Kind::Link)
}

pub(crate) fn open_dir(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    at(path, |dir, path| {
        rustix::fs::openat(dir, path, flags, Mode::empty())
    })
    .map(File::from)
}

pub(crate) fn sync_dir(path: &Path) -> io::Result<()> {
    open_dir(path)?.sync_all()
}

pub(crate) fn find(path: &Path) -> io::Result<Status> {
    let stat = at(path, |dir, path| {
        rustix::fs::statat(dir, path, AtFlags::empty())
    })?;
    Ok(found(&stat))
}

pub(crate) fn find_itself(path: &Path) -> io::Result<Status> {
    let stat = at(path, |dir, path| {
        rustix::fs::statat(dir, path, AtFlags::SYMLINK_NOFOLLOW)
    })?;
    Ok(found(&stat))
}

#[allow(
    clippy::unnecessary_cast,
    clippy::cast_lossless,
    clippy::cast_sign_loss,
    reason = "the types differ between systems"
)]
fn found(stat: &Stat) -> Status {
    let mode = stat.st_mode as RawMode;
    Status {
        kind: kind(FileType::from_raw_mode(mode)),
        length: stat.st_size as u64,
        is_readonly: mode & 0o222 == 0,
        identity: Some((stat.st_dev as u64, stat.st_ino as u64)),
    }
}

fn kind(of: FileType) -> Kind {
    match of {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Dir,
        FileType::Symlink => Kind::Link,
        _ => Kind::Other,
    }
}

pub(crate) fn list(path: &Path) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for entry in rustix::fs::Dir::new(open_dir(path)?)? {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name == "." || name == ".." {
            continue;
        }
        // Some file systems do not report the type here.
        let kind = match entry.file_type() {
            FileType::Unknown => find_itself(&path.join(name))?.kind,
            known => kind(known),
        };
        entries.push(Entry {
            name: name.to_owned(),
            kind,
        });
    }
    Ok(entries)
}

pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    let target = holding(to);
    let (to_dir, to) = match &target {
        Some((held, rest)) => (held.dir.as_fd(), *rest),
        None => (CWD, to),
    };
    at(from, |dir, from| {
        rustix::fs::renameat(dir, from, to_dir, to)
    })
}

pub(crate) fn link(from: &Path, to: &Path) -> io::Result<()> {
    let target = holding(to);
    let (to_dir, to) = match &target {
        Some((held, rest)) => (held.dir.as_fd(), *rest),
        None => (CWD, to),
    };
    at(from, |dir, from| {
        rustix::fs::linkat(dir, from, to_dir, to, AtFlags::empty())
    })
}

pub(crate) fn remove(path: &Path) -> io::Result<()> {
    at(path, |dir, path| {
        rustix::fs::unlinkat(dir, path, AtFlags::empty())
    })
}

pub(crate) fn remove_dir(path: &Path) -> io::Result<()> {
    at(path, |dir, path| {
        rustix::fs::unlinkat(dir, path, AtFlags::REMOVEDIR)
    })
}

/// Creates the directory at `path` and all missing directories above it. A held directory is never
/// created again. False if the directory exists.
pub(crate) fn create_dir(path: &Path) -> io::Result<bool> {
    at(path, |dir, path| {
        let create = |path: &Path| rustix::fs::mkdirat(dir, path, PRIVATE_DIR);
        let is_dir = |path: &Path| {
            rustix::fs::statat(dir, path, AtFlags::empty())
                .is_ok_and(|stat| found(&stat).kind == Kind::Dir)
        };
        let mut missing = Vec::new();
        let mut next = path;
        // Goes up until a directory exists or can be created, then down again.
        let is_new = loop {
            match create(next) {
                Ok(()) => break true,
                Err(_) if is_dir(next) => break false,
                Err(Errno::NOENT) => missing.push(next),
                Err(error) => return Err(error),
            }
            match next.parent() {
                Some(above) if !above.as_os_str().is_empty() => next = above,
                _ => return Err(Errno::NOENT),
            }
        };
        let is_new = is_new || !missing.is_empty();
        for path in missing.into_iter().rev() {
            match create(path) {
                Ok(()) => {}
                Err(_) if is_dir(path) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(is_new)
    })
}

/// Whether the file has no name any more. Some file systems report this for every file.
pub(crate) fn is_deleted(file: &File) -> io::Result<bool> {
    Ok(rustix::fs::fstat(file)?.st_nlink == 0)
}

/// The identity of the directory that the path leads to now, even if another one is held.
pub(crate) fn identity_now(path: &Path) -> Option<Identity> {
    let stat = rustix::fs::stat(path).ok()?;
    found(&stat).identity
}

pub(crate) fn identity(held: &Held) -> io::Result<Option<Identity>> {
    Ok(found(&rustix::fs::fstat(&held.dir)?).identity)
}

pub(crate) fn try_lock(held: &Held) -> Option<bool> {
    match held.dir.try_lock() {
        Ok(()) => Some(true),
        Err(std::fs::TryLockError::WouldBlock) => Some(false),
        Err(std::fs::TryLockError::Error(error)) => {
            tracing::debug!(%error, "the directory itself cannot be locked on this file system");
            None
        }
    }
}

pub(crate) fn unlock(held: &Held) {
    let _ = held.dir.unlock();
}
