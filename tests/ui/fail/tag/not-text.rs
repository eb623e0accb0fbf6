use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Opened {
    #[tag]
    course: CourseId,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct CourseId(u32);

fn main() {}
