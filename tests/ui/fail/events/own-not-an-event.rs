use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(commands(Open), event = AccountEvent)]
struct Account;

#[derive(Debug, Clone, Serialize, Deserialize)]
enum AccountEvent {
    Opened,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Open;

impl Decide<Open> for Account {
    fn decide(&self, _: Open) -> Decision<Self> {
        Ok(vec![AccountEvent::Opened])
    }
}

impl Evolve<AccountEvent> for Account {
    fn evolve(&mut self, _: &AccountEvent) {}
}

fn main() {
    let _ = Account::default().handle(Open.into());
}
