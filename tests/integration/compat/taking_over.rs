//! Directories that 0.2.0 wrote, opened by this crate.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

use eventfold::Event;
use eventfold_es::{AggregateStore, CommandContext};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::domain::{Account, AccountCommand, Log, current, entry, published};
use super::files::{copy, find, wait_until_released};

mod order;
mod read_side;

/// Ids that 0.2.0 took and that this crate stores differently, or might trip over.
const ODD_IDS: &[&str] = &[
    "plain",
    "with space",
    "Ünïcödé 日本 😀",
    "a:b",
    "50%",
    "50%25",
    "100%2525",
    "a",
    "a/b",
    "a/b/c",
    "x/y",
    ".hidden",
    "...",
    "ends with a dot.",
    "ends with a space ",
    "CON",
    "com1.txt",
    "quo\"te",
    "back\\slash",
    "star*",
    "new\nline",
    "UPPER",
    "upper",
];

/// Ids of 255 bytes as file names.
fn long_ids() -> [String; 2] {
    ["x".repeat(255), "日".repeat(85)]
}

fn odd_ids() -> Vec<String> {
    let mut ids: Vec<String> = ODD_IDS.iter().map(|id| (*id).to_owned()).collect();
    ids.extend(long_ids());
    ids
}

fn deposited(amount: u64, ts: u64) -> Event {
    let mut event = Event::new("Deposited", json!({ "amount": amount }));
    event.ts = ts;
    event
}

/// A line as 0.2.0 writes it.
fn line(event: &Event) -> String {
    serde_json::to_string(event).unwrap() + "\n"
}

/// Writes a stream as 0.2.0 leaves it, without its fsyncs.
fn write_stream(base: &Path, aggregate_type: &str, id: &str, events: &[Event]) {
    let dir = base.join("streams").join(aggregate_type).join(id);
    fs::create_dir_all(dir.join("views")).unwrap();
    fs::write(
        dir.join("app.jsonl"),
        events.iter().map(line).collect::<String>(),
    )
    .unwrap();
}

#[tokio::test]
async fn every_migrated_stream_keeps_its_id_its_state_and_its_events() {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path();
    let mut states = BTreeMap::new();
    let mut events = BTreeMap::new();
    let store = published::open(base).await;
    for (i, id) in odd_ids().into_iter().enumerate() {
        let n = i as u64;
        published::execute(&store, &id, AccountCommand::Open(id.clone())).await;
        published::deposit(&store, &id, &[n, n + 1]).await;
        if i % 2 == 0 {
            // Reading the state leaves a snapshot of all; without it one lacks the last command.
            published::account(&store, &id).await;
        }
    }
    published::run(&store).await;
    for id in odd_ids() {
        let stream = store.read_events("account", &id).await.unwrap();
        events.insert(id.clone(), stream);
        states.insert(id.clone(), published::account(&store, &id).await);
    }
    let ledger = published::ledger(&store).await;
    drop(store);
    wait_until_released(base);
    assert!(!find(base, "state.snapshot.json").is_empty());

    for round in 0..2 {
        let store = current::open(base).await;
        let ids: Vec<String> = states.keys().cloned().collect();
        assert_eq!(store.list::<Account>().await.unwrap(), ids);
        for (id, state) in &states {
            assert_eq!(&current::account(&store, id).await, state, "{id:?}");
            let account = store.get::<Account>(id).await.unwrap();
            assert_eq!(account.version().await.unwrap(), 3);
            assert_eq!(store.read_events("account", id).await.unwrap(), events[id]);
        }
        assert_eq!(current::ledger(&store).await, ledger);
        let mut expected: Vec<String> = events
            .iter()
            .flat_map(|(id, events)| events.iter().map(|event| entry("account", id, event)))
            .collect();
        for event in store.read_events("ledger", "main").await.unwrap() {
            expected.push(entry("ledger", "main", &event));
        }
        expected.sort();
        store.rebuild_projection::<Log>().unwrap();
        assert_eq!(
            store.projection::<Log>().unwrap().sorted(),
            expected,
            "round {round}"
        );
        store.shutdown().await.unwrap();
    }

    // Each goes on where it was.
    let store = current::open(base).await;
    for (id, state) in &mut states {
        current::deposit(&store, id, &[77]).await;
        state.deposits.push(77);
    }
    store.shutdown().await.unwrap();
    let store = current::open(base).await;
    for (id, state) in &states {
        assert_eq!(&current::account(&store, id).await, state, "{id:?}");
    }
}

/// The directory of the stream `50%25` of 0.2.0 is where this crate would put a stream `50%`.
#[tokio::test]
async fn a_new_stream_never_gets_the_directory_of_an_old_one() {
    let dir = tempfile::tempdir().unwrap();
    let store = published::open(dir.path()).await;
    published::deposit(&store, "50%25", &[1]).await;
    published::deposit(&store, "a%2Fb", &[2]).await;
    drop(store);
    wait_until_released(dir.path());

    for _ in 0..2 {
        let store = current::open(dir.path()).await;
        for new in ["50%", "a/b"] {
            let refused = store.get::<Account>(new).await.unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
            let layout = store.layout();
            assert!(!layout.stream_dir("account", new).exists());
            let refused = layout.ensure_stream("account", new).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
            let missing = store.read_events("account", new).await.unwrap_err();
            assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        }
        assert_eq!(current::account(&store, "50%25").await.deposits, [1]);
        assert_eq!(current::account(&store, "a%2Fb").await.deposits, [2]);
        assert_eq!(store.list::<Account>().await.unwrap(), ["50%25", "a%2Fb"]);
        store.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn a_damaged_stream_is_reported_and_does_not_block_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path();
    let store = published::open(base).await;
    for id in ["bad", "good"] {
        for amount in 1..=3 {
            published::deposit(&store, id, &[amount]).await;
        }
    }
    drop(store);
    wait_until_released(base);
    let bad = base.join("streams/account/bad/app.jsonl");
    let content = fs::read_to_string(&bad).unwrap();
    fs::write(
        &bad,
        content.replacen(r#"{"amount":2}"#, r#"{"amount":2"#, 1),
    )
    .unwrap();

    for _ in 0..2 {
        let store = current::open(base).await;
        assert_eq!(current::account(&store, "good").await.deposits, [1, 2, 3]);
        let account = store.get::<Account>("bad").await.unwrap();
        let error = account.state().await.unwrap_err().to_string();
        assert!(error.contains("bad/app.jsonl"), "{error}");
        let command = AccountCommand::Deposit(vec![4]);
        assert!(
            account
                .execute(command, CommandContext::default())
                .await
                .is_err()
        );
        // What precedes the damage is known.
        assert_eq!(
            store
                .projection::<Log>()
                .unwrap()
                .of("account", "bad")
                .len(),
            1
        );
        assert_eq!(
            store
                .projection::<Log>()
                .unwrap()
                .of("account", "good")
                .len(),
            3
        );
        store.shutdown().await.unwrap();
    }

    // Once it is mended, it is taken over as well.
    fs::write(&bad, content).unwrap();
    let report = AggregateStore::repair(base).await.unwrap();
    assert!(report.is_success(), "{report}");
    let store = current::open(base).await;
    current::deposit(&store, "bad", &[4]).await;
    assert_eq!(current::account(&store, "bad").await.deposits, [1, 2, 3, 4]);
    assert_eq!(
        store
            .projection::<Log>()
            .unwrap()
            .of("account", "bad")
            .len(),
        4
    );
}

#[tokio::test]
async fn a_torn_last_line_is_left_out_and_the_stream_accepts_commands() {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path();
    let store = published::open(base).await;
    published::deposit(&store, "torn", &[1, 2]).await;
    drop(store);
    wait_until_released(base);
    let log = base.join("streams/account/torn/app.jsonl");
    let torn = line(&deposited(3, 1));
    let torn = &torn.as_bytes()[..torn.len() / 2];
    OpenOptions::new()
        .append(true)
        .open(&log)
        .unwrap()
        .write_all(torn)
        .unwrap();

    let store = current::open(base).await;
    assert_eq!(
        store
            .projection::<Log>()
            .unwrap()
            .of("account", "torn")
            .len(),
        2
    );
    assert_eq!(current::account(&store, "torn").await.deposits, [1, 2]);
    current::deposit(&store, "torn", &[4]).await;
    store.shutdown().await.unwrap();
    let store = current::open(base).await;
    assert_eq!(current::account(&store, "torn").await.deposits, [1, 2, 4]);
    let read = eventfold::EventReader::new(log.parent().unwrap());
    assert!(read.read_from(0).unwrap().all(|event| event.is_ok()));
}

#[tokio::test]
async fn directories_of_streams_without_events_do_no_harm() {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path();
    let store = published::open(base).await;
    // 0.2.0 creates a stream by `get`.
    drop(store.get::<Account>("empty").await.unwrap());
    store.layout().ensure_stream("account", "bare").unwrap();
    published::deposit(&store, "full", &[1]).await;
    drop(store);
    wait_until_released(base);
    fs::create_dir_all(base.join("streams/none")).unwrap();

    let store = current::open(base).await;
    for id in ["empty", "bare"] {
        let account = store.get::<Account>(id).await.unwrap();
        assert_eq!(account.version().await.unwrap(), 0);
        assert_eq!(store.read_events("account", id).await.unwrap(), []);
        current::deposit(&store, id, &[5]).await;
        assert_eq!(current::account(&store, id).await.deposits, [5]);
    }
    assert_eq!(store.projection::<Log>().unwrap().0.len(), 3);
}

#[tokio::test]
async fn a_directory_of_0_2_without_streams_opens() {
    let dir = tempfile::tempdir().unwrap();
    let store = published::open(dir.path()).await;
    assert_eq!(published::run(&store).await, (0, 0));
    store.projection::<Log>().unwrap();
    drop(store);
    let store = current::open(dir.path()).await;
    assert_eq!(store.list_streams(None).await.unwrap(), []);
    current::deposit(&store, "first", &[1]).await;
    assert_eq!(current::run(&store).await, (1, 0));
}

/// Logs of other tools: blank lines, spaces, the line ends of Windows, keys in another order.
#[tokio::test]
async fn a_log_edited_by_hand_is_migrated_unchanged() {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path().join("first");
    let lines = [
        "{\"type\":\"Deposited\",\"data\":{\"amount\":1},\"ts\":1}\n",
        "\n",
        "  { \"ts\" : 2, \"data\" : { \"amount\" : 2 }, \"type\" : \"Deposited\" }  \n",
        "{\"type\":\"Deposited\",\"data\":{\"amount\":3},\"ts\":3,\"more\":[1]}\r\n",
        "\n",
        "\n",
        "{\"data\":{\"amount\":4},\"ts\":3,\"type\":\"Deposited\"}\n",
    ];
    let stream = base.join("streams/account/ann");
    fs::create_dir_all(&stream).unwrap();
    fs::write(stream.join("app.jsonl"), lines.concat()).unwrap();

    let store = current::open(&base).await;
    assert_eq!(current::account(&store, "ann").await.deposits, [1, 2, 3, 4]);
    current::deposit(&store, "ann", &[5]).await;
    crate::support::written(&store);
    let crashed = dir.path().join("crashed");
    copy(&base, &crashed);
    fs::remove_file(crashed.join("journal/checkpoint.json")).unwrap();
    store.shutdown().await.unwrap();

    for base in [&base, &crashed] {
        let store = current::open(base).await;
        assert_eq!(
            current::account(&store, "ann").await.deposits,
            [1, 2, 3, 4, 5]
        );
        assert_eq!(store.projection::<Log>().unwrap().0.len(), 5);
        let log = fs::read_to_string(base.join("streams/account/ann/app.jsonl")).unwrap();
        assert!(log.starts_with(&lines.concat()));
    }
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Odd {
    pushed: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
enum OddEvent {
    Pushed,
}

macro_rules! implement {
    ($es:ident) => {
        impl $es::Aggregate for Odd {
            const AGGREGATE_TYPE: &'static str = "my::odd 50%";
            type Command = ();
            type DomainEvent = OddEvent;
            type Error = std::convert::Infallible;

            fn handle(&self, (): ()) -> Result<Vec<OddEvent>, Self::Error> {
                Ok(vec![OddEvent::Pushed])
            }

            fn apply(mut self, _: &OddEvent) -> Self {
                self.pushed += 1;
                self
            }
        }
    };
}

implement!(old);
implement!(eventfold_es);

#[tokio::test]
async fn an_aggregate_type_with_special_characters_in_its_name_is_migrated() {
    let dir = tempfile::tempdir().unwrap();
    let store = published::open(dir.path()).await;
    for id in ["a", "b:c"] {
        let odd = store.get::<Odd>(id).await.unwrap();
        odd.execute((), old::CommandContext::default())
            .await
            .unwrap();
    }
    drop(store);
    wait_until_released(dir.path());
    for round in 1..=3 {
        let store = current::open(dir.path()).await;
        for id in ["a", "b:c"] {
            let odd = store.get::<Odd>(id).await.unwrap();
            odd.send(()).await.unwrap();
            assert_eq!(odd.state().await.unwrap().pushed, round + 1);
        }
        // A new one has an encoded name.
        store
            .get::<Odd>("new")
            .await
            .unwrap()
            .send(())
            .await
            .unwrap();
        assert_eq!(store.list::<Odd>().await.unwrap(), ["a", "b:c", "new"]);
        assert_eq!(store.list_streams(None).await.unwrap().len(), 3);
        store.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn rotated_streams_are_taken_over_and_stay_rotated() {
    let dir = tempfile::tempdir().unwrap();
    let account = dir.path().join("streams/account/ann");
    let rotate = || {
        eventfold::EventLog::open(&account)
            .unwrap()
            .rotate()
            .unwrap();
    };
    let mut amounts = Vec::new();
    for round in 0..3 {
        let store = published::open(dir.path()).await;
        for amount in 0..4 {
            published::deposit(&store, "ann", &[round * 10 + amount]).await;
            published::deposit(&store, "bob", &[round]).await;
            amounts.push(round * 10 + amount);
        }
        drop(store);
        wait_until_released(dir.path());
        if round < 2 {
            rotate();
        }
    }
    assert!(account.join("archive.jsonl.zst").exists());
    let before = std::fs::read(account.join("archive.jsonl.zst")).unwrap();
    for _ in 0..2 {
        let store = current::open(dir.path()).await;
        let ann = store.get::<Account>("ann").await.unwrap();
        assert_eq!(ann.state().await.unwrap().deposits, amounts);
        current::deposit(&store, "ann", &[99]).await;
        amounts.push(99);
        store.shutdown().await.unwrap();
    }
    assert_eq!(
        std::fs::read(account.join("archive.jsonl.zst")).unwrap(),
        before
    );
    let report = eventfold_es::AggregateStore::verify(dir.path())
        .await
        .unwrap();
    assert!(report.is_clean(), "{report}");
}
