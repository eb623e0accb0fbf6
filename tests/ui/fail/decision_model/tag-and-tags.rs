use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Default, DecisionModel)]
#[decision_model(tag = "course", tags("student"), events(Subscribed))]
struct Seats {
    taken: u32,
}

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Subscribed {
    #[tag]
    course: String,
    #[tag]
    student: String,
}

impl Evolve<Subscribed> for Seats {
    fn evolve(&mut self, _: &Subscribed) {}
}

fn main() {}
