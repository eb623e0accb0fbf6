use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(
    commands(Open = "open"),
    events(Opened),
    command_enum(name = Commands, derive(Serialize, PartialEq, Eq, Hash)),
    // serde's traits are there in any case, by the stored names.
    event_enum(name = Events, derive(Clone, std::fmt::Debug, PartialEq, Serialize, Deserialize)),
)]
struct Account;

#[derive(PartialEq, Eq, Hash, Serialize)]
struct Open;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, DomainEvent)]
#[event(name = "opened")]
struct Opened;

impl Decide<Open> for Account {
    fn decide(&self, _: Open) -> Decision<Self> {
        Ok(events![Opened])
    }
}

impl Evolve<Opened> for Account {
    fn evolve(&mut self, _: &Opened) {}
}

pub(super) fn main() {
    let command = serde_json::to_string(&Commands::Open(Open)).unwrap();
    assert_eq!(command, r#"{"type":"open","data":null}"#);
    let event = serde_json::to_string(&Events::Opened(Opened)).unwrap();
    assert_eq!(event, r#"{"type":"opened","data":null}"#);
    assert_eq!(
        serde_json::from_str::<Events>(&event).unwrap(),
        Opened.into()
    );
}
