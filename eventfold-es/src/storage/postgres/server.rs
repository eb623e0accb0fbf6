//! The server that has a store's schema: [`Server`]. Its connections live on a thread of the store,
//! so a caller may block, on any runtime or none.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::{Semaphore, oneshot};
use tokio_postgres::types::ToSql;
use tokio_postgres::{AsyncMessage, Config, Row};

use crate::storage::error::{StorageError, StorageErrorKind, StorageResult};
use crate::storage::health::Health;
use crate::storage::postgres::connection::Connection;
use crate::storage::postgres::failure::Failure;
use crate::storage::postgres::known::{HEAD, Known};
use crate::storage::postgres::names::quoted;
use crate::storage::postgres::rows::unsigned;
use crate::storage::postgres::tls::Tls;
use crate::sync::lock;

/// How many connections read at the same time. One more writes.
const READERS: usize = 4;
/// The first and the longest pause between two attempts to reach the server.
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(10);
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A parameter of a statement.
pub(super) type Param = Box<dyn ToSql + Send + Sync>;

/// Work for the thread of the connections.
type Work<T> = Pin<Box<dyn Future<Output = StorageResult<T>> + Send>>;

/// What the thread of the connections was told to do. It does so even if nobody waits for it.
#[derive(Debug)]
pub(super) struct Pending<T>(mpsc::Receiver<StorageResult<T>>);

impl<T> Pending<T> {
    /// Blocks until it is done.
    pub(super) fn wait(self) -> StorageResult<T> {
        // Without an answer the thread has ended.
        let result = self.0.recv();
        result.unwrap_or_else(|_| Err(StorageError::closed()))
    }
}

/// A server, and the connections to it.
#[derive(Debug)]
pub(super) struct Server {
    config: Config,
    tls: Tls,
    schema: String,
    /// The schema and the server, for messages. Without the password.
    place: String,
    /// How long a call may wait for the server.
    timeout: Duration,
    runtime: Handle,
    /// The thread of `runtime`. Nothing on it may block.
    thread: ThreadId,
    idle: Mutex<Vec<Connection>>,
    room: Semaphore,
    /// The store has ended. Whoever still reads, as subscriptions do, shares one connection with those who
    /// read at the same time.
    closed: AtomicBool,
    /// How many calls are being made.
    calls: AtomicUsize,
    /// Tells the thread of the connections when nobody has the server any more.
    _alive: oneshot::Sender<()>,
    /// How far the log is known.
    known: Known,
}

impl Server {
    /// Must be called on the thread of the current runtime, which all connections will use.
    ///
    /// The receiver ends when nobody has the server any more.
    pub(super) fn new(
        (config, tls): (Config, Tls),
        schema: String,
        place: String,
        timeout: Duration,
        health: Arc<Health>,
    ) -> (Arc<Self>, oneshot::Receiver<()>) {
        let (alive, gone) = oneshot::channel();
        let server = Self {
            config,
            tls,
            schema,
            place,
            timeout,
            runtime: Handle::current(),
            thread: std::thread::current().id(),
            idle: Mutex::default(),
            room: Semaphore::new(READERS),
            closed: AtomicBool::new(false),
            calls: AtomicUsize::new(0),
            known: Known::new(health),
            _alive: alive,
        };
        (Arc::new(server), gone)
    }

    pub(super) fn schema(&self) -> &str {
        &self.schema
    }

    pub(super) fn place(&self) -> &str {
        &self.place
    }

    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Notes that the log ends at `position`, where it has this chained checksum, or after it. Fails if
    /// this contradicts what is known.
    pub(super) fn learn(&self, position: u64, chain: i64) -> Result<(), Failure> {
        self.known.learn(position, chain, &self.place)
    }

    /// Notes that the store has ended, and ends the idle connections.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.room.forget_permits(READERS - 1);
        lock(&self.idle).clear();
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Runs `work` on the thread of the connections, and blocks this one until it is done.
    pub(super) fn wait<T: Send + 'static>(
        &self,
        work: impl Future<Output = StorageResult<T>> + Send + 'static,
    ) -> StorageResult<T> {
        self.start(work)?.wait()
    }

    /// Lets the thread of the connections begin with `work`.
    fn start<T: Send + 'static>(
        &self,
        work: impl Future<Output = StorageResult<T>> + Send + 'static,
    ) -> StorageResult<Pending<T>> {
        if std::thread::current().id() == self.thread {
            let text = "the thread of the connections would wait for itself";
            return Err(StorageError::new(StorageErrorKind::Bug, text));
        }
        let (done, result) = mpsc::sync_channel(1);
        self.runtime.spawn(async move {
            let _ = done.send(work.await);
        });
        Ok(Pending(result))
    }

    /// As [`wait`](Self::wait), without blocking. `work` is boxed, so that the futures of callers, which
    /// have this one in them, stay small.
    pub(super) async fn run<T: Send + 'static>(&self, work: Work<T>) -> StorageResult<T> {
        let done = self.runtime.spawn(work).await;
        done.unwrap_or_else(|_| Err(StorageError::closed()))
    }

    /// Reads from the schema, and blocks until it is done.
    pub(super) fn read(
        self: &Arc<Self>,
        action: &'static str,
        sql: &'static str,
        params: Vec<Param>,
    ) -> StorageResult<Vec<Row>> {
        self.start_read(action, sql, params)?.wait()
    }

    /// As [`read`](Self::read), without waiting for the rows.
    pub(super) fn start_read(
        self: &Arc<Self>,
        action: &'static str,
        sql: &'static str,
        params: Vec<Param>,
    ) -> StorageResult<Pending<Vec<Row>>> {
        let this = self.clone();
        self.start(async move { this.query(action, sql, &params).await })
    }

    /// As [`read`](Self::read), without blocking.
    pub(super) async fn read_async(
        self: &Arc<Self>,
        action: &'static str,
        sql: &'static str,
        params: Vec<Param>,
    ) -> StorageResult<Vec<Row>> {
        let this = self.clone();
        self.run(Box::pin(
            async move { this.query(action, sql, &params).await },
        ))
        .await
    }

    /// Asks the server where the log ends.
    pub(super) async fn current_head(&self) -> StorageResult<u64> {
        let rows = self.query("read the end of", HEAD, &[]).await?;
        if let Some(row) = rows.first() {
            let learned = self.learn(unsigned(row.get(0)), row.get(1));
            learned.map_err(|failure| failure.into_error("read the end of", &self.place))?;
        }
        Ok(self.known.position())
    }

    /// Makes a change that can be repeated, and blocks until it is durable.
    pub(super) fn change(
        self: &Arc<Self>,
        action: &'static str,
        sql: &'static str,
        params: Vec<Param>,
    ) -> StorageResult<()> {
        self.read(action, sql, params).map(drop)
    }

    /// Makes a call that can be repeated, on the thread of the connections.
    pub(super) async fn query(
        &self,
        action: &'static str,
        sql: &'static str,
        params: &[Param],
    ) -> StorageResult<Vec<Row>> {
        let done = self.attempt(sql, params).await;
        done.map_err(|failure| failure.into_error(action, &self.place))
    }

    /// Makes the call, again and again while the server cannot be reached, up to the time limit.
    async fn attempt(&self, sql: &'static str, params: &[Param]) -> Result<Vec<Row>, Failure> {
        let started = Instant::now();
        let mut pause = Duration::ZERO;
        let mut told = None;
        loop {
            let left = self.timeout.saturating_sub(started.elapsed());
            let failure = match self.attempt_once(sql, params, left).await {
                Ok(rows) => return Ok(rows),
                Err(failure) => failure,
            };
            let left = self.timeout.saturating_sub(started.elapsed());
            let is_passing = failure.is_lost() || failure.is_transient();
            if !is_passing || left.is_zero() || self.is_closed() {
                return Err(match failure {
                    // The last attempt may end before the server says again what is wrong.
                    Failure::NoAnswer(_) => told.unwrap_or(failure),
                    failure => failure,
                });
            }
            tracing::debug!(place = self.place, ?failure, "the server is asked again");
            told = failure.is_of_server().then_some(failure);
            tokio::time::sleep(pause.min(left)).await;
            // The first connection may have been lost long ago.
            pause = (pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        }
    }

    async fn attempt_once(
        &self,
        sql: &'static str,
        params: &[Param],
        left: Duration,
    ) -> Result<Vec<Row>, Failure> {
        let _calling = Calling::new(self);
        let call = async {
            // Nobody closes the semaphore.
            let _room = self.room.acquire().await;
            let mut connection = self.connection().await?;
            let params: Vec<&(dyn ToSql + Sync)> =
                params.iter().map(|param| &**param as _).collect();
            let rows = connection.query(sql, &params).await;
            if !connection.client.is_closed() {
                lock(&self.idle).push(connection);
            }
            Ok::<_, Failure>(rows?)
        };
        match tokio::time::timeout(left, call).await {
            Ok(done) => done,
            Err(_) => Err(Failure::NoAnswer(self.timeout)),
        }
    }

    /// A connection that is idle, or a new one.
    async fn connection(&self) -> Result<Connection, Failure> {
        loop {
            let idle = lock(&self.idle).pop();
            match idle {
                Some(idle) if idle.client.is_closed() => {}
                Some(idle) => return Ok(idle),
                None => return self.connect().await,
            }
        }
    }

    /// A new connection that finds the tables of the schema.
    pub(super) async fn connect(&self) -> Result<Connection, Failure> {
        self.connect_and_hear(|_| {}).await
    }

    /// As [`connect`](Self::connect). Notifications of the server are passed to `hear`.
    pub(super) async fn connect_and_hear(
        &self,
        hear: impl FnMut(&str) + Send + 'static,
    ) -> Result<Connection, Failure> {
        // A server may fall silent at any moment.
        let connected = tokio::time::timeout(self.timeout, self.connect_patiently(hear)).await;
        connected.unwrap_or(Err(Failure::NoAnswer(self.timeout)))
    }

    async fn connect_patiently(
        &self,
        mut hear: impl FnMut(&str) + Send + 'static,
    ) -> Result<Connection, Failure> {
        let connecting = self.config.connect(self.tls.connector());
        let (client, mut connection) = connecting.await?;
        tokio::spawn(async move {
            while let Some(message) = poll_fn(|context| connection.poll_message(context)).await {
                match message {
                    Ok(AsyncMessage::Notification(heard)) => hear(heard.payload()),
                    Ok(_) => {}
                    Err(error) => {
                        tracing::debug!(%error, "a connection to the server was lost");
                        break;
                    }
                }
            }
        });
        // Compiling a statement takes longer than ours run. `append` looks at what is committed when it has
        // the lock. A session ends whose process is gone with its machine.
        let settings = format!(
            "SET search_path TO {}; SET jit = off; \
             SET default_transaction_isolation = 'read committed'; SET tcp_keepalives_idle = 10; \
             SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 5",
            quoted(&self.schema)
        );
        client.batch_execute(&settings).await?;
        let mut connection = Connection::new(client);
        // It may be another server, after a failover or a restore.
        self.known.check(&mut connection, &self.place).await?;
        Ok(connection)
    }
}

/// A call that is being made. After the end of the store the last one of those that are made at the same
/// time ends the connection.
struct Calling<'a>(&'a Server);

impl<'a> Calling<'a> {
    fn new(server: &'a Server) -> Self {
        server.calls.fetch_add(1, Ordering::AcqRel);
        Self(server)
    }
}

impl Drop for Calling<'_> {
    fn drop(&mut self) {
        if self.0.calls.fetch_sub(1, Ordering::AcqRel) == 1 && self.0.is_closed() {
            lock(&self.0.idle).clear();
        }
    }
}
