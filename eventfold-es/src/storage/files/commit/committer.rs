//! The committer: the one thread that appends to the journal. The first request starts it.
//!
//! It takes all waiting requests, writes their commits to the journal as one batch, makes the batch
//! durable and answers. It leaves the streams' files to the
//! [stream writer](crate::storage::files::streams::writer). Meanwhile the next requests gather, so
//! batches form by themselves. A lone commit never waits for
//! [others](crate::storage::files::commit::delay).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

mod staging;

use crate::clock::monotonic_nanos;
use crate::meter::Meters;
use crate::storage::commit::{CommitError, GroupDone};
use crate::storage::error::{StorageError, StorageErrorKind};
use crate::storage::files::commit::batch::{
    Answer, AnswerTo, CommitBatch, StagedStream, add_commit, add_group, size_of, streams_of,
};
use crate::storage::files::commit::delay::GroupDelay;
use crate::storage::files::commit::queue::Receiver;
use crate::storage::files::commit::request::{Request, StreamCommit, StreamsCommit};
use crate::storage::files::disk::failed_syncs;
use crate::storage::files::journal::AppendError;
use crate::storage::files::journal::Journal;
use crate::storage::files::journal::Spare;
use crate::storage::files::journal::batch::JournalBatch;
use crate::storage::files::streams::cache::{OpenFiles, STREAMS_OF_A_BATCH};
use crate::storage::files::streams::high_water::HighWaterMarks;
use crate::storage::files::streams::stream::Stream;
use crate::storage::files::streams::unflushed::UnflushedLines;
use crate::storage::files::streams::writer::{StreamWriter, Unflushed};
use crate::storage::files::tags::entry::add_entries;
use crate::storage::files::tags::find::Finder;
use crate::storage::files::tags::index::TagIndex;
use crate::storage::files::tags::recent::{Recent, read_own};
use crate::storage::files::upkeep::{Job, RedoPointJob, Upkeep};
use crate::storage::health::Health;

/// How many requests one batch takes at most.
const MOST_REQUESTS: usize = 1024;
/// How many bytes of events one batch takes at most, unless a single commit is larger.
const LARGEST_BATCH: usize = 4 * 1024 * 1024;
/// How many bytes the journal grows between checkpoints. Opening after a crash replays at most this
/// much, and the growth during one checkpoint. A checkpoint flushes all streams written since the
/// last.
const CHECKPOINT_EVERY: u64 = if cfg!(test) { 6 } else { 32 * 1024 } * 1024;
/// How long to wait before the next attempt to create a segment, after one failed.
const SEGMENT_RETRY: Duration = Duration::from_secs(1);

/// The state of the committer's thread.
pub(crate) struct Committer {
    health: Arc<Health>,
    meters: Arc<Meters>,
    requests: Receiver,
    delay: GroupDelay,
    /// The room for pending commits.
    room: Arc<Semaphore>,
    journal: Journal,
    files: Arc<OpenFiles>,
    /// The streams whose files lack lines that are durable in the journal.
    unflushed: Arc<Unflushed>,
    stream_writer: StreamWriter,
    upkeep: Upkeep,
    batches: u64,
    /// A spare segment was asked for.
    has_spare: bool,
    /// When to try again to create a segment, after an attempt failed.
    next_segment_attempt: Option<Instant>,
    /// The high-water marks of the streams.
    marks: Arc<HighWaterMarks>,
    since_checkpoint: u64,
    /// The newest events, if conditions are in use.
    recent: Recent,
    tags: Arc<TagIndex>,
    finder: Finder,
}

impl Committer {
    pub(crate) fn new(
        (requests, room): (Receiver, Arc<Semaphore>),
        journal: Journal,
        upkeep: Upkeep,
        unflushed: Arc<Unflushed>,
        marks: Arc<HighWaterMarks>,
        finder: Finder,
        meters: Arc<Meters>,
    ) -> Self {
        let health = finder.health().clone();
        let files = Arc::<OpenFiles>::default();
        let stream_writer = StreamWriter::new(unflushed.clone(), files.clone(), health.clone());
        Self {
            health,
            meters,
            requests,
            delay: GroupDelay::default(),
            room,
            journal,
            files,
            unflushed,
            stream_writer,
            upkeep,
            batches: 0,
            has_spare: false,
            next_segment_attempt: None,
            marks,
            since_checkpoint: 0,
            recent: Recent::default(),
            tags: finder.tags().clone(),
            finder,
        }
    }

    /// The open files of streams.
    pub(crate) fn files(&self) -> &Arc<OpenFiles> {
        &self.files
    }

    /// Serves requests until one says to close, then leaves the store in order. Invariant C1.
    pub(crate) fn run(mut self) {
        let served = catch_unwind(AssertUnwindSafe(|| self.serve()));
        if served.is_err() {
            let text = "the committer panicked; this is a bug";
            self.health
                .fail(StorageError::new(StorageErrorKind::Bug, text));
        }
        self.close();
    }

    fn serve(&mut self) {
        while let Some(first) = self.first() {
            let mut batch = self.start_batch(&first);
            let mut next = Some(first);
            let mut open = true;
            while let Some(request) = next {
                if matches!(request, Request::Close) {
                    open = false;
                    break;
                }
                if !self.fits(&batch, &request) {
                    self.requests.put_back(request);
                    break;
                }
                self.admit(&mut batch, request);
                next = self.next_for(&batch);
            }
            self.finish_batch(batch);
            if !open {
                return;
            }
        }
    }

    /// The first request of a batch, `None` if there will be no more.
    fn first(&mut self) -> Option<Request> {
        let until = self.delay.until_first();
        let soon = until.and_then(|until| self.recv_until(until));
        soon.or_else(|| self.requests.recv())
    }

    /// The next request for `batch`, `None` if the batch should be written now.
    fn next_for(&mut self, batch: &CommitBatch) -> Option<Request> {
        self.requests.try_recv().or_else(|| {
            let until = self.delay.until_next(batch.answers.len())?;
            self.recv_until(until)
        })
    }

    /// The next request, if it comes before `until`.
    fn recv_until(&mut self, until: Instant) -> Option<Request> {
        loop {
            let next = self.requests.try_recv();
            if next.is_some() || Instant::now() >= until {
                self.delay.learn(next.is_some());
                return next;
            }
            // A sleep would be too long: waking up takes about as long as a typical wait here.
            std::thread::yield_now();
        }
    }

    /// Begins a batch for `first` and later requests.
    fn start_batch(&mut self, first: &Request) -> CommitBatch {
        self.batches += 1;
        // After a failure, the bytes after the journal's end are in doubt: no segment may follow.
        // Invariant D2.
        let may_write = self.health.check_failed().is_ok();
        // Without a commit, the next segment would have the same name. A power failure may leave a
        // segment with its header only.
        let has_commits = self.journal.end().position >= self.journal.end().segment;
        if may_write && has_commits && !self.journal.has_room_for(size_of(first) as u64) {
            self.start_segment();
        }
        CommitBatch {
            journal: self.journal.begin_batch(),
            streams: Vec::new(),
            tags: Vec::new(),
            answers: Vec::new(),
        }
    }

    /// Continues in a new segment. If none can be created, the old one grows, which is slower.
    fn start_segment(&mut self) {
        if self
            .next_segment_attempt
            .is_some_and(|at| Instant::now() < at)
        {
            return;
        }
        let spare = self.upkeep.take_spare().map_or_else(
            || {
                let name = format!("urgent-{}.tmp", self.batches);
                Spare::create(self.journal.dir(), &name, self.journal.next_capacity())
                    .map_err(AppendError::NotStored)
            },
            Ok,
        );
        match spare.and_then(|spare| self.journal.start_segment(spare)) {
            Ok(()) => {
                self.next_segment_attempt = None;
                if self.tags.start_segment(self.journal.end()) {
                    self.upkeep.submit(Job::Tags(self.tags.clone()));
                }
                self.upkeep.prepare_spare(self.journal.next_capacity());
            }
            Err(AppendError::NotStored(error)) => {
                tracing::warn!(%error, "no new journal segment could be created; the old one grows");
                self.next_segment_attempt = Some(Instant::now() + SEGMENT_RETRY);
            }
            Err(AppendError::Unknown(error)) => {
                tracing::error!(%error, "the store has failed: it must be opened again");
                self.health.fail(error);
            }
        }
    }

    /// Whether `batch` can also take `request`.
    fn fits(&self, batch: &CommitBatch, request: &Request) -> bool {
        let size = batch.journal.bytes.len() + size_of(request);
        batch.answers.is_empty()
            || (batch.answers.len() < MOST_REQUESTS
                && batch.streams.len() + streams_of(request) <= STREAMS_OF_A_BATCH
                && size <= LARGEST_BATCH
                && (batch.streams.is_empty() || self.journal.has_room_for(size as u64)))
    }

    /// Takes a request into the batch, or refuses it.
    fn admit(&mut self, batch: &mut CommitBatch, request: Request) {
        match request {
            Request::Commit(commit, span) => {
                let staged = self
                    .may_commit(&commit.stream, commit.epoch)
                    .and_then(|()| self.stage_at(batch, &commit.stream, commit.expected));
                match staged {
                    Ok(place) => {
                        let start = batch.journal.bytes.len();
                        let events = self.requests.events(&span);
                        add_commit(batch, place, commit, events);
                        self.note(batch, start, span.is_tagged());
                    }
                    Err(error) => {
                        self.room.add_permits(commit.kib(span.size()) as usize);
                        refuse(commit, error);
                    }
                }
            }
            Request::Group(group) => match self.stage_group(batch, &group) {
                Ok(places) => {
                    let start = batch.journal.bytes.len();
                    let is_tagged = group.is_tagged();
                    add_group(batch, &places, *group);
                    self.note(batch, start, is_tagged);
                }
                Err(error @ CommitError::ConditionFailed) => {
                    let kib = group.kib();
                    let done = fail_group(*group, &error);
                    let to = AnswerTo::Refused { error, done };
                    batch.answers.push(Answer { to, kib });
                }
                Err(error) => {
                    self.room.add_permits(group.kib() as usize);
                    refuse_group(*group, error);
                }
            },
            Request::Fence {
                stream,
                epoch,
                done,
            } => batch.answers.push(Answer {
                to: AnswerTo::Fence {
                    stream,
                    epoch,
                    done,
                },
                kib: 0,
            }),
            Request::Close => unreachable!("the caller ends the batch there"),
        }
    }

    /// Notes the tags of the commit that begins at `start` in the batch, and its events if conditions
    /// are in use.
    fn note(&mut self, batch: &mut CommitBatch, start: usize, is_tagged: bool) {
        if !is_tagged && !self.recent.is_used() {
            return;
        }
        let added = &batch.journal.bytes[start..];
        let Some((_, line)) = added.split_last() else {
            return;
        };
        let offset = self.journal.end().offset + start as u64;
        let noted = read_own(line).and_then(|commit| {
            if is_tagged {
                add_entries(&commit, offset, &mut batch.tags)?;
            }
            if self.recent.is_used() {
                self.recent.add(&commit, batch.journal.durable)?;
            }
            Ok(())
        });
        if let Err(error) = noted {
            self.health.fail(error);
        }
    }

    /// Fails if the store or the epoch of `stream` has failed. Invariant C4.
    fn may_commit(&self, stream: &Stream, epoch: u64) -> Result<(), CommitError> {
        self.health.check_failed()?;
        stream.failure(epoch).map_or(Ok(()), Err)
    }

    /// Makes sure that events can be appended to `stream`, which must be at the version `expected`.
    /// Returns the stream's place in the batch.
    #[inline]
    fn stage_at(
        &mut self,
        batch: &mut CommitBatch,
        stream: &Arc<Stream>,
        expected: u64,
    ) -> Result<usize, CommitError> {
        let place = self.stage(batch, stream);
        let place = place.map_err(CommitError::NotStored)?;
        check_version(expected, batch.streams[place].end.version)?;
        Ok(place)
    }

    /// Makes sure that all of `group` can be stored. Returns the places in the batch of the streams
    /// that get events.
    fn stage_group(
        &mut self,
        batch: &mut CommitBatch,
        group: &StreamsCommit,
    ) -> Result<Vec<Option<usize>>, CommitError> {
        self.health.check_failed()?;
        for part in &group.streams {
            self.may_commit(&part.stream, part.epoch)?;
        }
        self.recent
            .check(&group.condition, &batch.journal, &self.finder)?;
        let places = group.streams.iter().map(|part| {
            if part.events.count() > 0 {
                return self.stage_at(batch, &part.stream, part.expected).map(Some);
            }
            let staged = batch.place_of(&part.stream);
            let staged = staged.map(|place| batch.streams[place].end.version);
            let actual = staged.unwrap_or_else(|| part.stream.tail().end.version);
            check_version(part.expected, actual).map(|()| None)
        });
        places.collect()
    }

    /// Makes the batch durable and answers all its requests.
    fn finish_batch(&mut self, batch: CommitBatch) {
        let CommitBatch {
            journal: written,
            streams,
            tags,
            answers,
        } = batch;
        let (outcome, sync) = self.write(&written, &answers);
        let likely = self.requests.waiting() + answers.len();
        self.delay.expect(likely, sync);
        match &outcome {
            Ok(()) => {
                // A reader of the new head must find all tags up to there.
                self.tags.add(&tags);
                // Before the streams' versions: a reader of a new version must see the new head.
                self.health.set_head(written.end.position);
                self.since_checkpoint += written.bytes.len() as u64;
            }
            Err(error) => {
                for staged in &streams {
                    staged.stream.fail_present_epoch(error);
                }
                self.recent.forget_after(written.durable);
            }
        }
        let mut streams: Vec<_> = streams.into_iter().map(Some).collect();
        let (mut unflushed, mut room) = (0, 0);
        for Answer { to, kib } in answers {
            // Only this answer's streams: the first answer must not wait for all streams.
            let mut complete = |place: usize| {
                if outcome.is_ok()
                    && let Some(staged) = streams[place].take()
                {
                    unflushed += self.complete(staged, &written);
                }
            };
            room += kib as usize;
            match to {
                AnswerTo::Commit {
                    place,
                    position,
                    done,
                } => {
                    complete(place);
                    let result = outcome.clone().map(|()| position);
                    respond(|| done(result));
                }
                AnswerTo::Group {
                    places,
                    positions,
                    handed_over,
                    done,
                } => {
                    if let (Err(_), Some(handed_over)) = (&outcome, handed_over) {
                        handed_over.fail();
                    }
                    places.into_iter().for_each(complete);
                    let result = outcome.clone().map(|()| positions);
                    respond(|| done(result));
                }
                AnswerTo::Refused { error, done } => {
                    // What it was refused for may not be stored after all.
                    let error = match &outcome {
                        Ok(()) => error,
                        Err(CommitError::Unknown(cause)) => CommitError::Failed(cause.clone()),
                        Err(cause) => cause.clone(),
                    };
                    respond(|| done(Err(error)));
                }
                AnswerTo::Fence {
                    stream,
                    epoch,
                    done,
                } => {
                    let result = fence_result(&stream, epoch);
                    respond(|| done(result));
                }
            }
        }
        let left = self.requests.taken();
        self.meters.appended.in_hand.set(left as u64);
        if outcome.is_ok() {
            self.finder.complete(written.end.position);
        }
        self.journal.reuse(written);
        self.room.add_permits(room);
        self.unflushed.release(unflushed);
        if self.since_checkpoint >= CHECKPOINT_EVERY {
            self.checkpoint();
        }
    }

    /// Makes the batch durable, unless it has no events. Returns how long that took, too.
    fn write(
        &mut self,
        written: &JournalBatch,
        answers: &[Answer],
    ) -> (Result<(), CommitError>, Duration) {
        let appended = &self.meters.appended;
        appended
            .in_hand
            .set((self.requests.taken() + answers.len()) as u64);
        let started = monotonic_nanos();
        let is_empty = written.end.position == written.durable;
        let outcome = if is_empty {
            Ok(())
        } else {
            // 0 means that nothing is being written.
            appended.writing_since.set(started.max(1));
            let appended = self.append(written);
            if appended.is_ok() && !std::mem::replace(&mut self.has_spare, true) {
                // Not before: a store that is only read needs none, and the first batch may need its space.
                self.upkeep.prepare_spare(self.journal.next_capacity());
            }
            appended
        };
        let ended = monotonic_nanos();
        self.meters.appended.writing_since.set(0);
        self.meters.answer_at(ended);
        let sync = ended.saturating_sub(started);
        if !is_empty {
            self.count(written, answers, (&outcome, sync));
        }
        (outcome, Duration::from_nanos(sync))
    }

    /// Counts a batch that took so many nanoseconds.
    fn count(
        &self,
        written: &JournalBatch,
        answers: &[Answer],
        (outcome, sync): (&Result<(), CommitError>, u64),
    ) {
        let appended = &self.meters.appended;
        match outcome {
            Ok(()) => {
                let commits = answers.iter().filter(|answer| answer.is_of_commit());
                let commits = commits.count() as u64;
                appended.events.add(written.end.position - written.durable);
                appended.bytes.add(written.bytes.len() as u64);
                appended.commits.add(commits);
                appended.batch.add(commits);
                appended.sync.add(sync);
                self.health.note_batch(Ok(()));
            }
            Err(error) => {
                appended.failed.add(1);
                if let CommitError::NotStored(error) = error {
                    self.health.note_batch(Err(error));
                }
            }
        }
    }

    /// Writes the batch and makes it durable. A failed sync ends all writing. Invariant C6.
    fn append(&mut self, written: &JournalBatch) -> Result<(), CommitError> {
        self.journal.append(written).map_err(|error| match error {
            AppendError::NotStored(error) => CommitError::NotStored(error),
            AppendError::Unknown(error) => {
                tracing::error!(%error, "the store has failed: it must be opened again");
                // A failed write that could not be erased leaves the same doubt as a failed sync.
                failed_syncs::tell(self.journal.dir());
                let error = self.health.fail(error);
                CommitError::Unknown(error.with_advice("open the store again to find out"))
            }
        })
    }

    /// Publishes a stream's durable end, and queues the new lines for the stream's file. Returns
    /// how many bytes are queued. Invariant C3.
    fn complete(&mut self, staged: StagedStream, written: &JournalBatch) -> usize {
        let lacking = staged.lines.iter().map(|line| line.len() + 1).sum();
        let hash = staged.last_line_hash(written);
        let StagedStream {
            stream,
            start,
            mut end,
            file,
            lines,
            snapshot,
        } = staged;
        let mut tail = stream.tail();
        let was_flushed = lacking > 0 && tail.unflushed.is_none();
        if lacking > 0 {
            end.hash = hash;
            let unflushed = tail
                .unflushed
                .get_or_insert_with(|| UnflushedLines::new(start.offset, Vec::new(), file));
            let further = unflushed.further();
            further.reserve(lacking);
            for line in lines {
                further.extend_from_slice(&written.bytes[line]);
                further.push(b'\n');
            }
        }
        tail.end = end;
        // Under the same lock as the lines, so that a reader sees marks and lines that fit.
        self.marks.set(stream.hash(), stream.dir(), &end);
        drop(tail);
        if was_flushed {
            self.unflushed.add(stream.clone());
        }
        stream.set_durable(&end);
        if let Some((draft, end)) = snapshot {
            self.upkeep.save_snapshot(stream.clone(), draft, end);
        }
        lacking
    }

    /// Lets the upkeep thread move the redo point to the journal's end, unless a stream's file
    /// cannot be written.
    fn checkpoint(&mut self) {
        if !self.upkeep.may_checkpoint() {
            return;
        }
        if !self.unflushed.retry_all(&self.files) {
            return;
        }
        let job = RedoPointJob {
            end: self.journal.end(),
            taken: self.marks.take(),
            clean: false,
        };
        self.upkeep.submit(Job::RedoPoint(job));
        self.since_checkpoint = 0;
    }

    /// Leaves the store in order: refuses all waiting requests and moves the redo point to the end.
    fn close(mut self) {
        self.health.refuse_new_requests();
        self.room.close();
        refuse_all(self.requests.close());
        if !self.stream_writer.finish(&self.files) {
            self.health.leave_behind();
        }
        if self.health.check_failed().is_ok() && self.journal.is_deleted() {
            self.health.fail(self.journal.deleted());
        }
        let clean = !self.health.is_left_behind() && self.health.check_failed().is_ok();
        if clean {
            self.tags.keep_last(self.journal.end());
        }
        let last = clean.then(|| RedoPointJob {
            end: self.journal.end(),
            taken: self.marks.take(),
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
            Request::Group(group) => refuse_group(*group, CommitError::Closed),
            Request::Fence {
                stream,
                epoch,
                done,
            } => {
                let result = fence_result(&stream, epoch);
                respond(|| done(result));
            }
            Request::Close => {}
        }
    }
}

/// Fails if the stream is not at the version that the events were decided on.
fn check_version(expected: u64, actual: u64) -> Result<(), CommitError> {
    if actual == expected {
        Ok(())
    } else {
        Err(CommitError::Conflict { actual })
    }
}

/// Answers a commit with an error. Fails its epoch, because the aggregate's state has the commit.
pub(crate) fn refuse(commit: StreamCommit, error: CommitError) {
    let StreamCommit {
        stream,
        epoch,
        done,
        ..
    } = commit;
    stream.fail_epoch(epoch, &error);
    respond(|| done(Err(error)));
}

/// Answers a commit of several streams with an error.
pub(crate) fn refuse_group(group: StreamsCommit, error: CommitError) {
    let done = fail_group(group, &error);
    respond(|| done(Err(error)));
}

/// Fails the epochs of all streams of a commit. Returns who waits for the answer.
fn fail_group(group: StreamsCommit, error: &CommitError) -> GroupDone {
    for part in &group.streams {
        part.stream.fail_epoch(part.epoch, error);
    }
    group.fail();
    group.done
}

fn respond(answer: impl FnOnce()) {
    // Values of the caller's types are dropped here. Their panics must not reach this thread.
    if catch_unwind(AssertUnwindSafe(answer)).is_err() {
        tracing::error!("a panic in the answer to a command was ignored");
    }
}

/// The answer to a fence: the stream's last durable position, or why the epoch failed.
pub(crate) fn fence_result(stream: &Stream, epoch: u64) -> Result<u64, CommitError> {
    stream
        .failure(epoch)
        .map_or_else(|| Ok(stream.durable_position()), Err)
}
