//! One command: decide, encode, evolve, pass the commit to the storage.

use std::cell::Cell;
use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use serde::ser::Error as _;
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_128;

use crate::clock::from_unix_millis;
use crate::domain::aggregate::{Aggregate, decode_unless_left_out};
use crate::domain::command::{CommandContext, Fingerprint};
use crate::domain::decision_context::DecisionContext;
use crate::error::{ExecuteError, Panic, guarded};
use crate::event::{EncodeError, Meta, RESERVED, Recorded, Standing, Tag, Tags, read_back, seal};
use crate::ids::{Position, Version};
use crate::personal::Keys;
use crate::runtime::actor::conflict::Again;
use crate::runtime::actor::mailbox::{Attempt, Reply};
use crate::runtime::actor::{Actor, Decision, answer};
use crate::runtime::committed::Committed;
use crate::runtime::inside;
use crate::runtime::sender::is_lost;
use crate::storage::commit::Commit;
use crate::storage::encoding::event_line::{Common, EncodedEvents, spare};
use crate::storage::loaded::Loaded;
use crate::storage::snapshot::KnownKey;
use crate::storage::stream::{Reading, Stream};
use crate::storage::term::Term;
use crate::text::Shown;

type Outcome<A> = Reply<Committed<A>, ExecuteError<<A as Aggregate>::Error>>;

/// The outcome of deciding a command.
pub(crate) enum Decided<A: Aggregate> {
    /// These events, to be stored.
    Store(Vec<A::DomainEvent>, EncodedEvents, Option<Fingerprint>),
    /// This answer, once the head is durable.
    Answer(Result<(), ExecuteError<A::Error>>),
    /// The answer of an earlier command with the same key.
    Repeat(KnownKey),
    /// This answer, once the head is durable. The head itself must be loaded again.
    Panicked(Panic),
}

impl<A: Aggregate> Actor<A> {
    pub(crate) async fn execute(&mut self, attempt: Box<Attempt<A>>) {
        if is_lost(attempt.term.as_ref()) {
            return attempt.reply.send(Err(ExecuteError::Conflict));
        }
        let now = attempt.ms.unwrap_or_else(|| self.clock.now_ms());
        let conflicts = self.conflicts.as_mut();
        let again = conflicts.and_then(|conflicts| conflicts.keep(&attempt, now));
        let Attempt {
            command,
            context,
            span,
            reply,
            term,
            ..
        } = *attempt;
        let decided = {
            let _span = span.enter();
            inside::Aggregate::of(self.stream.id()).run(|| self.decide(command, &context, now))
        };
        match decided {
            Decided::Store(events, encoded, command) => {
                let key = context.idempotency_key.map(|key| (key, command));
                self.store(events, (encoded, term), key, (reply, again))
                    .await;
            }
            Decided::Answer(result) => {
                let version = self.head.as_ref().map_or(0, |head| head.version);
                let result = result.map(|()| Decision {
                    events: Vec::new(),
                    version,
                });
                self.when_durable(answer(reply, result, again));
            }
            Decided::Repeat(known) => match (self.repeat(&known).await, again) {
                (Err(ExecuteError::Conflict), Some(again)) => again.send(reply),
                (result, _) => reply.send(result),
            },
            Decided::Panicked(panic) => {
                self.when_durable(answer(reply, Err(ExecuteError::Panicked(panic)), again));
                self.head = None;
            }
        }
    }

    /// Decides on the head. `now` is the command's time.
    pub(crate) fn decide(
        &mut self,
        command: A::Command,
        context: &CommandContext,
        now: u64,
    ) -> Decided<A> {
        let Some(head) = &mut self.head else {
            return Decided::Answer(Err(ExecuteError::ActorGone));
        };
        let mut fingerprint = None;
        if let Some(key) = &context.idempotency_key {
            fingerprint = match guarded(|| A::fingerprint(&command)) {
                Ok(fingerprint) => fingerprint.map(Fingerprint::new),
                Err(panic) => return self.panicked("serialize", &*panic),
            };
            if let Some(known) = head.keys.get(key) {
                let is_other = matches!((known.command, fingerprint), (Some(a), Some(b)) if a != b);
                return if is_other {
                    Decided::Answer(Err(ExecuteError::KeyReused { key: key.clone() }))
                } else {
                    Decided::Repeat(known.clone())
                };
            }
        }
        if !head.standing.is_usual() {
            return Decided::Answer(Err(over(&head.standing)));
        }
        if let Some(expected) = context.expected_version
            && expected != head.version
        {
            let actual = Version::new(head.version);
            return Decided::Answer(Err(ExecuteError::ExpectedVersion { expected, actual }));
        }
        let (events, encoded) = match self.propose(command, context, fingerprint, now) {
            ControlFlow::Continue(proposed) => proposed,
            ControlFlow::Break(decided) => return decided,
        };
        if let Err(panicked) = self.evolve(&events, encoded.count()) {
            return panicked;
        }
        tracing::info!(count = events.len(), "events decided");
        Decided::Store(events, encoded, fingerprint)
    }

    /// Decides on the head, and leaves the head as it is. Returns the events, at least one. The
    /// context's key and expected version are the caller's matter.
    #[inline]
    pub(crate) fn propose(
        &mut self,
        command: A::Command,
        context: &CommandContext,
        fingerprint: Option<Fingerprint>,
        now: u64,
    ) -> ControlFlow<Decided<A>, (Vec<A::DomainEvent>, EncodedEvents)> {
        use ControlFlow::{Break, Continue};
        let Some(head) = &mut self.head else {
            return Break(Decided::Answer(Err(ExecuteError::ActorGone)));
        };
        if !head.standing.is_usual() {
            return Break(Decided::Answer(Err(over(&head.standing))));
        }
        let deciding = DecisionContext {
            aggregate_type: self.stream.id().aggregate_type(),
            id: self.stream.id().id(),
            version: head.version,
            ..context.decision(now)
        };
        let mut events = match guarded(|| head.state.handle_with(command, &deciding)) {
            Ok(Ok(events)) if events.is_empty() => return Break(Decided::Answer(Ok(()))),
            Ok(Ok(events)) => events,
            Ok(Err(error)) => return Break(Decided::Answer(Err(ExecuteError::Domain(error)))),
            Err(panic) => return Break(self.panicked("decide", &*panic)),
        };
        let (place, ids) = ((&self.stream, head.version), &mut head.event_ids);
        let doing = Doing::new("serialize");
        let keys = &self.keys;
        let encode = || {
            let by = (context, fingerprint);
            encode::<A>(&mut events, place, by, (now, keys), ids, &doing)
        };
        match guarded(encode) {
            Ok(Ok(encoded)) => Continue((events, encoded)),
            Ok(Err(error)) => {
                let error = std::io::Error::new(std::io::ErrorKind::InvalidData, error);
                Break(Decided::Answer(Err(ExecuteError::Io(error))))
            }
            Err(panic) => Break(self.panicked(doing.get(), &*panic)),
        }
    }

    /// Folds decided events into the head. They are stored as `stored` events.
    #[inline]
    pub(crate) fn evolve(
        &mut self,
        events: &[A::DomainEvent],
        stored: u64,
    ) -> Result<(), Decided<A>> {
        let Some(head) = &mut self.head else {
            return Err(Decided::Answer(Err(ExecuteError::ActorGone)));
        };
        let evolved = head.evolve(events, stored);
        evolved.map_err(|panic| self.panicked("evolve", &*panic))
    }

    fn panicked(&self, function: &'static str, payload: &(dyn std::any::Any + Send)) -> Decided<A> {
        let panic = Panic::new(function, self.stream.id(), payload);
        tracing::error!(%panic, "nothing of the command is stored");
        Decided::Panicked(panic)
    }

    /// Passes the commit to the storage. The committer answers the command.
    async fn store(
        &mut self,
        events: Vec<A::DomainEvent>,
        (encoded, term): (EncodedEvents, Option<Arc<Term>>),
        key: Option<(String, Option<Fingerprint>)>,
        (reply, again): (Outcome<A>, Option<Box<Again<A>>>),
    ) {
        let Some(head) = &mut self.head else { return };
        let version = head.version;
        if let Some((key, command)) = key {
            head.keys.add(KnownKey {
                key,
                version: version - encoded.count() + 1,
                count: encoded.count(),
                command,
            });
        }
        let snapshot = head.draft_if_due(self.snapshot_every, &self.stream);
        let done = answer(reply, Ok(Decision { events, version }), again);
        let commit = Commit {
            epoch: head.epoch,
            expected: version - encoded.count(),
            snapshot,
            term,
            done,
        };
        self.stream.commit(commit, encoded).await;
    }

    /// The answer to a command that was executed before with the same key.
    pub(crate) async fn repeat(
        &mut self,
        known: &KnownKey,
    ) -> Result<Committed<A>, ExecuteError<A::Error>> {
        // The first command may still be under way.
        self.wait_durable().await?;
        let known = known.clone();
        let read = move |reading: &Reading<'_>| {
            let last = known.version + known.count - 1;
            let mut events = Vec::new();
            let (mut count, mut position) = (0, 0);
            reading.events_from(known.version, |loaded: Loaded<'_>| -> std::io::Result<_> {
                let decoded = decode_unless_left_out::<A>(loaded.event)
                    .map_err(|error| loaded.event.failed(&error))?;
                events.extend(decoded.into_iter().flatten());
                count += 1;
                position = loaded.position.unwrap_or(position);
                Ok(if loaded.version < last {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                })
            })?;
            if count != known.count {
                let text = format!(
                    "the events that were stored under the idempotency key `{}` are missing",
                    Shown(&known.key)
                );
                return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, text));
            }
            Ok(Committed {
                events,
                version: Version::new(last),
                position: Position::new(position),
                repeated: true,
            })
        };
        let own = inside::Aggregate::of(self.stream.id());
        let read = move |reading: &Reading<'_>| own.run(|| read(reading));
        self.stream.load(read).await.map_err(ExecuteError::Io)
    }
}

/// Why an aggregate takes no commands. Invariant C17.
#[cold]
fn over<E: std::error::Error + Send + Sync>(standing: &Standing) -> ExecuteError<E> {
    match &standing.ended {
        Some(end) => ExecuteError::Ended {
            reason: end.reason.clone(),
            when: from_unix_millis(end.ms),
        },
        None => ExecuteError::Archived {
            when: from_unix_millis(standing.archived.unwrap_or_default()),
        },
    }
}

/// The current step in encoding a command's events, for the message of a panic.
type Doing = Cell<&'static str>;

/// Encodes the events of one command. The first event's version is the one after `version`. Adds
/// the hashes of their ids to `ids` if those are kept. Replaces each event by the one that a load
/// will read. Invariant C9.
fn encode<A: Aggregate>(
    events: &mut [A::DomainEvent],
    (stream, version): (&Stream, u64),
    (context, fingerprint): (&CommandContext, Option<Fingerprint>),
    (ms, keys): (u64, &Keys),
    ids: &mut Option<HashSet<u128>>,
    doing: &Doing,
) -> Result<EncodedEvents, EncodeError> {
    let mut common_to = None;
    let mut common = Common::default();
    let mut encoded = EncodedEvents::new(stream.seed());
    let mut data = spare::take();
    let mut id = Uuid::encode_buffer();
    let mut tags = Tags::new();
    for (event, version) in events.iter_mut().zip(version + 1..) {
        data.clear();
        let id = Uuid::new_v4().hyphenated().encode_lower(&mut id);
        let name = seal(keys, id, &mut data, |data| A::encode_event(event, data))?;
        if name.starts_with(RESERVED) {
            let cause = format!("names that begin with `{RESERVED}` are reserved for the store");
            return Err(EncodeError::new(name, serde_json::Error::custom(cause)));
        }
        let event_version = A::event_version(event);
        if common_to != Some(event_version) {
            common = Common::of((context, fingerprint), ms, event_version);
            common_to = Some(event_version);
        }
        if let Some(ids) = ids {
            ids.insert(xxh3_128(id.as_bytes()));
        }
        if A::HAS_TAGS {
            tags.clear();
            let added = A::event_tags(event, &mut tags);
            added.map_err(|error| EncodeError::new(&*name, serde_json::Error::custom(error)))?;
        }
        if !A::HAS_TAGS || tags.is_empty() {
            encoded.push(&name, &data, id, version, &common);
        } else {
            let tags = tags.iter().map(Tag::as_str);
            encoded.push_tagged(&name, &data, Some(id), version, &common, tags);
        }
        if encoded.is_too_deep() {
            let error = serde_json::Error::custom("nested too deeply");
            return Err(EncodeError::new(name, error));
        }
        let recorded_tags = if A::HAS_TAGS {
            tags.recorded()
        } else {
            Vec::new()
        };
        let record = Recorded {
            aggregate_type: stream.id().aggregate_type(),
            id: stream.id().id(),
            version,
            event_id: Some(id),
            actor: context.actor.as_deref(),
            key: context.idempotency_key.as_deref(),
            meta: common.meta().map_or(Meta::None, Meta::Json),
            tags: &recorded_tags,
            // The committer assigns the position.
            ..Recorded::at(ms)
        };
        doing.set("deserialize");
        *event = read_back(&name, &data, &record, A::decode_event)?;
        doing.set("serialize");
    }
    spare::give_back(data);
    Ok(encoded)
}
