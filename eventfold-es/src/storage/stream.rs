//! One stream at the seam, as the one actor that decides on it uses it.

use std::ops::ControlFlow;
use std::path::Path;
#[cfg(feature = "postgres")]
use std::sync::Arc;

use tokio::sync::{OwnedMutexGuard, oneshot};

use crate::ids::StreamId;
use crate::meter::Meters;
use crate::storage::commit::{CONFLICT_ROUNDS, Commit, CommitError, Done};
use crate::storage::encoding::event_line::EncodedEvents;
use crate::storage::error::{StorageError, StorageResult};
use crate::storage::files::streams::handle::{FileReading, FileStream};
use crate::storage::loaded::Loaded;
use crate::storage::memory::{MemoryReading, MemoryStream};
use crate::storage::place::Place;
#[cfg(feature = "postgres")]
use crate::storage::postgres::in_use::StreamInUse;
#[cfg(feature = "postgres")]
use crate::storage::postgres::stream::{PgReading, PgStream};
use crate::storage::snapshot::{Draft, Snapshot};

/// A stream, whether it exists or not.
#[derive(Debug, Clone)]
pub(crate) enum Stream {
    Files(FileStream),
    Memory(MemoryStream),
    #[cfg(feature = "postgres")]
    Postgres(PgStream),
}

impl Stream {
    pub(crate) fn id(&self) -> &StreamId {
        match self {
            Self::Files(stream) => stream.id(),
            Self::Memory(stream) => stream.id(),
            #[cfg(feature = "postgres")]
            Self::Postgres(stream) => stream.id(),
        }
    }

    /// The stream's value in storage in files.
    pub(crate) fn into_files(self) -> Option<FileStream> {
        match self {
            Self::Files(stream) => Some(stream),
            Self::Memory(_) => None,
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => None,
        }
    }

    /// The stream's value in storage in memory.
    pub(crate) fn into_memory(self) -> Option<MemoryStream> {
        match self {
            Self::Files(_) => None,
            Self::Memory(stream) => Some(stream),
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => None,
        }
    }

    /// The stream's value in storage on a server.
    #[cfg(feature = "postgres")]
    pub(crate) fn into_postgres(self) -> Option<Arc<StreamInUse>> {
        match self {
            Self::Postgres(stream) => Some(stream.into_stream()),
            _ => None,
        }
    }

    /// The seed of the checksums of the stream's events. They are valid in this stream only.
    pub(crate) fn seed(&self) -> u64 {
        match self {
            Self::Files(stream) => stream.seed(),
            Self::Memory(stream) => stream.seed(),
            #[cfg(feature = "postgres")]
            Self::Postgres(stream) => stream.seed(),
        }
    }

    /// What the stream's store counts.
    pub(crate) fn meters(&self) -> &Meters {
        match self {
            Self::Files(stream) => stream.meters(),
            Self::Memory(stream) => stream.meters(),
            #[cfg(feature = "postgres")]
            Self::Postgres(stream) => stream.meters(),
        }
    }

    /// Whether others write to the stream too. Then a commit may conflict with theirs.
    pub(crate) fn is_shared(&self) -> bool {
        match self {
            Self::Files(_) => false,
            Self::Memory(stream) => stream.is_shared(),
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => true,
        }
    }

    /// How often a command is decided at most, if others store events in the stream again and again.
    pub(crate) fn conflict_rounds(&self) -> u32 {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(stream) => stream.conflict_rounds(),
            _ => CONFLICT_ROUNDS,
        }
    }

    /// The stream's directory, if it has one.
    pub(crate) fn dir(&self) -> Option<&Path> {
        match self {
            Self::Files(stream) => Some(stream.dir()),
            Self::Memory(_) => None,
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => None,
        }
    }

    /// Waits until no other activation holds this stream.
    pub(crate) async fn take_turn(&self) -> OwnedMutexGuard<()> {
        match self {
            Self::Files(stream) => stream.take_turn().await,
            Self::Memory(stream) => stream.take_turn().await,
            #[cfg(feature = "postgres")]
            Self::Postgres(stream) => stream.take_turn().await,
        }
    }

    /// Opens a new epoch at `end`, the place up to which the stream was just read. Pending commits
    /// of earlier epochs are discarded.
    pub(crate) fn start_epoch(&self, end: Place) -> u64 {
        match self {
            Self::Files(stream) => stream.start_epoch(end.in_files()),
            Self::Memory(stream) => stream.start_epoch(end.version()),
            #[cfg(feature = "postgres")]
            Self::Postgres(stream) => stream.start_epoch(end.version()),
        }
    }

    /// The newest epoch, 0 if there was none.
    pub(crate) fn epoch(&self) -> u64 {
        match self {
            Self::Files(stream) => stream.epoch(),
            Self::Memory(stream) => stream.epoch(),
            #[cfg(feature = "postgres")]
            Self::Postgres(stream) => stream.epoch(),
        }
    }

    /// Why the epoch failed, if it did. Then the aggregate must return to its durable state.
    pub(crate) fn failure(&self, epoch: u64) -> Option<CommitError> {
        match self {
            Self::Files(stream) => stream.failure(epoch),
            Self::Memory(stream) => stream.failure(epoch),
            #[cfg(feature = "postgres")]
            Self::Postgres(stream) => stream.failure(epoch),
        }
    }

    /// The version up to which the stream is durable.
    pub(crate) fn durable_version(&self) -> u64 {
        match self {
            Self::Files(stream) => stream.durable_version(),
            Self::Memory(stream) => stream.durable().0,
            #[cfg(feature = "postgres")]
            Self::Postgres(stream) => stream.durable().0,
        }
    }

    /// The position of the last durable event.
    pub(crate) fn durable_position(&self) -> u64 {
        match self {
            Self::Files(stream) => stream.durable_position(),
            Self::Memory(stream) => stream.durable().1,
            #[cfg(feature = "postgres")]
            Self::Postgres(stream) => stream.durable().1,
        }
    }

    /// Submits a commit of these events. The order of calls is the order of commits. Waits while
    /// too many bytes are pending. If others have stored events in the stream first, the answer is
    /// [`CommitError::Conflict`], for this commit and for all later ones of its epoch.
    pub(crate) async fn commit(&self, commit: Commit, events: EncodedEvents) {
        match self {
            Self::Files(stream) => stream.commit(commit, events).await,
            Self::Memory(stream) => stream.commit(commit, events),
            #[cfg(feature = "postgres")]
            Self::Postgres(stream) => stream.commit(commit, events).await,
        }
    }

    /// Calls `done` after all requests submitted earlier. `done` gets the position of the last
    /// durable event, or why the epoch failed. Without a failure, the stream was at the version of
    /// the epoch's last commit at some moment during the call.
    pub(crate) fn when_current(&self, epoch: u64, done: Done) {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(stream) => stream.when_done(epoch, true, done),
            _ => self.when_done(epoch, done),
        }
    }

    /// As [`when_current`](Self::when_current), but others may have stored events in the stream.
    pub(crate) fn when_done(&self, epoch: u64, done: Done) {
        match self {
            Self::Files(stream) => stream.when_done(epoch, done),
            Self::Memory(stream) => stream.when_done(epoch, done),
            #[cfg(feature = "postgres")]
            Self::Postgres(stream) => stream.when_done(epoch, false, done),
        }
    }

    /// Waits until no commit of an earlier activation is pending, and it is known where the stream
    /// ends.
    pub(crate) async fn settle(&self) -> Result<(), CommitError> {
        self.settle_commits().await?;
        #[cfg(feature = "postgres")]
        if let Self::Postgres(stream) = self {
            stream.look_up().await.map_err(CommitError::NotStored)?;
        }
        Ok(())
    }

    async fn settle_commits(&self) -> Result<(), CommitError> {
        let epoch = self.epoch();
        if epoch == 0 {
            return Ok(());
        }
        let (done, settled) = oneshot::channel();
        let answer: Done = Box::new(move |result| {
            let _ = done.send(result);
        });
        self.when_done(epoch, answer);
        match settled.await {
            // The next epoch ignores a failure of the earlier one, unless the failure is final.
            Ok(Err(
                error @ (CommitError::Closed | CommitError::Failed(_) | CommitError::Unknown(_)),
            )) => Err(error),
            Ok(_) => Ok(()),
            Err(_) => Err(CommitError::Closed),
        }
    }

    /// Compresses what is stored of the stream, if the storage can. The caller has the stream's turn,
    /// and commits nothing meanwhile.
    pub(crate) async fn pack(&self) -> StorageResult<()> {
        match self {
            Self::Files(stream) => stream.pack().await,
            Self::Memory(_) => Ok(()),
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => Ok(()),
        }
    }

    /// Whether nothing was ever stored in the stream, so there is nothing to load.
    pub(crate) fn is_new(&self) -> bool {
        match self {
            Self::Files(stream) => stream.is_new(),
            Self::Memory(stream) => stream.durable().0 == 0,
            #[cfg(feature = "postgres")]
            Self::Postgres(stream) => stream.is_new(),
        }
    }

    /// Whether the stream exists, with events or without.
    pub(crate) fn exists(&self) -> bool {
        match self {
            Self::Files(stream) => stream.exists(),
            Self::Memory(stream) => stream.durable().0 > 0,
            #[cfg(feature = "postgres")]
            Self::Postgres(stream) => !stream.is_new(),
        }
    }

    /// Whether the stream has events.
    ///
    /// # Errors
    ///
    /// The error of loading the stream, if it has a directory and the store knows no events of it.
    pub(crate) async fn has_events(&self) -> StorageResult<bool> {
        // Followers of the log see an event shortly before its stream has it. If those commits or
        // the store fail, what is there counts.
        let _ = self.settle().await;
        let known = match self {
            Self::Files(stream) => stream.known_version(),
            Self::Memory(stream) => stream.durable().0,
            #[cfg(feature = "postgres")]
            Self::Postgres(stream) => stream.durable().0,
        };
        if known > 0 || self.is_new() {
            return Ok(known > 0);
        }
        let first = |reading: &Reading<'_>| {
            let mut has_events = false;
            reading.events(Place::default(), |_| -> StorageResult<_> {
                has_events = true;
                Ok(ControlFlow::Break(()))
            })?;
            Ok(has_events)
        };
        self.load(first).await
    }

    /// Runs `read`. Only a few streams are read at the same time.
    pub(crate) async fn load<T: Send + 'static, E: From<StorageError> + Send + 'static>(
        &self,
        read: impl FnOnce(&Reading<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        let stream = self.clone();
        match self {
            Self::Files(files) => files.load(move || read(&stream.read())).await,
            Self::Memory(_) => read(&stream.read()),
            #[cfg(feature = "postgres")]
            Self::Postgres(postgres) => postgres.load(move || read(&stream.read())).await,
        }
    }

    /// Reads the stream up to its last durable event.
    pub(crate) fn read(&self) -> Reading<'_> {
        match self {
            Self::Files(stream) => Reading::Files(stream.read()),
            Self::Memory(stream) => Reading::Memory(stream.read()),
            #[cfg(feature = "postgres")]
            Self::Postgres(stream) => Reading::Postgres(stream.read()),
        }
    }

    /// Saves a snapshot of the durable state at `version`. Files are written later, on another thread.
    pub(crate) fn save_snapshot(&self, version: u64, draft: Box<Draft>) {
        match self {
            Self::Files(stream) => stream.save_snapshot(version, draft),
            Self::Memory(stream) => stream.save_snapshot(version, *draft),
            #[cfg(feature = "postgres")]
            Self::Postgres(stream) => stream.save_snapshot(version, draft),
        }
    }

    /// Reports that a snapshot could not be made or used: once, until the next one is made.
    pub(crate) fn lacks_snapshot(&self, error: &dyn std::fmt::Display) {
        match self {
            Self::Files(stream) => stream.lacks_snapshot(error),
            Self::Memory(stream) => stream.lacks_snapshot(error),
            #[cfg(feature = "postgres")]
            Self::Postgres(stream) => stream.lacks_snapshot(error),
        }
    }

    /// Waits until all durable events are in the file that other programs read, as far as the file
    /// can be written.
    pub(crate) fn flush(&self) {
        if let Self::Files(stream) = self {
            stream.flush();
        }
    }
}

/// The durable part of a stream at one moment. Reading from it blocks.
#[derive(Debug)]
pub(crate) enum Reading<'a> {
    Files(FileReading<'a>),
    Memory(MemoryReading<'a>),
    #[cfg(feature = "postgres")]
    Postgres(PgReading<'a>),
}

impl Reading<'_> {
    /// The newest snapshot that fits the stream, `None` if there is none.
    pub(crate) fn snapshot(&self) -> StorageResult<Option<Snapshot>> {
        match self {
            Self::Files(reading) => reading.snapshot(),
            Self::Memory(reading) => Ok(reading.snapshot()),
            #[cfg(feature = "postgres")]
            Self::Postgres(reading) => reading.snapshot(),
        }
    }

    /// Passes each event after `after` to `each`, until `each` breaks off. Returns the place after
    /// the last event passed.
    ///
    /// # Errors
    ///
    /// If the stream is not exactly as it was stored, or `each` fails.
    pub(crate) fn events<E: From<StorageError>>(
        &self,
        after: Place,
        each: impl FnMut(Loaded<'_>) -> Result<ControlFlow<()>, E>,
    ) -> Result<Place, E> {
        match self {
            Self::Files(reading) => reading.events(after.in_files(), each).map(Place::of_files),
            Self::Memory(reading) => reading.events(after.version(), each),
            #[cfg(feature = "postgres")]
            Self::Postgres(reading) => reading.events(after.version(), each),
        }
    }

    /// Passes each event from the version `first` on to `each`, until `each` breaks off.
    ///
    /// # Errors
    ///
    /// As [`events`](Self::events).
    pub(crate) fn events_from<E: From<StorageError>>(
        &self,
        first: u64,
        each: impl FnMut(Loaded<'_>) -> Result<ControlFlow<()>, E>,
    ) -> Result<(), E> {
        match self {
            Self::Files(reading) => reading.events_from(first, each),
            Self::Memory(reading) => reading.events(first.saturating_sub(1), each).map(drop),
            #[cfg(feature = "postgres")]
            Self::Postgres(reading) => reading.events(first.saturating_sub(1), each).map(drop),
        }
    }
}
