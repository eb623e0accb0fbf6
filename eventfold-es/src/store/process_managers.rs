//! Running process managers: react, dispatch, save.

use std::io;
use std::sync::{Arc, Mutex};

use super::{AggregateStore, blocking};
use crate::process_manager::ProcessManagerReport;
use crate::read_side::{AnyReacting, closed, lock};

impl AggregateStore {
    /// Lets every process manager react to what is new, dispatches their commands one after the
    /// other, and saves how far they are. Returns how many commands succeeded, and how many did not
    /// and were written to the dead letters (`process_managers/<NAME>/dead_letters.jsonl`, see
    /// [`ProcessManager`](crate::ProcessManager)).
    ///
    /// Events that these commands store are left to the next run. One run goes on at a time;
    /// another waits for it.
    ///
    /// # Errors
    ///
    /// If the journal, a checkpoint or the dead letters could not be read or written, or a process
    /// manager panicked (then runs fail until the store is opened again);
    /// [`io::ErrorKind::NotConnected`] after [`shutdown`](Self::shutdown). What was not dispatched
    /// then is at the next run.
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
        if self.inner.is_closed() {
            return Err(closed());
        }
        let read_side = &self.inner.read_side;
        let _run = read_side.run.lock().await;
        let mut report = ProcessManagerReport::default();
        // What the commands lead to is for the next run.
        let head = self.inner.engine.head();
        // Each for itself: what fails in one is reported once the others have had their turn.
        let mut failure = Ok(());
        for manager in &read_side.process_managers {
            let run = self.run_process_manager(manager, head, &mut report).await;
            failure = failure.and(run);
        }
        failure.map(|()| report)
    }

    /// Lets a process manager react to the events up to `head`.
    async fn run_process_manager(
        &self,
        manager: &Arc<Mutex<dyn AnyReacting>>,
        head: u64,
        report: &mut ProcessManagerReport,
    ) -> io::Result<()> {
        loop {
            // What an earlier run could not send comes first.
            self.send_outgoing(manager, report).await?;
            let slice = manager.clone();
            let is_last = blocking(move || {
                let mut manager = lock(&slice);
                manager.save()?;
                manager.catch_up(head)
            });
            if is_last.await? {
                break;
            }
        }
        self.send_outgoing(manager, report).await?;
        let saving = manager.clone();
        blocking(move || lock(&saving).save()).await
    }

    /// Dispatches what a process manager wants sent, in order.
    async fn send_outgoing(
        &self,
        manager: &Mutex<dyn AnyReacting>,
        report: &mut ProcessManagerReport,
    ) -> io::Result<()> {
        loop {
            let next = lock(manager).next();
            let Some(outgoing) = next else { return Ok(()) };
            let dispatched = self.dispatch(outgoing.envelope).await;
            // The command did not fail, the store did: it is sent when the store is open again.
            self.inner.check_usable()?;
            let mut manager = lock(manager);
            match dispatched {
                Ok(()) => report.dispatched += 1,
                Err(error) => {
                    manager.bury(&error)?;
                    report.dead_lettered += 1;
                }
            }
            manager.sent();
        }
    }

    /// Sends a command of a process manager; the error is what its dead letter says.
    async fn dispatch(&self, envelope: crate::CommandEnvelope) -> Result<(), String> {
        let target = envelope.aggregate_type.clone();
        let id = envelope.instance_id.clone();
        let dispatched = match self.inner.read_side.dispatchers.get(target.as_str()) {
            Some(dispatcher) => dispatcher.dispatch(self, envelope).await,
            None => Err(crate::DispatchError::UnknownAggregateType(target.clone())),
        };
        match dispatched {
            Ok(()) => {
                tracing::info!(target_type = %target, target_id = %id, "command dispatched");
                Ok(())
            }
            Err(error) => {
                tracing::error!(target_type = %target, target_id = %id, %error, "command dead-lettered");
                Err(error.to_string())
            }
        }
    }
}
