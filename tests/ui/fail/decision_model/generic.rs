use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Default, DecisionModel)]
#[decision_model(tag = "course", events(Opened))]
struct Seats<T> {
    taken: Vec<T>,
}

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Opened {
    #[tag]
    course: String,
}

impl<T> Evolve<Opened> for Seats<T> {
    fn evolve(&mut self, _: &Opened) {}
}

fn main() {}
