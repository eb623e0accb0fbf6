//! A crate that is strict with itself.
#![deny(
    missing_docs,
    warnings,
    unused_qualifications,
    unused_results,
    single_use_lifetimes,
    trivial_casts,
    unreachable_pub,
    missing_debug_implementations,
    missing_copy_implementations,
    let_underscore_drop,
    unused_lifetimes,
    unused_import_braces,
    variant_size_differences,
    elided_lifetimes_in_paths,
    explicit_outlives_requirements
)]
#![forbid(unsafe_code)]

use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

/// A student subscribed to a course.
#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
pub struct Subscribed {
    /// The course.
    #[tag]
    pub course: String,
    /// The students.
    #[tag("student")]
    pub students: Vec<String>,
}

/// The seats of a course.
#[derive(Debug, Default, DecisionModel)]
#[decision_model(tag = "course", events(Subscribed))]
pub struct Seats {
    students: Vec<String>,
}

impl Evolve<Subscribed> for Seats {
    fn evolve(&mut self, event: &Subscribed) {
        self.students.extend(event.students.iter().cloned());
    }
}

/// Everything.
#[derive(Debug, Clone, Copy, Default, DecisionModel)]
#[decision_model(events(Subscribed))]
pub struct All {
    count: u64,
}

impl Evolve<Subscribed> for All {
    fn evolve(&mut self, _: &Subscribed) {
        self.count += 1;
    }
}

/// Subscribes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Subscribe {
    /// The course.
    pub course: String,
}

/// The decision.
#[derive(Debug, Decision)]
#[decision(command = Subscribe, events(Subscribed))]
pub struct Subscribing {
    #[model(course)]
    seats: Seats,
    #[model]
    all: All,
}

impl Decide<Subscribe> for Subscribing {
    fn decide(&self, command: Subscribe) -> Decision<Self> {
        if self.seats.students.len() > 5 || self.all.count > 5 {
            return Ok(events![]);
        }
        let (course, students) = (command.course, vec![]);
        Ok(events![Subscribed { course, students }])
    }
}

pub(super) fn main() {}
