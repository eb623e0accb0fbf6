//! Projections: each event once, in order, whatever happens in between.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;

use eventfold_es::{AggregateStore, InjectOptions, Projection};
use serde::{Deserialize, Serialize};

use crate::support::files::edit;
use crate::support::{
    Ledger, LedgerCommand as Do, copy, journal, open, poll_once, stall, temp_dir,
};

/// Each ledger's amounts in the order in which they came, and all of them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Amounts {
    by_ledger: BTreeMap<String, Vec<u64>>,
    all: Vec<u64>,
}

impl Projection for Amounts {
    const NAME: &'static str = "amounts";

    fn subscriptions(&self) -> &'static [&'static str] {
        &["ledger"]
    }

    fn apply(&mut self, aggregate_type: &str, id: &str, event: &eventfold::Event) {
        assert_eq!(aggregate_type, "ledger");
        if let Some(amount) = event.data["amount"].as_u64() {
            self.by_ledger
                .entry(id.to_owned())
                .or_default()
                .push(amount);
            self.all.push(amount);
        }
    }
}

/// Counts, and panics on 13 while it is armed.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Fragile {
    count: u64,
}

static ARMED: Mutex<bool> = Mutex::new(false);

impl Projection for Fragile {
    const NAME: &'static str = "fragile";

    fn subscriptions(&self) -> &'static [&'static str] {
        &["ledger"]
    }

    fn apply(&mut self, _: &str, _: &str, event: &eventfold::Event) {
        self.count += 1;
        assert!(
            event.data["amount"] != 13
                || !*ARMED
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner),
            "thirteen"
        );
    }
}

async fn with_amounts(dir: impl AsRef<Path>) -> AggregateStore {
    crate::support::builder(dir)
        .projection::<Amounts>()
        .open()
        .await
        .unwrap()
}

async fn add(store: &AggregateStore, id: &str, amounts: impl IntoIterator<Item = u64>) {
    let ledger = store.get::<Ledger>(id).await.unwrap();
    let command = Do::AddAll(amounts.into_iter().collect());
    ledger.send(command).await.unwrap();
}

fn checkpoint(dir: &Path) -> std::path::PathBuf {
    dir.join("projections/amounts/journal_checkpoint.json")
}

fn saved_position(dir: &Path) -> u64 {
    let text = std::fs::read_to_string(checkpoint(dir)).unwrap();
    let saved: serde_json::Value = serde_json::from_str(&text).unwrap();
    saved["position"].as_u64().unwrap()
}

#[tokio::test]
async fn a_projection_includes_every_command_that_was_answered() {
    // On a current-thread runtime: reading never waits for a task.
    let dir = temp_dir();
    let store = with_amounts(&dir).await;
    for amount in 1..=50 {
        add(
            &store,
            if amount % 2 == 0 { "even" } else { "odd" },
            [amount],
        )
        .await;
        let amounts = store.projection::<Amounts>().unwrap();
        assert_eq!(amounts.all, (1..=amount).collect::<Vec<_>>());
        assert_eq!(store.projection::<Amounts>().unwrap(), amounts);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_projection_never_includes_what_is_not_durable() {
    let dir = temp_dir();
    let store = with_amounts(&dir).await;
    add(&store, "a", [1]).await;
    let stalled = stall(&store).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    let mut undurable = Box::pin(ledger.send(Do::Add(2)));
    assert!(poll_once(&mut undurable).await.is_none());
    assert_eq!(store.projection::<Amounts>().unwrap().all, [1]);
    drop(stalled);
    undurable.await.unwrap();
    assert_eq!(store.projection::<Amounts>().unwrap().all, [1, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_projection_resumes_where_it_was_saved_and_applies_no_event_twice() {
    let dir = temp_dir();
    let mut expected = Vec::new();
    for round in 0..5 {
        let store = with_amounts(&dir).await;
        add(&store, "a", [round, round]).await;
        expected.extend([round, round]);
        assert_eq!(store.projection::<Amounts>().unwrap().all, expected);
        store.shutdown().await.unwrap();
        // Events that it has not seen before it is opened again.
        let store = open(&dir).await;
        add(&store, "b", [100 + round]).await;
        expected.push(100 + round);
        store.shutdown().await.unwrap();
    }
    let store = with_amounts(&dir).await;
    assert_eq!(store.projection::<Amounts>().unwrap().all, expected);
    store.shutdown().await.unwrap();
    drop(store);
    let store = with_amounts(&dir).await;
    let status = store.read_side().projections.remove(0);
    assert_eq!(status.position, store.head(), "it goes on from there");
    store.shutdown().await.unwrap();
    drop(store);
    // The sign that it resumes: it cannot have read the beginning of the journal again.
    let Some(base) = dir.on_disk() else { return };
    let first = journal(base).remove(0);
    let whole = std::fs::read(&first.path).unwrap();
    let store = with_amounts(&dir).await;
    edit(&first.path, |bytes| bytes[first.offset + 40] ^= 1);
    assert_eq!(store.projection::<Amounts>().unwrap().all, expected);
    store.rebuild_projection::<Amounts>().unwrap_err();
    assert_eq!(
        store.projection::<Amounts>().unwrap().all,
        expected,
        "the old state serves"
    );
    std::fs::write(&first.path, whole).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_between_applying_and_saving_neither_repeats_nor_loses_events() {
    let dir = temp_dir();
    let store = with_amounts(&dir).await;
    add(&store, "a", [1, 2]).await;
    store.projection::<Amounts>().unwrap();
    store.shutdown().await.unwrap();
    drop(store);
    assert_eq!(saved_position(dir.path()), 2);

    let store = with_amounts(&dir).await;
    add(&store, "a", [3, 4]).await;
    // Applied, not saved: killed here, it goes on from what was saved before.
    assert_eq!(store.projection::<Amounts>().unwrap().all, [1, 2, 3, 4]);
    let crashed = copy(dir.path());
    assert_eq!(saved_position(crashed.path()), 2);
    let again = with_amounts(&crashed).await;
    assert_eq!(again.projection::<Amounts>().unwrap().all, [1, 2, 3, 4]);
    // In the middle of a commit as well.
    again.shutdown().await.unwrap();
    assert_eq!(saved_position(crashed.path()), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_ahead_of_the_log_is_not_trusted() {
    let dir = temp_dir();
    let store = with_amounts(&dir).await;
    add(&store, "a", [1, 2, 3]).await;
    store.projection::<Amounts>().unwrap();
    store.shutdown().await.unwrap();
    drop(store);

    let other = temp_dir();
    let store = open(&other).await;
    add(&store, "b", [7]).await;
    store.shutdown().await.unwrap();
    drop(store);
    std::fs::create_dir_all(checkpoint(other.path()).parent().unwrap()).unwrap();
    std::fs::copy(checkpoint(dir.path()), checkpoint(other.path())).unwrap();
    let store = with_amounts(&other).await;
    assert_eq!(store.projection::<Amounts>().unwrap().all, [7]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_projection_with_a_corrupt_checkpoint_is_rebuilt() {
    let dir = temp_dir();
    let store = with_amounts(&dir).await;
    add(&store, "a", [1, 2, 3]).await;
    store.projection::<Amounts>().unwrap();
    store.shutdown().await.unwrap();
    drop(store);
    let whole = std::fs::read(checkpoint(dir.path())).unwrap();
    for at in (0..whole.len()).step_by(4) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        std::fs::write(checkpoint(dir.path()), bytes).unwrap();
        let store = with_amounts(&dir).await;
        assert_eq!(
            store.projection::<Amounts>().unwrap().all,
            [1, 2, 3],
            "flipped {at}"
        );
    }
    for length in [0, 1, whole.len() / 2, whole.len() - 1] {
        std::fs::write(checkpoint(dir.path()), &whole[..length]).unwrap();
        let store = with_amounts(&dir).await;
        assert_eq!(
            store.projection::<Amounts>().unwrap().all,
            [1, 2, 3],
            "cut at {length}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_projection_built_again_twice_is_the_same() {
    let dir = temp_dir();
    let store = with_amounts(&dir).await;
    for i in 0..20 {
        add(&store, &format!("l{}", i % 3), [i, i + 100]).await;
    }
    let live = store.projection::<Amounts>().unwrap();
    store.rebuild_projection::<Amounts>().unwrap();
    let once = store.projection::<Amounts>().unwrap();
    store.rebuild_projection::<Amounts>().unwrap();
    assert_eq!(once, live);
    assert_eq!(store.projection::<Amounts>().unwrap(), live);
    add(&store, "l0", [7]).await;
    assert_eq!(store.projection::<Amounts>().unwrap().all.len(), 41);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_projection_that_panics_is_named_with_the_event_and_others_go_on() {
    let dir = temp_dir();
    let both = || {
        crate::support::builder(&dir)
            .projection::<Fragile>()
            .projection::<Amounts>()
    };
    let store = both().open().await.unwrap();
    add(&store, "a", [1, 2]).await;
    assert_eq!(store.projection::<Fragile>().unwrap().count, 2);
    store.shutdown().await.unwrap();
    drop(store);

    *ARMED.lock().unwrap() = true;
    let store = both().open().await.unwrap();
    let before = store.head();
    add(&store, "b", [3, 13, 4]).await;
    let mut events = store.subscribe(before);
    events.next().await.unwrap().unwrap();
    let thirteenth = events.next().await.unwrap().unwrap().position();
    let position = format!("position {thirteenth},");
    for _ in 0..2 {
        let text = store.projection::<Fragile>().unwrap_err().to_string();
        for part in ["`fragile`", &position, "`Added`", "ledger/b", "thirteen"] {
            assert!(text.contains(part), "no {part} in: {text}");
        }
    }
    assert_eq!(store.projection::<Amounts>().unwrap().all, [1, 2, 3, 13, 4]);
    // Commands are not concerned.
    add(&store, "b", [5]).await;
    assert_eq!(store.projection::<Amounts>().unwrap().all.len(), 6);
    store.shutdown().await.unwrap();
    drop(store);

    // It resumes from what it had saved, not from the half-applied state.
    *ARMED.lock().unwrap() = false;
    let store = both().open().await.unwrap();
    assert_eq!(store.projection::<Fragile>().unwrap().count, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_projection_that_is_not_registered_is_an_error() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let error = store.projection::<Amounts>().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    assert!(error.to_string().contains("'amounts'"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_injected_event_is_stored_once_and_unchanged_even_after_a_restart() {
    let dir = temp_dir();
    let event = eventfold::Event::new("Added", serde_json::json!({ "amount": 5 }))
        .with_id("from-elsewhere")
        .with_actor("phone")
        .with_meta(serde_json::json!({ "note": "as it is" }));
    for restart in 0..3 {
        let store = with_amounts(&dir).await;
        let ledger = store.get::<Ledger>("a").await.unwrap();
        for _ in 0..2 {
            let options = InjectOptions::default();
            store
                .inject_event::<Ledger>("a", event.clone(), options)
                .await
                .unwrap();
        }
        // In turn with the commands, while the aggregate is live.
        let mut expected = vec![5];
        expected.extend(0..restart);
        assert_eq!(ledger.state().await.unwrap(), Ledger::of(expected.clone()));
        assert_eq!(store.projection::<Amounts>().unwrap().all, expected);
        assert_eq!(store.read_events("ledger", "a").await.unwrap()[0], event);
        ledger.send(Do::Add(restart)).await.unwrap();
        store.shutdown().await.unwrap();
    }
    // Without an id it is always appended.
    let store = with_amounts(&dir).await;
    let mut anonymous = event.clone();
    anonymous.id = None;
    for _ in 0..2 {
        let options = InjectOptions::default();
        store
            .inject_event::<Ledger>("a", anonymous.clone(), options)
            .await
            .unwrap();
    }
    assert_eq!(
        store.projection::<Amounts>().unwrap().all,
        [5, 0, 1, 2, 5, 5]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_injected_event_that_the_aggregate_could_not_load_is_refused() {
    let dir = temp_dir();
    let store = with_amounts(&dir).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    ledger.send(Do::Add(1)).await.unwrap();
    let malformed = eventfold::Event::new("Added", serde_json::json!({ "amount": "much" }));
    let explosive = eventfold::Event::new("Exploded", serde_json::Value::Null);
    for event in [malformed, explosive] {
        let options = InjectOptions::default();
        let error = store
            .inject_event::<Ledger>("a", event, options)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidData, "{error}");
    }
    assert_eq!(ledger.state().await.unwrap(), Ledger::of([1]));
    assert_eq!(ledger.send(Do::Add(2)).await.unwrap().version, 2);
    // One that it does not know is stored and left out, as loading would.
    let unknown = eventfold::Event::new("Unheard", serde_json::json!([1]));
    let options = InjectOptions::default();
    store
        .inject_event::<Ledger>("a", unknown, options)
        .await
        .unwrap();
    assert_eq!(ledger.version().await.unwrap(), 3);
    assert_eq!(ledger.state().await.unwrap(), Ledger::of([1, 2]));
}
