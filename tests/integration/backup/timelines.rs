//! A restored store begins a new timeline: nothing of the history that went on elsewhere is taken for
//! its own.

use super::*;
use eventfold_es::__private::example::Add;

/// The identity in the header of the last segment.
fn timeline(base: &Path) -> (String, String) {
    let text = std::fs::read(segments(base).last().unwrap()).unwrap();
    let line = text.split(|byte| *byte == b'\n').next().unwrap();
    let header: Value = serde_json::from_slice(line).unwrap();
    let member = |name: &str| header[name].as_str().unwrap().to_owned();
    (member("directory"), member("timeline"))
}

async fn count(store: &AggregateStore, amounts: &[u64]) {
    let counter = store.get::<Counter>("c-1").await.unwrap();
    for amount in amounts {
        counter.send(Add(*amount)).await.unwrap();
    }
}

async fn open_total(base: &Path) -> AggregateStore {
    let builder = scripted(base, &clock(), OnFailure::Stop);
    builder.projection::<Total>().open().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_restored_store_has_a_timeline_of_its_own_which_lasts_without_an_event() {
    let (dir, backup) = (temp_dir(), temp_dir());
    let store = open(&dir).await;
    add(&store, "a", [1, 2]).await;
    store.backup(backup.path()).await.unwrap();
    let mut seen = BTreeSet::from([timeline(dir.path())]);
    for position in [0, 1, 2, 2] {
        let restored = restore(backup.path(), position).await;
        let new = timeline(restored.path());
        assert!(seen.insert(new.clone()));
        for amount in [3, 4] {
            let store = open(&restored).await;
            add(&store, "a", [amount]).await;
            store.shutdown().await.unwrap();
            assert_eq!(timeline(restored.path()), new);
        }
    }
    store.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_another_timeline_is_not_continued() {
    let (dir, backup, own) = (temp_dir(), temp_dir(), temp_dir());
    let store = open(&dir).await;
    add(&store, "a", [1, 2]).await;
    store.backup(backup.path()).await.unwrap();
    let restored = restore(backup.path(), 1).await;
    let later = open(&restored).await;
    for amounts in [vec![], vec![3, 4, 5]] {
        add(&later, "a", amounts).await;
        let error = later.backup(backup.path()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert!(error.to_string().contains("another timeline"), "{error}");
    }
    later.backup(own.path()).await.unwrap();
    let error = store.backup(own.path()).await.unwrap_err();
    assert!(error.to_string().contains("another timeline"), "{error}");
    later.shutdown().await.unwrap();
    store.shutdown().await.unwrap();
    restore(own.path(), 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_was_put_back_by_copying_files_does_not_continue_a_later_backup() {
    let (dir, backup) = (temp_dir(), temp_dir());
    let store = open(&dir).await;
    add(&store, "a", [1]).await;
    store.shutdown().await.unwrap();
    drop(store);
    let old = moved(dir.path());
    let store = open(&dir).await;
    add(&store, "a", [2]).await;
    store.backup(backup.path()).await.unwrap();
    store.shutdown().await.unwrap();
    drop(store);
    let before = content(backup.path());
    for amounts in [vec![], vec![3, 4]] {
        let store = open(&old).await;
        add(&store, "a", amounts).await;
        let error = store.backup(backup.path()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(error.to_string().contains("another history"), "{error}");
        store.shutdown().await.unwrap();
    }
    assert!(content(backup.path()) == before, "the backup is as it was");
}

#[tokio::test(flavor = "multi_thread")]
async fn checkpoints_and_indexes_of_another_timeline_are_not_trusted_in_a_restored_store() {
    let (dir, backup) = (temp_dir(), temp_dir());
    let store = open_total(dir.path()).await;
    tell(&store, "send g 1").await;
    run(&store).await;
    count(&store, &[1, 2]).await;
    store.projection::<Total>().unwrap();
    let fork = number(store.backup(backup.path()).await.unwrap().position);
    count(&store, &[100, 200]).await;
    tell(&store, "send g 2").await;
    run(&store).await;
    store.projection::<Total>().unwrap();
    store.shutdown().await.unwrap();
    drop(store);

    let restored = restore(backup.path(), fork).await;
    let store = open_total(restored.path()).await;
    count(&store, &[10, 20, 30, 40, 50, 60]).await;
    store.shutdown().await.unwrap();
    drop(store);
    for part in ["projections", "tags", "streams/counter/c-1/views"] {
        let from = dir.path().join(part);
        if from.exists() {
            copy_into(&from, &restored.path().join(part));
        }
    }
    let store = open_total(restored.path()).await;
    assert_eq!(store.projection::<Total>().unwrap().value, 213);
    let counter = store.get::<Counter>("c-1").await.unwrap();
    assert_eq!(counter.state().await.unwrap().value, 213);
    run(&store).await;
    assert_eq!(passed(&store, "g").await, [1]);
    store.shutdown().await.unwrap();
    drop((store, counter));

    // A process manager refuses the checkpoint of the other timeline.
    let part = "process_managers";
    copy_into(&dir.path().join(part), &restored.path().join(part));
    let refused = scripted(restored.path(), &clock(), OnFailure::Stop)
        .open()
        .await;
    let error = refused.unwrap_err().to_string();
    assert!(error.contains("is from another history"), "{error}");
    let report = AggregateStore::verify(restored.path()).await.unwrap();
    assert!(!report.is_clean(), "{report}");
}
