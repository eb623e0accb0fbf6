//! Projections and process managers of 0.2.0, taken over.

use std::collections::BTreeMap;
use std::fs::{self};
use std::io::{self};
use std::path::Path;

use serde_json::json;

use super::super::domain::{Bookkeeper, Deposits, Log, UNLUCKY, current, published};
use super::super::files::{copy, find, wait_until_released};
use super::odd_ids;

/// Leaves a projection at every point a stream can have: all seen, partly, not at all.
async fn write_partly_projected(base: &Path) -> Log {
    let store = published::open(base).await;
    for id in odd_ids() {
        published::deposit(&store, &id, &[1, 2]).await;
    }
    let seen = store.projection::<Log>().unwrap();
    store.projection::<Deposits>().unwrap();
    for id in odd_ids().iter().step_by(2) {
        published::deposit(&store, id, &[3, 4]).await;
    }
    published::deposit(&store, "new", &[5, 6]).await;
    drop(store);
    wait_until_released(base);
    seen
}

#[tokio::test]
async fn a_migrated_projection_applies_every_event_once() {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path();
    let seen = write_partly_projected(base).await;
    let mut expected: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for (i, id) in odd_ids().into_iter().enumerate() {
        let amounts = if i % 2 == 0 {
            vec![1, 2, 3, 4]
        } else {
            vec![1, 2]
        };
        expected.insert(id, amounts);
    }
    expected.insert("new".to_owned(), vec![5, 6]);

    for round in 0..3 {
        let store = current::open(base).await;
        let log = store.projection::<Log>().unwrap();
        // What 0.2.0 had applied stays in its order; the rest follows.
        assert_eq!(log.0[..seen.0.len()], seen.0);
        assert_eq!(
            store.projection::<Deposits>().unwrap().0,
            expected,
            "round {round}"
        );
        current::deposit(&store, "new", &[7]).await;
        expected.get_mut("new").unwrap().push(7);
        assert_eq!(store.projection::<Deposits>().unwrap().0, expected);
        store.shutdown().await.unwrap();
    }
    let store = current::open(base).await;
    store.rebuild_projection::<Deposits>().unwrap();
    assert_eq!(store.projection::<Deposits>().unwrap().0, expected);
}

/// The takeover may be cut short before the projection is saved, any number of times.
#[tokio::test]
async fn a_projection_that_was_not_saved_after_the_migration_is_migrated_again() {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path().join("first");
    write_partly_projected(&base).await;
    let store = current::open(&base).await;
    let crashed = dir.path().join("crashed");
    copy(&base, &crashed);
    let expected = store.projection::<Log>().unwrap();
    store.shutdown().await.unwrap();
    assert!(find(&crashed, "journal_checkpoint.json").is_empty());
    let store = current::open(&crashed).await;
    assert_eq!(store.projection::<Log>().unwrap(), expected);
}

#[tokio::test]
async fn a_corrupt_projection_of_0_2_is_built_again() {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path();
    write_partly_projected(base).await;
    let checkpoint = base.join("projections/deposits/checkpoint.json");
    let content = fs::read(&checkpoint).unwrap();
    fs::write(&checkpoint, &content[..content.len() / 2]).unwrap();
    let store = current::open(base).await;
    let deposits = store.projection::<Deposits>().unwrap().0;
    assert_eq!(deposits["plain"], [1, 2, 3, 4]);
    assert_eq!(deposits["with space"], [1, 2]);
}

#[tokio::test]
async fn a_migrated_process_manager_sends_no_command_again() {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path();
    let store = published::open(base).await;
    published::deposit(&store, "ann", &[1, 2]).await;
    published::deposit(&store, "a:b", &[3, UNLUCKY]).await;
    assert_eq!(published::run(&store).await, (3, 1));
    // Not reacted to yet.
    published::deposit(&store, "ann", &[4]).await;
    published::deposit(&store, "50%", &[5, UNLUCKY]).await;
    drop(store);
    wait_until_released(base);
    let letters = base.join("process_managers/bookkeeper/dead_letters.jsonl");
    assert_eq!(fs::read_to_string(&letters).unwrap().lines().count(), 1);

    let pairs = |entries: &[(&str, u64)]| -> Vec<(String, u64)> {
        entries
            .iter()
            .map(|(id, amount)| ((*id).to_owned(), *amount))
            .collect()
    };
    let store = current::open(base).await;
    let mut before = pairs(&[("ann", 1), ("ann", 2), ("a:b", 3)]);
    let mut ledger = current::ledger(&store).await;
    ledger.sort();
    before.sort();
    assert_eq!(ledger, before);
    assert_eq!(current::run(&store).await, (2, 1));
    assert_eq!(current::run(&store).await, (0, 0));
    let mut ledger = current::ledger(&store).await;
    assert_eq!(ledger.len(), 5);
    ledger.sort();
    let all = pairs(&[("50%", 5), ("a:b", 3), ("ann", 1), ("ann", 2), ("ann", 4)]);
    assert_eq!(ledger, all);
    store.shutdown().await.unwrap();

    let store = current::open(base).await;
    assert_eq!(current::run(&store).await, (0, 0));
    current::deposit(&store, "ann", &[6]).await;
    assert_eq!(current::run(&store).await, (1, 0));
    assert_eq!(current::ledger(&store).await.len(), 6);
    assert_eq!(fs::read_to_string(&letters).unwrap().lines().count(), 2);
}

/// The first run after the takeover may be cut short before its checkpoint is saved.
#[tokio::test]
async fn commands_of_a_run_that_was_not_saved_take_effect_once() {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path().join("first");
    let store = published::open(&base).await;
    published::deposit(&store, "ann", &[1]).await;
    assert_eq!(published::run(&store).await, (1, 0));
    published::deposit(&store, "ann", &[2, 3]).await;
    drop(store);
    wait_until_released(&base);

    let store = current::open(&base).await;
    assert_eq!(current::run(&store).await, (2, 0));
    store.shutdown().await.unwrap();
    for checkpoint in find(&base.join("process_managers"), "journal_checkpoint.json") {
        fs::remove_file(checkpoint).unwrap();
    }
    let store = current::open(&base).await;
    current::run(&store).await;
    let amounts: Vec<u64> = current::ledger(&store)
        .await
        .into_iter()
        .map(|(_, n)| n)
        .collect();
    assert_eq!(amounts, [1, 2, 3]);
}

#[tokio::test]
async fn a_corrupt_process_manager_of_0_2_stops_and_the_store_opens() {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path();
    let store = published::open(base).await;
    published::deposit(&store, "ann", &[1]).await;
    published::run(&store).await;
    drop(store);
    wait_until_released(base);
    fs::write(
        base.join("process_managers/bookkeeper/checkpoint.json"),
        "{",
    )
    .unwrap();
    let store = current::builder(base).open().await.unwrap();
    let error = store.run_process_managers().await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    assert!(error.to_string().contains("bookkeeper"), "{error}");
    assert_eq!(current::ledger(&store).await.len(), 1);
}

/// A checkpoint of a process manager in 0.2.0's form.
#[test]
fn both_versions_store_the_bookkeeper_in_the_same_form() {
    let stored = serde_json::to_value(Bookkeeper::default()).unwrap();
    assert_eq!(stored, json!({ "seen": 0 }));
}

// An aggregate type whose name cannot stand as the name of a directory any more.
