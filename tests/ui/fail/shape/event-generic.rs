use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Opened<T> {
    owner: T,
}

fn main() {
    let _ = Opened { owner: 3 }.name();
}
