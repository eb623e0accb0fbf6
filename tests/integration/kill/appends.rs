//! `kill -9` at any moment while appends under conditions and commands are under way.

use std::collections::BTreeMap;
use std::path::Path;

use eventfold_es::{
    AggregateStore, AppendCondition, AppendError, NewEvent, Position, Query, QueryItem,
};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::support::{Ledger, LedgerCommand as Do, child, fast_temp_dir, in_time, open, random};

const ROUNDS: u64 = 60;
/// How many events each append and each command stores.
const EVENTS: u64 = 3;
/// What the appends are decided on: two tasks each contend for the first two seats.
const BOUNDARIES: [&[&str]; 5] = [
    &["seat:1"],
    &["seat:1"],
    &["seat:2", "ledger:a"],
    &["seat:2"],
    &["seat:3"],
];

/// One of the events of an append.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Booked {
    /// What the append was decided on.
    boundary: Vec<String>,
    /// How many events there were.
    seen: u64,
    /// Which one of the append's events it is.
    i: u64,
}

fn tagged(tags: &[&str]) -> Query {
    let item = |tag: &&str| QueryItem::tagged(tag.parse().unwrap());
    Query::of_items(tags.iter().map(item)).unwrap()
}

/// Appends to all boundaries at once, writes to a ledger, and says what was answered.
pub(crate) async fn append_until_killed(dir: &Path) {
    let store = open(dir).await;
    let mut tasks = JoinSet::new();
    for boundary in BOUNDARIES {
        let store = store.clone();
        tasks.spawn(async move {
            loop {
                append(&store, boundary).await;
            }
        });
    }
    tasks.spawn(async move {
        let ledger = store.get::<Ledger>("a").await.unwrap();
        loop {
            let done = ledger.send(Do::AddAll(vec![1; 3])).await.unwrap();
            child::say(format!("Added 0 {}", done.position));
        }
    });
    tasks.join_all().await;
}

async fn append(store: &AggregateStore, boundary: &[&str]) {
    let found = store.query(tagged(boundary)).read().await.unwrap();
    let seen = found.events.len() as u64;
    let events = (0..EVENTS).map(|i| {
        let booked = Booked {
            boundary: boundary.iter().map(|tag| (*tag).to_owned()).collect(),
            seen,
            i,
        };
        let event = NewEvent::new("Booked", &booked).unwrap();
        event.with_tag(boundary[0].parse().unwrap())
    });
    let condition = AppendCondition::no_event_matches(tagged(boundary)).after(found.position);
    match store.append(events, Some(condition)).await {
        Ok(position) => child::say(format!("Booked {seen} {position}")),
        Err(AppendError::ConditionFailed) => {}
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_lose_no_answered_append_store_none_in_part_and_pass_over_no_condition() {
    let mut random = random(12);
    let mut dir = fast_temp_dir();
    let mut answers = 0;
    for round in 0..ROUNDS {
        if round % 10 == 0 {
            dir = fast_temp_dir();
        }
        let mut worker = child::start("append until killed", dir.path());
        let enough = random() % 60;
        let mut answered = Vec::new();
        worker.hear_until_killed(enough, |line| answered.push(line));
        answers += answered.len() as u64;
        let store = open(dir.path()).await;
        in_time("a look", check(&store, &answered)).await;
        store.shutdown().await.unwrap();
        let report = AggregateStore::verify(dir.path()).await.unwrap();
        assert!(report.is_clean(), "round {round}: {report}");
    }
    assert!(answers > ROUNDS * 10, "only {answers} answers");
}

async fn check(store: &AggregateStore, answered: &[String]) {
    let all = store.query(Query::all()).read().await.unwrap().events;
    let mut counts = BTreeMap::<String, u64>::new();
    let mut before: Option<Booked> = None;
    for event in &all {
        let tag = if event.is_of_aggregate() {
            format!("{}:{}", event.aggregate_type(), event.id())
        } else {
            let booked: Booked = serde_json::from_str(event.data()).unwrap();
            let first = booked.boundary[0].clone();
            let before = before.replace(booked.clone());
            if let Some(before) = before.filter(|before| before.i + 1 < EVENTS) {
                let i = before.i + 1;
                assert_eq!(booked, Booked { i, ..before }, "an append in part");
            } else {
                assert_eq!(booked.i, 0, "an append in part");
                let counts = booked.boundary.iter().filter_map(|tag| counts.get(tag));
                let there: u64 = counts.sum();
                assert_eq!(booked.seen, there, "decided on other events: {booked:?}");
            }
            first
        };
        *counts.entry(tag).or_default() += 1;
    }
    assert!(
        before.is_none_or(|last| last.i + 1 == EVENTS),
        "an append in part"
    );
    assert_eq!(counts.get("ledger:a").copied().unwrap_or(0) % EVENTS, 0);
    for (tag, count) in counts {
        let found = store.query(tagged(&[&tag])).read().await.unwrap();
        assert_eq!(found.events.len() as u64, count, "{tag}");
    }
    for line in answered {
        let [name, seen, position] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        let position: Position = position.parse().unwrap();
        let at = all.iter().find(|event| event.position() == position);
        let at = at.unwrap_or_else(|| panic!("answered and lost: {line}"));
        assert_eq!(at.name(), name, "{line}");
        if !at.is_of_aggregate() {
            let booked: Booked = serde_json::from_str(at.data()).unwrap();
            let last = (booked.seen.to_string(), booked.i);
            assert_eq!(last, (seen.to_owned(), EVENTS - 1), "{line}");
        }
    }
}
