// Every form in which a step and a retired event can be written.
use std::collections::BTreeMap;
use std::convert::Infallible;

use eventfold_es::prelude::*;
use eventfold_es::{DecodeError, Decoded, Recorded, StoredEvent};
use serde::{Deserialize, Serialize};

mod history {
    use serde::Deserialize;

    #[derive(Deserialize)]
    pub struct Dollars {
        pub amount: u64,
    }

    pub fn in_cents(old: Dollars) -> Result<u64, String> {
        old.amount
            .checked_mul(100)
            .ok_or_else(|| "too much".to_owned())
    }
}

// By an own function, by one of another module, with the record, fallible and not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, DomainEvent)]
#[event(version = 4, upcast(3 = Self::with_owner, 1 = history::in_cents, 2 = std::convert::identity::<u64>))]
struct Deposited {
    cents: u64,
    owner: String,
}

impl Deposited {
    fn with_owner(cents: u64, record: &Recorded<'_>) -> Self {
        let owner = record.id().to_owned();
        Self { cents, owner }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, DomainEvent)]
#[event(version = 2, upcast(1 = one))]
struct One(u8);
fn one(old: u8) -> Result<One, Infallible> {
    Ok(One(old))
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, DomainEvent)]
#[event(version = 2, upcast(1 = perhaps))]
struct Perhaps(u8);
fn perhaps(old: Option<u8>) -> Option<Perhaps> {
    old.map(Perhaps)
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, DomainEvent)]
#[event(version = 2, upcast(1 = several))]
struct Several(u8);
fn several(
    old: Vec<u8>,
    _: &Recorded<'_>,
) -> Result<Vec<Several>, Box<dyn std::error::Error + Send + Sync>> {
    Ok(old.into_iter().map(Several).collect())
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, DomainEvent)]
#[event(version = 2, upcast(1 = decoded))]
struct Any(u8);
fn decoded(_: serde_json::Value) -> Result<Decoded<Any>, &'static str> {
    Ok(Decoded::none())
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, DomainEvent)]
#[event(version = 2, upcast(1 = listed))]
struct Listed(BTreeMap<String, u8>);
fn listed(old: BTreeMap<String, u8>) -> Listed {
    Listed(old)
}

// A variant becomes the enum, whatever shape it has, and another variant as well.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, DomainEvent)]
#[event(
    rename_all = "kebab-case",
    retired("paused", "doubled" = doubled, Several = CounterEvent::of_several, Perhaps),
)]
enum CounterEvent {
    #[event(version = 2, upcast(1 = added))]
    Added {
        amount: u64,
    },
    #[event(version = 2, upcast(1 = Self::of_unit))]
    Reset,
    #[event(version = 2, upcast(1 = moved))]
    Moved(One, u8),
    Kept,
}

fn added(amount: i64) -> CounterEvent {
    match u64::try_from(amount) {
        Ok(amount) => CounterEvent::Added { amount },
        Err(_) => CounterEvent::Reset,
    }
}

fn moved(old: u8) -> CounterEvent {
    CounterEvent::Moved(One(old), 0)
}

fn doubled((): ()) -> Vec<CounterEvent> {
    vec![CounterEvent::Kept, CounterEvent::Kept]
}

impl CounterEvent {
    fn of_unit((): ()) -> Self {
        Self::Reset
    }

    fn of_several(Several(amount): Several) -> Self {
        Self::Added {
            amount: amount.into(),
        }
    }
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(
    commands(),
    events(Deposited, One),
    retired("Closed", "OpenedWithDeposit" = split, Several = of_several, Any),
    event_enum(derive(Debug, Clone, PartialEq)),
)]
struct Account;

impl Evolve<Deposited> for Account {
    fn evolve(&mut self, _: &Deposited) {}
}

impl Evolve<One> for Account {
    fn evolve(&mut self, _: &One) {}
}

fn split(amount: u8, record: &Recorded<'_>) -> Result<Vec<AccountEvent>, String> {
    let owner = record.id().to_owned();
    Ok(events![One(amount), Deposited { cents: 1, owner }])
}

fn of_several(Several(amount): Several) -> Decoded<AccountEvent> {
    Decoded::one(One(amount).into())
}

fn read<E: DomainEvent>(name: &str, version: u32, data: &str) -> Result<Vec<E>, DecodeError> {
    let event = eventfold::Event::new(name, serde_json::Value::Null)
        .with_meta(serde_json::json!({ "schema_version": version }));
    let record = Recorded::of_eventfold(&event, "account", "alice");
    let events = E::decode(StoredEvent::new(name, data).with_record(&record))?;
    Ok(events.into_iter().collect())
}

type D = Deposited;

pub(super) fn main() {
    let deposited = || Deposited {
        cents: 500,
        owner: "alice".into(),
    };
    assert_eq!(deposited().schema_version(), 4);
    assert_eq!(
        read::<D>("Deposited", 1, r#"{"amount":5}"#).unwrap(),
        [deposited()]
    );
    assert_eq!(read::<D>("Deposited", 2, "500").unwrap(), [deposited()]);
    assert_eq!(read::<D>("Deposited", 3, "500").unwrap(), [deposited()]);
    assert_eq!(
        read::<D>("Deposited", 4, r#"{"cents":500,"owner":"alice"}"#).unwrap(),
        [deposited()]
    );

    assert_eq!(read::<One>("One", 1, "1").unwrap(), [One(1)]);
    assert_eq!(read::<Perhaps>("Perhaps", 1, "1").unwrap(), [Perhaps(1)]);
    assert_eq!(read::<Perhaps>("Perhaps", 1, "null").unwrap(), []);
    assert_eq!(
        read::<Several>("Several", 1, "[1,2]").unwrap(),
        [Several(1), Several(2)]
    );
    assert_eq!(read::<Any>("Any", 1, "[{}]").unwrap(), []);
    assert_eq!(
        read::<Listed>("Listed", 1, "{}").unwrap(),
        [Listed(BTreeMap::new())]
    );

    type C = CounterEvent;
    assert_eq!(
        read::<C>("added", 1, "5").unwrap(),
        [C::Added { amount: 5 }]
    );
    assert_eq!(read::<C>("added", 1, "-5").unwrap(), [C::Reset]);
    assert_eq!(
        read::<C>("added", 2, r#"{"amount":5}"#).unwrap(),
        [C::Added { amount: 5 }]
    );
    assert_eq!(read::<C>("reset", 1, "null").unwrap(), [C::Reset]);
    assert_eq!(read::<C>("moved", 1, "3").unwrap(), [C::Moved(One(3), 0)]);
    assert_eq!(read::<C>("kept", 1, "null").unwrap(), [C::Kept]);
    assert_eq!(read::<C>("paused", 7, "0").unwrap(), [] as [C; 0]);
    assert_eq!(read::<C>("doubled", 1, "null").unwrap(), [C::Kept, C::Kept]);
    let both = [C::Added { amount: 1 }, C::Added { amount: 2 }];
    assert_eq!(read::<C>("Several", 1, "[1,2]").unwrap(), both);
    assert_eq!(read::<C>("Perhaps", 2, "1").unwrap(), [] as [C; 0]);
    assert_eq!(C::Reset.schema_version(), 2);
    assert_eq!(C::Kept.schema_version(), 1);

    type A = AccountEvent;
    assert_eq!(read::<A>("Closed", 3, "{}").unwrap(), []);
    let split: Vec<A> = read("OpenedWithDeposit", 1, "7").unwrap();
    let owner = "alice".to_owned();
    assert_eq!(split, [One(7).into(), Deposited { cents: 1, owner }.into()]);
    assert_eq!(read::<A>("Several", 2, "7").unwrap(), [One(7).into()]);
    assert_eq!(read::<A>("Any", 1, "7").unwrap(), []);
    assert!(A::knows("Closed") && Account::knows_event("Several"));
    let written: Vec<&str> = A::NAMES
        .iter()
        .filter(|name| name.version.is_some())
        .map(|name| name.name)
        .collect();
    assert_eq!(written, ["Deposited", "One"]);
    assert_eq!(Account::event_version(&deposited().into()), Some(4));
}
