// The names of the generated enums are made of the user's, whatever style that has.
#![deny(warnings)]

use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

// `Type` is a name that other languages reserve; the compiler does not mind the `_`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(commands(), events(Opened))]
struct Type_;

impl Evolve<Opened> for Type_ {
    fn evolve(&mut self, _: &Opened) {}
}

#[allow(non_camel_case_types)]
#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(commands(open_account), events(Opened, account_closed))]
struct bank_account;

#[allow(non_camel_case_types)]
#[derive(Debug, Clone, Serialize, Deserialize)]
struct open_account;

#[allow(non_camel_case_types)]
#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
enum account_closed {
    by_hand,
}

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Opened;

impl Decide<open_account> for bank_account {
    fn decide(&self, _: open_account) -> Decision<Self> {
        Ok(events![Opened, account_closed::by_hand])
    }
}

impl Evolve<Opened> for bank_account {
    fn evolve(&mut self, _: &Opened) {}
}

impl Evolve<account_closed> for bank_account {
    fn evolve(&mut self, _: &account_closed) {}
}

pub(super) fn main() {
    let events = bank_account::default().handle(bank_accountCommand::open_account(open_account));
    assert_eq!(events.unwrap().len(), 2);
    let _ = Type_::default().apply(&Type_Event::Opened(Opened));
}
