//! What a store has counted: [`Metrics`].

use serde::Serialize;

use crate::following::{FollowerStatus, ProcessManagerStatus, Running};
use crate::ids::Position;
use crate::meter::{Counts, Distribution, NANOSECONDS, ONES};
use crate::store::AggregateStore;

/// What a store has done since it was opened, and what it has at hand, from
/// [`AggregateStore::metrics`].
///
/// Counters begin at 0 when the store is opened and never decrease. The page
/// [watching a store](crate::guide::watching_a_store) says what each is good for.
///
/// ```
/// # use eventfold_es::{*, __private::example::*};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let store = AggregateStore::open(dir.path()).await?;
/// let counter = store.get::<Counter>("c-1").await?;
/// counter.send(Add(5)).await?;
/// counter.send(Add(0)).await.unwrap_err();
/// let metrics = store.metrics();
/// assert_eq!((metrics.commands[0].succeeded, metrics.commands[0].refused), (1, 1));
/// assert_eq!(metrics.log.events, 1);
/// println!("{}", serde_json::to_string(&metrics)?);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Metrics {
    /// The commands of aggregates that were answered, by aggregate type. Those of process managers and of
    /// groups count too, previews do not. A type is there once one of its aggregates was used.
    pub commands: Vec<CommandMetrics>,
    /// The commands that decisions over tagged events decided, by the decision's name.
    pub decisions: Vec<CommandMetrics>,
    /// How long all these commands took, from their sending to the store's answer. What the caller's
    /// task then waits for its runtime is not in it.
    pub latency_seconds: Distribution,
    /// How often a command was decided once more, because others stored events first.
    pub decided_again: u64,
    /// What was stored, and how long the disk took.
    pub log: LogMetrics,
    /// Aggregates in memory.
    pub aggregates: AggregateMetrics,
    /// What is kept in memory to be quick.
    pub caches: CacheMetrics,
    /// The projections, by name.
    pub projections: Vec<FollowerMetrics>,
    /// The [followers](crate::Follower), by name.
    pub followers: Vec<FollowerMetrics>,
    /// The process managers, in the order of their registration.
    pub process_managers: Vec<ProcessManagerMetrics>,
}

/// How many commands ended how. The outcomes are those of
/// [`CallOutcome`](crate::CallOutcome::name).
///
/// See the example of [`Metrics`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CommandMetrics {
    /// The aggregate type, or the name of the decision.
    pub name: &'static str,
    /// Their events are stored, or they changed nothing.
    pub succeeded: u64,
    /// The aggregate, the decision or a layer refused them.
    pub refused: u64,
    /// They expected another version, or others were first again and again.
    pub conflicts: u64,
    /// Anything else went wrong: the disk, a panic, the store was closed.
    pub failed: u64,
    /// The caller did not wait for the answer, because of a timeout for example. The command may have
    /// taken effect.
    pub abandoned: u64,
}

/// What was stored, and how long the disk took.
///
/// See the example of [`Metrics`].
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct LogMetrics {
    /// The position of the newest durable event.
    pub position: Position,
    /// Events that were stored.
    pub events: u64,
    /// The bytes that they took in the journal, or in memory.
    pub bytes: u64,
    /// Commits that were stored, those of one command in most cases.
    pub commits: u64,
    /// Batches that could not be stored. All their commands have failed.
    pub failed_batches: u64,
    /// How many commits each batch had. A batch is made durable at once, by one sync. A store in memory
    /// has no batches.
    pub batch_commits: Distribution,
    /// How long each batch took to be written and made durable.
    pub sync_seconds: Distribution,
    /// Commits that wait for the disk now.
    pub waiting_commits: u64,
    /// The bytes that they take. At 64 MiB further commands wait.
    pub waiting_bytes: u64,
}

/// Aggregates in memory.
///
/// See the example of [`Metrics`].
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct AggregateMetrics {
    /// How many are in memory now.
    pub live: u64,
    /// How often an aggregate came into memory.
    pub activations: u64,
    /// How often an aggregate left memory because nobody had used it for the idle time.
    pub passivations: u64,
    /// How long each load took, from a snapshot or not. An aggregate without events is not loaded.
    pub load_seconds: Distribution,
    /// Snapshots that were saved.
    pub snapshots: u64,
}

/// What a store keeps in memory to be quick.
///
/// See the example of [`Metrics`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CacheMetrics {
    /// Files of streams that are open, at most 192.
    pub open_files: usize,
    /// Streams with something in memory, those of live aggregates and those that are being written.
    pub streams: usize,
    /// Tags with which states of decision models may be kept.
    pub decision_tags: usize,
    /// How often the state of a decision model was in memory.
    pub decision_states_kept: u64,
    /// How often it was read from its first event.
    pub decision_states_read: u64,
}

/// A projection, or the part of a process manager that is the same.
///
/// See the example of [`Metrics`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FollowerMetrics {
    /// Its `NAME`.
    pub name: &'static str,
    /// All events up to here are in its state.
    pub position: Position,
    /// How many events are stored after that, also those that it does not subscribe to. One that does not
    /// run in the background catches up when it is read.
    pub lag: u64,
    /// Whether it has stopped, and does not run until the store is opened again.
    pub is_stopped: bool,
    /// Whether its newest step in the background failed. It is tried again each second.
    pub is_failing: bool,
    /// Whether another process runs it in place of this one.
    pub is_standing_by: bool,
    /// How many events it has skipped, since it began.
    pub skipped_events: u64,
}

/// A process manager.
///
/// See the example of [`Metrics`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ProcessManagerMetrics {
    /// Its name, its position and its lag.
    #[serde(flatten)]
    pub follower: FollowerMetrics,
    /// Commands that are being sent, or wait for their next attempt.
    pub outgoing: usize,
    /// Timers that are set.
    pub timers: usize,
    /// Dead letters now; `None` if their file cannot be read.
    pub dead_letters: Option<usize>,
    /// Commands that succeeded.
    pub sent: u64,
    /// Attempts that failed and are followed by another one.
    pub retried: u64,
    /// Commands that became dead letters.
    pub given_up: u64,
}

impl AggregateStore {
    /// What the store has done since it was opened, and what it has at hand: for dashboards, alerts and
    /// tests. It costs some microseconds and waits for no disk. Counting costs each command about as much
    /// as reading the time.
    ///
    /// The numbers are read one after the other while the store works, so they may differ by what happens
    /// meanwhile. A command is counted just before its caller goes on. After
    /// [`shutdown`](Self::shutdown) they are the last ones.
    ///
    /// See the example of [`Metrics`].
    #[must_use]
    #[doc(alias("monitoring", "observability", "prometheus", "statistics", "telemetry"))]
    pub fn metrics(&self) -> Metrics {
        let storage = &self.inner.storage;
        let (meters, now) = (storage.meters(), storage.load_now());
        let (appended, live) = (&meters.appended, &meters.live);
        let read_side = self.read_side();
        let commands = |all: Vec<(&'static str, Counts)>| {
            let all = all.into_iter();
            all.map(|(name, counts)| CommandMetrics::new(name, counts))
                .collect()
        };
        Metrics {
            commands: commands(meters.aggregates()),
            decisions: commands(meters.all_decisions()),
            latency_seconds: meters.latency(),
            decided_again: live.decided_again.get(),
            log: LogMetrics {
                position: Position::new(storage.head()),
                events: appended.events.get(),
                bytes: appended.bytes.get(),
                commits: appended.commits.get(),
                failed_batches: appended.failed.get(),
                batch_commits: appended.batch.read(ONES),
                sync_seconds: appended.sync.read(NANOSECONDS),
                waiting_commits: now.waiting_commits,
                waiting_bytes: now.waiting_bytes,
            },
            aggregates: AggregateMetrics {
                live: live.now.get(),
                activations: live.activations.get(),
                passivations: live.passivations.get(),
                load_seconds: live.load.read(NANOSECONDS),
                snapshots: live.snapshots.get(),
            },
            caches: CacheMetrics {
                open_files: now.open_files,
                streams: now.streams,
                decision_tags: self.inner.decisions.len(),
                decision_states_kept: meters.decisions.kept.get(),
                decision_states_read: meters.decisions.read.get(),
            },
            projections: read_side.projections.iter().map(Into::into).collect(),
            followers: read_side.followers.iter().map(Into::into).collect(),
            process_managers: read_side.process_managers.iter().map(Into::into).collect(),
        }
    }
}

impl CommandMetrics {
    fn new(name: &'static str, counts: Counts) -> Self {
        Self {
            name,
            succeeded: counts.succeeded,
            refused: counts.refused,
            conflicts: counts.conflicts,
            failed: counts.failed,
            abandoned: counts.abandoned,
        }
    }
}

impl From<&FollowerStatus> for FollowerMetrics {
    fn from(status: &FollowerStatus) -> Self {
        Self {
            name: status.name,
            position: status.position,
            lag: status.lag,
            is_stopped: status.running == Running::Stopped,
            is_failing: status.is_failing,
            is_standing_by: status.running == Running::StandingBy,
            skipped_events: status.skipped_count,
        }
    }
}

impl From<&ProcessManagerStatus> for ProcessManagerMetrics {
    fn from(status: &ProcessManagerStatus) -> Self {
        Self {
            follower: (&status.follower).into(),
            outgoing: status.outgoing,
            timers: status.timers,
            dead_letters: status.dead_letters,
            sent: status.sent,
            retried: status.retried,
            given_up: status.given_up,
        }
    }
}
