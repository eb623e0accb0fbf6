//! Directories that a backup or a restored store cannot go into, or come from.

use super::*;

async fn refused(backup: eventfold_es::Backup, text: &str) {
    let error = backup.await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{error}");
    assert!(error.to_string().contains(text), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_does_not_go_into_the_store_another_store_or_a_directory_in_use() {
    let dir = temp_dir();
    let base = dir.path().join("store");
    let store = AggregateStore::open(&base).await.unwrap();
    add(&store, "a", [1]).await;
    refused(store.backup(&base), "is the directory to copy").await;
    refused(
        store.backup(base.join("b")),
        "is within the directory to copy",
    )
    .await;
    assert!(!base.join("b").exists());
    refused(
        store.backup(dir.path()),
        "has the directory to copy within it",
    )
    .await;
    let other = dir.path().join("other");
    std::fs::create_dir(&other).unwrap();
    std::fs::write(other.join("file"), "text").unwrap();
    refused(store.backup(&other), "is not empty").await;
    refused(store.backup(other.join("file")), "is a file").await;
    assert_eq!(
        files_below(&other),
        [other.join("file")],
        "nothing was made"
    );
    let closed = dir.path().join("closed");
    let another = AggregateStore::open(&closed).await.unwrap();
    add(&another, "a", [1]).await;
    refused(store.backup(&closed), "has a store, not a backup").await;
    let (one, two) = (dir.path().join("1"), dir.path().join("2"));
    store.backup(&one).await.unwrap();
    another.backup(&two).await.unwrap();
    refused(store.backup(&two), "is the backup of another store").await;
    refused(
        AggregateStore::backup_of(&one, &other),
        "is a backup, not a store",
    )
    .await;
    let missing = AggregateStore::backup_of(dir.path().join("none"), &other).await;
    assert_eq!(missing.unwrap_err().kind(), io::ErrorKind::NotFound);
    store.shutdown().await.unwrap();
    another.shutdown().await.unwrap();
    assert_eq!(
        number(store.backup(&one).await.unwrap().position),
        1,
        "a closed store has its files"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_a_store_in_memory_is_refused() {
    let store = AggregateStore::in_memory().open().await.unwrap();
    let error = store.backup(temp_dir().path()).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::Unsupported);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_store_is_backed_up_and_restored_too() {
    let (dir, backup) = (temp_dir(), temp_dir());
    let store = open(&dir).await;
    assert_eq!(
        number(store.backup(backup.path()).await.unwrap().position),
        0
    );
    check(backup.path()).await;
    let restored = restore(backup.path(), 0).await;
    add(&store, "a", [1]).await;
    assert_eq!(
        number(store.backup(backup.path()).await.unwrap().position),
        1
    );
    let later = open(&restored).await;
    add(&later, "a", [2]).await;
    later.shutdown().await.unwrap();
    drop(later);
    check(restored.path()).await;
    restore(backup.path(), 1).await;
    store.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unfinished_backup_is_neither_opened_nor_restored_and_is_finished_by_the_next() {
    let (dir, backup) = (temp_dir(), temp_dir());
    let store = open(&dir).await;
    add(&store, "a", [1, 2]).await;
    store.backup(backup.path()).await.unwrap();
    // As the first one leaves it that ends early.
    let manifest = backup.path().join("backup/manifest.json");
    let text = std::fs::read_to_string(&manifest).unwrap();
    let text = text.replace("\"finished\"", "\"begun\"");
    let (body, _) = text.rsplit_once(",\"sum\"").unwrap();
    let sum = xxhash_rust::xxh3::xxh3_64(body.as_bytes());
    std::fs::write(&manifest, format!("{body},\"sum\":\"{sum:016x}\"}}")).unwrap();
    let error = AggregateStore::open(backup.path()).await.unwrap_err();
    assert!(error.to_string().contains("is not finished"), "{error}");
    let to = temp_dir();
    let error = AggregateStore::restore(backup.path(), to.path())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("is not finished"), "{error}");
    assert!(files_below(to.path()).is_empty());
    let report = AggregateStore::verify(backup.path()).await.unwrap();
    assert!(report.to_string().contains("is not finished"), "{report}");
    store.backup(backup.path()).await.unwrap();
    restore(backup.path(), 2).await;
    store.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_is_restored_into_an_empty_directory_from_a_backup_only() {
    let (dir, backup) = (temp_dir(), temp_dir());
    let store = open(&dir).await;
    add(&store, "a", [1, 2]).await;
    store.backup(backup.path()).await.unwrap();
    let others = temp_dir();
    std::fs::write(others.path().join("file"), "text").unwrap();
    for (from, to, text) in [
        (dir.path(), others.path(), "is not a backup"),
        (backup.path(), others.path(), "is not empty"),
        (backup.path(), dir.path(), "has a store"),
        (backup.path(), backup.path(), "is the directory to copy"),
    ] {
        let error = AggregateStore::restore(from, to).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{error}");
        assert!(error.to_string().contains(text), "{error}");
    }
    let none = AggregateStore::restore(dir.path().join("none"), others.path()).await;
    assert_eq!(none.unwrap_err().kind(), io::ErrorKind::NotFound);
    store.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_backup_is_reported_and_not_restored_and_mended_by_the_next_backup() {
    let (dir, backup) = (temp_dir(), temp_dir());
    let store = open(&dir).await;
    fill(&store, "a", 1024).await;
    let report = store.backup(backup.path()).await.unwrap();
    let segment = &segments(backup.path())[0];
    crate::support::files::edit(segment, |bytes| bytes[5000] ^= 1);
    let found = AggregateStore::verify(backup.path()).await.unwrap();
    assert!(
        !found.is_clean() && found.findings[0].file == *segment,
        "{found}"
    );
    let to = temp_dir();
    let error = AggregateStore::restore(backup.path(), to.path())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
    let error = AggregateStore::open(to.path()).await.unwrap_err();
    assert!(error.to_string().contains("is not finished"), "{error}");
    // A file that is missing or cut off is noticed by the next backup.
    std::fs::remove_file(segment).unwrap();
    let again = store.backup(backup.path()).await.unwrap();
    assert_eq!((again.position, again.segments), (report.position, 1));
    check(backup.path()).await;
    AggregateStore::restore(backup.path(), to.path())
        .await
        .unwrap();
    check(to.path()).await;
    store.shutdown().await.unwrap();
}
