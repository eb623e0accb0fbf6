//! The committer: the one thread of a store that writes.
//!
//! It takes all requests that wait, writes their commits to the journal as one batch, makes that
//! durable, answers, and leaves the streams' files to the [stream writer](crate::storage::files::streams::writer).
//! While it does so the next requests gather, so batches form by themselves. A lone commit never
//! waits for [company](crate::storage::files::commit::delay).

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

mod staging;

use crate::storage::files::commit::batch::{Answer, Round, StagedStream, add_commit, size_of};
use crate::storage::files::commit::delay::Company;
use crate::storage::files::commit::health::Shared;
use crate::storage::files::commit::queue::Receiver;
use crate::storage::files::commit::request::{Commit, CommitError, Done, Request};
use crate::storage::files::doubt;
use crate::storage::files::journal::{AppendError, Batch, Journal, Spare};
use crate::storage::files::streams::cache::{Files, STREAMS_OF_A_BATCH};
use crate::storage::files::streams::high_water::Ends;
use crate::storage::files::streams::stream::{Behind, Stream};
use crate::storage::files::streams::writer::{Lagging, StreamWriter};
use crate::storage::files::upkeep::{CheckpointJob, Job, Upkeep};

/// How many requests one batch takes at most.
const LARGEST_ROUND: usize = 1024;
/// How many bytes of events one batch takes at most, unless a single commit is larger.
const LARGEST_BATCH: usize = 4 * 1024 * 1024;
/// How much the journal grows between checkpoints. Opening after a crash replays at most so much and
/// what grew while a checkpoint was made; a checkpoint flushes all streams that were written since.
const CHECKPOINT_EVERY: u64 = if cfg!(test) { 6 } else { 32 * 1024 } * 1024;
/// How long to wait after a new segment could not be made.
const SEGMENT_RETRY: Duration = Duration::from_secs(1);

/// The state of the committer's thread.
pub(crate) struct Committer {
    shared: Arc<Shared>,
    requests: Receiver,
    company: Company,
    /// The room that commits under way take.
    room: Arc<Semaphore>,
    journal: Journal,
    files: Arc<Files>,
    /// The streams whose files lack lines that are durable in the journal.
    lagging: Arc<Lagging>,
    stream_writer: StreamWriter,
    upkeep: Upkeep,
    round: u64,
    /// When a new segment may be tried again, after one could not be made.
    next_segment_attempt: Option<Instant>,
    /// With what the streams end.
    ends: Arc<Ends>,
    since_checkpoint: u64,
}

impl Committer {
    pub(crate) fn new(
        shared: Arc<Shared>,
        requests: Receiver,
        room: Arc<Semaphore>,
        journal: Journal,
        upkeep: Upkeep,
        lagging: Arc<Lagging>,
        ends: Arc<Ends>,
    ) -> io::Result<Self> {
        upkeep.prepare_spare(journal.next_capacity());
        let files = Arc::<Files>::default();
        let started = StreamWriter::start(lagging.clone(), files.clone(), shared.clone());
        let stream_writer = match started {
            Ok(stream_writer) => stream_writer,
            Err(error) => {
                upkeep.finish(None);
                return Err(error);
            }
        };
        Ok(Self {
            shared,
            requests,
            company: Company::default(),
            room,
            journal,
            files,
            lagging,
            stream_writer,
            upkeep,
            round: 0,
            next_segment_attempt: None,
            ends,
            since_checkpoint: 0,
        })
    }

    /// The open files of streams.
    pub(crate) fn files(&self) -> &Arc<Files> {
        &self.files
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
        while let Some(first) = self.first() {
            let mut round = self.start_round(&first);
            let mut next = Some(first);
            let mut open = true;
            while let Some(request) = next {
                if matches!(request, Request::Close) {
                    open = false;
                    break;
                }
                if !self.fits(&round, &request) {
                    self.requests.put_back(request);
                    break;
                }
                self.admit(&mut round, request);
                next = self.next_for(&round);
            }
            self.finish_round(round);
            if !open {
                return;
            }
        }
    }

    /// The first request of a round, `None` if there will be no more.
    fn first(&mut self) -> Option<Request> {
        let until = self.company.until_first();
        let soon = until.and_then(|until| self.recv_until(until));
        soon.or_else(|| self.requests.recv())
    }

    /// The next request that `round` should take, `None` if it should set out.
    fn next_for(&mut self, round: &Round) -> Option<Request> {
        self.requests.try_recv().or_else(|| {
            let until = self.company.until_next(round.answers.len())?;
            self.recv_until(until)
        })
    }

    /// The next request if it comes until then.
    fn recv_until(&mut self, until: Instant) -> Option<Request> {
        loop {
            let next = self.requests.try_recv();
            if next.is_some() || Instant::now() >= until {
                self.company.learn(next.is_some());
                return next;
            }
            // Not a sleep: waking up takes about as long as this waits at most.
            std::thread::yield_now();
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
                && round.streams.len() < STREAMS_OF_A_BATCH
                && size <= LARGEST_BATCH
                && (round.streams.is_empty() || self.journal.has_room_for(size as u64)))
    }

    /// Takes a request into the round, or answers it if it cannot be.
    fn admit(&mut self, round: &mut Round, request: Request) {
        match request {
            Request::Commit(commit, span) => {
                let staged = self.may_commit(&commit).and_then(|()| {
                    self.stage(round, &commit.stream)
                        .map_err(CommitError::not_stored)
                });
                match staged {
                    Ok(place) => {
                        let events = self.requests.events(&span);
                        add_commit(round, place, commit, events);
                    }
                    Err(error) => {
                        self.room.add_permits(commit.kib(span.size()) as usize);
                        refuse(commit, error);
                    }
                }
            }
            Request::Fence {
                stream,
                epoch,
                done,
            } => round.answers.push(Answer {
                done,
                place: None,
                position: 0,
                kib: 0,
                fence: Some((stream, epoch)),
            }),
            Request::Close => unreachable!("the caller ends the round there"),
        }
    }

    fn may_commit(&self, commit: &Commit) -> Result<(), CommitError> {
        self.shared.check_failed()?;
        commit.stream.failure(commit.epoch).map_or(Ok(()), Err)
    }

    /// Makes the round durable and answers everyone in it.
    fn finish_round(&mut self, round: Round) {
        let Round {
            batch,
            streams,
            answers,
        } = round;
        let started = Instant::now();
        let outcome = if batch.end.position == batch.durable {
            Ok(())
        } else {
            self.append(&batch)
        };
        let sync = started.elapsed();
        let likely = self.requests.waiting() + answers.len();
        self.company.expect(likely, sync);
        match &outcome {
            Ok(()) => {
                // First, so that whoever sees a stream's new version sees the head with it.
                self.shared.set_head(batch.end.position);
                self.since_checkpoint += batch.bytes.len() as u64;
            }
            Err(error) => {
                for staged in &streams {
                    staged.stream.fail_present_epoch(error);
                }
            }
        }
        let mut streams: Vec<_> = streams.into_iter().map(Some).collect();
        let (mut written, mut room) = (0, 0);
        for answer in answers {
            let Answer {
                done,
                place,
                position,
                kib,
                fence,
            } = answer;
            // Only this one, so that the first need not wait for what is done for the last.
            if outcome.is_ok()
                && let Some(staged) = place.and_then(|place| streams[place].take())
            {
                written += self.complete(staged, &batch);
            }
            room += kib as usize;
            let result = match fence {
                None => outcome.clone().map(|()| position),
                Some((stream, epoch)) => fence_result(&stream, epoch),
            };
            respond(done, result);
        }
        self.journal.reuse(batch);
        self.room.add_permits(room);
        self.lagging.release(written);
        if self.since_checkpoint >= CHECKPOINT_EVERY {
            self.checkpoint();
        }
    }

    fn append(&mut self, batch: &Batch) -> Result<(), CommitError> {
        self.journal.append(batch).map_err(|error| match error {
            AppendError::NotStored(error) => CommitError::not_stored(error),
            AppendError::Unknown(error) => {
                tracing::error!(%error, "the store has failed: it must be opened again");
                // A write that failed and could not be taken back leaves as much doubt as a sync.
                doubt::note(self.journal.dir());
                CommitError::Unknown(self.shared.fail(error))
            }
        })
    }

    /// Lets everyone see what of a stream is durable now, and has its file brought to it. Returns how
    /// many bytes that lacks.
    fn complete(&mut self, staged: StagedStream, batch: &Batch) -> usize {
        let lacking = staged.lines.iter().map(|line| line.len() + 1).sum();
        let hash = staged.last_line_hash(batch);
        let StagedStream {
            stream,
            start,
            mut end,
            file,
            lines,
            snapshot,
        } = staged;
        let mut tail = stream.tail();
        let begins_to_lag = lacking > 0 && tail.behind.is_none();
        if lacking > 0 {
            end.hash = hash;
            let behind = tail.behind.get_or_insert_with(|| Behind {
                offset: start.offset,
                lines: Vec::new(),
                failed: false,
                file,
            });
            behind.lines.reserve(lacking);
            for line in lines {
                behind.lines.extend_from_slice(&batch.bytes[line]);
                behind.lines.push(b'\n');
            }
        }
        tail.end = end;
        // With the lines, so that whoever reads them knows that there are no more.
        self.ends.set(&stream, &end);
        drop(tail);
        if begins_to_lag {
            self.lagging.add(stream.clone());
        }
        stream.set_durable(&end);
        if let Some((draft, end)) = snapshot {
            self.upkeep.save_snapshot(stream.clone(), draft, end);
        }
        lacking
    }

    /// Lets the upkeep thread move the redo point up to here, unless a stream's file is not.
    fn checkpoint(&mut self) {
        if !self.upkeep.may_checkpoint() {
            return;
        }
        if !self.lagging.retry_all(&self.files) {
            return;
        }
        let job = CheckpointJob {
            end: self.journal.end(),
            taken: self.ends.take(),
            clean: false,
        };
        self.upkeep.submit(Job::Checkpoint(job));
        self.since_checkpoint = 0;
    }

    /// Leaves the store in order: what is still asked for is refused, the redo point moves to the
    /// end.
    fn close(mut self) {
        self.shared.refuse_new_requests();
        self.room.close();
        refuse_all(self.requests.close());
        if !self.stream_writer.finish(&self.files) {
            self.shared.leave_behind();
        }
        if self.shared.check_failed().is_ok() && self.journal.is_deleted() {
            self.shared.fail(self.journal.deleted());
        }
        let clean = !self.shared.is_left_behind() && self.shared.check_failed().is_ok();
        let last = clean.then(|| CheckpointJob {
            end: self.journal.end(),
            taken: self.ends.take(),
            clean: true,
        });
        drop(self.files);
        self.upkeep.finish(last);
    }
}

fn refuse_all(requests: impl Iterator<Item = Request>) {
    for request in requests {
        match request {
            Request::Commit(commit, _) => refuse(commit, CommitError::Closed),
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

/// What a fence answers: the stream's last durable position, or why the epoch failed.
fn fence_result(stream: &Stream, epoch: u64) -> Result<u64, CommitError> {
    stream
        .failure(epoch)
        .map_or_else(|| Ok(stream.durable_position()), Err)
}
