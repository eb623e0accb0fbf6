//! Positions and versions, what other programs read of ours, and what they append.

use std::path::{Path, PathBuf};

use eventfold::{Event, EventReader, EventWriter};
use eventfold_es::{AggregateStore, Projection};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::files::edit;
use crate::support::{
    Ledger, LedgerCommand as Do, copy, journal, open, random, stream_file, temp_dir, verify,
};

/// The amounts of all ledgers, in order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Amounts(Vec<u64>);

impl Projection for Amounts {
    const NAME: &'static str = "amounts";

    fn subscriptions(&self) -> &'static [&'static str] {
        &["ledger"]
    }

    fn apply(&mut self, _: &str, _: &str, event: &Event) {
        self.0.extend(event.data["amount"].as_u64());
    }
}

async fn with_amounts(dir: impl AsRef<Path>) -> AggregateStore {
    crate::support::builder(dir)
        .projection::<Amounts>()
        .open()
        .await
        .unwrap()
}

fn stream_dir(base: &Path, id: &str) -> PathBuf {
    base.join("streams/ledger").join(id)
}

fn foreign(amount: u64) -> Event {
    Event::new("Added", json!({ "amount": amount })).with_id(format!("foreign-{amount}"))
}

/// Appends as another program does.
fn append(base: &Path, id: &str, amounts: impl IntoIterator<Item = u64>) {
    let mut writer = EventWriter::open(stream_dir(base, id)).unwrap();
    for amount in amounts {
        writer.append(&foreign(amount)).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn positions_and_versions_have_no_gaps_and_never_change() {
    let dir = temp_dir();
    let mut before = Vec::new();
    for round in 0..4_u64 {
        let store = open(&dir).await;
        let mut writers = JoinSet::new();
        for writer in 0..4 {
            let store = store.clone();
            writers.spawn(async move {
                let mut random = random(round * 10 + writer);
                let mut last = store.head();
                for _ in 0..30 {
                    let id = format!("l{}", random() % 5);
                    let ledger = store.get::<Ledger>(&id).await.unwrap();
                    let amounts = (0..=random() % 3).collect();
                    let done = ledger.send(Do::AddAll(amounts)).await.unwrap();
                    assert!(done.position > last, "a position came after a greater one");
                    assert!(store.head() >= done.position);
                    last = done.position;
                }
            });
        }
        writers.join_all().await;
        let now: Vec<Value> = journal(dir.path())
            .into_iter()
            .map(|line| line.json)
            .collect();
        assert_eq!(
            now[..before.len()],
            before,
            "what was read before has changed"
        );
        assert!(now.len() == before.len() + 120);
        before = now;
        // Crash and orderly end take turns.
        if round % 2 == 0 {
            let crashed = copy(dir.path());
            let store = open(&crashed).await;
            store.shutdown().await.unwrap();
            let there = journal(crashed.path()).into_iter().map(|line| line.json);
            assert_eq!(there.collect::<Vec<_>>(), before);
            verify(crashed.path());
        }
        store.shutdown().await.unwrap();
        verify(dir.path());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn eventfold_reads_every_line_that_is_written() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    // A handle's reader finds nothing before the first event.
    assert!(ledger.reader().read_from(0).is_err());
    for amount in 1..=5 {
        ledger
            .send(Do::AddAll(vec![amount, 10 * amount]))
            .await
            .unwrap();
    }
    ledger.send(Do::Write("ä\n\"日本\"".into())).await.unwrap();

    let ours = store.read_events("ledger", "a").await.unwrap();
    assert_eq!(ours.len(), 11);
    for reader in [
        ledger.reader().clone(),
        EventReader::new(stream_dir(dir.path(), "a")),
    ] {
        let theirs: Vec<Event> = reader
            .read_from(0)
            .unwrap()
            .map(|read| read.unwrap().0)
            .collect();
        assert_eq!(theirs, ours);
    }
    let mut view = eventfold::View::new(
        "total",
        eventfold_es::reducer::<Ledger>(),
        &dir.path().join("elsewhere"),
    );
    std::fs::create_dir_all(dir.path().join("elsewhere")).unwrap();
    let state = view.refresh(ledger.reader()).unwrap();
    assert_eq!(*state, ledger.state().await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_of_other_programs_are_refused_until_repair_enters_them_in_order() {
    let dir = temp_dir();
    let store = with_amounts(&dir).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    ledger.send(Do::AddAll(vec![1, 2])).await.unwrap();
    store.shutdown().await.unwrap();
    drop((store, ledger));
    append(dir.path(), "a", [3, 4]);
    append(dir.path(), "new", [5]);

    let report = AggregateStore::verify(dir.path()).await.unwrap();
    assert!(!report.is_clean());
    let store = with_amounts(&dir).await;
    for id in ["a", "new"] {
        let ledger = store.get::<Ledger>(id).await.unwrap();
        let refused = [
            ledger.state().await.unwrap_err().to_string(),
            ledger.send(Do::Add(9)).await.unwrap_err().to_string(),
            store
                .read_events("ledger", id)
                .await
                .unwrap_err()
                .to_string(),
        ];
        for error in refused {
            assert!(error.contains("lines of another program"), "{error}");
            assert!(error.contains("`AggregateStore::repair`"), "{error}");
            let file = stream_file(dir.path(), id).display().to_string();
            assert!(error.contains(&file), "{error}");
        }
    }
    let error = store.list::<Ledger>().await.unwrap_err().to_string();
    assert!(error.contains("new/app.jsonl"), "{error}");
    assert_eq!(store.projection::<Amounts>().unwrap().0, [1, 2]);
    assert_eq!(store.head().to_string(), "2");
    store.shutdown().await.unwrap();
    drop(store);
    repair(dir.path()).await;

    for restarts in 0..3 {
        let store = with_amounts(&dir).await;
        let ledger = store.get::<Ledger>("a").await.unwrap();
        let new = store.get::<Ledger>("new").await.unwrap();
        let mut expected: Vec<u64> = (1..=4).collect();
        expected.extend(vec![6; restarts]);
        assert_eq!(ledger.state().await.unwrap(), Ledger::of(expected.clone()));
        assert_eq!(new.state().await.unwrap(), Ledger::of([5]));
        let mut all = vec![1, 2, 3, 4, 5];
        all.extend(vec![6; restarts]);
        assert_eq!(store.projection::<Amounts>().unwrap().0, all);
        assert_eq!(store.head().to_string(), all.len().to_string());
        let done = ledger.send(Do::Add(6)).await.unwrap();
        assert_eq!(done.version, expected.len() as u64 + 1);
        store.shutdown().await.unwrap();
        verify(dir.path());
    }
    let adopted: Vec<_> = journal(dir.path())
        .into_iter()
        .filter(|line| line.json["streams"][0]["adopted"] == true)
        .map(|line| (line.stream().1, line.number("version"), line.events().len()))
        .collect();
    let of = |id: &str, version| (id.to_owned(), version, 1);
    assert_eq!(adopted, [of("a", 3), of("a", 4), of("new", 1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_that_repair_entered_survive_a_crash_and_are_entered_once() {
    let dir = temp_dir();
    let store = with_amounts(&dir).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    ledger.send(Do::Add(1)).await.unwrap();
    store.shutdown().await.unwrap();
    drop((store, ledger));
    append(dir.path(), "a", [2, 3]);
    repair(dir.path()).await;
    repair(dir.path()).await;
    let store = with_amounts(&dir).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    assert_eq!(ledger.version().await.unwrap(), 3);
    ledger.send(Do::Add(4)).await.unwrap();

    crate::support::written(&store);
    let crashed = copy(dir.path());
    // Even if the whole journal is to be replayed.
    let without_checkpoint = copy(dir.path());
    let checkpoint = without_checkpoint.path().join("journal/checkpoint.json");
    std::fs::remove_file(checkpoint).unwrap();
    for crashed in [crashed, without_checkpoint] {
        let store = with_amounts(&crashed).await;
        let ledger = store.get::<Ledger>("a").await.unwrap();
        assert_eq!(ledger.state().await.unwrap(), Ledger::of(1..=4));
        assert_eq!(store.projection::<Amounts>().unwrap().0, [1, 2, 3, 4]);
        store.shutdown().await.unwrap();
        assert_eq!(
            verify(crashed.path())[&("ledger".into(), "a".into())].len(),
            4
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_program_is_locked_out_of_a_stream_that_is_being_written() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    ledger.send(Do::Add(1)).await.unwrap();
    crate::support::written(&store);
    let refused = EventWriter::open(stream_dir(dir.path(), "a")).unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("another writer holds the lock"),
        "{refused}"
    );

    // One that takes no lock is noticed before anything is stored.
    let unlocked = eventfold::LockMode::None;
    let mut writer = EventWriter::open_with_lock(stream_dir(dir.path(), "a"), unlocked).unwrap();
    writer.append(&foreign(2)).unwrap();
    let noticed = ledger.send(Do::Add(3)).await.unwrap_err().to_string();
    assert!(noticed.contains("ledger/a"), "{noticed}");
    assert!(
        noticed.contains("was changed by another program"),
        "{noticed}"
    );
    let refused = ledger.send(Do::Add(3)).await.unwrap_err().to_string();
    assert!(refused.contains("`AggregateStore::repair`"), "{refused}");
    store.shutdown().await.unwrap();
    drop((store, ledger));
    repair(dir.path()).await;
    let store = open(&dir).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    assert_eq!(ledger.send(Do::Add(4)).await.unwrap().version, 3);
    assert_eq!(ledger.state().await.unwrap(), Ledger::of([1, 2, 4]));
    store.shutdown().await.unwrap();
    verify(dir.path());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_another_program_has_locked_refuses_commands_and_stores_nothing() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    let writer = EventWriter::open(stream_dir(dir.path(), "a")).unwrap();
    let refused = ledger.send(Do::Add(1)).await.unwrap_err().to_string();
    assert!(
        refused.contains("is locked by another program"),
        "{refused}"
    );
    assert!(journal(dir.path()).is_empty());
    let other = store.get::<Ledger>("b").await.unwrap();
    other.send(Do::Add(1)).await.unwrap();
    drop(writer);
    assert_eq!(ledger.send(Do::Add(2)).await.unwrap().version, 1);
    assert_eq!(ledger.state().await.unwrap(), Ledger::of([2]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_torn_line_of_another_program_is_refused_and_repair_keeps_it_beside_the_stream() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    ledger.send(Do::Add(1)).await.unwrap();
    store.shutdown().await.unwrap();
    drop((store, ledger));
    append(dir.path(), "a", [2]);
    let file = stream_file(dir.path(), "a");
    let whole = std::fs::read(&file).unwrap().len();
    let torn = b"{\"type\":\"Added\",\"data\":{\"amo";
    edit(&file, |bytes| bytes.extend_from_slice(torn));
    repair(dir.path()).await;

    let store = open(&dir).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    assert_eq!(ledger.state().await.unwrap(), Ledger::of([1, 2]));
    assert_eq!(ledger.send(Do::Add(3)).await.unwrap().version, 3);
    store.shutdown().await.unwrap();
    verify(dir.path());
    let kept = stream_dir(dir.path(), "a").join(format!("app.jsonl.unfinished-{whole}"));
    assert_eq!(std::fs::read(kept).unwrap(), torn);

    // By itself.
    drop((store, ledger));
    edit(&file, |bytes| bytes.extend_from_slice(torn));
    let store = open(&dir).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    let refused = ledger.state().await.unwrap_err().to_string();
    assert!(
        refused.contains("unfinished line of another program"),
        "{refused}"
    );
    assert!(refused.contains("`AggregateStore::repair`"), "{refused}");
    store.shutdown().await.unwrap();
    drop((store, ledger));
    repair(dir.path()).await;
    let store = open(&dir).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    assert_eq!(ledger.state().await.unwrap(), Ledger::of([1, 2, 3]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_line_where_the_journal_has_another_is_never_overwritten() {
    for text in [
        "short".to_owned(),
        "a line that is longer than ours ".repeat(100),
    ] {
        let dir = temp_dir();
        let store = open(&dir).await;
        let ledger = store.get::<Ledger>("a").await.unwrap();
        ledger.send(Do::Add(1)).await.unwrap();
        crate::support::written(&store);
        let before = copy(dir.path());
        ledger.send(Do::Add(2)).await.unwrap();
        crate::support::written(&store);
        let crashed = copy(dir.path());
        // The power failed before the stream's file was on the disk; then another program came.
        std::fs::copy(
            stream_file(before.path(), "a"),
            stream_file(crashed.path(), "a"),
        )
        .unwrap();
        let event = Event::new("Written", json!({ "text": text }));
        let mut writer = EventWriter::open(stream_dir(crashed.path(), "a")).unwrap();
        writer.append(&event).unwrap();
        drop(writer);

        let there = std::fs::read(stream_file(crashed.path(), "a")).unwrap();
        // Only that stream refuses, as often as the store is opened.
        for round in 1..=2 {
            let store = open(&crashed).await;
            let ledger = store.get::<Ledger>("a").await.unwrap();
            assert_eq!(ledger.state().await.unwrap(), Ledger::of([1, 2]));
            let refused = ledger.send(Do::Add(3)).await.unwrap_err().to_string();
            let file = stream_file(crashed.path(), "a").display().to_string();
            assert!(refused.contains(&file), "{refused}");
            assert!(refused.contains("changed by another program"), "{refused}");
            let other = store.get::<Ledger>("b").await.unwrap();
            assert_eq!(other.send(Do::Add(4)).await.unwrap().version, round);
            store.shutdown().await.unwrap_err();
            assert_eq!(
                std::fs::read(stream_file(crashed.path(), "a")).unwrap(),
                there
            );
        }
        // A repair puts their line aside.
        AggregateStore::repair(crashed.path()).await.unwrap();
        let store = open(&crashed).await;
        let ledger = store.get::<Ledger>("a").await.unwrap();
        assert_eq!(ledger.send(Do::Add(3)).await.unwrap().version, 3);
        assert_eq!(ledger.state().await.unwrap(), Ledger::of([1, 2, 3]));
        store.shutdown().await.unwrap();
        verify(crashed.path());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_byte_in_a_line_of_another_program_is_found() {
    let dir = temp_dir();
    append(dir.path(), "a", [1, 2, 3]);
    let store = open(&dir).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    assert_eq!(ledger.state().await.unwrap(), Ledger::of([1, 2, 3]));
    store.shutdown().await.unwrap();
    drop((store, ledger));
    // Still an event, of another amount.
    edit(&stream_file(dir.path(), "a"), |bytes| {
        let at = bytes
            .windows(11)
            .position(|w| w == b"\"amount\":1}")
            .unwrap();
        bytes[at + 9] = b'8';
    });
    let store = open(&dir).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    let error = ledger.state().await.unwrap_err().to_string();
    assert!(error.contains("is damaged at byte"), "{error}");
    assert!(
        error.contains(stream_file(dir.path(), "a").to_str().unwrap()),
        "{error}"
    );
}

/// Repairs the store, which must succeed.
async fn repair(dir: &Path) {
    let report = AggregateStore::repair(dir).await.unwrap();
    assert!(report.is_success(), "{report}");
}

/// What another program appends to the stream `a`, byte for byte.
fn append_bytes(base: &Path, bytes: &str) {
    crate::support::files::edit(&stream_file(base, "a"), |file| {
        file.extend_from_slice(bytes.as_bytes());
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_line_that_is_no_event_for_eventfold_is_moved_away_by_repair() {
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    for line in [
        r#"{"type":"Added","data":{"amount":2},"ts":1,"id":5}"#.to_owned(),
        r#"{"type":"Added","data":{"amount":2,"x":1e999},"ts":1}"#.to_owned(),
        format!(r#"{{"type":"Added","data":{{"amount":2,"x":{deep}}},"ts":1}}"#),
    ] {
        let dir = temp_dir();
        let store = open(&dir).await;
        let ledger = store.get::<Ledger>("a").await.unwrap();
        ledger.send(Do::Add(1)).await.unwrap();
        store.shutdown().await.unwrap();
        drop((store, ledger));
        append_bytes(dir.path(), &format!("{line}\n"));
        let store = open(&dir).await;
        let ledger = store.get::<Ledger>("a").await.unwrap();
        let refused = ledger.send(Do::Add(3)).await.unwrap_err();
        assert!(refused.to_string().contains("app.jsonl"), "{refused}");
        store.shutdown().await.unwrap();
        drop((store, ledger));
        repair(dir.path()).await;
        // The journal is as it was, for whoever follows it.
        assert_eq!(journal(dir.path()).len(), 1);
        let store = open(&dir).await;
        let ledger = store.get::<Ledger>("a").await.unwrap();
        assert_eq!(ledger.state().await.unwrap(), Ledger::of([1]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_lines_with_blanks_around_them_survive_a_crash() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    ledger.send(Do::Add(1)).await.unwrap();
    store.shutdown().await.unwrap();
    let event = |amount| format!(r#"{{"type":"Added","data":{{"amount":{amount}}},"ts":1}}"#);
    drop((store, ledger));
    append_bytes(dir.path(), &format!("{}\r\n  {}  \n", event(2), event(3)));
    repair(dir.path()).await;

    let store = open(&dir).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    ledger.send(Do::Add(4)).await.unwrap();
    crate::support::written(&store);
    let crashed = crate::support::copy(dir.path());
    store.shutdown().await.unwrap();
    for dir in [crashed.path(), dir.path()] {
        for _ in 0..2 {
            let store = open(dir).await;
            let ledger = store.get::<Ledger>("a").await.unwrap();
            assert_eq!(ledger.state().await.unwrap(), Ledger::of(1..=4));
            store.shutdown().await.unwrap();
            verify(dir);
        }
    }
}
