use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
enum AccountEvent {
    #[serde(skip)]
    Opened,
    #[serde(other)]
    Closed,
}

fn main() {}
