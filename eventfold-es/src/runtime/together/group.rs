//! A group of commands: [`Together`], and its way to a commit.

use std::any::Any;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use tokio::sync::oneshot;
use tracing::Span;
use xxhash_rust::xxh3::Xxh3;

use crate::domain::aggregate::Aggregate;
use crate::domain::command::{CommandContext, Fingerprint};
use crate::domain::layer::{Call, CallOutcome};
use crate::error::ExecuteError;
use crate::ids::{Position, StreamId, Version};
use crate::runtime::aggregates::Hold;
use crate::runtime::background;
use crate::runtime::handle::AggregateHandle;
use crate::runtime::layers::Passed;
use crate::runtime::running::InProgress;
use crate::runtime::spans;
use crate::runtime::together::committed::CommittedTogether;
use crate::runtime::together::error::TogetherError;
use crate::runtime::together::participant::{Answered, AnyEvents, Boxed, Of, Participant};
use crate::storage::commit::{CommitError, GroupCommit};

/// How often commands are decided at most.
const MOST_ATTEMPTS: u32 = 16;

/// Commands of several aggregates that take effect together, in one commit, or not at all.
/// [`AggregateStore::together`](crate::AggregateStore::together) makes one.
///
/// All aggregates are loaded first. Then each command is decided by its aggregate, in the order of
/// sending; several commands of one aggregate see each other's events. No other command of these
/// aggregates comes between. A command without events takes part as a check: the aggregate is as it was
/// when the others were decided.
///
/// The events get positions one after the other, one aggregate after the other, in the order of the
/// streams' names. Every reader sees all of them or none.
///
/// At most [`MOST_AGGREGATES`](Self::MOST_AGGREGATES) aggregates, [`MOST_EVENTS`](Self::MOST_EVENTS)
/// events and [`MOST_BYTES`](Self::MOST_BYTES) bytes of events are possible.
///
/// ```
/// # use eventfold_es::{*, __private::example::*};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let store = AggregateStore::in_memory().open().await?;
/// let (a, b) = (store.get::<Counter>("a").await?, store.get::<Counter>("b").await?);
/// store.together().send(&a, Add(5)).send(&b, Add(7)).commit().await?;
/// assert_eq!((a.state().await?.value, b.state().await?.value), (5, 7));
///
/// let refused = store.together().send(&a, Add(1)).send(&b, Add(0)).commit().await;
/// assert!(refused.is_err());
/// assert_eq!(a.state().await?.value, 5);
/// # Ok(())
/// # }
/// ```
#[must_use = "the commands are sent by `commit`"]
pub struct Together {
    store: Arc<Hold>,
    participants: Vec<Box<dyn Participant>>,
    /// How many commands there are.
    commands: usize,
    /// The first mistake in putting the group together.
    mistake: Option<TogetherError>,
}

impl Together {
    /// How many aggregates may take part.
    pub const MOST_AGGREGATES: usize = 100;
    /// How many events the commands may lead to, all together.
    pub const MOST_EVENTS: usize = 10_000;
    /// How many bytes the events may take, as they are stored, all together.
    pub const MOST_BYTES: usize = 16 * 1024 * 1024;

    pub(crate) fn new(store: &Arc<Hold>) -> Self {
        Self {
            store: store.clone(),
            participants: Vec::new(),
            commands: 0,
            mistake: None,
        }
    }

    /// Adds a command to an aggregate.
    ///
    /// See the example of [`Together`].
    pub fn send<A: Aggregate>(
        mut self,
        aggregate: &AggregateHandle<A>,
        command: impl Into<A::Command>,
    ) -> Self {
        let place = self.commands;
        if let Some(participant) = self.participant(aggregate) {
            participant.push(place, command.into());
        }
        self.commands += 1;
        self
    }

    /// Lets the commands take effect only if the aggregate is at this version before them. The
    /// aggregate takes part even if no command is sent to it.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let store = AggregateStore::in_memory().open().await?;
    /// # let (a, b) = (store.get::<Counter>("a").await?, store.get::<Counter>("b").await?);
    /// a.send(Add(5)).await?;
    /// let done = store.together().expecting(&a, 0).send(&b, Add(7)).commit().await;
    /// assert!(matches!(done, Err(TogetherError::ExpectedVersion { .. })));
    /// # Ok(())
    /// # }
    /// ```
    pub fn expecting<A: Aggregate>(
        mut self,
        aggregate: &AggregateHandle<A>,
        version: impl Into<Version>,
    ) -> Self {
        if let Some(participant) = self.participant(aggregate) {
            participant.expect(version.into());
        }
        self
    }

    /// The part of an aggregate in the group. `None` if it cannot take part.
    fn participant<A: Aggregate>(&mut self, aggregate: &AggregateHandle<A>) -> Option<&mut Of<A>> {
        let id = aggregate.stream().id();
        if !Arc::ptr_eq(&aggregate.store().aggregates, &self.store.aggregates) {
            let text = format!("{id} is an aggregate of another store");
            self.mistake
                .get_or_insert_with(|| TogetherError::invalid(text));
            return None;
        }
        let mut known = self.participants.iter();
        let place = known.position(|participant| participant.stream() == id);
        let place = place.unwrap_or_else(|| {
            self.participants.push(Box::new(Of::new(aggregate)));
            self.participants.len() - 1
        });
        let participant: &mut (dyn Any + Send) = &mut *self.participants[place];
        let participant = participant.downcast_mut();
        if participant.is_none() {
            let text = format!("{id} takes part as two Rust types");
            self.mistake
                .get_or_insert_with(|| TogetherError::invalid(text));
        }
        participant
    }

    /// Sends the commands, and returns once all their events are durable.
    ///
    /// If the caller stops waiting, the commands take effect or not, but never in part.
    ///
    /// # Errors
    ///
    /// [`TogetherError`]. Nothing of any command is stored then, except as its
    /// [`OutcomeUnknown`](TogetherError::OutcomeUnknown) says.
    ///
    /// See the example of [`Together`].
    pub async fn commit(self) -> Result<CommittedTogether, TogetherError> {
        self.commit_with(CommandContext::default()).await
    }

    /// As [`commit`](Self::commit), with a context: who sends the commands, what they belong to, and
    /// one idempotency key for all. Commands that repeat the key of earlier ones get their answer. The
    /// key is remembered as long as one of the aggregates remembers it.
    ///
    /// # Errors
    ///
    /// As [`commit`](Self::commit). A context that expects a version is refused: say which aggregate is
    /// to have it by [`expecting`](Self::expecting).
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let store = AggregateStore::in_memory().open().await?;
    /// # let (a, b) = (store.get::<Counter>("a").await?, store.get::<Counter>("b").await?);
    /// let context = CommandContext::default().with_idempotency_key("transfer-17");
    /// let send = || store.together().send(&a, Add(5)).send(&b, Add(7));
    /// assert!(!send().commit_with(context.clone()).await?.repeated);
    /// assert!(send().commit_with(context).await?.repeated);
    /// assert_eq!(a.state().await?.value, 5);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn commit_with(
        self,
        context: CommandContext,
    ) -> Result<CommittedTogether, TogetherError> {
        self.commit_as(context, None).await
    }

    /// As [`commit_with`](Self::commit_with), for a process manager.
    pub(crate) async fn commit_as(
        mut self,
        context: CommandContext,
        process_manager: Option<&'static str>,
    ) -> Result<CommittedTogether, TogetherError> {
        self.check(&context)?;
        self.participants
            .sort_unstable_by(|a, b| a.stream().cmp(b.stream()));
        let span = spans::together(self.commands, self.participants.len());
        spans::note_context(&span, &context);
        let calls = self.calls();
        let streams: Vec<StreamId> = self
            .participants
            .iter()
            .map(|p| p.stream().clone())
            .collect();
        let store = self.store.clone();
        let mut passed = Vec::new();
        let mut contexts = Vec::with_capacity(calls.len());
        let mut refused = None;
        for (place, (participant, name)) in calls.iter().enumerate() {
            if store.layers.is_empty() {
                contexts.push(context.clone());
                continue;
            }
            let call = Call::new(
                &streams[*participant],
                name,
                process_manager,
                context.clone(),
            );
            let mut call = Passed::new(call, &span);
            let entered: Result<_, ExecuteError<std::io::Error>> = call.enter(&store.layers);
            passed.push(call);
            match entered {
                Ok(context) => contexts.push(context),
                Err(error) => {
                    let stream = &streams[*participant];
                    refused = Some(TogetherError::of_command(error, place, stream));
                    break;
                }
            }
        }
        let answer = if let Some(error) = refused {
            Err(error)
        } else {
            let order = calls.iter().map(|(participant, _)| *participant).collect();
            let group = Group {
                store: store.clone(),
                participants: self.participants,
                order,
                contexts,
                key: context.idempotency_key,
                span: spans::deciding(&span),
            };
            run(group, &store).await
        };
        for (call, (participant, _)) in passed.iter_mut().zip(&calls).rev() {
            call.leave(outcome(&answer, *participant));
        }
        if !span.is_disabled() {
            span.record("outcome", outcome(&answer, 0).name());
        }
        answer
    }

    fn check(&mut self, context: &CommandContext) -> Result<(), TogetherError> {
        if let Some(mistake) = self.mistake.take() {
            return Err(mistake);
        }
        context.check()?;
        if context.expected_version.is_some() {
            let text = "the context expects a version, but not of which aggregate: use `expecting`";
            return Err(TogetherError::invalid(text));
        }
        if self.commands == 0 {
            return Err(TogetherError::invalid("no command is sent together"));
        }
        let count = self.participants.len();
        check_limit("aggregates", count, Self::MOST_AGGREGATES)?;
        for participant in &self.participants {
            participant.refuse_own_code()?;
        }
        self.store
            .storage
            .check_process()
            .map_err(std::io::Error::from)?;
        Ok(())
    }

    /// Of each command, which participant decides it, and its name.
    fn calls(&self) -> Vec<(usize, &'static str)> {
        let mut calls = vec![(0, ""); self.commands];
        for (i, participant) in self.participants.iter().enumerate() {
            for (place, name) in participant.names() {
                if let Some(call) = calls.get_mut(place) {
                    *call = (i, name);
                }
            }
        }
        calls
    }
}

impl std::fmt::Debug for Together {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let streams = self.participants.iter().map(|p| p.stream());
        f.debug_struct("Together")
            .field("commands", &self.commands)
            .field("streams", &streams.collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

fn check_limit(unit: &'static str, count: usize, most: usize) -> Result<(), TogetherError> {
    if count > most {
        return Err(TogetherError::TooLarge { unit, count, most });
    }
    Ok(())
}

/// How the commands of a participant ended.
fn outcome(
    answer: &Result<CommittedTogether, TogetherError>,
    participant: usize,
) -> CallOutcome<'_> {
    match answer {
        Ok(done) => {
            let stream = done.streams.get(participant);
            CallOutcome::Succeeded {
                events: 0,
                version: stream.map_or_else(Version::default, |stream| stream.version),
                position: stream.map_or_else(Position::default, |stream| stream.position),
            }
        }
        Err(TogetherError::Domain { error, .. }) => CallOutcome::Refused(&**error),
        Err(TogetherError::Refused { error, .. }) => CallOutcome::Refused(&**error),
        Err(TogetherError::ExpectedVersion { .. } | TogetherError::Conflict) => {
            CallOutcome::Conflict
        }
        Err(error) => CallOutcome::Failed(error),
    }
}

/// Runs the group in a task of its own: its actors must go back even if the caller is not polled.
async fn run(group: Group, store: &Hold) -> Result<CommittedTogether, TogetherError> {
    let call = InProgress::new(store.aggregates.clone());
    if store.is_closed() {
        return Err(TogetherError::Closed);
    }
    let (done, answer) = oneshot::channel();
    let task = async move {
        let answer = group.decide().await;
        drop(call);
        drop(done.send(answer));
    };
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => drop(runtime.spawn(task)),
        Err(_) => drop(background::runtime()?.spawn(task)),
    }
    match answer.await {
        Ok(answer) => answer,
        Err(_) => match store.storage.check_failed() {
            Ok(()) => Err(TogetherError::ActorGone),
            Err(error) => Err(TogetherError::OutcomeUnknown(error.to_io())),
        },
    }
}

/// Commands on their way to one commit.
struct Group {
    store: Arc<Hold>,
    /// In the order of their streams' names.
    participants: Vec<Box<dyn Participant>>,
    /// Of each command, which participant decides it.
    order: Vec<usize>,
    /// Of each command, its context.
    contexts: Vec<CommandContext>,
    key: Option<String>,
    span: Span,
}

impl Group {
    /// Decides until nobody else comes first.
    async fn decide(mut self) -> Result<CommittedTogether, TogetherError> {
        let now = self.store.storage.clock().now_ms();
        for attempt in 1.. {
            match self.attempt(now).await {
                Err(TogetherError::Conflict) if attempt < MOST_ATTEMPTS => {
                    self.give_back();
                    let mut participants = self.participants.iter_mut();
                    if !participants.all(|participant| participant.restore()) {
                        break;
                    }
                }
                answer => return answer,
            }
        }
        Err(TogetherError::Conflict)
    }

    async fn attempt(&mut self, now: u64) -> Result<CommittedTogether, TogetherError> {
        let loads = self.participants.iter().filter_map(|p| p.load());
        all(loads.collect()).await;
        // In the order of their names, so that no two groups wait for each other.
        for participant in &mut self.participants {
            participant.lend().await?;
        }
        let fingerprint = self.fingerprint()?;
        if let Some(key) = self.key.clone()
            && let Some(answer) = self.repeat(&key, fingerprint).await
        {
            return answer;
        }
        for i in 0..self.participants.len() {
            if let Err(error) = self.participants[i].check_expected() {
                return Err(self.refuse(i, error).await);
            }
        }
        let size = match self.propose(fingerprint, now) {
            Ok(size) => size,
            Err((refusing, error)) => return Err(self.refuse(refusing, error).await),
        };
        if size == 0 {
            return self.answer_nothing().await;
        }
        let answer = self.hand_over(fingerprint).await;
        self.give_back();
        let Some(answer) = answer else {
            return Err(TogetherError::ActorGone);
        };
        let positions = match answer.await {
            Ok(positions) => positions?,
            Err(_) => self.store.storage.check_failed().map_or_else(
                |error| Err(CommitError::to_io(&error)),
                |()| Err(CommitError::Closed.to_io()),
            )?,
        };
        let last = positions.last().copied().unwrap_or_default();
        let answered = self.participants.iter_mut().zip(positions);
        let answered = answered.map(|(participant, position)| participant.answered(position));
        Ok(committed(answered.collect(), last, false))
    }

    fn give_back(&mut self) {
        for participant in &mut self.participants {
            participant.give_back();
        }
    }

    /// The fingerprint of all commands. `None` without a key, or if one command has none.
    fn fingerprint(&self) -> Result<Option<Fingerprint>, TogetherError> {
        if self.key.is_none() {
            return Ok(None);
        }
        let mut of_all = vec![None; self.order.len()];
        for participant in &self.participants {
            let of_one = participant.fingerprints();
            for (place, fingerprint) in of_one.map_err(TogetherError::Panicked)? {
                let Some(fingerprint) = fingerprint else {
                    return Ok(None);
                };
                of_all[place] = Some((participant.stream(), fingerprint));
            }
        }
        let mut hash = Xxh3::new();
        for (stream, fingerprint) in of_all.into_iter().flatten() {
            for part in [stream.aggregate_type(), stream.id()] {
                hash.update(part.as_bytes());
                hash.update(b"\0");
            }
            hash.update(&fingerprint.to_le_bytes());
        }
        Ok(Some(Fingerprint::new(hash.digest())))
    }

    /// The answer of earlier commands with this key, `None` if there are none.
    async fn repeat(
        &mut self,
        key: &str,
        fingerprint: Option<Fingerprint>,
    ) -> Option<Result<CommittedTogether, TogetherError>> {
        let mut known = self.participants.iter_mut();
        let (stream, known) = known.find_map(|participant| {
            let known = participant.known(key)?;
            Some((participant.stream().clone(), known))
        })?;
        if matches!((known.command, fingerprint), (Some(a), Some(b)) if a != b) {
            let key = key.to_owned();
            return Some(Err(TogetherError::KeyReused { key, stream }));
        }
        let mut answered = Vec::new();
        for participant in &mut self.participants {
            match participant.repeat(key.to_owned()).await {
                Ok(one) => answered.push(one),
                Err(error) => return Some(Err(error)),
            }
        }
        let positions = answered.iter().map(|one| one.stream.position.get());
        let last = positions.max().unwrap_or_default();
        Some(Ok(committed(answered, last, true)))
    }

    /// Decides all commands, and folds their events once all are decided. Returns how many events they
    /// lead to. If one fails, all heads that have left their durable state return to it.
    fn propose(
        &mut self,
        fingerprint: Option<Fingerprint>,
        now: u64,
    ) -> Result<usize, (usize, TogetherError)> {
        let _span = self.span.enter();
        let (mut events, mut bytes) = (0, 0);
        let mut decide = || {
            for (participant, context) in self.order.iter().zip(&self.contexts) {
                let context = CommandContext {
                    idempotency_key: self.key.clone(),
                    ..context.clone()
                };
                let decided = self.participants[*participant].decide(&context, fingerprint, now);
                let (count, size) = decided.map_err(|error| (*participant, error))?;
                events += count;
                bytes += size;
                check_limit("events", events, Together::MOST_EVENTS)
                    .and_then(|()| check_limit("bytes of events", bytes, Together::MOST_BYTES))
                    .map_err(|error| (*participant, error))?;
            }
            for (i, participant) in self.participants.iter_mut().enumerate() {
                participant.finish().map_err(|error| (i, error))?;
            }
            Ok(())
        };
        let decided = decide();
        if decided.is_err() {
            for participant in &mut self.participants {
                participant.undo();
            }
        } else {
            tracing::info!(count = events, "events decided");
        }
        decided.map(|()| events)
    }

    /// The answer to commands of which one was refused, once the state that refused it is durable.
    async fn refuse(&mut self, refusing: usize, error: TogetherError) -> TogetherError {
        for (i, participant) in self.participants.iter_mut().enumerate() {
            if i != refusing {
                participant.give_back();
            }
        }
        match self.participants[refusing].durable().await {
            Ok(_) => error,
            Err(failed) => failed.into(),
        }
    }

    /// The answer to commands that lead to no events, once their states are durable.
    async fn answer_nothing(&mut self) -> Result<CommittedTogether, TogetherError> {
        let mut answered = Vec::new();
        for participant in &mut self.participants {
            let position = participant.durable().await?;
            answered.push(participant.answered(position));
        }
        let positions = answered.iter().map(|one| one.stream.position.get());
        let last = positions.max().unwrap_or_default();
        Ok(committed(answered, last, false))
    }

    /// Hands the events over as one commit.
    async fn hand_over(
        &mut self,
        fingerprint: Option<Fingerprint>,
    ) -> Option<oneshot::Receiver<Result<Vec<u64>, CommitError>>> {
        let key = self.key.as_deref().map(|key| (key, fingerprint));
        let parts = self.participants.iter_mut().map(|p| p.part(key));
        let streams = parts.collect::<Option<Vec<_>>>()?;
        let (done, answer) = oneshot::channel();
        let group = GroupCommit {
            streams,
            of_none: None,
            condition: Vec::new(),
            handed_over: None,
            done: Box::new(move |result| drop(done.send(result))),
        };
        self.store.storage.commit_group(group).await;
        for participant in &mut self.participants {
            participant.handed_over();
        }
        Some(answer)
    }
}

/// The answer to a group.
fn committed(answered: Vec<Answered>, position: u64, repeated: bool) -> CommittedTogether {
    let mut streams = Vec::with_capacity(answered.len());
    let mut events: Vec<(usize, AnyEvents)> = Vec::new();
    for one in answered {
        streams.push(one.stream);
        events.extend(one.events);
    }
    events.sort_by_key(|(place, _)| *place);
    CommittedTogether {
        position: Position::new(position),
        repeated,
        events: events.into_iter().map(|(_, events)| events).collect(),
        streams,
    }
}

/// Runs all futures at the same time.
async fn all(mut futures: Vec<Boxed<'static, ()>>) {
    poll_fn(|context| {
        futures.retain_mut(|future| future.as_mut().poll(context).is_pending());
        if futures.is_empty() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
}
