//! The testing kit: personal data needs no keys, and a subject can be forgotten.

use std::time::Duration;

use eventfold_es::personal::Personal;
use eventfold_es::prelude::*;
use eventfold_es::testing::{self, given};

use crate::domain::{
    Customer, Greeter, Letters, Names, Recommended, Register, Registered, Visit, Write, known,
};
use crate::support::{ANN, BOB, MAIL, recommend};

fn registered() -> Registered {
    Registered {
        customer: 42,
        name: ANN.to_owned().into(),
        email: MAIL.to_owned().into(),
    }
}

#[test]
fn an_aggregate_is_tested_with_and_without_the_data_of_a_subject() {
    let register = Register {
        customer: 42,
        name: ANN.to_owned(),
        email: MAIL.to_owned(),
    };
    given::<Customer>(vec![])
        .when(register)
        .then(events![registered()])
        .when(recommend((42, ANN), (7, BOB)))
        .then_state(|customer| customer.greeting == format!("Dear {ANN}"))
        .forgotten("customer:42")
        .then_state(|customer| customer.greeting == "Dear (erased)" && customer.name.is_erased())
        .then_state(|customer| customer.friend.as_ref().map(known) == Some(BOB))
        .when(Visit)
        .then_state(|customer| customer.visits == 1)
        .forgotten("customer:7")
        .then_state(|customer| customer.friend.as_ref().is_some_and(Personal::is_erased));
}

#[test]
#[should_panic(expected = "no event has personal data of `customer:43`")]
fn a_subject_without_data_is_a_mistake_of_the_test() {
    let _ = given::<Customer>(events![registered()]).forgotten("customer:43");
}

#[test]
#[should_panic(expected = "nothing says whose it is")]
fn the_kit_finds_personal_data_without_a_subject() {
    type Hidden = Personal<String>;

    #[derive(Debug, Clone, serde::Serialize, serde::Deserialize, DomainEvent)]
    struct Named(Hidden);

    #[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize, Aggregate)]
    #[aggregate(events(Named), commands(Visit))]
    struct Nameless;

    impl Decide<Visit> for Nameless {
        fn decide(&self, _: Visit) -> Decision<Self> {
            Ok(Vec::new())
        }
    }

    impl Evolve<Named> for Nameless {
        fn evolve(&mut self, _: &Named) {}
    }

    let _ = given::<Nameless>(events![Named(ANN.to_owned().into())]);
}

#[test]
fn projections_and_process_managers_are_tested_without_keys() {
    testing::projection::<Names>()
        .given::<Customer>("c-42", events![registered()])
        .then_state(|names| names.by_id["c-42"] == ANN);
    testing::process_manager::<Greeter>()
        .when::<Customer>("c-42", registered())
        .then(|out| {
            let write = |to: &str| Write {
                to: to.to_owned().into(),
            };
            out.send::<Letters>("sent", write(ANN));
            let later = Duration::from_secs(31_000_000);
            out.schedule::<Letters>(later, "sent", write(&format!("{ANN} again")));
            out.send::<Letters>("full", write(ANN));
        })
        .then_state(|greeter| known(&greeter.last) == ANN);
}

/// Samples are in clear, so they are the same in every run.
#[test]
fn a_golden_history_is_in_clear_and_stable() {
    let dir = tempfile::tempdir().unwrap();
    let history = || {
        testing::event_history::<Recommended>(dir.path()).sample(Recommended {
            by: 1,
            friend: 2,
            by_name: ANN.to_owned().into(),
            friend_names: vec![BOB.to_owned().into()],
        })
    };
    history().blessed(true).check();
    let sample = std::fs::read_to_string(dir.path().join("Recommended.v1.json")).unwrap();
    assert!(
        sample.contains(&format!("\"by_name\": \"{ANN}\"")),
        "{sample}"
    );
    history().blessed(false).check();
}
