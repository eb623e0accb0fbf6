use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(commands(Change), events(Opened, Changed))]
struct Account;

#[derive(Debug, Clone, Serialize, Deserialize)]
enum Change {
    Open,
    Close,
}

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Opened;

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
enum Changed {
    Closed,
    Reopened,
}

impl Decide<Change> for Account {
    fn decide(&self, command: Change) -> Decision<Self> {
        Ok(match command {
            Change::Open => events![Opened, Changed::Reopened],
            Change::Close => events![Changed::Closed],
        })
    }
}

impl Evolve<Opened> for Account {
    fn evolve(&mut self, _: &Opened) {}
}

impl Evolve<Changed> for Account {
    fn evolve(&mut self, _: &Changed) {}
}

pub(super) fn main() {
    let names: Vec<&str> = AccountEvent::NAMES.iter().map(|name| name.name).collect();
    assert_eq!(names, ["Opened", "Closed", "Reopened"]);
    assert_eq!(
        Account.handle(Change::Close.into()).unwrap()[0].name(),
        "Closed"
    );
}
