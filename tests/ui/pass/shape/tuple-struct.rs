use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(commands(Open), events(Opened))]
struct Account(u64, String);

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Open;

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Opened;

impl Decide<Open> for Account {
    fn decide(&self, _: Open) -> Decision<Self> {
        Ok(events![Opened])
    }
}

impl Evolve<Opened> for Account {
    fn evolve(&mut self, _: &Opened) {}
}

pub(super) fn main() {
    let events = Account::default().handle(Open.into());
    assert_eq!(events.unwrap().len(), 1);
}
