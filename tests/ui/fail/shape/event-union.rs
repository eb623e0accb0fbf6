use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, DomainEvent)]
union Opened {
    number: u32,
    bits: f32,
}

fn main() {}
