//! What compressing the journal saves, what it takes, and how fast a compressed journal is read.
//!
//! ```text
//! cargo bench -p eventfold-es --bench compress
//! EVENTFOLD_EVENTS=50000 EVENTFOLD_ROUNDS=3 cargo bench -p eventfold-es --bench compress
//! ```
//!
//! The second form takes a few seconds. Two stores have the same events, and one of them is compressed. Both
//! are measured in turns, in several rounds, of which the median counts. So what else the machine does
//! slows both down.
//!
//! It needs about 2 GB of disk for each million of events, below the directory `EVENTFOLD_DIR`, or here.

use std::fmt::Write as _;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::time::Instant;

use eventfold_es::prelude::*;
use eventfold_es::{AggregateStore, AggregateStoreBuilder};
use serde::{Deserialize, Serialize};

/// In how many rounds the whole journal is replayed.
const MOST_REPLAYS: u64 = 3;

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(commands(Deposit), events(Deposited))]
struct Account {}

/// The events are imported, so nobody sends it.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Deposit;

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Deposited {
    amount: u64,
    currency: String,
    reference: String,
    from: String,
}

impl Decide<Deposit> for Account {
    fn decide(&self, _: Deposit) -> Decision<Self> {
        Ok(std::iter::empty::<AccountEvent>().collect())
    }
}

impl Evolve<Deposited> for Account {
    fn evolve(&mut self, _: &Deposited) {}
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, Projection)]
#[projection(aggregates(Account))]
struct Totals {
    events: u64,
    amount: u64,
}

impl Project<Account> for Totals {
    fn project(&mut self, event: &AccountEvent, _: &Recorded<'_>) {
        let AccountEvent::Deposited(event) = event;
        self.events += 1;
        self.amount += event.amount;
    }
}

fn number(name: &str, default: u64) -> u64 {
    let given = std::env::var(name).ok();
    given.and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Numbers that follow no pattern that a compressor sees.
fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// The lines of events with payloads of 100 bytes, each of an account that chance chooses.
struct Lines {
    next: u64,
    events: u64,
    versions: Vec<u64>,
    buffer: String,
    used: usize,
}

impl Lines {
    fn new(events: u64, accounts: u64) -> Self {
        Self {
            next: 0,
            events,
            versions: vec![0; usize::try_from(accounts).unwrap_or(1)],
            buffer: String::new(),
            used: 0,
        }
    }

    fn fill(&mut self) {
        self.buffer.clear();
        self.used = 0;
        for i in self.next..self.events.min(self.next + 1000) {
            let chance = |of: u64| mixed(i * 8 + of);
            let account = usize::try_from(chance(0)).unwrap_or(0) % self.versions.len();
            self.versions[account] += 1;
            let (version, id) = (
                self.versions[account],
                u128::from(chance(1)) << 64 | u128::from(chance(2)),
            );
            let _ = writeln!(
                self.buffer,
                r#"{{"eventfold":1,"position":{},"type":"account","id":"a-{account}","version":{version},"event":"Deposited","event_id":"{id:032x}","ms":{},"data":{{"amount":{},"currency":"EUR","reference":"invoice 2026-{:06} of the shop","from":"account-{:05}"}}}}"#,
                i + 1,
                1_767_225_600_000 + i * 3 + chance(3) % 3,
                10_000 + chance(4) % 90_000,
                chance(5) % 1_000_000,
                chance(6) % 100_000,
            );
        }
        self.next += 1000;
    }
}

impl Read for Lines {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.used == self.buffer.len() {
            self.fill();
        }
        let rest = &self.buffer.as_bytes()[self.used..];
        let taken = rest.len().min(into.len());
        into[..taken].copy_from_slice(&rest[..taken]);
        self.used += taken;
        Ok(taken)
    }
}

/// The bytes of a journal.
#[derive(Default)]
struct Size {
    /// Of all files, as they say.
    apparent: u64,
    /// Of all files, as they take space on the disk.
    allocated: u64,
    /// Of the segments but the newest one, and without the one that is prepared.
    sealed: u64,
    /// How many events those have.
    sealed_events: u64,
}

impl Size {
    fn of(dir: &Path) -> io::Result<Self> {
        let mut size = Self::default();
        let mut segments = std::collections::BTreeMap::new();
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            let found = entry.metadata()?;
            size.apparent += found.len();
            size.allocated += on_disk(&found);
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.contains(".jsonl") {
                segments.insert(name, found.len());
            }
        }
        let newest = segments.pop_last();
        size.sealed = segments.values().sum();
        size.sealed_events = newest
            .and_then(|(name, _)| name.split('.').next()?.parse::<u64>().ok())
            .map_or(0, |first| first - 1);
        Ok(size)
    }
}

/// The bytes of the files of all streams in `dir`: as they say, and as they take space on the disk.
fn lines_of_streams(dir: &Path) -> io::Result<(u64, u64)> {
    let (mut apparent, mut allocated) = (0, 0);
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            let (lines, blocks) = lines_of_streams(&entry.path())?;
            (apparent, allocated) = (apparent + lines, allocated + blocks);
        } else if entry.file_name() == "app.jsonl" {
            let found = entry.metadata()?;
            apparent += found.len();
            allocated += on_disk(&found);
        }
    }
    Ok((apparent, allocated))
}

#[cfg(unix)]
fn on_disk(found: &std::fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::blocks(found) * 512
}

/// Not known.
#[cfg(not(unix))]
fn on_disk(_: &std::fs::Metadata) -> u64 {
    0
}

/// How long the threads of this process have computed, in seconds, where the system tells it.
fn computed() -> f64 {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else {
        return f64::NAN;
    };
    let times = tasks.flatten().filter_map(|task| {
        let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<f64>().ok()
    });
    times.sum::<f64>() / 1e9
}

/// The middle of the measured times, in seconds.
fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn builder(dir: &Path) -> AggregateStoreBuilder {
    let builder = AggregateStore::builder(dir).compress_journal(false);
    builder.projection::<Totals>()
}

/// How long each kind of reading takes in a store.
#[derive(Default)]
struct Times {
    catch_up: Vec<f64>,
    open: Vec<f64>,
    replay: Vec<f64>,
}

impl Times {
    async fn measure(&mut self, dir: &Path, events: u64, replays: bool) -> Result {
        let start = Instant::now();
        let store = builder(dir).open().await?;
        self.open.push(start.elapsed().as_secs_f64());
        let start = Instant::now();
        store.rebuild_projection::<Totals>()?;
        self.catch_up.push(start.elapsed().as_secs_f64());
        assert_eq!(store.projection::<Totals>()?.events, events);
        store.shutdown().await?;
        if !replays {
            return Ok(());
        }

        std::fs::remove_file(dir.join("journal/checkpoint.json"))?;
        let start = Instant::now();
        let store = builder(dir).open().await?;
        self.replay.push(start.elapsed().as_secs_f64());
        store.shutdown().await?;
        Ok(())
    }
}

/// A store with all events that is not compressed.
async fn filled(dir: PathBuf, events: u64) -> Result<PathBuf> {
    let store = builder(&dir).open().await?;
    let lines = Lines::new(events, events.div_ceil(100));
    let report = store.import(BufReader::new(lines)).await?;
    assert_eq!(report.events, events);
    store.shutdown().await?;
    Ok(dir)
}

#[tokio::main]
async fn main() -> Result {
    let events = number("EVENTFOLD_EVENTS", 1_000_000);
    let rounds = number("EVENTFOLD_ROUNDS", 7);
    let base = std::env::var("EVENTFOLD_DIR").unwrap_or(".".to_owned());
    let base = tempfile::tempdir_in(base)?;
    let plain = filled(base.path().join("plain"), events).await?;
    let compressed = filled(base.path().join("compressed"), events).await?;

    let before = Size::of(&compressed.join("journal"))?;
    let store = builder(&compressed).open().await?;
    let (start, computed_before) = (Instant::now(), computed());
    let files = store.compress().await?;
    let (took, cpu) = (start.elapsed().as_secs_f64(), computed() - computed_before);
    store.shutdown().await?;
    let after = Size::of(&compressed.join("journal"))?;
    println!("{events} events, one a commit, payloads of 100 bytes; {files} segments compressed");
    #[expect(clippy::cast_precision_loss, reason = "it is for showing")]
    let mib = |bytes: u64| bytes as f64 / 1024.0 / 1024.0;
    for (what, before, after) in [
        ("sealed segments", before.sealed, after.sealed),
        ("all of the journal", before.apparent, after.apparent),
        ("as the disk counts", before.allocated, after.allocated),
    ] {
        let (before, after) = (mib(before), mib(after));
        println!(
            "{what:<24} {before:>9.1} MiB -> {after:>8.1} MiB, {:.3} of it",
            after / before
        );
    }
    let (lines, blocks) = lines_of_streams(&compressed.join("streams"))?;
    #[expect(clippy::cast_precision_loss, reason = "it is for showing")]
    let of_each = |bytes: u64, events: u64| bytes as f64 / events as f64;
    let (line, block) = (of_each(lines, events), of_each(blocks, events));
    let journaled = of_each(after.sealed, after.sealed_events);
    println!(
        "an event takes {line:.1} bytes in its stream's file ({block:.1} as the disk counts) and {journaled:.1} in \
         a compressed segment: {:.2} times its line ({:.2})",
        (line + journaled) / line,
        (block + journaled) / line,
    );
    println!(
        "compressing and comparing {took:>7.2} s, {cpu:.2} s computed, {:.0} MiB/s",
        mib(before.sealed) / took
    );

    let (mut of_plain, mut of_compressed) = (Times::default(), Times::default());
    for round in 0..rounds {
        for turn in 0..2 {
            // It takes longer than all the rest.
            let replays = round < MOST_REPLAYS;
            if (round + turn) % 2 == 0 {
                of_plain.measure(&plain, events, replays).await?;
            } else {
                of_compressed.measure(&compressed, events, replays).await?;
            }
        }
    }
    for (what, plain, compressed) in [
        (
            "catch-up of a projection",
            &mut of_plain.catch_up,
            &mut of_compressed.catch_up,
        ),
        ("open", &mut of_plain.open, &mut of_compressed.open),
        (
            "open, whole journal",
            &mut of_plain.replay,
            &mut of_compressed.replay,
        ),
    ] {
        let (plain, compressed) = (median(plain), median(compressed));
        println!(
            "{what:<24} {:>9.1} ms plain, {:>9.1} ms compressed, speed {:.2} of plain",
            plain * 1e3,
            compressed * 1e3,
            plain / compressed
        );
    }
    Ok(())
}
