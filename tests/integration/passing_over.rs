//! Projections that pass events over, or stop at them: what their state is afterwards.

use std::io;
use std::path::{Path, PathBuf};

use eventfold_es::{AggregateStore, DecodeError, OnFailure, Projection, StoredEvent};
use serde::{Deserialize, Serialize};

use crate::support::{Ledger, LedgerCommand as Do, open, stream_file, temp_dir};

/// The sum of the amounts. It panics on every other event.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
struct Sum {
    total: u64,
}

impl Projection for Sum {
    const NAME: &'static str = "sum";

    fn subscriptions(&self) -> &'static [&'static str] {
        &["ledger"]
    }

    fn apply(&mut self, _: &str, _: &str, event: &eventfold::Event) {
        self.total += event.data["amount"].as_u64().expect("an amount");
    }
}

/// The same, for which every other event is one that cannot be read.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
struct Strict(Sum);

impl Projection for Strict {
    const NAME: &'static str = "strict";

    fn subscriptions(&self) -> &'static [&'static str] {
        &["ledger"]
    }

    fn apply(&mut self, _: &str, _: &str, _: &eventfold::Event) {
        unreachable!("a store calls `apply_stored`");
    }

    fn apply_stored(&mut self, stored: StoredEvent<'_>) -> Result<(), DecodeError> {
        #[derive(Deserialize)]
        struct Added {
            amount: u64,
        }
        let Added { amount } = stored.payload()?;
        self.0.total += amount;
        Ok(())
    }
}

async fn skipping(dir: impl AsRef<Path>) -> AggregateStore {
    let builder = crate::support::builder(dir).projection_with::<Sum>(OnFailure::Skip);
    builder.open().await.unwrap()
}

async fn send(store: &AggregateStore, id: &str, command: Do) {
    let ledger = store.get::<Ledger>(id).await.unwrap();
    ledger.send(command).await.unwrap();
}

fn write(text: &str) -> Do {
    Do::Write(text.to_owned())
}

fn sum_dir(base: &Path) -> PathBuf {
    let dir = base.join("projections/sum");
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

#[tokio::test(flavor = "multi_thread")]
async fn events_in_an_older_checkpoint_are_not_applied_again_after_two_skipped_events() {
    let dir = temp_dir();
    let store = open(&dir).await;
    send(&store, "a", write("x")).await;
    for amount in 1..=3 {
        send(&store, "b", Do::Add(amount)).await;
    }
    store.shutdown().await.unwrap();
    let end = std::fs::metadata(stream_file(dir.path(), "b"))
        .unwrap()
        .len();
    let checkpoint = serde_json::json!({
        "state": { "total": 6 },
        "cursors": { "ledger/b": { "offset": end, "hash": "" } },
    });
    let file = sum_dir(dir.path()).join("checkpoint.json");
    std::fs::write(file, checkpoint.to_string()).unwrap();

    let store = skipping(&dir).await;
    assert_eq!(store.projection::<Sum>().unwrap().total, 6);
    send(&store, "a", write("y")).await;
    assert_eq!(store.projection::<Sum>().unwrap().total, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_checkpoint_and_its_skipped_events_are_never_used() {
    let (longer, dir) = (temp_dir(), temp_dir());
    let store = skipping(&longer).await;
    for amount in 1..=5 {
        send(&store, "b", Do::Add(amount)).await;
    }
    // At position 6 and 7, of which the other store's 6 is a good one.
    send(&store, "b", write("x")).await;
    send(&store, "b", write("x")).await;
    assert_eq!(store.projection::<Sum>().unwrap().total, 15);
    store.shutdown().await.unwrap();

    let store = open(&dir).await;
    send(&store, "b", Do::Add(1)).await;
    send(&store, "b", write("x")).await;
    for amount in 2..=5 {
        send(&store, "b", Do::Add(amount)).await;
    }
    store.shutdown().await.unwrap();
    for file in ["journal_checkpoint.json", "skipped.jsonl"] {
        let of_longer = sum_dir(longer.path()).join(file);
        std::fs::copy(of_longer, sum_dir(dir.path()).join(file)).unwrap();
    }

    for _ in 0..2 {
        let store = skipping(&dir).await;
        assert_eq!(store.projection::<Sum>().unwrap().total, 15);
        let skipped = &store.read_side().projections[0].skipped;
        let positions: Vec<_> = skipped
            .iter()
            .map(|event| event.position.to_string())
            .collect();
        assert_eq!(positions, ["2"]);
        store.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_skipped_event_that_could_not_be_recorded_is_recorded_later() {
    let dir = temp_dir();
    let store = skipping(&dir).await;
    send(&store, "b", Do::Add(1)).await;
    assert_eq!(store.projection::<Sum>().unwrap().total, 1);
    // Nothing can be written there.
    let record = sum_dir(dir.path()).join("skipped.jsonl");
    std::fs::create_dir(&record).unwrap();
    send(&store, "b", write("x")).await;
    send(&store, "b", Do::Add(2)).await;
    store.projection::<Sum>().unwrap_err();
    store.projection::<Sum>().unwrap_err();
    std::fs::remove_dir(&record).unwrap();
    assert_eq!(store.projection::<Sum>().unwrap().total, 3);
    assert_eq!(store.read_side().projections[0].skipped.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreadable_event_and_a_panic_are_different_errors() {
    let dir = temp_dir();
    let builder = crate::support::builder(&dir).projection::<Sum>();
    let store = builder.projection::<Strict>().open().await.unwrap();
    send(&store, "a", write("x")).await;
    for _ in 0..2 {
        let unreadable = store.projection::<Strict>().unwrap_err();
        assert_eq!(unreadable.kind(), io::ErrorKind::InvalidData);
        let panicked = store.projection::<Sum>().unwrap_err();
        assert_eq!(panicked.kind(), io::ErrorKind::Other);
    }
}
