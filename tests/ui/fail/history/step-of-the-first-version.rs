use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
#[event(version = 1, upcast(1 = v1_to_v2))]
struct Deposited {
    cents: u64,
}

fn v1_to_v2(dollars: u64) -> Deposited {
    Deposited { cents: dollars * 100 }
}

fn main() {}
