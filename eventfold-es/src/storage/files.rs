//! The embedded backend: storage in plain files. Its unit is the commit.
//!
//! An actor loads a stream, submits commits and waits for their answers. Nothing outside this
//! module knows how commits get to the disk. The path of a commit: [`FileStorage::commit`], the
//! queue, [`committer`], [`journal`], the answer; then the stream's file ([`stream_writer`]).

use crate::storage::error::{StorageError, StorageErrorKind, StorageResult};
use crate::storage::files::commit::queue;
use crate::storage::files::recovery::open;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::{Semaphore, TryAcquireError, oneshot, watch};

mod ahead;
pub(crate) mod backup;
pub(crate) mod check;
pub(crate) mod commit;
mod compress;
#[cfg(test)]
mod crash;
pub(crate) mod disk;
pub(crate) mod doubt;
#[cfg(feature = "personal")]
mod erase;
mod file_systems;
pub(crate) mod format;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
pub(crate) mod journal;
pub(crate) mod layout;
pub(crate) mod lines;
pub(crate) mod lock;
pub(crate) mod log;
mod names;
pub(crate) mod observe;
pub(crate) mod records;
pub(crate) mod recovery;
mod retention;
mod shares;
pub(crate) mod snapshots;
pub(crate) mod streams;
pub(crate) mod tags;
mod told_apart;
mod upkeep;
pub(crate) mod v0_2;

use crate::clock::{Clock, monotonic_nanos};
use crate::domain::command::Fingerprint;
use crate::event::StoredEvent;
use crate::ids::StreamId;
use crate::meter::Meters;
use crate::storage::commit::{Commit, CommitError, Done};
use crate::storage::encoding::event_line::EncodedEvents;
use crate::storage::health::Health;
use crate::storage::load_now::LoadNow;
use crate::storage::process::Process;
use crate::storage::record_name::Follower;
use crate::storage::retention::{DroppedJournal, Needs};
use crate::storage::search::Search;
use crate::storage::trouble::Trouble;
use crate::storage::unfinished::Unfinished;
use crate::text::shown;
use crate::thread::OnDemand;
use backup::promote::promote;
use commit::committer::{Committer, fence_result, refuse, refuse_group};
use commit::request::{ROOM, Request, StreamCommit, StreamsCommit};
use disk::Identity;
use file_systems::FileSystems;
use journal::Index;
use journal::end::End;
use layout::RawNames;
use layout::StreamLayout;
use layout::list_dirs;
use lock::DirLock;
use lock::Patience;
use log::FileLog;
use records::FileRecords;
use retention::Retention;
use streams::cache::OpenFiles;
use streams::loader::Loader;
use streams::pack::pack;
use streams::replay::replay_pending;
use streams::stream::{Stream, Streams};
use streams::writer::Unflushed;
use tags::find::Finder;
use tags::index::TagIndex;
use upkeep::{Job, RedoPointJob, Upkeep, Upkeeper};

/// The storage of an open store.
#[derive(Debug)]
pub(crate) struct FileStorage {
    layout: StreamLayout,
    streams: Arc<Streams>,
    health: Arc<Health>,
    meters: Arc<Meters>,
    /// The open files of streams. Others may have this storage after it has closed, but must not keep a
    /// file open, whose lock another program waits for.
    open_files: Weak<OpenFiles>,
    index: Arc<Index>,
    finder: Finder,
    unflushed: Arc<Unflushed>,
    requests: queue::Sender,
    /// The first request starts it.
    committer: OnDemand,
    room: Arc<Semaphore>,
    loader: Arc<Loader>,
    keeper: Upkeeper,
    ended: watch::Receiver<bool>,
    process: Process,
    /// The store's directory as a canonical path.
    lock_key: PathBuf,
    identity: Option<Identity>,
    /// Where the journal ended when the store was opened.
    opened_at: End,
    /// Set by the first `announce_close`.
    announced: AtomicBool,
    /// Set by the first `close`.
    closing: AtomicBool,
    clock: Clock,
}

impl FileStorage {
    /// Opens the store in `base` and creates the directory if it is missing. `extra` are streams in
    /// directories of their own. Sealed segments are compressed if `compresses`. Blocks on the disk. If
    /// another store holds the directory, waits as `patience` says. `loader` loads the streams.
    pub(crate) fn open(
        base: &Path,
        extra: RawNames,
        clock: Clock,
        compresses: bool,
        patience: &Patience,
        loader: Arc<Loader>,
    ) -> StorageResult<Arc<Self>> {
        let base = &std::path::absolute(base).map_err(|e| StorageError::io("open", base, e))?;
        disk::create_private_dir(base)?;
        let lock = DirLock::take(base, patience)?;
        let (lock_key, identity) = (lock.dir().to_owned(), lock.identity());
        // The given path may be a link that later leads elsewhere.
        let base = &lock_key;
        promote(base)?;
        let mut file_systems = FileSystems::of(base, &StreamLayout::new(base).streams_dir())?;
        let mut opened = open::open(base, &mut file_systems, extra)?;

        let meters = Meters::new();
        let marks = opened.streams.marks().clone();
        let unflushed = Arc::new(Unflushed::new(opened.refused, opened.unreplayed));
        let retention = Retention::new(
            opened.journal.dir().to_owned(),
            opened.journal.index(),
            clock.clone(),
        );
        let upkeep = Upkeep::new(
            file_systems,
            (opened.journal.dir(), retention),
            marks.clone(),
            unflushed.clone(),
            meters.clone(),
            compresses,
        );
        let keeper = upkeep.keeper();
        if compresses && opened.has_uncompressed {
            keeper.start()?;
        }
        let opened_at = opened.journal.end();
        if opened.is_behind {
            upkeep.submit(Job::RedoPoint(RedoPointJob {
                end: opened_at,
                taken: marks.take(),
                clean: false,
            }));
        }
        let health = Health::new(opened_at.position);
        let index = opened.journal.index();
        let (requests, queue) = queue::channel();
        let room = Arc::new(Semaphore::new(ROOM as usize));
        opened.journal.set_clock(clock.clone());
        let tags_dir = opened.layout.tags_dir();
        let has_tags = disk::is_dir(&tags_dir);
        let finder = Finder::new(
            TagIndex::new(index.clone(), tags_dir, opened_at),
            index.clone(),
            opened.streams.clone(),
            health.clone(),
        );
        if has_tags {
            finder.tags().prepare();
        }
        let committer = Committer::new(
            (queue, room.clone()),
            opened.journal,
            upkeep,
            unflushed.clone(),
            marks,
            finder.clone(),
            meters.clone(),
        );
        lock.note_files(committer.files());
        let open_files = Arc::downgrade(committer.files());
        let (end, ended) = watch::channel(false);
        // It ends the other threads, and with it the store.
        let committer = OnDemand::new("eventfold-commit", move || {
            committer.run();
            let dir = lock.dir().to_owned();
            drop(lock);
            tracing::info!(dir = %shown(&dir), "store closed");
            end.send_replace(true);
        });
        Ok(Arc::new(Self {
            layout: opened.layout,
            streams: opened.streams,
            health,
            meters,
            open_files,
            index,
            finder,
            unflushed,
            requests,
            committer,
            room,
            loader,
            keeper,
            ended,
            process: Process::this(),
            lock_key,
            identity,
            opened_at,
            announced: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            clock,
        }))
    }

    /// The store's directory as a canonical path.
    pub(crate) fn canonical_dir(&self) -> &Path {
        &self.lock_key
    }

    /// Whether the path still leads to the directory that was opened.
    pub(crate) fn is_where_it_was(&self) -> bool {
        disk::identity_now(&self.lock_key) == self.identity
    }

    /// Whether names that differ only in case or Unicode form may name the same directory here.
    pub(crate) fn names_may_fold(&self) -> bool {
        self.streams.names_may_fold()
    }

    pub(crate) fn layout(&self) -> &StreamLayout {
        &self.layout
    }

    /// The stream `id`, whether it exists or not.
    pub(crate) fn stream(&self, id: &StreamId) -> Arc<Stream> {
        self.streams.get(id)
    }

    #[cfg(test)]
    pub(crate) fn streams_in_use(&self) -> usize {
        self.streams.len()
    }

    /// Waits until the streams' files have all durable events, as far as they can be written.
    pub(crate) fn flush_streams(&self) {
        // A forked child has no stream writer to wait for.
        if self.process.is_this() {
            self.unflushed.flush();
        }
    }

    /// Waits until the file of `stream` has all durable events, unless it cannot be written.
    pub(crate) fn flush_stream(&self, stream: &Stream) {
        // The error is that of the next load.
        let _ = replay_pending(stream);
        if stream.tail().unflushed.is_some() {
            self.unflushed.write_gathered();
        }
    }

    /// Compresses the file of `stream`. The caller has the stream's turn, and commits nothing.
    pub(crate) fn pack(&self, stream: &Stream) -> StorageResult<()> {
        self.flush_stream(stream);
        let files = self.open_files.upgrade();
        pack(stream, &*files.ok_or_else(StorageError::closed)?)
    }

    /// The checksum of the journal line that holds the durable event at `position`; 0 for the
    /// beginning. It is chained to all lines before, so different histories have different
    /// checksums.
    pub(crate) fn history_at(&self, position: u64) -> StorageResult<u64> {
        let End {
            segment,
            position: newest,
            chain,
            ..
        } = self.opened_at;
        // In a segment without events, `chain` may be the checksum of the header.
        if position == newest && newest >= segment {
            return Ok(chain);
        }
        self.log().reader(0).chain_at(position)
    }

    /// The segments of the journal and its durable end.
    pub(crate) fn journal_index(&self) -> Arc<Index> {
        self.index.clone()
    }

    /// The position of the newest durable event.
    pub(crate) fn head(&self) -> u64 {
        self.health.head()
    }

    #[inline]
    pub(crate) fn meters(&self) -> &Arc<Meters> {
        &self.meters
    }

    pub(crate) fn load_now(&self) -> LoadNow {
        let in_hand = self.meters.appended.in_hand.get();
        let free = self.room.available_permits().min(ROOM as usize);
        LoadNow {
            waiting_commits: self.requests.waiting() as u64 + in_hand,
            waiting_bytes: (u64::from(ROOM) - free as u64) * 1024,
            open_files: self.open_files.upgrade().map_or(0, |files| files.len()),
            streams: self.streams.len(),
        }
    }

    pub(crate) fn troubles(&self) -> Vec<Trouble> {
        let mut troubles = self.health.troubles();
        let since = self.meters.appended.writing_since.get();
        if since > 0 {
            let time = monotonic_nanos().saturating_sub(since);
            troubles.extend(Trouble::stalled(Duration::from_nanos(time)));
        }
        let refused = self.unflushed.refused();
        if !refused.is_empty() {
            troubles.push(Trouble::Unwritable(refused));
        }
        troubles
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The journal.
    pub(crate) fn log(&self) -> FileLog {
        FileLog {
            health: self.health.clone(),
            index: self.index.clone(),
        }
    }

    /// Passes the events that `search` selects to `each`.
    pub(crate) async fn find<E: From<StorageError> + Send + 'static>(
        &self,
        search: Search,
        mut each: impl FnMut(StoredEvent<'_>) -> Result<ControlFlow<()>, E> + Send + 'static,
    ) -> Result<(), E> {
        let finder = self.finder.clone();
        self.load(move || finder.find(&search, &mut each)).await
    }

    /// Whether it is known without reading that `search` selects nothing.
    pub(crate) fn has_none(&self, search: &Search) -> bool {
        self.finder.has_none(search)
    }

    /// Passes the events that belong to no aggregate and have this idempotency key to `each`.
    pub(crate) async fn find_key(
        &self,
        key: &str,
        mut each: impl FnMut(StoredEvent<'_>, Option<Fingerprint>) + Send + 'static,
    ) -> StorageResult<()> {
        let (finder, key, head) = (self.finder.clone(), key.to_owned(), self.head());
        let find = move || finder.find_key(&key, head, &mut each);
        self.load(find).await
    }

    /// The directory that holds the directories of all followers of this kind.
    fn followers_dir(&self, follower: Follower) -> PathBuf {
        match follower {
            Follower::Projection => self.layout.projections_dir(),
            Follower::ProcessManager => self.layout.process_managers_dir(),
        }
    }

    pub(crate) fn records(&self, follower: Follower, name: &str) -> FileRecords {
        FileRecords::new(self.followers_dir(follower).join(name))
    }

    pub(crate) fn followers(&self, follower: Follower) -> StorageResult<Vec<String>> {
        list_dirs(&self.followers_dir(follower))
    }

    /// The files of read models in SQLite, with the names of the read models.
    pub(crate) fn read_models(&self) -> StorageResult<Vec<(String, PathBuf)>> {
        let mut files = Vec::new();
        for name in self.followers(Follower::Projection)? {
            let of_model = self.records(Follower::Projection, &name).read_models()?;
            files.extend(of_model.into_iter().map(|path| (name.clone(), path)));
        }
        Ok(files)
    }

    /// Compresses the sealed segments before the redo point now. Returns how many were.
    pub(crate) async fn compress(&self) -> StorageResult<u64> {
        self.check_process()?;
        self.keeper.start()?;
        let (answer, compressed) = oneshot::channel();
        self.keeper.submit(Job::Compress(answer));
        // The thread ends without an answer if the store is closed meanwhile.
        compressed
            .await
            .unwrap_or_else(|_| Err(StorageError::closed()))
    }

    /// Drops the oldest segments whose events are all older than `keep_for`, as far as nobody needs them.
    pub(crate) async fn drop_old_journal(
        &self,
        keep_for: Duration,
        needs: Needs,
    ) -> StorageResult<DroppedJournal> {
        self.check_process()?;
        self.keeper.start()?;
        let (answer, dropped) = oneshot::channel();
        self.keeper.submit(Job::Drop(keep_for, needs, answer));
        // The thread ends without an answer if the store is closed meanwhile.
        dropped
            .await
            .unwrap_or_else(|_| Err(StorageError::closed()))
    }

    /// Drops the oldest segments from now on, whenever they are that old.
    pub(crate) fn keep_journal_for(&self, keep_for: Duration, needs: Needs) {
        self.keeper.submit(Job::Keep(keep_for, needs));
    }

    pub(crate) fn keeper(&self) -> &Upkeeper {
        &self.keeper
    }

    /// Submits a commit of these events. Waits while too many bytes are pending. The committer
    /// gives the room back when it answers the commit.
    pub(crate) async fn commit(&self, stream: Arc<Stream>, commit: Commit, events: EncodedEvents) {
        let commit = StreamCommit::new(stream, commit);
        if let Err(error) = self.start_committer() {
            return refuse(commit, error);
        }
        self.take_room(commit.kib(events.size())).await;
        if let Err(refused) = self.requests.commit(commit, events) {
            (refused.done)(Err(CommitError::Closed));
        }
    }

    /// Submits a commit of several streams. Waits as [`commit`](Self::commit) does.
    pub(crate) async fn commit_group(&self, group: StreamsCommit) {
        if let Err(error) = self.start_committer() {
            return refuse_group(group, error);
        }
        self.take_room(group.kib()).await;
        self.request(Request::Group(Box::new(group)));
    }

    /// Waits until there is room for a commit.
    async fn take_room(&self, kib: u32) {
        let room = match self.room.try_acquire_many(kib) {
            // Only the committer closes the semaphore, when it ends. Then the commit is refused.
            Err(TryAcquireError::NoPermits) => self.room.acquire_many(kib).await.ok(),
            room => room.ok(),
        };
        if let Some(room) = room {
            room.forget();
        }
    }

    /// Calls `done` after all requests submitted earlier for `stream`.
    pub(crate) fn fence(&self, stream: Arc<Stream>, epoch: u64, done: Done) {
        if self.start_committer().is_err() {
            // Nothing was handed over.
            return done(fence_result(&stream, epoch));
        }
        self.request(Request::Fence {
            stream,
            epoch,
            done,
        });
    }

    /// Makes sure that the committer runs. A forked child must not start one: the journal is its parent's.
    fn start_committer(&self) -> Result<(), CommitError> {
        if self.committer.is_started() {
            return Ok(());
        }
        let start = || self.committer.start().map_err(StorageError::thread);
        let started = self.check_process().and_then(|()| start());
        started.map_err(CommitError::NotStored)
    }

    fn request(&self, request: Request) {
        match self.requests.send(request) {
            Err(Request::Fence { done, .. }) => done(Err(CommitError::Closed)),
            Err(Request::Group(group)) => {
                group.fail();
                (group.done)(Err(CommitError::Closed));
            }
            Ok(()) | Err(Request::Commit(..) | Request::Close) => {}
        }
    }

    /// Runs `read`, which reads a stream. Only a few streams are read at the same time.
    pub(crate) async fn load<T: Send + 'static, E: From<StorageError> + Send + 'static>(
        &self,
        read: impl FnOnce() -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        self.loader.run(read).await
    }

    /// Fails if the store takes no more commits until it is opened again.
    pub(crate) fn check_failed(&self) -> Result<(), CommitError> {
        self.health.check_failed()
    }

    /// The process that the store belongs to.
    pub(crate) fn process(&self) -> &Process {
        &self.process
    }

    /// Fails if this process was forked from the process that opened the store.
    pub(crate) fn check_process(&self) -> StorageResult<()> {
        self.process.check(&self.lock_key)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.health.is_closed()
    }

    /// Ends the store after all requests submitted so far. Does not wait for the end; the next
    /// `open` in this process does.
    pub(crate) fn close(&self) {
        self.announce_close(None);
        if !self.closing.swap(true, Ordering::AcqRel) {
            self.request(Request::Close);
            if self.start_committer().is_err() && self.process.is_this() {
                // The store is left in order all the same.
                self.committer.finish();
            }
        }
    }

    /// Lets the next `open` in this process wait for the end of the store. The end is near once
    /// `unfinished` is dropped.
    pub(crate) fn announce_close(&self, unfinished: Option<Weak<dyn Unfinished>>) {
        if !self.announced.swap(true, Ordering::AcqRel) {
            lock::announce_release(&self.lock_key, unfinished);
        }
    }

    /// Waits until the store has ended and its directory is released. Fails if the store has
    /// failed, or if the next open has something to replay.
    pub(crate) async fn ended(&self) -> StorageResult<()> {
        let mut ended = self.ended.clone();
        // An error means that the thread has ended, and with it the store.
        let _ = ended.wait_for(|ended| *ended).await;
        self.health.check_failed()?;
        if self.health.is_left_behind() {
            let files: Vec<String> = self
                .unflushed
                .files()
                .iter()
                .map(|f| shown(f).to_string())
                .collect();
            let text = format!(
                "the files of some streams could not be written; their events are in the journal, and \
                 the next open writes the files: {}",
                files.join(", ")
            );
            return Err(StorageError::new(
                StorageErrorKind::Io(io::ErrorKind::Other),
                text,
            ));
        }
        Ok(())
    }
}

impl Drop for FileStorage {
    fn drop(&mut self) {
        if self.process.is_this() {
            self.close();
        } else {
            // The journal and the locks are the parent's.
            self.committer.leak();
        }
    }
}
