use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[cfg(any())]
#[derive(Aggregate)]
struct Account(Nothing);

/// Documentation.
#[cfg(not(any()))]
#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[cfg_attr(not(any()), aggregate(commands(Open), events(Opened, Closed)))]
#[cfg_attr(any(), aggregate(nonsense))]
#[allow(dead_code)]
#[must_use]
#[non_exhaustive]
#[serde(rename_all = "camelCase")]
struct Account {
    #[cfg(any())]
    nothing: Nothing,
    #[serde(default)]
    the_owner: String,
}

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
enum Closed {
    #[cfg(any())]
    ByNobody(Nothing),
    #[serde(rename_all = "camelCase")]
    ByHand {
        #[serde(rename = "because")]
        why: String,
    },
    /// Documentation.
    #[allow(dead_code)]
    #[event(alias = "WrittenOff")]
    ByMail(#[allow(dead_code)] u64),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Open;

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Opened;

impl Decide<Open> for Account {
    fn decide(&self, _: Open) -> Decision<Self> {
        Ok(events![Opened])
    }
}

impl Evolve<Opened> for Account {
    fn evolve(&mut self, _: &Opened) {}
}

impl Evolve<Closed> for Account {
    fn evolve(&mut self, _: &Closed) {}
}

pub(super) fn main() {
    let mut json = Vec::new();
    Closed::ByHand {
        why: "enough".into(),
    }
    .encode(&mut json)
    .unwrap();
    assert_eq!(json, br#"{"because":"enough"}"#);
}
