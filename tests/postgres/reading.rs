//! Whatever is longer than one answer of the server is read whole, in order, each event once.

use eventfold_es::Position;
use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{Counter, CounterEvent, FAST, Server, count, counters, value};

/// The positions of all events, in the order in which they came.
#[derive(Debug, Clone, Default, Serialize, Deserialize, Projection)]
#[projection(aggregates(Counter))]
struct Seen {
    positions: Vec<u64>,
}

impl Project<Counter> for Seen {
    fn project(&mut self, _: &CounterEvent, recorded: &Recorded<'_>) {
        self.positions.push(number(recorded.position()));
    }
}

fn number(position: Position) -> u64 {
    position.to_string().parse().unwrap()
}

/// The events of the commits: many small ones, some that are longer than the first page, and one that is
/// longer than any page.
fn commits() -> impl Iterator<Item = u64> {
    let small = (0..400).map(|i| [1, 7, 3, 100][i % 4]);
    small.chain([5_000]).chain([1, 2, 3])
}

#[tokio::test]
async fn a_log_longer_than_a_page_is_read_whole_and_in_order_also_from_within_a_commit() {
    let Some(server) = Server::start(&FAST) else {
        return;
    };
    let open = || counters(server.url()).projection::<Seen>().open();
    let store = open().await.unwrap();
    for (i, times) in commits().enumerate() {
        count(&store, ["a", "b%", "c"][i % 3], times).await;
    }
    let expected: Vec<u64> = (1..=commits().sum::<u64>()).collect();
    store.shutdown().await.unwrap();

    let store = open().await.unwrap();
    assert!(store.projection::<Seen>().unwrap().positions == expected);
    let mut all = store.subscribe(Position::default());
    let mut positions = vec![Position::default()];
    for position in &expected {
        let event = all.next().await.unwrap().unwrap();
        assert_eq!(number(event.position()), *position);
        positions.push(event.position());
    }
    let last = expected.len();
    for after in [1, 4, 60, 200, 5_000, last - 4, last - 1] {
        let mut events = store.subscribe(positions[after]);
        for position in &expected[after..] {
            let event = events.next().await.unwrap().unwrap();
            assert_eq!(number(event.position()), *position, "after {after}");
        }
    }
}

#[tokio::test]
async fn a_subscription_goes_on_with_what_is_stored_while_it_reads() {
    let Some(server) = Server::start(&FAST) else {
        return;
    };
    let store = counters(server.url()).open().await.unwrap();
    count(&store, "a", 3_000).await;
    let mut events = store.subscribe(Position::default());
    let mut expected = 1;
    for times in [3_000, 1, 500, 1] {
        while expected <= 3_000 {
            let event = events.next().await.unwrap().unwrap();
            assert_eq!(number(event.position()), expected);
            expected += 1;
        }
        count(&store, "b", times).await;
        for _ in 0..times {
            let event = events.next().await.unwrap().unwrap();
            assert_eq!(number(event.position()), expected);
            expected += 1;
        }
    }
}

#[tokio::test]
async fn an_aggregate_longer_than_a_page_is_loaded_whole() {
    let Some(server) = Server::start(&FAST) else {
        return;
    };
    let open = || counters(server.url()).open();
    let store = open().await.unwrap();
    for (i, times) in commits().enumerate() {
        count(&store, "long", times).await;
        if i % 10 == 0 {
            count(&store, "other", 1).await;
        }
    }
    store.shutdown().await.unwrap();
    let store = open().await.unwrap();
    // `evolve` sees that none is missing and none comes twice.
    assert_eq!(value(&store, "long").await, commits().sum::<u64>());
}
