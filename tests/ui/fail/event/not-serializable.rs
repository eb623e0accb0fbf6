use eventfold_es::prelude::*;

#[derive(Debug, Clone, DomainEvent)]
struct Opened;

fn main() {}
