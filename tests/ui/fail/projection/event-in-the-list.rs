use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, Serialize, Deserialize, Projection)]
#[projection(aggregates(Opened))]
struct Opens(u64);

#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(commands(), events(Opened))]
struct Account;

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Opened;

impl Evolve<Opened> for Account {
    fn evolve(&mut self, _: &Opened) {}
}

impl Project<Account> for Opens {
    fn project(&mut self, _: &AccountEvent, _: &Recorded<'_>) {
        self.0 += 1;
    }
}

fn main() {
    let _ = AggregateStore::builder("data").projection::<Opens>();
}
