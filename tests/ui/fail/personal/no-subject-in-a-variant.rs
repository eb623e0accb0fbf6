use eventfold_es::personal::Personal;
use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, DomainEvent)]
enum Customer {
    Registered {
        #[subject]
        customer: u64,
        name: Personal<String>,
    },
    Renamed(Option<Personal<String>>),
}

fn main() {}
