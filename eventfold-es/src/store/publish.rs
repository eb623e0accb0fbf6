//! Publishing what a store counts through the facade `metrics`.

use std::sync::MutexGuard;

use metrics::{
    Label, SharedString, Unit, counter, describe_counter, describe_gauge, describe_histogram,
    gauge, histogram,
};

use crate::meter::{Distribution, Published};
use crate::store::AggregateStore;
use crate::store::metrics::{CommandMetrics, FollowerMetrics, Metrics, ProcessManagerMetrics};
use crate::sync::lock;

const COMMANDS: &str = "eventfold_commands_total";
const DECISIONS: &str = "eventfold_decisions_total";
const LATENCY: &str = "eventfold_command_duration_seconds";
const DECIDED_AGAIN: &str = "eventfold_commands_decided_again_total";
const EVENTS: &str = "eventfold_events_total";
const BYTES: &str = "eventfold_journal_bytes_total";
const COMMITS: &str = "eventfold_commits_total";
const FAILED_BATCHES: &str = "eventfold_failed_batches_total";
const BATCH: &str = "eventfold_batch_commits";
const SYNC: &str = "eventfold_sync_duration_seconds";
const WAITING: &str = "eventfold_waiting_commits";
const WAITING_BYTES: &str = "eventfold_waiting_bytes";
const POSITION: &str = "eventfold_position";
const LIVE: &str = "eventfold_live_aggregates";
const ACTIVATIONS: &str = "eventfold_activations_total";
const PASSIVATIONS: &str = "eventfold_passivations_total";
const LOAD: &str = "eventfold_load_duration_seconds";
const SNAPSHOTS: &str = "eventfold_snapshots_total";
const OPEN_FILES: &str = "eventfold_open_stream_files";
const STREAMS: &str = "eventfold_streams_in_memory";
const TAGS: &str = "eventfold_decision_tags_in_memory";
const STATES: &str = "eventfold_decision_states_total";
const LAG: &str = "eventfold_follower_lag_events";
const STOPPED: &str = "eventfold_follower_stopped";
const STANDING_BY: &str = "eventfold_follower_standing_by";
const FAILING: &str = "eventfold_follower_failing";
const SKIPPED: &str = "eventfold_follower_skipped_events";
const OUTGOING: &str = "eventfold_outgoing_commands";
const TIMERS: &str = "eventfold_timers";
const DEAD_LETTERS: &str = "eventfold_dead_letters";
const SENT: &str = "eventfold_process_manager_commands_total";
const READY: &str = "eventfold_ready";
const PROBLEMS: &str = "eventfold_problems";

/// The value of a label by its name.
type Own = (&'static str, &'static str);

impl AggregateStore {
    /// Publishes [`metrics`](Self::metrics), and whether the store is [ready](Self::health), through the
    /// recorder of the crate `metrics` that the program has installed. Without one nothing happens.
    ///
    /// Call it when somebody asks, before the text for a scrape is made, or at an interval. It costs some
    /// microseconds, and one call of the recorder for each command since the last time. Counters never
    /// decrease. Several stores of one program add up in the counters and overwrite each other's gauges:
    /// name them with [`publish_metrics_as`](Self::publish_metrics_as).
    ///
    /// [Watching a store](crate::guide::watching_a_store#metrics) lists the names, with their units.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let store = AggregateStore::in_memory().open().await?;
    /// store.get::<Counter>("c-1").await?.send(Add(5)).await?;
    /// store.publish_metrics();
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias("prometheus", "statsd", "exporter", "monitoring"))]
    pub fn publish_metrics(&self) {
        self.publish(None);
    }

    /// As [`publish_metrics`](Self::publish_metrics), with the label `store` on everything: for a program
    /// with several stores. Use the same name for a store each time.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (orders, payments) = (AggregateStore::in_memory(), AggregateStore::in_memory());
    /// # let (orders, payments) = (orders.open().await?, payments.open().await?);
    /// orders.publish_metrics_as("orders");
    /// payments.publish_metrics_as("payments");
    /// # Ok(())
    /// # }
    /// ```
    pub fn publish_metrics_as(&self, store: &str) {
        self.publish(Some(store));
    }

    fn publish(&self, store: Option<&str>) {
        // Each time: a program may install its recorder after the first.
        describe();
        // Locked before the metrics are read, so that two calls publish nothing twice.
        let published = lock(self.inner.storage.meters().published());
        let mut publishing = Publishing {
            store: store.map(|store| store.to_owned().into()),
            published,
        };
        publishing.publish(&self.metrics());
        let health = self.health();
        publishing.set(READY, &[], u8::from(health.is_ready()).into());
        publishing.set(PROBLEMS, &[], number(health.problems.len()));
    }
}

/// A number of things in memory.
#[allow(clippy::cast_precision_loss)]
fn number(count: usize) -> f64 {
    count as f64
}

/// One time that a store publishes.
struct Publishing<'a> {
    /// The value of the label `store`.
    store: Option<SharedString>,
    published: MutexGuard<'a, Published>,
}

impl Publishing<'_> {
    fn labels(&self, own: &[Own]) -> Vec<Label> {
        let own = own.iter().map(|(name, value)| Label::new(*name, *value));
        let store = self.store.clone();
        own.chain(store.map(|store| Label::new("store", store)))
            .collect()
    }

    fn count(&mut self, name: &'static str, own: &[Own], now: u64) {
        let values = own.iter().map(|(_, value)| *value).collect();
        let more = self.published.more((name, values), now);
        // Also if it is 0, so that a rate begins there.
        counter!(name, self.labels(own)).increment(more);
    }

    fn set(&self, name: &'static str, own: &[Own], value: f64) {
        gauge!(name, self.labels(own)).set(value);
    }

    fn record(&mut self, name: &'static str, now: &Distribution) {
        let histogram = histogram!(name, self.labels(&[]));
        for (value, count) in self.published.since(name, now).values() {
            let count = usize::try_from(count).unwrap_or(usize::MAX);
            histogram.record_many(value, count);
        }
    }

    #[allow(clippy::cast_precision_loss)]
    fn publish(&mut self, metrics: &Metrics) {
        for commands in &metrics.commands {
            self.commands(COMMANDS, ("aggregate_type", commands.name), commands);
        }
        for commands in &metrics.decisions {
            self.commands(DECISIONS, ("decision", commands.name), commands);
        }
        self.record(LATENCY, &metrics.latency_seconds);
        self.count(DECIDED_AGAIN, &[], metrics.decided_again);
        let log = &metrics.log;
        self.count(EVENTS, &[], log.events);
        self.count(BYTES, &[], log.bytes);
        self.count(COMMITS, &[], log.commits);
        self.count(FAILED_BATCHES, &[], log.failed_batches);
        self.record(BATCH, &log.batch_commits);
        self.record(SYNC, &log.sync_seconds);
        self.set(WAITING, &[], log.waiting_commits as f64);
        self.set(WAITING_BYTES, &[], log.waiting_bytes as f64);
        self.set(POSITION, &[], log.position.get() as f64);
        let aggregates = &metrics.aggregates;
        self.set(LIVE, &[], aggregates.live as f64);
        self.count(ACTIVATIONS, &[], aggregates.activations);
        self.count(PASSIVATIONS, &[], aggregates.passivations);
        self.record(LOAD, &aggregates.load_seconds);
        self.count(SNAPSHOTS, &[], aggregates.snapshots);
        let caches = &metrics.caches;
        self.set(OPEN_FILES, &[], number(caches.open_files));
        self.set(STREAMS, &[], number(caches.streams));
        self.set(TAGS, &[], number(caches.decision_tags));
        self.count(STATES, &[("source", "memory")], caches.decision_states_kept);
        self.count(STATES, &[("source", "log")], caches.decision_states_read);
        for projection in &metrics.projections {
            self.follower("projection", projection);
        }
        for follower in &metrics.followers {
            self.follower("follower", follower);
        }
        for manager in &metrics.process_managers {
            self.follower("process_manager", &manager.follower);
            self.manager(manager);
        }
    }

    fn commands(&mut self, name: &'static str, of: Own, commands: &CommandMetrics) {
        for (outcome, count) in [
            ("succeeded", commands.succeeded),
            ("refused", commands.refused),
            ("conflict", commands.conflicts),
            ("failed", commands.failed),
            ("abandoned", commands.abandoned),
        ] {
            self.count(name, &[of, ("outcome", outcome)], count);
        }
    }

    #[allow(clippy::cast_precision_loss)]
    fn follower(&mut self, kind: &'static str, follower: &FollowerMetrics) {
        let own = [("kind", kind), ("follower", follower.name)];
        self.set(LAG, &own, follower.lag as f64);
        self.set(STOPPED, &own, u8::from(follower.is_stopped).into());
        self.set(STANDING_BY, &own, u8::from(follower.is_standing_by).into());
        self.set(FAILING, &own, u8::from(follower.is_failing).into());
        self.set(SKIPPED, &own, follower.skipped_events as f64);
    }

    fn manager(&mut self, manager: &ProcessManagerMetrics) {
        let own = ("process_manager", manager.follower.name);
        self.set(OUTGOING, &[own], number(manager.outgoing));
        self.set(TIMERS, &[own], number(manager.timers));
        if let Some(letters) = manager.dead_letters {
            self.set(DEAD_LETTERS, &[own], number(letters));
        }
        for (outcome, count) in [
            ("succeeded", manager.sent),
            ("tried_again", manager.retried),
            ("given_up", manager.given_up),
        ] {
            self.count(SENT, &[own, ("outcome", outcome)], count);
        }
    }
}

/// The kinds of series.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Counter,
    Gauge,
    Distribution,
}

use Kind::{Counter, Distribution as Spread, Gauge};

/// All names with their units and meanings.
#[rustfmt::skip]
const ALL: [(Kind, &str, Unit, &str); 33] = [
    (Counter, COMMANDS, Unit::Count, "Commands of aggregates that ended, by outcome."),
    (Counter, DECISIONS, Unit::Count, "Commands of decisions that ended, by outcome."),
    (Spread, LATENCY, Unit::Seconds, "Time from the sending of a command to the store's answer."),
    (Counter, DECIDED_AGAIN, Unit::Count, "Times that a command was decided once more because others stored events first."),
    (Counter, EVENTS, Unit::Count, "Events that were stored."),
    (Counter, BYTES, Unit::Bytes, "Bytes that were written to the journal."),
    (Counter, COMMITS, Unit::Count, "Commits that were stored."),
    (Counter, FAILED_BATCHES, Unit::Count, "Batches of commits that could not be stored."),
    (Spread, BATCH, Unit::Count, "Commits that one sync made durable."),
    (Spread, SYNC, Unit::Seconds, "Time to write a batch and make it durable."),
    (Gauge, WAITING, Unit::Count, "Commits that wait for the disk."),
    (Gauge, WAITING_BYTES, Unit::Bytes, "Bytes of the commits that wait for the disk."),
    (Gauge, POSITION, Unit::Count, "The position of the newest durable event."),
    (Gauge, LIVE, Unit::Count, "Aggregates in memory."),
    (Counter, ACTIVATIONS, Unit::Count, "Times that an aggregate came into memory."),
    (Counter, PASSIVATIONS, Unit::Count, "Times that an aggregate left memory because it was idle."),
    (Spread, LOAD, Unit::Seconds, "Time to load an aggregate with events."),
    (Counter, SNAPSHOTS, Unit::Count, "Snapshots that were saved."),
    (Gauge, OPEN_FILES, Unit::Count, "Files of streams that are open."),
    (Gauge, STREAMS, Unit::Count, "Streams with something in memory."),
    (Gauge, TAGS, Unit::Count, "Tags with which states of decisions are kept."),
    (Counter, STATES, Unit::Count, "States of decisions that were needed, by where they came from."),
    (Gauge, LAG, Unit::Count, "Events that a projection or process manager is behind."),
    (Gauge, STOPPED, Unit::Count, "1 if a projection or process manager has stopped."),
    (Gauge, STANDING_BY, Unit::Count, "1 if another process runs a projection or process manager."),
    (Gauge, FAILING, Unit::Count, "1 if the newest step of a projection or process manager failed."),
    (Gauge, SKIPPED, Unit::Count, "Events that a projection or process manager skipped."),
    (Gauge, OUTGOING, Unit::Count, "Commands of a process manager that are being sent or wait for their next attempt."),
    (Gauge, TIMERS, Unit::Count, "Timers of a process manager that are set."),
    (Gauge, DEAD_LETTERS, Unit::Count, "Dead letters of a process manager."),
    (Counter, SENT, Unit::Count, "Attempts of a process manager's commands, by outcome."),
    (Gauge, READY, Unit::Count, "1 if the store can take commands."),
    (Gauge, PROBLEMS, Unit::Count, "Problems that the health of the store names."),
];

/// Tells the recorder what the names mean.
fn describe() {
    for (kind, name, unit, meaning) in ALL {
        match kind {
            Counter => describe_counter!(name, unit, meaning),
            Gauge => describe_gauge!(name, unit, meaning),
            Spread => describe_histogram!(name, unit, meaning),
        }
    }
}
