//! Directories that are gone at the end of a test, and memories that stand for them.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use eventfold_es::{AggregateStore, AggregateStoreBuilder, Memory};

use super::DEADLINE;

/// Names the storage that the tests run on, if that is not files.
pub(crate) const STORAGE: &str = "EVENTFOLD_TEST_STORAGE";

/// The URL of the server that the tests run on, if they run on one.
#[cfg(feature = "postgres")]
pub(crate) const SERVER: &str = "EVENTFOLD_TEST_SERVER";

/// What the tests run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Files,
    /// See [`in_memory`](crate::in_memory).
    Memory,
    /// See [`on_postgres`](crate::on_postgres).
    #[cfg(feature = "postgres")]
    Postgres,
}

fn kind() -> Kind {
    match std::env::var(STORAGE).as_deref() {
        Ok("memory") => Kind::Memory,
        #[cfg(feature = "postgres")]
        Ok("postgres") => Kind::Postgres,
        Ok(other) if other != "files" => panic!("no tests run on {other}"),
        _ => Kind::Files,
    }
}

/// A place for a store: a directory, or a memory or a schema where the tests run on one.
///
/// A directory is removed once the stores in it have ended, which they do in the background.
pub(crate) struct TempDir {
    /// Without files it is a path that cannot exist, so no test looks into files by mistake.
    path: PathBuf,
    dir: Option<tempfile::TempDir>,
}

impl TempDir {
    fn of(dir: tempfile::TempDir) -> Self {
        let path = dir.path().to_owned();
        let dir = Some(dir);
        Self { path, dir }
    }

    fn without_files() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = PathBuf::from(format!("without-files\0/{number}"));
        Self { path, dir: None }
    }

    /// The directory, for a test of what is in it. A test that calls this runs on files only.
    pub(crate) fn path(&self) -> &Path {
        assert!(self.dir.is_some(), "the store has no files");
        &self.path
    }

    /// The directory, for what a test expects of files in addition. `None` without files.
    pub(crate) fn on_disk(&self) -> Option<&Path> {
        self.dir.as_ref().map(tempfile::TempDir::path)
    }
}

/// For [`builder`], and for what needs a directory: it fails without files.
impl AsRef<Path> for TempDir {
    fn as_ref(&self) -> &Path {
        &self.path
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let Some(dir) = &self.dir else {
            MEMORIES.lock().unwrap().remove(&self.path);
            return;
        };
        let start = Instant::now();
        for lock in locks(dir.path()) {
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
    if kind() != Kind::Files {
        return TempDir::without_files();
    }
    TempDir::of(tempfile::tempdir().unwrap())
}

/// A directory where making something durable costs nothing, if there is such a place: for tests
/// that open very many stores and do not ask what the disk holds.
pub(crate) fn fast_temp_dir() -> TempDir {
    if kind() != Kind::Files {
        return TempDir::without_files();
    }
    tempfile::tempdir_in("/dev/shm").map_or_else(|_| temp_dir(), TempDir::of)
}

static MEMORIES: Mutex<BTreeMap<PathBuf, Memory>> = Mutex::new(BTreeMap::new());

/// The schemas that stand for directories.
#[cfg(feature = "postgres")]
static SCHEMAS: Mutex<BTreeMap<PathBuf, String>> = Mutex::new(BTreeMap::new());

/// Sets up a store in `dir`, or in the memory or the schema that stands for it.
pub(crate) fn builder(dir: impl AsRef<Path>) -> AggregateStoreBuilder {
    let dir = dir.as_ref();
    match kind() {
        Kind::Files => AggregateStore::builder(dir),
        Kind::Memory => {
            let mut memories = MEMORIES.lock().unwrap();
            let memory = memories.entry(dir.to_owned()).or_default();
            AggregateStore::in_memory().keep_in(memory)
        }
        #[cfg(feature = "postgres")]
        Kind::Postgres => {
            let mut schemas = SCHEMAS.lock().unwrap();
            let number = schemas.len();
            let schema = schemas.entry(dir.to_owned());
            let schema = schema.or_insert_with(|| format!("t{}_{number}", std::process::id()));
            let url =
                std::env::var(SERVER).expect("the test that starts the others names a server");
            // The server of the tests does not sync, which is faster.
            AggregateStore::postgres(url)
                .schema(schema.clone())
                .allow_unsynced(true)
        }
    }
}

pub(crate) async fn open(dir: impl AsRef<Path>) -> AggregateStore {
    builder(dir).open().await.unwrap()
}
