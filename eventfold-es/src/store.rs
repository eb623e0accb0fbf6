//! The store: [`AggregateStore`].

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

mod builder;
mod spawn;

pub use builder::AggregateStoreBuilder;
pub use spawn::spawn_actor;

use crate::actor::Residents;
use crate::aggregate::Aggregate;
use crate::engine::{Engine, Job, StreamEnd, load};
use crate::handle::AggregateHandle;
use crate::layout::StreamLayout;
use crate::process_manager::ProcessManagerReport;
use crate::projection::Projection;
use crate::read_side::{Projecting, ReadSide, lock};
use crate::stream::{Position, StreamId};

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

/// An event store in a directory: hands out its aggregates and runs what reads them.
///
/// A directory has one open store; clones share it. When the last clone and the last handle are
/// gone, what was accepted is finished in the background and the directory is released;
/// [`shutdown`](Self::shutdown) waits for that.
///
/// ```no_run
/// use eventfold_es::AggregateStore;
///
/// # async fn example() -> std::io::Result<()> {
/// let store = AggregateStore::open("./data").await?;
/// // let account = store.get::<BankAccount>("alice").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct AggregateStore {
    pub(crate) inner: Arc<StoreInner>,
}

/// What the clones of a store and its handles share.
pub(crate) struct StoreInner {
    pub(crate) engine: Arc<Engine>,
    residents: Arc<Residents>,
    read_side: Arc<ReadSide>,
    idle_timeout: Duration,
    snapshot_every: u64,
    /// Set by `shutdown`: nothing new is accepted.
    closing: AtomicBool,
}

impl StoreInner {
    pub(crate) fn is_closed(&self) -> bool {
        self.closing.load(Ordering::Acquire) || self.engine.is_closed()
    }

    /// A handle to the aggregate `id`.
    fn handle<A: Aggregate>(self: &Arc<Self>, id: &StreamId) -> io::Result<AggregateHandle<A>> {
        if self.is_closed() {
            return Err(closed());
        }
        self.engine.layout().check(id)?;
        let slot =
            self.residents
                .slot::<A>(&self.engine, id, self.idle_timeout, self.snapshot_every)?;
        AggregateHandle::new(self.clone(), slot)
    }
}

impl Drop for StoreInner {
    fn drop(&mut self) {
        let read_side = self.read_side.clone();
        let save = Job::Run(Box::new(move || read_side.save_projections()));
        self.engine.keeper().submit(save);
        self.engine.close();
    }
}

fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "the store is shut down")
}

impl AggregateStore {
    /// Opens the store in `base_dir`, which is created if need be. A directory of eventfold-es
    /// 0.2.0 is taken over, which takes time by its size once.
    ///
    /// # Errors
    ///
    /// * [`io::ErrorKind::ResourceBusy`]: another process or another store in this one has the
    ///   directory open;
    /// * [`io::ErrorKind::InvalidData`]: a file is damaged; the text says which, where and how;
    /// * any other: the directory cannot be used.
    pub async fn open(base_dir: impl AsRef<Path>) -> io::Result<Self> {
        Self::builder(base_dir).open().await
    }

    /// Sets projections, process managers and options up before opening the store.
    ///
    /// ```no_run
    /// use eventfold_es::AggregateStore;
    /// use std::time::Duration;
    ///
    /// # async fn example() -> std::io::Result<()> {
    /// let store = AggregateStore::builder("./data")
    ///     // .projection::<Totals>()
    ///     .idle_timeout(Duration::from_secs(60))
    ///     .open()
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder(base_dir: impl AsRef<Path>) -> AggregateStoreBuilder {
        AggregateStoreBuilder::new(base_dir.as_ref())
    }

    /// A handle to the aggregate `id` of type `A`, which enters memory. Nothing is stored by that:
    /// a stream exists from its first event on.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidInput`] if no stream can have that name (see [`StreamId::new`]), its
    /// directory is that of a stream of 0.2.0 under another name, or
    /// the aggregate is in use as another Rust type; [`io::ErrorKind::NotConnected`] after
    /// [`shutdown`](Self::shutdown).
    #[expect(clippy::unused_async, reason = "as in 0.2.0")]
    pub async fn get<A: Aggregate>(&self, id: &str) -> io::Result<AggregateHandle<A>> {
        self.inner.handle(&StreamId::new(A::AGGREGATE_TYPE, id)?)
    }

    /// The ids of all aggregates of type `A` that have events, sorted.
    ///
    /// # Errors
    ///
    /// What reading the directory failed with.
    pub async fn list<A: Aggregate>(&self) -> io::Result<Vec<String>> {
        let layout = self.layout().clone();
        blocking(move || layout.list_streams(A::AGGREGATE_TYPE)).await
    }

    /// The types and ids of all streams, or of those of one aggregate type, sorted.
    ///
    /// # Errors
    ///
    /// What reading the directories failed with.
    pub async fn list_streams(
        &self,
        aggregate_type: Option<&str>,
    ) -> io::Result<Vec<(String, String)>> {
        let layout = self.layout().clone();
        let only = aggregate_type.map(str::to_owned);
        blocking(move || {
            let types = match only {
                Some(only) => vec![only],
                None => layout.list_aggregate_types()?,
            };
            let mut streams = Vec::new();
            for aggregate_type in types {
                let ids = layout.list_streams(&aggregate_type)?;
                streams.extend(ids.into_iter().map(|id| (aggregate_type.clone(), id)));
            }
            Ok(streams)
        })
        .await
    }

    /// All events of a stream, in order.
    ///
    /// # Errors
    ///
    /// * [`io::ErrorKind::NotFound`]: there is no such stream, and no such aggregate in memory;
    /// * [`io::ErrorKind::InvalidData`]: the stream's file is damaged.
    pub async fn read_events(
        &self,
        aggregate_type: &str,
        instance_id: &str,
    ) -> io::Result<Vec<eventfold::Event>> {
        let id = StreamId::new(aggregate_type, instance_id)?;
        let is_live = self.inner.residents.is_live(&id);
        let stream = self.inner.engine.stream(&id);
        blocking(move || {
            let behind = stream.tail().behind.clone();
            if behind.is_none() && !stream.dir().is_dir() {
                if is_live {
                    return Ok(Vec::new());
                }
                let text = format!("there is no stream {}", stream.id());
                return Err(io::Error::new(io::ErrorKind::NotFound, text));
            }
            let mut events = Vec::new();
            load(&stream, StreamEnd::default(), behind.as_ref(), |loaded| {
                events.push(loaded.to_eventfold()?);
                Ok(())
            })?;
            Ok(events)
        })
        .await
    }

    /// Brings the projection `P` up to date and returns a copy of its state: every command that was
    /// answered before is in it.
    ///
    /// Blocks on the disk while there are new events, and never waits for a task.
    ///
    /// # Errors
    ///
    /// * [`io::ErrorKind::NotFound`]: `P` is not registered;
    /// * any other: the journal could not be read, or `P` panicked on an event (the text says which;
    ///   it stays failed until the store is opened again).
    pub fn projection<P: Projection>(&self) -> io::Result<P> {
        let projection = self.inner.read_side.projection::<P>()?;
        lock(projection).catch_up().cloned()
    }

    /// Builds the projection `P` again from the first event on; its old state serves meanwhile.
    ///
    /// Blocks on the disk, and never waits for a task.
    ///
    /// # Errors
    ///
    /// As [`projection`](Self::projection), or what saving the checkpoint failed with. The old state
    /// stays then.
    pub fn rebuild_projection<P: Projection>(&self) -> io::Result<()> {
        let projection = self.inner.read_side.projection::<P>()?;
        Projecting::rebuild(projection, &self.inner.engine)
    }

    /// Lets every process manager react to what is new, dispatches their commands one after the
    /// other, and saves how far they are. A command that does not succeed is written to the dead
    /// letters (`process_managers/<NAME>/dead_letters.jsonl`).
    ///
    /// # Errors
    ///
    /// If the journal, a checkpoint or the dead letters could not be read or written, or a process
    /// manager panicked. What was not dispatched then is at the next run.
    pub async fn run_process_managers(&self) -> io::Result<ProcessManagerReport> {
        if self.inner.is_closed() {
            return Err(closed());
        }
        let read_side = &self.inner.read_side;
        let _run = read_side.run.lock().await;
        let mut report = ProcessManagerReport::default();
        for manager in &read_side.process_managers {
            let catching_up = manager.clone();
            blocking(move || lock(&catching_up).catch_up()).await?;
        }
        for manager in &read_side.process_managers {
            loop {
                let next = lock(manager).next();
                let Some(outgoing) = next else { break };
                let dispatched = self.dispatch(outgoing.envelope).await;
                let mut manager = lock(manager);
                match dispatched {
                    Ok(()) => report.dispatched += 1,
                    Err(error) => {
                        manager.bury(&error)?;
                        report.dead_lettered += 1;
                    }
                }
                manager.sent();
            }
        }
        for manager in &read_side.process_managers {
            let saving = manager.clone();
            blocking(move || lock(&saving).save()).await?;
        }
        Ok(report)
    }

    /// Sends a command of a process manager; the error is what its dead letter says.
    async fn dispatch(&self, envelope: crate::CommandEnvelope) -> Result<(), String> {
        let target = envelope.aggregate_type.clone();
        let id = envelope.instance_id.clone();
        let dispatched = match self.inner.read_side.dispatchers.get(target.as_str()) {
            Some(dispatcher) => dispatcher.dispatch(self, envelope).await,
            None => Err(crate::DispatchError::UnknownAggregateType(target.clone())),
        };
        match dispatched {
            Ok(()) => {
                tracing::info!(target_type = %target, target_id = %id, "command dispatched");
                Ok(())
            }
            Err(error) => {
                tracing::error!(target_type = %target, target_id = %id, %error, "command dead-lettered");
                Err(error.to_string())
            }
        }
    }

    /// Appends an event that was decided elsewhere, on another device for example, as it is. It
    /// takes its turn among the aggregate's commands, and projections include it afterwards.
    ///
    /// An event whose id the stream has already stores nothing, however long ago that was. Without
    /// an id, it is always appended.
    ///
    /// # Errors
    ///
    /// * [`io::ErrorKind::InvalidData`]: the aggregate could not load the event;
    /// * any other: the event could not be stored, or a projection not be caught up.
    pub async fn inject_event<A: Aggregate>(
        &self,
        instance_id: &str,
        event: eventfold::Event,
        opts: InjectOptions,
    ) -> io::Result<()> {
        self.get::<A>(instance_id).await?.inject(event).await?;
        let read_side = self.inner.read_side.clone();
        blocking(move || read_side.catch_up_projections()).await?;
        if opts.run_process_managers {
            self.run_process_managers().await?;
        }
        Ok(())
    }

    /// The position of the newest durable event.
    pub fn head(&self) -> Position {
        Position::new(self.inner.engine.head())
    }

    /// The directories of the store.
    pub fn layout(&self) -> &StreamLayout {
        self.inner.engine.layout()
    }

    /// Shuts the store down: accepts nothing new, finishes what was accepted, saves projections,
    /// writes a checkpoint so that the next open has nothing to replay, and releases the directory.
    /// Calls on handles and clones fail with `Closed` from then on.
    ///
    /// # Errors
    ///
    /// If the store had failed or a stream's file could not be brought up to the journal; the next
    /// open does that then. The directory is released all the same.
    pub async fn shutdown(&self) -> io::Result<()> {
        self.inner.closing.store(true, Ordering::Release);
        for resident in self.inner.residents.live() {
            resident.retire().await;
        }
        let read_side = self.inner.read_side.clone();
        blocking(move || {
            read_side.save_projections();
            Ok(())
        })
        .await?;
        self.inner.engine.close();
        self.inner.engine.ended().await
    }
}

impl fmt::Debug for AggregateStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AggregateStore")
            .field("base_dir", &self.layout().base_dir())
            .finish_non_exhaustive()
    }
}

/// Runs what blocks on the disk where that disturbs nobody.
pub(crate) async fn blocking<T: Send + 'static>(
    run: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    if tokio::runtime::Handle::try_current().is_err() {
        return run();
    }
    tokio::task::spawn_blocking(run)
        .await
        .map_err(io::Error::other)
        .flatten()
}
