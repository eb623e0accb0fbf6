use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(commands(Open), events(Opened, Closed, Moved))]
struct Account;

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
#[event(alias = "Changed")]
struct Closed;

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
#[event(alias = "Changed", alias = "Opened")]
struct Moved;

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

impl Evolve<Closed> for Account {
    fn evolve(&mut self, _: &Closed) {}
}

impl Evolve<Moved> for Account {
    fn evolve(&mut self, _: &Moved) {}
}

fn main() {
    let _ = Account::default().handle(Open.into());
}
