//! The read side: what a read costs when nothing is new, and how fast a projection catches up, with
//! the number of streams varied.
//!
//! ```text
//! cargo bench -p eventfold-es --bench read_side
//! ```
//!
//! The goals: at most 5 µs for a read at any number of streams, and at least 1,000,000 events per
//! second.

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use eventfold_es::prelude::*;
use eventfold_es::{Position, RebuildProgress};
use serde::{Deserialize, Serialize};

/// How many events there are, whatever the number of streams.
const EVENTS: usize = 500_000;
/// How many events a command stores.
const BATCH: usize = 5;
/// How many commands are under way together.
const CLIENTS: usize = 256;
/// How often what takes long is measured; the best counts.
const RUNS: usize = 3;

#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(commands(Deposit), events(Deposited), snapshot(every = 1_000_000))]
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
        Ok((0..BATCH).map(|_| Deposited { amount }.into()).collect())
    }
}

impl Evolve<Deposited> for Account {
    fn evolve(&mut self, event: &Deposited) {
        self.balance += event.amount;
    }
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, Projection)]
#[projection(aggregates(Account))]
struct Totals {
    events: u64,
    amount: u64,
}

impl Project<Account> for Totals {
    fn project(&mut self, event: &AccountEvent, _: &Recorded<'_>) {
        let AccountEvent::Deposited(event) = event;
        self.events += 1;
        self.amount += event.amount;
    }
}

/// The same by 0.2.0's trait, on events as JSON.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Untyped {
    events: u64,
    amount: u64,
}

impl Projection for Untyped {
    const NAME: &'static str = "untyped";

    fn subscriptions(&self) -> &'static [&'static str] {
        &["account"]
    }

    fn apply(&mut self, _: &str, _: &str, event: &eventfold::Event) {
        self.events += 1;
        self.amount += event.data["amount"].as_u64().unwrap_or(0);
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("streams | idle projection() | idle read() | catch-up typed | untyped | subscription");
    for streams in [10, 1_000, 100_000] {
        // What is read stands in memory anyway: the journal was just written.
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir())?;
        let store = filled(dir.path(), streams).await?;
        let events = store.projection::<Totals>()?.events;

        let idle = each(|| store.projection::<Totals>().map(black_box));
        let start = Instant::now();
        let reads = 100_000;
        for _ in 0..reads {
            black_box(store.read(|totals: &Totals| totals.events).await?);
        }
        let idle_read = start.elapsed() / reads;

        let mut typed = f64::MAX;
        let mut untyped = f64::MAX;
        let mut subscribed = f64::MAX;
        for _ in 0..RUNS {
            let start = Instant::now();
            store.rebuild_projection::<Totals>()?;
            typed = typed.min(start.elapsed().as_secs_f64());
            let start = Instant::now();
            store.rebuild_projection::<Untyped>()?;
            untyped = untyped.min(start.elapsed().as_secs_f64());
            let start = Instant::now();
            let mut subscription = store.subscribe(Position::default());
            for _ in 0..events {
                black_box(subscription.next().await.ok_or("the end")??);
            }
            subscribed = subscribed.min(start.elapsed().as_secs_f64());
        }
        #[expect(clippy::cast_precision_loss, reason = "it is for showing")]
        let rate = |seconds: f64| events as f64 / seconds / 1e6;
        println!(
            "{streams:>7} | {idle:>17?} | {idle_read:>11?} | {:>7.2} M ev/s | {:>7.2} | {:>7.2}",
            rate(typed),
            rate(untyped),
            rate(subscribed),
        );
        let progress: Option<Result<RebuildProgress, _>> = store.rebuild::<Totals>().next().await;
        let _ = black_box(progress);
        store.shutdown().await?;
    }
    Ok(())
}

/// A store with all events, spread over `streams` streams.
async fn filled(dir: &Path, streams: usize) -> Result<AggregateStore, Box<dyn std::error::Error>> {
    let store = AggregateStore::builder(dir)
        .projection::<Totals>()
        .projection::<Untyped>()
        .idle_timeout(Duration::from_secs(3_600))
        .open()
        .await?;
    let mut clients = tokio::task::JoinSet::new();
    for client in 0..CLIENTS {
        let store = store.clone();
        clients.spawn(async move {
            for command in (client..EVENTS / BATCH).step_by(CLIENTS) {
                let id = format!("account-{}", command % streams);
                let account = store.get::<Account>(&id).await?;
                account
                    .send(Deposit(5))
                    .await
                    .map_err(std::io::Error::other)?;
            }
            Ok::<_, std::io::Error>(())
        });
    }
    while let Some(done) = clients.join_next().await {
        done??;
    }
    Ok(store)
}

/// How long one call takes.
fn each<T>(call: impl Fn() -> T) -> Duration {
    let calls = 100_000;
    let start = Instant::now();
    for _ in 0..calls {
        black_box(call());
    }
    start.elapsed() / calls
}
