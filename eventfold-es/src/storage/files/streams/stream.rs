//! A stream in use. Its actor, the committer and the loader share one value.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use crate::ids::StreamId;
use crate::storage::commit::CommitError;
use crate::storage::encoding::event_line;
use crate::storage::error::{Cause, ErrorPlace, StorageError, StorageErrorKind};
use crate::storage::files::disk;
use crate::storage::files::format::commit_line::Place;
use crate::storage::files::layout::{ARCHIVE_FILE, EVENTS_FILE, StreamLayout};
use crate::storage::files::streams::end::StreamEnd;
use crate::storage::files::streams::high_water::HighWaterMarks;
use crate::storage::files::streams::mark::{Mark, StreamHash};
use crate::storage::files::streams::unflushed::UnflushedLines;
use crate::storage::files::streams::unreplayed::Unreplayed;
use crate::storage::files::told_apart::are_told_apart;
use crate::storage::snapshot::SnapshotWarnings;
use crate::sync::lock;

/// A stream in use.
#[derive(Debug)]
pub(crate) struct Stream {
    id: StreamId,
    dir: PathBuf,
    seed: u64,
    hash: StreamHash,
    /// `"type":"…","id":"…"`, for the journal.
    journal_key: Vec<u8>,
    /// The version and the position up to which the stream is durable.
    durable_version: AtomicU64,
    durable_position: AtomicU64,
    tail: Mutex<StreamTail>,
    /// The lines that are not replayed yet after a crash. Locked while they are.
    unreplayed: Mutex<Option<Box<Unreplayed>>>,
    /// The epoch if it has not failed, 0 otherwise. Each command reads it.
    sound_epoch: AtomicU64,
    /// The stream's file was locked at least once since this value was created.
    was_locked: AtomicBool,
    snapshot_warnings: SnapshotWarnings,
    /// The stream's place in the last batch that it was in.
    place_in_batch: AtomicUsize,
    /// The one activation that may decide commands on this stream holds this lock.
    turn: Arc<tokio::sync::Mutex<()>>,
    marks: Arc<HighWaterMarks>,
    registry: Weak<Streams>,
}

/// Where a stream ends, and the epoch that may append to it.
#[derive(Debug, Default)]
pub(crate) struct StreamTail {
    /// The present epoch. Commits of other epochs are discarded.
    pub(crate) epoch: u64,
    /// Why the epoch failed; its later commits fail with the same error.
    pub(crate) failure: Option<CommitError>,
    pub(crate) end: StreamEnd,
    /// Lines that are durable in the journal but not yet in the stream's file.
    pub(crate) unflushed: Option<UnflushedLines>,
}

impl Stream {
    /// Reports that a snapshot could not be made or used.
    pub(crate) fn lacks_snapshot(&self, error: &dyn std::fmt::Display) {
        self.snapshot_warnings.give(&self.id, error);
    }

    /// Notes that a snapshot was made.
    pub(crate) fn has_snapshot(&self) {
        self.snapshot_warnings.end();
    }

    pub(crate) fn id(&self) -> &StreamId {
        &self.id
    }

    /// The stream's directory.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The file that holds the stream's events.
    pub(crate) fn file(&self) -> PathBuf {
        self.dir.join(EVENTS_FILE)
    }

    /// Whether lines were rotated out of the stream's file.
    pub(crate) fn is_rotated(&self) -> bool {
        disk::is_there(&self.dir.join(ARCHIVE_FILE))
    }

    /// The file that holds the newest snapshot of the state.
    pub(crate) fn snapshot_file(&self) -> PathBuf {
        self.dir.join("views").join("state.snapshot.json")
    }

    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    /// A hash in place of the stream's name, where the name would be too long.
    pub(crate) fn hash(&self) -> StreamHash {
        self.hash
    }

    /// Where the stream ends in the journal.
    pub(crate) fn mark(&self) -> Mark {
        self.marks.of(self.hash)
    }

    /// Whether the stream's name may lead to another stream's directory.
    pub(crate) fn names_may_fold(&self) -> bool {
        let registry = self.registry.upgrade();
        registry.is_some_and(|streams| streams.names_may_fold())
    }

    pub(crate) fn place(&self, end: &StreamEnd) -> Place<'_> {
        Place {
            stream: &self.journal_key,
            version: end.version + 1,
            offset: end.offset,
        }
    }

    pub(crate) fn tail(&self) -> MutexGuard<'_, StreamTail> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The lines that are not replayed yet. Whoever replays them holds the lock.
    pub(crate) fn unreplayed(&self) -> MutexGuard<'_, Option<Box<Unreplayed>>> {
        lock(&self.unreplayed)
    }

    /// The version up to which the stream is durable.
    pub(crate) fn durable_version(&self) -> u64 {
        self.durable_version.load(Ordering::Acquire)
    }

    /// The position of the last durable event.
    pub(crate) fn durable_position(&self) -> u64 {
        self.durable_position.load(Ordering::Acquire)
    }

    pub(crate) fn set_durable(&self, end: &StreamEnd) {
        self.durable_position.store(end.position, Ordering::Release);
        self.durable_version.store(end.version, Ordering::Release);
    }

    /// Whether the stream's file was locked at least once since the stream is in use. Then no other
    /// program holds it permanently.
    pub(crate) fn was_locked(&self) -> bool {
        self.was_locked.load(Ordering::Relaxed)
    }

    pub(crate) fn set_locked(&self) {
        self.was_locked.store(true, Ordering::Relaxed);
    }

    pub(crate) fn place_in_batch(&self) -> usize {
        self.place_in_batch.load(Ordering::Relaxed)
    }

    pub(crate) fn set_place_in_batch(&self, place: usize) {
        self.place_in_batch.store(place, Ordering::Relaxed);
    }

    /// Waits until no other activation holds this stream.
    pub(crate) async fn take_turn(&self) -> tokio::sync::OwnedMutexGuard<()> {
        self.turn.clone().lock_owned().await
    }

    /// Opens a new epoch at `end`, which was just read from the disk. Pending commits of earlier
    /// epochs are discarded.
    pub(crate) fn start_epoch(&self, end: StreamEnd) -> u64 {
        let mut tail = self.tail();
        tail.epoch += 1;
        tail.failure = None;
        tail.end = end;
        self.set_durable(&end);
        self.sound_epoch.store(tail.epoch, Ordering::Release);
        tail.epoch
    }

    /// Notes that the epoch failed, unless a later epoch has begun.
    pub(crate) fn fail_epoch(&self, epoch: u64, error: &CommitError) {
        let mut tail = self.tail();
        if tail.epoch == epoch && tail.failure.is_none() {
            self.fail(&mut tail, error);
        }
    }

    /// Notes that the present epoch failed.
    pub(crate) fn fail_present_epoch(&self, error: &CommitError) {
        self.fail(&mut self.tail(), error);
    }

    fn fail(&self, tail: &mut StreamTail, error: &CommitError) {
        tail.failure = Some(error.clone());
        self.sound_epoch.store(0, Ordering::Release);
    }

    /// Why the epoch failed, if it did. Then the aggregate must return to its durable state.
    pub(crate) fn failure(&self, epoch: u64) -> Option<CommitError> {
        if self.sound_epoch.load(Ordering::Acquire) == epoch {
            return None;
        }
        let tail = self.tail();
        if tail.epoch == epoch {
            tail.failure.clone()
        } else {
            Some(CommitError::Superseded)
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if let Some(registry) = self.registry.upgrade() {
            registry.forget(&self.id);
        }
    }
}

/// The streams in use. Pending commits also count as users.
#[derive(Debug)]
pub(crate) struct Streams {
    layout: StreamLayout,
    marks: Arc<HighWaterMarks>,
    /// The file system may take names for one that differ only in case or Unicode form. Found out when it
    /// matters.
    names_may_fold: OnceLock<bool>,
    in_use: Mutex<HashMap<StreamId, Weak<Stream>>>,
}

impl Streams {
    pub(crate) fn new(layout: StreamLayout, marks: HighWaterMarks) -> Arc<Self> {
        Arc::new(Self {
            layout,
            marks: Arc::new(marks),
            names_may_fold: OnceLock::new(),
            in_use: Mutex::default(),
        })
    }

    pub(crate) fn names_may_fold(&self) -> bool {
        *self.names_may_fold.get_or_init(|| {
            let streams = self.layout.streams_dir();
            let sample = if disk::is_dir(&streams) {
                streams
            } else {
                self.layout.journal_dir()
            };
            !are_told_apart(&sample)
        })
    }

    #[cfg(test)]
    pub(crate) fn set_names_may_fold(&self) {
        self.names_may_fold.set(true).expect("it is not known yet");
    }

    pub(crate) fn marks(&self) -> &Arc<HighWaterMarks> {
        &self.marks
    }

    fn in_use(&self) -> MutexGuard<'_, HashMap<StreamId, Weak<Stream>>> {
        self.in_use.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The one shared value of the stream `id`.
    pub(crate) fn get(self: &Arc<Self>, id: &StreamId) -> Arc<Stream> {
        let mut in_use = self.in_use();
        if let Some(stream) = in_use.get(id).and_then(Weak::upgrade) {
            return stream;
        }
        let journal_key = journal_key(id);
        let stream = Arc::new(Stream {
            dir: self.layout.stream_dir(id.aggregate_type(), id.id()),
            seed: event_line::seed(id),
            hash: StreamHash::new(id.aggregate_type(), &journal_key),
            id: id.clone(),
            journal_key,
            durable_version: AtomicU64::new(0),
            durable_position: AtomicU64::new(0),
            tail: Mutex::default(),
            unreplayed: Mutex::default(),
            sound_epoch: AtomicU64::new(0),
            was_locked: AtomicBool::new(false),
            snapshot_warnings: SnapshotWarnings::default(),
            place_in_batch: AtomicUsize::new(0),
            turn: Arc::default(),
            marks: self.marks.clone(),
            registry: Arc::downgrade(self),
        });
        in_use.insert(id.clone(), Arc::downgrade(&stream));
        stream
    }

    /// How many streams are in use.
    pub(crate) fn len(&self) -> usize {
        self.in_use().len()
    }

    fn forget(&self, id: &StreamId) {
        let mut in_use = self.in_use();
        // Another user may have created a new value since the last user of this one dropped it.
        if in_use
            .get(id)
            .is_some_and(|stream| stream.strong_count() == 0)
        {
            in_use.remove(id);
        }
    }
}

/// `"type":"…","id":"…"`.
fn journal_key(id: &StreamId) -> Vec<u8> {
    let mut key = Vec::new();
    key.extend_from_slice(b"\"type\":");
    event_line::write_str(&mut key, id.aggregate_type());
    key.extend_from_slice(b",\"id\":");
    event_line::write_str(&mut key, id.id());
    key
}

/// The hash of the stream `id`.
pub(crate) fn stream_hash(id: &StreamId) -> StreamHash {
    StreamHash::new(id.aggregate_type(), &journal_key(id))
}

/// What to do about a damaged file of a stream.
pub(crate) const REPAIR: &str = "`AggregateStore::repair` writes the file again from the journal";

/// An error about the file of `stream`.
pub(crate) fn stream_error(
    stream: &Stream,
    kind: StorageErrorKind,
    cause: impl Into<Cause>,
) -> StorageError {
    let place = ErrorPlace::StreamFile(stream.id.clone(), stream.file());
    StorageError::at(kind, place, cause)
}
