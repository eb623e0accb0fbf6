//! Decisions on tagged events: how many are answered in a second, and how long it takes to read the
//! few events of a boundary out of many.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::sync::Barrier;

use super::{count, runtime};
use crate::contender::Contender;
use crate::disk::sync;
use crate::tagged::{Booked, Client, Tagged, show, take_decided};

/// Who decides on what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deciding {
    pub(crate) clients: usize,
    pub(crate) boundaries: usize,
}

/// Decisions answered in a second, and how many were made for each of them.
pub(crate) fn measure<T: Tagged>(base: &Path, deciding: Deciding, time: Duration) -> (f64, f64) {
    let (measured, booked) = runtime().block_on(decide::<T>(base, deciding, time));
    sync(base);
    runtime().block_on(async {
        let store = T::open(base).await;
        for (number, expected) in booked.iter().enumerate() {
            let stored = store.read(&show(number)).await;
            assert_eq!(stored.len() as u64, *expected, "bookings of {number}");
        }
        store.close().await;
    });
    sync(base);
    measured
}

/// Runs the clients. Returns what was measured, and how many seats of each show are taken.
async fn decide<T: Tagged>(
    base: &Path,
    deciding: Deciding,
    time: Duration,
) -> ((f64, f64), Vec<u64>) {
    let store = T::open(base).await;
    let shows: Vec<Arc<str>> = (0..deciding.boundaries).map(|n| show(n).into()).collect();
    let mut clients: Vec<T::Client> = Vec::new();
    let mut booked = vec![0; shows.len()];
    for client in 0..deciding.clients {
        let mut client = store.client(&shows[client % shows.len()]);
        assert!(client.book(u64::MAX).await, "a seat is left");
        clients.push(client);
    }
    for client in 0..deciding.clients {
        booked[client % shows.len()] += 1;
    }
    take_decided();
    let start = Arc::new(Barrier::new(deciding.clients + 1));
    let tasks: Vec<_> = clients
        .into_iter()
        .map(|mut client| {
            let start = start.clone();
            tokio::spawn(async move {
                let mut booked = 0;
                start.wait().await;
                let started = Instant::now();
                while started.elapsed() < time {
                    assert!(client.book(u64::MAX).await, "a seat is left");
                    booked += 1;
                }
                (client, booked)
            })
        })
        .collect();
    start.wait().await;
    let started = Instant::now();
    let mut clients = Vec::new();
    let mut answered = 0;
    for (i, task) in tasks.into_iter().enumerate() {
        let (client, own) = task.await.expect("a client");
        clients.push(client);
        answered += own;
        booked[i % shows.len()] += own;
    }
    let elapsed = started.elapsed().as_secs_f64();
    #[allow(clippy::cast_precision_loss)]
    let (decided, stored) = (take_decided() as f64, answered as f64);
    fill_up(clients, &mut booked).await;
    store.close().await;
    ((stored / elapsed, decided / stored), booked)
}

/// Lets all clients book twice, while one seat for each of them is left.
async fn fill_up<C: Client>(clients: Vec<C>, booked: &mut [u64]) {
    let of_each = (clients.len() / booked.len()) as u64;
    let tasks: Vec<_> = clients
        .into_iter()
        .enumerate()
        .map(|(i, mut client)| {
            let show = i % booked.len();
            let capacity = booked[show] + of_each;
            tokio::spawn(async move {
                let mut own = 0;
                for _ in 0..2 {
                    own += u64::from(client.book(capacity).await);
                }
                (show, own)
            })
        })
        .collect();
    let mut more = vec![0; booked.len()];
    for task in tasks {
        let (show, own) = task.await.expect("a client");
        more[show] += own;
    }
    for (booked, more) in booked.iter_mut().zip(more) {
        assert_eq!(more, of_each, "the seats that were left");
        *booked += more;
    }
}

/// How many events of a boundary are read.
const WANTED: usize = 10;
/// How often a store is opened for one measurement.
const OPENINGS: usize = 5;
/// How many bookings are handed to a store at a time that is being filled.
const HANDED_OVER: usize = 200_000;

/// Reading ten events out of many.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Selective {
    pub(crate) events: usize,
    /// How many of them one append stores.
    pub(crate) at_once: usize,
    /// Whether opening the store is part of it.
    pub(crate) with_opening: bool,
}

/// The stores that are filled already, because that takes minutes.
#[derive(Default)]
pub(crate) struct Filled {
    of: HashMap<(Contender, usize, usize), TempDir>,
}

impl Filled {
    /// Microseconds to read a boundary in a store that was just opened. `round` chooses which.
    pub(crate) fn measure<T: Tagged>(
        &mut self,
        who: Contender,
        read: Selective,
        round: usize,
    ) -> f64 {
        let base = self.filled::<T>(who, read);
        let mut seconds = 0.0;
        for i in 0..OPENINGS {
            let number = (round * OPENINGS + i + 1) * 7_919 % (read.events / WANTED);
            let read_one = open_and_read::<T>(&base, number, read.with_opening);
            seconds += runtime().block_on(read_one);
        }
        seconds / count(OPENINGS) * 1e6
    }

    fn filled<T: Tagged>(&mut self, who: Contender, read: Selective) -> PathBuf {
        let key = (who, read.events, read.at_once);
        let dir = self.of.entry(key).or_insert_with(|| {
            let dir = crate::fresh_dir();
            eprintln!("{} events for {}", read.events, who.name());
            runtime().block_on(fill::<T>(dir.path(), read));
            sync(dir.path());
            dir
        });
        dir.path().to_owned()
    }
}

/// Stores ten bookings of each show, far from each other.
async fn fill<T: Tagged>(base: &Path, read: Selective) {
    let store = T::open(base).await;
    let shows = read.events / WANTED;
    let mut bookings = Vec::new();
    for i in 0..read.events {
        bookings.push(Booked::of(&show(i % shows), ""));
        if bookings.len() == HANDED_OVER || i + 1 == read.events {
            let some = std::mem::take(&mut bookings);
            store.append(some, read.at_once).await;
        }
    }
    store.close().await;
}

async fn open_and_read<T: Tagged>(base: &Path, number: usize, with_opening: bool) -> f64 {
    let before = Instant::now();
    let store = T::open(base).await;
    let opened = Instant::now();
    let found = store.read(&show(number)).await;
    let read = Instant::now();
    assert_eq!(found.len(), WANTED, "bookings of {number}");
    assert!(found.iter().all(|booked| booked.show == show(number)));
    store.close().await;
    (read - if with_opening { before } else { opened }).as_secs_f64()
}
