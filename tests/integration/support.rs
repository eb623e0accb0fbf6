//! The aggregate and the helpers that the tests share.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::mpsc;
use std::sync::{Arc, Condvar, Mutex};
use std::task::Poll;
use std::time::{Duration, Instant};

use eventfold_es::{Aggregate, AggregateStore};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(crate) mod child;
pub(crate) mod collector;
#[cfg(all(unix, feature = "postgres"))]
#[expect(dead_code, reason = "tests of histories need more of it")]
mod failing;
pub(crate) mod files;
mod place;
#[cfg(all(unix, feature = "postgres"))]
pub(crate) mod postgres;
pub(crate) mod scripted;
pub(crate) mod stall;

pub(crate) use files::{check, check_report, copy, journal, verify};
#[cfg(feature = "postgres")]
pub(crate) use place::SERVER;
pub(crate) use place::{STORAGE, TempDir, builder, fast_temp_dir, open, temp_dir};
pub(crate) use stall::{abandon, stall};

/// Whether all cases are tried, however many there are: `EVENTFOLD_WHOLE` is set.
pub(crate) fn is_whole() -> bool {
    std::env::var_os("EVENTFOLD_WHOLE").is_some_and(|value| !value.is_empty())
}

/// How far one case is from the next of those that are tried, where there are very many.
pub(crate) fn case_step() -> usize {
    if is_whole() { 1 } else { 19 }
}

/// How long anything may take before a test calls it hung.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// The account of what was added to it; the digest tells the order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ledger {
    pub(crate) count: u64,
    pub(crate) total: u64,
    pub(crate) digest: u64,
    pub(crate) text: String,
}

impl Ledger {
    /// What `amounts` lead to, added one after the other.
    pub(crate) fn of(amounts: impl IntoIterator<Item = u64>) -> Self {
        let added = |amount| LedgerEvent::Added { amount };
        amounts
            .into_iter()
            .map(added)
            .fold(Self::default(), |ledger, event| ledger.apply(&event))
    }
}

/// A decision made up by a test.
pub(crate) type Decision = Box<dyn FnOnce(&Ledger) -> Result<Vec<LedgerEvent>, LedgerError> + Send>;

pub(crate) enum LedgerCommand {
    Add(u64),
    /// Several events at once.
    AddAll(Vec<u64>),
    Write(String),
    Nothing,
    Refuse,
    /// Two events; `apply` panics on the second.
    Explode,
    Decide(Decision),
}

impl LedgerCommand {
    pub(crate) fn decide(
        decide: impl FnOnce(&Ledger) -> Result<Vec<LedgerEvent>, LedgerError> + Send + 'static,
    ) -> Self {
        Self::Decide(Box::new(decide))
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub(crate) enum LedgerEvent {
    Added {
        amount: u64,
    },
    Written {
        text: String,
    },
    Exploded,
    /// JSON has no such keys, so this cannot be encoded unless it is empty.
    Tabled(BTreeMap<(u8, u8), u8>),
}

impl LedgerEvent {
    pub(crate) fn unencodable() -> Self {
        Self::Tabled(BTreeMap::from([((1, 2), 3)]))
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LedgerError {
    #[error("refused at a total of {total}")]
    Refused { total: u64 },
}

impl Aggregate for Ledger {
    const AGGREGATE_TYPE: &'static str = "ledger";
    type Command = LedgerCommand;
    type DomainEvent = LedgerEvent;
    type Error = LedgerError;

    fn handle(&self, command: LedgerCommand) -> Result<Vec<LedgerEvent>, LedgerError> {
        let added = |amount| LedgerEvent::Added { amount };
        match command {
            LedgerCommand::Add(amount) => Ok(vec![added(amount)]),
            LedgerCommand::AddAll(amounts) => Ok(amounts.into_iter().map(added).collect()),
            LedgerCommand::Write(text) => Ok(vec![LedgerEvent::Written { text }]),
            LedgerCommand::Nothing => Ok(Vec::new()),
            LedgerCommand::Refuse => Err(LedgerError::Refused { total: self.total }),
            LedgerCommand::Explode => Ok(vec![added(1), LedgerEvent::Exploded]),
            LedgerCommand::Decide(decide) => decide(self),
        }
    }

    fn repeat(command: &LedgerCommand) -> Option<LedgerCommand> {
        Some(match command {
            LedgerCommand::Add(amount) => LedgerCommand::Add(*amount),
            LedgerCommand::AddAll(amounts) => LedgerCommand::AddAll(amounts.clone()),
            LedgerCommand::Write(text) => LedgerCommand::Write(text.clone()),
            LedgerCommand::Nothing => LedgerCommand::Nothing,
            LedgerCommand::Refuse => LedgerCommand::Refuse,
            LedgerCommand::Explode => LedgerCommand::Explode,
            LedgerCommand::Decide(_) => return None,
        })
    }

    fn apply(mut self, event: &LedgerEvent) -> Self {
        self.count += 1;
        match event {
            LedgerEvent::Added { amount } => {
                self.total += amount;
                self.digest = self.digest.wrapping_mul(31).wrapping_add(amount + 1);
            }
            LedgerEvent::Written { text } => self.text.clone_from(text),
            LedgerEvent::Exploded => panic!("this event explodes"),
            LedgerEvent::Tabled(_) => {}
        }
        self
    }
}

/// Waits until the streams' files have all that was answered.
pub(crate) fn written(store: &AggregateStore) {
    let _ = store.layout();
}

/// The text with which opening `dir` is refused.
pub(crate) async fn refusal(dir: impl AsRef<Path>) -> String {
    builder(dir).open().await.unwrap_err().to_string()
}

/// How many events of the ledger are stored, in a store that is opened to see them.
pub(crate) async fn stored(dir: &TempDir, id: &str) -> usize {
    let store = open(dir).await;
    let events = store.read_events("ledger", id).await.unwrap();
    store.shutdown().await.unwrap();
    events.len()
}

/// Where the events of a ledger are.
pub(crate) fn stream_file(base: &Path, id: &str) -> PathBuf {
    base.join("streams/ledger").join(id).join("app.jsonl")
}

pub(crate) fn snapshot_file(base: &Path, id: &str) -> PathBuf {
    base.join("streams/ledger")
        .join(id)
        .join("views/state.snapshot.json")
}

/// The newest snapshot of a ledger.
pub(crate) fn snapshot(base: &Path, id: &str) -> Option<Value> {
    let bytes = std::fs::read(snapshot_file(base, id)).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// Waits for what no call can wait for.
pub(crate) async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < DEADLINE, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Fails a test that hangs.
pub(crate) async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future)
        .await
        .unwrap_or_else(|_| panic!("hung: {what}"))
}

/// The result of `future` if it is ready when it is polled once.
pub(crate) async fn poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    std::future::poll_fn(|context| {
        Poll::Ready(match pin!(&mut *future).poll(context) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        })
    })
    .await
}

/// A door that other threads wait at.
#[derive(Debug, Clone, Default)]
pub(crate) struct Door(Arc<(Mutex<bool>, Condvar)>);

impl Door {
    pub(crate) fn is_open(&self) -> bool {
        *self.0.0.lock().unwrap()
    }

    pub(crate) fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    /// Blocks the thread until the door is open.
    pub(crate) fn pass(&self) {
        let open = self.0.0.lock().unwrap();
        let (_open, waited) = self
            .0
            .1
            .wait_timeout_while(open, DEADLINE, |open| !*open)
            .unwrap();
        assert!(!waited.timed_out(), "a door was never opened");
    }
}

/// The deterministic pseudo-random numbers from `seed` on.
pub(crate) fn random(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    }
}

/// A channel whose receiver says what a test's own code was asked to do.
pub(crate) fn notes<T>() -> (mpsc::Sender<T>, mpsc::Receiver<T>) {
    mpsc::channel()
}
