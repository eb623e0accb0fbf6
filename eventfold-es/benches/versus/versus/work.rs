//! What is measured, each generic over whose store it is.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::contender::Contender;
use crate::disk::settle;
use crate::domain::Total;
use crate::store::{Handle, Store, id, in_parallel};
use crate::tagged::Tagged;

mod commands;
pub(crate) mod decisions;
pub(crate) mod growth;
pub(crate) mod killed;
mod reactions;

pub(crate) use commands::Shape;
use decisions::{Deciding, Filled, Selective};

/// What a row of the table measures.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Work {
    /// Commands answered in a second.
    Commands(Shape),
    /// Transfers between two accounts at random, answered in a second.
    Transfers(Shape),
    /// Aggregates that get their first command in a second, from one client.
    FirstCommands { aggregates: usize },
    /// Events a second that bring one aggregate into memory, opening the store included.
    ColdLoad { events: usize },
    /// Milliseconds until an aggregate is in memory, opening the store included.
    Load { events: usize, snapshot: bool },
    /// Milliseconds until a store is open whose process was killed while clients sent at full speed.
    OpenKilled { aggregates: usize },
    /// Microseconds to read a projection when nothing is new.
    IdleRead { streams: usize },
    /// Events a second that a new projection takes in.
    CatchUp { streams: usize, events: usize },
    /// What a live process manager does in a second about events that are stored.
    Reactions { streams: usize, events: usize },
    /// Decisions on tagged events answered in a second.
    Decisions(Deciding),
    /// Microseconds to read the few events of a tag in a store that was just opened.
    Selective(Selective),
}

impl Work {
    /// Whether it is about tagged events, which are not in the stores of accounts.
    pub(crate) fn is_tagged(self) -> bool {
        matches!(self, Self::Decisions(_) | Self::Selective(_))
    }

    /// Whether it is about rules across aggregates.
    pub(crate) fn is_across_aggregates(self) -> bool {
        self.is_tagged() || matches!(self, Self::Transfers(_) | Self::Reactions { .. })
    }

    /// What the same clients do on as many aggregates, if they only send commands to each.
    pub(crate) fn on_aggregates(self) -> Option<Self> {
        match self {
            Self::Decisions(Deciding {
                clients,
                boundaries,
            }) => Some(Self::Commands(Shape::new(clients, boundaries))),
            Self::Transfers(shape) => Some(Self::Commands(shape)),
            Self::Reactions { streams, .. } => Some(Self::Commands(Shape::new(64, streams))),
            _ => None,
        }
    }

    /// Measures work on tagged events once: the value, and how often the rule was applied for each
    /// decision.
    pub(crate) fn measure_tagged<T: Tagged>(
        self,
        who: Contender,
        (base, time, round): (&Path, Duration, usize),
        filled: &mut Filled,
    ) -> (f64, Option<f64>) {
        match self {
            Self::Decisions(deciding) => {
                let (rate, attempts) = decisions::measure::<T>(base, deciding, time);
                (rate, Some(attempts))
            }
            Self::Selective(read) => (filled.measure::<T>(who, read, round), None),
            _ => panic!("{self:?} is not about tags"),
        }
    }

    /// Measures it once in the empty directory `base`.
    pub(crate) fn measure<S: Store>(self, who: Contender, base: &Path, time: Duration) -> f64 {
        match self {
            Self::Commands(shape) => commands::measure::<S>(base, shape, time),
            Self::Transfers(shape) => commands::transfers::<S>(base, shape, time),
            Self::FirstCommands { aggregates } => commands::first::<S>(base, aggregates),
            Self::ColdLoad { events } => count(events) / load::<S>(base, events, false),
            Self::Load { events, snapshot } => load::<S>(base, events, snapshot) * 1e3,
            Self::OpenKilled { aggregates } => {
                killed::measure::<S>(who, base, aggregates, time) * 1e3
            }
            Self::IdleRead { streams } => idle_read::<S>(base, streams, time) * 1e6,
            Self::CatchUp { streams, events } => catch_up::<S>(base, streams, events),
            Self::Reactions { streams, events } => reactions::measure(base, streams, events),
            Self::Decisions(_) | Self::Selective(_) => panic!("{self:?} is about tags"),
        }
    }
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

#[allow(clippy::cast_precision_loss)]
pub(crate) fn count(number: usize) -> f64 {
    number as f64
}

/// Opens the store and reads the one account; seconds.
async fn open_and_read<S: Store>(base: &Path, events: usize) -> f64 {
    let started = Instant::now();
    let store = S::open(base);
    let account = store.account(&id(0)).await;
    let state = account.state().await;
    let elapsed = started.elapsed();
    state.check(events as u64, "the loaded account");
    drop(account);
    store.close().await;
    settle(base);
    elapsed.as_secs_f64()
}

fn load<S: Store>(base: &Path, events: usize, snapshot: bool) -> f64 {
    runtime().block_on(S::fill(base, 1, events, 1_000));
    settle(base);
    // A directory that 0.2.0 wrote is entered into a journal at its first open, which is not what
    // this is about; and whatever a first open does, the next one is the usual one.
    if snapshot {
        runtime().block_on(open_and_read::<S>(base, events));
    } else {
        S::forget_snapshot(base, &id(0));
    }
    runtime().block_on(open_and_read::<S>(base, events))
}

fn idle_read<S: Store>(base: &Path, streams: usize, time: Duration) -> f64 {
    runtime().block_on(async {
        S::fill(base, streams, 1, 1).await;
        settle(base);
        let store = S::open(base);
        let seconds = read_idly(&store, streams, time);
        store.close().await;
        settle(base);
        seconds
    })
}

/// Reads a projection again and again; seconds for each time.
pub(crate) fn read_idly<S: Store>(store: &S, deposits: usize, time: Duration) -> f64 {
    let expected = Total {
        deposits: deposits as u64,
        balance: deposits as u64 * 5,
    };
    assert_eq!(store.total(), expected, "what the projection holds");
    let mut reads = 0;
    let started = Instant::now();
    while started.elapsed() < time {
        for _ in 0..10 {
            assert_eq!(store.total().deposits, expected.deposits);
        }
        reads += 10;
        if reads == 10 && started.elapsed() > time / 10 {
            break;
        }
    }
    started.elapsed().as_secs_f64() / count(reads)
}

fn catch_up<S: Store>(base: &Path, streams: usize, events: usize) -> f64 {
    runtime().block_on(async {
        S::fill(base, streams, events / streams, 1).await;
        settle(base);
        let projections = base.join("projections");
        if projections.exists() {
            std::fs::remove_dir_all(projections).expect("the projections' directory");
        }
        let store = S::open(base);
        let started = Instant::now();
        let total = store.total();
        let elapsed = started.elapsed();
        assert_eq!(total.deposits, (events / streams * streams) as u64);
        store.close().await;
        settle(base);
        count(events) / elapsed.as_secs_f64()
    })
}

/// Sends `command` to each account, 64 at a time, and keeps the handles.
pub(crate) async fn send_to_each<S: Store>(
    store: &S,
    numbers: std::ops::Range<usize>,
    command: crate::domain::Command,
) -> Vec<S::Handle> {
    let first = numbers.start;
    let handles = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    in_parallel(numbers.len(), |i| {
        let (store, handles) = (store.clone(), handles.clone());
        async move {
            let account = store.account(&id(first + i)).await;
            account.send(command).await;
            let mut handles = handles.lock().expect("nobody panicked");
            handles.push((first + i, account));
        }
    })
    .await;
    let mut handles = std::mem::take(&mut *handles.lock().expect("nobody panicked"));
    handles.sort_by_key(|(number, _)| *number);
    handles.into_iter().map(|(_, account)| account).collect()
}
