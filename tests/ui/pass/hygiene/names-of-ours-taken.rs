// Constants and functions called as what generated code works with: a constant in scope would turn
// a binding of that name into a comparison.
#![allow(non_upper_case_globals, dead_code)]

use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

const event: u8 = 0;
const upcast: u8 = 0;
const command: u8 = 0;
const data: u8 = 0;
const stored: u8 = 0;
const name: u8 = 0;
const message: u8 = 0;
const routes: u8 = 0;
const serializer: u8 = 0;
const deserializer: u8 = 0;
const NAMES: u8 = 0;
const EVENTS: u8 = 0;

#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(commands(Open), events(Opened))]
struct Account;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Open;

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
#[event(version = 3, upcast(1 = v1_to_v2, 2 = v2_to_v3))]
struct Opened;

fn v1_to_v2(old: u64) -> u64 {
    old
}

fn v2_to_v3(_: u64) -> Result<Opened, String> {
    Ok(Opened)
}

// Methods that every type has.
trait Everything: Sized {
    fn first(self) {}
    fn then(self) {}
    fn last(self) {}
    fn result(self) {}
}
impl<T> Everything for T {}

// Inherent functions called as the traits' are.
impl Opened {
    const NAMES: u8 = 0;

    fn name(&self) {}
    fn encode(&self) {}
    fn decode() {}
    fn knows() {}
    fn encode_struct(&self) {}
    fn decode_struct() {}
    fn schema_version() {}
}

impl Account {
    fn decide(&self) {}
    fn evolve(&mut self) {}
    fn apply(&self) {}
}

impl Decide<Open> for Account {
    fn decide(&self, _: Open) -> Decision<Self> {
        Ok(events![Opened])
    }
}

impl Evolve<Opened> for Account {
    fn evolve(&mut self, _: &Opened) {}
}

pub(super) fn main() {
    let events = Aggregate::handle(&Account, Open.into()).unwrap();
    let mut json = Vec::new();
    Account::encode_event(&events[0], &mut json).unwrap();
    assert_eq!(json, b"null");
}
