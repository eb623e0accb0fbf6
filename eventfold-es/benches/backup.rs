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
    let periods = number("EVENTFOLD_PERIODS", 5);
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
    tokio::time::sleep(seconds).await;
    let copied = Arc::new(AtomicU64::new(0));
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for period in 0..periods {
        without.push(rate_of(&sent, tokio::time::sleep(seconds)).await);
        // Each period copies the whole store, again and again.
        let backups = async {
            let start = Instant::now();
            for i in 0.. {
                let to = dir.path().join(format!("backup-{period}-{i}"));
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
                    Err(_) => break,
                }
                std::fs::remove_dir_all(&to)?;
            }
            Result::Ok(())
        };
        with.push(rate_of(&sent, backups).await);
    }
    stop.store(true, Ordering::Relaxed);
    while let Some(client) = clients.join_next().await {
        client??;
    }
    println!("commands a second without a backup: {without:.0?}");
    println!("commands a second beside backups:   {with:.0?}");
    let (without, with) = (median(without), median(with));
    println!(
        "median {without:.0} without, {with:.0} beside: {:+.1} %",
        (with / without - 1.0) * 100.0
    );
    println!(
        "{} MiB copied",
        copied.load(Ordering::Relaxed) / 1024 / 1024
    );
    store.shutdown().await?;
    Ok(())
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
