//! One idempotency key for a whole group.

use eventfold_es::TogetherError;
use eventfold_es::prelude::*;

use super::{
    Account, AccountEvent, Check, Deposit, Deposited, Withdraw, Withdrawn, accounts, ledgers,
};
use crate::support::{LedgerCommand, fast_temp_dir, open, temp_dir};

fn key(key: &str) -> CommandContext {
    CommandContext::default().with_idempotency_key(key)
}

type Two = (AggregateHandle<Account>, AggregateHandle<Account>);

fn transfer(store: &AggregateStore, (alice, bob): &Two, amount: i64) -> eventfold_es::Together {
    let group = store.together().send(alice, Deposit(amount));
    group
        .send(alice, Withdraw(amount))
        .send(bob, Deposit(amount))
}

#[tokio::test]
async fn a_group_that_is_repeated_stores_nothing_and_answers_as_the_first_did() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let two = accounts(&store).await;
    two.1.send(Deposit(1)).await.unwrap();
    let first = transfer(&store, &two, 5)
        .commit_with(key("t-1"))
        .await
        .unwrap();
    two.0.send_with(Deposit(7), key("other")).await.unwrap();
    let head = store.head();
    let check = |again: &eventfold_es::CommittedTogether, (alice, bob): &Two| {
        assert!(again.repeated && !first.repeated);
        assert_eq!(again.position, first.position);
        let of_alice = again.of(alice).unwrap();
        assert_eq!(of_alice.events, [Deposited(5).into(), Withdrawn(5).into()]);
        assert_eq!((of_alice.version, of_alice.repeated), (2.into(), true));
        let of_bob = again.of(bob).unwrap();
        assert_eq!(of_bob.events, [AccountEvent::from(Deposited(5))]);
        assert_eq!(
            (of_bob.version, of_bob.position),
            (2.into(), first.position)
        );
    };
    let again = transfer(&store, &two, 5)
        .commit_with(key("t-1"))
        .await
        .unwrap();
    check(&again, &two);
    assert_eq!(store.head(), head);
    store.shutdown().await.unwrap();
    let store = open(&dir).await;
    let two = accounts(&store).await;
    let again = transfer(&store, &two, 5)
        .commit_with(key("t-1"))
        .await
        .unwrap();
    check(&again, &two);
    assert_eq!(store.head(), head);
}

#[tokio::test]
async fn it_does_not_matter_which_of_the_streams_still_knows_the_key() {
    let dir = fast_temp_dir();
    let store = open(&dir).await;
    let two = accounts(&store).await;
    // A single command before the group, under the same key, in a stream that is not of the group.
    let other = store.get::<Account>("other").await.unwrap();
    other.send_with(Deposit(9), key("t-0")).await.unwrap();
    for (t, forgetful) in [("t-0", &two.0), ("t-1", &two.1)] {
        let first = transfer(&store, &two, 5).commit_with(key(t)).await.unwrap();
        other.send_with(Deposit(9), key(t)).await.ok();
        for i in 0..1_000 {
            forgetful
                .send_with(Deposit(1), key(&format!("{t}/{i}")))
                .await
                .unwrap();
        }
        let again = transfer(&store, &two, 5).commit_with(key(t)).await.unwrap();
        assert!(again.repeated);
        assert_eq!(again.position, first.position);
        for handle in [&two.0, &two.1] {
            let (again, first) = (again.of(handle).unwrap(), first.of(handle).unwrap());
            assert_eq!(again.events, first.events);
            assert_eq!(
                (again.version, again.position),
                (first.version, first.position)
            );
        }
    }
}

#[tokio::test]
async fn an_aggregate_that_only_checked_has_no_events_in_the_repeated_answer() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let (alice, bob) = accounts(&store).await;
    let group = || {
        store
            .together()
            .send(&alice, Check(0))
            .send(&bob, Deposit(1))
    };
    group().commit_with(key("t-1")).await.unwrap();
    let again = group().commit_with(key("t-1")).await.unwrap();
    assert!(again.repeated && again.events(&alice).is_empty());
    assert_eq!(again.events(&bob), [AccountEvent::from(Deposited(1))]);
    assert_eq!(bob.version().await.unwrap(), 1);
}

#[tokio::test]
async fn another_group_or_a_single_command_under_the_key_of_a_group_is_refused() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let two = accounts(&store).await;
    transfer(&store, &two, 5)
        .commit_with(key("t-1"))
        .await
        .unwrap();
    let head = store.head();
    let (alice, bob) = &two;
    let group = || store.together();
    for other in [
        transfer(&store, &two, 6),
        group()
            .send(alice, Deposit(5))
            .send(bob, Deposit(5))
            .send(alice, Withdraw(5)),
        group().send(bob, Deposit(5)),
        // The same commands, to each other's aggregates.
        transfer(&store, &(bob.clone(), alice.clone()), 5),
    ] {
        let error = other.commit_with(key("t-1")).await.unwrap_err();
        assert!(matches!(error, TogetherError::KeyReused { .. }), "{error}");
    }
    let error = bob.send_with(Deposit(5), key("t-1")).await.unwrap_err();
    assert!(matches!(error, ExecuteError::KeyReused { .. }), "{error}");
    assert_eq!(store.head(), head);
}

#[tokio::test]
async fn a_group_under_the_key_of_a_single_command_is_refused() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let (alice, bob) = accounts(&store).await;
    bob.send_with(Deposit(5), key("t-1")).await.unwrap();
    let group = store
        .together()
        .send(&alice, Deposit(5))
        .send(&bob, Deposit(5));
    let error = group.commit_with(key("t-1")).await.unwrap_err();
    let TogetherError::KeyReused { key, stream } = error else {
        panic!("{error}")
    };
    assert_eq!((key.as_str(), stream.id()), ("t-1", "bob"));
    assert_eq!(alice.version().await.unwrap(), 0);
}

#[tokio::test]
async fn a_group_with_commands_that_have_no_fingerprint_counts_as_the_same_under_its_key() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let (a, b) = ledgers(&store).await;
    let group = |amount| {
        let group = store.together().send(&a, LedgerCommand::Add(amount));
        group.send(&b, LedgerCommand::Add(amount))
    };
    group(1).commit_with(key("t-1")).await.unwrap();
    let again = group(2).commit_with(key("t-1")).await.unwrap();
    assert!(again.repeated);
    assert_eq!(again.events(&b), [super::added(1)]);
}

#[tokio::test]
async fn a_refused_group_does_not_use_up_its_key() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let (alice, bob) = accounts(&store).await;
    let group = || {
        store
            .together()
            .send(&bob, Deposit(5))
            .send(&alice, Withdraw(5))
    };
    group().commit_with(key("t-1")).await.unwrap_err();
    alice.send(Deposit(5)).await.unwrap();
    let done = group().commit_with(key("t-1")).await.unwrap();
    assert!(!done.repeated);
}
