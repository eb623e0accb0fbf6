//! Commands to several aggregates take effect together, or not at all.

use std::io::ErrorKind;
use std::sync::Arc;

use eventfold_es::prelude::*;
use eventfold_es::{Call, CallOutcome, CommittedTogether, Layer, Refused, Together, TogetherError};
use serde::{Deserialize, Serialize};

use crate::support::{
    Ledger, LedgerCommand, LedgerError, LedgerEvent, builder, fast_temp_dir, in_time, open,
    poll_once, temp_dir,
};

mod keys;
mod managed;
mod races;

#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(
    commands(Deposit, Withdraw, Check),
    events(Deposited, Withdrawn),
    error = Overdrawn,
    event_enum(derive(Debug, Clone, PartialEq))
)]
struct Account {
    balance: i64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Deposit(i64);

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Withdraw(i64);

/// Refused unless the balance is as large; has no events.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Check(i64);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, DomainEvent)]
struct Deposited(i64);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, DomainEvent)]
struct Withdrawn(i64);

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("only {balance} is there")]
struct Overdrawn {
    balance: i64,
}

impl Account {
    fn has(&self, amount: i64) -> Result<(), Overdrawn> {
        let balance = self.balance;
        if balance < amount {
            return Err(Overdrawn { balance });
        }
        Ok(())
    }
}

impl Decide<Deposit> for Account {
    fn decide(&self, Deposit(amount): Deposit) -> Decision<Self> {
        Ok(events![Deposited(amount)])
    }
}

impl Decide<Withdraw> for Account {
    fn decide(&self, Withdraw(amount): Withdraw) -> Decision<Self> {
        self.has(amount)?;
        Ok(events![Withdrawn(amount)])
    }
}

impl Decide<Check> for Account {
    fn decide(&self, Check(amount): Check) -> Decision<Self> {
        self.has(amount)?;
        Ok(events![])
    }
}

impl Evolve<Deposited> for Account {
    fn evolve(&mut self, Deposited(amount): &Deposited) {
        self.balance += amount;
    }
}

impl Evolve<Withdrawn> for Account {
    fn evolve(&mut self, Withdrawn(amount): &Withdrawn) {
        self.balance -= amount;
    }
}

async fn ledgers(store: &AggregateStore) -> (AggregateHandle<Ledger>, AggregateHandle<Ledger>) {
    (store.get("a").await.unwrap(), store.get("b").await.unwrap())
}

async fn accounts(store: &AggregateStore) -> (AggregateHandle<Account>, AggregateHandle<Account>) {
    (
        store.get("alice").await.unwrap(),
        store.get("bob").await.unwrap(),
    )
}

fn added(amount: u64) -> LedgerEvent {
    LedgerEvent::Added { amount }
}

/// What is stored, by stream.
async fn all_events(store: &AggregateStore) -> Vec<(String, u64)> {
    let mut events = Vec::new();
    for (aggregate_type, id) in store.list_streams(None).await.unwrap() {
        let count = store.read_events(&aggregate_type, &id).await.unwrap().len() as u64;
        events.push((id, count));
    }
    events
}

#[tokio::test]
async fn groups_count_for_the_snapshots_of_their_aggregates() {
    let dir = temp_dir();
    let store = builder(&dir).snapshot_every(2).open().await.unwrap();
    let (a, b) = ledgers(&store).await;
    for amount in 1..=3 {
        let group = store.together().send(&a, LedgerCommand::Add(amount));
        let group = group.send(&b, LedgerCommand::Add(amount));
        group.commit().await.unwrap();
    }
    for id in ["a", "b"] {
        let saved = || crate::support::snapshot(dir.path(), id).is_some();
        crate::support::eventually("a snapshot is saved", saved).await;
    }
}

#[tokio::test]
async fn the_events_of_all_commands_are_stored_one_position_after_the_other() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let (a, b) = ledgers(&store).await;
    b.send(LedgerCommand::Add(1)).await.unwrap();
    let group = store.together();
    let group = group.send(&b, LedgerCommand::Add(2));
    let group = group.send(&a, LedgerCommand::AddAll(vec![3, 4]));
    let done = group.commit().await.unwrap();
    assert_eq!(done.events(&a), [added(3), added(4)]);
    assert_eq!(done.events(&b), [added(2)]);
    let (of_a, of_b) = (done.of(&a).unwrap(), done.of(&b).unwrap());
    assert_eq!((of_a.version, of_b.version), (2.into(), 2.into()));
    // In the order of the first commands.
    assert!(of_b.position < of_a.position);
    assert_eq!(
        (done.position, store.head()),
        (of_a.position, of_a.position)
    );
    assert!(!done.repeated && !of_a.repeated);
    assert_eq!(a.state().await.unwrap(), Ledger::of([3, 4]));
    assert_eq!(b.state().await.unwrap(), Ledger::of([1, 2]));
    store.shutdown().await.unwrap();
    let store = open(&dir).await;
    let (a, b) = ledgers(&store).await;
    assert_eq!(a.state().await.unwrap(), Ledger::of([3, 4]));
    assert_eq!(b.state().await.unwrap(), Ledger::of([1, 2]));
}

#[tokio::test]
async fn one_refusal_undoes_all_and_says_which_command_with_the_aggregates_own_error() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let (alice, bob) = accounts(&store).await;
    alice.send(Deposit(10)).await.unwrap();
    let group = store.together().send(&bob, Deposit(50));
    let error = group.send(&alice, Withdraw(50)).commit().await.unwrap_err();
    let refusal = error.refusal::<Overdrawn>();
    assert_eq!(refusal, Some((1, &Overdrawn { balance: 10 })));
    assert!(error.refusal::<LedgerError>().is_none());
    let TogetherError::Domain { stream, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(stream.id(), "alice");
    assert!(
        error.to_string().contains("command 1, to account/alice"),
        "{error}"
    );
    assert_eq!(alice.state().await.unwrap().balance, 10);
    assert_eq!(bob.state().await.unwrap().balance, 0);
    assert_eq!(all_events(&store).await, [("alice".to_owned(), 1)]);
    // Both go on.
    let group = store.together().send(&alice, Withdraw(10));
    let done = group.send(&bob, Deposit(10)).commit().await.unwrap();
    assert_eq!(done.of(&alice).unwrap().version, 2);
}

#[tokio::test]
async fn several_commands_to_one_aggregate_are_decided_in_order_on_each_other() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let (alice, bob) = accounts(&store).await;
    let group = store.together().send(&alice, Deposit(5));
    let group = group.send(&bob, Deposit(1)).send(&alice, Withdraw(5));
    let done = group.commit().await.unwrap();
    let of_alice = done.of(&alice).unwrap();
    assert_eq!((of_alice.events.len(), of_alice.version), (2, 2.into()));
    // The second is refused on the state after the first.
    let group = store.together().send(&alice, Deposit(5));
    let group = group.send(&bob, Deposit(1)).send(&alice, Withdraw(6));
    let error = group.commit().await.unwrap_err();
    assert_eq!(
        error.refusal::<Overdrawn>(),
        Some((2, &Overdrawn { balance: 5 }))
    );
    let loaded = alice.load().await.unwrap();
    assert_eq!((loaded.state.balance, loaded.version), (0, 2.into()));
    assert_eq!(bob.version().await.unwrap(), 1);
    let done = alice.send(Deposit(3)).await.unwrap();
    assert_eq!(done.version, 3);
}

#[tokio::test]
async fn a_command_without_events_takes_part_as_a_check() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let (alice, bob) = accounts(&store).await;
    let first = alice.send(Deposit(10)).await.unwrap();
    let group = || store.together().send(&bob, Deposit(1));
    let done = group().send(&alice, Check(10)).commit().await.unwrap();
    let of_alice = done.of(&alice).unwrap();
    assert_eq!((of_alice.events.len(), of_alice.version), (0, 1.into()));
    assert_eq!(of_alice.position, first.position);
    assert_eq!(done.position, done.of(&bob).unwrap().position);
    let error = group().send(&alice, Check(11)).commit().await.unwrap_err();
    assert_eq!(error.index(), Some(1));
    assert_eq!(bob.version().await.unwrap(), 1);
}

#[tokio::test]
async fn a_group_without_events_stores_nothing_and_answers_with_what_is_there() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let (alice, bob) = accounts(&store).await;
    let first = alice.send(Deposit(10)).await.unwrap();
    let head = store.head();
    let group = store.together().send(&alice, Check(1)).send(&bob, Check(0));
    let done = group.commit().await.unwrap();
    assert_eq!(done.position, first.position);
    assert_eq!(done.of(&bob).unwrap().position, Position::default());
    assert_eq!(store.head(), head);
}

#[tokio::test]
async fn a_panic_of_one_aggregate_is_an_error_and_leaves_all_as_they_were() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let (a, b) = ledgers(&store).await;
    a.send(LedgerCommand::Add(1)).await.unwrap();
    let explosions: [fn() -> LedgerCommand; 3] = [
        || LedgerCommand::Explode,
        || LedgerCommand::decide(|_| panic!("out of luck")),
        || LedgerCommand::decide(|_| Ok(vec![LedgerEvent::unencodable()])),
    ];
    for explode in explosions {
        let group = store.together().send(&a, LedgerCommand::Add(2));
        let error = group.send(&b, explode()).commit().await.unwrap_err();
        match &error {
            TogetherError::Panicked { index: 1, panic } => {
                assert!(panic.to_string().contains("ledger/b"), "{panic}");
            }
            TogetherError::Io(error) => assert_eq!(error.kind(), ErrorKind::InvalidData),
            other => panic!("{other}"),
        }
        assert_eq!(a.state().await.unwrap(), Ledger::of([1]));
        assert_eq!(b.version().await.unwrap(), 0);
    }
    let group = store.together().send(&a, LedgerCommand::Add(2));
    group
        .send(&b, LedgerCommand::Add(3))
        .commit()
        .await
        .unwrap();
    assert_eq!(a.state().await.unwrap(), Ledger::of([1, 2]));
    assert_eq!(b.state().await.unwrap(), Ledger::of([3]));
}

#[tokio::test]
async fn a_group_beyond_the_limits_is_refused_whole_and_one_at_the_limit_is_stored() {
    let dir = fast_temp_dir();
    let store = open(&dir).await;
    let handles = async |count: u64| {
        let mut handles = Vec::new();
        for i in 0..count {
            handles.push(store.get::<Ledger>(&format!("n-{i:03}")).await.unwrap());
        }
        handles
    };
    let group = |handles: &[AggregateHandle<Ledger>]| {
        let add = |group: Together, handle| group.send(handle, LedgerCommand::Add(1));
        handles.iter().fold(store.together(), add)
    };
    let too_large = |error| match error {
        TogetherError::TooLarge { what, actual, most } => (what, actual, most),
        other => panic!("{other}"),
    };
    let most = Together::MOST_AGGREGATES;
    let error = group(&handles(most + 1).await).commit().await.unwrap_err();
    assert_eq!(too_large(error), ("aggregates", most + 1, most));
    let all = handles(most).await;
    let done = group(&all).commit().await.unwrap();
    assert!(all.iter().all(|handle| done.of(handle).is_some()));

    let (a, b) = ledgers(&store).await;
    let adding = |count: u64| LedgerCommand::AddAll(vec![1; usize::try_from(count).unwrap()]);
    let most = Together::MOST_EVENTS;
    let group = store.together().send(&a, adding(1)).send(&b, adding(most));
    let error = group.commit().await.unwrap_err();
    assert_eq!(too_large(error), ("events", most + 1, most));
    let text = |bytes: u64| LedgerCommand::Write("x".repeat(usize::try_from(bytes).unwrap()));
    let most = Together::MOST_BYTES;
    let group = store.together().send(&a, adding(1)).send(&b, text(most));
    let (what, actual, _) = too_large(group.commit().await.unwrap_err());
    assert!(what == "bytes of events" && actual > most);
    assert_eq!(
        (a.version().await.unwrap(), b.version().await.unwrap()),
        (0.into(), 0.into())
    );
    let group = store.together().send(&a, adding(1));
    let group = group.send(&b, adding(Together::MOST_EVENTS - 1));
    group.commit().await.unwrap();
}

#[tokio::test]
async fn a_group_that_makes_no_sense_is_refused_with_a_text_that_says_why() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let other = AggregateStore::in_memory().open().await.unwrap();
    let (a, _) = ledgers(&store).await;
    let (foreign, _) = ledgers(&other).await;
    let group = || store.together().send(&a, LedgerCommand::Add(1));
    let context = CommandContext::default;
    for (group, context, says) in [
        (store.together(), context(), "no commands"),
        (
            group().send(&foreign, LedgerCommand::Add(1)),
            context(),
            "another open store",
        ),
        (group(), context().with_expected_version(0), "`expecting`"),
        (group(), context().with_idempotency_key(""), "empty"),
    ] {
        let error = group.commit_with(context).await.unwrap_err();
        let TogetherError::Io(error) = error else {
            panic!("{error}")
        };
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains(says), "{error}");
    }
    assert_eq!(a.version().await.unwrap(), 0);
}

#[tokio::test]
async fn an_expected_version_is_checked_also_of_an_aggregate_without_commands() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let (a, b) = ledgers(&store).await;
    b.send(LedgerCommand::Add(1)).await.unwrap();
    let group = |version: u64| {
        let group = store.together().send(&a, LedgerCommand::Add(1));
        group.expecting(&b, version)
    };
    let TogetherError::ExpectedVersion {
        stream,
        expected,
        actual,
    } = group(2).commit().await.unwrap_err()
    else {
        panic!("it was stored")
    };
    assert_eq!((stream.id(), expected, actual), ("b", 2.into(), 1.into()));
    assert_eq!(a.version().await.unwrap(), 0);
    let done = group(1).commit().await.unwrap();
    assert_eq!(done.of(&b).unwrap().version, 1);
    assert_eq!(a.version().await.unwrap(), 1);
}

#[tokio::test]
async fn every_event_of_a_group_has_its_context() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let (a, b) = ledgers(&store).await;
    let context = CommandContext::default()
        .with_actor("ann")
        .with_correlation_id("r-1")
        .with_causation_id("e-1")
        .with_metadata(serde_json::json!({ "tenant": "acme" }));
    let group = store.together().send(&a, LedgerCommand::Add(1));
    let group = group.send(&b, LedgerCommand::AddAll(vec![2, 3]));
    group.commit_with(context).await.unwrap();
    for id in ["a", "b"] {
        for event in store.read_events("ledger", id).await.unwrap() {
            assert_eq!(event.actor.as_deref(), Some("ann"));
            let meta = event.meta.unwrap();
            assert_eq!(meta["correlation_id"], "r-1");
            assert_eq!(meta["causation_id"], "e-1");
            assert_eq!(meta["tenant"], "acme");
        }
    }
}

/// Notes what it sees. Refuses deposits of 13.
#[derive(Clone, Default)]
struct Noting(Arc<std::sync::Mutex<Vec<String>>>);

impl Layer for Noting {
    fn before(&self, call: &mut Call<'_>) -> Result<(), Refused> {
        let mut notes = self.0.lock().unwrap();
        notes.push(format!("before {} of {}", call.command(), call.id()));
        if call.id() == "closed" {
            return Err(Refused::new("the account is closed"));
        }
        call.set_actor(format!("owner of {}", call.id()));
        Ok(())
    }

    fn after(&self, call: &Call<'_>, outcome: CallOutcome<'_>) {
        let mut notes = self.0.lock().unwrap();
        notes.push(format!(
            "{} of {}: {}",
            call.command(),
            call.id(),
            outcome.name()
        ));
    }
}

#[tokio::test]
async fn layers_run_around_each_command_of_a_group() {
    let dir = temp_dir();
    let notes = Noting::default();
    let store = builder(&dir).layer(notes.clone()).open().await.unwrap();
    let taken = || std::mem::take(&mut *notes.0.lock().unwrap());
    let (alice, bob) = accounts(&store).await;
    let group = store.together().send(&alice, Deposit(1));
    group.send(&bob, Deposit(2)).commit().await.unwrap();
    assert_eq!(
        taken(),
        [
            "before Deposit of alice",
            "before Deposit of bob",
            "Deposit of alice: succeeded",
            "Deposit of bob: succeeded",
        ]
    );
    for id in ["alice", "bob"] {
        let events = store.read_events("account", id).await.unwrap();
        let actor = format!("owner of {id}");
        assert_eq!(events[0].actor.as_deref(), Some(actor.as_str()));
    }
    let group = store.together().send(&alice, Withdraw(5));
    group.send(&bob, Deposit(5)).commit().await.unwrap_err();
    assert_eq!(
        taken()[2..],
        ["Withdraw of alice: refused", "Deposit of bob: failed"]
    );
    let closed = store.get::<Account>("closed").await.unwrap();
    let group = store.together().send(&alice, Deposit(1));
    let group = group.send(&closed, Deposit(1)).send(&bob, Deposit(1));
    let error = group.commit().await.unwrap_err();
    let TogetherError::Refused {
        index: 1, refused, ..
    } = error
    else {
        panic!("{error}")
    };
    assert_eq!(refused.to_string(), "the account is closed");
    assert_eq!(
        taken(),
        [
            "before Deposit of alice",
            "before Deposit of closed",
            "Deposit of alice: failed",
        ]
    );
    assert_eq!(alice.version().await.unwrap(), 1);
}

#[tokio::test]
async fn a_group_whose_caller_is_gone_is_stored_all_the_same() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let (a, b) = ledgers(&store).await;
    let group = store.together().send(&a, LedgerCommand::Add(1));
    let mut group = Box::pin(group.send(&b, LedgerCommand::Add(1)).commit());
    let _ = poll_once(&mut group).await;
    drop(group);
    in_time("both versions", async {
        while a.version().await.unwrap() == 0 || b.version().await.unwrap() == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_future_that_is_not_polled_on_holds_no_aggregate() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let (a, b) = ledgers(&store).await;
    let group = store.together().send(&a, LedgerCommand::Add(1));
    let mut group = Box::pin(group.send(&b, LedgerCommand::Add(1)).commit());
    let _ = poll_once(&mut group).await;
    // They are served while the future is there.
    in_time("a", a.send(LedgerCommand::Add(2))).await.unwrap();
    in_time("b", b.send(LedgerCommand::Add(2))).await.unwrap();
    let done: CommittedTogether = in_time("the group", group).await.unwrap();
    assert_eq!(done.events(&a), [added(1)]);
}

#[tokio::test]
async fn after_a_shutdown_a_group_is_told_that_the_store_is_closed() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let (a, b) = ledgers(&store).await;
    let group = store.together().send(&a, LedgerCommand::Add(1));
    let group = group.send(&b, LedgerCommand::Add(1));
    store.shutdown().await.unwrap();
    assert!(matches!(group.commit().await, Err(TogetherError::Closed)));
}

#[tokio::test(flavor = "multi_thread")]
async fn code_that_the_store_runs_cannot_commit_a_group() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let (a, b) = ledgers(&store).await;
    let inner = (store.clone(), b.clone());
    let decide = LedgerCommand::decide(move |_| {
        let (store, b) = inner;
        let group = store.together().send(&b, LedgerCommand::Add(1));
        let commit = async { group.commit().await.unwrap_err() };
        let error =
            tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(commit));
        let TogetherError::Io(error) = error else {
            panic!("{error}")
        };
        assert_eq!(error.kind(), ErrorKind::Deadlock);
        Ok(vec![added(1)])
    });
    in_time("the command", a.send(decide)).await.unwrap();
    assert_eq!(b.version().await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_aggregate_of_a_group_that_asks_another_one_of_it_gets_an_error() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let (a, b) = ledgers(&store).await;
    let asked = b.clone();
    let decide = LedgerCommand::decide(move |_| {
        let error = tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(asked.send(LedgerCommand::Add(1)))
        });
        let Err(ExecuteError::Io(error)) = error else {
            panic!("{error:?}")
        };
        assert_eq!(error.kind(), ErrorKind::Deadlock);
        Ok(vec![added(1)])
    });
    let group = store
        .together()
        .send(&a, decide)
        .send(&b, LedgerCommand::Add(2));
    in_time("the group", group.commit()).await.unwrap();
    assert_eq!(b.state().await.unwrap(), Ledger::of([2]));
}
