//! One attempt at a group: borrow all actors, decide, hand over, give back. Invariant C14.

use std::fmt::Write as _;
use std::sync::Arc;

use tracing::Span;
use xxhash_rust::xxh3::xxh3_64;

use crate::domain::command::{CommandContext, Fingerprint};
use crate::error::{StateError, TogetherError};
use crate::runtime::actor::Reply;
use crate::runtime::aggregates::Aggregates;
use crate::runtime::inside;
use crate::runtime::together::answer::CommittedTogether;
use crate::runtime::together::participant::Participant;
use crate::storage::commit::{CommitError, GroupCommit, GroupDone, StreamPart};
use crate::storage::snapshot::KnownKey;
use crate::storage::stream::Stream;
use crate::storage::term::Term;

/// The most aggregates, events, and bytes of events of a group.
pub(crate) const MOST_AGGREGATES: u64 = 100;
pub(crate) const MOST_EVENTS: u64 = 10_000;
pub(crate) const MOST_BYTES: u64 = 16 * 1024 * 1024;

/// Commands to be decided together.
pub(crate) struct Group {
    /// By their first commands.
    pub(crate) participants: Vec<Box<dyn Participant>>,
    pub(crate) commands: Vec<Command>,
    pub(crate) key: Option<String>,
    /// The time of the commands in milliseconds since 1970, `None` before the first attempt.
    pub(crate) ms: Option<u64>,
    /// How many attempts have conflicted.
    pub(crate) conflicts: u32,
    /// Nothing is stored once this has ended.
    pub(crate) term: Option<Arc<Term>>,
}

/// A command of a group, apart from its content, which its participant has.
#[derive(Clone)]
pub(crate) struct Command {
    /// Whose command it is.
    pub(crate) participant: usize,
    /// Its index among the participant's commands.
    pub(crate) own: usize,
    pub(crate) context: CommandContext,
    /// The span in which it is decided.
    pub(crate) span: Span,
}

/// What follows an attempt that did not fail.
pub(crate) enum Next {
    Answer(CommittedTogether),
    /// Others were first: a copy of the group, to be decided again.
    Again(Box<Group>),
    /// The key is known: to this participant, for these events.
    Repeat(Box<Group>, usize, KnownKey),
}

/// What a group was decided to be.
enum Decided {
    Store(Option<Fingerprint>),
    Repeat(usize, KnownKey),
}

/// Decides the group, and lets the storage answer it.
pub(crate) async fn attempt(
    mut group: Box<Group>,
    store: Arc<Aggregates>,
    reply: Reply<Next, TogetherError>,
) {
    if let Err(error) = group.borrow(&store).await {
        drop(group);
        return reply.send(Err(error.into()));
    }
    let now = *group
        .ms
        .get_or_insert_with(|| store.storage.clock().now_ms());
    let again = group.copy();
    let participants = group.participants.iter();
    let streams = participants.map(|participant| participant.stream().id());
    let aggregates: Vec<_> = streams.map(inside::Aggregate::of).collect();
    let decided = inside::group(aggregates.into_iter(), || group.decide(now));
    let streams = group.parts(&decided);
    // Held until the storage has the group, so that later commands come after it.
    let mut actors: Vec<_> = (group.participants.iter_mut())
        .map(|participant| participant.give_back())
        .collect();
    let term = group.term.clone();
    let done = done(group, decided, again, reply);
    let commit = GroupCommit {
        streams,
        of_none: None,
        condition: Vec::new(),
        handed_over: None,
        term,
        is_imported: false,
        done,
    };
    store.storage.commit_group(commit).await;
    for actor in &mut actors {
        actor.handed_over();
    }
}

/// Answers a group once its streams are durable. If one conflicts, the group is decided `again`.
fn done(
    mut group: Box<Group>,
    decided: Result<Decided, TogetherError>,
    again: Option<Box<Group>>,
    reply: Reply<Next, TogetherError>,
) -> GroupDone {
    Box::new(move |durable| {
        let next = match (durable, decided) {
            (Err(CommitError::Conflict { .. }), _) if let Some(again) = again => {
                Ok(Next::Again(again))
            }
            (Err(error), _) => Err(error.into()),
            (Ok(_), Err(error)) => Err(error),
            (Ok(positions), Ok(Decided::Store(_))) => Ok(Next::Answer(group.answer(&positions))),
            (Ok(_), Ok(Decided::Repeat(participant, known))) => {
                Ok(Next::Repeat(group, participant, known))
            }
        };
        reply.send(next);
    })
}

impl Group {
    /// Borrows the actors of all participants.
    async fn borrow(&mut self, store: &Aggregates) -> Result<(), StateError> {
        // Nobody is held while others load.
        let mut loading = Vec::new();
        for participant in &mut self.participants {
            if !participant.is_loaded() {
                loading.push(participant.load(store).await?);
            }
        }
        for loaded in loading {
            // An actor that has ended is met again below.
            let _ = loaded.await;
        }
        // In the order of the streams: two groups never wait for each other.
        let mut order: Vec<_> = self.participants.iter_mut().collect();
        order.sort_unstable_by(|a, b| a.stream().id().cmp(b.stream().id()));
        for participant in order {
            participant.borrow(store).await?;
        }
        Ok(())
    }

    /// The same group for another attempt, if its commit can conflict and its commands can be
    /// repeated.
    fn copy(&self) -> Option<Box<Self>> {
        let stream = self.participants.first()?.stream();
        let conflicts = self.conflicts + 1;
        if conflicts >= stream.conflict_rounds() || !stream.is_shared() {
            return None;
        }
        let participants = self
            .participants
            .iter()
            .map(|participant| participant.copy());
        Some(Box::new(Self {
            participants: participants.collect::<Option<_>>()?,
            commands: self.commands.clone(),
            key: self.key.clone(),
            ms: self.ms,
            conflicts,
            term: self.term.clone(),
        }))
    }

    /// Decides all commands. Their events are in the heads only if all of them succeed.
    fn decide(&mut self, now: u64) -> Result<Decided, TogetherError> {
        let fingerprint = match &self.key {
            None => None,
            Some(key) => {
                let fingerprint = self.fingerprint()?;
                if let Some((participant, known)) = self.known(key, fingerprint)? {
                    return Ok(Decided::Repeat(participant, known));
                }
                fingerprint
            }
        };
        for participant in &self.participants {
            participant.check_version()?;
        }
        for (index, command) in self.commands.iter().enumerate() {
            let _span = command.span.enter();
            let participant = &mut self.participants[command.participant];
            let count = participant.decide(index, &command.context, fingerprint, now)?;
            if count > 0 {
                tracing::info!(count, "events decided");
            }
        }
        self.check_size()?;
        for participant in &mut self.participants {
            participant.evolve()?;
        }
        Ok(Decided::Store(fingerprint))
    }

    fn check_size(&self) -> Result<(), TogetherError> {
        let sizes = self
            .participants
            .iter()
            .map(|participant| participant.size());
        let (events, bytes) = sizes.fold((0, 0), |(events, bytes), (more_events, more_bytes)| {
            (events + more_events, bytes + more_bytes)
        });
        check_limit("events", events, MOST_EVENTS)?;
        check_limit("bytes of events", bytes, MOST_BYTES)
    }

    /// A fingerprint of all commands in their order, `None` if one has none.
    fn fingerprint(&self) -> Result<Option<Fingerprint>, TogetherError> {
        let mut text = "together".to_owned();
        for (index, command) in self.commands.iter().enumerate() {
            let participant = &self.participants[command.participant];
            let fingerprint = participant.fingerprint(command.own);
            let fingerprint =
                fingerprint.map_err(|panic| TogetherError::Panicked { index, panic })?;
            let Some(fingerprint) = fingerprint else {
                return Ok(None);
            };
            let stream = participant.stream().id();
            let (aggregate_type, id) = (stream.aggregate_type(), stream.id());
            // Writing to a string cannot fail.
            let _ = write!(text, " {aggregate_type:?}/{id:?} {fingerprint}");
        }
        Ok(Some(Fingerprint::new(xxh3_64(text.as_bytes()))))
    }

    /// The participant that knows the key, and what it knows. Fails if the key belongs to other
    /// commands.
    fn known(
        &self,
        key: &str,
        fingerprint: Option<Fingerprint>,
    ) -> Result<Option<(usize, KnownKey)>, TogetherError> {
        let mut same = None;
        for (i, participant) in self.participants.iter().enumerate() {
            let Some(known) = participant.known(key) else {
                continue;
            };
            if matches!((known.command, fingerprint), (Some(a), Some(b)) if a != b) {
                return Err(TogetherError::KeyReused {
                    key: key.to_owned(),
                    stream: participant.stream().id().clone(),
                });
            }
            same.get_or_insert((i, known));
        }
        Ok(same)
    }

    /// What the storage gets of each stream. Of a group that is not stored, only a check.
    fn parts(&mut self, decided: &Result<Decided, TogetherError>) -> Vec<StreamPart<Stream>> {
        let key = self.key.as_deref();
        let parts = self.participants.iter_mut().map(|participant| {
            if let Ok(Decided::Store(fingerprint)) = decided {
                return participant.part(key.map(|key| (key, *fingerprint)));
            }
            participant.undo();
            participant.check()
        });
        parts.collect()
    }

    /// The answer, from the positions of the streams' last events.
    fn answer(&mut self, positions: &[u64]) -> CommittedTogether {
        let answers = self.participants.iter_mut().zip(positions);
        let answers = answers.map(|(participant, position)| {
            let answer = participant.answer(*position);
            (participant.stream().id().clone(), answer)
        });
        CommittedTogether::new(answers.collect(), false)
    }
}

/// Fails if a group has more than it may have.
pub(crate) fn check_limit(what: &'static str, actual: u64, most: u64) -> Result<(), TogetherError> {
    if actual > most {
        return Err(TogetherError::TooLarge { what, actual, most });
    }
    Ok(())
}
