use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
enum AccountEvent {
    #[event(version = 2, upcast(1 = v1_to_v2))]
    Deposited(Cents),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Cents(u64);

fn v1_to_v2(dollars: u64) -> Cents {
    Cents(dollars * 100)
}

fn main() {}
