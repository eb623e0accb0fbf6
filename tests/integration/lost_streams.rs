//! Stream files that were deleted or cut while no store was open.

use std::path::{Path, PathBuf};

use eventfold_es::{AggregateStore, StateError};

use crate::support::{
    Ledger, LedgerCommand as Do, copy, eventually, open, stream_file, temp_dir, verify,
};

/// A way to lose events that leaves nothing behind which is damaged in itself.
type Loss = fn(&Path);

const LOSSES: [(&str, Loss); 4] = [
    ("the file is deleted", |file| {
        std::fs::remove_file(file).unwrap();
    }),
    ("the directory is deleted", |file| {
        std::fs::remove_dir_all(file.parent().unwrap()).unwrap();
    }),
    ("the file is emptied", |file| {
        std::fs::write(file, b"").unwrap();
    }),
    ("the last line is cut off", |file| {
        let text = std::fs::read_to_string(file).unwrap();
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        std::fs::write(file, lines[..lines.len() - 1].concat()).unwrap();
    }),
];

/// Opens the store in which `a` has lost events: it refuses everything, and no other does.
async fn assert_noticed(base: &Path, what: &str) {
    let store = open(base).await;
    let a = store.get::<Ledger>("a").await.unwrap();
    let file = stream_file(base, "a").display().to_string();
    let read = a.state().await.unwrap_err();
    assert!(matches!(read, StateError::Io(_)), "{what}: {read:?}");
    let sent = a.send(Do::Add(9)).await.unwrap_err().to_string();
    for error in [read.to_string(), sent] {
        assert!(error.contains(&file), "{what}: {error}");
        assert!(error.contains("is damaged at byte"), "{what}: {error}");
    }
    let b = store.get::<Ledger>("b").await.unwrap();
    let before: u64 = b.version().await.unwrap().into();
    assert_eq!(b.send(Do::Add(1)).await.unwrap().version, before + 1);
    store.shutdown().await.unwrap();

    AggregateStore::repair(base).await.unwrap();
    let store = open(base).await;
    let a = store.get::<Ledger>("a").await.unwrap();
    assert_eq!(a.state().await.unwrap(), Ledger::of([1, 2, 3]), "{what}");
    assert_eq!(a.send(Do::Add(4)).await.unwrap().version, 4);
    store.shutdown().await.unwrap();
    verify(base);
}

async fn add(store: &AggregateStore, id: &str, amounts: &[u64]) {
    let ledger = store.get::<Ledger>(id).await.unwrap();
    for amount in amounts {
        ledger.send(Do::Add(*amount)).await.unwrap();
    }
}

async fn assert_all_noticed(base: &Path) {
    for (what, lose) in LOSSES {
        let dir = copy(base);
        let file: PathBuf = stream_file(dir.path(), "a");
        lose(&file);
        assert_noticed(dir.path(), what).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_lost_after_an_orderly_shutdown_are_noticed() {
    let dir = temp_dir();
    let store = open(&dir).await;
    add(&store, "a", &[1, 2, 3]).await;
    add(&store, "b", &[1]).await;
    store.shutdown().await.unwrap();
    drop(store);
    assert_all_noticed(dir.path()).await;

    // Also when it was not the last time that the store was open, and it ended in a crash since.
    let store = open(&dir).await;
    add(&store, "b", &[2]).await;
    assert_all_noticed(copy(dir.path()).path()).await;
    store.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn events_lost_after_a_recovery_are_noticed() {
    let dir = temp_dir();
    let store = open(&dir).await;
    add(&store, "a", &[1, 2, 3]).await;
    add(&store, "b", &[1]).await;
    let crashed = copy(dir.path());
    store.shutdown().await.unwrap();
    // The files are brought up to the journal, and synced while the store is open. The next crash comes after
    // that.
    let redo_point = || std::fs::read(crashed.path().join("journal/checkpoint.json")).unwrap();
    let before = redo_point();
    let store = open(&crashed).await;
    eventually("the redo point moves", || redo_point() != before).await;
    let crashed_again = copy(crashed.path());
    store.shutdown().await.unwrap();
    assert_all_noticed(crashed_again.path()).await;
}
