//! Stores that are live: projections and process managers run by themselves.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use eventfold_es::__private::example::{Add, Counter, Forward, Total};
use eventfold_es::{AggregateStore, OnFailure, Position, Projection, Running};
use serde::{Deserialize, Serialize};

use crate::support::files::files_below;
use crate::support::scripted::{
    GateCommand, builder, clock, command, open_live, open_on_demand, passed, run, seconds, tell,
};
use crate::support::{
    Ledger, LedgerCommand as Do, check, check_report, copy, eventually, in_time, temp_dir, verify,
};

async fn open_counters(dir: impl AsRef<Path>) -> AggregateStore {
    crate::support::builder(dir)
        .projection::<Total>()
        .process_manager::<Forward>()
        .aggregate_type::<Counter>()
        .live()
        .open()
        .await
        .unwrap()
}

async fn add(store: &AggregateStore, id: &str, amount: u64) {
    let counter = store.get::<Counter>(id).await.unwrap();
    counter.send(Add(amount)).await.unwrap();
}

async fn value(store: &AggregateStore, id: &str) -> u64 {
    let counter = store.get::<Counter>(id).await.unwrap();
    counter.state().await.unwrap().value
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_store_runs_projections_and_process_managers_by_itself() {
    let dir = temp_dir();
    let store = open_counters(&dir).await;
    for amount in 1..=3 {
        add(&store, "c-1", amount).await;
    }
    // Nobody reads the projection or runs the process manager.
    let all = store.get::<Counter>("all").await.unwrap();
    while u64::from(in_time("a version", all.version()).await.unwrap()) < 3 {
        tokio::task::yield_now().await;
    }
    eventually("everything is followed", || {
        let status = store.read_side();
        status.projections[0].lag == 0 && status.process_managers[0].follower.lag == 0
    })
    .await;
    assert_eq!(value(&store, "all").await, 6);
    let status = store.read_side();
    assert_eq!(status.projections[0].running, Running::Live);
    assert_eq!(status.projections[0].position, store.head());
    assert_eq!(status.process_managers[0].follower.last_error, None);
    assert_eq!(store.projection::<Total>().unwrap().value, 12);
    let head = store.head();
    store.shutdown().await.unwrap();
    check(&dir);
    drop((store, all));

    // All of it was saved.
    let builder = crate::support::builder(&dir).projection::<Total>();
    let store = builder.open().await.unwrap();
    assert_eq!(store.read_side().projections[0].position, head);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_live_store_releases_its_directory_and_repeats_no_reaction() {
    let dir = temp_dir();
    for round in 1..=40 {
        let store = open_counters(&dir).await;
        add(&store, "c-1", 1).await;
        add(&store, &format!("c-{round}"), 1).await;
        if round % 2 == 0 {
            run(&store).await;
        }
        // Amid whatever it is about to do.
        drop(store);
    }
    let store = open_counters(&dir).await;
    run(&store).await;
    assert_eq!(value(&store, "all").await, 80);
    store.shutdown().await.unwrap();
    check(&dir);
}

#[test]
fn a_live_store_outlives_the_runtime_that_it_was_opened_on() {
    let dir = temp_dir();
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap()
    };
    let first = runtime();
    let store = first.block_on(async {
        let store = open_counters(&dir).await;
        add(&store, "c-1", 1).await;
        run(&store).await;
        store
    });
    drop(first);
    runtime().block_on(async {
        add(&store, "c-1", 2).await;
        run(&store).await;
        assert_eq!(value(&store, "all").await, 3);
        store.shutdown().await.unwrap();
    });
    check(&dir);
}

/// The files below `dir` and what they hold.
fn content(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = files_below(dir).into_iter();
    files
        .map(|path| {
            let bytes = std::fs::read(&path).unwrap();
            (path, bytes)
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_finishes_accepted_commands_and_nothing_is_written_afterwards() {
    let dir = temp_dir();
    let clock = clock();
    let store = open_live(&dir, &clock).await;
    command(&store, "shut", GateCommand::Shut).await;
    tell(&store, "later 60 a g 1").await;
    tell(&store, "send shut 2").await;
    run(&store).await;
    let mut accepted = tokio::task::JoinSet::new();
    for number in 10..60 {
        let store = store.clone();
        accepted
            .spawn(async move { tell(&store, &format!("send g{} {number}", number % 7)).await });
    }
    accepted.join_all().await;
    // It does not wait for the timer or the next attempt.
    in_time("the shutdown", store.shutdown()).await.unwrap();
    let before = content(dir.path());
    clock.advance(seconds(1_000));
    assert!(store.run_process_managers().await.is_err());
    let letters = store.dead_letters("scripted").unwrap();
    assert!(letters.replay_all().await.is_ok_and(|r| r.dispatched == 0));
    for _ in 0..10_000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(content(dir.path()), before);
    drop((store, letters));
    assert_eq!(content(dir.path()), before);
    verify(dir.path());

    let store = open_live(&dir, &clock).await;
    command(&store, "shut", GateCommand::Open).await;
    run(&store).await;
    let mut all = passed(&store, "g").await;
    assert_eq!(all, [1]);
    for gate in 0..7 {
        all.extend(passed(&store, &format!("g{gate}")).await);
    }
    all.sort_unstable();
    assert!(
        all.iter().copied().eq([1].into_iter().chain(10..60)),
        "{all:?}"
    );
    assert_eq!(passed(&store, "shut").await, [2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_of_one_event_and_of_many_take_effect_in_order_on_each_aggregate() {
    let dir = temp_dir();
    let clock = clock();
    let store = open_live(&dir, &clock).await;
    let ledger = store.get::<Ledger>("script").await.unwrap();
    for number in 0..500 {
        let text = format!("send g{} {number}", number % 3);
        ledger.send(Do::Write(text)).await.unwrap();
    }
    run(&store).await;
    for gate in 0..3 {
        let expected: Vec<u64> = (gate..500).step_by(3).collect();
        assert_eq!(passed(&store, &format!("g{gate}")).await, expected);
    }
    let before = dir.on_disk().map(copy);
    store.shutdown().await.unwrap();
    // Killed or ended here, it has nothing left to do, and does nothing again.
    let again = open_live(before.as_ref().unwrap_or(&dir), &clock).await;
    run(&again).await;
    assert_eq!(passed(&again, "g0").await.len(), 167);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_in_a_live_store_fails_with_the_kind_of_the_error_that_stopped_a_process_manager() {
    let dir = temp_dir();
    let store = open_counters(&dir).await;
    add(&store, "c-1", 5).await;
    store.run_process_managers().await.unwrap();
    store.shutdown().await.unwrap();
    let manager = dir.path().join("process_managers/forward");
    std::fs::write(manager.join("journal_checkpoint.json"), "damaged").unwrap();

    let store = open_counters(&dir).await;
    let error = in_time("a run", store.run_process_managers())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidData, "{error}");
    store.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_manager_that_panics_on_an_event_stops_and_others_go_on() {
    let dir = temp_dir();
    let clock = clock();
    let store = builder(&dir, &clock, OnFailure::Stop)
        .process_manager::<Forward>()
        .aggregate_type::<Counter>()
        .projection::<Total>()
        .live()
        .open()
        .await
        .unwrap();
    tell(&store, "send g 1").await;
    run(&store).await;
    tell(&store, "panic").await;
    let unfit = store.head();
    tell(&store, "send g 2").await;
    add(&store, "c-1", 5).await;
    let error = in_time("a run", store.run_process_managers())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("scripted"), "{error}");
    eventually("the others go on", || {
        let status = store.read_side();
        status.projections[0].lag == 0 && status.process_managers[1].follower.lag == 0
    })
    .await;
    let status = store.read_side().process_managers.remove(0).follower;
    assert_eq!(status.running, Running::Stopped);
    let error = status.last_error.unwrap();
    let expected = format!(
        "`scripted` at position {unfit}, stream ledger/script, version 2, event `Written`: \
         panicked: told to panic"
    );
    assert_eq!(error, expected);
    for _ in 0..50 {
        let again = in_time("a run", store.run_process_managers()).await;
        assert_eq!(again.unwrap_err().to_string(), error);
    }
    assert_eq!(value(&store, "all").await, 5);
    assert_eq!(passed(&store, "g").await, [1]);
    store.shutdown().await.unwrap();
    drop(store);

    // Opened again it comes to the same event; and passes over it if it is told to.
    let store = open_on_demand(&dir, &clock).await;
    assert!(store.run_process_managers().await.is_err());
    store.shutdown().await.unwrap();
    drop(store);
    for is_live in [false, true] {
        let builder = builder(&dir, &clock, OnFailure::Skip);
        let builder = if is_live { builder.live() } else { builder };
        let store = builder.open().await.unwrap();
        run(&store).await;
        assert_eq!(passed(&store, "g").await, [1, 2]);
        let status = store.read_side().process_managers.remove(0).follower;
        assert_eq!(status.skipped_count, 1);
        assert_eq!(status.skipped[0].position, unfit);
        assert_eq!(status.skipped[0].event, "Written");
        assert_eq!(status.skipped[0].error, "panicked: told to panic");
        // The state is that before the event: three lines and this one.
        if is_live {
            tell(&store, "count").await;
            run(&store).await;
            assert_eq!(passed(&store, "count").await, [3]);
        }
        store.shutdown().await.unwrap();
    }
    check_report(&dir).await;
}

/// Every text of the ledgers, except those that it cannot take.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Texts(Vec<String>);

impl Projection for Texts {
    const NAME: &'static str = "texts";

    fn subscriptions(&self) -> &'static [&'static str] {
        &["ledger"]
    }

    fn apply(&mut self, _: &str, _: &str, event: &eventfold::Event) {
        let text = event.data["text"].as_str().unwrap_or("a number");
        // What it did before it panics must not stay.
        self.0.push(text.to_owned());
        assert!(text != "panic", "told to panic");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_projection_skips_and_records_events_on_which_it_panics() {
    let dir = temp_dir();
    let clock = clock();
    let open = async |on_failure, is_live: bool| {
        let builder = crate::support::builder(&dir)
            .clock(clock.clone())
            .projection_with::<Texts>(on_failure);
        let builder = if is_live { builder.live() } else { builder };
        builder.open().await.unwrap()
    };
    let store = open(OnFailure::Skip, false).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    let texts = ["a", "panic", "b", "panic", "panic", "c"];
    let written = texts.map(str::to_owned);
    let all = Do::decide(move |_| {
        Ok(written
            .into_iter()
            .map(|text| crate::support::LedgerEvent::Written { text })
            .collect())
    });
    ledger.send(Do::Write("first".to_owned())).await.unwrap();
    ledger.send(all).await.unwrap();
    ledger.send(Do::Write("panic".to_owned())).await.unwrap();
    ledger.send(Do::Write("last".to_owned())).await.unwrap();
    let expected = Texts(["first", "a", "b", "c", "last"].map(str::to_owned).to_vec());
    assert_eq!(store.projection::<Texts>().unwrap(), expected);
    let positions = |store: &AggregateStore| -> Vec<Position> {
        let status = store.read_side().projections.remove(0);
        status.skipped.iter().map(|event| event.position).collect()
    };
    let mut unfit = Vec::new();
    let mut events = store.subscribe(Position::default());
    for _ in 0..9 {
        let event = in_time("an event", events.next()).await.unwrap().unwrap();
        if event.data().contains("panic") {
            unfit.push(event.position());
        }
    }
    assert_eq!(unfit.len(), 4);
    assert_eq!(positions(&store), unfit);
    // Built again it is the same, and meets them again.
    store.rebuild_projection::<Texts>().unwrap();
    assert_eq!(store.projection::<Texts>().unwrap(), expected);
    assert_eq!(positions(&store), unfit);
    store.shutdown().await.unwrap();
    drop((store, ledger));

    let store = open(OnFailure::Skip, true).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    ledger.send(Do::Write("panic".to_owned())).await.unwrap();
    ledger.send(Do::Write("end".to_owned())).await.unwrap();
    eventually("it is followed", || {
        store.read_side().projections[0].lag == 0
    })
    .await;
    assert_eq!(store.projection::<Texts>().unwrap().0.len(), 6);
    assert_eq!(positions(&store).len(), 5);
    store.shutdown().await.unwrap();
    drop((store, ledger));
    if let Some(base) = dir.on_disk() {
        let file = base.join("projections/texts/skipped.jsonl");
        assert_eq!(std::fs::read_to_string(&file).unwrap().lines().count(), 5);
    }
    check_report(&dir).await;

    // What is saved is behind them, so they matter no more.
    let store = open(OnFailure::Stop, false).await;
    assert_eq!(store.projection::<Texts>().unwrap().0.len(), 6);
    assert!(store.rebuild_projection::<Texts>().is_err());
    assert_eq!(store.projection::<Texts>().unwrap().0.len(), 6);
    assert_eq!(positions(&store).len(), 5);
}
