use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Default, Serialize, Deserialize, ProcessManager)]
#[procesmanager(aggregates(Account))]
struct Welcome;

#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(commands(), events(Opened))]
struct Account;

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Opened;

impl Evolve<Opened> for Account {
    fn evolve(&mut self, _: &Opened) {}
}

impl React<Account> for Welcome {
    fn react_to(&mut self, _: &AccountEvent, _: &Recorded<'_>, _: &mut Outbox<'_>) {}
}

fn main() {
    let _ = AggregateStore::builder("data").process_manager::<Welcome>();
}
