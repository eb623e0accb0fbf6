//! Makes a store of a backup: [`Restore`].

use std::fmt;
use std::future::{Future, IntoFuture};
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::SystemTime;

use crate::clock::{from_unix_millis, unix_millis};
use crate::ids::Position;
use crate::storage::error::StorageResult;
use crate::storage::files::backup::pace::{Pace, Told};
use crate::storage::files::backup::restore::{
    Continued, Point, RestoredTo, WithoutCheckpoint, restore,
};
use crate::store::AggregateStore;
use crate::store::backup::while_awaited;

/// [`AggregateStore::restore`] returns it. Awaiting it makes the store.
#[must_use = "it is restored when it is awaited"]
pub struct Restore {
    backup: PathBuf,
    to: PathBuf,
    point: Point,
    without: WithoutCheckpoint,
    told: Option<Told>,
}

/// Up to where a store is restored: a position or a time.
///
/// ```
/// use eventfold_es::{Position, RestorePoint};
/// use std::time::SystemTime;
///
/// let _ = RestorePoint::from("17".parse::<Position>()?);
/// let _ = RestorePoint::from(SystemTime::now());
/// # Ok::<(), eventfold_es::InvalidPosition>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestorePoint(Point);

impl From<Position> for RestorePoint {
    fn from(position: Position) -> Self {
        Self(Point::Position(position.get()))
    }
}

impl From<SystemTime> for RestorePoint {
    fn from(time: SystemTime) -> Self {
        Self(Point::Time(unix_millis(time)))
    }
}

/// What was restored.
///
/// See the example of [`AggregateStore::restore`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RestoreReport {
    /// Of the newest event in the restored store.
    pub position: Position,
    /// The time of its newest commit; 1970 if there is none.
    pub time: SystemTime,
    /// The process managers, sorted by their names, and from where each continues.
    pub process_managers: Vec<(String, Continuation)>,
}

/// From where a process manager continues in a restored store.
///
/// See the example of [`AggregateStore::restore`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Continuation {
    /// From its files of the backup that was taken at this position.
    Checkpoint(Position),
    /// See [`WithoutCheckpoint::FromNow`].
    FromNow,
    /// See [`WithoutCheckpoint::ReactAgain`].
    ReactAgain,
}

impl Restore {
    /// The store as it was at a [`Position`] or a [`SystemTime`]: it has the commits up to there. A
    /// position within a commit is rounded down, because a commit is whole or not there. Without this
    /// call it has everything in the backup.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let (path, backup, to) = (dir.path().join("a"), dir.path().join("b"), dir.path().join("c"));
    /// # let store = AggregateStore::open(path).await?;
    /// # let counter = store.get::<Counter>("c-1").await?;
    /// # counter.send(Add(5)).await?;
    /// # counter.send(Add(6)).await?;
    /// # store.backup(&backup).await?;
    /// let first: Position = "1".parse()?;
    /// AggregateStore::restore(&backup, &to).to(first).await?;
    /// let earlier = AggregateStore::open(&to).await?;
    /// assert_eq!(earlier.get::<Counter>("c-1").await?.state().await?.value, 5);
    /// # Ok(())
    /// # }
    /// ```
    pub fn to(mut self, point: impl Into<RestorePoint>) -> Self {
        self.point = point.into().0;
        self
    }

    /// What becomes of process managers that have no checkpoint at or before the restored position.
    /// Without this call the restore is refused.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let (path, backup, to) = (dir.path().join("a"), dir.path().join("b"), dir.path().join("c"));
    /// # let store = AggregateStore::open(path).await?;
    /// # store.get::<Counter>("c-1").await?.send(Add(5)).await?;
    /// # store.backup(&backup).await?;
    /// AggregateStore::restore(&backup, &to)
    ///     .to(store.head())
    ///     .without_checkpoint(WithoutCheckpoint::ReactAgain)
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn without_checkpoint(mut self, without: WithoutCheckpoint) -> Self {
        self.without = without;
        self
    }

    /// As [`Backup::on_progress`](crate::Backup::on_progress).
    pub fn on_progress(mut self, told: impl FnMut(u64, u64) + Send + 'static) -> Self {
        self.told = Some(Box::new(told));
        self
    }

    fn run(self, given_up: Arc<AtomicBool>) -> StorageResult<(RestoreReport, PathBuf)> {
        let mut pace = Pace::new(None, self.told, given_up);
        let restored = restore(&self.backup, &self.to, self.point, self.without, &mut pace)?;
        Ok((RestoreReport::of(restored), self.to))
    }
}

impl RestoreReport {
    fn of(restored: RestoredTo) -> Self {
        let continuation = |continued| match continued {
            Continued::Kept(position) => Continuation::Checkpoint(Position::new(position)),
            Continued::FromNow => Continuation::FromNow,
            Continued::ReactAgain => Continuation::ReactAgain,
        };
        let managers = restored.process_managers.into_iter();
        Self {
            position: Position::new(restored.end.position),
            time: from_unix_millis(restored.end.ms),
            process_managers: managers
                .map(|(name, continued)| (name, continuation(continued)))
                .collect(),
        }
    }
}

impl IntoFuture for Restore {
    type Output = io::Result<RestoreReport>;
    type IntoFuture = Pin<Box<dyn Future<Output = io::Result<RestoreReport>> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let (report, to) = while_awaited(|given_up| self.run(given_up)).await?;
            // This writes the streams' files.
            let store = AggregateStore::builder(&to).without_keys().open().await?;
            store.shutdown().await?;
            Ok(report)
        })
    }
}

impl fmt::Debug for Restore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Restore")
            .field("backup", &self.backup)
            .field("to", &self.to)
            .field("point", &self.point)
            .field("without", &self.without)
            .finish_non_exhaustive()
    }
}

impl AggregateStore {
    /// Makes a store of the backup in `backup`, in the directory `dir`, which is empty or missing. The
    /// backup is not changed.
    ///
    /// The store has the events, idempotency keys and snapshots' sources that were there, and a new
    /// *timeline*: what belongs to the history that went on behind the restored position (checkpoints,
    /// index files, backups) is not taken for its own. Projections are built again when they are next
    /// opened.
    ///
    /// A process manager continues from its newest checkpoint that was kept at or before the position,
    /// and reacts again to the events behind that. A command whose effect the restored journal has is
    /// not sent again. So one is sent again only if its effect was cut off, or if it never had one; and
    /// if a failed command was answered behind the checkpoint, it may be answered again.
    ///
    /// # Errors
    ///
    /// * [`io::ErrorKind::InvalidInput`]: `backup` is no backup, or one that is not finished, or ends
    ///   before the position or the time; `dir` is not empty; or a process manager has no checkpoint at
    ///   or before the position, see [`without_checkpoint`](Restore::without_checkpoint);
    /// * [`io::ErrorKind::InvalidData`]: a file of the backup is damaged;
    /// * any other: the error from reading or writing. Restore again, or remove the directory.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let (path, backup, to) = (dir.path().join("a"), dir.path().join("b"), dir.path().join("c"));
    /// # let store = AggregateStore::open(path).await?;
    /// # store.get::<Counter>("c-1").await?.send(Add(5)).await?;
    /// # store.backup(&backup).await?;
    /// let report = AggregateStore::restore(&backup, &to).await?;
    /// assert_eq!(report.position, store.head());
    /// for (name, continuation) in &report.process_managers {
    ///     println!("{name} continues: {continuation:?}");
    /// }
    /// let restored = AggregateStore::open(&to).await?;
    /// assert_eq!(restored.head(), report.position);
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias(
        "recover",
        "import",
        "load",
        "point in time recovery",
        "rollback",
        "undo"
    ))]
    pub fn restore(backup: impl AsRef<Path>, dir: impl AsRef<Path>) -> Restore {
        Restore {
            backup: backup.as_ref().to_owned(),
            to: dir.as_ref().to_owned(),
            point: Point::Newest,
            without: WithoutCheckpoint::Refuse,
            told: None,
        }
    }
}
