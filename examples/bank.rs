//! Bank accounts: commands that are decided, events that are stored, states that come back.
//!
//! ```text
//! cargo run --example bank              # in a temporary directory
//! cargo run --example bank -- ./bank    # in a directory that stays; run it again to go on there
//! ```

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

// The domain: a state, the commands that it decides, the events that it consists of. The derive
// generates the enums `BankAccountCommand` and `BankAccountEvent`.

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, Aggregate)]
#[aggregate(
    name = "bank-account",
    commands(OpenAccount, Deposit, Withdraw),
    events(AccountOpened, Deposited, Withdrawn),
    error = BankAccountError,
)]
struct BankAccount {
    /// Nobody before the account is opened.
    owner: Option<String>,
    balance: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct OpenAccount {
    owner: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Deposit {
    amount: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Withdraw {
    amount: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, DomainEvent)]
struct AccountOpened {
    owner: String,
}

/// Events live for ever, types get renamed. This one is stored as `MoneyDeposited`; what was stored
/// when it was called `Deposited` is still read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, DomainEvent)]
#[event(name = "MoneyDeposited", alias = "Deposited")]
struct Deposited {
    amount: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, DomainEvent)]
struct Withdrawn {
    amount: u64,
}

#[derive(Debug, PartialEq, thiserror::Error)]
enum BankAccountError {
    #[error("the account is open already")]
    AlreadyOpen,
    #[error("the account is not open")]
    NotOpen,
    #[error("there is nothing to deposit")]
    NothingToDeposit,
    #[error("there is nothing to withdraw")]
    NothingToWithdraw,
    #[error("{amount} cannot be withdrawn from a balance of {balance}")]
    BalanceTooLow { balance: u64, amount: u64 },
}

impl BankAccount {
    fn check_open(&self) -> Result<(), BankAccountError> {
        match self.owner {
            Some(_) => Ok(()),
            None => Err(BankAccountError::NotOpen),
        }
    }
}

// `decide` looks at the state and says what happens, or why it must not. It changes nothing.

impl Decide<OpenAccount> for BankAccount {
    fn decide(&self, command: OpenAccount) -> Decision<Self> {
        if self.owner.is_some() {
            return Err(BankAccountError::AlreadyOpen);
        }
        Ok(events![AccountOpened {
            owner: command.owner
        }])
    }
}

impl Decide<Deposit> for BankAccount {
    fn decide(&self, command: Deposit) -> Decision<Self> {
        self.check_open()?;
        if command.amount == 0 {
            return Err(BankAccountError::NothingToDeposit);
        }
        Ok(events![Deposited {
            amount: command.amount
        }])
    }
}

impl Decide<Withdraw> for BankAccount {
    fn decide(&self, command: Withdraw) -> Decision<Self> {
        let Withdraw { amount } = command;
        self.check_open()?;
        if amount == 0 {
            return Err(BankAccountError::NothingToWithdraw);
        }
        if amount > self.balance {
            let balance = self.balance;
            return Err(BankAccountError::BalanceTooLow { balance, amount });
        }
        Ok(events![Withdrawn { amount }])
    }
}

// `evolve` says what an event that happened means for the state. It refuses nothing.

impl Evolve<AccountOpened> for BankAccount {
    fn evolve(&mut self, event: &AccountOpened) {
        self.owner = Some(event.owner.clone());
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

/// A read model over all accounts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, Projection)]
#[projection(name = "totals", aggregates(BankAccount))]
struct Totals {
    accounts: u64,
    balance: u64,
}

// `record` would say which account it is, when that was, and on whose behalf.

impl Project<BankAccount> for Totals {
    fn project(&mut self, event: &BankAccountEvent, _record: &Recorded<'_>) {
        match event {
            BankAccountEvent::AccountOpened(_) => self.accounts += 1,
            BankAccountEvent::Deposited(event) => self.balance += event.amount,
            BankAccountEvent::Withdrawn(event) => self.balance -= event.amount,
        }
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let temporary = tempfile::tempdir()?;
    let dir = std::env::args_os().nth(1).map(PathBuf::from);
    let dir = dir.unwrap_or_else(|| temporary.path().to_owned());
    println!("The bank is in {}.", dir.display());

    let store = open(&dir).await?;
    show("At first", &store).await?;

    let alice = account(&store, "alice", "Alice Liddell").await?;
    let bob = account(&store, "bob", "Bob Dodgson").await?;

    let done = alice.send(Deposit { amount: 100 }).await?;
    println!("\nalice: {:?}", done.events);
    let done = alice.send(Withdraw { amount: 30 }).await?;
    println!("alice: {:?}", done.events);
    let done = bob.send(Deposit { amount: 20 }).await?;
    println!("bob:   {:?}", done.events);

    // The account's own reason comes back as a value to match on; nothing was stored.
    match bob.send(Withdraw { amount: 1_000_000 }).await {
        Err(ExecuteError::Domain(reason @ BankAccountError::BalanceTooLow { .. })) => {
            println!("bob:   rejected, {reason}");
        }
        Err(other) => return Err(other.into()),
        Ok(done) => bail!("bob is not that rich: {:?}", done.events),
    }
    show("After these commands", &store).await?;

    // What was answered is durable without this; `shutdown` leaves the directory in order, so that
    // the next `open` has nothing to do and need not wait.
    store.shutdown().await?;
    let store = open(&dir).await?;
    show("Closed and opened again", &store).await?;
    store.shutdown().await?;
    Ok(())
}

async fn open(dir: &Path) -> anyhow::Result<AggregateStore> {
    AggregateStore::builder(dir)
        .projection::<Totals>()
        .open()
        .await
        .with_context(|| format!("the bank in {} cannot be opened", dir.display()))
}

/// The account `id`, opened in the name of `owner` unless a former run did that.
async fn account(
    store: &AggregateStore,
    id: &str,
    owner: &str,
) -> anyhow::Result<AggregateHandle<BankAccount>> {
    let account = store.get::<BankAccount>(id).await?;
    if account.version().await? == 0 {
        let owner = owner.to_owned();
        account.send(OpenAccount { owner }).await?;
    }
    Ok(account)
}

/// Prints every account and the read model.
async fn show(when: &str, store: &AggregateStore) -> anyhow::Result<()> {
    println!("\n{when}:");
    for id in store.list::<BankAccount>().await? {
        let account = store.get::<BankAccount>(&id).await?;
        let BankAccount { owner, balance } = account.state().await?;
        let owner = owner.as_deref().unwrap_or("nobody");
        let version = account.version().await?;
        println!("  {id}: {balance} of {owner}, after {version} events");
    }
    let Totals { accounts, balance } = store.projection()?;
    println!("  in total: {balance} in {accounts} accounts");
    Ok(())
}

/// The domain needs no store to be tested: what happened is given, a command is sent, and what comes of
/// it compared.
#[cfg(test)]
mod tests {
    use eventfold_es::testing::{Given, event_history, given, projection, state_history};

    use super::*;

    fn opened() -> AccountOpened {
        let owner = "Alice".to_owned();
        AccountOpened { owner }
    }

    /// An account with a balance of 5.
    fn account() -> Given<BankAccount> {
        given(events![opened(), Deposited { amount: 5 }])
    }

    #[test]
    fn a_deposit_goes_into_the_balance() {
        account()
            .when(Deposit { amount: 2 })
            .then(events![Deposited { amount: 2 }])
            .then_state(|account| account.balance == 7);
    }

    #[test]
    fn only_what_is_there_can_be_withdrawn() {
        let (balance, amount) = (5, 6);
        account()
            .when(Withdraw { amount })
            .then_error(|error| *error == BankAccountError::BalanceTooLow { balance, amount })
            .when(Withdraw { amount: 5 })
            .then(events![Withdrawn { amount: 5 }])
            .then_state(|account| account.balance == 0);
    }

    #[test]
    fn an_account_is_opened_once() {
        let owner = "Alice".to_owned();
        given::<BankAccount>(events![])
            .when(OpenAccount { owner })
            .then(events![opened()])
            .when(OpenAccount {
                owner: "Bob".to_owned(),
            })
            .then_error(|error| *error == BankAccountError::AlreadyOpen)
            .then_state(|account| account.owner.as_deref() == Some("Alice"));
    }

    #[test]
    fn an_account_that_is_not_open_takes_nothing() {
        given::<BankAccount>(events![])
            .when(Deposit { amount: 5 })
            .then_error(|error| *error == BankAccountError::NotOpen)
            .when(Withdraw { amount: 5 })
            .then_error(|error| *error == BankAccountError::NotOpen);
    }

    #[test]
    fn nothing_is_neither_deposited_nor_withdrawn() {
        account()
            .when(Deposit { amount: 0 })
            .then_error(|error| *error == BankAccountError::NothingToDeposit)
            .when(Withdraw { amount: 0 })
            .then_error(|error| *error == BankAccountError::NothingToWithdraw);
    }

    #[test]
    fn the_totals_are_those_of_all_accounts() {
        projection::<Totals>()
            .given::<BankAccount>("alice", events![opened(), Deposited { amount: 5 }])
            .given::<BankAccount>("bob", events![opened(), Deposited { amount: 7 }])
            .given::<BankAccount>("alice", events![Withdrawn { amount: 2 }])
            .then_state(|totals| (totals.accounts, totals.balance) == (2, 10));
    }

    #[test]
    fn a_deposit_is_read_under_its_former_name() {
        given::<BankAccount>(events![opened()])
            .and_stored("Deposited", 1, serde_json::json!({ "amount": 5 }))
            .then_state(|account| account.balance == 5);
    }

    /// The samples in `bank/events` are of every event that was ever stored. After a change of an
    /// event, this test says what is to be done.
    #[test]
    fn every_event_that_was_ever_stored_can_be_read() {
        event_history::<BankAccountEvent>("bank/events")
            .sample(opened())
            .sample(Deposited { amount: 5 })
            .sample(Withdrawn { amount: 5 })
            .check();
    }

    #[test]
    fn a_state_of_another_shape_has_another_version() {
        state_history::<BankAccount>("bank/states")
            .after(events![opened(), Deposited { amount: 5 }])
            .check();
    }
}
