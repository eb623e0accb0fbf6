//! Decisions over tagged events at the store.

use crate::domain::command::CommandContext;
use crate::domain::decider::Decider;
use crate::error::ExecuteError;
use crate::runtime::decisions::decide::Decided;
use crate::store::AggregateStore;

impl AggregateStore {
    /// Decides a command whose rule spans more than one aggregate, and stores its events, all or none.
    ///
    /// Between what the [decision](Decider) reads and what it stores, no other event of its boundary
    /// is stored. Decisions of this store on the same tags wait for each other, in memory, and not for
    /// the disk. Only events that do not come from decisions can come between; then the command is
    /// decided again, at most 16 times.
    ///
    /// The events belong to no aggregate, as those that are [appended](Self::append).
    ///
    /// # Errors
    ///
    /// * [`ExecuteError::Domain`]: the decision refused the command;
    /// * [`ExecuteError::Conflict`]: other events came between again and again, or they did so once and
    ///   the command cannot be [repeated](Decider::repeat);
    /// * [`ExecuteError::Io`]: as for an aggregate's command. By the kind,
    ///   [`InvalidInput`](std::io::ErrorKind::InvalidInput) also if a value of the command cannot be
    ///   part of a tag;
    /// * the others of [`ExecuteError`], as for an aggregate's command.
    ///
    /// See the example of [`Decided`].
    #[doc(alias("dcb", "dynamic consistency boundary", "uniqueness", "unique"))]
    pub async fn decide<D: Decider>(
        &self,
        command: impl Into<D::Command>,
    ) -> Result<Decided<D>, ExecuteError<D::Error>> {
        self.decide_with(command, CommandContext::default()).await
    }

    /// As [`decide`](Self::decide), with a context: who sends the command, what it belongs to, and an
    /// idempotency key. A command that repeats the key of an earlier one gets that one's answer; keys
    /// of decisions are remembered for ever.
    ///
    /// # Errors
    ///
    /// As [`decide`](Self::decide), and:
    ///
    /// * [`ExecuteError::KeyReused`]: the key belongs to another command of a decision;
    /// * [`ExecuteError::Io`] of the kind [`InvalidInput`](std::io::ErrorKind::InvalidInput): the
    ///   context expects a version, which a decision does not have.
    ///
    /// ```
    /// # eventfold_es::__courses!();
    /// # use eventfold_es::{AggregateStore, CommandContext};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let store = AggregateStore::in_memory().open().await?;
    /// # let defined = CourseDefined { course: "c-1".into(), capacity: 2 };
    /// # store.append([eventfold_es::NewEvent::of(&defined)?], None).await?;
    /// let subscribe = Subscribe { course: "c-1".into(), student: "s-7".into() };
    /// let context = CommandContext::default().with_idempotency_key("request-17");
    /// let first = store.decide_with::<Subscribing>(subscribe.clone(), context.clone()).await?;
    /// let again = store.decide_with::<Subscribing>(subscribe, context).await?;
    /// assert!(again.repeated && again.position == first.position);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn decide_with<D: Decider>(
        &self,
        command: impl Into<D::Command>,
        context: CommandContext,
    ) -> Result<Decided<D>, ExecuteError<D::Error>> {
        let command = command.into();
        self.inner.decide::<D>(command, context, None).await
    }
}
