use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Default, DecisionModel)]
#[decision_model(tags("course", "student"), events(CourseEvent))]
struct Seats {
    taken: u32,
}

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
enum CourseEvent {
    Subscribed {
        #[tag]
        course: String,
        #[tag]
        student: String,
    },
    #[event(name = "was-closed")]
    Closed {
        #[tag]
        course: String,
    },
}

impl Evolve<CourseEvent> for Seats {
    fn evolve(&mut self, _: &CourseEvent) {}
}

fn main() {}
