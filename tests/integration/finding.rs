//! Looking for aggregates that may not exist, and aggregates without events in memory.

use std::io::ErrorKind;

use eventfold_es::{AggregateStore, StreamLayout};

use crate::support::{
    Door, Ledger, LedgerCommand as Do, LedgerEvent, abandon, eventually, in_time, open, stall,
    stream_file, temp_dir,
};

/// Whether the ledger is in memory. It has no events.
async fn is_live(store: &AggregateStore, id: &str) -> bool {
    match store.read_events("ledger", id).await {
        Ok(events) => {
            assert!(events.is_empty());
            true
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
            false
        }
    }
}

/// Waits until the ledger, which has no events, has left memory.
async fn has_left(store: &AggregateStore, id: &str) {
    let left = async {
        while is_live(store, id).await {
            tokio::task::yield_now().await;
        }
    };
    in_time("an aggregate without events leaves memory", left).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn find_gives_a_handle_to_an_aggregate_with_events_and_none_without() {
    let dir = temp_dir();
    let store = open(&dir).await;
    assert!(store.find::<Ledger>("a").await.unwrap().is_none());
    let ledger = store.get::<Ledger>("a").await.unwrap();
    // Neither a handle nor a command without events makes it exist.
    ledger.send(Do::Nothing).await.unwrap();
    assert!(store.find::<Ledger>("a").await.unwrap().is_none());

    ledger.send(Do::Add(1)).await.unwrap();
    let found = store.find::<Ledger>("a").await.unwrap().unwrap();
    assert_eq!(found.id(), "a");
    assert_eq!(found.send(Do::Add(2)).await.unwrap().version, 2);
    assert_eq!(ledger.state().await.unwrap(), Ledger::of([1, 2]));
    store.shutdown().await.unwrap();

    let store = open(&dir).await;
    let found = store.find::<Ledger>("a").await.unwrap().unwrap();
    assert_eq!(found.state().await.unwrap(), Ledger::of([1, 2]));
    assert!(store.find::<Ledger>("b").await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn finding_what_is_not_there_stores_nothing_and_brings_nothing_into_memory() {
    let dir = temp_dir();
    let store = open(&dir).await;
    for i in 0..100 {
        let id = format!("a{i}");
        assert!(store.find::<Ledger>(&id).await.unwrap().is_none());
        assert!(!is_live(&store, &id).await);
    }
    assert!(store.list_streams(None).await.unwrap().is_empty());
    assert!(!dir.path().join("streams/ledger").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn find_refuses_what_get_refuses() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let refused = store.find::<Ledger>("").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    store.shutdown().await.unwrap();
    let refused = store.find::<Ledger>("a").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotConnected);
}

#[tokio::test(flavor = "multi_thread")]
async fn find_waits_for_events_that_are_on_their_way_to_the_disk() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    assert_eq!(ledger.version().await.unwrap(), 0);
    let stalled = stall(&store).await;
    abandon(ledger.send(Do::Add(1))).await;
    let looked = Door::default();
    let door = looked.clone();
    abandon(ledger.inspect(move |_| door.open())).await;
    eventually("the command is decided", || looked.is_open()).await;
    let mut found = Box::pin(store.find::<Ledger>("a"));
    assert!(crate::support::poll_once(&mut found).await.is_none());
    drop(stalled);
    assert!(in_time("find", found).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_with_a_directory_and_no_events_is_not_found() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let layout = StreamLayout::new(dir.path());
    layout.ensure_stream("ledger", "a").unwrap();
    assert!(store.find::<Ledger>("a").await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn find_does_not_call_a_stream_absent_whose_lines_another_program_wrote() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let other = temp_dir();
    let writer = open(&other).await;
    let ledger = writer.get::<Ledger>("a").await.unwrap();
    ledger.send(Do::Add(1)).await.unwrap();
    writer.shutdown().await.unwrap();
    store.layout().ensure_stream("ledger", "a").unwrap();
    std::fs::copy(stream_file(other.path(), "a"), stream_file(dir.path(), "a")).unwrap();
    // The same error that a command gets.
    let ledger = store.get::<Ledger>("a").await.unwrap();
    let loaded = ledger.state().await.unwrap_err().to_string();
    let refused = store.find::<Ledger>("a").await.unwrap_err();
    assert!(loaded.contains(&refused.to_string()), "{loaded}\n{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_aggregate_without_events_stays_in_memory_only_as_long_as_its_handle() {
    let dir = temp_dir();
    let store = open(&dir).await;
    // Whatever it was asked.
    for round in 0..4 {
        let ledger = store.get::<Ledger>("a").await.unwrap();
        match round {
            0 => {}
            1 => assert_eq!(ledger.version().await.unwrap(), 0),
            2 => drop(ledger.send(Do::Nothing).await.unwrap()),
            _ => drop(ledger.send(Do::Refuse).await.unwrap_err()),
        }
        assert!(ledger.is_alive() && is_live(&store, "a").await);
        let second = ledger.clone();
        drop(ledger);
        assert!(second.is_alive() && is_live(&store, "a").await);
        drop(second);
        has_left(&store, "a").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_executed_although_its_aggregate_has_no_events_and_no_handle_any_more() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let (entered, door) = (Door::default(), Door::default());
    let ledger = store.get::<Ledger>("a").await.unwrap();
    let (inside, wait) = (entered.clone(), door.clone());
    abandon(ledger.send(Do::decide(move |_| {
        inside.open();
        wait.pass();
        Ok(Vec::new())
    })))
    .await;
    let last = Do::decide(|_| Ok(vec![LedgerEvent::Added { amount: 1 }]));
    abandon(ledger.send(last)).await;
    drop(ledger);
    eventually("the first command is decided", || entered.is_open()).await;
    // A shutdown waits for both.
    let mut shutdown = Box::pin(store.shutdown());
    assert!(crate::support::poll_once(&mut shutdown).await.is_none());
    door.open();
    in_time("a shutdown", shutdown).await.unwrap();
    let store = open(&dir).await;
    let ledger = store.find::<Ledger>("a").await.unwrap().unwrap();
    assert_eq!(ledger.state().await.unwrap(), Ledger::of([1]));
}
