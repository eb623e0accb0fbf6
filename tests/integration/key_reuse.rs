//! Another command under an idempotency key that is in use.

use std::collections::HashMap;

use eventfold_es::CommandContext;
use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

use crate::support::{Ledger, LedgerCommand, copy, open, poll_once, stall, temp_dir};

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, Aggregate)]
#[aggregate(
    commands(Pay, Label),
    events(Paid, Labelled),
    snapshot(every = 3),
    event_enum(derive(Debug, Clone, PartialEq))
)]
struct Account {
    paid: u64,
    labels: HashMap<String, String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Pay {
    amount: u64,
    #[serde(default)]
    note: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Label(HashMap<String, String>);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, DomainEvent)]
struct Paid(u64);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, DomainEvent)]
struct Labelled(HashMap<String, String>);

impl Decide<Pay> for Account {
    fn decide(&self, pay: Pay) -> Decision<Self> {
        Ok(events![Paid(pay.amount)])
    }
}

impl Decide<Label> for Account {
    fn decide(&self, Label(labels): Label) -> Decision<Self> {
        Ok(events![Labelled(labels)])
    }
}

impl Evolve<Paid> for Account {
    fn evolve(&mut self, Paid(amount): &Paid) {
        self.paid += amount;
    }
}

impl Evolve<Labelled> for Account {
    fn evolve(&mut self, Labelled(labels): &Labelled) {
        self.labels.extend(labels.clone());
    }
}

fn pay(amount: u64) -> Pay {
    Pay { amount, note: None }
}

fn keyed(key: &str) -> CommandContext {
    CommandContext::default().with_idempotency_key(key)
}

/// Sends the command that `k` belongs to, and then others under `k`.
async fn assert_refuses_others(account: &AggregateHandle<Account>) {
    let again = account.send_with(pay(5), keyed("k")).await.unwrap();
    assert!(again.repeated);
    assert_eq!(again.events, [Paid(5).into()]);
    assert_eq!(
        (again.version.into(), again.position.to_string()),
        (1_u64, "1".to_owned())
    );

    let before = account.load().await.unwrap();
    let others: [AccountCommand; 3] = [
        pay(6).into(),
        Pay {
            amount: 5,
            note: Some("twice".to_owned()),
        }
        .into(),
        Label(HashMap::new()).into(),
    ];
    for other in others {
        let refused = account.send_with(other, keyed("k")).await;
        let Err(ExecuteError::KeyReused { key }) = refused else {
            panic!("{refused:?}");
        };
        assert_eq!(key, "k");
    }
    let refused = account.preview_with(pay(6), keyed("k")).await.map(drop);
    assert!(matches!(refused, Err(ExecuteError::KeyReused { .. })));
    assert_eq!(account.load().await.unwrap(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_command_under_a_used_key_is_refused_and_stores_nothing() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let account = store.get::<Account>("a").await.unwrap();
    let first = account.send_with(pay(5), keyed("k")).await.unwrap();
    assert!(!first.repeated);
    assert_refuses_others(&account).await;
    let error = account.send_with(pay(6), keyed("k")).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("\"k\" belongs to another command"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_command_is_refused_after_a_restart_a_crash_and_a_snapshot() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let account = store.get::<Account>("a").await.unwrap();
    account.send_with(pay(5), keyed("k")).await.unwrap();
    let crashed = copy(dir.path());
    store.shutdown().await.unwrap();
    for dir in [dir.path(), crashed.path()] {
        let store = open(dir).await;
        let account = store.get::<Account>("a").await.unwrap();
        assert_refuses_others(&account).await;
        for _ in 0..5 {
            account.send(pay(1)).await.unwrap();
        }
        store.shutdown().await.unwrap();
        // Now the key comes from a snapshot.
        let store = open(dir).await;
        assert_refuses_others(&store.get("a").await.unwrap()).await;
        store.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_compared_with_one_that_is_under_way() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let account = store.get::<Account>("a").await.unwrap();
    account.send(pay(1)).await.unwrap();
    let stalled = stall(&store).await;
    let mut first = Box::pin(account.send_with(pay(5), keyed("k")));
    let mut other = Box::pin(account.send_with(pay(6), keyed("k")));
    assert!(poll_once(&mut first).await.is_none());
    assert!(poll_once(&mut other).await.is_none());
    drop(stalled);
    assert!(!first.await.unwrap().repeated);
    assert!(matches!(other.await, Err(ExecuteError::KeyReused { .. })));
}

#[tokio::test]
async fn the_order_of_a_maps_entries_does_not_make_another_command() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let account = store.get::<Account>("a").await.unwrap();
    let labels = |order: &mut dyn Iterator<Item = u32>| {
        Label(order.map(|n| (n.to_string(), n.to_string())).collect())
    };
    let first = labels(&mut (0..100));
    account.send_with(first, keyed("k")).await.unwrap();
    let again = labels(&mut (0..100).rev());
    assert!(account.send_with(again, keyed("k")).await.unwrap().repeated);
}

/// The account as it was before its commands had fingerprints.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Earlier;

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
enum EarlierEvent {
    Paid(u64),
}

impl Aggregate for Earlier {
    const AGGREGATE_TYPE: &'static str = "account";
    type Command = u64;
    type DomainEvent = EarlierEvent;
    type Error = std::convert::Infallible;

    fn handle(&self, amount: u64) -> Result<Vec<EarlierEvent>, Self::Error> {
        Ok(vec![EarlierEvent::Paid(amount)])
    }

    fn apply(self, _: &EarlierEvent) -> Self {
        self
    }
}

#[tokio::test]
async fn a_command_is_not_compared_with_one_that_was_stored_without_a_fingerprint() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let earlier = store.get::<Earlier>("a").await.unwrap();
    earlier.send_with(5_u64, keyed("k")).await.unwrap();
    drop(earlier);
    store.shutdown().await.unwrap();
    let store = open(&dir).await;
    let account = store.get::<Account>("a").await.unwrap();
    let other = account.send_with(pay(6), keyed("k")).await.unwrap();
    assert!(other.repeated);
    assert_eq!(other.events, [Paid(5).into()]);
}

#[tokio::test]
async fn commands_without_fingerprints_are_not_compared() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    let first = ledger.send_with(LedgerCommand::Add(1), keyed("k")).await;
    let other = ledger.send_with(LedgerCommand::Add(2), keyed("k")).await;
    let other = other.unwrap();
    assert_eq!(other.events, first.unwrap().events);
    assert!(other.repeated);
}
