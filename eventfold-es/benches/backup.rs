//! What a backup costs the writers: the rate of 64 clients in periods with and without a running
//! backup, in turn.
//!
//! ```text
//! cargo bench -p eventfold-es --bench backup
//! EVENTFOLD_SECONDS=60 EVENTFOLD_PERIODS=5 cargo bench -p eventfold-es --bench backup
//! EVENTFOLD_BYTES_PER_SECOND=100000000 cargo bench -p eventfold-es --bench backup
//! ```

use std::future::IntoFuture as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

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

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

const CLIENTS: u64 = 64;

fn number(name: &str, default: u64) -> u64 {
    let given = std::env::var(name).ok();
    given.and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[tokio::main]
async fn main() -> Result {
    let seconds = Duration::from_secs(number("EVENTFOLD_SECONDS", 5));
    let (mut without, mut with, mut copied) = (Vec::new(), Vec::new(), 0);
    for _ in 0..number("EVENTFOLD_PERIODS", 5) {
        let pair = pair(seconds).await?;
        without.push(pair.without);
        with.push(pair.with);
        copied += pair.copied;
    }
    println!("commands a second without a backup: {without:.0?}");
    println!("commands a second beside backups:   {with:.0?}");
    let (without, with) = (median(without), median(with));
    let change = (with / without - 1.0) * 100.0;
    println!("median {without:.0} without, {with:.0} beside: {change:+.1} %");
    println!("{} MiB copied", copied / 1024 / 1024);
    Ok(())
}

struct Pair {
    without: f64,
    with: f64,
    copied: u64,
}

/// One period without backups and one beside them, in a new store: a store of all periods would fill
/// the disk.
async fn pair(seconds: Duration) -> Result<Pair> {
    let rate = number("EVENTFOLD_BYTES_PER_SECOND", 0);
    let dir = tempfile::tempdir_in(std::env::var("EVENTFOLD_DIR").unwrap_or(".".to_owned()))?;
    let store = AggregateStore::open(dir.path().join("store")).await?;
    let (sent, stop) = (
        Arc::new(AtomicU64::new(0)),
        Arc::new(AtomicBool::new(false)),
    );
    let mut clients = tokio::task::JoinSet::new();
    for client in 0..CLIENTS {
        let (store, sent, stop) = (store.clone(), sent.clone(), stop.clone());
        clients.spawn(async move {
            let account = store.get::<Account>(&client.to_string()).await?;
            while !stop.load(Ordering::Relaxed) {
                account.send(Deposit(1)).await?;
                sent.fetch_add(1, Ordering::Relaxed);
            }
            Result::Ok(())
        });
    }
    tokio::time::sleep(seconds / 10).await;
    let without = rate_of(&sent, tokio::time::sleep(seconds)).await;
    let copied = Arc::new(AtomicU64::new(0));
    // Each backup copies the whole store, again and again.
    let backups = async {
        let start = Instant::now();
        let to = dir.path().join("backup");
        loop {
            let (copied, mut before) = (copied.clone(), 0);
            let mut backup = store.backup(&to).on_progress(move |done, _| {
                copied.fetch_add(done - before, Ordering::Relaxed);
                before = done;
            });
            if rate > 0 {
                backup = backup.bytes_per_second(rate);
            }
            let left = seconds.saturating_sub(start.elapsed());
            match tokio::time::timeout(left, backup.into_future()).await {
                Ok(report) => drop(report?),
                Err(_) => return Result::Ok(()),
            }
            std::fs::remove_dir_all(&to)?;
        }
    };
    let with = rate_of(&sent, backups).await;
    stop.store(true, Ordering::Relaxed);
    while let Some(client) = clients.join_next().await {
        client??;
    }
    store.shutdown().await?;
    let copied = copied.load(Ordering::Relaxed);
    Ok(Pair {
        without,
        with,
        copied,
    })
}

/// Commands a second while `work` runs.
async fn rate_of<T>(sent: &AtomicU64, work: impl Future<Output = T>) -> f64 {
    let (before, start) = (sent.load(Ordering::Relaxed), Instant::now());
    work.await;
    let done = sent.load(Ordering::Relaxed) - before;
    #[expect(clippy::cast_precision_loss, reason = "it is for showing")]
    let done = done as f64;
    done / start.elapsed().as_secs_f64()
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}
