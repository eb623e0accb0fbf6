//! The behaviour of stores on PostgreSQL: every test of behaviour is run on one too, as
//! [`in_memory`](crate::in_memory) says.

use std::process::Command;

use eventfold_es::AggregateStore;

use crate::in_memory::behaviour_tests;
use crate::support::postgres::Server;
use crate::support::{Ledger, LedgerCommand, SERVER, STORAGE};

/// Without it, making the tables of a store takes longer than most tests.
const FAST: [&str; 2] = ["fsync=off", "full_page_writes=off"];

#[test]
fn a_store_on_postgres_behaves_as_one_in_a_directory() {
    let Some(server) = Server::start(&FAST) else {
        return;
    };
    let expected = behaviour_tests();
    let mut tests = Command::new(std::env::current_exe().unwrap());
    tests.env(STORAGE, "postgres").env(SERVER, server.url());
    let tests = tests.args(["--test-threads=4", "--exact"]).args(&expected);
    let output = tests.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    let passed = text.lines().filter(|line| line.ends_with(" ... ok"));
    assert_eq!(passed.count(), expected.len(), "{text}");
}

#[tokio::test]
async fn a_schema_has_one_open_store_at_a_time_and_keeps_what_it_stored() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let open = || {
        AggregateStore::postgres(server.url())
            .schema("orders")
            .open()
    };
    let store = open().await.unwrap();
    let busy = open().await.unwrap_err();
    assert_eq!(busy.kind(), std::io::ErrorKind::ResourceBusy);
    let ledger = store.get::<Ledger>("a").await.unwrap();
    ledger.send(LedgerCommand::Add(1)).await.unwrap();
    // It is waited for.
    drop((ledger, store));
    let store = open().await.unwrap();
    let ledger = store.get::<Ledger>("a").await.unwrap();
    assert_eq!(ledger.state().await.unwrap(), Ledger::of([1]));
    store.shutdown().await.unwrap();
}
