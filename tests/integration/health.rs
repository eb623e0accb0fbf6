//! What a readiness probe is told: `AggregateStore::health`.

use eventfold_es::{AggregateStore, OnFailure, ProblemKind, Projection};
use serde::{Deserialize, Serialize};

use crate::support::scripted;
use crate::support::scripted::{GateCommand, clock, command, run, tell};
use crate::support::{Ledger, LedgerCommand as Do, builder, eventually, in_time, open, temp_dir};

fn kinds(store: &AggregateStore) -> Vec<ProblemKind> {
    let problems = store.health().problems;
    problems.iter().map(|problem| problem.kind).collect()
}

async fn add(store: &AggregateStore, amount: u64) {
    let ledger = store.get::<Ledger>("a").await.unwrap();
    ledger.send(Do::Add(amount)).await.unwrap();
}

#[tokio::test]
async fn an_open_store_without_problems_is_ready_and_one_that_is_shut_down_is_not() {
    let dir = temp_dir();
    let store = open(&dir).await;
    add(&store, 1).await;
    let health = store.health();
    assert!(health.is_ready());
    assert_eq!(
        serde_json::to_string(&health).unwrap(),
        r#"{"ready":true,"problems":[]}"#
    );
    store.shutdown().await.unwrap();
    let health = store.health();
    assert!(!health.is_ready());
    let json = r#"{"ready":false,"problems":[{"kind":"closed","is_blocking":true,"follower":null,"text":"the store is shut down"}]}"#;
    assert_eq!(serde_json::to_string(&health).unwrap(), json);
}

/// Panics on every event of a ledger.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
struct Fragile;

impl Projection for Fragile {
    const NAME: &'static str = "fragile";

    fn subscriptions(&self) -> &'static [&'static str] {
        &["ledger"]
    }

    fn apply(&mut self, _: &str, _: &str, _: &eventfold::Event) {
        panic!("it is fragile");
    }
}

#[tokio::test]
async fn a_stopped_projection_is_named_with_its_cause_and_does_not_block() {
    let dir = temp_dir();
    let store = builder(&dir).projection::<Fragile>().open().await.unwrap();
    add(&store, 1).await;
    // On demand, nobody is behind before somebody reads.
    assert_eq!(kinds(&store), []);
    store.projection::<Fragile>().unwrap_err();
    let health = store.health();
    assert!(health.is_ready());
    let [problem] = &health.problems[..] else {
        panic!("{health:?}")
    };
    assert_eq!(
        (problem.kind, problem.follower),
        (ProblemKind::Stopped, Some("fragile"))
    );
    assert!(
        problem
            .text
            .starts_with("projection `fragile` has stopped: "),
        "{problem}"
    );
    assert!(problem.text.contains("it is fragile"), "{problem}");
}

#[tokio::test]
async fn skipped_events_are_a_problem_that_does_not_block() {
    let dir = temp_dir();
    let skipping = builder(&dir).projection_with::<Fragile>(OnFailure::Skip);
    let store = skipping.open().await.unwrap();
    add(&store, 1).await;
    store.projection::<Fragile>().unwrap();
    assert_eq!(kinds(&store), [ProblemKind::SkippedEvents]);
    assert!(store.health().is_ready());
    assert!(store.health().to_string().contains("has skipped 1 events"));
}

#[tokio::test]
async fn dead_letters_are_a_problem_until_they_are_discarded() {
    let (dir, clock) = (temp_dir(), clock());
    let store = scripted::open_on_demand(&dir, &clock).await;
    command(&store, "g", GateCommand::Shut).await;
    tell(&store, "send g 1").await;
    assert_eq!(run(&store).await, (0, 1));
    let health = store.health();
    assert!(health.is_ready());
    assert_eq!(kinds(&store), [ProblemKind::DeadLetters]);
    assert_eq!(
        health.to_string(),
        "ready\nprocess manager `scripted` has 1 dead letters: replay or discard them"
    );
    let letters = store.dead_letters("scripted").unwrap();
    let id = letters.list().await.unwrap().remove(0).id;
    letters.discard(&id).await.unwrap();
    assert_eq!(kinds(&store), []);
}

/// Takes events only after somebody opens the door.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
struct Waiting;

static DOOR: std::sync::LazyLock<crate::support::Door> = std::sync::LazyLock::new(Default::default);

impl Projection for Waiting {
    const NAME: &'static str = "waiting";

    fn subscriptions(&self) -> &'static [&'static str] {
        &["ledger"]
    }

    fn apply(&mut self, _: &str, _: &str, _: &eventfold::Event) {
        DOOR.pass();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_projection_that_is_10_000_events_behind_is_a_problem_until_it_has_caught_up() {
    let dir = temp_dir();
    let live = builder(&dir).projection::<Waiting>().live();
    let store = live.open().await.unwrap();
    let ledger = store.get::<Ledger>("a").await.unwrap();
    ledger.send(Do::AddAll(vec![1; 9_999])).await.unwrap();
    assert_eq!(kinds(&store), []);
    ledger.send(Do::Add(1)).await.unwrap();
    assert_eq!(kinds(&store), [ProblemKind::Lagging]);
    assert!(store.health().is_ready());
    DOOR.open();
    eventually("it has caught up", || kinds(&store).is_empty()).await;
    in_time("the end", store.shutdown()).await.unwrap();
}
