//! Servers that refuse to store something.

use std::io::ErrorKind;

use eventfold_es::{AggregateStore, ExecuteError};
use histories::server::Server;

use crate::domain::{Append, List};
use crate::run::Run;
use crate::servers::{append, count};

/// The kind of the failure to append so many elements.
async fn failure(store: &AggregateStore, elements: u64) -> ErrorKind {
    let list = store.get::<List>("a").await.unwrap();
    let elements = (1000..1000 + elements).collect();
    let failure = list.send(Append { elements }).await.unwrap_err();
    let ExecuteError::Io(error) = &failure else {
        panic!("{failure}");
    };
    assert!(error.to_string().contains("`orders`"), "{error}");
    error.kind()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_of_the_server_is_storage_full_and_nothing_of_the_command_is_stored() {
    let Some(server) = Server::start_on_a_small_disk(160, &[]) else {
        return;
    };
    let store = AggregateStore::postgres(server.url()).schema("orders");
    let store = store.open().await.unwrap();
    append(&store, "a", 1).await.unwrap();
    // The room for the log that the failing command needs is there.
    server.sql("SELECT pg_switch_wal()");
    server.sql("CHECKPOINT");
    server.fill_disk();
    assert_eq!(failure(&store, 5_000).await, ErrorKind::StorageFull);
    assert_eq!(count(&server), "1");
    server.empty_disk();
    assert_eq!(append(&store, "a", 2).await.unwrap(), 2);
    store.shutdown().await.unwrap();
    assert_eq!(count(&server), "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn withdrawn_permissions_are_permission_denied_and_nothing_of_the_command_is_stored() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    server.sql("CREATE ROLE app LOGIN");
    server.sql("GRANT CREATE ON DATABASE postgres TO app");
    let url = server.url().replacen("postgres@", "app@", 1);
    let store = AggregateStore::postgres(url).schema("orders");
    let store = store.open().await.unwrap();
    append(&store, "a", 1).await.unwrap();
    for table in ["events", "streams", "head"] {
        server.sql(&format!("REVOKE ALL ON orders.{table} FROM app"));
        assert_eq!(failure(&store, 2).await, ErrorKind::PermissionDenied);
        server.sql(&format!("GRANT ALL ON orders.{table} TO app"));
    }
    assert_eq!(append(&store, "a", 2).await.unwrap(), 2);
    store.shutdown().await.unwrap();
    assert_eq!(count(&server), "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_of_another_version_are_refused_while_they_are_migrated_under_an_open_store() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let open = || {
        AggregateStore::postgres(server.url())
            .schema("orders")
            .open()
    };
    let store = open().await.unwrap();
    append(&store, "a", 1).await.unwrap();
    store.shutdown().await.unwrap();
    server.sql("UPDATE orders.eventfold_schema SET version = version + 1");
    let refused = open().await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
    assert_eq!(count(&server), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_that_are_hours_apart_change_no_order() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let mut run = Run::on(&server);
    for hours in [1, -1, 0] {
        run.set(|task| task.hours_ahead = hours);
        let worker = run.start();
        worker.wait_for_more(100);
        run.finish(worker);
    }
    run.assert_right().await;
}
