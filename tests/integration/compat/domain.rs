//! The aggregates, projections and process managers that both crates run on the same data.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::json;

/// The state remembers the order of its events.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Account {
    pub(crate) owner: Option<String>,
    pub(crate) deposits: Vec<u64>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum AccountCommand {
    Open(String),
    /// Each amount is an event.
    Deposit(Vec<u64>),
    Close,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub(crate) enum AccountEvent {
    Opened(String),
    Deposited { amount: u64 },
    Closed,
}

/// What the bookkeeper writes to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ledger {
    pub(crate) entries: Vec<(String, u64)>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum LedgerCommand {
    Record { from: String, amount: u64 },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub(crate) enum LedgerEvent {
    Recorded { from: String, amount: u64 },
}

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("unlucky")]
pub(crate) struct Unlucky;

/// An amount that the ledger refuses.
pub(crate) const UNLUCKY: u64 = 13;

/// Every event of accounts and ledgers, in the order it came in.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Log(pub(crate) Vec<String>);

/// What [`Log`] writes of an event.
pub(crate) fn entry(aggregate_type: &str, id: &str, event: &eventfold::Event) -> String {
    let (name, data) = (&event.event_type, &event.data);
    format!("{aggregate_type} {id} {name} {data}")
}

/// What was deposited where.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Deposits(pub(crate) BTreeMap<String, Vec<u64>>);

/// Has every deposit recorded in the ledger `main`.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Bookkeeper {
    seen: u64,
}

macro_rules! implement {
    ($es:ident) => {
        impl $es::Aggregate for Account {
            const AGGREGATE_TYPE: &'static str = "account";
            type Command = AccountCommand;
            type DomainEvent = AccountEvent;
            type Error = std::convert::Infallible;

            fn handle(&self, cmd: AccountCommand) -> Result<Vec<AccountEvent>, Self::Error> {
                Ok(match cmd {
                    AccountCommand::Open(owner) => vec![AccountEvent::Opened(owner)],
                    AccountCommand::Deposit(amounts) => amounts
                        .into_iter()
                        .map(|amount| AccountEvent::Deposited { amount })
                        .collect(),
                    AccountCommand::Close => vec![AccountEvent::Closed],
                })
            }

            fn apply(mut self, event: &AccountEvent) -> Self {
                match event {
                    AccountEvent::Opened(owner) => self.owner = Some(owner.clone()),
                    AccountEvent::Deposited { amount } => self.deposits.push(*amount),
                    AccountEvent::Closed => self.owner = None,
                }
                self
            }
        }

        impl $es::Aggregate for Ledger {
            const AGGREGATE_TYPE: &'static str = "ledger";
            type Command = LedgerCommand;
            type DomainEvent = LedgerEvent;
            type Error = Unlucky;

            fn handle(&self, cmd: LedgerCommand) -> Result<Vec<LedgerEvent>, Unlucky> {
                let LedgerCommand::Record { from, amount } = cmd;
                if amount == UNLUCKY {
                    return Err(Unlucky);
                }
                Ok(vec![LedgerEvent::Recorded { from, amount }])
            }

            fn apply(mut self, event: &LedgerEvent) -> Self {
                let LedgerEvent::Recorded { from, amount } = event;
                self.entries.push((from.clone(), *amount));
                self
            }
        }

        impl $es::Projection for Log {
            const NAME: &'static str = "log";

            fn subscriptions(&self) -> &'static [&'static str] {
                &["account", "ledger"]
            }

            fn apply(&mut self, aggregate_type: &str, id: &str, event: &eventfold::Event) {
                self.0.push(entry(aggregate_type, id, event));
            }
        }

        impl $es::Projection for Deposits {
            const NAME: &'static str = "deposits";

            fn subscriptions(&self) -> &'static [&'static str] {
                &["account"]
            }

            fn apply(&mut self, _: &str, id: &str, event: &eventfold::Event) {
                if let Some(amount) = event.data["amount"].as_u64() {
                    self.0.entry(id.to_owned()).or_default().push(amount);
                }
            }
        }

        impl $es::ProcessManager for Bookkeeper {
            const NAME: &'static str = "bookkeeper";

            fn subscriptions(&self) -> &'static [&'static str] {
                &["account"]
            }

            fn react(
                &mut self,
                _: &str,
                id: &str,
                event: &eventfold::Event,
            ) -> Vec<$es::CommandEnvelope> {
                self.seen += 1;
                let Some(amount) = event.data["amount"].as_u64() else {
                    return Vec::new();
                };
                vec![$es::CommandEnvelope {
                    aggregate_type: "ledger".to_owned(),
                    instance_id: "main".to_owned(),
                    command: json!({ "Record": { "from": id, "amount": amount } }),
                    context: $es::CommandContext::default(),
                }]
            }
        }
    };
}

implement!(old);
implement!(eventfold_es);

macro_rules! tools {
    ($(#[$doc:meta])* $name:ident, $es:ident) => {
        $(#[$doc])*
        pub(crate) mod $name {
            use super::*;
            use $es::{AggregateStore, AggregateStoreBuilder, CommandContext, InjectOptions};

            pub(crate) fn builder(base: &Path) -> AggregateStoreBuilder {
                AggregateStore::builder(base)
                    .projection::<Log>()
                    .projection::<Deposits>()
                    .process_manager::<Bookkeeper>()
                    .aggregate_type::<Ledger>()
            }

            pub(crate) async fn open(base: &Path) -> AggregateStore {
                builder(base).open().await.unwrap()
            }

            pub(crate) async fn execute(store: &AggregateStore, id: &str, command: AccountCommand) {
                let account = store.get::<Account>(id).await.unwrap();
                account.execute(command, CommandContext::default()).await.unwrap();
            }

            pub(crate) async fn deposit(store: &AggregateStore, id: &str, amounts: &[u64]) {
                execute(store, id, AccountCommand::Deposit(amounts.to_vec())).await;
            }

            pub(crate) async fn account(store: &AggregateStore, id: &str) -> Account {
                store.get::<Account>(id).await.unwrap().state().await.unwrap()
            }

            pub(crate) async fn ledger(store: &AggregateStore) -> Vec<(String, u64)> {
                let ledger = store.get::<Ledger>("main").await.unwrap();
                ledger.state().await.unwrap().entries
            }

            /// How many commands were dispatched, and how many dead-lettered.
            pub(crate) async fn run(store: &AggregateStore) -> (usize, usize) {
                let report = store.run_process_managers().await.unwrap();
                (report.dispatched, report.dead_lettered)
            }

            pub(crate) async fn inject<A: $es::Aggregate>(
                store: &AggregateStore,
                id: &str,
                event: eventfold::Event,
            ) {
                let options = InjectOptions::default();
                store.inject_event::<A>(id, event, options).await.unwrap();
            }
        }
    };
}

tools!(
    /// The published crate on these aggregates.
    published,
    old
);
tools!(
    /// This crate on these aggregates.
    current,
    eventfold_es
);

impl Log {
    /// The entries in an order that does not depend on when they came in.
    pub(crate) fn sorted(&self) -> Vec<String> {
        let mut sorted = self.0.clone();
        sorted.sort();
        sorted
    }

    /// The entries of one stream, in order.
    pub(crate) fn of(&self, aggregate_type: &str, id: &str) -> Vec<String> {
        let start = format!("{aggregate_type} {id} ");
        self.0
            .iter()
            .filter(|entry| entry.starts_with(&start))
            .cloned()
            .collect()
    }
}
