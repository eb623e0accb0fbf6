//! The backend on a server: storage in a schema of a database of PostgreSQL.
//!
//! Several stores may be open on a schema, in one process or in several. The path of a commit: [`stream`], the queue ([`requests`]),
//! the [`committer`], the function `append` of `schema.sql`, the answer. All connections live on one
//! thread of the store ([`server`]), which [`PgStorage::open`] starts, so whoever reads may block.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak, mpsc};
use std::time::Duration;

use tokio::sync::{oneshot, watch};

mod batch;
mod committer;
mod connection;
mod failure;
pub(crate) mod in_use;
mod known;
pub(crate) mod leases;
mod listener;
pub(crate) mod log;
mod names;
pub(crate) mod observe;
pub(crate) mod options;
mod parts;
mod pauses;
pub(crate) mod records;
mod requests;
mod rows;
mod search;
mod server;
mod session;
mod snapshots;
pub(crate) mod stream;
mod tls;
mod turn;
pub(crate) mod verify;

use crate::clock::{Clock, monotonic_nanos};
use crate::domain::command::Fingerprint;
use crate::event::StoredEvent;
use crate::ids::StreamId;
use crate::meter::Meters;
use crate::storage::commit::{CommitError, GroupCommit};
use crate::storage::error::{StorageError, StorageErrorKind, StorageResult};
use crate::storage::files::layout::StreamLayout;
use crate::storage::files::lock::Patience;
use crate::storage::files::streams::loader::Loader;
use crate::storage::health::Health;
use crate::storage::load_now::LoadNow;
use crate::storage::occupancy::Occupancy;
use crate::storage::process::Process;
use crate::storage::record_name::Follower;
use crate::storage::search::Search;
use crate::storage::trouble::Trouble;
use crate::storage::unfinished::Unfinished;
use crate::sync::lock;
use committer::Committer;
use in_use::StreamInUse;
use leases::PgLeases;
use listener::News;
use log::PgLog;
use options::PgOptions;
use parts::Parts;
use pauses::Pauses;
use records::PgRecords;
use requests::{Request, Requests};
use server::Server;
use session::{Session, Terms};
use snapshots::SnapshotWriter;
use stream::PgStream;

/// The base directory of the layout. No file can have this name, so nothing is created there.
const NOWHERE: &str = "in-postgres\0";

/// The stores that this process has open, by where they are.
static OPEN: Mutex<Vec<(String, Weak<Occupancy>)>> = Mutex::new(Vec::new());

/// The storage of an open store.
#[derive(Debug)]
pub(crate) struct PgStorage {
    parts: Arc<Parts>,
    health: Arc<Health>,
    meters: Arc<Meters>,
    clock: Clock,
    process: Process,
    layout: StreamLayout,
    occupancy: Arc<Occupancy>,
    /// The streams that the store uses.
    in_use: Mutex<HashMap<StreamId, Weak<StreamInUse>>>,
    ended: watch::Receiver<bool>,
    /// Set by the first `announce_close`.
    announced: AtomicBool,
    /// Set by the first `close`.
    closing: AtomicBool,
}

/// What the thread of the connections tells the opener.
type Opened = StorageResult<Arc<Parts>>;

impl PgStorage {
    /// Opens the store, and creates its tables if there are none and `create` is set. Blocks on the
    /// server. If another store of this process on the schema is about to end, waits as `patience` says.
    pub(crate) fn open(
        options: &PgOptions,
        create: bool,
        clock: Clock,
        patience: &Patience,
    ) -> StorageResult<Arc<Self>> {
        let config = options.config()?;
        let tls = options.tls(&config)?;
        let place = options.place(&config);
        let occupancy = Arc::<Occupancy>::default();
        occupancy.enter(patience, &place, "each store is one")?;
        let others = {
            let mut open = lock(&OPEN);
            open.retain(|(_, occupancy)| occupancy.strong_count() > 0);
            let others = open.iter().filter(|(other, _)| *other == place);
            let others: Vec<_> = others.filter_map(|(_, other)| other.upgrade()).collect();
            open.push((place.clone(), Arc::downgrade(&occupancy)));
            others
        };
        for other in others {
            other.wait_for_end(patience, &place)?;
        }
        let terms = Terms {
            conflict_rounds: options.conflict_rounds,
            create,
            synced: !options.allow_unsynced,
        };
        let (schema, timeout) = (options.schema.clone(), options.command_timeout);
        let (tell, opened) = mpsc::channel::<Opened>();
        let (end, ended) = watch::channel(false);
        let (patience, leaving) = (patience.clone(), occupancy.clone());
        let (meters, health) = (Meters::new(), Health::new(0));
        let (counting, known) = (meters.clone(), health.clone());
        let started = std::thread::Builder::new()
            .name("eventfold-postgres".to_owned())
            .spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_io()
                    .enable_time()
                    .build();
                let leave = || {
                    leaving.leave();
                    end.send_replace(true);
                };
                let runtime = match runtime {
                    Ok(runtime) => runtime,
                    Err(error) => {
                        leave();
                        return drop(tell.send(Err(StorageError::thread(error))));
                    }
                };
                runtime.block_on(async {
                    let (server, gone) =
                        Server::new((config, tls), schema, place, timeout, known.clone());
                    let opened = session::open(&server, &terms, &patience).await;
                    match opened {
                        Ok(session) => {
                            let parts = (server, known, counting);
                            serve(&tell, parts, session, &terms).await;
                            leave();
                        }
                        Err(error) => {
                            drop(server);
                            leave();
                            drop(tell.send(Err(error)));
                        }
                    }
                    // Whoever has a reader may still read.
                    let _ = gone.await;
                });
            });
        if let Err(error) = started {
            occupancy.leave();
            return Err(StorageError::thread(error));
        }
        let text = "the thread of the connections panicked while it opened the schema";
        let panicked = |_| Err(StorageError::new(StorageErrorKind::Bug, text));
        let parts = opened.recv().unwrap_or_else(panicked)?;
        Ok(Arc::new(Self {
            parts,
            health,
            meters,
            clock,
            process: Process::this(),
            layout: StreamLayout::new(Path::new(NOWHERE)),
            occupancy,
            in_use: Mutex::default(),
            ended,
            announced: AtomicBool::new(false),
            closing: AtomicBool::new(false),
        }))
    }

    /// The directories that the store would have. They cannot exist.
    pub(crate) fn layout(&self) -> &StreamLayout {
        &self.layout
    }

    pub(crate) fn stream(&self, id: &StreamId) -> PgStream {
        let mut in_use = lock(&self.in_use);
        let known = in_use.get(id).and_then(Weak::upgrade);
        let stream = known.unwrap_or_else(|| {
            // Those that nobody uses any more go, once they are half of all.
            if in_use.len() == in_use.capacity() {
                in_use.retain(|_, stream| stream.strong_count() > 0);
            }
            let stream = Arc::new(StreamInUse::new(id.clone()));
            in_use.insert(id.clone(), Arc::downgrade(&stream));
            stream
        });
        PgStream::new(self.parts.clone(), stream)
    }

    /// How many streams are known.
    #[cfg(test)]
    pub(crate) fn streams_in_memory(&self) -> usize {
        lock(&self.in_use).len()
    }

    /// The types and ids of all streams, or of those of one type, sorted.
    pub(crate) fn list(&self, only: Option<&str>) -> StorageResult<Vec<(String, String)>> {
        search::list(&self.parts.server, only)
    }

    pub(crate) fn log(&self) -> PgLog {
        PgLog {
            server: self.parts.server.clone(),
            health: self.health.clone(),
        }
    }

    pub(crate) fn head(&self) -> u64 {
        self.health.head()
    }

    /// The position of the newest event that any store has appended.
    pub(crate) async fn current_head(&self) -> StorageResult<u64> {
        let server = self.parts.server.clone();
        let asking = async move { server.current_head().await };
        self.parts.server.run(Box::pin(asking)).await
    }

    /// As [`current_head`](Self::current_head). Blocks.
    pub(crate) fn ask_head(&self) -> StorageResult<u64> {
        let server = self.parts.server.clone();
        let asking = server.clone();
        server.wait(async move { asking.current_head().await })
    }

    pub(crate) fn history_at(&self, position: u64) -> StorageResult<u64> {
        log::history_at(&self.parts.server, position)
    }

    /// Submits a commit of several streams. Waits while too many bytes are pending.
    pub(crate) async fn commit_group(&self, group: GroupCommit<Arc<StreamInUse>>) {
        let request = Request::Group(Box::new(group));
        let room = request.kib();
        self.parts.requests.send_with(room, request).await;
    }

    /// Takes the turn to import. False if another store has it.
    pub(crate) async fn take_turn(&self) -> StorageResult<bool> {
        let (done, taken) = oneshot::channel();
        self.parts.requests.send(Request::TakeTurn(done));
        taken.await.unwrap_or_else(|_| Err(StorageError::closed()))
    }

    /// Gives the turn to import back, after all requests submitted so far.
    pub(crate) fn give_back_turn(&self) {
        self.parts.requests.send(Request::GiveBackTurn);
    }

    /// Passes the events that `search` selects to `each`.
    pub(crate) async fn find<E: From<StorageError> + Send + 'static>(
        &self,
        search: Search,
        each: impl FnMut(StoredEvent<'_>) -> Result<ControlFlow<()>, E> + Send + 'static,
    ) -> Result<(), E> {
        let server = self.parts.server.clone();
        let find = move || search::find(&server, &search, each);
        self.parts.loader.run(find).await
    }

    /// Passes the events that belong to no aggregate and have this idempotency key to `each`.
    pub(crate) async fn find_key(
        &self,
        key: &str,
        each: impl FnMut(StoredEvent<'_>, Option<Fingerprint>) + Send,
    ) -> StorageResult<()> {
        search::find_key(&self.parts.server, key, each).await
    }

    pub(crate) fn records(&self, follower: Follower, name: &str) -> PgRecords {
        PgRecords::new(self.parts.server.clone(), follower, name)
    }

    pub(crate) fn leases(&self) -> PgLeases {
        PgLeases::new(self.parts.server.clone())
    }

    pub(crate) fn followers(&self, follower: Follower) -> StorageResult<Vec<String>> {
        records::followers(&self.parts.server, follower)
    }

    pub(crate) fn meters(&self) -> &Arc<Meters> {
        &self.meters
    }

    pub(crate) fn load_now(&self) -> LoadNow {
        let in_use = lock(&self.in_use);
        let streams = in_use.values().filter(|stream| stream.strong_count() > 0);
        LoadNow {
            waiting_commits: self.meters.appended.in_hand.get(),
            waiting_bytes: self.parts.requests.bytes(),
            open_files: 0,
            streams: streams.count(),
        }
    }

    pub(crate) fn troubles(&self) -> Vec<Trouble> {
        let mut troubles = self.health.troubles();
        let since = self.meters.appended.writing_since.get();
        if since > 0 {
            let time = monotonic_nanos().saturating_sub(since);
            troubles.extend(Trouble::stalled(Duration::from_nanos(time)));
        }
        troubles
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(crate) fn conflict_rounds(&self) -> u32 {
        self.parts.conflict_rounds
    }

    pub(crate) fn check_failed(&self) -> Result<(), CommitError> {
        self.health.check_failed()
    }

    pub(crate) fn process(&self) -> &Process {
        &self.process
    }

    pub(crate) fn check_process(&self) -> StorageResult<()> {
        self.process.check(Path::new(self.parts.server.place()))
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.health.is_closed()
    }

    /// Ends the store after all requests submitted so far. Does not wait for the end; the next
    /// `open` in this process does.
    pub(crate) fn close(&self) {
        self.announce_close(None);
        if !self.closing.swap(true, Ordering::AcqRel) {
            self.parts.requests.send(Request::Close);
        }
    }

    /// Lets the next `open` in this process wait for the end of the store. The end is near once
    /// `unfinished` is dropped.
    pub(crate) fn announce_close(&self, unfinished: Option<Weak<dyn Unfinished>>) {
        if !self.announced.swap(true, Ordering::AcqRel) {
            self.occupancy.announce_end(unfinished);
        }
    }

    /// Waits until the store has ended and others may open the schema. Fails if the store has
    /// failed.
    pub(crate) async fn ended(&self) -> StorageResult<()> {
        let mut ended = self.ended.clone();
        // An error means that the thread has ended, and with it the store.
        let _ = ended.wait_for(|ended| *ended).await;
        Ok(self.health.check_failed()?)
    }
}

/// The life of an open store on the thread of its connections.
async fn serve(
    tell: &mpsc::Sender<Opened>,
    (server, health, meters): (Arc<Server>, Arc<Health>, Arc<Meters>),
    session: Session,
    terms: &Terms,
) {
    let pauses = Arc::<Pauses>::default();
    let news = Arc::<News>::default();
    let listen = listener::listen(
        server.clone(),
        session.writer(),
        pauses.clone(),
        news.clone(),
    );
    let listening = tokio::spawn(listen);
    let (requests, queue, room) = Requests::new(meters.clone());
    let (snapshots, writing) = SnapshotWriter::new(server.clone(), meters.clone());
    let writing = tokio::spawn(writing);
    let committer = Committer::new(
        (server.clone(), health.clone(), meters.clone()),
        (queue, room),
        session,
        terms.synced,
        (pauses.clone(), news),
        snapshots.clone(),
    );
    let parts = Arc::new(Parts {
        server: server.clone(),
        meters,
        conflict_rounds: terms.conflict_rounds,
        pauses,
        requests,
        snapshots: snapshots.clone(),
        loader: Arc::<Loader>::default(),
    });
    // An opener that is gone drops the parts, and so ends the committer.
    drop(tell.send(Ok(parts)));
    let ended = tokio::spawn(committer.run()).await;
    if ended.is_err() {
        let text = "the committer panicked; this is a bug";
        health.fail(StorageError::new(StorageErrorKind::Bug, text));
        health.refuse_new_requests();
    }
    snapshots.finish().await;
    let _ = writing.await;
    listening.abort();
    if let Ok(Some(session)) = ended {
        session.leave(&server).await;
    }
    server.close();
    tracing::info!(place = server.place(), "store closed");
}
