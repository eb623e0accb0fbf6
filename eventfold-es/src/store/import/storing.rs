//! Storing what an import reads: [`Storing`].
//!
//! Many commits are under way at once, each on the condition that the one before is stored. So what is
//! stored is always what the first lines say, whatever fails.
//!
//! While events of a stream are under way, the import holds the stream's turn, as an actor does. It waits
//! for a turn only while it holds none but those that come before it in the order of names. Groups of
//! commands borrow actors in that order too, so nobody waits for another one in a circle. Invariant C16.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::future::poll_fn;
use std::ops::ControlFlow;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use tokio::sync::{OwnedMutexGuard, oneshot};

use crate::event::Tag;
use crate::following::moved::Carried;
use crate::ids::{Position, StreamId, Version};
use crate::runtime::actor::Registry;
use crate::runtime::aggregates::Aggregates;
use crate::storage::Storage;
use crate::storage::commit::{CommitError, GroupCommit, StreamPart};
use crate::storage::condition::{Clause, HandedOver};
use crate::storage::encoding::event_line::{Common, EncodedEvents, seed_of_none, write_member};
use crate::storage::error::StorageResult;
use crate::storage::place::Place;
use crate::storage::stream::{Reading, Stream};
use crate::store::export::exported::ExportedEvent;
use crate::store::import::error::ImportError;
use crate::store::import::reading::{Batch, Input, Numbered};
use crate::store::import::report::ImportReport;

/// How many commits are under way at most. Then all of them are waited for, and the streams are free for
/// a moment.
const UNDER_WAY: usize = 4096;
/// How many streams are remembered at most.
const STREAMS: usize = 64 * 1024;

/// The end of a stream that the import has stored events in.
struct Known {
    stream: Stream,
    epoch: u64,
    version: u64,
    /// Held while its events are under way.
    turn: Option<OwnedMutexGuard<()>>,
}

/// A commit that is under way.
struct UnderWay {
    /// The numbers of its first and its last line.
    lines: (u64, u64),
    events: u64,
    /// The position that its last event must have, if its lines state one.
    stated: Option<Position>,
    answer: oneshot::Receiver<Result<Vec<u64>, CommitError>>,
}

/// Stores the commits of an import.
pub(super) struct Storing {
    storage: Storage,
    registry: Arc<Registry>,
    keeps_positions: bool,
    streams: HashMap<StreamId, Known>,
    /// Those whose turns are held.
    held: Vec<StreamId>,
    under_way: VecDeque<UnderWay>,
    /// The commit that was handed over last.
    last: Option<Arc<HandedOver>>,
    /// The position of the next event, if nobody else writes.
    next: u64,
    report: ImportReport,
}

impl Storing {
    /// `head` is the position of the newest event of the store.
    pub(super) fn new(aggregates: &Aggregates, keeps_positions: bool, head: u64) -> Self {
        let storage = aggregates.storage.clone();
        let next = head + 1;
        Self {
            storage,
            registry: aggregates.registry.clone(),
            keeps_positions,
            streams: HashMap::new(),
            held: Vec::new(),
            under_way: VecDeque::new(),
            last: None,
            next,
            report: ImportReport {
                events: 0,
                commits: 0,
                skipped: 0,
                dropped: 0,
                process_managers: 0,
                position: Position::default(),
                positions_kept: true,
            },
        }
    }

    /// Waits for everything that was handed over before: an import that was given up may have commits
    /// under way.
    pub(super) async fn wait_for_others(storage: &Storage) -> Result<(), ImportError> {
        let (done, answer) = oneshot::channel();
        let group = GroupCommit {
            streams: Vec::new(),
            of_none: None,
            condition: Vec::new(),
            handed_over: None,
            term: None,
            is_imported: true,
            done: Box::new(move |result| drop(done.send(result))),
        };
        storage.commit_group(group).await;
        let answer = answer.await.unwrap_or(Err(CommitError::Closed));
        answer.map_err(|error| ImportError::of_commit(0, error))?;
        Ok(())
    }

    pub(super) fn report(&self) -> ImportReport {
        self.report
    }

    /// From here on an event must get the position that its line states.
    pub(super) fn keep_positions(&mut self) {
        self.keeps_positions = true;
    }

    /// Stores all commits, beginning with those of `first`. `told` takes how many events are stored, and
    /// how many bytes are read. What process managers take along is added to `all_carried`.
    pub(super) async fn store_all(
        &mut self,
        first: Option<Batch>,
        input: &mut Input,
        told: &mut Option<Box<dyn FnMut(u64, u64) + Send>>,
        all_carried: &mut Vec<Carried>,
    ) -> Result<(), ImportError> {
        let mut next = first;
        while let Some(batch) = next {
            let Batch {
                commits,
                skipped,
                dropped,
                carried,
                ..
            } = batch;
            all_carried.extend(carried.map(|carried| *carried));
            self.report.skipped += skipped;
            self.report.dropped += dropped;
            let mut waiting: VecDeque<Parts> = commits.into_iter().map(Parts::of).collect();
            while !waiting.is_empty() {
                self.hold_first(&waiting).await?;
                if let Some(first) = waiting.pop_front() {
                    self.store(first).await?;
                }
            }
            if let Some(told) = told {
                told(self.report.events, input.bytes());
            }
            next = input.next().await?;
        }
        Ok(())
    }

    /// Waits for all that is under way.
    pub(super) async fn finish(&mut self) -> Result<(), ImportError> {
        self.release().await
    }

    /// Hands a commit over, whose streams' turns are held.
    async fn store(&mut self, parts: Parts) -> Result<(), ImportError> {
        let stated = self.check_positions(&parts)?;

        let mut events = 0;
        let mut streams = Vec::with_capacity(parts.streams.len());
        for (id, own) in &parts.streams {
            let Some(known) = self.streams.get_mut(id) else {
                continue;
            };
            let (stream, epoch, expected) = (known.stream.clone(), known.epoch, known.version);
            let mut encoded = EncodedEvents::new(stream.seed());
            for Numbered { line, event } in own {
                let actual = Version::new(known.version);
                known.version += 1;
                match event.version {
                    Some(stated) if stated != known.version => {
                        return Err(ImportError::Version {
                            line: *line,
                            stream: id.clone(),
                            stated,
                            actual,
                        });
                    }
                    _ => encode(&mut encoded, *line, event, known.version)?,
                }
            }
            events += encoded.count();
            streams.push(StreamPart {
                stream,
                epoch,
                expected,
                events: encoded,
                snapshot: None,
            });
        }
        let mut of_none = None;
        if !parts.of_none.is_empty() {
            let mut encoded = EncodedEvents::new(seed_of_none());
            for Numbered { line, event } in &parts.of_none {
                encode(&mut encoded, *line, event, 0)?;
            }
            events += encoded.count();
            of_none = Some(encoded);
        }

        let handed_over = Arc::<HandedOver>::default();
        let before = self.last.replace(handed_over.clone());
        let (done, answer) = oneshot::channel();
        let group = GroupCommit {
            streams,
            of_none,
            condition: before.map(Clause::only_behind).into_iter().collect(),
            handed_over: Some(handed_over),
            term: None,
            is_imported: true,
            done: Box::new(move |result| drop(done.send(result))),
        };
        self.next += events;
        self.storage.commit_group(group).await;
        self.under_way.push_back(UnderWay {
            lines: parts.lines,
            events,
            stated,
            answer,
        });
        Ok(())
    }

    /// The position that the lines state for the last event. Fails if positions are to be kept and one
    /// would be another.
    fn check_positions(&self, parts: &Parts) -> Result<Option<Position>, ImportError> {
        let mut last = None;
        for (Numbered { line, event }, next) in parts.all().zip(self.next..) {
            let next = Position::new(next);
            last = event.position;
            match event.position {
                _ if !self.keeps_positions => {}
                Some(stated) if stated == next => {}
                Some(stated) => {
                    return Err(ImportError::Position {
                        line: *line,
                        stated,
                        next,
                    });
                }
                None => {
                    let reason = "the position is missing, and positions are to be kept";
                    return Err(ImportError::line(*line, reason));
                }
            }
        }
        Ok(last)
    }

    /// Takes the turns of all streams of the first commit.
    async fn hold_first(&mut self, waiting: &VecDeque<Parts>) -> Result<(), ImportError> {
        let Some(first) = waiting.front() else {
            return Ok(());
        };
        if self.under_way.len() >= UNDER_WAY {
            self.release().await?;
        }
        for (id, events) in &first.streams {
            let line = events.first().map_or(0, |first| first.line);
            let checked = self.storage.check_id(id);
            checked.map_err(|error| ImportError::line(line, error.to_string()))?;
        }
        for (id, _) in &first.streams {
            if !self.try_hold(id).await? {
                return self.wait_to_hold(first, waiting).await;
            }
        }
        Ok(())
    }

    /// Takes the turn of a stream if nobody has it.
    async fn try_hold(&mut self, id: &StreamId) -> Result<bool, ImportError> {
        let known = self.streams.get(id);
        if known.is_some_and(|known| known.turn.is_some()) {
            return Ok(true);
        }
        let stream = known.map_or_else(|| self.storage.stream(id), |known| known.stream.clone());
        let turn = {
            // Otherwise the runtime lets it wait now and then, although the turn is free.
            let mut turn = pin!(tokio::task::unconstrained(stream.take_turn()));
            poll_fn(|context| Poll::Ready(turn.as_mut().poll(context))).await
        };
        match turn {
            Poll::Ready(turn) => {
                self.begin(id, stream, turn).await?;
                Ok(true)
            }
            Poll::Pending => Ok(false),
        }
    }

    /// Gives all turns back, and waits for those of the commits that wait, one after the other: for
    /// all of them at once, because waiting takes long. Their aggregates leave memory.
    async fn wait_to_hold(
        &mut self,
        first: &Parts,
        waiting: &VecDeque<Parts>,
    ) -> Result<(), ImportError> {
        self.release().await?;
        let ids = waiting.iter().flat_map(Parts::ids);
        let ids: BTreeSet<&StreamId> = ids.filter(|id| self.storage.check_id(id).is_ok()).collect();
        for id in ids {
            let stream = self.storage.stream(id);
            let turn = {
                let mut turn = pin!(stream.take_turn());
                // Its place in the row comes first: an aggregate that enters memory later is behind it.
                match poll_fn(|context| Poll::Ready(turn.as_mut().poll(context))).await {
                    Poll::Ready(turn) => turn,
                    Poll::Pending => {
                        self.registry.passivate(id);
                        turn.await
                    }
                }
            };
            let begun = self.begin(id, stream, turn).await;
            // What is wrong with the stream of a later commit is met again when it is the first.
            if first.ids().any(|own| own == id) {
                begun?;
            }
        }
        Ok(())
    }

    /// Takes note of the end of a stream whose turn is `turn`.
    async fn begin(
        &mut self,
        id: &StreamId,
        stream: Stream,
        turn: OwnedMutexGuard<()>,
    ) -> Result<(), ImportError> {
        let known = self.streams.remove(id);
        let is_current =
            |known: &Known| stream.epoch() == known.epoch && stream.failure(known.epoch).is_none();
        let known = if let Some(known) = known.filter(is_current) {
            Known {
                turn: Some(turn),
                ..known
            }
        } else {
            let settled = stream.settle().await;
            settled.map_err(|error| ImportError::of_commit(0, error))?;
            let end = if stream.is_new() {
                Place::default()
            } else {
                stream.load(end).await?
            };
            Known {
                epoch: stream.start_epoch(end),
                version: end.version(),
                stream,
                turn: Some(turn),
            }
        };
        self.streams.insert(id.clone(), known);
        self.held.push(id.clone());
        Ok(())
    }

    /// Waits for all that is under way, and gives the turns back.
    async fn release(&mut self) -> Result<(), ImportError> {
        let mut done = Ok(());
        while let Some(mut under_way) = self.under_way.pop_front() {
            let answer = (&mut under_way.answer).await;
            let answer = answer.unwrap_or(Err(CommitError::Closed));
            // The first failure is the cause of the others.
            if done.is_ok() {
                done = self.take_note(&under_way, answer);
            }
        }
        for id in self.held.drain(..) {
            if let Some(known) = self.streams.get_mut(&id) {
                known.turn = None;
            }
        }
        if self.streams.len() > STREAMS {
            self.streams.clear();
        }
        done
    }

    /// Takes note of the answer to a commit.
    fn take_note(
        &mut self,
        under_way: &UnderWay,
        answer: Result<Vec<u64>, CommitError>,
    ) -> Result<(), ImportError> {
        let (first, last) = under_way.lines;
        let positions = answer.map_err(|error| ImportError::of_commit(first, error))?;
        let position = Position::new(positions.last().copied().unwrap_or_default());
        self.report.events += under_way.events;
        self.report.commits += 1;
        self.report.position = position;
        match under_way.stated {
            Some(stated) if stated == position => {}
            Some(stated) if self.keeps_positions => {
                return Err(ImportError::Position {
                    line: last,
                    stated,
                    next: position,
                });
            }
            _ => self.report.positions_kept = false,
        }
        Ok(())
    }
}

/// The events of a commit, as the storage takes them: those of each stream together.
struct Parts {
    /// The numbers of the first and the last line.
    lines: (u64, u64),
    streams: Vec<(StreamId, Vec<Numbered>)>,
    of_none: Vec<Numbered>,
}

impl Parts {
    fn of(commit: Vec<Numbered>) -> Self {
        let mut parts = Self {
            lines: (
                commit.first().map_or(0, |first| first.line),
                commit.last().map_or(0, |last| last.line),
            ),
            streams: Vec::new(),
            of_none: Vec::new(),
        };
        let mut places = HashMap::new();
        for numbered in commit {
            let Some(id) = &numbered.event.stream else {
                parts.of_none.push(numbered);
                continue;
            };
            if let Some(place) = places.get(id) {
                let (_, own): &mut (_, Vec<_>) = &mut parts.streams[*place];
                own.push(numbered);
            } else {
                places.insert(id.clone(), parts.streams.len());
                parts.streams.push((id.clone(), vec![numbered]));
            }
        }
        parts
    }

    fn ids(&self) -> impl Iterator<Item = &StreamId> {
        self.streams.iter().map(|(id, _)| id)
    }

    /// The events in the order in which they are stored.
    fn all(&self) -> impl Iterator<Item = &Numbered> {
        let of_streams = self.streams.iter().flat_map(|(_, own)| own);
        of_streams.chain(&self.of_none)
    }
}

/// The place after the last event of a stream.
fn end(reading: &Reading<'_>) -> StorageResult<Place> {
    let snapshot = reading.snapshot()?;
    let start = snapshot.map_or_else(Place::default, |snapshot| snapshot.place);
    reading.events(start, |_| Ok(ControlFlow::Continue(())))
}

/// Adds an event with what it had in the store that it comes from.
fn encode(
    encoded: &mut EncodedEvents,
    line: u64,
    event: &ExportedEvent,
    version: u64,
) -> Result<(), ImportError> {
    let mut common = Common {
        ms: event.unix_millis,
        ..Common::default()
    };
    if let Some(id) = &event.event_id {
        common.add_id(id);
    }
    common.add(event.actor.as_deref(), event.meta.as_ref());
    if let Some(key) = &event.key {
        write_member(&mut common.key, "key", key);
        if let Some(command) = &event.command {
            write_member(&mut common.key, "command", command);
        }
    }
    let tags = event.tags.iter().map(Tag::as_str);
    encoded.push_tagged(
        &event.name,
        event.data().as_bytes(),
        None,
        version,
        &common,
        tags,
    );
    if encoded.is_too_deep() {
        let reason = "the payload or the metadata is nested too deeply to be read again";
        return Err(ImportError::line(line, reason));
    }
    Ok(())
}
