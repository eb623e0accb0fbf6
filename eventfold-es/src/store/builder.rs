//! What a store is opened with: [`AggregateStoreBuilder`].

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::{AggregateStore, StoreHold, StoreInner, blocking, spawn};
use crate::actor::Residents;
use crate::aggregate::Aggregate;
use crate::engine::Engine;
use crate::layout::RawNames;
use crate::process_manager::ProcessManager;
use crate::projection::Projection;
use crate::read_side::{Reacting, ReadSide, Registered, Targets};

/// How long an aggregate stays in memory unused, unless the builder says otherwise.
const IDLE_TIMEOUT: Duration = Duration::from_secs(300);
/// How many events apart snapshots are taken, unless the builder or the aggregate says otherwise.
const SNAPSHOT_EVERY: u64 = 100;

type Register = Box<dyn FnOnce(&Arc<Engine>, &mut ReadSide) -> io::Result<()> + Send>;

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
pub struct AggregateStoreBuilder {
    base_dir: PathBuf,
    registrations: Vec<Register>,
    idle_timeout: Duration,
    snapshot_every: u64,
}

impl AggregateStoreBuilder {
    pub(super) fn new(base_dir: &Path) -> Self {
        Self {
            base_dir: base_dir.to_owned(),
            registrations: Vec::new(),
            idle_timeout: IDLE_TIMEOUT,
            snapshot_every: SNAPSHOT_EVERY,
        }
    }

    fn register(
        mut self,
        register: impl FnOnce(&Arc<Engine>, &mut ReadSide) -> io::Result<()> + Send + 'static,
    ) -> Self {
        self.registrations.push(Box::new(register));
        self
    }

    /// Registers a projection; it is taken up where its version was left. Without a checkpoint of
    /// that version, or with one that is damaged, its first read builds it from the first event on.
    /// Of two with the same name the last one counts.
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
        self.register(|engine, read_side| {
            let projection = Registered::open::<P>(engine)?;
            read_side.projections.insert(P::NAME, projection);
            Ok(())
        })
    }

    /// Registers a process manager; it is taken up where it was left. The aggregate types that it
    /// sends commands to are registered by [`aggregate_type`](Self::aggregate_type), unless its
    /// `#[process_manager(dispatches(...))]` lists them. Register it once.
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
        self.register(|engine, read_side| {
            let manager = Arc::new(Mutex::new(Reacting::<M>::open(engine)?));
            read_side.process_managers.push(manager);
            M::targets(&mut Targets(&mut read_side.dispatchers));
            Ok(())
        })
    }

    /// Registers an aggregate type that process managers send commands to. One that they do not
    /// send to needs no registration.
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
            Targets(&mut read_side.dispatchers).add::<A>();
            Ok(())
        })
    }

    /// How long an aggregate stays in memory while nobody uses it: 5 minutes by default. A time
    /// beyond what the clock can count means for ever. A handle brings it back with the next call.
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
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = timeout;
        self
    }

    /// How many events apart snapshots of a state are taken, 100 by default. An aggregate can have
    /// a number of its own ([`Aggregate::SNAPSHOT_EVERY`]). 0 counts as 1, `u64::MAX` means never.
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
    pub fn snapshot_every(mut self, events: u64) -> Self {
        self.snapshot_every = events;
        self
    }

    /// Opens the store.
    ///
    /// # Errors
    ///
    /// As [`AggregateStore::open`]; [`io::ErrorKind::InvalidData`] also if the checkpoint of a
    /// process manager is damaged, because starting it anew would send its commands again
    /// ([what to do then](crate#when-a-file-is-damaged)).
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
        blocking(move || self.open_blocking(RawNames::new())).await
    }

    /// Opens the store on this thread. `extra` are streams at places of their own.
    pub(super) fn open_blocking(self, extra: RawNames) -> io::Result<AggregateStore> {
        let engine = Engine::open(&self.base_dir, extra)?;
        let mut read_side = ReadSide::default();
        for register in self.registrations {
            if let Err(error) = register(&engine, &mut read_side) {
                engine.close();
                return Err(error);
            }
        }
        let store = Arc::new(StoreInner {
            engine,
            residents: Arc::new(Residents::default()),
            read_side: Arc::new(read_side),
            idle_timeout: self.idle_timeout,
            snapshot_every: self.snapshot_every,
            closing: AtomicBool::new(false),
        });
        let inner = Arc::new(StoreHold { store });
        spawn::note_open(&inner);
        Ok(AggregateStore { inner })
    }
}

impl fmt::Debug for AggregateStoreBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AggregateStoreBuilder")
            .field("base_dir", &self.base_dir)
            .field("registrations", &self.registrations.len())
            .field("idle_timeout", &self.idle_timeout)
            .field("snapshot_every", &self.snapshot_every)
            .finish()
    }
}
