//! A store in a forked child process, [two stores on one memory](conflicts), of which
//! [one runs a process manager](leases), and [aggregates that nobody uses](idle). The first test uses
//! a store that takes this process for another one.

mod conflicts;
mod ending;
mod idle;
#[cfg(all(feature = "postgres", unix))]
mod imports;
mod leases;
pub(crate) mod marks;

use std::io::ErrorKind;

use crate::__private::example::{Add, Counter, Forward, Total};
use crate::storage::files::lock;
use crate::store::{AggregateStore, InjectOptions, spawn_actor};
use crate::{ExecuteError, Position, StateError};

const FOREIGN: &str = "belongs to another process";

async fn open(dir: &std::path::Path) -> std::io::Result<AggregateStore> {
    let builder = AggregateStore::builder(dir).projection::<Total>();
    let builder = builder.process_manager::<Forward>();
    builder.aggregate_type::<Counter>().open().await
}

#[tokio::test]
async fn every_call_of_a_forked_child_to_its_parents_store_fails_at_once_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await.unwrap();
    let counter = store.get::<Counter>("c-1").await.unwrap();
    counter.send(Add(5)).await.unwrap();
    let _ = store.layout();
    let letters = store.dead_letters("forward").unwrap();
    store.inner.storage.process().fork();

    let Err(ExecuteError::Io(error)) = counter.send(Add(5)).await else {
        panic!("a command was answered");
    };
    assert_eq!(error.kind(), ErrorKind::NotConnected);
    assert!(error.to_string().contains(FOREIGN), "{error}");
    let Err(StateError::Io(error)) = counter.state().await else {
        panic!("a state was read");
    };
    assert!(error.to_string().contains(FOREIGN), "{error}");
    let event = eventfold::Event::new("Added", serde_json::json!({ "amount": 5 }));
    let options = InjectOptions::default();
    let refused = [
        store.get::<Counter>("c-2").await.map(drop),
        store.inject_event::<Counter>("c-1", event, options).await,
        store.projection::<Total>().map(drop),
        store.read(|_: &Total| ()).await,
        store.wait_for::<Total>(store.head()).await,
        store.rebuild_projection::<Total>(),
        store.rebuild::<Total>().await,
        store.run_process_managers().await.map(drop),
        letters.replay_all().await.map(drop),
        letters.discard("1").await,
        store.read_events("counter", "c-1").await.map(drop),
        store.shutdown().await,
    ];
    for (call, refused) in refused.into_iter().enumerate() {
        // There is no dead letter to replay.
        if call == 8 {
            continue;
        }
        let error = refused.expect_err("it is another process's");
        assert!(error.to_string().contains(FOREIGN), "{call}: {error}");
    }
    let mut events = store.subscribe(Position::default());
    let error = events.next().await.expect("an end").expect_err("an error");
    assert!(error.to_string().contains(FOREIGN), "{error}");
    // Neither call waits for a thread.
    let file = store
        .layout()
        .stream_dir("counter", "c-1")
        .join("app.jsonl");
    assert!(counter.reader().read_from(0).is_ok() && file.is_file());
    drop((counter, letters, events, store));
    assert!(!dir.path().join("projections").exists());
}

/// The committer of such a store, which has the locks, is not started yet.
#[cfg(unix)]
#[tokio::test]
async fn a_forked_child_that_drops_a_store_without_commits_leaves_the_locks_to_its_parent() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await.unwrap();
    store.inner.storage.process().fork();
    drop(store);
    for file in [dir.path().to_owned(), dir.path().join("lock")] {
        let locked = std::fs::File::open(file).unwrap().try_lock();
        assert!(matches!(locked, Err(std::fs::TryLockError::WouldBlock)));
    }
}

#[tokio::test]
async fn a_forked_child_can_open_the_directory_once_its_parent_has_ended() {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path().canonicalize().unwrap();
    let path = base.join("streams/counter/c-1");
    let theirs = open(dir.path()).await.unwrap();
    let counter = theirs.get::<Counter>("c-1").await.unwrap();
    counter.send(Add(5)).await.unwrap();
    let _ = theirs.layout();
    theirs.inner.storage.process().fork();
    let parent = lock::fork(&base).expect("it is open");

    let error = open(dir.path()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ResourceBusy);
    let text = error.to_string();
    assert!(text.contains("in use by another process"), "{text}");
    assert!(spawn_actor::<Counter>(&path).is_err());

    // The other process ends without closing its store.
    drop(parent);
    let store = open(dir.path()).await.unwrap();
    assert_eq!(
        store
            .get::<Counter>("c-1")
            .await
            .unwrap()
            .version()
            .await
            .unwrap(),
        1
    );
    let shared = spawn_actor::<Counter>(&path).unwrap();
    assert_eq!(shared.state().await.unwrap().value, 5);
    store.shutdown().await.unwrap();
}
