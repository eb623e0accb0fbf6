//! A process manager that does what the events say, and the gates that it sends commands to.

use std::path::Path;
use std::time::{Duration, SystemTime};

use eventfold_es::{
    Aggregate, AggregateStore, AggregateStoreBuilder, Backoff, CommandContext, CommandEnvelope,
    DeadLetter, DecodeError, ManualClock, OnFailure, Outbox, ProcessManager, Retry, StoredEvent,
};
use serde::{Deserialize, Serialize};

use super::{Ledger, LedgerCommand};

/// Who passed, in order. Nobody does while it is shut.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Gate {
    pub(crate) passed: Vec<u64>,
    is_shut: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub(crate) enum GateCommand {
    Pass(u64),
    Shut,
    Open,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub(crate) enum GateEvent {
    Passed { number: u64 },
    WasShut,
    WasOpened,
}

#[derive(Debug, thiserror::Error)]
#[error("{0} comes to a shut gate")]
pub(crate) struct IsShut(u64);

impl Aggregate for Gate {
    const AGGREGATE_TYPE: &'static str = "gate";
    type Command = GateCommand;
    type DomainEvent = GateEvent;
    type Error = IsShut;

    fn handle(&self, command: GateCommand) -> Result<Vec<GateEvent>, IsShut> {
        Ok(vec![match command {
            GateCommand::Pass(number) if self.is_shut => return Err(IsShut(number)),
            GateCommand::Pass(number) => GateEvent::Passed { number },
            GateCommand::Shut => GateEvent::WasShut,
            GateCommand::Open => GateEvent::WasOpened,
        }])
    }

    fn apply(mut self, event: &GateEvent) -> Self {
        match event {
            GateEvent::Passed { number } => self.passed.push(*number),
            GateEvent::WasShut => self.is_shut = true,
            GateEvent::WasOpened => self.is_shut = false,
        }
        self
    }
}

/// Does what is written to ledgers, word for word:
///
/// * `send <gate> <number>`;
/// * `either <gate> <number> <gate> <number> ..`, each if the one before fails;
/// * `together <gate> <number> <gate> <number> ..`, and `together-or` with one more, if they fail;
/// * `later-either <seconds> <key> <gate> <number> <gate> <number>`;
/// * `later <seconds> <key> <gate> <number>`, `once <seconds> <gate> <number>`;
/// * `at <milliseconds since 1970> <key> <gate> <number>`, `cancel <key>`;
/// * `open <gate>`, `count` (how many texts there were passes the gate `count`), `panic`.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Scripted {
    lines: Vec<String>,
}

impl ProcessManager for Scripted {
    const NAME: &'static str = "scripted";

    fn subscriptions(&self) -> &'static [&'static str] {
        &["ledger"]
    }

    fn react(&mut self, _: &str, _: &str, _: &eventfold::Event) -> Vec<CommandEnvelope> {
        unreachable!("a store hands events over as they are stored")
    }

    fn react_stored(
        &mut self,
        stored: StoredEvent<'_>,
        out: &mut Outbox<'_>,
    ) -> Result<(), DecodeError> {
        #[derive(Deserialize)]
        struct Written {
            text: String,
        }

        if stored.name() != "Written" {
            return Ok(());
        }
        let Written { text } = stored.payload()?;
        self.lines.push(text.clone());
        let words: Vec<&str> = text.split(' ').collect();
        let number = |word: &str| word.parse::<u64>().unwrap();
        let pass = |word: &str| GateCommand::Pass(number(word));
        match words[..] {
            ["send", gate, n] => {
                out.send::<Gate>(gate, pass(n));
            }
            ["either", gate, n, ref others @ ..] => {
                let mut sent = out.send::<Gate>(gate, pass(n));
                for other in others.chunks(2) {
                    sent = sent.or_send::<Gate>(other[0], pass(other[1]));
                }
            }
            ["together", ref all @ ..] => {
                out.together(|mut group| {
                    for command in all.chunks(2) {
                        group = group.send::<Gate>(command[0], pass(command[1]));
                    }
                    group
                });
            }
            ["together-or", gate, n, other, m, instead, l] => {
                out.together(|group| {
                    let group = group.send::<Gate>(gate, pass(n));
                    group.send::<Gate>(other, pass(m))
                })
                .or_send::<Gate>(instead, pass(l));
            }
            ["later-either", after, key, gate, n, other, m] => {
                let after = Duration::from_secs(number(after));
                out.schedule_as::<Gate>(key, after, gate, pass(n))
                    .or_send::<Gate>(other, pass(m));
            }
            ["later", after, key, gate, n] => {
                let after = Duration::from_secs(number(after));
                out.schedule_as::<Gate>(key, after, gate, pass(n));
            }
            ["once", after, gate, n] => {
                out.schedule::<Gate>(Duration::from_secs(number(after)), gate, pass(n));
            }
            ["at", ms, key, gate, n] => {
                let at = SystemTime::UNIX_EPOCH + Duration::from_millis(number(ms));
                out.schedule_as::<Gate>(key, at, gate, pass(n));
            }
            ["cancel", key] => out.cancel(key),
            ["open", gate] => {
                out.send::<Gate>(gate, GateCommand::Open);
            }
            ["count"] => {
                out.send::<Gate>("count", GateCommand::Pass(self.lines.len() as u64));
            }
            ["panic"] => panic!("told to panic"),
            _ => {}
        }
        Ok(())
    }

    /// By the name of the gate:
    ///
    /// * `answered-..`: the same passes the gate `answers`;
    /// * `twice-..`: the same is sent to the same gate again;
    /// * `noted-..`: the text is one more;
    /// * `free-..`: cancels the timer `key`;
    /// * `put-off-..`: the same is sent to the same gate a minute later;
    /// * `torn-..`: panics half way.
    fn on_dead_letter(&mut self, letter: &DeadLetter, out: &mut Outbox<'_>) {
        let gate = letter.envelope.instance_id.as_str();
        let pass = || GateCommand::Pass(letter.envelope.command["data"].as_u64().unwrap());
        let noted = format!("{gate} failed: {:?}", letter.kind);
        match gate.split_once('-').map(|(kind, _)| kind) {
            Some("answered") => {
                out.send::<Gate>("answers", pass());
            }
            Some("twice") => {
                out.send::<Gate>(gate, pass());
            }
            Some("noted") => self.lines.push(noted),
            Some("free") => out.cancel("key"),
            Some("put") => {
                out.schedule::<Gate>(seconds(60), gate, pass());
            }
            Some("torn") => {
                self.lines.push(noted);
                out.send::<Gate>("answers", pass());
                panic!("told to panic");
            }
            _ => {}
        }
    }
}

/// A clock that stands still, at an arbitrary time.
pub(crate) fn clock() -> ManualClock {
    ManualClock::new(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000))
}

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A store with the process manager, which tries each command three times, a second apart at most.
pub(crate) fn builder(
    dir: impl AsRef<Path>,
    clock: &ManualClock,
    on_failure: OnFailure,
) -> AggregateStoreBuilder {
    let backoff = Backoff::attempts(3).first(seconds(1)).longest(seconds(1));
    builder_with(dir, clock, on_failure, Retry::all(backoff))
}

/// A store with the process manager, which tries its commands again as `retry` says.
pub(crate) fn builder_with(
    dir: impl AsRef<Path>,
    clock: &ManualClock,
    on_failure: OnFailure,
    retry: Retry,
) -> AggregateStoreBuilder {
    crate::support::builder(dir)
        .clock(clock.clone())
        .process_manager_with::<Scripted>(on_failure, retry)
        .aggregate_type::<Gate>()
}

pub(crate) async fn open_live(dir: impl AsRef<Path>, clock: &ManualClock) -> AggregateStore {
    let builder = builder(dir, clock, OnFailure::Stop).live();
    builder.open().await.unwrap()
}

pub(crate) async fn open_on_demand(dir: impl AsRef<Path>, clock: &ManualClock) -> AggregateStore {
    builder(dir, clock, OnFailure::Stop).open().await.unwrap()
}

/// Tells the process manager what to do.
pub(crate) async fn tell(store: &AggregateStore, text: &str) {
    let ledger = store.get::<Ledger>("script").await.unwrap();
    let context = CommandContext::default().with_correlation_id("r-1");
    let command = LedgerCommand::Write(text.to_owned());
    ledger.send_with(command, context).await.unwrap();
}

pub(crate) async fn command(store: &AggregateStore, gate: &str, command: GateCommand) {
    let gate = store.get::<Gate>(gate).await.unwrap();
    gate.send(command).await.unwrap();
}

pub(crate) async fn passed(store: &AggregateStore, gate: &str) -> Vec<u64> {
    let gate = store.get::<Gate>(gate).await.unwrap();
    gate.state().await.unwrap().passed
}

/// Runs the process manager, or waits until it has run. How many commands succeeded, and how many
/// became dead letters.
pub(crate) async fn run(store: &AggregateStore) -> (usize, usize) {
    let report = super::in_time("a run", store.run_process_managers()).await;
    let report = report.unwrap();
    (report.dispatched, report.dead_lettered)
}
