//! An aggregate that takes part in a group, with its commands: [`Participant`].

use std::any::Any;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::oneshot;
use tracing::Span;

use crate::domain::aggregate::{Aggregate, decode_unless_left_out};
use crate::domain::command::{CommandContext, Fingerprint};
use crate::error::{ExecuteError, Panic, StateError, TogetherError, guarded};
use crate::event::StoredEvent;
use crate::ids::{Position, Version};
use crate::meter::CommandMeter;
use crate::runtime::actor::{Borrowed, Mail, Slot};
use crate::runtime::aggregates::Aggregates;
use crate::runtime::committed::Committed;
use crate::runtime::delivery::deliver;
use crate::runtime::inside;
use crate::runtime::spans;
use crate::runtime::together::answer::Answered;
use crate::storage::commit::StreamPart;
use crate::storage::encoding::event_line::EncodedEvents;
use crate::storage::snapshot::KnownKey;
use crate::storage::stream::Stream;

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A participant of any aggregate type.
pub(crate) trait Participant: Send {
    fn stream(&self) -> &Stream;

    /// Counts the aggregate's commands.
    fn meter(&self) -> &Arc<CommandMeter>;

    /// The span of the command with this index among the participant's.
    fn span(&self, own: usize) -> Span;

    /// The name of the command with this index among the participant's.
    fn command_name(&self, own: usize) -> &'static str;

    /// The fingerprint of such a command, `None` if its aggregate has none.
    fn fingerprint(&self, own: usize) -> Result<Option<Fingerprint>, Panic>;

    /// The same commands again, `None` if one cannot be repeated.
    fn copy(&self) -> Option<Box<dyn Participant>>;

    fn is_loaded(&self) -> bool;

    /// Lets the aggregate load. The result tells when it has.
    fn load<'a>(
        &'a mut self,
        store: &'a Aggregates,
    ) -> Boxed<'a, Result<oneshot::Receiver<()>, StateError>>;

    /// Borrows the actor.
    fn borrow<'a>(&'a mut self, store: &'a Aggregates) -> Boxed<'a, Result<(), StateError>>;

    /// Fails if the aggregate is not at the expected version.
    fn check_version(&self) -> Result<(), TogetherError>;

    /// The events that the borrowed aggregate stored under a key.
    fn known(&self, key: &str) -> Option<KnownKey>;

    /// Decides the next command, which is the command `index` of the group. Returns how many events
    /// it has.
    fn decide(
        &mut self,
        index: usize,
        context: &CommandContext,
        fingerprint: Option<Fingerprint>,
        now: u64,
    ) -> Result<usize, TogetherError>;

    /// Folds what was decided into the head, as far as it is not there.
    fn evolve(&mut self) -> Result<(), TogetherError>;

    /// How many events were decided, and how many bytes they take.
    fn size(&self) -> (u64, u64);

    /// What is to be stored.
    fn part(&mut self, key: Option<(&str, Option<Fingerprint>)>) -> StreamPart<Stream>;

    /// The answer; `position` is that of the stream's last event.
    fn answer(&mut self, position: u64) -> Box<dyn Answered>;

    /// Nothing that was decided will be stored.
    fn undo(&mut self);

    /// A part without events, which only checks that the stream is where it was borrowed.
    fn check(&self) -> StreamPart<Stream>;

    /// The borrowed actor, which goes back when this is dropped.
    fn give_back(&mut self) -> Box<dyn Returning>;

    /// Adds an event of an earlier group with the same key to the answer.
    fn read_back(&mut self, event: StoredEvent<'_>) -> io::Result<()>;

    /// The answer of that group.
    fn repeated(&mut self, version: u64, position: u64) -> Box<dyn Answered>;

    fn as_any_mut(&mut self) -> &mut dyn Any;
}

/// A borrowed actor on its way back.
pub(crate) trait Returning: Send {
    /// The storage has the group.
    fn handed_over(&mut self);
}

/// A borrowed actor. If it is dropped before the storage has the group, with its runtime for example,
/// its head has events that nobody stores.
struct Held<A: Aggregate> {
    actor: Option<Box<dyn Borrowed<A>>>,
    is_changed: bool,
}

impl<A: Aggregate> Returning for Held<A> {
    fn handed_over(&mut self) {
        self.is_changed = false;
    }
}

impl<A: Aggregate> Drop for Held<A> {
    fn drop(&mut self) {
        if self.is_changed
            && let Some(actor) = &mut self.actor
        {
            actor.forget();
        }
    }
}

/// An aggregate of the type `A` with its commands.
pub(crate) struct Commands<A: Aggregate> {
    slot: Arc<Slot<A>>,
    /// The commands. Those that were decided are `None`.
    sent: Vec<Option<A::Command>>,
    decided: usize,
    expected: Option<Version>,
    actor: Option<Box<dyn Borrowed<A>>>,
    /// The epoch and the version of the head when it was borrowed.
    at: (u64, u64),
    events: Vec<A::DomainEvent>,
    encoded: EncodedEvents,
    /// The events of the newest command, which the head lacks yet: where they begin, how many are
    /// stored, and the index of the command.
    lacking: Option<(usize, u64, usize)>,
    is_changed: bool,
}

impl<A: Aggregate> Commands<A> {
    pub(crate) fn new(slot: Arc<Slot<A>>) -> Self {
        let encoded = EncodedEvents::new(slot.stream().seed());
        Self {
            slot,
            sent: Vec::new(),
            decided: 0,
            expected: None,
            actor: None,
            at: (0, 0),
            events: Vec::new(),
            encoded,
            lacking: None,
            is_changed: false,
        }
    }

    /// Adds a command, and returns its index among the participant's.
    pub(crate) fn add(&mut self, command: A::Command) -> usize {
        self.sent.push(Some(command));
        self.sent.len() - 1
    }

    pub(crate) fn expect(&mut self, version: Version) {
        self.expected = Some(version);
    }

    /// The error of the command `index`.
    fn failed(&self, index: usize, error: ExecuteError<A::Error>) -> TogetherError {
        let stream = self.slot.stream().id().clone();
        match error {
            ExecuteError::Domain(error) => TogetherError::Domain {
                index,
                stream,
                error: Box::new(error),
            },
            ExecuteError::Refused(refused) => TogetherError::Refused {
                index,
                stream,
                refused,
            },
            ExecuteError::ExpectedVersion { expected, actual } => TogetherError::ExpectedVersion {
                stream,
                expected,
                actual,
            },
            ExecuteError::Panicked(panic) => TogetherError::Panicked { index, panic },
            ExecuteError::KeyReused { key } => TogetherError::KeyReused { key, stream },
            ExecuteError::Ended { reason, when } => TogetherError::Ended {
                index,
                stream,
                reason,
                when,
            },
            ExecuteError::Archived { when } => TogetherError::Archived {
                index,
                stream,
                when,
            },
            ExecuteError::Conflict => TogetherError::Conflict,
            ExecuteError::Io(error) => TogetherError::Io(error),
            ExecuteError::ActorGone => TogetherError::ActorGone,
            ExecuteError::OutcomeUnknown(error) => TogetherError::OutcomeUnknown(error),
            ExecuteError::Closed => TogetherError::Closed,
        }
    }

    fn committed(&mut self, version: u64, position: u64, repeated: bool) -> Box<dyn Answered> {
        Box::new(Committed::<A> {
            events: std::mem::take(&mut self.events),
            version: Version::new(version),
            position: Position::new(position),
            repeated,
        })
    }
}

impl<A: Aggregate> Participant for Commands<A> {
    fn stream(&self) -> &Stream {
        self.slot.stream()
    }

    fn meter(&self) -> &Arc<CommandMeter> {
        self.slot.meter()
    }

    fn span(&self, own: usize) -> Span {
        match &self.sent[own] {
            Some(command) => spans::execute::<A>(self.stream().id(), command),
            None => Span::none(),
        }
    }

    fn command_name(&self, own: usize) -> &'static str {
        self.sent[own].as_ref().map_or("", A::command_name)
    }

    fn fingerprint(&self, own: usize) -> Result<Option<Fingerprint>, Panic> {
        let Some(command) = &self.sent[own] else {
            return Ok(None);
        };
        let stream = self.stream().id();
        let fingerprint = inside::Aggregate::of(stream).run(|| guarded(|| A::fingerprint(command)));
        let fingerprint = fingerprint.map_err(|panic| Panic::new("serialize", stream, &*panic))?;
        Ok(fingerprint.map(Fingerprint::new))
    }

    fn copy(&self) -> Option<Box<dyn Participant>> {
        let commands = self.sent.iter().map(|command| {
            let again = guarded(|| command.as_ref().and_then(A::repeat)).ok()?;
            again.map(Some)
        });
        Some(Box::new(Self {
            sent: commands.collect::<Option<_>>()?,
            expected: self.expected,
            ..Self::new(self.slot.clone())
        }))
    }

    fn is_loaded(&self) -> bool {
        self.slot.is_loaded()
    }

    fn load<'a>(
        &'a mut self,
        store: &'a Aggregates,
    ) -> Boxed<'a, Result<oneshot::Receiver<()>, StateError>> {
        let slot = self.slot.clone();
        Box::pin(async move {
            let (done, loaded) = oneshot::channel();
            deliver(store, &slot, Mail::Load(done)).await?;
            Ok(loaded)
        })
    }

    fn borrow<'a>(&'a mut self, store: &'a Aggregates) -> Boxed<'a, Result<(), StateError>> {
        let slot = self.slot.clone();
        Box::pin(async move {
            let (borrower, actor) = oneshot::channel();
            deliver(store, &slot, Mail::Lend(borrower)).await?;
            let actor = actor.await.map_err(|_| StateError::ActorGone)??;
            self.at = actor.head();
            self.actor = Some(actor);
            Ok(())
        })
    }

    fn check_version(&self) -> Result<(), TogetherError> {
        let actual = Version::new(self.at.1);
        match self.expected {
            Some(expected) if expected != actual => Err(TogetherError::ExpectedVersion {
                stream: self.stream().id().clone(),
                expected,
                actual,
            }),
            _ => Ok(()),
        }
    }

    fn known(&self, key: &str) -> Option<KnownKey> {
        self.actor.as_ref()?.known(key)
    }

    fn decide(
        &mut self,
        index: usize,
        context: &CommandContext,
        fingerprint: Option<Fingerprint>,
        now: u64,
    ) -> Result<usize, TogetherError> {
        // An earlier command of this aggregate comes before this one.
        self.evolve()?;
        let command = self.sent.get_mut(self.decided).and_then(Option::take);
        self.decided += 1;
        let (Some(command), Some(actor)) = (command, &mut self.actor) else {
            return Err(TogetherError::ActorGone);
        };
        match actor.propose(command, context, fingerprint, now) {
            Err(error) => Err(self.failed(index, error)),
            Ok(None) => Ok(0),
            Ok(Some((events, encoded))) => {
                let count = events.len();
                self.lacking = Some((self.events.len(), encoded.count(), index));
                self.events.extend(events);
                self.encoded.append(encoded);
                Ok(count)
            }
        }
    }

    fn evolve(&mut self) -> Result<(), TogetherError> {
        let Some((start, stored, index)) = self.lacking.take() else {
            return Ok(());
        };
        let Some(actor) = &mut self.actor else {
            return Err(TogetherError::ActorGone);
        };
        self.is_changed = true;
        let evolved = actor.evolve(&self.events[start..], stored);
        evolved.map_err(|error| self.failed(index, error))
    }

    fn size(&self) -> (u64, u64) {
        (self.encoded.count(), self.encoded.size() as u64)
    }

    fn part(&mut self, key: Option<(&str, Option<Fingerprint>)>) -> StreamPart<Stream> {
        let mut part = self.check();
        std::mem::swap(&mut part.events, &mut self.encoded);
        let count = part.events.count();
        if count > 0 {
            let key = key.map(|(key, command)| KnownKey {
                key: key.to_owned(),
                version: self.at.1 + 1,
                count,
                command,
            });
            part.snapshot = self.actor.as_mut().and_then(|actor| actor.keep(key));
        }
        self.at.1 += count;
        part
    }

    fn answer(&mut self, position: u64) -> Box<dyn Answered> {
        self.committed(self.at.1, position, false)
    }

    fn undo(&mut self) {
        if std::mem::take(&mut self.is_changed)
            && let Some(actor) = &mut self.actor
        {
            actor.forget();
        }
    }

    fn check(&self) -> StreamPart<Stream> {
        let stream = self.stream().clone();
        let events = EncodedEvents::new(stream.seed());
        let (epoch, expected) = self.at;
        StreamPart {
            stream,
            epoch,
            expected,
            events,
            snapshot: None,
        }
    }

    fn give_back(&mut self) -> Box<dyn Returning> {
        Box::new(Held {
            actor: self.actor.take(),
            is_changed: self.is_changed,
        })
    }

    fn read_back(&mut self, event: StoredEvent<'_>) -> io::Result<()> {
        let own = inside::Aggregate::of(self.stream().id());
        let decoded = own.run(|| guarded(|| decode_unless_left_out::<A>(event)));
        let decoded = decoded.map_err(|panic| {
            io::Error::other(Panic::new("deserialize", self.stream().id(), &*panic))
        })?;
        let decoded = decoded.map_err(|error| event.failed(&error))?;
        self.events.extend(decoded.into_iter().flatten());
        Ok(())
    }

    fn repeated(&mut self, version: u64, position: u64) -> Box<dyn Answered> {
        self.committed(version, position, true)
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}
