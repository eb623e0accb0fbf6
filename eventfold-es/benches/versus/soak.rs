//! Whether memory, descriptors, threads and latency stay flat under a load that lasts.
//!
//! ```sh
//! cd eventfold-es/benches/versus
//! cargo bench --bench soak
//! cargo bench --bench soak -- --seconds 600 --aggregates 1000 --idle-ms 20
//! ```
//!
//! 64 clients each send one command after the other, each to one of 1,000 aggregates at random and
//! through a handle fetched for it. The idle timeout is so short that aggregates leave memory and
//! come back all the time. A latency is that of `get` and the command together, until its one event
//! is durable. After each tenth of the time a line is printed; the last ones say what must hold:
//! resident memory at the end within 10 % of that after the first tenth, and the p99.9 under 20
//! times the p50. The latter is the disk's and the machine's as much as the program's.
//!
//! At the end the store is opened again, and must hold exactly the answered commands.

use std::convert::Infallible;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use eventfold_es::{Aggregate, AggregateStore};
use serde::{Deserialize, Serialize};

const CLIENTS: u64 = 64;

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Account {
    deposits: u64,
    balance: u64,
}

struct Deposit;

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
enum AccountEvent {
    Deposited { amount: u64, reference: String },
}

impl Aggregate for Account {
    const AGGREGATE_TYPE: &'static str = "account";
    type Command = Deposit;
    type DomainEvent = AccountEvent;
    type Error = Infallible;

    fn handle(&self, Deposit: Deposit) -> Result<Vec<AccountEvent>, Infallible> {
        Ok(vec![AccountEvent::Deposited {
            amount: 5,
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

struct Options {
    seconds: u64,
    aggregates: u64,
    idle: Duration,
}

impl Options {
    /// `None` if nothing is to be measured: only `cargo bench` says `--bench`.
    fn from_args() -> Result<Option<Self>, String> {
        let mut options = Self {
            seconds: 60,
            aggregates: 1_000,
            idle: Duration::from_millis(20),
        };
        let mut is_bench = false;
        let mut args = std::env::args().skip(1);
        while let Some(arg) = args.next() {
            if arg == "--bench" {
                is_bench = true;
                continue;
            }
            let value = args.next().and_then(|value| value.parse().ok());
            let value = value.filter(|value| *value > 0);
            match (arg.as_str(), value) {
                ("--seconds", Some(seconds)) => options.seconds = seconds,
                ("--aggregates", Some(aggregates)) => options.aggregates = aggregates,
                ("--idle-ms", Some(ms)) => options.idle = Duration::from_millis(ms),
                _ => return Err(format!("`{arg}` and what follows is not understood")),
            }
        }
        Ok(is_bench.then_some(options))
    }
}

/// Latencies by size, sixteen steps for each power of two: exact to about 6 %, and as large at the
/// end as at the beginning.
struct Latencies(Vec<AtomicU64>);

impl Latencies {
    fn new() -> Self {
        Self((0..1_024).map(|_| AtomicU64::new(0)).collect())
    }

    fn add(&self, latency: Duration) {
        let us = u64::try_from(latency.as_micros())
            .unwrap_or(u64::MAX)
            .max(16);
        let power = us.ilog2();
        let step = usize::try_from((us >> (power - 4)) & 15).expect("it is below 16");
        self.0[power as usize * 16 + step].fetch_add(1, Ordering::Relaxed);
    }

    fn count(&self) -> u64 {
        self.0
            .iter()
            .map(|count| count.load(Ordering::Relaxed))
            .sum()
    }

    /// The latency in microseconds that so many of a thousand stay under.
    fn percentile(&self, per_mille: u64) -> u64 {
        let mut left = self.count() * per_mille / 1_000;
        for (i, count) in self.0.iter().enumerate() {
            let count = count.load(Ordering::Relaxed);
            if count > left {
                let (power, step) = (i / 16, i as u64 % 16);
                return (16 + step + 1) << (power - 4);
            }
            left -= count;
        }
        0
    }
}

/// What the process takes, 0 where the system does not say.
#[derive(Debug, Clone, Copy, Default)]
struct Usage {
    resident_kib: u64,
    descriptors: usize,
    threads: usize,
}

impl Usage {
    fn now() -> Self {
        let entries = |path: &str| std::fs::read_dir(path).map_or(0, Iterator::count);
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = resident.and_then(|text| text.split_whitespace().next());
        Self {
            resident_kib: kib.and_then(|kib| kib.parse().ok()).unwrap_or(0),
            descriptors: entries("/proc/self/fd"),
            threads: entries("/proc/self/task"),
        }
    }
}

fn id(number: u64) -> String {
    format!("account-{number}")
}

struct Load {
    all: Latencies,
    /// Those of the current tenth.
    recent: std::sync::Mutex<Arc<Latencies>>,
    /// Answered commands by aggregate.
    answered: Vec<AtomicU64>,
    over: AtomicBool,
}

async fn client(store: AggregateStore, load: Arc<Load>, seed: u64) {
    let mut random = seed * 2 + 1;
    while !load.over.load(Ordering::Relaxed) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let number = random % load.answered.len() as u64;
        let started = Instant::now();
        let account = store.get::<Account>(&id(number)).await.expect("an account");
        account.send(Deposit).await.expect("a deposit");
        let latency = started.elapsed();
        load.all.add(latency);
        let recent = load.recent.lock().expect("nobody panicked").clone();
        recent.add(latency);
        let index = usize::try_from(number).expect("it is an index");
        load.answered[index].fetch_add(1, Ordering::Relaxed);
    }
}

async fn soak(options: &Options, base: &std::path::Path) {
    let store = AggregateStore::builder(base)
        .idle_timeout(options.idle)
        .open()
        .await
        .expect("a store");
    let load = Arc::new(Load {
        all: Latencies::new(),
        recent: std::sync::Mutex::new(Arc::new(Latencies::new())),
        answered: (0..options.aggregates).map(|_| AtomicU64::new(0)).collect(),
        over: AtomicBool::new(false),
    });
    let clients: Vec<_> = (0..CLIENTS)
        .map(|seed| tokio::spawn(client(store.clone(), load.clone(), seed)))
        .collect();
    let started = Instant::now();
    println!("  tenth   commands/s   p50 ms   p99 ms  p99.9 ms   RSS KiB  descriptors  threads");
    let mut usages = Vec::new();
    let mut before = started;
    for tenth in 1..=10_u32 {
        let until = started + Duration::from_millis(options.seconds * 100) * tenth;
        tokio::time::sleep_until(until.into()).await;
        let usage = Usage::now();
        let fresh = Arc::new(Latencies::new());
        let recent = std::mem::replace(&mut *load.recent.lock().expect("nobody panicked"), fresh);
        print_row(&tenth.to_string(), &recent, before.elapsed(), usage);
        before = Instant::now();
        usages.push(usage);
    }
    load.over.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.expect("a client");
    }
    print_row("all", &load.all, started.elapsed(), usages[9]);
    store.shutdown().await.expect("a store in order");
    drop(store);

    #[allow(clippy::cast_precision_loss)]
    let ratio = |a: u64, b: u64| a as f64 / b.max(1) as f64;
    let (first, last) = (usages[0].resident_kib, usages[9].resident_kib);
    println!(
        "RSS at the end is {:.2} of that after the first tenth",
        ratio(last, first)
    );
    let (p50, p999) = (load.all.percentile(500), load.all.percentile(999));
    println!("p99.9 is {:.1} x p50", ratio(p999, p50));

    let store = AggregateStore::open(base).await.expect("the store again");
    for (number, answered) in load.answered.iter().enumerate() {
        let account = store.get::<Account>(&id(number as u64)).await;
        let state = account.expect("an account").state().await.expect("a state");
        let answered = answered.load(Ordering::Relaxed);
        assert_eq!((state.deposits, state.balance), (answered, answered * 5));
    }
    store.shutdown().await.expect("a store in order");
    println!("{} commands answered, all of them there", load.all.count());
}

fn print_row(name: &str, latencies: &Latencies, time: Duration, usage: Usage) {
    #[allow(clippy::cast_precision_loss)]
    let ms = |per_mille| latencies.percentile(per_mille) as f64 / 1_000.0;
    #[allow(clippy::cast_precision_loss)]
    let rate = latencies.count() as f64 / time.as_secs_f64();
    println!(
        "{name:>7} {rate:>12.0} {:>8.2} {:>8.2} {:>9.2} {:>9} {:>12} {:>8}",
        ms(500),
        ms(990),
        ms(999),
        usage.resident_kib,
        usage.descriptors,
        usage.threads
    );
}

fn main() -> ExitCode {
    let options = match Options::from_args() {
        Ok(Some(options)) => options,
        Ok(None) => return ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}; --seconds S, --aggregates N and --idle-ms MS are");
            return ExitCode::FAILURE;
        }
    };
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(soak(&options, dir.path()));
    ExitCode::SUCCESS
}
