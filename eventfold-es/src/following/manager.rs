//! A registered process manager, whatever its type: [`Manager`].

use std::io;
use std::sync::Arc;

use tokio::sync::{Notify, watch};

use crate::domain::process_manager::{OnFailure, ProcessManager, Retry};
use crate::error::closed;
use crate::following::checkpoint;
use crate::following::checkpoint::{Checkpoint, Unusable};
use crate::following::exclusive::Exclusive;
use crate::following::managing::{AnyReacting, Reacting};
use crate::following::status::{ProcessManagerStatus, Progress};
use crate::following::unusable::UnusableManager;
use crate::storage::Storage;
use crate::storage::record_name::Follower;

/// A registered process manager.
#[derive(Clone)]
pub(crate) struct Manager {
    pub(crate) name: &'static str,
    pub(crate) reacting: Arc<Exclusive<dyn AnyReacting>>,
    pub(crate) progress: Arc<Progress>,
    /// Told when something of it is to be looked at.
    pub(crate) wake: Arc<Notify>,
    /// Told after each step that it made by itself, with the error if that failed.
    pub(crate) trouble: Arc<watch::Sender<Option<String>>>,
}

impl Manager {
    /// Tells that a step was made, and what it failed with.
    pub(crate) fn set_trouble(&self, trouble: Option<String>) {
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
                let reacting = self.reacting.lock()?;
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

    /// How it is doing while the newest durable position is `head`: as it was before the reaction that
    /// is under way, if that is what asks.
    pub(crate) fn status(&self, head: u64) -> ProcessManagerStatus {
        match self.reacting.lock() {
            Ok(reacting) => reacting.status(head),
            Err(_) => self.progress.manager_status(head),
        }
    }

    /// Takes the process manager `M` up where it was left. One whose checkpoint cannot be used is
    /// stopped.
    ///
    /// # Errors
    ///
    /// If a file cannot be read at all; if the checkpoint is ahead of the journal: the store must not
    /// go on then, since once the journal is as long again nothing would tell that events are missing.
    pub(crate) fn open<M: ProcessManager>(
        storage: &Storage,
        on_failure: OnFailure,
        retry: Retry,
    ) -> io::Result<Self> {
        type Any = Arc<Exclusive<dyn AnyReacting>>;
        let name = format!("process manager `{}`", M::NAME);
        let records = storage.records(Follower::ProcessManager, M::NAME);
        let (reacting, progress): (Any, _) = match checkpoint::read::<M>(&records, 1) {
            Ok(checkpoint) => {
                let checkpoint = checkpoint.unwrap_or_else(Checkpoint::beginning);
                let reacting = Reacting::open(storage, records, checkpoint, on_failure, retry)?;
                let progress = reacting.progress();
                (Arc::new(Exclusive::new(name, reacting)), progress)
            }
            Err(Unusable::Io(error)) => return Err(error),
            // The other process managers, and the store, can do without it.
            Err(unusable) => {
                let error = unusable.of_manager(M::NAME);
                let unusable = UnusableManager::new(M::NAME, &records, &error)?;
                let progress = unusable.progress();
                (Arc::new(Exclusive::new(name, unusable)), progress)
            }
        };
        Ok(Self {
            name: M::NAME,
            reacting,
            progress,
            wake: Arc::default(),
            trouble: Arc::new(watch::Sender::new(None)),
        })
    }
}
