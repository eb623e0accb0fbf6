use eventfold_es::personal::Personal;
use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, DomainEvent)]
struct Registered {
    #[subject]
    customer: u64,
    age: u8,
    #[personal(age)]
    name: Personal<String>,
}

fn main() {}
