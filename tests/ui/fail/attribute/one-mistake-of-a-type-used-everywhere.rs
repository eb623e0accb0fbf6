use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(nmae = "account", commands(Open), events(Opened), error = Refused)]
struct Account;

#[derive(Debug)]
struct Refused;

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("refused")
    }
}

impl std::error::Error for Refused {}

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

fn fold(events: &[AccountEvent]) -> Account {
    events.iter().fold(Account::default(), Aggregate::apply)
}

fn handle(command: impl Into<AccountCommand>) -> Result<Vec<AccountEvent>, Refused> {
    Account::default().handle(command.into())
}

fn main() {
    let events = handle(Open).unwrap();
    match &events[0] {
        AccountEvent::Opened(Opened) => {}
    }
    println!("{} {:?}", Account::AGGREGATE_TYPE, fold(&events));
    println!("{}", serde_json::to_string(&AccountCommand::Open(Open)).unwrap());
}
