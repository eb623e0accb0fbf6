//! The testing kit: what it takes, what it refuses, and what it says then.

mod contexts;
mod decisions;
mod histories;
mod laws;
mod read_side;
mod refusals;
mod state_histories;

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};

use eventfold_es::prelude::*;
use eventfold_es::testing::given;
use serde::{Deserialize, Serialize};
use serde_json::json;

thread_local! {
    /// Where the last panic of this thread was.
    static PLACE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// The text with which `test` fails, and where: `file:line`.
fn failure<T>(test: impl FnOnce() -> T) -> (String, String) {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let former = take_hook();
        set_hook(Box::new(move |info| {
            let place = info
                .location()
                .map(|place| format!("{}:{}", place.file(), place.line()));
            PLACE.set(place.unwrap_or_default());
            former(info);
        }));
    });
    let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(test()))) else {
        panic!("it did not fail");
    };
    let said = panic.downcast::<String>().map(|said| *said);
    let said = said.unwrap_or_else(|panic| panic.downcast::<&str>().unwrap().to_string());
    (said, PLACE.take())
}

/// Fails unless `test` fails with all of `texts`.
#[track_caller]
fn fails<T>(test: impl FnOnce() -> T, texts: &[&str]) {
    let (failure, _) = failure(test);
    for text in texts {
        assert!(failure.contains(text), "`{text}` is not in:\n{failure}");
    }
}

/// What is missing on purpose, here and below: `Debug` and `PartialEq`.
#[derive(Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(
    commands(Withdraw, Note),
    events(Deposited, Withdrawn, Noted),
    error = TooLittle,
    command_enum(derive(Clone)),
    event_enum(derive(Clone)),
)]
struct Account {
    balance: u64,
}

#[derive(Clone, Serialize, Deserialize)]
struct Withdraw(u64);

/// Notes what it says, unless that is nothing.
#[derive(Clone, Serialize, Deserialize)]
struct Note(String);

#[derive(Clone, Serialize, Deserialize, DomainEvent)]
#[event(version = 2, upcast(1 = Deposited::of_amount))]
struct Deposited {
    amount: u64,
}

#[derive(Clone, Serialize, Deserialize, DomainEvent)]
struct Withdrawn {
    amount: u64,
}

#[derive(Clone, Serialize, Deserialize, DomainEvent)]
struct Noted(String);

#[derive(Debug, thiserror::Error)]
#[error("only {balance} there")]
struct TooLittle {
    balance: u64,
}

impl Deposited {
    fn of_amount(amount: u64) -> Self {
        Self { amount }
    }
}

impl Decide<Withdraw> for Account {
    fn decide(&self, Withdraw(amount): Withdraw) -> Decision<Self> {
        let balance = self.balance;
        if amount > balance {
            return Err(TooLittle { balance });
        }
        Ok(events![Withdrawn { amount }])
    }
}

impl Decide<Note> for Account {
    fn decide(&self, Note(text): Note) -> Decision<Self> {
        Ok(if text.is_empty() {
            events![]
        } else {
            events![Noted(text)]
        })
    }
}

impl Evolve<Deposited> for Account {
    fn evolve(&mut self, event: &Deposited) {
        self.balance += event.amount;
    }
}

impl Evolve<Withdrawn> for Account {
    fn evolve(&mut self, event: &Withdrawn) {
        self.balance -= event.amount;
    }
}

impl Evolve<Noted> for Account {
    fn evolve(&mut self, _: &Noted) {}
}

fn five() -> eventfold_es::testing::Given<Account> {
    given::<Account>(events![Deposited { amount: 5 }])
}

#[test]
fn expected_events_states_and_errors_pass() {
    given::<Account>(events![])
        .and_stored("Deposited", 1, json!(4))
        .and(events![Deposited { amount: 1 }])
        .then_state(|account| account.balance == 5)
        .when(Withdraw(3))
        .then(events![Withdrawn { amount: 3 }])
        .then_state(|account| account.balance == 2)
        .when(Withdraw(3))
        .then_error(|TooLittle { balance }| *balance == 2)
        .when_made(|| Note(String::new()).into())
        .then_nothing()
        .when(AccountCommand::from(Note("hello".to_owned())))
        .then(events![Noted("hello".to_owned())])
        .then_state(|account| account.balance == 2);
}

#[test]
fn unexpected_events_are_shown_in_stored_form_at_the_line_of_the_test() {
    let line = line!() + 4;
    let (text, place) = failure(|| {
        five()
            .when(Withdraw(3))
            .then(events![Deposited { amount: 1 }, Noted("x".to_owned())])
    });
    assert_eq!(place, format!("{}:{line}", file!()));
    let expected = r#"the events are not those that were expected

- expected
+ actual

- {"type":"Deposited","data":{"amount":1},"meta":{"schema_version":2}}
- {"type":"Noted","data":"x"}
+ {"type":"Withdrawn","data":{"amount":3}}"#;
    assert_eq!(text, expected);
    fails(
        || five().when(Withdraw(3)).then_nothing(),
        &[r#"+ {"type":"Withdrawn","data":{"amount":3}}"#],
    );
}

#[test]
fn an_unexpected_refusal_fails_the_next_step_whatever_it_is() {
    let refused = || five().when(Withdraw(6));
    fails(
        || refused().then(events![Withdrawn { amount: 6 }]),
        &[
            "the command was refused: only 5 there",
            r#"{"type":"Withdrawn","data":{"amount":6}}"#,
        ],
    );
    fails(
        || refused().then_nothing(),
        &["was refused: only 5 there", "(nothing)"],
    );
    let before = "an earlier command was refused: only 5 there";
    fails(|| refused().when(Withdraw(1)), &[before, "`then_error`"]);
    fails(|| refused().when_made(|| Withdraw(1).into()), &[before]);
    fails(|| refused().then_state(|_| true), &[before]);
}

#[test]
fn an_expected_refusal_must_happen_with_the_expected_error() {
    fails(
        || five().when(Withdraw(5)).then_error(|_| true),
        &[
            "was accepted",
            r#"{"type":"Withdrawn","data":{"amount":5}}"#,
        ],
    );
    fails(
        || {
            five()
                .when(Withdraw(6))
                .then_error(|error| error.balance == 4)
        },
        &[
            "refused for another reason: only 5 there",
            "TooLittle { balance: 5 }",
        ],
    );
}

#[test]
fn an_unexpected_state_is_shown() {
    fails(
        || five().then_state(|account| account.balance == 4),
        &["\"balance\": 5"],
    );
    let (_, place) = failure(|| {
        five()
            .when(Withdraw(5))
            .then_state(|account| account.balance > 0)
    });
    assert!(place.starts_with(file!()), "{place}");
}

#[test]
fn an_old_event_that_cannot_be_read_fails() {
    fails(
        || five().and_stored("Deposited", 1, json!("four")),
        &[
            "`Deposited` cannot be upcast from version 1 by `Deposited::of_amount`",
            "four",
        ],
    );
    fails(
        || five().and_stored("Deposited", 3, json!(4)),
        &["a newer program wrote it"],
    );
    fails(
        || five().and_stored("Opened", 1, json!(4)),
        &["no event is named `Opened`"],
    );
}

/// An aggregate with mistakes that a store would find out at the next start.
#[derive(Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(commands(Do), events(Done), event_enum(derive(Clone)))]
struct Faulty {
    #[serde(skip)]
    unsaved: u64,
    saved: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum Do {
    Count,
    CountGlobally,
    DecideByTheUnsaved,
    AddUnsaved,
    AddUnstored,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, DomainEvent)]
struct Done {
    adds: u64,
    adds_unsaved: u64,
    #[serde(skip)]
    adds_unstored: u64,
}

static DECIDED: AtomicU64 = AtomicU64::new(0);

impl Decide<Do> for Faulty {
    fn decide(&self, command: Do) -> Decision<Self> {
        let mut done = Done::default();
        match command {
            Do::Count => done.adds = 1,
            Do::CountGlobally => done.adds = DECIDED.fetch_add(1, Ordering::Relaxed),
            Do::DecideByTheUnsaved => done.adds = self.unsaved,
            Do::AddUnsaved => done.adds_unsaved = 1,
            Do::AddUnstored => done.adds_unstored = 1,
        }
        Ok(events![done])
    }
}

impl Evolve<Done> for Faulty {
    fn evolve(&mut self, event: &Done) {
        self.unsaved += event.adds_unsaved;
        self.saved += event.adds + event.adds_unstored + self.unsaved;
    }
}

#[test]
fn a_decision_that_depends_on_more_than_its_arguments_fails() {
    fails(
        || given::<Faulty>(events![]).when(Do::CountGlobally),
        &[
            "the same command on the same state has two answers",
            "- {\"type\":\"Done\"",
        ],
    );
}

#[test]
fn a_decision_that_depends_on_state_missing_from_the_snapshot_fails() {
    let unsaved = || given::<Faulty>(events![]).when(Do::AddUnsaved);
    fails(
        || unsaved().when(Do::DecideByTheUnsaved),
        &[
            "a state that is read from its snapshot form decides differently",
            r#"+ {"type":"Done","data":{"adds":0"#,
        ],
    );
    fails(
        || unsaved().when(Do::Count),
        &[
            "a state that is read from its snapshot form leads to another state",
            "\"saved\": 2",
        ],
    );
}

#[test]
fn an_event_that_loses_data_when_it_is_stored_fails() {
    fails(
        || given::<Faulty>(events![]).when(Do::AddUnstored),
        &[
            "events that are read from their stored form lead to another state",
            "-   \"saved\": 1",
        ],
    );
}

#[test]
fn an_event_that_cannot_be_read_back_fails() {
    // What is no number is written as `null`, and is none when it is read.
    #[derive(Clone, Serialize, Deserialize, DomainEvent)]
    struct Divided(f64);
    #[derive(Clone, Default, Serialize, Deserialize, Aggregate)]
    #[aggregate(commands(), events(Divided), event_enum(derive(Clone)))]
    struct Divider;
    impl Evolve<Divided> for Divider {
        fn evolve(&mut self, _: &Divided) {}
    }
    fails(
        || given::<Divider>(events![Divided(f64::NAN)]),
        &[
            "event `Divided` does not come back from its stored form",
            r#"{"type":"Divided","data":null}"#,
        ],
    );
}

#[test]
fn an_event_that_is_read_back_differently_fails() {
    #[derive(Clone, Serialize, DomainEvent)]
    struct Doubled(u64);
    impl<'de> Deserialize<'de> for Doubled {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            u64::deserialize(deserializer).map(|half| Self(half * 2))
        }
    }
    #[derive(Clone, Default, Serialize, Deserialize, Aggregate)]
    #[aggregate(commands(), events(Doubled), event_enum(derive(Clone)))]
    struct Doubler;
    impl Evolve<Doubled> for Doubler {
        fn evolve(&mut self, _: &Doubled) {}
    }
    fails(
        || given::<Doubler>(events![Doubled(2)]),
        &[
            r#"- {"type":"Doubled","data":2}"#,
            r#"+ {"type":"Doubled","data":4}"#,
        ],
    );
}

#[test]
fn a_state_that_cannot_be_saved_fails() {
    #[derive(Clone, Serialize, Deserialize, DomainEvent)]
    struct Tabled(u8);
    #[derive(Clone, Default, Serialize, Deserialize, Aggregate)]
    #[aggregate(commands(), events(Tabled), event_enum(derive(Clone)))]
    struct Table(std::collections::BTreeMap<(u8, u8), u8>);
    impl Evolve<Tabled> for Table {
        fn evolve(&mut self, event: &Tabled) {
            self.0.insert((0, event.0), 0);
        }
    }
    fails(
        || given::<Table>(events![Tabled(1)]),
        &["the state cannot be saved as JSON"],
    );
}

/// Its order is another one each time that it is read.
#[test]
fn the_order_of_a_hash_set_makes_no_difference() {
    use std::collections::{HashMap, HashSet};
    #[derive(Clone, Serialize, Deserialize, DomainEvent)]
    struct Tagged(HashSet<u32>);
    #[derive(Clone, Default, Serialize, Deserialize, Aggregate)]
    #[aggregate(commands(Tag), events(Tagged), event_enum(derive(Clone)))]
    struct Tags {
        all: HashSet<u32>,
        by_count: HashMap<String, HashSet<u32>>,
    }
    #[derive(Debug, Clone, Serialize, Deserialize)]
    struct Tag(u32);
    impl Decide<Tag> for Tags {
        fn decide(&self, Tag(tag): Tag) -> Decision<Self> {
            Ok(events![Tagged(
                self.all.iter().copied().chain([tag]).collect()
            )])
        }
    }
    impl Evolve<Tagged> for Tags {
        fn evolve(&mut self, Tagged(tags): &Tagged) {
            self.all.extend(tags);
            self.by_count.insert(tags.len().to_string(), tags.clone());
        }
    }
    given::<Tags>(events![Tagged((0..20).collect())])
        .when(Tag(20))
        .when(Tag(21))
        .then_state(|tags| tags.all.len() == 22);
}
