//! What whoever is answered may rely on, and what becomes of those who wait at the end.

use std::future::Future as _;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::ids::StreamId;
use crate::storage::commit::Commit;
use crate::storage::commit::CommitError;
use crate::storage::commit::Done;
use crate::storage::encoding::event_line::Common;
use crate::storage::encoding::event_line::EncodedEvents;
use crate::storage::error::StorageResult;
use crate::storage::files::FileStorage;
use crate::storage::files::commit::request::ROOM;
use crate::storage::files::crash::{
    Account, EIO, ENOSPC, Note, large, note, open, runtime, temp_dir, wait_for_upkeep,
};
use crate::storage::files::disk::faults::{Call, Fault, Watch};
use crate::storage::files::recovery::redo_point::RedoPoint;
use crate::storage::files::streams::end::StreamEnd;
use crate::storage::files::streams::extent::Extent;
use crate::storage::files::streams::load::load;
use crate::storage::files::streams::stream::Stream;
use crate::storage::loaded::Loaded;
use crate::{AggregateStore, Position};

/// How long anything may take before it is called hung.
const DEADLINE: Duration = Duration::from_secs(60);

type Answer = Result<u64, CommitError>;

/// An activation that commits to a stream.
struct Writer {
    stream: Arc<Stream>,
    epoch: u64,
    version: u64,
}

impl Writer {
    fn start(engine: &FileStorage, id: &str) -> Self {
        let stream = engine.stream(&StreamId::new("a", id).unwrap());
        let epoch = stream.start_epoch(StreamEnd::default());
        Self {
            stream,
            epoch,
            version: 0,
        }
    }

    /// Commits one event, whose payload takes about so many bytes.
    async fn commit(&mut self, engine: &FileStorage, size: usize, done: Done) {
        self.version += 1;
        let mut events = EncodedEvents::new(self.stream.seed());
        let data = format!("\"{}\"", "x".repeat(size));
        let common = Common::default();
        events.push("Noted", data.as_bytes(), "e-1", self.version, &common);
        let commit = Commit {
            epoch: self.epoch,
            expected: self.version - 1,
            snapshot: None,
            term: None,
            done,
        };
        engine.commit(self.stream.clone(), commit, events).await;
    }
}

fn answer() -> (Done, Receiver<Answer>) {
    let (sender, answer) = channel();
    let done = Box::new(move |result| {
        let _ = sender.send(result);
    });
    (done, answer)
}

/// Holds the committer up until the other end is dropped.
pub(super) fn block_committer(engine: &FileStorage) -> Sender<()> {
    let (unblock, blocked) = channel::<()>();
    let (reached, is_reached) = channel();
    let Writer { stream, epoch, .. } = Writer::start(engine, "door");
    engine.fence(
        stream,
        epoch,
        Box::new(move |_| {
            let _ = reached.send(());
            let _ = blocked.recv();
        }),
    );
    is_reached.recv().expect("the committer comes to it");
    unblock
}

/// Waits until the rounds of all that was answered are over, and what they asked for is done.
fn wait_until_idle(store: &AggregateStore) {
    // The next round begins after the last one's end.
    drop(block_committer(store.inner.storage.files()));
    drop(block_committer(store.inner.storage.files()));
    wait_for_upkeep(store);
}

/// Tests a new store, and shuts it down.
fn with_store(test: impl AsyncFnOnce(&AggregateStore)) {
    let dir = temp_dir();
    runtime().block_on(async {
        let store = open(dir.path()).await.unwrap();
        test(&store).await;
        store.shutdown().await.unwrap();
    });
}

#[test]
fn an_answered_commit_is_included_in_the_head_the_version_and_the_stream() {
    with_store(async |store| {
        let engine = store.inner.storage.files().clone();
        let mut writers = [Writer::start(&engine, "b"), Writer::start(&engine, "c")];
        let mut answers = Vec::new();
        let unblock = block_committer(&engine);
        for number in 0..10_u64 {
            let writer = &mut writers[usize::try_from(number % 2).unwrap()];
            let (sender, answer) = channel();
            let (seeing, stream) = (engine.clone(), writer.stream.clone());
            let done = Box::new(move |result: Answer| {
                let extent = Extent::of(&stream).expect("nothing is to be replayed");
                let each = |_: Loaded<'_>| StorageResult::Ok(std::ops::ControlFlow::Continue(()));
                let found = load(&stream, StreamEnd::default(), &extent, each).unwrap();
                let version = stream.durable_version();
                let end = stream.tail().end;
                assert_eq!((end.offset, end.hash), (found.offset, found.hash));
                let _ = sender.send((result, seeing.head(), version, found.version));
            });
            writer.commit(&engine, 10, done).await;
            answers.push((number, answer));
        }
        drop(unblock);
        for (number, answer) in answers {
            let (position, head, version, lines) = answer.recv().unwrap();
            assert_eq!(position.unwrap(), number + 1);
            assert!(head > number);
            assert!(version > number / 2 && lines >= version);
        }
    });
}

#[test]
fn an_event_delivered_by_a_subscription_can_be_read_from_its_stream() {
    with_store(async |store| {
        let engine = store.inner.storage.files();
        let mut writers = [Writer::start(engine, "b"), Writer::start(engine, "c")];
        let (first, answered) = channel();
        let (unblock, blocked) = channel::<()>();
        let held = block_committer(engine);
        let done = Box::new(move |_| {
            let _ = first.send(());
            let _ = blocked.recv();
        });
        writers[0].commit(engine, 10, done).await;
        let (done, second) = answer();
        writers[1].commit(engine, 10, done).await;
        drop(held);
        // The first is answered, the second is about to be.
        answered.recv().unwrap();
        let mut events = store.subscribe(Position::default());
        for _ in 0..engine.head() {
            events.next().await.unwrap().unwrap();
        }
        assert_eq!(engine.head(), 2);
        let (events, ()) = tokio::join!(store.read_events("a", "c"), async { drop(unblock) });
        assert_eq!(events.unwrap().len(), 1);
        second.recv().unwrap().unwrap();
    });
}

#[test]
fn a_failed_sync_does_not_move_the_head() {
    let dir = temp_dir();
    let watch = Watch::start(dir.path());
    runtime().block_on(async {
        let store = open(dir.path()).await.unwrap();
        let engine = store.inner.storage.files().clone();
        let mut writer = Writer::start(&engine, "b");
        watch.set_fault(Fault::lasting(Call::Sync, EIO));
        let (sender, answer) = channel();
        let seeing = engine.clone();
        let done = Box::new(move |result: Answer| {
            let _ = sender.send((result.is_ok(), seeing.head()));
        });
        writer.commit(&engine, 10, done).await;
        assert_eq!(answer.recv().unwrap(), (false, 0));
        wait_until_idle(&store);
        assert_eq!((engine.head(), writer.stream.durable_version()), (0, 0));
        watch.clear_fault();
        store.shutdown().await.expect_err("it has failed");
    });
    watch.stop();
}

#[test]
fn a_read_that_saw_the_events_of_a_failed_commit_is_answered_with_an_error() {
    let dir = temp_dir();
    let watch = Watch::start(dir.path());
    runtime().block_on(async {
        let store = open(dir.path()).await.unwrap();
        let account = store.get::<Account>("a0").await.unwrap();
        account.send(note(0)).await.unwrap();
        let unblock = Arc::new(Mutex::new(Some(block_committer(
            store.inner.storage.files(),
        ))));
        watch.set_fault(Fault::lasting(Call::Write, ENOSPC));
        let (sent, seen) = tokio::join!(
            account.send(note(4)),
            account.inspect(move |account| {
                drop(unblock.lock().unwrap().take());
                account.numbers.clone()
            })
        );
        sent.expect_err("the disk is full");
        seen.expect_err("it is not durable");
        watch.clear_fault();
        store.shutdown().await.unwrap();
    });
    watch.stop();
}

#[test]
fn a_panic_in_one_answer_does_not_affect_the_next_commit() {
    with_store(async |store| {
        let engine = store.inner.storage.files();
        let mut writer = Writer::start(engine, "b");
        let unblock = block_committer(engine);
        writer
            .commit(engine, 10, Box::new(|_| panic!("of a caller's own type")))
            .await;
        let (done, answer) = answer();
        writer.commit(engine, 10, done).await;
        drop(unblock);
        assert_eq!(answer.recv().unwrap().unwrap(), 2);
    });
}

#[test]
fn commits_sent_before_the_close_are_answered_and_later_ones_are_refused() {
    with_store(async |store| {
        let engine = store.inner.storage.files();
        let mut writer = Writer::start(engine, "b");
        let unblock = block_committer(engine);
        let (done, before) = answer();
        writer.commit(engine, 10, done).await;
        engine.close();
        let (done, after) = answer();
        writer.commit(engine, 10, done).await;
        drop(unblock);
        assert_eq!(before.recv().unwrap().unwrap(), 1);
        let refused = after.recv().expect("an answer").unwrap_err();
        assert!(matches!(refused, CommitError::Closed), "{refused}");
        engine.ended().await.unwrap();
        let (done, late) = answer();
        writer.commit(engine, 10, done).await;
        let refused = late.recv().expect("an answer").unwrap_err();
        assert!(matches!(refused, CommitError::Closed), "{refused}");
    });
}

#[test]
fn a_commit_that_waits_for_room_at_the_close_is_refused() {
    let dir = temp_dir();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        let store = open(dir.path()).await.unwrap();
        let engine = store.inner.storage.files();
        let mut writer = Writer::start(engine, "b");
        engine.room.try_acquire_many(ROOM).unwrap().forget();
        let (done, answer) = answer();
        let mut waits = std::pin::pin!(writer.commit(engine, 10, done));
        std::future::poll_fn(|context| {
            assert!(waits.as_mut().poll(context).is_pending());
            std::task::Poll::Ready(())
        })
        .await;
        engine.close();
        let ended = tokio::time::timeout(DEADLINE, waits).await;
        ended.expect("it does not wait for ever");
        let refused = answer.recv().expect("an answer").unwrap_err();
        assert!(matches!(refused, CommitError::Closed), "{refused}");
    });
}

#[test]
fn the_room_of_a_commit_is_released_whether_it_succeeds_or_fails() {
    let dir = temp_dir();
    let watch = Watch::start(dir.path());
    runtime().block_on(async {
        let store = open(dir.path()).await.unwrap();
        let engine = store.inner.storage.files().clone();
        let mut writer = Writer::start(&engine, "b");
        let has_room = || {
            wait_until_idle(&store);
            assert_eq!(engine.room.available_permits(), ROOM as usize);
        };
        for size in [10, 1_000, 1_024, 5_000, 100_000] {
            let (done, answer) = answer();
            writer.commit(&engine, size, done).await;
            answer.recv().unwrap().unwrap();
        }
        // Those with snapshots, which take room as well.
        let account = store.get::<Account>("a0").await.unwrap();
        for number in 0..10 {
            account.send(note(number)).await.unwrap();
        }
        has_room();
        let (done, superseded) = answer();
        let mut earlier = Writer::start(&engine, "c");
        Writer::start(&engine, "c");
        earlier.commit(&engine, 5_000, done).await;
        superseded.recv().unwrap().unwrap_err();
        has_room();
        watch.set_fault(Fault::lasting(Call::Write, ENOSPC));
        let (done, failed) = answer();
        writer.commit(&engine, 5_000, done).await;
        failed.recv().unwrap().unwrap_err();
        has_room();
        watch.clear_fault();
        store.shutdown().await.unwrap();
    });
    watch.stop();
}

/// The position that the journal need not be replayed up to.
fn redo_point(dir: &Path) -> u64 {
    let checkpoint = RedoPoint::read(&dir.join("journal")).unwrap();
    checkpoint.map_or(0, |checkpoint| checkpoint.end.position)
}

/// Too small for a checkpoint.
fn small() -> Note {
    Note {
        padding: 0,
        ..note(0)
    }
}

async fn grow(store: &AggregateStore, note: Note) -> u64 {
    let account = store.get::<Account>("a0").await.unwrap();
    account.send(note).await.unwrap();
    wait_until_idle(store);
    store.inner.storage.files().head()
}

#[test]
fn the_redo_point_moves_only_once_the_journal_has_grown_enough() {
    let dir = temp_dir();
    runtime().block_on(async {
        let store = open(dir.path()).await.unwrap();
        for _ in 0..3 {
            let head = grow(&store, large(0)).await;
            assert_eq!(redo_point(dir.path()), head);
            grow(&store, small()).await;
            assert_eq!(redo_point(dir.path()), head);
        }
        store.shutdown().await.unwrap();
    });
}

#[test]
fn a_failed_write_to_a_stream_is_retried_before_the_redo_point_moves() {
    let dir = temp_dir();
    let watch = Watch::start(dir.path());
    runtime().block_on(async {
        let store = open(dir.path()).await.unwrap();
        grow(&store, small()).await;
        let before = redo_point(dir.path());
        watch.set_fault(Fault::lasting(Call::CreateDir, ENOSPC));
        let account = store.get::<Account>("a1").await.unwrap();
        account.send(note(1)).await.expect("the journal has it");
        let _ = store.layout();
        let file = dir.path().join("streams/account/a1/app.jsonl");
        assert!(!file.exists());
        grow(&store, large(0)).await;
        assert_eq!(redo_point(dir.path()), before);
        watch.clear_fault();
        grow(&store, large(0)).await;
        assert!(file.exists());
        assert!(redo_point(dir.path()) > before);
        store.shutdown().await.unwrap();
    });
    watch.stop();
}
