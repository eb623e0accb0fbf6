//! Storage in memory, for tests. Its positions have gaps, so that no caller relies on dense ones.

use std::collections::{BTreeSet, HashMap};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, Mutex, Weak, mpsc};

use tokio::sync::OwnedMutexGuard;
use xxhash_rust::xxh3::xxh3_64_with_seed;

pub(crate) mod leases;
pub(crate) mod records;
mod snapshots;

use crate::clock::{Clock, monotonic_nanos};
use crate::domain::command::Fingerprint;
use crate::event::StoredEvent;
use crate::ids::StreamId;
use crate::meter::Meters;
use crate::storage::commit::{Commit, CommitError, Done, GroupCommit};
use crate::storage::condition::{Clause, selects};
use crate::storage::encoding::event_line as line;
use crate::storage::encoding::event_line::{EncodedEvents, Line};
use crate::storage::error::{StorageError, StorageResult};
use crate::storage::files::layout::StreamLayout;
use crate::storage::files::lock::Patience;
use crate::storage::health::Health;
use crate::storage::load_now::LoadNow;
use crate::storage::loaded::Loaded;
use crate::storage::occupancy::Occupancy;
use crate::storage::place::Place;
use crate::storage::process::Process;
use crate::storage::record_name::Follower;
use crate::storage::search::Search;
use crate::storage::snapshot::{Draft, Snapshot};
use crate::storage::term::Term;
use crate::storage::trouble::Trouble;
use crate::storage::unfinished::Unfinished;
use crate::sync::lock;
use leases::MemoryLeases;
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
#[doc(alias("in-memory", "fake", "mock"))]
#[derive(Debug, Clone, Default)]
pub struct Memory(Arc<Content>);

impl Memory {
    /// A memory that several stores may use at once, as several processes use one database.
    #[cfg(test)]
    pub(crate) fn shared() -> Self {
        Self(Arc::new(Content {
            is_shared: true,
            records: AllRecords::shared(),
            ..Content::default()
        }))
    }
}

#[derive(Debug, Default)]
struct Content {
    log: Mutex<CommitLog>,
    streams: Mutex<HashMap<StreamId, Arc<StoredStream>>>,
    /// The events that belong to no stream.
    of_none: Arc<StoredStream>,
    records: AllRecords,
    occupancy: Occupancy,
    /// Notes about the whole store.
    #[cfg(feature = "personal")]
    notes: Mutex<HashMap<&'static str, Vec<u8>>>,
    /// Several stores may be open on this content, as several processes on one database.
    is_shared: bool,
    /// The health of each store that shares this content.
    sharers: Mutex<Vec<Weak<Health>>>,
}

/// The storage of an open store.
#[derive(Debug)]
pub(crate) struct MemoryStorage {
    content: Arc<Content>,
    health: Arc<Health>,
    meters: Arc<Meters>,
    clock: Clock,
    process: Process,
    layout: StreamLayout,
    /// The streams that this store uses.
    in_use: Mutex<HashMap<StreamId, Weak<StreamInUse>>>,
    /// Where requests are served, one after the other. Without it, each is served at once.
    server: Option<mpsc::Sender<Job>>,
}

type Job = Box<dyn FnOnce() + Send>;

/// All commits in the order of their positions.
#[derive(Debug, Default)]
struct CommitLog {
    commits: Vec<Arc<StoredCommit>>,
    /// The number of all events.
    events: u64,
    /// The position of the newest event.
    position: u64,
}

/// A commit, or the part of a commit that is of one stream.
#[derive(Debug)]
struct StoredCommit {
    /// How many events are before its own.
    before: u64,
    /// How many events are before the commit. Its parts are those with the same number.
    commit: u64,
    stream: Arc<StoredStream>,
    events: Vec<StoredLine>,
    /// How many events the commit has, in all its parts.
    of: u64,
    /// The checksum of the events, chained to those of all commits before.
    chain: u64,
}

/// The idempotency key of an event's command, and the command's fingerprint.
type KeyOf<'a> = (Option<&'a str>, Option<Fingerprint>);

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
}

/// A stream that a store uses.
#[derive(Debug)]
struct StreamInUse {
    stored: Arc<StoredStream>,
    epoch: Mutex<Epoch>,
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// The activation that may append to a stream.
#[derive(Debug, Default)]
struct Epoch {
    number: u64,
    /// The version after the epoch's last commit.
    version: u64,
    failure: Option<CommitError>,
}

impl MemoryStorage {
    /// Opens `memory`. If a store on it is about to end, waits for the end.
    ///
    /// # Errors
    ///
    /// [`Busy`](crate::storage::error::StorageErrorKind::Busy) if a store is open on it, or does not end in time.
    pub(crate) fn open(
        Memory(content): &Memory,
        clock: Clock,
        patience: &Patience,
    ) -> StorageResult<Arc<Self>> {
        if !content.is_shared {
            let rule = "a memory has one store";
            content.occupancy.enter(patience, "the memory", rule)?;
        }
        let log = lock(&content.log);
        let health = Health::new(log.position);
        if content.is_shared {
            lock(&content.sharers).push(Arc::downgrade(&health));
        }
        drop(log);
        Ok(Arc::new(Self {
            content: content.clone(),
            health,
            meters: Meters::new(),
            clock,
            process: Process::this(),
            layout: StreamLayout::new(Path::new(NOWHERE)),
            in_use: Mutex::default(),
            server: content.is_shared.then(serve),
        }))
    }

    /// The directories that the store would have. They cannot exist.
    pub(crate) fn layout(&self) -> &StreamLayout {
        &self.layout
    }

    pub(crate) fn stream(self: &Arc<Self>, id: &StreamId) -> MemoryStream {
        let mut in_use = lock(&self.in_use);
        let known = in_use.get(id).and_then(Weak::upgrade);
        let stream = known.unwrap_or_else(|| {
            // Those that nobody uses any more go, once they are half of all.
            if in_use.len() == in_use.capacity() {
                in_use.retain(|_, stream| stream.strong_count() > 0);
            }
            let stream = Arc::new(StreamInUse {
                stored: self.content.stream(id),
                epoch: Mutex::default(),
                turn: Arc::default(),
            });
            in_use.insert(id.clone(), Arc::downgrade(&stream));
            stream
        });
        MemoryStream {
            storage: self.clone(),
            stream,
        }
    }

    /// How many streams are known, with events or without.
    #[cfg(test)]
    pub(crate) fn streams_in_memory(&self) -> usize {
        lock(&self.content.streams)
            .len()
            .max(lock(&self.in_use).len())
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

    /// Whether other stores may append to the log.
    pub(crate) fn is_shared(&self) -> bool {
        self.content.is_shared
    }

    #[cfg(feature = "personal")]
    pub(crate) fn note(&self, name: &'static str) -> Option<Vec<u8>> {
        lock(&self.content.notes).get(name).cloned()
    }

    #[cfg(feature = "personal")]
    pub(crate) fn set_note(&self, name: &'static str, content: Option<&[u8]>) {
        let mut notes = lock(&self.content.notes);
        match content {
            Some(content) => drop(notes.insert(name, content.to_vec())),
            None => drop(notes.remove(name)),
        }
    }

    /// Removes the snapshots of these streams, and returns how many there were.
    #[cfg(feature = "personal")]
    pub(crate) fn remove_snapshots(&self, ids: &[StreamId]) -> u64 {
        let streams = lock(&self.content.streams);
        let found = ids.iter().filter_map(|id| streams.get(id));
        found
            .map(|stream| u64::from(stream.snapshot.remove()))
            .sum()
    }

    pub(crate) fn head(&self) -> u64 {
        self.health.head()
    }

    pub(crate) fn history_at(&self, position: u64) -> StorageResult<u64> {
        lock(&self.content.log).history_at(position)
    }

    pub(crate) fn records(&self, follower: Follower, name: &str) -> MemoryRecords {
        self.content.records.of(follower, name)
    }

    /// The leases of the followers, if several stores may use the memory.
    pub(crate) fn leases(&self) -> Option<MemoryLeases> {
        let leases = &self.content.records.leases;
        self.content.is_shared.then(|| leases.clone())
    }

    pub(crate) fn followers(&self, follower: Follower) -> Vec<String> {
        self.content.records.followers(follower)
    }

    pub(crate) fn meters(&self) -> &Arc<Meters> {
        &self.meters
    }

    pub(crate) fn load_now(&self) -> LoadNow {
        let in_use = lock(&self.in_use);
        let streams = in_use.values().filter(|stream| stream.strong_count() > 0);
        LoadNow {
            streams: streams.count(),
            ..LoadNow::default()
        }
    }

    pub(crate) fn troubles(&self) -> Vec<Trouble> {
        self.health.troubles()
    }

    /// Counts a commit of `events` events.
    fn count(&self, events: u64, bytes: usize) {
        let appended = &self.meters.appended;
        // A refused group hands over a commit without events.
        if events > 0 {
            appended.events.add(events);
            appended.bytes.add(bytes as u64);
            appended.commits.add(1);
        }
        self.meters.answer_at(monotonic_nanos());
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(crate) fn process(&self) -> &Process {
        &self.process
    }

    pub(crate) fn check_process(&self) -> StorageResult<()> {
        self.process.check(Path::new("memory"))
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.health.is_closed()
    }

    /// Notes that the store is about to end. The end waits until `unfinished` is dropped.
    pub(crate) fn announce_close(&self, unfinished: Option<Weak<dyn Unfinished>>) {
        // Locked, so that the store does not end meanwhile and another one begins.
        let log = lock(&self.content.log);
        if !self.is_closed() {
            self.content.occupancy.announce_end(unfinished);
        }
        drop(log);
    }

    pub(crate) fn close(&self) {
        // Locked, so that no commit is stored after the end.
        let log = lock(&self.content.log);
        if !self.is_closed() {
            self.health.refuse_new_requests();
            self.content.occupancy.leave();
        }
        drop(log);
    }

    /// Serves a request, after those that were made before.
    fn serve(&self, job: impl FnOnce() + Send + 'static) {
        match &self.server {
            // The server ends after this storage.
            Some(server) => drop(server.send(Box::new(job))),
            None => job(),
        }
    }

    /// Stores the events of a commit, and returns the place after the last one.
    fn store(
        &self,
        stream: &StreamInUse,
        (epoch, expected): (u64, u64),
        events: &EncodedEvents,
        term: Option<&Term>,
    ) -> Result<Place, CommitError> {
        let mut log = lock(&self.content.log);
        if self.is_closed() {
            return Err(CommitError::Closed);
        }
        stream.check(epoch, expected)?;
        let commit = log.events;
        let append = || log.append((commit, events.count()), &stream.stored, events);
        let appended = self.content.records.leases.within(term, append);
        // The later commits of the epoch are decided again without this one.
        let place = appended.map_err(|_| stream.refuse(epoch, expected))?;
        lock(&stream.epoch).version = place.version();
        self.publish(&log);
        self.count(events.count(), events.size());
        Ok(place)
    }

    /// Stores the events of a group, and returns the place after the last one of each part.
    fn store_group(&self, group: &GroupCommit<MemoryStream>) -> Result<Vec<Place>, CommitError> {
        let mut log = lock(&self.content.log);
        if self.is_closed() {
            group.fail();
            return Err(CommitError::Closed);
        }
        let checked = group
            .streams
            .iter()
            .try_for_each(|part| part.stream.stream.check(part.epoch, part.expected));
        let checked = checked.and_then(|()| log.check(&group.condition));
        if let Err(error) = checked {
            for part in &group.streams {
                part.stream.stream.fail(part.epoch, &error);
            }
            group.fail();
            return Err(error);
        }
        let leases = self.content.records.leases.clone();
        let stored = leases.within(group.term.as_deref(), || self.append_group(&mut log, group));
        stored.map_err(|_| {
            let mut refused = CommitError::ConditionFailed;
            for part in &group.streams {
                refused = part.stream.stream.refuse(part.epoch, part.expected);
            }
            group.fail();
            refused
        })
    }

    /// Appends the events of a group that was checked.
    fn append_group(&self, log: &mut CommitLog, group: &GroupCommit<MemoryStream>) -> Vec<Place> {
        let mut places = Vec::new();
        let commit = (log.events, group.count());
        for part in &group.streams {
            let stream = &part.stream.stream;
            if part.events.count() == 0 {
                let (version, position) = stream.stored.durable();
                places.push(Place::behind(version, position));
                continue;
            }
            let place = log.append(commit, &stream.stored, &part.events);
            lock(&stream.epoch).version = place.version();
            places.push(place);
        }
        if let Some(events) = &group.of_none {
            log.append(commit, &self.content.of_none, events);
        }
        places.push(Place::behind(0, log.position));
        group.place(log.position);
        self.publish(log);
        self.count(group.count(), group.size());
        places
    }

    pub(crate) fn commit_group(self: &Arc<Self>, group: GroupCommit<MemoryStream>) {
        let this = self.clone();
        self.serve(move || {
            let stored = this.store_group(&group);
            let positions = |places: &Vec<Place>| places.iter().map(|p| p.position()).collect();
            (group.done)(stored.as_ref().map(positions).map_err(Clone::clone));
            let places = stored.unwrap_or_default();
            for (part, place) in group.streams.into_iter().zip(places) {
                if let Some(draft) = part.snapshot {
                    let stored = &part.stream.stream.stored;
                    if stored.snapshot.save(part.stream.id(), place, *draft) {
                        this.meters.live.snapshots.add(1);
                    }
                }
            }
        });
    }

    /// Passes the events that `search` selects to `each`.
    pub(crate) fn find<E: From<StorageError>>(
        &self,
        search: &Search,
        mut each: impl FnMut(StoredEvent<'_>) -> Result<ControlFlow<()>, E>,
    ) -> Result<(), E> {
        let mut commits = lock(&self.content.log).commits.clone();
        if search.backwards {
            commits.reverse();
        }
        for commit in commits {
            let in_range = |event: &&StoredLine| {
                event.position > search.after && event.position <= search.until
            };
            let mut events: Vec<_> = commit.events.iter().filter(in_range).collect();
            if search.backwards {
                events.reverse();
            }
            for event in events {
                let flow = event.read(&commit.stream, |event, _| {
                    if selects(&search.query, &event) {
                        each(event)
                    } else {
                        Ok(ControlFlow::Continue(()))
                    }
                })??;
                if flow.is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Passes the events that belong to no aggregate and have this idempotency key to `each`.
    pub(crate) fn find_key(
        &self,
        key: &str,
        mut each: impl FnMut(StoredEvent<'_>, Option<Fingerprint>),
    ) -> StorageResult<()> {
        let events = lock(&self.content.of_none.events).clone();
        for event in events {
            event.read(&self.content.of_none, |event, (known, command)| {
                if known == Some(key) {
                    each(event, command);
                }
            })?;
        }
        Ok(())
    }

    /// Tells the readers of all stores on this memory about new events.
    fn publish(&self, log: &CommitLog) {
        self.health.set_head(log.position);
        for sharer in lock(&self.content.sharers).iter().filter_map(Weak::upgrade) {
            sharer.set_head(log.position);
        }
    }
}

impl CommitLog {
    /// Appends events of one stream, or of none, and returns the place after the last one. `commit` is
    /// how many events are before the commit that they are part of, and how many it has.
    fn append(
        &mut self,
        (commit, of): (u64, u64),
        stream: &Arc<StoredStream>,
        events: &EncodedEvents,
    ) -> Place {
        let mut lines = lock(&stream.events);
        let known = lines.len();
        let is_of_none = stream.seed == line::seed_of_none();
        let mut chain = self.commits.last().map_or(0, |last| last.chain);
        let before = self.events;
        for event in events.as_encoded().iter() {
            self.position += STEPS[usize::try_from(self.events).unwrap_or(0) % STEPS.len()];
            self.events += 1;
            let mut sealed = Vec::new();
            line::seal(event, self.position, &mut sealed);
            // The line ends with a checksum that is seeded with the stream's name.
            chain = xxh3_64_with_seed(&sealed, chain);
            let version = lines.len() as u64 + 1;
            lines.push(StoredLine {
                line: sealed.into(),
                version: if is_of_none { 0 } else { version },
                position: self.position,
            });
        }
        self.commits.push(Arc::new(StoredCommit {
            before,
            commit,
            stream: stream.clone(),
            events: lines[known..].to_vec(),
            of,
            chain,
        }));
        Place::behind(lines.len() as u64, self.position)
    }

    /// Fails if one of the clauses does not hold.
    fn check(&self, condition: &[Clause]) -> Result<(), CommitError> {
        for clause in condition {
            let after = clause.after.position();
            let after = after.ok_or(CommitError::ConditionFailed)?;
            let next = (self.commits).partition_point(|commit| commit.last() <= after);
            let events = self.commits[next..].iter().flat_map(|commit| {
                let events = commit.events.iter();
                events.map(|event| (&commit.stream, event))
            });
            for (stream, event) in events.filter(|(_, event)| event.position > after) {
                let is_selected = event.read(stream, |event, _| selects(&clause.query, &event));
                if is_selected.map_err(CommitError::NotStored)? {
                    return Err(CommitError::ConditionFailed);
                }
            }
        }
        Ok(())
    }

    /// The first commit that ends at `position` or after it.
    fn commit_at(&self, position: u64) -> Option<&Arc<StoredCommit>> {
        let next = (self.commits).partition_point(|commit| commit.last() < position);
        self.commits.get(next)
    }

    /// The chained checksum of the commit that holds the event at `position`; 0 for the beginning.
    /// Invariant F9.
    fn history_at(&self, position: u64) -> StorageResult<u64> {
        if position == 0 {
            return Ok(0);
        }
        let commit = self.commit_at(position).ok_or_else(|| {
            let text = format!("is not in the log, which ends at {}", self.position);
            StorageError::event(position, text)
        })?;
        Ok(commit.chain)
    }
}

/// Starts a thread that does what it is sent, one after the other.
fn serve() -> mpsc::Sender<Job> {
    let (sender, jobs) = mpsc::channel::<Job>();
    std::thread::spawn(move || jobs.into_iter().for_each(|job| job()));
    sender
}

impl Content {
    fn stream(&self, id: &StreamId) -> Arc<StoredStream> {
        let mut streams = lock(&self.streams);
        // Those without events that nobody uses any more go, once there is no more room for others.
        if streams.len() == streams.capacity() {
            streams.retain(|_, stream| {
                Arc::strong_count(stream) > 1 || !lock(&stream.events).is_empty()
            });
        }
        let stored = streams
            .entry(id.clone())
            .or_insert_with(|| Arc::new(StoredStream::new(id.clone(), line::seed(id))));
        stored.clone()
    }
}

impl StreamInUse {
    fn failure(&self, epoch: u64) -> Option<CommitError> {
        let present = lock(&self.epoch);
        if present.number == epoch {
            present.failure.clone()
        } else {
            Some(CommitError::Superseded)
        }
    }

    /// Fails if the epoch has failed, or if the stream is at another version than `expected`. Then
    /// the epoch fails too.
    fn check(&self, epoch: u64, expected: u64) -> Result<(), CommitError> {
        if let Some(failure) = self.failure(epoch) {
            return Err(failure);
        }
        let (actual, _) = self.stored.durable();
        if expected != actual {
            let conflict = CommitError::Conflict { actual };
            self.fail(epoch, &conflict);
            return Err(conflict);
        }
        Ok(())
    }

    /// Fails the epoch, because a commit at this version is refused that others need not wait for.
    fn refuse(&self, epoch: u64, actual: u64) -> CommitError {
        let conflict = CommitError::Conflict { actual };
        self.fail(epoch, &conflict);
        conflict
    }

    /// Notes that the epoch failed, unless it has failed before or a later one has begun.
    fn fail(&self, epoch: u64, error: &CommitError) {
        let mut present = lock(&self.epoch);
        if present.number == epoch && present.failure.is_none() {
            present.failure = Some(error.clone());
        }
    }
}

impl Default for StoredStream {
    /// The place of events that belong to no stream.
    fn default() -> Self {
        Self::new(StreamId::none(), line::seed_of_none())
    }
}

impl StoredStream {
    fn new(id: StreamId, seed: u64) -> Self {
        Self {
            id,
            seed,
            events: Mutex::default(),
            snapshot: SavedSnapshot::default(),
        }
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
        read: impl FnOnce(StoredEvent<'_>, KeyOf<'_>) -> T,
    ) -> StorageResult<T> {
        self.read_line(stream, |event, line| {
            read(event, (line.key.as_deref(), line.fingerprint()))
        })
    }

    /// Passes the event and its line to `read`.
    fn read_line<T>(
        &self,
        stream: &StoredStream,
        read: impl FnOnce(StoredEvent<'_>, &Line<'_>) -> T,
    ) -> StorageResult<T> {
        let line = line::read(&self.line, stream.seed)
            .map_err(|cause| StorageError::event(self.position, cause))?;
        let id = (stream.id.aggregate_type(), stream.id.id());
        let record = line.record(id, self.version, self.position);
        Ok(read(line.event(&record), &line))
    }
}

/// A stream of a store in memory.
#[derive(Debug, Clone)]
pub(crate) struct MemoryStream {
    storage: Arc<MemoryStorage>,
    stream: Arc<StreamInUse>,
}

impl MemoryStream {
    pub(crate) fn id(&self) -> &StreamId {
        &self.stream.stored.id
    }

    pub(crate) fn seed(&self) -> u64 {
        self.stream.stored.seed
    }

    pub(crate) fn meters(&self) -> &Meters {
        &self.storage.meters
    }

    /// Whether other stores may append to the stream.
    pub(crate) fn is_shared(&self) -> bool {
        self.storage.is_shared()
    }

    pub(crate) async fn take_turn(&self) -> OwnedMutexGuard<()> {
        self.stream.turn.clone().lock_owned().await
    }

    pub(crate) fn start_epoch(&self, version: u64) -> u64 {
        let mut epoch = lock(&self.stream.epoch);
        *epoch = Epoch {
            number: epoch.number + 1,
            version,
            failure: None,
        };
        epoch.number
    }

    pub(crate) fn epoch(&self) -> u64 {
        lock(&self.stream.epoch).number
    }

    pub(crate) fn failure(&self, epoch: u64) -> Option<CommitError> {
        self.stream.failure(epoch)
    }

    pub(crate) fn durable(&self) -> (u64, u64) {
        self.stream.stored.durable()
    }

    pub(crate) fn commit(&self, commit: Commit, events: EncodedEvents) {
        let this = self.clone();
        self.storage.serve(move || {
            let basis = (commit.epoch, commit.expected);
            let stored = this
                .storage
                .store(&this.stream, basis, &events, commit.term.as_deref());
            (commit.done)(stored.clone().map(Place::position));
            if let (Ok(place), Some(draft)) = (stored, commit.snapshot) {
                this.keep_snapshot(place, *draft);
            }
        });
    }

    pub(crate) fn save_snapshot(&self, version: u64, draft: Draft) {
        let (durable, position) = self.durable();
        if durable == version {
            let place = Place::behind(version, position);
            self.keep_snapshot(place, draft);
        }
    }

    fn keep_snapshot(&self, place: Place, draft: Draft) {
        let stored = &self.stream.stored;
        if stored.snapshot.save(self.id(), place, draft) {
            self.meters().live.snapshots.add(1);
        }
    }

    pub(crate) fn lacks_snapshot(&self, error: &dyn std::fmt::Display) {
        self.stream.stored.snapshot.lacks(self.id(), error);
    }

    pub(crate) fn when_done(&self, epoch: u64, done: Done) {
        let this = self.clone();
        self.storage.serve(move || {
            let (_, position) = this.durable();
            let expected = lock(&this.stream.epoch).version;
            let checked = this.stream.check(epoch, expected);
            done(checked.map(|()| position));
        });
    }

    pub(crate) fn read(&self) -> MemoryReading<'_> {
        let lines = lock(&self.stream.stored.events).clone();
        MemoryReading {
            stream: &self.stream.stored,
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
    pub(crate) fn events<E: From<StorageError>>(
        &self,
        after: u64,
        mut each: impl FnMut(Loaded<'_>) -> Result<ControlFlow<()>, E>,
    ) -> Result<Place, E> {
        let mut place = Place::default();
        for stored in &self.lines {
            place = Place::behind(stored.version, stored.position);
            if stored.version <= after {
                continue;
            }
            let flow = stored.read(self.stream, |event, (key, command)| {
                each(Loaded {
                    version: stored.version,
                    event,
                    key,
                    command,
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
    pub(crate) async fn reached(&self, position: u64) -> StorageResult<u64> {
        self.health.reached(position).await
    }

    pub(crate) fn head(&self) -> u64 {
        self.health.head()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.health.is_closed()
    }

    pub(crate) fn backward_reader(&self, before: Option<u64>) -> MemoryBackwardReader {
        MemoryBackwardReader {
            content: self.content.clone(),
            before: before.unwrap_or(u64::MAX),
        }
    }

    pub(crate) fn count_between(&self, after: u64, until: u64) -> u64 {
        let log = lock(&self.content.log);
        log.count_up_to(until)
            .saturating_sub(log.count_up_to(after))
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
    pub(crate) fn history(&self) -> StorageResult<u64> {
        self.history_at(self.after)
    }

    pub(crate) fn history_at(&self, position: u64) -> StorageResult<u64> {
        lock(&self.content.log).history_at(position)
    }

    pub(crate) fn read_to<E: From<StorageError>>(
        &mut self,
        head: u64,
        mut each: impl FnMut(MemoryCommitted<'_>) -> Result<ControlFlow<()>, E>,
    ) -> Result<(), E> {
        let mut is_enough = false;
        let mut reading = None;
        loop {
            let after = self.after;
            let commit = {
                let log = lock(&self.content.log);
                log.commit_at(after + 1).cloned()
            };
            let Some(commit) = commit else { break };
            if (is_enough || after >= head) && reading != Some(commit.commit) {
                break;
            }
            reading = Some(commit.commit);
            let is_read = |event: &StoredLine| event.position <= after;
            let first = commit.events.partition_point(is_read);
            let flow = each(MemoryCommitted {
                stream: &commit.stream,
                events: &commit.events[first..],
                in_group: (commit.before - commit.commit + first as u64, commit.of),
            })?;
            self.after = commit.last();
            is_enough |= flow.is_break();
        }
        Ok(())
    }
}

impl CommitLog {
    /// How many events are at `position` or before it.
    fn count_up_to(&self, position: u64) -> u64 {
        let is_before = |commit: &Arc<StoredCommit>| commit.last() <= position;
        let next = self.commits.partition_point(is_before);
        let Some(commit) = self.commits.get(next) else {
            return self.events;
        };
        let of_it = commit
            .events
            .partition_point(|event| event.position <= position);
        commit.before + of_it as u64
    }
}

/// A place in the log that moves towards the beginning.
#[derive(Debug)]
pub(crate) struct MemoryBackwardReader {
    content: Arc<Content>,
    before: u64,
}

impl MemoryBackwardReader {
    pub(crate) fn read(
        &mut self,
        mut each: impl FnMut(MemoryCommitted<'_>) -> StorageResult<ControlFlow<()>>,
    ) -> StorageResult<bool> {
        let mut broken_off = None;
        loop {
            let before = self.before;
            let (commit, is_first) = {
                let log = lock(&self.content.log);
                let starts_before = |commit: &Arc<StoredCommit>| commit.first() < before;
                let next = log.commits.partition_point(starts_before);
                let Some(last) = next.checked_sub(1) else {
                    return Ok(true);
                };
                (log.commits[last].clone(), last == 0)
            };
            if broken_off.is_some_and(|within| within != commit.commit) {
                return Ok(false);
            }
            let is_wanted = |event: &StoredLine| event.position < before;
            let wanted = commit.events.partition_point(is_wanted);
            let flow = each(MemoryCommitted {
                stream: &commit.stream,
                events: &commit.events[..wanted],
                in_group: (commit.before - commit.commit, commit.of),
            })?;
            self.before = commit.first();
            if flow.is_break() {
                broken_off = Some(commit.commit);
            }
            if is_first {
                return Ok(true);
            }
        }
    }
}

impl StoredCommit {
    /// The position of the first event.
    fn first(&self) -> u64 {
        self.events.first().map_or(0, |first| first.position)
    }

    /// The position of the last event.
    fn last(&self) -> u64 {
        self.events.last().map_or(0, |last| last.position)
    }
}

/// The wanted events of a commit.
#[derive(Debug)]
pub(crate) struct MemoryCommitted<'a> {
    stream: &'a StoredStream,
    events: &'a [StoredLine],
    /// As in [`StoredCommit`].
    in_group: (u64, u64),
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
    ) -> StorageResult<T> {
        self.events[i].read(self.stream, |event, _| read(event))
    }

    pub(crate) fn place_in_commit(&self, i: usize) -> (u64, u64) {
        let (before, of) = self.in_group;
        (before + i as u64 + 1, of)
    }

    pub(crate) fn event_and_command<T>(
        &self,
        i: usize,
        read: impl FnOnce(StoredEvent<'_>, Option<&str>) -> T,
    ) -> StorageResult<T> {
        self.events[i].read_line(self.stream, |event, line| {
            read(event, line.command.as_deref())
        })
    }

    pub(crate) fn event_and_line<T>(
        &self,
        i: usize,
        read: impl FnOnce(StoredEvent<'_>, &str, Option<u64>) -> T,
    ) -> StorageResult<T> {
        let line = String::from_utf8_lossy(&self.events[i].line);
        self.event(i, |event| read(event, line.trim_end(), None))
    }

    pub(crate) fn keys(&self, mut each: impl FnMut(&str)) {
        for event in self.events {
            // An event that cannot be read has no idempotency key of ours.
            let _ = event.read(self.stream, |_, (key, _)| key.map(&mut each));
        }
    }
}

#[cfg(test)]
mod tests;
