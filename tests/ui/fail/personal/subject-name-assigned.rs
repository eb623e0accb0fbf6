use eventfold_es::personal::Personal;
use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, DomainEvent)]
struct Registered {
    #[subject = "customer"]
    id: u64,
    name: Personal<String>,
}

fn main() {}
