use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Decision)]
#[decision(command = Subscribe, events(Subscribed))]
struct Subscribing;

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Subscribed {
    #[tag]
    course: String,
    #[tag]
    student: String,
}

#[derive(Default, DecisionModel)]
#[decision_model(tag = "course", events(Subscribed))]
struct Seats {
    taken: u32,
}

impl Evolve<Subscribed> for Seats {
    fn evolve(&mut self, _: &Subscribed) {}
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Subscribe {
    course: String,
    student: String,
}

impl Decide<Subscribe> for Subscribing {
    fn decide(&self, command: Subscribe) -> Decision<Self> {
        let Subscribe { course, student } = command;
        Ok(events![Subscribed { course, student }])
    }
}

fn main() {}
