//! The stream writer: the thread that writes durable lines from the journal to the streams' files. The first
//! commit starts it.
//!
//! The committer queues a stream and answers. The stream's file follows within milliseconds, under
//! load within a second. Until then readers find the lines in memory
//! ([`UnflushedLines`]). So no command
//! waits for a new stream's directory and file, and a busy stream gathers lines for one write.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::ids::StreamId;
use crate::storage::error::{StorageError, StorageErrorKind, StorageResult};
use crate::storage::files::shares::in_shares;
use crate::storage::files::streams::cache::OpenFiles;
use crate::storage::files::streams::replay::replay_pending;
use crate::storage::files::streams::stream::Stream;
use crate::storage::files::streams::unflushed::UnflushedLines;
use crate::storage::health::Health;
use crate::thread::OnDemand;

/// How long lines gather at least before they are written, unless a caller waits for them.
const GATHER: Duration = Duration::from_millis(2);
/// Lines gather for this many times the duration of the last pass, so that the thread does not take
/// much of a processor. If many streams are written, each opened file should get more lines.
const REST: u32 = 16;
const LONGEST_GATHER: Duration = Duration::from_secs(1);
/// Once so many streams or bytes have gathered, they are written at once.
const ENOUGH_STREAMS: usize = 32 * 1024;
const ENOUGH_BYTES: usize = 8 * 1024 * 1024;
/// How many streams and how many bytes may gather. Beyond that the committer waits.
const MOST_STREAMS: usize = 2 * ENOUGH_STREAMS;
const MOST_BYTES: usize = 2 * ENOUGH_BYTES;

/// The streams whose files lack lines.
#[derive(Debug)]
pub(crate) struct Unflushed {
    state: Mutex<State>,
    /// Wakes the thread: lines have gathered, or a caller waits.
    work: Condvar,
    /// Wakes callers: the thread has taken or written the gathered lines.
    progress: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The streams whose lines gather, each stream once.
    gathering: Vec<Arc<Stream>>,
    /// How many bytes were added since the thread last took all.
    bytes: usize,
    /// The streams that the thread is writing.
    in_hand: Vec<Arc<Stream>>,
    /// The streams that could not be written. Each is tried again before its next command, before a
    /// checkpoint, and when the store closes.
    failed: Vec<Arc<Stream>>,
    /// The streams that are still to be replayed after a crash.
    unreplayed: Arc<[Arc<Stream>]>,
    /// How often the thread has written all gathered lines.
    passes: u64,
    /// A caller waits, or enough has gathered.
    urgent: bool,
    /// The thread must end once no lines are left.
    finish: bool,
    thread: Phase,
}

/// The state of the thread.
#[derive(Debug, Default, PartialEq, Eq)]
enum Phase {
    /// The thread writes, or lets lines gather.
    #[default]
    Works,
    /// The thread waits for lines.
    Sleeps,
    Over,
}

impl Unflushed {
    /// `failed` are streams whose files could not be brought up to the journal when it was replayed, and
    /// `unreplayed` those onto which it is still to be replayed.
    pub(crate) fn new(failed: Vec<Arc<Stream>>, unreplayed: Vec<Arc<Stream>>) -> Self {
        let state = State {
            failed,
            unreplayed: unreplayed.into(),
            ..State::default()
        };
        Self {
            state: Mutex::new(state),
            work: Condvar::new(),
            progress: Condvar::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a stream whose file now lacks lines.
    pub(crate) fn add(&self, stream: Arc<Stream>) {
        self.state().gathering.push(stream);
    }

    /// Wakes the thread if needed, after `bytes` were added. Waits if too many have gathered.
    pub(crate) fn release(&self, bytes: usize) {
        let mut state = self.state();
        state.bytes += bytes;
        let is_enough = state.gathering.len() > ENOUGH_STREAMS || state.bytes > ENOUGH_BYTES;
        if is_enough && !state.urgent {
            state.urgent = true;
            self.work.notify_one();
        } else if state.thread == Phase::Sleeps && !state.gathering.is_empty() {
            self.work.notify_one();
        }
        while state.thread != Phase::Over
            && (state.gathering.len() > MOST_STREAMS || state.bytes > MOST_BYTES)
        {
            state.urgent = true;
            self.work.notify_one();
            state = wait(&self.progress, state);
        }
    }

    /// Waits until the files have all lines that were durable before the call, except for streams
    /// that cannot be written. True if there are no such streams.
    pub(crate) fn flush(&self) -> bool {
        self.replay();
        self.write_gathered()
    }

    /// Replays all streams onto which the journal is still to be replayed, unless somebody else was faster.
    /// Those whose files cannot be brought up to the journal count as failed then.
    fn replay(&self) {
        let unreplayed = self.state().unreplayed.clone();
        if unreplayed.is_empty() {
            return;
        }
        let failed = in_shares(&unreplayed, |share| {
            let failed = share.iter().filter(|stream| {
                if let Err(error) = replay_pending(stream) {
                    tracing::error!(stream = %stream.id(), %error, "the stream can neither be read nor take commands until its file has what the journal has");
                    return true;
                }
                stream.tail().unflushed.as_ref().is_some_and(|behind| behind.failed)
            });
            failed.cloned().collect::<Vec<_>>()
        });
        let mut state = self.state();
        if Arc::ptr_eq(&state.unreplayed, &unreplayed) {
            state.unreplayed = Arc::default();
            state.failed.extend(failed.into_iter().flatten());
        }
        drop(state);
        // The streams may be dropped here, which takes other locks.
        drop(unreplayed);
    }

    /// As [`flush`](Self::flush), of the lines that gather.
    pub(crate) fn write_gathered(&self) -> bool {
        let mut state = self.state();
        let target = state.passes + 1 + u64::from(!state.in_hand.is_empty());
        while state.thread != Phase::Over
            && state.passes < target
            && !(state.gathering.is_empty() && state.in_hand.is_empty())
        {
            state.urgent = true;
            self.work.notify_one();
            state = wait(&self.progress, state);
        }
        state.thread != Phase::Over && state.failed.is_empty()
    }

    /// Whether a stream could not be written.
    pub(crate) fn has_failed(&self) -> bool {
        !self.state().failed.is_empty()
    }

    /// Whether the streams that could not be written hold more memory than allowed.
    pub(crate) fn holds_too_much(&self) -> bool {
        let failed = self.state().failed.clone();
        let lacking =
            |stream: &Arc<Stream>| stream.tail().unflushed.as_ref().map(UnflushedLines::len);
        failed.iter().filter_map(lacking).sum::<usize>() > MOST_BYTES
    }

    /// The streams that could not be written.
    pub(crate) fn refused(&self) -> Vec<StreamId> {
        let state = self.state();
        let failed = state.failed.iter();
        failed.map(|stream| stream.id().clone()).collect()
    }

    /// Some of the files that could not be written.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let state = self.state();
        state
            .failed
            .iter()
            .take(10)
            .map(|stream| stream.file())
            .collect()
    }

    /// The streams with unwritten lines. A new stream may have no file.
    pub(crate) fn ids(&self) -> Vec<StreamId> {
        let state = self.state();
        let all = [
            &state.gathering[..],
            &state.in_hand,
            &state.failed,
            &state.unreplayed,
        ];
        let streams = all.into_iter().flatten();
        streams.map(|stream| stream.id().clone()).collect()
    }

    /// Tries again to write a stream that could not be written.
    pub(crate) fn retry(&self, files: &OpenFiles, stream: &Arc<Stream>) -> StorageResult<()> {
        replay_pending(stream)?;
        while bring_up(files, stream)? {}
        let is_other = |other: &Arc<Stream>| !Arc::ptr_eq(other, stream);
        self.state().failed.retain(is_other);
        Ok(())
    }

    /// Tries again to write all streams that could not be written. True if none is left.
    pub(crate) fn retry_all(&self, files: &OpenFiles) -> bool {
        let failed = self.state().failed.clone();
        for stream in &failed {
            // The first failure was reported.
            let _ = self.retry(files, stream);
        }
        !self.has_failed()
    }

    /// Writes the lines that gather, until the store closes. Invariant C1.
    fn run(&self, files: &OpenFiles) {
        let mut gather = GATHER;
        while let Some(streams) = self.next(gather) {
            let started = Instant::now();
            for stream in &streams {
                let written = bring_up(files, stream);
                match written {
                    Ok(false) => {}
                    Ok(true) => self.add(stream.clone()),
                    Err(error) => {
                        tracing::error!(stream = %stream.id(), %error, "the stream takes no more commands until its file can be written");
                        self.note_failed(stream);
                    }
                }
            }
            let mut state = self.state();
            let written = std::mem::take(&mut state.in_hand);
            state.passes += 1;
            self.progress.notify_all();
            drop(state);
            // The streams may be dropped here, which takes other locks.
            drop(written);
            gather = (started.elapsed() * REST).clamp(GATHER, LONGEST_GATHER);
        }
    }

    /// Adds a stream that could not be written. Marks its lines as failed under the same lock:
    /// otherwise the committer could queue the stream once more. Invariant C7.
    fn note_failed(&self, stream: &Arc<Stream>) {
        let mut state = self.state();
        if let Some(unflushed) = &mut stream.tail().unflushed {
            unflushed.failed = true;
            unflushed.file = None;
        }
        state.failed.push(stream.clone());
    }

    /// Waits for lines, lets more gather for the duration `gather`, and takes them. `None` when the
    /// store closes.
    fn next(&self, gather: Duration) -> Option<Vec<Arc<Stream>>> {
        let mut state = self.state();
        while state.gathering.is_empty() {
            if state.finish {
                return None;
            }
            state.thread = Phase::Sleeps;
            state = wait(&self.work, state);
            state.thread = Phase::Works;
        }
        let gathers = |state: &mut State| !state.urgent && !state.finish;
        let gathered = self.work.wait_timeout_while(state, gather, gathers);
        let (mut state, _) = gathered.unwrap_or_else(PoisonError::into_inner);
        state.urgent = false;
        state.bytes = 0;
        state.in_hand = std::mem::take(&mut state.gathering);
        self.progress.notify_all();
        Some(state.in_hand.clone())
    }
}

fn wait<'a>(condition: &Condvar, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
    condition
        .wait(state)
        .unwrap_or_else(PoisonError::into_inner)
}

/// Appends the missing lines to a stream's file. True if more lines have come meanwhile.
fn bring_up(files: &OpenFiles, stream: &Stream) -> StorageResult<bool> {
    let mut tail = stream.tail();
    let Some(unflushed) = &mut tail.unflushed else {
        return Ok(false);
    };
    let (file, offset) = (unflushed.file.clone(), unflushed.offset());
    let lines = unflushed.begin();
    drop(tail);
    files.append(stream, file, offset, &lines)?;
    let mut tail = stream.tail();
    let has_more = tail.unflushed.as_mut().is_some_and(UnflushedLines::finish);
    if !has_more {
        tail.unflushed = None;
    }
    Ok(has_more)
}

/// The thread itself.
#[derive(Debug)]
pub(crate) struct StreamWriter {
    unflushed: Arc<Unflushed>,
    thread: OnDemand,
}

impl StreamWriter {
    /// If the thread panics, the store has failed.
    pub(crate) fn new(
        unflushed: Arc<Unflushed>,
        files: Arc<OpenFiles>,
        health: Arc<Health>,
    ) -> Self {
        let queue = unflushed.clone();
        let thread = OnDemand::new("eventfold-stream", move || {
            if catch_unwind(AssertUnwindSafe(|| queue.run(&files))).is_err() {
                let text = "the stream writer panicked; this is a bug";
                health.fail(StorageError::new(StorageErrorKind::Bug, text));
            }
            queue.state().thread = Phase::Over;
            queue.progress.notify_all();
        });
        Self { unflushed, thread }
    }

    /// Makes sure that the thread runs. Nothing may gather before.
    pub(crate) fn start(&self) -> StorageResult<()> {
        self.thread.start().map_err(StorageError::thread)
    }

    /// Writes all remaining lines and ends the thread. True if no file lacks lines.
    pub(crate) fn finish(self, files: &OpenFiles) -> bool {
        self.unflushed.replay();
        self.unflushed.state().finish = true;
        self.unflushed.work.notify_one();
        self.thread.finish();
        self.unflushed.retry_all(files) && self.unflushed.ids().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::files::layout::StreamLayout;
    use crate::storage::files::streams::high_water::HighWaterMarks;
    use crate::storage::files::streams::stream::Streams;

    fn stream(base: &std::path::Path, id: &str) -> Arc<Stream> {
        let streams = Streams::new(StreamLayout::new(base), HighWaterMarks::unknown());
        streams.get(&StreamId::new("a", id).unwrap())
    }

    fn lines_of(lines: &[u8]) -> UnflushedLines {
        UnflushedLines::new(0, lines.to_vec(), None)
    }

    /// A running stream writer.
    struct Running {
        unflushed: Arc<Unflushed>,
        files: Arc<OpenFiles>,
        thread: StreamWriter,
    }

    impl Running {
        fn start() -> Self {
            let unflushed = Arc::new(Unflushed::new(Vec::new(), Vec::new()));
            let files = Arc::<OpenFiles>::default();
            let thread = StreamWriter::new(unflushed.clone(), files.clone(), Health::new(0));
            thread.start().unwrap();
            Self {
                unflushed,
                files,
                thread,
            }
        }

        fn finish(self) -> bool {
            self.thread.finish(&self.files)
        }
    }

    /// Waits until a caller waits for the thread.
    fn wait_for_urgency(unflushed: &Unflushed) {
        while !unflushed.state().urgent {
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_flush_waits_for_the_pass_after_the_current_one() {
        let dir = tempfile::tempdir().unwrap();
        // This test plays the thread.
        let unflushed = Unflushed::new(Vec::new(), Vec::new());
        let stream = stream(dir.path(), "b");
        unflushed.state().in_hand.push(stream.clone());
        unflushed.add(stream.clone());
        std::thread::scope(|scope| {
            let flush = scope.spawn(|| unflushed.flush());
            wait_for_urgency(&unflushed);
            let taken = unflushed.next(GATHER).expect("it gathers");
            unflushed.state().passes += 1;
            unflushed.progress.notify_all();
            while !unflushed.state().urgent && !flush.is_finished() {
                std::thread::yield_now();
            }
            assert!(!flush.is_finished(), "its line may not be written yet");
            assert_eq!((taken.len(), unflushed.ids().len()), (1, 1));
            let mut state = unflushed.state();
            state.passes += 1;
            state.in_hand.clear();
            unflushed.progress.notify_all();
            drop(state);
            assert!(flush.join().unwrap());
        });
    }

    #[test]
    fn the_committer_waits_only_while_too_much_is_unflushed() {
        let dir = tempfile::tempdir().unwrap();
        let running = Running::start();
        let unflushed = running.unflushed.clone();
        let stream = stream(dir.path(), "b");
        for _ in 0..3 {
            unflushed.add(stream.clone());
            unflushed.release(MOST_BYTES + 1);
            assert!(unflushed.state().bytes <= MOST_BYTES);
        }
        assert!(running.finish());
    }

    #[test]
    fn lines_are_flushed_without_a_request_even_after_a_pause() {
        let dir = tempfile::tempdir().unwrap();
        let running = Running::start();
        let unflushed = running.unflushed.clone();
        for id in ["b", "c"] {
            while unflushed.state().thread != Phase::Sleeps {
                std::thread::yield_now();
            }
            let stream = stream(dir.path(), id);
            stream.tail().unflushed = Some(lines_of(b"{}\n"));
            unflushed.add(stream.clone());
            unflushed.release(3);
            while stream.tail().unflushed.is_some() {
                std::thread::yield_now();
            }
            assert_eq!(std::fs::read(stream.file()).unwrap(), b"{}\n");
        }
        assert!(running.finish());
    }

    #[test]
    fn lines_added_during_a_write_are_written_once_and_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let running = Running::start();
        let unflushed = running.unflushed.clone();
        let stream = stream(dir.path(), "b");
        let mut expected = Vec::new();
        for number in 0..20_000 {
            // Long enough for the next lines to come during the write.
            let line = format!("{number:0500}\n");
            let mut tail = stream.tail();
            let was_flushed = tail.unflushed.is_none();
            let offset = expected.len() as u64;
            tail.unflushed
                .get_or_insert_with(|| UnflushedLines::new(offset, Vec::new(), None))
                .further()
                .extend_from_slice(line.as_bytes());
            drop(tail);
            if was_flushed {
                unflushed.add(stream.clone());
            }
            unflushed.release(line.len());
            expected.extend_from_slice(line.as_bytes());
            if number % 2_000 == 0 {
                assert!(unflushed.flush());
                assert!(std::fs::read(stream.file()).unwrap() == expected);
            }
            // Keeps the thread from gathering for long.
            unflushed.state().urgent = true;
            unflushed.work.notify_one();
        }
        assert!(running.finish());
        assert!(std::fs::read(stream.file()).unwrap() == expected);
    }

    #[test]
    fn a_stream_that_is_listed_as_failed_is_marked_as_failed() {
        let dir = tempfile::tempdir().unwrap();
        let running = Running::start();
        let unflushed = running.unflushed.clone();
        let stream = stream(dir.path(), "b");
        std::fs::create_dir_all(stream.file()).unwrap();
        for _ in 0..200 {
            stream.tail().unflushed = Some(lines_of(b"{}\n"));
            unflushed.add(stream.clone());
            unflushed.release(3);
            loop {
                let state = unflushed.state();
                if !state.failed.is_empty() {
                    let marked = stream.tail().unflushed.as_ref().is_some_and(|b| b.failed);
                    assert!(marked);
                    break;
                }
            }
            unflushed.flush();
            unflushed.state().failed.clear();
        }
        stream.tail().unflushed = None;
        assert!(running.finish());
    }
}
