//! The actor: one task per live aggregate, which decides its commands one after the other.
//!
//! It decides on the head: the state with everything that was decided before. It goes on without
//! waiting for the disk. Each answer waits until its head is durable.

use std::sync::{Arc, Weak};

use tokio::sync::{mpsc, oneshot};
use tracing::Instrument as _;

mod activate;
mod conflict;
mod decide;
mod head;
mod idle;
mod inject;
mod keys;
mod mailbox;
mod slot;

use conflict::{Again, Attempt, Conflicts, MOST_ATTEMPTS};
use head::Head;
use idle::Activity;
use mailbox::Read;
pub(crate) use mailbox::{Mail, Reply, Request};
pub(crate) use slot::{Registry, Slot};

use crate::clock::Clock;
use crate::domain::aggregate::Aggregate;
use crate::error::{ExecuteError, StateError};
use crate::ids::{Position, Version};
use crate::runtime::committed::Committed;
use crate::runtime::inside;
use crate::runtime::passivation::Passivator;
use crate::storage::commit::{CommitError, Done};
use crate::storage::stream::Stream;

/// The slot of an actor.
pub(crate) trait Home: Send + Sync {
    /// Passivates the aggregate after its idle time.
    fn watch(self: Arc<Self>, passivator: &Passivator);

    /// It has left memory.
    fn release(&self);
}

/// A live aggregate.
pub(crate) struct Actor<A: Aggregate> {
    clock: Clock,
    stream: Stream,
    home: Weak<dyn Home>,
    passivator: Arc<Passivator>,
    activity: Arc<Activity>,
    snapshot_every: u64,
    mailbox: mpsc::Receiver<Box<Mail<A>>>,
    head: Option<Head<A>>,
    /// The commands to decide again, if commits can conflict.
    conflicts: Option<Conflicts<A>>,
}

impl<A: Aggregate> Actor<A> {
    /// Serves the mailbox until it is closed.
    pub(crate) async fn run(mut self) {
        let mut retiring = Vec::new();
        // Invariant C5.
        let turn = self.stream.take_turn().await;
        while let Some(mail) = self.next_mail().await {
            match *mail {
                Mail::Request(request) => {
                    self.activity.touch();
                    self.serve(request).await;
                }
                Mail::PassivateIfIdle if self.activity.is_idle() => {
                    tracing::debug!(stream = %self.stream.id(), "idle, passivating");
                    self.mailbox.close();
                }
                Mail::PassivateIfIdle => self.watch_on(),
                Mail::Retire(done) => {
                    retiring.push(done);
                    self.mailbox.close();
                }
            }
        }
        self.finish_conflicts().await;
        self.save_snapshot_if_due();
        drop(turn);
    }

    /// The next mail, once no command waits to be decided again.
    async fn next_mail(&mut self) -> Option<Box<Mail<A>>> {
        loop {
            let Some(conflicts) = &mut self.conflicts else {
                return self.mailbox.recv().await;
            };
            let attempt = tokio::select! {
                biased;
                attempt = conflicts.next() => attempt,
                mail = self.mailbox.recv() => return mail,
            };
            if let Some(attempt) = attempt {
                self.attempt(attempt).await;
                self.decide_again().await;
            }
        }
    }

    /// Decides a command. If the head cannot be loaded, answers with the error.
    async fn attempt(&mut self, attempt: Attempt<A>) {
        let ready = self.make_ready().instrument(attempt.span.clone());
        match ready.await {
            Ok(()) => self.execute(attempt).await,
            Err(error) => attempt.reply.send(Err(error.into())),
        }
    }

    /// Decides the commands that conflicted. They come before all mail that arrived later.
    async fn decide_again(&mut self) {
        if self.conflicts.is_none() {
            return;
        }
        // If commits have failed, this waits for the answers to all of them. Each attempt reports
        // an error itself.
        let _ = self.make_ready().await;
        while let Some(attempt) = self.conflicts.as_mut().and_then(Conflicts::try_next) {
            self.attempt(attempt).await;
        }
    }

    /// Decides the commands that conflicted, until no answer is under way.
    async fn finish_conflicts(&mut self) {
        while self.conflicts.is_some() {
            // A failure has answered its commands.
            let _ = self.stream.settle().await;
            let Some(attempt) = self.conflicts.as_mut().and_then(Conflicts::try_next) else {
                return;
            };
            self.attempt(attempt).await;
        }
    }

    /// The aggregate was used while the request to passivate was waiting: keep watching.
    fn watch_on(&self) {
        if let Some(home) = self.home.upgrade() {
            home.watch(&self.passivator);
        }
    }

    async fn serve(&mut self, request: Request<A>) {
        self.decide_again().await;
        match request {
            Request::Execute {
                command,
                context,
                span,
                reply,
            } => {
                let attempt = Attempt {
                    command,
                    context,
                    span,
                    reply,
                    number: 1,
                };
                self.attempt(attempt).await;
            }
            Request::Read(read) => self.read(read).await,
            Request::Inject { event, reply } => match self.make_ready().await {
                Ok(()) => self.inject(event, reply).await,
                Err(error) => reply.send(Err(error.into())),
            },
        }
    }

    async fn read(&mut self, read: Read<A>) {
        let current = match self.make_current().await {
            Ok(current) => current,
            Err(error) => return read(Err(error))(Ok(0)),
        };
        let Some(head) = &self.head else { return };
        let (state, version) = (&head.state, Version::new(head.version));
        let done = inside::Aggregate::of(self.stream.id()).run(|| read(Ok((state, version))));
        match current {
            Some(position) => done(Ok(position)),
            None => self.when_durable(done),
        }
    }

    /// Makes the head ready. If others write to the stream too, waits until the head is durable and
    /// has all that others stored before, and returns its position.
    async fn make_current(&mut self) -> Result<Option<u64>, StateError> {
        self.make_ready().await?;
        if self.conflicts.is_none() {
            return Ok(None);
        }
        for _ in 1..MOST_ATTEMPTS {
            match self.wait_durable().await {
                Err(CommitError::Conflict { .. }) => self.decide_again().await,
                durable => return Ok(Some(durable?)),
            }
        }
        Ok(Some(self.wait_durable().await?))
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
        }
        Ok(())
    }

    /// Runs `done` once the head, as it is now, is durable.
    fn when_durable(&self, done: Done) {
        let Some(head) = &self.head else {
            return done(Err(CommitError::Superseded));
        };
        if head.version == self.stream.durable_version()
            && self.stream.failure(head.epoch).is_none()
        {
            done(Ok(self.stream.durable_position()));
        } else {
            self.stream.when_done(head.epoch, done);
        }
    }

    /// Waits until the head, as it is now, is durable.
    async fn wait_durable(&self) -> Result<u64, CommitError> {
        let (done, durable) = oneshot::channel();
        self.when_durable(Box::new(move |result| drop(done.send(result))));
        durable.await.unwrap_or(Err(CommitError::Closed))
    }

    /// Writes a snapshot that is due, before the head leaves memory.
    fn save_snapshot_if_due(&mut self) {
        if let Some(head) = &mut self.head
            && head.version.saturating_sub(head.snapshot_version) >= self.snapshot_every
            && let Some(draft) = head.draft(&self.stream)
        {
            self.stream.save_snapshot(head.version, draft);
        }
    }
}

impl<A: Aggregate> Drop for Actor<A> {
    /// Closes the mailbox, even if the runtime ended first.
    fn drop(&mut self) {
        self.mailbox.close();
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
            }),
        };
        reply.send(result);
    })
}
