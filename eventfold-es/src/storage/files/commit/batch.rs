//! A batch: the requests that the committer serves together, and the lines that they add to the
//! journal and to each stream.

use std::ops::Range;
use std::sync::Arc;

use crate::storage::commit::Done;
use crate::storage::encoding::event_line::Encoded;
use crate::storage::files::commit::request::Request;
use crate::storage::files::commit::request::StreamCommit;
use crate::storage::files::format::commit_line::write;
use crate::storage::files::journal::batch::JournalBatch;
use crate::storage::files::streams::end::StreamEnd;
use crate::storage::files::streams::end::line_hash;
use crate::storage::files::streams::file::StreamFile;
use crate::storage::files::streams::stream::Stream;
use crate::storage::snapshot::Draft;

/// An upper bound of the bytes in a journal line besides the events and the stream's name.
const LINE_OVERHEAD: usize = 320;
/// An upper bound of the bytes that position and checksum add to an event.
const EVENT_OVERHEAD: usize = 64;

/// Requests that the committer serves together.
pub(crate) struct CommitBatch {
    pub(crate) journal: JournalBatch,
    pub(crate) streams: Vec<StagedStream>,
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
    pub(crate) done: Done,
    /// For a commit: the place of its stream in the batch.
    pub(crate) place: Option<usize>,
    /// The position of the commit's last event, 0 for a fence.
    pub(crate) position: u64,
    /// How much room to give back.
    pub(crate) kib: u32,
    /// For a fence: the stream and the epoch whose failure it must report.
    pub(crate) fence: Option<(Arc<Stream>, u64)>,
}

impl StagedStream {
    /// `eventfold`'s hash of the last line that the batch adds to the stream.
    pub(crate) fn last_line_hash(&self, written: &JournalBatch) -> u64 {
        let last = self.lines.last();
        last.map_or(0, |line| line_hash(&written.bytes[line.clone()]))
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
    let added = staged.lines[known..].iter().map(|line| line.len() + 1);
    staged.end.offset += added.sum::<usize>() as u64;
    staged.end.version += events.count();
    // Invariant C8.
    staged.end.position = written.end.position;
    if let Some(draft) = commit.snapshot {
        let end = StreamEnd {
            hash: staged.last_line_hash(written),
            ..staged.end
        };
        staged.snapshot = Some((draft, end));
    }
    batch.answers.push(Answer {
        done: commit.done,
        place: Some(place),
        position: staged.end.position,
        kib,
        fence: None,
    });
}

/// About how many bytes a request adds to the journal.
pub(crate) fn size_of(request: &Request) -> usize {
    match request {
        Request::Commit(commit, events) => {
            events.size() + events.count() * EVENT_OVERHEAD + overhead(&commit.stream)
        }
        Request::Fence { .. } | Request::Close => 0,
    }
}

fn overhead(stream: &Stream) -> usize {
    let id = stream.id();
    LINE_OVERHEAD + id.aggregate_type().len() + id.id().len()
}
