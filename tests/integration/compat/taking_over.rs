//! Directories that 0.2.0 wrote, opened by this crate.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

use eventfold::Event;
use eventfold_es::CommandContext;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::domain::{
    Account, AccountCommand, Bookkeeper, Deposits, Ledger, Log, UNLUCKY, current, entry, published,
};
use super::files::{Rest, commits, copy, find, interrupt_migration, segments, wait_until_released};

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
async fn every_stream_has_its_id_its_state_and_its_events() {
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

/// Streams whose times are interleaved, go back, and are equal, as (type, id, time, amount).
const INTERLEAVED: &[(&str, &str, u64, u64)] = &[
    ("account", "late", 300, 1),
    ("account", "back", 200, 2),
    ("account", "early", 100, 3),
    ("account", "back", 150, 4),
    ("ledger", "early", 100, 5),
    ("account", "early", 200, 6),
    ("account", "back", 250, 7),
    ("ledger", "early", 200, 8),
    ("account", "late", 10, 9),
    ("account", "early", 350, 10),
    ("account", "same", 200, 11),
    ("account", "same", 200, 12),
    ("ledger", "early", 300, 13),
];

fn event_of(aggregate_type: &str, ts: u64, amount: u64) -> Event {
    let mut event = deposited(amount, ts);
    if aggregate_type == "ledger" {
        "Recorded".clone_into(&mut event.event_type);
        event.data = json!({ "from": "x", "amount": amount });
    }
    event
}

async fn write_interleaved(base: &Path) {
    let store = published::open(base).await;
    for &(aggregate_type, id, ts, amount) in INTERLEAVED {
        let event = event_of(aggregate_type, ts, amount);
        if aggregate_type == "account" {
            published::inject::<Account>(&store, id, event).await;
        } else {
            published::inject::<Ledger>(&store, id, event).await;
        }
    }
    drop(store);
    wait_until_released(base);
    // What `inject` caught up must not hide the order.
    fs::remove_dir_all(base.join("projections")).unwrap();
}

/// The order that the journal must have: by the latest time so far in the stream, then type, id,
/// line.
fn expected_order() -> Vec<String> {
    let mut latest: BTreeMap<(&str, &str), (u64, usize)> = BTreeMap::new();
    let mut keyed = Vec::new();
    for &(aggregate_type, id, ts, amount) in INTERLEAVED {
        let (time, lines) = latest.entry((aggregate_type, id)).or_default();
        *time = ts.max(*time);
        *lines += 1;
        let key = (*time, aggregate_type, id, *lines);
        keyed.push((
            key,
            entry(aggregate_type, id, &event_of(aggregate_type, ts, amount)),
        ));
    }
    keyed.sort();
    keyed.into_iter().map(|(_, entry)| entry).collect()
}

#[tokio::test]
async fn events_are_ordered_by_the_latest_time_of_their_stream_then_type_id_and_line() {
    let dir = tempfile::tempdir().unwrap();
    write_interleaved(dir.path()).await;
    let store = current::open(dir.path()).await;
    assert_eq!(store.projection::<Log>().unwrap().0, expected_order());
    assert_eq!(store.head().to_string(), INTERLEAVED.len().to_string());
    store.shutdown().await.unwrap();
    let positions: Vec<u64> = commits(dir.path())
        .iter()
        .map(|commit| commit["pos"].as_u64().unwrap())
        .collect();
    assert_eq!(
        positions,
        (1..=INTERLEAVED.len() as u64).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn an_interrupted_migration_is_taken_up_and_gives_the_same_order() {
    let dir = tempfile::tempdir().unwrap();
    let old = dir.path().join("old");
    write_interleaved(&old).await;
    let whole = dir.path().join("whole");
    copy(&old, &whole);
    current::open(&whole).await.shutdown().await.unwrap();
    let expected = commits(&whole);

    for rest in [Rest::Zeros, Rest::Nothing, Rest::HalfALine] {
        for lines in 0..=INTERLEAVED.len() + 1 {
            let base = dir.path().join(format!("{rest:?} after {lines}"));
            copy(&whole, &base);
            interrupt_migration(&base, lines, rest);
            let store = builder_or_panic(&base, lines, rest).await;
            let log = store.projection::<Log>().unwrap().0;
            assert_eq!(log, expected_order(), "{rest:?} after {lines} lines");
            current::deposit(&store, "late", &[99]).await;
            assert_eq!(current::account(&store, "late").await.deposits, [1, 9, 99]);
            store.shutdown().await.unwrap();
            let places = |commits: &[serde_json::Value]| -> Vec<String> {
                let keys = ["pos", "type", "id", "version", "offset", "events"];
                let commits = commits.iter().take(INTERLEAVED.len());
                commits
                    .map(|commit| keys.map(|key| commit[key].to_string()).join(" "))
                    .collect()
            };
            assert_eq!(places(&commits(&base)), places(&expected));
            // And nothing is entered again.
            let store = current::open(&base).await;
            assert_eq!(
                store.projection::<Log>().unwrap().0.len(),
                INTERLEAVED.len() + 1
            );
            store.shutdown().await.unwrap();
        }
    }
}

async fn builder_or_panic(base: &Path, lines: usize, rest: Rest) -> eventfold_es::AggregateStore {
    match current::builder(base).open().await {
        Ok(store) => store,
        Err(error) => panic!("{rest:?} after {lines} lines: {error}"),
    }
}

#[tokio::test]
async fn a_migration_of_several_batches_can_be_interrupted_between_any_two_segments() {
    let dir = tempfile::tempdir().unwrap();
    let old = dir.path().join("old");
    let padding = "p".repeat(60_000);
    let amounts = 0..50_u64;
    for stream in 0..3 {
        let events: Vec<Event> = amounts
            .clone()
            .map(|amount| {
                let mut event = deposited(amount, 1000 + amount * 3 + stream);
                event.meta = Some(json!({ "padding": padding }));
                event
            })
            .collect();
        write_stream(&old, "account", &format!("s{stream}"), &events);
    }
    let whole = dir.path().join("whole");
    copy(&old, &whole);
    let store = current::open(&whole).await;
    let expected = store.projection::<Log>().unwrap().0;
    assert_eq!(expected.len(), 150);
    store.shutdown().await.unwrap();
    let count = segments(&whole).len();
    assert!(count >= 3, "{count} segments");

    for keep in 1..=count {
        let base = dir.path().join(format!("{keep} segments"));
        copy(&whole, &base);
        fs::remove_dir_all(base.join("projections")).unwrap();
        fs::remove_file(base.join("journal/checkpoint.json")).unwrap();
        for path in find(&base, "adopted.json")
            .iter()
            .chain(&segments(&base)[keep..])
        {
            fs::remove_file(path).unwrap();
        }
        let store = current::open(&base).await;
        assert_eq!(store.projection::<Log>().unwrap().0, expected);
        assert_eq!(
            current::account(&store, "s1").await.deposits,
            amounts.clone().collect::<Vec<_>>()
        );
        store.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn a_store_that_is_not_closed_in_order_after_the_migration_opens_again() {
    let dir = tempfile::tempdir().unwrap();
    let old = dir.path().join("old");
    write_interleaved(&old).await;
    let store = current::open(&old).await;
    current::deposit(&store, "late", &[99]).await;
    let crashed = dir.path().join("crashed");
    copy(&old, &crashed);
    store.shutdown().await.unwrap();
    // The checkpoint may be missing as well: then the whole journal is replayed.
    for remove_checkpoint in [false, true] {
        if remove_checkpoint {
            fs::remove_file(crashed.join("journal/checkpoint.json")).unwrap();
        }
        let store = current::open(&crashed).await;
        let log = store.projection::<Log>().unwrap().0;
        assert_eq!(log[..INTERLEAVED.len()], expected_order());
        assert_eq!(log.len(), INTERLEAVED.len() + 1);
        assert_eq!(current::account(&store, "late").await.deposits, [1, 9, 99]);
        store.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn a_damaged_stream_says_so_and_does_not_block_the_others() {
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
async fn a_torn_last_line_is_left_out_and_the_stream_goes_on() {
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
async fn a_directory_that_was_only_opened_opens() {
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

/// Leaves a projection at every point a stream can have: all seen, partly, not at all.
async fn write_partly_projected(base: &Path) -> Log {
    let store = published::open(base).await;
    for id in odd_ids() {
        published::deposit(&store, &id, &[1, 2]).await;
    }
    let seen = store.projection::<Log>().unwrap();
    store.projection::<Deposits>().unwrap();
    for id in odd_ids().iter().step_by(2) {
        published::deposit(&store, id, &[3, 4]).await;
    }
    published::deposit(&store, "new", &[5, 6]).await;
    drop(store);
    wait_until_released(base);
    seen
}

#[tokio::test]
async fn a_projection_is_taken_over_with_nothing_twice_and_nothing_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path();
    let seen = write_partly_projected(base).await;
    let mut expected: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for (i, id) in odd_ids().into_iter().enumerate() {
        let amounts = if i % 2 == 0 {
            vec![1, 2, 3, 4]
        } else {
            vec![1, 2]
        };
        expected.insert(id, amounts);
    }
    expected.insert("new".to_owned(), vec![5, 6]);

    for round in 0..3 {
        let store = current::open(base).await;
        let log = store.projection::<Log>().unwrap();
        // What 0.2.0 had applied stays in its order; the rest follows.
        assert_eq!(log.0[..seen.0.len()], seen.0);
        assert_eq!(
            store.projection::<Deposits>().unwrap().0,
            expected,
            "round {round}"
        );
        current::deposit(&store, "new", &[7]).await;
        expected.get_mut("new").unwrap().push(7);
        assert_eq!(store.projection::<Deposits>().unwrap().0, expected);
        store.shutdown().await.unwrap();
    }
    let store = current::open(base).await;
    store.rebuild_projection::<Deposits>().unwrap();
    assert_eq!(store.projection::<Deposits>().unwrap().0, expected);
}

/// The takeover may be cut short before the projection is saved, any number of times.
#[tokio::test]
async fn a_projection_that_is_not_saved_after_the_takeover_is_taken_over_again() {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path().join("first");
    write_partly_projected(&base).await;
    let store = current::open(&base).await;
    let crashed = dir.path().join("crashed");
    copy(&base, &crashed);
    let expected = store.projection::<Log>().unwrap();
    store.shutdown().await.unwrap();
    assert!(find(&crashed, "journal_checkpoint.json").is_empty());
    let store = current::open(&crashed).await;
    assert_eq!(store.projection::<Log>().unwrap(), expected);
}

#[tokio::test]
async fn a_corrupt_projection_of_0_2_is_built_again() {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path();
    write_partly_projected(base).await;
    let checkpoint = base.join("projections/deposits/checkpoint.json");
    let content = fs::read(&checkpoint).unwrap();
    fs::write(&checkpoint, &content[..content.len() / 2]).unwrap();
    let store = current::open(base).await;
    let deposits = store.projection::<Deposits>().unwrap().0;
    assert_eq!(deposits["plain"], [1, 2, 3, 4]);
    assert_eq!(deposits["with space"], [1, 2]);
}

#[tokio::test]
async fn a_process_manager_is_taken_over_and_sends_no_command_again() {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path();
    let store = published::open(base).await;
    published::deposit(&store, "ann", &[1, 2]).await;
    published::deposit(&store, "a:b", &[3, UNLUCKY]).await;
    assert_eq!(published::run(&store).await, (3, 1));
    // Not reacted to yet.
    published::deposit(&store, "ann", &[4]).await;
    published::deposit(&store, "50%", &[5, UNLUCKY]).await;
    drop(store);
    wait_until_released(base);
    let letters = base.join("process_managers/bookkeeper/dead_letters.jsonl");
    assert_eq!(fs::read_to_string(&letters).unwrap().lines().count(), 1);

    let pairs = |entries: &[(&str, u64)]| -> Vec<(String, u64)> {
        entries
            .iter()
            .map(|(id, amount)| ((*id).to_owned(), *amount))
            .collect()
    };
    let store = current::open(base).await;
    let mut before = pairs(&[("ann", 1), ("ann", 2), ("a:b", 3)]);
    let mut ledger = current::ledger(&store).await;
    ledger.sort();
    before.sort();
    assert_eq!(ledger, before);
    assert_eq!(current::run(&store).await, (2, 1));
    assert_eq!(current::run(&store).await, (0, 0));
    let mut ledger = current::ledger(&store).await;
    assert_eq!(ledger.len(), 5);
    ledger.sort();
    let all = pairs(&[("50%", 5), ("a:b", 3), ("ann", 1), ("ann", 2), ("ann", 4)]);
    assert_eq!(ledger, all);
    store.shutdown().await.unwrap();

    let store = current::open(base).await;
    assert_eq!(current::run(&store).await, (0, 0));
    current::deposit(&store, "ann", &[6]).await;
    assert_eq!(current::run(&store).await, (1, 0));
    assert_eq!(current::ledger(&store).await.len(), 6);
    assert_eq!(fs::read_to_string(&letters).unwrap().lines().count(), 2);
}

/// The first run after the takeover may be cut short before its checkpoint is saved.
#[tokio::test]
async fn commands_of_a_run_that_was_not_saved_take_effect_once() {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path().join("first");
    let store = published::open(&base).await;
    published::deposit(&store, "ann", &[1]).await;
    assert_eq!(published::run(&store).await, (1, 0));
    published::deposit(&store, "ann", &[2, 3]).await;
    drop(store);
    wait_until_released(&base);

    let store = current::open(&base).await;
    assert_eq!(current::run(&store).await, (2, 0));
    store.shutdown().await.unwrap();
    for checkpoint in find(&base.join("process_managers"), "journal_checkpoint.json") {
        fs::remove_file(checkpoint).unwrap();
    }
    let store = current::open(&base).await;
    current::run(&store).await;
    let amounts: Vec<u64> = current::ledger(&store)
        .await
        .into_iter()
        .map(|(_, n)| n)
        .collect();
    assert_eq!(amounts, [1, 2, 3]);
}

#[tokio::test]
async fn a_corrupt_process_manager_of_0_2_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path();
    let store = published::open(base).await;
    published::deposit(&store, "ann", &[1]).await;
    published::run(&store).await;
    drop(store);
    wait_until_released(base);
    fs::write(
        base.join("process_managers/bookkeeper/checkpoint.json"),
        "{",
    )
    .unwrap();
    let error = current::builder(base).open().await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    assert!(error.to_string().contains("bookkeeper"), "{error}");
    // It can be opened without.
    let store = eventfold_es::AggregateStore::open(base).await.unwrap();
    assert_eq!(current::ledger(&store).await.len(), 1);
}

/// Logs of other tools: blank lines, spaces, the line ends of Windows, keys in another order.
#[tokio::test]
async fn a_log_that_was_edited_by_hand_is_taken_over_as_it_is() {
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

/// A checkpoint of a process manager in 0.2.0's form.
#[test]
fn the_bookkeeper_is_stored_alike_by_both() {
    let stored = serde_json::to_value(Bookkeeper::default()).unwrap();
    assert_eq!(stored, json!({ "seen": 0 }));
}

// An aggregate type whose name cannot stand as the name of a directory any more.

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
async fn an_aggregate_type_may_have_an_odd_name() {
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
