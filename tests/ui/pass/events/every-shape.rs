use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, PartialEq, Serialize, Deserialize, DomainEvent)]
struct Unit;

#[derive(Debug, PartialEq, Serialize, Deserialize, DomainEvent)]
struct Newtype(Vec<u8>);

#[derive(Debug, PartialEq, Serialize, Deserialize, DomainEvent)]
struct Tuple(u8, String);

#[derive(Debug, PartialEq, Serialize, Deserialize, DomainEvent)]
struct Named {
    of: Option<Box<Named>>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, DomainEvent)]
enum All {
    Unit,
    Newtype(Vec<u8>),
    Tuple(u8, String),
    Named { of: Option<Box<All>> },
    NoFields {},
    NoElements(),
}

fn round_trip<E: DomainEvent + PartialEq + std::fmt::Debug>(event: E) {
    let mut json = Vec::new();
    event.encode(&mut json).unwrap();
    let json = String::from_utf8(json).unwrap();
    let back = E::decode(eventfold_es::StoredEvent::new(event.name(), &json)).unwrap();
    assert_eq!(back.as_slice(), [event], "{json}");
}

pub(super) fn main() {
    round_trip(Unit);
    round_trip(Newtype(vec![1]));
    round_trip(Tuple(1, "a".into()));
    round_trip(Named {
        of: Some(Box::new(Named { of: None })),
    });
    round_trip(All::Unit);
    round_trip(All::Newtype(vec![1]));
    round_trip(All::Tuple(1, "a".into()));
    round_trip(All::Named {
        of: Some(Box::new(All::Unit)),
    });
    round_trip(All::NoFields {});
    round_trip(All::NoElements());
}
