//! Commands that take effect together, all of them or none: [`Together`].

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt;
use std::io;
use std::sync::Arc;

use tokio::sync::oneshot;
use tracing::{Instrument as _, Span};

mod answer;
mod group;
mod participant;
mod repeat;

pub use answer::CommittedTogether;

use crate::domain::aggregate::Aggregate;
use crate::domain::command::CommandContext;
use crate::domain::layer::{Call, CallOutcome};
use crate::error::{ExecuteError, TogetherError};
use crate::ids::{StreamId, Version};
use crate::runtime::actor::Reply;
use crate::runtime::aggregates::Hold;
use crate::runtime::background;
use crate::runtime::handle::AggregateHandle;
use crate::runtime::inside;
use crate::runtime::layers::{Passed, metered};
use crate::runtime::running::InProgress;
use crate::runtime::sender::{Sender, is_lost};
use crate::runtime::spans;
use group::{Command, Group, Next};
use participant::{Commands, Participant};

/// Commands to several aggregates that take effect together: the events of all of them are stored, or
/// nothing is. [`AggregateStore::together`](crate::AggregateStore::together) makes one.
///
/// Each command is decided by its aggregate, on a state that no other command changes until the whole
/// group is handed to the storage. So a rule may span several aggregates: money leaves one account
/// only if it reaches the other. Several commands to one aggregate are decided in their order, each
/// on the state after the one before. A command without events takes part as a check: what it was
/// decided on still holds when the others are stored.
///
/// A group waits for all its aggregates, and while it is decided they wait for it. Two groups never
/// wait for each other without end. The events get one position after the other, by aggregate in the
/// order of their first commands. Readers that follow the store see them in that order; after a crash
/// all of them are there or none.
///
/// A group has at most [`MOST_AGGREGATES`](Self::MOST_AGGREGATES) aggregates,
/// [`MOST_EVENTS`](Self::MOST_EVENTS) events, and [`MOST_BYTES`](Self::MOST_BYTES) bytes of stored
/// events.
///
/// ```
/// # use eventfold_es::{*, __private::example::*};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let store = AggregateStore::open(dir.path()).await?;
/// let (one, two) = (store.get::<Counter>("c-1").await?, store.get::<Counter>("c-2").await?);
/// let group = store.together().send(&one, Add(5)).send(&two, Add(0));
/// let error = group.commit().await.unwrap_err(); // the second is refused
/// assert_eq!(error.index(), Some(1));
/// assert_eq!(one.version().await?, 0); // so the first has no effect
/// # Ok(())
/// # }
/// ```
#[must_use = "the commands are sent by `commit`"]
pub struct Together {
    store: Arc<Hold>,
    participants: Vec<Box<dyn Participant>>,
    /// The places of the participants, by the addresses of their slots.
    places: HashMap<usize, usize>,
    commands: Vec<Added>,
    /// Why the group cannot be committed.
    misuse: Option<String>,
}

/// A command that was added to a group.
struct Added {
    participant: usize,
    own: usize,
    span: Span,
}

impl Together {
    /// The most aggregates in a group.
    ///
    /// ```
    /// assert_eq!(eventfold_es::Together::MOST_AGGREGATES, 100);
    /// ```
    pub const MOST_AGGREGATES: u64 = group::MOST_AGGREGATES;

    /// The most events of a group.
    ///
    /// ```
    /// assert_eq!(eventfold_es::Together::MOST_EVENTS, 10_000);
    /// ```
    pub const MOST_EVENTS: u64 = group::MOST_EVENTS;

    /// The most bytes that the events of a group take as they are stored.
    ///
    /// ```
    /// assert_eq!(eventfold_es::Together::MOST_BYTES, 16 * 1024 * 1024);
    /// ```
    pub const MOST_BYTES: u64 = group::MOST_BYTES;

    pub(crate) fn new(store: Arc<Hold>) -> Self {
        Self {
            store,
            participants: Vec::new(),
            places: HashMap::new(),
            commands: Vec::new(),
            misuse: None,
        }
    }

    /// Adds a command, as [`AggregateHandle::send`] takes it. It is sent by
    /// [`commit`](Self::commit).
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let store = AggregateStore::open(dir.path()).await?;
    /// let counter = store.get::<Counter>("c-1").await?;
    /// let done = store.together().send(&counter, Add(1)).send(&counter, Add(2)).commit().await?;
    /// assert_eq!(done.events(&counter).len(), 2);
    /// # Ok(())
    /// # }
    /// ```
    pub fn send<A: Aggregate>(
        mut self,
        aggregate: &AggregateHandle<A>,
        command: impl Into<A::Command>,
    ) -> Self {
        if let Some((participant, commands)) = self.participant(aggregate) {
            let own = commands.add(command.into());
            let span = Span::none();
            self.commands.push(Added {
                participant,
                own,
                span,
            });
        }
        self
    }

    /// Requires an aggregate to be at `version` when the group is decided, before any of its
    /// commands. The aggregate need not have a command in the group: then only its version is
    /// checked, and it does not change until the group is stored.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let store = AggregateStore::open(dir.path()).await?;
    /// let (one, two) = (store.get::<Counter>("c-1").await?, store.get::<Counter>("c-2").await?);
    /// let group = || store.together().send(&one, Add(5)).expecting(&two, 0);
    /// group().commit().await?;
    /// two.send(Add(1)).await?;
    /// let late = group().commit().await.unwrap_err();
    /// assert!(matches!(late, TogetherError::ExpectedVersion { .. }));
    /// # Ok(())
    /// # }
    /// ```
    pub fn expecting<A: Aggregate>(
        mut self,
        aggregate: &AggregateHandle<A>,
        version: impl Into<Version>,
    ) -> Self {
        if let Some((_, commands)) = self.participant(aggregate) {
            commands.expect(version.into());
        }
        self
    }

    /// The participant for `aggregate`, and its place.
    fn participant<A: Aggregate>(
        &mut self,
        aggregate: &AggregateHandle<A>,
    ) -> Option<(usize, &mut Commands<A>)> {
        let (slot, store) = (aggregate.slot(), &aggregate.store().aggregates);
        if !Arc::ptr_eq(store, &self.store.aggregates) {
            self.misuse.get_or_insert_with(|| {
                format!(
                    "the handle to {} belongs to another open store than the group: get it from the \
                     store that commits the group",
                    aggregate.stream_id()
                )
            });
            return None;
        }
        let next = self.participants.len();
        let place = *self.places.entry(Arc::as_ptr(slot).addr()).or_insert(next);
        if place == next {
            self.participants
                .push(Box::new(Commands::new(slot.clone())));
        }
        let commands = self.participants[place].as_any_mut().downcast_mut()?;
        Some((place, commands))
    }

    /// Sends the commands, waits until all their events are durable, and returns them.
    ///
    /// If the caller drops the future while it waits, the group is decided and stored all the same,
    /// unless it had to be decided again because of other writers.
    ///
    /// # Errors
    ///
    /// See [`TogetherError`]. Unless it is [`OutcomeUnknown`](TogetherError::OutcomeUnknown), nothing
    /// of any command is stored.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let store = AggregateStore::open(dir.path()).await?;
    /// let (one, two) = (store.get::<Counter>("c-1").await?, store.get::<Counter>("c-2").await?);
    /// let done = store.together().send(&one, Add(5)).send(&two, Add(6)).commit().await?;
    /// assert_eq!(done.position, store.head());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn commit(self) -> Result<CommittedTogether, TogetherError> {
        self.commit_with(CommandContext::default()).await
    }

    /// Sends the commands with a context, which all their events get.
    ///
    /// An idempotency key names the whole group: if the same group is committed again, it stores
    /// nothing and returns the events of the first one. It is stored with each event, so every
    /// aggregate that got an event knows it, as
    /// [it knows](CommandContext::with_idempotency_key) those of single commands. It is looked up in
    /// all aggregates of the group, before the expected versions.
    ///
    /// # Errors
    ///
    /// As [`commit`](Self::commit). A context that expects a version is refused, since a group has
    /// several aggregates: use [`expecting`](Self::expecting).
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let store = AggregateStore::open(dir.path()).await?;
    /// let (one, two) = (store.get::<Counter>("c-1").await?, store.get::<Counter>("c-2").await?);
    /// let context = CommandContext::default().with_actor("ann").with_idempotency_key("transfer-17");
    /// let group = || store.together().send(&one, Add(5)).send(&two, Add(6));
    /// group().commit_with(context.clone()).await?;
    /// let again = group().commit_with(context).await?;
    /// assert!(again.repeated);
    /// assert_eq!(again.events(&two), [CounterEvent::Added { amount: 6 }]);
    /// assert_eq!(one.version().await?, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn commit_with(
        self,
        context: CommandContext,
    ) -> Result<CommittedTogether, TogetherError> {
        self.commit_as(context, None).await
    }

    /// Commits the group through the layers; `sender` is the process manager that sends it, if one does.
    pub(crate) async fn commit_as(
        mut self,
        mut context: CommandContext,
        sender: Option<&Sender>,
    ) -> Result<CommittedTogether, TogetherError> {
        self.check(&context)?;
        let together = spans::together(self.commands.len());
        spans::trace(&together, &mut context);
        let mut contexts = vec![context; self.commands.len()];
        together.in_scope(|| {
            for (command, context) in self.commands.iter_mut().zip(&mut contexts) {
                command.span = self.participants[command.participant].span(command.own);
                spans::trace(&command.span, context);
                spans::note_context(&command.span, context);
            }
        });
        let commands: Vec<_> = (self.commands.iter())
            .map(|command| (command.participant, command.span.clone()))
            .collect();
        let store = self.store.clone();
        let meters: Vec<_> = (commands.iter())
            .map(|(participant, _)| self.participants[*participant].meter().clone())
            .collect();
        let timings: Vec<_> = (meters.iter())
            .map(|meter| store.storage.meters().time(meter))
            .collect();
        let answer = if self.store.layers.is_empty() {
            self.decide(contexts, sender)
                .instrument(together.clone())
                .await
        } else {
            let through = self.through_layers(contexts, sender);
            Box::pin(through.instrument(together.clone())).await
        };
        let is_stored = answer.as_ref().is_ok_and(|done| !done.repeated);
        for (index, timing) in timings.into_iter().enumerate() {
            let outcome = outcome(&answer, index, commands[index].0);
            timing.end(metered(outcome), is_stored);
        }
        for (index, (participant, span)) in commands.iter().enumerate() {
            if !span.is_disabled() {
                span.record("outcome", outcome(&answer, index, *participant).name());
            }
        }
        if !together.is_disabled() {
            let name = answer.as_ref().err().map(|error| failure(error).name());
            together.record("outcome", name.unwrap_or("succeeded"));
        }
        answer
    }

    /// Fails if the group cannot be committed at all.
    fn check(&self, context: &CommandContext) -> Result<(), TogetherError> {
        inside::refuse("Together::commit")?;
        if let Some(misuse) = &self.misuse {
            return Err(invalid(misuse));
        }
        if self.participants.is_empty() {
            return Err(invalid("the group has no commands: add some with `send`"));
        }
        if context.expected_version.is_some() {
            return Err(invalid(
                "the context of a group expects a version, and a group has several aggregates: name \
                 the aggregate with `expecting`",
            ));
        }
        context.check()?;
        let aggregates = self.participants.len() as u64;
        group::check_limit("aggregates", aggregates, Self::MOST_AGGREGATES)?;
        self.store
            .storage
            .check_process()
            .map_err(io::Error::from)?;
        if self.store.is_closed() {
            return Err(TogetherError::Closed);
        }
        Ok(())
    }

    /// Takes each command through the layers, in order, and commits with the contexts that they
    /// leave.
    async fn through_layers(
        self,
        sent: Vec<CommandContext>,
        sender: Option<&Sender>,
    ) -> Result<CommittedTogether, TogetherError> {
        let store = self.store.clone();
        let commands: Vec<(usize, StreamId, &'static str, Span)> = (self.commands.iter())
            .map(|command| {
                let participant = &self.participants[command.participant];
                let stream = participant.stream().id().clone();
                let name = participant.command_name(command.own);
                (command.participant, stream, name, command.span.clone())
            })
            .collect();
        let mut passed = Vec::with_capacity(commands.len());
        let mut contexts = Vec::with_capacity(commands.len());
        let mut refused = None;
        for (index, ((_, stream, name, span), context)) in commands.iter().zip(sent).enumerate() {
            let process_manager = sender.map(|sender| sender.name);
            let call = Call::new(stream, name, process_manager, context);
            passed.push(Passed::new(call, span));
            let entered = passed[index].enter::<Infallible>(&store.layers);
            match entered {
                Ok(context) => contexts.push(context),
                Err(error) => {
                    refused = Some(of_layer(index, stream, error));
                    break;
                }
            }
        }
        let answer = match refused {
            Some(error) => Err(error),
            None => self.decide(contexts, sender).await,
        };
        for (index, passed) in passed.iter_mut().enumerate() {
            passed.leave(outcome(&answer, index, commands[index].0));
        }
        answer
    }

    /// Decides the commands until no other writer was first, and returns the answer.
    async fn decide(
        self,
        contexts: Vec<CommandContext>,
        sender: Option<&Sender>,
    ) -> Result<CommittedTogether, TogetherError> {
        let store = self.store;
        let key = contexts
            .first()
            .and_then(|context| context.idempotency_key.clone());
        let commands = self.commands.into_iter().zip(contexts);
        let commands = commands.map(|(command, context)| Command {
            participant: command.participant,
            own: command.own,
            context,
            span: spans::deciding(&command.span),
        });
        let mut group = Box::new(Group {
            participants: self.participants,
            commands: commands.collect(),
            key,
            ms: None,
            conflicts: 0,
            term: sender.and_then(|sender| sender.term.clone()),
        });
        loop {
            if is_lost(group.term.as_ref()) {
                return Err(TogetherError::Conflict);
            }
            let (caller, next) = oneshot::channel();
            let call = InProgress::new(store.aggregates.clone());
            let reply = Reply::new(call, caller);
            let attempt = group::attempt(group, store.aggregates.clone(), reply);
            // On a task of its own: the aggregates must not wait for a caller that is not polled.
            match tokio::runtime::Handle::try_current() {
                Ok(runtime) => drop(runtime.spawn(attempt.in_current_span())),
                Err(_) => drop(background::runtime()?.spawn(attempt.in_current_span())),
            }
            match next.await {
                Ok(Ok(Next::Answer(answer))) => return Ok(answer),
                Ok(Ok(Next::Again(again))) => {
                    store.storage.meters().live.decided_again.add(1);
                    group = again;
                }
                Ok(Ok(Next::Repeat(group, participant, known))) => {
                    return repeat::answer(group, participant, known, store.storage.log()).await;
                }
                Ok(Err(error)) => return Err(error),
                Err(_) => {
                    return Err(match store.storage.check_failed() {
                        Ok(()) => TogetherError::ActorGone,
                        Err(error) => TogetherError::OutcomeUnknown(error.to_io()),
                    });
                }
            }
        }
    }
}

fn invalid(text: &str) -> TogetherError {
    TogetherError::Io(io::Error::new(io::ErrorKind::InvalidInput, text))
}

/// Why the layers did not let the command `index` through.
fn of_layer(index: usize, stream: &StreamId, error: ExecuteError<Infallible>) -> TogetherError {
    match error {
        ExecuteError::Refused(refused) => TogetherError::Refused {
            index,
            stream: stream.clone(),
            refused,
        },
        ExecuteError::Panicked(panic) => TogetherError::Panicked { index, panic },
        error => TogetherError::Io(io::Error::other(error)),
    }
}

type Answer = Result<CommittedTogether, TogetherError>;

/// How the command `index` of a group ended.
fn outcome(answer: &Answer, index: usize, participant: usize) -> CallOutcome<'_> {
    match answer {
        Ok(done) => {
            let done = done.summary(participant);
            CallOutcome::Succeeded {
                events: done.events,
                version: done.version,
                position: done.position,
            }
        }
        // The others are not refused themselves.
        Err(error) if error.index().is_some_and(|failed| failed != index) => {
            CallOutcome::Failed(error)
        }
        Err(error) => failure(error),
    }
}

fn failure(error: &TogetherError) -> CallOutcome<'_> {
    match error {
        TogetherError::Domain { error, .. } => CallOutcome::Refused(&**error),
        TogetherError::Refused { refused, .. } => CallOutcome::Refused(&**refused),
        TogetherError::ExpectedVersion { .. } | TogetherError::Conflict => CallOutcome::Conflict,
        error @ (TogetherError::Ended { .. } | TogetherError::Archived { .. }) => {
            CallOutcome::Refused(error)
        }
        error => CallOutcome::Failed(error),
    }
}

impl fmt::Debug for Together {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let aggregates = self.participants.iter();
        let aggregates = aggregates.map(|participant| participant.stream().id());
        f.debug_struct("Together")
            .field("aggregates", &aggregates.collect::<Vec<_>>())
            .field("commands", &self.commands.len())
            .finish_non_exhaustive()
    }
}
