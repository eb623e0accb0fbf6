//! The requests that the committer serves together, and what they add to the journal and to each
//! stream.

use std::sync::Arc;

use super::commit::{Adoption, Commit, Done, Request};
use super::files::StreamFile;
use super::journal::Batch;
use super::journal::commit_line::{write, write_adopted};
use super::load::{last_line_hash, line_hash};
use super::snapshot::Draft;
use super::stream::{Stream, StreamEnd};

/// More than a line of the journal holds besides its events and the stream's name.
const LINE_OVERHEAD: usize = 160;
/// More than position and checksum add to an event.
const EVENT_OVERHEAD: usize = 64;

/// The requests that are served together.
pub(crate) struct Round {
    pub(crate) batch: Batch,
    pub(crate) streams: Vec<StagedStream>,
    pub(crate) answers: Vec<Answer>,
}

/// What a round adds to one stream.
pub(crate) struct StagedStream {
    pub(crate) stream: Arc<Stream>,
    pub(crate) start: StreamEnd,
    pub(crate) end: StreamEnd,
    /// The stream's file, if it is open.
    pub(crate) file: Option<Arc<StreamFile>>,
    /// The lines to append to the file; empty if they are there already.
    pub(crate) lines: Vec<u8>,
    pub(crate) adopted: bool,
    /// A snapshot of the state at some version in this round, and that place.
    pub(crate) snapshot: Option<(Draft, StreamEnd)>,
}

/// Who waits for the round.
pub(crate) struct Answer {
    pub(crate) done: Done,
    /// The position of the last event that is answered for.
    pub(crate) position: u64,
    /// For a fence: whose failure it must report.
    pub(crate) fence: Option<(Arc<Stream>, u64)>,
}

/// The stream's place in a round. The newest first: commits of one stream tend to come together.
pub(crate) fn find<'a>(
    streams: &'a mut [StagedStream],
    stream: &Arc<Stream>,
) -> Option<&'a mut StagedStream> {
    streams
        .iter_mut()
        .rev()
        .find(|staged| Arc::ptr_eq(&staged.stream, stream))
}

/// Writes a commit's line to the round's batch.
pub(crate) fn add_commit(round: &mut Round, commit: Commit) {
    let batch = &mut round.batch;
    let staged = find(&mut round.streams, &commit.stream).expect("the stream was staged");
    let at = StreamEnd {
        offset: staged.start.offset + staged.lines.len() as u64,
        ..staged.end
    };
    let place = commit.stream.place(&at);
    write(batch, &place, &commit.events, &mut staged.lines);
    staged.end.version += commit.events.count();
    staged.end.position = batch.end.position;
    if let Some(draft) = commit.snapshot {
        let end = StreamEnd {
            offset: staged.start.offset + staged.lines.len() as u64,
            hash: last_line_hash(&staged.lines),
            ..staged.end
        };
        staged.snapshot = Some((draft, end));
    }
    round.answers.push(Answer {
        done: commit.done,
        position: staged.end.position,
        fence: None,
    });
}

/// Writes adopted lines to the round's batch, one commit for each run without a gap.
pub(crate) fn add_adoption(round: &mut Round, adoption: Adoption) {
    let batch = &mut round.batch;
    let staged = find(&mut round.streams, &adoption.stream).expect("the stream was staged");
    let mut lines = adoption.lines.iter().peekable();
    while let Some((offset, line)) = lines.next() {
        let mut run = vec![line.as_slice()];
        let mut end = offset + line.len() as u64 + 1;
        while let Some((next, line)) = lines.peek()
            && *next == end
        {
            run.push(line);
            end += line.len() as u64 + 1;
            lines.next();
        }
        let at = StreamEnd {
            offset: *offset,
            ..staged.end
        };
        write_adopted(batch, &adoption.stream.place(&at), &run);
        staged.end.version += run.len() as u64;
        staged.end.offset = end;
        staged.end.position = batch.end.position;
        staged.end.hash = line_hash(run.last().expect("a run has a line"));
    }
    staged.end.offset = adoption.file_end;
    staged.adopted = !adoption.lines.is_empty();
    round.answers.push(Answer {
        done: adoption.done,
        position: staged.end.position,
        fence: None,
    });
}

/// About how many bytes a request adds to the journal.
pub(crate) fn size_of(request: &Request) -> usize {
    match request {
        Request::Commit(commit) => {
            let events = usize::try_from(commit.events.count()).unwrap_or(usize::MAX);
            commit.events.size() + events * EVENT_OVERHEAD + overhead(&commit.stream)
        }
        Request::Adopt(adoption) => {
            let lines = adoption.lines.iter();
            lines.map(|(_, line)| line.len() + 1).sum::<usize>() + overhead(&adoption.stream)
        }
        Request::Fence { .. } | Request::Close => 0,
    }
}

fn overhead(stream: &Stream) -> usize {
    let id = stream.id();
    LINE_OVERHEAD + id.aggregate_type().len() + id.id().len()
}
