use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
#[event(alias = ["Opened", "opened"])]
struct Opened;

fn main() {}
