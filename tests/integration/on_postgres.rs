//! The behaviour of stores on PostgreSQL: every test of behaviour is run on one too, as
//! [`in_memory`](crate::in_memory) says.

use std::io::ErrorKind;
use std::process::Command;
use std::time::Duration;

use eventfold_es::{AggregateStore, AggregateStoreBuilder, CommandContext, ExecuteError};

use crate::in_memory::behaviour_tests;
use crate::support::postgres::Server;
use crate::support::{
    DEADLINE, Ledger, LedgerCommand, LedgerError, SERVER, STORAGE, eventually, in_time, is_whole,
    notes,
};

mod deciding;
pub(crate) mod leases;
mod several;

type Failed = ExecuteError<LedgerError>;

/// Without it, making the tables of a store takes longer than most tests.
const FAST: [&str; 2] = ["fsync=off", "full_page_writes=off"];

/// The tests of behaviour that do not hold where a place may have several stores.
const ONE_STORE: [&str; 6] = [
    "bad_input::the_error_for_a_locked_directory_says_that_this_process_has_it_open",
    "closing::a_second_store_on_a_directory_is_refused_until_the_first_is_gone",
    "closing::an_open_waits_for_one_that_was_dropped_and_fails_while_another_is_running",
    "closing::shutdown_finishes_accepted_commands_and_refuses_later_ones",
    // Until the process manager runs here, its status tells what was saved.
    "under_way::commands_that_a_shutdown_leaves_unsent_in_a_replay_are_sent_once_by_the_next_run",
    // The end of the log is asked, so the run includes what is stored a moment after the call.
    "under_way::a_run_of_a_live_store_does_not_wait_for_later_commands",
];

#[test]
fn a_store_on_postgres_behaves_as_one_in_a_directory() {
    let Some(server) = Server::start(&FAST) else {
        return;
    };
    behaves(&server, &tests_of_behaviour());
}

/// Every so many of the tests of behaviour run with a standby too. All do if `EVENTFOLD_WHOLE` is set.
const WITH_STANDBY: usize = 12;

#[test]
fn a_store_on_postgres_with_a_synchronous_standby_behaves_as_one_in_a_directory() {
    let Some(server) = Server::start(&FAST) else {
        return;
    };
    let _standby = server.standby(&FAST);
    server.wait_for_standby(true);
    let tests = tests_of_behaviour();
    let every = if is_whole() { 1 } else { WITH_STANDBY };
    let some: Vec<_> = tests.into_iter().step_by(every).collect();
    behaves(&server, &some);
}

/// The tests of behaviour that hold on a server.
fn tests_of_behaviour() -> Vec<String> {
    let mut tests = behaviour_tests();
    let all = tests.len();
    tests.retain(|test| !ONE_STORE.contains(&test.as_str()));
    assert_eq!(tests.len() + ONE_STORE.len(), all);
    tests
}

/// Runs tests of behaviour on stores of this server.
fn behaves(server: &Server, expected: &[String]) {
    let mut tests = Command::new(std::env::current_exe().unwrap());
    tests.env(STORAGE, "postgres").env(SERVER, server.url());
    let tests = tests.args(["--test-threads=4", "--exact"]).args(expected);
    let output = tests.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    let passed = text.lines().filter(|line| line.ends_with(" ... ok"));
    assert_eq!(passed.count(), expected.len(), "{text}");
}

/// A store in the schema `orders` of the server.
fn orders(server: &Server) -> AggregateStoreBuilder {
    AggregateStore::postgres(server.url()).schema("orders")
}

async fn add(store: &AggregateStore, id: &str, amount: u64) -> Result<(), Failed> {
    let ledger = store.get::<Ledger>(id).await.unwrap();
    ledger.send(LedgerCommand::Add(amount)).await.map(drop)
}

async fn ledger(store: &AggregateStore, id: &str) -> Ledger {
    let ledger = store.get::<Ledger>(id).await.unwrap();
    ledger.state().await.unwrap()
}

#[tokio::test]
async fn a_server_that_does_not_sync_is_refused_unless_that_is_allowed() {
    let Some(server) = Server::start(&FAST) else {
        return;
    };
    let refused = orders(&server).open().await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
    let text = refused.to_string();
    assert!(
        text.contains("`fsync`") && text.contains("allow_unsynced"),
        "{text}"
    );
    let store = orders(&server).allow_unsynced(true).open().await.unwrap();
    add(&store, "a", 1).await.unwrap();
}

#[tokio::test]
async fn commands_are_refused_from_when_the_server_does_not_sync_any_more() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let store = orders(&server).open().await.unwrap();
    add(&store, "a", 1).await.unwrap();
    server.sql("ALTER SYSTEM SET synchronous_commit = off");
    server.sql("SELECT pg_reload_conf()");
    // The server takes a moment to tell its sessions.
    let mut stored = 1;
    let refused = loop {
        match add(&store, "a", 1).await {
            Ok(()) => stored += 1,
            Err(error) => break error,
        }
    };
    let ExecuteError::Io(error) = refused else {
        panic!("{refused}");
    };
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    server.sql("ALTER SYSTEM RESET synchronous_commit");
    server.sql("SELECT pg_reload_conf()");
    // The store goes on by itself.
    while add(&store, "a", 1).await.is_err() {}
    assert_eq!(ledger(&store, "a").await.count, stored + 1);
}

#[tokio::test]
async fn tables_of_a_newer_release_are_refused_with_both_versions() {
    let Some(server) = Server::start(&FAST) else {
        return;
    };
    let open = || orders(&server).allow_unsynced(true).open();
    open().await.unwrap().shutdown().await.unwrap();
    server.sql("UPDATE orders.eventfold_schema SET version = 1000");
    let refused = open().await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
    let text = refused.to_string();
    assert!(
        text.contains("version 1000") && text.contains("knows 1"),
        "{text}"
    );
}

#[tokio::test]
async fn a_store_is_not_created_unasked_nor_beside_tables_of_others() {
    let Some(server) = Server::start(&FAST) else {
        return;
    };
    let builder = || orders(&server).allow_unsynced(true);
    let missing = builder().create_if_missing(false).open().await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound, "{missing}");
    let schemas = "SELECT count(*) FROM pg_namespace WHERE nspname = 'orders'";
    assert_eq!(server.sql(schemas), "0");

    server.sql("CREATE SCHEMA orders CREATE TABLE events (mine int)");
    let refused = builder().open().await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    assert!(refused.to_string().contains("`events`"), "{refused}");
}

#[tokio::test]
async fn what_cannot_be_on_postgres_is_refused_by_name() {
    let Some(server) = Server::start(&FAST) else {
        return;
    };
    let store = orders(&server).allow_unsynced(true).open().await.unwrap();
    add(&store, "a", 1).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let refused = store.backup(dir.path().join("copy")).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
    assert!(refused.to_string().contains("pg_dump"), "{refused}");
    assert!(!store.layout().base_dir().exists());
    let ledger = store.get::<Ledger>("a").await.unwrap();
    assert!(ledger.reader().read_from(0).is_err());
}

#[tokio::test]
async fn what_is_for_postgres_only_is_refused_elsewhere_by_name() {
    let memory = AggregateStore::in_memory;
    for (builder, name) in [
        (memory().schema("orders"), "`schema`"),
        (memory().allow_unsynced(true), "`allow_unsynced`"),
        (memory().command_timeout(DEADLINE), "`command_timeout`"),
    ] {
        let refused = builder.open().await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidInput);
        assert!(refused.to_string().contains(name), "{refused}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named_without_the_password() {
    let dir = tempfile::tempdir().unwrap();
    let host = dir.path().to_str().unwrap().replace('/', "%2F");
    let url = format!("postgres://ann:secret@{host}/shop");
    let refused = AggregateStore::postgres(url).open().await.unwrap_err();
    let text = format!("{refused} {refused:?}");
    assert!(
        text.contains("`shop`") && text.contains("check that the server runs"),
        "{text}"
    );
    assert!(!text.contains("secret"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_outlast_a_crash_of_the_server_and_each_is_stored_once() {
    const CLIENTS: u64 = 8;
    const EACH: u64 = 60;

    let Some(mut server) = Server::start(&[]) else {
        return;
    };
    let store = orders(&server).open().await.unwrap();
    let (answered, answers) = notes();
    let clients = (0..CLIENTS).map(|client| {
        let (store, answered) = (store.clone(), answered.clone());
        tokio::spawn(async move {
            // Two clients share an aggregate.
            let id = format!("l-{}", client / 2);
            for _ in 0..EACH {
                add(&store, &id, 1).await.unwrap();
                // Nobody counts after the last crash.
                let _ = answered.send(());
            }
        })
    });
    let clients: Vec<_> = clients.collect();
    let server = tokio::task::spawn_blocking(move || {
        for _ in 0..3 {
            for _ in 0..CLIENTS * EACH / 5 {
                answers.recv_timeout(DEADLINE).unwrap();
            }
            server.crash();
            server.run(&[]);
        }
        server
    });
    for client in clients {
        client.await.unwrap();
    }
    for i in 0..CLIENTS / 2 {
        let id = format!("l-{i}");
        assert_eq!(ledger(&store, &id).await.count, 2 * EACH);
        assert_eq!(
            store.read_events("ledger", &id).await.unwrap().len() as u64,
            2 * EACH
        );
    }
    store.shutdown().await.unwrap();
    let server = server.await.unwrap();
    let stored = server.sql("SELECT count(*), max(position) FROM orders.events");
    assert_eq!(stored, format!("{0}|{0}", CLIENTS * EACH));
}

/// Lets the commits of the server wait for a standby that does not exist, or no longer.
fn wait_for_a_standby(server: &Server, wait: bool) {
    let name = if wait { "'nobody'" } else { "''" };
    server.sql(&format!(
        "ALTER SYSTEM SET synchronous_standby_names = {name}"
    ));
    server.sql("SELECT pg_reload_conf()");
}

/// Ends the session whose commit is durable and waits for a standby.
async fn end_a_waiting_session(server: &Server) {
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    eventually("a commit waits for a standby", || server.sql(end) == "t").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_whose_answer_was_lost_is_looked_up_and_stored_once() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let store = orders(&server).open().await.unwrap();
    add(&store, "a", 1).await.unwrap();
    wait_for_a_standby(&server, true);
    // The server takes a moment to tell its sessions. Until then commands are answered.
    let sending = tokio::spawn({
        let store = store.clone();
        async move {
            for _ in 0..50 {
                add(&store, "a", 1).await.unwrap();
            }
        }
    });
    end_a_waiting_session(&server).await;
    wait_for_a_standby(&server, false);
    in_time("the commands", sending).await.unwrap();
    assert_eq!(ledger(&store, "a").await.count, 51);
    assert_eq!(store.read_events("ledger", "a").await.unwrap().len(), 51);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_unknown_after_its_time_limit_and_the_aggregate_goes_on_from_what_is_stored() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let limit = Duration::from_millis(300);
    let store = orders(&server).command_timeout(limit).open().await.unwrap();
    add(&store, "a", 1).await.unwrap();
    wait_for_a_standby(&server, true);
    let mut answered = 1;
    let unknown = loop {
        match add(&store, "a", 1).await {
            Ok(()) => answered += 1,
            Err(error) => break error,
        }
    };
    assert!(
        matches!(unknown, ExecuteError::OutcomeUnknown(_)),
        "{unknown}"
    );
    wait_for_a_standby(&server, false);
    // It was durable on the server. Later commands fail until that is known.
    let count = loop {
        if let Ok(state) = store.get::<Ledger>("a").await.unwrap().state().await {
            break state.count;
        }
    };
    assert_eq!(count, answered + 1);
    add(&store, "a", 1).await.unwrap();
    assert_eq!(ledger(&store, "a").await.count, answered + 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_fail_after_their_time_limit_while_the_server_is_away_and_the_store_goes_on() {
    let Some(mut server) = Server::start(&[]) else {
        return;
    };
    let limit = Duration::from_millis(300);
    // A busy server may take longer than that to open the store, too.
    let store = loop {
        match orders(&server).command_timeout(limit).open().await {
            Ok(store) => break store,
            Err(error) => assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}"),
        }
    };
    let ledger_a = store.get::<Ledger>("a").await.unwrap();
    // So may a slow disk. With a key a command that failed is not stored twice.
    let add = async |key: &str| {
        let context = CommandContext::default().with_idempotency_key(key);
        ledger_a.send_with(LedgerCommand::Add(1), context).await
    };
    while add("first").await.is_err() {}
    server.crash();
    let failed = add("second").await.unwrap_err();
    assert!(
        matches!(
            failed,
            ExecuteError::Io(_) | ExecuteError::OutcomeUnknown(_)
        ),
        "{failed}"
    );
    assert!(failed.to_string().contains("`orders`"), "{failed}");
    server.run(&[]);
    while add("second").await.is_err() {}
    assert_eq!(ledger(&store, "a").await.count, 2);
}

#[tokio::test]
async fn a_changed_event_is_found_and_named() {
    let Some(server) = Server::start(&FAST) else {
        return;
    };
    let open = || orders(&server).allow_unsynced(true).open();
    let store = open().await.unwrap();
    for amount in [1, 2] {
        add(&store, "a", amount).await.unwrap();
    }
    store.shutdown().await.unwrap();
    let change = "UPDATE orders.events SET line = replace(line, '\"amount\":2', '\"amount\":3')";
    server.sql(change);
    let store = open().await.unwrap();
    let damaged = store.read_events("ledger", "a").await.unwrap_err();
    assert_eq!(damaged.kind(), ErrorKind::InvalidData);
    let text = damaged.to_string();
    assert!(
        text.contains("position 2") && text.contains("checksum"),
        "{text}"
    );
    server.sql("DELETE FROM orders.events WHERE position = 2");
    let missing = store.read_events("ledger", "a").await.unwrap_err();
    assert!(
        missing.to_string().contains("lacks the event of version 2"),
        "{missing}"
    );
}

#[tokio::test]
async fn ids_names_and_keys_are_any_text() {
    let Some(server) = Server::start(&FAST) else {
        return;
    };
    let open = || orders(&server).allow_unsynced(true).open();
    let store = open().await.unwrap();
    let ids = ["a\0b", "ä%00", "x/y", "A", "a"];
    for id in ids {
        let key = format!("key \0 of {id}");
        let context = CommandContext::default().with_idempotency_key(key);
        let ledger = store.get::<Ledger>(id).await.unwrap();
        for _ in 0..2 {
            let write = LedgerCommand::Write("text with \0".to_owned());
            ledger.send_with(write, context.clone()).await.unwrap();
        }
    }
    store.shutdown().await.unwrap();
    let store = open().await.unwrap();
    let mut expected = ids.map(str::to_owned);
    expected.sort();
    assert_eq!(store.list::<Ledger>().await.unwrap(), expected);
    for id in ids {
        let ledger = ledger(&store, id).await;
        assert_eq!((ledger.count, ledger.text.as_str()), (1, "text with \0"));
    }
}
