use eventfold_es::personal::Personal;
use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, DomainEvent)]
struct Recommended {
    #[subject("customer")]
    by: u64,
    #[subject("customer")]
    friend: u64,
    #[personal(friend)]
    friend_name: Personal<String>,
    by_name: Personal<String>,
}

fn main() {}
