//! What a store on PostgreSQL promises about its connections and its pages. The behaviour that all stores
//! have is tested in `tests/integration`.

#![cfg(unix)]

use eventfold_es::AggregateStoreBuilder;
use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

mod connections;
mod reading;
#[allow(dead_code, reason = "other tests use the rest")]
#[path = "../integration/support/postgres.rs"]
mod server;
mod tls;

use server::Server;

/// Without it, making the tables of a store takes longer than most tests.
const FAST: [&str; 2] = ["fsync=off", "full_page_writes=off"];

/// Counts up, by one event each.
#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(commands(Count), events(Counted), snapshot(every = 1_000_000))]
struct Counter {
    value: u64,
}

/// Counts up so often.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Count(u64);

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Counted {
    to: u64,
}

impl Decide<Count> for Counter {
    fn decide(&self, Count(times): Count) -> Decision<Self> {
        let counted = (1..=times).map(|i| Counted { to: self.value + i });
        Ok(counted.map(Into::into).collect())
    }
}

impl Evolve<Counted> for Counter {
    fn evolve(&mut self, event: &Counted) {
        assert_eq!(
            event.to,
            self.value + 1,
            "an event is missing, or came twice"
        );
        self.value = event.to;
    }
}

/// A store in the schema `counters`.
fn counters(url: impl Into<String>) -> AggregateStoreBuilder {
    let store = AggregateStore::postgres(url);
    store.schema("counters").allow_unsynced(true)
}

async fn count(store: &AggregateStore, id: &str, times: u64) {
    let counter = store.get::<Counter>(id).await.unwrap();
    counter.send(Count(times)).await.unwrap();
}

async fn value(store: &AggregateStore, id: &str) -> u64 {
    let counter = store.get::<Counter>(id).await.unwrap();
    counter.state().await.unwrap().value
}
