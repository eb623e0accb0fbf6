//! Streams that this crate wrote, read and continued by `eventfold` and by 0.2.0, and taken up
//! again.

use std::fs;
use std::path::Path;

use eventfold::{Event, EventReader, EventWriter, Snapshot, View};
use eventfold_es::{AggregateStore, CommandContext};
use serde_json::json;

use super::domain::{Account, AccountCommand, Deposits, Log, current, published};
use super::files::{commits, find, wait_until_released};

/// Commands with several events, keys and metadata, and text that is awkward in JSON.
async fn write(store: &AggregateStore, id: &str) {
    let account = store.get::<Account>(id).await.unwrap();
    let owner = "Åse \"two\nlines\" \u{2028} 日本 😀 \\ \u{0}".to_owned();
    let context = CommandContext::default()
        .with_actor("ann \"a\"")
        .with_correlation_id("r-1")
        .with_causation_id("c-1")
        .with_source_device("phone")
        .with_metadata(json!({ "nested": { "list": [1, null, 2.5] }, "text": "ü\n" }))
        .with_idempotency_key("key \"1\"");
    account
        .send_with(AccountCommand::Open(owner), context.clone())
        .await
        .unwrap();
    let context = context
        .with_idempotency_key("key 2")
        .with_expected_version(1);
    let deposit = AccountCommand::Deposit((1..=5).collect());
    account.send_with(deposit, context).await.unwrap();
    account.send(AccountCommand::Close).await.unwrap();
    let long = AccountCommand::Open("x".repeat(40_000));
    account.send(long).await.unwrap();
    account
        .send(AccountCommand::Deposit(vec![6]))
        .await
        .unwrap();
}

const WRITTEN: usize = 9;

#[tokio::test]
async fn eventfold_reads_our_streams_line_for_line() {
    let dir = tempfile::tempdir().unwrap();
    let store = current::open(dir.path()).await;
    write(&store, "ann").await;
    let events = store.read_events("account", "ann").await.unwrap();
    let stream = store.layout().stream_dir("account", "ann");
    store.shutdown().await.unwrap();

    let file = fs::read(stream.join("app.jsonl")).unwrap();
    let reader = EventReader::new(&stream);
    let mut start = 0;
    let mut read = Vec::new();
    for event in reader.read_from(0).unwrap() {
        let (event, next, hash) = event.unwrap();
        let line = &file[start..usize::try_from(next).unwrap() - 1];
        assert_eq!(hash, eventfold::line_hash(line));
        assert_eq!(serde_json::from_slice::<Event>(line).unwrap(), event);
        start = usize::try_from(next).unwrap();
        read.push(event);
    }
    assert_eq!(start, file.len());
    assert_eq!(read, events);
    assert_eq!(read.len(), WRITTEN);
    let full: Vec<Event> = reader
        .read_full()
        .unwrap()
        .map(|event| event.unwrap().0)
        .collect();
    assert_eq!(full, events);

    assert_eq!(read[1].event_type, "Deposited");
    assert_eq!(read[1].data, json!({ "amount": 1 }));
    assert_eq!(read[1].actor.as_deref(), Some("ann \"a\""));
    let meta = json!({
        "nested": { "list": [1, null, 2.5] },
        "text": "ü\n",
        "correlation_id": "r-1",
        "causation_id": "c-1",
        "source_device": "phone",
    });
    assert_eq!(read[1].meta, Some(meta));
    assert_eq!(read[6].data, json!(null));
    let mut ids: Vec<_> = read.iter().filter_map(|event| event.id.clone()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), WRITTEN);
}

/// An `eventfold` view starts from our snapshot and folds only what is behind it.
#[tokio::test]
async fn our_snapshot_is_a_snapshot_of_eventfold() {
    let dir = tempfile::tempdir().unwrap();
    let store = current::builder(dir.path())
        .snapshot_every(3)
        .open()
        .await
        .unwrap();
    for amount in 1..=7 {
        current::deposit(&store, "ann", &[amount]).await;
    }
    let stream = store.layout().stream_dir("account", "ann");
    store.shutdown().await.unwrap();

    let path = stream.join("views/state.snapshot.json");
    let snapshot: Snapshot<Account> = eventfold::snapshot::load(&path).unwrap().unwrap();
    assert_eq!(snapshot.state.deposits, [1, 2, 3, 4, 5, 6]);
    let reader = EventReader::new(&stream);
    let before = reader.read_line_hash_before(snapshot.offset).unwrap();
    assert_eq!(before, Some(snapshot.hash));
    let last = |state: Account, event: &Event| {
        assert_eq!(event.data["amount"], 7, "only what is behind the snapshot");
        old::reducer::<Account>()(state, event)
    };
    let mut view = View::new("state", last, &stream.join("views"));
    let state = view.refresh(&reader).unwrap();
    assert_eq!(state.deposits, [1, 2, 3, 4, 5, 6, 7]);
}

#[tokio::test]
async fn the_published_store_has_our_state_with_and_without_our_snapshot() {
    for snapshot_every in [1, 2, 4, u64::MAX] {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path();
        let store = current::builder(base)
            .snapshot_every(snapshot_every)
            .open()
            .await
            .unwrap();
        write(&store, "ann").await;
        current::deposit(&store, "with space", &[1, 2]).await;
        let ann = current::account(&store, "ann").await;
        assert_eq!(ann.deposits, [1, 2, 3, 4, 5, 6]);
        let events = store.read_events("account", "ann").await.unwrap();
        let deposits = store.projection::<Deposits>().unwrap();
        store.shutdown().await.unwrap();
        let is_there = !find(base, "state.snapshot.json").is_empty();
        assert_eq!(is_there, snapshot_every != u64::MAX);

        let store = published::open(base).await;
        assert_eq!(published::account(&store, "ann").await, ann);
        assert_eq!(store.read_events("account", "ann").await.unwrap(), events);
        assert_eq!(
            store.list::<Account>().await.unwrap(),
            ["ann", "with space"]
        );
        assert_eq!(store.projection::<Deposits>().unwrap(), deposits);
        // Its process managers see them too.
        assert_eq!(published::run(&store).await, (8, 0));
    }
}

#[tokio::test]
async fn repair_enters_lines_that_the_published_store_appended() {
    for snapshot_every in [1, 3, u64::MAX] {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path();
        let open = || async {
            let builder = current::builder(base).snapshot_every(snapshot_every);
            builder.open().await.unwrap()
        };
        let store = open().await;
        write(&store, "ann").await;
        let before = store.projection::<Log>().unwrap();
        store.shutdown().await.unwrap();

        let store = published::open(base).await;
        published::deposit(&store, "ann", &[21, 22]).await;
        published::deposit(&store, "bob", &[31]).await;
        let ann = published::account(&store, "ann").await;
        drop(store);
        wait_until_released(base);
        repair(base).await;

        let store = open().await;
        let account = store.get::<Account>("ann").await.unwrap();
        assert_eq!(account.state().await.unwrap(), ann);
        assert_eq!(account.version().await.unwrap(), WRITTEN as u64 + 2);
        assert_eq!(current::account(&store, "bob").await.deposits, [31]);
        // It is behind all that was in the journal before.
        let log = store.projection::<Log>().unwrap();
        assert_eq!(log.0[..before.0.len()], before.0);
        assert_eq!(log.0.len(), WRITTEN + 3);
        assert_eq!(store.head().to_string(), (WRITTEN + 3).to_string());

        // Keys are known still, and commands go on.
        let again = CommandContext::default().with_idempotency_key("key 2");
        let deposit = AccountCommand::Deposit((1..=5).collect());
        let repeated = account.send_with(deposit, again).await.unwrap();
        assert_eq!(repeated.events.len(), 5);
        assert_eq!(repeated.version, 6);
        let done = account
            .send(AccountCommand::Deposit(vec![41]))
            .await
            .unwrap();
        assert_eq!(done.version, WRITTEN as u64 + 3);
        store.shutdown().await.unwrap();

        let store = open().await;
        assert_eq!(
            current::account(&store, "ann").await.deposits.last(),
            Some(&41)
        );
        assert_eq!(store.projection::<Log>().unwrap().0.len(), WRITTEN + 4);
        store.shutdown().await.unwrap();
        let events: usize = commits(base)
            .iter()
            .map(|commit| commit["events"].as_array().unwrap().len())
            .sum();
        assert_eq!(events, WRITTEN + 4);
    }
}

#[tokio::test]
async fn lines_that_eventfold_appended_to_a_stream_that_was_not_in_use_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path();
    let store = current::open(base).await;
    current::deposit(&store, "ann", &[1]).await;
    let stream = store.layout().stream_dir("account", "ann");
    store.shutdown().await.unwrap();

    // The store is open, but has not touched the stream.
    let store = current::open(base).await;
    let mut writer = EventWriter::open(&stream).unwrap();
    for amount in 2..=4 {
        let event = Event::new("Deposited", json!({ "amount": amount }));
        writer.append(&event).unwrap();
    }
    drop(writer);
    let account = store.get::<Account>("ann").await.unwrap();
    let refused = account.send(AccountCommand::Deposit(vec![5])).await;
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("`AggregateStore::repair`"), "{refused}");
    assert_eq!(store.projection::<Deposits>().unwrap().0["ann"], [1]);
    store.shutdown().await.unwrap();
    drop((store, account));
    repair(base).await;

    let store = current::open(base).await;
    current::deposit(&store, "ann", &[5]).await;
    assert_eq!(
        current::account(&store, "ann").await.deposits,
        [1, 2, 3, 4, 5]
    );
    assert_eq!(
        store.projection::<Deposits>().unwrap().0["ann"],
        [1, 2, 3, 4, 5]
    );
    let account = store.get::<Account>("ann").await.unwrap();
    assert_eq!(account.version().await.unwrap(), 5);
    let read: Vec<_> = account.reader().read_from(0).unwrap().collect();
    assert_eq!(read.len(), 5);
}

/// Enters what others appended; what they wrote besides is none of the store's.
async fn repair(base: &Path) {
    let report = AggregateStore::repair(base).await.unwrap();
    assert!(report.is_success(), "{report}");
}

/// Opens, appends, reads and closes with 0.2.0.
async fn use_published(base: &Path, amount: u64, expected: &mut Vec<u64>) {
    let store = published::open(base).await;
    assert_eq!(&published::account(&store, "ann").await.deposits, expected);
    published::deposit(&store, "ann", &[amount, amount + 1]).await;
    expected.extend([amount, amount + 1]);
    assert_eq!(&published::account(&store, "ann").await.deposits, expected);
    assert_eq!(&store.projection::<Deposits>().unwrap().0["ann"], expected);
    published::deposit(&store, &format!("new {amount}"), &[amount]).await;
    drop(store);
    wait_until_released(base);
}

/// The same with this crate.
async fn use_current(base: &Path, snapshot_every: u64, amount: u64, expected: &mut Vec<u64>) {
    if base.join("journal").exists() {
        repair(base).await;
    }
    let builder = current::builder(base).snapshot_every(snapshot_every);
    let store = builder.open().await.unwrap();
    assert_eq!(&current::account(&store, "ann").await.deposits, expected);
    current::deposit(&store, "ann", &[amount, amount + 1]).await;
    expected.extend([amount, amount + 1]);
    for id in store.list::<Account>().await.unwrap() {
        let state = current::account(&store, &id).await;
        assert_eq!(
            store.projection::<Deposits>().unwrap().0[&id],
            state.deposits
        );
    }
    assert_eq!(&store.projection::<Deposits>().unwrap().0["ann"], expected);
    store.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_directory_can_alternate_between_both_versions() {
    for snapshot_every in [1, 3, u64::MAX] {
        for published_first in [true, false] {
            let dir = tempfile::tempdir().unwrap();
            let mut expected = Vec::new();
            for round in 0..4 {
                let amount = round * 100;
                if published_first || round > 0 {
                    use_published(dir.path(), amount, &mut expected).await;
                }
                use_current(dir.path(), snapshot_every, amount + 50, &mut expected).await;
            }
        }
    }
}

/// 0.2.0 knows nothing of our lock on the directory, but of those on the streams.
#[tokio::test]
async fn an_open_store_keeps_others_from_the_streams_it_writes() {
    let dir = tempfile::tempdir().unwrap();
    let store = current::open(dir.path()).await;
    current::deposit(&store, "ann", &[1]).await;
    let stream = store.layout().stream_dir("account", "ann");
    assert!(EventWriter::open(&stream).is_err());
    let other = published::open(dir.path()).await;
    assert!(other.get::<Account>("ann").await.is_err());
    // Reading is free.
    let read = other.read_events("account", "ann").await.unwrap();
    assert_eq!(read.len(), 1);
    store.shutdown().await.unwrap();
    published::deposit(&other, "ann", &[2]).await;
}
