//! The derives: what a derived aggregate and a derived event do.

use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, Aggregate)]
#[aggregate(
    commands(Deposit, Withdraw = "take-out"),
    events(Deposited, Withdrawn),
    error = Refused,
    event_enum(derive(Debug, Clone, PartialEq)),
)]
struct BankAccount {
    balance: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Deposit {
    amount: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Withdraw(u64);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, DomainEvent)]
#[event(name = "MoneyDeposited", alias = "Deposited")]
struct Deposited {
    amount: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, DomainEvent)]
struct Withdrawn(u64);

#[derive(Debug, PartialEq, thiserror::Error)]
enum Refused {
    #[error("only {balance} there")]
    TooLittle { balance: u64 },
}

impl Decide<Deposit> for BankAccount {
    fn decide(&self, command: Deposit) -> Decision<Self> {
        Ok(events![Deposited {
            amount: command.amount
        }])
    }
}

impl Decide<Withdraw> for BankAccount {
    fn decide(&self, Withdraw(amount): Withdraw) -> Decision<Self> {
        if amount > self.balance {
            return Err(Refused::TooLittle {
                balance: self.balance,
            });
        }
        Ok(events![Withdrawn(amount)])
    }
}

impl Evolve<Deposited> for BankAccount {
    fn evolve(&mut self, event: &Deposited) {
        self.balance += event.amount;
    }
}

impl Evolve<Withdrawn> for BankAccount {
    fn evolve(&mut self, event: &Withdrawn) {
        self.balance -= event.0;
    }
}

#[test]
fn a_command_is_decided_and_its_events_change_the_state() {
    let account = BankAccount::default();
    let events = account.handle(Deposit { amount: 5 }.into()).unwrap();
    assert_eq!(events, [Deposited { amount: 5 }.into()]);
    let account = events.iter().fold(account, Aggregate::apply);
    assert_eq!(account.balance, 5);
    assert_eq!(
        account.handle(Withdraw(6).into()),
        Err(Refused::TooLittle { balance: 5 })
    );
}
