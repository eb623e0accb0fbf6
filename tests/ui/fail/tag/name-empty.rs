use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Opened {
    #[tag("")]
    course: String,
    #[tag()]
    room: String,
}

fn main() {}
