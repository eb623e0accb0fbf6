use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
#[event(version = 2, upcast(1 = v1_to_v2))]
struct Deposited {
    cents: u64,
}

struct TooMuch;

fn v1_to_v2(dollars: u64) -> Result<Deposited, TooMuch> {
    let cents = dollars.checked_mul(100).ok_or(TooMuch)?;
    Ok(Deposited { cents })
}

fn main() {}
