use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
#[event(retired("Created" = opened))]
enum AccountEvent {
    Opened,
}

fn opened(_: String) -> Vec<String> {
    Vec::new()
}

fn main() {}
