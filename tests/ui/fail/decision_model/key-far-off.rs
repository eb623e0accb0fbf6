use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Default, DecisionModel)]
#[decision_model(boundary = "course", events(Opened))]
struct Seats {
    taken: u32,
}

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Opened {
    #[tag]
    course: String,
}

impl Evolve<Opened> for Seats {
    fn evolve(&mut self, _: &Opened) {}
}

fn main() {}
