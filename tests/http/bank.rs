//! Accounts.

use axum::http::StatusCode;
use eventfold_es::http::{ProblemDetails, Refusal};
use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

use crate::gate::Gate;

#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(
    commands(Open, Change, Deposit, Withdraw),
    events(Opened, Changed, Deposited, Withdrawn),
    error = AccountError
)]
pub struct Account {
    pub owner: Option<String>,
    pub balance: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Open {
    pub owner: String,
}

/// Gives the account to another owner.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    pub owner: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deposit {
    #[serde(deserialize_with = "whole")]
    pub amount: u32,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Withdraw {
    #[serde(deserialize_with = "whole")]
    pub amount: u32,
}

/// A whole number as JSON Schema means it: 5.0 is one.
pub(crate) fn whole<'de, D: serde::Deserializer<'de>>(json: D) -> Result<u32, D::Error> {
    let number = serde_json::Number::deserialize(json)?;
    let whole = match number.as_u64() {
        Some(whole) => u32::try_from(whole).ok(),
        None => number
            .to_string()
            .strip_suffix(".0")
            .and_then(|whole| whole.parse().ok()),
    };
    whole.ok_or_else(|| {
        serde::de::Error::custom(format!("{number} is not a whole number up to {}", u32::MAX))
    })
}

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
pub struct Opened {
    pub owner: String,
}

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
pub struct Changed {
    pub owner: String,
}

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
pub struct Deposited {
    pub amount: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
pub struct Withdrawn {
    pub amount: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    #[error("the account is not open")]
    NotOpen,
    #[error("the account is open already")]
    IsOpen,
    #[error("there are only {balance}")]
    NotEnough { balance: u64 },
    #[error("nobody may withdraw as much at once")]
    TooMuch,
}

impl Refusal for AccountError {
    fn problem(&self) -> ProblemDetails {
        match self {
            Self::NotEnough { balance } => ProblemDetails::refused(self)
                .with_type("https://bank.example/problems/not-enough")
                .with_title("Not enough money")
                .with_member("balance", *balance),
            Self::TooMuch => ProblemDetails::new(StatusCode::FORBIDDEN),
            refused => ProblemDetails::refused(refused),
        }
    }
}

/// Deposits into this account fail its code.
const FAULTY: &str = "faulty account";
const MOST: u32 = 1_000_000;

#[aggregate_impl]
impl Account {
    fn open(&self, command: Open) -> Decision<Self> {
        if self.owner.is_some() {
            return Err(AccountError::IsOpen);
        }
        Ok(events![Opened {
            owner: command.owner
        }])
    }

    fn change(&self, command: Change) -> Decision<Self> {
        if self.owner.is_none() {
            return Err(AccountError::NotOpen);
        }
        Ok(events![Changed {
            owner: command.owner
        }])
    }

    fn deposit(&self, command: Deposit, context: &DecisionContext<'_>) -> Decision<Self> {
        Gate::pass(context.id());
        assert!(context.id() != FAULTY, "the secret of /var/lib/bank is out");
        if self.owner.is_none() {
            return Err(AccountError::NotOpen);
        }
        Ok(events![Deposited {
            amount: command.amount.into()
        }])
    }

    fn withdraw(&self, command: Withdraw) -> Decision<Self> {
        let amount = u64::from(command.amount);
        if self.owner.is_none() {
            return Err(AccountError::NotOpen);
        }
        if command.amount > MOST {
            return Err(AccountError::TooMuch);
        }
        if amount > self.balance {
            return Err(AccountError::NotEnough {
                balance: self.balance,
            });
        }
        Ok(events![Withdrawn { amount }])
    }

    fn opened(&mut self, event: &Opened) {
        self.owner = Some(event.owner.clone());
    }

    fn changed(&mut self, event: &Changed) {
        self.owner = Some(event.owner.clone());
    }

    fn deposited(&mut self, event: &Deposited) {
        self.balance += event.amount;
    }

    fn withdrawn(&mut self, event: &Withdrawn) {
        self.balance -= event.amount;
    }
}

/// How much money the bank has.
#[derive(Debug, Clone, Default, Serialize, Deserialize, Projection)]
#[projection(aggregates(Account))]
pub struct Total {
    pub accounts: u64,
    pub balance: u64,
}

impl Project<Account> for Total {
    fn project(&mut self, event: &AccountEvent, _: &Recorded<'_>) {
        match event {
            AccountEvent::Opened(_) => self.accounts += 1,
            AccountEvent::Changed(_) => {}
            AccountEvent::Deposited(event) => self.balance += event.amount,
            AccountEvent::Withdrawn(event) => self.balance -= event.amount,
        }
    }
}
