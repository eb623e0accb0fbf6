//! The shared parts of the storage's tests of crashes and failing disks: a domain that shows lost
//! or incomplete commits, and the checks.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc::channel;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::storage::files::disk::failed_syncs;
use crate::storage::files::disk::faults::{Call, Choices, Fault, Log};
use crate::storage::files::upkeep::Job;
use crate::{
    Aggregate, AggregateStore, AggregateStoreBuilder, Position, Project, Projection, Recorded,
};

mod answers;
mod appended;
mod archived;
mod backups;
mod closed_files;
mod compressed;
mod decided;
mod dropped;
pub(crate) mod extent;
mod failed_sync;
mod failing_io;
mod file_systems;
#[cfg(feature = "personal")]
mod forgetting;
mod full_disk;
mod grouped;
mod header_only;
mod health;
mod imported;
mod lost_runtime;
mod managed;
mod managed_together;
mod needed;
mod observed;
mod power_loss;
mod replayed;
mod several_streams;
mod together;
mod unflushed;

/// The system's error numbers, which are the same on every Unix.
const EINTR: i32 = 4;
const EIO: i32 = 5;
const EACCES: i32 = 13;
const EMFILE: i32 = 24;
const ENOSPC: i32 = 28;

/// The number of aggregates.
const ACCOUNTS: u64 = 4;

/// The numbers of the executed commands. A number occurs once for each event of its command.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Account {
    numbers: Vec<u64>,
}

/// Stores `count` events with the command's number.
#[derive(Debug, Clone, Copy)]
struct Note {
    number: u64,
    count: usize,
    /// Makes some lines longer than a sector.
    padding: usize,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
enum Event {
    Noted { number: u64, padding: String },
}

impl Aggregate for Account {
    const AGGREGATE_TYPE: &'static str = "account";
    type Command = Note;
    type DomainEvent = Event;
    type Error = std::convert::Infallible;

    fn handle(&self, note: Note) -> Result<Vec<Event>, Self::Error> {
        let event = Event::Noted {
            number: note.number,
            padding: "x".repeat(note.padding),
        };
        Ok(vec![event; note.count])
    }

    fn apply(mut self, event: &Event) -> Self {
        let Event::Noted { number, .. } = event;
        self.numbers.push(*number);
        self
    }
}

/// The numbers of the commands of all accounts, in the order of the journal.
#[derive(Debug, Clone, Default, Serialize, Deserialize, Projection)]
#[projection(aggregates(Account), crate = crate)]
struct Everything {
    numbers: BTreeMap<String, Vec<u64>>,
}

impl Project<Account> for Everything {
    fn project(&mut self, event: &Event, record: &Recorded<'_>) {
        let Event::Noted { number, .. } = event;
        let id = record.id().to_owned();
        self.numbers.entry(id).or_default().push(*number);
    }
}

async fn open(dir: &Path) -> std::io::Result<AggregateStore> {
    builder(dir).open().await
}

fn builder(dir: &Path) -> AggregateStoreBuilder {
    AggregateStore::builder(dir)
        .projection::<Everything>()
        .snapshot_every(3)
        .idle_timeout(Duration::MAX)
}

fn id(number: u64) -> String {
    format!("a{}", number % ACCOUNTS)
}

/// The command `number`.
fn note(number: u64) -> Note {
    let mut choices = Choices::new(number);
    Note {
        number,
        count: 1 + choices.below(3),
        padding: choices.below(4) / 3 * choices.below(1500),
    }
}

/// The command `number` with an event that is large enough to cause a checkpoint.
fn large(number: u64) -> Note {
    Note {
        padding: 8 * 1024,
        ..note(number)
    }
}

/// Waits until the upkeep thread has done all submitted jobs.
fn wait_for_upkeep(store: &AggregateStore) {
    let (done, is_done) = channel();
    let job = Job::Run(Box::new(move || {
        let _ = done.send(());
    }));
    store.inner.storage.files().keeper().submit(job);
    is_done.recv().expect("the upkeep thread comes to it");
}

/// Opens the store that the power failure left, and checks it against the answered commands.
async fn check(dir: &Path, answered: &[u64]) -> Result<(), String> {
    let store = open(dir)
        .await
        .map_err(|e| format!("it does not open: {e}"))?;
    let mut in_accounts = 0;
    let mut all = BTreeMap::new();
    for account in 0..ACCOUNTS {
        let account = id(account);
        let handle = store
            .get::<Account>(&account)
            .await
            .map_err(|e| e.to_string())?;
        let state = handle
            .state()
            .await
            .map_err(|e| format!("{account}: {e}"))?;
        let version: u64 = handle.version().await.map_err(|e| e.to_string())?.into();
        if version != state.numbers.len() as u64 {
            return Err(format!("{account} is at version {version}: {state:?}"));
        }
        let mut rest = state.numbers.as_slice();
        while let [number, ..] = rest {
            let count = note(*number).count;
            let whole = rest.iter().take(count).all(|other| other == number);
            if !whole || rest.len() < count {
                return Err(format!(
                    "{account} has a part of command {number}: {state:?}"
                ));
            }
            rest = &rest[count..];
        }
        for number in answered.iter().filter(|number| id(**number) == account) {
            if !state.numbers.contains(number) {
                return Err(format!("{account} lacks command {number}: {state:?}"));
            }
        }
        in_accounts += version;
        if version > 0 {
            all.insert(account, state.numbers);
        }
    }
    let projected: Everything = store.projection().map_err(|e| e.to_string())?;
    if projected.numbers != all {
        return Err(format!(
            "the projection has {projected:?}, the accounts {all:?}"
        ));
    }
    let mut subscribed: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    let mut events = store.subscribe(Position::default());
    for position in 1..=in_accounts {
        let event = events.next().await.expect("an error comes before the end");
        let event = event.map_err(|e| format!("subscribed at {position}: {e}"))?;
        if event.position() != Position::new(position) {
            return Err(format!("{} is delivered as {position}", event.position()));
        }
        let decoded = event.decode::<Account>().map_err(|e| e.to_string())?;
        for Event::Noted { number, .. } in decoded {
            let id = event.id().to_owned();
            subscribed.entry(id).or_default().push(number);
        }
    }
    if subscribed != all {
        return Err(format!("a subscription delivers {subscribed:?}"));
    }
    if store.inner.storage.files().head() != in_accounts {
        let head = store.inner.storage.files().head();
        return Err(format!(
            "the head is {head}, the accounts have {in_accounts} events"
        ));
    }
    // The store must still work.
    let next = store
        .get::<Account>("a0")
        .await
        .map_err(|e| e.to_string())?;
    let done = next
        .send(note(1_000_000))
        .await
        .map_err(|e| format!("next command: {e}"))?;
    if u64::from(done.version)
        != all.get("a0").map_or(0, |n| n.len() as u64) + done.events.len() as u64
    {
        return Err(format!("the next command led to version {}", done.version));
    }
    store.shutdown().await.map_err(|e| format!("shutdown: {e}"))
}

/// As [`fail_each`]. At least one call must fail.
fn fail_all(
    call: Call,
    how: (i32, bool, usize),
    try_fault: impl AsyncFn(Fault) -> Result<bool, String>,
) {
    assert!(
        fail_each(call, how, try_fault) > 0,
        "no {call:?} ever failed"
    );
}

/// As [`fail_all`], for each kind of call in turn, once and lastingly.
fn fail_all_kinds(try_fault: impl AsyncFn(Fault) -> Result<bool, String>) {
    for lasting in [false, true] {
        fail_all(Call::Open, (EACCES, lasting, 0), &try_fault);
        fail_all(Call::Write, (ENOSPC, lasting, 100), &try_fault);
        fail_all(Call::Sync, (EIO, lasting, 0), &try_fault);
        fail_all(Call::Rename, (EIO, lasting, 0), &try_fault);
    }
}

/// Whether what is in `dir` after `fault` is whole: as a power failure would leave it, and as it is.
async fn is_whole_after(
    fault: Fault,
    log: &Log,
    dir: &Path,
    is_whole: impl AsyncFn(&Path) -> Result<(), String>,
) -> Result<(), String> {
    let left = temp_dir();
    log.image(log.end(), &mut Choices::new(fault.number), left.path())
        .map_err(|e| e.to_string())?;
    failed_syncs::forget(dir);
    for (what, dir) in [("power failure", left.path()), ("next open", dir)] {
        is_whole(dir).await.map_err(|e| format!("{what}: {e}"))?;
    }
    Ok(())
}

/// Makes calls of a kind fail in turn, [each or a part of them](extent), until a run has fewer calls than
/// that: with this error, lastingly or once, and after so many bytes of a write. `try_fault` runs a store
/// and returns whether a call failed in it. Returns in how many runs one did.
fn fail_each(
    call: Call,
    how: (i32, bool, usize),
    try_fault: impl AsyncFn(Fault) -> Result<bool, String>,
) -> u64 {
    fail_every(1, call, how, try_fault)
}

/// As [`fail_each`], but only one of `nth` calls.
fn fail_every(
    nth: u64,
    call: Call,
    (error, lasting, partly): (i32, bool, usize),
    try_fault: impl AsyncFn(Fault) -> Result<bool, String>,
) -> u64 {
    let mut failed = 0;
    loop {
        let fault = Fault {
            call,
            number: 1 + failed * nth * extent::step(),
            error,
            lasting,
            partly,
        };
        match runtime().block_on(try_fault(fault)) {
            Ok(true) => failed += 1,
            Ok(false) => return failed,
            Err(failure) => panic!("{fault:?}: {failure}"),
        }
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime can be built")
}

/// A directory in memory, if the system has one: these tests do not depend on a disk.
fn temp_dir() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let dir = tempfile::tempdir_in(memory).or_else(|_| tempfile::tempdir());
    dir.expect("there is a place for temporary files")
}
