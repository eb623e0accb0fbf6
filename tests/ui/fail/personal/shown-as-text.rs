use eventfold_es::personal::Personal;
use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, DomainEvent)]
struct Registered {
    #[subject]
    customer: u64,
    name: Personal<String>,
}

fn shown(event: &Registered) -> String {
    format!("{}", event.name)
}

fn main() {}
