//! A read model in a real database: accounts in SQLite, exact whatever happens in between.
//!
//! ```text
//! cargo run -p eventfold-es-example-read-model --example read_model              # in a temporary directory
//! cargo run -p eventfold-es-example-read-model --example read_model -- ./data    # in one that stays
//! sqlite3 data/projections/accounts/v1.sqlite 'SELECT * FROM account'            # also meanwhile
//! ```
//!
//! `accounts.rs` has all of it: the tables, and what each event means for them. The store writes its
//! position in the same transaction. A process that is killed in between has done both or neither.

mod accounts;
mod bank;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use eventfold_es::prelude::*;

use accounts::{Accounts, richest};
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

    let store = open(&dir).await?;
    let accounts = store.sql::<Accounts>().await?;
    println!("The read model is in {}.", accounts.path().display());
    for number in 0..COMMANDS {
        send(&store, number).await?;
        if number % 500 == 499 {
            // It includes everything that was answered before.
            let balance = "SELECT sum(balance) FROM account";
            let sum = accounts.query(move |db| db.query_row(balance, [], |row| row.get(0)));
            let sum: i64 = sum.await?;
            println!(
                "  after {} commands there is {sum} in all accounts",
                number + 1
            );
        }
    }
    for account in accounts.query(|db| richest(db)).await? {
        let (id, balance, events) = (account.id, account.balance, account.events);
        println!("  {id}: {balance}, after {events} events");
    }
    store.shutdown().await?;
    Ok(())
}

async fn open(dir: &Path) -> std::io::Result<AggregateStore> {
    AggregateStore::builder(dir)
        .sql(Accounts)
        .live()
        .open()
        .await
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
