use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
enum AccountEvent {
    #[serde(rename = "opened", alias = "AccountOpened")]
    Opened,
    Closed,
}

fn main() {}
