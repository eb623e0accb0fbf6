//! Read models in SQLite, looked into beside the program.

use eventfold_es::inspect::StoreReader;
use eventfold_es::{AggregateStore, Position};

use crate::shop::{Orders, open, orders, place};

#[tokio::test]
async fn a_reader_beside_the_store_sees_position_lag_and_file() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir).await;
    place(&store, "o-1", 5).await;
    place(&store, "o-1", 6).await;
    let file = store.sql::<Orders>().await.unwrap().path();
    assert_eq!(orders(&store).await.len(), 1);
    place(&store, "o-2", 7).await;
    let reader = StoreReader::open(dir.path()).unwrap();
    let [orders] = &reader.projections().unwrap()[..] else {
        panic!("one read model");
    };
    assert_eq!(
        (orders.name.as_str(), orders.problem.as_deref()),
        ("orders", None)
    );
    assert_eq!(orders.read_model.as_deref(), Some(&*file));
    assert!(orders.bytes > 0);
    let (head, position) = (number(store.head()), number(orders.position));
    assert_eq!(orders.lag, head - position);
    assert!(position > 0 && orders.lag > 0);
}

#[tokio::test]
async fn a_file_that_is_damaged_is_a_problem_of_its_read_model() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir).await;
    place(&store, "o-1", 5).await;
    let file = store.sql::<Orders>().await.unwrap().path();
    store.shutdown().await.unwrap();
    drop::<AggregateStore>(store);
    std::fs::write(file, "no database").unwrap();
    let reader = StoreReader::open(dir.path()).unwrap();
    let projections = reader.projections().unwrap();
    let problem = projections[0].problem.as_deref().unwrap();
    assert!(problem.contains("v1.sqlite"), "{problem}");
    assert_eq!(projections[0].position, Position::default());
}

fn number(position: Position) -> u64 {
    position.to_string().parse().unwrap()
}
