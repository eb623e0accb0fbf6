use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "konto")]
#[aggregate(commands(Open,), events(Opened,))]
#[aggregate(snapshot(every = 1_000,), command_enum(derive(Debug,),))]
struct Account;

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
    assert_eq!(Account::AGGREGATE_TYPE, "konto");
    assert_eq!(Account::SNAPSHOT_EVERY, Some(1_000));
}
