use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
#[event(version = 3, upcast(1 = v1_to_v2, 2 = v2_to_v3))]
struct Deposited {
    cents: u64,
}

fn v1_to_v2(dollars: u64) -> Result<u64, String> {
    Ok(dollars)
}

fn v2_to_v3(dollars: String) -> Deposited {
    Deposited { cents: dollars.len() as u64 }
}

fn main() {}
