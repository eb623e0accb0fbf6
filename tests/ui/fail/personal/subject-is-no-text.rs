use eventfold_es::personal::Personal;
use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct CustomerId(u64);

#[derive(Serialize, Deserialize, DomainEvent)]
struct Registered {
    #[subject]
    customer: CustomerId,
    name: Personal<String>,
}

fn main() {}
