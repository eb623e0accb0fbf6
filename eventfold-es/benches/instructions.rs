//! How many instructions the hot paths take: what a busy machine cannot disturb, unlike time.
//!
//! ```sh
//! cargo bench -p eventfold-es --bench instructions
//! cargo bench -p eventfold-es --bench instructions -- --record
//! ```
//!
//! It runs each path under `valgrind --tool=callgrind` twice, for many and for few, and divides the
//! difference, so that what is done once cancels out. The first command compares with what
//! `instructions.txt` says and fails if a path takes a tenth more; the second one writes that file,
//! which a change that is worth its instructions does. Compilers differ by some per cent.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

/// How much more than recorded is too much.
const TOLERANCE: f64 = 1.1;
/// How many events a filled stream has.
const STREAM: usize = 1_000;
/// The argument that makes this program the one that is counted.
const CHILD: &str = "--in-this-process";

#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(commands(Deposit), events(Deposited))]
struct Account {
    deposits: u64,
    balance: u64,
}

/// A deposit, so many times.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Deposit(usize);

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Deposited {
    amount: u64,
    reference: String,
}

impl Decide<Deposit> for Account {
    fn decide(&self, command: Deposit) -> Decision<Self> {
        let deposited = || Deposited {
            amount: 5,
            reference: "invoice 2026-000417, paid by card".to_owned(),
        };
        Ok((0..command.0).map(|_| deposited().into()).collect())
    }
}

impl Evolve<Deposited> for Account {
    fn evolve(&mut self, event: &Deposited) {
        self.deposits += 1;
        self.balance += event.amount;
    }
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, Projection)]
#[projection(name = "total", aggregates(Account))]
struct Total(u64);

impl Project<Account> for Total {
    fn project(&mut self, event: &AccountEvent, _: &Recorded<'_>) {
        let AccountEvent::Deposited(event) = event;
        self.0 += event.amount;
    }
}

/// A hot path.
#[derive(Debug, Clone, Copy)]
struct HotPath {
    name: &'static str,
    many: usize,
    few: usize,
    run: fn(&Path, usize),
    /// Whether both runs find a directory filled with as many events as the many are.
    is_filled: bool,
}

const PATHS: [HotPath; 4] = [
    HotPath {
        name: "command",
        many: 1_200,
        few: 200,
        run: commands,
        is_filled: false,
    },
    HotPath {
        name: "command-of-64-that-wait",
        many: 6_400,
        few: 640,
        run: waiting_commands,
        is_filled: false,
    },
    HotPath {
        name: "replayed-event",
        many: 20 * STREAM,
        few: 2 * STREAM,
        run: replay,
        is_filled: true,
    },
    HotPath {
        name: "projected-event",
        many: 20 * STREAM,
        // What the run before saved has all of them.
        few: 0,
        run: project,
        is_filled: true,
    },
];

fn with_store<F: Future>(dir: &Path, work: impl FnOnce(AggregateStore) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("a runtime").block_on(async {
        let builder = AggregateStore::builder(dir).projection::<Total>();
        // Snapshots are written, and old segments compressed, at times that differ.
        let builder = builder.snapshot_every(u64::MAX).compress_journal(false);
        let store = builder.open().await;
        let store = store.expect("a store");
        work(store.clone()).await;
        store.shutdown().await.expect("a store in order");
    });
}

fn fill(dir: &Path, count: usize) {
    with_store(dir, async |store| {
        for number in 0..count / STREAM {
            let account = store.get::<Account>(&number.to_string()).await;
            let account = account.expect("an account");
            account.send(Deposit(STREAM)).await.expect("an answer");
        }
    });
}

fn commands(dir: &Path, count: usize) {
    with_store(dir, async |store| {
        let account = store.get::<Account>("alice").await.expect("an account");
        for _ in 0..count {
            account.send(Deposit(1)).await.expect("an answer");
        }
    });
}

fn waiting_commands(dir: &Path, count: usize) {
    with_store(dir, async |store| {
        let account = store.get::<Account>("alice").await.expect("an account");
        let mut clients = tokio::task::JoinSet::new();
        for _ in 0..64 {
            let account = account.clone();
            clients.spawn(async move {
                for _ in 0..count / 64 {
                    account.send(Deposit(1)).await.expect("an answer");
                }
            });
        }
        while let Some(done) = clients.join_next().await {
            done.expect("no panic");
        }
    });
}

fn replay(dir: &Path, count: usize) {
    with_store(dir, async |store| {
        for number in 0..count / STREAM {
            let account = store.get::<Account>(&number.to_string()).await;
            let state = account.expect("an account").state().await;
            assert_eq!(state.expect("a state").deposits, STREAM as u64);
        }
    });
}

fn project(dir: &Path, _: usize) {
    with_store(dir, async |store| {
        let total = store.projection::<Total>().expect("the projection");
        assert_eq!(total.0 % (5 * STREAM as u64), 0);
    });
}

/// The instructions of one run, `None` if there is no valgrind.
fn count_run(path: &HotPath, dir: &Path, count: usize) -> Option<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe().expect("this program"))
        .args([CHILD, path.name])
        .arg(dir)
        .arg(count.to_string())
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {text}", path.name);
    let (_, collected) = text.split_once("Collected : ").expect("a count");
    let collected = collected.split_whitespace().next();
    collected.and_then(|count| count.parse().ok())
}

/// The instructions for each one.
fn count_path(path: &HotPath) -> Option<u64> {
    let dirs = [(); 2].map(|()| tempfile::tempdir().expect("a directory"));
    let [many, few] = if path.is_filled {
        fill(dirs[0].path(), path.many);
        [dirs[0].path(); 2]
    } else {
        [dirs[0].path(), dirs[1].path()]
    };
    let many = count_run(path, many, path.many)?;
    let few = count_run(path, few, path.few)?;
    Some(many.saturating_sub(few) / (path.many - path.few) as u64)
}

fn recorded_in() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/instructions.txt")
}

fn recorded(name: &str) -> Option<u64> {
    let text = std::fs::read_to_string(recorded_in()).ok()?;
    let mut lines = text.lines().filter_map(|line| line.split_once(' '));
    let (_, count) = lines.find(|(path, _)| *path == name)?;
    count.trim().parse().ok()
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [child, name, dir, count] = args.as_slice()
        && child == CHILD
    {
        let path = PATHS.iter().find(|path| path.name == name);
        let count = count.parse().expect("a count");
        (path.expect("a hot path").run)(Path::new(dir), count);
        return ExitCode::SUCCESS;
    }
    // `cargo test --benches` only wants to know that it starts.
    if !args.iter().any(|arg| arg == "--bench") {
        return ExitCode::SUCCESS;
    }
    let record = args.iter().any(|arg| arg == "--record");
    let mut lines = String::new();
    let mut is_worse = false;
    for path in &PATHS {
        let Some(count) = count_path(path) else {
            println!("skipped: valgrind, which counts instructions, is not installed");
            return ExitCode::SUCCESS;
        };
        lines.extend([path.name, " ", &count.to_string(), "\n"]);
        let before = recorded(path.name).unwrap_or_default();
        #[allow(clippy::cast_precision_loss)]
        let ratio = count as f64 / before as f64;
        let verdict = if ratio > TOLERANCE { "too many" } else { "ok" };
        println!(
            "{}: {count} instructions, {before} recorded: {verdict}",
            path.name
        );
        is_worse |= ratio > TOLERANCE;
    }
    if record {
        std::fs::write(recorded_in(), lines).expect("the recorded counts");
    } else if is_worse {
        eprintln!(
            "if that is worth it: cargo bench -p eventfold-es --bench instructions -- --record"
        );
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
