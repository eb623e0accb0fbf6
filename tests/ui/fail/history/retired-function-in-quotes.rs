use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
#[event(retired("Suspended" = "nothing"))]
enum AccountEvent {
    Opened,
}

fn main() {}
