use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
#[event(retired("Opened"))]
enum AccountEvent {
    Opened,
}

fn main() {}
