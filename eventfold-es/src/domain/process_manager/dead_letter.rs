//! A command that is not tried again: [`DeadLetter`].

use std::time::SystemTime;

use crate::domain::command::CommandEnvelope;
use crate::domain::process_manager::FailureKind;

/// A command of a process manager, or several that take effect together, that did not succeed and is not
/// retried automatically. See
/// [`AggregateStore::dead_letters`](crate::store::AggregateStore::dead_letters).
///
/// A dead letter is a workflow that stands still half done: nothing that should follow from the
/// command happens until somebody replays it. What a workflow must react to should be an event of
/// the aggregate, "the article is sold out" for example, and no refusal. A process manager answers
/// the failures that it expects by [`or_send`](crate::OrSend::or_send) or
/// [`on_dead_letter`](crate::ProcessManager::on_dead_letter). Then no dead letter is left. The guide says
/// [what to do](crate::guide::process_managers#dead-letters) with one.
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
#[doc(alias("dead letter queue", "dlq"))]
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DeadLetter {
    /// Identifies the dead letter within its process manager.
    pub id: String,
    /// The command, with its target and its context. Numbers above `u64::MAX` or below `i64::MIN`
    /// are shown as texts; a replay sends the command as it was.
    ///
    /// The first one, if there are [several](Self::together). A command for a [decision](Self::decision)
    /// has no aggregate type and no id.
    pub envelope: CommandEnvelope,
    /// The further commands that take effect together with it, see
    /// [`Outbox::together`](crate::Outbox::together).
    pub together: Vec<CommandEnvelope>,
    /// The name of the [decision](crate::Decider) that the command is for, see
    /// [`Outbox::decide`](crate::Outbox::decide).
    pub decision: Option<String>,
    /// The error of the last attempt.
    pub error: String,
    /// The kind of that error. `None` if it is not recorded: an earlier version wrote the dead
    /// letter.
    pub kind: Option<FailureKind>,
    /// When the command became a dead letter.
    pub time: SystemTime,
    /// How often it was tried. 1 if eventfold-es 0.2.0 wrote it.
    pub attempts: u32,
}
