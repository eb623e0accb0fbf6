//! When snapshots are taken, and which of them are used.

use std::path::Path;

use eventfold_es::{Aggregate, AggregateStore};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::recovery::damage_first_line;
use crate::support::files::{copy_into, edit};
use crate::support::{
    Ledger, LedgerCommand as Do, LedgerError, LedgerEvent, TempDir, copy, eventually, open,
    poll_once, snapshot, snapshot_file, stall, stream_file, temp_dir,
};

/// The version of the newest snapshot of the ledger `a`.
fn snapshot_version(base: &Path) -> Option<u64> {
    snapshot(base, "a").and_then(|snapshot| snapshot["version"].as_u64())
}

async fn with_every(dir: impl AsRef<Path>, every: u64) -> AggregateStore {
    crate::support::builder(dir)
        .snapshot_every(every)
        .open()
        .await
        .unwrap()
}

/// The account of what was added, which tells how much of it was folded since it was loaded.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Tally<const OFTEN: bool, const STATE: u32> {
    count: u64,
    #[serde(skip)]
    folded: u64,
}

impl<const OFTEN: bool, const STATE: u32> Aggregate for Tally<OFTEN, STATE> {
    const AGGREGATE_TYPE: &'static str = "ledger";
    const SNAPSHOT_EVERY: Option<u64> = if OFTEN { Some(2) } else { None };
    const STATE_VERSION: u32 = STATE;
    type Command = u64;
    type DomainEvent = LedgerEvent;
    type Error = LedgerError;

    /// As many events.
    fn handle(&self, events: u64) -> Result<Vec<LedgerEvent>, LedgerError> {
        Ok((0..events)
            .map(|amount| LedgerEvent::Added { amount })
            .collect())
    }

    fn apply(mut self, _: &LedgerEvent) -> Self {
        self.count += u64::from(STATE);
        self.folded += 1;
        self
    }
}

/// A tally with no number of its own.
type Plain = Tally<false, 1>;

/// Sends the numbers of events to the ledger `a`, in a store that has a snapshot at every `every`th
/// event, and ends the store.
async fn send<A: Aggregate<Command = u64>>(dir: &TempDir, every: u64, events: &[u64]) {
    let store = with_every(dir, every).await;
    let tally = store.get::<A>("a").await.unwrap();
    for events in events {
        tally.send(*events).await.unwrap();
    }
    tally.version().await.unwrap();
    store.shutdown().await.unwrap();
}

/// The version of the snapshot from which the ledger `a` is loaded, 0 if from none.
async fn loaded_from<const OFTEN: bool, const STATE: u32>(dir: &TempDir) -> u64 {
    let store = with_every(dir, u64::MAX).await;
    let tally = store.get::<Tally<OFTEN, STATE>>("a").await.unwrap();
    let (state, version) = (tally.state().await.unwrap(), tally.version().await.unwrap());
    store.shutdown().await.unwrap();
    assert_eq!(state.count, u64::from(version) * u64::from(STATE));
    u64::from(version) - state.folded
}

/// What the ledger `a` is after its store was opened anew.
async fn reload(dir: impl AsRef<Path>) -> (Ledger, u64) {
    let store = with_every(&dir, u64::MAX).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    let loaded = (
        ledger.state().await.unwrap(),
        ledger.version().await.unwrap().into(),
    );
    store.shutdown().await.unwrap();
    loaded
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_is_taken_at_every_nth_event_and_not_before() {
    let dir = temp_dir();
    send::<Plain>(&dir, 5, &[1; 4]).await;
    assert_eq!(loaded_from::<false, 1>(&dir).await, 0);
    send::<Plain>(&dir, 5, &[1]).await;
    assert_eq!(loaded_from::<false, 1>(&dir).await, 5);
    // A command that jumps over the 10th has it at its last event.
    send::<Plain>(&dir, 5, &[4, 3]).await;
    assert_eq!(loaded_from::<false, 1>(&dir).await, 12);
    send::<Plain>(&dir, 5, &[4]).await;
    assert_eq!(loaded_from::<false, 1>(&dir).await, 12);

    if let Some(base) = dir.on_disk() {
        assert_eq!(snapshot_version(base), Some(12));
        // It is read: the events before it could not be.
        damage_first_line(base, "a");
        assert_eq!(loaded_from::<false, 1>(&dir).await, 12);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_aggregates_own_snapshot_interval_overrides_the_stores() {
    let dir = temp_dir();
    send::<Tally<true, 1>>(&dir, 1_000, &[1; 3]).await;
    assert_eq!(loaded_from::<true, 1>(&dir).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_without_a_snapshot_gets_one_snapshot_when_it_is_loaded() {
    let dir = temp_dir();
    send::<Plain>(&dir, u64::MAX, &[30]).await;
    assert_eq!(loaded_from::<false, 1>(&dir).await, 0);
    // The load itself makes one of the whole.
    send::<Plain>(&dir, 10, &[]).await;
    assert_eq!(loaded_from::<false, 1>(&dir).await, 30);
    send::<Plain>(&dir, 10, &[9]).await;
    assert_eq!(loaded_from::<false, 1>(&dir).await, 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_never_includes_an_event_that_is_not_durable() {
    let dir = temp_dir();
    let store = with_every(&dir, 2).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    ledger.send(Do::AddAll(vec![1, 2])).await.unwrap();
    eventually("the first", || snapshot_version(dir.path()) == Some(2)).await;
    let stalled = stall(&store).await;
    let mut undurable = Box::pin(ledger.send(Do::AddAll(vec![3, 4])));
    let mut state = Box::pin(ledger.state());
    assert!(poll_once(&mut undurable).await.is_none());
    assert!(poll_once(&mut state).await.is_none());
    let looked = crate::support::Door::default();
    let door = looked.clone();
    crate::support::abandon(ledger.inspect(move |_| door.open())).await;
    eventually("it is decided", || looked.is_open()).await;
    // Killed here, it has only the older one.
    let crashed = copy(dir.path());
    assert_eq!(snapshot_version(crashed.path()), Some(2));
    drop(stalled);
    undurable.await.unwrap();
    eventually("the second", || snapshot_version(dir.path()) == Some(4)).await;
    assert_eq!(reload(crashed.path()).await, (Ledger::of([1, 2]), 2));
}

/// A closed store with a snapshot of the ledger `a` at version 4 of 6, and what its state is.
async fn with_snapshot() -> (crate::support::TempDir, (Ledger, u64)) {
    let dir = temp_dir();
    let store = with_every(&dir, 4).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    ledger.send(Do::AddAll(vec![1, 2, 3, 4])).await.unwrap();
    ledger.send(Do::AddAll(vec![5, 6])).await.unwrap();
    store.shutdown().await.unwrap();
    assert_eq!(snapshot_version(dir.path()), Some(4));
    (dir, (Ledger::of(1..=6), 6))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_corrupt_snapshot_is_ignored_wherever_the_flipped_byte_is() {
    let (dir, expected) = with_snapshot().await;
    let file = snapshot_file(dir.path(), "a");
    let whole = std::fs::read(&file).unwrap();
    for at in (0..whole.len()).step_by(3) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        std::fs::write(&file, bytes).unwrap();
        assert_eq!(reload(&dir).await, expected, "flipped {at}");
    }
    for length in [0, 1, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&file, &whole[..length]).unwrap();
        assert_eq!(reload(&dir).await, expected, "cut at {length}");
    }
    std::fs::write(
        &file,
        "{\"state\":{\"count\":99},\"offset\":0,\"hash\":\"\"}",
    )
    .unwrap();
    assert_eq!(reload(&dir).await, expected, "one of eventfold's own");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unusable_snapshot_is_replaced() {
    let (dir, expected) = with_snapshot().await;
    std::fs::write(snapshot_file(dir.path(), "a"), "no snapshot").unwrap();
    let store = with_every(&dir, 4).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    assert_eq!(ledger.state().await.unwrap(), expected.0);
    eventually("a new one", || snapshot_version(dir.path()) == Some(6)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_ahead_of_the_log_or_of_another_log_is_ignored() {
    let (dir, _) = with_snapshot().await;
    let ahead = std::fs::read(snapshot_file(dir.path(), "a")).unwrap();

    // A log that ends before it.
    let other = temp_dir();
    let store = with_every(&other, u64::MAX).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    ledger.send(Do::Add(7)).await.unwrap();
    store.shutdown().await.unwrap();
    drop((store, ledger));
    let views = snapshot_file(other.path(), "a");
    std::fs::create_dir_all(views.parent().unwrap()).unwrap();
    std::fs::write(&views, &ahead).unwrap();
    assert_eq!(reload(&other).await, (Ledger::of([7]), 1));

    // A log that is longer, with other events.
    let store = with_every(&other, u64::MAX).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    ledger.send(Do::AddAll(vec![7; 9])).await.unwrap();
    store.shutdown().await.unwrap();
    drop((store, ledger));
    assert_eq!(reload(&other).await, (Ledger::of([7; 10]), 10));

    // Another stream of the same store.
    let store = with_every(&dir, u64::MAX).await;
    let b = store.get::<Ledger>("b").await.unwrap();
    b.send(Do::AddAll(vec![8; 6])).await.unwrap();
    store.shutdown().await.unwrap();
    drop((store, b));
    let views = snapshot_file(dir.path(), "b");
    std::fs::create_dir_all(views.parent().unwrap()).unwrap();
    std::fs::write(&views, &ahead).unwrap();
    let store = open(&dir).await;
    let b = store.get::<Ledger>("b").await.unwrap();
    assert_eq!(b.state().await.unwrap(), Ledger::of([8; 6]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_of_another_state_version_is_ignored_and_replaced() {
    let dir = temp_dir();
    send::<Plain>(&dir, 4, &[4, 2]).await;
    assert_eq!(loaded_from::<false, 1>(&dir).await, 4);
    // Each event counts twice, in a state that looks the same.
    assert_eq!(loaded_from::<false, 2>(&dir).await, 0);
    send::<Tally<false, 2>>(&dir, 4, &[]).await;
    assert_eq!(loaded_from::<false, 2>(&dir).await, 6);
    assert_eq!(loaded_from::<false, 1>(&dir).await, 0);
    if let Some(base) = dir.on_disk() {
        let left = snapshot(base, "a").unwrap();
        assert_eq!(left["state_version"], 2);
        assert_eq!(left["state"]["count"], 12);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_cannot_be_written_does_no_harm() {
    let dir = temp_dir();
    let store = with_every(&dir, 1).await;
    let views = snapshot_file(dir.path(), "a").parent().unwrap().to_owned();
    std::fs::create_dir_all(views.parent().unwrap()).unwrap();
    // A file is in the way of the directory.
    std::fs::write(&views, "in the way").unwrap();
    let ledger = store.get::<Ledger>("a").await.unwrap();
    for amount in 1..=3 {
        ledger.send(Do::Add(amount)).await.unwrap();
    }
    assert_eq!(ledger.state().await.unwrap(), Ledger::of(1..=3));
    store.shutdown().await.unwrap();
    drop((store, ledger));
    // The load finds no snapshot there either; once the way is free there is one again.
    assert_eq!(reload(&dir).await, (Ledger::of(1..=3), 3));
    std::fs::remove_file(&views).unwrap();
    let store = with_every(&dir, 1).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    ledger.send(Do::Add(4)).await.unwrap();
    eventually("one again", || snapshot_version(dir.path()) == Some(4)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn eventfold_can_load_a_snapshot() {
    let (dir, _) = with_snapshot().await;
    let loaded: eventfold::Snapshot<Ledger> =
        eventfold::snapshot::load(&snapshot_file(dir.path(), "a"))
            .unwrap()
            .unwrap();
    assert_eq!(loaded.state, Ledger::of(1..=4));
    let reader = eventfold::EventReader::new(stream_file(dir.path(), "a").parent().unwrap());
    let hash = reader.read_line_hash_before(loaded.offset).unwrap();
    assert_eq!(hash, Some(loaded.hash));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_does_not_hide_that_its_last_event_was_changed() {
    let (dir, _) = with_snapshot().await;
    let snapshot: Value = snapshot(dir.path(), "a").unwrap();
    let end = usize::try_from(snapshot["offset"].as_u64().unwrap()).unwrap();
    let copied = temp_dir();
    copy_into(dir.path(), copied.path());
    edit(&stream_file(copied.path(), "a"), |bytes| {
        bytes[end - 20] ^= 1;
    });
    let store = open(&copied).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    let error = ledger.state().await.unwrap_err().to_string();
    assert!(error.contains("is damaged at byte"), "{error}");
}
