//! The projections and process managers that a store was opened with: [`ReadSide`].

use std::collections::HashMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};

use tokio::runtime::Runtime;

use crate::domain::projection::Projection;
use crate::following::exclusive::Exclusive;
use crate::following::lease::Candidate;
use crate::following::live::Live;
use crate::following::manager::Manager;
use crate::following::projecting::{Projecting, Registered};
use crate::following::status::ReadSideStatus;
use crate::following::trace::Traces;
use crate::model::Model;
use crate::runtime::aggregates::{Aggregates, Follows};
use crate::runtime::dispatch::Dispatchers;
use crate::storage::Storage;
use crate::storage::error::StorageResult;
use crate::storage::record_name::Follower;

/// The projections and process managers of a store.
pub(crate) struct ReadSide {
    /// By name.
    pub(crate) projections: HashMap<&'static str, Registered>,
    pub(crate) process_managers: Vec<Manager>,
    /// What somebody waits for.
    pub(crate) traces: Arc<Traces>,
    pub(crate) dispatchers: Dispatchers,
    /// Each adds what a registered type says.
    pub(crate) about: Vec<fn(&mut Model)>,
    /// Set if they run in the background.
    pub(crate) live: OnceLock<Live>,
    /// Held by one run of the process managers at a time, until its last command has ended.
    pub(crate) run: Arc<tokio::sync::Mutex<()>>,
    /// How this store names itself where several may run a follower.
    pub(crate) candidate: Candidate,
}

impl ReadSide {
    /// Without projections and process managers.
    pub(crate) fn new(candidate: Candidate) -> Self {
        Self {
            projections: HashMap::new(),
            process_managers: Vec::new(),
            traces: Arc::default(),
            dispatchers: Dispatchers::default(),
            about: Vec::new(),
            live: OnceLock::new(),
            run: Arc::default(),
            candidate,
        }
    }

    /// Starts all of them in the background.
    pub(crate) fn go_live(&self, runtime: &Runtime, store: &Arc<Aggregates>) {
        let dispatchers = Arc::new(self.dispatchers.clone());
        let projections = self.projections.values();
        let managers = &self.process_managers;
        self.live
            .get_or_init(|| Live::start(runtime, projections, managers, &dispatchers, store));
    }

    /// Warns of process managers that have files here and are not registered. Their timers and
    /// commands wait. If one was renamed, it reacts to all events again.
    pub(crate) fn warn_of_unregistered(&self, storage: &Storage) -> StorageResult<()> {
        if self.process_managers.is_empty() {
            return Ok(());
        }
        for name in storage.followers(Follower::ProcessManager)? {
            if !self.process_managers.iter().any(|m| m.name == name) {
                let records = storage.records(Follower::ProcessManager, &name);
                tracing::warn!(
                    pm_name = name,
                    dir = %records.all(),
                    "the directory has the files of a process manager that is not registered; \
                     its timers and commands wait"
                );
            }
        }
        Ok(())
    }

    /// The projection `P`.
    pub(crate) fn projection<P: Projection>(&self) -> io::Result<Arc<Exclusive<Projecting<P>>>> {
        let registered = self.projections.get(P::NAME).ok_or_else(|| {
            let text = format!("projection '{}' not registered", P::NAME);
            io::Error::new(io::ErrorKind::NotFound, text)
        })?;
        registered.typed.clone().downcast().map_err(|_| {
            let text = format!("projection '{}' is registered as another type", P::NAME);
            io::Error::new(io::ErrorKind::InvalidInput, text)
        })
    }

    /// Brings all projections up to date. One that fails returns its error again when it is read.
    pub(crate) fn catch_up_projections(&self) {
        for (name, projection) in &self.projections {
            let caught_up = projection.any.lock().and_then(|mut any| any.catch_up());
            if let Err(error) = caught_up {
                tracing::error!(projection = name, %error, "the projection could not be brought up to date");
            }
        }
    }

    /// The status of all of them while the newest durable position is `head`.
    pub(crate) fn status(&self, head: u64) -> ReadSideStatus {
        let projections = self.projections.values();
        let mut projections: Vec<_> = projections.map(|p| p.progress.status(head)).collect();
        projections.sort_by_key(|status| status.name);
        let managers = self.process_managers.iter();
        ReadSideStatus {
            projections,
            process_managers: managers.map(|m| m.status(head)).collect(),
        }
    }

    /// Saves all projections.
    pub(crate) fn save_projections(&self) {
        for (name, projection) in &self.projections {
            let save = || projection.any.lock()?.save();
            let saved = catch_unwind(AssertUnwindSafe(save));
            if let Err(error) =
                saved.unwrap_or_else(|_| Err(io::Error::other("saving it panicked")))
            {
                tracing::warn!(projection = name, %error, "the checkpoint could not be saved");
            }
        }
    }
}

impl Follows for ReadSide {
    fn let_go(&self) {
        if let Some(live) = self.live.get() {
            live.stop();
        }
    }

    /// Saves the projections and the process managers. Nothing is written after that.
    fn close(&self) {
        self.save_projections();
        for projection in self.projections.values() {
            report_if_held(projection.any.lock().map(|mut any| any.close()));
        }
        for manager in &self.process_managers {
            report_if_held(manager.reacting.lock().map(|mut reacting| reacting.seal()));
        }
    }
}

/// Reports that a projection or process manager could not be closed. The closing threads run no
/// code of the user's, so this cannot happen.
fn report_if_held(closed: io::Result<()>) {
    if let Err(error) = closed {
        tracing::error!(%error, "a projection or process manager is still in use when the store closes; this is a bug");
    }
}
