//! The read model: a table of accounts, and the position up to which it has the events.

use std::future::poll_fn;
use std::io;
use std::path::Path;
use std::pin::pin;
use std::task::Poll;

use anyhow::Context;
use eventfold_es::{Position, RecordedEvent, Subscription};
use rusqlite::{Connection, Transaction, params};

use crate::bank::{BankAccount, BankAccountEvent};

/// How many events one transaction takes at most.
const AT_ONCE: usize = 200;

/// The accounts in SQLite.
pub(crate) struct Accounts(Connection);

/// One line of the table.
#[derive(Debug, PartialEq)]
pub(crate) struct Account {
    pub(crate) id: String,
    pub(crate) balance: i64,
    /// How many events it had.
    pub(crate) events: i64,
}

impl Accounts {
    pub(crate) fn open(file: &Path) -> anyhow::Result<Self> {
        let connection = Connection::open(file)
            .with_context(|| format!("{} cannot be opened", file.display()))?;
        // What a power failure takes back of this, the subscription delivers again.
        connection.execute_batch(
            "PRAGMA journal_mode = WAL;
             PRAGMA synchronous = NORMAL;
             CREATE TABLE IF NOT EXISTS account (
                 id TEXT PRIMARY KEY, balance INTEGER NOT NULL, events INTEGER NOT NULL
             );
             CREATE TABLE IF NOT EXISTS progress (position TEXT NOT NULL);
             INSERT INTO progress SELECT '0' WHERE NOT EXISTS (SELECT * FROM progress);",
        )?;
        Ok(Self(connection))
    }

    /// All events up to here are in the table.
    pub(crate) fn position(&self) -> anyhow::Result<Position> {
        let query = "SELECT position FROM progress";
        let position: String = self.0.query_row(query, [], |row| row.get(0))?;
        Ok(position.parse()?)
    }

    /// Waits for an event and applies it in one transaction with those that have come in with it.
    /// Returns why there will be no more, at the end.
    pub(crate) async fn apply_next(
        &mut self,
        events: &mut Subscription,
    ) -> anyhow::Result<Option<io::Error>> {
        let mut next = events.next().await;
        let transaction = self.0.transaction()?;
        let mut end = None;
        for left in (0..AT_ONCE).rev() {
            match next {
                Some(Ok(event)) => apply(&transaction, &event)?,
                Some(Err(why)) => end = Some(why),
                None => break,
            }
            next = if left > 0 { ready(events).await } else { None };
        }
        transaction.commit()?;
        Ok(end)
    }

    /// The table, by id.
    pub(crate) fn all(&self) -> anyhow::Result<Vec<Account>> {
        let query = "SELECT id, balance, events FROM account ORDER BY id";
        let mut query = self.0.prepare(query)?;
        let accounts = query.query_map([], |row| {
            Ok(Account {
                id: row.get(0)?,
                balance: row.get(1)?,
                events: row.get(2)?,
            })
        })?;
        Ok(accounts.collect::<rusqlite::Result<_>>()?)
    }
}

/// The next event if it has been read already.
async fn ready(events: &mut Subscription) -> Option<io::Result<RecordedEvent>> {
    let mut next = pin!(events.next());
    poll_fn(|context| {
        Poll::Ready(match next.as_mut().poll(context) {
            Poll::Ready(event) => event,
            Poll::Pending => None,
        })
    })
    .await
}

/// Writes what an event means, and that it was dealt with.
fn apply(transaction: &Transaction<'_>, event: &RecordedEvent) -> anyhow::Result<()> {
    let mut write = transaction.prepare_cached(
        "INSERT INTO account VALUES (?1, ?2, 1)
         ON CONFLICT (id) DO UPDATE SET balance = balance + ?2, events = events + 1",
    )?;
    for decoded in event.decode::<BankAccount>()? {
        let change = match decoded {
            BankAccountEvent::Deposited(event) => i64::try_from(event.amount)?,
            BankAccountEvent::Withdrawn(event) => -i64::try_from(event.amount)?,
        };
        write.execute(params![event.id(), change])?;
    }
    let mut progress = transaction.prepare_cached("UPDATE progress SET position = ?1")?;
    progress.execute([event.position().to_string()])?;
    Ok(())
}
