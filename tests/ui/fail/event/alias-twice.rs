use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
#[event(alias = "AccountOpened", alias = "AccountOpened")]
struct Opened;

fn main() {}
