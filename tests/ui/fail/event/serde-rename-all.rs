use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
#[serde(rename_all = "snake_case")]
enum AccountEvent {
    Opened,
    Closed,
}

fn main() {}
