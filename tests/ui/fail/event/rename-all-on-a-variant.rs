use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
enum AccountEvent {
    #[event(rename_all = "kebab-case")]
    Opened { first_owner: String },
}

fn main() {}
