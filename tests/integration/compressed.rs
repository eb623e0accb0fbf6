//! Stores whose journal is compressed, through everything that reads it.

use std::collections::BTreeMap;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use eventfold_es::__private::example::{Add, Counter, Total};
use eventfold_es::inspect::StoreReader;
use eventfold_es::{
    AggregateStore, AggregateStoreBuilder, NewEvent, Position, Query, QueryItem, RecordedEvent,
    Severity,
};

use crate::support::files::{edit, files_below, journal, segments};
use crate::support::{
    Ledger, LedgerCommand as Do, child, eventually, fast_temp_dir, in_time, random,
};

/// How many rounds fill three segments and begin a fourth.
const ROUNDS: u64 = 260;
const BATCHES: u64 = 7;

fn at(number: u64) -> Position {
    number.to_string().parse().unwrap()
}

fn number(position: Position) -> u64 {
    position.to_string().parse().unwrap()
}

/// A store that compresses only what it is told to.
fn builder(dir: &Path) -> AggregateStoreBuilder {
    let builder = AggregateStore::builder(dir).compress_journal(false);
    builder.projection::<Total>()
}

fn tagged(batch: u64) -> Query {
    let tag = format!("batch:{batch}").parse().unwrap();
    Query::of_items([QueryItem::tagged(tag)]).unwrap()
}

/// A round: a large event with a tag, one of a ledger, and one of a counter, whose file proves to whoever
/// follows that all of it is durable.
async fn add(store: &AggregateStore, round: u64) {
    let text = format!("{round} ").repeat(2_000);
    let event = NewEvent::new("Noted", &text).unwrap();
    let tag = format!("batch:{}", round % BATCHES).parse().unwrap();
    store.append([event.with_tag(tag)], None).await.unwrap();
    let id = format!("l-{}", round % 5);
    let ledger = store.get::<Ledger>(&id).await.unwrap();
    ledger.send(Do::Add(round)).await.unwrap();
    let counter = store.get::<Counter>("c").await.unwrap();
    counter.send(Add(1)).await.unwrap();
}

async fn fill(store: &AggregateStore, rounds: std::ops::Range<u64>) {
    for round in rounds {
        add(store, round).await;
    }
}

/// A store in `dir` that was closed, with sealed segments that are not compressed.
async fn make(dir: &Path) {
    let store = builder(dir).open().await.unwrap();
    fill(&store, 0..ROUNDS).await;
    store.shutdown().await.unwrap();
    assert!(segments(dir).len() > 3);
    assert!(compressed(dir).is_empty());
}

fn compressed(dir: &Path) -> Vec<PathBuf> {
    let mut paths = segments(dir);
    paths.retain(|path| path.extension().is_some_and(|ext| ext == "zst"));
    paths
}

/// Compresses what was sealed before.
async fn compress(dir: &Path) {
    let store = builder(dir).open().await.unwrap();
    let done = store.compress().await.unwrap();
    assert!(done > 2);
    store.shutdown().await.unwrap();
    assert_eq!(compressed(dir).len() as u64, done);
    assert_eq!(segments(dir).len() as u64, done + 1);
}

/// The position, the name and the payload of an event.
type Told = (u64, String, String);

fn told(event: &RecordedEvent) -> Told {
    let (name, data) = (event.name().to_owned(), event.data().to_owned());
    (number(event.position()), name, data)
}

/// Everything that can be read of a store.
#[derive(Debug, PartialEq)]
struct All {
    recent: Vec<Told>,
    subscribed: Vec<Told>,
    by_tag: Vec<Vec<Told>>,
    states: Vec<(Ledger, Ledger)>,
    total: (u64, u64),
    exported: Vec<u8>,
}

async fn everything(store: &AggregateStore) -> All {
    let head = store.head();
    let mut subscribed = Vec::new();
    let mut events = store.subscribe(Position::default());
    while subscribed.len() as u64 != number(head) {
        let event = in_time("the next event", events.next()).await;
        subscribed.push(told(&event.unwrap().unwrap()));
    }
    let mut by_tag = Vec::new();
    for batch in 0..BATCHES {
        let found = store.query(tagged(batch)).read().await.unwrap();
        by_tag.push(found.events.iter().map(told).collect());
        let found = store.query(tagged(batch)).backwards().read().await.unwrap();
        by_tag.push(found.events.iter().rev().map(told).collect());
    }
    let mut states = Vec::new();
    for id in 0..5 {
        let ledger = store.get::<Ledger>(&format!("l-{id}")).await.unwrap();
        let past = ledger.at(at(number(head) / 2)).await.unwrap();
        states.push((ledger.state().await.unwrap(), past.state));
    }
    let past = store.read_at::<Total>(at(number(head) / 3)).await;
    store.rebuild_projection::<Total>().unwrap();
    let total = store.projection::<Total>().unwrap().value;
    let (exported, _) = store.export().write_to(Vec::new()).await.unwrap();
    let recent = store.recent(usize::MAX).await.unwrap();
    All {
        recent: recent.iter().map(told).collect(),
        subscribed,
        by_tag,
        states,
        total: (total, past.unwrap().state.value),
        exported,
    }
}

/// What a reader beside the store sees.
fn beside(reader: &StoreReader) -> Vec<(u64, String)> {
    let mut events = Vec::new();
    let read = reader.read(Position::default(), |entry| {
        let event = entry.event();
        let position = number(event.record().position());
        events.push((position, event.data().to_owned()));
        ControlFlow::Continue(())
    });
    read.unwrap();
    let mut backwards = Vec::new();
    let read = reader.read_backwards(None, |entry| {
        backwards.push(number(entry.event().record().position()));
        ControlFlow::Continue(())
    });
    read.unwrap();
    backwards.reverse();
    assert!(
        backwards
            .iter()
            .eq(events.iter().map(|(position, _)| position))
    );
    events
}

async fn is_clean(dir: &Path) {
    let report = AggregateStore::verify(dir).await.unwrap();
    assert!(report.findings.is_empty(), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_is_read_is_the_same_when_the_journal_is_compressed() {
    let dir = fast_temp_dir();
    make(dir.path()).await;
    let store = builder(dir.path()).open().await.unwrap();
    let before = everything(&store).await;
    store.shutdown().await.unwrap();
    let shown = beside(&StoreReader::open(dir.path()).unwrap());

    compress(dir.path()).await;
    is_clean(dir.path()).await;
    let store = builder(dir.path()).open().await.unwrap();
    assert!(everything(&store).await == before);
    store.shutdown().await.unwrap();
    assert!(beside(&StoreReader::open(dir.path()).unwrap()) == shown);

    // The index of tags is made again, and everything is replayed.
    std::fs::remove_dir_all(dir.path().join("tags")).unwrap();
    std::fs::remove_dir_all(dir.path().join("streams")).unwrap();
    std::fs::remove_file(dir.path().join("journal/checkpoint.json")).unwrap();
    let store = builder(dir.path()).open().await.unwrap();
    assert!(everything(&store).await == before);
    fill(&store, ROUNDS..ROUNDS + 3).await;
    store.shutdown().await.unwrap();
    is_clean(dir.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compressed_journal_takes_a_fraction_of_the_space() {
    let dir = fast_temp_dir();
    let store = builder(dir.path()).open().await.unwrap();
    let counter = store.get::<Counter>("c").await.unwrap();
    for _ in 0..3_000 {
        counter.send(Add(1)).await.unwrap();
    }
    store.shutdown().await.unwrap();
    let size = || std::fs::metadata(&segments(dir.path())[0]).unwrap().len();
    let before = size();
    let store = builder(dir.path()).open().await.unwrap();
    assert!(store.compress().await.unwrap() > 0);
    store.shutdown().await.unwrap();
    assert!(size() < before / 5, "{} of {before}", size());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_compresses_its_sealed_segments_in_the_background_unless_it_is_told_not_to() {
    let dir = fast_temp_dir();
    make(dir.path()).await;
    let sealed = segments(dir.path()).len() - 1;
    let store = builder(dir.path()).open().await.unwrap();
    add(&store, 0).await;
    store.shutdown().await.unwrap();
    assert!(compressed(dir.path()).is_empty());

    let store = AggregateStore::open(dir.path()).await.unwrap();
    eventually("they are compressed", || {
        compressed(dir.path()).len() == sealed
    })
    .await;
    store.shutdown().await.unwrap();
    is_clean(dir.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_and_readers_beside_the_store_go_on_while_it_compresses() {
    let dir = fast_temp_dir();
    make(dir.path()).await;
    let store = builder(dir.path()).open().await.unwrap();
    let head = number(store.head());
    let mut subscription = store.subscribe(Position::default());
    let mut reader = StoreReader::open(dir.path()).unwrap();
    for position in 1..=10 {
        let event = subscription.next().await.unwrap().unwrap();
        assert_eq!(number(event.position()), position);
    }
    let before = beside(&reader);
    assert!(store.compress().await.unwrap() > 2);
    for position in 11..=head {
        let event = subscription.next().await.unwrap().unwrap();
        assert_eq!(number(event.position()), position);
    }
    assert!(beside(&reader) == before);
    fill(&store, 0..3).await;
    reader.refresh().unwrap();
    let after = beside(&reader);
    assert!(after.starts_with(&before) && after.len() as u64 >= head);
    assert!(beside(&StoreReader::open(dir.path()).unwrap()).starts_with(&after));
    store.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_was_in_a_segment_finds_the_end_of_it_after_it_was_compressed() {
    let dir = fast_temp_dir();
    let store = builder(dir.path()).open().await.unwrap();
    fill(&store, 0..3).await;
    let mut reader = StoreReader::open(dir.path()).unwrap();
    assert_eq!(number(reader.head()), 9);
    fill(&store, 3..ROUNDS).await;
    store.shutdown().await.unwrap();
    drop(store);
    compress(dir.path()).await;
    // The newest commit is shown at the second look, if no other came meanwhile.
    reader.refresh().unwrap();
    reader.refresh().unwrap();
    assert_eq!(number(reader.head()), ROUNDS * 3);
    assert_eq!(beside(&reader).len() as u64, ROUNDS * 3);
}

type Change = fn(&mut Vec<u8>);

#[tokio::test(flavor = "multi_thread")]
async fn damage_in_each_part_of_a_compressed_segment_is_told_with_file_block_and_place() {
    let dir = fast_temp_dir();
    make(dir.path()).await;
    compress(dir.path()).await;
    let damaged = &compressed(dir.path())[1];
    let whole = std::fs::read(damaged).unwrap();
    let name = damaged.file_name().unwrap().to_str().unwrap();
    let first: u64 = name[..20].parse().unwrap();
    let changes: [(&str, Change, &str); 5] = [
        ("a block", |bytes| bytes[30] ^= 1, "block 0 "),
        (
            "a later block",
            |b| {
                let at = b.len() * 2 / 3;
                b[at] ^= 1;
            },
            "block ",
        ),
        (
            "the table",
            |b| {
                let at = b.len() - 30;
                b[at] ^= 1;
            },
            "the table",
        ),
        (
            "the note",
            |b| {
                let at = b.windows(9).position(|w| w == b"\"length\":").unwrap();
                b[at + 9] ^= 1;
            },
            "the note",
        ),
        ("its end", |b| b.truncate(b.len() / 2), "the table"),
    ];
    for (what, change, told) in changes {
        edit(damaged, change);
        let report = AggregateStore::verify(dir.path()).await.unwrap();
        let finding = report
            .findings
            .iter()
            .find(|finding| finding.file.ends_with(name));
        let finding = finding.unwrap_or_else(|| panic!("{what}: {report}"));
        assert_eq!(finding.severity, Severity::Lost, "{what}");
        assert!(finding.message.contains(told), "{what}: {finding}");
        assert!(finding.offset.is_some(), "{what}: {finding}");
        let repaired = AggregateStore::repair(dir.path()).await.unwrap();
        assert!(!repaired.is_success(), "{what}: {repaired}");

        // What is before it is still read.
        let reader = StoreReader::open(dir.path());
        if let Ok(reader) = &reader {
            let mut read = 0;
            let error = reader.read(Position::default(), |entry| {
                read = number(entry.event().record().position());
                ControlFlow::Continue(())
            });
            let error = error.unwrap_err();
            assert!(error.to_string().contains(name), "{what}: {error}");
            assert!(read >= first - 1, "{what}: {read}");
        } else {
            // Its end is looked at when the directory is opened.
            let error = reader.map(drop).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{what}: {error}");
            assert!(error.to_string().contains(name), "{what}: {error}");
        }
        std::fs::write(damaged, &whole).unwrap();
    }
    is_clean(dir.path()).await;
}

fn forms(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = segments(dir).into_iter();
    files
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, std::fs::read(path).unwrap())
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_has_compressed_segments_as_they_are_and_is_restored_to_any_position() {
    let dir = fast_temp_dir();
    make(dir.path()).await;
    compress(dir.path()).await;
    let store = builder(dir.path()).open().await.unwrap();
    for links in [false, true] {
        let backup = fast_temp_dir();
        let report = store.backup(backup.path()).bytes_per_second(u64::MAX);
        let report = if links { report.hard_links() } else { report };
        let report = report.await.unwrap();
        let (ours, theirs) = (forms(dir.path()), forms(backup.path()));
        assert!(ours.keys().eq(theirs.keys()));
        for (name, bytes) in &theirs {
            if Path::new(name)
                .extension()
                .is_some_and(|last| last == "zst")
            {
                assert!(bytes == &ours[name]);
            }
        }
        assert_eq!(report.segments, ours.len() as u64);
        assert_eq!(report.position, store.head());
        is_clean(backup.path()).await;
        let lines = journal(dir.path());
        for line in lines.iter().step_by(101).chain(lines.last()) {
            let restored = fast_temp_dir();
            let position = at(line.number("pos"));
            let restore = AggregateStore::restore(backup.path(), restored.path());
            let report = restore.to(position).await.unwrap();
            assert_eq!(report.position, position);
            is_clean(restored.path()).await;
            let opened = AggregateStore::open(restored.path()).await.unwrap();
            assert_eq!(opened.head(), position);
            opened.compress().await.unwrap();
            add(&opened, 1).await;
            opened.shutdown().await.unwrap();
            is_clean(restored.path()).await;
        }
    }
    store.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_segment_that_is_compressed_between_two_backups_is_copied_once() {
    let (dir, backup) = (fast_temp_dir(), fast_temp_dir());
    make(dir.path()).await;
    let store = builder(dir.path()).open().await.unwrap();
    let first = store.backup(backup.path()).bytes_per_second(u64::MAX);
    assert_eq!(
        first.await.unwrap().segments,
        segments(dir.path()).len() as u64
    );
    assert!(store.compress().await.unwrap() > 2);
    let again = store.backup(backup.path()).await.unwrap();
    assert_eq!(again.segments, 0);
    fill(&store, ROUNDS..2 * ROUNDS).await;
    store.shutdown().await.unwrap();
    drop(store);
    let store = builder(dir.path()).open().await.unwrap();
    store.compress().await.unwrap();
    // The last segment of the earlier backup had only a part of what it has now.
    let known = segments(backup.path()).len() as u64;
    let later = store.backup(backup.path()).bytes_per_second(u64::MAX);
    let later = later.await.unwrap();
    assert_eq!(
        later.segments,
        segments(dir.path()).len() as u64 - known + 1
    );
    assert_eq!(segments(backup.path()).len(), segments(dir.path()).len());
    is_clean(backup.path()).await;
    store.shutdown().await.unwrap();

    let promoted = builder(backup.path()).open().await.unwrap();
    assert_eq!(number(promoted.head()), 2 * ROUNDS * 3);
    promoted.compress().await.unwrap();
    promoted.shutdown().await.unwrap();
    is_clean(backup.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_follows_goes_on_while_the_store_compresses() {
    let (dir, copy) = (fast_temp_dir(), fast_temp_dir());
    make(dir.path()).await;
    let store = builder(dir.path()).open().await.unwrap();
    let mut follow = AggregateStore::follow(dir.path(), copy.path())
        .await
        .unwrap();
    store.compress().await.unwrap();
    for round in 0..3 {
        let rounds = ROUNDS * (round + 1)..ROUNDS * (round + 2);
        fill(&store, rounds).await;
        store.compress().await.unwrap();
        while follow.followed().position < store.head() {
            let _ = store.layout();
            follow.next().await.unwrap();
        }
    }
    drop(follow);
    is_clean(copy.path()).await;
    // It begins again, behind what is compressed meanwhile.
    store.shutdown().await.unwrap();
    drop(store);
    let store = builder(dir.path()).open().await.unwrap();
    store.compress().await.unwrap();
    add(&store, 0).await;
    let mut follow = AggregateStore::follow(dir.path(), copy.path())
        .await
        .unwrap();
    while follow.followed().position < store.head() {
        let _ = store.layout();
        follow.next().await.unwrap();
    }
    drop(follow);
    let json =
        |base: &Path| -> Vec<_> { journal(base).into_iter().map(|line| line.json).collect() };
    assert!(json(copy.path()) == json(dir.path()));
    store.shutdown().await.unwrap();
    is_clean(copy.path()).await;
    let promoted = AggregateStore::open(copy.path()).await.unwrap();
    assert_eq!(promoted.head(), store.head());
    promoted.shutdown().await.unwrap();
    is_clean(copy.path()).await;
}

/// Compresses the store in `dir`, and goes on storing.
pub(crate) async fn compress_until_killed(dir: &Path) {
    let store = builder(dir).open().await.unwrap();
    child::say("open");
    loop {
        child::say(format!("compressed {}", store.compress().await.unwrap()));
        fill(&store, 0..1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_while_a_store_compresses_lose_nothing() {
    let made = fast_temp_dir();
    make(made.path()).await;
    let plain = journal(made.path());
    let mut random = random(5);
    let mut begun = 0;
    for round in 0..30 {
        let dir = crate::support::copy(made.path());
        let mut worker = child::start("compress until killed", dir.path());
        assert_eq!(worker.hear().as_deref(), Some("open"));
        // It takes some milliseconds.
        let pause = random() % 40_000;
        let start = std::time::Instant::now();
        while start.elapsed().as_micros() < u128::from(pause) {
            std::hint::spin_loop();
        }
        worker.kill();
        let is_temporary = |path: &PathBuf| path.extension().is_some_and(|ext| ext == "tmp");
        let files = files_below(&dir.path().join("journal"));
        let has_begun = |path: &PathBuf| path.to_string_lossy().contains(".zst");
        begun += u64::from(files.iter().any(has_begun));
        let store = builder(dir.path()).open().await.unwrap();
        store.compress().await.unwrap();
        store.shutdown().await.unwrap();
        is_clean(dir.path()).await;
        let lines = journal(dir.path());
        assert!(lines.len() >= plain.len());
        for (line, plain) in lines.iter().zip(&plain) {
            assert_eq!(line.json, plain.json, "round {round}");
        }
        let files = files_below(&dir.path().join("journal"));
        let compressing = |path: &PathBuf| is_temporary(path) && has_begun(path);
        assert!(!files.iter().any(compressing), "{files:?}");
    }
    assert!(begun > 3, "only {begun} were killed after it began");
}
