//! Holding up the thread that writes, so that a test can look at what is not durable yet.

use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, Mutex};

use eventfold_es::{Aggregate, AggregateStore};
use serde::{Deserialize, Serialize};

use super::{Door, eventually, poll_once};

/// The barriers that are up, by number.
static BARRIERS: LazyLock<Mutex<HashMap<u64, Barrier>>> = LazyLock::new(Mutex::default);
static NUMBER: AtomicU64 = AtomicU64::new(0);

#[derive(Debug, Clone, Default)]
struct Barrier {
    reached: Door,
    opened: Door,
}

/// A store whose committer stands still until this is dropped.
pub(crate) struct Stalled {
    number: u64,
}

impl Drop for Stalled {
    fn drop(&mut self) {
        if let Some(barrier) = BARRIERS.lock().unwrap().remove(&self.number) {
            barrier.opened.open();
        }
    }
}

/// Stops the committer of `store`, at the price of one stored event of the type `stall`: its answer
/// is dropped by the committer, because nobody waits for it any more, and that drop blocks.
pub(crate) async fn stall(store: &AggregateStore) -> Stalled {
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let barrier = Barrier::default();
    BARRIERS.lock().unwrap().insert(number, barrier.clone());

    let handle = store.get::<Stall>(&format!("s{number}")).await.unwrap();
    let caller_is_gone = Door::default();
    let decided = caller_is_gone.clone();
    abandon(handle.send(Block(number, decided))).await;
    caller_is_gone.open();
    let reached = barrier.reached.clone();
    eventually("the committer stands still", move || reached.is_open()).await;
    Stalled { number }
}

/// Starts a call and lets its caller go away.
pub(crate) async fn abandon<F: Future>(call: F) {
    let mut call = pin!(call);
    assert!(poll_once(&mut call).await.is_none(), "answered at once");
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Stall;

struct Block(u64, Door);

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
enum StallEvent {
    Blocked(Obstacle),
}

/// Blocks the committer's thread that drops it while its barrier is up.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Obstacle(u64);

impl Drop for Obstacle {
    fn drop(&mut self) {
        let is_committer = std::thread::current().name() == Some("eventfold-commit");
        let barrier = BARRIERS.lock().unwrap().get(&self.0).cloned();
        if is_committer && let Some(barrier) = barrier {
            barrier.reached.open();
            barrier.opened.pass();
        }
    }
}

impl Aggregate for Stall {
    const AGGREGATE_TYPE: &'static str = "stall";
    type Command = Block;
    type DomainEvent = StallEvent;
    type Error = std::convert::Infallible;

    fn handle(&self, Block(number, door): Block) -> Result<Vec<StallEvent>, Self::Error> {
        door.pass();
        Ok(vec![StallEvent::Blocked(Obstacle(number))])
    }

    fn apply(self, _: &StallEvent) -> Self {
        self
    }
}
