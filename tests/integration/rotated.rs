//! Streams whose older lines `eventfold` rotated into `archive.jsonl.zst`.

use std::fs;
use std::path::{Path, PathBuf};

use eventfold::{Event, EventLog, EventWriter, LockMode};
use eventfold_es::__private::example::Total;
use eventfold_es::AggregateStore;
use serde_json::json;

use crate::support::files::edit;
use crate::support::{
    Ledger, LedgerCommand as Do, TempDir, builder, check_report, copy, open, stream_file, temp_dir,
};

fn stream(base: &Path) -> PathBuf {
    base.join("streams/ledger/a")
}

fn archive(base: &Path) -> PathBuf {
    stream(base).join("archive.jsonl.zst")
}

fn rotate(base: &Path) {
    EventLog::open(stream(base)).unwrap().rotate().unwrap();
    assert_eq!(fs::metadata(stream_file(base, "a")).unwrap().len(), 0);
}

async fn add(store: &AggregateStore, amounts: impl IntoIterator<Item = u64>) {
    let ledger = store.get::<Ledger>("a").await.unwrap();
    for amount in amounts {
        ledger.send(Do::Add(amount)).await.unwrap();
    }
}

async fn state(store: &AggregateStore) -> Ledger {
    store
        .get::<Ledger>("a")
        .await
        .unwrap()
        .state()
        .await
        .unwrap()
}

/// A closed store with a ledger of ten amounts.
async fn written(snapshot_every: u64) -> TempDir {
    let dir = temp_dir();
    let open = builder(dir.path()).snapshot_every(snapshot_every);
    let store = open.open().await.unwrap();
    add(&store, 0..10).await;
    store.shutdown().await.unwrap();
    dir
}

#[tokio::test]
async fn a_stream_that_was_rotated_since_is_read_and_takes_commands_as_before() {
    for snapshot_every in [3, 1_000] {
        let dir = written(snapshot_every).await;
        let mut total = 10;
        for round in 1..=3 {
            rotate(dir.path());
            check_report(&dir).await;
            let open = builder(dir.path()).snapshot_every(snapshot_every);
            let store = open.open().await.unwrap();
            assert_eq!(state(&store).await, Ledger::of(0..total));
            let events = store.read_events("ledger", "a").await.unwrap();
            assert_eq!(events.len() as u64, total);
            let before = fs::read(archive(dir.path())).unwrap();
            add(&store, total..total + round).await;
            total += round;
            crate::support::written(&store);
            let lines = fs::read_to_string(stream_file(dir.path(), "a")).unwrap();
            assert_eq!(
                lines.lines().count() as u64,
                round,
                "only new lines are appended"
            );
            assert_eq!(fs::read(archive(dir.path())).unwrap(), before);
            assert_eq!(state(&store).await, Ledger::of(0..total));
            store.shutdown().await.unwrap();
            check_report(&dir).await;
        }
        let log = EventLog::open(stream(dir.path())).unwrap();
        assert_eq!(log.read_full().unwrap().count() as u64, total);
    }
}

#[tokio::test]
async fn a_journal_is_replayed_onto_a_rotated_stream() {
    let dir = written(1_000).await;
    rotate(dir.path());
    fs::remove_file(dir.path().join("journal/checkpoint.json")).unwrap();
    let store = open(dir.path()).await;
    add(&store, 10..12).await;
    assert_eq!(state(&store).await, Ledger::of(0..12));
    store.shutdown().await.unwrap();
    check_report(&dir).await;
}

#[tokio::test]
async fn lines_that_another_program_appended_after_a_rotation_are_entered_by_repair() {
    let dir = written(1_000).await;
    rotate(dir.path());
    let mut writer = EventWriter::open(stream(dir.path())).unwrap();
    for amount in [10, 11] {
        let event = Event::new("Added", json!({ "amount": amount }));
        writer.append(&event).unwrap();
    }
    drop(writer);
    rotate(dir.path());
    let mut writer = EventWriter::open(stream(dir.path())).unwrap();
    writer
        .append(&Event::new("Added", json!({ "amount": 12 })))
        .unwrap();
    drop(writer);
    let store = open(dir.path()).await;
    let error = store.get::<Ledger>("a").await.unwrap().state().await;
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("`AggregateStore::repair` enters them")
    );
    store.shutdown().await.unwrap();
    let report = AggregateStore::repair(dir.path()).await.unwrap();
    assert!(report.is_success(), "{report}");
    let store = open(dir.path()).await;
    assert_eq!(state(&store).await, Ledger::of(0..13));
    add(&store, [13]).await;
    assert_eq!(state(&store).await, Ledger::of(0..14));
    store.shutdown().await.unwrap();
    check_report(&dir).await;
}

/// `eventfold` appended the frame, and the program ended before it emptied the log.
#[tokio::test]
async fn a_rotation_that_was_interrupted_leaves_each_event_once() {
    for later in [false, true] {
        let dir = written(1_000).await;
        let lines = fs::read(stream_file(dir.path(), "a")).unwrap();
        rotate(dir.path());
        fs::write(stream_file(dir.path(), "a"), &lines).unwrap();
        let store = open(dir.path()).await;
        assert_eq!(state(&store).await, Ledger::of(0..10));
        add(&store, 10..12).await;
        store.shutdown().await.unwrap();
        check_report(&dir).await;
        if later {
            // The lines in both are rotated a second time, with those behind them.
            let store = open(dir.path()).await;
            store.archive::<Ledger>("a").await.unwrap();
            store.unarchive::<Ledger>("a").await.unwrap();
            store.shutdown().await.unwrap();
            check_report(&dir).await;
        }
        let store = open(dir.path()).await;
        assert_eq!(state(&store).await, Ledger::of(0..12));
        assert_eq!(
            store.read_events("ledger", "a").await.unwrap().len(),
            if later { 14 } else { 12 }
        );
        store.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn lines_without_ids_that_are_in_both_files_are_refused_rather_than_guessed() {
    let dir = temp_dir();
    fs::create_dir_all(stream(dir.path())).unwrap();
    let line = b"{\"type\":\"Added\",\"data\":{\"amount\":1},\"ts\":1}\n";
    fs::write(stream_file(dir.path(), "a"), line).unwrap();
    rotate(dir.path());
    fs::write(stream_file(dir.path(), "a"), line).unwrap();
    let store = open(dir.path()).await;
    let error = store
        .get::<Ledger>("a")
        .await
        .unwrap()
        .state()
        .await
        .unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains("archive.jsonl.zst") && error.contains("interrupted"),
        "{error}"
    );
    store.shutdown().await.unwrap();
    let report = AggregateStore::verify(dir.path()).await.unwrap();
    assert!(!report.is_clean());
}

#[tokio::test]
async fn a_damaged_rotated_log_is_an_error_that_names_the_file_or_does_not_show() {
    let dir = written(1_000).await;
    rotate(dir.path());
    let whole = fs::read(archive(dir.path())).unwrap();
    let mut told = 0;
    for at in (0..whole.len()).step_by(7) {
        let dir = copy(dir.path());
        edit(&archive(dir.path()), |bytes| bytes[at] ^= 1 << (at % 8));
        let store = open(dir.path()).await;
        let ledger = store.get::<Ledger>("a").await.unwrap();
        match ledger.state().await {
            Ok(state) => assert_eq!(state, Ledger::of(0..10), "byte {at}"),
            Err(error) => {
                let error = error.to_string();
                let names = error.contains("archive.jsonl.zst") || error.contains("app.jsonl");
                assert!(names, "byte {at}: {error}");
                told += 1;
            }
        }
        store.shutdown().await.unwrap();
        let report = AggregateStore::repair(dir.path()).await.unwrap();
        assert!(report.is_success(), "byte {at}: {report}");
        let store = open(dir.path()).await;
        assert_eq!(state(&store).await, Ledger::of(0..10));
        store.shutdown().await.unwrap();
    }
    assert!(told > whole.len() / 14, "{told} of {}", whole.len() / 7);
}

#[tokio::test]
async fn a_rotated_log_that_ends_within_a_frame_is_refused_at_the_first_open_of_its_directory() {
    let dir = temp_dir();
    fs::create_dir_all(stream(dir.path())).unwrap();
    let mut writer = EventWriter::open_with_lock(stream(dir.path()), LockMode::None).unwrap();
    for amount in 0..50 {
        writer
            .append(&Event::new("Added", json!({ "amount": amount })))
            .unwrap();
    }
    drop(writer);
    rotate(dir.path());
    edit(&archive(dir.path()), |bytes| {
        bytes.truncate(bytes.len() - 9);
    });
    let store = builder(dir.path())
        .projection::<Total>()
        .open()
        .await
        .unwrap();
    let error = store
        .get::<Ledger>("a")
        .await
        .unwrap()
        .state()
        .await
        .unwrap_err();
    let error = error.to_string();
    assert!(error.contains("archive.jsonl.zst"), "{error}");
    store.shutdown().await.unwrap();
}
