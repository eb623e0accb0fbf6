//! Commands with a condition: an expected version, an idempotency key.

use std::collections::BTreeSet;

use eventfold_es::{CommandContext, ExecuteError, Version};
use tokio::task::JoinSet;

use crate::support::{
    Ledger, LedgerCommand as Do, LedgerEvent, check, copy, open, poll_once, stall, stored, temp_dir,
};

fn expecting(version: u64) -> CommandContext {
    CommandContext::default().with_expected_version(version)
}

fn keyed(key: impl ToString) -> CommandContext {
    CommandContext::default().with_idempotency_key(key.to_string())
}

fn added(amount: u64) -> LedgerEvent {
    LedgerEvent::Added { amount }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_refused_unless_the_stream_is_at_the_expected_version() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    // A stream that does not exist has version 0.
    assert_eq!(ledger.version().await.unwrap(), 0);
    for too_high in [1, 2, u64::MAX] {
        let refused = ledger.send_with(Do::Add(1), expecting(too_high)).await;
        assert!(matches!(refused, Err(ExecuteError::ExpectedVersion { .. })));
    }
    assert!(store.list::<Ledger>().await.unwrap().is_empty());

    ledger
        .send_with(Do::AddAll(vec![1, 2]), expecting(0))
        .await
        .unwrap();
    for wrong in [0, 1, 3] {
        let refused = ledger.send_with(Do::Add(9), expecting(wrong)).await;
        let Err(ExecuteError::ExpectedVersion { expected, actual }) = refused else {
            panic!("{refused:?}");
        };
        assert!(expected == wrong && actual == 2);
    }
    let done = ledger.send_with(Do::Add(3), expecting(2)).await.unwrap();
    assert_eq!(done.version, 3);
    // It holds for commands that change nothing as well.
    let refused = ledger.send_with(Do::Nothing, expecting(2)).await;
    assert!(matches!(refused, Err(ExecuteError::ExpectedVersion { .. })));
    ledger.send_with(Do::Nothing, expecting(3)).await.unwrap();
    assert_eq!(ledger.state().await.unwrap(), Ledger::of([1, 2, 3]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loaded_state_belongs_to_its_version_and_position_while_others_write() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    let writer = tokio::spawn({
        let ledger = ledger.clone();
        async move {
            let mut answers = Vec::new();
            for amount in 1..=200 {
                answers.push(ledger.send(Do::Add(amount)).await.unwrap());
            }
            answers
        }
    });
    let mut loaded = Vec::new();
    while !writer.is_finished() {
        loaded.push(ledger.load().await.unwrap());
    }
    let answers = writer.await.unwrap();
    loaded.push(ledger.load().await.unwrap());
    for loaded in loaded.iter().filter(|loaded| loaded.version > 0.into()) {
        let amount = u64::from(loaded.version);
        assert_eq!(loaded.state, Ledger::of(1..=amount));
        let answer = &answers[usize::try_from(amount).unwrap() - 1];
        assert_eq!(loaded.position, answer.position);
    }
    assert_eq!(loaded.last().unwrap().version, 200);
}

#[test]
fn a_version_is_written_and_read_as_text() {
    let version = Version::from(17);
    assert_eq!(version.to_string().parse(), Ok(version));
    for text in ["", "-1", "1.0", "v1", "18446744073709551616"] {
        let error = text.parse::<Version>().unwrap_err();
        assert_eq!(error.to_string(), format!("{text:?} is not a version"));
    }
}

#[tokio::test]
async fn an_empty_idempotency_key_is_refused_where_it_is_sent_and_nothing_is_stored() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    for _ in 0..2 {
        let refused = ledger.send_with(Do::Add(1), keyed("")).await;
        let Err(ExecuteError::Io(error)) = refused else {
            panic!("{refused:?}");
        };
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
        let text = error.to_string();
        assert!(text.contains("idempotency key is empty"), "{text}");
    }
    assert_eq!(store.head(), eventfold_es::Position::default());
    assert!(store.list::<Ledger>().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_one_of_many_writers_at_the_same_expected_version_succeeds() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    for version in 0..100 {
        let mut writers = JoinSet::new();
        for amount in 1..=4 {
            let ledger = ledger.clone();
            writers.spawn(async move {
                let command = Do::AddAll(vec![amount]);
                ledger.send_with(command, expecting(version)).await
            });
        }
        let won = writers.join_all().await.into_iter();
        let won: Vec<_> = won
            .filter_map(|result| match result {
                Ok(done) => Some(done.version),
                Err(ExecuteError::ExpectedVersion { .. }) => None,
                Err(error) => panic!("{error}"),
            })
            .collect();
        assert_eq!(won.len(), 1, "at version {version}");
        assert_eq!(won[0], version + 1);
    }
    store.shutdown().await.unwrap();
    check(&dir);
    assert_eq!(stored(&dir, "a").await, 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_repeated_under_its_key_stores_nothing_and_returns_the_same() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    ledger.send(Do::Add(1)).await.unwrap();
    let first = ledger
        .send_with(Do::AddAll(vec![2, 3]), keyed("k"))
        .await
        .unwrap();
    ledger.send(Do::Add(4)).await.unwrap();

    // Whatever the repeated command would do now: it is not decided.
    let again = ledger.send_with(Do::Refuse, keyed("k")).await.unwrap();
    assert_eq!(again.events, [added(2), added(3)]);
    assert_eq!(again.version, first.version);
    assert_eq!(again.position, first.position);
    assert_eq!(again.version, 3);

    let other = ledger.send_with(Do::Add(5), keyed("K")).await.unwrap();
    assert_eq!(other.version, 5);
    // Another stream has keys of its own.
    let other = store.get::<Ledger>("b").await.unwrap();
    assert_eq!(
        other
            .send_with(Do::Add(1), keyed("k"))
            .await
            .unwrap()
            .version,
        1
    );
    assert_eq!(ledger.state().await.unwrap(), Ledger::of(1..=5));
    assert_eq!(ledger.version().await.unwrap(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_waits_for_the_original_that_is_under_way() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    ledger.send(Do::Add(1)).await.unwrap();
    let stalled = stall(&store).await;
    let mut original = Box::pin(ledger.send_with(Do::AddAll(vec![2, 3]), keyed("k")));
    let mut repeat = Box::pin(ledger.send_with(Do::AddAll(vec![2, 3]), keyed("k")));
    assert!(poll_once(&mut original).await.is_none());
    assert!(poll_once(&mut repeat).await.is_none());
    drop(stalled);
    let (original, repeat) = tokio::join!(original, repeat);
    let (original, repeat) = (original.unwrap(), repeat.unwrap());
    assert_eq!(repeat.events, original.events);
    assert_eq!(repeat.version, original.version);
    assert_eq!(repeat.position, original.position);
    assert_eq!(ledger.state().await.unwrap(), Ledger::of([1, 2, 3]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_known_after_a_restart_a_crash_and_a_snapshot() {
    let dir = temp_dir();
    let store = crate::support::builder(&dir)
        .snapshot_every(5)
        .open()
        .await
        .unwrap();
    let ledger = store.get::<Ledger>("a").await.unwrap();
    let first = ledger
        .send_with(Do::AddAll(vec![1, 2]), keyed("k"))
        .await
        .unwrap();
    let in_snapshot = ledger
        .send_with(Do::AddAll(vec![3, 4, 5]), keyed("l"))
        .await
        .unwrap();
    let after_snapshot = ledger.send_with(Do::Add(6), keyed("m")).await.unwrap();
    let crashed = dir.on_disk().map(copy);
    store.shutdown().await.unwrap();
    if let Some(base) = dir.on_disk() {
        assert_eq!(crate::support::snapshot(base, "a").unwrap()["version"], 5);
    }

    for dir in [Some(dir), crashed].into_iter().flatten() {
        let store = open(&dir).await;
        let ledger = store.get::<Ledger>("a").await.unwrap();
        for (key, original) in [("k", &first), ("l", &in_snapshot), ("m", &after_snapshot)] {
            let again = ledger.send_with(Do::Add(9), keyed(key)).await.unwrap();
            assert_eq!(again.events, original.events, "{key}");
            assert_eq!(again.version, original.version, "{key}");
            assert_eq!(again.position, original.position, "{key}");
        }
        assert_eq!(ledger.version().await.unwrap(), 6);
        let new = ledger.send_with(Do::Add(7), keyed("n")).await.unwrap();
        assert_eq!(new.version, 7);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_remembers_its_last_thousand_keys() {
    let dir = temp_dir();
    let store = crate::support::builder(&dir)
        .snapshot_every(600)
        .open()
        .await
        .unwrap();
    let ledger = store.get::<Ledger>("a").await.unwrap();
    let mut calls = JoinSet::new();
    for key in 0..1_000 {
        let ledger = ledger.clone();
        calls.spawn(async move { ledger.send_with(Do::Add(1), keyed(key)).await.unwrap() });
    }
    calls.join_all().await;
    store.shutdown().await.unwrap();
    let store = open(&dir).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    let mut versions = BTreeSet::new();
    for key in 0..1_000 {
        let again = ledger.send_with(Do::Add(1), keyed(key)).await.unwrap();
        versions.insert(u64::from(again.version));
    }
    assert_eq!(versions, (1..=1_000).collect());
    assert_eq!(ledger.version().await.unwrap(), 1_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_or_empty_command_is_decided_again_under_its_key() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    ledger.send_with(Do::Refuse, keyed("k")).await.unwrap_err();
    ledger.send_with(Do::Nothing, keyed("k")).await.unwrap();
    let panic = Do::decide(|_| panic!("no decision"));
    ledger.send_with(panic, keyed("k")).await.unwrap_err();
    ledger.send_with(Do::Explode, keyed("k")).await.unwrap_err();
    let done = ledger.send_with(Do::Add(1), keyed("k")).await.unwrap();
    assert_eq!(done.events, [added(1)]);
    let again = ledger.send_with(Do::Add(1), keyed("k")).await.unwrap();
    assert_eq!(again.version, done.version);
    assert_eq!(ledger.version().await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_is_looked_up_before_the_expected_version() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    let context = keyed("k").with_expected_version(0);
    let done = ledger.send_with(Do::Add(1), context.clone()).await.unwrap();
    ledger.send(Do::Add(2)).await.unwrap();
    let again = ledger.send_with(Do::Add(1), context).await.unwrap();
    assert_eq!(again.version, done.version);
    assert_eq!(again.events, done.events);
    assert_eq!(ledger.version().await.unwrap(), 2);
}
