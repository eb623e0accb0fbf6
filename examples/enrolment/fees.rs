//! Fees: two accounts change at once, or neither.

use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(commands(Deposit, Withdraw), events(Deposited, Withdrawn), error = TooLittle)]
pub(crate) struct Account {
    pub(crate) balance: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Deposit(pub(crate) u64);

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Withdraw(pub(crate) u64);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, DomainEvent)]
pub(crate) struct Deposited {
    amount: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, DomainEvent)]
pub(crate) struct Withdrawn {
    amount: u64,
}

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("there are only {0}")]
pub(crate) struct TooLittle(u64);

impl Decide<Deposit> for Account {
    fn decide(&self, Deposit(amount): Deposit) -> Decision<Self> {
        Ok(events![Deposited { amount }])
    }
}

impl Decide<Withdraw> for Account {
    fn decide(&self, Withdraw(amount): Withdraw) -> Decision<Self> {
        if amount > self.balance {
            return Err(TooLittle(self.balance));
        }
        Ok(events![Withdrawn { amount }])
    }
}

impl Evolve<Deposited> for Account {
    fn evolve(&mut self, event: &Deposited) {
        self.balance += event.amount;
    }
}

impl Evolve<Withdrawn> for Account {
    fn evolve(&mut self, event: &Withdrawn) {
        self.balance -= event.amount;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_fee_that_cannot_be_paid_reaches_nobody() -> anyhow::Result<()> {
        let store = AggregateStore::in_memory().open().await?;
        let ann = store.get::<Account>("ann").await?;
        let school = store.get::<Account>("school").await?;
        ann.send(Deposit(10)).await?;
        let pay = store
            .together()
            .send(&school, Deposit(80))
            .send(&ann, Withdraw(80));
        let error = pay.commit().await.unwrap_err();
        assert_eq!(error.refusal::<TooLittle>(), Some((1, &TooLittle(10))));
        assert_eq!(school.state().await?.balance, 0);
        Ok(())
    }
}
