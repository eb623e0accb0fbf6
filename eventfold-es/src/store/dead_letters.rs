//! Listing, replaying and discarding the commands that process managers gave up: [`DeadLetters`].

use std::io;

use crate::domain::process_manager::{DeadLetter, ProcessManagerReport};
use crate::error::{DispatchError, closed};
use crate::following::{AnyReacting, CommandFailure, Manager, Outcome, ReadSideStatus, send_as};
use crate::runtime::background::{blocking, to_its_end};
use crate::runtime::inside;
use crate::runtime::sender::Sender;
use crate::store::AggregateStore;
use crate::store::under_way::UnderWay;
use crate::text::Shown;

impl AggregateStore {
    /// The dead letters of the process manager with this name: its commands that did not succeed
    /// and are not retried automatically.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::NotFound`]: no such process manager is registered.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path();
    /// # let store = AggregateStore::builder(path).process_manager::<Forward>().open().await?;
    /// # store.get::<Counter>("c-1").await?.send(Add(5)).await?;
    /// # store.run_process_managers().await?; // nobody registered the aggregate type `counter`
    /// # store.shutdown().await?;
    /// let store = AggregateStore::builder(path)
    ///     .process_manager::<Forward>()
    ///     .aggregate_type::<Counter>() // it was forgotten before
    ///     .open()
    ///     .await?;
    /// let letters = store.dead_letters("forward")?;
    /// for letter in letters.list().await? {
    ///     println!("{}: {}", letter.id, letter.error);
    ///     letters.replay(&letter.id).await?;
    /// }
    /// assert_eq!(store.get::<Counter>("all").await?.state().await?.value, 5);
    /// assert!(letters.list().await?.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias("dead letter queue", "dlq", "poison message"))]
    pub fn dead_letters(&self, process_manager: &str) -> io::Result<DeadLetters> {
        let managers = &self.read_side.process_managers;
        let manager = managers.iter().find(|m| m.name == process_manager);
        let manager = manager.cloned().ok_or_else(|| {
            let text = format!("process manager `{process_manager}` is not registered");
            io::Error::new(io::ErrorKind::NotFound, text)
        })?;
        Ok(DeadLetters {
            store: self.clone(),
            manager,
        })
    }

    /// The status of the projections and process managers: their positions, their last errors, and
    /// the commands and timers that wait. `tracing` reports the same events as they happen.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path();
    /// let store = AggregateStore::builder(path).projection::<Total>().open().await?;
    /// for projection in store.read_side().projections {
    ///     println!("{} is {} events behind", projection.name, projection.lag);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn read_side(&self) -> ReadSideStatus {
        self.read_side.status(self.inner.storage.head())
    }
}

/// How many dead letters [`DeadLetters::replay_all`] replays together at least.
const TOGETHER: usize = 256;
/// The largest number of portions. Each portion writes the file again, so a fixed number keeps the
/// cost proportional to the number of dead letters. Invariant F4.
const PORTIONS: usize = 8;

/// The dead letters of one process manager, from [`AggregateStore::dead_letters`]. It holds a clone
/// of the store, so the store stays open.
///
/// See the example of [`AggregateStore::dead_letters`].
#[derive(Clone)]
pub struct DeadLetters {
    store: AggregateStore,
    manager: Manager,
}

/// Why a dead letter could not be replayed. It is still a dead letter, unless the error says
/// otherwise.
///
/// ```
/// # use eventfold_es::{*, __private::example::*};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path();
/// let store = AggregateStore::builder(path).process_manager::<Forward>().open().await?;
/// let error = store.dead_letters("forward")?.replay("17").await.unwrap_err();
/// assert_eq!(error.to_string(), "process manager `forward` has no dead letter `17`");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The command failed again. It is a dead letter again, under the same id, with this error.
    #[error("{0}")]
    Failed(DispatchError),

    /// One of these:
    ///
    /// * [`io::ErrorKind::NotFound`]: there is no such dead letter;
    /// * [`io::ErrorKind::NotConnected`]: the store was shut down meanwhile;
    /// * [`io::ErrorKind::ResourceBusy`]: another process runs the process manager; the text says
    ///   which. Replay the dead letter there;
    /// * any other: the store has failed, the process manager has stopped, or a file could not be
    ///   read or written.
    ///
    /// If the command had already left the dead letters, it is sent when the process manager next
    /// runs.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl DeadLetters {
    /// All dead letters, the oldest first.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidData`] if the file is damaged, with file and offset; otherwise the
    /// error from reading it.
    ///
    /// See the example of [`AggregateStore::dead_letters`].
    pub async fn list(&self) -> io::Result<Vec<DeadLetter>> {
        let manager = self.manager.clone();
        blocking(move || manager.reacting.lock()?.letters()).await
    }

    /// The dead letter with the id `id`, `None` if there is none.
    ///
    /// # Errors
    ///
    /// As [`list`](Self::list).
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path();
    /// let store = AggregateStore::builder(path).process_manager::<Forward>().open().await?;
    /// assert!(store.dead_letters("forward")?.get("17").await?.is_none());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn get(&self, id: &str) -> io::Result<Option<DeadLetter>> {
        let letters = self.list().await?;
        Ok(letters.into_iter().find(|letter| letter.id == id))
    }

    /// Sends the command again, once, and waits until its events are durable. If the command
    /// succeeds, it is no longer a dead letter.
    ///
    /// If the future is dropped, the command that is being sent is still completed.
    ///
    /// The command takes effect once, however old the dead letter is and whatever its aggregate did
    /// since. If the program ends meanwhile, the command is sent again when the process manager
    /// next runs, unless it had taken effect.
    ///
    /// # Errors
    ///
    /// See [`ReplayError`].
    ///
    /// See the example of [`AggregateStore::dead_letters`].
    pub async fn replay(&self, id: &str) -> Result<(), ReplayError> {
        let mut replayed = self.replay_these(vec![id.to_owned()]).await?;
        match replayed.pop() {
            Some(result) => result.map_err(ReplayError::Failed),
            None => Err(self.not_found(id).into()),
        }
    }

    /// Replays the letters of `ids` that exist, and returns the outcome of each. Once begun, it
    /// completes even if the caller drops the future.
    async fn replay_these(&self, ids: Vec<String>) -> io::Result<Vec<Result<(), DispatchError>>> {
        inside::refuse("replay")?;
        self.store.inner.check_usable()?;
        let letters = self.clone();
        to_its_end(async move { letters.replay_now(ids).await }).await
    }

    async fn replay_now(&self, ids: Vec<String>) -> io::Result<Vec<Result<(), DispatchError>>> {
        let turn = self.manager.turn();
        let replayed = self.replay_in_turn(ids).await;
        if let Some(turn) = turn {
            turn.end().await;
        }
        replayed
    }

    async fn replay_in_turn(&self, ids: Vec<String>) -> io::Result<Vec<Result<(), DispatchError>>> {
        let (revived, term) = self
            .with_reacting(move |reacting| {
                let ids = ids.iter().map(String::as_str).collect();
                Ok((reacting.return_to_outbox(&ids)?, reacting.term()))
            })
            .await?;
        let sender = Sender {
            name: self.manager.name,
            term,
        };
        // If an error ends this call early, the unsent commands must no longer count as under way.
        let under_way: Vec<UnderWay> = revived
            .iter()
            .map(|outgoing| UnderWay::new(&self.manager, outgoing.number))
            .collect();
        let mut results = Vec::with_capacity(revived.len());
        for (outgoing, under_way) in revived.into_iter().zip(under_way) {
            let sent = send_as(
                &sender,
                &self.store.inner,
                &self.store.read_side.dispatchers,
                outgoing.envelope,
            )
            .await;
            self.store.inner.check_usable()?;
            under_way.ended();
            if sent.is_err() && sender.is_replaced() {
                let text = format!(
                    "another process runs process manager `{}` now, and sends the command itself",
                    sender.name
                );
                return Err(io::Error::new(io::ErrorKind::ResourceBusy, text));
            }
            let (outcome, result) = match sent {
                Ok(position) => (Outcome::Succeeded(position.get()), Ok(())),
                Err(failed) => {
                    let outcome = Outcome::Failed(CommandFailure::from(&failed));
                    (outcome, Err(failed.error))
                }
            };
            let noted = self
                .with_reacting(move |reacting| reacting.note(outgoing.number, outcome, false))
                .await;
            // Later commands may have waited for this one.
            self.manager.wake.notify_one();
            noted?;
            results.push(result);
        }
        self.with_reacting(|reacting| reacting.save()).await?;
        Ok(results)
    }

    async fn with_reacting<T: Send + 'static>(
        &self,
        run: impl FnOnce(&mut dyn AnyReacting) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let manager = self.manager.clone();
        blocking(move || run(&mut *manager.reacting.lock()?)).await
    }

    /// Replays all dead letters, the oldest first, one after the other. Returns how many succeeded,
    /// and how many are dead letters again.
    ///
    /// The letters move from the file to the process manager's outgoing commands in portions: an
    /// eighth of them at a time, or 256 if that is more. If the program ends or the store is shut
    /// down meanwhile, the unsent commands of a portion are sent when the process manager next
    /// runs. The other letters stay in the file. Each command takes effect once. If the future is
    /// dropped, the current portion is still completed.
    ///
    /// # Errors
    ///
    /// As [`ReplayError::Io`]. Commands that have left the file then are sent when the process
    /// manager next runs. The other letters are not replayed.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path();
    /// let store = AggregateStore::builder(path).process_manager::<Forward>().open().await?;
    /// let report = store.dead_letters("forward")?.replay_all().await?;
    /// assert_eq!(report.dispatched, 0);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn replay_all(&self) -> io::Result<ProcessManagerReport> {
        let letters = self.list().await?;
        let ids: Vec<String> = letters.into_iter().map(|letter| letter.id).collect();
        let mut report = ProcessManagerReport::default();
        for ids in ids.chunks(TOGETHER.max(ids.len().div_ceil(PORTIONS))) {
            // Another caller may have replayed a letter meanwhile; that one has no result here.
            for result in self.replay_these(ids.to_vec()).await? {
                match result {
                    Ok(()) => report.dispatched += 1,
                    Err(_) => report.dead_lettered += 1,
                }
            }
        }
        Ok(report)
    }

    /// Removes a dead letter for good. Its command is never sent.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::NotFound`] if there is no such dead letter; [`io::ErrorKind::NotConnected`]
    /// if the store is [shut down](AggregateStore::shutdown); [`io::ErrorKind::ResourceBusy`] if another
    /// process runs the process manager; otherwise as [`list`](Self::list), or
    /// the error from writing the file.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path();
    /// # let store = AggregateStore::builder(path).process_manager::<Forward>().open().await?;
    /// # store.get::<Counter>("c-1").await?.send(Add(5)).await?;
    /// # store.run_process_managers().await?; // nobody registered the aggregate type `counter`
    /// let letters = store.dead_letters("forward")?;
    /// let letter = letters.list().await?.remove(0);
    /// letters.discard(&letter.id).await?;
    /// assert!(letters.list().await?.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn discard(&self, id: &str) -> io::Result<()> {
        self.store.inner.storage.check_process()?;
        if self.store.inner.is_closed() {
            return Err(closed());
        }
        let (manager, letter) = (self.manager.clone(), id.to_owned());
        let turn = manager.turn();
        let is_gone = blocking(move || manager.reacting.lock()?.discard(&letter)).await;
        if let Some(turn) = turn {
            turn.end().await;
        }
        if is_gone? {
            Ok(())
        } else {
            Err(self.not_found(id))
        }
    }

    fn not_found(&self, id: &str) -> io::Error {
        let name = self.manager.name;
        let text = format!(
            "process manager `{name}` has no dead letter `{}`",
            Shown(id)
        );
        io::Error::new(io::ErrorKind::NotFound, text)
    }
}

impl std::fmt::Debug for DeadLetters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeadLetters")
            .field("store", &self.store)
            .field("process_manager", &self.manager.name)
            .finish()
    }
}
