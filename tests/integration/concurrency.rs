//! Expected versions, idempotency keys, passivation, runtimes, and who has a directory open.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use eventfold_es::{AggregateStore, CommandContext, ExecuteError, StateError, spawn_actor};
use tokio::task::JoinSet;

use crate::support::{
    Door, Ledger, LedgerCommand as Do, LedgerEvent, abandon, child, copy, eventually,
    fast_temp_dir, in_time, journal, open, poll_once, random, refusal, stall, stream_file,
    temp_dir, verify,
};

fn expecting(version: u64) -> CommandContext {
    CommandContext::default().with_expected_version(version)
}

fn keyed(key: impl ToString) -> CommandContext {
    CommandContext::default().with_idempotency_key(key.to_string())
}

fn added(amount: u64) -> LedgerEvent {
    LedgerEvent::Added { amount }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_refused_unless_the_stream_is_at_the_expected_version() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    // A stream that does not exist has version 0.
    assert_eq!(ledger.version().await.unwrap(), 0);
    for too_high in [1, 2, u64::MAX] {
        let refused = ledger.send_with(Do::Add(1), expecting(too_high)).await;
        assert!(matches!(refused, Err(ExecuteError::Conflict)));
    }
    assert!(!stream_file(dir.path(), "a").exists());

    ledger
        .send_with(Do::AddAll(vec![1, 2]), expecting(0))
        .await
        .unwrap();
    for wrong in [0, 1, 3] {
        let refused = ledger.send_with(Do::Add(9), expecting(wrong)).await;
        assert!(matches!(refused, Err(ExecuteError::Conflict)));
    }
    let done = ledger.send_with(Do::Add(3), expecting(2)).await.unwrap();
    assert_eq!(done.version, 3);
    // It holds for commands that change nothing as well.
    let refused = ledger.send_with(Do::Nothing, expecting(2)).await;
    assert!(matches!(refused, Err(ExecuteError::Conflict)));
    ledger.send_with(Do::Nothing, expecting(3)).await.unwrap();
    assert_eq!(ledger.state().await.unwrap(), Ledger::of([1, 2, 3]));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_writers_at_the_same_expected_version_exactly_one_wins() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    for version in 0..100 {
        let mut writers = JoinSet::new();
        for amount in 1..=4 {
            let ledger = ledger.clone();
            writers.spawn(async move {
                let command = Do::AddAll(vec![amount]);
                ledger.send_with(command, expecting(version)).await
            });
        }
        let won = writers.join_all().await.into_iter();
        let won: Vec<_> = won
            .filter_map(|result| match result {
                Ok(done) => Some(done.version),
                Err(ExecuteError::Conflict) => None,
                Err(error) => panic!("{error}"),
            })
            .collect();
        assert_eq!(won.len(), 1, "at version {version}");
        assert_eq!(won[0], version + 1);
    }
    store.shutdown().await.unwrap();
    assert_eq!(
        verify(dir.path())[&("ledger".into(), "a".into())].len(),
        100
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_repeated_under_its_key_stores_nothing_and_returns_the_same() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    ledger.send(Do::Add(1)).await.unwrap();
    let first = ledger
        .send_with(Do::AddAll(vec![2, 3]), keyed("k"))
        .await
        .unwrap();
    ledger.send(Do::Add(4)).await.unwrap();

    // Whatever the repeated command would do now: it is not decided.
    let again = ledger.send_with(Do::Refuse, keyed("k")).await.unwrap();
    assert_eq!(again.events, [added(2), added(3)]);
    assert_eq!(again.version, first.version);
    assert_eq!(again.position, first.position);
    assert_eq!(again.version, 3);

    let other = ledger.send_with(Do::Add(5), keyed("K")).await.unwrap();
    assert_eq!(other.version, 5);
    // Another stream has keys of its own.
    let other = store.get::<Ledger>("b").await.unwrap();
    assert_eq!(
        other
            .send_with(Do::Add(1), keyed("k"))
            .await
            .unwrap()
            .version,
        1
    );
    assert_eq!(ledger.state().await.unwrap(), Ledger::of(1..=5));
    assert_eq!(journal(dir.path()).len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_waits_for_the_original_that_is_under_way() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    ledger.send(Do::Add(1)).await.unwrap();
    let stalled = stall(&store).await;
    let mut original = Box::pin(ledger.send_with(Do::AddAll(vec![2, 3]), keyed("k")));
    let mut repeat = Box::pin(ledger.send_with(Do::AddAll(vec![2, 3]), keyed("k")));
    assert!(poll_once(&mut original).await.is_none());
    assert!(poll_once(&mut repeat).await.is_none());
    drop(stalled);
    let (original, repeat) = tokio::join!(original, repeat);
    let (original, repeat) = (original.unwrap(), repeat.unwrap());
    assert_eq!(repeat.events, original.events);
    assert_eq!(repeat.version, original.version);
    assert_eq!(repeat.position, original.position);
    assert_eq!(ledger.state().await.unwrap(), Ledger::of([1, 2, 3]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_known_after_a_restart_a_crash_and_a_snapshot() {
    let dir = temp_dir();
    let store = AggregateStore::builder(&dir)
        .snapshot_every(5)
        .open()
        .await
        .unwrap();
    let ledger = store.get::<Ledger>("a").await.unwrap();
    let first = ledger
        .send_with(Do::AddAll(vec![1, 2]), keyed("k"))
        .await
        .unwrap();
    let in_snapshot = ledger
        .send_with(Do::AddAll(vec![3, 4, 5]), keyed("l"))
        .await
        .unwrap();
    let behind_snapshot = ledger.send_with(Do::Add(6), keyed("m")).await.unwrap();
    eventually("a snapshot", || {
        crate::support::snapshot(dir.path(), "a").is_some_and(|s| s["version"] == 5)
    })
    .await;
    let crashed = copy(dir.path());
    store.shutdown().await.unwrap();

    for dir in [dir.path(), crashed.path()] {
        let store = open(dir).await;
        let ledger = store.get::<Ledger>("a").await.unwrap();
        for (key, original) in [("k", &first), ("l", &in_snapshot), ("m", &behind_snapshot)] {
            let again = ledger.send_with(Do::Add(9), keyed(key)).await.unwrap();
            assert_eq!(again.events, original.events, "{key}");
            assert_eq!(again.version, original.version, "{key}");
            assert_eq!(again.position, original.position, "{key}");
        }
        assert_eq!(ledger.version().await.unwrap(), 6);
        let new = ledger.send_with(Do::Add(7), keyed("n")).await.unwrap();
        assert_eq!(new.version, 7);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_remembers_its_last_thousand_keys() {
    let dir = temp_dir();
    let store = AggregateStore::builder(&dir)
        .snapshot_every(600)
        .open()
        .await
        .unwrap();
    let ledger = store.get::<Ledger>("a").await.unwrap();
    let mut calls = JoinSet::new();
    for key in 0..1_000 {
        let ledger = ledger.clone();
        calls.spawn(async move { ledger.send_with(Do::Add(1), keyed(key)).await.unwrap() });
    }
    calls.join_all().await;
    store.shutdown().await.unwrap();
    let store = open(&dir).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    let mut versions = BTreeSet::new();
    for key in 0..1_000 {
        let again = ledger.send_with(Do::Add(1), keyed(key)).await.unwrap();
        versions.insert(u64::from(again.version));
    }
    assert_eq!(versions, (1..=1_000).collect());
    assert_eq!(ledger.version().await.unwrap(), 1_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_or_empty_command_is_decided_again_under_its_key() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    ledger.send_with(Do::Refuse, keyed("k")).await.unwrap_err();
    ledger.send_with(Do::Nothing, keyed("k")).await.unwrap();
    let panic = Do::decide(|_| panic!("no decision"));
    ledger.send_with(panic, keyed("k")).await.unwrap_err();
    ledger.send_with(Do::Explode, keyed("k")).await.unwrap_err();
    let done = ledger.send_with(Do::Add(1), keyed("k")).await.unwrap();
    assert_eq!(done.events, [added(1)]);
    let again = ledger.send_with(Do::Add(1), keyed("k")).await.unwrap();
    assert_eq!(again.version, done.version);
    assert_eq!(ledger.version().await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_is_looked_up_before_the_expected_version() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    let context = keyed("k").with_expected_version(0);
    let done = ledger.send_with(Do::Add(1), context.clone()).await.unwrap();
    ledger.send(Do::Add(2)).await.unwrap();
    let again = ledger.send_with(Do::Add(1), context).await.unwrap();
    assert_eq!(again.version, done.version);
    assert_eq!(again.events, done.events);
    assert_eq!(ledger.version().await.unwrap(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_gets_and_passivations_of_one_id_never_lose_a_command() {
    let dir = temp_dir();
    let store = AggregateStore::builder(&dir)
        .idle_timeout(Duration::from_micros(200))
        .snapshot_every(50)
        .open()
        .await
        .unwrap();
    let mut writers = JoinSet::new();
    for writer in 0..4_u64 {
        let store = store.clone();
        writers.spawn(async move {
            let mut random = random(writer);
            let mut kept = store.get::<Ledger>("a").await.unwrap();
            let mut reactivations = 0;
            let mut versions = Vec::new();
            for _ in 0..750 {
                if random().is_multiple_of(3) {
                    kept = store.get::<Ledger>("a").await.unwrap();
                }
                if random().is_multiple_of(4) {
                    // Goes on right when, or a moment before or after, it leaves memory.
                    for _ in 0..random() % 400 {
                        if !kept.is_alive() {
                            reactivations += 1;
                            break;
                        }
                        tokio::task::yield_now().await;
                    }
                }
                versions.push(u64::from(kept.send(Do::Add(1)).await.unwrap().version));
            }
            (versions, reactivations)
        });
    }
    let results = in_time("passivation under load", writers.join_all()).await;
    let reactivations: u32 = results.iter().map(|(_, reactivations)| reactivations).sum();
    assert!(
        reactivations > 20,
        "only {reactivations} met a passivated aggregate"
    );
    let mut versions: Vec<u64> = results
        .into_iter()
        .flat_map(|(versions, _)| versions)
        .collect();
    versions.sort_unstable();
    assert_eq!(versions, (1..=3_000).collect::<Vec<u64>>());
    store.shutdown().await.unwrap();
    assert_eq!(
        verify(dir.path())[&("ledger".into(), "a".into())].len(),
        3_000
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handle_outlives_idleness() {
    let dir = temp_dir();
    let store = AggregateStore::builder(&dir)
        .idle_timeout(Duration::from_millis(5))
        .open()
        .await
        .unwrap();
    let ledger = store.get::<Ledger>("a").await.unwrap();
    for round in 0..10 {
        assert_eq!(
            ledger.send(Do::Add(round)).await.unwrap().version,
            round + 1
        );
        eventually("the aggregate leaves memory", || !ledger.is_alive()).await;
    }
    assert_eq!(ledger.state().await.unwrap(), Ledger::of(0..10));
    assert!(ledger.is_alive());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_aggregate_that_nobody_waits_for_is_not_passivated_before_it_is_idle() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    ledger.send(Do::Add(1)).await.unwrap();
    drop(ledger);
    // The second handle meets the same activation, not a new one.
    let decided = Door::default();
    let (waiting, passed) = (Door::default(), decided.clone());
    let reached = waiting.clone();
    let again = store.get::<Ledger>("a").await.unwrap();
    let mut first = Box::pin(again.send(Do::decide(move |_| {
        reached.open();
        passed.pass();
        Ok(vec![added(2)])
    })));
    assert!(poll_once(&mut first).await.is_none());
    eventually("the command is decided", || waiting.is_open()).await;
    let other = store.get::<Ledger>("a").await.unwrap();
    let mut second = Box::pin(other.version());
    assert!(poll_once(&mut second).await.is_none());
    decided.open();
    assert_eq!(first.await.unwrap().version, 2);
    assert_eq!(second.await.unwrap(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_gets_of_one_id_share_one_activation() {
    let dir = temp_dir();
    let store = open(&dir).await;
    for round in 0..50 {
        let mut users = JoinSet::new();
        for _ in 0..16 {
            let store = store.clone();
            users.spawn(async move {
                let ledger = store.get::<Ledger>(&format!("a{round}")).await.unwrap();
                u64::from(ledger.send(Do::Add(1)).await.unwrap().version)
            });
        }
        let versions: BTreeSet<u64> = users.join_all().await.into_iter().collect();
        assert_eq!(versions, (1..=16).collect());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_is_in_use_as_one_rust_type_at_a_time() {
    #[derive(Clone, Default, serde::Serialize, serde::Deserialize)]
    struct Impostor;
    impl eventfold_es::Aggregate for Impostor {
        const AGGREGATE_TYPE: &'static str = "ledger";
        type Command = ();
        type DomainEvent = LedgerEvent;
        type Error = std::convert::Infallible;
        fn handle(&self, (): ()) -> Result<Vec<LedgerEvent>, Self::Error> {
            Ok(Vec::new())
        }
        fn apply(self, _: &LedgerEvent) -> Self {
            self
        }
    }

    let dir = temp_dir();
    let store = open(&dir).await;
    let _ledger = store.get::<Ledger>("a").await.unwrap();
    let refused = store.get::<Impostor>("a").await.unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::InvalidInput);
    assert!(refused.to_string().contains("ledger/a"), "{refused}");
    let _other = store.get::<Impostor>("b").await.unwrap();
}

#[test]
fn a_store_outlives_the_runtime_it_was_opened_on() {
    let dir = temp_dir();
    let first = runtime();
    let (store, ledger) = first.block_on(async {
        let store = open(&dir).await;
        let ledger = store.get::<Ledger>("a").await.unwrap();
        ledger.send(Do::Add(1)).await.unwrap();
        (store, ledger)
    });
    drop(first);
    let second = runtime();
    second.block_on(async {
        assert_eq!(ledger.send(Do::Add(2)).await.unwrap().version, 2);
        assert_eq!(ledger.state().await.unwrap(), Ledger::of([1, 2]));
        store.shutdown().await.unwrap();
    });
    verify(dir.path());
}

#[test]
fn what_was_under_way_when_a_runtime_ended_comes_before_what_follows() {
    let dir = temp_dir();
    let outer = runtime();
    let store = outer.block_on(async { open(&dir).await });
    for round in 0..20 {
        let inner = runtime();
        let ledger = inner.block_on(async {
            let id = format!("a{round}");
            let ledger = store.get::<Ledger>(&id).await.unwrap();
            assert_eq!(ledger.version().await.unwrap(), 0);
            ledger
        });
        let stalled = outer.block_on(stall(&store));
        inner.block_on(async {
            let (gone, decided) = (Door::default(), Door::default());
            for i in 0..10 {
                let (gone, decided) = (gone.clone(), decided.clone());
                let command = Do::decide(move |_| {
                    gone.pass();
                    if i == 9 {
                        decided.open();
                    }
                    Ok(vec![added(1)])
                });
                abandon(ledger.send(command)).await;
            }
            gone.open();
            // A command behind the last one: that one is with the committer then.
            let last = ledger.send(Do::decide(|_| Ok(Vec::new())));
            abandon(last).await;
            eventually("all are decided", || decided.is_open()).await;
            let looked = Door::default();
            let door = looked.clone();
            abandon(ledger.inspect(move |_| door.open())).await;
            eventually("the last one is handed over", || looked.is_open()).await;
        });
        drop(inner);
        assert!(!ledger.is_alive());
        let mut next = Box::pin(ledger.send(Do::Add(1)));
        outer.block_on(async {
            assert!(poll_once(&mut next).await.is_none());
            drop(stalled);
            let done = in_time("a command after its runtime ended", next)
                .await
                .unwrap();
            assert_eq!(done.version, 11);
        });
    }
    outer.block_on(async { store.shutdown().await.unwrap() });
    verify(dir.path());
}

#[test]
fn an_actor_is_spawned_with_and_without_a_runtime() {
    let dir = temp_dir();
    let stream = dir.path().join("alone");
    // A directory outside of any store becomes a store of its own with this one stream.
    let ledger = spawn_actor::<Ledger>(&stream).unwrap();
    runtime().block_on(async {
        ledger.send(Do::Add(1)).await.unwrap();
    });
    assert_eq!(ledger.reader().read_from(0).unwrap().count(), 1);
    assert_eq!(
        std::fs::read_to_string(stream.join("app.jsonl"))
            .unwrap()
            .lines()
            .count(),
        1
    );
    drop(ledger);
    runtime().block_on(async {
        let ledger = spawn_actor::<Ledger>(&stream).unwrap();
        assert_eq!(ledger.send(Do::Add(2)).await.unwrap().version, 2);
        assert_eq!(ledger.state().await.unwrap(), Ledger::of([1, 2]));
        let busy = spawn_actor::<Ledger>(&stream).unwrap_err();
        assert_eq!(busy.kind(), std::io::ErrorKind::ResourceBusy, "{busy}");
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn an_actor_spawned_inside_a_store_is_that_stores_aggregate() {
    let dir = temp_dir();
    let stream = dir.path().join("streams/ledger/a%2Fb");
    let ledger = spawn_actor::<Ledger>(&stream).unwrap();
    assert_eq!(ledger.id(), "a/b");
    ledger.send(Do::Add(1)).await.unwrap();
    drop(ledger);

    let store = open(&dir).await;
    let spawned = spawn_actor::<Ledger>(&stream).unwrap();
    let got = store.get::<Ledger>("a/b").await.unwrap();
    spawned.send(Do::Add(2)).await.unwrap();
    assert_eq!(got.send(Do::Add(3)).await.unwrap().version, 3);
    assert_eq!(spawned.state().await.unwrap(), Ledger::of([1, 2, 3]));
    store.shutdown().await.unwrap();
    assert!(matches!(
        spawned.send(Do::Add(4)).await,
        Err(ExecuteError::Closed)
    ));
    verify(dir.path());

    let other = dir.path().join("streams/letter/a");
    let refused = spawn_actor::<Ledger>(&other).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::InvalidInput);
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_finishes_what_was_accepted_and_refuses_what_comes_after() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    let late = store.get::<Ledger>("b").await.unwrap();
    let go = Door::default();
    let mut accepted: Vec<_> = (0..50)
        .map(|i| {
            let go = go.clone();
            Box::pin(ledger.send(Do::decide(move |_| {
                go.pass();
                Ok(vec![added(i)])
            })))
        })
        .collect();
    for call in &mut accepted {
        assert!(poll_once(call).await.is_none());
    }
    let mut shutdown = Box::pin(store.shutdown());
    assert!(poll_once(&mut shutdown).await.is_none());
    assert!(matches!(
        late.send(Do::Add(1)).await,
        Err(ExecuteError::Closed)
    ));
    assert!(matches!(late.state().await, Err(StateError::Closed)));
    go.open();
    shutdown.await.unwrap();
    for (call, version) in accepted.into_iter().zip(1..) {
        assert_eq!(call.await.unwrap().version, version);
    }
    assert!(matches!(
        ledger.send(Do::Add(1)).await,
        Err(ExecuteError::Closed)
    ));
    let refused = store.get::<Ledger>("c").await.unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::NotConnected);
    store.run_process_managers().await.unwrap_err();
    // A second one has nothing to do.
    store.shutdown().await.unwrap();

    // The directory is free while the old store and its handles are still there, and their end
    // does not disturb the new one.
    let next = open(&dir).await;
    drop((store, ledger, late));
    assert!(
        in_time("a second open", refusal(&dir))
            .await
            .contains("already open")
    );
    let ledger = next.get::<Ledger>("a").await.unwrap();
    assert_eq!(ledger.version().await.unwrap(), 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_leaves_nothing_to_replay() {
    let dir = temp_dir();
    let store = open(&dir).await;
    store
        .get::<Ledger>("a")
        .await
        .unwrap()
        .send(Do::Add(1))
        .await
        .unwrap();
    store.shutdown().await.unwrap();
    let text = std::fs::read_to_string(dir.path().join("journal/checkpoint.json")).unwrap();
    let checkpoint: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(checkpoint["clean"], true);
    let end = journal(dir.path()).last().unwrap().end();
    assert_eq!(checkpoint["offset"], end);
    assert_eq!(checkpoint["position"], 1);
}

#[tokio::test]
async fn a_dropped_store_can_be_opened_again_at_once() {
    // On a current-thread runtime, where nobody else could finish its work meanwhile.
    let dir = temp_dir();
    for round in 0..50 {
        let store = open(&dir).await;
        let ledger = store.get::<Ledger>("a").await.unwrap();
        assert_eq!(
            ledger.send(Do::Add(round)).await.unwrap().version,
            round + 1
        );
    }
    let store = open(&dir).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    assert_eq!(ledger.state().await.unwrap(), Ledger::of(0..50));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_is_released_even_while_a_process_is_being_started() {
    // Between its fork and its exec a new process shares all descriptors of this one.
    let dir = fast_temp_dir();
    let enough = Door::default();
    let starters: Vec<_> = (0..2)
        .map(|_| {
            let enough = enough.clone();
            std::thread::spawn(move || {
                while !enough.is_open() {
                    child::start_and_forget();
                }
            })
        })
        .collect();
    for _ in 0..300 {
        let store = open(&dir).await;
        let ledger = store.get::<Ledger>("a").await.unwrap();
        ledger.send(Do::Add(1)).await.unwrap();
    }
    enough.open();
    for starter in starters {
        starter.join().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_store_on_a_directory_is_refused_until_the_first_is_gone() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let error = AggregateStore::open(&dir).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ResourceBusy);
    assert!(
        error.to_string().contains("already open in this process"),
        "{error}"
    );
    let name = dir.path().file_name().unwrap().to_str().unwrap();
    assert!(error.to_string().contains(name), "{error}");
    // Nor by another way to the same place.
    let detour = dir.path().join("journal").join("..");
    assert!(refusal(&detour).await.contains("already open"));

    let clone = store.clone();
    drop(store);
    assert!(
        refusal(&dir).await.contains("already open"),
        "a clone keeps it open"
    );
    let ledger = clone.get::<Ledger>("a").await.unwrap();
    drop(clone);
    assert!(
        refusal(&dir).await.contains("already open"),
        "a handle keeps it open"
    );
    drop(ledger);
    open(&dir).await;
}

/// Opens the store and holds it.
pub(crate) async fn hold(dir: &Path) {
    let store = open(dir).await;
    let ledger = store.get::<Ledger>("held").await.unwrap();
    ledger.send(Do::Add(1)).await.unwrap();
    child::say("open");
    child::wait_for_the_end();
}

/// Says how it is refused.
pub(crate) async fn try_to_open(dir: &Path) {
    match AggregateStore::open(dir).await {
        Ok(_) => child::say("opened"),
        Err(error) => child::say(format!("{:?}: {error}", error.kind())),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_on_a_directory_is_refused_until_the_first_is_gone() {
    let dir = temp_dir();
    let mut holder = child::start("hold", dir.path());
    assert_eq!(holder.hear().as_deref(), Some("open"));
    let error = AggregateStore::open(&dir).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ResourceBusy);
    let text = error.to_string();
    assert!(text.contains("in use by another process"), "{text}");
    assert!(text.contains(&holder.id().to_string()), "{text}");
    holder.finish();
    let store = open(&dir).await;

    let mut other = child::start("try to open", dir.path());
    let heard = other.hear().unwrap();
    assert!(heard.contains("in use by another process"), "{heard}");
    assert!(heard.contains(&std::process::id().to_string()), "{heard}");
    store.shutdown().await.unwrap();

    let mut holder = child::start("hold", dir.path());
    assert_eq!(holder.hear().as_deref(), Some("open"));
    holder.kill();
    let store = open(&dir).await;
    let ledger = store.get::<Ledger>("held").await.unwrap();
    assert_eq!(ledger.version().await.unwrap(), 2);
}
