//! What the testing kit tells a decision: the same in every run, or what the test sets.

use std::time::{Duration, SystemTime};

use eventfold_es::prelude::*;
use eventfold_es::testing::given;
use serde::{Deserialize, Serialize};

use super::{fails, failure};

#[derive(Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(commands(Sign), events(Signed), error = Early)]
struct Form {
    signatures: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Sign;

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Signed {
    by: String,
    at: u64,
    form: String,
    version: u64,
}

#[derive(Debug, thiserror::Error)]
#[error("too early")]
struct Early;

#[aggregate_impl]
impl Form {
    fn sign(&self, _: Sign, context: &DecisionContext<'_>) -> Decision<Self> {
        if context.unix_millis() < 1_000 {
            return Err(Early);
        }
        Ok(events![Signed {
            by: context.actor().unwrap_or("nobody").to_owned(),
            at: context.unix_millis(),
            form: format!("{}/{}", context.aggregate_type(), context.id()),
            version: context.version().into(),
        }])
    }

    fn signed(&mut self, _: &Signed) {
        self.signatures += 1;
    }
}

fn signed(by: &str, at: u64, id: &str, version: u64) -> Vec<FormEvent> {
    events![Signed {
        by: by.to_owned(),
        at,
        form: format!("form/{id}"),
        version
    }]
}

fn time(ms: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(ms)
}

/// 2026-01-01.
const BEGINNING: u64 = 1_767_225_600_000;

#[test]
fn a_decision_has_the_same_context_in_every_run() {
    given::<Form>(signed("ann", 1_000, "f", 0))
        .when(Sign)
        .then(signed("nobody", BEGINNING + 2_000, "tested", 1))
        .when(Sign)
        .then(signed("nobody", BEGINNING + 3_000, "tested", 2));
}

#[test]
fn a_test_sets_the_time_of_decisions_until_it_sets_it_again() {
    given::<Form>(events![])
        .at(time(2_000))
        .when(Sign)
        .then(signed("nobody", 2_000, "tested", 0))
        .when(Sign)
        .then(signed("nobody", 2_000, "tested", 1))
        .at(time(3_500))
        .when(Sign)
        .then(signed("nobody", 3_500, "tested", 2))
        .at(time(999))
        .when(Sign)
        .then_error(|Early| true);
}

#[test]
fn a_test_sets_the_id_and_the_origin_of_the_commands() {
    let by = |actor| CommandContext::default().with_actor(actor);
    given::<Form>(events![])
        .with_id("f-1")
        .at(time(2_000))
        .with_context(by("ann"))
        .when(Sign)
        .then(signed("ann", 2_000, "f-1", 0))
        .with_context(by("bob"))
        .when(Sign)
        .then(signed("bob", 2_000, "f-1", 1));
}

#[test]
fn a_refusal_that_is_not_expected_fails_before_the_next_time_or_context_is_set() {
    let refused = || given::<Form>(events![]).at(time(0)).when(Sign);
    fails(|| refused().at(time(1)), &["too early", "`then_error`"]);
    let context = CommandContext::default();
    fails(
        || refused().with_context(context),
        &["too early", "`then_error`"],
    );
    let told = refused().then_error(|Early| true);
    drop(
        told.at(time(2_000))
            .when(Sign)
            .then_state(|form| form.signatures == 1),
    );
}

#[test]
fn what_the_kit_cannot_check_fails_at_the_line_of_the_test() {
    let expecting = CommandContext::default().with_expected_version(1);
    let keyed = CommandContext::default().with_idempotency_key("k");
    for context in [expecting, keyed] {
        let set = || given::<Form>(events![]).with_context(context);
        let line = line!() - 1;
        let (said, place) = failure(set);
        assert!(
            said.contains("a store checks the expected version"),
            "{said}"
        );
        assert_eq!(place, format!("{}:{line}", file!()));
    }
    fails(
        || given::<Form>(events![]).with_id(""),
        &["no aggregate can have this id"],
    );
}
