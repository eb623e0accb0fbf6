//! Waiting for what follows: for a state of an aggregate, and for the process managers.

use std::io;
use std::time::{Duration, Instant};

use crate::domain::aggregate::Aggregate;
use crate::error::{StateError, closed};
use crate::following::Manager;
use crate::following::subscription::Subscription;
use crate::ids::{Position, StreamId, Version};
use crate::runtime::background::within;
use crate::runtime::committed::Loaded;
use crate::runtime::inside;
use crate::store::AggregateStore;

/// Why a state was not waited for to its end. See [`AggregateStore::wait_until`].
///
/// ```
/// # use eventfold_es::{*, __private::example::*};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let store = AggregateStore::in_memory().open().await?;
/// use std::time::Duration;
///
/// let waited = store.wait_until::<Counter>("c-1", |it| it.value > 0, Duration::ZERO).await;
/// let Err(WaitError::TimedOut { version, .. }) = waited else { panic!("nobody added") };
/// assert_eq!(version, 0);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WaitError {
    /// The state was not as expected in time.
    #[error("{stream} is not as expected after {waited:?}: it is at version {version}")]
    TimedOut {
        /// The stream of the aggregate.
        stream: StreamId,
        /// The version of the last state that was looked at.
        version: Version,
        /// How long the call may wait.
        waited: Duration,
    },

    /// The state could not be read.
    #[error(transparent)]
    State(#[from] StateError),

    /// One of these:
    ///
    /// * [`io::ErrorKind::InvalidInput`]: no stream can have that name, or the aggregate is in use
    ///   as another Rust type;
    /// * [`io::ErrorKind::NotConnected`]: the store is shut down;
    /// * any other: the journal could not be read, or the store has failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Why the process managers did not come to rest. See [`AggregateStore::wait_until_settled`].
///
/// See the example there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettleError {
    /// They did not come to rest in time.
    #[error(
        "what follows from the events up to position {position} has not ended after {waited:?}; \
         these process managers are at work: {}",
        .busy.join(", ")
    )]
    TimedOut {
        /// The position that the call was made with.
        position: Position,
        /// The process managers that were still at work, by their `NAME`; none if the event at the
        /// position is not stored yet.
        busy: Vec<&'static str>,
        /// How long the call may wait.
        waited: Duration,
    },

    /// One of these:
    ///
    /// * [`io::ErrorKind::NotConnected`]: the store is shut down;
    /// * [`io::ErrorKind::Deadlock`]: code that the store runs made this call, a process manager for
    ///   example;
    /// * [`io::ErrorKind::ResourceBusy`]: another process runs a process manager, so only that one
    ///   knows what follows;
    /// * any other: a process manager has failed or is stopped, with its error.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl AggregateStore {
    /// Waits until `is_so` holds for the state of the aggregate `id`, and returns that state with its
    /// version and position. It is durable.
    ///
    /// The state is looked at once at the beginning, and again after each commit in the aggregate's
    /// stream. Nothing is asked again and again. A state that lasts for a moment only may be missed:
    /// after several commits the newest state counts. `timeout` is how long the call waits for
    /// commits, in real time, also if the store has a [`ManualClock`](crate::ManualClock).
    ///
    /// # Errors
    ///
    /// See [`WaitError`].
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    ///
    /// let store = AggregateStore::in_memory()
    ///     .process_manager::<Forward>() // adds to the counter `all` what is added to any other
    ///     .aggregate_type::<Counter>()
    ///     .live()
    ///     .open()
    ///     .await?;
    /// store.get::<Counter>("c-1").await?.send(Add(5)).await?;
    /// let timeout = Duration::from_secs(10);
    /// let all = store.wait_until::<Counter>("all", |all| all.value > 0, timeout).await?;
    /// assert_eq!(all.state.value, 5);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn wait_until<A: Aggregate>(
        &self,
        id: &str,
        mut is_so: impl FnMut(&A) -> bool,
        timeout: Duration,
    ) -> Result<Loaded<A>, WaitError> {
        let handle = self.get::<A>(id).await?;
        let started = Instant::now();
        // Whatever is committed after the state is read comes after this position.
        let log = self.inner.storage.log();
        let mut commits = Subscription::new(log, self.head()).aggregate::<A>().id(id);
        loop {
            let loaded = handle.load().await?;
            if is_so(&loaded.state) {
                return Ok(loaded);
            }
            let version = loaded.version;
            drop(loaded);
            let left = timeout.saturating_sub(started.elapsed());
            let next = if left.is_zero() {
                None
            } else {
                within(left, commits.next()).await?
            };
            match next {
                Some(Some(commit)) => drop(commit?),
                Some(None) => return Err(closed().into()),
                None => {
                    return Err(WaitError::TimedOut {
                        stream: StreamId::new(A::AGGREGATE_TYPE, id).map_err(io::Error::from)?,
                        version,
                        waited: timeout,
                    });
                }
            }
        }
    }

    /// Waits until everything has ended that follows, by the process managers, from the events up to
    /// `position`.
    ///
    /// First it waits until an event at `position` or after it is stored. Then it takes all events
    /// that are stored by then. What follows from them is: the commands of the reactions to them, the
    /// events of these commands, the commands of the reactions to those events, and so on. What
    /// answers a failed command ([`or_send`](crate::OrSend::or_send),
    /// [`on_dead_letter`](crate::ProcessManager::on_dead_letter)) follows from it too.
    ///
    /// When the call returns `Ok`, all process managers have reacted to all of these events, and each
    /// of these commands has ended: it took effect, or failed and was answered, or is a dead letter.
    /// A command that is [tried again](crate::Retry) has not ended before its last attempt. A timer
    /// belongs to this only once it is due. Other events that come in meanwhile are not waited for,
    /// so the call returns under traffic too.
    ///
    /// In a store that is not [live](crate::AggregateStoreBuilder::live), this call runs the process
    /// managers, as [`run_process_managers`](Self::run_process_managers) does. If it is dropped or
    /// times out, what it had begun is completed by the next run.
    ///
    /// `timeout` is real time, also if the store has a [`ManualClock`](crate::ManualClock).
    ///
    /// # Errors
    ///
    /// See [`SettleError`].
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    ///
    /// let store = AggregateStore::in_memory()
    ///     .process_manager::<Forward>() // adds to the counter `all` what is added to any other
    ///     .aggregate_type::<Counter>()
    ///     .live()
    ///     .open()
    ///     .await?;
    /// let done = store.get::<Counter>("c-1").await?.send(Add(5)).await?;
    /// store.wait_until_settled(done.position, Duration::from_secs(10)).await?;
    /// assert_eq!(store.get::<Counter>("all").await?.state().await?.value, 5);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn wait_until_settled(
        &self,
        position: Position,
        timeout: Duration,
    ) -> Result<(), SettleError> {
        inside::refuse("wait_until_settled")?;
        self.inner.check_open().map_err(io::Error::from)?;
        let mut busy = Vec::new();
        let settled = within(timeout, self.settle(position, &mut busy)).await?;
        match settled {
            Some(settled) => Ok(settled?),
            None => Err(SettleError::TimedOut {
                position,
                busy,
                waited: timeout,
            }),
        }
    }

    /// Waits until what follows from the events up to `position` has ended. `busy` gets the names of
    /// the process managers that were at work at the last look.
    async fn settle(&self, position: Position, busy: &mut Vec<&'static str>) -> io::Result<()> {
        self.inner.storage.log().reached(position.get()).await?;
        let managers = &self.read_side.process_managers;
        let mut steps: Vec<_> = managers.iter().map(Manager::steps).collect();
        // From here on every new command belongs to the trace.
        let trace = self.read_side.traces.start();
        for manager in managers {
            manager.reacting.lock()?.add_to(&trace);
        }
        // The unfinished commands of all events up to here belong to it by now.
        trace.begin(self.inner.storage.head());
        let is_live = self.read_side.live.get().is_some();
        loop {
            let mut has_run = false;
            if !is_live {
                let ran = self.run_process_managers().await?;
                has_run = ran.dispatched + ran.dead_lettered > 0;
            }
            let until = trace.until();
            busy.clear();
            let mut first = None;
            for (manager, steps) in managers.iter().zip(&mut steps) {
                // A step after this look is not missed.
                let trouble = steps.borrow_and_update().clone();
                if let Some(trouble) = trouble {
                    return Err(trouble.into());
                }
                let reacting = manager.reacting.lock()?;
                if let Some(runner) = reacting.runs_elsewhere() {
                    return Err(elsewhere(manager.name, &runner));
                }
                if !reacting.is_at_rest(&trace) {
                    busy.push(manager.name);
                    first.get_or_insert((manager, steps));
                }
            }
            match first {
                // A command that ended between two looks has events for those looked at before.
                None if trace.until() > until => {}
                None => return Ok(()),
                Some((_, steps)) if is_live => steps.changed().await.map_err(|_| closed())?,
                Some(_) if has_run => {}
                // Somebody else sends a command, a replay for example, and says when it has ended.
                Some((manager, _)) => manager.wake.notified().await,
            }
        }
    }
}

/// The error for a process manager whose commands are not known here.
fn elsewhere(name: &str, runner: &str) -> io::Error {
    let text = format!(
        "process manager `{name}` is run by {runner}, so it is not known here what follows: wait for the \
         state that is to come, with `wait_until`"
    );
    io::Error::new(io::ErrorKind::ResourceBusy, text)
}
