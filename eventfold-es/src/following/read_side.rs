//! The projections and process managers that a store was opened with: [`ReadSide`].

use std::collections::HashMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};

use tokio::runtime::Runtime;

use crate::domain::follower::Follower;
use crate::domain::projection::Projection;
#[cfg(feature = "sqlite")]
use crate::domain::sql_projection::SqlProjection;
use crate::following::exclusive::Exclusive;
use crate::following::feeding::Feeding;
use crate::following::lease::Candidate;
use crate::following::live::Live;
use crate::following::manager::Manager;
use crate::following::outside::Outside;
use crate::following::projecting::{Projecting, Registered};
#[cfg(feature = "sqlite")]
use crate::following::sql::SqlModel;
use crate::following::status::{FollowerStatus, ReadSideStatus};
use crate::following::trace::Traces;
use crate::model::Model;
use crate::runtime::aggregates::{Aggregates, Follows};
use crate::runtime::dispatch::Dispatchers;
use crate::storage::Storage;
use crate::storage::error::StorageResult;
use crate::storage::record_name::Follower as Kind;

/// The projections and process managers of a store.
pub(crate) struct ReadSide {
    /// By name.
    pub(crate) projections: HashMap<&'static str, Registered>,
    /// What is fed outside of the store, by name.
    pub(crate) followers: HashMap<&'static str, Registered>,
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
    /// The directory of the files of read models in SQL, if the host has named one.
    #[cfg(feature = "sqlite")]
    pub(crate) sql_dir: Option<std::path::PathBuf>,
    /// How this store names itself where several may run a follower.
    pub(crate) candidate: Candidate,
}

impl ReadSide {
    /// Without projections and process managers.
    pub(crate) fn new(candidate: Candidate) -> Self {
        Self {
            projections: HashMap::new(),
            followers: HashMap::new(),
            process_managers: Vec::new(),
            traces: Arc::default(),
            dispatchers: Dispatchers::default(),
            about: Vec::new(),
            live: OnceLock::new(),
            run: Arc::default(),
            #[cfg(feature = "sqlite")]
            sql_dir: None,
            candidate,
        }
    }

    /// Starts all of them in the background.
    pub(crate) fn go_live(&self, runtime: &Runtime, store: &Arc<Aggregates>) {
        let dispatchers = Arc::new(self.dispatchers.clone());
        let projections = self.projections.values().chain(self.followers.values());
        let managers = &self.process_managers;
        self.live
            .get_or_init(|| Live::start(runtime, projections, managers, &dispatchers, store));
    }

    /// The names of the projections and followers.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.projections
            .keys()
            .chain(self.followers.keys())
            .copied()
    }

    /// Warns of process managers that have files here and are not registered. Their timers and
    /// commands wait. If one was renamed, it reacts to all events again.
    pub(crate) fn warn_of_unregistered(&self, storage: &Storage) -> StorageResult<()> {
        if self.process_managers.is_empty() {
            return Ok(());
        }
        for name in storage.followers(Kind::ProcessManager)? {
            if !self.process_managers.iter().any(|m| m.name == name) {
                let records = storage.records(Kind::ProcessManager, &name);
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

    /// The read model `P` in SQL.
    #[cfg(feature = "sqlite")]
    pub(crate) fn sql<P: SqlProjection>(&self) -> io::Result<Arc<SqlModel<P>>> {
        let registered = self.projections.get(P::NAME).ok_or_else(|| {
            let text = format!(
                "the read model `{}` is not registered: add `.sql(...)` to the builder of the store",
                P::NAME
            );
            io::Error::new(io::ErrorKind::NotFound, text)
        })?;
        registered.typed.clone().downcast().map_err(|_| {
            let text = format!("the read model `{}` is registered as another type", P::NAME);
            io::Error::new(io::ErrorKind::InvalidInput, text)
        })
    }

    /// The follower `F`.
    pub(crate) fn follower<F: Follower>(&self) -> io::Result<Arc<Exclusive<Feeding<Outside<F>>>>> {
        let registered = self.followers.get(F::NAME).ok_or_else(|| {
            let text = format!(
                "the follower `{}` is not registered: add `.follower(...)` to the builder of the store",
                F::NAME
            );
            io::Error::new(io::ErrorKind::NotFound, text)
        })?;
        registered.typed.clone().downcast().map_err(|_| {
            let text = format!("the follower `{}` is registered as another type", F::NAME);
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
        let managers = self.process_managers.iter();
        ReadSideStatus {
            projections: by_name(&self.projections, head),
            followers: by_name(&self.followers, head),
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

fn by_name(all: &HashMap<&'static str, Registered>, head: u64) -> Vec<FollowerStatus> {
    let mut all: Vec<_> = all.values().map(|one| one.progress.status(head)).collect();
    all.sort_by_key(|status| status.name);
    all
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
        for projection in self.projections.values().chain(self.followers.values()) {
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
