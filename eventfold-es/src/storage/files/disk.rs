//! Access to the disk. Every change of a file or a directory goes through this module, so that
//! tests can watch it, lose it and make it fail ([`faults`]). Every read goes through it too: a
//! path below a store's directory is looked up in the directory that was locked ([`held`]).

use std::fs::TryLockError;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use crate::storage::error::{StorageError, StorageErrorKind, StorageResult};

mod access;
mod entry;
pub(crate) mod failed_syncs;
#[cfg(test)]
pub(crate) mod faults;
mod held;
pub(crate) mod held_dir;
#[cfg(not(unix))]
mod portable;
#[cfg(unix)]
mod unix;

pub(crate) use access::Open;
pub(crate) use entry::{Entry, Identity, Kind, Status};

use access::Access;
#[cfg(not(unix))]
use portable as system;
#[cfg(unix)]
use unix as system;

/// A file that is open for writing.
#[derive(Debug)]
pub(crate) struct File {
    inner: std::fs::File,
    path: PathBuf,
    #[cfg(test)]
    watched: faults::Watched,
}

impl File {
    /// Opens the file at `path`.
    pub(crate) fn open(path: &Path, how: Open) -> io::Result<Self> {
        match Self::try_open(path, how) {
            Err(error) if how == Open::New && error.kind() == io::ErrorKind::AlreadyExists => {
                remove_file(path)?;
                Self::try_open(path, how)
            }
            opened => opened,
        }
    }

    fn try_open(path: &Path, how: Open) -> io::Result<Self> {
        uninterrupted(|| {
            #[cfg(test)]
            let watched = faults::open(path, how)?;
            let inner = system::open(path, Access::Write(how))?;
            Ok(Self {
                inner,
                path: path.to_owned(),
                #[cfg(test)]
                watched,
            })
        })
    }

    /// Writes all of `bytes` at `offset`.
    pub(crate) fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        uninterrupted(|| {
            #[cfg(test)]
            if let Some((length, error)) = self.watched.write(offset, bytes)? {
                write_all_at(&self.inner, offset, &bytes[..length])?;
                return Err(error);
            }
            write_all_at(&self.inner, offset, bytes)
        })
    }

    /// Cuts the file at `length`, or extends it with zeros to `length`.
    pub(crate) fn set_len(&self, length: u64) -> io::Result<()> {
        uninterrupted(|| {
            #[cfg(test)]
            self.watched.set_len(length)?;
            self.inner.set_len(length)
        })
    }

    /// Makes the content durable, and the metadata that is needed to read it.
    pub(crate) fn sync_data(&self) -> io::Result<()> {
        self.noted(uninterrupted(|| {
            #[cfg(test)]
            self.watched.sync()?;
            self.inner.sync_data()
        }))
    }

    /// Makes the file durable.
    pub(crate) fn sync_all(&self) -> io::Result<()> {
        self.noted(uninterrupted(|| {
            #[cfg(test)]
            self.watched.sync()?;
            self.inner.sync_all()
        }))
    }

    /// Notes a failed sync. A temporary file needs no note, because it is then discarded.
    fn noted(&self, synced: io::Result<()>) -> io::Result<()> {
        synced.inspect_err(|_| {
            if self.path.extension().is_none_or(|ext| ext != "tmp") {
                failed_syncs::tell(&self.path);
            }
        })
    }

    /// Renames the file. Replaces a file that has this name.
    pub(crate) fn rename_to(mut self, path: &Path) -> StorageResult<Self> {
        rename(&self.path, path)?;
        path.clone_into(&mut self.path);
        Ok(self)
    }

    /// The path of the file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The file's length.
    pub(crate) fn length(&self) -> io::Result<u64> {
        Ok(self.inner.metadata()?.len())
    }

    /// Up to `length` bytes from `offset` on; fewer if the file ends earlier.
    pub(crate) fn read_at(&self, offset: u64, length: u64) -> io::Result<Vec<u8>> {
        // Without room, the first reads are tiny.
        let room = usize::try_from(length.min(64 * 1024)).unwrap_or_default();
        let mut bytes = Vec::with_capacity(room);
        let mut file = &self.inner;
        file.seek(SeekFrom::Start(offset))?;
        file.take(length).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Locks the file against other programs. Fails if a program has it locked.
    pub(crate) fn try_lock(&self) -> Result<(), TryLockError> {
        self.inner.try_lock()
    }

    /// Releases the lock.
    pub(crate) fn unlock(&self) {
        // If this fails, closing the file releases the lock.
        let _ = self.inner.unlock();
    }

    /// Whether the file was deleted: then its content is lost when it is closed. False on systems
    /// that do not report it.
    pub(crate) fn is_deleted(&self) -> io::Result<bool> {
        system::is_deleted(&self.inner)
    }
}

/// Repeats a call as long as a signal interrupts it. An interruption is not a failure.
fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

#[cfg(unix)]
fn write_all_at(file: &std::fs::File, offset: u64, bytes: &[u8]) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, offset)
}

/// Only one thread writes at a time, so the file's position may be used.
#[cfg(not(unix))]
fn write_all_at(mut file: &std::fs::File, offset: u64, bytes: &[u8]) -> io::Result<()> {
    io::Seek::seek(&mut file, io::SeekFrom::Start(offset))?;
    io::Write::write_all(&mut file, bytes)
}

/// Fills `bytes` from `offset` on. Returns how many bytes were read: fewer if the file ends earlier. On
/// some systems this moves the file's position, so only one thread may read the file at a time.
pub(crate) fn read_at(file: &std::fs::File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < bytes.len() {
        match uninterrupted(|| read_some_at(file, &mut bytes[filled..], offset + filled as u64))? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}

/// Appends to `bytes` what is in the file from `offset` on: at least `least` bytes, or all there are. Returns how many.
/// As with [`read_at`], only one thread may read the file at a time.
#[cfg(unix)]
pub(crate) fn read_on(
    file: &std::fs::File,
    bytes: &mut Vec<u8>,
    offset: u64,
    least: usize,
) -> io::Result<usize> {
    let start = bytes.len();
    // The system fills all the memory there is room for, which was not filled with zeros before.
    bytes.reserve_exact(least);
    bytes.shrink_to(start + least);
    loop {
        let filled = bytes.len() - start;
        if filled >= least {
            return Ok(filled);
        }
        let read = || {
            let spare = rustix::buffer::spare_capacity(bytes);
            Ok(rustix::io::pread(file, spare, offset + filled as u64)?)
        };
        if uninterrupted(read)? == 0 {
            return Ok(filled);
        }
    }
}

/// As on other systems.
#[cfg(not(unix))]
pub(crate) fn read_on(
    mut file: &std::fs::File,
    bytes: &mut Vec<u8>,
    offset: u64,
    least: usize,
) -> io::Result<usize> {
    file.seek(SeekFrom::Start(offset))?;
    file.take(least as u64).read_to_end(bytes)
}

#[cfg(unix)]
fn read_some_at(file: &std::fs::File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, bytes, offset)
}

#[cfg(not(unix))]
fn read_some_at(mut file: &std::fs::File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    file.seek(SeekFrom::Start(offset))?;
    file.read(bytes)
}

/// Makes the entries of a directory durable.
pub(crate) fn sync_dir(dir: &Path) -> StorageResult<()> {
    sync_new_dir(dir).inspect_err(|_| failed_syncs::tell(dir))
}

/// As [`sync_dir`], for entries that are not used if the sync fails.
fn sync_new_dir(dir: &Path) -> StorageResult<()> {
    let sync = || -> io::Result<()> {
        #[cfg(test)]
        faults::sync_dir(dir)?;
        system::sync_dir(dir)
    };
    uninterrupted(sync).map_err(|e| StorageError::io("sync", dir, e))
}

/// A directory that is held open.
#[derive(Debug)]
pub(crate) struct OpenDir {
    path: PathBuf,
    #[cfg(target_os = "linux")]
    file: std::fs::File,
}

impl OpenDir {
    pub(crate) fn new(path: &Path) -> StorageResult<Self> {
        Ok(Self {
            path: path.to_owned(),
            #[cfg(target_os = "linux")]
            file: system::open_dir(path).map_err(|e| StorageError::io("open", path, e))?,
        })
    }

    /// The number of the directory's file system. `None` if it is unknown, or if the file system
    /// cannot be synced as a whole.
    pub(crate) fn file_system(&self) -> StorageResult<Option<u64>> {
        #[cfg(test)]
        if let Some(number) = faults::file_system(&self.path) {
            return Ok(Some(number));
        }
        #[cfg(target_os = "linux")]
        {
            let found = self
                .file
                .metadata()
                .map_err(|e| StorageError::io("look at", &self.path, e))?;
            Ok(Some(std::os::unix::fs::MetadataExt::dev(&found)))
        }
        #[cfg(not(target_os = "linux"))]
        Ok(None)
    }
}

/// The number of the file system of the file `path`. `None` if the file is a link or missing, or if
/// the number is unknown.
pub(crate) fn file_system_of(path: &Path) -> StorageResult<Option<u64>> {
    #[cfg(test)]
    if let Some(number) = faults::file_system(path) {
        return Ok(Some(number));
    }
    #[cfg(target_os = "linux")]
    {
        let found = find_itself(path).map_err(|e| StorageError::io("look at", path, e))?;
        let found = found.filter(|found| found.kind != Kind::Link);
        Ok(found
            .and_then(|found| found.identity)
            .map(|(device, _)| device))
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = path;
        Ok(None)
    }
}

/// Renames a file. Replaces a file that has the new name.
pub(crate) fn rename(from: &Path, to: &Path) -> StorageResult<()> {
    let rename = || -> io::Result<()> {
        #[cfg(test)]
        faults::rename(from, to)?;
        system::rename(from, to)
    };
    uninterrupted(rename).map_err(|e| StorageError::io("rename", from, e))
}

/// Gives the file `from` the further name `to`, which must be free.
pub(crate) fn link(from: &Path, to: &Path) -> StorageResult<()> {
    let link = || -> io::Result<()> {
        #[cfg(test)]
        faults::link(to)?;
        system::link(from, to)
    };
    uninterrupted(link).map_err(|e| StorageError::io("link", from, e))
}

/// Removes a file, if it exists.
pub(crate) fn remove(path: &Path) -> StorageResult<()> {
    remove_file(path).map_err(|e| StorageError::io("remove", path, e))
}

fn remove_file(path: &Path) -> io::Result<()> {
    let remove = || -> io::Result<()> {
        #[cfg(test)]
        faults::remove(path)?;
        system::remove(path)
    };
    match uninterrupted(remove) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Removes a file and what an interrupted attempt to replace it left, even if the power fails. Whether
/// there was one.
#[cfg(feature = "personal")]
pub(crate) fn remove_durably(path: &Path) -> StorageResult<bool> {
    let Some(dir) = path.parent() else {
        return Ok(false);
    };
    if !is_dir(dir) {
        return Ok(false);
    }
    let was_there = is_there(path);
    remove(path)?;
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    remove(Path::new(&temporary))?;
    sync_dir(dir)?;
    Ok(was_there)
}

/// Removes the files in `dir` for which `is_removed` is true, and returns how many.
pub(crate) fn remove_from(dir: &Path, is_removed: impl Fn(&Path) -> bool) -> StorageResult<usize> {
    let mut removed = 0;
    for entry in list(dir)? {
        let path = dir.join(entry.name);
        if is_removed(&path) {
            remove(&path)?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// Replaces the content of the file at `path` atomically, even if the power fails.
pub(crate) fn replace_durably(path: &Path, content: &[u8]) -> StorageResult<()> {
    replace(path, content, true)?;
    path.parent().map_or(Ok(()), sync_dir)
}

/// Replaces the content of the file at `path`. Without `sync`, a power failure may leave any
/// content, so the content itself must show whether it is whole.
pub(crate) fn replace(path: &Path, content: &[u8], sync: bool) -> StorageResult<()> {
    replace_by(path, |file| {
        file.write_at(0, content)?;
        if sync { file.sync_all() } else { Ok(()) }
    })
}

/// Replaces the file at `path` with a new file of the same content. The caller must sync the
/// directory after that. Invariant D3.
pub(crate) fn renew(path: &Path) -> StorageResult<()> {
    replace_by(path, |file| {
        let mut old = open(path)?;
        let mut chunk = vec![0; 64 * 1024];
        let mut offset = 0;
        loop {
            match uninterrupted(|| old.read(&mut chunk))? {
                0 => return file.sync_all(),
                length => {
                    file.write_at(offset, &chunk[..length])?;
                    offset += length as u64;
                }
            }
        }
    })
}

/// Replaces the file at `path` with one that `write` fills. A failed attempt leaves no temporary
/// file that the next one would continue.
fn replace_by(path: &Path, write: impl FnOnce(&File) -> io::Result<()>) -> StorageResult<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    let temporary = Path::new(&temporary);
    let written = File::open(temporary, Open::New).and_then(|file| write(&file).map(|()| file));
    let replaced = written
        .map_err(|e| StorageError::io("write", temporary, e))
        .and_then(|file| file.rename_to(path).map(drop));
    if replaced.is_err() {
        let _ = remove(temporary);
    }
    replaced
}

/// Opens the file at `path` for reading.
pub(crate) fn open(path: &Path) -> io::Result<std::fs::File> {
    uninterrupted(|| system::open(path, Access::Read))
}

/// Makes the content of `file` durable, which is open for reading and was found at `path`. False if
/// the system syncs only what is open for writing.
pub(crate) fn sync_read_only(file: &std::fs::File, path: &Path) -> io::Result<bool> {
    #[cfg(test)]
    uninterrupted(|| faults::sync_read_only(path))?;
    #[cfg(unix)]
    {
        let _ = path;
        uninterrupted(|| file.sync_data())?;
        Ok(true)
    }
    #[cfg(not(unix))]
    {
        let _ = (file, path);
        Ok(false)
    }
}

/// Opens or creates a file that other programs also use. A link is refused, because its target does
/// not belong to the store.
pub(crate) fn open_own(path: &Path) -> io::Result<std::fs::File> {
    uninterrupted(|| system::open(path, Access::Own))
}

/// A file opened for reading, `None` if there is no such file.
pub(crate) fn open_if_there(path: &Path) -> StorageResult<Option<std::fs::File>> {
    match open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StorageError::io("open", path, error)),
    }
}

/// The content of a file.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(0);
    // With room for one byte more, the read that finds the end needs no further memory, and `take` does not
    // ask for the length once more.
    let mut content = Vec::with_capacity(length + 1);
    file.take(u64::MAX).read_to_end(&mut content)?;
    Ok(content)
}

/// The content of a file, `None` if there is no such file.
pub(crate) fn read_if_there(path: &Path) -> StorageResult<Option<Vec<u8>>> {
    match read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StorageError::io("read", path, error)),
    }
}

/// The status of the file or directory at `path`; links are followed. `None` if there is nothing.
pub(crate) fn find(path: &Path) -> io::Result<Option<Status>> {
    if_there(system::find(path))
}

/// The status of the entry at `path`; a link is not followed. `None` if there is nothing.
pub(crate) fn find_itself(path: &Path) -> io::Result<Option<Status>> {
    if_there(system::find_itself(path))
}

fn if_there(found: io::Result<Status>) -> io::Result<Option<Status>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if is_nothing(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

fn is_nothing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// Whether something is at `path`. False if this cannot be found out.
pub(crate) fn is_there(path: &Path) -> bool {
    matches!(find(path), Ok(Some(_)))
}

/// Whether a directory is at `path`, or a link to one.
pub(crate) fn is_dir(path: &Path) -> bool {
    matches!(find(path), Ok(Some(found)) if found.kind == Kind::Dir)
}

/// Whether a file is at `path`, or a link to one.
pub(crate) fn is_file(path: &Path) -> bool {
    matches!(find(path), Ok(Some(found)) if found.kind == Kind::File)
}

/// The identity of the directory that `path` leads to now, even if another directory was locked
/// under this path. `None` if the system has no identities.
pub(crate) fn identity_now(path: &Path) -> Option<Identity> {
    system::identity_now(path)
}

/// The entries of a directory.
pub(crate) fn list(dir: &Path) -> StorageResult<Vec<Entry>> {
    uninterrupted(|| system::list(dir)).map_err(|e| StorageError::io("list", dir, e))
}

/// Creates a directory and the directories above it, accessible to their owner only. False if the
/// directory exists.
pub(crate) fn create_dir(dir: &Path) -> StorageResult<bool> {
    let create = || -> io::Result<bool> {
        #[cfg(test)]
        faults::create_dir(dir)?;
        system::create_dir(dir)
    };
    uninterrupted(create).map_err(|e| StorageError::io("create", dir, e))
}

/// As [`create_dir`], durably.
pub(crate) fn create_private_dir(dir: &Path) -> StorageResult<()> {
    if let Ok(Some(found)) = find(dir) {
        if found.kind == Kind::Dir {
            return Ok(());
        }
        let kind = StorageErrorKind::Io(io::ErrorKind::NotADirectory);
        return Err(StorageError::file(kind, dir, "is a file, not a directory"));
    }
    let missing: Vec<&Path> = dir.ancestors().take_while(|dir| !is_there(dir)).collect();
    create_dir(dir)?;
    let mut parents = missing.iter().filter_map(|created| created.parent());
    parents.try_for_each(sync_new_dir).map_err(|failed| {
        // The next attempt would take existing directories for durable ones.
        match missing.into_iter().try_for_each(remove_dir) {
            Ok(()) => failed,
            Err(error) => failed.with_advice(format!("{error}: remove it before the next attempt")),
        }
    })
}

/// Removes an empty directory.
pub(crate) fn remove_dir(dir: &Path) -> StorageResult<()> {
    let remove = || -> io::Result<()> {
        #[cfg(test)]
        faults::remove_dir(dir)?;
        system::remove_dir(dir)
    };
    uninterrupted(remove).map_err(|e| StorageError::io("remove", dir, e))
}

/// Makes all writes to the file system of `dir` durable. `None` if the system has no call for this.
#[cfg(target_os = "linux")]
#[expect(clippy::unnecessary_wraps, reason = "other systems have no such call")]
pub(crate) fn sync_file_system(dir: &OpenDir) -> Option<StorageResult<()>> {
    let OpenDir { path, file } = dir;
    let sync = || -> io::Result<()> {
        #[cfg(test)]
        faults::sync_all(path)?;
        Ok(rustix::fs::syncfs(file)?)
    };
    Some(uninterrupted(sync).map_err(|e| {
        failed_syncs::tell(path);
        StorageError::io("sync the file system of", path, e)
    }))
}

/// Makes all writes to the file system of `dir` durable. `None` if the system has no call for this.
#[cfg(not(target_os = "linux"))]
pub(crate) fn sync_file_system(_dir: &OpenDir) -> Option<StorageResult<()>> {
    None
}
