//! What a store is opened with: [`AggregateStoreBuilder`].

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;

use crate::clock::{Clock, ManualClock, millis};
use crate::domain::about;
use crate::domain::aggregate::Aggregate;
use crate::domain::decider::Decider;
use crate::domain::follower::Follower;
use crate::domain::layer::Layer;
use crate::domain::process_manager::{Backoff, OnFailure, ProcessManager, Retry, Targets as _};
use crate::domain::projection::Projection;
#[cfg(feature = "sqlite")]
use crate::domain::sql_projection::SqlProjection;
#[cfg(feature = "sqlite")]
use crate::following::Sql;
use crate::following::{self, Candidate, Manager, Outside, ReadSide, Registered};
#[cfg(feature = "personal")]
use crate::personal::KeyStore;
use crate::personal::Keys;
use crate::runtime::aggregates::{Aggregates, Hold};
use crate::runtime::background;
use crate::runtime::inside;
use crate::runtime::layers::Layers;
use crate::storage::Storage;
use crate::storage::files::FileStorage;
use crate::storage::files::layout;
use crate::storage::files::layout::{RawNames, StreamLayout};
use crate::storage::files::lock::Patience;
use crate::storage::files::streams::loader::Loader;
use crate::storage::memory::{Memory, MemoryStorage};
#[cfg(feature = "postgres")]
use crate::storage::postgres::PgStorage;
#[cfg(feature = "postgres")]
use crate::storage::postgres::options::PgOptions;
#[cfg(feature = "personal")]
use crate::store::keys;
use crate::store::{AggregateStore, opened};
use crate::text::shown;

/// How long an aggregate stays in memory unused, unless the builder says otherwise.
const IDLE_TIMEOUT: Duration = Duration::from_secs(300);
/// How many events apart snapshots are taken, unless the builder or the aggregate says otherwise.
const SNAPSHOT_EVERY: u64 = 100;

/// How long a runner may give no sign of life, unless the builder says otherwise.
const LEASE_TTL: Duration = Duration::from_secs(10);

type Register = Box<dyn FnOnce(&Storage, &mut ReadSide) -> io::Result<()> + Send>;

/// Sets a store up. Made by [`AggregateStore::builder`].
///
/// ```
/// # use eventfold_es::{*, __private::example::*};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path();
/// let store = AggregateStore::builder(path)
///     .projection::<Total>()
///     .process_manager::<Forward>() // adds to the counter `all` what is added to any other
///     .aggregate_type::<Counter>()
///     .open()
///     .await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing is opened before `open`"]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a setting of its own; how many there are depends on features"
)]
pub struct AggregateStoreBuilder {
    place: Place,
    registrations: Vec<Register>,
    idle_timeout: Duration,
    snapshot_every: u64,
    compress_journal: bool,
    keep_journal_for: Option<Duration>,
    layers: Layers,
    clock: Clock,
    is_live: bool,
    create_if_missing: bool,
    lock_timeout: Option<Duration>,
    lease_ttl: Duration,
    /// A projection that one of several stores follows for all.
    elected: Option<&'static str>,
    #[cfg(feature = "personal")]
    keys: Option<Arc<dyn KeyStore>>,
    /// No event is read as a type of the program, so no key is needed.
    #[cfg(feature = "personal")]
    without_keys: bool,
    #[cfg(feature = "sqlite")]
    sql_dir: Option<PathBuf>,
    /// A method that was called although it is for stores on PostgreSQL.
    #[cfg(feature = "postgres")]
    misplaced: Option<&'static str>,
}

/// Where the store is kept.
#[derive(Debug)]
enum Place {
    Directory(PathBuf),
    Memory(Memory),
    #[cfg(feature = "postgres")]
    Postgres(PgOptions),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(base) => shown(base).fmt(f),
            Self::Memory(_) => f.write_str("memory"),
            #[cfg(feature = "postgres")]
            Self::Postgres(options) => options.fmt(f),
        }
    }
}

impl AggregateStoreBuilder {
    /// Sets up a store in the directory `base_dir`.
    pub(super) fn new(base_dir: &Path) -> Self {
        Self::at(Place::Directory(base_dir.to_owned()))
    }

    /// Sets up a store in memory.
    pub(super) fn in_memory() -> Self {
        Self::at(Place::Memory(Memory::default()))
    }

    /// Sets up a store in a schema of the database at `url`.
    #[cfg(feature = "postgres")]
    pub(super) fn postgres(url: String) -> Self {
        Self::at(Place::Postgres(PgOptions::new(url)))
    }

    fn at(place: Place) -> Self {
        Self {
            place,
            registrations: Vec::new(),
            idle_timeout: IDLE_TIMEOUT,
            snapshot_every: SNAPSHOT_EVERY,
            // The segments of this crate's own tests are so small that each test would compress some.
            compress_journal: !cfg!(test),
            keep_journal_for: None,
            layers: Layers::default(),
            clock: Clock::System,
            is_live: false,
            create_if_missing: true,
            lock_timeout: None,
            lease_ttl: LEASE_TTL,
            elected: None,
            #[cfg(feature = "personal")]
            keys: None,
            #[cfg(feature = "personal")]
            without_keys: false,
            #[cfg(feature = "sqlite")]
            sql_dir: None,
            #[cfg(feature = "postgres")]
            misplaced: None,
        }
    }

    fn register(
        mut self,
        register: impl FnOnce(&Storage, &mut ReadSide) -> io::Result<()> + Send + 'static,
    ) -> Self {
        self.registrations.push(Box::new(register));
        self
    }

    /// Registers a projection. It continues from the checkpoint of its version. If that checkpoint
    /// is missing or damaged, the first read builds the projection from the first event on.
    /// Register it once: two projections with one name are refused, and so is a name that no
    /// directory can have (see [`Projection::NAME`]).
    ///
    /// If several processes have the store open, each follows the events for itself. They share one
    /// checkpoint, of which the newest stays. [`projection_elected`](Self::projection_elected) lets one
    /// process do the work for all.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path();
    /// let store = AggregateStore::builder(path).projection::<Total>().open().await?;
    /// store.get::<Counter>("c-1").await?.send(Add(5)).await?;
    /// assert_eq!(store.projection::<Total>()?.value, 5);
    /// # Ok(())
    /// # }
    /// ```
    pub fn projection<P: Projection>(self) -> Self {
        self.projection_with::<P>(OnFailure::Stop)
    }

    /// As [`projection`](Self::projection), and sets what happens when the projection cannot take
    /// an event. By default it stops.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path();
    /// let store = AggregateStore::builder(path)
    ///     .projection_with::<Total>(OnFailure::Skip)
    ///     .open()
    ///     .await?;
    /// assert_eq!(store.read_side().projections[0].skipped_count, 0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn projection_with<P: Projection>(self, on_failure: OnFailure) -> Self {
        self.register_projection::<P>(on_failure, false)
    }

    /// As [`projection_with`](Self::projection_with), and one process follows the events for all that
    /// have the store open. It is for a projection whose work is so expensive that every process should
    /// not do it. The process that follows saves the state within 5 seconds or 10,000 events, and the
    /// others read what it has saved. If it ends, another one follows, see
    /// [`lease_ttl`](Self::lease_ttl). [`read_side`](AggregateStore::read_side) says which process it is.
    ///
    /// Without it, each process follows for itself, so a read includes every command that was answered
    /// before. In a store in a directory there is one process, and a projection that is elected is
    /// as any other.
    ///
    /// Only a [live](Self::live) store follows without being read, so [`open`](Self::open) fails with
    /// [`io::ErrorKind::InvalidInput`] if the store is not live.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path();
    /// let store = AggregateStore::builder(path)
    ///     .projection_elected::<Total>(OnFailure::Stop)
    ///     .live()
    ///     .open()
    ///     .await?;
    /// let done = store.get::<Counter>("c-1").await?.send(Add(5)).await?;
    /// store.wait_for::<Total>(done.position).await?;
    /// assert_eq!(store.read(|total: &Total| total.value).await?, 5);
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias("leader election", "singleton", "shared projection"))]
    pub fn projection_elected<P: Projection>(mut self, on_failure: OnFailure) -> Self {
        self.elected = Some(P::NAME);
        self.register_projection::<P>(on_failure, true)
    }

    fn register_projection<P: Projection>(self, on_failure: OnFailure, elected: bool) -> Self {
        self.register(move |storage, read_side| {
            check_name(storage, "projection", P::NAME, &mut read_side.names())?;
            let candidate = elected.then_some(&read_side.candidate);
            let projection = Registered::open::<P>(storage, on_failure, candidate)?;
            read_side.projections.insert(P::NAME, projection);
            read_side.about.push(about::projection::<P>);
            Ok(())
        })
    }

    /// Registers a read model in SQLite. Its file is in the store's directory, in `projections/<NAME>`; a
    /// store in memory or on PostgreSQL needs a [directory](Self::sql_dir) for it. It continues where its
    /// tables are. If its file is missing or damaged, was made by other statements, or has events of
    /// another history, the tables are built from the first event on.
    ///
    /// In a [live](Self::live) store that happens in the background; otherwise when it is
    /// [queried](crate::SqlReadModel::query). If several processes have the store open, each has tables of
    /// its own.
    ///
    /// See the example of [`SqlProjection`].
    #[cfg(feature = "sqlite")]
    #[doc(alias("sqlite", "read model", "database"))]
    pub fn sql<P: SqlProjection>(self, projection: P) -> Self {
        self.sql_with(projection, OnFailure::Stop)
    }

    /// As [`sql`](Self::sql), and sets what happens when the read model cannot take an event: it cannot
    /// read it, the database refuses what it writes, or its code panics. By default it stops before the
    /// event. [`OnFailure::Skip`] takes everything back that it has written for the event, and records the
    /// event in its file, in the table `eventfold_skipped`, and in
    /// [`read_side`](AggregateStore::read_side). A full disk, or a file that another program has locked, is
    /// no fault of an event: that is tried again.
    ///
    /// ```
    /// # use eventfold_es::{AggregateStore, OnFailure, SqlProjection};
    /// # use std::path::Path;
    /// async fn open(path: &Path, orders: impl SqlProjection) -> std::io::Result<AggregateStore> {
    ///     AggregateStore::builder(path).sql_with(orders, OnFailure::Skip).live().open().await
    /// }
    /// ```
    #[cfg(feature = "sqlite")]
    pub fn sql_with<P: SqlProjection>(self, projection: P, on_failure: OnFailure) -> Self {
        self.register(move |storage, read_side| {
            check_name(storage, "read model", P::NAME, &mut read_side.names())?;
            let dir = super::sql::directory(storage, read_side.sql_dir.as_ref())?;
            let model = Sql::open(projection, storage, dir.join(P::NAME), on_failure)?;
            read_side.projections.insert(P::NAME, model);
            read_side.about.push(about::sql_projection::<P>);
            Ok(())
        })
    }

    /// The directory for the files of [read models in SQLite](Self::sql): each has a directory of its own
    /// in it. It is needed in a store in memory or on PostgreSQL. It belongs to one store of one process.
    ///
    /// ```
    /// # use eventfold_es::{AggregateStore, SqlProjection};
    /// # use std::path::Path;
    /// async fn open(tables: &Path, orders: impl SqlProjection) -> std::io::Result<AggregateStore> {
    ///     AggregateStore::in_memory().sql(orders).sql_dir(tables).open().await
    /// }
    /// ```
    #[cfg(feature = "sqlite")]
    pub fn sql_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.sql_dir = Some(dir.into());
        self
    }

    /// Registers a [follower](Follower), which feeds something outside of the store. In a
    /// [live](Self::live) store that happens in the background; otherwise when it is
    /// [waited for](AggregateStore::wait_for_follower). A batch that fails is tried again without end,
    /// with growing pauses up to 30 seconds; [`follower_with`](Self::follower_with) sets something else.
    ///
    /// If several processes have the store open, register it in each: one of them feeds it at a time, and
    /// another one takes its place, see [`lease_ttl`](Self::lease_ttl). A process that was only believed
    /// to have ended may still hand over one batch; [`Batch::after`](crate::Batch::after) tells the place.
    ///
    /// See the example of [`Follower`].
    pub fn follower<F: Follower>(self, follower: F) -> Self {
        self.follower_with(follower, OnFailure::Stop, Backoff::attempts(u32::MAX))
    }

    /// As [`follower`](Self::follower), and sets how often a batch is tried that `follower` does not
    /// take, and what happens then. It is tried again event by event, so `on_failure` is about the one
    /// event that fails: the follower stops before it, or skips it and records it in
    /// [`read_side`](AggregateStore::read_side). Without [`live`](Self::live), an attempt is made whenever
    /// it is waited for.
    ///
    /// [`OnFailure::Skip`] also skips an event if the place was not reached that often. So let the attempts
    /// last longer than the place may be away.
    ///
    /// ```
    /// # use eventfold_es::{AggregateStore, Backoff, Follower, OnFailure};
    /// # use std::path::Path;
    /// # use std::time::Duration;
    /// async fn open(path: &Path, search: impl Follower) -> std::io::Result<AggregateStore> {
    ///     // Half an hour altogether.
    ///     let backoff = Backoff::attempts(60).longest(Duration::from_secs(30));
    ///     AggregateStore::builder(path)
    ///         .follower_with(search, OnFailure::Skip, backoff)
    ///         .live()
    ///         .open()
    ///         .await
    /// }
    /// ```
    pub fn follower_with<F: Follower>(
        self,
        follower: F,
        on_failure: OnFailure,
        backoff: Backoff,
    ) -> Self {
        self.register(move |storage, read_side| {
            check_name(storage, "follower", F::NAME, &mut read_side.names())?;
            let policy = (on_failure, backoff);
            let candidate = &read_side.candidate;
            let follower = Outside::open(follower, storage, policy, candidate)?;
            read_side.followers.insert(F::NAME, follower);
            Ok(())
        })
    }

    /// Registers a process manager. It continues from its checkpoint. Register the aggregate types
    /// that it sends commands to by [`aggregate_type`](Self::aggregate_type), unless its
    /// `#[process_manager(dispatches(...))]` lists them. Register it once.
    ///
    /// If several processes have the store open, register it in each. One of them runs it, with its
    /// commands and timers, and the others stand by, see [`lease_ttl`](Self::lease_ttl).
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path();
    /// let store = AggregateStore::builder(path)
    ///     .process_manager::<Forward>() // adds to the counter `all` what is added to any other
    ///     .aggregate_type::<Counter>()
    ///     .open()
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn process_manager<M: ProcessManager>(self) -> Self {
        self.process_manager_with::<M>(OnFailure::Stop, Retry::default())
    }

    /// As [`process_manager`](Self::process_manager), and sets two things. `on_failure` is for an
    /// event that the process manager cannot take; by default it stops. `retry` is how often its
    /// commands are tried while the store is [live](Self::live).
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path();
    /// let retry = Retry::default().on_refusal(Backoff::attempts(3));
    /// let store = AggregateStore::builder(path)
    ///     .process_manager_with::<Forward>(OnFailure::Skip, retry)
    ///     .aggregate_type::<Counter>()
    ///     .live()
    ///     .open()
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn process_manager_with<M: ProcessManager>(
        self,
        on_failure: OnFailure,
        retry: Retry,
    ) -> Self {
        self.register(move |storage, read_side| {
            M::targets(&mut read_side.dispatchers);
            let mut others = read_side.process_managers.iter().map(|other| other.name);
            check_name(storage, "process manager", M::NAME, &mut others)?;
            let traces = &read_side.traces;
            let manager =
                Manager::open::<M>(storage, on_failure, retry, traces, &read_side.candidate)?;
            read_side.process_managers.push(manager);
            read_side.about.push(about::process_manager::<M>);
            Ok(())
        })
    }

    /// Runs all projections and process managers in the background, from [`open`](Self::open) until
    /// the store is [shut down](AggregateStore::shutdown) or its last user is gone. Commands never
    /// wait for them.
    ///
    /// Projections are brought up to date after each commit, so reading them costs little. Process
    /// managers react to each event, send their commands, retry failed commands (see [`Retry`]),
    /// and fire their timers. Their commands go to different aggregates at the same time, and to
    /// one aggregate in order. Without `live`, all of this happens when a projection is read or
    /// [`run_process_managers`](AggregateStore::run_process_managers) is called.
    ///
    /// `live` does not depend on the runtime on which the store is opened: one thread serves the
    /// whole process. [Process managers](crate::guide::process_managers#running-it) says what can be waited for.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path();
    /// let store = AggregateStore::builder(path)
    ///     .process_manager::<Forward>() // adds to the counter `all` what is added to any other
    ///     .aggregate_type::<Counter>()
    ///     .projection::<Total>()
    ///     .live()
    ///     .open()
    ///     .await?;
    /// let done = store.get::<Counter>("c-1").await?.send(Add(5)).await?;
    /// store.run_process_managers().await?; // waits until they have caught up
    /// assert_eq!(store.get::<Counter>("all").await?.state().await?.value, 5);
    /// # Ok(())
    /// # }
    /// ```
    pub fn live(mut self) -> Self {
        self.is_live = true;
        self
    }

    /// Registers an aggregate type that process managers send commands to. Other aggregate types
    /// need no registration.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path();
    /// let store = AggregateStore::builder(path)
    ///     .process_manager::<Forward>() // adds to the counter `all` what is added to any other
    ///     .aggregate_type::<Counter>()
    ///     .open()
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn aggregate_type<A>(self) -> Self
    where
        A: Aggregate,
        A::Command: DeserializeOwned,
    {
        self.register(|_, read_side| {
            read_side.dispatchers.add::<A>();
            read_side.about.push(about::aggregate::<A>);
            Ok(())
        })
    }

    /// Lets process managers send commands to the decision `D`, see
    /// [`Outbox::decide`](crate::Outbox::decide). It is not needed for a decision that a process manager
    /// lists in its `#[process_manager(decides(...))]`, nor for
    /// [`AggregateStore::decide`](crate::store::AggregateStore::decide).
    ///
    /// ```
    /// # eventfold_es::__courses!();
    /// # use eventfold_es::AggregateStore;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let store = AggregateStore::in_memory().decision::<Subscribing>().open().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn decision<D>(self) -> Self
    where
        D: Decider,
        D::Command: DeserializeOwned,
    {
        self.register(|_, read_side| {
            read_side.dispatchers.add_decision::<D>();
            read_side.about.push(about::decision::<D>);
            Ok(())
        })
    }

    /// How long an unused aggregate stays in memory: 5 minutes by default. A time that the clock
    /// cannot count means for ever. The next call through a handle brings the aggregate back.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let builder = AggregateStore::builder(dir.path());
    /// let builder = builder.idle_timeout(std::time::Duration::from_secs(60));
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias("passivation", "eviction", "cache"))]
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = timeout;
        self
    }

    /// How many events lie between two snapshots of a state: 100 by default. An aggregate can have
    /// its own number ([`Aggregate::SNAPSHOT_EVERY`]). 0 counts as 1, `u64::MAX` means never.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let builder = AggregateStore::builder(dir.path());
    /// let builder = builder.snapshot_every(1_000);
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias("snapshot", "memento"))]
    pub fn snapshot_every(mut self, events: u64) -> Self {
        self.snapshot_every = events;
        self
    }

    /// Whether the files of the journal are compressed once nothing is written to them any more. They are by
    /// default, and take about a sixth of the space then. The store does it in the background, slowly and one
    /// file after the other: when enough was written behind a file that opening the store after a crash does
    /// not need it, or two seconds after a store was opened that has such files. A store of a few hundred KiB has
    /// none.
    ///
    /// Reading is the same with and without it. `zstdcat` makes the lines of a compressed file visible, and a
    /// store reads compressed files whatever this says. [`AggregateStore::compress`] does not wait. A store
    /// that is not in a directory ignores it.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let builder = AggregateStore::builder(dir.path());
    /// // On a file system that compresses by itself.
    /// let builder = builder.compress_journal(false);
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias("zstd", "disk", "space"))]
    pub fn compress_journal(mut self, compress: bool) -> Self {
        self.compress_journal = compress;
        self
    }

    /// Drops the oldest files of the journal once all their events are older than `keep_for`. Without it the
    /// journal has all events for ever.
    ///
    /// Aggregates keep all their events, which are in the files of their streams too. **What is lost for good
    /// is everything that would have to read the dropped events in the order of the store**: a projection or
    /// process manager that is new, or whose saved state cannot be used after a change; a rebuild; a
    /// subscription from the beginning; an export; states at early positions. Each of these fails with
    /// [`JournalDropped`](crate::JournalDropped) then, and none gets fewer events in silence. The guide page
    /// [data for years](crate::guide::long_lived_data) says when it is worth that.
    ///
    /// A file goes only when
    ///
    /// * all older ones have gone, and newer ones with events are there;
    /// * opening the store after a crash does not need it;
    /// * every projection, process manager and read model in SQLite that has saved something in the store
    ///   has saved a later position, also if it is not registered, and every registered
    ///   [follower](crate::Follower) is at one. A follower that keeps its position elsewhere and is not
    ///   registered now is not known;
    /// * nobody in this process reads it;
    /// * none of its events has [tags](crate::Tags), and each belongs to an aggregate. So what decisions over
    ///   tags need stays.
    ///
    /// It looks when the store was opened, when enough was written, and every ten minutes.
    /// [`AggregateStore::drop_old_journal`] does it at once and says what keeps a file.
    ///
    /// Only for a store in a directory: otherwise [`open`](Self::open) fails with
    /// [`io::ErrorKind::Unsupported`].
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let builder = AggregateStore::builder(dir.path());
    /// let builder = builder.keep_journal_for(Duration::from_secs(2 * 365 * 24 * 3600));
    /// # builder.open().await?.shutdown().await?;
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias("retention", "disk", "space", "truncate", "delete"))]
    pub fn keep_journal_for(mut self, keep_for: Duration) -> Self {
        self.keep_journal_for = Some(keep_for);
        self
    }

    /// Adds a layer around every command, also around those of process managers and of
    /// [`CommandBus`](crate::CommandBus). It may refuse a command, add to its context, and see its
    /// outcome. The layer that was added first is the outermost one.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path();
    /// /// Notes which machine a command was sent from.
    /// struct Origin(String);
    ///
    /// impl Layer for Origin {
    ///     fn before(&self, call: &mut Call<'_>) -> Result<(), Refused> {
    ///         call.add_metadata("origin", self.0.clone());
    ///         Ok(())
    ///     }
    /// }
    ///
    /// let store = AggregateStore::builder(path).layer(Origin("ship-3".to_owned())).open().await?;
    /// store.get::<Counter>("c-1").await?.send(Add(5)).await?;
    /// let events = store.read_events("counter", "c-1").await?;
    /// assert_eq!(events[0].meta.as_ref().unwrap()["origin"], "ship-3");
    /// # Ok(())
    /// # }
    /// ```
    pub fn layer(mut self, layer: impl Layer) -> Self {
        self.layers.add(layer);
        self
    }

    /// Takes the time from `clock` instead of the system: for events, for timers, and for the
    /// pauses before retries. It is for tests that do not want to wait, see
    /// [testing](crate::guide::testing_a_domain#a-whole-store-in-memory-at-any-time).
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # use std::time::SystemTime;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path();
    /// let clock = ManualClock::new(SystemTime::UNIX_EPOCH);
    /// let store = AggregateStore::builder(path).clock(clock.clone()).open().await?;
    /// store.get::<Counter>("c-1").await?.send(Add(5)).await?;
    /// assert_eq!(store.read_events("counter", "c-1").await?[0].ts, 0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn clock(mut self, clock: ManualClock) -> Self {
        self.clock = Clock::Manual(clock);
        self
    }

    /// Keeps the store in `memory` instead of a directory or a memory of its own. A store that is
    /// opened later on the same `memory` finds what this one stored.
    ///
    /// See the example of [`Memory`].
    pub fn keep_in(mut self, memory: &Memory) -> Self {
        self.place = Place::Memory(memory.clone());
        self
    }

    /// Whether [`open`](Self::open) creates the store if the directory has none. It does by
    /// default. With `false`, `open` fails and creates nothing, not even the directory. Use it in a
    /// program that inspects a store whose path somebody typed.
    ///
    /// A directory of eventfold-es 0.2.0 counts as a store, and so do the remains of a damaged
    /// store.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("mistyped");
    /// let builder = AggregateStore::builder(&path).create_if_missing(false);
    /// let missing = builder.open().await.unwrap_err();
    /// assert_eq!(missing.kind(), std::io::ErrorKind::NotFound);
    /// assert!(!path.exists());
    /// # Ok(())
    /// # }
    /// ```
    pub fn create_if_missing(mut self, create: bool) -> Self {
        self.create_if_missing = create;
        self
    }

    /// How long [`open`](Self::open) waits for another process that has the directory open, before
    /// it fails with [`io::ErrorKind::ResourceBusy`]. By default it does not wait. It is for
    /// deployments that overlap: the new process starts while the old one ends
    /// ([in production](crate::guide::in_production#starting-and-ending)).
    ///
    /// It also limits how long `open` waits for an unused store of this process to release the
    /// directory. By default `open` waits 30 seconds for calls that were accepted and not answered,
    /// since their runtime may not be driven any more. It waits without limit for the last events
    /// to be written. `open` does not wait for a store that this process still uses.
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
    ///     .lock_timeout(Duration::from_secs(20))
    ///     .open()
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn lock_timeout(mut self, timeout: Duration) -> Self {
        self.lock_timeout = Some(timeout);
        self
    }

    /// How long a process that runs a process manager may give no sign of life before another one
    /// takes its place: 10 seconds by default, 100 milliseconds at least. It is for stores that several
    /// processes have open. If they set different times, the longer one counts. A process that is
    /// [shut down](AggregateStore::shutdown) gives its place up at once. A store in a directory runs its
    /// own process managers, and ignores it.
    ///
    /// It is about projections that are [elected](Self::projection_elected) too.
    ///
    /// A shorter time hands over sooner after a crash, and also when a process only sleeps for that
    /// long. That does no harm: what it does afterwards is refused.
    ///
    /// ```
    /// # use eventfold_es::AggregateStore;
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let builder = AggregateStore::in_memory().lease_ttl(Duration::from_secs(30));
    /// # builder.open().await?;
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias("leader election", "failover", "heartbeat"))]
    pub fn lease_ttl(mut self, ttl: Duration) -> Self {
        self.lease_ttl = ttl;
        self
    }

    /// The keys of the store's personal data. With them, events may have fields of the type
    /// [`Personal`](crate::personal::Personal), and [`forget`](AggregateStore::forget) erases them.
    ///
    /// A store that was ever opened with keys is always opened with them, and with the same ones:
    /// [`open`](Self::open) fails with [`io::ErrorKind::InvalidInput`] if there are none, and with an error of
    /// the key store if they are those of another store, or missing. A store on PostgreSQL cannot have keys
    /// yet: `open` fails with [`io::ErrorKind::Unsupported`].
    ///
    /// See the example of [`FileKeys`](crate::personal::FileKeys).
    #[cfg(feature = "personal")]
    #[doc(alias("encrypt", "gdpr", "kms", "vault"))]
    pub fn keys(mut self, keys: impl KeyStore) -> Self {
        self.keys = Some(Arc::new(keys));
        self
    }

    /// Opens the store without its keys, although it has some.
    pub(super) fn without_keys(self) -> Self {
        #[cfg(feature = "personal")]
        let this = Self {
            without_keys: true,
            ..self
        };
        #[cfg(not(feature = "personal"))]
        let this = self;
        this
    }

    /// The schema that has the store's tables: `eventfold` by default. A database may have several
    /// stores, each in a schema of its own. The first `open` creates it.
    ///
    /// See the example of [`AggregateStore::postgres`].
    #[cfg(feature = "postgres")]
    pub fn schema(self, name: impl Into<String>) -> Self {
        let name = name.into();
        self.on_postgres("schema", |options| options.schema = name)
    }

    /// Whether the store is opened although the server does not make commits durable before it
    /// answers, because `synchronous_commit` or `fsync` is `off`. A crash of the server then loses
    /// events that were answered. By default `open` and all commands fail with
    /// [`io::ErrorKind::Unsupported`].
    ///
    /// ```no_run
    /// # use eventfold_es::AggregateStore;
    /// # async fn open() -> std::io::Result<()> {
    /// // A server for tests.
    /// let url = "postgres://test@localhost/test";
    /// let store = AggregateStore::postgres(url).allow_unsynced(true).open().await?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "postgres")]
    pub fn allow_unsynced(self, allow: bool) -> Self {
        self.on_postgres("allow_unsynced", |options| options.allow_unsynced = allow)
    }

    /// How long a call waits for a server that is not reached: 30 seconds by default. Then a command
    /// fails with [`OutcomeUnknown`](crate::ExecuteError::OutcomeUnknown) if its events were sent,
    /// and with [`io::ErrorKind::TimedOut`] otherwise. The store goes on once the server is there
    /// again.
    ///
    /// See the example of [`AggregateStore::postgres`].
    #[cfg(feature = "postgres")]
    pub fn command_timeout(self, timeout: Duration) -> Self {
        self.on_postgres("command_timeout", |options| {
            options.command_timeout = timeout;
        })
    }

    /// How often a command is decided at most, if other processes store events in between: 16 times by
    /// default. Then it fails with [`ExecuteError::Conflict`](crate::ExecuteError::Conflict), or
    /// [`TogetherError::Conflict`](crate::TogetherError::Conflict). 1 decides each command once.
    ///
    /// ```no_run
    /// # use eventfold_es::AggregateStore;
    /// # async fn open() -> std::io::Result<()> {
    /// let url = "postgres://app@db.internal/shop";
    /// let store = AggregateStore::postgres(url).conflict_rounds(4).open().await?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "postgres")]
    pub fn conflict_rounds(self, rounds: u32) -> Self {
        self.on_postgres("conflict_rounds", |options| {
            options.conflict_rounds = rounds.max(1);
        })
    }

    #[cfg(feature = "postgres")]
    fn on_postgres(mut self, method: &'static str, set: impl FnOnce(&mut PgOptions)) -> Self {
        match &mut self.place {
            Place::Postgres(options) => set(options),
            _ => self.misplaced = Some(method),
        }
        self
    }

    /// Opens the store. If the future is dropped, by a timeout for example, the work that has begun
    /// is finished in the background and the directory is released. The next `open` waits for that.
    ///
    /// # Errors
    ///
    /// As [`AggregateStore::open`], and:
    ///
    /// * [`io::ErrorKind::NotFound`]: there is no store in the directory, and
    ///   [`create_if_missing`](Self::create_if_missing) is `false`;
    /// * [`io::ErrorKind::InvalidData`]: the checkpoint of a process manager is ahead of the
    ///   journal, so the journal lacks events. A checkpoint that cannot be read stops only its
    ///   process manager ([what to do then](crate::guide::when_something_fails#a-file-is-damaged)).
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// let store = AggregateStore::builder(dir.path()).open().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn open(self) -> io::Result<AggregateStore> {
        let patience = Patience::new(self.lock_timeout);
        let opening = patience.opening();
        let loader = Arc::<Loader>::default();
        let threads = loader.clone();
        let open = move || self.open_blocking(RawNames::new(), &patience, threads);
        let opened = open_on_thread(&loader, open).await;
        opening.finish();
        opened
    }

    /// Opens the store on this thread. `extra` are streams at places of their own. `loader` has the threads
    /// that load the streams of a directory.
    pub(super) fn open_blocking(
        self,
        extra: RawNames,
        patience: &Patience,
        loader: Arc<Loader>,
    ) -> io::Result<AggregateStore> {
        #[cfg(feature = "postgres")]
        if let Some(method) = self.misplaced {
            let text = format!(
                "`{method}` is for a store on PostgreSQL, and this one is in {}: begin with \
                 `AggregateStore::postgres`, or leave `{method}` out",
                self.place
            );
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        if let Some(name) = self.elected.filter(|_| !self.is_live) {
            let text = format!(
                "the projection `{name}` is elected, so that one process follows for all, and this store \
                 follows nothing: add `live()`, or register it with `projection`"
            );
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let start = Instant::now();
        let place = self.place.to_string();
        let clock = self.clock.clone();
        let storage = match &self.place {
            Place::Directory(base) => {
                if !self.create_if_missing {
                    StreamLayout::new(base).require_store()?;
                }
                let compresses = self.compress_journal;
                let storage = FileStorage::open(base, extra, clock, compresses, patience, loader)?;
                Storage::Files(storage)
            }
            Place::Memory(memory) => Storage::Memory(MemoryStorage::open(memory, clock, patience)?),
            #[cfg(feature = "postgres")]
            Place::Postgres(options) => {
                let create = self.create_if_missing;
                Storage::Postgres(PgStorage::open(options, create, clock, patience)?)
            }
        };
        let store = self.open_on(storage)?;
        tracing::info!(
            place,
            position = store.inner.storage.head(),
            elapsed_ms = millis(start),
            "store opened"
        );
        Ok(store)
    }

    /// Opens the store on `storage`.
    fn open_on(self, storage: Storage) -> io::Result<AggregateStore> {
        #[cfg(feature = "personal")]
        let keys = if self.without_keys {
            Keys::default()
        } else {
            #[cfg(feature = "sqlite")]
            let read_models = super::sql::directory(&storage, self.sql_dir.as_ref()).ok();
            #[cfg(not(feature = "sqlite"))]
            let read_models: Option<PathBuf> = None;
            keys::open(&storage, self.keys, read_models.as_deref())
                .inspect_err(|_| storage.close())?
        };
        #[cfg(not(feature = "personal"))]
        let keys = Keys::default();
        let mut read_side = ReadSide::new(Candidate::new(self.lease_ttl));
        #[cfg(feature = "sqlite")]
        {
            read_side.sql_dir = self.sql_dir;
        }
        for register in self.registrations {
            if let Err(error) = register(&storage, &mut read_side) {
                storage.close();
                return Err(error);
            }
        }
        if let Err(error) = read_side.warn_of_unregistered(&storage) {
            storage.close();
            return Err(error.into());
        }
        let runtime = if self.is_live {
            match background::runtime() {
                Ok(runtime) => Some(runtime),
                Err(error) => {
                    storage.close();
                    return Err(error);
                }
            }
        } else {
            None
        };
        if self.keep_journal_for.is_some()
            && let Err(error) = storage.check_can_drop()
        {
            storage.close();
            return Err(error.into());
        }
        let read_side = Arc::new(read_side);
        let aggregates = Aggregates::new(
            storage.clone(),
            read_side.clone(),
            self.idle_timeout,
            self.snapshot_every,
            self.layers,
            keys,
        );
        if let Some(runtime) = runtime {
            // Each of its tasks goes on for as long as it finds the aggregates there.
            read_side.go_live(runtime, &aggregates);
        }
        if let Some(keep_for) = self.keep_journal_for {
            let needs = following::needs(&storage, &read_side);
            storage.keep_journal_for(keep_for, needs);
        }
        let inner = Hold::of_users(aggregates);
        opened::note(&inner);
        Ok(AggregateStore { inner, read_side })
    }
}

/// Runs `open` on a thread of `loader`, from where the user's code finds the caller's runtime. Without a
/// runtime, and within the user's code, it runs on this thread, as by [`background::blocking`].
async fn open_on_thread<T: Send + 'static>(
    loader: &Arc<Loader>,
    open: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let runtime = tokio::runtime::Handle::try_current();
    let Some(runtime) = runtime.ok().filter(|_| !inside::is_inside()) else {
        return open();
    };
    let span = tracing::Span::current();
    let open = move || {
        let _runtime = runtime.enter();
        span.in_scope(open)
    };
    loader.run(open).await
}

/// Fails if `name` cannot be the name of a directory, or is one of `others` as the file system
/// compares names.
fn check_name(
    storage: &Storage,
    of: &str,
    name: &str,
    others: &mut dyn Iterator<Item = &'static str>,
) -> io::Result<()> {
    layout::check_name(of, name)?;
    for other in others {
        let text = if other == name {
            format!("{of} `{name}` is registered twice")
        } else if other.to_lowercase() == name.to_lowercase() && storage.names_may_fold() {
            format!(
                "{of} `{name}` is registered beside `{other}`, whose directory is the same on this \
                 file system: their names must differ in more than case"
            )
        } else {
            continue;
        };
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    Ok(())
}

impl fmt::Debug for AggregateStoreBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AggregateStoreBuilder")
            .field("place", &self.place)
            .field("registrations", &self.registrations.len())
            .field("idle_timeout", &self.idle_timeout)
            .field("snapshot_every", &self.snapshot_every)
            .field("compress_journal", &self.compress_journal)
            .field("keep_journal_for", &self.keep_journal_for)
            .field("layers", &self.layers.len())
            .field("is_live", &self.is_live)
            .field("create_if_missing", &self.create_if_missing)
            .field("lock_timeout", &self.lock_timeout)
            .field("lease_ttl", &self.lease_ttl)
            .field("elected", &self.elected)
            .finish_non_exhaustive()
    }
}
