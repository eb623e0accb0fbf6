use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
// Its events come from elsewhere.
#[aggregate(commands(), events(Opened))]
struct Account;

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Opened;

impl Evolve<Opened> for Account {
    fn evolve(&mut self, _: &Opened) {}
}

pub(super) fn main() {
    let _ = Account.apply(&Opened.into());
    assert!(serde_json::from_str::<AccountCommand>(r#"{"type":"Open"}"#).is_err());
}
