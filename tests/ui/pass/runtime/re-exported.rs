mod framework {
    pub mod inner {
        pub use eventfold_es;
    }
}

use framework::inner::eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(
    commands(Open),
    events(Opened, Closed),
    crate = crate::runtime_re_exported::framework::inner::eventfold_es,
)]
struct Account;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Open;

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
#[event(crate = framework::inner::eventfold_es)]
struct Opened;

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
#[event(crate = self::framework::inner::eventfold_es)]
enum Closed {
    ByHand,
}

impl Evolve<Closed> for Account {
    fn evolve(&mut self, _: &Closed) {}
}

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
