//! Directories that are gone at the end of a test.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::DEADLINE;

/// A directory that is removed once the stores in it have ended, which they do in the background.
pub(crate) struct TempDir(tempfile::TempDir);

impl TempDir {
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

impl AsRef<Path> for TempDir {
    fn as_ref(&self) -> &Path {
        self.path()
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let start = Instant::now();
        for lock in locks(self.path()) {
            let is_held = || File::open(&lock).is_ok_and(|lock| lock.try_lock().is_err());
            while is_held() && start.elapsed() < DEADLINE {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }
}

/// The lock files of the stores below `dir`.
fn locks(dir: &Path) -> Vec<PathBuf> {
    let mut locks = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        // A link may lead back.
        let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_dir && !path.ends_with("streams") {
            locks.extend(self::locks(&path));
        } else if path.ends_with("lock") && path.is_file() {
            locks.push(path);
        }
    }
    locks
}

pub(crate) fn temp_dir() -> TempDir {
    TempDir(tempfile::tempdir().unwrap())
}

/// A directory where making something durable costs nothing, if there is such a place: for tests
/// that open very many stores and do not ask what the disk holds.
pub(crate) fn fast_temp_dir() -> TempDir {
    tempfile::tempdir_in("/dev/shm").map_or_else(|_| temp_dir(), TempDir)
}
