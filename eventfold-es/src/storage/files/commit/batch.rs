//! A batch: the requests that the committer serves together, and the lines that they add to the
//! journal and to each stream.

use std::ops::Range;
use std::sync::Arc;

use crate::storage::commit::{CommitError, Done, GroupCommit, GroupDone};
use crate::storage::condition::HandedOver;
use crate::storage::encoding::event_line::{Encoded, EncodedEvents};
use crate::storage::files::commit::request::{Request, StreamCommit, StreamsCommit};
use crate::storage::files::format::commit_line::{write, write_parts};
use crate::storage::files::journal::batch::JournalBatch;
use crate::storage::files::streams::end::StreamEnd;
use crate::storage::files::streams::end::line_hash;
use crate::storage::files::streams::file::StreamFile;
use crate::storage::files::streams::stream::Stream;
use crate::storage::files::tags::entry::Entry;
use crate::storage::snapshot::Draft;

/// An upper bound of the bytes in a journal line besides the events and the stream's name.
const LINE_OVERHEAD: usize = 320;
/// An upper bound of the bytes that position and checksum add to an event.
const EVENT_OVERHEAD: usize = 64;

/// Requests that the committer serves together.
pub(crate) struct CommitBatch {
    pub(crate) journal: JournalBatch,
    pub(crate) streams: Vec<StagedStream>,
    /// The tags of the commits' events.
    pub(crate) tags: Vec<Entry>,
    pub(crate) answers: Vec<Answer>,
}

/// The part of a batch that concerns one stream.
pub(crate) struct StagedStream {
    pub(crate) stream: Arc<Stream>,
    pub(crate) start: StreamEnd,
    pub(crate) end: StreamEnd,
    /// The stream's file, if it is open.
    pub(crate) file: Option<Arc<StreamFile>>,
    /// Where in the batch the stream's new lines are. The file lacks them.
    pub(crate) lines: Vec<Range<usize>>,
    /// A snapshot of the state after one of the batch's commits, and the place of that state.
    pub(crate) snapshot: Option<(Box<Draft>, StreamEnd)>,
}

/// An answer that waits for the batch.
pub(crate) struct Answer {
    pub(crate) to: AnswerTo,
    /// How much room to give back.
    pub(crate) kib: u32,
}

impl Answer {
    /// Whether it is that of a commit in the batch.
    pub(crate) fn is_of_commit(&self) -> bool {
        matches!(self.to, AnswerTo::Commit { .. } | AnswerTo::Group { .. })
    }
}

/// Who waits for an answer.
pub(crate) enum AnswerTo {
    /// A commit, whose stream is at `place` in the batch.
    Commit {
        place: usize,
        /// The position of the last event.
        position: u64,
        done: Done,
    },
    /// A commit of several streams, which are at `places` in the batch.
    Group {
        places: Vec<usize>,
        /// The answer if the batch is stored.
        positions: Vec<u64>,
        handed_over: Option<Arc<HandedOver>>,
        done: GroupDone,
    },
    /// A commit whose condition failed, perhaps because of an event in this batch. It is answered once
    /// that event is durable.
    Refused { error: CommitError, done: GroupDone },
    /// A fence. It must report a failure of this epoch of the stream.
    Fence {
        stream: Arc<Stream>,
        epoch: u64,
        done: Done,
    },
}

impl StagedStream {
    /// `eventfold`'s hash of the last line that the batch adds to the stream.
    pub(crate) fn last_line_hash(&self, written: &JournalBatch) -> u64 {
        let last = self.lines.last();
        last.map_or(0, |line| line_hash(&written.bytes[line.clone()]))
    }

    /// Moves the stream's end past the lines that were added since there were `known`. `position` is
    /// that of the last event.
    fn extend(&mut self, known: usize, position: u64) {
        let added = &self.lines[known..];
        self.end.offset += added.iter().map(|line| line.len() + 1).sum::<usize>() as u64;
        self.end.version += added.len() as u64;
        // Invariant C8.
        self.end.position = position;
    }

    /// Takes a snapshot of the state at the present end.
    fn keep(&mut self, snapshot: Option<Box<Draft>>, written: &JournalBatch) {
        if let Some(draft) = snapshot {
            let end = StreamEnd {
                hash: self.last_line_hash(written),
                ..self.end
            };
            self.snapshot = Some((draft, end));
        }
    }
}

impl CommitBatch {
    /// The place of `stream` among the streams of the batch.
    pub(crate) fn place_of(&self, stream: &Arc<Stream>) -> Option<usize> {
        let place = stream.place_in_batch();
        let staged = self.streams.get(place)?;
        Arc::ptr_eq(&staged.stream, stream).then_some(place)
    }

    /// Adds a stream that is not yet in the batch, and returns its place.
    pub(crate) fn add_stream(&mut self, staged: StagedStream) -> usize {
        let place = self.streams.len();
        staged.stream.set_place_in_batch(place);
        self.streams.push(staged);
        place
    }
}

/// Adds a commit's line to the batch. The commit's stream is at `place` in the batch.
pub(crate) fn add_commit(
    batch: &mut CommitBatch,
    place: usize,
    commit: StreamCommit,
    events: Encoded<'_>,
) {
    let written = &mut batch.journal;
    let staged = &mut batch.streams[place];
    let kib = commit.kib(events.size());
    let known = staged.lines.len();
    let at = commit.stream.place(&staged.end);
    write(written, &at, events, &mut staged.lines);
    let position = written.end.position;
    staged.extend(known, position);
    staged.keep(commit.snapshot, written);
    let done = commit.done;
    let to = AnswerTo::Commit {
        place,
        position,
        done,
    };
    batch.answers.push(Answer { to, kib });
}

/// Adds the line of a commit of several streams to the batch. `places` says where in the batch the
/// streams are that get events.
pub(crate) fn add_group(batch: &mut CommitBatch, places: &[Option<usize>], group: StreamsCommit) {
    let kib = group.kib();
    let GroupCommit {
        streams,
        of_none,
        handed_over,
        done,
        ..
    } = group;
    let staged = |place: &Option<usize>| place.map(|place| &batch.streams[place]);
    let at = |part: usize| {
        let end = staged(&places[part])?.end;
        let part = &streams[part];
        Some((part.stream.place(&end), part.events.as_encoded()))
    };
    let parts: Vec<_> = (0..streams.len()).filter_map(at).collect();
    let of_none = of_none.as_ref().map(EncodedEvents::as_encoded);
    let mut position = batch.journal.end.position;
    let mut lines = Vec::new();
    if !parts.is_empty() || of_none.is_some() {
        write_parts(&mut batch.journal, &parts, of_none, &mut lines);
    }
    let mut lines = lines.into_iter();
    let mut positions = Vec::with_capacity(streams.len() + 1);
    for (part, place) in streams.into_iter().zip(places) {
        let Some(place) = *place else {
            let place = batch.place_of(&part.stream);
            let staged = place.map(|place| batch.streams[place].end.position);
            positions.push(staged.unwrap_or_else(|| part.stream.durable_position()));
            continue;
        };
        position += part.events.count();
        positions.push(position);
        let staged = &mut batch.streams[place];
        let known = staged.lines.len();
        let count = usize::try_from(part.events.count()).unwrap_or(usize::MAX);
        staged.lines.extend(lines.by_ref().take(count));
        staged.extend(known, position);
        staged.keep(part.snapshot, &batch.journal);
    }
    let last = batch.journal.end.position;
    positions.push(last);
    if let Some(handed_over) = &handed_over {
        handed_over.place(last);
    }
    let to = AnswerTo::Group {
        places: places.iter().copied().flatten().collect(),
        positions,
        handed_over,
        done,
    };
    batch.answers.push(Answer { to, kib });
}

/// About how many bytes a request adds to the journal.
pub(crate) fn size_of(request: &Request) -> usize {
    match request {
        Request::Commit(commit, events) => {
            events.size() + events.count() * EVENT_OVERHEAD + overhead(&commit.stream)
        }
        Request::Group(group) => {
            let streams = group.streams.iter();
            let overhead: usize = streams.map(|part| overhead(&part.stream)).sum();
            let count = usize::try_from(group.count()).unwrap_or(usize::MAX);
            group.size() + count.saturating_mul(EVENT_OVERHEAD) + LINE_OVERHEAD + overhead
        }
        Request::Fence { .. } | Request::Close => 0,
    }
}

/// How many streams a request may add to a batch.
pub(crate) fn streams_of(request: &Request) -> usize {
    match request {
        Request::Commit(..) => 1,
        Request::Group(group) => group.streams.len(),
        Request::Fence { .. } | Request::Close => 0,
    }
}

fn overhead(stream: &Stream) -> usize {
    let id = stream.id();
    LINE_OVERHEAD + id.aggregate_type().len() + id.id().len()
}
