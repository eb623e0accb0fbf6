//! Positions for people: the newest events, reading backwards, and lag in events.

use std::io::ErrorKind;

use eventfold_es::{AggregateStore, CommandBus, Position};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::support::{Ledger, LedgerCommand as Do, builder, open, temp_dir};

async fn send(store: &AggregateStore, id: &str, command: Do) -> Position {
    let ledger = store.get::<Ledger>(id).await.unwrap();
    ledger.send(command).await.unwrap().position
}

/// A text that says which event it is; some are large.
fn text(i: usize) -> String {
    let size = if i.is_multiple_of(50) {
        20_000
    } else {
        i % 300
    };
    format!("{i}:{}", "x".repeat(size))
}

fn number(data: &str) -> usize {
    let data: Value = serde_json::from_str(data).unwrap();
    let text = data["text"].as_str().unwrap();
    text.split(':').next().unwrap().parse().unwrap()
}

async fn recent(store: &AggregateStore, n: usize) -> Vec<usize> {
    let events = store.recent(n).await.unwrap();
    events.iter().map(|event| number(event.data())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_events_come_first_however_many_are_asked_for() {
    const ALL: usize = 3_000;

    let dir = temp_dir();
    let store = open(&dir).await;
    assert!(store.recent(3).await.unwrap().is_empty());
    let ledger = store.get::<Ledger>("a").await.unwrap();
    let mut sent = Vec::new();
    for i in 0..ALL {
        let ledger = ledger.clone();
        let command = Do::Write(text(i));
        sent.push(tokio::spawn(async move { ledger.send(command).await }));
        if sent.len() == 50 {
            for done in sent.drain(..) {
                done.await.unwrap().unwrap();
            }
        }
    }
    let newest_first: Vec<usize> = {
        let mut events = store.subscribe(Position::default());
        let mut numbers = Vec::new();
        for _ in 0..ALL {
            numbers.push(number(events.next().await.unwrap().unwrap().data()));
        }
        numbers.reverse();
        numbers
    };
    for n in [0, 1, 2, 255, 256, 257, ALL - 1, ALL, usize::MAX] {
        let expected = &newest_first[..n.min(ALL)];
        assert_eq!(recent(&store, n).await, expected, "of {n}");
    }
    // The next store finds them as well, from its first moment on.
    drop(ledger);
    store.shutdown().await.unwrap();
    let store = open(&dir).await;
    assert_eq!(recent(&store, 40).await, newest_first[..40]);
}

#[tokio::test]
async fn reading_backwards_goes_on_from_a_position_and_ends_at_the_beginning() {
    let dir = temp_dir();
    let store = open(&dir).await;
    for i in 0..6 {
        send(
            &store,
            "a",
            Do::AddAll(vec![10 * i, 10 * i + 1, 10 * i + 2]),
        )
        .await;
    }
    let all: Vec<Position> = {
        let events = store.recent(100).await.unwrap();
        events
            .iter()
            .map(eventfold_es::RecordedEvent::position)
            .collect()
    };
    assert_eq!(all.len(), 18);
    assert!(all.is_sorted_by(|newer, older| newer > older));
    assert_eq!(all[0], store.head());
    // From each event on, also from within a commit.
    for (i, before) in all.iter().enumerate() {
        let mut events = store.backwards().before(*before);
        let mut read = Vec::new();
        while let Some(event) = events.next().await {
            read.push(event.unwrap().position());
        }
        assert_eq!(read, all[i + 1..]);
        assert!(events.next().await.is_none());
    }
    let mut none = store.backwards().before(Position::default());
    assert!(none.next().await.is_none());
}

#[tokio::test]
async fn reading_backwards_delivers_what_was_there_at_its_first_read() {
    let dir = temp_dir();
    let store = open(&dir).await;
    for i in 0..3 {
        send(&store, "a", Do::Write(text(i))).await;
    }
    let mut events = store.backwards();
    // The first read comes with the first event, and there are several.
    for i in 3..700 {
        send(&store, "a", Do::Write(text(i))).await;
    }
    let mut next = async || Some(number(events.next().await?.unwrap().data()));
    assert_eq!(next().await, Some(699));
    send(&store, "a", Do::Write(text(700))).await;
    for i in (0..699).rev() {
        assert_eq!(next().await, Some(i));
    }
    assert_eq!(next().await, None);
}

#[tokio::test]
async fn reading_backwards_can_be_narrowed_down_after_events_were_read_but_not_moved() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let first = send(&store, "a", Do::Write(text(0))).await;
    send(&store, "a", Do::Add(1)).await;
    send(&store, "a", Do::Write(text(2))).await;
    send(&store, "a", Do::Add(3)).await;
    let mut events = store.backwards();
    let newest = events.next().await.unwrap().unwrap();
    assert_eq!(newest.name(), "Added");
    let mut events = events.event_name("Written").before(first);
    for i in [2, 0] {
        let event = events.next().await.unwrap().unwrap();
        assert_eq!(number(event.data()), i);
    }
    assert!(events.next().await.is_none());
}

#[tokio::test]
async fn reading_backwards_finds_the_events_of_a_type_under_its_aliases() {
    #[derive(Debug, Serialize, Deserialize, eventfold_es::DomainEvent)]
    #[event(name = "Noted", alias = "Written")]
    struct Noted {
        text: String,
    }

    let dir = temp_dir();
    let store = open(&dir).await;
    send(&store, "a", Do::Write(text(0))).await;
    send(&store, "a", Do::Add(1)).await;
    let mut events = store.backwards().event::<Noted>();
    assert_eq!(events.next().await.unwrap().unwrap().name(), "Written");
    assert!(events.next().await.is_none());
}

#[tokio::test]
async fn a_loaded_state_has_the_position_of_its_own_newest_event() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let empty = store.get::<Ledger>("empty").await.unwrap();
    let here = send(&store, "a", Do::AddAll(vec![1, 2])).await;
    send(&store, "b", Do::Add(3)).await;
    let store = {
        let loaded = store.get::<Ledger>("a").await.unwrap().load().await;
        assert_eq!(loaded.unwrap().position, here);
        assert_eq!(empty.load().await.unwrap().position, Position::default());
        store.shutdown().await.unwrap();
        open(&dir).await
    };
    let ledger = store.get::<Ledger>("a").await.unwrap();
    let loaded = ledger.load().await.unwrap();
    assert_eq!((loaded.version.into(), loaded.position), (2_u64, here));
    // A command without events is answered with that position too.
    let nothing = ledger.send(Do::Nothing).await.unwrap();
    assert_eq!((nothing.version.into(), nothing.position), (2_u64, here));
}

#[tokio::test]
async fn reading_backwards_can_be_narrowed_down_as_a_subscription_can() {
    let dir = temp_dir();
    let store = builder(&dir)
        .aggregate_type::<crate::support::scripted::Gate>()
        .open()
        .await
        .unwrap();
    let mut bus = CommandBus::new(store.clone());
    bus.register::<crate::support::scripted::Gate>();
    let context = eventfold_es::CommandContext::default;
    for i in 0..700 {
        let gate = crate::support::scripted::GateCommand::Pass(i);
        bus.dispatch("g", gate, context()).await.unwrap();
        if i % 350 == 0 {
            send(&store, "a", Do::Write(text(1))).await;
            send(&store, "b", Do::Write(text(2))).await;
            send(&store, "b", Do::Add(1)).await;
        }
    }
    let names = async |mut events: eventfold_es::Backwards| {
        let mut names = Vec::new();
        while let Some(event) = events.next().await {
            let event = event.unwrap();
            names.push(format!("{} of {}", event.name(), event.id()));
        }
        names
    };
    let ledgers = ["Added of b", "Written of b", "Written of a"].repeat(2);
    assert_eq!(
        names(store.backwards().aggregate::<Ledger>()).await,
        ledgers
    );
    let added = store.backwards().event_name("Added").id("b");
    assert_eq!(names(added).await, ["Added of b"; 2]);
    assert_eq!(names(store.backwards().id("g")).await.len(), 700);
    assert!(
        names(store.backwards().aggregate_type("none"))
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn lag_is_told_in_events_also_where_positions_have_gaps() {
    let dir = temp_dir();
    let stores = [
        AggregateStore::builder(dir.path()),
        AggregateStore::in_memory(),
    ];
    for builder in stores {
        let store = builder.projection::<Count>().open().await.unwrap();
        assert_eq!(store.lag_of(Position::default()).unwrap(), 0);
        let mut at = vec![Position::default()];
        for i in 0..5 {
            at.push(send(&store, "a", Do::AddAll(vec![i, i])).await);
        }
        for (i, position) in at.iter().enumerate() {
            let missing = 2 * (at.len() - 1 - i) as u64;
            assert_eq!(store.lag_of(*position).unwrap(), missing);
            for (j, until) in at.iter().enumerate() {
                let between = 2 * j.saturating_sub(i) as u64;
                assert_eq!(store.count_between(*position, *until).unwrap(), between);
            }
        }
        // Within a commit.
        let last_but_one = store.recent(2).await.unwrap()[1].position();
        assert_eq!(store.lag_of(last_but_one).unwrap(), 1);

        assert_eq!(store.read_side().projections[0].lag, 10);
        assert_eq!(store.projection::<Count>().unwrap().0, 10);
        assert_eq!(store.read_side().projections[0].lag, 0);
        send(&store, "a", Do::AddAll(vec![1, 2, 3])).await;
        assert_eq!(store.read_side().projections[0].lag, 3);
        let progress = store.rebuild::<Count>().next().await.unwrap().unwrap();
        assert!(progress.finished);
        assert_eq!((progress.done, progress.total), (13, 13));
    }
}

/// Counts events.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Count(u64);

impl eventfold_es::Projection for Count {
    const NAME: &'static str = "count";

    fn subscriptions(&self) -> &'static [&'static str] {
        &["ledger"]
    }

    fn apply(&mut self, _: &str, _: &str, _: &eventfold::Event) {
        self.0 += 1;
    }
}

#[tokio::test]
async fn a_position_that_is_ahead_of_the_newest_event_is_refused() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let here = send(&store, "a", Do::Add(1)).await;
    let ahead: Position = "1000".parse().unwrap();
    let refused = [
        store.lag_of(ahead).map(drop),
        store.count_between(here, ahead).map(drop),
        store.count_between(ahead, here).map(drop),
        store
            .backwards()
            .before(ahead)
            .next()
            .await
            .unwrap()
            .map(drop),
    ];
    for result in refused {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(
            error
                .to_string()
                .contains("position 1000 is ahead of the newest event")
        );
    }
    assert_eq!(store.count_between(here, Position::default()).unwrap(), 0);
}

#[tokio::test]
async fn reading_backwards_does_not_keep_the_store_open_and_ends_with_it() {
    let dir = temp_dir();
    let store = open(&dir).await;
    send(&store, "a", Do::Add(1)).await;
    let mut begun = store.backwards();
    store.shutdown().await.unwrap();
    for mut events in [
        store.backwards(),
        std::mem::replace(&mut begun, store.backwards()),
    ] {
        let error = events.next().await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotConnected);
        assert!(events.next().await.is_none());
    }
    assert_eq!(
        store.recent(1).await.unwrap_err().kind(),
        ErrorKind::NotConnected
    );
    open(&dir).await;
}
