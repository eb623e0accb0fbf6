use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Default, DecisionModel)]
#[decision_model(tag = "course", events(Opened, Closed))]
struct Seats {
    taken: u32,
}

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Opened {
    #[tag]
    course: String,
}

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Closed {
    #[tag("room")]
    course: String,
}

impl Evolve<Opened> for Seats {
    fn evolve(&mut self, _: &Opened) {}
}

impl Evolve<Closed> for Seats {
    fn evolve(&mut self, _: &Closed) {}
}

fn main() {}
