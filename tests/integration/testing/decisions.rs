//! Tests of decisions: given tagged events, when, then.

use std::cell::Cell;
use std::time::{Duration, SystemTime};

use eventfold_es::testing::{decision, event_history, laws};
use eventfold_es::{DecisionContext, prelude::*};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::fails;
use super::histories::files;
use crate::support::temp_dir;

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Defined {
    #[tag]
    course: String,
    capacity: u32,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, DomainEvent)]
struct Subscribed {
    #[tag]
    course: String,
    #[tag]
    student: String,
    by: Option<String>,
}

/// Read by no model.
#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Announced;

#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(commands(), events(Banned, Pardoned))]
struct Student;

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Banned;

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Pardoned;

impl Evolve<Banned> for Student {
    fn evolve(&mut self, _: &Banned) {}
}

impl Evolve<Pardoned> for Student {
    fn evolve(&mut self, _: &Pardoned) {}
}

#[derive(Default, DecisionModel)]
#[decision_model(tag = "course", events(Defined, Subscribed))]
struct Seats {
    capacity: u32,
    taken: u32,
    newest_ms: u64,
}

impl Evolve<Defined> for Seats {
    fn evolve(&mut self, event: &Defined) {
        self.capacity = event.capacity;
    }
}

impl EvolveWith<Subscribed> for Seats {
    fn evolve_with(&mut self, _: &Subscribed, record: &Recorded<'_>) {
        self.taken += 1;
        self.newest_ms = record.unix_millis();
    }
}

#[derive(Default, DecisionModel)]
#[decision_model(aggregate = Student, events(Banned))]
struct IsBanned(bool);

impl Evolve<Banned> for IsBanned {
    fn evolve(&mut self, _: &Banned) {
        self.0 = true;
    }
}

#[derive(Clone, Serialize, Deserialize)]
struct Subscribe {
    course: String,
    student: String,
}

#[derive(Debug, PartialEq, thiserror::Error)]
enum Refused {
    #[error("full")]
    Full,
    #[error("banned")]
    Banned,
    #[error("too fast")]
    TooFast,
}

#[derive(Decision)]
#[decision(command = Subscribe, events(Subscribed), error = Refused)]
struct Subscribing {
    #[model(course)]
    seats: Seats,
    #[model(student)]
    banned: IsBanned,
}

impl DecideWith<Subscribe> for Subscribing {
    fn decide_with(&self, command: Subscribe, context: &DecisionContext<'_>) -> Decision<Self> {
        assert_eq!((context.aggregate_type(), context.id()), ("", ""));
        if self.banned.0 {
            return Err(Refused::Banned);
        }
        if self.seats.taken >= self.seats.capacity {
            return Err(Refused::Full);
        }
        if context.unix_millis() < self.seats.newest_ms + 1_000 {
            return Err(Refused::TooFast);
        }
        Ok(events![Subscribed {
            course: command.course,
            student: command.student,
            by: context.actor().map(str::to_owned),
        }])
    }
}

fn defined(course: &str, capacity: u32) -> Defined {
    let course = course.to_owned();
    Defined { course, capacity }
}

fn subscribe(course: &str, student: &str) -> Subscribe {
    Subscribe {
        course: course.to_owned(),
        student: student.to_owned(),
    }
}

fn subscribed(course: &str, student: &str) -> Subscribed {
    Subscribed {
        course: course.to_owned(),
        student: student.to_owned(),
        by: None,
    }
}

#[test]
fn each_model_sees_the_events_with_its_tags_and_no_others() {
    decision::<Subscribing>()
        .given(Announced)
        .given(defined("c-1", 2))
        .given(defined("c-2", 1))
        .given(subscribed("c-2", "Bob"))
        .given_of::<Student>("Eve", events![Pardoned, Banned])
        .when(subscribe("c-2", "Ada"))
        .then_error(|error| *error == Refused::Full)
        .when(subscribe("c-1", "Ada"))
        .then(events![subscribed("c-1", "Ada")])
        .when(subscribe("c-1", "Eve"))
        .then_error(|error| *error == Refused::Banned);
}

#[test]
fn a_later_command_sees_the_events_of_the_earlier_ones() {
    decision::<Subscribing>()
        .given(defined("c-1", 1))
        .when(subscribe("c-1", "Ada"))
        .then(events![subscribed("c-1", "Ada")])
        .when(subscribe("c-1", "Bob"))
        .then_error(|error| *error == Refused::Full)
        .given(defined("c-1", 2))
        .when(subscribe("c-1", "Bob"))
        .then(events![subscribed("c-1", "Bob")]);
}

#[test]
fn a_decision_sees_the_time_and_the_actor_that_the_test_sets() {
    let noon = SystemTime::UNIX_EPOCH + Duration::from_secs(12 * 3600);
    decision::<Subscribing>()
        .at(noon)
        .given(defined("c-1", 9))
        .given(subscribed("c-1", "Ada"))
        .when(subscribe("c-1", "Bob"))
        .then_error(|error| *error == Refused::TooFast)
        .at(noon + Duration::from_secs(1))
        .with_context(CommandContext::default().with_actor("ann"))
        .when(subscribe("c-1", "Bob"))
        .then(events![Subscribed {
            by: Some("ann".to_owned()),
            ..subscribed("c-1", "Bob")
        }]);
}

#[test]
fn an_event_as_it_was_stored_is_found_by_the_tags_that_it_was_stored_with() {
    let data = json!({ "course": "c-1", "capacity": 1 });
    decision::<Subscribing>()
        .given_stored("Defined", 1, &[], data.clone())
        .when(subscribe("c-1", "Ada"))
        .then_error(|error| *error == Refused::Full);
    decision::<Subscribing>()
        .given_stored("Defined", 1, &["course:c-1"], data)
        .when_made(|| subscribe("c-1", "Ada"))
        .then(events![subscribed("c-1", "Ada")]);
}

#[test]
fn other_events_and_other_outcomes_fail_the_test_and_are_shown_with_their_tags() {
    let given = || decision::<Subscribing>().given(defined("c-1", 1));
    let ada = || subscribe("c-1", "Ada");
    fails(
        || given().when(ada()).then(events![subscribed("c-1", "Bob")]),
        &[
            "the events are not those that were expected",
            r#""tags":["course:c-1","student:Ada"]"#,
        ],
    );
    fails(
        || given().when(ada()).then_nothing(),
        &[r#"+ {"type":"Subscribed""#],
    );
    fails(
        || given().when(ada()).then_error(|_| true),
        &["the command was accepted, but a refusal was expected"],
    );
    fails(
        || {
            decision::<Subscribing>()
                .when(ada())
                .then(events![subscribed("c-1", "Ada")])
        },
        &["the command was refused: full"],
    );
    fails(
        || {
            decision::<Subscribing>()
                .when(ada())
                .then_error(|error| *error == Refused::Banned)
        },
        &["refused for another reason: full"],
    );
    fails(
        || decision::<Subscribing>().when(ada()).when(ada()),
        &["an earlier command was refused: full", "`then_error`"],
    );
    let key = CommandContext::default().with_idempotency_key("k");
    fails(
        || given().with_context(key),
        &["a store checks the expected version"],
    );
}

#[test]
fn what_no_store_would_take_fails_the_test() {
    fails(
        || decision::<Subscribing>().given(subscribed("c-1", "")),
        &["event `Subscribed`: the tag `student:` has no value"],
    );
    fails(
        || decision::<Subscribing>().when(subscribe("", "Ada")),
        &["the model `seats` of `subscribing`: the tag `course:` has no value"],
    );
    fails(
        || decision::<Subscribing>().given_of::<Student>("", events![Banned]),
        &["no aggregate can have this id"],
    );
    fails(
        || {
            let given = decision::<Subscribing>();
            let stored = given.given_stored("Defined", 1, &["course:c-1"], json!(5));
            stored.when(subscribe("c-1", "Ada"))
        },
        &["the model `seats` of `subscribing`: event `Defined` cannot be read"],
    );
}

#[derive(Clone)]
struct Roll;

#[derive(Decision)]
#[decision(command = Roll, events(Rolled))]
struct Rolling {
    #[model]
    rolls: Rolls,
}

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Rolled(u32);

#[derive(Default, DecisionModel)]
#[decision_model(events(Rolled))]
struct Rolls {
    /// What a decision must not change.
    decided: Cell<u32>,
}

impl Evolve<Rolled> for Rolls {
    fn evolve(&mut self, _: &Rolled) {}
}

impl Decide<Roll> for Rolling {
    fn decide(&self, _: Roll) -> Decision<Self> {
        self.rolls.decided.set(self.rolls.decided.get() + 1);
        Ok(events![Rolled(self.rolls.decided.get())])
    }
}

#[test]
fn a_decision_that_depends_on_more_than_its_models_fails_the_test() {
    fails(
        || decision::<Rolling>().when(Roll),
        &[
            "the same command after the same events has two answers",
            r#"- {"type":"Rolled","data":1}"#,
        ],
    );
}

/// An event whose tag is lost when it is stored.
#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Lossy {
    #[tag]
    #[serde(skip)]
    course: Option<u8>,
}

#[test]
fn an_event_that_comes_back_with_other_tags_fails_the_test() {
    fails(
        || decision::<Subscribing>().given(Lossy { course: Some(1) }),
        &[
            "event `Lossy` does not come back from its stored form",
            r#""tags":["course:1"]"#,
        ],
    );
}

#[test]
fn the_events_of_a_decision_have_a_history_that_shows_their_tags() {
    let dir = temp_dir();
    event_history::<SubscribingEvent>(dir.path())
        .blessed(true)
        .check();
    assert_eq!(files(dir.path()), ["Subscribed.v1.json"]);
    let sample = std::fs::read_to_string(dir.path().join("Subscribed.v1.json")).unwrap();
    assert!(
        sample.contains("\"version\": 1,\n  \"tags\": [\n    \"course\",\n    \"student\"\n  ],\n"),
        "{sample}"
    );
    event_history::<SubscribingEvent>(dir.path())
        .blessed(false)
        .check();
}

#[test]
fn a_history_notices_a_tag_that_was_added_or_is_gone_until_it_is_blessed() {
    mod later {
        use super::*;

        #[derive(Debug, Clone, Default, Serialize, Deserialize, DomainEvent)]
        pub(super) struct Subscribed {
            #[tag]
            course: String,
            student: String,
            #[tag("user")]
            by: Option<String>,
        }
    }
    let dir = temp_dir();
    event_history::<Subscribed>(dir.path())
        .blessed(true)
        .check();
    let check = |blessed| {
        event_history::<later::Subscribed>(dir.path())
            .blessed(blessed)
            .check();
    };
    fails(
        || check(false),
        &[
            "the tags of `Subscribed` have changed",
            "  course\n- student\n+ user",
            "EVENTFOLD_BLESS",
        ],
    );
    check(true);
    check(false);
    // The payload is that of before.
    fails(
        || {
            event_history::<Subscribed>(dir.path())
                .blessed(false)
                .check();
        },
        &["the tags of `Subscribed` have changed"],
    );
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(commands(), events(Subscribed))]
struct Register(u32);

impl Evolve<Subscribed> for Register {
    fn evolve(&mut self, _: &Subscribed) {
        self.0 += 1;
    }
}

#[test]
fn the_laws_ask_for_an_event_whose_default_is_no_value_of_a_tag() {
    fails(
        || laws::<Register>().check(),
        &["`register` has no events to test with: give some with `.event(...)`"],
    );
    laws::<Register>().event(subscribed("c-1", "Ada")).check();
}
