use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, Serialize, Deserialize, Projection)]
#[projection(events(Subscribed, Account))]
struct Students(u64);

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Subscribed;

impl Evolve<Subscribed> for Students {
    fn evolve(&mut self, _: &Subscribed) {
        self.0 += 1;
    }
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(commands(), events(Subscribed))]
struct Account;

impl Evolve<Subscribed> for Account {
    fn evolve(&mut self, _: &Subscribed) {}
}

fn main() {
    let _ = AggregateStore::builder("data").projection::<Students>();
}
