//! How fast a read model in SQLite catches up, against a loop that an expert writes by hand: a
//! subscription, a transaction for thousands of events, prepared statements, the position in the same
//! transaction. And against SQLite alone, which writes the same rows from memory.
//!
//! ```text
//! cd tests/sqlite && cargo bench --bench catch_up
//! ```
//!
//! All three take turns in one run. The goal: at least 0.7 times as many events per second as the
//! hand-written loop.

use std::future::poll_fn;
use std::path::Path;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use eventfold_es::prelude::*;
use eventfold_es::rusqlite::{self, Connection, Transaction, params};
use eventfold_es::{ProjectSql, RecordedEvent, SqlProjection, SqlSchema, Subscription};
use serde::{Deserialize, Serialize};

/// How many events there are.
const EVENTS: u64 = 200_000;
/// How many accounts they belong to.
const ACCOUNTS: u64 = 5_000;
/// How many events a command stores.
const EACH: u64 = 4;
/// How many commands are under way together.
const CLIENTS: usize = 128;
/// How many events the hand-written loop takes in one transaction at most.
const AT_ONCE: usize = 8 * 1024;
/// How often each is measured; the median counts.
const ROUNDS: usize = 7;

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
    reference: String,
}

impl Decide<Deposit> for Account {
    fn decide(&self, Deposit(amount): Deposit) -> Decision<Self> {
        let deposited = |number| Deposited {
            amount,
            reference: format!("transfer {number}"),
        };
        Ok((0..EACH).map(|number| deposited(number).into()).collect())
    }
}

impl Evolve<Deposited> for Account {
    fn evolve(&mut self, event: &Deposited) {
        self.balance += event.amount;
    }
}

const SCHEMA: &str = "
    CREATE TABLE accounts (
        id TEXT PRIMARY KEY, balance INTEGER NOT NULL, deposits INTEGER NOT NULL, reference TEXT NOT NULL
    ) STRICT";
const WRITE: &str = "
    INSERT INTO accounts VALUES (?1, ?2, 1, ?3)
    ON CONFLICT (id) DO UPDATE SET
        balance = balance + ?2, deposits = deposits + 1, reference = ?3";

fn write(db: &Connection, id: &str, event: &Deposited) -> rusqlite::Result<()> {
    let amount = i64::try_from(event.amount).unwrap_or(i64::MAX);
    let mut write = db.prepare_cached(WRITE)?;
    write.execute(params![id, amount, event.reference])?;
    Ok(())
}

#[derive(SqlProjection)]
#[projection(name = "accounts", aggregates(Account))]
struct Accounts;

impl SqlSchema for Accounts {
    const SCHEMA: &'static str = SCHEMA;
}

impl ProjectSql<Account> for Accounts {
    fn project(
        &self,
        tx: &Transaction<'_>,
        event: &AccountEvent,
        record: &Recorded<'_>,
    ) -> rusqlite::Result<()> {
        let AccountEvent::Deposited(event) = event;
        write(tx, record.id(), event)
    }
}

fn sum(db: &Connection) -> rusqlite::Result<(i64, i64)> {
    let query = "SELECT sum(balance), sum(deposits) FROM accounts";
    db.query_row(query, [], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// The read model, from no file to all events.
async fn read_model(dir: &Path) -> (Duration, (i64, i64)) {
    let store = AggregateStore::builder(dir).sql(Accounts).open().await;
    let store = store.expect("the store opens");
    let accounts = store.sql::<Accounts>().await.expect("it is registered");
    let start = Instant::now();
    let sum = accounts.query(|db| sum(db)).await.expect("a query");
    let took = start.elapsed();
    store.shutdown().await.expect("the store ends");
    std::fs::remove_dir_all(dir.join("projections")).expect("the tables can be removed");
    (took, sum)
}

fn open(file: &Path) -> Connection {
    let db = Connection::open(file).expect("a file");
    db.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL")
        .expect("pragmas");
    db.execute_batch(SCHEMA).expect("tables");
    db.execute_batch(
        "CREATE TABLE progress (position TEXT NOT NULL); INSERT INTO progress VALUES ('0')",
    )
    .expect("tables");
    db
}

/// The next event if it has been read already.
async fn ready(events: &mut Subscription) -> Option<RecordedEvent> {
    let mut next = pin!(events.next());
    let ready = poll_fn(|context| {
        Poll::Ready(match next.as_mut().poll(context) {
            Poll::Ready(event) => event,
            Poll::Pending => None,
        })
    });
    ready.await?.ok()
}

/// The hand-written loop, from no file to all events.
async fn by_hand(dir: &Path) -> (Duration, (i64, i64)) {
    let store = AggregateStore::open(dir).await.expect("the store opens");
    let file = dir.with_extension("by_hand.sqlite");
    let mut db = open(&file);
    let head = store.head();
    let mut events = store.subscribe(Position::default()).aggregate::<Account>();
    let runtime = tokio::runtime::Handle::current();
    let start = Instant::now();
    let looping = tokio::task::spawn_blocking(move || -> rusqlite::Result<(i64, i64)> {
        let mut position = Position::default();
        while position < head {
            let tx = db.transaction()?;
            for _ in 0..AT_ONCE {
                // It waits, because a subscription is read a few hundred events ahead.
                let event = match runtime.block_on(ready(&mut events)) {
                    Some(event) => event,
                    None if position < head => match runtime.block_on(events.next()) {
                        Some(Ok(event)) => event,
                        _ => break,
                    },
                    None => break,
                };
                position = event.position();
                for decoded in event.decode::<Account>().expect("it is known") {
                    let AccountEvent::Deposited(decoded) = decoded;
                    write(&tx, event.id(), &decoded)?;
                }
                if position >= head {
                    break;
                }
            }
            let mut progress = tx.prepare_cached("UPDATE progress SET position = ?1")?;
            progress.execute([position.to_string()])?;
            drop(progress);
            tx.commit()?;
        }
        sum(&db)
    });
    let sum = looping.await.expect("no panic").expect("it is written");
    let took = start.elapsed();
    store.shutdown().await.expect("the store ends");
    remove(&file);
    (took, sum)
}

/// The same rows from memory: what SQLite takes by itself.
fn alone(dir: &Path, events: &[(String, Deposited)]) -> (Duration, (i64, i64)) {
    let file = dir.with_extension("alone.sqlite");
    let mut db = open(&file);
    let start = Instant::now();
    for some in events.chunks(AT_ONCE) {
        let tx = db.transaction().expect("a transaction");
        for (id, event) in some {
            write(&tx, id, event).expect("a row");
        }
        tx.commit().expect("a commit");
    }
    let sum = sum(&db).expect("a query");
    let took = start.elapsed();
    drop(db);
    remove(&file);
    (took, sum)
}

fn remove(file: &Path) {
    for suffix in ["", "-wal", "-shm"] {
        let mut name = file.as_os_str().to_owned();
        name.push(suffix);
        let _ = std::fs::remove_file(name);
    }
}

async fn fill(dir: &Path) {
    let store = AggregateStore::open(dir).await.expect("the store opens");
    let mut clients = Vec::new();
    for client in 0..CLIENTS as u64 {
        let store = store.clone();
        clients.push(tokio::spawn(async move {
            for number in (client..EVENTS / EACH).step_by(CLIENTS) {
                let id = format!("account-{}", number * 7919 % ACCOUNTS);
                let account = store.get::<Account>(&id).await.expect("a handle");
                account.send(Deposit(number % 100)).await.expect("a commit");
            }
        }));
    }
    for client in clients {
        client.await.expect("no panic");
    }
    store.shutdown().await.expect("the store ends");
}

async fn in_memory(dir: &Path) -> Vec<(String, Deposited)> {
    let store = AggregateStore::open(dir).await.expect("the store opens");
    let head = store.head();
    let mut subscription = store.subscribe(Position::default()).aggregate::<Account>();
    let mut events = Vec::new();
    while let Some(Ok(event)) = subscription.next().await {
        for decoded in event.decode::<Account>().expect("it is known") {
            let AccountEvent::Deposited(decoded) = decoded;
            events.push((event.id().to_owned(), decoded));
        }
        if event.position() >= head {
            break;
        }
    }
    store.shutdown().await.expect("the store ends");
    events
}

fn median(times: &mut [Duration]) -> f64 {
    times.sort_unstable();
    #[expect(clippy::cast_precision_loss, reason = "it is for showing")]
    let events = EVENTS as f64;
    events / times[times.len() / 2].as_secs_f64()
}

#[tokio::main]
async fn main() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = dir.path().join("store");
    fill(&store).await;
    let events = in_memory(&store).await;
    let (mut ours, mut hand, mut sqlite) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        // Whoever comes first changes.
        let one = if round % 2 == 0 {
            let one = read_model(&store).await;
            (one, by_hand(&store).await)
        } else {
            let other = by_hand(&store).await;
            (read_model(&store).await, other)
        };
        let third = alone(&store, &events);
        assert_eq!(one.0.1, one.1.1);
        assert_eq!(one.0.1, third.1);
        ours.push(one.0.0);
        hand.push(one.1.0);
        sqlite.push(third.0);
    }
    let (ours, hand, sqlite) = (median(&mut ours), median(&mut hand), median(&mut sqlite));
    println!(
        "{EVENTS} events of {ACCOUNTS} accounts, median of {ROUNDS} rounds, events per second:"
    );
    println!("  read model          {ours:>10.0}");
    println!("  hand-written loop   {hand:>10.0}");
    println!("  SQLite from memory  {sqlite:>10.0}");
    println!("  read model / hand-written loop: {:.2}", ours / hand);
}
