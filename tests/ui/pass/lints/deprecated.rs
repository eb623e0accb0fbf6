// An event that nobody writes any more is still read; that is no use to warn about.
#![deny(warnings)]

use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

mod old {
    use serde::{Deserialize, Serialize};

    #[deprecated]
    #[derive(Debug, Clone, Serialize, Deserialize)]
    pub struct Reopen;

    #[deprecated]
    #[derive(Debug, Clone, Serialize, Deserialize, eventfold_es::DomainEvent)]
    pub struct Reopened;
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(commands(Open, old::Reopen), events(Opened, old::Reopened, Closed))]
struct Account;

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
enum Closed {
    ByHand,
    #[deprecated]
    ByMail,
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

#[allow(deprecated)]
impl Decide<old::Reopen> for Account {
    fn decide(&self, _: old::Reopen) -> Decision<Self> {
        Ok(events![old::Reopened, Closed::ByHand, Closed::ByMail])
    }
}

#[allow(deprecated)]
impl Evolve<old::Reopened> for Account {
    fn evolve(&mut self, _: &old::Reopened) {}
}

impl Evolve<Closed> for Account {
    fn evolve(&mut self, _: &Closed) {}
}

fn main() {
    let events = Account::default().handle(Open.into());
    assert_eq!(events.unwrap().len(), 1);
}
