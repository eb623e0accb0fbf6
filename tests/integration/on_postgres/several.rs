//! Several stores on one schema, as several processes have them.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use eventfold_es::__private::example::Total;
use eventfold_es::{AggregateStore, CommandContext, ExecuteError};

use super::{FAST, add, ledger, orders};
use crate::support::postgres::Server;
use crate::support::{Ledger, LedgerCommand as Do, eventually, in_time};

/// Two stores on the schema.
async fn two_stores(server: &Server) -> (AggregateStore, AggregateStore) {
    let open = || orders(server).allow_unsynced(true).open();
    (open().await.unwrap(), open().await.unwrap())
}

#[tokio::test]
async fn a_new_schema_is_made_once_by_the_stores_that_open_it_at_the_same_time() {
    let Some(server) = Server::start(&FAST) else {
        return;
    };
    let opening = (0..8).map(|_| tokio::spawn(orders(&server).allow_unsynced(true).open()));
    let opening: Vec<_> = opening.collect();
    let mut stores = Vec::new();
    for store in opening {
        stores.push(store.await.unwrap().unwrap());
    }
    for (number, store) in (1..).zip(&stores) {
        add(store, "a", 1).await.unwrap();
        assert_eq!(ledger(store, "a").await.count, number);
    }
    let events = server.sql("SELECT count(*), max(position), max(version) FROM orders.events");
    assert_eq!(events, "8|8|8");
    for store in stores {
        store.shutdown().await.unwrap();
    }
    assert_eq!(server.sql("SELECT count(*) FROM orders.writers"), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_and_waits_hear_of_what_another_store_appends() {
    let Some(server) = Server::start(&FAST) else {
        return;
    };
    let (here, there) = two_stores(&server).await;
    let mut events = there.subscribe(there.head());
    for amount in 1..=20 {
        let done = here.get::<Ledger>("a").await.unwrap();
        let done = done.send(Do::Add(amount)).await.unwrap();
        let event = in_time("the event", events.next()).await.unwrap().unwrap();
        assert_eq!(event.position(), done.position);
        assert!(there.head() >= done.position);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_include_what_another_store_answered_before() {
    let Some(server) = Server::start(&FAST) else {
        return;
    };
    let open = || {
        let builder = orders(&server).allow_unsynced(true);
        builder.projection::<Total>().open()
    };
    let (here, there) = (open().await.unwrap(), open().await.unwrap());
    let counters = |store: &AggregateStore| {
        let store = store.clone();
        async move {
            let counter = store.get::<eventfold_es::__private::example::Counter>("c");
            counter.await.unwrap()
        }
    };
    let (one, other) = (counters(&here).await, counters(&there).await);
    for sum in 1..=20 {
        let add = eventfold_es::__private::example::Add(1);
        one.send(add).await.unwrap();
        assert_eq!(other.state().await.unwrap().value, sum);
        assert_eq!(there.read(|total: &Total| total.value).await.unwrap(), sum);
        let blocking = there.clone();
        let read = tokio::task::spawn_blocking(move || blocking.projection::<Total>());
        assert_eq!(read.await.unwrap().unwrap().value, sum);
        let events = there.read_events("counter", "c").await.unwrap();
        assert_eq!(events.len(), usize::try_from(sum).unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_stores_that_write_without_a_pause_to_one_aggregate_none_starves() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let (here, there) = two_stores(&server).await;
    let stop = Arc::new(AtomicBool::new(false));
    let count = |store: &AggregateStore| {
        let (store, stop, done) = (store.clone(), stop.clone(), Arc::new(AtomicU64::new(0)));
        let answered = done.clone();
        // More clients than the conflict of one of them keeps waiting.
        let clients = (0..8).map(|_| {
            let (store, stop, done) = (store.clone(), stop.clone(), done.clone());
            tokio::spawn(async move {
                let ledger = store.get::<Ledger>("a").await.unwrap();
                while !stop.load(Ordering::Relaxed) {
                    match ledger.send(Do::Add(1)).await {
                        Ok(_) => done.fetch_add(1, Ordering::Relaxed),
                        Err(ExecuteError::Conflict) => 0,
                        Err(error) => panic!("{error}"),
                    };
                }
            })
        });
        (clients.collect::<Vec<_>>(), answered)
    };
    let (busy, first) = count(&here);
    let (late, second) = count(&there);
    for answered in [first, second] {
        eventually("each store has its turn", || {
            answered.load(Ordering::Relaxed) >= 50
        })
        .await;
    }
    stop.store(true, Ordering::Relaxed);
    for client in busy.into_iter().chain(late) {
        client.await.unwrap();
    }
}

#[tokio::test]
async fn a_command_that_may_be_decided_once_only_ends_with_the_first_conflict() {
    let Some(server) = Server::start(&FAST) else {
        return;
    };
    let open = |rounds| {
        let builder = orders(&server).allow_unsynced(true);
        builder.conflict_rounds(rounds).open()
    };
    let (here, there) = (open(1).await.unwrap(), open(16).await.unwrap());
    let (one, other) = (
        here.get::<Ledger>("a").await.unwrap(),
        there.get::<Ledger>("a").await.unwrap(),
    );
    one.send(Do::Add(1)).await.unwrap();
    other.send(Do::Add(1)).await.unwrap();
    let conflict = one.send(Do::Add(1)).await.unwrap_err();
    assert!(matches!(conflict, ExecuteError::Conflict), "{conflict}");
    one.send(Do::Add(1)).await.unwrap();
    assert_eq!(other.state().await.unwrap().count, 3);
}

#[tokio::test]
async fn a_local_read_asks_no_server_and_has_what_its_own_store_answered() {
    let Some(mut server) = Server::start(&FAST) else {
        return;
    };
    let (here, there) = two_stores(&server).await;
    let ledger = here.get::<Ledger>("a").await.unwrap();
    let own = ledger.send(Do::Add(1)).await.unwrap();
    add(&there, "a", 1).await.unwrap();
    let local = ledger.load_local().await.unwrap();
    assert_eq!((local.version, local.position), (own.version, own.position));
    assert_eq!(ledger.version().await.unwrap(), 2);
    server.crash();
    let local = ledger.load_local().await.unwrap();
    assert_eq!(local.version, 2);
    server.run(&FAST);
    assert_eq!(ledger.version().await.unwrap(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_finds_events_lost_on_the_server_fails_and_says_from_which_position() {
    let Some(mut server) = Server::start(&FAST) else {
        return;
    };
    let (here, there) = two_stores(&server).await;
    for _ in 0..3 {
        add(&here, "a", 1).await.unwrap();
    }
    eventually("the other store knows it", || there.head() == here.head()).await;
    // As a server does that was restored from an older backup.
    server.sql("DELETE FROM orders.events WHERE position > 1");
    server.sql("UPDATE orders.streams SET version = 1, position = 1");
    server.sql("UPDATE orders.head SET position = 1, chain = (SELECT chain FROM orders.events)");
    server.crash();
    server.run(&FAST);
    for store in [&here, &there] {
        for id in ["a", "b"] {
            let error = match add(store, id, 1).await.unwrap_err() {
                ExecuteError::Io(error) | ExecuteError::OutcomeUnknown(error) => error,
                other => panic!("{other}"),
            };
            assert_eq!(error.kind(), ErrorKind::InvalidData, "{error}");
            let text = error.to_string();
            assert!(
                text.contains("position 1") && text.contains("at 3"),
                "{text}"
            );
        }
        assert!(store.clone().shutdown().await.is_err());
    }
    assert_eq!(server.sql("SELECT count(*) FROM orders.events"), "1");
    let store = orders(&server).allow_unsynced(true).open().await.unwrap();
    add(&store, "a", 1).await.unwrap();
    assert_eq!(ledger(&store, "a").await.count, 2);
}

#[tokio::test]
async fn a_command_repeated_under_its_key_in_another_store_is_stored_once() {
    let Some(server) = Server::start(&FAST) else {
        return;
    };
    let (here, there) = two_stores(&server).await;
    let context = CommandContext::default().with_idempotency_key("k");
    let mut versions = Vec::new();
    for store in [&here, &there, &here] {
        let ledger = store.get::<Ledger>("a").await.unwrap();
        let done = ledger.send_with(Do::Add(1), context.clone()).await.unwrap();
        versions.push((done.version, done.position));
    }
    versions.dedup();
    assert_eq!(versions.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_stores_append_where_transactions_are_serialisable_by_default() {
    let Some(server) = Server::start(&FAST) else {
        return;
    };
    server.sql("ALTER ROLE postgres SET default_transaction_isolation = 'serializable'");
    let (here, there) = two_stores(&server).await;
    let adding = [&here, &there].map(|store| {
        let store = store.clone();
        tokio::spawn(async move {
            for number in 0..100 {
                add(&store, &format!("l-{number}"), 1).await.unwrap();
            }
        })
    });
    for adding in adding {
        adding.await.unwrap();
    }
    assert_eq!(server.sql("SELECT count(*) FROM orders.events"), "200");
}
