//! Subscriptions: each event once, in order, from any position, before, during and after writes.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use eventfold_es::__private::example::{Add, Counter};
use eventfold_es::{AggregateStore, DomainEvent, Position, RecordedEvent, Subscription};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::support::files::{edit, segments};
use crate::support::{
    Ledger, LedgerCommand as Do, LedgerEvent, in_time, journal, open, poll_once, random, stall,
    temp_dir,
};

async fn add(store: &AggregateStore, id: &str, amounts: impl IntoIterator<Item = u64>) {
    let ledger = store.get::<Ledger>(id).await.unwrap();
    let command = Do::AddAll(amounts.into_iter().collect());
    ledger.send(command).await.unwrap();
}

/// The next event, which must come.
async fn next(events: &mut Subscription) -> RecordedEvent {
    let event = in_time("an event", events.next()).await;
    event.expect("not the end").unwrap()
}

/// All events up to the end, and why it came.
async fn rest(events: &mut Subscription) -> (Vec<RecordedEvent>, std::io::Error) {
    let mut delivered = Vec::new();
    loop {
        match in_time("the end", events.next()).await {
            Some(Ok(event)) => delivered.push(event),
            Some(Err(why)) => {
                assert!(in_time("after the end", events.next()).await.is_none());
                return (delivered, why);
            }
            None => panic!("it ended without saying why"),
        }
    }
}

fn amount(event: &RecordedEvent) -> u64 {
    match event.decode::<Ledger>().unwrap().as_slice() {
        [LedgerEvent::Added { amount }] => *amount,
        other => panic!("{other:?}"),
    }
}

/// What the journal has: position, stream and version of each event, and its payload.
fn on_disk(base: &Path) -> Vec<(Position, String, u64, String)> {
    let mut events = Vec::new();
    for line in journal(base) {
        let (aggregate_type, id) = line.stream();
        for (event, i) in line.events().iter().zip(0..) {
            let position = (line.number("pos") + i).to_string().parse().unwrap();
            let stream = format!("{aggregate_type}/{id}");
            let data = event["data"].to_string();
            events.push((position, stream, line.number("version") + i, data));
        }
    }
    events
}

/// The same of all streams of a store, as they are read one by one.
async fn all_streams(store: &AggregateStore) -> Vec<(Position, String, u64, String)> {
    let mut events: Vec<(Position, _, _, _)> = Vec::new();
    let mut positions = store.subscribe(Position::default());
    let mut seen = HashMap::new();
    while events.is_empty() || events.last().is_some_and(|(last, ..)| *last < store.head()) {
        let next = next(&mut positions).await;
        let stream = format!("{}/{}", next.aggregate_type(), next.id());
        let version = seen.entry(stream.clone()).or_insert(0);
        let stored = store
            .read_events(next.aggregate_type(), next.id())
            .await
            .unwrap();
        let event = &stored[usize::try_from(*version).unwrap()];
        *version += 1;
        events.push((next.position(), stream, *version, event.data.to_string()));
    }
    events
}

fn as_on_disk(event: &RecordedEvent) -> (Position, String, u64, String) {
    let stream = format!("{}/{}", event.aggregate_type(), event.id());
    let data: serde_json::Value = serde_json::from_str(event.data()).unwrap();
    (
        event.position(),
        stream,
        event.version().into(),
        data.to_string(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn every_subscription_delivers_each_event_once_in_order_whenever_it_starts() {
    const WRITERS: u64 = 6;
    const COMMANDS: u64 = 120;
    let dir = temp_dir();
    let store = open(&dir).await;
    add(&store, "before", [1, 2, 3]).await;

    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let store = store.clone();
        writers.spawn(async move {
            let mut random = random(writer);
            for _ in 0..COMMANDS {
                let count = 1 + random() % 3;
                let id = format!("l{}", random() % 20);
                add(&store, &id, (0..count).map(|i| i + writer * 1_000)).await;
            }
        });
    }
    // Before, during and after the writes, from anywhere up to where the store is.
    let mut readers = JoinSet::new();
    let written = Arc::new(AtomicBool::new(false));
    for reader in 0..30 {
        let (store, written) = (store.clone(), written.clone());
        readers.spawn(async move {
            let mut random = random(reader);
            for _ in 0..random() % 200 {
                tokio::task::yield_now().await;
            }
            let head: u64 = store.head().to_string().parse().unwrap();
            let from: Position = (random() % (head + 1)).to_string().parse().unwrap();
            let mut events = store.subscribe(from);
            let mut delivered = Vec::new();
            // Until everything is written, and delivered.
            let mut last = from;
            while !(written.load(Ordering::Acquire) && last == store.head()) {
                // A future that is dropped, at whatever moment, loses nothing.
                if random().is_multiple_of(4) {
                    let mut dropped = Box::pin(events.next());
                    if let Some(event) = poll_once(&mut dropped).await {
                        delivered.push(event.unwrap().unwrap());
                    }
                } else if let Ok(event) =
                    tokio::time::timeout(std::time::Duration::from_millis(50), events.next()).await
                {
                    delivered.push(event.unwrap().unwrap());
                }
                last = delivered.last().map_or(from, RecordedEvent::position);
            }
            (from, delivered)
        });
    }
    while let Some(written) = writers.join_next().await {
        written.unwrap();
    }
    written.store(true, Ordering::Release);
    let all = match dir.on_disk() {
        Some(base) => on_disk(base),
        None => all_streams(&store).await,
    };
    while let Some(read) = in_time("the readers", readers.join_next()).await {
        let (from, delivered) = read.unwrap();
        let delivered: Vec<_> = delivered.iter().map(as_on_disk).collect();
        let expected: Vec<_> = all.iter().filter(|event| event.0 > from).cloned().collect();
        assert_eq!(delivered.len(), expected.len());
        assert_eq!(delivered, expected);
    }
    // One that starts when all is over.
    let mut events = store.subscribe(Position::default());
    for expected in &all {
        assert_eq!(&as_on_disk(&next(&mut events).await), expected);
    }
    assert!(poll_once(&mut Box::pin(events.next())).await.is_none());
}

#[tokio::test]
async fn a_slow_subscription_slows_no_writer_and_loses_nothing() {
    // On a current-thread runtime as well.
    let dir = temp_dir();
    let store = open(&dir).await;
    let mut slow = store.subscribe(Position::default());
    assert!(poll_once(&mut Box::pin(slow.next())).await.is_none());
    // Far more than it reads ahead, while it is not polled.
    for i in 0..40 {
        in_time("a writer", add(&store, "a", i * 100..(i + 1) * 100)).await;
        if i % 10 == 0 {
            next(&mut slow).await;
        }
    }
    for expected in 4..4_000 {
        assert_eq!(amount(&next(&mut slow).await), expected);
    }
    assert!(poll_once(&mut Box::pin(slow.next())).await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_goes_on_across_segments() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let mut live = store.subscribe(Position::default());
    let ledger = store.get::<Ledger>("a").await.unwrap();
    let mut count = 0;
    while segments(dir.path()).len() < 4 {
        ledger.send(Do::Write("x".repeat(20_000))).await.unwrap();
        count += 1;
        if count % 3 == 0 {
            assert!(next(&mut live).await.data().len() > 20_000);
        }
        assert!(count < 10_000, "the journal has one segment only");
    }
    for version in count / 3 + 1..=count {
        assert_eq!(next(&mut live).await.version(), version);
    }
    let mut late = store.subscribe(Position::default());
    for version in 1..=count {
        assert_eq!(next(&mut late).await.version(), version);
    }
    // Live behind the last segment as well.
    for events in [&mut live, &mut late] {
        assert!(poll_once(&mut Box::pin(events.next())).await.is_none());
    }
    add(&store, "b", [7]).await;
    for events in [&mut live, &mut late] {
        assert_eq!(amount(&next(events).await), 7);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_delivers_nothing_that_is_not_durable() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    let mut events = store.subscribe(store.head()).aggregate::<Ledger>();
    let stalled = stall(&store).await;
    let mut undurable = Box::pin(ledger.send(Do::Add(2)));
    assert!(poll_once(&mut undurable).await.is_none());
    let soon = std::time::Duration::from_millis(100);
    assert!(tokio::time::timeout(soon, events.next()).await.is_err());
    drop(stalled);
    undurable.await.unwrap();
    assert_eq!(amount(&next(&mut events).await), 2);
}

#[tokio::test]
async fn a_subscription_can_be_narrowed_to_types_ids_and_names() {
    #[derive(Debug, Serialize, Deserialize, DomainEvent)]
    #[event(name = "Noted", alias = "Written")]
    struct Noted {
        text: String,
    }

    let dir = temp_dir();
    let store = open(&dir).await;
    let counter = store.get::<Counter>("c-1").await.unwrap();
    counter.send(Add(1)).await.unwrap(); // an event of another type
    for id in ["a", "b", "c"] {
        let ledger = store.get::<Ledger>(id).await.unwrap();
        for command in [Do::Add(1), Do::Write(id.to_owned()), Do::Add(2)] {
            ledger.send(command).await.unwrap();
        }
    }
    // Not one chunk only: it goes on over what is left out.
    add(&store, "z", 0..20_000).await;
    store
        .get::<Ledger>("a")
        .await
        .unwrap()
        .send(Do::Add(9))
        .await
        .unwrap();
    store.shutdown().await.unwrap();
    drop(store);
    let store = open(&dir).await;
    let seen = async |events: Subscription| {
        let mut events = events;
        let mut seen = Vec::new();
        while seen.last().is_none_or(|last| last != "a Added") || seen.len() < 2 {
            let event = next(&mut events).await;
            seen.push(format!("{} {}", event.id(), event.name()));
            if seen.len() == 2 && seen[1] == "b Written" {
                break;
            }
        }
        seen
    };
    let all = || store.subscribe(Position::default());
    assert_eq!(
        seen(all().aggregate::<Ledger>().id("a").event_name("Added")).await,
        ["a Added", "a Added"]
    );
    assert_eq!(
        seen(all().event::<Noted>()).await,
        ["a Written", "b Written"]
    );
    // Narrowed after it was polled.
    let mut events = all().aggregate_type("ledger");
    assert_eq!(next(&mut events).await.id(), "a");
    let mut events = events.id("c").id("b").event::<Noted>();
    let noted = next(&mut events).await;
    assert_eq!(noted.decode_as::<Noted>().unwrap().as_slice()[0].text, "b");
    assert_eq!(next(&mut events).await.id(), "c");
    assert!(poll_once(&mut Box::pin(events.next())).await.is_none());
    // An event is not read as that of another aggregate.
    let error = noted.decode::<Other>().unwrap_err().to_string();
    for part in ["`Written`", "`ledger`", "`other`"] {
        assert!(error.contains(part), "no {part} in: {error}");
    }
}

/// Another aggregate with the same event.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Other;

impl eventfold_es::Aggregate for Other {
    const AGGREGATE_TYPE: &'static str = "other";
    type Command = ();
    type DomainEvent = LedgerEvent;
    type Error = std::convert::Infallible;

    fn handle(&self, (): ()) -> Result<Vec<LedgerEvent>, Self::Error> {
        Ok(Vec::new())
    }

    fn apply(self, _: &LedgerEvent) -> Self {
        self
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_says_why_it_ended_once_everything_is_delivered() {
    let dir = temp_dir();
    let store = open(&dir).await;
    add(&store, "a", 0..1_000).await;
    let mut waiting = store.subscribe(store.head());
    let mut next_event = Box::pin(waiting.next());
    assert!(poll_once(&mut next_event).await.is_none());
    let mut unread = store.subscribe(Position::default());
    store.shutdown().await.unwrap();
    let end = in_time("the end", next_event).await.unwrap().unwrap_err();
    assert_eq!(end.kind(), ErrorKind::NotConnected);
    assert!(waiting.next().await.is_none());
    let (delivered, why) = rest(&mut unread).await;
    assert_eq!(delivered.len(), 1_000);
    assert_eq!(why.kind(), ErrorKind::NotConnected);
    let (delivered, why) = rest(&mut store.subscribe(Position::default())).await;
    assert!(delivered.is_empty(), "the directory may be another's");
    assert_eq!(why.kind(), ErrorKind::NotConnected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_does_not_keep_the_store_open() {
    let dir = temp_dir();
    let store = open(&dir).await;
    add(&store, "a", [1, 2, 3]).await;
    let mut events = store.subscribe(Position::default());
    assert_eq!(amount(&next(&mut events).await), 1);
    drop(store);
    // The directory is free, though the subscription is there.
    let again = in_time("the next open", open(&dir)).await;
    add(&again, "a", [4]).await;
    let (delivered, why) = rest(&mut events).await;
    let amounts: Vec<u64> = delivered.iter().map(amount).collect();
    assert_eq!(amounts, [2, 3], "nothing of the next store");
    assert_eq!(why.kind(), ErrorKind::NotConnected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_position_ahead_of_the_newest_event_is_refused() {
    let dir = temp_dir();
    let store = open(&dir).await;
    add(&store, "a", [1, 2, 3]).await;
    let newest: u64 = store.head().to_string().parse().unwrap();
    let ahead: Position = (newest + 1).to_string().parse().unwrap();
    let (delivered, why) = rest(&mut store.subscribe(ahead)).await;
    assert!(delivered.is_empty());
    assert_eq!(why.kind(), ErrorKind::InvalidInput);
    let position = format!("position {ahead}");
    assert!(why.to_string().contains(&position), "{why}");
    let mut at_head = store.subscribe(store.head());
    assert!(poll_once(&mut Box::pin(at_head.next())).await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_journal_ends_a_subscription_after_the_last_whole_line() {
    let dir = temp_dir();
    let store = open(&dir).await;
    for amount in 0..10 {
        add(&store, "a", [amount]).await;
    }
    let line = journal(dir.path()).remove(6);
    edit(&line.path, |bytes| bytes[line.offset + 40] ^= 1);
    let (delivered, why) = rest(&mut store.subscribe(Position::default())).await;
    let amounts: Vec<u64> = delivered.iter().map(amount).collect();
    assert_eq!(amounts, (0..6).collect::<Vec<_>>());
    assert_eq!(why.kind(), ErrorKind::InvalidData);
    let text = why.to_string();
    for part in [line.path.to_str().unwrap(), &line.offset.to_string()] {
        assert!(text.contains(part), "no {part} in: {text}");
    }
}
