//! Stores whose power fails at any moment.
//!
//! A store runs for a while on a watched directory. For many points of what it did to the disk, and
//! for many choices of what a failing disk may make of the rest, the directory is rebuilt as it could
//! have been left and opened again.
//!
//! `EVENTFOLD_SEEDS=1000000 cargo test --release -p eventfold-es power_loss` tries that many.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::disk::faults::{Choices, Log, Watch};
use crate::{Aggregate, AggregateStore, CommandContext, Projection};

/// How many cases are tried unless the environment says otherwise.
const SEEDS: u64 = 2_000;
/// How many aggregates there are.
const ACCOUNTS: u64 = 4;

/// The numbers of the commands that were executed, each as often as it had events.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Account {
    numbers: Vec<u64>,
}

/// Stores `count` events with its number.
#[derive(Debug, Clone, Copy)]
struct Note {
    number: u64,
    count: usize,
    /// Makes lines longer than a sector now and then.
    padding: usize,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
enum Event {
    Noted { number: u64, padding: String },
}

impl Aggregate for Account {
    const AGGREGATE_TYPE: &'static str = "account";
    type Command = Note;
    type DomainEvent = Event;
    type Error = std::convert::Infallible;

    fn handle(&self, note: Note) -> Result<Vec<Event>, Self::Error> {
        let event = Event::Noted {
            number: note.number,
            padding: "x".repeat(note.padding),
        };
        Ok(vec![event; note.count])
    }

    fn apply(mut self, event: &Event) -> Self {
        let Event::Noted { number, .. } = event;
        self.numbers.push(*number);
        self
    }
}

/// The same for all accounts together, in the order of the journal.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Everything {
    numbers: BTreeMap<String, Vec<u64>>,
}

impl Projection for Everything {
    const NAME: &'static str = "everything";

    fn subscriptions(&self) -> &'static [&'static str] {
        &["account"]
    }

    fn apply(&mut self, _: &str, id: &str, event: &eventfold::Event) {
        let number = event.data["number"].as_u64().expect("it is one of ours");
        self.numbers.entry(id.to_owned()).or_default().push(number);
    }
}

async fn open(dir: &Path) -> std::io::Result<AggregateStore> {
    AggregateStore::builder(dir)
        .projection::<Everything>()
        .snapshot_every(3)
        .idle_timeout(Duration::MAX)
        .open()
        .await
}

fn id(number: u64) -> String {
    format!("a{}", number % ACCOUNTS)
}

/// What command `number` does.
fn note(number: u64) -> Note {
    let mut choices = Choices::new(number);
    Note {
        number,
        count: 1 + choices.below(3),
        padding: choices.below(4) / 3 * choices.below(1500),
    }
}

/// Runs a store on `dir` and notes what was answered. Commands come in groups that are under way
/// together; `numbers` are theirs.
async fn run(dir: &Path, watch: &Watch, numbers: std::ops::Range<u64>) {
    let store = open(dir).await.expect("the disk works");
    let numbers: Vec<u64> = numbers.collect();
    for (i, group) in numbers.chunks(5).enumerate() {
        let mut under_way = Vec::new();
        for number in group {
            let account = store
                .get::<Account>(&id(*number))
                .await
                .expect("it is open");
            let number = *number;
            under_way.push(tokio::spawn(async move {
                let context = CommandContext::default();
                account
                    .execute(note(number), context)
                    .await
                    .expect("the disk works");
                number
            }));
        }
        for command in under_way {
            watch.mark(command.await.expect("it does not panic"));
        }
        if i % 3 == 0 {
            let _: Everything = store.projection().expect("the disk works");
            store.inner.save_projections();
        }
    }
    store.shutdown().await.expect("the disk works");
}

/// Opens what the power failure left and checks it against what was answered before.
async fn check(dir: &Path, answered: &[u64]) -> Result<(), String> {
    let store = open(dir)
        .await
        .map_err(|e| format!("it does not open: {e}"))?;
    let mut in_accounts = 0;
    let mut all = BTreeMap::new();
    for account in 0..ACCOUNTS {
        let account = id(account);
        let handle = store
            .get::<Account>(&account)
            .await
            .map_err(|e| e.to_string())?;
        let state = handle
            .state()
            .await
            .map_err(|e| format!("{account}: {e}"))?;
        let version: u64 = handle.version().await.map_err(|e| e.to_string())?.into();
        if version != state.numbers.len() as u64 {
            return Err(format!("{account} is at version {version}: {state:?}"));
        }
        let mut rest = state.numbers.as_slice();
        while let [number, ..] = rest {
            let count = note(*number).count;
            let whole = rest.iter().take(count).all(|other| other == number);
            if !whole || rest.len() < count {
                return Err(format!(
                    "{account} has a part of command {number}: {state:?}"
                ));
            }
            rest = &rest[count..];
        }
        for number in answered.iter().filter(|number| id(**number) == account) {
            if !state.numbers.contains(number) {
                return Err(format!("{account} lacks command {number}: {state:?}"));
            }
        }
        in_accounts += version;
        if version > 0 {
            all.insert(account, state.numbers);
        }
    }
    let projected: Everything = store.projection().map_err(|e| e.to_string())?;
    if projected.numbers != all {
        return Err(format!(
            "the projection has {projected:?}, the accounts {all:?}"
        ));
    }
    if store.inner.engine.head() != in_accounts {
        let head = store.inner.engine.head();
        return Err(format!(
            "the head is {head}, the accounts have {in_accounts} events"
        ));
    }
    // The store works on.
    let next = store
        .get::<Account>("a0")
        .await
        .map_err(|e| e.to_string())?;
    let done = next
        .send(note(1_000_000))
        .await
        .map_err(|e| format!("next command: {e}"))?;
    if u64::from(done.version)
        != all.get("a0").map_or(0, |n| n.len() as u64) + done.events.len() as u64
    {
        return Err(format!("the next command led to version {}", done.version));
    }
    store.shutdown().await.map_err(|e| format!("shutdown: {e}"))
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime can be built")
}

/// A directory in memory, if there is such a place, because what is tested does not depend on a disk.
fn temp_dir() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let dir = tempfile::tempdir_in(memory).or_else(|_| tempfile::tempdir());
    dir.expect("there is a place for temporary files")
}

/// A run of its own, and what it did to the disk.
fn recorded(numbers: std::ops::Range<u64>) -> Log {
    let dir = temp_dir();
    let watch = Watch::start(dir.path());
    runtime().block_on(run(dir.path(), &watch, numbers));
    watch.stop()
}

fn seeds() -> u64 {
    let seeds = std::env::var("EVENTFOLD_SEEDS").ok();
    seeds.and_then(|seeds| seeds.parse().ok()).unwrap_or(SEEDS)
}

/// Rebuilds a directory from `log` by `seed`, and checks it. The power may fail once more while it is
/// brought in order.
fn try_seed(log: &Log, seed: u64) -> Result<(), String> {
    let mut choices = Choices::new(seed);
    let point = log.point(&mut choices);
    let answered = log.answers(point);
    let dir = temp_dir();
    log.image(point, &mut choices, dir.path())
        .map_err(|e| e.to_string())?;
    if choices.below(4) > 0 {
        return runtime().block_on(check(dir.path(), &answered));
    }
    let watch = Watch::resume(dir.path());
    let checked = runtime().block_on(check(dir.path(), &answered));
    let second = watch.stop();
    checked?;
    let again = temp_dir();
    let point = second.point(&mut choices);
    second
        .image(point, &mut choices, again.path())
        .map_err(|e| e.to_string())?;
    runtime()
        .block_on(check(again.path(), &answered))
        .map_err(|e| format!("after a second failure at {point}: {e}"))
}

#[test]
fn a_power_failure_at_any_moment_loses_no_answered_command_and_halves_none() {
    let logs: Vec<Log> = (0..8)
        .map(|run| recorded(run * 1_000..run * 1_000 + 40))
        .collect();
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let failures: Vec<String> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|worker| {
                let logs = &logs;
                scope.spawn(move || {
                    (worker..seeds())
                        .step_by(usize::try_from(threads).expect("few threads"))
                        .filter_map(|seed| {
                            let log = &logs[usize::try_from(seed).expect("few seeds") % logs.len()];
                            let failed = try_seed(log, seed).err()?;
                            Some(format!("seed {seed}: {failed}"))
                        })
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        let joined = workers
            .into_iter()
            .map(|worker| worker.join().expect("no panic"));
        joined.flatten().collect()
    });
    assert!(
        failures.is_empty(),
        "{} of {} seeds failed:\n{}",
        failures.len(),
        seeds(),
        failures[..failures.len().min(10)].join("\n")
    );
}
