use eventfold_es::personal::Personal;
use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, DomainEvent)]
struct Registered {
    #[subject]
    customer: u64,
    #[personal]
    name: Personal<String>,
    #[personal = "customer"]
    email: Personal<String>,
}

fn main() {}
