//! Events that a read model cannot take.

use std::io;

use eventfold_es::{AggregateStore, OnFailure, ProblemKind, Running, SqlError};

use crate::shop::{Orders, note, open, orders, place, row, rows};

/// More than the table allows.
const TOO_MUCH: u64 = 1_000_000_000;

async fn skipping(dir: &tempfile::TempDir) -> AggregateStore {
    let builder = AggregateStore::builder(dir).sql_with(Orders, OnFailure::Skip);
    builder.open().await.unwrap()
}

#[tokio::test]
async fn an_event_that_the_database_refuses_stops_the_read_model_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir).await;
    place(&store, "o-1", 1).await;
    place(&store, "o-2", TOO_MUCH).await;
    place(&store, "o-3", 3).await;
    let sql = store.sql::<Orders>().await.unwrap();
    for _ in 0..2 {
        let Err(SqlError::Follow(error)) = sql.query(|db| rows(db)).await else {
            panic!("the check of the table is violated");
        };
        let text = error.to_string();
        assert!(
            text.contains("`orders` at position 2, stream order/o-2, version 1, event `Placed`")
                && text.contains("CHECK constraint failed"),
            "{text}"
        );
    }
    // What came before it in the same batch is there, and what came after it is not.
    let db = eventfold_es::rusqlite::Connection::open(sql.path()).unwrap();
    assert_eq!(rows(&db).unwrap(), [row("o-1", 1, 1)]);
    let status = &store.read_side().projections[0];
    assert_eq!((status.running, status.lag), (Running::Stopped, 2));
    assert_eq!(store.health().problems[0].kind, ProblemKind::Stopped);
}

#[tokio::test]
async fn one_event_is_skipped_and_recorded_if_the_read_model_is_to_skip() {
    let dir = tempfile::tempdir().unwrap();
    let expected = [row("o-1", 1, 1), row("o-3", 3, 1)];
    let store = skipping(&dir).await;
    place(&store, "o-1", 1).await;
    place(&store, "o-2", TOO_MUCH).await;
    place(&store, "o-3", 3).await;
    assert_eq!(orders(&store).await, expected);
    let status = store.read_side().projections.remove(0);
    assert_eq!((status.skipped_count, status.lag), (1, 0));
    assert_eq!(
        (&*status.skipped[0].event, &*status.skipped[0].id),
        ("Placed", "o-2")
    );
    assert!(status.skipped[0].error.contains("CHECK constraint failed"));
    store.shutdown().await.unwrap();
    drop(store);

    let store = skipping(&dir).await;
    assert_eq!(store.read_side().projections[0].skipped, status.skipped);
    assert_eq!(orders(&store).await, expected);
    let sql = store.sql::<Orders>().await.unwrap();
    let recorded = sql.query(|db| {
        db.query_row("SELECT id, error FROM eventfold_skipped", [], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
        })
    });
    let (id, error) = recorded.await.unwrap();
    assert_eq!(id, "o-2");
    assert_eq!(error, status.skipped[0].error);
}

#[tokio::test]
async fn a_panic_takes_everything_back_that_was_written_for_the_event() {
    let dir = tempfile::tempdir().unwrap();
    let store = skipping(&dir).await;
    place(&store, "o-1", 1).await;
    note(&store, "o-1", "explode").await;
    note(&store, "o-1", "calm").await;
    let mut expected = row("o-1", 1, 1);
    expected.3 = Some("calm".to_owned());
    assert_eq!(orders(&store).await, [expected]);
    let skipped = &store.read_side().projections[0].skipped[0];
    assert!(skipped.error.contains("panicked"), "{skipped:?}");
    assert!(skipped.error.contains("this note explodes"), "{skipped:?}");
}

#[tokio::test]
async fn a_file_that_another_program_has_locked_is_no_fault_of_an_event() {
    let dir = tempfile::tempdir().unwrap();
    let store = skipping(&dir).await;
    place(&store, "o-1", 1).await;
    let sql = store.sql::<Orders>().await.unwrap();
    let other = eventfold_es::rusqlite::Connection::open(sql.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let Err(SqlError::Follow(error)) = sql.query(|db| rows(db)).await else {
        panic!("another program writes");
    };
    assert_eq!(error.kind(), io::ErrorKind::ResourceBusy);
    let text = error.to_string();
    assert!(text.contains("v1.sqlite: database is locked"), "{text}");
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(orders(&store).await, [row("o-1", 1, 1)]);
    assert_eq!(store.read_side().projections[0].skipped_count, 0);
}
