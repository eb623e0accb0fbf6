use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Account;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Open;

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Opened;

#[aggregate_impl]
impl Account {
    fn open(&self, _: Open) -> Result<Vec<Opened>, String> {
        Ok(vec![Opened])
    }

    fn opened(&mut self, _: &Opened) {}
}

fn main() {
    let _ = Account::default().open(Open);
}
