//! One aggregate of a group: [`Participant`].

use std::any::Any;
use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;

use tokio::sync::oneshot;

use crate::domain::aggregate::Aggregate;
use crate::domain::command::{CommandContext, Fingerprint};
use crate::error::{Panic, StateError, guarded};
use crate::ids::{StreamId, Version};
use crate::runtime::actor::{Lent, Mail, Proposed};
use crate::runtime::handle::AggregateHandle;
use crate::runtime::inside;
use crate::runtime::together::committed::CommittedStream;
use crate::runtime::together::error::TogetherError;
use crate::storage::commit::{CommitError, StreamPart};
use crate::storage::encoding::event_line::EncodedEvents;
use crate::storage::snapshot::KnownKey;
use crate::storage::stream::Stream;

/// A boxed future.
pub(crate) type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Events of any aggregate: a `Vec` of them.
pub(crate) type AnyEvents = Box<dyn Any + Send + Sync>;

/// An aggregate of a group, with its commands.
pub(crate) trait Participant: Any + Send {
    fn stream(&self) -> &StreamId;

    /// Fails if the aggregate's own code makes this call.
    fn refuse_own_code(&self) -> io::Result<()>;

    /// Loads the aggregate if it is not in memory.
    fn load(&self) -> Option<Boxed<'static, ()>>;

    /// Waits until the actor is lent.
    fn lend(&mut self) -> Boxed<'_, Result<(), StateError>>;

    /// Gives the actor back, if it is lent.
    fn give_back(&mut self);

    /// The names of the commands, with their places.
    fn names(&self) -> Vec<(usize, &'static str)>;

    /// The fingerprints of the commands, with their places.
    fn fingerprints(&self) -> Result<Vec<(usize, Option<u64>)>, Panic>;

    /// Lets the aggregate expect a version.
    fn expect(&mut self, version: Version);

    /// Fails if the aggregate is not at the version that is expected.
    fn check_expected(&mut self) -> Result<(), TogetherError>;

    /// What the aggregate remembers under an idempotency key.
    fn known(&mut self, key: &str) -> Option<KnownKey>;

    /// The events that were stored under an idempotency key.
    fn repeat(&mut self, key: String) -> Boxed<'_, Result<Answered, TogetherError>>;

    /// Decides the next command. Returns how many events and bytes it leads to.
    fn decide(
        &mut self,
        context: &CommandContext,
        fingerprint: Option<Fingerprint>,
        now: u64,
    ) -> Result<(usize, usize), TogetherError>;

    /// Folds what is not folded yet.
    fn finish(&mut self) -> Result<(), TogetherError>;

    /// Lets the aggregate return to its durable state, if its head has events that are not handed over.
    fn undo(&mut self);

    /// Notes that the events are handed over.
    fn handed_over(&mut self);

    /// Waits until the head is durable.
    fn durable(&mut self) -> Boxed<'_, Result<u64, CommitError>>;

    /// The part of the commit, once everything is folded.
    fn part(&mut self, key: Option<(&str, Option<Fingerprint>)>) -> Option<StreamPart<Stream>>;

    /// What is answered once it is durable.
    fn answered(&mut self, position: u64) -> Answered;

    /// Puts the commands back as they were before they were decided. False if that is not possible.
    fn restore(&mut self) -> bool;
}

/// The answer of one aggregate.
pub(crate) struct Answered {
    pub(crate) stream: CommittedStream,
    /// The events of each command, by their places.
    pub(crate) events: Vec<(usize, AnyEvents)>,
}

/// An aggregate of type `A` in a group.
pub(crate) struct Of<A: Aggregate> {
    handle: AggregateHandle<A>,
    expected: Option<Version>,
    /// The commands that are not decided yet, with their places.
    commands: VecDeque<(usize, A::Command)>,
    /// Copies of the commands, if others may write to the stream.
    copies: Option<VecDeque<(usize, A::Command)>>,
    lent: Option<Lent<A>>,
    decided: Vec<(usize, Vec<A::DomainEvent>)>,
    encoded: EncodedEvents,
    /// How many stored events the last decision has, if they are not folded yet.
    unfolded: u64,
    /// Whether the head has events of this group that are not handed over.
    is_changed: bool,
    version: u64,
}

impl<A: Aggregate> Of<A> {
    pub(crate) fn new(handle: &AggregateHandle<A>) -> Self {
        Self {
            handle: handle.clone(),
            expected: None,
            commands: VecDeque::new(),
            copies: handle.stream().is_shared().then(VecDeque::new),
            lent: None,
            decided: Vec::new(),
            encoded: EncodedEvents::new(handle.stream().seed()),
            unfolded: 0,
            is_changed: false,
            version: 0,
        }
    }

    pub(crate) fn push(&mut self, place: usize, command: A::Command) {
        if let Some(copies) = &mut self.copies {
            match A::repeat(&command) {
                Some(copy) => copies.push_back((place, copy)),
                None => self.copies = None,
            }
        }
        self.commands.push_back((place, command));
    }

    /// Where the first command is in the order of sending.
    fn first(&self) -> usize {
        let decided = self.decided.first().map(|(place, _)| *place);
        let waiting = self.commands.front().map(|(place, _)| *place);
        decided.or(waiting).unwrap_or(0)
    }
}

impl<A: Aggregate> Participant for Of<A> {
    fn stream(&self) -> &StreamId {
        self.handle.stream().id()
    }

    fn refuse_own_code(&self) -> io::Result<()> {
        self.handle.refuse_own_code()
    }

    fn load(&self) -> Option<Boxed<'static, ()>> {
        if self.handle.is_alive() {
            return None;
        }
        let handle = self.handle.clone();
        Some(Box::pin(async move {
            // If it fails, lending fails too.
            let _ = handle.version().await;
        }))
    }

    fn lend(&mut self) -> Boxed<'_, Result<(), StateError>> {
        Box::pin(async {
            let (borrower, lent) = oneshot::channel();
            self.handle.deliver(Box::new(Mail::Lend(borrower))).await?;
            let lent = lent.await.map_err(|_| StateError::ActorGone)??;
            let lent = lent.downcast::<Lent<A>>();
            let mut lent = lent.map_err(|_| StateError::ActorGone)?;
            self.version = lent.actor().map_or(0, |actor| actor.head_version());
            self.lent = Some(*lent);
            Ok(())
        })
    }

    fn give_back(&mut self) {
        self.lent = None;
    }

    fn names(&self) -> Vec<(usize, &'static str)> {
        let commands = self.commands.iter();
        let names = commands.map(|(place, command)| (*place, A::command_name(command)));
        names.collect()
    }

    fn fingerprints(&self) -> Result<Vec<(usize, Option<u64>)>, Panic> {
        let commands = self.commands.iter();
        let fingerprints = commands.map(|(place, command)| {
            let fingerprint = guarded(|| A::fingerprint(command));
            let fingerprint =
                fingerprint.map_err(|panic| Panic::new("serialize", self.stream(), &*panic))?;
            Ok((*place, fingerprint))
        });
        fingerprints.collect()
    }

    fn expect(&mut self, version: Version) {
        self.expected = Some(version);
    }

    fn check_expected(&mut self) -> Result<(), TogetherError> {
        let actual = Version::new(self.version);
        match self.expected {
            Some(expected) if expected != actual => Err(TogetherError::ExpectedVersion {
                stream: self.stream().clone(),
                expected,
                actual,
            }),
            _ => Ok(()),
        }
    }

    fn known(&mut self, key: &str) -> Option<KnownKey> {
        self.lent.as_mut()?.actor()?.known(key)
    }

    fn repeat(&mut self, key: String) -> Boxed<'_, Result<Answered, TogetherError>> {
        Box::pin(async move {
            let first = self.first();
            let id = self.stream().clone();
            let of_command = |error| TogetherError::of_command(error, first, &id);
            let actor = self.lent.as_mut().and_then(Lent::actor);
            let actor = actor.ok_or(TogetherError::ActorGone)?;
            let done = actor.repeat_key(key).await.map_err(of_command)?;
            let commands = std::mem::take(&mut self.commands);
            let others = commands.iter().skip(1);
            let none = others.map(|(place, _)| (*place, empty::<A>()));
            let none: Vec<_> = none.collect();
            let events: AnyEvents = Box::new(done.events);
            let stream = CommittedStream {
                id,
                version: done.version,
                position: done.position,
            };
            let events = std::iter::once((first, events)).chain(none).collect();
            Ok(Answered { stream, events })
        })
    }

    fn decide(
        &mut self,
        context: &CommandContext,
        fingerprint: Option<Fingerprint>,
        now: u64,
    ) -> Result<(usize, usize), TogetherError> {
        self.finish()?;
        let Some((place, command)) = self.commands.pop_front() else {
            return Ok((0, 0));
        };
        let id = self.handle.stream().id();
        let actor = self.lent.as_mut().and_then(Lent::actor);
        let actor = actor.ok_or(TogetherError::ActorGone)?;
        let own = inside::Aggregate::of(id);
        match own.run(|| actor.propose(command, context, fingerprint, now)) {
            Proposed::Events(events, encoded) => {
                let size = (events.len(), encoded.size());
                self.unfolded = encoded.count();
                self.encoded.append(encoded);
                self.decided.push((place, events));
                Ok(size)
            }
            Proposed::Answer(Ok(())) => {
                self.decided.push((place, Vec::new()));
                Ok((0, 0))
            }
            Proposed::Answer(Err(error)) => Err(TogetherError::of_command(error, place, id)),
            Proposed::Panicked(panic) => {
                self.is_changed = true;
                Err(TogetherError::Panicked(panic))
            }
        }
    }

    fn finish(&mut self) -> Result<(), TogetherError> {
        let count = std::mem::take(&mut self.unfolded);
        if count == 0 {
            return Ok(());
        }
        let Some((_, events)) = self.decided.last() else {
            return Ok(());
        };
        let actor = self.lent.as_mut().and_then(Lent::actor);
        let actor = actor.ok_or(TogetherError::ActorGone)?;
        self.is_changed = true;
        let own = inside::Aggregate::of(self.handle.stream().id());
        own.run(|| actor.evolve(events, count))
            .map_err(TogetherError::Panicked)
    }

    fn undo(&mut self) {
        if std::mem::take(&mut self.is_changed)
            && let Some(actor) = self.lent.as_mut().and_then(Lent::actor)
        {
            actor.forget_head();
        }
    }

    fn handed_over(&mut self) {
        self.is_changed = false;
    }

    fn durable(&mut self) -> Boxed<'_, Result<u64, CommitError>> {
        Box::pin(async {
            match self.lent.as_mut().and_then(Lent::actor) {
                Some(actor) => actor.wait_durable_or_loaded().await,
                None => Ok(0),
            }
        })
    }

    fn part(&mut self, key: Option<(&str, Option<Fingerprint>)>) -> Option<StreamPart<Stream>> {
        let seed = self.handle.stream().seed();
        let encoded = std::mem::replace(&mut self.encoded, EncodedEvents::new(seed));
        self.version += encoded.count();
        self.lent.as_mut()?.actor()?.part(encoded, key)
    }

    fn answered(&mut self, position: u64) -> Answered {
        let events = std::mem::take(&mut self.decided).into_iter();
        let events = events.map(|(place, events)| {
            let events: AnyEvents = Box::new(events);
            (place, events)
        });
        Answered {
            stream: CommittedStream {
                id: self.stream().clone(),
                version: Version::new(self.version),
                position: crate::ids::Position::new(position),
            },
            events: events.collect(),
        }
    }

    fn restore(&mut self) -> bool {
        let Some(copies) = self.copies.take() else {
            return false;
        };
        let stream = self.handle.stream();
        self.encoded = EncodedEvents::new(stream.seed());
        self.decided.clear();
        self.commands.clear();
        self.is_changed = false;
        self.unfolded = 0;
        self.copies = Some(VecDeque::new());
        for (place, command) in copies {
            self.push(place, command);
        }
        true
    }
}

impl<A: Aggregate> Drop for Of<A> {
    /// The group may end anywhere, with its runtime for example.
    fn drop(&mut self) {
        self.undo();
    }
}

/// No events.
fn empty<A: Aggregate>() -> AnyEvents {
    Box::new(Vec::<A::DomainEvent>::new())
}
