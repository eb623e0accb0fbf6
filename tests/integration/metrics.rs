//! What a store counts: `AggregateStore::metrics`.

use std::time::Duration;

use eventfold_es::__private::example::{Add, Counter, Total};
use eventfold_es::prelude::*;
use eventfold_es::{AggregateStore, CommandMetrics, Metrics, OnFailure};
use serde::{Deserialize, Serialize};

use crate::support::scripted;
use crate::support::scripted::{GateCommand, clock, command, run, seconds, tell};
use crate::support::{
    Ledger, LedgerCommand as Do, abandon, builder, eventually, open, stall, temp_dir,
};

async fn ledger(store: &AggregateStore, id: &str) -> AggregateHandle<Ledger> {
    store.get::<Ledger>(id).await.unwrap()
}

fn of<'a>(commands: &'a [CommandMetrics], name: &str) -> &'a CommandMetrics {
    let mut commands = commands.iter();
    commands.find(|commands| commands.name == name).unwrap()
}

/// Succeeded, refused, conflicts, failed, abandoned.
fn outcomes(commands: &CommandMetrics) -> [u64; 5] {
    [
        commands.succeeded,
        commands.refused,
        commands.conflicts,
        commands.failed,
        commands.abandoned,
    ]
}

#[tokio::test]
async fn commands_are_counted_by_aggregate_type_and_outcome() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let ledger = ledger(&store, "a").await;
    ledger.send(Do::Add(1)).await.unwrap();
    ledger.send(Do::AddAll(vec![2, 3])).await.unwrap();
    ledger.send(Do::Nothing).await.unwrap();
    ledger.send(Do::Refuse).await.unwrap_err();
    let late = CommandContext::default().with_expected_version(9);
    ledger.send_with(Do::Add(4), late).await.unwrap_err();
    ledger.send(Do::Explode).await.unwrap_err();
    let counter = store.get::<Counter>("c").await.unwrap();
    counter.send(Add(1)).await.unwrap();
    // A preview is not counted, and neither is a read.
    counter.preview(Add(1)).await.unwrap();
    counter.state().await.unwrap();
    let metrics = store.metrics();
    let names: Vec<_> = metrics.commands.iter().map(|c| c.name).collect();
    assert_eq!(names, ["counter", "ledger"]);
    assert_eq!(outcomes(of(&metrics.commands, "ledger")), [3, 1, 1, 1, 0]);
    assert_eq!(outcomes(of(&metrics.commands, "counter")), [1, 0, 0, 0, 0]);
    assert_eq!(metrics.latency_seconds.count(), 7);
}

#[tokio::test]
async fn a_command_whose_caller_goes_away_is_counted_as_abandoned_and_not_timed() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let ledger = ledger(&store, "a").await;
    abandon(ledger.send(Do::Add(1))).await;
    // It is decided all the same.
    assert_eq!(ledger.state().await.unwrap().total, 1);
    let metrics = store.metrics();
    assert_eq!(outcomes(of(&metrics.commands, "ledger")), [0, 0, 0, 0, 1]);
    assert_eq!(metrics.latency_seconds.count(), 0);
    assert_eq!(metrics.log.events, 1);
}

#[tokio::test]
async fn each_command_of_a_group_is_counted_at_its_aggregate_type() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let (one, two) = (ledger(&store, "a").await, ledger(&store, "b").await);
    let counter = store.get::<Counter>("c").await.unwrap();
    let group = store.together().send(&one, Do::Add(1));
    let group = group.send(&two, Do::Add(1)).send(&counter, Add(1));
    group.commit().await.unwrap();
    let refused = store
        .together()
        .send(&one, Do::Refuse)
        .send(&counter, Add(1));
    refused.commit().await.unwrap_err();
    let metrics = store.metrics();
    assert_eq!(outcomes(of(&metrics.commands, "ledger")), [2, 1, 0, 0, 0]);
    // It was not refused itself.
    assert_eq!(outcomes(of(&metrics.commands, "counter")), [1, 0, 0, 1, 0]);
    assert_eq!(metrics.log.commits, 1);
    assert_eq!(metrics.log.events, 3);
    assert_eq!(metrics.latency_seconds.count(), 5);
}

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Taken {
    #[tag]
    seat: String,
}

#[derive(Debug, Default, DecisionModel)]
#[decision_model(tag = "seat", events(Taken))]
struct Seat {
    is_taken: bool,
}

impl Evolve<Taken> for Seat {
    fn evolve(&mut self, _: &Taken) {
        self.is_taken = true;
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the seat is taken")]
struct IsTaken;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Take {
    seat: String,
}

#[derive(Decision)]
#[decision(command = Take, events(Taken), error = IsTaken)]
struct Taking {
    #[model(seat)]
    seat: Seat,
}

impl Decide<Take> for Taking {
    fn decide(&self, Take { seat }: Take) -> Decision<Self> {
        if self.seat.is_taken {
            return Err(IsTaken);
        }
        Ok(events![Taken { seat }])
    }
}

#[tokio::test]
async fn decisions_are_counted_by_name_and_so_are_the_states_that_they_find_in_memory() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let take = |seat: &str| store.decide::<Taking>(Take { seat: seat.into() });
    take("1").await.unwrap();
    take("1").await.unwrap_err();
    take("2").await.unwrap();
    let metrics = store.metrics();
    assert_eq!(outcomes(of(&metrics.decisions, "taking")), [2, 1, 0, 0, 0]);
    assert!(metrics.commands.is_empty());
    assert_eq!(metrics.latency_seconds.count(), 3);
    assert_eq!(metrics.caches.decision_states_kept, 1);
    assert_eq!(metrics.caches.decision_states_read, 2);
    assert!(metrics.caches.decision_tags >= 2);
}

#[tokio::test]
async fn the_log_counts_what_is_stored_and_the_time_that_the_disk_took() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let ledger = ledger(&store, "a").await;
    for number in 0..5 {
        ledger.send(Do::AddAll(vec![number, number])).await.unwrap();
    }
    ledger.send(Do::Nothing).await.unwrap();
    let log = store.metrics().log;
    assert_eq!((log.events, log.commits, log.failed_batches), (10, 5, 0));
    assert_eq!(log.position, store.head());
    assert!(log.bytes > 500, "{log:?}");
    // A commit is answered before it is taken off the count.
    eventually("nothing waits", || {
        let log = store.metrics().log;
        (log.waiting_commits, log.waiting_bytes) == (0, 0)
    })
    .await;
    if dir.on_disk().is_some() {
        // One after the other, so each is a batch.
        let batches: Vec<_> = log.batch_commits.values().collect();
        assert_eq!(batches, [(1.0, 5)]);
        assert_eq!(log.sync_seconds.count(), log.batch_commits.count());
        let slowest = log.sync_seconds.max().unwrap();
        assert!(slowest > 0.0 && slowest < 60.0, "{log:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_that_wait_for_the_disk_are_counted_until_they_are_answered() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let ledger = ledger(&store, "a").await;
    ledger.state().await.unwrap();
    let stalled = stall(&store).await;
    let waiting = tokio::spawn({
        let ledger = ledger.clone();
        async move { ledger.send(Do::Add(1)).await }
    });
    eventually("the commit waits", || {
        let log = store.metrics().log;
        log.waiting_commits > 0 && log.waiting_bytes > 0
    })
    .await;
    drop(stalled);
    waiting.await.unwrap().unwrap();
    eventually("nothing waits", || {
        let log = store.metrics().log;
        log.waiting_commits == 0 && log.waiting_bytes == 0
    })
    .await;
    // The store answered after the stall, and that is the time of the command.
    assert_eq!(of(&store.metrics().commands, "ledger").succeeded, 1);
}

#[tokio::test]
async fn aggregates_are_counted_while_they_are_in_memory_and_when_they_come_and_go() {
    let dir = temp_dir();
    let store = open(&dir).await;
    for id in ["a", "b", "c"] {
        ledger(&store, id).await.send(Do::Add(1)).await.unwrap();
    }
    let aggregates = store.metrics().aggregates;
    assert_eq!((aggregates.live, aggregates.activations), (3, 3));
    assert_eq!(aggregates.load_seconds.count(), 0); // they were new
    store.shutdown().await.unwrap();

    let idle = builder(&dir).idle_timeout(Duration::from_millis(1));
    let store = idle.open().await.unwrap();
    ledger(&store, "a").await.state().await.unwrap();
    eventually("it leaves memory", || {
        let aggregates = store.metrics().aggregates;
        aggregates.live == 0 && aggregates.passivations == 1
    })
    .await;
    ledger(&store, "a").await.state().await.unwrap();
    let aggregates = store.metrics().aggregates;
    assert_eq!(aggregates.activations, 2);
    assert_eq!(aggregates.load_seconds.count(), 2);
}

#[tokio::test]
async fn snapshots_are_counted_when_they_are_saved() {
    let dir = temp_dir();
    let store = builder(&dir).snapshot_every(2).open().await.unwrap();
    let ledger = ledger(&store, "a").await;
    ledger.send(Do::AddAll(vec![1, 2, 3])).await.unwrap();
    eventually("it is saved", || store.metrics().aggregates.snapshots == 1).await;
}

#[tokio::test]
async fn followers_tell_how_far_they_are_behind() {
    let dir = temp_dir();
    let store = builder(&dir).projection::<Total>().open().await.unwrap();
    let counter = store.get::<Counter>("c").await.unwrap();
    counter.send(Add(1)).await.unwrap();
    counter.send(Add(2)).await.unwrap();
    let before = store.metrics().projections.remove(0);
    assert_eq!(
        (before.name, before.lag, before.is_stopped),
        ("total", 2, false)
    );
    store.projection::<Total>().unwrap();
    let after = store.metrics().projections.remove(0);
    assert_eq!((after.lag, after.position), (0, store.head()));
}

#[tokio::test]
async fn a_process_managers_commands_are_counted_as_sent_tried_again_and_given_up() {
    let (dir, clock) = (temp_dir(), clock());
    let store = scripted::builder(&dir, &clock, OnFailure::Stop).live();
    let store = store.open().await.unwrap();
    command(&store, "shut", GateCommand::Shut).await;
    tell(&store, "send open 1").await;
    tell(&store, "send shut 2").await;
    tell(&store, "later 60 key open 3").await;
    let manager = || store.metrics().process_managers.remove(0);
    eventually("one is sent and one waits", || {
        let manager = manager();
        (
            manager.sent,
            manager.retried,
            manager.outgoing,
            manager.timers,
        ) == (1, 1, 1, 1)
    })
    .await;
    eventually("it is given up", || {
        clock.advance(seconds(1));
        manager().given_up == 1
    })
    .await;
    let manager = manager();
    assert_eq!(manager.follower.name, "scripted");
    assert_eq!((manager.retried, manager.outgoing), (2, 0));
    assert_eq!(manager.dead_letters, Some(1));
    // Each attempt is a command of the gates.
    let gates = outcomes(of(&store.metrics().commands, "gate"));
    assert_eq!(gates[..2], [2, 3]);
}

#[tokio::test]
async fn on_demand_a_process_managers_commands_are_counted_by_its_runs() {
    let (dir, clock) = (temp_dir(), clock());
    let store = scripted::open_on_demand(&dir, &clock).await;
    tell(&store, "send open 1").await;
    assert_eq!(run(&store).await, (1, 0));
    let manager = store.metrics().process_managers.remove(0);
    assert_eq!((manager.sent, manager.given_up), (1, 0));
}

#[tokio::test]
async fn counters_begin_at_zero_with_each_opening_and_stay_as_they_are_after_a_shutdown() {
    let dir = temp_dir();
    let store = open(&dir).await;
    ledger(&store, "a").await.send(Do::Add(1)).await.unwrap();
    store.shutdown().await.unwrap();
    assert_eq!(store.metrics().log.events, 1);
    let store = open(&dir).await;
    let metrics = store.metrics();
    assert_eq!(
        (metrics.log.events, metrics.log.position),
        (0, store.head())
    );
    assert!(metrics.commands.is_empty());
}

#[tokio::test]
async fn metrics_are_written_as_json_with_the_names_of_their_fields() {
    let (dir, clock) = (temp_dir(), clock());
    let store = scripted::builder(&dir, &clock, OnFailure::Stop);
    let store = store.projection::<Total>().open().await.unwrap();
    ledger(&store, "a").await.send(Do::Add(1)).await.unwrap();
    let metrics: Metrics = store.metrics();
    let json = serde_json::to_value(&metrics).unwrap();
    assert_eq!(json["commands"][0]["name"], "ledger");
    assert_eq!(json["commands"][0]["succeeded"], 1);
    assert_eq!(json["latency_seconds"]["count"], 1);
    assert_eq!(json["log"]["events"], 1);
    assert_eq!(json["aggregates"]["live"], 1);
    assert_eq!(json["projections"][0]["name"], "total");
    assert_eq!(json["process_managers"][0]["name"], "scripted");
    assert_eq!(json["process_managers"][0]["dead_letters"], 0);
}
