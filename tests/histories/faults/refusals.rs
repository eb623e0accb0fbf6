//! Servers that refuse to store something.

use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;

use eventfold_es::{AggregateStore, ExecuteError};

use crate::domain::{Append, List};
use crate::postgres::Server;
use crate::run::{Run, is_root};
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

/// Where the directories of [`stores_on_a_small_disk`] are.
const SMALL_DISK: &str = "EVENTFOLD_SMALL_DISK";

#[test]
fn a_full_disk_of_the_server_is_storage_full_and_nothing_of_the_command_is_stored() {
    if !is_root() {
        eprintln!("skipped: a small disk needs root");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    // Only this process and those that it starts see the disk, and it ends with them.
    let script = "mount -t tmpfs -o size=160m,mode=755 tmpfs \"$TMPDIR\" || exit 99; exec \"$@\"";
    let output = Command::new("unshare")
        .args([
            "--mount",
            "--propagation",
            "private",
            "/bin/sh",
            "-c",
            script,
            "sh",
        ])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "refusals::stores_on_a_small_disk", "--ignored"])
        .env("TMPDIR", dir.path())
        .env(SMALL_DISK, dir.path())
        .output()
        .unwrap();
    if output.status.code() == Some(99) {
        eprintln!("skipped: no small disk can be mounted");
        return;
    }
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "started by another test, in a process of its own"]
async fn stores_on_a_small_disk() {
    let Some(disk) = std::env::var_os(SMALL_DISK) else {
        return;
    };
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let store = AggregateStore::postgres(server.url()).schema("orders");
    let store = store.open().await.unwrap();
    append(&store, "a", 1).await.unwrap();
    // The room for the log that the failing command needs is there.
    server.sql("SELECT pg_switch_wal()");
    server.sql("CHECKPOINT");
    let filler = Path::new(&disk).join("filler");
    let mut file = File::create(&filler).unwrap();
    let full = std::io::copy(&mut std::io::repeat(0), &mut file).unwrap_err();
    assert_eq!(full.kind(), ErrorKind::StorageFull, "{full}");
    assert_eq!(failure(&store, 5_000).await, ErrorKind::StorageFull);
    assert_eq!(count(&server), "1");
    drop(file);
    std::fs::remove_file(filler).unwrap();
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
