//! Imports into a store that is at work.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;

use super::*;
use crate::support::in_time;

#[tokio::test]
async fn an_aggregate_in_memory_has_imported_events_at_its_next_use() {
    let dir = temp_dir();
    let store = open(&dir).await;
    add(&store, "a", 1..=3).await;
    let lines = exported(&store, ExportForm::EventLines).await;
    add(&store, "a", 4..=5).await;
    let all = exported(&store, ExportForm::EventLines).await;

    let to = temp_dir();
    let other = open(&to).await;
    let a = other.get::<Ledger>("a").await.unwrap();
    assert_eq!(a.version().await.unwrap(), 0);
    in_time("the first import", import(&other, &lines))
        .await
        .unwrap();
    assert_eq!(a.state().await.unwrap(), Ledger::of(1..=3));
    // It is in memory, and the import must wait until it has left.
    let report = in_time("the second import", import(&other, &all))
        .await
        .unwrap();
    assert_eq!((report.events, report.skipped), (2, 3));
    assert_eq!(a.send(Do::Add(6)).await.unwrap().version, 6);
    assert_eq!(a.state().await.unwrap(), Ledger::of(1..=6));
}

/// The lines of an import into `ledgers` streams, whose versions are not stated: others write too.
fn lines(ledgers: u64, events: u64) -> String {
    let line = |i: u64| {
        let (one, other) = (i % ledgers, (i * 7 + 3) % ledgers);
        let of = |id: u64, n: u64| {
            let commit = if one == other {
                String::new()
            } else {
                format!(r#","commit":[{n},2]"#)
            };
            format!(
                r#"{{"eventfold":1,"type":"ledger","id":"l-{id}","event":"Added","event_id":"i-{i}-{n}","ms":1,"data":{{"amount":1}}{commit}}}"#
            ) + "\n"
        };
        if one == other {
            of(one, 1)
        } else {
            of(one, 1) + &of(other, 2)
        }
    };
    (0..events).map(line).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_and_groups_go_on_beside_an_import_into_the_same_streams_and_none_is_lost() {
    const LEDGERS: u64 = 12;
    let dir = temp_dir();
    let store = open(&dir).await;
    let is_done = Arc::new(AtomicBool::new(false));
    let mut clients = JoinSet::new();
    for client in 0..6_u64 {
        let (store, is_done) = (store.clone(), is_done.clone());
        clients.spawn(async move {
            let (mut sent, mut i) = (0, client);
            while !is_done.load(Ordering::Acquire) {
                let (one, other) = (i % LEDGERS, (i + 1 + client) % LEDGERS);
                let one = store.get::<Ledger>(&format!("l-{one}")).await.unwrap();
                let other = store.get::<Ledger>(&format!("l-{other}")).await.unwrap();
                if client % 2 == 0 || one.id() == other.id() {
                    one.send(Do::Add(1)).await.unwrap();
                    sent += 1;
                } else {
                    let group = store
                        .together()
                        .send(&one, Do::Add(1))
                        .send(&other, Do::Add(1));
                    group.commit().await.unwrap();
                    sent += 2;
                }
                i += 5;
            }
            sent
        });
    }
    let (mut imported, mut skipped) = (0, 0);
    for _ in 0..3 {
        let lines = lines(LEDGERS, 6_000);
        let report = in_time("an import", import(&store, &lines)).await.unwrap();
        imported += report.events;
        skipped += report.skipped;
    }
    is_done.store(true, Ordering::Release);
    let sent: u64 = in_time("the clients", clients.join_all())
        .await
        .into_iter()
        .sum();
    assert_eq!(skipped, 2 * imported);
    let mut total = 0;
    for i in 0..LEDGERS {
        let id = format!("l-{i}");
        let ledger = state(&store, &id).await;
        assert_eq!(ledger.count, ledger.total);
        let stored = store.read_events("ledger", &id).await.unwrap();
        assert_eq!(stored.len() as u64, ledger.count, "{id}");
        total += ledger.count;
    }
    assert_eq!(total, sent + imported);
    in_time("shutdown", store.shutdown()).await.unwrap();
    let store = open(&dir).await;
    for i in 0..LEDGERS {
        let ledger = state(&store, &format!("l-{i}")).await;
        total -= ledger.count;
    }
    assert_eq!(total, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_imports_of_the_same_lines_at_once_store_each_event_once() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let lines = lines(8, 3_000);
    let (one, other) = in_time("both imports", async {
        tokio::join!(import(&store, &lines), import(&store, &lines))
    })
    .await;
    let (one, other) = (one.unwrap(), other.unwrap());
    assert_eq!(one.events, other.skipped);
    assert_eq!((one.skipped, other.events), (0, 0));
    let mut total = 0;
    for i in 0..8 {
        total += state(&store, &format!("l-{i}")).await.count;
    }
    assert_eq!(total, one.events);
}

#[tokio::test]
async fn projections_and_subscriptions_get_imported_events_as_new_ones() {
    use eventfold_es::__private::example::{Add, Counter, Total};

    let dir = temp_dir();
    let store = open(&dir).await;
    for amount in [5, 6] {
        store
            .get::<Counter>("c-1")
            .await
            .unwrap()
            .send(Add(amount))
            .await
            .unwrap();
    }
    let lines = exported(&store, ExportForm::CloudEvents).await;
    let to = temp_dir();
    let other = crate::support::builder(&to)
        .projection::<Total>()
        .open()
        .await
        .unwrap();
    other
        .get::<Counter>("own")
        .await
        .unwrap()
        .send(Add(1))
        .await
        .unwrap();
    assert_eq!(other.projection::<Total>().unwrap().value, 1);
    let mut subscription = other.subscribe(other.head());
    import(&other, &lines).await.unwrap();
    assert_eq!(other.projection::<Total>().unwrap().value, 12);
    for id in ["c-1", "c-1"] {
        let event = tokio::time::timeout(Duration::from_secs(60), subscription.next()).await;
        assert_eq!(event.unwrap().unwrap().unwrap().id(), id);
    }
}
