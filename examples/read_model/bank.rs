//! The domain: accounts that take money and pay out what they have.

use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(commands(Deposit, Withdraw), events(Deposited, Withdrawn))]
pub(crate) struct BankAccount {
    pub(crate) balance: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Deposit {
    pub(crate) amount: u64,
}

/// Pays out everything.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Withdraw;

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
pub(crate) struct Deposited {
    pub(crate) amount: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
pub(crate) struct Withdrawn {
    pub(crate) amount: u64,
}

impl Decide<Deposit> for BankAccount {
    fn decide(&self, Deposit { amount }: Deposit) -> Decision<Self> {
        Ok(events![Deposited { amount }])
    }
}

impl Decide<Withdraw> for BankAccount {
    fn decide(&self, _: Withdraw) -> Decision<Self> {
        let amount = self.balance;
        Ok(if amount > 0 {
            events![Withdrawn { amount }]
        } else {
            events![]
        })
    }
}

impl Evolve<Deposited> for BankAccount {
    fn evolve(&mut self, event: &Deposited) {
        self.balance += event.amount;
    }
}

impl Evolve<Withdrawn> for BankAccount {
    fn evolve(&mut self, event: &Withdrawn) {
        self.balance -= event.amount;
    }
}
