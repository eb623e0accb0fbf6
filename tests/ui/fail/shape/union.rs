use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Aggregate)]
#[aggregate(commands(Open), events(Opened))]
union Account {
    number: u32,
    bits: f32,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Open;

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Opened;

fn main() {}
