//! The domain of the tests: orders with a total, and their read models.

use std::path::Path;
use std::sync::Mutex;

use eventfold_es::prelude::*;
use eventfold_es::rusqlite::{self, Transaction, params};
use eventfold_es::{ProjectSql, SqlProjection, SqlSchema};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(commands(Place, Note), events(Placed, Noted))]
pub(crate) struct Order {
    total: u64,
}

/// Adds an item of this price.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Place(pub(crate) u64);

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Note(pub(crate) String);

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
pub(crate) struct Placed {
    pub(crate) price: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
pub(crate) struct Noted {
    pub(crate) text: String,
}

impl Decide<Place> for Order {
    fn decide(&self, Place(price): Place) -> Decision<Self> {
        Ok(events![Placed { price }])
    }
}

impl Decide<Note> for Order {
    fn decide(&self, Note(text): Note) -> Decision<Self> {
        Ok(events![Noted { text }])
    }
}

impl Evolve<Placed> for Order {
    fn evolve(&mut self, event: &Placed) {
        self.total += event.price;
    }
}

impl Evolve<Noted> for Order {
    fn evolve(&mut self, _: &Noted) {}
}

/// The orders, one row each.
#[derive(Debug, Default, SqlProjection)]
#[projection(name = "orders", aggregates(Order))]
pub(crate) struct Orders;

pub(crate) const SCHEMA: &str = "
    CREATE TABLE orders (
        id TEXT PRIMARY KEY,
        total INTEGER NOT NULL CHECK (total < 1000000000),
        items INTEGER NOT NULL,
        note TEXT
    ) STRICT;
    CREATE INDEX orders_by_total ON orders (total);
";

impl SqlSchema for Orders {
    const SCHEMA: &'static str = SCHEMA;
}

impl ProjectSql<Order> for Orders {
    fn project(
        &self,
        tx: &Transaction<'_>,
        event: &OrderEvent,
        record: &Recorded<'_>,
    ) -> rusqlite::Result<()> {
        write(tx, event, record)
    }
}

pub(crate) fn write(
    tx: &Transaction<'_>,
    event: &OrderEvent,
    record: &Recorded<'_>,
) -> rusqlite::Result<()> {
    match event {
        OrderEvent::Placed(Placed { price }) => {
            let mut write = tx.prepare_cached(
                "INSERT INTO orders VALUES (?1, ?2, 1, NULL)
                 ON CONFLICT (id) DO UPDATE SET total = total + ?2, items = items + 1",
            )?;
            let price = i64::try_from(*price).unwrap_or(i64::MAX);
            write.execute(params![record.id(), price])?;
        }
        OrderEvent::Noted(Noted { text }) => {
            assert_ne!(text, "explode", "this note explodes");
            let mut write = tx.prepare_cached(
                "INSERT INTO orders VALUES (?1, 0, 0, ?2)
                 ON CONFLICT (id) DO UPDATE SET note = ?2",
            )?;
            write.execute(params![record.id(), text])?;
        }
    }
    Ok(())
}

/// The second version of the orders: another table, and the prices count double.
#[derive(Debug, Default, SqlProjection)]
#[projection(name = "orders", aggregates(Order), version = 2)]
pub(crate) struct DoubleOrders;

impl SqlSchema for DoubleOrders {
    const SCHEMA: &'static str =
        "CREATE TABLE doubled (id TEXT PRIMARY KEY, total INTEGER NOT NULL) STRICT";
}

/// Held by a test to let the second version wait before its next event.
pub(crate) static GATE: Mutex<()> = Mutex::new(());

impl ProjectSql<Order> for DoubleOrders {
    fn project(
        &self,
        tx: &Transaction<'_>,
        event: &OrderEvent,
        record: &Recorded<'_>,
    ) -> rusqlite::Result<()> {
        drop(GATE.lock());
        let OrderEvent::Placed(Placed { price }) = event else {
            return Ok(());
        };
        let mut write = tx.prepare_cached(
            "INSERT INTO doubled VALUES (?1, 2 * ?2)
             ON CONFLICT (id) DO UPDATE SET total = total + 2 * ?2",
        )?;
        write.execute(params![
            record.id(),
            i64::try_from(*price).unwrap_or(i64::MAX)
        ])?;
        Ok(())
    }
}

pub(crate) async fn open(dir: impl AsRef<Path>) -> AggregateStore {
    let store = AggregateStore::builder(dir).sql(Orders).open().await;
    store.expect("the store opens")
}

pub(crate) async fn open_live(dir: impl AsRef<Path>) -> AggregateStore {
    let store = AggregateStore::builder(dir).sql(Orders).live().open().await;
    store.expect("the store opens")
}

pub(crate) async fn place(store: &AggregateStore, id: &str, price: u64) -> Position {
    let order = store.get::<Order>(id).await.unwrap();
    order.send(Place(price)).await.unwrap().position
}

pub(crate) async fn note(store: &AggregateStore, id: &str, text: &str) {
    let order = store.get::<Order>(id).await.unwrap();
    order.send(Note(text.to_owned())).await.unwrap();
}

/// A row of the table of orders.
pub(crate) type Row = (String, i64, i64, Option<String>);

pub(crate) fn rows(db: &rusqlite::Connection) -> rusqlite::Result<Vec<Row>> {
    let mut query = db.prepare("SELECT id, total, items, note FROM orders ORDER BY id")?;
    let rows = query.query_map([], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
    })?;
    rows.collect()
}

pub(crate) async fn orders(store: &AggregateStore) -> Vec<Row> {
    let orders = store.sql::<Orders>().await.unwrap();
    orders.query(|db| rows(db)).await.unwrap()
}

pub(crate) fn row(id: &str, total: i64, items: i64) -> Row {
    (id.to_owned(), total, items, None)
}

/// What plain SQL makes of the events as they are exported.
pub(crate) async fn by_plain_sql(store: &AggregateStore) -> Vec<Row> {
    let db = rusqlite::Connection::open_in_memory().unwrap();
    db.execute_batch("CREATE TABLE events (position INTEGER PRIMARY KEY, id, name, data)")
        .unwrap();
    let (lines, _) = store.export().write_to(Vec::new()).await.unwrap();
    let mut number = 0;
    for line in lines.split(|byte| *byte == b'\n') {
        let Ok(event) = serde_json::from_slice::<serde_json::Value>(line) else {
            continue;
        };
        if event["type"] != "order" {
            continue;
        }
        number += 1;
        db.execute(
            "INSERT INTO events VALUES (?1, ?2, ?3, ?4)",
            params![
                number,
                event["id"].as_str(),
                event["event"].as_str(),
                event["data"].to_string()
            ],
        )
        .unwrap();
    }
    db.execute_batch(
        "CREATE VIEW orders AS
         SELECT id,
                sum(CASE name WHEN 'Placed' THEN data ->> '$.price' ELSE 0 END) AS total,
                sum(name = 'Placed') AS items,
                (SELECT data ->> '$.text' FROM events AS newest
                 WHERE newest.id = events.id AND newest.name = 'Noted'
                 ORDER BY position DESC LIMIT 1) AS note
         FROM events GROUP BY id",
    )
    .unwrap();
    rows(&db).unwrap()
}
