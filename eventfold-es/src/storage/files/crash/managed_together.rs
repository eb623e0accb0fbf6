//! Commands that a process manager sends together or to a decision, when the power fails or the disk
//! does: they take effect once, and never in part.

use std::collections::BTreeMap;
use std::io;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::storage::files::crash::power_loss::{in_parallel, rebuilt};
use crate::storage::files::crash::{Account, ENOSPC, fail_every, id, note, runtime, temp_dir};
use crate::storage::files::disk::failed_syncs;
use crate::storage::files::disk::faults::{Call, Choices, Fault, Log, Watch};
use crate::store::tests::marks::{Mark, Marking};
use crate::{
    Aggregate, AggregateStore, CommandEnvelope, DecodeError, ManualClock, Outbox, ProcessManager,
    StoredEvent,
};

/// How many pairs of pans there are.
const PAIRS: u64 = 3;
/// What is sent if a command fails is told apart by this.
const OR_SENT: u64 = 1_000_000;

/// One of a pair that must hold the same. It knows no keys: a command that takes effect twice shows.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Pan {
    weights: Vec<u64>,
    takes_all: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum PanCommand {
    Put(u64),
    TakeAll,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
enum PanEvent {
    Put { weight: u64 },
    TakesAll,
}

#[derive(Debug, thiserror::Error)]
#[error("not yet")]
struct NotYet;

impl Aggregate for Pan {
    const AGGREGATE_TYPE: &'static str = "pan";
    type Command = PanCommand;
    type DomainEvent = PanEvent;
    type Error = NotYet;

    fn handle(&self, command: PanCommand) -> Result<Vec<PanEvent>, NotYet> {
        match command {
            PanCommand::Put(weight) if weight % 4 == 3 && !self.takes_all => Err(NotYet),
            PanCommand::Put(weight) => Ok(vec![PanEvent::Put { weight }]),
            PanCommand::TakeAll => Ok(vec![PanEvent::TakesAll]),
        }
    }

    fn apply(mut self, event: &PanEvent) -> Self {
        match event {
            PanEvent::Put { weight } => self.weights.push(*weight),
            PanEvent::TakesAll => self.takes_all = true,
        }
        self
    }
}

/// Puts the position of each event of the accounts on both pans of a pair, or marks it on a page.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Weighing;

fn pans(position: u64) -> [String; 2] {
    ["left", "right"].map(|side| format!("{side}-{}", position % PAIRS))
}

fn is_marked(position: u64) -> bool {
    position.is_multiple_of(5)
}

impl ProcessManager for Weighing {
    const NAME: &'static str = "weighing";

    fn subscriptions(&self) -> &'static [&'static str] {
        &["account"]
    }

    fn react(&mut self, _: &str, _: &str, _: &eventfold::Event) -> Vec<CommandEnvelope> {
        unreachable!("a store hands events over as they are stored")
    }

    fn react_stored(
        &mut self,
        stored: StoredEvent<'_>,
        out: &mut Outbox<'_>,
    ) -> Result<(), DecodeError> {
        let position = stored.record().position;
        if is_marked(position) {
            let page = position % PAIRS;
            out.decide::<Marking>(Mark {
                page,
                mark: position,
            });
            return Ok(());
        }
        let put = |out: &mut Outbox<'_>, weight: u64, or: Option<u64>| {
            let [left, right] = pans(position);
            let sent = out.together(|t| {
                t.send::<Pan>(left.clone(), PanCommand::Put(weight))
                    .send::<Pan>(right.clone(), PanCommand::Put(weight))
            });
            if let Some(or) = or {
                sent.or_together(|t| {
                    t.send::<Pan>(left, PanCommand::Put(or))
                        .send::<Pan>(right, PanCommand::Put(or))
                });
            }
        };
        // Half of what is sent instead is refused at first, too.
        let or = OR_SENT + 2 * position + position / 4 % 2;
        put(out, position, (position % 3 == 1).then_some(or));
        Ok(())
    }
}

/// What a weight is about: it is the same for all that is sent in its place.
fn subject(weight: u64) -> u64 {
    match weight {
        ..OR_SENT => weight,
        OR_SENT.. => (weight - OR_SENT) / 2,
    }
}

async fn open(dir: &Path, is_live: bool) -> io::Result<AggregateStore> {
    let clock = ManualClock::new(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000));
    let builder = AggregateStore::builder(dir)
        .clock(clock)
        .process_manager::<Weighing>()
        .aggregate_type::<Pan>()
        .decision::<Marking>()
        .snapshot_every(3);
    let builder = if is_live { builder.live() } else { builder };
    builder.open().await
}

/// Only the right ones refuse at first. The left ones have decided by then.
async fn take_all(store: &AggregateStore, side: usize) -> Result<(), String> {
    for pair in 0..PAIRS {
        let pan = store.get::<Pan>(&pans(pair)[side]).await;
        let pan = pan.map_err(|e| e.to_string())?;
        let taken = pan.send(PanCommand::TakeAll).await;
        taken.map_err(|e| format!("TakeAll: {e}"))?;
    }
    Ok(())
}

/// Sends commands to accounts, in groups that are under way together, and lets the process manager
/// follow and dead letters be replayed. Errors are those of a failing disk.
async fn work(store: &AggregateStore, answered: impl Fn(u64)) {
    let _ = take_all(store, 0).await;
    for (i, group) in (0..16).collect::<Vec<u64>>().chunks(4).enumerate() {
        let mut under_way = Vec::new();
        for number in group {
            let number = *number;
            let Ok(account) = store.get::<Account>(&id(number)).await else {
                continue;
            };
            under_way.push(tokio::spawn(async move {
                let done = account.send(note(number)).await;
                done.is_ok().then_some(number)
            }));
        }
        for command in under_way {
            if let Some(number) = command.await.expect("it does not panic") {
                answered(number);
            }
        }
        let _ = store.run_process_managers().await;
        // All of them are refused again, and then none.
        if i == 2 {
            let _ = take_all(store, 1).await;
        }
        if i > 0
            && let Ok(letters) = store.dead_letters(Weighing::NAME)
        {
            let _ = letters.replay_all().await;
        }
    }
}

/// What the journal has: see [`journaled`].
type Journaled = (BTreeMap<u64, Vec<u64>>, Vec<u64>, Vec<u64>);

/// What the journal must lead to, and the marks that it has.
fn journaled(store: &AggregateStore) -> io::Result<Journaled> {
    #[derive(Deserialize)]
    struct Line {
        data: Data,
    }
    #[derive(Deserialize)]
    struct Data {
        mark: u64,
    }

    let mut weights: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    let (mut to_mark, mut marked) = (Vec::new(), Vec::new());
    let engine = store.inner.storage.files();
    engine
        .log()
        .reader(0)
        .read_to(engine.head(), |commit, _| -> io::Result<_> {
            for part in commit.parts() {
                for (event, position) in part.events.iter().zip(part.position..) {
                    match part.aggregate_type {
                        "account" if is_marked(position) => to_mark.push(position),
                        "account" => weights.entry(position % PAIRS).or_default().push(position),
                        "" => {
                            let line: Line = serde_json::from_str(event.get())?;
                            marked.push(line.data.mark);
                        }
                        _ => {}
                    }
                }
            }
            Ok(ControlFlow::Continue(()))
        })?;
    Ok((weights, to_mark, marked))
}

async fn weights(store: &AggregateStore, pair: u64) -> Result<[Vec<u64>; 2], String> {
    let mut both = [Vec::new(), Vec::new()];
    for (weights, pan) in both.iter_mut().zip(pans(pair)) {
        let pan = store.get::<Pan>(&pan).await.map_err(|e| e.to_string())?;
        *weights = pan.state().await.map_err(|e| e.to_string())?.weights;
    }
    Ok(both)
}

/// Opens what was left, looks whether both pans of each pair hold the same, lets everything come to its
/// end, and looks whether each command took effect once.
async fn check(dir: &Path, answered: &[u64]) -> Result<(), String> {
    let text = |error: io::Error| error.to_string();
    let store = open(dir, false)
        .await
        .map_err(|e| format!("it does not open: {e}"))?;
    for pair in 0..PAIRS {
        let [left, right] = weights(&store, pair).await?;
        if left != right {
            return Err(format!("pair {pair} has {left:?} and {right:?}"));
        }
    }
    // In half of the cases what was refused could take effect now, beside what is sent instead.
    if answered.len() % 2 == 1 {
        take_all(&store, 0).await?;
        take_all(&store, 1).await?;
    }
    for _ in 0..2 {
        store.run_process_managers().await.map_err(text)?;
    }
    let letters = store.dead_letters(Weighing::NAME).map_err(text)?;
    for letter in letters.list().await.map_err(text)? {
        if letter.decision.is_none() && letter.together.len() != 1 {
            return Err(format!("half a dead letter: {letter:?}"));
        }
    }
    take_all(&store, 0).await?;
    take_all(&store, 1).await?;
    let replayed = letters.replay_all().await.map_err(text)?;
    if replayed.dead_lettered > 0 {
        return Err(format!("not replayed: {:?}", letters.list().await));
    }
    let left = store.run_process_managers().await.map_err(text)?;
    if left.dispatched + left.dead_lettered > 0 {
        return Err(format!("something was left: {left:?}"));
    }
    let (expected, to_mark, mut marked) = journaled(&store).map_err(text)?;
    for (pair, expected) in expected {
        let [left, right] = weights(&store, pair).await?;
        if left != right {
            return Err(format!("pair {pair} has {left:?} and {right:?}"));
        }
        let mut subjects: Vec<u64> = left.iter().copied().map(subject).collect();
        subjects.sort_unstable();
        if subjects != expected {
            return Err(format!("pair {pair} has {left:?}, not {expected:?}"));
        }
    }
    marked.sort_unstable();
    if marked != to_mark {
        return Err(format!("{marked:?} are marked, not {to_mark:?}"));
    }
    for number in answered {
        let account = store.get::<Account>(&id(*number)).await.map_err(text)?;
        let numbers = account.state().await.map_err(|e| e.to_string())?.numbers;
        if !numbers.contains(number) {
            return Err(format!("command {number} is lost"));
        }
    }
    drop(letters);
    store.shutdown().await.map_err(text)
}

/// A run, and what it did to the disk.
fn recorded(is_live: bool) -> Log {
    let dir = temp_dir();
    let watch = Watch::start(dir.path());
    runtime().block_on(async {
        let store = open(dir.path(), is_live).await.expect("the disk works");
        work(&store, |number| watch.mark(number)).await;
        store.shutdown().await.expect("the disk works");
    });
    watch.stop()
}

#[test]
fn commands_of_a_process_manager_take_effect_together_and_once_despite_a_power_failure_at_any_moment()
 {
    let logs: Vec<Log> = [false, true].map(recorded).into();
    in_parallel(300, |seed| {
        let log = &logs[usize::try_from(seed).expect("few seeds") % logs.len()];
        rebuilt(log, seed, |dir, answered| {
            runtime().block_on(check(dir, answered))
        })
    });
}

/// Runs a store in which a call fails, for a while or from then on, then one on the same directory in
/// which none does, and lets the power fail at last. Returns whether a call failed.
async fn try_fault(fault: Fault) -> Result<bool, String> {
    let dir = temp_dir();
    let watch = Watch::start(dir.path());
    let store = open(dir.path(), false).await;
    let store = store.map_err(|e| e.to_string())?;
    watch.set_fault(fault);
    work(&store, |number| watch.mark(number)).await;
    let failed = watch.clear_fault();
    // What could not be written before is, or the store must be opened again.
    let _ = store.run_process_managers().await;
    let _ = store.shutdown().await;
    drop(store);
    failed_syncs::forget(dir.path());
    // Or the next store's first record may be told of it.
    watch.forget_untold();
    check(dir.path(), &watch.marks()).await?;
    let log = watch.stop();
    let mut choices = Choices::new(fault.number);
    let point = log.point(&mut choices);
    let left = temp_dir();
    let image = log.image(point, &mut choices, left.path());
    image.map_err(|error| error.to_string())?;
    check(left.path(), &log.answers(point))
        .await
        .map_err(|error| format!("power failure at {point}: {error}"))?;
    Ok(!failed.is_empty())
}

#[test]
fn commands_of_a_process_manager_take_effect_together_and_once_despite_a_disk_failure_at_any_call()
{
    for (call, partly) in [
        (Call::Write, 0),
        (Call::Write, 100),
        (Call::Sync, 0),
        (Call::Open, 0),
        (Call::Rename, 0),
        (Call::CreateDir, 0),
    ] {
        for lasting in [false, true] {
            // Every third, which are many enough to meet each file at each of its moments.
            let failed = fail_every(3, call, (ENOSPC, lasting, partly), try_fault);
            assert!(failed > 0, "no {call:?} ever failed");
        }
    }
}
