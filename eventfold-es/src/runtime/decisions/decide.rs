//! One decision: lock, read, decide, hand over.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::sync::Arc;

use serde::ser::Error as _;
use tokio::sync::oneshot;
use tracing::Span;
use uuid::Uuid;

use crate::domain::command::{CommandContext, Fingerprint};
use crate::domain::decider::{Decider, decide_on};
use crate::domain::decision_model::ModelState;
use crate::domain::layer::{Call, CallOutcome};
use crate::error::{ExecuteError, Panic, guarded};
use crate::event::{
    DomainEvent, EncodeError, Meta, Recorded, StoredEvent, Tag, Tags, read_back, seal,
};
use crate::ids::{Position, StreamId, Version};
use crate::personal::Keys;
use crate::runtime::aggregates::Aggregates;
use crate::runtime::decisions::boundary::{Boundary, EVERYTHING, StateKey};
use crate::runtime::decisions::flight::{Flight, Landing};
use crate::runtime::decisions::folded::{FoldError, Folded};
use crate::runtime::decisions::keys;
use crate::runtime::sender::Sender;
use crate::runtime::{inside, layers, spans};
use crate::storage::commit::{CommitError, GroupCommit};
use crate::storage::condition::Clause;
use crate::storage::encoding::event_line::{Common, EncodedEvents, seed_of_none};
use crate::storage::error::StorageError;
use crate::storage::term::Term;

/// The result of a command that a [decision](Decider) decided. It is durable.
///
/// ```
/// # eventfold_es::__courses!();
/// # use eventfold_es::AggregateStore;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let store = AggregateStore::in_memory().open().await?;
/// # let defined = CourseDefined { course: "c-1".into(), capacity: 2 };
/// # store.append([eventfold_es::NewEvent::of(&defined)?], None).await?;
/// let subscribe = Subscribe { course: "c-1".into(), student: "s-7".into() };
/// let done = store.decide::<Subscribing>(subscribe).await?;
/// assert_eq!(done.events.len(), 1);
/// assert_eq!(done.position, store.head());
/// # Ok(())
/// # }
/// ```
pub struct Decided<D: Decider> {
    /// The events that the command stored; none if it changed nothing. If the command repeats an
    /// idempotency key, the events of the first command with that key.
    pub events: Vec<D::DomainEvent>,
    /// The position of the last of these events. If there are none, that of the newest event that the
    /// decision may depend on.
    pub position: Position,
    /// Whether this answer repeats that of an earlier command with the same idempotency key. Then
    /// this command stored nothing.
    pub repeated: bool,
}

impl<D: Decider> std::fmt::Debug for Decided<D>
where
    D::DomainEvent: std::fmt::Debug,
{
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decided")
            .field("events", &self.events)
            .field("position", &self.position)
            .field("repeated", &self.repeated)
            .finish()
    }
}

type Outcome<D> = Result<Decided<D>, ExecuteError<<D as crate::DecisionTypes>::Error>>;

/// Why an attempt at a decision has no answer.
enum Failed<E: std::error::Error + Send + Sync + 'static> {
    /// Other events came between what was read and what was to be stored.
    Overtaken,
    Answer(ExecuteError<E>),
}

impl<E: std::error::Error + Send + Sync + 'static> Failed<E> {
    fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        let error = io::Error::new(io::ErrorKind::InvalidInput, error);
        Self::Answer(ExecuteError::Io(error))
    }
}

impl<E: std::error::Error + Send + Sync + 'static> From<StorageError> for Failed<E> {
    fn from(error: StorageError) -> Self {
        Self::Answer(ExecuteError::Io(error.into()))
    }
}

/// A model of a decision, and the place of its state.
struct Model {
    /// The tag with which the state is kept.
    tag: String,
    key: StateKey,
    query: crate::domain::query::Query,
}

/// An event that was decided, in its stored form.
struct Encoded {
    name: String,
    /// The event's own id.
    id: String,
    data: String,
    tags: Tags,
}

impl Aggregates {
    /// Decides a command, and stores its events.
    pub(crate) async fn decide<D: Decider>(
        &self,
        command: D::Command,
        mut context: CommandContext,
        sender: Option<&Sender>,
    ) -> Outcome<D> {
        let meters = self.storage.meters();
        let meter = meters.of_decision(D::NAME);
        let timing = meters.time(&meter);
        let span = spans::decide(D::NAME, D::COMMAND_NAME);
        spans::trace(&span, &mut context);
        let answer = if self.layers.is_empty() {
            self.decide_within::<D>(command, context, sender, &span)
                .await
        } else {
            let stream = StreamId::none();
            let process_manager = sender.map(|sender| sender.name);
            let call = Call::new(&stream, D::COMMAND_NAME, process_manager, context);
            let decide = |context| self.decide_within::<D>(command, context, sender, &span);
            Box::pin(self.layers.around(call, &span, decide, outcome::<D>)).await
        };
        let is_stored = matches!(&answer, Ok(done) if !done.repeated && !done.events.is_empty());
        timing.end(layers::metered(outcome::<D>(&answer)), is_stored);
        if !span.is_disabled() {
            span.record("outcome", outcome::<D>(&answer).name());
        }
        answer
    }

    async fn decide_within<D: Decider>(
        &self,
        command: D::Command,
        context: CommandContext,
        sender: Option<&Sender>,
        span: &Span,
    ) -> Outcome<D> {
        context.check()?;
        if context.expected_version.is_some() {
            let text = "a decision has no stream, so its command cannot expect a version";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text).into());
        }
        if inside::Aggregate::of(&self.decisions).is_running() {
            let text = format!(
                "the decision {} is called by the code of a decision, and may wait for it",
                D::NAME
            );
            return Err(inside::deadlock(&text).into());
        }
        self.storage.check_process().map_err(io::Error::from)?;
        spans::note_context(span, &context);
        let ms = self.storage.clock().now_ms();
        let mut command = command;
        let rounds = self.storage.conflict_rounds();
        for attempt in 1.. {
            if self.is_closed() {
                return Err(ExecuteError::Closed);
            }
            if sender.is_some_and(Sender::is_replaced) {
                break;
            }
            let again = D::repeat(&command).filter(|_| attempt < rounds);
            let tried = self.attempt::<D>(command, (&context, ms), sender, span);
            match (tried.await, again) {
                (Ok(decided), _) => return Ok(decided),
                (Err(Failed::Answer(error)), _) => return Err(error),
                (Err(Failed::Overtaken), Some(again)) => {
                    self.storage.meters().live.decided_again.add(1);
                    command = again;
                }
                (Err(Failed::Overtaken), None) => break,
            }
        }
        Err(ExecuteError::Conflict)
    }

    /// Decides once.
    async fn attempt<D: Decider>(
        &self,
        command: D::Command,
        (context, ms): (&CommandContext, u64),
        sender: Option<&Sender>,
        span: &Span,
    ) -> Result<Decided<D>, Failed<D::Error>> {
        let models = models_of::<D>(&command)?;
        let key = context.idempotency_key.as_deref();
        let boundary = self.decisions.lock(names(&models, key));
        let mut boundary = boundary.await;
        let fingerprint = match guarded(|| keys::fingerprint::<D>(&command)) {
            Ok(fingerprint) => fingerprint.filter(|_| key.is_some()),
            Err(panic) => return Err(panicked::<D>("serialize", &*panic)),
        };
        if let Some(key) = key {
            let first = boundary.newest(&keys::lock_name(key));
            if let Some(known) = self.known::<D>(first, key, fingerprint).await? {
                return Ok(known);
            }
        }
        let mut folded = self.states::<D>(&models, &mut boundary).await?;
        let states = folded.iter_mut();
        let mut states: Vec<ModelState> = states
            .map(|folded| std::mem::replace(&mut folded.state, Box::new(())))
            .collect();
        let deciding = context.decision(ms);
        let decided = {
            let _span = spans::deciding(span).entered();
            let decide = || decide_on::<D>(&mut states, command, &deciding);
            inside::Aggregate::of(&self.decisions).run(|| guarded(decide))
        };
        let condition: Vec<_> = folded
            .iter()
            .map(|folded| Clause {
                query: folded.query.clone(),
                after: folded.after.clone(),
            })
            .collect();
        // After a panic they are as before.
        for ((mut folded, state), model) in folded.into_iter().zip(states).zip(models) {
            folded.state = state;
            boundary.put(&model.tag, model.key, folded);
        }
        let mut events = match decided {
            Ok(Ok(events)) if !events.is_empty() => events,
            Ok(refused) => {
                let refused = refused.map(drop).map_err(ExecuteError::Domain);
                return self.answer_nothing::<D>(refused, boundary, condition).await;
            }
            Err(panic) => return Err(panicked::<D>("decide", &*panic)),
        };
        let encode = || {
            encode::<D>(
                &mut events,
                (context, fingerprint),
                (ms, &self.registry.keys),
            )
        };
        let (encoded, stored) = match guarded(encode) {
            Ok(Ok(encoded)) => encoded,
            Ok(Err(error)) => {
                let error = io::Error::new(io::ErrorKind::InvalidData, error);
                return Err(Failed::Answer(ExecuteError::Io(error)));
            }
            Err(panic) => return Err(panicked::<D>("serialize", &*panic)),
        };
        tracing::info!(parent: span, count = events.len(), "events decided");
        let (flight, landing) = Flight::new();
        let term = sender.and_then(|sender| sender.term.clone());
        let handing = self.hand_over((encoded, term), condition, &flight, landing);
        let answer = handing.await;
        // From here to the release of the locks there is no wait.
        take_commit(&stored, (context, ms), &flight, &mut boundary, self);
        drop(boundary);
        let positions = match answer.await {
            Ok(positions) => positions,
            Err(_) => match self.storage.check_failed() {
                Ok(()) => Err(CommitError::Closed),
                Err(error) => Err(error),
            },
        };
        match positions {
            Ok(positions) => Ok(Decided {
                events,
                position: Position::new(positions.last().copied().unwrap_or_default()),
                repeated: false,
            }),
            Err(CommitError::ConditionFailed) => Err(Failed::Overtaken),
            Err(error) => Err(Failed::Answer(error.into())),
        }
    }

    /// The answer of an earlier command with this key. The `first` one may still be under way.
    async fn known<D: Decider>(
        &self,
        first: Option<Flight>,
        key: &str,
        fingerprint: Option<Fingerprint>,
    ) -> Result<Option<Decided<D>>, Failed<D::Error>> {
        if let Some(first) = first {
            first.landed().await;
        }
        let Some(known) = keys::find::<D>(&self.storage, key).await? else {
            return Ok(None);
        };
        let is_other = matches!((known.command, fingerprint), (Some(a), Some(b)) if a != b);
        if is_other {
            let key = key.to_owned();
            return Err(Failed::Answer(ExecuteError::KeyReused { key }));
        }
        Ok(Some(Decided {
            events: known.events?,
            position: Position::new(known.position),
            repeated: true,
        }))
    }

    /// The states of the models, up to date.
    async fn states<D: Decider>(
        &self,
        models: &[Model],
        boundary: &mut Boundary,
    ) -> Result<Vec<Folded>, Failed<D::Error>> {
        let mut all = Vec::with_capacity(models.len());
        for (model, of) in models.iter().zip(D::__MODELS) {
            let folded = if let Some(folded) = boundary.take(&model.tag, &model.key) {
                self.storage.meters().decisions.kept.add(1);
                folded
            } else {
                self.storage.meters().decisions.read.add(1);
                if let Some(flight) = boundary.newest(&model.tag) {
                    flight.landed().await;
                }
                Folded::fresh(of, model.query.clone())
            };
            let folded = match folded.catch_up(&self.storage).await {
                Ok(folded) => folded,
                Err(FoldError::Storage(error)) => return Err(error.into()),
                Err(FoldError::Panicked(panic)) => return Err(panicked::<D>("evolve", &*panic)),
            };
            all.push(folded);
        }
        Ok(all)
    }

    /// Answers a command that stores nothing, once what it was decided on is durable.
    async fn answer_nothing<D: Decider>(
        &self,
        result: Result<(), ExecuteError<D::Error>>,
        boundary: Boundary,
        condition: Vec<Clause>,
    ) -> Result<Decided<D>, Failed<D::Error>> {
        let basis = boundary.basis();
        drop(boundary);
        for flight in basis {
            flight.landed().await;
            if flight.commit.has_failed() {
                return Err(Failed::Overtaken);
            }
        }
        if self.storage.is_shared() {
            // Other stores may have stored events that it lacks.
            let (done, answer) = oneshot::channel();
            let group = GroupCommit {
                streams: Vec::new(),
                of_none: None,
                condition,
                handed_over: None,
                term: None,
                is_imported: false,
                done: Box::new(move |result| drop(done.send(result))),
            };
            self.storage.commit_group(group).await;
            match answer.await.unwrap_or(Err(CommitError::Closed)) {
                Ok(_) => {}
                Err(CommitError::ConditionFailed) => return Err(Failed::Overtaken),
                Err(error) => return Err(Failed::Answer(error.into())),
            }
        }
        result.map_err(Failed::Answer)?;
        Ok(Decided {
            events: Vec::new(),
            position: Position::new(self.storage.head()),
            repeated: false,
        })
    }

    /// Hands the events over to the storage.
    async fn hand_over(
        &self,
        (events, term): (EncodedEvents, Option<Arc<Term>>),
        condition: Vec<Clause>,
        flight: &Flight,
        landing: Landing,
    ) -> oneshot::Receiver<Result<Vec<u64>, CommitError>> {
        let (done, answer) = oneshot::channel();
        let group = GroupCommit {
            streams: Vec::new(),
            of_none: Some(events),
            condition,
            handed_over: Some(flight.commit.clone()),
            term,
            is_imported: false,
            done: Box::new(move |result| {
                drop(done.send(result));
                drop(landing);
            }),
        };
        self.storage.commit_group(group).await;
        answer
    }
}

/// How a decision ended, for layers and spans.
fn outcome<D: Decider>(answer: &Outcome<D>) -> CallOutcome<'_> {
    match answer {
        Ok(done) => CallOutcome::Succeeded {
            events: done.events.len(),
            version: Version::default(),
            position: done.position,
        },
        Err(error) => layers::failure(error),
    }
}

fn panicked<D: Decider>(
    function: &'static str,
    payload: &(dyn std::any::Any + Send),
) -> Failed<D::Error> {
    let panic = Panic::new(function, &D::NAME, payload);
    tracing::error!(%panic, "nothing of the command is stored");
    Failed::Answer(ExecuteError::Panicked(panic))
}

/// The models of the decision on `command`.
fn models_of<D: Decider>(command: &D::Command) -> Result<Vec<Model>, Failed<D::Error>> {
    let mut equal = HashMap::new();
    let mut models = Vec::with_capacity(D::__MODELS.len());
    for model in D::__MODELS {
        let tags = match guarded(|| model.tags(command)) {
            Ok(Ok(tags)) => tags,
            Ok(Err(error)) => return Err(Failed::invalid(error)),
            Err(panic) => return Err(panicked::<D>("to_string", &*panic)),
        };
        let first = tags.iter().next();
        let tag = first.map_or(EVERYTHING, Tag::as_str).to_owned();
        // Two models of a decision may be equal. Each has a state of its own.
        let number = equal.entry((model.type_id(), tags.clone())).or_insert(0);
        models.push(Model {
            tag,
            key: (model.type_id(), tags.clone(), *number),
            query: model.query_of(tags),
        });
        *number += 1;
    }
    Ok(models)
}

/// What a decision locks.
fn names(models: &[Model], key: Option<&str>) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for model in models {
        names.insert(model.tag.clone());
        names.extend(model.key.1.iter().map(|tag| tag.as_str().to_owned()));
    }
    names.extend(key.map(keys::lock_name));
    names
}

/// Encodes the events of a decision. Replaces each event by the one that a reader will read.
/// Invariant C9.
fn encode<D: Decider>(
    events: &mut [D::DomainEvent],
    (context, fingerprint): (&CommandContext, Option<Fingerprint>),
    (ms, keys): (u64, &Keys),
) -> Result<(EncodedEvents, Vec<Encoded>), EncodeError> {
    let mut encoded = EncodedEvents::new(seed_of_none());
    let mut all = Vec::with_capacity(events.len());
    for event in events {
        let name = event.name().to_owned();
        let refused = |error| EncodeError::new(&*name, error);
        let mut data = Vec::new();
        let id = Uuid::new_v4().to_string();
        seal(keys, &id, &mut data, |data| {
            event.encode(data).map(|()| &*name)
        })?;
        let mut tags = Tags::new();
        event
            .append_tags(&mut tags)
            .map_err(|error| refused(serde_json::Error::custom(error)))?;
        let version = Some(event.schema_version()).filter(|version| *version > 1);
        let common = Common::of((context, fingerprint), ms, version);
        let texts = tags.iter().map(Tag::as_str);
        encoded.push_tagged(&name, &data, Some(&id), 0, &common, texts);
        if encoded.is_too_deep() {
            return Err(refused(serde_json::Error::custom("nested too deeply")));
        }
        let recorded_tags = tags.recorded();
        let record = Recorded {
            event_id: Some(&id),
            actor: context.actor.as_deref(),
            key: context.idempotency_key.as_deref(),
            meta: common.meta().map_or(Meta::None, Meta::Json),
            tags: &recorded_tags,
            ..Recorded::at(ms)
        };
        *event = read_back(&name, &data, &record, D::DomainEvent::decode)?;
        let data =
            String::from_utf8(data).map_err(|error| refused(serde_json::Error::custom(error)))?;
        all.push(Encoded {
            name,
            id,
            data,
            tags,
        });
    }
    Ok((encoded, all))
}

/// Lets the states that are kept take the events of a commit that was handed over.
fn take_commit(
    events: &[Encoded],
    (context, ms): (&CommandContext, u64),
    flight: &Flight,
    boundary: &mut Boundary,
    aggregates: &Aggregates,
) {
    let tags: Vec<_> = events.iter().map(|event| event.tags.recorded()).collect();
    let records: Vec<_> = tags
        .iter()
        .zip(events)
        .map(|(tags, event)| Recorded {
            event_id: Some(&event.id),
            actor: context.actor.as_deref(),
            tags,
            ..Recorded::at(ms)
        })
        .collect();
    let stored: Vec<_> = events
        .iter()
        .zip(&records)
        .map(|(event, record)| StoredEvent::new(&event.name, &event.data).with_record(record))
        .collect();
    boundary.take_commit(&stored, flight, &aggregates.decisions);
}
