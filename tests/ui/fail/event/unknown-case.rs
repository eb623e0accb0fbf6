use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
#[event(rename_all = "title case")]
enum AccountEvent {
    Opened,
    Closed,
}

fn main() {}
