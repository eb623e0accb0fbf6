//! What the tables have, and when.

use std::io;

use eventfold_es::rusqlite;
use eventfold_es::{AggregateStore, Running, SqlError};

use crate::shop::{Orders, note, open, open_live, orders, place, row, rows};

#[tokio::test]
async fn a_query_includes_everything_that_was_answered_before() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir).await;
    assert_eq!(orders(&store).await, []);
    for price in 1..=20 {
        place(&store, "o-1", price).await;
        let total = i64::try_from(price * (price + 1) / 2).unwrap();
        let items = i64::try_from(price).unwrap();
        assert_eq!(orders(&store).await, [row("o-1", total, items)]);
    }
    note(&store, "o-1", "fragile").await;
    assert_eq!(orders(&store).await[0].3.as_deref(), Some("fragile"));
}

#[tokio::test(flavor = "multi_thread")]
async fn so_it_does_in_a_live_store_under_load() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_live(&dir).await;
    let mut tasks = Vec::new();
    for writer in 0..4 {
        let store = store.clone();
        tasks.push(tokio::spawn(async move {
            let id = format!("o-{writer}");
            for price in 1..=40_i64 {
                place(&store, &id, price.unsigned_abs()).await;
                let found = orders(&store).await;
                let expected = row(&id, price * (price + 1) / 2, price);
                assert!(found.contains(&expected), "{found:?}");
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_store_fills_the_tables_by_itself_and_tells_how_far_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_live(&dir).await;
    let sql = store.sql::<Orders>().await.unwrap();
    let position = place(&store, "o-1", 5).await;
    sql.wait_for(position).await.unwrap();
    let status = &store.read_side().projections[0];
    assert_eq!((status.name, status.lag), ("orders", 0));
    assert_eq!(status.running, Running::Live);
    assert_eq!(status.position, store.head());
    // Without a query: another program sees it.
    let db = rusqlite::Connection::open(sql.path()).unwrap();
    assert_eq!(rows(&db).unwrap(), [row("o-1", 5, 1)]);
}

#[tokio::test]
async fn a_store_on_demand_tells_its_lag_and_takes_all_events_in_one_transaction() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir).await;
    for price in 1..=100 {
        place(&store, "o-1", price).await;
    }
    assert_eq!(store.read_side().projections[0].lag, 100);
    assert_eq!(store.read_side().projections[0].running, Running::OnDemand);
    let sql = store.sql::<Orders>().await.unwrap();
    let version = "PRAGMA data_version";
    let db = rusqlite::Connection::open(sql.path()).unwrap();
    let data_version =
        |db: &rusqlite::Connection| -> i64 { db.query_row(version, [], |row| row.get(0)).unwrap() };
    let before = data_version(&db);
    assert_eq!(orders(&store).await, [row("o-1", 5050, 100)]);
    assert_eq!(data_version(&db), before + 1);
    assert_eq!(store.read_side().projections[0].lag, 0);
}

#[tokio::test]
async fn the_tables_go_on_where_they_were() {
    let dir = tempfile::tempdir().unwrap();
    for round in 1..=3_i64 {
        let store = open(&dir).await;
        let position = store.read_side().projections[0].position;
        assert_eq!(position, store.head(), "they were saved");
        place(&store, "o-1", 1).await;
        assert_eq!(orders(&store).await, [row("o-1", round, round)]);
        store.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn a_query_sees_one_moment_and_cannot_write() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir).await;
    place(&store, "o-1", 1).await;
    let sql = store.sql::<Orders>().await.unwrap();
    let refused = sql.query(|db| db.execute("DELETE FROM orders", [])).await;
    let Err(SqlError::Query(error)) = refused else {
        panic!("the tables were written");
    };
    assert_eq!(
        error.sqlite_error_code(),
        Some(rusqlite::ErrorCode::ReadOnly)
    );

    let other = store.clone();
    let runtime = tokio::runtime::Handle::current();
    let counts = sql.query(move |db| {
        let before = rows(db)?;
        std::thread::spawn(move || {
            runtime.block_on(async {
                place(&other, "o-1", 1).await;
                assert_eq!(orders(&other).await, [row("o-1", 2, 2)]);
            });
        })
        .join()
        .unwrap();
        Ok((before, rows(db)?))
    });
    let (before, after) = counts.await.unwrap();
    assert_eq!(before, after);
    assert_eq!(orders(&store).await, [row("o-1", 2, 2)]);
}

#[tokio::test]
async fn an_error_of_a_query_names_what_was_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir).await;
    let sql = store.sql::<Orders>().await.unwrap();
    let failed = sql
        .query(|db| db.query_row("SELECT missing FROM orders", [], |row| row.get::<_, i64>(0)))
        .await;
    let text = failed.unwrap_err().to_string();
    assert!(text.contains("no such column: missing"), "{text}");
}

#[tokio::test]
async fn after_a_shutdown_nothing_can_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir).await;
    let sql = store.sql::<Orders>().await.unwrap();
    store.shutdown().await.unwrap();
    let Err(SqlError::Follow(error)) = sql.query(|db| rows(db)).await else {
        panic!("it is shut down");
    };
    assert_eq!(error.kind(), io::ErrorKind::NotConnected);
    let error = store.sql::<Orders>().await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotConnected);
    // Nothing is left but the file itself.
    let files = std::fs::read_dir(dir.path().join("projections/orders")).unwrap();
    let files: Vec<_> = files.map(|file| file.unwrap().file_name()).collect();
    assert_eq!(files, ["v1.sqlite"]);
}

#[tokio::test]
async fn a_read_model_that_is_not_registered_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let store = AggregateStore::open(&dir).await.unwrap();
    let error = store.sql::<Orders>().await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    assert!(
        error
            .to_string()
            .contains("`orders` is not registered: add `.sql(")
    );
    drop(store);
    let twice = AggregateStore::builder(&dir).sql(Orders).sql(Orders);
    let error = twice.open().await.unwrap_err();
    assert!(
        error.to_string().contains("`orders` is registered twice"),
        "{error}"
    );
}

#[tokio::test]
async fn the_model_of_the_program_has_it_among_the_projections() {
    let dir = tempfile::tempdir().unwrap();
    let model = open(&dir).await.model();
    assert_eq!(model.projections[0].name, "orders");
    assert_eq!(model.projections[0].aggregates, ["order"]);
}
