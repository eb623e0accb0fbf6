use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(commands(Open), events(Opened))]
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

impl DecideWith<Open> for Account {
    fn decide_with(&self, _: Open, _: &DecisionContext<'_>) -> Decision<Self> {
        Ok(events![Opened])
    }
}

impl Evolve<Opened> for Account {
    fn evolve(&mut self, _: &Opened) {}
}

fn main() {
    let _ = Account::default().handle(Open.into());
}
