//! One store a directory: `<base>/lock` against other processes, a table against this one.

use std::collections::HashMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::disk;
use super::doubt::Noting;

/// The directories that this process has open.
static OPEN: Mutex<Option<HashMap<PathBuf, State>>> = Mutex::new(None);
/// Tells that a directory was released.
static RELEASED: Condvar = Condvar::new();

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// Everyone has let go of the store; its committer is finishing.
    Closing,
}

/// The right to use a directory, given up when it is dropped.
#[derive(Debug)]
pub(crate) struct DirLock {
    dir: PathBuf,
    file: Option<File>,
    /// As long as the directory is used, syncs that fail are noted.
    noting: Option<Noting>,
}

impl DirLock {
    /// Takes the directory `dir`, which exists. Waits for a store in this process that is about to
    /// release it.
    pub(crate) fn take(dir: &Path) -> io::Result<Self> {
        let given = dir;
        let dir = dir.canonicalize().map_err(|e| disk::at("open", dir, &e))?;
        let mut open = table();
        loop {
            let entries = open.get_or_insert_default();
            match entries.get(&dir) {
                None => {
                    entries.insert(dir.clone(), State::Open);
                    break;
                }
                Some(State::Open) => {
                    let text = format!(
                        "{} is already open in this process: a directory has one store; clone it, \
                         or shut it down first",
                        dir.display()
                    );
                    return Err(io::Error::new(io::ErrorKind::ResourceBusy, text));
                }
                Some(State::Closing) => {
                    open = RELEASED.wait(open).unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
        drop(open);
        let mut lock = Self {
            noting: Some(Noting::start(given, &dir)),
            dir,
            file: None,
        };
        lock.file = Some(lock_file(&lock.dir)?);
        Ok(lock)
    }

    /// The directory, in the one form that names it.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }
}

/// Tells that the store in `dir` is on its way to release it.
pub(crate) fn announce_release(dir: &Path) {
    if let Some(state) = table().get_or_insert_default().get_mut(dir) {
        *state = State::Closing;
    }
}

impl Drop for DirLock {
    fn drop(&mut self) {
        if let Some(file) = self.file.take() {
            // Closing is not enough: a process that is being started at this moment shares the
            // descriptor, and the lock with it, until it executes its program.
            let _ = file.unlock();
        }
        self.noting = None;
        table().get_or_insert_default().remove(&self.dir);
        RELEASED.notify_all();
    }
}

fn table() -> MutexGuard<'static, Option<HashMap<PathBuf, State>>> {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn lock_file(dir: &Path) -> io::Result<File> {
    let path = dir.join("lock");
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(|e| disk::at("open", &path, &e))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let known = file.read_to_string(&mut holder).is_ok() && !holder.is_empty();
            let holder = if known { holder.trim() } else { "unknown" };
            let text = format!(
                "{} is in use by another process (its id: {holder})",
                dir.display()
            );
            return Err(io::Error::new(io::ErrorKind::ResourceBusy, text));
        }
        Err(TryLockError::Error(error)) => return Err(disk::at("lock", &path, &error)),
    }
    // For the error above only; the lock itself is what counts.
    let _ = file
        .set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| writeln!(file, "{}", std::process::id()));
    Ok(file)
}
