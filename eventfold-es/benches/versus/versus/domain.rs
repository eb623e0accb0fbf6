//! What everyone stores: accounts that count their deposits. State, events and decisions are the
//! same code for all; only what plugs them into a store differs.

use std::convert::Infallible;

use eventfold_es::{
    Aggregate, Decide, Decision, DomainEvent, Evolve, Project, Projection, Recorded,
};
use serde::{Deserialize, Serialize};

/// The type of the aggregate, which is a directory's name.
pub(crate) const ACCOUNT: &str = "account";

/// As small as states get, unless it is opened with a memo.
#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(command = Command, events(Opened, Deposited))]
pub(crate) struct Account {
    pub(crate) deposits: u64,
    pub(crate) balance: u64,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    memo: String,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) enum Command {
    /// One event that makes the state about so many bytes large.
    Open { memo_bytes: usize },
    /// One event of about so many bytes.
    Deposit { bytes: usize },
    /// So many events, to fill a stream quickly.
    DepositOften { times: usize },
}

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
pub(crate) struct Opened {
    pub(crate) memo: String,
}

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
pub(crate) struct Deposited {
    pub(crate) amount: u64,
    pub(crate) reference: String,
}

impl Deposited {
    /// A deposit as most of them are.
    pub(crate) fn usual() -> Self {
        Self {
            amount: AMOUNT,
            reference: REFERENCE.to_owned(),
        }
    }
}

const AMOUNT: u64 = 5;
const REFERENCE: &str = "invoice 2026-000417, paid by card";
/// What a [`Deposited`] takes as JSON besides its reference.
const AROUND_REFERENCE: usize = 27;
/// How large the payload of a usual event is.
pub(crate) const USUAL_EVENT: usize = AROUND_REFERENCE + REFERENCE.len();

impl Account {
    /// What `command` leads to.
    pub(crate) fn events_of<E: From<Opened> + From<Deposited>>(command: Command) -> Vec<E> {
        let deposited = |bytes: usize| {
            let mut reference = REFERENCE.to_owned();
            reference.push_str(&".".repeat(bytes.saturating_sub(USUAL_EVENT)));
            E::from(Deposited {
                amount: AMOUNT,
                reference,
            })
        };
        match command {
            Command::Open { memo_bytes } => vec![E::from(Opened {
                memo: ".".repeat(memo_bytes),
            })],
            Command::Deposit { bytes } => vec![deposited(bytes)],
            Command::DepositOften { times } => (0..times).map(|_| deposited(0)).collect(),
        }
    }

    pub(crate) fn remember(&mut self, memo: &str) {
        memo.clone_into(&mut self.memo);
    }

    pub(crate) fn add(&mut self, amount: u64) {
        self.deposits += 1;
        self.balance += amount;
    }

    /// Fails if the state is not that of an account with so many deposits.
    pub(crate) fn check(&self, deposits: u64, whose: &str) {
        assert_eq!(self.deposits, deposits, "deposits of {whose}");
        assert_eq!(self.balance, deposits * AMOUNT, "the balance of {whose}");
    }
}

impl Decide<Command> for Account {
    fn decide(&self, command: Command) -> Decision<Self> {
        Ok::<_, Infallible>(Self::events_of(command))
    }
}

impl Evolve<Opened> for Account {
    fn evolve(&mut self, event: &Opened) {
        self.remember(&event.memo);
    }
}

impl Evolve<Deposited> for Account {
    fn evolve(&mut self, event: &Deposited) {
        self.add(event.amount);
    }
}

/// The events as a stored enum is written by hand: for 0.2.0, SQLite and the peers.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub(crate) enum Event {
    Opened(Opened),
    Deposited(Deposited),
}

impl From<Opened> for Event {
    fn from(event: Opened) -> Self {
        Self::Opened(event)
    }
}

impl From<Deposited> for Event {
    fn from(event: Deposited) -> Self {
        Self::Deposited(event)
    }
}

/// A name and a payload, for the stores of bytes.
impl Event {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Opened(_) => "Opened",
            Self::Deposited(_) => "Deposited",
        }
    }

    pub(crate) fn payload(&self) -> Vec<u8> {
        let payload = match self {
            Self::Opened(event) => serde_json::to_vec(event),
            Self::Deposited(event) => serde_json::to_vec(event),
        };
        payload.expect("an event as JSON")
    }

    pub(crate) fn read(name: &str, payload: &[u8]) -> Self {
        let read = match name {
            "Opened" => serde_json::from_slice(payload).map(Self::Opened),
            "Deposited" => serde_json::from_slice(payload).map(Self::Deposited),
            _ => panic!("no event is named {name}"),
        };
        read.expect("an event")
    }
}

impl Account {
    pub(crate) fn apply_event(&mut self, event: &Event) {
        match event {
            Event::Opened(event) => self.remember(&event.memo),
            Event::Deposited(event) => self.add(event.amount),
        }
    }
}

/// The read model over all accounts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, Projection)]
#[projection(name = "total", aggregates(Account))]
pub(crate) struct Total {
    pub(crate) deposits: u64,
    pub(crate) balance: u64,
}

impl Total {
    pub(crate) fn add(&mut self, amount: u64) {
        self.deposits += 1;
        self.balance += amount;
    }

    /// For 0.2.0, whose read models get untyped events.
    pub(crate) fn add_event(&mut self, event: &eventfold::Event) {
        if event.event_type == "Deposited" {
            self.add(event.data["amount"].as_u64().expect("an amount"));
        }
    }
}

impl Project<Account> for Total {
    fn project(&mut self, event: &AccountEvent, _: &Recorded<'_>) {
        if let AccountEvent::Deposited(event) = event {
            self.add(event.amount);
        }
    }
}

impl Deposited {
    pub(crate) fn amount(&self) -> u64 {
        self.amount
    }
}
