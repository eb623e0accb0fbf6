use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(commands(Open), events(Opened))]
struct Account;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Open;

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Opened;

#[aggregate_impl]
impl Account {
    fn open(&self, _: Open) {}

    fn opened(&mut self, _: &Opened) {}
}

fn main() {
    let _ = Account::default().handle(Open.into());
}
