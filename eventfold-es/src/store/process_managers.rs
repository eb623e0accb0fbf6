//! Running process managers: react, dispatch, save.

use std::io;
use std::sync::Arc;

use tokio::sync::OwnedMutexGuard;

use crate::domain::process_manager::ProcessManagerReport;
use crate::error::closed;
use crate::following::{Manager, dispatch};
use crate::runtime::background::{blocking, to_its_end};
use crate::runtime::inside;
use crate::store::AggregateStore;
use crate::store::under_way::UnderWay;

/// The right to run the process managers.
type Run = Arc<OwnedMutexGuard<()>>;

impl AggregateStore {
    /// Lets every process manager react to what is new, dispatches their commands one after the
    /// other, and saves how far they are. Returns how many commands succeeded, and how many did not
    /// and were written to the dead letters (`process_managers/<NAME>/dead_letters.jsonl`, see
    /// [`ProcessManager`](crate::ProcessManager)).
    ///
    /// Commands of timers that are due are dispatched as well. Events that these commands store are
    /// left to the next run. One run goes on at a time; another waits for it. If the future is
    /// dropped, the command that is under way still comes to its end, and no other is sent.
    ///
    /// In a store that is [live](crate::store::AggregateStoreBuilder::live) the process managers run by
    /// themselves: this waits until they have reacted to what is there now, and their commands came
    /// to an end or wait for another attempt.
    ///
    /// # Errors
    ///
    /// If the journal, a checkpoint or the dead letters could not be read or written, a state could not
    /// be read again once it is saved, or a process manager panicked or is stopped (then runs fail until
    /// the store is opened again). [`read_side`](Self::read_side) tells the same;
    /// [`io::ErrorKind::NotConnected`] after [`shutdown`](Self::shutdown);
    /// [`io::ErrorKind::Deadlock`] if code calls it that the store runs, a process manager for example.
    /// What was not dispatched then is at the next run.
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
        // What the commands lead to is for the next run.
        let head = self.inner.storage.head();
        // Each for itself: what fails in one is reported once the others have had their turn.
        let mut failure = Ok(());
        for manager in &read_side.process_managers {
            let before = manager.reacting.lock()?.counts();
            let run = if read_side.live.get().is_some() {
                manager.settled(head).await
            } else {
                let run = self.run_process_manager(manager, head, &run).await;
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

    /// Lets a process manager react to the events up to `head`.
    async fn run_process_manager(&self, manager: &Manager, head: u64, run: &Run) -> io::Result<()> {
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

    /// Sends the commands of a process manager that may be sent, in order. Returns whether there
    /// were any.
    async fn send_outgoing(&self, manager: &Manager, run: &Run) -> io::Result<bool> {
        let mut sent = false;
        loop {
            let next = manager.reacting.lock()?.take();
            let Some(outgoing) = next else {
                return Ok(sent);
            };
            sent = true;
            let (store, manager, run) = (self.clone(), manager.clone(), run.clone());
            let sending = async move {
                // Another run waits until this command came to an end.
                let _run = run;
                let under_way = UnderWay::new(&manager, outgoing.number);
                let outcome = dispatch(
                    &store.inner,
                    &store.read_side.dispatchers,
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
