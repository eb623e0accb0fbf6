use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(commands(Open, Close), events(Opened))]
struct Account;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Open;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Close;

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Opened;

#[aggregate_impl]
impl Account {
    async fn open(&self, _: Open) -> Decision<Self> {
        Ok(events![Opened])
    }

    fn close(&self, _: &Close) -> bool {
        true
    }

    fn opened(&mut self, _: Opened) {}

    fn new() -> Self {
        Self
    }
}

fn main() {
    let _ = Account::default().handle(Open.into());
}
