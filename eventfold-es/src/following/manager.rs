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
use crate::following::lease::{Candidate, Lease};
use crate::following::leased::Leased;
use crate::following::managing::{Reacting, Reaction};
use crate::following::reacting::{AnyReacting, Counts};
use crate::following::saved;
use crate::following::status::{ProcessManagerStatus, Progress};
use crate::following::trace::Traces;
use crate::following::turn::{Turn, Turns};
use crate::following::unusable::UnusableManager;
use crate::storage::Storage;
use crate::storage::record::Records;
use crate::storage::record_name::Follower;
use crate::storage::term::Term;

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
    /// Where other stores may run it.
    turns: Option<Turns>,
}

impl Manager {
    /// Reports that a step was made, and its error.
    pub(crate) fn set_trouble(&self, trouble: Option<Failure>) {
        self.trouble.send_replace(trouble);
    }

    /// Waits for a manager that runs in the background, unless another process runs it. It must have reacted to everything up to
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
                if reacting.runs_elsewhere().is_some() {
                    return Ok(());
                }
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

    /// Whoever uses it on demand has this meanwhile; `None` if no other process may run it.
    pub(crate) fn turn(&self) -> Option<Arc<Turn>> {
        let turns = self.turns.as_ref()?;
        Some(turns.join(&self.reacting))
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
    /// process manager is stopped. Where several stores may run it, it continues once this store has its
    /// lease.
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
        candidate: &Candidate,
    ) -> io::Result<Self> {
        type Any = Arc<Exclusive<dyn AnyReacting>>;
        let name = format!("process manager `{}`", M::NAME);
        let records = storage.records(Follower::ProcessManager, M::NAME);
        let wake = Arc::<Notify>::default();
        let how = How {
            on_failure,
            retry,
            traces: traces.clone(),
        };
        let (reacting, progress): (Any, _) = if let Some(leases) = storage.leases() {
            let progress = Arc::new(Progress::new(M::NAME, storage.log(), 0));
            let known = saved::process_manager(M::NAME, &records, storage.head())?;
            known.tell(&progress);
            let lease = Lease::new(
                leases,
                (Follower::ProcessManager, M::NAME),
                candidate.clone(),
                storage.clock().clone(),
                progress.clone(),
                wake.clone(),
            );
            let (storage, told, own) = (storage.clone(), progress.clone(), records.clone());
            let open = move |term: &Arc<Term>, counts| {
                // What earlier terms stored is known from here on.
                storage.ask_head()?;
                let records = own.clone().within(term);
                let opened = continued::<M>(&storage, records, &how, counts, Some(told.clone()));
                let reacting = opened?.map_err(|unusable| unusable.of_manager(M::NAME))?;
                Ok(Box::new(reacting) as Box<dyn AnyReacting>)
            };
            let leased = Leased::new(lease, records, progress.clone(), Box::new(open));
            (Arc::new(Exclusive::new(name, leased)), progress)
        } else {
            match continued::<M>(storage, records.clone(), &how, Counts::default(), None)? {
                Ok(reacting) => {
                    let progress = reacting.progress();
                    (Arc::new(Exclusive::new(name, reacting)), progress)
                }
                // The store and the other process managers can work without it.
                Err(unusable) => {
                    let error = unusable.of_manager(M::NAME);
                    let unusable = UnusableManager::new(M::NAME, storage.log(), &records, error)?;
                    let progress = unusable.progress();
                    (Arc::new(Exclusive::new(name, unusable)), progress)
                }
            }
        };
        Ok(Self {
            name: M::NAME,
            reacting,
            progress,
            wake,
            trouble: Arc::new(watch::Sender::new(None)),
            turns: storage.leases().map(|_| Turns::default()),
        })
    }
}

/// How a process manager was registered.
struct How {
    on_failure: OnFailure,
    retry: Retry,
    traces: Arc<Traces>,
}

/// Continues a process manager from what is saved in `records`, unless that cannot be used.
fn continued<M: ProcessManager>(
    storage: &Storage,
    records: Records,
    how: &How,
    counts: Counts,
    progress: Option<Arc<Progress>>,
) -> io::Result<Result<Reacting<M>, Unusable>> {
    let checkpoint = match checkpoint::read::<M>(&records, 1) {
        Ok(checkpoint) => checkpoint,
        Err(Unusable::Storage(error)) => return Err(error.into()),
        Err(unusable) => return Ok(Err(unusable)),
    };
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
        on_failure: how.on_failure,
        retry: how.retry,
        traces: how.traces.clone(),
        restored,
        counts,
        progress,
    };
    Reacting::open(storage, records, checkpoint, how).map(Ok)
}
