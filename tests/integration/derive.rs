//! The derives: what a derived aggregate and a derived event do.

use eventfold_es::prelude::*;
use eventfold_es::{DecodeError, EventName, StoredEvent, UnknownEvents};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, Aggregate)]
#[aggregate(
    commands(Deposit, Withdraw = "take-out"),
    events(Deposited, Withdrawn, Ended),
    error = Refused,
    command_enum(derive(Debug, Clone, PartialEq, Serialize, Deserialize)),
    event_enum(derive(Debug, Clone, PartialEq)),
)]
struct BankAccount {
    balance: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Deposit {
    amount: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Withdraw(u64);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, DomainEvent)]
#[event(name = "MoneyDeposited", alias = "Deposited", alias = "deposit")]
struct Deposited {
    amount: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, DomainEvent)]
struct Withdrawn(u64);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, DomainEvent)]
#[event(rename_all = "kebab-case")]
enum Ended {
    ByCustomer,
    #[event(alias = "Sold")]
    BySale(String, u64),
    #[event(name = "written off")]
    WrittenOff {
        loss: u64,
    },
    #[serde(rename_all = "camelCase")]
    Merged {
        #[serde(default)]
        into_account: Option<String>,
    },
}

#[derive(Debug, PartialEq, thiserror::Error)]
enum Refused {
    #[error("only {balance} there")]
    TooLittle { balance: u64 },
}

impl Decide<Deposit> for BankAccount {
    fn decide(&self, command: Deposit) -> Decision<Self> {
        Ok(events![Deposited {
            amount: command.amount
        }])
    }
}

impl Decide<Withdraw> for BankAccount {
    fn decide(&self, Withdraw(amount): Withdraw) -> Decision<Self> {
        if amount > self.balance {
            return Err(Refused::TooLittle {
                balance: self.balance,
            });
        }
        Ok(events![Withdrawn(amount)])
    }
}

impl Evolve<Deposited> for BankAccount {
    fn evolve(&mut self, event: &Deposited) {
        self.balance += event.amount;
    }
}

impl Evolve<Withdrawn> for BankAccount {
    fn evolve(&mut self, event: &Withdrawn) {
        self.balance -= event.0;
    }
}

impl Evolve<Ended> for BankAccount {
    fn evolve(&mut self, _: &Ended) {
        self.balance = 0;
    }
}

/// One of each, with what is stored of it.
fn events() -> Vec<(BankAccountEvent, &'static str, &'static str)> {
    vec![
        (
            Deposited { amount: 5 }.into(),
            "MoneyDeposited",
            r#"{"amount":5}"#,
        ),
        (Withdrawn(3).into(), "Withdrawn", "3"),
        (Ended::ByCustomer.into(), "by-customer", "null"),
        (
            Ended::BySale("Ada".into(), 7).into(),
            "by-sale",
            r#"["Ada",7]"#,
        ),
        (
            Ended::WrittenOff { loss: 9 }.into(),
            "written off",
            r#"{"loss":9}"#,
        ),
        (
            Ended::Merged {
                into_account: Some("b".into()),
            }
            .into(),
            "merged",
            r#"{"intoAccount":"b"}"#,
        ),
    ]
}

fn decode(name: &str, data: &str) -> Result<BankAccountEvent, DecodeError> {
    let events = BankAccount::decode_event(StoredEvent::new(name, data))?;
    Ok(events.into_one().unwrap())
}

#[test]
fn a_command_is_decided_and_its_events_change_the_state() {
    let account = BankAccount::default();
    let events = account.handle(Deposit { amount: 5 }.into()).unwrap();
    assert_eq!(events, [Deposited { amount: 5 }.into()]);
    let account = events.iter().fold(account, Aggregate::apply);
    assert_eq!(account.balance, 5);
    assert_eq!(
        account.handle(Withdraw(6).into()),
        Err(Refused::TooLittle { balance: 5 })
    );
}

#[test]
fn an_event_is_stored_under_its_name_and_comes_back() {
    for (event, name, data) in events() {
        let mut written = b"before ".to_vec();
        assert_eq!(
            BankAccount::encode_event(&event, &mut written).unwrap(),
            name
        );
        assert_eq!(
            String::from_utf8(written).unwrap(),
            format!("before {data}")
        );
        assert_eq!(decode(name, data).unwrap(), event);
        assert_eq!(event.name(), name);
        assert!(BankAccount::knows_event(name));
    }
}

#[test]
fn an_alias_is_read_and_never_written() {
    for alias in ["Deposited", "deposit"] {
        let event = decode(alias, r#"{"amount":5}"#).unwrap();
        assert_eq!(event, Deposited { amount: 5 }.into());
        assert_eq!(event.name(), "MoneyDeposited");
        assert!(BankAccount::knows_event(alias));
    }
    assert_eq!(
        decode("Sold", r#"["Ada",7]"#).unwrap().name(),
        "by-sale",
        "an alias of a variant"
    );
}

#[test]
fn an_event_enum_has_the_names_of_all_its_types_in_order() {
    let names = BankAccountEvent::NAMES;
    let written: Vec<&str> = names.iter().map(|name| name.name).collect();
    assert_eq!(
        written,
        [
            "MoneyDeposited",
            "Withdrawn",
            "by-customer",
            "by-sale",
            "written off",
            "merged",
        ]
    );
    assert_eq!(
        names[0],
        EventName {
            name: "MoneyDeposited",
            aliases: &["Deposited", "deposit"],
            version: Some(1),
            tags: &[],
        }
    );
}

#[test]
fn an_unknown_name_and_a_wrong_payload_are_different_errors() {
    // Neither the name in the source of a renamed variant nor another case of a name is known.
    for name in ["ByCustomer", "moneydeposited", "", "WrittenOff"] {
        assert!(!BankAccount::knows_event(name), "{name}");
        let error = decode(name, "null").unwrap_err();
        assert!(matches!(error, DecodeError::UnknownName { .. }), "{error}");
    }
    for (name, data) in [
        ("MoneyDeposited", r#"{"amount":"five"}"#),
        ("MoneyDeposited", "{}"),
        ("MoneyDeposited", r#"{"amount":5} trailing"#),
        ("Withdrawn", "-1"),
        ("by-customer", "1"),
        ("by-sale", r#"["Ada"]"#),
        ("written off", r#"{"gain":9}"#),
        ("merged", "no JSON"),
    ] {
        let error = decode(name, data).unwrap_err();
        assert!(matches!(error, DecodeError::Malformed { .. }), "{error}");
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[test]
fn an_event_enum_is_serialised_as_it_is_stored() {
    for (event, name, data) in events() {
        let json = serde_json::to_string(&event).unwrap();
        assert_eq!(json, format!(r#"{{"type":"{name}","data":{data}}}"#));
        assert_eq!(
            serde_json::from_str::<BankAccountEvent>(&json).unwrap(),
            event
        );
    }
    let old = r#"{"data":{"amount":5},"type":"deposit"}"#;
    assert_eq!(
        serde_json::from_str::<BankAccountEvent>(old).unwrap(),
        Deposited { amount: 5 }.into()
    );
    assert!(serde_json::from_str::<BankAccountEvent>(r#"{"type":"Stolen"}"#).is_err());
}

#[test]
fn a_command_enum_is_adjacently_tagged_with_its_wire_names() {
    for (command, json) in [
        (
            BankAccountCommand::from(Deposit { amount: 5 }),
            r#"{"type":"Deposit","data":{"amount":5}}"#,
        ),
        (
            BankAccountCommand::from(Withdraw(3)),
            r#"{"type":"take-out","data":3}"#,
        ),
    ] {
        assert_eq!(serde_json::to_string(&command).unwrap(), json);
        assert_eq!(
            serde_json::from_str::<BankAccountCommand>(json).unwrap(),
            command
        );
    }
}

/// A command enum as serde's derive makes it, to compare with.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
enum BySerde {
    Deposit(Deposit),
    #[serde(rename = "take-out")]
    Withdraw(Withdraw),
}

#[test]
fn a_command_is_read_from_every_form_that_serde_reads() {
    let read = |json: &str| {
        let ours = serde_json::from_str::<BankAccountCommand>(json).ok();
        let serde = serde_json::from_str::<BySerde>(json).ok();
        let serde = serde.map(|command| match command {
            BySerde::Deposit(command) => command.into(),
            BySerde::Withdraw(command) => command.into(),
        });
        assert_eq!(ours, serde, "{json}");
        ours
    };
    for json in [
        r#"{"type":"take-out","data":3}"#,
        r#"{"data":{"amount":5},"type":"Deposit"}"#,
        r#"{"note":[1],"type":"Deposit","data":{"amount":5},"more":null}"#,
        r#"["Deposit",{"amount":5}]"#,
    ] {
        assert!(read(json).is_some(), "{json}");
    }
    for json in [
        r#"{"type":"Withdraw","data":3}"#,
        r#"{"type":"Steal","data":3}"#,
        r#"{"type":"Deposit","data":3}"#,
        r#"{"data":3,"type":"Deposit"}"#,
        r#"{"type":"Deposit"}"#,
        r#"{"data":3}"#,
        r#"{"type":"take-out","type":"take-out","data":3}"#,
        r#"{"type":"take-out","data":3,"data":3}"#,
        r#"{"data":3,"data":3,"type":"take-out"}"#,
        r#"["Deposit"]"#,
        "[]",
        "null",
        "3",
    ] {
        assert!(read(json).is_none(), "{json}");
    }
    let error = serde_json::from_str::<BankAccountCommand>(r#"{"type":"Steal","data":3}"#);
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("Steal") && error.contains("take-out"),
        "{error}"
    );
}

#[test]
fn absent_options_have_safe_defaults() {
    assert_eq!(BankAccount::AGGREGATE_TYPE, "bank-account");
    assert_eq!(BankAccount::STATE_VERSION, 1);
    assert_eq!(BankAccount::SNAPSHOT_EVERY, None);
    assert_eq!(BankAccount::UNKNOWN_EVENTS, UnknownEvents::Reject);
}

/// The other form: the enums are the user's own.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, Aggregate)]
#[aggregate(
    name = "tally_2",
    command = CounterCommand,
    event = CounterEvent,
    snapshot(every = 50, version = 3),
    unknown_events = "skip",
)]
struct Counter(u64);

enum CounterCommand {
    Add(u64),
    Nothing,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, DomainEvent)]
enum CounterEvent {
    Added(u64),
}

impl Decide<CounterCommand> for Counter {
    fn decide(&self, command: CounterCommand) -> Decision<Self> {
        Ok(match command {
            CounterCommand::Add(amount) => events![CounterEvent::Added(amount)],
            CounterCommand::Nothing => events![],
        })
    }
}

impl Evolve<CounterEvent> for Counter {
    fn evolve(&mut self, CounterEvent::Added(amount): &CounterEvent) {
        self.0 += amount;
    }
}

#[test]
fn own_enums_go_to_decide_and_evolve_whole() {
    let counter = Counter(1);
    let events = counter.handle(CounterCommand::Add(2)).unwrap();
    assert_eq!(events, [CounterEvent::Added(2)]);
    assert_eq!(counter.handle(CounterCommand::Nothing).unwrap(), []);
    assert_eq!(counter.apply(&events[0]), Counter(3));
    let mut data = Vec::new();
    assert_eq!(
        Counter::encode_event(&events[0], &mut data).unwrap(),
        "Added"
    );
    assert_eq!(data, b"2");
}

#[test]
fn the_given_options_become_the_aggregates_constants() {
    assert_eq!(Counter::AGGREGATE_TYPE, "tally_2");
    assert_eq!(Counter::STATE_VERSION, 3);
    assert_eq!(Counter::SNAPSHOT_EVERY, Some(50));
    assert_eq!(Counter::UNKNOWN_EVENTS, UnknownEvents::Skip);
}

#[test]
fn a_derived_aggregate_plugs_into_an_eventfold_view() {
    let reduce = eventfold_es::reducer::<BankAccount>();
    let event = |name: &str, data| eventfold::Event::new(name, data);
    let account = reduce(
        BankAccount::default(),
        &event("deposit", serde_json::json!({ "amount": 5 })),
    );
    let account = reduce(account, &event("Withdrawn", serde_json::json!(2)));
    assert_eq!(account.balance, 3);
}

/// The variants of a set in one of serde's cases, by serde and by us.
macro_rules! cases {
    ($($case:literal => $ours:ident, $serde:ident;)*) => {$(
        #[derive(Debug, Serialize, Deserialize, DomainEvent)]
        #[event(rename_all = $case)]
        enum $ours {
            Paid,
            MoneyDeposited,
            IOUPaid,
            V2Opened,
            With_Underscore,
            r#Else,
        }

        #[derive(Serialize)]
        #[serde(rename_all = $case)]
        enum $serde {
            Paid,
            MoneyDeposited,
            IOUPaid,
            V2Opened,
            With_Underscore,
            r#Else,
        }

        for (ours, serde) in [
            ($ours::Paid, $serde::Paid),
            ($ours::MoneyDeposited, $serde::MoneyDeposited),
            ($ours::IOUPaid, $serde::IOUPaid),
            ($ours::V2Opened, $serde::V2Opened),
            ($ours::With_Underscore, $serde::With_Underscore),
            ($ours::Else, $serde::Else),
        ] {
            let name = serde_json::to_value(serde).unwrap();
            assert_eq!(name, ours.name(), $case);
            let stored = StoredEvent::new(ours.name(), "null");
            assert_eq!($ours::decode(stored).unwrap().as_slice()[0].name(), ours.name());
        }
    )*};
}

#[test]
#[allow(non_camel_case_types)]
fn rename_all_names_events_as_serde_names_variants() {
    cases! {
        "lowercase" => Lower, SerdeLower;
        "UPPERCASE" => Upper, SerdeUpper;
        "PascalCase" => Pascal, SerdePascal;
        "camelCase" => Camel, SerdeCamel;
        "snake_case" => Snake, SerdeSnake;
        "SCREAMING_SNAKE_CASE" => ScreamingSnake, SerdeScreamingSnake;
        "kebab-case" => Kebab, SerdeKebab;
        "SCREAMING-KEBAB-CASE" => ScreamingKebab, SerdeScreamingKebab;
    }
}

/// What JSON cannot hold is an error when it is written, not a panic.
#[test]
fn an_event_that_json_cannot_hold_is_refused() {
    #[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
    struct Mapped(std::collections::BTreeMap<(u8, u8), u8>);

    let event = Mapped([((1, 2), 3)].into());
    let error = event.encode(&mut Vec::new()).unwrap_err();
    assert!(error.to_string().contains("Mapped"), "{error}");
}

#[test]
fn a_listed_command_has_the_name_under_which_it_is_serialised() {
    let name = |command: &BankAccountCommand| BankAccount::command_name(command);
    assert_eq!(name(&Deposit { amount: 1 }.into()), "Deposit");
    assert_eq!(name(&Withdraw(1).into()), "take-out");
}

#[test]
fn commands_without_listed_names_have_the_name_of_their_type() {
    use crate::support::{Ledger, LedgerCommand};

    assert_eq!(
        Ledger::command_name(&LedgerCommand::Nothing),
        "LedgerCommand"
    );
}

#[test]
fn a_derived_aggregate_repeats_its_command_if_the_command_is_clone() {
    #[derive(Clone, Default, Serialize, Deserialize, Aggregate)]
    #[aggregate(
        name = "once",
        commands(Once),
        events(Deposited),
        command_enum(derive(Debug))
    )]
    struct NotRepeated;
    #[derive(Debug)]
    struct Once;
    impl Decide<Once> for NotRepeated {
        fn decide(&self, _: Once) -> Decision<Self> {
            Ok(events![])
        }
    }
    impl Evolve<Deposited> for NotRepeated {
        fn evolve(&mut self, _: &Deposited) {}
    }
    let command = BankAccountCommand::Deposit(Deposit { amount: 5 });
    assert_eq!(BankAccount::repeat(&command), Some(command));
    assert!(NotRepeated::repeat(&Once.into()).is_none());
}
