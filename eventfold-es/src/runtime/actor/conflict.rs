//! Conflicts: others stored events in the stream before a commit of this actor. The actor loads
//! these events and decides its commands again, in the same order.

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::domain::aggregate::Aggregate;
use crate::domain::command::CommandContext;
use crate::error::ExecuteError;
use crate::runtime::actor::mailbox::Reply;
use crate::runtime::committed::Committed;
use crate::storage::stream::Stream;

/// How often a command is decided, at most.
pub(crate) const MOST_ATTEMPTS: u32 = 16;

/// A command on its way to a decision.
pub(crate) struct Attempt<A: Aggregate> {
    pub(crate) command: A::Command,
    pub(crate) context: CommandContext,
    /// The span in which it is decided.
    pub(crate) span: tracing::Span,
    pub(crate) reply: Reply<Committed<A>, ExecuteError<A::Error>>,
    /// Counts the attempts at this command, from 1.
    pub(crate) number: u32,
}

/// The commands that conflicted, in the order in which they were decided.
pub(crate) struct Conflicts<A: Aggregate> {
    sender: Arc<mpsc::UnboundedSender<Attempt<A>>>,
    receiver: mpsc::UnboundedReceiver<Attempt<A>>,
}

impl<A: Aggregate> Conflicts<A> {
    /// `None` if only this actor writes to the stream, so that no commit can conflict.
    pub(crate) fn on(stream: &Stream) -> Option<Self> {
        stream.is_shared().then(|| {
            let (sender, receiver) = mpsc::unbounded_channel();
            Self {
                sender: Arc::new(sender),
                receiver,
            }
        })
    }

    /// What is needed to decide the command again, `None` if it is not decided again.
    pub(crate) fn keep(
        &self,
        command: &A::Command,
        context: &CommandContext,
        span: &tracing::Span,
        number: u32,
    ) -> Option<Box<Again<A>>> {
        if number >= MOST_ATTEMPTS {
            return None;
        }
        Some(Box::new(Again {
            command: A::repeat(command)?,
            context: context.clone(),
            span: span.clone(),
            number: number + 1,
            actor: self.sender.clone(),
        }))
    }

    /// The next command that conflicted. Waits for it.
    pub(crate) async fn next(&mut self) -> Option<Attempt<A>> {
        self.receiver.recv().await
    }

    /// The next command that conflicted, if there is one now.
    pub(crate) fn try_next(&mut self) -> Option<Attempt<A>> {
        self.receiver.try_recv().ok()
    }
}

/// A copy of a command whose answer is under way.
pub(crate) struct Again<A: Aggregate> {
    command: A::Command,
    context: CommandContext,
    span: tracing::Span,
    number: u32,
    actor: Arc<mpsc::UnboundedSender<Attempt<A>>>,
}

impl<A: Aggregate> Again<A> {
    /// Gives the command back to the actor.
    pub(crate) fn send(self, reply: Reply<Committed<A>, ExecuteError<A::Error>>) {
        let attempt = Attempt {
            command: self.command,
            context: self.context,
            span: self.span,
            reply,
            number: self.number,
        };
        // The actor waits for all answers before it ends. If its runtime has ended, the caller is
        // told by the dropped reply.
        let _ = self.actor.send(attempt);
    }
}
