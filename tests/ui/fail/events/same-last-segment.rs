use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(commands(Open), events(Opened, other::Opened))]
struct Account;

mod other {
    #[derive(Debug, Clone, serde::Serialize, serde::Deserialize, eventfold_es::DomainEvent)]
    pub struct Opened;
}

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

impl Evolve<other::Opened> for Account {
    fn evolve(&mut self, _: &other::Opened) {}
}

fn main() {
    let _ = Account::default().handle(Open.into());
}
