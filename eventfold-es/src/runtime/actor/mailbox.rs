//! The messages to an actor, and its answers.

use std::any::Any;
use std::io;
use std::sync::Arc;

use tokio::sync::oneshot;

use crate::domain::aggregate::Aggregate;
use crate::error::StateError;
use crate::ids::Version;
use crate::runtime::actor::conflict::Attempt;
use crate::storage::commit::Done;

/// How many messages may wait for an actor. Invariant C10.
pub(crate) const MAILBOX: usize = 64;

/// A request to an actor.
pub(crate) enum Request<A: Aggregate> {
    Execute(Attempt<A>),
    Read(Read<A>),
    Inject {
        event: eventfold::Event,
        reply: Reply<(), io::Error>,
    },
}

/// What keeps the store open.
type Hold = Arc<dyn Any + Send + Sync>;

/// The way to the caller. Until the answer is sent, it keeps the store open. A caller that has its
/// answer may find the store closed.
pub(crate) struct Reply<T, E> {
    store: Hold,
    caller: oneshot::Sender<Result<T, E>>,
}

impl<T, E> Reply<T, E> {
    pub(crate) fn new(store: Hold, caller: oneshot::Sender<Result<T, E>>) -> Self {
        Self { store, caller }
    }

    /// Sends the answer. A caller that is gone stops nothing.
    pub(crate) fn send(self, result: Result<T, E>) {
        drop(self.store);
        drop(self.caller.send(result));
    }
}

/// Reads the head, and returns what to do once the head is durable.
pub(crate) type Read<A> = Box<dyn FnOnce(Result<(&A, Version), StateError>) -> Done + Send>;

/// What an actor's mailbox holds.
#[allow(clippy::large_enum_variant, reason = "it is always boxed")]
pub(crate) enum Mail<A: Aggregate> {
    Request(Request<A>),
    /// Leave memory if there was no message during the idle time.
    PassivateIfIdle,
    /// Serve the waiting messages and leave memory. The sender is dropped at the end.
    Retire(oneshot::Sender<()>),
}
