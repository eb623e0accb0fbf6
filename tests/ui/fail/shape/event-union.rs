use eventfold_es::prelude::*;

#[derive(Clone, Copy, DomainEvent)]
union Opened {
    number: u32,
    bits: f32,
}

fn main() {}
