//! The actor: one task per live aggregate, which decides its commands one after the other.
//!
//! It decides on the head: the state with everything that was decided before. It goes on without
//! waiting for the disk. Each answer waits until its head is durable.

use std::future::poll_fn;
use std::sync::{Arc, Weak};
use std::task::Poll;

use tokio::sync::{OwnedMutexGuard, mpsc, oneshot};

mod activate;
mod conflict;
mod decide;
mod head;
mod idle;
mod inject;
mod keys;
mod lend;
mod lent;
mod mailbox;
mod noting;
mod past;
mod preview;
mod slot;

use conflict::{Again, Conflicts};
use head::Head;
use idle::Activity;
pub(crate) use lent::Borrowed;

pub(crate) use mailbox::{Attempt, Mail, Read, Reply, Request};
pub(crate) use past::{Until, load_until};
pub(crate) use slot::{LiveAggregate, Registry, Slot};

use crate::clock::Clock;
use crate::domain::aggregate::Aggregate;
use crate::error::{ExecuteError, StateError};
use crate::event::Standing;
use crate::ids::{Position, Version};
use crate::personal::Keys;
use crate::runtime::committed::Committed;
use crate::runtime::inside;
use crate::runtime::passivation::Passivator;
use crate::storage::commit::{CommitError, Done};
use crate::storage::stream::Stream;

/// The slot of an actor.
pub(crate) trait Home: Send + Sync {
    /// Passivates the aggregate after its idle time.
    fn watch(self: Arc<Self>, passivator: &Passivator);

    /// It has no events, so there is nothing to keep in memory.
    fn let_go(&self);

    /// It has left memory.
    fn release(&self);
}

/// A live aggregate.
pub(crate) struct Actor<A: Aggregate> {
    clock: Clock,
    keys: Keys,
    stream: Stream,
    home: Weak<dyn Home>,
    passivator: Arc<Passivator>,
    activity: Arc<Activity>,
    snapshot_every: u64,
    mailbox: mpsc::Receiver<Mail<A>>,
    head: Option<Head<A>>,
    /// The commands to decide again, if commits can conflict.
    conflicts: Option<Conflicts<A>>,
    /// Held while the actor serves. Invariant C5.
    turn: Option<OwnedMutexGuard<()>>,
}

impl<A: Aggregate> Actor<A> {
    /// Serves the mailbox until it is closed.
    pub(crate) async fn run(mut self) {
        // Invariant C5.
        self.turn = Some(self.stream.take_turn().await);
        // Whoever has sent something waits for the head. Then it is done while that is loaded.
        if self.mailbox.is_empty() {
            self.passivator.start();
        }
        loop {
            let mail = match self.conflicts {
                None => self.mailbox.recv().await,
                // Boxed, so that the usual way stays short.
                Some(_) => Box::pin(self.next_mail()).await,
            };
            let Some(mail) = mail else { break };
            match mail {
                Mail::Execute(attempt) => {
                    self.activity.touch();
                    match self.make_ready_for_request().await {
                        Ok(()) => self.execute(attempt).await,
                        Err(error) => attempt.reply.send(Err(error.into())),
                    }
                    self.let_go_if_empty();
                }
                Mail::Request(request) => {
                    self.activity.touch();
                    self.serve(*request).await;
                    self.let_go_if_empty();
                }
                Mail::Load(done) => {
                    // Whoever needs the head meets the error again.
                    drop(self.make_ready().await);
                    let _ = done.send(());
                }
                // Boxed, so that the usual way stays short.
                Mail::Lend(borrower) => match Box::pin(self.lend(borrower)).await {
                    Some(actor) => self = actor,
                    None => return,
                },
                Mail::PassivateIfIdle if self.activity.is_idle() => {
                    tracing::debug!(stream = %self.stream.id(), "idle, passivating");
                    self.stream.meters().live.passivations.add(1);
                    self.mailbox.close();
                }
                Mail::PassivateIfIdle => self.watch_on(),
                #[cfg(feature = "personal")]
                Mail::Reload(done) => {
                    // A commit that failed has answered its callers.
                    drop(self.wait_durable().await);
                    self.head = None;
                    self.activity.set_loaded(false);
                    let _ = done.send(());
                }
            }
        }
        if self.conflicts.is_some() {
            Box::pin(self.finish_conflicts()).await;
        }
    }

    /// The next mail. Until it comes, decides commands that conflicted.
    async fn next_mail(&mut self) -> Option<Mail<A>> {
        while let Some(conflicts) = &mut self.conflicts {
            let mailbox = &mut self.mailbox;
            let next = poll_fn(|context| {
                if conflicts.poll(context).is_ready() {
                    return Poll::Ready(None);
                }
                mailbox.poll_recv(context).map(Some)
            });
            match next.await {
                Some(mail) => return mail,
                // A command gets its error itself.
                None => drop(self.make_ready_for_mail().await),
            }
        }
        self.mailbox.recv().await
    }

    /// Makes the head ready for a message. First decides the commands that conflicted, because they
    /// came before it.
    async fn make_ready_for_mail(&mut self) -> Result<(), StateError> {
        loop {
            // If commits have failed, this waits for the answers to all of them.
            let ready = self.make_ready().await;
            let again = self.conflicts.as_mut().and_then(Conflicts::take);
            match (ready, again) {
                (Ok(()), Some(attempt)) => {
                    self.stream.meters().live.decided_again.add(1);
                    self.execute(attempt).await;
                }
                (Err(error), Some(attempt)) => attempt.reply.send(Err(error.into())),
                (ready, None) => return ready,
            }
        }
    }

    /// Decides the commands that conflicted, until no answer is under way.
    async fn finish_conflicts(&mut self) {
        loop {
            // A failure has answered its commands.
            let _ = self.stream.settle().await;
            if !self.conflicts.as_mut().is_some_and(Conflicts::is_waiting) {
                return;
            }
            // A command gets its error itself.
            drop(self.make_ready_for_mail().await);
        }
    }

    /// The aggregate was used while the request to passivate was waiting: keep watching.
    fn watch_on(&self) {
        if let Some(home) = self.home.upgrade() {
            home.watch(&self.passivator);
        }
    }

    /// Without events, stays in memory only as long as somebody has a handle.
    fn let_go_if_empty(&self) {
        let is_empty = self.head.as_ref().is_none_or(|head| head.version == 0);
        if is_empty && let Some(home) = self.home.upgrade() {
            home.let_go();
        }
    }

    /// Makes the head ready for a request.
    async fn make_ready_for_request(&mut self) -> Result<(), StateError> {
        match self.conflicts {
            None => self.make_ready().await,
            // Boxed, so that the usual way stays short.
            Some(_) => Box::pin(self.make_ready_for_mail()).await,
        }
    }

    async fn serve(&mut self, request: Request<A>) {
        match (request, self.make_ready_for_request().await) {
            (Request::Read(read), Ok(())) => self.read(read).await,
            (Request::ReadLocal(read), Ok(())) => self.read_local(read),
            (
                Request::Preview {
                    command,
                    context,
                    reply,
                },
                Ok(()),
            ) => Box::pin(self.preview(command, &context, reply)).await,
            (Request::Inject { event, reply }, Ok(())) => self.inject(event, reply).await,
            (Request::Lifecycle(reply), Ok(())) => self.tell_lifecycle(reply).await,
            (
                Request::Note {
                    event,
                    context,
                    reply,
                },
                Ok(()),
            ) => reply.send(Box::pin(self.note(&event, &context)).await),
            (Request::Read(read) | Request::ReadLocal(read), Err(error)) => {
                read(Err(error))(Ok(0));
            }
            (Request::Preview { reply, .. }, Err(error)) => reply.send(Err(error.into())),
            (Request::Inject { reply, .. }, Err(error)) => reply.send(Err(error.into())),
            (Request::Lifecycle(reply), Err(error)) => reply.send(Err(error)),
            (Request::Note { reply, .. }, Err(error)) => reply.send(Err(error.into())),
        }
    }

    async fn read(&mut self, read: Read<A>) {
        let current = match self.current().await {
            Ok(current) => current,
            Err(error) => return read(Err(error))(Ok(0)),
        };
        let Some(head) = &self.head else { return };
        let (state, version) = (&head.state, Version::new(head.version));
        let done = inside::Aggregate::of(self.stream.id()).run(|| read(Ok((state, version))));
        self.when_current(current, done);
    }

    /// Reads the head as this store knows it.
    fn read_local(&self, read: Read<A>) {
        let Some(head) = &self.head else { return };
        let (state, version) = (&head.state, Version::new(head.version));
        let done = inside::Aggregate::of(self.stream.id()).run(|| read(Ok((state, version))));
        if self.is_durable(head) {
            done(Ok(self.stream.durable_position()));
        } else {
            self.stream.when_done(head.epoch, done);
        }
    }

    async fn tell_lifecycle(&mut self, reply: Reply<Standing, StateError>) {
        let current = match self.current().await {
            Ok(current) => current,
            Err(error) => return reply.send(Err(error)),
        };
        let Some(head) = &self.head else { return };
        let standing = head.standing.clone();
        let done: Done = Box::new(move |durable| {
            reply.send(durable.map(|_| standing).map_err(StateError::from));
        });
        self.when_current(current, done);
    }

    /// Whether all of the head is known to be durable.
    fn is_durable(&self, head: &Head<A>) -> bool {
        head.version == self.stream.durable_version() && self.stream.failure(head.epoch).is_none()
    }

    /// The position of the head, once it is durable and has all that others stored before. `None`
    /// if nobody else writes to the stream: such a head has everything.
    async fn current(&mut self) -> Result<Option<u64>, StateError> {
        match self.conflicts {
            None => Ok(None),
            Some(_) => Box::pin(self.make_current()).await.map(Some),
        }
    }

    /// Runs `done` once the head that was `current` is durable.
    fn when_current(&self, current: Option<u64>, done: Done) {
        match current {
            Some(position) => done(Ok(position)),
            None => self.when_durable(done),
        }
    }

    /// Waits until the head is durable and has all that others stored before. Returns its position.
    async fn make_current(&mut self) -> Result<u64, StateError> {
        let rounds = self
            .conflicts
            .as_ref()
            .map_or(1, |conflicts| conflicts.rounds);
        for _ in 1..rounds {
            match self.wait_durable().await {
                Err(CommitError::Conflict { .. }) => self.make_ready_for_mail().await?,
                durable => return Ok(durable?),
            }
        }
        Ok(self.wait_durable().await?)
    }

    /// Loads the head if there is none, or if its epoch has failed.
    async fn make_ready(&mut self) -> Result<(), StateError> {
        if let Some(head) = &self.head
            && self.stream.failure(head.epoch).is_some()
        {
            self.head = None;
        }
        if self.head.is_none() {
            self.head = Some(self.activate().await?);
            self.activity.set_loaded(true);
        }
        Ok(())
    }

    /// Runs `done` once the head, as it is now, is durable.
    fn when_durable(&self, done: Done) {
        let Some(head) = &self.head else {
            return done(Err(CommitError::Superseded));
        };
        if self.conflicts.is_none() && self.is_durable(head) {
            done(Ok(self.stream.durable_position()));
        } else {
            self.stream.when_current(head.epoch, done);
        }
    }

    /// Waits until the head, as it is now, is durable.
    async fn wait_durable(&mut self) -> Result<u64, CommitError> {
        let (done, durable) = oneshot::channel();
        self.when_durable(Box::new(move |result| drop(done.send(result))));
        durable.await.unwrap_or(Err(CommitError::Closed))
    }
}

impl<A: Aggregate> Drop for Actor<A> {
    /// Closes the mailbox, even if the runtime ended first.
    fn drop(&mut self) {
        self.mailbox.close();
        self.activity.set_loaded(false);
        self.stream.meters().live.now.subtract(1);
        if let Some(home) = self.home.upgrade() {
            home.release();
        }
    }
}

/// The result of a command on the head.
struct Decision<A: Aggregate> {
    events: Vec<A::DomainEvent>,
    version: u64,
}

/// The answer to a command that waits until the head is durable. If the head conflicts, the command
/// is decided `again`.
fn answer<A: Aggregate>(
    reply: Reply<Committed<A>, ExecuteError<A::Error>>,
    result: Result<Decision<A>, ExecuteError<A::Error>>,
    again: Option<Box<Again<A>>>,
) -> Done {
    Box::new(move |durable| {
        if let (Err(CommitError::Conflict { .. }), Some(again)) = (&durable, again) {
            return again.send(reply);
        }
        let result = match (durable, result) {
            (Err(error), _) => Err(error.into()),
            (Ok(_), Err(error)) => Err(error),
            (Ok(position), Ok(decision)) => Ok(Committed {
                events: decision.events,
                version: Version::new(decision.version),
                position: Position::new(position),
                repeated: false,
            }),
        };
        reply.send(result);
    })
}
