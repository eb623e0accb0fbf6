//! The order in which streams enter the journal, also when that is interrupted.

use std::collections::BTreeMap;
use std::fs::{self};
use std::path::Path;

use eventfold::Event;
use serde_json::json;

use super::super::domain::{Account, Ledger, Log, current, entry, published};
use super::super::files::{
    Rest, commits, copy, interrupt_migration, segments, wait_until_released,
};
use super::{deposited, write_stream};

/// Streams whose times are interleaved, go back, and are equal, as (type, id, time, amount).
const INTERLEAVED: &[(&str, &str, u64, u64)] = &[
    ("account", "late", 300, 1),
    ("account", "back", 200, 2),
    ("account", "early", 100, 3),
    ("account", "back", 150, 4),
    ("ledger", "early", 100, 5),
    ("account", "early", 200, 6),
    ("account", "back", 250, 7),
    ("ledger", "early", 200, 8),
    ("account", "late", 10, 9),
    ("account", "early", 350, 10),
    ("account", "same", 200, 11),
    ("account", "same", 200, 12),
    ("ledger", "early", 300, 13),
];

fn event_of(aggregate_type: &str, ts: u64, amount: u64) -> Event {
    let mut event = deposited(amount, ts);
    if aggregate_type == "ledger" {
        "Recorded".clone_into(&mut event.event_type);
        event.data = json!({ "from": "x", "amount": amount });
    }
    event
}

async fn write_interleaved(base: &Path) {
    let store = published::open(base).await;
    for &(aggregate_type, id, ts, amount) in INTERLEAVED {
        let event = event_of(aggregate_type, ts, amount);
        if aggregate_type == "account" {
            published::inject::<Account>(&store, id, event).await;
        } else {
            published::inject::<Ledger>(&store, id, event).await;
        }
    }
    drop(store);
    wait_until_released(base);
    // What `inject` caught up must not hide the order.
    fs::remove_dir_all(base.join("projections")).unwrap();
}

/// The order that the journal must have: by the latest time so far in the stream, then type, id,
/// line.
fn expected_order() -> Vec<String> {
    let mut latest: BTreeMap<(&str, &str), (u64, usize)> = BTreeMap::new();
    let mut keyed = Vec::new();
    for &(aggregate_type, id, ts, amount) in INTERLEAVED {
        let (time, lines) = latest.entry((aggregate_type, id)).or_default();
        *time = ts.max(*time);
        *lines += 1;
        let key = (*time, aggregate_type, id, *lines);
        keyed.push((
            key,
            entry(aggregate_type, id, &event_of(aggregate_type, ts, amount)),
        ));
    }
    keyed.sort();
    keyed.into_iter().map(|(_, entry)| entry).collect()
}

#[tokio::test]
async fn events_are_ordered_by_the_latest_time_of_their_stream_then_type_id_and_line() {
    let dir = tempfile::tempdir().unwrap();
    write_interleaved(dir.path()).await;
    let store = current::open(dir.path()).await;
    assert_eq!(store.projection::<Log>().unwrap().0, expected_order());
    assert_eq!(store.head().to_string(), INTERLEAVED.len().to_string());
    store.shutdown().await.unwrap();
    let positions: Vec<u64> = commits(dir.path())
        .iter()
        .map(|commit| commit["pos"].as_u64().unwrap())
        .collect();
    assert_eq!(
        positions,
        (1..=INTERLEAVED.len() as u64).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn an_interrupted_migration_resumes_and_gives_the_same_order() {
    let dir = tempfile::tempdir().unwrap();
    let old = dir.path().join("old");
    write_interleaved(&old).await;
    let whole = dir.path().join("whole");
    copy(&old, &whole);
    current::open(&whole).await.shutdown().await.unwrap();
    let expected = commits(&whole);

    for rest in [Rest::Zeros, Rest::Nothing, Rest::HalfALine] {
        for lines in 0..=INTERLEAVED.len() + 1 {
            let base = dir.path().join(format!("{rest:?} after {lines}"));
            copy(&whole, &base);
            interrupt_migration(&base, lines, rest);
            let store = builder_or_panic(&base, lines, rest).await;
            let log = store.projection::<Log>().unwrap().0;
            assert_eq!(log, expected_order(), "{rest:?} after {lines} lines");
            current::deposit(&store, "late", &[99]).await;
            assert_eq!(current::account(&store, "late").await.deposits, [1, 9, 99]);
            store.shutdown().await.unwrap();
            let places = |commits: &[serde_json::Value]| -> Vec<String> {
                let keys = ["pos", "streams", "events"];
                let commits = commits.iter().take(INTERLEAVED.len());
                commits
                    .map(|commit| keys.map(|key| commit[key].to_string()).join(" "))
                    .collect()
            };
            assert_eq!(places(&commits(&base)), places(&expected));
            // And nothing is entered again.
            let store = current::open(&base).await;
            assert_eq!(
                store.projection::<Log>().unwrap().0.len(),
                INTERLEAVED.len() + 1
            );
            store.shutdown().await.unwrap();
        }
    }
}

async fn builder_or_panic(base: &Path, lines: usize, rest: Rest) -> eventfold_es::AggregateStore {
    match current::builder(base).open().await {
        Ok(store) => store,
        Err(error) => panic!("{rest:?} after {lines} lines: {error}"),
    }
}

#[tokio::test]
async fn a_migration_of_several_batches_can_be_interrupted_between_any_two_segments() {
    let dir = tempfile::tempdir().unwrap();
    let old = dir.path().join("old");
    let padding = "p".repeat(60_000);
    let amounts = 0..50_u64;
    for stream in 0..3 {
        let events: Vec<Event> = amounts
            .clone()
            .map(|amount| {
                let mut event = deposited(amount, 1000 + amount * 3 + stream);
                event.meta = Some(json!({ "padding": padding }));
                event
            })
            .collect();
        write_stream(&old, "account", &format!("s{stream}"), &events);
    }
    let whole = dir.path().join("whole");
    copy(&old, &whole);
    // A segment that is the last one at the moment of the crash is not compressed.
    let store = current::builder(&whole).compress_journal(false);
    let store = store.open().await.unwrap();
    let expected = store.projection::<Log>().unwrap().0;
    assert_eq!(expected.len(), 150);
    store.shutdown().await.unwrap();
    let count = segments(&whole).len();
    assert!(count >= 3, "{count} segments");

    for keep in 1..=count {
        let base = dir.path().join(format!("{keep} segments"));
        copy(&whole, &base);
        fs::remove_dir_all(base.join("projections")).unwrap();
        fs::remove_file(base.join("journal/checkpoint.json")).unwrap();
        fs::remove_file(base.join("meta/taken_over")).unwrap();
        for path in &segments(&base)[keep..] {
            fs::remove_file(path).unwrap();
        }
        let store = current::open(&base).await;
        assert_eq!(store.projection::<Log>().unwrap().0, expected);
        assert_eq!(
            current::account(&store, "s1").await.deposits,
            amounts.clone().collect::<Vec<_>>()
        );
        store.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn a_store_that_crashed_after_the_migration_opens_again() {
    let dir = tempfile::tempdir().unwrap();
    let old = dir.path().join("old");
    write_interleaved(&old).await;
    let store = current::open(&old).await;
    current::deposit(&store, "late", &[99]).await;
    let crashed = dir.path().join("crashed");
    copy(&old, &crashed);
    store.shutdown().await.unwrap();
    // The checkpoint may be missing as well: then the whole journal is replayed.
    for remove_checkpoint in [false, true] {
        if remove_checkpoint {
            fs::remove_file(crashed.join("journal/checkpoint.json")).unwrap();
        }
        let store = current::open(&crashed).await;
        let log = store.projection::<Log>().unwrap().0;
        assert_eq!(log[..INTERLEAVED.len()], expected_order());
        assert_eq!(log.len(), INTERLEAVED.len() + 1);
        assert_eq!(current::account(&store, "late").await.deposits, [1, 9, 99]);
        store.shutdown().await.unwrap();
    }
}
