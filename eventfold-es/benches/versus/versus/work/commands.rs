//! Commands answered in a second, each of them one event that is durable before its answer.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Barrier;

use super::{count, runtime, send_to_each};
use crate::disk::settle;
use crate::domain::{Command, USUAL_EVENT};
use crate::store::{Handle, Store, id, in_parallel};

/// Who sends what to whom.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) clients: usize,
    pub(crate) aggregates: usize,
    /// How large the payload of an event is.
    pub(crate) event_bytes: usize,
    /// How large a state is at least.
    pub(crate) state_bytes: usize,
}

impl Shape {
    /// The usual events and the smallest states.
    pub(crate) const fn new(clients: usize, aggregates: usize) -> Self {
        Self {
            clients,
            aggregates,
            event_bytes: USUAL_EVENT,
            state_bytes: 0,
        }
    }

    /// What each account was sent before the clock runs.
    fn first(&self) -> Command {
        Command::Open {
            memo_bytes: self.state_bytes,
        }
    }
}

/// An account, and how many deposits of it were answered.
type Answered = (usize, u64);

pub(crate) fn measure<S: Store>(base: &Path, shape: Shape, time: Duration) -> f64 {
    let (rate, answered) = runtime().block_on(send::<S>(base, shape, time));
    settle(base);
    runtime().block_on(check::<S>(base, answered));
    settle(base);
    rate
}

async fn send<S: Store>(base: &Path, shape: Shape, time: Duration) -> (f64, Vec<Answered>) {
    let store = S::open(base);
    let accounts = send_to_each(&store, 0..shape.aggregates, shape.first()).await;
    let (rate, answered) = run_clients(&accounts, shape, time).await;
    drop(accounts);
    store.close().await;
    (rate, answered)
}

/// Lets the clients send for `time`, each to its own accounts or to the one it shares.
pub(crate) async fn run_clients<H: Handle>(
    accounts: &[H],
    shape: Shape,
    time: Duration,
) -> (f64, Vec<Answered>) {
    let start = Arc::new(Barrier::new(shape.clients + 1));
    let command = Command::Deposit {
        bytes: shape.event_bytes,
    };
    let tasks: Vec<_> = (0..shape.clients)
        .map(|client| {
            let numbers = client % accounts.len()..accounts.len();
            let own: Vec<(usize, H)> = numbers
                .step_by(shape.clients)
                .map(|number| (number, accounts[number].clone()))
                .collect();
            let start = start.clone();
            tokio::spawn(async move {
                let mut answered: Vec<Answered> = own.iter().map(|(i, _)| (*i, 0)).collect();
                start.wait().await;
                let started = Instant::now();
                'sending: loop {
                    for (i, (_, account)) in own.iter().enumerate() {
                        if started.elapsed() >= time {
                            break 'sending;
                        }
                        account.send(command).await;
                        answered[i].1 += 1;
                    }
                }
                answered
            })
        })
        .collect();
    start.wait().await;
    let started = Instant::now();
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await.expect("a client"));
    }
    let elapsed = started.elapsed().as_secs_f64();
    let commands: u64 = all.iter().map(|(_, commands)| commands).sum();
    #[allow(clippy::cast_precision_loss)]
    (commands as f64 / elapsed, all)
}

/// Transfers a second: each client sends to two accounts at random, which both get an event.
pub(crate) fn transfers<S: Store>(base: &Path, shape: Shape, time: Duration) -> f64 {
    let (rate, answered) = runtime().block_on(transfer::<S>(base, shape, time));
    settle(base);
    runtime().block_on(check::<S>(base, answered));
    settle(base);
    rate
}

async fn transfer<S: Store>(base: &Path, shape: Shape, time: Duration) -> (f64, Vec<Answered>) {
    let store = S::open(base);
    let accounts = Arc::new(send_to_each(&store, 0..shape.aggregates, shape.first()).await);
    let start = Arc::new(Barrier::new(shape.clients + 1));
    let command = Command::Deposit {
        bytes: shape.event_bytes,
    };
    let tasks: Vec<_> = (0..shape.clients)
        .map(|client| {
            let (store, accounts, start) = (store.clone(), accounts.clone(), start.clone());
            tokio::spawn(async move {
                let mut answered = Vec::new();
                let mut state = client as u64 * 2 + 1;
                let mut random = || {
                    state ^= state << 13;
                    state ^= state >> 7;
                    state ^= state << 17;
                    usize::try_from(state >> 33).expect("31 bits")
                };
                start.wait().await;
                let started = Instant::now();
                while started.elapsed() < time {
                    let from = random() % accounts.len();
                    let to = (from + 1 + random() % (accounts.len() - 1)) % accounts.len();
                    let both = [&accounts[from], &accounts[to]];
                    store.transfer(both, command).await;
                    answered.extend([(from, 1), (to, 1)]);
                }
                answered
            })
        })
        .collect();
    start.wait().await;
    let started = Instant::now();
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await.expect("a client"));
    }
    let elapsed = started.elapsed().as_secs_f64();
    drop(accounts);
    store.close().await;
    (count(all.len() / 2) / elapsed, all)
}

/// Opens the store again: it must hold exactly the answered commands.
async fn check<S: Store>(base: &Path, answered: Vec<Answered>) {
    let mut by_account = std::collections::HashMap::<usize, u64>::new();
    for (number, commands) in answered {
        *by_account.entry(number).or_default() += commands;
    }
    // Thousands would only bring thousands of threads of 0.2.0 into memory again.
    let mut accounts: Vec<_> = by_account.into_iter().collect();
    accounts.sort_unstable();
    accounts.truncate(200);
    let accounts = Arc::new(accounts);
    let store = S::open(base);
    in_parallel(accounts.len(), |i| {
        let (store, accounts) = (store.clone(), accounts.clone());
        async move {
            let (number, commands) = accounts[i];
            let account = store.account(&id(number)).await;
            account.state().await.check(commands, &id(number));
        }
    })
    .await;
    store.close().await;
}

/// New aggregates a second that one client sends their first command to.
pub(crate) fn first<S: Store>(base: &Path, aggregates: usize) -> f64 {
    let rate = runtime().block_on(async {
        let store = S::open(base);
        let client = store.clone();
        let sent = tokio::spawn(async move { send_first(&client, 0..aggregates).await });
        let rate = sent.await.expect("the client");
        store.close().await;
        rate
    });
    settle(base);
    runtime().block_on(async {
        let store = S::open(base);
        assert_eq!(store.total().deposits, aggregates as u64, "first commands");
        store.close().await;
    });
    settle(base);
    rate
}

/// The first command of each of these accounts, one after the other; aggregates a second.
pub(crate) async fn send_first<S: Store>(store: &S, numbers: std::ops::Range<usize>) -> f64 {
    let command = Command::Deposit { bytes: 0 };
    let aggregates = count(numbers.len());
    let started = Instant::now();
    for number in numbers {
        store.account(&id(number)).await.send(command).await;
    }
    aggregates / started.elapsed().as_secs_f64()
}
