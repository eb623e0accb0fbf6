use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
#[event(retired("Created"))]
enum AccountEvent {
    #[event(alias = "Created")]
    Opened,
}

fn main() {}
