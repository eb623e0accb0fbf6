//! Following the journal in the background: one task for each projection, process manager and
//! follower of a live store.
//!
//! The tasks run on the [background runtime](crate::runtime::background). The runtime on which the
//! store was opened may end before the store does. The tasks hold nothing that keeps the store
//! open. Only a command that is being sent keeps it open. Reading the journal and saving block, so
//! they run on threads for blocking work, a slice at a time.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, Weak};
use std::task::Poll;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinHandle, JoinSet};

use crate::error::closed;
use crate::following::exclusive::Exclusive;
use crate::following::failure::Failure;
use crate::following::manager::Manager;
use crate::following::outgoing::Outgoing;
use crate::following::projecting::{AnyProjecting, Registered};
use crate::following::reacting::{AnyReacting, Outcome};
use crate::following::sending::dispatch_row;
use crate::following::status::Progress;
use crate::runtime::aggregates::Aggregates;
use crate::runtime::background::blocking;
use crate::runtime::dispatch::Dispatchers;
use crate::runtime::sender::Sender;
use crate::storage::Storage;
use crate::storage::log::Log;
use crate::storage::term::Term;
use crate::sync::lock;

/// To how many targets the commands of one process manager may be under way at the same time.
const UNDER_WAY: usize = 256;
/// How many commands to one target are sent one after the other, before their outcomes are noted.
const IN_A_ROW: usize = 16;
/// How long after an I/O error the step is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// The tasks of a live store.
#[derive(Debug)]
pub(crate) struct Live {
    stop: watch::Sender<bool>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl Live {
    /// Starts a task for each projection, each follower (both are `projections`) and each process
    /// manager. Invariant R2.
    pub(crate) fn start<'a>(
        runtime: &Runtime,
        projections: impl Iterator<Item = &'a Registered>,
        managers: &[Manager],
        dispatchers: &Arc<Dispatchers>,
        store: &Arc<Aggregates>,
    ) -> Self {
        let storage = &store.storage;
        let (stop, stopped) = watch::channel(false);
        let mut tasks = Vec::new();
        for projection in projections {
            projection.progress.set_live();
            let following = Following {
                follower: projection.any.clone(),
                progress: projection.progress.clone(),
                log: storage.log(),
                stop: stopped.clone(),
            };
            tasks.push(runtime.spawn(following.run()));
        }
        for manager in managers {
            manager.progress.set_live();
            let managing = Managing {
                manager: manager.clone(),
                store: Arc::downgrade(store),
                dispatchers: dispatchers.clone(),
                storage: storage.clone(),
                stop: stopped.clone(),
                under_way: JoinSet::new(),
            };
            tasks.push(runtime.spawn(managing.run()));
        }
        Self {
            stop,
            tasks: Mutex::new(tasks),
        }
    }

    /// Ends the tasks once the commands that are under way are done. Does not wait for that.
    pub(crate) fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Waits until the tasks have ended. Invariant R3.
    pub(crate) async fn ended(&self) {
        let tasks = std::mem::take(&mut *lock(&self.tasks));
        for task in tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a task of the read side panicked; this is a bug");
            }
        }
    }
}

/// Waits until one of `futures` is ready.
async fn first(mut futures: Vec<Pin<&mut (dyn Future<Output = ()> + Send)>>) {
    poll_fn(|context| {
        let is_ready = futures
            .iter_mut()
            .any(|future| future.as_mut().poll(context).is_ready());
        if is_ready {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
}

async fn sleep(time: Option<Duration>) {
    match time {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that the store is gone.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Waits for an event after `position`.
async fn moved(log: &Log, position: u64) {
    if log.reached(position + 1).await.is_err() {
        // No event will come. The end of the store is reported in another way.
        std::future::pending::<()>().await;
    }
}

/// A projection, or what is fed outside of the store.
struct Following {
    follower: Arc<Exclusive<dyn AnyProjecting>>,
    progress: Arc<Progress>,
    log: Log,
    stop: watch::Receiver<bool>,
}

impl Following {
    async fn run(mut self) {
        while !*self.stop.borrow() {
            if self.progress.is_stopped() {
                let goes_on = self.progress.goes_on();
                first(vec![pin!(goes_on), pin!(stopped(&mut self.stop))]).await;
                continue;
            }
            let head = self.log.head();
            let follower = self.follower.clone();
            let step = blocking(move || {
                let mut follower = follower.lock()?;
                Ok(match follower.advance(head) {
                    Ok(is_there) => Ok((is_there, follower.save_in())),
                    Err(error) => Err((error, follower.retry_in())),
                })
            });
            let step = step.await.unwrap_or_else(|error| Err((error, None)));
            self.progress.set_failing(step.is_err());
            let pause = match step {
                Ok((false, _)) => continue,
                Ok((true, save_in)) => save_in,
                Err(_) if self.progress.is_stopped() => continue,
                Err((error, retry_in)) => {
                    self.progress.fail(&error.to_string());
                    first(vec![
                        pin!(sleep(Some(retry_in.unwrap_or(PAUSE)))),
                        pin!(stopped(&mut self.stop)),
                    ])
                    .await;
                    continue;
                }
            };
            let position = self.progress.position();
            tracing::trace!(position, head, "it has caught up");
            first(vec![
                pin!(moved(&self.log, position.max(head))),
                pin!(sleep(pause)),
                pin!(stopped(&mut self.stop)),
            ])
            .await;
        }
    }
}

/// A process manager at work.
struct Managing {
    manager: Manager,
    store: Weak<Aggregates>,
    dispatchers: Arc<Dispatchers>,
    storage: Storage,
    stop: watch::Receiver<bool>,
    under_way: JoinSet<Vec<(u64, Outcome)>>,
}

/// Commands that may be sent now.
#[derive(Default)]
struct ToSend {
    /// Those to one target, in order, for each target.
    rows: Vec<Vec<Outgoing>>,
    /// The term of the commands.
    term: Option<Arc<Term>>,
}

impl ToSend {
    /// Takes what may be sent now to at most `targets` targets.
    fn take(reacting: &mut dyn AnyReacting, targets: usize) -> Self {
        let mut rows = Vec::new();
        while rows.len() < targets
            && let Some(first) = reacting.take()
        {
            let mut row = vec![first];
            while row.len() < IN_A_ROW
                && let Some(next) = row
                    .last()
                    .and_then(|last| reacting.take_behind(last.number))
            {
                row.push(next);
            }
            rows.push(row);
        }
        Self {
            rows,
            term: reacting.term(),
        }
    }
}

/// What a process manager needs after a step.
#[derive(Default)]
struct Wanted {
    /// Whether there is more to do at once.
    more: bool,
    /// The position after which it waits for events.
    events_after: Option<u64>,
    next_due: Option<u64>,
    save_in: Option<Duration>,
}

impl Managing {
    async fn run(mut self) {
        let mut outcomes = Vec::new();
        loop {
            self.gather(&mut outcomes).await;
            let is_ending = self.is_ending();
            if is_ending && outcomes.is_empty() && self.under_way.is_empty() {
                break;
            }
            let step = self.step(std::mem::take(&mut outcomes), !is_ending).await;
            self.manager.progress.set_failing(step.is_err());
            let wanted = match step {
                Ok(wanted) => {
                    self.manager.set_trouble(None);
                    wanted
                }
                Err(error) => {
                    let failure = Failure::from(&error);
                    if !self.manager.progress.is_stopped() {
                        self.manager.progress.fail(failure.text());
                    }
                    self.manager.set_trouble(Some(failure));
                    if self.is_ending() {
                        continue;
                    }
                    let pause = tokio::time::sleep(PAUSE);
                    first(vec![pin!(pause), pin!(stopped(&mut self.stop))]).await;
                    continue;
                }
            };
            let is_over = is_ending && self.under_way.is_empty();
            if !wanted.more && !is_over {
                outcomes.extend(self.wait(&wanted, is_ending).await);
            }
        }
        let stopped_by = self.manager.progress.stopped_by();
        let failure = stopped_by.unwrap_or_else(|| Failure::from(&closed()));
        self.manager.set_trouble(Some(failure));
    }

    /// Whether it must begin nothing new.
    fn is_ending(&self) -> bool {
        let is_usable = |store: Arc<Aggregates>| store.check_usable().is_ok();
        *self.stop.borrow()
            || self.manager.progress.is_stopped()
            || !self.store.upgrade().is_some_and(is_usable)
    }

    /// Notes the outcomes of commands, and goes on if `go_on`.
    async fn step(&mut self, outcomes: Vec<(u64, Outcome)>, go_on: bool) -> io::Result<Wanted> {
        if !outcomes.is_empty() {
            let targets = if go_on { self.room() } else { 0 };
            let send = self.with_reacting(move |reacting| {
                let mut noted = Ok(());
                for (number, outcome) in outcomes {
                    noted = noted.and(reacting.note(number, outcome, true));
                }
                noted.map(|()| ToSend::take(reacting, targets))
            });
            // These are sent while it reacts to more events.
            let send = send.await?;
            self.send(send);
        }
        if !go_on {
            return Ok(Wanted::default());
        }
        let (head, targets) = (self.storage.head(), self.room());
        let advanced = self.with_reacting(move |reacting| {
            let more = reacting.advance(head)?;
            let send = ToSend::take(reacting, targets);
            let wanted = Wanted {
                more,
                events_after: reacting.wants_events_after(),
                next_due: reacting.next_due(),
                save_in: reacting.save_in(),
            };
            Ok((send, wanted))
        });
        let (send, wanted) = advanced.await?;
        self.send(send);
        Ok(wanted)
    }

    /// Runs `run`, which may block, on the process manager.
    async fn with_reacting<T: Send + 'static>(
        &self,
        run: impl FnOnce(&mut dyn AnyReacting) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let reacting = self.manager.reacting.clone();
        blocking(move || run(&mut *reacting.lock()?)).await
    }

    /// To how many more targets commands may be sent.
    fn room(&self) -> usize {
        UNDER_WAY.saturating_sub(self.under_way.len())
    }

    /// Sends commands, those to each target in a separate task.
    fn send(&mut self, send: ToSend) {
        for row in send.rows {
            let sender = Sender {
                name: self.manager.name,
                term: send.term.clone(),
            };
            let store = self.store.clone();
            let dispatchers = self.dispatchers.clone();
            let stop = self.stop.clone();
            let is_stopped = move || *stop.borrow();
            self.under_way.spawn(async move {
                dispatch_row(&store, &dispatchers, &sender, row, is_stopped).await
            });
        }
    }

    /// Takes the outcomes of the commands that have ended, and of those that end meanwhile: a batch is
    /// answered at once, and one step notes all of it.
    async fn gather(&mut self, outcomes: &mut Vec<(u64, Outcome)>) {
        loop {
            tokio::task::yield_now().await;
            let before = outcomes.len();
            while let Some(ended) = self.under_way.try_join_next() {
                outcomes.extend(all_of(ended));
            }
            if outcomes.len() == before {
                return;
            }
        }
    }

    /// Waits until there is something to do; if `is_ending`, only for commands. Returns the outcomes
    /// of commands, if some ended.
    async fn wait(&mut self, wanted: &Wanted, is_ending: bool) -> Vec<(u64, Outcome)> {
        let log = self.storage.log();
        let mut stop = self.stop.clone();
        let mut done = None;
        {
            let Self { under_way, .. } = self;
            let ended = async {
                match under_way.join_next().await {
                    Some(ended) => done = Some(ended),
                    None => std::future::pending().await,
                }
            };
            let events = async {
                match wanted.events_after {
                    Some(position) => moved(&log, position).await,
                    None => std::future::pending().await,
                }
            };
            let stopping = async {
                if is_ending {
                    std::future::pending::<()>().await;
                }
                stopped(&mut stop).await;
            };
            first(vec![
                pin!(ended),
                pin!(events),
                pin!(self.storage.clock().wait_until(wanted.next_due)),
                pin!(self.manager.wake.notified()),
                pin!(sleep(wanted.save_in)),
                pin!(stopping),
            ])
            .await;
        }
        done.map_or_else(Vec::new, all_of)
    }
}

/// The outcomes of the commands of a task that has ended. A panic in sending is an outcome.
fn all_of(ended: Result<Vec<(u64, Outcome)>, JoinError>) -> Vec<(u64, Outcome)> {
    ended.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}
