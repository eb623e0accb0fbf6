//! Lending the actor to a group, which decides on its head and gives it back. Invariant C14.

use std::ops::ControlFlow;

use tokio::sync::oneshot;

use crate::domain::aggregate::Aggregate;
use crate::domain::command::{CommandContext, Fingerprint};
use crate::error::ExecuteError;
use crate::runtime::actor::Actor;
use crate::runtime::actor::decide::Decided;
use crate::runtime::actor::lent::{Borrowed, Proposed};
use crate::runtime::actor::mailbox::Borrower;
use crate::runtime::inside;
use crate::storage::snapshot::{Draft, KnownKey};

/// An actor on loan. However it is dropped, the actor goes back to its task.
struct Lent<A: Aggregate> {
    /// `None` only while it is dropped.
    actor: Option<Box<Actor<A>>>,
    back: Option<oneshot::Sender<Box<Actor<A>>>>,
}

impl<A: Aggregate> Drop for Lent<A> {
    fn drop(&mut self) {
        if let (Some(actor), Some(back)) = (self.actor.take(), self.back.take()) {
            // If the actor's runtime has ended, nobody serves its mailbox any more.
            drop(back.send(actor));
        }
    }
}

impl<A: Aggregate> Actor<A> {
    /// Lends the actor to `borrower`, and waits until it is back. `None` if it is lost.
    pub(crate) async fn lend(mut self, borrower: Borrower<A>) -> Option<Self> {
        self.activity.touch();
        let ready = match self.conflicts {
            None => self.make_ready().await,
            Some(_) => self.make_ready_for_mail().await,
        };
        let actor = if let Err(error) = ready {
            let _ = borrower.send(Err(error));
            self
        } else {
            let (back, returned) = oneshot::channel();
            let lent = Lent {
                actor: Some(Box::new(self)),
                back: Some(back),
            };
            // A borrower that is gone drops it at once.
            drop(borrower.send(Ok(Box::new(lent))));
            *returned.await.ok()?
        };
        actor.activity.touch();
        // Invariant R5.
        actor.let_go_if_empty();
        Some(actor)
    }

    /// Runs the aggregate's code.
    fn within<T>(&mut self, code: impl FnOnce(&mut Self) -> T) -> T {
        let own = inside::Aggregate::of(self.stream.id());
        own.run(|| code(self))
    }

    /// The error of a command. After a panic the head is in doubt.
    fn error_of(&mut self, decided: Decided<A>) -> Option<ExecuteError<A::Error>> {
        match decided {
            Decided::Answer(result) => result.err(),
            Decided::Panicked(panic) => {
                self.head = None;
                Some(ExecuteError::Panicked(panic))
            }
            Decided::Store(..) | Decided::Repeat(_) => None,
        }
    }
}

impl<A: Aggregate> Borrowed<A> for Lent<A> {
    fn head(&self) -> (u64, u64) {
        let head = self.actor.as_ref().and_then(|actor| actor.head.as_ref());
        head.map_or((0, 0), |head| (head.epoch, head.version))
    }

    fn known(&self, key: &str) -> Option<KnownKey> {
        let head = self.actor.as_ref()?.head.as_ref()?;
        head.keys.get(key).cloned()
    }

    fn propose(
        &mut self,
        command: A::Command,
        context: &CommandContext,
        fingerprint: Option<Fingerprint>,
        now: u64,
    ) -> Result<Option<Proposed<A>>, ExecuteError<A::Error>> {
        let Some(actor) = &mut self.actor else {
            return Err(ExecuteError::ActorGone);
        };
        match actor.within(|actor| actor.propose(command, context, fingerprint, now)) {
            ControlFlow::Continue(proposed) => Ok(Some(proposed)),
            ControlFlow::Break(decided) => actor.error_of(decided).map_or(Ok(None), Err),
        }
    }

    fn evolve(
        &mut self,
        events: &[A::DomainEvent],
        stored: u64,
    ) -> Result<(), ExecuteError<A::Error>> {
        let Some(actor) = &mut self.actor else {
            return Err(ExecuteError::ActorGone);
        };
        match actor.within(|actor| actor.evolve(events, stored)) {
            Ok(()) => Ok(()),
            Err(decided) => actor.error_of(decided).map_or(Ok(()), Err),
        }
    }

    fn keep(&mut self, key: Option<KnownKey>) -> Option<Box<Draft>> {
        let actor = &mut **self.actor.as_mut()?;
        let head = actor.head.as_mut()?;
        if let Some(key) = key {
            head.keys.add(key);
        }
        let own = inside::Aggregate::of(actor.stream.id());
        own.run(|| head.draft_if_due(actor.snapshot_every, &actor.stream))
    }

    fn forget(&mut self) {
        if let Some(actor) = &mut self.actor {
            actor.head = None;
        }
    }
}
