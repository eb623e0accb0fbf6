use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(command = AccountCommand, event = events::AccountEvent, error = std::fmt::Error)]
struct Account;

enum AccountCommand {
    Open,
    Close,
}

mod events {
    #[derive(Debug, Clone, serde::Serialize, serde::Deserialize, eventfold_es::DomainEvent)]
    pub enum AccountEvent {
        Opened,
        Closed { reason: String },
    }
}

use events::AccountEvent;

impl Decide<AccountCommand> for Account {
    fn decide(&self, command: AccountCommand) -> Decision<Self> {
        match command {
            AccountCommand::Open => Ok(events![AccountEvent::Opened]),
            AccountCommand::Close => Err(std::fmt::Error),
        }
    }
}

impl Evolve<AccountEvent> for Account {
    fn evolve(&mut self, event: &AccountEvent) {
        if let AccountEvent::Closed { reason } = event {
            drop(reason.clone());
        }
    }
}

pub(super) fn main() {
    assert!(Account.handle(AccountCommand::Close).is_err());
    assert!(matches!(
        Account.handle(AccountCommand::Open).unwrap()[..],
        [AccountEvent::Opened]
    ));
    assert!(Account::knows_event("Closed"));
}
