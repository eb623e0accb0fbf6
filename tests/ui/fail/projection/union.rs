use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Projection)]
#[projection(aggregates(Account))]
union Opens {
    count: u64,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(commands(), events(Opened))]
struct Account;

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Opened;

impl Evolve<Opened> for Account {
    fn evolve(&mut self, _: &Opened) {}
}

fn main() {}
