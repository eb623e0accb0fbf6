use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
enum CourseEvent {
    #[tag("course")]
    Opened(String),
    Closed,
}

fn main() {}
