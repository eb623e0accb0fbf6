//! A process manager whose checkpoint cannot be used is stopped and says so; the store and the others
//! are not concerned.

use std::io::ErrorKind;

use eventfold_es::__private::example::{Add, Counter, Forward, Total};
use eventfold_es::{AggregateStore, Running};

use crate::support::files::edit;
use crate::support::scripted::Scripted;
use crate::support::{TempDir, copy, temp_dir};

fn builder(dir: &TempDir) -> eventfold_es::AggregateStoreBuilder {
    crate::support::builder(dir.path())
        .process_manager::<Forward>()
        .process_manager::<Scripted>()
        .projection::<Total>()
        .aggregate_type::<Counter>()
}

async fn add(store: &AggregateStore) {
    let counter = store.get::<Counter>("c-1").await.unwrap();
    counter.send(Add(5)).await.unwrap();
}

async fn forwarded(store: &AggregateStore) -> u64 {
    let all = store.get::<Counter>("all").await.unwrap();
    all.state().await.unwrap().value
}

/// A store whose process manager `forward` has a checkpoint that cannot be read.
async fn damaged() -> (TempDir, Vec<u8>) {
    let dir = temp_dir();
    let store = builder(&dir).open().await.unwrap();
    add(&store).await;
    store.run_process_managers().await.unwrap();
    store.shutdown().await.unwrap();
    let file = dir
        .path()
        .join("process_managers/forward/journal_checkpoint.json");
    edit(&file, |bytes| bytes[3] ^= 1);
    let bytes = std::fs::read(&file).unwrap();
    (dir, bytes)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_opens_with_a_damaged_checkpoint_of_a_process_manager_whose_run_fails_with_the_cause()
 {
    let (dir, bytes) = damaged().await;
    let file = dir
        .path()
        .join("process_managers/forward/journal_checkpoint.json");
    let store = builder(&dir).open().await.unwrap();
    let status = store.read_side();
    let [forward, scripted] = status.process_managers.as_slice() else {
        panic!("{status:?}");
    };
    assert_eq!(forward.follower.running, Running::Stopped);
    assert_eq!(scripted.follower.running, Running::OnDemand);
    let cause = forward.follower.last_error.clone().unwrap();
    for part in ["`forward`", file.to_str().unwrap(), "checksum"] {
        assert!(cause.contains(part), "{cause}");
    }

    add(&store).await;
    let error = store.run_process_managers().await.unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string()),
        (ErrorKind::InvalidData, cause)
    );
    assert_eq!(forwarded(&store).await, 5);
    assert_eq!(store.projection::<Total>().unwrap().value, 15);
    // The other one ran.
    let head = store.head();
    assert_eq!(
        store.read_side().process_managers[1].follower.position,
        head
    );
    let letters = store.dead_letters("forward").unwrap();
    assert!(letters.list().await.unwrap().is_empty());
    assert!(letters.replay("1").await.is_err());
    assert!(letters.discard("1").await.is_err());
    store.shutdown().await.unwrap();
    drop((letters, store));
    assert_eq!(std::fs::read(&file).unwrap(), bytes);

    // Once it is put right, it goes on from where it was.
    edit(&file, |bytes| bytes[3] ^= 1);
    let store = builder(&dir).open().await.unwrap();
    store.run_process_managers().await.unwrap();
    assert_eq!(forwarded(&store).await, 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_store_opens_with_a_damaged_checkpoint_of_a_process_manager_and_runs_the_others() {
    let (dir, _) = damaged().await;
    let store = builder(&dir).live().open().await.unwrap();
    add(&store).await;
    let error = store.run_process_managers().await.unwrap_err();
    assert!(error.to_string().contains("`forward`"), "{error}");
    let status = store.read_side().process_managers;
    assert_eq!(status[0].follower.running, Running::Stopped);
    assert_eq!(status[1].follower.position, store.head());
    assert_eq!(forwarded(&store).await, 5);
    store.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_manager_ahead_of_the_journal_keeps_the_store_from_opening() {
    let dir = temp_dir();
    let store = builder(&dir).open().await.unwrap();
    add(&store).await;
    store.run_process_managers().await.unwrap();
    store.shutdown().await.unwrap();
    drop(store);
    let backup = copy(dir.path());
    let store = builder(&dir).open().await.unwrap();
    add(&store).await;
    store.run_process_managers().await.unwrap();
    store.shutdown().await.unwrap();
    drop(store);
    // Restored without its process managers: once it has as many events again, some would be missed.
    let file = "process_managers/forward/journal_checkpoint.json";
    std::fs::copy(dir.path().join(file), backup.path().join(file)).unwrap();
    let error = builder(&backup).open().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    let text = error.to_string();
    assert!(
        text.contains("`forward`") && text.contains("ahead of the journal"),
        "{text}"
    );
}
