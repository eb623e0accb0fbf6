//! Commands of several aggregates in one commit.

use std::time::Duration;

use eventfold_es::prelude::*;
use eventfold_es::{
    AggregateHandle, Call, CallOutcome, CommandContext, ExecuteError, Layer, Position, Refused,
    Together, TogetherError, Version,
};
use serde::{Deserialize, Serialize};

use crate::support::{builder, open, poll_once, temp_dir};

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, Aggregate)]
#[aggregate(
    commands(Deposit, Withdraw, Look, Explode),
    events(Deposited, Withdrawn),
    error = AccountError,
    snapshot(every = 5),
    event_enum(derive(Debug, Clone, PartialEq))
)]
struct Account {
    balance: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Deposit(u64);

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Withdraw(u64);

/// Leads to no event.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Look;

/// Panics when its event is folded.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Explode;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, DomainEvent)]
struct Deposited(u64);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, DomainEvent)]
struct Withdrawn(u64);

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("the balance is only {0}")]
struct AccountError(u64);

impl Decide<Deposit> for Account {
    fn decide(&self, Deposit(amount): Deposit) -> Decision<Self> {
        Ok(events![Deposited(amount)])
    }
}

impl Decide<Withdraw> for Account {
    fn decide(&self, Withdraw(amount): Withdraw) -> Decision<Self> {
        if amount > self.balance {
            return Err(AccountError(self.balance));
        }
        Ok(events![Withdrawn(amount)])
    }
}

impl Decide<Look> for Account {
    fn decide(&self, Look: Look) -> Decision<Self> {
        Ok(events![])
    }
}

impl Decide<Explode> for Account {
    fn decide(&self, Explode: Explode) -> Decision<Self> {
        Ok(events![Deposited(666)])
    }
}

impl Evolve<Deposited> for Account {
    fn evolve(&mut self, Deposited(amount): &Deposited) {
        assert_ne!(*amount, 666);
        self.balance += amount;
    }
}

impl Evolve<Withdrawn> for Account {
    fn evolve(&mut self, Withdrawn(amount): &Withdrawn) {
        self.balance -= amount;
    }
}

async fn accounts<const N: usize>(store: &AggregateStore) -> [AggregateHandle<Account>; N] {
    let mut accounts = Vec::new();
    for i in 0..N {
        accounts.push(store.get::<Account>(&format!("a-{i:02}")).await.unwrap());
    }
    accounts.try_into().unwrap()
}

async fn balances(accounts: &[AggregateHandle<Account>]) -> Vec<u64> {
    let mut balances = Vec::new();
    for account in accounts {
        balances.push(account.state().await.unwrap().balance);
    }
    balances
}

#[tokio::test]
async fn all_commands_take_effect_in_one_commit() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let [a, b, c] = accounts(&store).await;
    a.send(Deposit(100)).await.unwrap();
    // Not in the order of the names.
    let done = store
        .together()
        .send(&b, Deposit(30))
        .send(&a, Withdraw(50))
        .send(&c, Deposit(20))
        .commit()
        .await
        .unwrap();
    assert!(!done.repeated);
    assert_eq!(
        balances(&[a.clone(), b.clone(), c.clone()]).await,
        [50, 30, 20]
    );
    let withdrawn = [AccountEvent::Withdrawn(Withdrawn(50))];
    assert_eq!(done.events::<Account>(1), Some(&withdrawn[..]));
    assert_eq!(done.events::<Account>(3), None);
    let versions = [&a, &b, &c].map(|account| done.version_of(account));
    assert_eq!(
        versions,
        [2, 1, 1].map(|version| Some(Version::from(version)))
    );
    let positions = [&a, &b, &c].map(|account| done.position_of(account).unwrap());
    assert!(positions.is_sorted() && positions[2] == done.position);
    assert_eq!(store.head(), done.position);
    let names: Vec<_> = store.recent(3).await.unwrap();
    let names: Vec<_> = names.iter().map(|event| event.id()).collect();
    assert_eq!(names, ["a-02", "a-01", "a-00"]);

    store.shutdown().await.unwrap();
    drop((a, b, c, store));
    let store = open(&dir).await;
    let accounts = accounts::<3>(&store).await;
    assert_eq!(balances(&accounts).await, [50, 30, 20]);
}

#[tokio::test]
async fn a_refusal_says_which_command_and_nothing_takes_effect() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let [a, b] = accounts(&store).await;
    a.send(Deposit(10)).await.unwrap();
    let head = store.head();
    for _ in 0..2 {
        let refused = store
            .together()
            .send(&b, Deposit(50))
            .send(&a, Withdraw(50));
        let error = refused.commit().await.unwrap_err();
        assert_eq!(
            error.refusal::<AccountError>(),
            Some((1, &AccountError(10)))
        );
        assert_eq!(
            error.to_string(),
            "command 1, of account/a-00: the balance is only 10"
        );
    }
    assert_eq!(store.head(), head);
    assert_eq!(balances(&[a.clone(), b.clone()]).await, [10, 0]);
    // What one command left in the state before another was refused goes too.
    let refused = store
        .together()
        .send(&a, Deposit(5))
        .send(&a, Withdraw(12))
        .send(&a, Withdraw(12));
    let error = refused.commit().await.unwrap_err();
    assert_eq!(error.refusal::<AccountError>(), Some((2, &AccountError(3))));
    assert_eq!(a.state().await.unwrap().balance, 10);
    assert_eq!(a.send(Withdraw(10)).await.unwrap().version, 2);
}

#[tokio::test]
async fn commands_of_one_aggregate_are_decided_in_order() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let [a, b] = accounts(&store).await;
    let done = store
        .together()
        .send(&a, Deposit(7))
        .send(&b, Deposit(1))
        .send(&a, Withdraw(7))
        .send(&a, Deposit(2))
        .commit()
        .await
        .unwrap();
    assert_eq!(balances(&[a.clone(), b]).await, [2, 1]);
    let deposited = [AccountEvent::Deposited(Deposited(2))];
    assert_eq!(done.events::<Account>(3), Some(&deposited[..]));
    assert_eq!(done.version_of(&a), Some(Version::from(3)));
}

#[tokio::test]
async fn a_command_without_events_takes_part_as_a_check() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let [a, b] = accounts(&store).await;
    let nothing = store
        .together()
        .send(&a, Look)
        .send(&b, Look)
        .commit()
        .await;
    let nothing = nothing.unwrap();
    assert_eq!(nothing.position, Position::default());
    assert_eq!(nothing.version_of(&a), Some(Version::from(0)));
    a.send(Deposit(5)).await.unwrap();
    let done = store
        .together()
        .send(&a, Look)
        .send(&b, Deposit(1))
        .commit()
        .await
        .unwrap();
    assert_eq!(done.events::<Account>(0), Some(&[][..]));
    assert_eq!(done.version_of(&a), Some(Version::from(1)));
    assert!(done.position_of(&a) < done.position_of(&b));
}

#[tokio::test]
async fn a_panic_of_one_aggregate_stores_nothing_and_all_go_on() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let [a, b] = accounts(&store).await;
    a.send(Deposit(1)).await.unwrap();
    for commands in [
        store.together().send(&a, Deposit(5)).send(&b, Explode),
        store
            .together()
            .send(&a, Deposit(5))
            .send(&b, Explode)
            .send(&b, Look),
        store.together().send(&b, Explode).send(&a, Deposit(5)),
    ] {
        let panicked = commands.commit().await;
        let Err(TogetherError::Panicked(panic)) = panicked else {
            panic!("{panicked:?}");
        };
        assert_eq!(panic.function(), "evolve");
        assert!(panic.to_string().contains("account/a-01"), "{panic}");
    }
    assert_eq!(balances(&[a.clone(), b.clone()]).await, [1, 0]);
    store
        .together()
        .send(&a, Deposit(5))
        .send(&b, Deposit(6))
        .commit()
        .await
        .unwrap();
    assert_eq!(balances(&[a, b]).await, [6, 6]);
}

#[tokio::test]
async fn versions_are_expected_of_each_aggregate() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let [a, b] = accounts(&store).await;
    a.send(Deposit(1)).await.unwrap();
    let send = |version: u64| {
        let send = store.together().send(&b, Deposit(1));
        send.expecting(&a, version).commit()
    };
    let error = send(0).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "account/a-00 is at version 1, and 0 was expected"
    );
    assert_eq!(b.version().await.unwrap(), 0);
    send(1).await.unwrap();
    let context = CommandContext::default().with_expected_version(1);
    let error = store
        .together()
        .send(&a, Deposit(1))
        .commit_with(context)
        .await;
    assert!(
        matches!(&error, Err(TogetherError::Io(error)) if error.kind() == std::io::ErrorKind::InvalidInput)
    );
}

#[tokio::test]
async fn an_idempotency_key_is_that_of_all_commands() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let [a, b, c] = accounts(&store).await;
    let context = CommandContext::default().with_idempotency_key("k-1");
    let send = |amount| {
        let send = store.together().send(&b, Deposit(amount)).send(&c, Look);
        send.send(&a, Deposit(1)).commit_with(context.clone())
    };
    let first = send(5).await.unwrap();
    let again = send(5).await.unwrap();
    assert!(!first.repeated && again.repeated);
    assert_eq!(first.position, again.position);
    for command in 0..3 {
        let (first, again) = (
            first.events::<Account>(command),
            again.events::<Account>(command),
        );
        assert_eq!(first, again);
    }
    assert_eq!(balances(&[a.clone(), b.clone()]).await, [1, 5]);
    let reused = send(6).await;
    assert!(
        matches!(&reused, Err(TogetherError::KeyReused { key, .. }) if key == "k-1"),
        "{reused:?}"
    );
    let single = b.send_with(Deposit(5), context.clone()).await;
    assert!(
        matches!(single, Err(ExecuteError::KeyReused { .. })),
        "{single:?}"
    );
    store.shutdown().await.unwrap();
    drop((a, b, c, store));
    let store = open(&dir).await;
    let [a, b, c] = accounts(&store).await;
    let again = store
        .together()
        .send(&b, Deposit(5))
        .send(&c, Look)
        .send(&a, Deposit(1));
    let again = again.commit_with(context).await.unwrap();
    assert!(again.repeated);
    assert_eq!(again.position, first.position);
}

#[tokio::test]
async fn the_context_is_stored_with_all_events() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let [a, b] = accounts(&store).await;
    let context = CommandContext::default()
        .with_actor("ann")
        .with_correlation_id("r-1");
    let send = store.together().send(&a, Deposit(1)).send(&b, Deposit(2));
    send.commit_with(context).await.unwrap();
    for event in store.recent(2).await.unwrap() {
        assert_eq!(event.actor(), Some("ann"));
        assert_eq!(event.correlation_id().as_deref(), Some("r-1"));
    }
}

#[derive(Default, Clone)]
struct Named(std::sync::Arc<std::sync::Mutex<Vec<String>>>);

impl Layer for Named {
    fn before(&self, call: &mut Call<'_>) -> Result<(), Refused> {
        let who = call.context().actor.clone().unwrap_or_default();
        if who == call.id() {
            return Err(Refused::new("not this one"));
        }
        call.add_metadata("of", call.id().to_owned());
        Ok(())
    }

    fn after(&self, call: &Call<'_>, outcome: CallOutcome<'_>) {
        let said = format!("{} of {} {}", call.command(), call.id(), outcome.name());
        self.0.lock().unwrap().push(said);
    }
}

#[tokio::test]
async fn layers_are_around_each_command() {
    let dir = temp_dir();
    let layer = Named::default();
    let store = builder(&dir).layer(layer.clone()).open().await.unwrap();
    let [a, b] = accounts(&store).await;
    let send = || store.together().send(&b, Deposit(1)).send(&a, Deposit(2));
    send().commit().await.unwrap();
    let metadata = store.recent(2).await.unwrap();
    let of: Vec<_> = metadata
        .iter()
        .map(|event| event.metadata().unwrap()["of"].clone())
        .collect();
    assert_eq!(of, ["a-01", "a-00"]);
    let context = CommandContext::default().with_actor("a-00");
    let refused = send().commit_with(context).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "command 1, of account/a-00, was refused by a layer: not this one"
    );
    let said = layer.0.lock().unwrap().join(", ");
    assert_eq!(
        said,
        "Deposit of a-00 succeeded, Deposit of a-01 succeeded, Deposit of a-01 refused"
    );
}

#[tokio::test]
async fn what_cannot_take_effect_together_is_refused_and_changes_nothing() {
    let (dir, other_dir) = (temp_dir(), temp_dir());
    let (store, other) = (open(&dir).await, open(&other_dir).await);
    let [a] = accounts(&store).await;
    let [foreign] = accounts(&other).await;
    let mut many = store.together();
    for i in 0..=Together::MOST_AGGREGATES {
        many = many.send(
            &store.get::<Account>(&format!("m-{i}")).await.unwrap(),
            Look,
        );
    }
    let mut events = store.together();
    for _ in 0..=Together::MOST_EVENTS {
        events = events.send(&a, Deposit(1));
    }
    for (commands, text) in [
        (store.together(), "no command is sent together"),
        (
            store.together().send(&a, Look).send(&foreign, Look),
            "account/a-00 is an aggregate of another store",
        ),
        (
            many,
            "the commands have 101 aggregates together, and at most 100 are possible",
        ),
        (
            events,
            "the commands have 10001 events together, and at most 10000 are possible",
        ),
    ] {
        let error = commands.commit().await.unwrap_err().to_string();
        assert!(error.ends_with(text), "{error}");
    }
    assert_eq!(store.head(), Position::default());
    assert_eq!(a.state().await.unwrap().balance, 0);
    store.shutdown().await.unwrap();
    let closed = store.together().send(&a, Deposit(1)).commit().await;
    assert!(matches!(closed, Err(TogetherError::Closed)), "{closed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn transfers_at_random_keep_the_sum_and_no_reader_sees_half_of_one() {
    let dir = temp_dir();
    let store = builder(&dir)
        .idle_timeout(Duration::from_millis(1))
        .open()
        .await
        .unwrap();
    let accounts = accounts::<8>(&store).await;
    for account in &accounts {
        account.send(Deposit(100)).await.unwrap();
    }
    let start = store.head();
    let calls: Vec<_> = (0..16_usize)
        .map(|client| {
            let (store, accounts) = (store.clone(), accounts.clone());
            tokio::spawn(async move {
                let mut random = client * 7 + 1;
                let mut stored = 0;
                for _ in 0..25 {
                    random = random
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1);
                    let (from, to) = ((random >> 33) % 8, (random >> 43) % 8);
                    let amount = (random >> 50) as u64 % 60;
                    let transfer = store
                        .together()
                        .send(&accounts[from], Withdraw(amount))
                        .send(&accounts[to], Deposit(amount));
                    match transfer.commit().await {
                        Ok(_) => stored += 1,
                        Err(error) => assert!(error.refusal::<AccountError>().is_some(), "{error}"),
                    }
                    // A single command in between.
                    let _ = accounts[to].send(Look).await.unwrap();
                }
                stored
            })
        })
        .collect();
    let mut stored = 0;
    for call in calls {
        stored += call.await.unwrap();
    }
    assert!(stored > 100, "{stored}");
    assert_eq!(balances(&accounts).await.iter().sum::<u64>(), 800);
    // Each transfer's two events stand beside each other.
    let all = store
        .query(eventfold_es::Query::all())
        .after(start)
        .read()
        .await
        .unwrap();
    assert_eq!(all.events.len(), stored * 2);
    for pair in all.events.chunks(2) {
        let mut names: Vec<_> = pair
            .iter()
            .map(|event| (event.name(), event.data()))
            .collect();
        names.sort_unstable();
        assert_eq!((names[0].0, names[1].0), ("Deposited", "Withdrawn"));
        assert_eq!(names[0].1, names[1].1);
    }
}

#[tokio::test]
async fn a_group_whose_caller_is_gone_takes_effect_whole_or_not_at_all() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let [a, b] = accounts(&store).await;
    for _ in 0..20 {
        let send = store.together().send(&a, Deposit(1)).send(&b, Deposit(1));
        let mut call = std::pin::pin!(send.commit());
        drop(poll_once(&mut call).await);
    }
    store
        .together()
        .send(&a, Deposit(1))
        .send(&b, Deposit(1))
        .commit()
        .await
        .unwrap();
    let balances = balances(&[a, b]).await;
    assert_eq!(balances[0], balances[1]);
    assert!((1..=21).contains(&balances[0]));
}
