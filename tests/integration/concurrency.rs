//! Many callers of one aggregate, passivation, and runtimes that come and go.

use std::collections::BTreeSet;
use std::time::Duration;

use eventfold_es::{ExecuteError, spawn_actor};
use tokio::task::JoinSet;

use crate::support::{
    Door, Ledger, LedgerCommand as Do, LedgerEvent, abandon, check, eventually, in_time, open,
    poll_once, random, stall, stored, temp_dir, verify,
};

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
async fn commands_gets_and_passivations_of_one_id_never_lose_a_command() {
    let dir = temp_dir();
    let store = crate::support::builder(&dir)
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
                let sent = in_time("a command under load", kept.send(Do::Add(1))).await;
                versions.push(u64::from(sent.unwrap().version));
            }
            (versions, reactivations)
        });
    }
    let results = writers.join_all().await;
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
    check(&dir);
    assert_eq!(stored(&dir, "a").await, 3_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handle_works_after_its_aggregate_was_passivated() {
    let dir = temp_dir();
    let store = crate::support::builder(&dir)
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
    let again = ledger.clone();
    // It is in memory at least as long as it works.
    let inspected = ledger.inspect(move |state| (state.clone(), again.is_alive()));
    assert_eq!(inspected.await.unwrap(), (Ledger::of(0..10), true));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_aggregate_without_handles_is_not_passivated_before_it_is_idle() {
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
    check(&dir);
}

#[test]
fn a_call_in_the_context_of_a_runtime_that_has_ended_is_answered() {
    let (done, answered) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let dir = temp_dir();
        let (first, second) = (runtime(), runtime());
        let ended = first.handle().clone();
        drop(first);
        second.block_on(async {
            let store = open(&dir).await;
            let sent = {
                let _context = ended.enter();
                let ledger = store.get::<Ledger>("a").await.unwrap();
                ledger.send(Do::Add(1)).await
            };
            assert_eq!(sent.unwrap().version, 1);
            store.shutdown().await.unwrap();
        });
        done.send(()).unwrap();
    });
    let answered = answered.recv_timeout(Duration::from_secs(60));
    answered.expect("the call is stuck");
}

#[test]
fn commits_under_way_when_a_runtime_ended_come_before_later_ones() {
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
