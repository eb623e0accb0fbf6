use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
#[event(rename_all = "lowercase")]
enum AccountEvent {
    ReOpened,
    Reopened,
}

fn main() {}
