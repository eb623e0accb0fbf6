//! Backups of a store: [`Backup`].

use std::fmt;
use std::future::{Future, IntoFuture};
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use crate::clock::from_unix_millis;
use crate::ids::Position;
use crate::runtime::background::blocking;
use crate::storage::Storage;
use crate::storage::error::{StorageError, StorageErrorKind, StorageResult};
use crate::storage::files::backup::pace::{Pace, Told};
use crate::storage::files::backup::source::Source;
use crate::storage::files::backup::take::{Taken, Taking};
use crate::store::AggregateStore;

/// How many bytes a second are copied if nothing else is said.
const RATE: u64 = 32 * 1024 * 1024;

/// [`AggregateStore::backup`] returns it. Awaiting it takes the backup.
#[must_use = "it is taken when it is awaited"]
pub struct Backup {
    from: From,
    to: PathBuf,
    rate: u64,
    told: Option<Told>,
    links: bool,
}

/// What is copied.
enum From {
    Open(Storage),
    Directory(PathBuf),
}

/// What a backup has.
///
/// See the example of [`AggregateStore::backup`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackupReport {
    /// Of the newest event in the backup. All events up to here are in it, and they are durable.
    pub position: Position,
    /// The time of the newest commit in the backup; 1970 if there is none.
    pub time: SystemTime,
    /// How many segments of the journal were copied now. The others were there.
    pub segments: u64,
    /// How many bytes they have.
    pub bytes: u64,
    /// The process managers that the backup has files of, sorted.
    pub process_managers: Vec<String>,
}

impl Backup {
    fn new(from: From, to: &Path) -> Self {
        Self {
            from,
            to: to.to_owned(),
            rate: RATE,
            told: None,
            links: false,
        }
    }

    /// Copies at most so many bytes a second, 32 MiB unless this is called, so that those who write to the
    /// store notice little of it. With [`u64::MAX`] it copies as fast as it can.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (dir, to) = (tempfile::tempdir()?, tempfile::tempdir()?);
    /// # let store = AggregateStore::open(dir.path()).await?;
    /// store.backup(to.path()).bytes_per_second(20_000_000).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn bytes_per_second(mut self, bytes: u64) -> Self {
        self.rate = bytes;
        self
    }

    /// Calls `told` with how many bytes of the journal are copied so far, and how many there are to
    /// copy. More may be added meanwhile. It is called on the thread that copies.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (dir, to) = (tempfile::tempdir()?, tempfile::tempdir()?);
    /// # let store = AggregateStore::open(dir.path()).await?;
    /// let backup = store.backup(to.path());
    /// backup.on_progress(|done, total| println!("{done} of {total} bytes")).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn on_progress(mut self, told: impl FnMut(u64, u64) + Send + 'static) -> Self {
        self.told = Some(Box::new(told));
        self
    }

    /// Gives the files of finished segments a second name in the backup, in place of copies. That takes
    /// no time and no space, and protects against mistakes only, not against a broken disk: both names
    /// lead to the same bytes. Both directories must be on one file system.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let store = AggregateStore::open(dir.path().join("data")).await?;
    /// store.backup(dir.path().join("yesterday")).hard_links().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn hard_links(mut self) -> Self {
        self.links = true;
        self
    }

    fn run(self, given_up: Arc<AtomicBool>) -> StorageResult<BackupReport> {
        let source = match self.from {
            From::Open(Storage::Files(files)) => {
                files.check_process()?;
                Source::open(files.layout().clone(), files.journal_index())
            }
            From::Open(Storage::Memory(_)) => {
                let text = "a store in memory has no files to copy";
                return Err(StorageError::new(StorageErrorKind::Unsupported, text));
            }
            #[cfg(feature = "postgres")]
            From::Open(Storage::Postgres(_)) => {
                let text = "a store on PostgreSQL has no files to copy: back the database up with \
                            its own tools, such as `pg_basebackup` or `pg_dump`";
                return Err(StorageError::new(StorageErrorKind::Unsupported, text));
            }
            From::Directory(dir) => Source::of_dir(&dir, false)?,
        };
        let mut pace = Pace::new(Some(self.rate), self.told, given_up);
        let taken = Taking::begin(source, &self.to, self.links)?.take(&mut pace)?;
        tracing::info!(
            position = taken.position,
            segments = taken.segments,
            bytes = taken.bytes,
            "backup taken"
        );
        Ok(BackupReport::of(taken))
    }
}

impl BackupReport {
    fn of(taken: Taken) -> Self {
        Self {
            position: Position::new(taken.position),
            time: from_unix_millis(taken.ms),
            segments: taken.segments,
            bytes: taken.bytes,
            process_managers: taken.process_managers,
        }
    }
}

impl IntoFuture for Backup {
    type Output = io::Result<BackupReport>;
    type IntoFuture = Pin<Box<dyn Future<Output = io::Result<BackupReport>> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(while_awaited(|given_up| self.run(given_up)))
    }
}

impl fmt::Debug for Backup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backup")
            .field("to", &self.to)
            .finish_non_exhaustive()
    }
}

/// Tells a thread that nobody waits for it any more.
struct Awaiting(Arc<AtomicBool>);

impl Drop for Awaiting {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Runs `run` on a thread that may block. It is told if the future is dropped.
pub(super) async fn while_awaited<T: Send + 'static, E: Into<io::Error> + 'static>(
    run: impl FnOnce(Arc<AtomicBool>) -> Result<T, E> + Send + 'static,
) -> io::Result<T> {
    let awaiting = Awaiting(Arc::default());
    let given_up = awaiting.0.clone();
    blocking(move || run(given_up).map_err(Into::into)).await
}

impl AggregateStore {
    /// Copies the store into the directory `dir` while it goes on: everything that is durable at the
    /// position that the [report](BackupReport) states. The directory is empty, missing, or has an
    /// earlier backup of this store; then only what is new is copied.
    ///
    /// A backup has the journal, the list of raw names of 0.2.0, and the checkpoints, dead letters and
    /// timers of process managers, several of each: a restored earlier position needs older ones. The
    /// streams' files, snapshots and projections are left out, because they are made of the journal.
    ///
    /// The copy is checked before it counts: each line's checksum, also with those of earlier backups,
    /// and the bytes that the disk returns. If it fails or is interrupted, the earlier backup in the
    /// directory is as it was, and the next attempt goes on. [`verify`](Self::verify) of the directory
    /// reads all of it again.
    ///
    /// [`restore`](Self::restore) makes a store of a backup, as it was at any position or time. Opening
    /// the directory itself makes a store of it in place; then it is a backup no more.
    ///
    /// Dropping the future ends the copying.
    ///
    /// # Errors
    ///
    /// * [`io::ErrorKind::InvalidInput`]: the directory is that of the store, is within it, has another
    ///   store, or has something else; or it has the backup of another store, or of another *timeline*
    ///   of this one: once a backup was restored, the restored store needs a new directory for its own;
    /// * [`io::ErrorKind::InvalidData`]: a file of the journal is damaged; or the backup has events that
    ///   the store does not have, because one of them was put back by other means;
    /// * [`io::ErrorKind::ResourceBusy`]: another backup into the directory is under way;
    /// * [`io::ErrorKind::StorageFull`] and any other: the directory cannot be written;
    /// * [`io::ErrorKind::Unsupported`]: the store is in memory.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (dir, to) = (tempfile::tempdir()?, tempfile::tempdir()?);
    /// # let (path, to) = (dir.path(), to.path());
    /// let store = AggregateStore::open(path).await?;
    /// let counter = store.get::<Counter>("c-1").await?;
    /// counter.send(Add(5)).await?;
    /// let report = store.backup(to).await?;
    /// assert_eq!(report.position, store.head());
    ///
    /// counter.send(Add(6)).await?;
    /// assert!(store.backup(to).await?.position > report.position);
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias("copy", "export", "dump", "save", "hot backup"))]
    pub fn backup(&self, dir: impl AsRef<Path>) -> Backup {
        Backup::new(From::Open(self.inner.storage.clone()), dir.as_ref())
    }

    /// As [`backup`](Self::backup), of the store in the directory `source`, which need not be open
    /// here. If no store has it open, it is locked meanwhile, and the backup has everything in it. If
    /// another process has it open, the backup has what is known to be durable; what was written in the
    /// last moment may be left out.
    ///
    /// # Errors
    ///
    /// As [`backup`](Self::backup), and [`io::ErrorKind::NotFound`]: there is no store in `source`, or
    /// one of 0.2.0 that was never opened.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (dir, to) = (tempfile::tempdir()?, tempfile::tempdir()?);
    /// # let (path, to) = (dir.path(), to.path());
    /// # let store = AggregateStore::open(path).await?;
    /// # store.get::<Counter>("c-1").await?.send(Add(5)).await?;
    /// # store.shutdown().await?;
    /// let report = AggregateStore::backup_of(path, to).await?;
    /// assert_eq!(report.position.to_string(), "1");
    /// # Ok(())
    /// # }
    /// ```
    pub fn backup_of(source: impl AsRef<Path>, dir: impl AsRef<Path>) -> Backup {
        let source = source.as_ref().to_owned();
        Backup::new(From::Directory(source), dir.as_ref())
    }
}
