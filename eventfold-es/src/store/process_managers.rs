//! Running process managers: react, dispatch, save.

use std::io;
use std::sync::Arc;

use tokio::sync::OwnedMutexGuard;

use crate::domain::process_manager::ProcessManagerReport;
use crate::error::closed;
use crate::following::{Manager, Turn, dispatch};
use crate::runtime::background::{blocking, to_its_end};
use crate::runtime::inside;
use crate::runtime::sender::Sender;
use crate::store::AggregateStore;
use crate::store::under_way::UnderWay;

/// The right to run the process managers, and one of them.
#[derive(Clone)]
struct Run {
    _all: Arc<OwnedMutexGuard<()>>,
    turn: Option<Arc<Turn>>,
}

impl AggregateStore {
    /// Lets every process manager react to new events, dispatches their commands one after the
    /// other, and saves their checkpoints. Returns how many commands succeeded, and how many failed
    /// and were written to the dead letters (`process_managers/<NAME>/dead_letters.jsonl`, see
    /// [`ProcessManager`](crate::ProcessManager)).
    ///
    /// It also dispatches the commands of due timers. The next run reacts to the events that these
    /// commands store. Only one run goes on at a time; another waits for it. If the future is
    /// dropped, the command that is being sent still completes, and no other is sent.
    ///
    /// In a [live](crate::store::AggregateStoreBuilder::live) store the process managers run in the
    /// background. This call then waits until they have reacted to the existing events, and each of
    /// their commands has ended or waits for another attempt. It counts only the commands that end
    /// while it waits.
    ///
    /// If several processes have the store open, each process manager runs in one of them at a time.
    /// One that another process runs is left to it: this call does nothing with it, and
    /// [`read_side`](Self::read_side) says which process that is.
    ///
    /// # Errors
    ///
    /// * [`io::ErrorKind::NotConnected`]: the store is [shut down](Self::shutdown);
    /// * [`io::ErrorKind::Deadlock`]: code that the store runs made this call, a process manager
    ///   for example;
    /// * any other: the journal, a checkpoint or the dead letters could not be read or written, or
    ///   a saved state could not be read again. Or a process manager panicked or is stopped: then
    ///   runs fail until the store is opened again. [`read_side`](Self::read_side) shows the same
    ///   error.
    ///
    /// The next run dispatches the commands that were not dispatched.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path();
    /// let store = AggregateStore::builder(path)
    ///     .process_manager::<Forward>() // adds to the counter `all` what is added to any other
    ///     .aggregate_type::<Counter>()
    ///     .open()
    ///     .await?;
    /// store.get::<Counter>("c-1").await?.send(Add(5)).await?;
    /// assert_eq!(store.run_process_managers().await?.dispatched, 1);
    /// assert_eq!(store.get::<Counter>("all").await?.state().await?.value, 5);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn run_process_managers(&self) -> io::Result<ProcessManagerReport> {
        inside::refuse("run_process_managers")?;
        self.inner.storage.check_process()?;
        if self.inner.is_closed() {
            return Err(closed());
        }
        let read_side = &self.read_side;
        let run = Arc::new(read_side.run.clone().lock_owned().await);
        let mut report = ProcessManagerReport::default();
        // Events that the commands lead to are for the next run.
        let head = self.inner.storage.current_head().await?;
        // One process manager's failure must not stop the others. It is returned after they have
        // run.
        let mut failure = Ok(());
        for manager in &read_side.process_managers {
            let before = manager.reacting.lock()?.counts();
            let run = if read_side.live.get().is_some() {
                manager.settled(head).await
            } else {
                let run = Run {
                    _all: run.clone(),
                    turn: manager.turn(),
                };
                let run = self.run_process_manager(manager, head, run).await;
                if let Err(error) = &run
                    && !manager.progress.is_stopped()
                {
                    manager.progress.fail(&error.to_string());
                }
                run
            };
            failure = failure.and(run);
            let after = manager.reacting.lock()?.counts();
            report.dispatched += after.dispatched - before.dispatched;
            report.dead_lettered += after.dead_lettered - before.dead_lettered;
        }
        failure.map(|()| report)
    }

    /// Lets a process manager react to the events up to `head`, unless another process runs it.
    async fn run_process_manager(&self, manager: &Manager, head: u64, run: Run) -> io::Result<()> {
        let ran = self.react_and_send(manager, head, &run).await;
        if let Some(turn) = run.turn {
            turn.end().await;
        }
        ran
    }

    /// Lets a process manager react to the events up to `head`, and sends its commands.
    async fn react_and_send(&self, manager: &Manager, head: u64, run: &Run) -> io::Result<()> {
        loop {
            let advancing = manager.clone();
            let more = blocking(move || advancing.reacting.lock()?.advance(head)).await?;
            let sent = self.send_outgoing(manager, run).await?;
            if !more && !sent {
                break;
            }
        }
        let saving = manager.clone();
        blocking(move || saving.reacting.lock()?.save()).await
    }

    /// Sends the commands of a process manager that may be sent now, in order. Returns whether
    /// there were any.
    async fn send_outgoing(&self, manager: &Manager, run: &Run) -> io::Result<bool> {
        let mut sent = false;
        loop {
            let (next, term) = {
                let mut reacting = manager.reacting.lock()?;
                (reacting.take(), reacting.term())
            };
            let Some(outgoing) = next else {
                return Ok(sent);
            };
            let sender = Sender {
                name: manager.name,
                term,
            };
            sent = true;
            let (store, manager, run) = (self.clone(), manager.clone(), run.clone());
            let sending = async move {
                // Another run waits until this command has ended.
                let _run = run;
                let under_way = UnderWay::new(&manager, outgoing.number);
                let outcome = dispatch(
                    &store.inner,
                    &store.read_side.dispatchers,
                    &sender,
                    outgoing.envelope,
                )
                .await;
                store.inner.check_usable()?;
                under_way.ended();
                let note = move || {
                    let mut reacting = manager.reacting.lock()?;
                    reacting.note(outgoing.number, outcome, false)
                };
                blocking(note).await
            };
            to_its_end(sending).await?;
        }
    }
}
