use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
#[serde(into = "String", try_from = "String")]
enum AccountEvent {
    Opened,
    Closed,
}

impl From<AccountEvent> for String {
    fn from(_: AccountEvent) -> Self {
        String::new()
    }
}

impl TryFrom<String> for AccountEvent {
    type Error = std::convert::Infallible;

    fn try_from(_: String) -> Result<Self, Self::Error> {
        Ok(Self::Opened)
    }
}

fn main() {}
