//! One store a directory: `<base>/lock` against other processes, a table against this one.

use std::collections::HashMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::disk;
use super::doubt::Noting;
use super::files::Files;
use super::process::Process;

/// The directories that this process has open.
static OPEN: Mutex<Option<HashMap<PathBuf, Entry>>> = Mutex::new(None);
/// Tells that a directory was released, or that somebody does not wait for one any more.
static RELEASED: Condvar = Condvar::new();

/// How long tasks of this process may keep a directory from being released.
const LONGEST_RELEASE: Duration = Duration::from_secs(30);
/// How often another process's lock is looked at while it is waited for: soon at first, then less often.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// A directory in use.
struct Entry {
    process: Process,
    is_closing: bool,
    /// Whoever opens it does not wait for that any more: it is released as soon as it is open.
    given_up: Arc<AtomicBool>,
    /// The lock file. It is nowhere else, so that a forked child can close its copy.
    file: Option<File>,
    /// The open files of streams.
    files: Weak<Files>,
    /// What is to be finished before the directory is released.
    unfinished: Option<Weak<dyn Unfinished>>,
}

/// What keeps a store from being closed as long as it is there.
pub(crate) trait Unfinished: Send + Sync {
    /// What it waits for.
    fn describe(&self) -> String;
}

/// How long an `open` waits for a directory that somebody has.
#[derive(Debug, Clone, Default)]
pub(crate) struct Patience {
    /// For another process and for tasks of this one. By default not at all for the one, and for
    /// `LONGEST_RELEASE` for the others.
    limit: Option<Duration>,
    given_up: Arc<AtomicBool>,
}

/// Gives an `open` up when it is dropped unfinished.
pub(crate) struct Opening(Option<Patience>);

impl Patience {
    pub(crate) fn new(limit: Option<Duration>) -> Self {
        Self {
            limit,
            given_up: Arc::default(),
        }
    }

    /// What the caller holds while it waits for the `open`.
    pub(crate) fn opening(&self) -> Opening {
        Opening(Some(self.clone()))
    }

    fn check(&self) -> io::Result<()> {
        if self.given_up.load(Ordering::Acquire) {
            return Err(io::Error::other("nobody waits for the store any more"));
        }
        Ok(())
    }

    /// Tries to `lock` for as long as another process may have it.
    fn lock<T>(&self, lock: impl Fn() -> io::Result<T>) -> io::Result<T> {
        let started = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            let error = match lock() {
                Err(error) if error.kind() == io::ErrorKind::ResourceBusy => error,
                done => return done,
            };
            let rest = self
                .limit
                .unwrap_or_default()
                .saturating_sub(started.elapsed());
            if rest.is_zero() {
                return Err(error);
            }
            // No system tells when a lock is given up without waiting for it for ever.
            std::thread::sleep(pause.min(rest));
            pause = (pause * 2).min(LONGEST_PAUSE);
            self.check()?;
        }
    }
}

impl Opening {
    /// Whoever waited has what it waited for.
    pub(crate) fn finish(mut self) {
        self.0 = None;
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        if let Some(patience) = &self.0 {
            let open = table();
            patience.given_up.store(true, Ordering::Release);
            drop(open);
            RELEASED.notify_all();
        }
    }
}

/// The right to use a directory, given up when it is dropped.
#[derive(Debug)]
pub(crate) struct DirLock {
    dir: PathBuf,
    /// As long as the directory is used, syncs that fail are noted.
    noting: Option<Noting>,
}

impl DirLock {
    /// Takes the directory `dir`, which exists. Waits for a store in this process that is about to
    /// release it.
    pub(crate) fn take(dir: &Path, patience: &Patience) -> io::Result<Self> {
        let given = dir;
        let dir = dir.canonicalize().map_err(|e| disk::at("open", dir, &e))?;
        enter(&dir, patience)?;
        let lock = Self {
            noting: Some(Noting::start(given, &dir)),
            dir,
        };
        let file = patience.lock(|| lock_file(&lock.dir))?;
        if let Some(entry) = table().get_or_insert_default().get_mut(&lock.dir) {
            entry.file = Some(file);
        }
        Ok(lock)
    }

    /// The directory, in the one form that names it.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Notes the open files of streams, which a forked child is to close.
    pub(crate) fn note_files(&self, files: &Arc<Files>) {
        if let Some(entry) = table().get_or_insert_default().get_mut(&self.dir) {
            entry.files = Arc::downgrade(files);
        }
    }
}

/// Enters `dir` into the table, for which a store in this process may have to be closed first.
fn enter(dir: &Path, patience: &Patience) -> io::Result<()> {
    let mut open = table();
    let mut since = Instant::now();
    loop {
        patience.check()?;
        let entries = open.get_or_insert_default();
        let Some(entry) = entries.get(dir) else {
            let entry = Entry {
                process: Process::this(),
                is_closing: false,
                given_up: patience.given_up.clone(),
                file: None,
                files: Weak::new(),
                unfinished: None,
            };
            entries.insert(dir.to_owned(), entry);
            return Ok(());
        };
        if !entry.process.is_this() {
            // The lock file says whether the parent still has it.
            entries.remove(dir).map(Entry::close_copies);
            continue;
        }
        if !entry.is_closing && !entry.given_up.load(Ordering::Acquire) {
            let text = format!(
                "{} is already open in this process: a directory has one store; clone it, or shut it \
                 down first",
                dir.display()
            );
            return Err(io::Error::new(io::ErrorKind::ResourceBusy, text));
        }
        let limit = patience.limit.unwrap_or(LONGEST_RELEASE);
        let rest = limit.saturating_sub(since.elapsed());
        if !rest.is_zero() {
            let waited = RELEASED.wait_timeout(open, rest);
            (open, _) = waited.unwrap_or_else(PoisonError::into_inner);
            continue;
        }
        let unfinished = entry.unfinished.clone();
        // What is dropped here may be the last of its kind.
        drop(open);
        check_release(
            dir,
            patience,
            limit,
            unfinished.and_then(|unfinished| unfinished.upgrade()),
        )?;
        since = Instant::now();
        open = table();
    }
}

/// Fails if nobody should wait any longer than `limit` for this process to release `dir`. What the
/// store's own threads do comes to its end.
fn check_release(
    dir: &Path,
    patience: &Patience,
    limit: Duration,
    unfinished: Option<Arc<dyn Unfinished>>,
) -> io::Result<()> {
    let cause = match (&unfinished, patience.limit) {
        (Some(unfinished), _) => unfinished.describe(),
        (None, Some(_)) => "its last events are being written".to_owned(),
        (None, None) => return Ok(()),
    };
    let text = format!(
        "{} was not released by this process within {limit:?}, though nobody uses the store any more: \
         {cause}",
        dir.display()
    );
    Err(io::Error::new(io::ErrorKind::ResourceBusy, text))
}

/// Tells that the store in `dir` is on its way to release it, which waits for `unfinished` as long as
/// that is there.
pub(crate) fn announce_release(dir: &Path, unfinished: Option<Weak<dyn Unfinished>>) {
    if let Some(entry) = table().get_or_insert_default().get_mut(dir) {
        entry.is_closing = true;
        entry.unfinished = unfinished;
    }
}

impl Drop for DirLock {
    fn drop(&mut self) {
        self.noting = None;
        let entry = table().get_or_insert_default().remove(&self.dir);
        if let Some(file) = entry.and_then(|entry| entry.file) {
            // Closing is not enough: a process that is being started at this moment shares the
            // descriptor, and the lock with it, until it executes its program.
            let _ = file.unlock();
        }
        RELEASED.notify_all();
    }
}

impl Entry {
    /// Closes a child's copies of the files that its parent has locked: as long as one is open, so is the
    /// lock. They are not unlocked, which would take the parent's locks as well.
    fn close_copies(self) {
        drop(self.file);
        if let Some(files) = self.files.upgrade() {
            files.close_copies();
        }
    }
}

/// As if this process had been forked off the one that has `dir` open. What is returned stands for the
/// parent's own descriptor.
#[cfg(test)]
pub(crate) fn fork(dir: &Path) -> Option<File> {
    let mut open = table();
    let entry = open.get_or_insert_default().get_mut(dir)?;
    entry.process.fork();
    entry.file.as_ref()?.try_clone().ok()
}

fn table() -> MutexGuard<'static, Option<HashMap<PathBuf, Entry>>> {
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
