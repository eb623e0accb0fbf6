//! A read model in a real database: accounts in SQLite, fed by a subscription, exact whatever
//! happens in between.
//!
//! ```text
//! cargo run --example read_model              # in a temporary directory
//! cargo run --example read_model -- ./data    # in a directory that stays; kill it, run it again
//! ```
//!
//! What makes it exact: the position of the last event is written in the transaction that writes
//! what the event means (`accounts.rs`), and the subscription begins behind that position. A
//! process that is killed in between has done both or neither.

mod accounts;
mod bank;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use anyhow::Context;
use eventfold_es::prelude::*;
use tokio::task::JoinHandle;

use accounts::Accounts;
use bank::{BankAccount, Deposit, Withdraw};

/// How many commands one run sends.
const COMMANDS: u64 = 2_000;
/// How many accounts there are.
const ACCOUNTS: u64 = 5;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let temporary = tempfile::tempdir()?;
    let dir = std::env::args_os().nth(1).map(PathBuf::from);
    let dir = dir.unwrap_or_else(|| temporary.path().to_owned());
    println!("Events and read model are in {}.", dir.display());

    let store = AggregateStore::open(dir.join("events")).await?;
    // Both at once: the read model is filled while the commands are sent.
    let mut transactions = 0;
    let following = follow(&store, &dir, move |accounts| {
        transactions += 1;
        if transactions % 250 == 0 {
            println!("  the read model is at event {}", accounts.position()?);
        }
        Ok(())
    })?;
    for number in 0..COMMANDS {
        send(&store, number).await?;
    }
    // The subscription ends with the store, once everything is delivered.
    store.shutdown().await?;
    following.await??;

    println!("In the read model:");
    for account in Accounts::open(&dir.join("accounts.sqlite"))?.all()? {
        let (id, balance, events) = (account.id, account.balance, account.events);
        println!("  {id}: {balance}, after {events} events");
    }
    Ok(())
}

/// Deposits something, and now and then withdraws what is there.
async fn send(store: &AggregateStore, number: u64) -> anyhow::Result<()> {
    let id = format!("account-{}", number % ACCOUNTS);
    let account = store.get::<BankAccount>(&id).await?;
    if number % 7 == 6 {
        account.send(Withdraw).await?;
    } else {
        let amount = number % 100 + 1;
        account.send(Deposit { amount }).await?;
    }
    Ok(())
}

/// Feeds the read model in `dir` until the store is shut down. `done` is called after each
/// transaction.
fn follow(
    store: &AggregateStore,
    dir: &Path,
    mut done: impl FnMut(&Accounts) -> anyhow::Result<()> + Send + 'static,
) -> anyhow::Result<JoinHandle<anyhow::Result<()>>> {
    let mut accounts = Accounts::open(&dir.join("accounts.sqlite"))?;
    let events = store.subscribe(accounts.position()?);
    let mut events = events.aggregate::<BankAccount>();
    let runtime = tokio::runtime::Handle::current();
    // SQLite blocks, so it has a thread of its own.
    Ok(tokio::task::spawn_blocking(move || {
        loop {
            let end = runtime.block_on(accounts.apply_next(&mut events))?;
            done(&accounts)?;
            if let Some(why) = end {
                // Anything but a shutdown is a reason to look into it.
                return match why.kind() {
                    std::io::ErrorKind::NotConnected => Ok(()),
                    _ => Err(why).context("the read model cannot go on"),
                };
            }
        }
    }))
}
