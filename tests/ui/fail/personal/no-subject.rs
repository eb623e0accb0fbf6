use eventfold_es::personal::Personal;
use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, DomainEvent)]
struct Registered {
    customer: u64,
    name: Personal<String>,
    emails: Vec<Personal<String>>,
}

fn main() {}
