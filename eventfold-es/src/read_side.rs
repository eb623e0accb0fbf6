//! The read side: what follows the journal, projections and process managers.

use std::any::Any;
use std::collections::HashMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub(crate) mod audit;
mod checkpoint;
mod dead_letters;
mod dispatching;
mod follower;
mod lines;
pub(crate) mod live;
mod outbox;
mod projecting;
mod reacting;
mod skipped;
mod status;

pub use dispatching::Targets;
pub(crate) use dispatching::{Dispatchers, dispatch, send};
pub(crate) use outbox::{Order, Timer};
pub(crate) use projecting::Projecting;
pub(crate) use reacting::{AnyReacting, Outcome, Reacting};
pub use skipped::SkippedEvent;
pub use status::{FollowerStatus, ProcessManagerStatus, ReadSideStatus, Running};

use status::Progress;
use tokio::sync::{Notify, watch};

use crate::engine::Engine;
use crate::layout::list_dirs;
use crate::process_manager::{OnFailure, ProcessManager, Retry};
use crate::projection::Projection;

/// The projections and process managers of a store.
#[derive(Default)]
pub(crate) struct ReadSide {
    /// By name.
    pub(crate) projections: HashMap<&'static str, Registered>,
    pub(crate) process_managers: Vec<Manager>,
    pub(crate) dispatchers: Dispatchers,
    /// Held by the one run of process managers at a time, until its last command came to an end.
    pub(crate) run: Arc<tokio::sync::Mutex<()>>,
}

/// A registered process manager.
#[derive(Clone)]
pub(crate) struct Manager {
    pub(crate) name: &'static str,
    pub(crate) reacting: Arc<Mutex<dyn AnyReacting>>,
    pub(crate) progress: Arc<Progress>,
    /// Told when something of it is to be looked at.
    pub(crate) wake: Arc<Notify>,
    /// Told after each step that it made by itself, with the error if that failed.
    pub(crate) trouble: Arc<watch::Sender<Option<String>>>,
}

/// A registered projection, as itself and as one of many.
pub(crate) struct Registered {
    typed: Arc<dyn Any + Send + Sync>,
    pub(crate) any: Arc<Mutex<dyn AnyProjecting>>,
    pub(crate) progress: Arc<Progress>,
}

/// A projection of any type.
pub(crate) trait AnyProjecting: Send {
    fn catch_up(&mut self) -> io::Result<()>;
    /// Takes what is new up to the durable position `head`, a slice at a time, and saves if it is
    /// time to. True if it is there.
    fn advance(&mut self, head: u64) -> io::Result<bool>;
    fn save(&mut self) -> io::Result<()>;
    /// How long until what changed should be saved.
    fn save_in(&self) -> Option<Duration>;
    /// From now on nothing is read or written: the directory may be another store's.
    fn close(&mut self);
}

impl Registered {
    pub(crate) fn open<P: Projection>(
        engine: &Arc<Engine>,
        on_failure: OnFailure,
    ) -> io::Result<Self> {
        let projecting = Projecting::<P>::open(engine, on_failure)?;
        let progress = projecting.progress();
        let projecting = Arc::new(Mutex::new(projecting));
        Ok(Self {
            typed: projecting.clone(),
            any: projecting,
            progress,
        })
    }
}

impl Manager {
    /// Tells that a step was made, and what it failed with.
    fn set_trouble(&self, trouble: Option<String>) {
        self.trouble.send_replace(trouble);
    }

    /// Waits until a manager that runs by itself has reacted to everything up to the durable
    /// position `head`, and has sent what need not wait.
    pub(crate) async fn settled(&self, head: u64) -> io::Result<()> {
        let mut steps = self.trouble.subscribe();
        // Commands that come of later events are not waited for.
        let mut below = None;
        loop {
            let trouble = steps.borrow_and_update().clone();
            if let Some(trouble) = trouble {
                return Err(io::Error::other(trouble));
            }
            {
                let reacting = lock(&self.reacting);
                below = below.or_else(|| reacting.reached(head));
                if below.is_some_and(|number| reacting.is_settled(number)) {
                    return Ok(());
                }
            }
            if steps.changed().await.is_err() {
                return Err(closed());
            }
        }
    }

    pub(crate) fn open<M: ProcessManager>(
        engine: &Arc<Engine>,
        on_failure: OnFailure,
        retry: Retry,
    ) -> io::Result<Self> {
        let reacting = Reacting::<M>::open(engine, on_failure, retry)?;
        let progress = reacting.progress();
        Ok(Self {
            name: M::NAME,
            reacting: Arc::new(Mutex::new(reacting)),
            progress,
            wake: Arc::default(),
            trouble: Arc::new(watch::Sender::new(None)),
        })
    }
}

impl ReadSide {
    /// Warns of process managers that were here once and are not registered: their timers and
    /// commands wait, and one that was renamed reacts to everything anew.
    pub(crate) fn warn_of_unregistered(&self, process_managers: &Path) -> io::Result<()> {
        if self.process_managers.is_empty() {
            return Ok(());
        }
        for name in list_dirs(process_managers)? {
            if !self.process_managers.iter().any(|m| m.name == name) {
                let dir = process_managers.join(&name);
                tracing::warn!(
                    pm_name = name,
                    dir = %dir.display(),
                    "no such process manager is registered; what it has saved, timers and commands \
                     too, is left as it is"
                );
            }
        }
        Ok(())
    }

    /// The projection `P`.
    pub(crate) fn projection<P: Projection>(&self) -> io::Result<Arc<Mutex<Projecting<P>>>> {
        let registered = self.projections.get(P::NAME).ok_or_else(|| {
            let text = format!("projection '{}' not registered", P::NAME);
            io::Error::new(io::ErrorKind::NotFound, text)
        })?;
        registered.typed.clone().downcast().map_err(|_| {
            let text = format!("projection '{}' is registered as another type", P::NAME);
            io::Error::new(io::ErrorKind::InvalidInput, text)
        })
    }

    /// Brings all projections up to date. One that fails says so again when it is read.
    pub(crate) fn catch_up_projections(&self) {
        for (name, projection) in &self.projections {
            if let Err(error) = lock(&projection.any).catch_up() {
                tracing::error!(projection = name, %error, "the projection could not be caught up");
            }
        }
    }

    /// Saves everything as it is, for the last time: nothing is written from then on.
    pub(crate) fn close(&self) {
        self.save_projections();
        for projection in self.projections.values() {
            lock(&projection.any).close();
        }
        for manager in &self.process_managers {
            lock(&manager.reacting).seal();
        }
    }

    /// How everything is doing while the newest durable position is `head`.
    pub(crate) fn status(&self, head: u64) -> ReadSideStatus {
        let projections = self.projections.values();
        let mut projections: Vec<_> = projections.map(|p| p.progress.status(head)).collect();
        projections.sort_by_key(|status| status.name);
        let managers = self.process_managers.iter();
        ReadSideStatus {
            projections,
            process_managers: managers.map(|m| lock(&m.reacting).status(head)).collect(),
        }
    }

    /// Saves all projections as they are.
    pub(crate) fn save_projections(&self) {
        for (name, projection) in &self.projections {
            let save = || lock(&projection.any).save();
            let saved = catch_unwind(AssertUnwindSafe(save));
            if let Err(error) = saved.unwrap_or_else(|_| Err(io::Error::other("it panicked"))) {
                tracing::warn!(projection = name, %error, "the checkpoint could not be saved");
            }
        }
    }
}

/// What a reader is told once the store is shut down.
pub(crate) fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "the store is shut down")
}

/// Locks what a panic cannot leave half changed: followers mark themselves failed.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
