//! Projections that change: versions, and building them again while they are read.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use eventfold_es::{AggregateStore, Position, Projection};
use serde::{Deserialize, Serialize};

use crate::support::{Door, Ledger, LedgerCommand as Do, eventually, in_time, poll_once, temp_dir};

/// How many events the first version of `Sum` has folded in this process.
static FOLDED: AtomicU64 = AtomicU64::new(0);

/// The sum of all amounts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Sum(u64);

impl Projection for Sum {
    const NAME: &'static str = "sum";

    fn subscriptions(&self) -> &'static [&'static str] {
        &["ledger"]
    }

    fn apply(&mut self, _: &str, _: &str, event: &eventfold::Event) {
        FOLDED.fetch_add(1, Ordering::Relaxed);
        self.0 += event.data["amount"].as_u64().unwrap_or(0);
    }
}

/// The same in its second version: the sum of the squares, in another shape.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Squares {
    sum: u64,
}

impl Projection for Squares {
    const NAME: &'static str = "sum";
    const VERSION: u32 = 2;

    fn subscriptions(&self) -> &'static [&'static str] {
        &["ledger"]
    }

    fn apply(&mut self, _: &str, _: &str, event: &eventfold::Event) {
        self.sum += event.data["amount"].as_u64().unwrap_or(0).pow(2);
    }
}

/// All amounts, in order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Amounts(Vec<u64>);

impl Projection for Amounts {
    const NAME: &'static str = "amounts";

    fn subscriptions(&self) -> &'static [&'static str] {
        &["ledger"]
    }

    fn apply(&mut self, _: &str, _: &str, event: &eventfold::Event) {
        self.0.extend(event.data["amount"].as_u64());
    }
}

async fn with<P: Projection>(dir: impl AsRef<Path>) -> AggregateStore {
    let builder = crate::support::builder(dir).projection::<P>();
    builder.open().await.unwrap()
}

async fn add(store: &AggregateStore, amounts: impl IntoIterator<Item = u64>) {
    let ledger = store.get::<Ledger>("a").await.unwrap();
    let command = Do::AddAll(amounts.into_iter().collect());
    ledger.send(command).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_projection_version_is_built_from_the_first_event_and_the_old_one_is_kept() {
    let dir = temp_dir();
    let store = with::<Sum>(&dir).await;
    add(&store, [1, 2, 3]).await;
    assert_eq!(store.projection::<Sum>().unwrap().0, 6);
    store.shutdown().await.unwrap();
    drop(store);

    let store = with::<Squares>(&dir).await;
    // The first read waits for it.
    assert_eq!(store.projection::<Squares>().unwrap().sum, 14);
    add(&store, [4]).await;
    assert_eq!(store.projection::<Squares>().unwrap().sum, 30);
    store.shutdown().await.unwrap();
    drop(store);
    crate::support::check_report(&dir).await;

    let before = FOLDED.load(Ordering::Relaxed);
    let store = with::<Sum>(&dir).await;
    assert_eq!(store.projection::<Sum>().unwrap().0, 10);
    assert_eq!(FOLDED.load(Ordering::Relaxed) - before, 1, "it went on");
    store.shutdown().await.unwrap();
    drop(store);
    let store = with::<Squares>(&dir).await;
    assert_eq!(store.projection::<Squares>().unwrap().sum, 30);
    store.shutdown().await.unwrap();
    drop(store);

    // Each is looked at, and is built again by itself if it is damaged.
    let Some(base) = dir.on_disk() else { return };
    let second = base.join("projections/sum/journal_checkpoint.v2.json");
    std::fs::write(&second, "{").unwrap();
    let flawed = AggregateStore::verify(base).await.unwrap();
    let [found] = flawed.findings.as_slice() else {
        panic!("{flawed:?}");
    };
    assert_eq!(found.file, second);
    assert!(found.message.contains("built again"), "{found:?}");
    let store = with::<Squares>(&dir).await;
    assert_eq!(store.projection::<Squares>().unwrap().sum, 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_reports_progress_and_gives_the_same_state_each_time() {
    let dir = temp_dir();
    let builder = crate::support::builder(&dir);
    let builder = builder.projection::<Amounts>().projection::<Squares>();
    let store = builder.open().await.unwrap();
    for i in 0..20 {
        add(&store, i * 1_000..(i + 1) * 1_000).await;
    }
    let amounts = store.projection::<Amounts>().unwrap();
    let squares = store.projection::<Squares>().unwrap();
    for _ in 0..2 {
        let mut rebuild = store.rebuild::<Amounts>();
        let (mut done, mut finished) = (0, false);
        while let Some(progress) = in_time("progress", rebuild.next()).await {
            let progress = progress.unwrap();
            assert!(!finished, "an item behind the end");
            assert!(progress.done > done && progress.done <= progress.total);
            assert!(progress.per_second > 0.0);
            assert_eq!(progress.total, 20_000);
            (done, finished) = (progress.done, progress.finished);
        }
        assert!(finished && done == 20_000);
        assert_eq!(store.projection::<Amounts>().unwrap(), amounts);
    }
    store.rebuild::<Amounts>().await.unwrap();
    assert_eq!(store.projection::<Amounts>().unwrap(), amounts);
    assert_eq!(store.projection::<Squares>().unwrap(), squares);
    // It goes on from there.
    add(&store, [7]).await;
    assert_eq!(store.projection::<Amounts>().unwrap().0.len(), 20_001);
    store.shutdown().await.unwrap();
    drop(store);
    let store = with::<Amounts>(&dir).await;
    assert_eq!(store.projection::<Amounts>().unwrap().0.len(), 20_001);
}

/// Stands still at its second event while it is built again.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Gated(u64);

static GATED: AtomicBool = AtomicBool::new(false);
/// How many events were folded.
static GATED_FOLDS: AtomicU64 = AtomicU64::new(0);
static REACHED: std::sync::LazyLock<Door> = std::sync::LazyLock::new(Door::default);
static GATE: std::sync::LazyLock<Door> = std::sync::LazyLock::new(Door::default);

impl Projection for Gated {
    const NAME: &'static str = "gated";

    fn subscriptions(&self) -> &'static [&'static str] {
        &["ledger"]
    }

    fn apply(&mut self, _: &str, _: &str, event: &eventfold::Event) {
        GATED_FOLDS.fetch_add(1, Ordering::Relaxed);
        self.0 += event.data["amount"].as_u64().unwrap_or(0);
        if self.0 == 3 && GATED.load(Ordering::Relaxed) {
            REACHED.open();
            GATE.pass();
        }
    }
}

#[tokio::test]
async fn the_old_state_is_read_during_a_rebuild_and_other_projections_are_untouched() {
    let dir = temp_dir();
    let builder = crate::support::builder(&dir);
    let builder = builder.projection::<Gated>().projection::<Amounts>();
    let store = builder.open().await.unwrap();
    add(&store, [1, 2, 3]).await;
    assert_eq!(store.projection::<Gated>().unwrap().0, 6);

    GATED.store(true, Ordering::Relaxed);
    let mut rebuild = store.rebuild::<Gated>();
    let mut step = Box::pin(rebuild.next());
    assert!(poll_once(&mut step).await.is_none());
    eventually("it is being built again", || REACHED.is_open()).await;
    GATED.store(false, Ordering::Relaxed);
    let before = GATED_FOLDS.load(Ordering::Relaxed);
    for amount in [10, 20] {
        add(&store, [amount]).await;
        let expected: u64 = store.projection::<Amounts>().unwrap().0.iter().sum();
        assert_eq!(store.projection::<Gated>().unwrap().0, expected);
        assert_eq!(store.read(|gated: &Gated| gated.0).await.unwrap(), expected);
    }
    let folded = GATED_FOLDS.load(Ordering::Relaxed) - before;
    assert_eq!(folded, 2, "the old state goes on");
    GATE.open();
    let progress = in_time("the end", step).await.unwrap().unwrap();
    assert!(progress.finished && progress.done == 5);
    assert!(rebuild.next().await.is_none());
    assert_eq!(store.projection::<Gated>().unwrap().0, 36);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_that_is_dropped_or_fails_leaves_the_old_state() {
    let dir = temp_dir();
    let store = with::<Amounts>(&dir).await;
    for i in 0..20 {
        add(&store, i * 1_000..(i + 1) * 1_000).await;
    }
    let amounts = store.projection::<Amounts>().unwrap();
    let mut dropped = store.rebuild::<Amounts>();
    let mut step = Box::pin(dropped.next());
    let _ = poll_once(&mut step).await;
    drop(step);
    drop(dropped);
    assert_eq!(store.projection::<Amounts>().unwrap(), amounts);

    let mut unregistered = store.rebuild::<Sum>();
    let error = unregistered.next().await.unwrap().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    assert!(unregistered.next().await.is_none());

    // One that has begun does not write where another store may be.
    let mut late = store.rebuild::<Amounts>();
    store.shutdown().await.unwrap();
    let saved = || {
        let base = dir.on_disk()?;
        Some(std::fs::read(base.join("projections/amounts/journal_checkpoint.json")).unwrap())
    };
    let before = saved();
    let mut last = None;
    while let Some(progress) = late.next().await {
        last = Some(progress);
    }
    let error = last.unwrap().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotConnected);
    assert_eq!(saved(), before);
    let error = store.rebuild::<Amounts>().await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotConnected);
}

/// Counts how often it is copied.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Copied(u64);

static COPIES: AtomicU64 = AtomicU64::new(0);

impl Clone for Copied {
    fn clone(&self) -> Self {
        COPIES.fetch_add(1, Ordering::Relaxed);
        Self(self.0)
    }
}

impl Projection for Copied {
    const NAME: &'static str = "copied";

    fn subscriptions(&self) -> &'static [&'static str] {
        &["ledger"]
    }

    fn apply(&mut self, _: &str, _: &str, event: &eventfold::Event) {
        self.0 += event.data["amount"].as_u64().unwrap_or(0);
    }
}

#[tokio::test]
async fn a_read_includes_every_command_that_was_answered_and_copies_nothing() {
    let dir = temp_dir();
    let store = with::<Copied>(&dir).await;
    let mut sum = 0;
    for amount in 1..=50 {
        add(&store, [amount]).await;
        sum += amount;
        let mut seen = 0;
        // The closure may borrow; twice, once with something new and once without.
        for _ in 0..2 {
            store.read(|copied: &Copied| seen = copied.0).await.unwrap();
            assert_eq!(seen, sum);
        }
    }
    assert_eq!(COPIES.load(Ordering::Relaxed), 0);
    assert_eq!(store.projection::<Copied>().unwrap().0, sum);
    assert_eq!(COPIES.load(Ordering::Relaxed), 1);

    let error = store.read(|_: &Sum| ()).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    store.shutdown().await.unwrap();
    let error = store.read(|_: &Copied| ()).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotConnected);
}

#[tokio::test]
async fn waiting_for_a_position_ends_when_the_projection_includes_it() {
    let dir = temp_dir();
    let store = with::<Amounts>(&dir).await;
    let other_dir = temp_dir();
    let other = with::<Amounts>(&other_dir).await;
    add(&other, [1]).await;
    let first = other.head();
    add(&other, [2]).await;
    let second = other.head();
    // The beginning is there already.
    in_time(
        "the beginning",
        store.wait_for::<Amounts>(Position::default()),
    )
    .await
    .unwrap();

    let mut waiting = Box::pin(store.wait_for::<Amounts>(second));
    assert!(poll_once(&mut waiting).await.is_none());
    add(&store, [1]).await;
    in_time("the first", store.wait_for::<Amounts>(first))
        .await
        .unwrap();
    assert!(poll_once(&mut waiting).await.is_none(), "too early");
    add(&store, [2]).await;
    in_time("the second", waiting).await.unwrap();

    // The end is told.
    add(&other, [3]).await;
    let third = other.head();
    let mut waiting = Box::pin(store.wait_for::<Amounts>(third));
    assert!(poll_once(&mut waiting).await.is_none());
    store.shutdown().await.unwrap();
    let error = in_time("the end", waiting).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotConnected);
}
