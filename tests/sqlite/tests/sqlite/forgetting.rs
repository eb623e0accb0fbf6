//! A read model that has something of a person, when that is erased.

use std::path::Path;

use eventfold_es::personal::{FileKeys, Personal};
use eventfold_es::prelude::*;
use eventfold_es::{ProjectSql, SqlProjection, SqlSchema, rusqlite};
use serde::{Deserialize, Serialize};

const NAME: &str = "Ann Sykes-Ferreira";

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Registered {
    #[subject]
    customer: u64,
    name: Personal<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Register {
    customer: u64,
    name: String,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(events(Registered), commands(Register))]
struct Customer;

#[aggregate_impl]
impl Customer {
    fn register(&self, command: Register) -> Decision<Self> {
        Ok(events![Registered {
            customer: command.customer,
            name: command.name.into(),
        }])
    }

    fn registered(&mut self, _: &Registered) {}
}

#[derive(SqlProjection)]
#[projection(name = "customers", aggregates(Customer))]
struct Customers;

impl SqlSchema for Customers {
    const SCHEMA: &'static str = "CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT)";
}

impl ProjectSql<Customer> for Customers {
    fn project(
        &self,
        tx: &rusqlite::Transaction<'_>,
        event: &CustomerEvent,
        _: &Recorded<'_>,
    ) -> rusqlite::Result<()> {
        let CustomerEvent::Registered(event) = event;
        let id = i64::try_from(event.customer).unwrap_or(i64::MAX);
        let row = (id, event.name.known());
        tx.execute("INSERT INTO customers VALUES (?1, ?2)", row)?;
        Ok(())
    }
}

async fn open(dir: &Path) -> AggregateStore {
    let keys = FileKeys::open(dir.join("keys")).unwrap();
    let store = AggregateStore::builder(dir.join("data")).keys(keys);
    store.sql(Customers).open().await.unwrap()
}

/// The names of all customers.
async fn names(store: &AggregateStore) -> Vec<Option<String>> {
    let sql = store.sql::<Customers>().await.unwrap();
    let names = sql.query(|db| {
        let mut query = db.prepare("SELECT name FROM customers ORDER BY id")?;
        query.query_map([], |row| row.get(0))?.collect()
    });
    names.await.unwrap()
}

/// The files below `dir` that have the name in clear.
fn with_the_name(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(with_the_name(&path));
        } else {
            let bytes = std::fs::read(&path).unwrap();
            let has_name = bytes
                .windows(NAME.len())
                .any(|part| part == NAME.as_bytes());
            found.extend(has_name.then_some(path));
        }
    }
    found
}

async fn register(store: &AggregateStore, customer: u64, name: &str) {
    let handle = store.get::<Customer>(&customer.to_string()).await.unwrap();
    let name = name.to_owned();
    handle.send(Register { customer, name }).await.unwrap();
}

#[tokio::test]
async fn what_a_read_model_has_of_a_person_is_gone_when_that_is_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    register(&store, 1, NAME).await;
    register(&store, 2, "Bo").await;
    assert_eq!(
        names(&store).await,
        [Some(NAME.to_owned()), Some("Bo".to_owned())]
    );
    assert!(!with_the_name(dir.path()).is_empty());

    let forgotten = store.forget("customer:1").await.unwrap();
    assert_eq!(forgotten.projections, ["customers"]);
    assert_eq!(names(&store).await, [None, Some("Bo".to_owned())]);
    assert_eq!(with_the_name(dir.path()), Vec::<std::path::PathBuf>::new());
    store.shutdown().await.unwrap();

    let store = open(dir.path()).await;
    assert_eq!(names(&store).await, [None, Some("Bo".to_owned())]);
    assert_eq!(with_the_name(dir.path()), Vec::<std::path::PathBuf>::new());
    store.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_read_model_of_a_person_who_was_being_forgotten_is_built_anew_at_the_next_open() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    register(&store, 1, NAME).await;
    assert_eq!(names(&store).await, [Some(NAME.to_owned())]);
    store.shutdown().await.unwrap();
    drop(store);
    let model = dir.path().join("data/projections/customers/v1.sqlite");
    let before = std::fs::read(&model).unwrap();
    let store = open(dir.path()).await;
    // It is interrupted by what cannot be removed as a file.
    let in_the_way = model.with_file_name("v1.r1.sqlite");
    std::fs::create_dir(&in_the_way).unwrap();
    store.forget("customer:1").await.unwrap_err();
    store.shutdown().await.unwrap();
    drop(store);
    std::fs::remove_dir(in_the_way).unwrap();
    // As if the process had ended before the old tables were removed.
    std::fs::write(&model, before).unwrap();
    assert!(!with_the_name(dir.path()).is_empty());

    let store = open(dir.path()).await;
    assert_eq!(with_the_name(dir.path()), Vec::<std::path::PathBuf>::new());
    assert_eq!(names(&store).await, [None]);
    store.shutdown().await.unwrap();
}
