//! The status of a store's projections and process managers: [`ReadSideStatus`].

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::SystemTime;

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use crate::following::failure::Failure;
use crate::following::skipped::SkippedEvent;
use crate::ids::Position;
use crate::storage::log::Log;
use crate::sync::lock;

/// How many skipped events are kept in memory.
const LISTED: usize = 100;

/// The status of a store's projections and process managers. From
/// [`AggregateStore::read_side`](crate::store::AggregateStore::read_side).
///
/// ```
/// # use eventfold_es::{*, __private::example::*};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path();
/// let store = AggregateStore::builder(path).projection::<Total>().open().await?;
/// store.get::<Counter>("c-1").await?.send(Add(5)).await?;
/// let status = &store.read_side().projections[0];
/// assert_eq!((status.name, status.lag), ("total", 1)); // nobody has read it yet
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadSideStatus {
    /// The projections, by name.
    pub projections: Vec<FollowerStatus>,
    /// The [followers](crate::Follower), by name.
    pub followers: Vec<FollowerStatus>,
    /// The process managers, in the order of their registration.
    pub process_managers: Vec<ProcessManagerStatus>,
}

/// The status of a projection or a [follower](crate::Follower), or the part of a process manager's status that is the same.
///
/// See the example of [`ReadSideStatus`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FollowerStatus {
    /// Its `NAME`.
    pub name: &'static str,
    /// All events up to here are in its state.
    pub position: Position,
    /// How many events are stored after that, also those that it does not subscribe to.
    pub lag: u64,
    /// Whether it runs.
    pub running: Running,
    /// The process that runs it, where one of several does; `None` if nobody runs it now. A store in a
    /// directory runs its own.
    pub runner: Option<Runner>,
    /// Whether its newest step in the background failed. It is tried again each second; the last error
    /// says why it fails.
    pub is_failing: bool,
    /// The last error since the store was opened, if there was one. Its cause may be gone.
    pub last_error: Option<String>,
    /// How many events it skipped.
    pub skipped_count: u64,
    /// The newest of the skipped events, at most 100, the oldest first. `skipped.jsonl` beside its
    /// checkpoint has all of them.
    pub skipped: Vec<SkippedEvent>,
}

/// The status of a process manager.
///
/// ```
/// # use eventfold_es::{*, __private::example::*};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path();
/// let store = AggregateStore::builder(path).process_manager::<Forward>().open().await?;
/// let status = &store.read_side().process_managers[0];
/// assert_eq!(status.follower.name, "forward");
/// assert_eq!((status.timers, status.dead_letters), (0, Some(0)));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProcessManagerStatus {
    /// Name, position, errors.
    pub follower: FollowerStatus,
    /// How many commands are being sent, or wait for their next attempt.
    pub outgoing: usize,
    /// How many timers are set.
    pub timers: usize,
    /// How many dead letters there are; `None` if their file cannot be read.
    pub dead_letters: Option<usize>,
    /// How many of its commands succeeded since the store was opened.
    pub sent: u64,
    /// How many attempts failed since then and were, or will be, followed by another one.
    pub retried: u64,
    /// How many of its commands became dead letters since then.
    pub given_up: u64,
}

/// Whether a projection or process manager runs.
///
/// See the example of [`ReadSideStatus`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Running {
    /// It runs when it is read, or when the process managers are run.
    OnDemand,
    /// It runs in the background.
    Live,
    /// Another process runs it. If that process ends, one that stands by takes its place.
    StandingBy,
    /// It does not run until the store is opened again: it could not take an event. The last error
    /// says which. A [follower](crate::Follower) also goes on when it is
    /// [restarted](crate::AggregateStore::restart_follower).
    Stopped,
}

/// The process that runs a follower which only one of several processes may run. From
/// [`FollowerStatus::runner`].
///
/// See the example of [`ReadSideStatus`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Runner {
    /// The process, its machine and its store.
    pub process: String,
    /// Since when, by the clock of that machine.
    pub since: SystemTime,
    /// Whether it is this store.
    pub is_here: bool,
}

/// The part of a follower that others may read while it works.
#[derive(Debug)]
pub(crate) struct Progress {
    name: &'static str,
    log: Log,
    position: AtomicU64,
    is_failing: AtomicBool,
    condition: Mutex<Condition>,
    /// What a process manager has to do before it reacts to more events.
    to_do: Mutex<ToDo>,
    /// Notified when it has moved, if it is fed outside of the store.
    moved: Notify,
    /// Notified when it goes on after it was stopped.
    goes_on: Notify,
}

/// What waits in a process manager: commands, timers, dead letters.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ToDo {
    pub(crate) outgoing: usize,
    pub(crate) timers: usize,
    pub(crate) dead_letters: Option<usize>,
    pub(crate) sent: u64,
    pub(crate) retried: u64,
    pub(crate) given_up: u64,
}

#[derive(Debug, Default)]
struct Condition {
    is_live: bool,
    /// Who runs it, if one of several stores does.
    runner: Option<Runner>,
    /// The error that stopped it, if it has stopped.
    stopped_by: Option<Failure>,
    last_error: Option<String>,
    skipped_count: u64,
    skipped: VecDeque<SkippedEvent>,
}

impl Progress {
    pub(crate) fn new(name: &'static str, log: Log, position: u64) -> Self {
        Self {
            name,
            log,
            position: AtomicU64::new(position),
            is_failing: AtomicBool::new(false),
            condition: Mutex::default(),
            to_do: Mutex::default(),
            moved: Notify::new(),
            goes_on: Notify::new(),
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn set_position(&self, position: u64) {
        self.position.store(position, Ordering::Release);
    }

    pub(crate) fn position(&self) -> u64 {
        self.position.load(Ordering::Acquire)
    }

    pub(crate) fn set_live(&self) {
        lock(&self.condition).is_live = true;
    }

    pub(crate) fn is_live(&self) -> bool {
        lock(&self.condition).is_live
    }

    pub(crate) fn set_runner(&self, runner: Option<Runner>) {
        lock(&self.condition).runner = runner;
    }

    /// The process that runs it, if it is another one.
    pub(crate) fn runs_elsewhere(&self) -> Option<String> {
        let condition = lock(&self.condition);
        let runner = condition.runner.as_ref();
        let other = runner.filter(|runner| !runner.is_here);
        other.map(|runner| runner.process.clone())
    }

    /// What waits in a process manager, as it was last noted.
    pub(crate) fn to_do(&self) -> ToDo {
        *lock(&self.to_do)
    }

    /// Notes whether the newest step in the background failed.
    pub(crate) fn set_failing(&self, is_failing: bool) {
        self.is_failing.store(is_failing, Ordering::Relaxed);
    }

    pub(crate) fn fail(&self, error: &str) {
        tracing::warn!(
            name = self.name,
            error,
            "a projection or process manager failed"
        );
        lock(&self.condition).last_error = Some(error.to_owned());
    }

    pub(crate) fn stop(&self, failure: &Failure) {
        let error = failure.text();
        tracing::error!(
            name = self.name,
            error,
            "a projection or process manager stopped"
        );
        let mut condition = lock(&self.condition);
        condition.stopped_by = Some(failure.clone());
        condition.last_error = Some(error.to_owned());
    }

    /// Wakes those who wait for a change.
    pub(crate) fn tell(&self) {
        self.moved.notify_waiters();
    }

    /// Waits for a change from now on.
    pub(crate) fn told(&self) -> Pin<Box<Notified<'_>>> {
        let mut told = Box::pin(self.moved.notified());
        told.as_mut().enable();
        told
    }

    /// Notes that it goes on after it was stopped.
    pub(crate) fn go_on(&self) {
        lock(&self.condition).stopped_by = None;
        self.goes_on.notify_one();
    }

    /// Waits until it goes on after it was stopped.
    pub(crate) async fn goes_on(&self) {
        self.goes_on.notified().await;
    }

    /// Notes what waits in a process manager.
    pub(crate) fn set_to_do(&self, to_do: ToDo) {
        *lock(&self.to_do) = to_do;
    }

    /// The status of a process manager, with its latest noted commands, timers and dead letters.
    pub(crate) fn manager_status(&self, head: u64) -> ProcessManagerStatus {
        let ToDo {
            outgoing,
            timers,
            dead_letters,
            sent,
            retried,
            given_up,
        } = *lock(&self.to_do);
        ProcessManagerStatus {
            follower: self.status(head),
            outgoing,
            timers,
            dead_letters,
            sent,
            retried,
            given_up,
        }
    }

    pub(crate) fn is_stopped(&self) -> bool {
        lock(&self.condition).stopped_by.is_some()
    }

    pub(crate) fn stopped_by(&self) -> Option<Failure> {
        lock(&self.condition).stopped_by.clone()
    }

    pub(crate) fn add_skipped(&self, event: SkippedEvent) {
        let mut condition = lock(&self.condition);
        condition.skipped_count += 1;
        if condition.skipped.len() == LISTED {
            condition.skipped.pop_front();
        }
        condition.skipped.push_back(event);
    }

    /// Takes the status of the state that replaces this one.
    pub(crate) fn replace(&self, new: &Self) {
        self.set_position(new.position());
        let mut new = lock(&new.condition);
        let mut condition = lock(&self.condition);
        new.is_live = condition.is_live;
        new.runner = condition.runner.take();
        *condition = std::mem::take(&mut new);
    }

    /// Its status while the newest durable position is `head`.
    pub(crate) fn status(&self, head: u64) -> FollowerStatus {
        let position = self.position();
        let condition = lock(&self.condition);
        FollowerStatus {
            name: self.name,
            position: Position::new(position),
            lag: self.log.count_between(position, head),
            running: match (&condition.stopped_by, &condition.runner) {
                (Some(_), _) => Running::Stopped,
                (None, Some(runner)) if !runner.is_here => Running::StandingBy,
                (None, _) if condition.is_live => Running::Live,
                (None, _) => Running::OnDemand,
            },
            runner: condition.runner.clone(),
            is_failing: self.is_failing.load(Ordering::Relaxed),
            last_error: condition.last_error.clone(),
            skipped_count: condition.skipped_count,
            skipped: condition.skipped.iter().cloned().collect(),
        }
    }
}
