use eventfold_es::personal::Personal;
use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, DomainEvent)]
enum Customer {
    #[subject]
    Registered { customer: u64 },
    #[personal(customer)]
    Renamed,
}

fn main() {}
