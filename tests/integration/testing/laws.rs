//! Laws of aggregates: aggregates that are in order pass, and each law is broken by one that is not.

use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};

use eventfold_es::prelude::*;
use eventfold_es::testing::{Laws, laws, laws_of};
use serde::{Deserialize, Serialize};

use super::{Account, Deposited, Note, Noted, Withdraw, Withdrawn, fails, failure};

/// An aggregate that is in order.
const NO_FAULT: u8 = 0;
/// It reads an event back with another amount.
const CHANGED: u8 = 1;
/// Its state depends on a part of the event that is not stored.
const UNSTORED: u8 = 2;
/// Its state depends on a part of itself that is not saved.
const UNSAVED: u8 = 3;
/// It decides by a part of itself that is not saved.
const UNSAVED_DECISION: u8 = 4;
/// Its decisions depend on how many there were.
const COUNTED: u8 = 5;
/// It cannot take the third event.
const THIRD: u8 = 6;
/// Its seventh event shows that a part of itself is not saved.
const SEVENTH: u8 = 7;

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Sum<const FAULT: u8> {
    total: u64,
    #[serde(skip)]
    unsaved: u64,
}

#[derive(Debug, Clone)]
struct Add(u64);

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
enum SumEvent {
    Added {
        amount: u64,
        #[serde(skip)]
        unstored: u64,
    },
    Changed {
        #[serde(deserialize_with = "one_more")]
        amount: u64,
    },
}

fn one_more<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    u64::deserialize(deserializer).map(|amount| amount + 1)
}

impl<const FAULT: u8> Aggregate for Sum<FAULT> {
    const AGGREGATE_TYPE: &'static str = "sum";
    type Command = Add;
    type DomainEvent = SumEvent;
    type Error = Infallible;

    fn handle(&self, Add(amount): Add) -> Result<Vec<SumEvent>, Infallible> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let further = match FAULT {
            UNSAVED_DECISION => self.unsaved,
            COUNTED => COUNT.fetch_add(1, Ordering::Relaxed),
            _ => 0,
        };
        Ok(vec![added(amount + further)])
    }

    fn apply(mut self, event: &SumEvent) -> Self {
        let (amount, unstored) = match event {
            SumEvent::Added { amount, unstored } => (*amount, *unstored),
            SumEvent::Changed { amount } => (*amount, 0),
        };
        self.unsaved += 1;
        self.total += match FAULT {
            UNSTORED => unstored,
            UNSAVED => self.unsaved,
            THIRD if self.total >= 2 * amount => panic!("this is too much"),
            SEVENTH if self.unsaved >= 7 => 2,
            SEVENTH => 1,
            _ => amount,
        };
        self
    }
}

fn added(amount: u64) -> SumEvent {
    let unstored = 0;
    SumEvent::Added { amount, unstored }
}

fn sum<const FAULT: u8>() -> Laws<Sum<FAULT>> {
    laws_of(vec![added(5)])
}

#[test]
fn aggregates_that_are_in_order_pass() {
    sum::<NO_FAULT>()
        .command(Add(3))
        .command_made(|| Add(4))
        .check();
    sum::<NO_FAULT>().check();
    laws_of::<Sum<NO_FAULT>>(vec![])
        .command(Add(3))
        .seed(7)
        .check();
    // Withdrawals without a deposit cannot happen.
    laws::<Account>()
        .event(Deposited { amount: 5 })
        .event(Withdrawn { amount: 3 })
        .event(Noted("a".to_owned()))
        .command(Withdraw(2))
        .command(Note(String::new()))
        .check();
}

#[test]
fn an_event_that_comes_back_changed_breaks_a_law() {
    let law = "an event comes back unchanged from its stored form";
    let changed = SumEvent::Changed { amount: 5 };
    let history = r#"  {"type":"Changed","data":{"amount":5}}"#;
    let text = "+ {\"type\":\"Changed\",\"data\":{\"amount\":6}}";
    fails(
        || sum::<CHANGED>().event(changed).check(),
        &["`sum` breaks a law: ", law, history, text],
    );
}

#[test]
fn a_state_that_depends_on_what_is_not_stored_breaks_a_law() {
    let law = "replaying the stored events leads to the same state as folding them";
    let (amount, unstored) = (5, 1);
    let event = SumEvent::Added { amount, unstored };
    let history = r#"  {"type":"Added","data":{"amount":5}}"#;
    fails(
        || laws_of::<Sum<UNSTORED>>(vec![event]).check(),
        &[law, history, "-   \"total\": 1", "+   \"total\": 0"],
    );
}

#[test]
fn a_state_that_depends_on_what_is_not_saved_breaks_a_law() {
    let law = "a snapshot at any point changes nothing";
    let text = "the state after 1 events, saved and read back, leads to another state";
    let (message, place) = failure(|| sum::<UNSAVED>().check());
    assert!(place.starts_with(file!()), "{place}");
    assert!(message.contains(law) && message.contains(text), "{message}");
    // One event does not show it.
    assert_eq!(message.matches("  {\"type\"").count(), 2, "{message}");
}

#[test]
fn a_decision_by_what_is_not_saved_breaks_a_law() {
    let law = "a snapshot at any point changes nothing";
    let text = "a state that is read from its snapshot form decides differently";
    fails(
        || sum::<UNSAVED_DECISION>().command(Add(3)).check(),
        &[law, text, r#"{"amount":4}"#, r#"{"amount":3}"#],
    );
}

#[test]
fn a_command_with_two_answers_breaks_a_law() {
    let law = "the same command on the same state has one answer; with no history";
    fails(|| sum::<COUNTED>().command(Add(3)).check(), &[law]);
}

#[test]
fn a_state_that_does_not_take_what_its_commands_lead_to_breaks_a_law() {
    let law = "the state takes every event that happens";
    let laws = laws_of::<Sum<THIRD>>(vec![]).command(Add(3));
    let (message, _) = failure(|| laws.check());
    assert!(message.contains(law), "{message}");
    assert!(message.contains("this is too much"), "{message}");
    assert_eq!(message.matches("  command `Add`").count(), 3, "{message}");
    // Events in this order need not be able to happen.
    sum::<THIRD>().check();
}

#[test]
fn a_long_history_that_breaks_a_law_is_shown_without_the_steps_that_it_does_not_need() {
    let laws = sum::<SEVENTH>().event(added(6)).command(Add(3));
    let (message, _) = failure(|| laws.check());
    let steps = message.matches("\n  {\"type\"").count() + message.matches("\n  command").count();
    assert_eq!(steps, 7, "{message}");
}

#[test]
fn an_event_that_is_never_taken_and_one_without_a_sample_fail_the_test() {
    let given = || laws::<Account>().event(Deposited { amount: 1 });
    fails(
        || given().check(),
        &["give one of each with `.event(...)`: `Withdrawn`, `Noted`"],
    );
    let given = || given().event(Noted(String::new()));
    fails(
        || given().event(Withdrawn { amount: u64::MAX }).check(),
        &["no order of the events was found in which the state takes `Withdrawn`"],
    );
    fails(
        || laws_of::<Sum<NO_FAULT>>(vec![]).check(),
        &["`sum` has no events to test with"],
    );
}

#[test]
fn one_history_can_be_tested_in_its_order() {
    let history = |amounts: std::ops::Range<u64>| amounts.map(added).collect();
    laws_of::<Sum<NO_FAULT>>(history(1..20))
        .command(Add(3))
        .check_in_order();
    fails(
        || laws_of::<Sum<SEVENTH>>(history(1..8)).check_in_order(),
        &["a snapshot at any point changes nothing"],
    );
}
