//! Process managers, timers, answers to failures and dead letters when the power fails or the disk does:
//! of each command and of what is sent if it fails, one takes effect, once.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::storage::files::crash::power_loss::{in_parallel, rebuilt};
use crate::storage::files::crash::{
    Account, ENOSPC, Note, fail_every, id, note, runtime, temp_dir,
};
use crate::storage::files::disk::failed_syncs;
use crate::storage::files::disk::faults::{Call, Choices, Fault, Log, Watch};
use crate::{
    Aggregate, AggregateStore, CommandContext, CommandEnvelope, DeadLetter, DecodeError,
    ManualClock, Outbox, ProcessManager, StoredEvent,
};

/// Where copies go.
const SHELVES: u64 = 3;
/// What timers send is told apart by this.
const LATE: u64 = 1_000_000;
/// What is sent if a command fails.
const OR_SENT: u64 = 2_000_000;
/// What `on_dead_letter` sends. The thousands say which answer it is.
const ANSWER: u64 = 100_000_000;

/// What `copy` is about: it is the same for a command and for all that is sent in its place.
fn subject(copy: u64) -> u64 {
    match copy {
        ..OR_SENT => copy,
        OR_SENT..ANSWER => (copy - OR_SENT) / 2,
        ANSWER.. => copy % 1_000,
    }
}

/// What was copied to it, in order. It knows no keys: a command that takes effect twice shows.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Shelf {
    copies: Vec<u64>,
    takes_all: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum ShelfCommand {
    Copy(u64),
    TakeAll,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
enum ShelfEvent {
    Copied { copy: u64 },
    TakesAll,
}

#[derive(Debug, thiserror::Error)]
#[error("not yet")]
struct NotYet;

fn is_refused_at_first(copy: u64) -> bool {
    copy % 4 == 3
}

impl Aggregate for Shelf {
    const AGGREGATE_TYPE: &'static str = "shelf";
    type Command = ShelfCommand;
    type DomainEvent = ShelfEvent;
    type Error = NotYet;

    fn handle(&self, command: ShelfCommand) -> Result<Vec<ShelfEvent>, NotYet> {
        match command {
            ShelfCommand::Copy(copy) if is_refused_at_first(copy) && !self.takes_all => Err(NotYet),
            ShelfCommand::Copy(copy) => Ok(vec![ShelfEvent::Copied { copy }]),
            ShelfCommand::TakeAll => Ok(vec![ShelfEvent::TakesAll]),
        }
    }

    fn apply(mut self, event: &ShelfEvent) -> Self {
        match event {
            ShelfEvent::Copied { copy } => self.copies.push(*copy),
            ShelfEvent::TakesAll => self.takes_all = true,
        }
        self
    }
}

/// Copies the position of each event of the accounts to a shelf; of every fifth command once more,
/// later, unless the command after that takes it back.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Copying {
    seen: u64,
    /// How many failures were answered.
    answered: u64,
    /// The subjects of the failures that were noted and not answered.
    noted: BTreeSet<u64>,
    /// The events come from a test that answers no failure.
    is_plain: bool,
}

/// What becomes of the timer of command `number`.
fn is_cancelled(number: u64) -> bool {
    number % 10 == 5
}

fn shelf(position: u64) -> String {
    format!("s{}", position % SHELVES)
}

impl ProcessManager for Copying {
    const NAME: &'static str = "copying";

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
        #[derive(Deserialize)]
        struct Noted {
            number: u64,
        }

        let position = stored.record().position;
        let Noted { number } = stored.payload()?;
        self.seen += 1;
        self.is_plain |= number >= PLAIN;
        let sent = out.send::<Shelf>(shelf(position), ShelfCommand::Copy(position));
        if number % 3 == 1 && !self.is_plain {
            // Of these half are refused at first.
            let copy = OR_SENT + 2 * position + position / 4 % 2;
            sent.or_send::<Shelf>(shelf(position), ShelfCommand::Copy(copy));
        }
        if number % 5 == 0 {
            let (key, copy) = (format!("{number}/{position}"), LATE + position);
            out.schedule_as::<Shelf>(&key, WAIT, shelf(position), ShelfCommand::Copy(copy));
            if is_cancelled(number) {
                out.cancel(&key);
            }
        }
        Ok(())
    }

    /// Sends another command in the place of some, and notes others.
    fn on_dead_letter(&mut self, letter: &DeadLetter, out: &mut Outbox<'_>) {
        let copy = copy_of(letter).expect("nothing else is sent");
        if (LATE..OR_SENT).contains(&copy) || self.is_plain {
            return;
        }
        let position = subject(copy);
        match position % 3 {
            0 => {
                self.answered += 1;
                let copy = ANSWER + 1_000 * self.answered + position;
                out.send::<Shelf>(shelf(position), ShelfCommand::Copy(copy));
            }
            1 => {
                self.noted.insert(position);
            }
            _ => {}
        }
    }
}

fn copy_of(letter: &DeadLetter) -> Option<u64> {
    letter.envelope.command["Copy"].as_u64()
}

/// From this number on commands of accounts are about nothing but dead letters.
const PLAIN: u64 = 1_000;

const WAIT: Duration = Duration::from_secs(100);

async fn open(dir: &Path, clock: &ManualClock, is_live: bool) -> io::Result<AggregateStore> {
    let builder = AggregateStore::builder(dir)
        .clock(clock.clone())
        .process_manager::<Copying>()
        .aggregate_type::<Shelf>()
        .snapshot_every(3);
    let builder = if is_live { builder.live() } else { builder };
    builder.open().await
}

async fn take_all(store: &AggregateStore) -> Result<(), String> {
    for number in 0..SHELVES {
        let shelf = store.get::<Shelf>(&shelf(number)).await;
        let shelf = shelf.map_err(|e| e.to_string())?;
        let taken = shelf.send(ShelfCommand::TakeAll).await;
        taken.map_err(|e| format!("TakeAll: {e}"))?;
    }
    Ok(())
}

/// Sends commands to accounts, in groups that are under way together, and lets the process manager
/// follow, time pass and dead letters be replayed. Errors are those of a failing disk.
async fn work(store: &AggregateStore, clock: &ManualClock, answered: impl Fn(u64)) {
    for (i, group) in (0..24).collect::<Vec<u64>>().chunks(4).enumerate() {
        let mut under_way = Vec::new();
        for number in group {
            let number = *number;
            let Ok(account) = store.get::<Account>(&id(number)).await else {
                continue;
            };
            under_way.push(tokio::spawn(async move {
                let context = CommandContext::default();
                let done = account.execute(note(number), context).await;
                done.is_ok().then_some(number)
            }));
        }
        for command in under_way {
            if let Some(number) = command.await.expect("it does not panic") {
                answered(number);
            }
        }
        let _ = store.run_process_managers().await;
        if i == 2 {
            clock.advance(WAIT + WAIT);
        }
        // All of them are refused again, and then none.
        if i == 3 {
            let _ = take_all(store).await;
        }
        if (i == 1 || i == 3)
            && let Ok(letters) = store.dead_letters(Copying::NAME)
        {
            let _ = letters.replay_all().await;
        }
    }
}

fn clock() -> ManualClock {
    ManualClock::new(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000))
}

/// What each shelf must hold: in order what was never refused or late, and everything.
fn expected(store: &AggregateStore) -> io::Result<BTreeMap<String, Vec<u64>>> {
    #[derive(Deserialize)]
    struct Noted {
        data: Data,
    }
    #[derive(Deserialize)]
    struct Data {
        number: u64,
    }

    let mut copies: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    let engine = store.inner.storage.files();
    engine
        .log()
        .reader(0)
        .read_to(engine.head(), |commit, _| -> io::Result<_> {
            for part in commit
                .parts()
                .filter(|part| part.aggregate_type == "account")
            {
                for (event, position) in part.events.iter().zip(part.position..) {
                    let noted: Noted = serde_json::from_str(event.get())?;
                    let number = noted.data.number;
                    let on_shelf = copies.entry(shelf(position)).or_default();
                    on_shelf.push(position);
                    if number.is_multiple_of(5) && !is_cancelled(number) {
                        on_shelf.push(LATE + position);
                    }
                }
            }
            Ok(ControlFlow::Continue(()))
        })?;
    Ok(copies)
}

/// Opens what was left, lets everything come to its end, and looks whether each command took effect
/// once; in order too, unless some may have become dead letters because the disk failed.
async fn check(dir: &Path, answered: &[u64], is_in_order: bool) -> Result<(), String> {
    let text = |error: io::Error| error.to_string();
    let later = ManualClock::new(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000));
    let store = open(dir, &later, false)
        .await
        .map_err(|e| format!("it does not open: {e}"))?;
    // In half of the cases what was refused could take effect now, beside its answer.
    if answered.len() % 2 == 1 {
        take_all(&store).await?;
    }
    for _ in 0..2 {
        store.run_process_managers().await.map_err(text)?;
    }
    let letters = store.dead_letters(Copying::NAME).map_err(text)?;
    check_noted(dir, &letters.list().await.map_err(text)?)?;
    take_all(&store).await?;
    let replayed = letters.replay_all().await.map_err(text)?;
    if replayed.dead_lettered > 0 {
        return Err(format!("not replayed: {:?}", letters.list().await));
    }
    let left = store.run_process_managers().await.map_err(text)?;
    if left.dispatched + left.dead_lettered > 0 {
        return Err(format!("something was left: {left:?}"));
    }
    let mut answers = Vec::new();
    for (shelf, mut expected) in expected(&store).map_err(text)? {
        let handle = store.get::<Shelf>(&shelf).await.map_err(text)?;
        let mut copies = handle.state().await.map_err(|e| e.to_string())?.copies;
        let in_order = |copy: &&u64| **copy < LATE && !is_refused_at_first(**copy);
        if is_in_order && !copies.iter().filter(in_order).is_sorted() {
            return Err(format!("{shelf} is out of order: {copies:?}"));
        }
        let of_answers = copies.iter().filter(|copy| **copy >= ANSWER);
        answers.extend(of_answers.map(|copy| (copy - ANSWER) / 1_000));
        for copy in &mut copies {
            *copy = subject(*copy);
        }
        copies.sort_unstable();
        expected.sort_unstable();
        if copies != expected {
            return Err(format!("{shelf} has {copies:?}, not {expected:?}"));
        }
    }
    // Each was saved with the state that numbers it.
    answers.sort_unstable();
    if !answers.iter().copied().eq(1..=answers.len() as u64) {
        return Err(format!("the answers are {answers:?}"));
    }
    for number in answered {
        let account = store.get::<Account>(&id(*number)).await.map_err(text)?;
        let numbers = account.state().await.map_err(|e| e.to_string())?.numbers;
        if !numbers.contains(number) {
            return Err(format!("command {number} is lost"));
        }
    }
    let status = store.read_side().process_managers.remove(0);
    if (status.outgoing, status.timers, status.dead_letters) != (0, 0, Some(0)) {
        return Err(format!("{status:?}"));
    }
    drop(letters);
    store.shutdown().await.map_err(text)
}

/// Checks that the saved state has a note of each dead letter that the process manager notes.
fn check_noted(dir: &Path, letters: &[DeadLetter]) -> Result<(), String> {
    #[derive(Deserialize)]
    struct Saved {
        state: Copying,
    }

    let copies = letters.iter().filter_map(copy_of);
    let subjects = copies.filter(|copy| !(LATE..OR_SENT).contains(copy));
    let given_up: BTreeSet<u64> = subjects.map(subject).filter(|s| s % 3 == 1).collect();
    if given_up.is_empty() {
        return Ok(());
    }
    let file = dir.join("process_managers/copying/journal_checkpoint.json");
    let saved = std::fs::read(&file).map_err(|error| error.to_string())?;
    let saved: Saved = serde_json::from_slice(&saved).map_err(|error| error.to_string())?;
    let noted = saved.state.noted;
    if given_up.is_subset(&noted) {
        Ok(())
    } else {
        Err(format!("given up: {given_up:?}, noted: {noted:?}"))
    }
}

/// A run, and what it did to the disk.
fn recorded(is_live: bool) -> Log {
    let dir = temp_dir();
    let watch = Watch::start(dir.path());
    runtime().block_on(async {
        let clock = clock();
        let store = open(dir.path(), &clock, is_live)
            .await
            .expect("the disk works");
        work(&store, &clock, |number| watch.mark(number)).await;
        store.shutdown().await.expect("the disk works");
    });
    watch.stop()
}

#[test]
fn each_command_of_a_process_manager_takes_effect_once_despite_a_power_failure_at_any_moment() {
    let logs: Vec<Log> = [false, true, false, true].map(recorded).into();
    in_parallel(600, |seed| {
        let log = &logs[usize::try_from(seed).expect("few seeds") % logs.len()];
        rebuilt(log, seed, |dir, answered| {
            runtime().block_on(check(dir, answered, true))
        })
    });
}

/// Runs a store in which a call fails, for a while or from then on, then one on the same directory in
/// which none does, and lets the power fail at last. Returns whether a call failed.
async fn try_fault(fault: Fault) -> Result<bool, String> {
    let dir = temp_dir();
    let watch = Watch::start(dir.path());
    let clock = clock();
    let store = open(dir.path(), &clock, false).await;
    let store = store.map_err(|e| e.to_string())?;
    watch.set_fault(fault);
    work(&store, &clock, |number| watch.mark(number)).await;
    let failed = watch.clear_fault();
    // What could not be written before is, or the store must be opened again.
    let _ = store.run_process_managers().await;
    let _ = store.shutdown().await;
    drop(store);
    failed_syncs::forget(dir.path());
    // Or the next store's first record may be told of it.
    watch.forget_untold();
    check(dir.path(), &watch.marks(), false).await?;
    let log = watch.stop();
    for seed in 0..2 {
        let mut choices = Choices::new(fault.number + seed);
        let point = match seed {
            0 => log.end(),
            _ => log.point(&mut choices),
        };
        let left = temp_dir();
        let image = log.image(point, &mut choices, left.path());
        image.map_err(|error| error.to_string())?;
        check(left.path(), &log.answers(point), false)
            .await
            .map_err(|error| format!("power failure at {point}: {error}"))?;
    }
    Ok(!failed.is_empty())
}

#[test]
fn each_command_of_a_process_manager_takes_effect_once_despite_a_disk_failure_at_any_call() {
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

/// How many bytes a store writes for its process manager while `count` dead letters are replayed, which
/// succeed or fail again, and how many bytes they are long.
async fn written_by_a_replay(count: u64, takes_all: bool) -> (usize, usize) {
    let dir = temp_dir();
    let store = open(dir.path(), &clock(), false).await;
    let store = store.expect("the disk works");
    let account = store.get::<Account>("a").await.expect("it is a name");
    // Of four copies one is refused.
    for number in PLAIN..PLAIN + count {
        let note = Note {
            number,
            count: 4,
            padding: 0,
        };
        let sent = account.execute(note, CommandContext::default()).await;
        sent.expect("the disk works");
    }
    store.run_process_managers().await.expect("the disk works");
    if takes_all {
        take_all(&store).await.expect("the disk works");
    }
    let managers = dir.path().join("process_managers");
    let file = managers.join(Copying::NAME).join("dead_letters.jsonl");
    let length = std::fs::metadata(file).expect("it is there").len();

    let watch = Watch::start(dir.path());
    let letters = store.dead_letters(Copying::NAME).expect("it is registered");
    let report = letters.replay_all().await.expect("the disk works");
    let written = watch.stop().written_below(&managers);
    let expected = if takes_all { (count, 0) } else { (0, count) };
    assert_eq!(
        (report.dispatched as u64, report.dead_lettered as u64),
        expected
    );
    (written, usize::try_from(length).expect("it is short"))
}

#[test]
fn replaying_all_dead_letters_writes_an_amount_proportional_to_their_length() {
    for takes_all in [true, false] {
        let (written, length) = runtime().block_on(written_by_a_replay(600, takes_all));
        assert!(
            written < 8 * length,
            "{written} bytes for letters of {length} bytes"
        );
    }
}
