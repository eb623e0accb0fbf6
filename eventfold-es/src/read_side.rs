//! The read side: what follows the journal, projections and process managers.

use std::any::Any;
use std::collections::HashMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(crate) mod audit;
mod checkpoint;
mod follower;
mod outbox;
mod projecting;
mod reacting;

pub(crate) use outbox::Dispatchers;
pub use outbox::Targets;
pub(crate) use projecting::Projecting;
pub(crate) use reacting::{AnyReacting, Reacting};

use crate::engine::Engine;
use crate::projection::Projection;

/// The projections and process managers of a store.
#[derive(Default)]
pub(crate) struct ReadSide {
    /// By name.
    pub(crate) projections: HashMap<&'static str, Registered>,
    pub(crate) process_managers: Vec<Arc<Mutex<dyn AnyReacting>>>,
    pub(crate) dispatchers: Dispatchers,
    /// Held by the one run of process managers at a time.
    pub(crate) run: tokio::sync::Mutex<()>,
}

/// A registered projection, as itself and as one of many.
pub(crate) struct Registered {
    typed: Arc<dyn Any + Send + Sync>,
    any: Arc<Mutex<dyn Saved>>,
}

/// What can be caught up and saved without knowing its type.
pub(crate) trait Saved: Send {
    fn catch_up(&mut self) -> io::Result<()>;
    fn save(&mut self) -> io::Result<()>;
    /// From now on nothing is read or written: the directory may be another store's.
    fn close(&mut self);
}

impl Registered {
    pub(crate) fn open<P: Projection>(engine: &Arc<Engine>) -> io::Result<Self> {
        let projecting = Arc::new(Mutex::new(Projecting::<P>::open(engine)?));
        Ok(Self {
            typed: projecting.clone(),
            any: projecting,
        })
    }
}

impl ReadSide {
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

    /// Saves all projections as they are, for the last time.
    pub(crate) fn close_projections(&self) {
        self.save_projections();
        for projection in self.projections.values() {
            lock(&projection.any).close();
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
