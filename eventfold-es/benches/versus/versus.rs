//! This crate against the published 0.2.0 and against the raw disk, in one run.
//!
//! ```sh
//! cargo bench -p eventfold-es-versus
//! cargo bench -p eventfold-es-versus -- --seconds 5 --rounds 9 --aggregates 2000
//! ```
//!
//! # What is measured
//!
//! Commands answered in a second, each of them one event that is durable before its answer:
//!
//! * `1 client, 1 aggregate`: how long one durable command takes;
//! * `64 clients, 1 aggregate`: how much of that time an aggregate can share among its commands;
//! * `64 clients, 64 aggregates`: how much of it the aggregates of a store can share;
//! * `first command, 1 client`: `get` and one command on each of 2,000 aggregates that do not exist
//!   yet.
//!
//! The raw disk is what one thread can do at best without sharing: append 180 bytes to a file and
//! `fdatasync` it, again and again. A program that makes each command durable by itself cannot be
//! faster, except by a better way to write than appending to a growing file.
//!
//! # How
//!
//! Each round measures, for each row, the raw disk, 0.2.0 and this crate, one right after the other,
//! and turns their order around every time, so that a disk that gets slower for a while slows all of
//! them. Printed are the medians of all rounds with the slowest and the fastest beside them. The
//! ratios are the medians of the ratios within the rounds, which a disk that others use as well
//! disturbs less than the rates; they need not be the ratios of the medians. If slowest and fastest
//! are far apart for the raw disk, the machine was not calm, and the numbers say little.
//!
//! New aggregates take 0.2.0 a while, so that every other round leaves them out.
//!
//! Each measurement has a fresh directory (below the build's target directory: the temporary
//! directory of the system may be no disk at all), a fresh multi-threaded runtime with its default
//! number of threads, and a store with its default settings. The aggregates are the same code for
//! both crates. Clients are tasks of that runtime, and send their next command when the last one is
//! answered. Before the clock runs, each aggregate has had one command (not on new aggregates, of
//! course). After it, the store is closed and opened again, and every state read back must hold
//! exactly the answered commands. Closing, reading back and syncing the file system, so that nobody
//! pays for what the one before left to be written, are not timed.
//!
//! # What the numbers mean, and what not
//!
//! * They are the disk's as much as the program's. Only the ratios travel to another machine, and
//!   they do not all travel: the faster the disk syncs, the less there is to gain by sharing a sync.
//! * 64 clients wait at any time, so the second and third rows are about throughput; a single
//!   command takes at least what the first row says.
//! * In 0.2.0 each command also rewrites the snapshot of its aggregate. That is how it works, and so
//!   it is measured; the states here are as small as states get.
//! * This crate leaves the streams' own files to the system after a command, because its journal is
//!   durable already, and syncs them at checkpoints: by default every 8 MiB of journal, and when the
//!   store is closed. A short run has few or none of them in it; `--seconds 30` has many.
//! * New aggregates are new directories and files, which some file systems make slowly for a while
//!   after many were removed: ext4 does not use an inode again for up to six minutes, and searches
//!   past all of those. So this program removes its thousands of directories only at its end, and
//!   the last row wants those six minutes between two runs, or between a run and a `cargo clean`.
//! * 0.2.0 uses a thread and an open file for every aggregate in memory. The limit on open files is
//!   raised as far as the system allows, which 2,000 aggregates need.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tempfile::TempDir;

/// A state as small as states get, that counts its commands.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Account {
    deposits: u64,
    balance: u64,
}

struct Deposit {
    amount: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
enum AccountEvent {
    Deposited { amount: u64, reference: String },
}

/// Where an aggregate stands at the end of a measurement.
struct Answered {
    id: String,
    commands: u64,
}

macro_rules! contender {
    ($(#[$doc:meta])* $name:ident, $es:ident, |$store:ident| $close:expr) => {
        $(#[$doc])*
        mod $name {
            use std::convert::Infallible;
            use std::path::Path;
            use std::sync::Arc;
            use std::time::{Duration, Instant};

            use $es::{Aggregate, AggregateHandle, AggregateStore, CommandContext, reducer};
            use tokio::sync::Barrier;

            use super::{Account, AccountEvent, Answered, Deposit};

            impl Aggregate for Account {
                const AGGREGATE_TYPE: &'static str = "account";
                type Command = Deposit;
                type DomainEvent = AccountEvent;
                type Error = Infallible;

                fn handle(&self, cmd: Deposit) -> Result<Vec<AccountEvent>, Infallible> {
                    Ok(vec![AccountEvent::Deposited {
                        amount: cmd.amount,
                        reference: "invoice 2026-000417, paid by card".to_owned(),
                    }])
                }

                fn apply(mut self, event: &AccountEvent) -> Self {
                    let AccountEvent::Deposited { amount, .. } = event;
                    self.deposits += 1;
                    self.balance += amount;
                    self
                }
            }

            fn runtime() -> tokio::runtime::Runtime {
                tokio::runtime::Builder::new_multi_thread()
                    .enable_all()
                    .build()
                    .expect("a runtime")
            }

            async fn deposit(account: &AggregateHandle<Account>) {
                let command = Deposit { amount: 5 };
                let context = CommandContext::default();
                account.execute(command, context).await.expect("a deposit");
            }

            /// Commands a second that `clients` clients get answered by `aggregates` aggregates.
            pub(super) fn commands(
                base: &Path,
                clients: usize,
                aggregates: usize,
                time: Duration,
            ) -> f64 {
                let (rate, answered) =
                    runtime().block_on(send_commands(base, clients, aggregates, time));
                super::settle(base);
                runtime().block_on(check_states(base, &answered));
                rate
            }

            async fn send_commands(
                base: &Path,
                clients: usize,
                aggregates: usize,
                time: Duration,
            ) -> (f64, Vec<Answered>) {
                let store = AggregateStore::open(base).await.expect("a store");
                let mut answered = Vec::new();
                let mut accounts = Vec::new();
                for i in 0..aggregates {
                    let id = format!("account-{i}");
                    let account = store.get::<Account>(&id).await.expect("an account");
                    deposit(&account).await;
                    accounts.push(account);
                    answered.push(Answered { id, commands: 1 });
                }
                let start = Arc::new(Barrier::new(clients + 1));
                let tasks: Vec<_> = (0..clients)
                    .map(|client| {
                        let account = accounts[client % aggregates].clone();
                        let start = start.clone();
                        tokio::spawn(async move {
                            start.wait().await;
                            let started = Instant::now();
                            let mut commands = 0;
                            while started.elapsed() < time {
                                deposit(&account).await;
                                commands += 1;
                            }
                            (client % aggregates, commands)
                        })
                    })
                    .collect();
                start.wait().await;
                let started = Instant::now();
                let mut all = 0;
                for task in tasks {
                    let (account, commands) = task.await.expect("a client");
                    answered[account].commands += commands;
                    all += commands;
                }
                let elapsed = started.elapsed();
                drop(accounts);
                close(store).await;
                #[allow(clippy::cast_precision_loss)]
                (all as f64 / elapsed.as_secs_f64(), answered)
            }

            async fn check_states(base: &Path, answered: &[Answered]) {
                let store = AggregateStore::open(base).await.expect("the store again");
                for Answered { id, commands } in answered {
                    let account = store.get::<Account>(id).await.expect("an account");
                    let state = account.state().await.expect("a state");
                    assert_eq!(state.deposits, *commands, "answered by {id}");
                    assert_eq!(state.balance, commands * 5);
                }
                close(store).await;
            }

            /// New aggregates a second that one client sends their first command to.
            pub(super) fn first_commands(base: &Path, aggregates: usize) -> f64 {
                let rate = runtime().block_on(send_first_commands(base, aggregates));
                super::settle(base);
                runtime().block_on(check_events(base, aggregates));
                rate
            }

            async fn send_first_commands(base: &Path, aggregates: usize) -> f64 {
                let store = AggregateStore::open(base).await.expect("a store");
                let client = store.clone();
                let task = tokio::spawn(async move {
                    let started = Instant::now();
                    for i in 0..aggregates {
                        let id = format!("account-{i}");
                        let account = client.get::<Account>(&id).await.expect("an account");
                        deposit(&account).await;
                    }
                    started.elapsed()
                });
                let elapsed = task.await.expect("the client");
                close(store).await;
                #[allow(clippy::cast_precision_loss)]
                let rate = aggregates as f64 / elapsed.as_secs_f64();
                rate
            }

            /// Folds what is stored, without bringing thousands of aggregates into memory again.
            async fn check_events(base: &Path, aggregates: usize) {
                let store = AggregateStore::open(base).await.expect("the store again");
                let ids = store.list::<Account>().await.expect("the accounts");
                assert_eq!(ids.len(), aggregates);
                for id in ids {
                    let events = store.read_events("account", &id).await.expect("its events");
                    let state = events.iter().fold(Account::default(), reducer::<Account>());
                    assert_eq!((state.deposits, state.balance), (1, 5), "{id}");
                }
                close(store).await;
            }

            async fn close($store: AggregateStore) {
                $close;
            }
        }
    };
}

contender!(
    /// The published 0.2.0. Its threads end by themselves, some time after the store is dropped.
    published,
    old,
    |store| drop(store)
);
contender!(
    /// This crate.
    current,
    eventfold_es,
    |store| store.shutdown().await.expect("a store in order")
);

/// Appends a second that one thread makes durable one by one.
fn raw_disk(dir: &Path, time: Duration) -> f64 {
    let line = [b'x'; 180];
    let path = dir.join("raw");
    let mut options = OpenOptions::new();
    let file = options.create_new(true).append(true).open(&path);
    let mut file = file.expect("a file");
    let mut appends = 0_u32;
    let started = Instant::now();
    while started.elapsed() < time {
        file.write_all(&line).expect("an append");
        file.sync_data().expect("a sync");
        appends += 1;
    }
    let rate = f64::from(appends) / started.elapsed().as_secs_f64();
    let length = file.metadata().expect("its length").len();
    assert_eq!(length, u64::from(appends) * line.len() as u64);
    rate
}

/// Waits until nobody holds a stream below `base` and nothing is left to be written.
fn settle(base: &Path) {
    for log in logs(base) {
        let log = File::open(log).expect("a log");
        log.lock().expect("its lock");
    }
    sync(base);
}

fn logs(base: &Path) -> Vec<std::path::PathBuf> {
    let streams = base.join("streams").join("account").read_dir();
    let streams = streams
        .expect("the streams")
        .map(|stream| stream.expect("a stream"));
    streams
        .map(|stream| stream.path().join("app.jsonl"))
        .collect()
}

#[cfg(target_os = "linux")]
fn sync(dir: &Path) {
    let dir = File::open(dir).expect("the directory");
    rustix::fs::syncfs(dir).expect("a sync of the file system");
}

#[cfg(not(target_os = "linux"))]
fn sync(_: &Path) {}

#[cfg(unix)]
fn allow_open_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};

    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // If it cannot be raised, opening the files says so.
    let _ = setrlimit(Resource::Nofile, limit);
}

#[cfg(not(unix))]
fn allow_open_files() {}

/// What a row of the table measures.
#[derive(Debug, Clone, Copy)]
enum Work {
    Commands { clients: usize, aggregates: usize },
    FirstCommands,
}

/// A row of the table.
struct Row {
    name: &'static str,
    work: Work,
    goal: &'static str,
    raw: Vec<f64>,
    published: Vec<f64>,
    current: Vec<f64>,
}

impl Row {
    fn is_due(&self, round: usize) -> bool {
        matches!(self.work, Work::Commands { .. }) || round.is_multiple_of(2)
    }
}

fn rows() -> Vec<Row> {
    let row = |name, work, goal| Row {
        name,
        work,
        goal,
        raw: Vec::new(),
        published: Vec::new(),
        current: Vec::new(),
    };
    let commands = |clients, aggregates| Work::Commands {
        clients,
        aggregates,
    };
    vec![
        row("1 client, 1 aggregate", commands(1, 1), "1 x raw"),
        row("64 clients, 1 aggregate", commands(64, 1), "100 x 0.2.0"),
        row("64 clients, 64 aggregates", commands(64, 64), "20 x 0.2.0"),
        row("first command, 1 client", Work::FirstCommands, "8 x 0.2.0"),
    ]
}

struct Options {
    seconds: f64,
    rounds: usize,
    aggregates: usize,
}

impl Options {
    /// Reads the command line, `None` if there is nothing to measure.
    fn from_args() -> Result<Option<Self>, String> {
        let mut options = Self {
            seconds: 0.8,
            rounds: 7,
            aggregates: 2_000,
        };
        let mut is_bench = false;
        let mut args = std::env::args().skip(1);
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or(format!("{arg} needs a value"));
            let invalid = |error: &dyn std::fmt::Display| format!("{arg}: {error}");
            match arg.as_str() {
                "--bench" => is_bench = true,
                "--seconds" => options.seconds = value()?.parse().map_err(|e| invalid(&e))?,
                "--rounds" => options.rounds = value()?.parse().map_err(|e| invalid(&e))?,
                "--aggregates" => {
                    options.aggregates = value()?.parse().map_err(|e| invalid(&e))?;
                }
                _ => return Err(format!("{arg} is not known")),
            }
        }
        if options.rounds == 0 || options.aggregates == 0 || options.seconds <= 0.0 {
            return Err("nothing can be measured of nothing".to_owned());
        }
        Ok(is_bench.then_some(options))
    }
}

fn main() -> ExitCode {
    let options = match Options::from_args() {
        Ok(Some(options)) => options,
        // `cargo test --benches` only wants to know that it starts.
        Ok(None) => return ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}; --seconds S, --rounds N and --aggregates N are");
            return ExitCode::FAILURE;
        }
    };
    allow_open_files();
    let mut rows = rows();
    let mut kept = Vec::new();
    for round in 0..options.rounds {
        for row in rows.iter_mut().filter(|row| row.is_due(round)) {
            eprintln!("round {} of {}: {}", round + 1, options.rounds, row.name);
            let used = measure(row, &options);
            if matches!(row.work, Work::FirstCommands) {
                kept.push(used);
            }
        }
    }
    print(&options, &rows);
    ExitCode::SUCCESS
}

/// Measures everyone once, in an order that turns around every time. Returns what was used for it.
fn measure(row: &mut Row, options: &Options) -> TempDir {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    std::fs::create_dir_all(target).expect("the target directory");
    let fresh = tempfile::Builder::new()
        .prefix("versus-")
        .tempdir_in(target)
        .expect("a fresh directory");
    let time = Duration::from_secs_f64(options.seconds);
    let mut contenders = [0, 1, 2];
    if row.raw.len() % 2 == 1 {
        contenders.reverse();
    }
    for contender in contenders {
        let base = fresh.path().join(contender.to_string());
        std::fs::create_dir(&base).expect("a directory");
        sync(&base);
        match (contender, row.work) {
            (0, _) => row.raw.push(raw_disk(&base, time / 2)),
            (
                1,
                Work::Commands {
                    clients,
                    aggregates,
                },
            ) => {
                let rate = published::commands(&base, clients, aggregates, time);
                row.published.push(rate);
            }
            (1, Work::FirstCommands) => {
                let rate = published::first_commands(&base, options.aggregates);
                row.published.push(rate);
            }
            (
                _,
                Work::Commands {
                    clients,
                    aggregates,
                },
            ) => {
                let rate = current::commands(&base, clients, aggregates, time);
                row.current.push(rate);
            }
            (_, Work::FirstCommands) => {
                let rate = current::first_commands(&base, options.aggregates);
                row.current.push(rate);
            }
        }
    }
    fresh
}

/// The median, between the smallest and the largest.
fn median(values: &[f64]) -> (f64, f64, f64) {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let (middle, last) = (values.len() / 2, values.len() - 1);
    let median = if values.len() % 2 == 1 {
        values[middle]
    } else {
        f64::midpoint(values[middle - 1], values[middle])
    };
    (values[0], median, values[last])
}

/// `4,110 (3,970-4,300)`: the median, the slowest and the fastest round.
fn shown(rates: &[f64]) -> String {
    let (slowest, median, fastest) = median(rates);
    let [slowest, median, fastest] = [slowest, median, fastest].map(thousands);
    format!("{median} ({slowest}-{fastest})")
}

/// The median of the rounds' ratios.
fn ratio(rates: &[f64], to: &[f64]) -> f64 {
    let ratios: Vec<f64> = rates.iter().zip(to).map(|(rate, to)| rate / to).collect();
    median(&ratios).1
}

fn thousands(rate: f64) -> String {
    let digits = format!("{rate:.0}");
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn print(options: &Options, rows: &[Row]) {
    println!();
    println!(
        "commands/s, median (slowest-fastest) of {} rounds of {} s; {} new aggregates; {} processors",
        options.rounds,
        options.seconds,
        options.aggregates,
        std::thread::available_parallelism().map_or(0, usize::from),
    );
    println!();
    println!("| work | raw disk | 0.2.0 | this crate | / 0.2.0 | / raw | goal |");
    println!("|---|--:|--:|--:|--:|--:|--:|");
    for row in rows {
        println!(
            "| {} | {} | {} | {} | {:.1} | {:.2} | {} |",
            row.name,
            shown(&row.raw),
            shown(&row.published),
            shown(&row.current),
            ratio(&row.current, &row.published),
            ratio(&row.current, &row.raw),
            row.goal,
        );
    }
}
