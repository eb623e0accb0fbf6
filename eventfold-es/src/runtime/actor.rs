//! The actor: one task per live aggregate, which decides its commands one after the other.
//!
//! It decides on the head: the state with everything that was decided before. It goes on without
//! waiting for the disk. Each answer waits until its head is durable.

use std::sync::{Arc, Weak};

use tokio::sync::{mpsc, oneshot};
use tracing::Instrument as _;

mod activate;
mod decide;
mod head;
mod idle;
mod inject;
mod keys;
mod mailbox;
mod slot;

use head::Head;
use idle::Activity;
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
}

impl<A: Aggregate> Actor<A> {
    /// Serves the mailbox until it is closed.
    pub(crate) async fn run(mut self) {
        let mut retiring = Vec::new();
        // Invariant C5.
        let turn = self.stream.take_turn().await;
        while let Some(mail) = self.mailbox.recv().await {
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
        self.save_snapshot_if_due();
        drop(turn);
    }

    /// The aggregate was used while the request to passivate was waiting: keep watching.
    fn watch_on(&self) {
        if let Some(home) = self.home.upgrade() {
            home.watch(&self.passivator);
        }
    }

    async fn serve(&mut self, request: Request<A>) {
        let span = match &request {
            Request::Execute { span, .. } => span.clone(),
            Request::Read(_) | Request::Inject { .. } => tracing::Span::none(),
        };
        if let Err(error) = self.make_ready(span).await {
            match request {
                Request::Execute { reply, .. } => reply.send(Err(error.into())),
                Request::Read(read) => read(Err(error))(Ok(0)),
                Request::Inject { reply, .. } => reply.send(Err(error.into())),
            }
            return;
        }
        match request {
            Request::Execute {
                command,
                context,
                span,
                reply,
            } => self.execute(command, context, span, reply).await,
            Request::Read(read) => {
                let Some(head) = &self.head else { return };
                let (state, version) = (&head.state, Version::new(head.version));
                let done =
                    inside::Aggregate::of(self.stream.id()).run(|| read(Ok((state, version))));
                self.when_durable(done);
            }
            Request::Inject { event, reply } => self.inject(event, reply).await,
        }
    }

    /// Loads the head if there is none, or if its epoch has failed. Loads within `span`.
    async fn make_ready(&mut self, span: tracing::Span) -> Result<(), StateError> {
        if let Some(head) = &self.head
            && self.stream.failure(head.epoch).is_some()
        {
            self.head = None;
        }
        if self.head.is_none() {
            self.head = Some(self.activate().instrument(span).await?);
        }
        Ok(())
    }

    /// Runs `done` once the head, as it is now, is durable.
    fn when_durable(&self, done: Done) {
        let Some(head) = &self.head else {
            return done(Err(CommitError::Superseded));
        };
        if head.version <= self.stream.durable_version()
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

/// The answer to a command that waits until the head is durable.
fn answer<A: Aggregate>(
    reply: Reply<Committed<A>, ExecuteError<A::Error>>,
    result: Result<Decision<A>, ExecuteError<A::Error>>,
) -> Done {
    Box::new(move |durable| {
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
