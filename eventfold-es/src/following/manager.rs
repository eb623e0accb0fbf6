//! A registered process manager of any type: [`Manager`].

use std::io;
use std::sync::Arc;

use tokio::sync::{Notify, watch};

use crate::domain::process_manager::{OnFailure, ProcessManager, Retry};
use crate::error::closed;
use crate::following::again;
use crate::following::checkpoint;
use crate::following::checkpoint::{Checkpoint, Unusable};
use crate::following::exclusive::Exclusive;
use crate::following::failure::Failure;
use crate::following::managing::{AnyReacting, Reacting, Reaction};
use crate::following::status::{ProcessManagerStatus, Progress};
use crate::following::trace::Traces;
use crate::following::unusable::UnusableManager;
use crate::storage::Storage;
use crate::storage::record_name::Follower;

/// A registered process manager.
#[derive(Clone)]
pub(crate) struct Manager {
    pub(crate) name: &'static str,
    pub(crate) reacting: Arc<Exclusive<dyn AnyReacting>>,
    pub(crate) progress: Arc<Progress>,
    /// Notified when the process manager should check for work.
    pub(crate) wake: Arc<Notify>,
    /// Notified after each background step, with its error if it failed.
    pub(crate) trouble: Arc<watch::Sender<Option<Failure>>>,
}

impl Manager {
    /// Reports that a step was made, and its error.
    pub(crate) fn set_trouble(&self, trouble: Option<Failure>) {
        self.trouble.send_replace(trouble);
    }

    /// Waits for a manager that runs in the background. It must have reacted to everything up to
    /// the durable position `head`, and have sent every command that need not wait.
    pub(crate) async fn settled(&self, head: u64) -> io::Result<()> {
        let mut steps = self.steps();
        // Commands that come from later events are not waited for.
        let mut below = None;
        loop {
            let trouble = steps.borrow_and_update().clone();
            if let Some(trouble) = trouble {
                return Err(trouble.into());
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

    /// Its steps in the background, and the error of each.
    pub(crate) fn steps(&self) -> watch::Receiver<Option<Failure>> {
        self.trouble.subscribe()
    }

    /// Its status while the newest durable position is `head`. If the reaction that is under way
    /// asks, the status is the one from before it.
    pub(crate) fn status(&self, head: u64) -> ProcessManagerStatus {
        match self.reacting.lock() {
            Ok(reacting) => reacting.status(head),
            Err(_) => self.progress.manager_status(head),
        }
    }

    /// Continues the process manager `M` from its checkpoint. If the checkpoint cannot be used, the
    /// process manager is stopped.
    ///
    /// # Errors
    ///
    /// If a file cannot be read at all, or if the checkpoint is ahead of the journal. In the second
    /// case the store must not go on: once the journal is as long again, nothing would show that
    /// events are missing.
    pub(crate) fn open<M: ProcessManager>(
        storage: &Storage,
        on_failure: OnFailure,
        retry: Retry,
        traces: &Arc<Traces>,
    ) -> io::Result<Self> {
        type Any = Arc<Exclusive<dyn AnyReacting>>;
        let name = format!("process manager `{}`", M::NAME);
        let records = storage.records(Follower::ProcessManager, M::NAME);
        let (reacting, progress): (Any, _) = match checkpoint::read::<M>(&records, 1) {
            Ok(checkpoint) => {
                let restored = again::note(&records)?;
                let checkpoint = match (checkpoint, restored.and_then(|restored| restored.from)) {
                    (Some(checkpoint), _) => checkpoint,
                    (None, None) => Checkpoint::beginning(),
                    (None, Some(from)) => Checkpoint {
                        position: from,
                        chain: Some(storage.history_at(from)?),
                        ..Checkpoint::beginning()
                    },
                };
                let how = Reaction {
                    on_failure,
                    retry,
                    traces: traces.clone(),
                    restored,
                };
                let reacting = Reacting::open(storage, records, checkpoint, how)?;
                let progress = reacting.progress();
                (Arc::new(Exclusive::new(name, reacting)), progress)
            }
            Err(Unusable::Storage(error)) => return Err(error.into()),
            // The store and the other process managers can work without it.
            Err(unusable) => {
                let error = unusable.of_manager(M::NAME);
                let unusable = UnusableManager::new(M::NAME, storage.log(), &records, error)?;
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
