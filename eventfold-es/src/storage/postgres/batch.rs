//! A batch of commits as the function `append` of the schema takes it: [`Batch`].

use std::collections::HashMap;
use std::sync::Arc;

use tokio_postgres::types::ToSql;

use crate::domain::query::Query;
use crate::event::Tag;
use crate::ids;
use crate::storage::commit::{CommitError, Done, GroupDone};
use crate::storage::condition::{After, Clause, HandedOver, aggregate_tag};
use crate::storage::encoding::event_line as line;
use crate::storage::encoding::event_line::EncodedEvents;
use crate::storage::error::{StorageError, StorageErrorKind, StorageResult};
use crate::storage::place::Place;
use crate::storage::postgres::in_use::StreamInUse;
use crate::storage::postgres::names::{array, escape};
use crate::storage::postgres::pauses::PATIENCE;
use crate::storage::postgres::requests::{Group, Request};
use crate::storage::postgres::rows::{signed, unsigned};
use crate::storage::snapshot::Draft;
use crate::storage::term::Term;

/// In place of an actual version: the term of the commit has ended.
const REPLACED: i64 = -2;
/// Appends a batch.
pub(super) const APPEND: &str = "\
    SELECT p_before, p_refused, p_actual, p_head, p_chain FROM append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, \
    $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32)";

/// The parameters of `append` after the number of the store, that of the batch, and the terms.
#[derive(Debug, Default)]
pub(super) struct Arrays {
    commit_parts: Vec<i32>,
    commit_events: Vec<i32>,
    commit_clauses: Vec<i32>,
    part_type: Vec<String>,
    part_id: Vec<String>,
    part_expected: Vec<i64>,
    /// The number of the commit before this one in the same stream, 0 for none in this batch.
    part_follows: Vec<i32>,
    stream_type: Vec<String>,
    stream_id: Vec<String>,
    /// The version before the first commit.
    stream_expected: Vec<i64>,
    /// The version after the newest commit.
    stream_version: Vec<i64>,
    /// The number of its newest event in this batch, from 1 on, 0 for none.
    stream_event: Vec<i32>,
    event_last: Vec<i32>,
    event_place: Vec<i32>,
    event_type: Vec<String>,
    event_id: Vec<String>,
    event_version: Vec<i64>,
    event_name: Vec<String>,
    event_key: Vec<Option<String>>,
    event_tags: Vec<Option<String>>,
    event_line: Vec<String>,
    event_sum: Vec<i64>,
    clause_query: Vec<Option<String>>,
    clause_after: Vec<Option<i64>>,
    clause_basis: Vec<i32>,
    /// The number of a commit that has a term.
    term_commit: Vec<i32>,
    term_follower: Vec<String>,
    term_number: Vec<i64>,
}

impl Arrays {
    /// The types and the ids of the streams that the commits expect at a version.
    pub(super) fn streams(&self) -> (&[String], &[String]) {
        (&self.part_type, &self.part_id)
    }

    /// The parameters of [`APPEND`]. `terms` are the number of the store, that of the batch,
    /// whether the server must sync it, and whether it is plain.
    pub(super) fn params<'a>(
        &'a self,
        (writer, batch, synced, is_plain): &'a (i64, i64, bool, bool),
    ) -> [&'a (dyn ToSql + Sync); 32] {
        [
            writer,
            batch,
            synced,
            is_plain,
            &self.commit_parts,
            &self.commit_events,
            &self.commit_clauses,
            &self.part_type,
            &self.part_id,
            &self.part_expected,
            &self.part_follows,
            &self.stream_type,
            &self.stream_id,
            &self.stream_expected,
            &self.stream_version,
            &self.stream_event,
            &self.event_last,
            &self.event_place,
            &self.event_type,
            &self.event_id,
            &self.event_version,
            &self.event_name,
            unless_null(&self.event_key),
            unless_null(&self.event_tags),
            &self.event_line,
            &self.event_sum,
            &self.clause_query,
            &self.clause_after,
            &self.clause_basis,
            &self.term_commit,
            &self.term_follower,
            &self.term_number,
        ]
    }
}

/// The texts, or null if all are null, which the server handles faster. Few events have a key or tags.
fn unless_null(texts: &Vec<Option<String>>) -> &(dyn ToSql + Sync) {
    if texts.iter().all(Option::is_none) {
        &None::<Vec<String>>
    } else {
        texts
    }
}

/// Commits that are stored together, and who waits for them.
#[derive(Default)]
pub(super) struct Batch {
    arrays: Arrays,
    /// Whether the commits can be stored without looking at each.
    pub(super) is_plain: bool,
    /// Whether it has an event or a condition.
    is_writing: bool,
    /// The streams of its commits, by their addresses, which the commits keep.
    ends: HashMap<usize, End>,
    commits: Vec<Pending>,
    pub(super) bytes: usize,
}

/// The end of a stream behind the commits of a batch.
#[derive(Debug, Clone, Copy)]
struct End {
    version: u64,
    /// The number of the newest commit, from 1 on.
    commit: i32,
    /// Which of the batch's streams it is.
    index: usize,
}

/// A request of a batch that waits for its answer.
struct Pending {
    parts: Vec<PendingPart>,
    /// How many events it has, also those that belong to no stream.
    events: u64,
    /// Whether the server has a say in it.
    is_sent: bool,
    handed_over: Option<Arc<HandedOver>>,
    /// The term that it carries.
    term: Option<Arc<Term>>,
    is_imported: bool,
    answer: Answer,
    kib: u32,
}

struct PendingPart {
    stream: Arc<StreamInUse>,
    epoch: u64,
    /// The version after its events.
    version: u64,
    events: u64,
    snapshot: Option<Box<Draft>>,
}

enum Answer {
    One(Done),
    Group(GroupDone),
    Fence(Arc<StreamInUse>, u64, Done),
}

/// What became of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Stored,
    /// A stream is at this version.
    Conflict(u64),
    ConditionFailed,
    /// Its term has ended, or the turn to import.
    Replaced,
}

/// The answer to a request, which runs code of others.
pub(super) type Respond = Box<dyn FnOnce() + Send>;

/// What remains to be done after a batch.
#[derive(Default)]
pub(super) struct Finished {
    pub(super) answers: Vec<Respond>,
    pub(super) snapshots: Vec<(Arc<StreamInUse>, Place, Box<Draft>)>,
    /// Streams in which other stores are always first.
    pub(super) starving: Vec<Arc<StreamInUse>>,
    /// How many of them were of commits.
    pub(super) commits: u64,
    /// The room that the requests took.
    pub(super) kib: u32,
}

impl Finished {
    fn count(&mut self, pending: &Pending) {
        self.kib += pending.kib;
        self.commits += u64::from(!pending.is_fence());
    }
}

/// The events of a commit in one stream, or in none.
struct Part<'a> {
    names: (&'a str, &'a str),
    /// The name of the aggregate; empty for none.
    id: (&'a str, &'a str),
    expected: u64,
    /// The number of the commit before this one in the stream, 0 for none in this batch.
    follows: i32,
    events: &'a EncodedEvents,
}

impl Batch {
    pub(super) fn new() -> Self {
        Self {
            is_plain: true,
            ..Self::default()
        }
    }

    pub(super) fn len(&self) -> usize {
        self.commits.len()
    }

    /// Whether the server has something to do.
    pub(super) fn has_commits(&self) -> bool {
        !self.arrays.commit_parts.is_empty()
    }

    /// Whether something is to be stored, or a condition to be checked. Otherwise the server only has to
    /// say where streams end.
    pub(super) fn is_writing(&self) -> bool {
        self.is_writing
    }

    /// The fates of commits that only expect streams to be at versions, from the actual versions.
    pub(super) fn fates_at(&self, actual: &[i64]) -> Vec<Fate> {
        let mut parts = self.arrays.part_expected.iter().zip(actual);
        let counts = self.arrays.commit_parts.iter();
        let fates = counts.map(|count| {
            let count = usize::try_from(*count).unwrap_or(0);
            let mut differ = parts.by_ref().take(count).filter(|(a, b)| a != b);
            let first = differ.next().map(|(_, actual)| unsigned(*actual));
            // The rest of its parts is passed over.
            differ.for_each(drop);
            first.map_or(Fate::Stored, Fate::Conflict)
        });
        fates.collect()
    }

    /// Takes a request, or gives it back with the reason to refuse it.
    #[expect(
        clippy::result_large_err,
        reason = "a request is moved, and few are refused"
    )]
    pub(super) fn add(&mut self, request: Request) -> Result<(), (Request, CommitError)> {
        let kib = request.kib();
        if let Err(error) = check_epochs(&request) {
            return Err((request, error));
        }
        let pending = match request {
            Request::Commit {
                stream,
                commit,
                events,
            } => {
                let part = Part {
                    names: (&stream.names.0, &stream.names.1),
                    id: (stream.id().aggregate_type(), stream.id().id()),
                    expected: commit.expected,
                    follows: self.newest_of(&stream),
                    events: &events,
                };
                if let Err(error) = self.add_commit(&[part], &[]) {
                    let request = Request::Commit {
                        stream,
                        commit,
                        events,
                    };
                    return Err((request, CommitError::NotStored(error)));
                }
                let version = commit.expected + events.count();
                self.note_term(commit.term.as_ref());
                let event = self.arrays.event_sum.len();
                self.note_end(&stream, (commit.expected, version), event);
                Pending {
                    is_sent: true,
                    events: events.count(),
                    parts: vec![PendingPart {
                        version,
                        events: events.count(),
                        stream,
                        epoch: commit.epoch,
                        snapshot: commit.snapshot,
                    }],
                    handed_over: None,
                    term: commit.term,
                    is_imported: false,
                    answer: Answer::One(commit.done),
                    kib,
                }
            }
            Request::Group(group) => {
                if let Err(error) = self.add_group(&group) {
                    return Err((Request::Group(group), error));
                }
                let events = group.count();
                let parts = group.streams.into_iter().map(|part| PendingPart {
                    version: part.expected + part.events.count(),
                    events: part.events.count(),
                    stream: part.stream,
                    epoch: part.epoch,
                    snapshot: part.snapshot,
                });
                Pending {
                    is_sent: true,
                    parts: parts.collect(),
                    events,
                    handed_over: group.handed_over,
                    term: group.term,
                    is_imported: group.is_imported,
                    answer: Answer::Group(group.done),
                    kib,
                }
            }
            Request::Fence {
                stream,
                epoch,
                is_checked,
                done,
            } => Pending {
                // A failed epoch is answered with its failure.
                is_sent: is_checked && stream.failure(epoch).is_none() && self.add_check(&stream),
                parts: Vec::new(),
                events: 0,
                handed_over: None,
                term: None,
                is_imported: false,
                answer: Answer::Fence(stream, epoch, done),
                kib: 0,
            },
            Request::TakeTurn(_) | Request::GiveBackTurn | Request::Close => return Ok(()),
        };
        self.commits.push(pending);
        Ok(())
    }

    /// Adds a commit without events, which expects the stream to be where its epoch is.
    fn add_check(&mut self, stream: &Arc<StreamInUse>) -> bool {
        let end = self.ends.get(&Arc::as_ptr(stream).addr()).copied();
        let (version, follows) =
            end.map_or_else(|| (stream.version(), 0), |end| (end.version, end.commit));
        let arrays = &mut self.arrays;
        arrays.commit_parts.push(1);
        arrays.commit_events.push(0);
        arrays.commit_clauses.push(0);
        arrays.part_type.push(stream.names.0.clone());
        arrays.part_id.push(stream.names.1.clone());
        arrays.part_expected.push(signed(version));
        arrays.part_follows.push(follows);
        self.note_end(stream, (version, version), 0);
        true
    }

    fn add_group(&mut self, group: &Group) -> Result<(), CommitError> {
        let clauses = group.condition.iter().map(|clause| self.clause(clause));
        let clauses: Vec<_> = clauses.collect::<Result<_, _>>()?;
        let streams = group.streams.iter().map(|part| Part {
            names: (&part.stream.names.0, &part.stream.names.1),
            id: (part.stream.id().aggregate_type(), part.stream.id().id()),
            expected: part.expected,
            follows: self.newest_of(&part.stream),
            events: &part.events,
        });
        let of_none = group.of_none.iter().map(|events| Part {
            names: ("", ""),
            id: ("", ""),
            expected: 0,
            follows: 0,
            events,
        });
        let parts: Vec<_> = streams.chain(of_none).collect();
        self.add_commit(&parts, &clauses)
            .map_err(CommitError::NotStored)?;
        self.note_term(group.term.as_ref());
        let events = usize::try_from(group.count()).unwrap_or(usize::MAX);
        let mut event = self.arrays.event_sum.len().saturating_sub(events);
        for part in &group.streams {
            let version = part.expected + part.events.count();
            event += usize::try_from(part.events.count()).unwrap_or(usize::MAX);
            self.note_end(&part.stream, (part.expected, version), event);
        }
        Ok(())
    }

    /// Lets the server check the term of the newest commit.
    fn note_term(&mut self, term: Option<&Arc<Term>>) {
        let Some(term) = term else { return };
        let arrays = &mut self.arrays;
        arrays.term_commit.push(number(arrays.commit_parts.len()));
        arrays.term_follower.push(term.name().to_owned());
        arrays.term_number.push(term.number());
    }

    /// Lets the server refuse the commits of an import, and store the others.
    pub(super) fn refuse_imported(&mut self) {
        let sent = self.commits.iter().filter(|commit| commit.is_sent);
        for (commit, pending) in (1..).zip(sent) {
            let arrays = &mut self.arrays;
            if pending.is_imported && !arrays.term_commit.contains(&commit) {
                // No process manager has this name, so its term has ended.
                arrays.term_commit.push(commit);
                arrays.term_follower.push(String::new());
                arrays.term_number.push(0);
            }
        }
    }

    /// The number of the newest commit in the stream, 0 for none.
    fn newest_of(&self, stream: &Arc<StreamInUse>) -> i32 {
        let end = self.ends.get(&Arc::as_ptr(stream).addr());
        end.map_or(0, |end| end.commit)
    }

    /// Notes that the stream is at `version` after a commit that expects it at `expected`, of which `event` is
    /// the number of the newest event.
    fn note_end(&mut self, stream: &StreamInUse, (expected, version): (u64, u64), event: usize) {
        let arrays = &mut self.arrays;
        let commit = number(arrays.commit_parts.len());
        let event = if version > expected { number(event) } else { 0 };
        let end = self.ends.entry(std::ptr::from_ref(stream).addr());
        let end = end.or_insert_with(|| {
            arrays.stream_type.push(stream.names.0.clone());
            arrays.stream_id.push(stream.names.1.clone());
            arrays.stream_expected.push(signed(expected));
            arrays.stream_version.push(0);
            arrays.stream_event.push(0);
            End {
                version: expected,
                commit,
                index: arrays.stream_event.len() - 1,
            }
        });
        self.is_plain &= end.version == expected;
        (end.version, end.commit) = (version, commit);
        arrays.stream_version[end.index] = signed(version);
        arrays.stream_event[end.index] = event.max(arrays.stream_event[end.index]);
    }

    /// A clause as the server takes it: its query, and up to where its events are known.
    fn clause(&self, clause: &Clause) -> Result<(Option<String>, Option<i64>, i32), CommitError> {
        let query = query_json(&clause.query);
        if let After::Commit(basis) = &clause.after {
            let mut commits = self.commits.iter().filter(|commit| commit.is_sent);
            let same = |commit: &Pending| {
                let handed_over = commit.handed_over.as_ref();
                handed_over.is_some_and(|handed_over| Arc::ptr_eq(handed_over, basis))
            };
            if let Some(index) = commits.position(same) {
                let index = i32::try_from(index + 1).map_err(|_| too_large())?;
                return Ok((query, None, index));
            }
        }
        let after = clause.after.position();
        let after = after.ok_or(CommitError::ConditionFailed)?;
        Ok((query, Some(signed(after)), 0))
    }

    fn add_commit(
        &mut self,
        parts: &[Part<'_>],
        clauses: &[(Option<String>, Option<i64>, i32)],
    ) -> StorageResult<()> {
        let mut events = Vec::new();
        for part in parts {
            let mut version = part.expected;
            for encoded in part.events.as_encoded().iter() {
                version += 1;
                events.push(Event::of(part, version, encoded)?);
            }
        }
        let arrays = &mut self.arrays;
        // The key of a decision must not be there.
        let has_key = |event: &Event<'_>| event.names.0.is_empty() && event.key.is_some();
        self.is_plain &= clauses.is_empty() && !events.iter().any(has_key);
        self.is_writing |= !clauses.is_empty() || !events.is_empty();
        arrays.commit_parts.push(number(parts.len()));
        arrays.commit_events.push(number(events.len()));
        arrays.commit_clauses.push(number(clauses.len()));
        for part in parts {
            arrays.part_type.push(part.names.0.to_owned());
            arrays.part_id.push(part.names.1.to_owned());
            arrays.part_expected.push(signed(part.expected));
            arrays.part_follows.push(part.follows);
        }
        let last = number(arrays.event_sum.len() + events.len());
        for (place, event) in (1..).zip(events) {
            self.bytes += event.line.len();
            arrays.event_last.push(last);
            arrays.event_place.push(place);
            arrays.event_type.push(event.names.0.to_owned());
            arrays.event_id.push(event.names.1.to_owned());
            arrays.event_version.push(signed(event.version));
            arrays.event_name.push(event.name);
            arrays.event_key.push(event.key);
            arrays.event_tags.push(event.tags);
            arrays.event_line.push(event.line);
            arrays.event_sum.push(event.sum.cast_signed());
        }
        for (query, after, basis) in clauses {
            arrays.clause_query.push(query.clone());
            arrays.clause_after.push(*after);
            arrays.clause_basis.push(*basis);
        }
        Ok(())
    }

    /// The streams of its commits.
    pub(super) fn streams(&self) -> Vec<Arc<StreamInUse>> {
        let parts = self.commits.iter().flat_map(|commit| &commit.parts);
        parts.map(|part| part.stream.clone()).collect()
    }

    pub(super) fn arrays(&self) -> &Arrays {
        &self.arrays
    }

    /// The fates of the commits, of which the server refused some.
    pub(super) fn fates(&self, refused: &[i32], actual: &[i64]) -> Vec<Fate> {
        let mut fates = vec![Fate::Stored; self.arrays.commit_parts.len()];
        for (commit, actual) in refused.iter().zip(actual) {
            let index = usize::try_from(*commit).unwrap_or(0);
            if let Some(fate) = index.checked_sub(1).and_then(|index| fates.get_mut(index)) {
                *fate = match u64::try_from(*actual) {
                    Ok(actual) => Fate::Conflict(actual),
                    Err(_) if *actual == REPLACED => Fate::Replaced,
                    Err(_) => Fate::ConditionFailed,
                };
            }
        }
        fates
    }

    /// The position after the stored commits.
    pub(super) fn end(&self, before: u64, fates: &[Fate]) -> u64 {
        let commits = self.commits.iter().filter(|commit| commit.is_sent);
        let stored = commits
            .zip(fates)
            .filter(|(_, fate)| **fate == Fate::Stored);
        before + stored.map(|(commit, _)| commit.events).sum::<u64>()
    }

    /// Lets the streams know what became of the commits. The events come after the position
    /// `before`.
    pub(super) fn finish(self, before: u64, fates: &[Fate]) -> Finished {
        let mut finished = Finished::default();
        let mut fates = fates.iter();
        let mut position = before;
        for pending in self.commits {
            let fate = if pending.is_sent {
                // There is one for each.
                fates.next().copied().unwrap_or(Fate::ConditionFailed)
            } else {
                Fate::Stored
            };
            match fate {
                Fate::Stored => position = pending.succeed(position, &mut finished),
                Fate::Conflict(actual) => {
                    pending.note_conflict(&mut finished);
                    pending.fail(&CommitError::Conflict { actual }, &mut finished);
                }
                Fate::Replaced if pending.is_imported => {
                    pending.fail(&CommitError::NotStored(turn_lost()), &mut finished);
                }
                Fate::Replaced => {
                    if let Some(term) = &pending.term {
                        term.lose();
                    }
                    let error = if pending.parts.is_empty() {
                        CommitError::ConditionFailed
                    } else {
                        // What the version is does not matter. It is read again.
                        CommitError::Conflict { actual: 0 }
                    };
                    pending.fail(&error, &mut finished);
                }
                Fate::ConditionFailed => {
                    pending.fail(&CommitError::ConditionFailed, &mut finished);
                }
            }
        }
        finished
    }

    /// Lets the streams know that nothing of the batch is stored, or that nobody knows.
    pub(super) fn fail(self, error: &CommitError) -> Finished {
        let mut finished = Finished::default();
        for pending in self.commits {
            pending.fail(error, &mut finished);
        }
        finished
    }
}

/// Fails if an epoch of the request has failed. Invariant C4.
fn check_epochs(request: &Request) -> Result<(), CommitError> {
    let failure = |stream: &StreamInUse, epoch| stream.failure(epoch).map_or(Ok(()), Err);
    match request {
        Request::Commit { stream, commit, .. } => failure(stream, commit.epoch),
        Request::Group(group) => {
            let mut parts = group.streams.iter();
            parts.try_for_each(|part| failure(&part.stream, part.epoch))
        }
        Request::Fence { .. } | Request::TakeTurn(_) | Request::GiveBackTurn | Request::Close => {
            Ok(())
        }
    }
}

/// A count as the server takes it.
fn number(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

fn turn_lost() -> StorageError {
    let text = "another process has imported events into this store while the server was not reached: \
                wait until it has ended, and import again";
    StorageError::new(StorageErrorKind::Busy, text)
}

fn too_large() -> CommitError {
    let text = "the batch has too many commits";
    CommitError::NotStored(StorageError::new(StorageErrorKind::Bug, text))
}

/// A query as the function `find` of the schema takes it, `None` for all events.
pub(super) fn query_json(query: &Query) -> Option<String> {
    let items = query.items()?.iter().map(|item| {
        let mut json = serde_json::Map::new();
        if item.types().len() > 0 {
            let types: Vec<_> = item.types().map(|name| escape(name).into_owned()).collect();
            json.insert("types".to_owned(), types.into());
        }
        let tags: Vec<_> = item.tags().iter().map(Tag::as_str).collect();
        if let [only] = tags[..] {
            let (types, ids): (Vec<_>, Vec<_>) = streams_of(only).into_iter().unzip();
            json.insert("stream_types".to_owned(), types.into());
            json.insert("stream_ids".to_owned(), ids.into());
        }
        if !tags.is_empty() {
            json.insert("tags".to_owned(), tags.into());
        }
        serde_json::Value::Object(json)
    });
    Some(serde_json::Value::Array(items.collect()).to_string())
}

/// The streams whose name is this tag, as the server has them. There may be several, because a type
/// may have a colon.
fn streams_of(tag: &str) -> Vec<(String, String)> {
    let colons = tag.match_indices(':');
    let splits = colons.map(|(at, _)| (&tag[..at], &tag[at + 1..]));
    let names = splits.filter_map(|(aggregate_type, id)| {
        Some((ids::encode(aggregate_type).ok()?, ids::encode(id).ok()?))
    });
    names.collect()
}

/// An event as the columns have it.
struct Event<'a> {
    names: (&'a str, &'a str),
    version: u64,
    name: String,
    key: Option<String>,
    tags: Option<String>,
    line: String,
    sum: u64,
}

impl<'a> Event<'a> {
    fn of(part: &Part<'a>, version: u64, encoded: &[u8]) -> StorageResult<Self> {
        let bug = |cause: String| StorageError::new(StorageErrorKind::Bug, cause);
        let (text, sum) = line::take_apart(encoded).map_err(|error| bug(error.to_string()))?;
        let (name, key, tags) = {
            let line = line::parse_apart(&text, 0).map_err(|error| bug(error.to_string()))?;
            let mut tags: Vec<&str> = line.tags.iter().map(|tag| &**tag).collect();
            let own = aggregate_tag(part.id.0, part.id.1);
            let tags = (!tags.is_empty()).then(|| {
                tags.extend(own.as_ref().map(Tag::as_str));
                array(tags.iter().copied())
            });
            (
                escape(&line.name).into_owned(),
                line.key.as_deref().map(|key| escape(key).into_owned()),
                tags,
            )
        };
        Ok(Self {
            names: part.names,
            version,
            name,
            key,
            tags,
            line: text,
            sum,
        })
    }
}

impl Pending {
    fn is_fence(&self) -> bool {
        matches!(self.answer, Answer::Fence(..))
    }

    /// Returns the position after the commit, which begins after `before`.
    fn succeed(self, before: u64, finished: &mut Finished) -> u64 {
        finished.count(&self);
        let mut position = before;
        let mut positions = Vec::with_capacity(self.parts.len());
        for part in self.parts {
            if part.events == 0 {
                positions.push(part.stream.durable().unwrap_or_default().1);
                continue;
            }
            position += part.events;
            positions.push(position);
            part.stream.set_durable(part.version, position);
            if let Some(draft) = part.snapshot {
                let place = Place::behind(part.version, position);
                finished.snapshots.push((part.stream, place, draft));
            }
        }
        let end = before + self.events;
        if let Some(handed_over) = &self.handed_over {
            handed_over.place(end);
        }
        finished.answers.push(match self.answer {
            Answer::One(done) => Box::new(move || done(Ok(end))),
            Answer::Group(done) => {
                positions.push(end);
                Box::new(move || done(Ok(positions)))
            }
            Answer::Fence(stream, epoch, done) => {
                let result = stream.fence(epoch);
                Box::new(move || done(result))
            }
        });
        end
    }

    /// Counts the conflict of a commit, if it is the first of its epoch.
    fn note_conflict(&self, finished: &mut Finished) {
        for part in &self.parts {
            let is_first = part.stream.failure(part.epoch).is_none();
            if is_first && part.stream.count_conflict().is_multiple_of(PATIENCE) {
                finished.starving.push(part.stream.clone());
            }
        }
    }

    fn fail(self, error: &CommitError, finished: &mut Finished) {
        finished.count(&self);
        for part in &self.parts {
            part.stream.fail(part.epoch, error);
        }
        if let Answer::Fence(stream, epoch, _) = &self.answer
            && self.is_sent
        {
            stream.fail(*epoch, error);
        }
        if let Some(handed_over) = &self.handed_over {
            handed_over.fail();
        }
        let error = error.clone();
        finished.answers.push(match self.answer {
            Answer::One(done) => Box::new(move || done(Err(error))),
            Answer::Group(done) => Box::new(move || done(Err(error))),
            Answer::Fence(stream, epoch, done) => {
                let result = stream.fence(epoch);
                Box::new(move || done(result))
            }
        });
    }
}
