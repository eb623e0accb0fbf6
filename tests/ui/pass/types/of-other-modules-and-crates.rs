use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

mod commands {
    pub mod opening {
        #[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
        pub struct Open;
    }
}

mod events {
    #[derive(Debug, Clone, serde::Serialize, serde::Deserialize, eventfold_es::DomainEvent)]
    pub struct Opened;
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(
    commands(self::commands::opening::Open, ::std::time::Duration),
    events(crate::types_of_other_modules_and_crates::events::Opened)
)]
struct Account;

impl Decide<commands::opening::Open> for Account {
    fn decide(&self, _: commands::opening::Open) -> Decision<Self> {
        Ok(events![events::Opened])
    }
}

impl Decide<std::time::Duration> for Account {
    fn decide(&self, _: std::time::Duration) -> Decision<Self> {
        Ok(events![])
    }
}

impl Evolve<events::Opened> for Account {
    fn evolve(&mut self, _: &events::Opened) {}
}

pub(super) fn main() {
    let open = AccountCommand::Open(commands::opening::Open);
    let wait = AccountCommand::Duration(std::time::Duration::ZERO);
    let json = serde_json::to_string(&[open, wait]).unwrap();
    let back: Vec<AccountCommand> = serde_json::from_str(&json).unwrap();
    assert_eq!(back.len(), 2);
}
