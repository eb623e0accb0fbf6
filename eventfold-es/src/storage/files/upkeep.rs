//! The upkeep thread: work that no command should wait for. It prepares journal segments, moves the
//! redo point, writes snapshots, and compresses and drops sealed segments. Its first job starts it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::clock::millis;
use crate::meter::Meters;
use crate::storage::error::{StorageError, StorageResult};
use crate::storage::files::compress::Compressor;
use crate::storage::files::disk::failed_syncs;
use crate::storage::files::file_systems::FileSystems;
use crate::storage::files::journal::Spare;
use crate::storage::files::journal::end::End;
use crate::storage::files::recovery::redo_point::RedoPoint;
use crate::storage::files::retention::Retention;
use crate::storage::files::snapshots::queue::SnapshotQueue;
use crate::storage::files::streams::end::StreamEnd;
use crate::storage::files::streams::high_water::{HighWaterMarks, Taken};
use crate::storage::files::streams::stream::Stream;
use crate::storage::files::streams::writer::Unflushed;
use crate::storage::files::tags::index::TagIndex;
use crate::storage::retention::{DroppedJournal, Needs};
use crate::storage::snapshot::Draft;
use crate::sync::lock;
use crate::thread::OnDemand;

/// The pause after a snapshot, as a multiple of the time that the snapshot took. Snapshots save
/// time later and must not cost much now.
const SNAPSHOT_PAUSE: u32 = 4;

/// The pause after a step of compressing, as a multiple of the time that the step took.
const COMPRESSING_PAUSE: u32 = if cfg!(test) { 0 } else { 4 };

/// How long after the opening of the store segments are not yet compressed without being asked: whoever opens
/// it wants to read, and a program that ends soon would only begin.
const BEFORE_COMPRESSING: Duration = Duration::from_secs(if cfg!(test) { 0 } else { 2 });

/// How often it looks for segments that are old enough to be dropped, besides each time that the redo
/// point has moved.
const DROPPING_PAUSE: Duration = Duration::from_secs(600);

/// A job for the upkeep thread.
pub(crate) enum Job {
    Spare(u64),
    RedoPoint(RedoPointJob),
    /// Snapshots are waiting to be written.
    Snapshots,
    /// Tags of sealed segments are to be written into files.
    Tags(Arc<TagIndex>),
    /// The sealed segments are to be compressed without a pause. The answer is how many were.
    Compress(oneshot::Sender<StorageResult<u64>>),
    /// The sealed segments that are so old are to be dropped now.
    Drop(
        Duration,
        Needs,
        oneshot::Sender<StorageResult<DroppedJournal>>,
    ),
    /// The sealed segments are to be dropped whenever they are so old.
    Keep(Duration, Needs),
    /// Something that must not happen beside the others.
    #[cfg(any(test, feature = "personal"))]
    Run(Box<dyn FnOnce() + Send>),
    Finish(Option<RedoPointJob>),
}

/// The new redo point, and the streams that must be durable before it moves.
pub(crate) struct RedoPointJob {
    pub(crate) end: End,
    /// The streams that were written since the last redo point.
    pub(crate) taken: Arc<Taken>,
    pub(crate) clean: bool,
}

#[derive(Debug, Default)]
struct State {
    spare: Mutex<Option<Spare>>,
    checkpointing: AtomicBool,
    snapshots: SnapshotQueue,
}

/// Passes jobs to the upkeep thread, which the first one starts.
#[derive(Debug, Clone)]
pub(crate) struct Upkeeper {
    jobs: Sender<Job>,
    state: Arc<State>,
    thread: Arc<OnDemand>,
}

/// The upkeep thread itself. Whoever has this ends it.
#[derive(Debug)]
pub(crate) struct Upkeep {
    keeper: Upkeeper,
}

impl Upkeep {
    /// For the store on `file_systems` with its journal in `journal`, whose sealed segments are compressed if
    /// `compresses`.
    pub(crate) fn new(
        file_systems: FileSystems,
        (journal, retention): (&Path, Retention),
        marks: Arc<HighWaterMarks>,
        unflushed: Arc<Unflushed>,
        meters: Arc<Meters>,
        compresses: bool,
    ) -> Self {
        let (jobs, queue) = channel();
        let state = Arc::<State>::default();
        let thread = Thread {
            file_systems,
            journal: journal.to_owned(),
            marks,
            unflushed,
            meters,
            taken: Vec::new(),
            state: state.clone(),
            spares: 0,
            next_snapshot: Instant::now(),
            sync_failed: false,
            compresses,
            compressor: Compressor::new(journal.to_owned()),
            next_step: Instant::now() + BEFORE_COMPRESSING,
            awaited: Vec::new(),
            retention,
            keep: None,
            next_drop: Instant::now(),
        };
        let thread = OnDemand::new("eventfold-upkeep", move || thread.run(&queue));
        Self {
            keeper: Upkeeper {
                jobs,
                state,
                thread: Arc::new(thread),
            },
        }
    }

    pub(crate) fn keeper(&self) -> Upkeeper {
        self.keeper.clone()
    }

    pub(crate) fn submit(&self, job: Job) {
        if matches!(job, Job::RedoPoint(_)) {
            self.keeper
                .state
                .checkpointing
                .store(true, Ordering::Release);
        }
        self.keeper.submit(job);
    }

    pub(crate) fn prepare_spare(&self, capacity: u64) {
        self.submit(Job::Spare(capacity));
    }

    /// The prepared segment, if one is ready.
    pub(crate) fn take_spare(&self) -> Option<Spare> {
        lock(&self.keeper.state.spare).take()
    }

    /// Whether no checkpoint is in progress.
    pub(crate) fn may_checkpoint(&self) -> bool {
        !self.keeper.state.checkpointing.load(Ordering::Acquire)
    }

    pub(crate) fn save_snapshot(&self, stream: Arc<Stream>, draft: Box<Draft>, end: StreamEnd) {
        self.keeper.save_snapshot(stream, draft, end);
    }

    /// Does all waiting jobs, then `last`, and ends the thread.
    pub(crate) fn finish(self, last: Option<RedoPointJob>) {
        // Without a thread it is done here: a store that was only read needs none to close.
        self.keeper.put(Job::Finish(last));
        if !self.keeper.thread.finish() {
            tracing::error!("the upkeep thread panicked; this is a bug");
        }
    }
}

impl Upkeeper {
    pub(crate) fn submit(&self, job: Job) {
        self.put(job);
        if let Err(error) = self.start() {
            tracing::error!(%error, "upkeep waits: the next job tries again, and the close does what is left");
        }
    }

    fn put(&self, job: Job) {
        // The thread ends only with the store. Then no job is left to do.
        let _ = self.jobs.send(job);
    }

    /// Makes sure that the thread runs.
    pub(crate) fn start(&self) -> StorageResult<()> {
        self.thread.start().map_err(StorageError::thread)
    }

    /// Queues a snapshot of a durable state for the thread to write.
    pub(crate) fn save_snapshot(&self, stream: Arc<Stream>, draft: Box<Draft>, end: StreamEnd) {
        if self.state.snapshots.push(stream, draft, end) {
            self.submit(Job::Snapshots);
        }
    }
}

/// The state of the thread itself.
struct Thread {
    file_systems: FileSystems,
    journal: PathBuf,
    marks: Arc<HighWaterMarks>,
    unflushed: Arc<Unflushed>,
    meters: Arc<Meters>,
    /// The streams that the next checkpoint must make durable.
    taken: Vec<Arc<Taken>>,
    state: Arc<State>,
    /// How many segments were prepared. The next one is named after this number.
    spares: u64,
    /// When the next snapshot may be written.
    next_snapshot: Instant,
    /// A stream's file could not be synced, so its content on the disk is in doubt. The redo point
    /// does not move until the next open has replayed the journal.
    sync_failed: bool,
    /// Whether sealed segments are compressed without being asked.
    compresses: bool,
    compressor: Compressor,
    /// When the next step of compressing may be done.
    next_step: Instant,
    /// Whoever waits for all sealed segments to be compressed, and how many were when they asked.
    awaited: Vec<(oneshot::Sender<StorageResult<u64>>, u64)>,
    retention: Retention,
    /// How old a segment must be to be dropped without being asked, if any is.
    keep: Option<(Duration, Needs)>,
    /// When to look for such a segment.
    next_drop: Instant,
}

impl Thread {
    fn run(mut self, queue: &Receiver<Job>) {
        // Whoever opens the store waits for an answer now.
        self.compressor.look_at(self.next_step);
        loop {
            let job = match self.next_deadline() {
                None => queue.recv().map_err(RecvTimeoutError::from),
                Some(at) => queue.recv_timeout(at.saturating_duration_since(Instant::now())),
            };
            match job {
                Ok(Job::Finish(last)) => {
                    self.compressor.abandon();
                    while !self.state.snapshots.is_empty() {
                        self.write_one_snapshot();
                    }
                    if let Some(last) = last {
                        self.checkpoint(last);
                    }
                    return;
                }
                Ok(job) => self.work(job),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.write_snapshot();
            self.compress();
            self.drop_old();
        }
    }

    /// When a snapshot, a step of compressing or a look for old segments is due, if one is waiting.
    fn next_deadline(&self) -> Option<Instant> {
        let snapshot = (!self.state.snapshots.is_empty()).then_some(self.next_snapshot);
        let step = if self.compressor.is_idle() {
            self.compressor.retry_at().filter(|_| self.compresses)
        } else {
            Some(self.next_step)
        };
        let dropping = self.keep.as_ref().map(|_| self.next_drop);
        snapshot.into_iter().chain(step).chain(dropping).min()
    }

    /// Looks for segments to be compressed.
    fn look_for_segments(&mut self) {
        if self.compresses
            && let Err(error) = self.compressor.look()
        {
            tracing::warn!(%error, "no segment of the journal is compressed now");
        }
    }

    /// Does a step of compressing if one is due, and answers whoever waits for the end.
    fn compress(&mut self) {
        let start = Instant::now();
        if self.compressor.retry_at().is_some_and(|at| start >= at) {
            self.look_for_segments();
        }
        let mut failed = None;
        if !self.compressor.is_idle() && start >= self.next_step {
            if let Err(error) = self.compressor.step() {
                tracing::warn!(%error, "a segment of the journal could not be compressed: it stays as it is, and is tried again later");
                failed = Some(error);
            }
            let pause = start.elapsed() * COMPRESSING_PAUSE;
            let is_awaited = !self.awaited.is_empty();
            self.next_step = Instant::now() + if is_awaited { Duration::ZERO } else { pause };
        }
        if failed.is_some() || self.compressor.is_idle() {
            for (answer, before) in self.awaited.drain(..) {
                let done = self.compressor.done - before;
                // Nobody may be waiting any more.
                let _ = answer.send(failed.clone().map_or(Ok(done), Err));
            }
        }
    }

    /// Drops the segments that are old enough, if it is time to look for some.
    fn drop_old(&mut self) {
        if self.next_drop > Instant::now() {
            return;
        }
        if let Some((keep_for, needs)) = self.keep.take() {
            if let Err(error) = self.drop_older_than(keep_for, &needs) {
                tracing::warn!(%error, "no file of the journal is dropped now; it is tried again later");
            }
            self.keep = Some((keep_for, needs));
            self.next_drop = Instant::now() + DROPPING_PAUSE;
        }
    }

    fn drop_older_than(
        &mut self,
        keep_for: Duration,
        needs: &Needs,
    ) -> StorageResult<DroppedJournal> {
        let was_idle = self.compressor.is_idle();
        let dropped = self.retention.drop_old(keep_for, needs);
        // One of those that were to be compressed may be gone.
        if !was_idle && dropped.as_ref().is_ok_and(|dropped| dropped.files > 0) {
            self.compressor.abandon();
            if let Err(error) = self.compressor.look() {
                tracing::warn!(%error, "no segment of the journal is compressed now");
            }
        }
        dropped
    }

    /// Writes a snapshot if one is waiting and due.
    fn write_snapshot(&mut self) {
        let start = Instant::now();
        if start >= self.next_snapshot && !self.state.snapshots.is_empty() {
            self.write_one_snapshot();
            self.next_snapshot = Instant::now() + start.elapsed() * SNAPSHOT_PAUSE;
        }
    }

    fn write_one_snapshot(&self) {
        if self.state.snapshots.write_one() {
            self.meters.live.snapshots.add(1);
        }
    }

    fn work(&mut self, job: Job) {
        match job {
            Job::Spare(capacity) => self.prepare_spare(capacity),
            Job::RedoPoint(job) => {
                if self.unflushed.flush() {
                    self.checkpoint(job);
                } else {
                    self.taken.push(job.taken);
                }
                self.state.checkpointing.store(false, Ordering::Release);
            }
            #[cfg(any(test, feature = "personal"))]
            Job::Run(run) => run(),
            Job::Tags(index) => index.keep(),
            Job::Compress(answer) => match self.compressor.look() {
                Ok(()) => {
                    self.awaited.push((answer, self.compressor.done));
                    self.next_step = Instant::now();
                }
                Err(error) => drop(answer.send(Err(error))),
            },
            Job::Drop(keep_for, needs, answer) => {
                // Nobody may be waiting any more.
                let _ = answer.send(self.drop_older_than(keep_for, &needs));
            }
            Job::Keep(keep_for, needs) => {
                self.keep = Some((keep_for, needs));
                self.next_drop = Instant::now();
            }
            // The loop writes a due snapshot after each job.
            Job::Snapshots => {}
            Job::Finish(_) => unreachable!("the caller ends the thread there"),
        }
    }

    fn prepare_spare(&mut self, capacity: u64) {
        if lock(&self.state.spare).is_some() {
            return;
        }
        if self.spares == 0
            && let Err(error) = Spare::remove_all(&self.journal)
        {
            tracing::warn!(%error, "unused journal segments could not be removed");
        }
        self.spares += 1;
        match Spare::create(&self.journal, &Spare::name(self.spares), capacity) {
            Ok(spare) => *lock(&self.state.spare) = Some(spare),
            Err(error) => tracing::warn!(%error, "no journal segment could be prepared"),
        }
    }

    /// Moves the redo point. If that fails, the redo point stays, and the next open replays more.
    fn checkpoint(&mut self, job: RedoPointJob) {
        let start = Instant::now();
        let checkpoint = RedoPoint {
            end: job.end,
            clean: job.clean,
        };
        self.taken.push(job.taken);
        // Any failed sync counts: a later sync on another thread may succeed without the lost
        // blocks. Invariant D5.
        if self.sync_failed || failed_syncs::is_remembered(&self.journal) {
            return;
        }
        let dirs: BTreeSet<&Path> = self.taken.iter().flat_map(|taken| taken.dirs()).collect();
        let dirs: Vec<&Path> = dirs.into_iter().collect();
        let streams = dirs.len();
        if let Err(error) = self.file_systems.sync_streams(&dirs) {
            tracing::error!(%error, "no more checkpoints are written: the next open replays the journal");
            self.sync_failed = true;
            return;
        }
        self.marks
            .note_taken(&std::mem::take(&mut self.taken), job.end);
        // Nothing was written to a store that was only read: its last close is still its last one.
        let is_there = job.clean
            && matches!(RedoPoint::read(&self.journal), Ok(Some(there)) if there == checkpoint);
        let written = if is_there {
            Ok(())
        } else {
            checkpoint.write(&self.journal)
        };
        match written {
            Ok(()) => {
                tracing::debug!(
                    position = job.end.position,
                    streams,
                    elapsed_ms = millis(start),
                    "redo point moved"
                );
                if !job.clean {
                    self.look_for_segments();
                    self.next_drop = Instant::now();
                }
            }
            Err(error) => {
                tracing::error!(%error, "the checkpoint could not be written: the next open replays more of the journal");
            }
        }
    }
}
