//! The store: [`AggregateStore`].

use std::fmt;
use std::io;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

mod append;
mod backup;
mod builder;
pub(crate) mod bus;
mod compress;
mod dead_letters;
mod decisions;
mod export;
mod follow;
mod followers;
#[cfg(feature = "personal")]
mod forget;
mod health;
mod import;
pub mod inspect;
#[cfg(feature = "personal")]
mod keys;
mod lifecycle;
mod maintenance;
mod metrics;
mod model;
mod opened;
mod past;
mod positions;
mod process_managers;
#[cfg(feature = "metrics")]
mod publish;
mod reading;
mod rebuild;
mod restore;
mod retention;
mod spawn;
#[cfg(feature = "sqlite")]
mod sql;
#[cfg(test)]
pub(crate) mod tests;
mod under_way;
mod waiting;

pub use append::{AppendError, EventQuery, Found};
pub use backup::{Backup, BackupReport};
pub use builder::AggregateStoreBuilder;
pub use dead_letters::{DeadLetters, ReplayError};
pub use export::exported::ExportedEvent;
pub use export::{Export, ExportForm, ExportReport};
pub use follow::{Follow, Followed};
#[cfg(feature = "personal")]
pub use forget::{ForgetError, Forgotten};
pub use health::{Problem, ProblemKind, StoreHealth};
pub use import::{Import, ImportError, ImportReport};
pub use maintenance::{Repair, Verify};
pub use metrics::{
    AggregateMetrics, CacheMetrics, CommandMetrics, FollowerMetrics, LogMetrics, Metrics,
    ProcessManagerMetrics,
};
pub use rebuild::{Rebuild, RebuildProgress};
pub use restore::{Continuation, Restore, RestorePoint, RestoreReport};
pub use spawn::spawn_actor;
#[cfg(feature = "sqlite")]
pub use sql::{SqlError, SqlReadModel, SqlTables};
pub use waiting::{SettleError, WaitError};

use crate::clock::millis;
use crate::domain::aggregate::Aggregate;
use crate::following::ReadSide;
use crate::ids::StreamId;
use crate::runtime::aggregates::{Follows as _, Hold};
use crate::runtime::background::blocking;
use crate::runtime::handle::AggregateHandle;
use crate::runtime::inside;
use crate::runtime::together::Together;
use crate::storage::files::layout::StreamLayout;
use crate::storage::place::Place;

/// What [`AggregateStore::inject_event`] does besides appending the event.
///
/// ```
/// use eventfold_es::InjectOptions;
///
/// assert!(!InjectOptions::default().run_process_managers);
/// ```
#[derive(Debug, Clone, Default)]
pub struct InjectOptions {
    /// Run the process managers once the event is stored. Not by default.
    pub run_process_managers: bool,
}

/// An event store, in a directory or [in memory](Self::in_memory). It hands out aggregates, and runs the projections and process
/// managers that read their events.
///
/// A directory has one open store; clones share it. When the last clone and the last handle are
/// gone, the store finishes what it accepted in the background and releases the directory.
/// [`shutdown`](Self::shutdown) waits for that.
///
/// ```
/// # use eventfold_es::{*, __private::example::*};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path();
/// let store = AggregateStore::open(path).await?;
/// let counter = store.get::<Counter>("c-1").await?;
/// counter.send(Add(5)).await?;
/// assert_eq!(store.list::<Counter>().await?, ["c-1"]);
/// store.shutdown().await?;
/// # Ok(())
/// # }
/// ```
#[doc(alias("event sourcing", "event store", "cqrs", "database", "repository"))]
#[derive(Clone)]
pub struct AggregateStore {
    pub(crate) inner: Arc<Hold>,
    pub(crate) read_side: Arc<ReadSide>,
}

impl AggregateStore {
    /// Opens the store in `base_dir`. Creates the directory if it is missing, unless the
    /// [builder](AggregateStoreBuilder::create_if_missing) says otherwise. A directory of
    /// eventfold-es 0.2.0 is taken over once, in a time that depends on its size; `tracing` reports
    /// progress.
    ///
    /// After a crash all commits that were answered are there, and an unfinished one is gone. If a
    /// store in this process is about to release the directory, `open` waits for it.
    ///
    /// # Errors
    ///
    /// * [`io::ErrorKind::ResourceBusy`]: another process has the directory open; the text gives
    ///   its process id. Or another store in this process has it open: clone that store, or shut it
    ///   down. The `lock` file may stay where it is: a process that ends gives its lock up. The
    ///   same error comes if another program has locked the file of a stream that `open` must bring
    ///   in order;
    /// * [`io::ErrorKind::InvalidData`]: a file is damaged; the text says which, at which byte, and
    ///   how. See [what to do then](crate::guide::when_something_fails#a-file-is-damaged);
    /// * [`io::ErrorKind::Unsupported`]: a newer version wrote the directory;
    /// * any other: the directory cannot be used. There is no permission or no space, for example.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path();
    /// let store = AggregateStore::open(path).await?;
    /// let busy = AggregateStore::open(path).await.unwrap_err();
    /// assert_eq!(busy.kind(), std::io::ErrorKind::ResourceBusy);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn open(base_dir: impl AsRef<Path>) -> io::Result<Self> {
        Self::builder(base_dir).open().await
    }

    /// Sets up a store in memory, for tests. It writes no files. Its events are gone when the last
    /// clone and the last handle of the store are gone. Each store that is opened this way is a
    /// separate one.
    ///
    /// It behaves like a store in a directory, except for what only files have:
    /// [`layout`](Self::layout) and [`AggregateHandle::reader`](crate::AggregateHandle::reader)
    /// name files that do not exist, and no snapshots are taken. Its [positions](crate::Position)
    /// have gaps.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let store = AggregateStore::in_memory().projection::<Total>().open().await?;
    /// store.get::<Counter>("c-1").await?.send(Add(5)).await?;
    /// assert_eq!(store.projection::<Total>()?.value, 5);
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias("in-memory", "fake", "mock", "stub", "test double"))]
    pub fn in_memory() -> AggregateStoreBuilder {
        AggregateStoreBuilder::in_memory()
    }

    /// Sets up a store in a schema of a database of PostgreSQL 13 or newer, with the feature
    /// `postgres`. Application code stays the same. The first [`open`](AggregateStoreBuilder::open)
    /// creates the tables. Several processes may have a store on one schema: see the guide page
    /// `several_processes`.
    ///
    /// `url` looks like `postgres://user:password@host:5432/database`. With the feature `postgres-tls` it
    /// may have `sslmode` and `sslrootcert` as libpq does; without it connections are not encrypted and
    /// should stay within a private network. A pooler that shares sessions, such as PgBouncer in its
    /// transaction mode, cannot be used.
    ///
    /// There are no files, so what concerns them is missing: [`layout`](Self::layout) and
    /// [`AggregateHandle::reader`] name paths that do not exist, [`backup`](Self::backup) fails with
    /// [`io::ErrorKind::Unsupported`], and what takes a directory (`verify`, `repair`, `restore`, the
    /// command `eventfold`) does not know the store. Use the database's own backups.
    ///
    /// ```no_run
    /// # use eventfold_es::AggregateStore;
    /// # use std::time::Duration;
    /// # async fn open() -> std::io::Result<()> {
    /// let store = AggregateStore::postgres("postgres://app@db.internal/shop")
    ///     .schema("orders")
    ///     .command_timeout(Duration::from_secs(10))
    ///     .open()
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "postgres")]
    #[doc(alias("database", "sql", "server"))]
    pub fn postgres(url: impl Into<String>) -> AggregateStoreBuilder {
        AggregateStoreBuilder::postgres(url.into())
    }

    /// Sets projections, process managers and options up before opening the store.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path();
    /// use std::time::Duration;
    ///
    /// let store = AggregateStore::builder(path)
    ///     .projection::<Total>()
    ///     .idle_timeout(Duration::from_secs(60))
    ///     .open()
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder(base_dir: impl AsRef<Path>) -> AggregateStoreBuilder {
        AggregateStoreBuilder::new(base_dir.as_ref())
    }

    /// A handle to the aggregate `id` of type `A`, which enters memory. The call stores nothing: a
    /// stream exists from its first event on. It reads nothing either: the first call through the
    /// handle loads the stream, and returns an error if that fails. The
    /// [`version`](AggregateHandle::version) of an aggregate that does not exist is 0.
    ///
    /// An aggregate without events leaves memory with its last handle, one with events when it is
    /// [idle](AggregateStoreBuilder::idle_timeout). To look for an aggregate that may not exist, use
    /// [`find`](Self::find).
    ///
    /// # Errors
    ///
    /// * [`io::ErrorKind::InvalidInput`]: no stream can have that name (see [`StreamId::new`]), its
    ///   directory belongs to a stream of 0.2.0 with another name, or the aggregate is in use as
    ///   another Rust type;
    /// * [`io::ErrorKind::NotConnected`]: the store is [shut down](Self::shutdown).
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let store = AggregateStore::open(dir.path()).await?;
    /// let counter = store.get::<Counter>("c-1").await?;
    /// assert!(store.get::<Counter>("").await.is_err());
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias("repository", "create"))]
    #[expect(clippy::unused_async, reason = "as in 0.2.0")]
    pub async fn get<A: Aggregate>(&self, id: &str) -> io::Result<AggregateHandle<A>> {
        AggregateHandle::get(&self.inner, &StreamId::new(A::AGGREGATE_TYPE, id)?)
    }

    /// A handle to the aggregate `id` of type `A` if it has events, `None` if it has none. A request
    /// for an id that does not exist costs no memory this way: nothing is activated, and nothing is
    /// stored.
    ///
    /// An aggregate never loses its events, so a handle stays right. A `None` may be out of date at
    /// once: a command to create the aggregate goes through [`get`](Self::get) and
    /// [expects version 0](crate::CommandContext::with_expected_version).
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get). Any other: the stream has a directory and no events in the journal, and
    /// what is in its file cannot be loaded; the text says why.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let store = AggregateStore::open(dir.path()).await?;
    /// assert!(store.find::<Counter>("c-1").await?.is_none());
    /// store.get::<Counter>("c-1").await?.send(Add(5)).await?;
    /// let Some(counter) = store.find::<Counter>("c-1").await? else { panic!("it exists") };
    /// assert_eq!(counter.state().await?.value, 5);
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias("exists", "lookup", "not found"))]
    pub async fn find<A: Aggregate>(&self, id: &str) -> io::Result<Option<AggregateHandle<A>>> {
        AggregateHandle::find(&self.inner, &StreamId::new(A::AGGREGATE_TYPE, id)?).await
    }

    /// Begins a group of commands to several aggregates that take effect together: all of their events
    /// are stored in one commit, or none. A rule can span several aggregates this way;
    /// [rules across aggregates](crate::guide::rules_across_aggregates) has the other ways.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let store = AggregateStore::open(dir.path()).await?;
    /// let (one, two) = (store.get::<Counter>("c-1").await?, store.get::<Counter>("c-2").await?);
    /// let done = store.together().send(&one, Add(5)).send(&two, Add(6)).commit().await?;
    /// assert_eq!(done.events(&one), [CounterEvent::Added { amount: 5 }]);
    /// assert_eq!(two.state().await?.value, 6);
    ///
    /// let refused = store.together().send(&one, Add(1)).send(&two, Add(0)).commit().await;
    /// assert!(matches!(refused.unwrap_err().refusal(), Some((1, NothingToAdd))));
    /// assert_eq!(one.state().await?.value, 5); // nothing has changed
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias(
        "transaction",
        "atomic",
        "batch",
        "unit of work",
        "saga",
        "transfer",
        "several aggregates"
    ))]
    pub fn together(&self) -> Together {
        Together::new(self.inner.clone())
    }

    /// The ids of all aggregates of type `A` whose streams have a directory, sorted. A stream's
    /// first event creates its directory. [`StreamLayout::ensure_stream`], [`spawn_actor`] and
    /// 0.2.0 create one without an event.
    ///
    /// # Errors
    ///
    /// * [`io::ErrorKind::InvalidData`]: a stream's file is missing, or a stream has a file and is
    ///   not in the journal; the text says which;
    /// * any other: the error from reading the directory.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let store = AggregateStore::open(dir.path()).await?;
    /// # let counter = store.get::<Counter>("c-1").await?;
    /// assert!(store.list::<Counter>().await?.is_empty());
    /// counter.send(Add(5)).await?;
    /// assert_eq!(store.list::<Counter>().await?, ["c-1"]);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn list<A: Aggregate>(&self) -> io::Result<Vec<String>> {
        let storage = self.inner.storage.clone();
        blocking(move || {
            let streams = storage.list(Some(A::AGGREGATE_TYPE))?;
            Ok(streams.into_iter().map(|(_, id)| id).collect())
        })
        .await
    }

    /// The types and ids of all streams that have a directory, sorted. With an aggregate type, only
    /// the streams of that type.
    ///
    /// # Errors
    ///
    /// As [`list`](Self::list).
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let store = AggregateStore::open(dir.path()).await?;
    /// # let counter = store.get::<Counter>("c-1").await?;
    /// counter.send(Add(5)).await?;
    /// let all = store.list_streams(None).await?;
    /// assert_eq!(all, [("counter".to_owned(), "c-1".to_owned())]);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn list_streams(
        &self,
        aggregate_type: Option<&str>,
    ) -> io::Result<Vec<(String, String)>> {
        let storage = self.inner.storage.clone();
        let only = aggregate_type.map(str::to_owned);
        blocking(move || Ok(storage.list(only.as_deref())?)).await
    }

    /// All events of a stream, in order, as they are stored: under their stored names, with `actor`
    /// and `meta`. Returns no events if the aggregate is in memory and has none yet.
    ///
    /// # Errors
    ///
    /// * [`io::ErrorKind::NotFound`]: there is no such stream, and no such aggregate in memory;
    /// * [`io::ErrorKind::InvalidInput`]: no stream can have that name (see [`StreamId::new`]);
    /// * [`io::ErrorKind::InvalidData`]: the stream's file is damaged, is missing, comes from
    ///   another backup than the journal, or has lines that another program appended; the text says
    ///   where. Or an event has an integer above `u64::MAX` or below `i64::MIN`, which
    ///   [`eventfold::Event`] cannot hold: a [`subscription`](Self::subscribe) delivers such events
    ///   in their stored form;
    /// * any other: the error from reading the file.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let store = AggregateStore::open(dir.path()).await?;
    /// # let counter = store.get::<Counter>("c-1").await?;
    /// counter.send(Add(5)).await?;
    /// let events = store.read_events("counter", "c-1").await?;
    /// assert_eq!(events[0].event_type, "Added");
    /// assert_eq!(events[0].data["amount"], 5);
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias("history", "audit log", "event stream"))]
    pub async fn read_events(
        &self,
        aggregate_type: &str,
        instance_id: &str,
    ) -> io::Result<Vec<eventfold::Event>> {
        let id = StreamId::new(aggregate_type, instance_id)?;
        self.inner.storage.check_process()?;
        let is_live = self.inner.registry.is_live(&id);
        let stream = self.inner.storage.stream(&id);
        // Followers of the log see an event shortly before its stream has it. If those commits or
        // the store fail, this call still reads what is there.
        let _ = stream.settle().await;
        blocking(move || {
            if !stream.exists() {
                if is_live {
                    return Ok(Vec::new());
                }
                let text = format!("there is no stream {}", stream.id());
                return Err(io::Error::new(io::ErrorKind::NotFound, text));
            }
            let mut events = Vec::new();
            stream
                .read()
                .events(Place::default(), |loaded| -> io::Result<_> {
                    let event = loaded.event.to_eventfold();
                    events.push(event.map_err(|error| loaded.event.failed(&error))?);
                    Ok(ControlFlow::Continue(()))
                })?;
            Ok(events)
        })
        .await
    }

    /// Appends an event that was decided elsewhere, on another device for example. It keeps its id,
    /// time, `actor` and `meta`. It takes its turn among the aggregate's commands, and projections
    /// include it afterwards. The stream's file has it when this returns. If the file cannot be
    /// written, the event is durable in the journal and is read from there.
    ///
    /// If the stream has an event with this id, however old, nothing is stored. An event without an
    /// id is always appended. The first injection into an aggregate since it entered memory reads
    /// its whole stream.
    ///
    /// # Errors
    ///
    /// * [`io::ErrorKind::InvalidInput`]: no stream can have that name (see [`StreamId::new`]), or
    ///   the aggregate is in use as another Rust type;
    /// * [`io::ErrorKind::InvalidData`]: the aggregate could not load the event, so it is not
    ///   stored; or a file is damaged;
    /// * [`io::ErrorKind::NotConnected`]: the store is shut down;
    /// * any other: the event could not be stored; or it is stored, and the process managers could
    ///   not be run. An event with an id can safely be injected again.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let store = AggregateStore::open(dir.path()).await?;
    /// # let counter = store.get::<Counter>("c-1").await?;
    /// let added = eventfold::Event::new("Added", serde_json::json!({ "amount": 5 }));
    /// let added = added.with_id("e-1");
    /// store.inject_event::<Counter>("c-1", added.clone(), InjectOptions::default()).await?;
    /// store.inject_event::<Counter>("c-1", added, InjectOptions::default()).await?; // nothing new
    /// assert_eq!(counter.state().await?.value, 5);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn inject_event<A: Aggregate>(
        &self,
        instance_id: &str,
        event: eventfold::Event,
        opts: InjectOptions,
    ) -> io::Result<()> {
        let handle = self.get::<A>(instance_id).await?;
        handle.inject(event).await?;
        let stream = handle.stream().clone();
        let read_side = self.read_side.clone();
        blocking(move || {
            stream.flush();
            read_side.catch_up_projections();
            Ok(())
        })
        .await?;
        if opts.run_process_managers {
            self.run_process_managers().await?;
        }
        Ok(())
    }

    /// The directories of the store. A stream's file is written a few milliseconds after its
    /// commands are answered. This call blocks until that is done, so the files have everything
    /// that was answered before.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let store = AggregateStore::open(dir.path()).await?;
    /// let file = store.layout().stream_dir("counter", "c-1").join("app.jsonl");
    /// # Ok(())
    /// # }
    /// ```
    pub fn layout(&self) -> &StreamLayout {
        self.inner.storage.flush();
        self.inner.storage.layout()
    }

    /// Shuts the store down: accepts nothing new, finishes what was accepted, saves projections,
    /// writes a checkpoint so that the next open has nothing to replay, and releases the directory.
    /// [In production](crate::guide::in_production#starting-and-ending) shows it after SIGTERM.
    ///
    /// After that, commands and reads through handles fail with `Closed`. [`get`](Self::get),
    /// [`inject_event`](Self::inject_event), [`projection`](Self::projection) and
    /// [`run_process_managers`](Self::run_process_managers) fail with
    /// [`io::ErrorKind::NotConnected`], and subscriptions end with it.
    ///
    /// # Errors
    ///
    /// * [`io::ErrorKind::Deadlock`]: code that the store runs made this call. Nothing happens;
    /// * any other: the store had failed, or a stream's file could not be brought up to the
    ///   journal. The next open does that. The directory is released all the same.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let store = AggregateStore::open(dir.path()).await?;
    /// # let counter = store.get::<Counter>("c-1").await?;
    /// counter.send(Add(5)).await?;
    /// store.shutdown().await?;
    /// let store = AggregateStore::open(dir.path()).await?; // the directory is free
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias("close", "graceful shutdown"))]
    pub async fn shutdown(&self) -> io::Result<()> {
        inside::refuse("shutdown")?;
        self.inner.storage.check_process()?;
        let start = Instant::now();
        self.inner.start_closing();
        if let Some(live) = self.read_side.live.get() {
            live.stop();
            live.ended().await;
        }
        self.inner.registry.retire().await;
        // A run of the process managers stops at its next command.
        let run = self.read_side.run.lock().await;
        let read_side = self.read_side.clone();
        let saved = blocking(move || {
            read_side.close();
            Ok(())
        });
        if let Err(error) = saved.await {
            tracing::error!(%error, "the read side could not be saved");
        }
        drop(run);
        self.inner.registry.keys.close();
        self.inner.storage.close();
        let ended = self.inner.storage.ended().await;
        self.inner.registry.let_all_go();
        tracing::info!(elapsed_ms = millis(start), "store shut down");
        Ok(ended?)
    }
}

impl fmt::Debug for AggregateStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AggregateStore")
            .field("base_dir", &self.inner.storage.layout().base_dir())
            .finish_non_exhaustive()
    }
}
