//! Storage in memory, for tests. Its positions have gaps, so that no caller relies on dense ones.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::io;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::time::Instant;

use tokio::sync::OwnedMutexGuard;
use xxhash_rust::xxh3::xxh3_64_with_seed;

pub(crate) mod records;
mod snapshots;

use crate::clock::Clock;
use crate::event::StoredEvent;
use crate::ids::StreamId;
use crate::storage::commit::{Commit, CommitError, Done};
use crate::storage::encoding::event_line as line;
use crate::storage::encoding::event_line::EncodedEvents;
use crate::storage::files::layout::StreamLayout;
use crate::storage::files::lock::Patience;
use crate::storage::health::Health;
use crate::storage::loaded::Loaded;
use crate::storage::place::Place;
use crate::storage::process::Process;
use crate::storage::record_name::Follower;
use crate::storage::snapshot::{Draft, Snapshot};
use crate::storage::unfinished::Unfinished;
use crate::sync::lock;
use records::{AllRecords, MemoryRecords};
use snapshots::SavedSnapshot;

/// The distances between the positions of successive events, used in turn.
const STEPS: [u64; 4] = [1, 3, 2, 7];
/// The base directory of the layout. No file can have this name, so nothing is created there.
const NOWHERE: &str = "in-memory\0";

/// The content of a store in memory. It outlives the store: a store that is opened on it finds the
/// events of earlier stores. Only one store may be open on it at a time. It is made for tests that
/// start a program again, see
/// [`AggregateStoreBuilder::keep_in`](crate::AggregateStoreBuilder::keep_in).
///
/// ```
/// # use eventfold_es::{*, __private::example::*};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let memory = Memory::default();
/// let store = AggregateStore::in_memory().keep_in(&memory).open().await?;
/// store.get::<Counter>("c-1").await?.send(Add(5)).await?;
/// store.shutdown().await?;
///
/// let store = AggregateStore::in_memory().keep_in(&memory).open().await?;
/// assert_eq!(store.get::<Counter>("c-1").await?.state().await?.value, 5);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct Memory(Arc<Content>);

#[derive(Debug, Default)]
struct Content {
    log: Mutex<CommitLog>,
    streams: Mutex<HashMap<StreamId, Arc<StoredStream>>>,
    records: AllRecords,
    /// The store that is open on this content.
    store: Mutex<Option<OpenStore>>,
    closed: Condvar,
}

/// The store that is open on a memory.
struct OpenStore {
    is_closing: bool,
    /// The caller of `open` gave up waiting, so the store ends as soon as it is open.
    given_up: Arc<AtomicBool>,
    /// The work that must finish before the store ends.
    unfinished: Option<Weak<dyn Unfinished>>,
}

impl fmt::Debug for OpenStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenStore")
            .field("is_closing", &self.is_closing)
            .finish_non_exhaustive()
    }
}

/// The storage of an open store.
#[derive(Debug)]
pub(crate) struct MemoryStorage {
    content: Arc<Content>,
    health: Arc<Health>,
    clock: Clock,
    process: Process,
    layout: StreamLayout,
}

/// All commits in the order of their positions.
#[derive(Debug, Default)]
struct CommitLog {
    commits: Vec<Arc<StoredCommit>>,
    /// The number of all events.
    events: u64,
    /// The position of the newest event.
    position: u64,
}

#[derive(Debug)]
struct StoredCommit {
    stream: Arc<StoredStream>,
    events: Vec<StoredLine>,
    /// The checksum of the events, chained to those of all commits before.
    chain: u64,
}

/// An event, as the line that a stream's file would have.
#[derive(Debug, Clone)]
struct StoredLine {
    line: Arc<[u8]>,
    version: u64,
    position: u64,
}

/// The events of one stream.
#[derive(Debug)]
struct StoredStream {
    id: StreamId,
    seed: u64,
    events: Mutex<Vec<StoredLine>>,
    snapshot: SavedSnapshot,
    epoch: AtomicU64,
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl MemoryStorage {
    /// Opens `memory`. If a store on it is about to end, waits for the end.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::ResourceBusy`] if a store is open on it, or does not end in time.
    pub(crate) fn open(
        Memory(content): &Memory,
        clock: Clock,
        patience: &Patience,
    ) -> io::Result<Arc<Self>> {
        content.enter(patience)?;
        let position = lock(&content.log).position;
        Ok(Arc::new(Self {
            content: content.clone(),
            health: Health::new(position),
            clock,
            process: Process::this(),
            layout: StreamLayout::new(Path::new(NOWHERE)),
        }))
    }

    /// The directories that the store would have. They cannot exist.
    pub(crate) fn layout(&self) -> &StreamLayout {
        &self.layout
    }

    pub(crate) fn stream(self: &Arc<Self>, id: &StreamId) -> MemoryStream {
        let mut streams = lock(&self.content.streams);
        let lines = streams.entry(id.clone()).or_insert_with(|| {
            Arc::new(StoredStream {
                id: id.clone(),
                seed: line::seed(id),
                events: Mutex::default(),
                snapshot: SavedSnapshot::default(),
                epoch: AtomicU64::new(0),
                turn: Arc::default(),
            })
        });
        MemoryStream {
            storage: self.clone(),
            stored: lines.clone(),
        }
    }

    pub(crate) fn list(&self, only: Option<&str>) -> Vec<(String, String)> {
        let streams = lock(&self.content.streams);
        let there = streams.values().filter(|stream| {
            only.is_none_or(|only| only == stream.id.aggregate_type())
                && !lock(&stream.events).is_empty()
        });
        let names = there.map(|stream| {
            let id = &stream.id;
            (id.aggregate_type().to_owned(), id.id().to_owned())
        });
        let sorted: BTreeSet<_> = names.collect();
        sorted.into_iter().collect()
    }

    pub(crate) fn log(&self) -> MemoryLog {
        MemoryLog {
            content: self.content.clone(),
            health: self.health.clone(),
        }
    }

    pub(crate) fn head(&self) -> u64 {
        self.health.head()
    }

    pub(crate) fn history_at(&self, position: u64) -> io::Result<u64> {
        lock(&self.content.log).history_at(position)
    }

    pub(crate) fn records(&self, follower: Follower, name: &str) -> MemoryRecords {
        self.content.records.of(follower, name)
    }

    pub(crate) fn followers(&self, follower: Follower) -> Vec<String> {
        self.content.records.followers(follower)
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(crate) fn process(&self) -> &Process {
        &self.process
    }

    pub(crate) fn check_process(&self) -> io::Result<()> {
        self.process.check(Path::new("memory"))
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.health.is_closed()
    }

    /// Notes that the store is about to end. The end waits until `unfinished` is dropped.
    pub(crate) fn announce_close(&self, unfinished: Option<Weak<dyn Unfinished>>) {
        let mut store = lock(&self.content.store);
        if let Some(store) = &mut *store
            && !self.is_closed()
        {
            store.is_closing = true;
            store.unfinished = unfinished;
        }
    }

    pub(crate) fn close(&self) {
        // Locked, so that no commit is stored after the end.
        let log = lock(&self.content.log);
        let mut store = lock(&self.content.store);
        if !self.is_closed() {
            self.health.refuse_new_requests();
            *store = None;
            self.content.closed.notify_all();
        }
        drop(log);
    }

    /// Stores the events of a commit, and returns the place after the last one.
    fn store(
        &self,
        stream: &Arc<StoredStream>,
        epoch: u64,
        events: &EncodedEvents,
    ) -> Result<Place, CommitError> {
        let mut log = lock(&self.content.log);
        if self.is_closed() {
            return Err(CommitError::Closed);
        }
        if let Some(failure) = stream.failure(epoch) {
            return Err(failure);
        }
        let mut lines = lock(&stream.events);
        let known = lines.len();
        let mut chain = log.commits.last().map_or(0, |last| last.chain);
        for event in events.as_encoded().iter() {
            log.position += STEPS[usize::try_from(log.events).unwrap_or(0) % STEPS.len()];
            log.events += 1;
            let mut sealed = Vec::new();
            line::seal(event, log.position, &mut sealed);
            // The line ends with a checksum that is seeded with the stream's name.
            chain = xxh3_64_with_seed(&sealed, chain);
            let version = lines.len() as u64 + 1;
            lines.push(StoredLine {
                line: sealed.into(),
                version,
                position: log.position,
            });
        }
        log.commits.push(Arc::new(StoredCommit {
            stream: stream.clone(),
            events: lines[known..].to_vec(),
            chain,
        }));
        let place = Place::behind(lines.len() as u64, log.position);
        drop(lines);
        self.health.set_head(log.position);
        Ok(place)
    }
}

impl Content {
    /// Notes that a store is open on this content. If one is about to end, waits for the end.
    fn enter(&self, patience: &Patience) -> io::Result<()> {
        let mut store = lock(&self.store);
        let mut since = Instant::now();
        loop {
            patience.check()?;
            let Some(open) = &*store else { break };
            if !open.is_closing && !open.given_up.load(Ordering::Acquire) {
                let text = "the memory is already open in this process: a memory has one store; \
                            clone it, or shut it down first";
                return Err(io::Error::new(io::ErrorKind::ResourceBusy, text));
            }
            let rest = patience.longest_release().saturating_sub(since.elapsed());
            if !rest.is_zero() {
                let waited = self.closed.wait_timeout(store, rest);
                (store, _) = waited.unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let unfinished = open.unfinished.clone();
            // Unlocks first: the last reference to the unfinished work may be dropped below.
            drop(store);
            let unfinished = unfinished.and_then(|unfinished| unfinished.upgrade());
            patience.check_release(&"the memory", unfinished)?;
            since = Instant::now();
            store = lock(&self.store);
        }
        *store = Some(OpenStore {
            is_closing: false,
            given_up: patience.given_up(),
            unfinished: None,
        });
        Ok(())
    }
}

impl CommitLog {
    /// The first commit that ends at `position` or after it.
    fn commit_at(&self, position: u64) -> Option<&Arc<StoredCommit>> {
        let next = (self.commits).partition_point(|commit| commit.last() < position);
        self.commits.get(next)
    }

    /// The chained checksum of the commit that holds the event at `position`; 0 for the beginning.
    /// Invariant F9.
    fn history_at(&self, position: u64) -> io::Result<u64> {
        if position == 0 {
            return Ok(0);
        }
        let commit = self.commit_at(position).ok_or_else(|| {
            let end = self.position;
            let text = format!("there is no event at position {position}, the log ends at {end}");
            io::Error::new(io::ErrorKind::InvalidData, text)
        })?;
        Ok(commit.chain)
    }
}

impl StoredStream {
    fn failure(&self, epoch: u64) -> Option<CommitError> {
        let is_present = self.epoch.load(Ordering::Acquire) == epoch;
        (!is_present).then_some(CommitError::Superseded)
    }

    /// The version and the position of the last event.
    fn durable(&self) -> (u64, u64) {
        let lines = lock(&self.events);
        let last = lines.last();
        last.map_or((0, 0), |last| (last.version, last.position))
    }
}

impl StoredLine {
    /// Passes the event and its idempotency key to `read`.
    fn read<T>(
        &self,
        stream: &StoredStream,
        read: impl FnOnce(StoredEvent<'_>, Option<&str>) -> T,
    ) -> io::Result<T> {
        let line = line::read(&self.line, stream.seed).map_err(|cause| {
            let text = format!(
                "the event at position {} cannot be read: {cause}",
                self.position
            );
            io::Error::new(io::ErrorKind::InvalidData, text)
        })?;
        let id = (stream.id.aggregate_type(), stream.id.id());
        let record = line.record(id, self.version, self.position);
        Ok(read(line.event(&record), line.key.as_deref()))
    }
}

/// A stream of a store in memory.
#[derive(Debug, Clone)]
pub(crate) struct MemoryStream {
    storage: Arc<MemoryStorage>,
    stored: Arc<StoredStream>,
}

impl MemoryStream {
    pub(crate) fn id(&self) -> &StreamId {
        &self.stored.id
    }

    pub(crate) fn seed(&self) -> u64 {
        self.stored.seed
    }

    pub(crate) async fn take_turn(&self) -> OwnedMutexGuard<()> {
        self.stored.turn.clone().lock_owned().await
    }

    pub(crate) fn start_epoch(&self) -> u64 {
        self.stored.epoch.fetch_add(1, Ordering::AcqRel) + 1
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.stored.epoch.load(Ordering::Acquire)
    }

    pub(crate) fn failure(&self, epoch: u64) -> Option<CommitError> {
        self.stored.failure(epoch)
    }

    pub(crate) fn durable(&self) -> (u64, u64) {
        self.stored.durable()
    }

    pub(crate) fn commit(&self, commit: Commit, events: &EncodedEvents) {
        let stored = self.storage.store(&self.stored, commit.epoch, events);
        (commit.done)(stored.clone().map(Place::position));
        if let (Ok(place), Some(draft)) = (stored, commit.snapshot) {
            self.stored.snapshot.save(self.id(), place, *draft);
        }
    }

    pub(crate) fn save_snapshot(&self, version: u64, draft: Draft) {
        let (durable, position) = self.durable();
        if durable == version {
            let place = Place::behind(version, position);
            self.stored.snapshot.save(self.id(), place, draft);
        }
    }

    pub(crate) fn lacks_snapshot(&self, error: &dyn std::fmt::Display) {
        self.stored.snapshot.lacks(self.id(), error);
    }

    pub(crate) fn when_done(&self, epoch: u64, done: Done) {
        let failure = self.stored.failure(epoch);
        done(failure.map_or_else(|| Ok(self.durable().1), Err));
    }

    pub(crate) fn read(&self) -> MemoryReading<'_> {
        let lines = lock(&self.stored.events).clone();
        MemoryReading {
            stream: &self.stored,
            lines,
        }
    }
}

/// The content of a stream at one moment.
#[derive(Debug)]
pub(crate) struct MemoryReading<'a> {
    stream: &'a StoredStream,
    lines: Vec<StoredLine>,
}

impl MemoryReading<'_> {
    pub(crate) fn snapshot(&self) -> Option<Snapshot> {
        self.stream.snapshot.read(self.lines.len() as u64)
    }

    /// Passes each event after the version `after` to `each`, until `each` breaks off.
    pub(crate) fn events(
        &self,
        after: u64,
        mut each: impl FnMut(Loaded<'_>) -> io::Result<ControlFlow<()>>,
    ) -> io::Result<Place> {
        let mut place = Place::default();
        for stored in &self.lines {
            place = Place::behind(stored.version, stored.position);
            if stored.version <= after {
                continue;
            }
            let flow = stored.read(self.stream, |event, key| {
                each(Loaded {
                    version: stored.version,
                    event,
                    key,
                    position: Some(stored.position),
                })
            })??;
            if flow.is_break() {
                break;
            }
        }
        Ok(place)
    }
}

/// The log of a store in memory.
#[derive(Debug, Clone)]
pub(crate) struct MemoryLog {
    content: Arc<Content>,
    health: Arc<Health>,
}

impl MemoryLog {
    pub(crate) async fn reached(&self, position: u64) -> io::Result<u64> {
        self.health.reached(position).await
    }

    pub(crate) fn head(&self) -> u64 {
        self.health.head()
    }

    pub(crate) fn reader(&self, after: u64) -> MemoryReader {
        MemoryReader {
            content: self.content.clone(),
            after,
        }
    }
}

/// A place in the log.
#[derive(Debug)]
pub(crate) struct MemoryReader {
    content: Arc<Content>,
    after: u64,
}

impl MemoryReader {
    pub(crate) fn history(&self) -> io::Result<u64> {
        self.history_at(self.after)
    }

    pub(crate) fn history_at(&self, position: u64) -> io::Result<u64> {
        lock(&self.content.log).history_at(position)
    }

    pub(crate) fn read_to(
        &mut self,
        head: u64,
        mut each: impl FnMut(MemoryCommitted<'_>) -> io::Result<ControlFlow<()>>,
    ) -> io::Result<()> {
        while self.after < head {
            let after = self.after;
            let commit = {
                let log = lock(&self.content.log);
                log.commit_at(after + 1).cloned()
            };
            let Some(commit) = commit else { break };
            let is_read = |event: &StoredLine| event.position <= after;
            let first = commit.events.partition_point(is_read);
            let flow = each(MemoryCommitted {
                stream: &commit.stream,
                events: &commit.events[first..],
            })?;
            self.after = commit.last();
            if flow.is_break() {
                break;
            }
        }
        Ok(())
    }
}

impl StoredCommit {
    /// The position of the last event.
    fn last(&self) -> u64 {
        self.events.last().map_or(0, |last| last.position)
    }
}

/// The events of a commit that were not read before.
#[derive(Debug)]
pub(crate) struct MemoryCommitted<'a> {
    stream: &'a StoredStream,
    events: &'a [StoredLine],
}

impl MemoryCommitted<'_> {
    pub(crate) fn id(&self) -> &StreamId {
        &self.stream.id
    }

    pub(crate) fn len(&self) -> usize {
        self.events.len()
    }

    pub(crate) fn position(&self, i: usize) -> u64 {
        self.events[i].position
    }

    pub(crate) fn version(&self, i: usize) -> u64 {
        self.events[i].version
    }

    pub(crate) fn event<T>(
        &self,
        i: usize,
        read: impl FnOnce(StoredEvent<'_>) -> T,
    ) -> io::Result<T> {
        self.events[i].read(self.stream, |event, _| read(event))
    }

    pub(crate) fn keys(&self, mut each: impl FnMut(&str)) {
        for event in self.events {
            // An event that cannot be read has no idempotency key of ours.
            let _ = event.read(self.stream, |_, key| key.map(&mut each));
        }
    }
}

#[cfg(test)]
mod tests;
