use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
#[event(version = 2, upcast(1 = DOLLARS))]
struct Deposited {
    cents: u64,
}

const DOLLARS: u64 = 100;

fn main() {}
