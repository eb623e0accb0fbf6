use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(commands(Open), events(Opened), command_enum(derive(Debug)))]
struct Account;

// Neither `Clone` nor serde's.
struct Open(Box<dyn Fn() -> bool + Send>);

impl std::fmt::Debug for Open {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("..")
    }
}

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Opened;

impl Decide<Open> for Account {
    fn decide(&self, Open(may): Open) -> Decision<Self> {
        Ok(if may() { events![Opened] } else { events![] })
    }
}

impl Evolve<Opened> for Account {
    fn evolve(&mut self, _: &Opened) {}
}

pub(super) fn main() {
    assert!(
        Account
            .handle(Open(Box::new(|| false)).into())
            .unwrap()
            .is_empty()
    );
}
