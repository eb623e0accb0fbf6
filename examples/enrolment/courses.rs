//! Seats and loads: decisions over tagged events.

use std::collections::BTreeMap;

use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, DomainEvent)]
pub(crate) struct CourseDefined {
    #[tag]
    pub(crate) course: String,
    pub(crate) seats: u32,
}

/// It concerns a course and a student, so it is found by both.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, DomainEvent)]
pub(crate) struct Subscribed {
    #[tag]
    pub(crate) course: String,
    #[tag]
    pub(crate) student: String,
}

/// What a decision needs to know of one course.
#[derive(Debug, Default, DecisionModel)]
#[decision_model(tag = "course", events(CourseDefined, Subscribed))]
struct Seats {
    seats: u32,
    taken: u32,
}

impl Evolve<CourseDefined> for Seats {
    fn evolve(&mut self, event: &CourseDefined) {
        self.seats = event.seats;
    }
}

impl Evolve<Subscribed> for Seats {
    fn evolve(&mut self, _: &Subscribed) {
        self.taken += 1;
    }
}

/// What a decision needs to know of one student.
#[derive(Debug, Default, DecisionModel)]
#[decision_model(tag = "student", events(Subscribed))]
struct Load {
    courses: u32,
}

impl Evolve<Subscribed> for Load {
    fn evolve(&mut self, _: &Subscribed) {
        self.courses += 1;
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct DefineCourse {
    pub(crate) course: String,
    pub(crate) seats: u32,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Subscribe {
    pub(crate) course: String,
    pub(crate) student: String,
}

#[derive(Debug, PartialEq, thiserror::Error)]
pub(crate) enum CourseError {
    #[error("there is a course of that name")]
    Defined,
    #[error("the course is full")]
    Full,
    #[error("a student takes at most three courses")]
    Busy,
}

#[derive(Decision)]
#[decision(command = DefineCourse, events(CourseDefined), error = CourseError)]
pub(crate) struct Defining {
    #[model(course)]
    seats: Seats,
}

impl Decide<DefineCourse> for Defining {
    fn decide(&self, command: DefineCourse) -> Decision<Self> {
        if self.seats.seats > 0 {
            return Err(CourseError::Defined);
        }
        let DefineCourse { course, seats } = command;
        Ok(events![CourseDefined { course, seats }])
    }
}

/// No other subscription to this course, and none of this student, comes between what is read here
/// and what is stored.
#[derive(Decision)]
#[decision(command = Subscribe, events(Subscribed), error = CourseError)]
pub(crate) struct Subscribing {
    #[model(course)]
    seats: Seats,
    #[model(student)]
    load: Load,
}

impl Decide<Subscribe> for Subscribing {
    fn decide(&self, command: Subscribe) -> Decision<Self> {
        if self.seats.taken >= self.seats.seats {
            return Err(CourseError::Full);
        }
        if self.load.courses >= 3 {
            return Err(CourseError::Busy);
        }
        let Subscribe { course, student } = command;
        Ok(events![Subscribed { course, student }])
    }
}

/// Who takes which course.
#[derive(Debug, Clone, Default, Serialize, Deserialize, Projection)]
#[projection(events(Subscribed))]
pub(crate) struct Rolls {
    pub(crate) students: BTreeMap<String, Vec<String>>,
}

impl Evolve<Subscribed> for Rolls {
    fn evolve(&mut self, event: &Subscribed) {
        let students = self.students.entry(event.course.clone()).or_default();
        students.push(event.student.clone());
    }
}

#[cfg(test)]
mod tests {
    use eventfold_es::testing::decision;

    use super::*;

    fn subscribed(course: &str, student: &str) -> Subscribed {
        Subscribed {
            course: course.to_owned(),
            student: student.to_owned(),
        }
    }

    fn subscribe(course: &str, student: &str) -> Subscribe {
        Subscribe {
            course: course.to_owned(),
            student: student.to_owned(),
        }
    }

    fn defined(course: &str, seats: u32) -> CourseDefined {
        CourseDefined {
            course: course.to_owned(),
            seats,
        }
    }

    #[test]
    fn a_course_takes_as_many_students_as_it_has_seats() {
        decision::<Subscribing>()
            .given(defined("algebra", 2))
            .given(subscribed("algebra", "ann"))
            .given(subscribed("geometry", "ben"))
            .when(subscribe("algebra", "ben"))
            .then(events![subscribed("algebra", "ben")])
            .when(subscribe("algebra", "cid"))
            .then_error(|error| *error == CourseError::Full);
    }

    #[test]
    fn a_student_takes_three_courses() {
        decision::<Subscribing>()
            .given(defined("algebra", 2))
            .given(subscribed("a", "ann"))
            .given(subscribed("b", "ann"))
            .given(subscribed("c", "ann"))
            .when(subscribe("algebra", "ann"))
            .then_error(|error| *error == CourseError::Busy);
    }
}
