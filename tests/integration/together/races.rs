//! Groups, single commands, readers, passivation and shutdown at the same time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use eventfold_es::TogetherError;
use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

use super::{Account, AccountEvent, Deposit, Deposited, Overdrawn, Withdraw, Withdrawn};
use crate::support::{builder, in_time, open, random, temp_dir};

const ACCOUNTS: u64 = 8;
const EACH: i64 = 100;

/// The sum of all accounts.
#[derive(Debug, Clone, Default, Serialize, Deserialize, Projection)]
#[projection(name = "sum", aggregates(Account))]
struct Sum {
    sum: i64,
}

impl Project<Account> for Sum {
    fn project(&mut self, event: &AccountEvent, _: &Recorded<'_>) {
        match event {
            AccountEvent::Deposited(Deposited(amount)) => self.sum += amount,
            AccountEvent::Withdrawn(Withdrawn(amount)) => self.sum -= amount,
        }
    }
}

async fn account(store: &AggregateStore, i: u64) -> AggregateHandle<Account> {
    store.get(&format!("n-{}", i % ACCOUNTS)).await.unwrap()
}

async fn fill(store: &AggregateStore) {
    let mut group = store.together();
    for i in 0..ACCOUNTS {
        group = group.send(&account(store, i).await, Deposit(EACH));
    }
    group.commit().await.unwrap();
}

async fn sum(store: &AggregateStore) -> i64 {
    let mut sum = 0;
    for i in 0..ACCOUNTS {
        sum += account(store, i).await.state().await.unwrap().balance;
    }
    sum
}

/// Transfers at random until it has made `count`. Returns how many were stored.
async fn transfer(store: AggregateStore, seed: u64, count: u64) -> Result<u64, TogetherError> {
    let mut random = random(seed);
    let mut stored = 0;
    for _ in 0..count {
        let (from, to) = (random() % ACCOUNTS, random() % ACCOUNTS);
        let amount = i64::try_from(random() % 80).unwrap();
        let (from, to) = (account(&store, from).await, account(&store, to).await);
        let group = store.together().send(&from, Withdraw(amount));
        match group.send(&to, Deposit(amount)).commit().await {
            Ok(_) => stored += 1,
            Err(error) if error.refusal::<Overdrawn>().is_some() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(stored)
}

#[tokio::test(flavor = "multi_thread")]
async fn transfers_at_random_keep_the_sum_and_no_reader_ever_sees_half_of_one() {
    let dir = temp_dir();
    let store = builder(&dir).projection::<Sum>().open().await.unwrap();
    fill(&store).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let reader = tokio::spawn({
        let (store, is_over) = (store.clone(), is_over.clone());
        async move {
            let mut seen = 0;
            while !is_over.load(Ordering::Relaxed) || seen == 0 {
                let sum = store.projection::<Sum>().unwrap().sum;
                assert_eq!(sum, EACH * i64::try_from(ACCOUNTS).unwrap());
                seen += 1;
            }
        }
    });
    // Single commands in between.
    let single = tokio::spawn({
        let store = store.clone();
        async move {
            for i in 0..400 {
                let account = account(&store, i).await;
                account.send(super::Check(0)).await.unwrap();
            }
        }
    });
    let tasks: Vec<_> = (0..8)
        .map(|seed| tokio::spawn(transfer(store.clone(), seed, 100)))
        .collect();
    let mut stored = 0;
    for task in tasks {
        stored += in_time("a task", task).await.unwrap().unwrap();
    }
    assert!(stored > 0);
    in_time("single commands", single).await.unwrap();
    is_over.store(true, Ordering::Relaxed);
    in_time("the reader", reader).await.unwrap();
    assert_eq!(sum(&store).await, EACH * i64::try_from(ACCOUNTS).unwrap());
    store.shutdown().await.unwrap();
    let store = open(&dir).await;
    assert_eq!(sum(&store).await, EACH * i64::try_from(ACCOUNTS).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_work_while_their_aggregates_leave_memory_all_the_time() {
    let dir = temp_dir();
    let builder = builder(&dir).idle_timeout(Duration::from_micros(1));
    let store = builder.open().await.unwrap();
    fill(&store).await;
    let tasks: Vec<_> = (0..4)
        .map(|seed| tokio::spawn(transfer(store.clone(), seed, 100)))
        .collect();
    for task in tasks {
        in_time("a task", task).await.unwrap().unwrap();
    }
    assert_eq!(sum(&store).await, EACH * i64::try_from(ACCOUNTS).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_amid_groups_answers_each_and_stores_none_in_half() {
    let dir = temp_dir();
    let store = open(&dir).await;
    fill(&store).await;
    let tasks: Vec<_> = (0..8)
        .map(|seed| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut random = random(seed);
                loop {
                    let (from, to) = (random() % ACCOUNTS, random() % ACCOUNTS);
                    let handles = (
                        store.get::<Account>(&format!("n-{from}")).await,
                        store.get::<Account>(&format!("n-{to}")).await,
                    );
                    let (Ok(from), Ok(to)) = handles else { return };
                    let group = store.together().send(&from, Withdraw(1));
                    match group.send(&to, Deposit(1)).commit().await {
                        Ok(_) => {}
                        Err(TogetherError::Closed) => return,
                        Err(error) if error.refusal::<Overdrawn>().is_some() => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            })
        })
        .collect();
    // Some are stored first.
    let start = store.head();
    while store.head().to_string() == start.to_string() {
        tokio::task::yield_now().await;
    }
    in_time("the shutdown", store.shutdown()).await.unwrap();
    for task in tasks {
        in_time("a task", task).await.unwrap();
    }
    let store = open(&dir).await;
    assert_eq!(sum(&store).await, EACH * i64::try_from(ACCOUNTS).unwrap());
}
