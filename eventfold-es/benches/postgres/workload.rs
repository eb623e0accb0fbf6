//! What the stores of the bench do.

use std::time::{Duration, Instant};

use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::Result;

#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(commands(Deposit), events(Deposited), snapshot(every = 1_000_000))]
pub(crate) struct Account {
    pub(crate) events: u64,
    balance: u64,
}

/// Stores so many events.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Deposit(u64);

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
pub(crate) struct Deposited {
    amount: u64,
}

impl Decide<Deposit> for Account {
    fn decide(&self, Deposit(events): Deposit) -> Decision<Self> {
        let deposited = (0..events).map(|amount| Deposited { amount }.into());
        Ok(deposited.collect())
    }
}

impl Evolve<Deposited> for Account {
    fn evolve(&mut self, event: &Deposited) {
        self.events += 1;
        self.balance += event.amount;
    }
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, Projection)]
#[projection(aggregates(Account))]
pub(crate) struct Totals {
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

/// Clients that command an aggregate each.
pub(crate) struct Clients(Vec<AggregateHandle<Account>>);

impl Clients {
    pub(crate) async fn new(store: &AggregateStore, count: usize) -> Result<Self> {
        Self::of(store, "account", count).await
    }

    /// The ids of their aggregates begin with `name`.
    pub(crate) async fn of(store: &AggregateStore, name: &str, count: usize) -> Result<Self> {
        let mut handles = Vec::new();
        for client in 0..count {
            handles.push(store.get(&format!("{name}-{client}")).await?);
        }
        Ok(Self(handles))
    }

    /// Lets all send commands for so long, and returns how many were stored in a second.
    pub(crate) async fn run(&self, time: Duration) -> Result<f64> {
        let start = Instant::now();
        let mut tasks = JoinSet::new();
        for handle in &self.0 {
            let handle = handle.clone();
            tasks.spawn(async move {
                let mut stored = 0_u32;
                while start.elapsed() < time {
                    handle.send(Deposit(1)).await?;
                    stored += 1;
                }
                Result::Ok(stored)
            });
        }
        let mut stored = 0;
        while let Some(done) = tasks.join_next().await {
            stored += done??;
        }
        Ok(f64::from(stored) / start.elapsed().as_secs_f64())
    }
}

/// Stores events of so many aggregates, ten by each command.
pub(crate) async fn fill(store: &AggregateStore, aggregates: u64, events: u64) -> Result {
    const CLIENTS: u64 = 256;
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let store = store.clone();
        clients.spawn(async move {
            let mut command = client;
            while command < events / 10 {
                let id = format!("account-{}", command % aggregates);
                let account = store.get::<Account>(&id).await?;
                account.send(Deposit(10)).await?;
                command += CLIENTS;
            }
            Result::Ok(())
        });
    }
    while let Some(done) = clients.join_next().await {
        done??;
    }
    Ok(())
}
