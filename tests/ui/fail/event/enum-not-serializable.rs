use eventfold_es::prelude::*;

#[derive(Debug, Clone, DomainEvent)]
enum AccountEvent {
    Opened,
    Closed,
}

fn main() {}
