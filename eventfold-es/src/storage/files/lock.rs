//! One store a directory. Locks on the directory and on `<base>/lock` keep out other processes; a
//! table keeps out other stores of this process.
//!
//! The lock file alone protects nothing, because any program may delete it. Other versions lock it,
//! and it states which process has the directory.

use std::collections::HashMap;
use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use crate::storage::error::{StorageError, StorageErrorKind, StorageResult};
use crate::storage::files::disk;
use crate::storage::files::disk::failed_syncs::Noting;
use crate::storage::files::disk::held_dir::HeldDir;
use crate::storage::files::disk::{Identity, Kind};
use crate::storage::files::doubt::start_noting;
use crate::storage::files::layout::{PARTS, leads_nowhere};
use crate::storage::files::streams::cache::OpenFiles;
use crate::storage::process::Process;
use crate::storage::unfinished::Unfinished;

/// The directories that this process has open, by their paths when they were opened.
static OPEN: Mutex<Option<HashMap<PathBuf, OpenStore>>> = Mutex::new(None);
/// Signals that a directory was released, or that a caller gave up waiting.
static RELEASED: Condvar = Condvar::new();

/// How long tasks of this process may delay the release of a directory.
const LONGEST_RELEASE: Duration = Duration::from_secs(30);
/// The first and the longest pause between two attempts to take another process's lock.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// A directory in use.
struct OpenStore {
    process: Process,
    identity: Option<Identity>,
    is_closing: bool,
    /// The caller of `open` gave up waiting, so the directory is released as soon as it is open.
    given_up: Arc<AtomicBool>,
    /// The locks. They are only here, so that a forked child can close its copies.
    locks: Option<Locks>,
    /// The open files of streams.
    files: Weak<OpenFiles>,
    /// The work that must finish before the directory is released.
    unfinished: Option<Weak<dyn Unfinished>>,
}

/// The locks of a store.
struct Locks {
    /// The directory, and those of its parts that are links to other directories.
    dirs: Vec<HeldDir>,
    file: File,
}

/// How long an `open` waits for a directory in use.
#[derive(Debug, Clone, Default)]
pub(crate) struct Patience {
    /// The limit for another process and for tasks of this process. By default another process is
    /// not waited for, and tasks of this process for `LONGEST_RELEASE`.
    limit: Option<Duration>,
    given_up: Arc<AtomicBool>,
}

/// Gives up an `open` when it is dropped before `finish`.
pub(crate) struct Opening(Option<Patience>);

impl Patience {
    pub(crate) fn new(limit: Option<Duration>) -> Self {
        Self {
            limit,
            given_up: Arc::default(),
        }
    }

    /// A guard that the caller holds while it waits for the `open`.
    pub(crate) fn opening(&self) -> Opening {
        Opening(Some(self.clone()))
    }

    /// Whether the caller gave up, also later.
    pub(crate) fn given_up(&self) -> Arc<AtomicBool> {
        self.given_up.clone()
    }

    /// How long tasks of this process may delay the release of a store.
    pub(crate) fn longest_release(&self) -> Duration {
        self.limit.unwrap_or(LONGEST_RELEASE)
    }
    /// Why the wait for this process to release a store must end now, `None` if it goes on. The text
    /// continues a sentence that begins with the place. Without a given limit, the store's own
    /// threads are waited for, because they always finish.
    pub(crate) fn not_released(&self, unfinished: Option<Arc<dyn Unfinished>>) -> Option<String> {
        let cause = match (&unfinished, self.limit) {
            (Some(unfinished), _) => unfinished.describe(),
            (None, Some(_)) => "its last events are being written".to_owned(),
            (None, None) => return None,
        };
        let limit = self.longest_release();
        Some(format!(
            "was not released by this process within {limit:?}, although nobody uses the store any \
             more: {cause}"
        ))
    }

    /// Fails if the caller gave up.
    pub(crate) fn check(&self) -> StorageResult<()> {
        if self.given_up.load(Ordering::Acquire) {
            let kind = StorageErrorKind::Io(io::ErrorKind::Other);
            return Err(StorageError::new(kind, "the caller of `open` is gone"));
        }
        Ok(())
    }

    /// Tries to `lock` until it succeeds or the limit is reached.
    fn lock<T>(&self, lock: impl Fn() -> StorageResult<T>) -> StorageResult<T> {
        let started = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            let error = match lock() {
                Err(error) if error.kind() == StorageErrorKind::Busy => error,
                done => return done,
            };
            let rest = self
                .limit
                .unwrap_or_default()
                .saturating_sub(started.elapsed());
            if rest.is_zero() {
                return Err(error);
            }
            // No system reports a released lock, except to a call that may wait forever.
            std::thread::sleep(pause.min(rest));
            pause = (pause * 2).min(LONGEST_PAUSE);
            self.check()?;
        }
    }
}

impl Opening {
    /// Ends the guard: the caller has its store.
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

/// The right to use a directory, released when this is dropped. Until then all paths below the
/// directory's path lead into this directory, even if it is moved or the path leads elsewhere.
#[derive(Debug)]
pub(crate) struct DirLock {
    dir: PathBuf,
    identity: Option<Identity>,
    /// Failed syncs are noted as long as the directory is in use.
    noting: Option<Noting>,
}

impl DirLock {
    /// Takes the directory `dir`, which must exist. Waits for a store in this process that is about
    /// to release it.
    pub(crate) fn take(dir: &Path, patience: &Patience) -> StorageResult<Self> {
        let dir = dir
            .canonicalize()
            .map_err(|e| StorageError::io("open", dir, e))?;
        let identity = disk::identity_now(&dir);
        enter(&dir, identity, patience)?;
        let lock = Self {
            noting: Some(start_noting(&dir, &dir)),
            dir,
            identity,
        };
        let locks = patience.lock(|| Locks::take(&lock.dir, identity))?;
        if let Some(entry) = table().get_or_insert_default().get_mut(&lock.dir) {
            entry.locks = Some(locks);
        }
        Ok(lock)
    }

    /// The directory as a canonical path.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The identity of the directory, if the system has one.
    pub(crate) fn identity(&self) -> Option<Identity> {
        self.identity
    }

    /// Notes the open files of streams, which a forked child must close.
    pub(crate) fn note_files(&self, files: &Arc<OpenFiles>) {
        if let Some(entry) = table().get_or_insert_default().get_mut(&self.dir) {
            entry.files = Arc::downgrade(files);
        }
    }
}

/// Enters `dir` into the table. Waits if a store of this process is about to release it.
fn enter(dir: &Path, identity: Option<Identity>, patience: &Patience) -> StorageResult<()> {
    let mut open = table();
    let mut since = Instant::now();
    loop {
        patience.check()?;
        let entries = open.get_or_insert_default();
        let Some((path, entry)) = in_the_way(entries, dir, identity) else {
            let entry = OpenStore {
                process: Process::this(),
                identity,
                is_closing: false,
                given_up: patience.given_up.clone(),
                locks: None,
                files: Weak::new(),
                unfinished: None,
            };
            entries.insert(dir.to_owned(), entry);
            return Ok(());
        };
        if !entry.process.is_this() {
            // The locks show whether the parent still has the directory.
            let path = path.to_owned();
            if let Some(entry) = entries.remove(&path) {
                entry.close_copies();
            }
            continue;
        }
        if !entry.is_closing && !entry.given_up.load(Ordering::Acquire) {
            return Err(already_open(dir, entry.identity == identity));
        }
        let rest = patience.longest_release().saturating_sub(since.elapsed());
        if !rest.is_zero() {
            let waited = RELEASED.wait_timeout(open, rest);
            (open, _) = waited.unwrap_or_else(PoisonError::into_inner);
            continue;
        }
        let unfinished = entry.unfinished.clone();
        // Unlocks the table first: the last reference to the unfinished work may be dropped below.
        drop(open);
        let unfinished = unfinished.and_then(|unfinished| unfinished.upgrade());
        if let Some(cause) = patience.not_released(unfinished) {
            return Err(StorageError::file(StorageErrorKind::Busy, dir, cause));
        }
        since = Instant::now();
        open = table();
    }
}

/// The entry of `dir`: the same path, or the same directory under another path.
fn in_the_way<'a>(
    entries: &'a HashMap<PathBuf, OpenStore>,
    dir: &Path,
    identity: Option<Identity>,
) -> Option<(&'a Path, &'a OpenStore)> {
    let same = |path: &Path, entry: &OpenStore| {
        path == dir || (identity.is_some() && entry.identity == identity)
    };
    let mut entries = entries.iter();
    entries.find_map(|(path, entry)| same(path, entry).then_some((path.as_path(), entry)))
}

/// The error for a path under which this process has a store open, in the same directory or in
/// another one that was there.
fn already_open(dir: &Path, is_same: bool) -> StorageError {
    let cause = if is_same {
        "is already open in this process: a directory has one store; clone it, or shut it down first"
    } else {
        "is the path of a store that is still open in this process; its directory was moved or deleted \
         since: shut that store down first"
    };
    StorageError::file(StorageErrorKind::Busy, dir, cause)
}

/// Notes that the store in `dir` is about to release the directory. The release waits until
/// `unfinished` is dropped.
pub(crate) fn announce_release(dir: &Path, unfinished: Option<Weak<dyn Unfinished>>) {
    if let Some(entry) = table().get_or_insert_default().get_mut(dir) {
        entry.is_closing = true;
        entry.unfinished = unfinished;
    }
}

impl Drop for DirLock {
    fn drop(&mut self) {
        self.noting = None;
        let mut open = table();
        let entry = open.get_or_insert_default().get_mut(&self.dir);
        let locks = entry.and_then(|entry| entry.locks.take());
        drop(open);
        if let Some(locks) = locks {
            locks.release();
        }
        // Removed last: a caller that finds no entry must find no lock either.
        table().get_or_insert_default().remove(&self.dir);
        RELEASED.notify_all();
    }
}

impl OpenStore {
    /// Closes a forked child's copies of the files that its parent has locked: an open copy would
    /// keep the lock. The copies are not unlocked, because that would release the parent's locks.
    fn close_copies(self) {
        if let Some(Locks { dirs, file }) = self.locks {
            drop(file);
            dirs.into_iter().for_each(HeldDir::close_copy);
        }
        if let Some(files) = self.files.upgrade() {
            files.close_copies();
        }
    }
}

/// Makes this process look like a forked child of the process that has `dir` open. The returned
/// file plays the parent's descriptor.
#[cfg(test)]
pub(crate) fn fork(dir: &Path) -> Option<File> {
    let mut open = table();
    let entry = open.get_or_insert_default().get_mut(dir)?;
    entry.process.fork();
    entry.locks.as_ref()?.file.try_clone().ok()
}

fn table() -> MutexGuard<'static, Option<HashMap<PathBuf, OpenStore>>> {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Locks {
    /// Locks the directory `dir`. Fails if its identity is not `identity`.
    fn take(dir: &Path, identity: Option<Identity>) -> StorageResult<Self> {
        let mut dirs = vec![hold(dir, || in_use(dir, &holder(dir)))?];
        let found = dirs[0].identity();
        if found.map_err(|e| StorageError::io("open", dir, e))? != identity {
            let cause = "was replaced while it was being opened: open it again";
            return Err(StorageError::file(StorageErrorKind::Busy, dir, cause));
        }
        let file = lock_file(dir)?;
        for part in PARTS.map(|part| dir.join(part)) {
            let found = disk::find_itself(&part).map_err(|e| StorageError::io("open", &part, e))?;
            if found.is_none_or(|found| found.kind != Kind::Link) {
                continue;
            }
            match disk::find(&part).map_err(|e| StorageError::io("open", &part, e))? {
                None => return Err(leads_nowhere(&part)),
                Some(found) if found.kind == Kind::Dir => {
                    dirs.push(hold(&part, || shared(&part))?);
                }
                Some(_) => {}
            }
        }
        Ok(Self { dirs, file })
    }

    fn release(self) {
        // Closing is not enough: a child process that is just being started shares the descriptor
        // and the lock until it executes its program.
        let _ = self.file.unlock();
        drop(self.dirs);
    }
}

/// Holds the directory at `path`, and locks it if the system can. Fails with `busy` if it is
/// already locked.
fn hold(path: &Path, busy: impl FnOnce() -> StorageError) -> StorageResult<HeldDir> {
    let held = HeldDir::hold(path).map_err(|e| StorageError::io("open", path, e))?;
    match held.try_lock() {
        Some(false) => Err(busy()),
        Some(true) | None => Ok(held),
    }
}

fn shared(part: &Path) -> StorageError {
    let cause = "is a link to a directory that a store has in use, another one or this";
    StorageError::file(StorageErrorKind::Busy, part, cause)
}

/// Whether the lock file is a store's. Then it has the id of the process that has, or had, the
/// directory.
fn is_ours(content: &[u8]) -> bool {
    content
        .iter()
        .all(|byte| byte.is_ascii_digit() || byte.is_ascii_whitespace() || *byte == 0)
}

/// How many characters the id of a process has in the lock file, with spaces behind it.
const ID_WIDTH: usize = 10;

/// How many bytes of the lock file are read. A store writes fewer.
const MOST: u64 = 64;

fn read_holder(file: &mut File) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    file.take(MOST).read_to_end(&mut content)?;
    Ok(content)
}

/// The id of the process that has `dir`, or `unknown`.
fn holder(dir: &Path) -> String {
    let content = disk::open(&dir.join("lock")).and_then(|mut file| read_holder(&mut file));
    let known = content.ok().filter(|content| is_ours(content));
    let text = known.and_then(|content| String::from_utf8(content).ok());
    let text = text.unwrap_or_default();
    let id = text.trim_matches(|c: char| !c.is_ascii_digit());
    if id.is_empty() { "unknown" } else { id }.to_owned()
}

fn in_use(dir: &Path, holder: &str) -> StorageError {
    let cause = format!("is in use by another process (its id: {holder})");
    StorageError::file(StorageErrorKind::Busy, dir, cause)
}

fn lock_file(dir: &Path) -> StorageResult<File> {
    let path = dir.join("lock");
    let mut file = disk::open_own(&path).map_err(|e| StorageError::io("open", &path, e))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(in_use(dir, &holder(dir))),
        Err(TryLockError::Error(error)) => return Err(StorageError::io("lock", &path, error)),
    }
    let content = read_holder(&mut file).map_err(|e| StorageError::io("read", &path, e))?;
    if !is_ours(&content) {
        let cause = "has another content than the id of a process, so it is not a file of the \
                     store: remove it";
        return Err(StorageError::file(
            StorageErrorKind::OtherProgram,
            &path,
            cause,
        ));
    }
    let id = format!("{:<ID_WIDTH$}\n", std::process::id());
    // The id is only for the error message; a failure here does not matter. It is written over the one
    // before: cutting a file may wait for the disk.
    let cut = match content.len().cmp(&id.len()) {
        std::cmp::Ordering::Greater => file.set_len(id.len() as u64),
        _ => Ok(()),
    };
    let _ = cut
        .and_then(|()| file.rewind())
        .and_then(|()| file.write_all(id.as_bytes()));
    Ok(file)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn take(dir: &Path) -> StorageResult<DirLock> {
        DirLock::take(dir, &Patience::default())
    }

    fn refusal(dir: &Path) -> StorageError {
        take(dir).expect_err("it is refused")
    }

    #[test]
    fn deleting_the_lock_file_does_not_unlock_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        let lock = take(dir.path()).unwrap();
        std::fs::remove_file(dir.path().join("lock")).unwrap();
        // As another process would, without this process's table.
        let other = HeldDir::hold(dir.path()).unwrap();
        assert_eq!(other.try_lock(), Some(false));
        drop(other);
        drop(lock);
        let free = HeldDir::hold(dir.path()).unwrap();
        assert_eq!(free.try_lock(), Some(true));
    }

    #[test]
    fn a_moved_directory_is_recognised_under_its_new_path() {
        let parent = tempfile::tempdir().unwrap();
        let (first, second) = (parent.path().join("a"), parent.path().join("b"));
        std::fs::create_dir(&first).unwrap();
        let lock = take(&first).unwrap();
        std::fs::rename(&first, &second).unwrap();
        let error = refusal(&second);
        assert!(error.to_string().contains("already open in this process"));
        // A new directory at the old path would look like the old one.
        std::fs::create_dir(&first).unwrap();
        let error = refusal(&first);
        assert_eq!(error.kind(), StorageErrorKind::Busy);
        assert!(
            error.to_string().contains("was moved or deleted"),
            "{error}"
        );
        drop(lock);
        drop(take(&first).unwrap());
        drop(take(&second).unwrap());
    }

    #[test]
    fn a_part_that_two_directories_share_through_a_link_is_locked_too() {
        let parent = tempfile::tempdir().unwrap();
        let (a, b) = (parent.path().join("a"), parent.path().join("b"));
        std::fs::create_dir(&b).unwrap();
        for part in PARTS {
            std::fs::create_dir_all(a.join(part)).unwrap();
            std::os::unix::fs::symlink(a.join(part), b.join(part)).unwrap();
        }
        let c = parent.path().join("c");
        std::fs::create_dir(&c).unwrap();
        std::os::unix::fs::symlink(a.join("streams"), c.join("streams")).unwrap();
        let lock = take(&b).unwrap();
        let error = refusal(&c);
        assert!(
            error
                .to_string()
                .contains("c/streams is a link to a directory that a store"),
            "{error}"
        );
        drop(lock);
        drop(take(&c).unwrap());
    }
}
