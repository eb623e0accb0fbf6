//! Aggregates that nobody uses: what ids that do not exist cost, and what idle aggregates cost at
//! shutdown.
//!
//! ```text
//! cargo bench -p eventfold-es --bench idle
//! ```

use std::time::{Duration, Instant};

use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

const AGGREGATES: u64 = 20_000;

#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(commands(Deposit), events(Deposited))]
struct Account {
    balance: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Deposit(u64);

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Deposited {
    amount: u64,
}

impl Decide<Deposit> for Account {
    fn decide(&self, Deposit(amount): Deposit) -> Decision<Self> {
        Ok(events![Deposited { amount }])
    }
}

impl Evolve<Deposited> for Account {
    fn evolve(&mut self, event: &Deposited) {
        self.balance += event.amount;
    }
}

type Result = std::result::Result<(), Box<dyn std::error::Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Result {
    // Each in a process of its own, since memory that is free again stays with the process.
    match std::env::var(SCENARIO).as_deref() {
        Ok("gets") => absent(false).await,
        Ok("gets and states") => absent(true).await,
        Ok(_) => existing().await,
        Err(_) => {
            for scenario in ["gets", "gets and states", "idle aggregates"] {
                let mut child = std::process::Command::new(std::env::current_exe()?);
                child.env(SCENARIO, scenario).status()?;
            }
            Ok(())
        }
    }
}

/// Names what a child process measures.
const SCENARIO: &str = "EVENTFOLD_BENCH_SCENARIO";

async fn absent(reads_state: bool) -> Result {
    let dir = tempfile::tempdir()?;
    let store = AggregateStore::open(dir.path()).await?;
    let before = resident_kib();
    for i in 0..AGGREGATES {
        let handle = store.get::<Account>(&format!("{:x}", random(i))).await?;
        if reads_state {
            handle.state().await?;
        }
    }
    let what = if reads_state {
        "gets and states"
    } else {
        "gets"
    };
    let grown = resident_kib().saturating_sub(before);
    let shutdown = shutdown(&store).await?;
    println!("{AGGREGATES} {what} of ids that do not exist: {grown} KiB, shutdown {shutdown:?}");
    Ok(())
}

async fn existing() -> Result {
    let dir = tempfile::tempdir()?;
    let store = AggregateStore::open(dir.path()).await?;
    let mut writers = tokio::task::JoinSet::new();
    for i in 0..AGGREGATES {
        if writers.len() == 500 {
            writers.join_next().await.transpose()?.transpose()?;
        }
        let store = store.clone();
        writers.spawn(async move {
            let handle = store.get::<Account>(&i.to_string()).await?;
            handle
                .send(Deposit(1))
                .await
                .map_err(std::io::Error::other)?;
            std::io::Result::Ok(())
        });
    }
    while let Some(written) = writers.join_next().await {
        written??;
    }
    // Syncs the files of new streams, which takes time by their number.
    store.shutdown().await?;

    let store = AggregateStore::open(dir.path()).await?;
    for i in 0..AGGREGATES {
        let handle = store.get::<Account>(&i.to_string()).await?;
        assert_eq!(handle.version().await?, 1);
    }
    let shutdown = shutdown(&store).await?;
    println!("{AGGREGATES} idle aggregates with events: shutdown {shutdown:?}");

    // For comparison: nothing is in memory, and nothing is new.
    let store = AggregateStore::open(dir.path()).await?;
    let shutdown = self::shutdown(&store).await?;
    println!("none of them in memory: shutdown {shutdown:?}");
    Ok(())
}

async fn shutdown(store: &AggregateStore) -> std::io::Result<Duration> {
    let start = Instant::now();
    store.shutdown().await?;
    Ok(start.elapsed())
}

/// The memory of this process, 0 where the system does not say.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// A number that looks random.
fn random(seed: u64) -> u64 {
    let mut mixed = (seed + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed ^ (mixed >> 31)
}
