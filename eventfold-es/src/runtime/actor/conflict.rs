//! Conflicts: others stored events in the stream before a commit of this actor. The actor loads
//! these events and decides its commands again, in the same order. Invariant C13.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::mpsc;

use crate::domain::aggregate::Aggregate;
use crate::domain::command::CommandContext;
use crate::error::ExecuteError;
use crate::runtime::actor::mailbox::{Attempt, Reply};
use crate::runtime::committed::Committed;
use crate::storage::stream::Stream;
use crate::storage::term::Term;

/// The commands that conflicted.
pub(crate) struct Conflicts<A: Aggregate> {
    sender: Arc<mpsc::UnboundedSender<Box<Attempt<A>>>>,
    receiver: mpsc::UnboundedReceiver<Box<Attempt<A>>>,
    /// Those that were received, by their order.
    waiting: BTreeMap<u64, Box<Attempt<A>>>,
    /// The number of commands that were decided at least once.
    decided: u64,
    /// How often a command is decided at most.
    pub(crate) rounds: u32,
}

impl<A: Aggregate> Conflicts<A> {
    /// `None` if only this actor writes to the stream, so that no commit can conflict.
    pub(crate) fn on(stream: &Stream) -> Option<Self> {
        stream.is_shared().then(|| {
            let (sender, receiver) = mpsc::unbounded_channel();
            Self {
                sender: Arc::new(sender),
                receiver,
                waiting: BTreeMap::new(),
                decided: 0,
                rounds: stream.conflict_rounds(),
            }
        })
    }

    /// What is needed to decide the command again, `None` if it is not decided again. `ms` is the
    /// command's time.
    pub(crate) fn keep(&mut self, attempt: &Attempt<A>, ms: u64) -> Option<Box<Again<A>>> {
        let conflicts = attempt.conflicts + 1;
        if conflicts >= self.rounds {
            return None;
        }
        let command = A::repeat(&attempt.command)?;
        let order = if attempt.order > 0 {
            attempt.order
        } else {
            self.decided += 1;
            self.decided
        };
        Some(Box::new(Again {
            command,
            context: attempt.context.clone(),
            span: attempt.span.clone(),
            ms,
            conflicts,
            order,
            term: attempt.term.clone(),
            actor: self.sender.clone(),
        }))
    }

    /// Is ready once a command has conflicted.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while let Poll::Ready(Some(attempt)) = self.receiver.poll_recv(context) {
            self.waiting.insert(attempt.order, attempt);
        }
        if self.waiting.is_empty() {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    }

    /// Whether a command has conflicted and waits.
    pub(crate) fn is_waiting(&mut self) -> bool {
        while let Ok(attempt) = self.receiver.try_recv() {
            self.waiting.insert(attempt.order, attempt);
        }
        !self.waiting.is_empty()
    }

    /// The first of the commands that conflicted.
    pub(crate) fn take(&mut self) -> Option<Box<Attempt<A>>> {
        self.is_waiting();
        self.waiting.pop_first().map(|(_, attempt)| attempt)
    }
}

/// A copy of a command whose answer is under way.
pub(crate) struct Again<A: Aggregate> {
    command: A::Command,
    context: CommandContext,
    span: tracing::Span,
    ms: u64,
    conflicts: u32,
    order: u64,
    term: Option<Arc<Term>>,
    actor: Arc<mpsc::UnboundedSender<Box<Attempt<A>>>>,
}

impl<A: Aggregate> Again<A> {
    /// Gives the command back to the actor.
    pub(crate) fn send(self, reply: Reply<Committed<A>, ExecuteError<A::Error>>) {
        let attempt = Attempt {
            command: self.command,
            context: self.context,
            span: self.span,
            reply,
            ms: Some(self.ms),
            conflicts: self.conflicts,
            order: self.order,
            term: self.term,
        };
        // The actor waits for all answers before it ends. If its runtime has ended, the caller is
        // told by the dropped reply.
        let _ = self.actor.send(Box::new(attempt));
    }
}
