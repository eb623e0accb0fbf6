//! A stream at the seam: [`FileStream`], and one reading of it, [`FileReading`].

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::OwnedMutexGuard;

use crate::ids::StreamId;
use crate::meter::Meters;
use crate::storage::commit::{Commit, CommitError, Done};
use crate::storage::encoding::event_line::EncodedEvents;
use crate::storage::error::{StorageError, StorageResult};
use crate::storage::files::snapshots::snapshot;
use crate::storage::files::streams::end::StreamEnd;
use crate::storage::files::streams::extent::Extent;
use crate::storage::files::streams::load::load;
use crate::storage::files::streams::seek;
use crate::storage::files::streams::stream::Stream;
use crate::storage::files::{FileStorage, disk};
use crate::storage::loaded::Loaded;
use crate::storage::snapshot::{Draft, Snapshot};

/// A stream together with its storage.
#[derive(Debug, Clone)]
pub(crate) struct FileStream {
    storage: Arc<FileStorage>,
    stream: Arc<Stream>,
}

impl FileStream {
    pub(crate) fn new(storage: &Arc<FileStorage>, id: &StreamId) -> Self {
        Self {
            storage: storage.clone(),
            stream: storage.stream(id),
        }
    }

    /// The stream, which shares its state with the committer.
    pub(crate) fn into_stream(self) -> Arc<Stream> {
        self.stream
    }

    pub(crate) fn id(&self) -> &StreamId {
        self.stream.id()
    }

    pub(crate) fn seed(&self) -> u64 {
        self.stream.seed()
    }

    pub(crate) fn meters(&self) -> &Meters {
        self.storage.meters()
    }

    pub(crate) fn dir(&self) -> &Path {
        self.stream.dir()
    }

    pub(crate) async fn take_turn(&self) -> OwnedMutexGuard<()> {
        self.stream.take_turn().await
    }

    pub(crate) fn start_epoch(&self, end: StreamEnd) -> u64 {
        self.stream.start_epoch(end)
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.stream.tail().epoch
    }

    #[inline]
    pub(crate) fn failure(&self, epoch: u64) -> Option<CommitError> {
        self.stream.failure(epoch)
    }

    #[inline]
    pub(crate) fn durable_version(&self) -> u64 {
        self.stream.durable_version()
    }

    #[inline]
    pub(crate) fn durable_position(&self) -> u64 {
        self.stream.durable_position()
    }

    /// The version up to which the journal has the stream.
    pub(crate) fn known_version(&self) -> u64 {
        self.stream.mark().version
    }

    pub(crate) async fn commit(&self, commit: Commit, events: EncodedEvents) {
        let stream = self.stream.clone();
        self.storage.commit(stream, commit, events).await;
    }

    pub(crate) fn when_done(&self, epoch: u64, done: Done) {
        self.storage.fence(self.stream.clone(), epoch, done);
    }

    pub(crate) fn is_new(&self) -> bool {
        self.stream.tail().unflushed.is_none()
            && self.stream.mark().version == 0
            && matches!(disk::find_itself(self.stream.dir()), Ok(None))
    }

    pub(crate) fn exists(&self) -> bool {
        self.stream.mark().version > 0 || disk::is_dir(self.stream.dir())
    }

    pub(crate) async fn load<T: Send + 'static, E: From<StorageError> + Send + 'static>(
        &self,
        read: impl FnOnce() -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        self.storage.load(read).await
    }

    pub(crate) fn read(&self) -> FileReading<'_> {
        FileReading {
            stream: &self.stream,
            extent: Extent::of(&self.stream),
        }
    }

    pub(crate) fn save_snapshot(&self, version: u64, draft: Box<Draft>) {
        let end = self.stream.tail().end;
        if end.version == version {
            let keeper = self.storage.keeper();
            keeper.save_snapshot(self.stream.clone(), draft, end);
        }
    }

    pub(crate) fn lacks_snapshot(&self, error: &dyn std::fmt::Display) {
        self.stream.lacks_snapshot(error);
    }

    pub(crate) async fn pack(&self) -> StorageResult<()> {
        let (storage, stream) = (self.storage.clone(), self.stream.clone());
        self.load(move || storage.pack(&stream)).await
    }

    pub(crate) fn flush(&self) {
        self.storage.flush_stream(&self.stream);
    }
}

/// The durable part of a stream at one moment.
#[derive(Debug)]
pub(crate) struct FileReading<'a> {
    stream: &'a Stream,
    extent: StorageResult<Extent>,
}

impl FileReading<'_> {
    fn extent(&self) -> StorageResult<&Extent> {
        self.extent.as_ref().map_err(Clone::clone)
    }

    pub(crate) fn snapshot(&self) -> StorageResult<Option<Snapshot>> {
        snapshot::read(self.stream, self.extent()?)
    }

    pub(crate) fn events<E: From<StorageError>>(
        &self,
        after: StreamEnd,
        each: impl FnMut(Loaded<'_>) -> Result<ControlFlow<()>, E>,
    ) -> Result<StreamEnd, E> {
        load(self.stream, after, self.extent()?, each)
    }

    pub(crate) fn events_from<E: From<StorageError>>(
        &self,
        first: u64,
        mut each: impl FnMut(Loaded<'_>) -> Result<ControlFlow<()>, E>,
    ) -> Result<(), E> {
        let extent = self.extent()?;
        let start = seek::before(self.stream, first, extent)?;
        let end = load(self.stream, start, extent, |loaded| {
            if loaded.version < first {
                return Ok(ControlFlow::Continue(()));
            }
            each(loaded)
        });
        end.map(drop)
    }
}
