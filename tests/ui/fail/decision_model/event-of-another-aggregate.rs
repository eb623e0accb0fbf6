use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Default, DecisionModel)]
#[decision_model(aggregate = Course, events(Opened, Subscribed))]
struct Seats {
    taken: u32,
}

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Opened {
    #[tag]
    course: String,
}

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Subscribed {
    #[tag]
    course: String,
    #[tag]
    student: String,
}

impl Evolve<Opened> for Seats {
    fn evolve(&mut self, _: &Opened) {}
}

impl Evolve<Subscribed> for Seats {
    fn evolve(&mut self, _: &Subscribed) {}
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "lecture", commands(), events(Opened))]
struct Course;

impl Evolve<Opened> for Course {
    fn evolve(&mut self, _: &Opened) {}
}

fn main() {}
