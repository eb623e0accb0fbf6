use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
enum CourseEvent {
    Opened {
        #[tag("student")]
        students: Vec<StudentId>,
    },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct StudentId(u32);

fn main() {}
