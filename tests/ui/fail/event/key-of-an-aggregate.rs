use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
#[event(commands(Open), snapshot(every = 3))]
struct Opened;

fn main() {}
