//! Storage. Its unit is the commit. Nothing above this module knows where events are kept.
//!
//! [`Storage`] is one of the backends. It gives access to [streams](stream::Stream), which load
//! events and take commits. The [log](log::Log) has all commits in the order of their positions.
//! [Records](record::Records) belong to the log's followers. A new backend is a new variant here.
//!
//! Callers may rely on the order of positions only. Positions need not be dense.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

pub(crate) mod commit;
pub(crate) mod condition;
pub(crate) mod encoding;
#[cfg(feature = "personal")]
pub(crate) mod erase;
pub(crate) mod error;
pub(crate) mod files;
pub(crate) mod health;
pub(crate) mod lease;
pub(crate) mod load_now;
pub(crate) mod loaded;
pub(crate) mod log;
pub(crate) mod memory;
pub(crate) mod observed;
mod occupancy;
pub(crate) mod place;
#[cfg(feature = "postgres")]
pub(crate) mod postgres;
pub(crate) mod process;
mod random;
pub(crate) mod record;
pub(crate) mod record_name;
pub(crate) mod restored;
pub(crate) mod retention;
pub(crate) mod search;
pub(crate) mod snapshot;
pub(crate) mod stream;
pub(crate) mod term;
pub(crate) mod trouble;
pub(crate) mod unfinished;

use crate::clock::Clock;
use crate::domain::command::Fingerprint;
use crate::event::StoredEvent;
use crate::ids::StreamId;
use crate::meter::Meters;
use commit::{CONFLICT_ROUNDS, CommitError, GroupCommit};
use error::{StorageError, StorageErrorKind, StorageResult};
use files::FileStorage;
use files::layout::StreamLayout;
use files::streams::handle::FileStream;
use lease::Leases;
use load_now::LoadNow;
use log::{Log, LogReader};
use memory::MemoryStorage;
#[cfg(feature = "postgres")]
use postgres::PgStorage;
use process::Process;
use record::Records;
use record_name::Follower;
use retention::{DroppedJournal, Needs};
use search::Search;
use stream::Stream;
use trouble::Trouble;
use unfinished::Unfinished;

/// The storage of an open store.
#[derive(Debug, Clone)]
pub(crate) enum Storage {
    /// Plain files in a directory.
    Files(Arc<FileStorage>),
    /// Memory, for tests.
    Memory(Arc<MemoryStorage>),
    /// A schema of a database of PostgreSQL.
    #[cfg(feature = "postgres")]
    Postgres(Arc<PgStorage>),
}

impl Storage {
    /// The files of a store that has them.
    #[cfg(test)]
    pub(crate) fn files(&self) -> &Arc<FileStorage> {
        match self {
            Self::Files(files) => files,
            Self::Memory(_) => panic!("the store is in memory"),
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => panic!("the store is on a server"),
        }
    }

    /// How many streams the storage keeps in memory, apart from the events.
    #[cfg(test)]
    pub(crate) fn streams_in_memory(&self) -> usize {
        match self {
            Self::Files(files) => files.streams_in_use(),
            Self::Memory(memory) => memory.streams_in_memory(),
            #[cfg(feature = "postgres")]
            Self::Postgres(postgres) => postgres.streams_in_memory(),
        }
    }

    /// The stream `id`, whether it exists or not.
    pub(crate) fn stream(&self, id: &StreamId) -> Stream {
        match self {
            Self::Files(files) => Stream::Files(FileStream::new(files, id)),
            Self::Memory(memory) => Stream::Memory(memory.stream(id)),
            #[cfg(feature = "postgres")]
            Self::Postgres(postgres) => Stream::Postgres(postgres.stream(id)),
        }
    }

    /// Whether other stores may append to the log too.
    pub(crate) fn is_shared(&self) -> bool {
        match self {
            Self::Files(_) => false,
            Self::Memory(memory) => memory.is_shared(),
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => true,
        }
    }

    /// How often a command is decided at most, if other events come between again and again.
    pub(crate) fn conflict_rounds(&self) -> u32 {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(postgres) => postgres.conflict_rounds(),
            _ => CONFLICT_ROUNDS,
        }
    }

    /// Submits a commit of several streams, all of this storage. It is stored whole or not at all. As
    /// [`Stream::commit`], it takes its place in the order of commits with this call, and fails the
    /// epochs of all its streams if it fails.
    pub(crate) async fn commit_group(&self, group: GroupCommit<Stream>) {
        let foreign = "a stream belongs to the store that made it";
        match self {
            Self::Files(files) => {
                let to_files = |stream: Stream| stream.into_files().map(FileStream::into_stream);
                let group = group.map_streams(to_files);
                files.commit_group(group.expect(foreign)).await;
            }
            Self::Memory(memory) => {
                let group = group.map_streams(Stream::into_memory);
                memory.commit_group(group.expect(foreign));
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(postgres) => {
                let group = group.map_streams(Stream::into_postgres);
                postgres.commit_group(group.expect(foreign)).await;
            }
        }
    }

    /// Takes the turn to import events, among all processes that may import into the store. False if
    /// another process has it.
    #[cfg_attr(
        not(feature = "postgres"),
        expect(clippy::unused_async, reason = "a server is asked")
    )]
    pub(crate) async fn take_turn_to_import(&self) -> StorageResult<bool> {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(postgres) => postgres.take_turn().await,
            _ => Ok(true),
        }
    }

    /// Gives the turn to import back, after all commits that were handed over.
    pub(crate) fn give_back_turn_to_import(&self) {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(postgres) => postgres.give_back_turn(),
            _ => {}
        }
    }

    /// The directory of `stream`. A storage without directories returns a path that cannot exist.
    pub(crate) fn dir_of(&self, stream: &Stream) -> PathBuf {
        let id = stream.id();
        let dir = stream.dir().map(Path::to_owned);
        dir.unwrap_or_else(|| self.layout().stream_dir(id.aggregate_type(), id.id()))
    }

    /// The directories of the store. A storage without directories returns paths that cannot exist.
    pub(crate) fn layout(&self) -> &StreamLayout {
        match self {
            Self::Files(files) => files.layout(),
            Self::Memory(memory) => memory.layout(),
            #[cfg(feature = "postgres")]
            Self::Postgres(postgres) => postgres.layout(),
        }
    }

    /// Waits until all durable events are in the files that other programs read, as far as these
    /// files can be written.
    pub(crate) fn flush(&self) {
        if let Self::Files(files) = self {
            files.flush_streams();
        }
    }

    /// Compresses the files that nothing is written to any more. Returns how many were.
    pub(crate) async fn compress(&self) -> StorageResult<u64> {
        match self {
            Self::Files(files) => files.compress().await,
            Self::Memory(_) => Ok(0),
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => Ok(0),
        }
    }

    /// Drops the oldest files of the log whose events are all older than `keep_for`, as far as nobody needs
    /// them.
    pub(crate) async fn drop_old_journal(
        &self,
        keep_for: Duration,
        needs: Needs,
    ) -> StorageResult<DroppedJournal> {
        match self {
            Self::Files(files) => files.drop_old_journal(keep_for, needs).await,
            Self::Memory(_) => self.check_can_drop().map(|()| DroppedJournal::default()),
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => self.check_can_drop().map(|()| DroppedJournal::default()),
        }
    }

    /// Drops the oldest files of the log from now on, whenever they are that old.
    pub(crate) fn keep_journal_for(&self, keep_for: Duration, needs: Needs) {
        if let Self::Files(files) = self {
            files.keep_journal_for(keep_for, needs);
        }
    }

    /// Fails if the storage keeps all events.
    pub(crate) fn check_can_drop(&self) -> StorageResult<()> {
        let place = match self {
            Self::Files(_) => return Ok(()),
            Self::Memory(_) => "in memory",
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => "on PostgreSQL",
        };
        let text = format!(
            "a store {place} keeps all events: only a store in a directory can drop the oldest files of its \
             journal"
        );
        Err(StorageError::new(StorageErrorKind::Unsupported, text))
    }

    /// The log has no event up to this position, because they were dropped; 0 if none was.
    pub(crate) fn dropped(&self) -> u64 {
        match self {
            Self::Files(files) => files.journal_index().dropped(),
            Self::Memory(_) => 0,
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => 0,
        }
    }

    /// The types and ids of all streams, or of the streams of one aggregate type, sorted.
    ///
    /// # Errors
    ///
    /// The errors of loading a stream, if a stream is not as it was stored.
    pub(crate) fn list(&self, only: Option<&str>) -> StorageResult<Vec<(String, String)>> {
        match self {
            Self::Files(files) => files.list(only),
            Self::Memory(memory) => Ok(memory.list(only)),
            #[cfg(feature = "postgres")]
            Self::Postgres(postgres) => postgres.list(only),
        }
    }

    /// All commits in the order of their positions.
    pub(crate) fn log(&self) -> Log {
        match self {
            Self::Files(files) => Log::Files(files.log()),
            Self::Memory(memory) => Log::Memory(memory.log()),
            #[cfg(feature = "postgres")]
            Self::Postgres(postgres) => Log::Postgres(postgres.log()),
        }
    }

    /// A reader of the log that starts after position `after`.
    pub(crate) fn reader(&self, after: u64) -> LogReader {
        self.log().reader(after)
    }

    /// Passes the events that `search` selects to `each`, until `each` breaks off. Events that are
    /// stored meanwhile are not among them. Each aggregate's name is a tag of its events.
    ///
    /// # Errors
    ///
    /// If events cannot be read, or `each` fails.
    pub(crate) async fn find<E: From<StorageError> + Send + 'static>(
        &self,
        search: Search,
        each: impl FnMut(StoredEvent<'_>) -> Result<ControlFlow<()>, E> + Send + 'static,
    ) -> Result<(), E> {
        match self {
            Self::Files(files) => files.find(search, each).await,
            Self::Memory(memory) => memory.find(&search, each),
            #[cfg(feature = "postgres")]
            Self::Postgres(postgres) => postgres.find(search, each).await,
        }
    }

    /// Whether the storage knows, without reading, that `search` selects nothing.
    pub(crate) fn has_none(&self, search: &Search) -> bool {
        match self {
            Self::Files(files) => files.has_none(search),
            Self::Memory(_) => search.after >= search.until,
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => search.after >= search.until,
        }
    }

    /// Passes the events of the commit with this idempotency key to `each`, with the fingerprint of
    /// its command, if they belong to no aggregate.
    ///
    /// # Errors
    ///
    /// If events cannot be read.
    pub(crate) async fn find_key(
        &self,
        key: &str,
        each: impl FnMut(StoredEvent<'_>, Option<Fingerprint>) + Send + 'static,
    ) -> StorageResult<()> {
        match self {
            Self::Files(files) => files.find_key(key, each).await,
            Self::Memory(memory) => memory.find_key(key, each),
            #[cfg(feature = "postgres")]
            Self::Postgres(postgres) => postgres.find_key(key, each).await,
        }
    }

    /// The position of the newest event that was durable when this was called. Where other stores append
    /// too, it is asked for.
    #[cfg_attr(
        not(feature = "postgres"),
        expect(clippy::unused_async, reason = "a server is asked")
    )]
    pub(crate) async fn current_head(&self) -> StorageResult<u64> {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(postgres) => postgres.current_head().await,
            _ => Ok(self.head()),
        }
    }

    /// As [`current_head`](Self::current_head). Blocks.
    #[cfg_attr(
        not(feature = "postgres"),
        expect(clippy::unnecessary_wraps, reason = "a server can fail")
    )]
    pub(crate) fn ask_head(&self) -> StorageResult<u64> {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(postgres) => postgres.ask_head(),
            _ => Ok(self.head()),
        }
    }

    /// The position of the newest event that is known to be durable. Other stores may have appended
    /// newer ones.
    pub(crate) fn head(&self) -> u64 {
        match self {
            Self::Files(files) => files.head(),
            Self::Memory(memory) => memory.head(),
            #[cfg(feature = "postgres")]
            Self::Postgres(postgres) => postgres.head(),
        }
    }

    /// A checksum of the history up to the durable event at `position`; 0 for the beginning.
    /// Different histories have different checksums.
    pub(crate) fn history_at(&self, position: u64) -> StorageResult<u64> {
        match self {
            Self::Files(files) => files.history_at(position),
            Self::Memory(memory) => memory.history_at(position),
            #[cfg(feature = "postgres")]
            Self::Postgres(postgres) => postgres.history_at(position),
        }
    }

    /// The records of the follower `name`.
    pub(crate) fn records(&self, follower: Follower, name: &str) -> Records {
        match self {
            Self::Files(files) => Records::Files(files.records(follower, name)),
            Self::Memory(memory) => Records::Memory(memory.records(follower, name)),
            #[cfg(feature = "postgres")]
            Self::Postgres(postgres) => Records::Postgres(postgres.records(follower, name)),
        }
    }

    /// The leases of the followers, `None` if this is the only store on the storage. Then nobody else
    /// runs its followers.
    pub(crate) fn leases(&self) -> Option<Leases> {
        match self {
            Self::Files(_) => None,
            Self::Memory(memory) => memory.leases().map(Leases::Memory),
            #[cfg(feature = "postgres")]
            Self::Postgres(postgres) => Some(Leases::Postgres(postgres.leases())),
        }
    }

    /// The names of all followers of this kind that have records.
    pub(crate) fn followers(&self, follower: Follower) -> StorageResult<Vec<String>> {
        match self {
            Self::Files(files) => files.followers(follower),
            Self::Memory(memory) => Ok(memory.followers(follower)),
            #[cfg(feature = "postgres")]
            Self::Postgres(postgres) => postgres.followers(follower),
        }
    }

    /// The files of read models in SQLite in the store's directory, with the names of the read models.
    pub(crate) fn read_models(&self) -> StorageResult<Vec<(String, PathBuf)>> {
        match self {
            Self::Files(files) => files.read_models(),
            Self::Memory(_) => Ok(Vec::new()),
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => Ok(Vec::new()),
        }
    }

    /// Whether names that differ only in case or Unicode form may be one name here.
    pub(crate) fn names_may_fold(&self) -> bool {
        match self {
            Self::Files(files) => files.names_may_fold(),
            Self::Memory(_) => false,
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => false,
        }
    }

    /// Fails if the stream `id` cannot be stored beside the existing streams.
    pub(crate) fn check_id(&self, id: &StreamId) -> StorageResult<()> {
        match self {
            Self::Files(files) => files.layout().check(id),
            Self::Memory(_) => Ok(()),
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => Ok(()),
        }
    }

    /// The version up to which eventfold-es 0.2.0 had read the stream `id`. Its cursor was at the
    /// byte `offset`, after the line with this `hash`. `None` if no line ends there.
    pub(crate) fn version_of_cursor(
        &self,
        id: &StreamId,
        offset: u64,
        hash: Option<&str>,
    ) -> StorageResult<Option<u64>> {
        match self {
            Self::Files(files) => files.version_of_cursor(id, offset, hash),
            Self::Memory(_) => Ok(None),
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => Ok(None),
        }
    }

    /// What the store counts.
    #[inline]
    pub(crate) fn meters(&self) -> &Arc<Meters> {
        match self {
            Self::Files(files) => files.meters(),
            Self::Memory(memory) => memory.meters(),
            #[cfg(feature = "postgres")]
            Self::Postgres(postgres) => postgres.meters(),
        }
    }

    /// What the storage has at hand and in memory now.
    pub(crate) fn load_now(&self) -> LoadNow {
        match self {
            Self::Files(files) => files.load_now(),
            Self::Memory(memory) => memory.load_now(),
            #[cfg(feature = "postgres")]
            Self::Postgres(postgres) => postgres.load_now(),
        }
    }

    /// What keeps the storage from taking commits, and what is wrong with it otherwise.
    pub(crate) fn troubles(&self) -> Vec<Trouble> {
        match self {
            Self::Files(files) => files.troubles(),
            Self::Memory(memory) => memory.troubles(),
            #[cfg(feature = "postgres")]
            Self::Postgres(postgres) => postgres.troubles(),
        }
    }

    pub(crate) fn clock(&self) -> &Clock {
        match self {
            Self::Files(files) => files.clock(),
            Self::Memory(memory) => memory.clock(),
            #[cfg(feature = "postgres")]
            Self::Postgres(postgres) => postgres.clock(),
        }
    }

    /// Fails if the store takes no more commits until it is opened again.
    pub(crate) fn check_failed(&self) -> Result<(), CommitError> {
        match self {
            Self::Files(files) => files.check_failed(),
            Self::Memory(_) => Ok(()),
            #[cfg(feature = "postgres")]
            Self::Postgres(postgres) => postgres.check_failed(),
        }
    }

    /// The process that the store belongs to.
    pub(crate) fn process(&self) -> &Process {
        match self {
            Self::Files(files) => files.process(),
            Self::Memory(memory) => memory.process(),
            #[cfg(feature = "postgres")]
            Self::Postgres(postgres) => postgres.process(),
        }
    }

    /// Fails if this process was forked from the process that opened the store.
    pub(crate) fn check_process(&self) -> StorageResult<()> {
        match self {
            Self::Files(files) => files.check_process(),
            Self::Memory(memory) => memory.check_process(),
            #[cfg(feature = "postgres")]
            Self::Postgres(postgres) => postgres.check_process(),
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        match self {
            Self::Files(files) => files.is_closed(),
            Self::Memory(memory) => memory.is_closed(),
            #[cfg(feature = "postgres")]
            Self::Postgres(postgres) => postgres.is_closed(),
        }
    }

    /// Ends the store after all requests submitted so far. Does not wait for the end.
    pub(crate) fn close(&self) {
        match self {
            Self::Files(files) => files.close(),
            Self::Memory(memory) => memory.close(),
            #[cfg(feature = "postgres")]
            Self::Postgres(postgres) => postgres.close(),
        }
    }

    /// Lets the next `open` in this process wait for the end of the store. The end is near once
    /// `unfinished` is dropped.
    pub(crate) fn announce_close(&self, unfinished: Option<Weak<dyn Unfinished>>) {
        match self {
            Self::Files(files) => files.announce_close(unfinished),
            Self::Memory(memory) => memory.announce_close(unfinished),
            #[cfg(feature = "postgres")]
            Self::Postgres(postgres) => postgres.announce_close(unfinished),
        }
    }

    /// Waits until the store has ended.
    ///
    /// # Errors
    ///
    /// The failure of the store, or the work that is left to the next open.
    pub(crate) async fn ended(&self) -> StorageResult<()> {
        match self {
            Self::Files(files) => files.ended().await,
            Self::Memory(_) => Ok(()),
            #[cfg(feature = "postgres")]
            Self::Postgres(postgres) => postgres.ended().await,
        }
    }
}
