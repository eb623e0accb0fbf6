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
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Totals {
    accounts: u64,
    balance: u64,
}

impl Projection for Totals {
    const NAME: &'static str = "totals";

    fn subscriptions(&self) -> &'static [&'static str] {
        &[BankAccount::AGGREGATE_TYPE]
    }

    fn apply(&mut self, _type: &str, _account: &str, event: &eventfold::Event) {
        // Passing over an event would make the totals wrong. A panic stops this projection, and only
        // this one; whoever reads it gets the text as an error.
        let events = BankAccountEvent::from_eventfold(event).unwrap_or_else(|e| panic!("{e}"));
        for event in events {
            match event {
                BankAccountEvent::AccountOpened(_) => self.accounts += 1,
                BankAccountEvent::Deposited(event) => self.balance += event.amount,
                BankAccountEvent::Withdrawn(event) => self.balance -= event.amount,
            }
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

/// The domain needs no store to be tested: it is values and functions.
#[cfg(test)]
mod tests {
    use super::*;

    /// An account with a history.
    fn given(events: &[BankAccountEvent]) -> BankAccount {
        events
            .iter()
            .fold(BankAccount::default(), BankAccount::apply)
    }

    fn opened() -> BankAccountEvent {
        let owner = "Alice".to_owned();
        AccountOpened { owner }.into()
    }

    fn deposited(amount: u64) -> BankAccountEvent {
        Deposited { amount }.into()
    }

    #[test]
    fn a_deposit_goes_into_the_balance() {
        let account = given(&[opened()]);
        let events = account.decide(Deposit { amount: 5 });
        assert_eq!(account.balance, 0);
        let events = events.unwrap();
        assert_eq!(events.len(), 1);
        assert_eq!(
            events.iter().fold(account, BankAccount::apply),
            given(&[opened(), deposited(5)])
        );
    }

    #[test]
    fn only_what_is_there_can_be_withdrawn() {
        let account = given(&[opened(), deposited(5)]);
        let refused = account.decide(Withdraw { amount: 6 }).unwrap_err();
        let (balance, amount) = (5, 6);
        assert_eq!(refused, BankAccountError::BalanceTooLow { balance, amount });
        assert!(account.decide(Withdraw { amount: 5 }).is_ok());
    }

    #[test]
    fn an_account_is_opened_once() {
        let owner = "Bob".to_owned();
        let refused = given(&[opened()]).decide(OpenAccount { owner });
        assert_eq!(refused.unwrap_err(), BankAccountError::AlreadyOpen);
    }

    #[test]
    fn an_account_that_is_not_open_takes_nothing() {
        let account = given(&[]);
        let refused = account.decide(Deposit { amount: 5 });
        assert_eq!(refused.unwrap_err(), BankAccountError::NotOpen);
        let refused = account.decide(Withdraw { amount: 5 });
        assert_eq!(refused.unwrap_err(), BankAccountError::NotOpen);
    }

    #[test]
    fn nothing_is_neither_deposited_nor_withdrawn() {
        let account = given(&[opened(), deposited(5)]);
        let refused = account.decide(Deposit { amount: 0 });
        assert_eq!(refused.unwrap_err(), BankAccountError::NothingToDeposit);
        let refused = account.decide(Withdraw { amount: 0 });
        assert_eq!(refused.unwrap_err(), BankAccountError::NothingToWithdraw);
    }

    #[test]
    fn a_deposit_is_read_under_its_former_name() {
        let old = BankAccountEvent::decode(eventfold_es::StoredEvent::new(
            "Deposited",
            r#"{"amount":5}"#,
        ));
        let account = given(&[opened(), old.unwrap().into_one().unwrap()]);
        assert_eq!(account.balance, 5);
        assert_eq!(deposited(5).name(), "MoneyDeposited");
    }
}
