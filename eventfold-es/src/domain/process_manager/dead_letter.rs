//! A command that is not tried again: [`DeadLetter`].

use std::time::SystemTime;

use crate::domain::command::CommandEnvelope;

/// A command of a process manager that did not succeed and is not retried automatically. See
/// [`AggregateStore::dead_letters`](crate::store::AggregateStore::dead_letters).
///
/// ```
/// # use eventfold_es::{*, __private::example::*};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path();
/// let store = AggregateStore::builder(path)
///     .process_manager::<Forward>() // sends to counters
///     .open()
///     .await?;
/// store.get::<Counter>("c-1").await?.send(Add(5)).await?;
/// store.run_process_managers().await?; // nobody registered the aggregate type `counter`
/// let letters = store.dead_letters("forward")?.list().await?;
/// assert!(letters[0].error.starts_with("unknown aggregate type: counter"));
/// assert_eq!(letters[0].envelope.instance_id, "all");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DeadLetter {
    /// Identifies the dead letter within its process manager.
    pub id: String,
    /// The command, with its target and its context. Numbers above `u64::MAX` or below `i64::MIN`
    /// are shown as texts; a replay sends the command as it was.
    pub envelope: CommandEnvelope,
    /// The error of the last attempt.
    pub error: String,
    /// When the command became a dead letter.
    pub time: SystemTime,
    /// How often it was tried. 1 if eventfold-es 0.2.0 wrote it.
    pub attempts: u32,
}
