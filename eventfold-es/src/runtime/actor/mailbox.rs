//! The messages to an actor, and its answers.

use std::io;
use std::sync::Arc;

use tokio::sync::oneshot;

use crate::domain::aggregate::Aggregate;
use crate::domain::command::CommandContext;
use crate::error::{ExecuteError, StateError};
use crate::event::{LifecycleEvent, Standing};
use crate::ids::Version;
use crate::runtime::actor::lent::Borrowed;
use crate::runtime::committed::{Committed, Preview};
use crate::runtime::running::InProgress;
use crate::storage::commit::Done;
use crate::storage::term::Term;

/// How many messages may wait for an actor. Invariant C10.
pub(crate) const MAILBOX: usize = 64;

/// A request to an actor, other than a command.
pub(crate) enum Request<A: Aggregate> {
    Read(Read<A>),
    /// As `Read`, without what other stores have stored since the head was loaded.
    ReadLocal(Read<A>),
    Preview {
        command: A::Command,
        context: CommandContext,
        reply: Reply<Preview<A>, ExecuteError<A::Error>>,
    },
    /// Whether the aggregate has ended or is archived.
    Lifecycle(Reply<Standing, StateError>),
    /// Note that it has ended, is archived or is no more archived.
    Note {
        event: LifecycleEvent,
        context: CommandContext,
        reply: Reply<Standing, io::Error>,
    },
    Inject {
        event: eventfold::Event,
        reply: Reply<(), io::Error>,
    },
}

/// A command on its way to a decision.
pub(crate) struct Attempt<A: Aggregate> {
    pub(crate) command: A::Command,
    pub(crate) context: CommandContext,
    /// The span in which the command is decided.
    pub(crate) span: tracing::Span,
    pub(crate) reply: Reply<Committed<A>, ExecuteError<A::Error>>,
    /// The command's time in milliseconds since 1970, `None` before the first attempt.
    pub(crate) ms: Option<u64>,
    /// How many attempts at this command have conflicted.
    pub(crate) conflicts: u32,
    /// The command's place in the order of all commands, 0 before the first attempt.
    pub(crate) order: u64,
    /// Nothing is stored once this has ended.
    pub(crate) term: Option<Arc<Term>>,
}

impl<A: Aggregate> Attempt<A> {
    /// The first attempt.
    pub(crate) fn new(
        command: A::Command,
        context: CommandContext,
        span: tracing::Span,
        reply: Reply<Committed<A>, ExecuteError<A::Error>>,
        term: Option<Arc<Term>>,
    ) -> Self {
        Self {
            command,
            context,
            span,
            reply,
            ms: None,
            conflicts: 0,
            order: 0,
            term,
        }
    }
}

/// The way to the caller. Until the answer is sent, it keeps the store open, and a shutdown waits for
/// it. A caller that has its answer may find the store closed.
pub(crate) struct Reply<T, E> {
    call: InProgress,
    caller: oneshot::Sender<Result<T, E>>,
}

impl<T, E> Reply<T, E> {
    pub(crate) fn new(call: InProgress, caller: oneshot::Sender<Result<T, E>>) -> Self {
        Self { call, caller }
    }

    /// Sends the answer. A caller that is gone stops nothing.
    pub(crate) fn send(self, result: Result<T, E>) {
        drop(self.call);
        drop(self.caller.send(result));
    }
}

/// Reads the head, and returns what to do once the head is durable.
pub(crate) type Read<A> = Box<dyn FnOnce(Result<(&A, Version), StateError>) -> Done + Send>;

/// Who borrows an actor.
pub(crate) type Borrower<A> = oneshot::Sender<Result<Box<dyn Borrowed<A>>, StateError>>;

/// What an actor's mailbox holds. It is small, since it is moved several times on its way.
pub(crate) enum Mail<A: Aggregate> {
    /// Decide a command.
    Execute(Box<Attempt<A>>),
    Request(Box<Request<A>>),
    /// Load the aggregate, and say so.
    Load(oneshot::Sender<()>),
    /// Lend the actor to a group.
    Lend(Borrower<A>),
    /// Leave memory if there was no message during the idle time.
    PassivateIfIdle,
    /// Drop the head once it is durable: it may have personal data that was erased. Then answer.
    #[cfg(feature = "personal")]
    Reload(oneshot::Sender<()>),
}
