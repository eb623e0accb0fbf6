//! Where the files are, and what else finds them there.

use std::io;
use std::path::Path;

use eventfold_es::AggregateStore;

use crate::shop::{Orders, open, orders, place, row};

#[tokio::test]
async fn a_store_in_memory_has_them_in_the_directory_that_the_host_names() {
    let dir = tempfile::tempdir().unwrap();
    let refused = AggregateStore::in_memory().sql(Orders).open().await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
    assert!(refused.to_string().contains("name one by `sql_dir`"));
    for price in [1, 2] {
        let in_memory = || AggregateStore::in_memory().sql(Orders).sql_dir(dir.path());
        let store = in_memory().open().await.unwrap();
        place(&store, "o-1", price).await;
        // Nothing of the store before is there.
        let expected = row("o-1", i64::try_from(price).unwrap(), 1);
        assert_eq!(orders(&store).await, [expected]);
        assert!(dir.path().join("orders/v1.sqlite").exists());
        let busy = in_memory().open().await.unwrap_err();
        assert_eq!(busy.kind(), io::ErrorKind::ResourceBusy);
        assert!(busy.to_string().contains("is in use by another store"));
        store.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn a_store_in_a_directory_may_have_them_elsewhere() {
    let (dir, tables) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let builder = AggregateStore::builder(&dir).sql(Orders);
    let store = builder.sql_dir(tables.path()).open().await.unwrap();
    place(&store, "o-1", 1).await;
    assert_eq!(orders(&store).await, [row("o-1", 1, 1)]);
    assert!(tables.path().join("orders/v1.sqlite").exists());
    assert!(!dir.path().join("projections").exists());
}

fn sqlite_files(dir: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sqlite_files(&path, found);
        } else if path.to_string_lossy().contains(".sqlite") {
            found.push(path.display().to_string());
        }
    }
}

#[tokio::test]
async fn a_backup_leaves_them_out_and_a_restored_store_builds_them_again() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = open(&dir).await;
    place(&store, "o-1", 1).await;
    assert_eq!(orders(&store).await, [row("o-1", 1, 1)]);
    let (backup, restored) = (other.path().join("backup"), other.path().join("restored"));
    store.backup(&backup).await.unwrap();
    let mut found = Vec::new();
    sqlite_files(&backup, &mut found);
    assert_eq!(found, [""; 0]);
    AggregateStore::restore(&backup, &restored).await.unwrap();
    let store = open(&restored).await;
    assert_eq!(orders(&store).await, [row("o-1", 1, 1)]);
}

#[tokio::test]
async fn they_are_no_finding_of_a_check() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir).await;
    place(&store, "o-1", 1).await;
    assert_eq!(orders(&store).await, [row("o-1", 1, 1)]);
    store.shutdown().await.unwrap();
    drop(store);
    let report = AggregateStore::verify(&dir).await.unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
}
