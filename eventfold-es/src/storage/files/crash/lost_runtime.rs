//! A runtime that ends before the storage has what was decided on it.

use std::convert::Infallible;

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::Aggregate;
use crate::storage::files::commit::request::ROOM;
use crate::storage::files::crash::{open, runtime, temp_dir};

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Tally(Vec<u64>);

/// Adds a number, and tells that this was decided.
struct Add(u64, Option<UnboundedSender<()>>);

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
enum TallyEvent {
    Added { number: u64 },
}

impl Aggregate for Tally {
    const AGGREGATE_TYPE: &'static str = "tally";
    type Command = Add;
    type DomainEvent = TallyEvent;
    type Error = Infallible;

    fn handle(&self, Add(number, decided): Add) -> Result<Vec<TallyEvent>, Infallible> {
        if let Some(decided) = decided {
            let _ = decided.send(());
        }
        Ok(vec![TallyEvent::Added { number }])
    }

    fn apply(mut self, event: &TallyEvent) -> Self {
        let TallyEvent::Added { number } = event;
        self.0.push(*number);
        self
    }
}

#[test]
fn a_group_that_is_lost_with_its_runtime_leaves_its_aggregates_as_they_were() {
    let dir = temp_dir();
    let own = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .unwrap();
    let (store, tallies) = own.block_on(async {
        let store = open(dir.path()).await.unwrap();
        let mut tallies = Vec::new();
        for id in ["one", "two"] {
            let tally = store.get::<Tally>(id).await.unwrap();
            tally.send(Add(1, None)).await.unwrap();
            tallies.push(tally);
        }
        (store, tallies)
    });
    let engine = store.inner.storage.files().clone();
    own.block_on(engine.room.acquire_many(ROOM))
        .unwrap()
        .forget();

    let lost = runtime();
    lost.block_on(async {
        let (decided, mut is_decided) = unbounded_channel();
        let group = store.together().send(&tallies[0], Add(5, None));
        let group = group.send(&tallies[0], Add(6, None));
        tokio::spawn(group.send(&tallies[1], Add(7, Some(decided))).commit());
        // Then the group waits for room: this thread runs nothing else meanwhile.
        is_decided.recv().await.unwrap();
    });
    drop(lost);
    engine.room.add_permits(ROOM as usize);

    own.block_on(async {
        for tally in tallies {
            assert_eq!(tally.state().await.unwrap(), Tally(vec![1]));
            let done = tally.send(Add(2, None)).await.unwrap();
            assert_eq!(done.version, 2);
            assert_eq!(tally.state().await.unwrap(), Tally(vec![1, 2]));
        }
        store.shutdown().await.unwrap();
    });
}
