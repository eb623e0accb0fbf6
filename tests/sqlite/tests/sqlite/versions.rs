//! A new version of a read model, beside the old one.

use eventfold_es::AggregateStore;
use eventfold_es::rusqlite;

use crate::shop::{DoubleOrders, GATE, open, open_live, orders, place, row};

async fn open_double(dir: &tempfile::TempDir, is_live: bool) -> AggregateStore {
    let builder = AggregateStore::builder(dir).sql(DoubleOrders);
    let builder = if is_live { builder.live() } else { builder };
    builder.open().await.unwrap()
}

/// The version of the tables, and the total of an order.
async fn total(store: &AggregateStore, id: &'static str) -> (u32, Option<i64>) {
    let sql = store.sql::<DoubleOrders>().await.unwrap();
    let total = sql.query(move |db| {
        let table = if db.version() == 1 {
            "orders"
        } else {
            "doubled"
        };
        let query = format!("SELECT total FROM {table} WHERE id = ?1");
        let total = db.query_row(&query, [id], |row| row.get(0));
        Ok((db.version(), rusqlite::OptionalExtension::optional(total)?))
    });
    total.await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[expect(
    clippy::await_holding_lock,
    reason = "the writer, on a thread of its own, is to wait for it"
)]
async fn the_old_version_serves_under_load_until_the_new_one_has_caught_up() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_live(&dir).await;
    for price in 1..=50 {
        place(&store, "o-1", price).await;
    }
    assert_eq!(orders(&store).await, [row("o-1", 1275, 50)]);
    store.shutdown().await.unwrap();
    drop(store);

    let gate = tokio::task::block_in_place(|| GATE.lock().unwrap());
    let store = open_double(&dir, true).await;
    let load = tokio::spawn({
        let store = store.clone();
        async move {
            for _ in 0..50 {
                place(&store, "o-2", 1).await;
            }
        }
    });
    load.await.unwrap();
    // The old tables, as they were.
    assert_eq!(total(&store, "o-1").await, (1, Some(1275)));
    assert_eq!(total(&store, "o-2").await, (1, None));
    assert!(store.read_side().projections[0].lag >= 50);
    drop(gate);
    let sql = store.sql::<DoubleOrders>().await.unwrap();
    sql.wait_for(store.head()).await.unwrap();
    assert_eq!(total(&store, "o-1").await, (2, Some(2550)));
    assert_eq!(total(&store, "o-2").await, (2, Some(100)));
    assert!(sql.path().ends_with("v2.sqlite"));
    store.shutdown().await.unwrap();
    drop((store, sql));

    // An earlier release that runs again finds its tables and goes on with them.
    let store = open(&dir).await;
    assert_eq!(store.read_side().projections[0].lag, 50);
    assert_eq!(
        orders(&store).await,
        [row("o-1", 1275, 50), row("o-2", 50, 50)]
    );
}

#[tokio::test]
async fn on_demand_a_query_builds_the_new_version_first() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir).await;
    place(&store, "o-1", 3).await;
    assert_eq!(orders(&store).await, [row("o-1", 3, 1)]);
    store.shutdown().await.unwrap();
    drop(store);
    let store = open_double(&dir, false).await;
    place(&store, "o-1", 4).await;
    assert_eq!(total(&store, "o-1").await, (2, Some(14)));
}
