//! Building the tables again, asked for or by itself.

use std::path::{Path, PathBuf};

use eventfold_es::AggregateStore;
use eventfold_es::rusqlite;

use crate::shop::{Orders, open, open_live, orders, place, row};

/// The names of the files of the read model.
fn files(dir: &Path) -> Vec<String> {
    let files = std::fs::read_dir(dir.join("projections/orders")).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| name.ends_with(".sqlite")).collect();
    names.sort();
    names
}

fn damage(store: &Path) {
    let db = rusqlite::Connection::open(store).unwrap();
    db.execute("UPDATE orders SET total = 999", []).unwrap();
}

async fn path(store: &AggregateStore) -> PathBuf {
    store.sql::<Orders>().await.unwrap().path()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_old_tables_serve_until_the_new_ones_have_caught_up() {
    let dir = tempfile::tempdir().unwrap();
    for is_live in [false, true] {
        let store = if is_live {
            open_live(&dir).await
        } else {
            open(&dir).await
        };
        place(&store, "o-1", 1).await;
        let before = orders(&store).await;
        damage(&path(&store).await);
        let mut rebuild = store.sql::<Orders>().await.unwrap().rebuild();
        assert_eq!(orders(&store).await[0].1, 999);
        let mut last = None;
        while let Some(progress) = rebuild.next().await {
            last = Some(progress.unwrap());
        }
        let last = last.unwrap();
        assert!(last.finished && last.done == last.total, "{last:?}");
        assert_eq!(orders(&store).await, before);
        assert_eq!(store.read_side().projections[0].lag, 0);
        let number = if is_live { 2 } else { 1 };
        assert_eq!(files(dir.path()), [format!("v1.r{number}.sqlite")]);
        assert!(path(&store).await.ends_with(format!("v1.r{number}.sqlite")));
        // They go on.
        place(&store, "o-2", 7).await;
        assert!(orders(&store).await.contains(&before[0]));
        store.shutdown().await.unwrap();
    }
    let store = open(&dir).await;
    assert!(orders(&store).await.contains(&row("o-1", 2, 2)));
}

#[tokio::test]
async fn a_rebuild_that_is_dropped_leaves_everything_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir).await;
    place(&store, "o-1", 1).await;
    damage(&path(&store).await);
    let rebuild = store.sql::<Orders>().await.unwrap().rebuild();
    assert_eq!(files(dir.path()), ["v1.r1.sqlite", "v1.sqlite"]);
    drop(rebuild);
    assert_eq!(files(dir.path()), ["v1.sqlite"]);
}

#[tokio::test]
async fn what_a_rebuild_left_that_was_killed_is_removed_by_the_next_open() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir).await;
    place(&store, "o-1", 1).await;
    assert_eq!(orders(&store).await, [row("o-1", 1, 1)]);
    let rebuild = store.sql::<Orders>().await.unwrap().rebuild();
    std::mem::forget(rebuild);
    store.shutdown().await.unwrap();
    assert_eq!(files(dir.path()), ["v1.r1.sqlite", "v1.sqlite"]);
    drop(store);
    let store = open(&dir).await;
    assert_eq!(files(dir.path()), ["v1.sqlite"]);
    assert_eq!(store.read_side().projections[0].lag, 0);
    assert_eq!(orders(&store).await, [row("o-1", 1, 1)]);
}

#[tokio::test]
async fn a_file_that_is_damaged_or_missing_is_built_again() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("projections/orders/v1.sqlite");
    let store = open(&dir).await;
    place(&store, "o-1", 1).await;
    assert_eq!(orders(&store).await.len(), 1);
    store.shutdown().await.unwrap();
    drop(store);
    for damage in [
        Some(&b"this is no database, although it is long enough to be looked at: 0123456789"[..]),
        Some(&b""[..]),
        None,
    ] {
        match damage {
            Some(content) => std::fs::write(&file, content).unwrap(),
            None => std::fs::remove_file(&file).unwrap(),
        }
        let store = open(&dir).await;
        assert_eq!(orders(&store).await, [row("o-1", 1, 1)]);
        store.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn tables_of_another_history_are_built_again() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for (dir, price) in [(&one, 1), (&other, 2)] {
        let store = open(dir).await;
        place(&store, "o-1", price).await;
        orders(&store).await;
        store.shutdown().await.unwrap();
    }
    let file = "projections/orders/v1.sqlite";
    std::fs::copy(one.path().join(file), other.path().join(file)).unwrap();
    let store = open(&other).await;
    assert_eq!(orders(&store).await, [row("o-1", 2, 1)]);
}
