// Serde's traits may be written by hand, and an event may hold what is not `Clone`.
use eventfold_es::prelude::*;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(DomainEvent)]
struct Opened;

impl Serialize for Opened {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        "opened".serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Opened {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|_| Self)
    }
}

pub(super) fn main() {
    let mut json = Vec::new();
    Opened.encode(&mut json).unwrap();
    assert_eq!(json, br#""opened""#);
}
