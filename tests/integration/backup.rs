//! Backups, and stores that are restored from them.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use eventfold_es::__private::example::{Counter, Total};
use eventfold_es::{AggregateStore, CommandContext, OnFailure, Position, WithoutCheckpoint};
use serde_json::Value;
use tokio::task::JoinSet;

use crate::support::files::{copy_into, files_below, segments};
use crate::support::scripted::{
    builder as scripted, clock, open_on_demand, passed, run, seconds, tell,
};
use crate::support::{
    Ledger, LedgerCommand as Do, TempDir, fast_temp_dir, journal, open, random, temp_dir,
};

mod copied;
mod following;
mod managers;
mod refusals;
mod timelines;

/// The position `number`.
fn at(number: u64) -> Position {
    number.to_string().parse().unwrap()
}

fn number(position: Position) -> u64 {
    position.to_string().parse().unwrap()
}

/// The commits in the journal of `base` up to `position`, as text.
fn commits(base: &Path, position: u64) -> Vec<Value> {
    let lines = journal(base).into_iter();
    lines
        .map(|line| line.json)
        .take_while(|json| {
            let (first, count) = (
                json["pos"].as_u64().unwrap(),
                json["count"].as_u64().unwrap(),
            );
            first + count - 1 <= position
        })
        .collect()
}

/// Restores `backup` up to `position` into a new directory, which is checked.
async fn restore(backup: &Path, position: u64) -> TempDir {
    let dir = fast_temp_dir();
    let restored = AggregateStore::restore(backup, dir.path()).to(at(position));
    restored.await.unwrap();
    check(dir.path()).await;
    dir
}

async fn check(base: &Path) {
    let report = AggregateStore::verify(base).await.unwrap();
    assert!(report.findings.is_empty(), "{report}");
}

async fn add(store: &AggregateStore, id: &str, amounts: impl IntoIterator<Item = u64>) {
    let ledger = store.get::<Ledger>(id).await.unwrap();
    for amount in amounts {
        ledger.send(Do::Add(amount)).await.unwrap();
    }
}

/// Fills several segments of the journal.
async fn fill(store: &AggregateStore, id: &str, kib: usize) {
    let ledger = store.get::<Ledger>(id).await.unwrap();
    for _ in 0..kib / 64 {
        ledger.send(Do::Write("x".repeat(64 * 1024))).await.unwrap();
    }
}

/// The content of all files but the lock's.
fn content(base: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut files = files_below(base);
    files.retain(|path| !path.ends_with("lock"));
    files
        .into_iter()
        .map(|path| (path.clone(), std::fs::read(path).unwrap()))
        .collect()
}

/// How long the clients write.
fn how_long() -> Duration {
    let seconds = std::env::var("EVENTFOLD_SECONDS").ok();
    seconds.map_or(Duration::from_millis(500), |seconds| {
        Duration::from_secs(seconds.parse().unwrap())
    })
}

/// Clients that write until they are told to stop.
struct Clients {
    stop: Arc<AtomicBool>,
    tasks: JoinSet<()>,
}

impl Clients {
    /// Starts so many. Each numbers its commands, and no two clients use the same number.
    fn start<F: Future<Output = ()> + Send>(
        count: u64,
        write: impl Fn(u64, u64) -> F + Clone + Send + 'static,
    ) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut tasks = JoinSet::new();
        for client in 0..count {
            let (stop, write) = (stop.clone(), write.clone());
            tasks.spawn(async move {
                let mut number = client * 1_000_000;
                while !stop.load(Ordering::Relaxed) {
                    number += 1;
                    write(client, number).await;
                }
            });
        }
        Self { stop, tasks }
    }

    async fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.tasks.join_all().await;
    }
}

/// Whether a client's command with this number is for the process manager. After a while only few are,
/// so that it is through with them soon after a long run.
fn tells(number: u64) -> bool {
    number.is_multiple_of(8) && (number % 1_000_000 < 400 || number.is_multiple_of(512))
}

/// `EVENTFOLD_SECONDS=60 cargo test --release -p eventfold-es-tests sixty_four` writes for a minute.
#[tokio::test(flavor = "multi_thread")]
async fn backups_taken_while_sixty_four_clients_write_restore_to_any_position_of_the_store() {
    let (dir, backup) = (temp_dir(), temp_dir());
    let clock = clock();
    let store = scripted(dir.path(), &clock, OnFailure::Stop)
        .live()
        .open()
        .await
        .unwrap();
    let written = store.clone();
    let clients = Clients::start(64, move |client, number| {
        let store = written.clone();
        async move {
            if tells(number) {
                tell(&store, &format!("send g-{} {number}", number % 5)).await;
            } else {
                let ledger = store.get::<Ledger>(&format!("l-{client}")).await.unwrap();
                ledger.send(Do::AddAll(vec![number; 3])).await.unwrap();
            }
        }
    });
    let moments = backup.path().join("backup/process_managers/scripted");
    let (start, mut taken) = (Instant::now(), Vec::new());
    // A busy machine may need longer until the process manager has saved something.
    while start.elapsed() < how_long() || taken.len() < 2 || !moments.exists() {
        let before = store.head();
        let report = store.backup(backup.path()).await.unwrap();
        assert!(report.position >= before, "{report:?} after {before}");
        taken.push(report.position);
    }
    clients.end().await;
    run(&store).await;
    store.shutdown().await.unwrap();
    drop(store);

    check(backup.path()).await;
    let newest = number(*taken.last().unwrap());
    let mut random = random(newest);
    let others = std::iter::repeat_with(|| random() % newest);
    let positions = std::iter::once(newest).chain(others.take(9));
    let (mut kept, mut without) = (0, 0);
    for (turn, position) in positions.enumerate() {
        // From here on no checkpoint of the process manager is kept.
        if turn == 5 {
            for moment in files_below(&moments) {
                std::fs::remove_file(moment).unwrap();
            }
        }
        let restored = fast_temp_dir();
        let restore = AggregateStore::restore(backup.path(), restored.path());
        let report = restore
            .to(at(position))
            .without_checkpoint(WithoutCheckpoint::ReactAgain)
            .await
            .unwrap();
        let rounded = number(report.position);
        assert!(rounded <= position && rounded + 3 > position);
        let position = rounded;
        let told = numbers_told_in_a_prefix(restored.path(), dir.path(), position);
        check(restored.path()).await;
        match report.process_managers[..] {
            [(_, eventfold_es::Continuation::Checkpoint(from))] => {
                assert!(number(from) <= position);
                kept += 1;
            }
            _ => without += 1,
        }
        // Each command of the process manager takes effect once.
        let store = open_on_demand(restored.path(), &clock).await;
        run(&store).await;
        let mut all = Vec::new();
        for gate in 0..5 {
            all.extend(passed(&store, &format!("g-{gate}")).await);
        }
        assert_eq!(all.len(), told.len(), "at {position}");
        assert_eq!(all.into_iter().collect::<BTreeSet<_>>(), told);
        store.shutdown().await.unwrap();
        drop(store);
        check(restored.path()).await;
    }
    println!(
        "{} backups, {kept} with a checkpoint, {without} without",
        taken.len()
    );
    assert!(kept > 0 && without >= 5);
}

/// The numbers that a commit tells the process manager to let pass.
fn told(commit: &Value) -> Vec<u64> {
    let events = commit["events"].as_array().unwrap().iter();
    events
        .filter_map(|event| {
            let text = event["data"]["text"].as_str()?;
            text.rsplit(' ').next()?.parse().ok()
        })
        .collect()
}

/// The numbers that the commits of `copy` tell the process manager to let pass. They must be the
/// first commits of `source`, byte for byte, and end at `position`.
fn numbers_told_in_a_prefix(copy: &Path, source: &Path, position: u64) -> BTreeSet<u64> {
    #[derive(serde::Deserialize)]
    struct Placed {
        pos: u64,
        count: u64,
    }

    let mut source = LinesOfCommits::of(source);
    let (mut end, mut told) = (0, BTreeSet::new());
    for line in LinesOfCommits::of(copy) {
        assert!(source.next().as_ref() == Some(&line), "after {end}");
        let placed: Placed = serde_json::from_slice(&line).unwrap();
        assert_eq!(placed.pos, end + 1);
        end += placed.count;
        let text = std::str::from_utf8(&line).unwrap();
        for send in text.split(r#""text":"send g-"#).skip(1) {
            let number = send[2..].split('"').next().unwrap();
            assert!(told.insert(number.parse().unwrap()), "{number} twice");
        }
    }
    assert_eq!(end, position);
    told
}

/// The lines of a journal's commits, read one by one: a journal of a minute is too big for memory.
struct LinesOfCommits {
    segments: std::vec::IntoIter<std::path::PathBuf>,
    lines: Option<Box<dyn io::BufRead>>,
}

impl LinesOfCommits {
    fn of(base: &Path) -> Self {
        Self {
            segments: segments(base).into_iter(),
            lines: None,
        }
    }
}

impl Iterator for LinesOfCommits {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let mut line = Vec::new();
        loop {
            if let Some(lines) = &mut self.lines
                && lines.fill_buf().unwrap().first().is_some_and(|b| *b != 0)
            {
                lines.read_until(b'\n', &mut line).unwrap();
                return Some(line);
            }
            let path = self.segments.next()?;
            let mut lines: Box<dyn io::BufRead> = match File::open(&path) {
                // It was compressed meanwhile.
                Err(_) => decoded(&path.with_extension("jsonl.zst")),
                Ok(_) if path.extension().is_some_and(|last| last == "zst") => decoded(&path),
                Ok(file) => Box::new(BufReader::new(file)),
            };
            let mut header = String::new();
            lines.read_line(&mut header).unwrap();
            assert!(header.contains(r#""journal""#), "{header}");
            self.lines = Some(lines);
        }
    }
}

/// The lines of a compressed segment.
fn decoded(path: &Path) -> Box<dyn io::BufRead> {
    let decoder = zstd::stream::read::Decoder::new(File::open(path).unwrap());
    Box::new(BufReader::new(decoder.unwrap()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_backup_copies_only_the_segments_that_are_new() {
    let (dir, backup) = (temp_dir(), temp_dir());
    let store = open(&dir).await;
    fill(&store, "a", 2048).await;
    let first = store.backup(backup.path()).await.unwrap();
    let sealed = segments(backup.path());
    assert!(sealed.len() > 2 && first.segments == sealed.len() as u64);
    let identity = |path: &Path| {
        let found = std::fs::metadata(path).unwrap();
        (found.modified().unwrap(), found.len())
    };
    let sealed = &sealed[..sealed.len() - 1];
    let before: Vec<_> = sealed.iter().map(|path| identity(path)).collect();

    let same = store.backup(backup.path()).await.unwrap();
    assert_eq!(
        (same.position, same.segments, same.bytes),
        (first.position, 0, 0)
    );
    add(&store, "a", [1]).await;
    let second = store.backup(backup.path()).await.unwrap();
    assert_eq!(second.segments, 1, "{second:?}");
    fill(&store, "a", 4096).await;
    let third = store.backup(backup.path()).await.unwrap();
    let now = segments(backup.path()).len();
    assert_eq!(third.segments, (now - sealed.len()) as u64);
    let after: Vec<_> = sealed.iter().map(|path| identity(path)).collect();
    assert_eq!(before, after);
    store.shutdown().await.unwrap();
    drop(store);
    let restored = restore(backup.path(), number(third.position)).await;
    assert_eq!(
        commits(restored.path(), u64::MAX),
        commits(dir.path(), u64::MAX)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn opening_a_backup_makes_a_store_with_all_events_and_known_keys() {
    let (dir, backup) = (temp_dir(), temp_dir());
    let store = open(&dir).await;
    add(&store, "a", [1, 2, 3]).await;
    let context = || CommandContext::default().with_idempotency_key("k-1");
    let ledger = store.get::<Ledger>("a").await.unwrap();
    ledger.send_with(Do::Add(4), context()).await.unwrap();
    store.backup(backup.path()).await.unwrap();
    store.shutdown().await.unwrap();
    drop((store, ledger));

    let store = open(&backup).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    assert_eq!(ledger.state().await.unwrap(), Ledger::of([1, 2, 3, 4]));
    ledger.send_with(Do::Add(4), context()).await.unwrap();
    assert_eq!(ledger.state().await.unwrap().count, 4);
    add(&store, "b", [5]).await;
    store.shutdown().await.unwrap();
    drop((store, ledger));
    check(backup.path()).await;
    assert!(!backup.path().join("backup").exists());
    assert_eq!(
        commits(backup.path(), 4),
        commits(dir.path(), 4),
        "the events are the same ones"
    );
    let store = open(&backup).await;
    assert_eq!(number(store.head()), 5);
    store.shutdown().await.unwrap();
}

/// Appends lines as another program does.
fn append(stream: &Path, text: &str) {
    std::fs::create_dir_all(stream).unwrap();
    let path = stream.join("app.jsonl");
    let mut there = std::fs::read_to_string(&path).unwrap_or_default();
    there.push_str(text);
    std::fs::write(path, there).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_has_the_events_that_0_2_0_and_other_programs_wrote_under_their_names() {
    let (dir, backup) = (temp_dir(), temp_dir());
    let streams = dir.path().join("streams/ledger");
    let event = r#"{"type":"Added","data":{"amount":7},"ts":1700000000}"#;
    append(&streams.join("old"), &format!("\n\n{event}\n\n{event}\n"));
    append(&streams.join("a:b"), &format!("{event} \r\n{event}\n\n"));
    let store = open(&dir).await;
    add(&store, "old", [1]).await;
    add(&store, "a:b", [2]).await;
    store.shutdown().await.unwrap();
    drop(store);
    append(&streams.join("old"), &format!("\n{event}\n"));
    let repaired = AggregateStore::repair(dir.path()).await.unwrap();
    assert!(repaired.is_success(), "{repaired}");
    let store = open(&dir).await;
    add(&store, "old", [3]).await;
    let report = store.backup(backup.path()).await.unwrap();
    let old = store.read_events("ledger", "old").await.unwrap();
    let raw = store.read_events("ledger", "a:b").await.unwrap();
    store.shutdown().await.unwrap();
    drop(store);

    for position in 0..=number(report.position) {
        let restored = restore(backup.path(), position).await;
        let store = open(&restored).await;
        assert_eq!(number(store.head()), position);
        for (id, truth) in [("old", &old), ("a:b", &raw)] {
            match store.read_events("ledger", id).await {
                Ok(events) => assert_eq!(events, truth[..events.len()], "{id} at {position}"),
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::NotFound, "{error}"),
            }
        }
        add(&store, "a:b", [9]).await;
        store.shutdown().await.unwrap();
        drop(store);
        check(restored.path()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_position_within_a_commit_is_rounded_down_and_a_time_takes_the_commits_up_to_it() {
    let (dir, backup) = (temp_dir(), temp_dir());
    let clock = clock();
    let store = open_on_demand(dir.path(), &clock).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    for amount in 1..=3 {
        ledger.send(Do::AddAll(vec![amount; 3])).await.unwrap();
        clock.advance(seconds(10));
    }
    store.backup(backup.path()).await.unwrap();
    let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
    for (point, expected) in [(0, 0), (2, 0), (3, 3), (5, 3), (6, 6), (8, 6), (9, 9)] {
        let to = temp_dir();
        let restore = AggregateStore::restore(backup.path(), to.path());
        let report = restore.to(at(point)).await.unwrap();
        assert_eq!(number(report.position), expected, "{point}");
        check(to.path()).await;
    }
    for (after, expected) in [(0, 3), (9, 3), (10, 6), (19, 6), (20, 9), (100, 9)] {
        let to = temp_dir();
        let restore = AggregateStore::restore(backup.path(), to.path());
        let report = restore.to(start + seconds(after)).await.unwrap();
        assert_eq!(number(report.position), expected, "after {after} s");
    }
    let to = temp_dir();
    let before = AggregateStore::restore(backup.path(), to.path());
    let report = before.to(SystemTime::UNIX_EPOCH).await.unwrap();
    assert_eq!(number(report.position), 0);
    for late in [
        AggregateStore::restore(backup.path(), temp_dir().path()).to(at(10)),
        AggregateStore::restore(backup.path(), temp_dir().path())
            .to(SystemTime::now() + seconds(3600)),
    ] {
        let error = late.await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert!(error.to_string().contains("before"), "{error}");
    }
    store.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_a_closed_directory_has_everything_and_changes_nothing_in_it() {
    let (dir, backup) = (temp_dir(), temp_dir());
    let store = AggregateStore::builder(dir.path())
        .projection::<Total>()
        .snapshot_every(2)
        .open()
        .await
        .unwrap();
    add(&store, "a", 1..10).await;
    store.projection::<Total>().unwrap();
    store.shutdown().await.unwrap();
    drop(store);
    let before = content(dir.path());
    let report = AggregateStore::backup_of(dir.path(), backup.path())
        .await
        .unwrap();
    assert_eq!(number(report.position), 9);
    assert_eq!(content(dir.path()), before);
    let restored = restore(backup.path(), 9).await;
    assert_eq!(content(dir.path()), before);
    let store = AggregateStore::builder(restored.path())
        .projection::<Total>()
        .open()
        .await
        .unwrap();
    assert_eq!(
        store
            .get::<Ledger>("a")
            .await
            .unwrap()
            .state()
            .await
            .unwrap(),
        Ledger::of(1..10)
    );
    store.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_a_killed_directory_has_every_answered_event() {
    let (dir, backup) = (temp_dir(), temp_dir());
    let store = open(&dir).await;
    add(&store, "a", 1..10).await;
    let killed = crate::support::copy(dir.path());
    let report = AggregateStore::backup_of(killed.path(), backup.path())
        .await
        .unwrap();
    assert_eq!(number(report.position), 9);
    store.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_a_directory_that_a_store_writes_has_what_is_known_to_be_durable() {
    let (dir, backup) = (temp_dir(), temp_dir());
    let store = open(&dir).await;
    let stop = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn({
        let (store, stop) = (store.clone(), stop.clone());
        async move {
            let mut number = 0;
            while !stop.load(Ordering::Relaxed) {
                number += 1;
                add(&store, &format!("l-{}", number % 7), [number]).await;
            }
        }
    });
    let mut last = Position::default();
    for _ in 0..20 {
        let report = AggregateStore::backup_of(dir.path(), backup.path())
            .await
            .unwrap();
        assert!(report.position >= last && report.position <= store.head());
        last = report.position;
    }
    stop.store(true, Ordering::Relaxed);
    writer.await.unwrap();
    // At rest the streams' files prove the last commit.
    let _ = store.layout();
    let report = AggregateStore::backup_of(dir.path(), backup.path())
        .await
        .unwrap();
    assert_eq!(report.position, store.head());
    store.shutdown().await.unwrap();
    drop(store);
    let restored = restore(backup.path(), number(report.position)).await;
    assert_eq!(
        commits(restored.path(), u64::MAX),
        commits(dir.path(), u64::MAX)
    );
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn linked_segments_are_shared_with_the_store_and_not_changed_by_what_becomes_of_the_backup() {
    use std::os::unix::fs::MetadataExt as _;

    let dir = temp_dir();
    let (base, backup) = (dir.path().join("store"), dir.path().join("backup"));
    let store = AggregateStore::open(&base).await.unwrap();
    fill(&store, "a", 2048).await;
    let first = store.backup(&backup).hard_links().await.unwrap();
    fill(&store, "a", 2048).await;
    let inode = |path: &Path| std::fs::metadata(path).unwrap().ino();
    let sealed = segments(&backup).len() - 1;
    for (ours, theirs) in segments(&base).iter().zip(segments(&backup)).take(sealed) {
        assert_eq!(inode(ours), inode(&theirs));
    }
    // An interrupted backup: its later segments are there, and do not count.
    let manifest = backup.join("backup/manifest.json");
    let old = std::fs::read(&manifest).unwrap();
    store.backup(&backup).hard_links().await.unwrap();
    std::fs::write(&manifest, old).unwrap();
    store.shutdown().await.unwrap();
    drop(store);
    let before = content(&base);
    let store = AggregateStore::open(&backup).await.unwrap();
    assert_eq!(store.head(), first.position);
    add(&store, "a", 1..50).await;
    store.shutdown().await.unwrap();
    drop(store);
    check(&backup).await;
    assert!(content(&base) == before);
    check(&base).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_is_told_up_to_the_end_and_the_rate_is_kept() {
    let (dir, backup) = (temp_dir(), temp_dir());
    let store = open(&dir).await;
    fill(&store, "a", 2048).await;
    let told = Arc::new(std::sync::Mutex::new(Vec::new()));
    let start = Instant::now();
    let report = store
        .backup(backup.path())
        .bytes_per_second(8 * 1024 * 1024)
        .on_progress({
            let told = told.clone();
            move |done, total| told.lock().unwrap().push((done, total))
        })
        .await
        .unwrap();
    let least = Duration::from_millis(report.bytes * 990 / (8 * 1024 * 1024));
    assert!(start.elapsed() >= least);
    let told = told.lock().unwrap().clone();
    assert!(told.is_sorted(), "{told:?}");
    assert_eq!(told.last(), Some(&(report.bytes, report.bytes)));
    store.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_nobody_waits_for_any_more_ends_and_is_taken_up_later() {
    let (dir, backup) = (temp_dir(), temp_dir());
    let store = open(&dir).await;
    fill(&store, "a", 1024).await;
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    let mut begun = Some(begun);
    let slow = store
        .backup(backup.path())
        .bytes_per_second(1)
        .on_progress(move |_, _| {
            let _ = begun.take().map(|begun| begun.send(()));
        });
    let slow = tokio::spawn(slow.into_future());
    has_begun.await.unwrap();
    slow.abort();
    let report = loop {
        match store.backup(backup.path()).await {
            // The other one still holds the directory.
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                tokio::task::yield_now().await;
            }
            taken => break taken.unwrap(),
        }
    };
    assert_eq!(report.position, store.head());
    restore(backup.path(), number(report.position)).await;
    store.shutdown().await.unwrap();
}

/// A copy of a directory.
fn moved(from: &Path) -> TempDir {
    let to = temp_dir();
    copy_into(from, to.path());
    to
}
