//! The committer: the one thread of a store that writes.
//!
//! It takes all requests that wait, writes their commits to the journal as one batch, makes that
//! durable, appends the lines to the streams' files and answers. While it does so the next
//! requests gather, so batches form by themselves and a lone commit never waits for company.

use std::collections::HashSet;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use super::adopted::Adopted;
use super::commit::{Adoption, Commit, CommitError, Done, Request};
use super::disk;
use super::files::{Files, OPEN_FILES};
use super::journal::recover::note_doubt;
use super::journal::{AppendError, Batch, Journal, Spare};
use super::round::{
    Answer, Round, StagedStream, add_adoption, add_commit, find, last_line_hash, size_of,
};
use super::shared::Shared;
use super::stream::{Behind, Stream, StreamEnd};
use super::upkeep::{CheckpointJob, Job, Upkeep};

/// How many requests one batch takes at most.
const LARGEST_ROUND: usize = 1024;
/// How many bytes of events one batch takes at most, unless a single commit is larger.
const LARGEST_BATCH: usize = 4 * 1024 * 1024;
/// How much the journal grows between checkpoints.
const CHECKPOINT_EVERY: u64 = if cfg!(test) { 6 } else { 8 * 1024 } * 1024;
/// How long to wait after a new segment could not be made.
const SEGMENT_RETRY: Duration = Duration::from_secs(1);

/// The state of the committer's thread.
pub(crate) struct Committer {
    shared: Arc<Shared>,
    requests: Receiver<Request>,
    journal: Journal,
    files: Files,
    upkeep: Upkeep,
    round: u64,
    /// When a new segment may be tried again, after one could not be made.
    next_segment_attempt: Option<Instant>,
    /// Streams whose files lack lines that are durable in the journal.
    behind: Vec<Arc<Stream>>,
    /// Streams with adopted lines that only the journal knows of, so that it must be replayed at the
    /// next open.
    unnoted: Vec<Arc<Stream>>,
    /// The directories of the streams that were written since the last checkpoint.
    dirty: HashSet<PathBuf>,
    checkpoint_round: u64,
    since_checkpoint: u64,
}

impl Committer {
    pub(crate) fn new(
        shared: Arc<Shared>,
        requests: Receiver<Request>,
        journal: Journal,
        upkeep: Upkeep,
    ) -> Self {
        upkeep.prepare_spare(journal.next_capacity());
        Self {
            shared,
            requests,
            journal,
            files: Files::default(),
            upkeep,
            round: 0,
            next_segment_attempt: None,
            behind: Vec::new(),
            unnoted: Vec::new(),
            dirty: HashSet::new(),
            checkpoint_round: 0,
            since_checkpoint: 0,
        }
    }

    /// Serves requests until it is told to close, then leaves the store in order.
    pub(crate) fn run(mut self) {
        let served = catch_unwind(AssertUnwindSafe(|| self.serve()));
        if served.is_err() {
            self.shared
                .fail(io::Error::other("the committer panicked; this is a bug"));
        }
        self.close();
    }

    fn serve(&mut self) {
        let mut carried = None;
        loop {
            let Some(first) = carried.take().or_else(|| self.requests.recv().ok()) else {
                return;
            };
            let mut round = self.start_round(&first);
            let mut next = Some(first);
            let mut open = true;
            while let Some(request) = next.take() {
                if matches!(request, Request::Close) {
                    open = false;
                    break;
                }
                if !self.fits(&round, &request) {
                    carried = Some(request);
                    break;
                }
                self.admit(&mut round, request);
                next = self.requests.try_recv().ok();
            }
            self.finish_round(round);
            if !open {
                return;
            }
        }
    }

    /// Begins a round whose first request is `first`.
    fn start_round(&mut self, first: &Request) -> Round {
        self.round += 1;
        // What a failed store's journal holds behind its end is in doubt: nothing may follow on it.
        let may_write = self.shared.check_failed().is_ok();
        let has_lines = self.journal.end().offset > 0;
        if may_write && has_lines && !self.journal.has_room_for(size_of(first) as u64) {
            self.start_segment();
        }
        Round {
            batch: self.journal.begin_batch(),
            streams: Vec::new(),
            answers: Vec::new(),
        }
    }

    /// Goes on in a new segment. If there can be none the old one just grows, more slowly.
    fn start_segment(&mut self) {
        if self
            .next_segment_attempt
            .is_some_and(|at| Instant::now() < at)
        {
            return;
        }
        let spare = self.upkeep.take_spare().map_or_else(
            || {
                let name = format!("urgent-{}.tmp", self.round);
                Spare::create(self.journal.dir(), &name, self.journal.next_capacity())
                    .map_err(AppendError::NotStored)
            },
            Ok,
        );
        match spare.and_then(|spare| self.journal.start_segment(spare)) {
            Ok(()) => {
                self.next_segment_attempt = None;
                self.upkeep.prepare_spare(self.journal.next_capacity());
            }
            Err(AppendError::NotStored(error)) => {
                tracing::warn!(%error, "no new journal segment; the old one grows on");
                self.next_segment_attempt = Some(Instant::now() + SEGMENT_RETRY);
            }
            Err(AppendError::Unknown(error)) => {
                tracing::error!(%error, "the store has failed: it must be opened again");
                self.shared.fail(error);
            }
        }
    }

    /// Whether `round` can take `request` as well.
    fn fits(&self, round: &Round, request: &Request) -> bool {
        let size = round.batch.bytes.len() + size_of(request);
        round.answers.is_empty()
            || (round.answers.len() < LARGEST_ROUND
                && round.streams.len() < OPEN_FILES
                && size <= LARGEST_BATCH
                && (round.streams.is_empty() || self.journal.has_room_for(size as u64)))
    }

    /// Takes a request into the round, or answers it if it cannot be.
    fn admit(&mut self, round: &mut Round, request: Request) {
        match request {
            Request::Commit(commit) => {
                let staged = self.may_commit(&commit).and_then(|()| {
                    self.stage(round, &commit.stream, None)
                        .map_err(CommitError::not_stored)
                });
                match staged {
                    Ok(()) => add_commit(round, commit),
                    Err(error) => refuse(commit, error),
                }
            }
            Request::Adopt(adoption) => match self.stage_adoption(round, &adoption) {
                Ok(()) => add_adoption(round, adoption),
                Err(error) => respond(adoption.done, Err(error)),
            },
            Request::Fence {
                stream,
                epoch,
                done,
            } => round.answers.push(Answer {
                done,
                position: 0,
                fence: Some((stream, epoch)),
            }),
            Request::Close => unreachable!("the caller ends the round there"),
        }
    }

    fn may_commit(&self, commit: &Commit) -> Result<(), CommitError> {
        self.shared.check_failed()?;
        commit.stream.failure(commit.epoch).map_or(Ok(()), Err)
    }

    /// Makes sure that the stream can be appended to, and has a place in the round.
    fn stage(
        &mut self,
        round: &mut Round,
        stream: &Arc<Stream>,
        end: Option<(StreamEnd, u64)>,
    ) -> io::Result<()> {
        if find(&mut round.streams, stream).is_some() {
            return Ok(());
        }
        self.catch_up(stream)?;
        let (end, length) = end.unwrap_or_else(|| {
            let end = stream.tail().end;
            (end, end.offset)
        });
        self.files.prepare(stream, length)?;
        round.streams.push(StagedStream {
            stream: stream.clone(),
            start: end,
            end,
            lines: Vec::new(),
            adopted: false,
            snapshot: None,
        });
        Ok(())
    }

    fn stage_adoption(
        &mut self,
        round: &mut Round,
        adoption: &Adoption,
    ) -> Result<(), CommitError> {
        self.shared.check_failed()?;
        let stream = &adoption.stream;
        if find(&mut round.streams, stream).is_some() {
            // Nobody hands over anything for a stream whose lines are being adopted.
            return Err(CommitError::Superseded);
        }
        let mut prepare = || -> io::Result<()> {
            let end = Some((adoption.after, adoption.file_length));
            self.stage(round, stream, end)?;
            if adoption.file_end < adoption.file_length {
                keep_unfinished_line(stream, adoption.file_end)?;
                self.files.cut(stream, adoption.file_end)?;
            }
            Ok(())
        };
        prepare().map_err(CommitError::not_stored)
    }

    /// Writes to the stream's file what it lacks.
    fn catch_up(&mut self, stream: &Arc<Stream>) -> io::Result<()> {
        let Some(behind) = stream.tail().behind.clone() else {
            return Ok(());
        };
        self.files.write(stream, behind.offset, &behind.lines)?;
        stream.tail().behind = None;
        self.behind.retain(|other| !Arc::ptr_eq(other, stream));
        Ok(())
    }

    /// Makes the round durable and answers everyone in it.
    fn finish_round(&mut self, round: Round) {
        let Round {
            batch,
            streams,
            answers,
        } = round;
        let outcome = if batch.end.position == batch.durable {
            Ok(())
        } else {
            self.append(&batch)
        };
        match &outcome {
            Ok(()) => {
                // First, so that whoever sees a stream's new version sees the head with it.
                self.shared.set_head(batch.end.position);
                for staged in streams {
                    self.complete(staged);
                }
                self.since_checkpoint += batch.bytes.len() as u64;
            }
            Err(error) => {
                for staged in streams {
                    staged.stream.tail().failure = Some(error.clone());
                }
            }
        }
        for answer in answers {
            let Answer {
                done,
                position,
                fence,
            } = answer;
            let result = match fence {
                None => outcome.clone().map(|()| position),
                Some((stream, epoch)) => fence_result(&stream, epoch),
            };
            respond(done, result);
        }
        if self.since_checkpoint >= CHECKPOINT_EVERY {
            self.checkpoint();
        }
    }

    fn append(&mut self, batch: &Batch) -> Result<(), CommitError> {
        self.journal.append(batch).map_err(|error| match error {
            AppendError::NotStored(error) => CommitError::not_stored(error),
            AppendError::Unknown(error) => {
                tracing::error!(%error, "the store has failed: it must be opened again");
                note_doubt(self.journal.dir());
                CommitError::Unknown(self.shared.fail(error))
            }
        })
    }

    /// Brings a stream's file to what is durable in the journal, which stands whatever happens
    /// here.
    fn complete(&mut self, staged: StagedStream) {
        let StagedStream {
            stream,
            start,
            mut end,
            lines,
            adopted,
            snapshot,
        } = staged;
        if !lines.is_empty() {
            end.offset = start.offset + lines.len() as u64;
            end.hash = last_line_hash(&lines);
            if let Err(error) = self.files.write(&stream, start.offset, &lines) {
                tracing::error!(stream = %stream.id(), %error, "the stream takes no more commands until its file can be written");
                let offset = start.offset;
                stream.tail().behind = Some(Behind { offset, lines });
                self.behind.push(stream.clone());
            }
        }
        if adopted
            && let Err(error) = Adopted::record(stream.dir(), end.offset, end.version, end.position)
        {
            tracing::error!(stream = %stream.id(), %error, "the adopted lines are noted when the store is next opened");
            stream.tail().unnoted = Some(Adopted::unverified(&end));
            self.unnoted.push(stream.clone());
        }
        stream.tail().end = end;
        stream.set_durable(&end);
        if let Some((draft, end)) = snapshot {
            self.upkeep.save_snapshot(stream.clone(), draft, end);
        }
        if stream.tail().dirty_since.replace(self.checkpoint_round) != Some(self.checkpoint_round) {
            self.dirty.insert(stream.dir().to_owned());
        }
    }

    /// Lets the upkeep thread move the redo point up to here, unless a stream's file is not.
    fn checkpoint(&mut self) {
        if !self.behind.is_empty() || !self.unnoted.is_empty() || !self.upkeep.may_checkpoint() {
            return;
        }
        let job = CheckpointJob {
            end: self.journal.end(),
            dirty: std::mem::take(&mut self.dirty).into_iter().collect(),
            clean: false,
        };
        self.upkeep.submit(Job::Checkpoint(job));
        self.checkpoint_round += 1;
        self.since_checkpoint = 0;
    }

    /// Leaves the store in order: what is still asked for is refused, the redo point moves to the
    /// end.
    fn close(mut self) {
        self.shared.refuse_new_requests();
        refuse_waiting(&self.requests);
        for stream in std::mem::take(&mut self.behind) {
            if self.catch_up(&stream).is_err() {
                self.behind.push(stream);
            }
        }
        if !self.behind.is_empty() || !self.unnoted.is_empty() {
            self.shared.leave_behind();
        }
        let clean = !self.shared.is_left_behind() && self.shared.check_failed().is_ok();
        let last = clean.then(|| CheckpointJob {
            end: self.journal.end(),
            dirty: std::mem::take(&mut self.dirty).into_iter().collect(),
            clean: true,
        });
        self.files = Files::default();
        self.upkeep.finish(last);
        // Whoever asked at the last moment.
        refuse_waiting(&self.requests);
    }
}

fn refuse_waiting(requests: &Receiver<Request>) {
    while let Ok(request) = requests.try_recv() {
        match request {
            Request::Commit(commit) => refuse(commit, CommitError::Closed),
            Request::Adopt(Adoption { done, .. }) => respond(done, Err(CommitError::Closed)),
            Request::Fence {
                stream,
                epoch,
                done,
            } => respond(done, fence_result(&stream, epoch)),
            Request::Close => {}
        }
    }
}

/// Answers a commit with an error. Its epoch has failed with it: the aggregate has decided on a
/// state that includes the commit.
fn refuse(commit: Commit, error: CommitError) {
    commit.stream.fail_epoch(commit.epoch, &error);
    respond(commit.done, Err(error));
}

fn respond(done: Done, result: Result<u64, CommitError>) {
    // A caller's own types are dropped here; their panics must not reach this thread.
    if catch_unwind(AssertUnwindSafe(|| done(result))).is_err() {
        tracing::error!("a panic in the answer to a command was ignored");
    }
}

/// Keeps what another program left unfinished at the end of a stream's file, before it is cut off.
fn keep_unfinished_line(stream: &Stream, offset: u64) -> io::Result<()> {
    let file = stream.file();
    let bytes = std::fs::read(&file).map_err(|e| disk::at("read", &file, &e))?;
    let start = usize::try_from(offset)
        .unwrap_or(usize::MAX)
        .min(bytes.len());
    let kept = stream.dir().join(format!("app.jsonl.unfinished-{offset}"));
    tracing::warn!(stream = %stream.id(), offset, kept = %kept.display(), "an unfinished line is cut off");
    disk::replace(&kept, &bytes[start..], false)
}

/// What a fence answers: the stream's last durable position, or why the epoch failed.
fn fence_result(stream: &Stream, epoch: u64) -> Result<u64, CommitError> {
    stream
        .failure(epoch)
        .map_or_else(|| Ok(stream.durable_position()), Err)
}
