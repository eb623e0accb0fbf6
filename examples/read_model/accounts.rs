//! The read model: a table of accounts.

use eventfold_es::prelude::*;
use eventfold_es::rusqlite::{self, Connection, Transaction, params};
use eventfold_es::{ProjectSql, SqlProjection, SqlSchema};

use crate::bank::{BankAccount, BankAccountEvent};

/// The accounts in SQLite.
#[derive(SqlProjection)]
#[projection(name = "accounts", aggregates(BankAccount))]
pub(crate) struct Accounts;

impl SqlSchema for Accounts {
    const SCHEMA: &'static str = "
        CREATE TABLE account (
            id TEXT PRIMARY KEY,
            balance INTEGER NOT NULL,
            events INTEGER NOT NULL
        ) STRICT;
        CREATE INDEX account_by_balance ON account (balance);
    ";
}

impl ProjectSql<BankAccount> for Accounts {
    fn project(
        &self,
        tx: &Transaction<'_>,
        event: &BankAccountEvent,
        record: &Recorded<'_>,
    ) -> rusqlite::Result<()> {
        let change = match event {
            BankAccountEvent::Deposited(event) => event.amount.cast_signed(),
            BankAccountEvent::Withdrawn(event) => -event.amount.cast_signed(),
        };
        let mut write = tx.prepare_cached(
            "INSERT INTO account VALUES (?1, ?2, 1)
             ON CONFLICT (id) DO UPDATE SET balance = balance + ?2, events = events + 1",
        )?;
        write.execute(params![record.id(), change])?;
        Ok(())
    }
}

/// One line of the table.
#[derive(Debug, PartialEq)]
pub(crate) struct Account {
    pub(crate) id: String,
    pub(crate) balance: i64,
    /// How many events it had.
    pub(crate) events: i64,
}

/// The accounts, the richest first.
pub(crate) fn richest(db: &Connection) -> rusqlite::Result<Vec<Account>> {
    let query = "SELECT id, balance, events FROM account ORDER BY balance DESC, id";
    let mut query = db.prepare_cached(query)?;
    let accounts = query.query_map([], |row| {
        Ok(Account {
            id: row.get(0)?,
            balance: row.get(1)?,
            events: row.get(2)?,
        })
    })?;
    accounts.collect()
}
