use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

mod r#mod {
    #[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
    pub struct r#Move {
        pub r#type: String,
    }
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(commands(r#mod::Move, r#try), events(r#match, Change))]
struct r#loop {
    r#ref: u64,
}

#[allow(non_camel_case_types)]
#[derive(Debug, Clone, Serialize, Deserialize)]
struct r#try;

#[allow(non_camel_case_types)]
#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct r#match;

#[allow(non_camel_case_types)]
#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
enum Change {
    r#type(u8),
    r#use { r#as: u8 },
    r#yield,
}

impl Decide<r#mod::Move> for r#loop {
    fn decide(&self, _: r#mod::Move) -> Decision<Self> {
        Ok(events![
            Change::r#type(1),
            Change::r#use { r#as: 2 },
            Change::r#yield
        ])
    }
}

impl Decide<r#try> for r#loop {
    fn decide(&self, _: r#try) -> Decision<Self> {
        Ok(events![r#match])
    }
}

impl Evolve<r#match> for r#loop {
    fn evolve(&mut self, _: &r#match) {
        self.r#ref += 1;
    }
}

impl Evolve<Change> for r#loop {
    fn evolve(&mut self, _: &Change) {}
}

pub(super) fn main() {
    assert_eq!(r#loop::AGGREGATE_TYPE, "loop");
    for name in ["match", "type", "use", "yield"] {
        assert!(r#loop::knows_event(name), "{name}");
    }
    let events = r#loop::default().handle(
        r#mod::Move {
            r#type: String::new(),
        }
        .into(),
    );
    for event in events.unwrap() {
        let mut json = Vec::new();
        let name = r#loop::encode_event(&event, &mut json).unwrap();
        let json = String::from_utf8(json).unwrap();
        r#loop::decode_event(eventfold_es::StoredEvent::new(&name, &json)).unwrap();
    }
    let json = serde_json::to_string(&loopCommand::from(r#try)).unwrap();
    assert_eq!(json, r#"{"type":"try","data":null}"#);
}
