//! The connections of a store: few, noticed when they are gone, and what is said when there are none.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use crate::{Counter, FAST, Server, count, counters, value};
use eventfold_es::{AggregateStore, Position};

/// The sessions that stores have on the server.
const SESSIONS: &str =
    "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'eventfold-es'";

/// Waits until stores have so many sessions.
fn sessions_are(server: &Server, expected: &str) {
    let start = Instant::now();
    loop {
        let sessions = server.sql(SESSIONS);
        if sessions == expected {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "{sessions}");
    }
}

#[tokio::test]
async fn many_reads_at_a_time_share_a_few_connections_which_stay() {
    let Some(server) = Server::start(&FAST) else {
        return;
    };
    let store = counters(server.url()).open().await.unwrap();
    for id in 0..40 {
        count(&store, &id.to_string(), 1).await;
    }
    store.shutdown().await.unwrap();
    // Told apart from the first one, of which some may still end.
    let url = format!("{}?application_name=reader", server.url());
    let store = counters(url).open().await.unwrap();
    for _ in 0..2 {
        let mut reads = tokio::task::JoinSet::new();
        for id in 0..40 {
            let store = store.clone();
            reads.spawn(async move { value(&store, &id.to_string()).await });
        }
        assert_eq!(reads.join_all().await, [1; 40]);
        let sessions = server.sql(&SESSIONS.replace("eventfold-es", "reader"));
        assert!(("3"..="6").contains(&sessions.as_str()), "{sessions}");
    }
}

#[tokio::test]
async fn connections_that_the_server_ended_while_they_were_idle_are_replaced() {
    let Some(server) = Server::start(&FAST) else {
        return;
    };
    let store = counters(server.url()).open().await.unwrap();
    count(&store, "a", 1).await;
    for expected in 2..5 {
        // It waits for the sessions' ends.
        let end = SESSIONS.replace("count(*)", "pg_terminate_backend(pid, 10000)");
        server.sql(&end);
        count(&store, "a", 1).await;
        assert_eq!(value(&store, "a").await, expected);
        assert_eq!(
            store.read_events("counter", "a").await.unwrap().len() as u64,
            expected
        );
    }
}

#[tokio::test]
async fn without_a_connection_left_it_is_said_what_to_do_and_once_there_is_one_the_store_goes_on() {
    let settings = ["max_connections=5", "superuser_reserved_connections=1"];
    let Some(server) = Server::start(&[&FAST[..], &settings[..]].concat()) else {
        return;
    };
    server.sql("CREATE ROLE app LOGIN");
    server.sql("GRANT CREATE ON DATABASE postgres TO app");
    let url = server.url().replace("postgres@", "app@");
    let open = |schema: &str| {
        AggregateStore::postgres(&url)
            .schema(schema)
            .allow_unsynced(true)
            .command_timeout(Duration::from_secs(1))
            .open()
    };
    let store = open("a").await.unwrap();
    let other = open("b").await.unwrap();
    // Each writes on one connection and listens on another one.
    sessions_are(&server, "4");
    let says = |text: String| assert!(text.contains("raise `max_connections`"), "{text}");

    let refused = open("c").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ResourceBusy);
    says(refused.to_string());
    // A read needs a connection of its own.
    let refused = store.list::<Counter>().await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ResourceBusy);
    says(refused.to_string());

    other.shutdown().await.unwrap();
    sessions_are(&server, "2");
    count(&store, "a", 1).await;
    assert_eq!(store.list::<Counter>().await.unwrap(), ["a"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_after_the_end_of_a_store_succeed_and_leave_no_connection_behind() {
    let Some(server) = Server::start(&FAST) else {
        return;
    };
    let store = counters(server.url()).open().await.unwrap();
    count(&store, "a", 10).await;
    let late: Vec<_> = (0..20)
        .map(|_| store.subscribe(Position::default()))
        .collect();
    store.shutdown().await.unwrap();
    sessions_are(&server, "0");
    let mut reads = tokio::task::JoinSet::new();
    for mut events in late {
        reads.spawn(async move {
            for _ in 0..10 {
                events.next().await.unwrap().unwrap();
            }
            events
        });
    }
    // Who has read them still could read on.
    let late = reads.join_all().await;
    assert_eq!(late.len(), 20);
    sessions_are(&server, "0");
}
