//! Looking into a directory without opening its store: beside the process that writes it, after a crash,
//! closed, damaged.

use std::collections::BTreeMap;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use eventfold_es::inspect::{Entry, StoreReader};
use eventfold_es::{AggregateStore, Position, StreamId};

use crate::support::files::segments;
use crate::support::{
    LedgerCommand as Do, builder, child, copy, fast_temp_dir, journal, open, stream_file, temp_dir,
    verify,
};

/// An event as a reader shows it: position, type, id, version, event id, payload.
type Shown = (u64, String, String, u64, String, String);

fn position(number: u64) -> Position {
    number.to_string().parse().unwrap()
}

fn number(position: Position) -> u64 {
    position.to_string().parse().unwrap()
}

fn event(entry: &Entry<'_>) -> Shown {
    let (event, record) = (entry.event(), entry.event().record());
    (
        number(record.position()),
        record.aggregate_type().to_owned(),
        record.id().to_owned(),
        record.version().into(),
        record.event_id().unwrap_or_default().to_owned(),
        event.data().to_owned(),
    )
}

fn shown(reader: &StoreReader) -> Vec<Shown> {
    let mut events = Vec::new();
    let read = reader.read(Position::default(), |entry| {
        events.push(event(&entry));
        ControlFlow::Continue(())
    });
    read.unwrap();
    events
}

/// The events of one ledger.
fn of_stream(reader: &StoreReader, id: &str) -> Vec<Shown> {
    let mut events = Vec::new();
    let id = StreamId::new("ledger", id).unwrap();
    let read = reader.read_stream(&id, |entry| {
        events.push(event(&entry));
        ControlFlow::Continue(())
    });
    read.unwrap();
    events
}

/// Fails unless the events of each ledger are those that the journal has of it.
fn check_streams(dir: &Path) {
    let reader = StoreReader::open(dir).unwrap();
    let all = shown(&reader);
    for id in ["a", "b", "nobody"] {
        let of_it: Vec<Shown> = all.iter().filter(|event| event.2 == id).cloned().collect();
        assert!(of_stream(&reader, id) == of_it, "the events of {id}");
    }
}

/// Fails unless positions and versions have no gaps and end at the head.
fn check_whole(reader: &StoreReader, events: &[Shown]) {
    let mut versions: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for (event, position) in events.iter().zip(1..) {
        let version = versions.entry((&event.1, &event.2)).or_default();
        *version += 1;
        assert_eq!((event.0, event.3), (position, *version));
    }
    assert_eq!(events.len() as u64, number(reader.head()));
}

/// Each file below `dir` with its content.
fn content(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(content(&path));
        } else {
            files.insert(path.clone(), std::fs::read(&path).unwrap());
        }
    }
    files
}

#[test]
fn a_reader_beside_a_process_shows_whole_commits_that_stay_also_after_the_process_is_killed() {
    let dir = fast_temp_dir();
    let mut writer = child::start("write under load", dir.path());
    while !dir
        .path()
        .join("journal/00000000000000000001.jsonl")
        .exists()
    {
        std::thread::yield_now();
    }
    let mut follower = StoreReader::open(dir.path()).unwrap();
    let mut newest = Vec::new();
    let (mut looks, mut answers) = (0, 0);
    // While some segments come into being.
    while segments(dir.path()).len() < 4 || looks < 20 {
        let reader = StoreReader::open(dir.path()).unwrap();
        let events = shown(&reader);
        check_whole(&reader, &events);
        assert!(
            events.starts_with(&newest),
            "an event has changed or is gone"
        );
        let before = follower.head();
        assert!(follower.refresh().unwrap() >= before);
        newest = events;
        looks += 1;
        // It writes on while it is listened to.
        for _ in 0..200 {
            answers += u64::from(writer.hear().is_some());
        }
    }
    writer.kill();
    while writer.hear().is_some() {
        answers += 1;
    }
    let left = content(dir.path());

    // What the process left is shown as the next one will find it, and is not touched.
    let reader = StoreReader::open(dir.path()).unwrap();
    let events = shown(&reader);
    check_whole(&reader, &events);
    assert!(
        events.starts_with(&newest),
        "the killed process took events along"
    );
    assert!(
        events.len() as u64 >= 3 * answers,
        "an answered command is not shown"
    );
    assert!(!reader.was_closed() && !reader.sync_failed().unwrap());
    follower.refresh().unwrap();
    follower.refresh().unwrap();
    assert_eq!(follower.head(), reader.head());
    assert_eq!(shown(&follower), events);
    assert!(content(dir.path()) == left, "looking has changed a file");

    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = runtime.block_on(open(dir.path()));
    assert_eq!(store.head(), reader.head());
    runtime.block_on(store.shutdown()).unwrap();
    assert_eq!(shown(&StoreReader::open(dir.path()).unwrap()), events);
}

#[tokio::test]
async fn each_answered_command_is_shown_at_once_also_across_segments() {
    let dir = fast_temp_dir();
    let store = open(dir.path()).await;
    let mut follower = StoreReader::open(dir.path()).unwrap();
    assert_eq!(follower.head(), Position::default());
    let ledger = store.get::<crate::support::Ledger>("a").await.unwrap();
    for i in 0..60 {
        let done = ledger.send(Do::Write("x".repeat(i * 700))).await.unwrap();
        assert_eq!(StoreReader::open(dir.path()).unwrap().head(), done.position);
        // Once it is quiet.
        follower.refresh().unwrap();
        assert_eq!(follower.refresh().unwrap(), done.position);
    }
    assert!(segments(dir.path()).len() > 2);
    check_whole(&follower, &shown(&follower));
    store.shutdown().await.unwrap();
    assert_eq!(follower.refresh().unwrap(), store.head());
}

#[tokio::test]
async fn a_closed_directory_is_read_without_a_change_and_backwards_is_forwards_reversed() {
    let dir = temp_dir();
    let store = open(dir.path()).await;
    for id in ["a", "b/é", "c d"] {
        let ledger = store.get::<crate::support::Ledger>(id).await.unwrap();
        ledger.send(Do::AddAll(vec![1, 2, 3])).await.unwrap();
        ledger.send(Do::Add(4)).await.unwrap();
    }
    store.shutdown().await.unwrap();
    let left = content(dir.path());
    let reader = StoreReader::open(dir.path()).unwrap();
    assert!(reader.was_closed());
    let events = shown(&reader);
    check_whole(&reader, &events);
    for before in [None, Some(1), Some(7), Some(12), Some(100)] {
        let mut backwards = Vec::new();
        let read = reader.read_backwards(before.map(position), |entry| {
            backwards.push(number(entry.event().record().position()));
            ControlFlow::Continue(())
        });
        read.unwrap();
        let until = before.unwrap_or(13).min(13);
        assert_eq!(backwards, (1..until).rev().collect::<Vec<_>>());
    }
    let mut after = Vec::new();
    let read = reader.read(position(5), |entry| {
        after.push(number(entry.event().record().position()));
        if after.len() < 3 {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    });
    read.unwrap();
    assert_eq!(after, [6, 7, 8]);
    let found = reader.find_event(&events[5].4).unwrap().unwrap();
    assert_eq!((found.position(), found.id()), (position(6), "b/é"));
    assert!(reader.find_event("nobody's").unwrap().is_none());
    assert!(content(dir.path()) == left, "looking has changed a file");
}

#[tokio::test]
async fn the_summary_of_each_stream_is_that_of_its_file() {
    let dir = temp_dir();
    let store = open(dir.path()).await;
    for (i, id) in ["a", "b", "c"].into_iter().enumerate() {
        let ledger = store.get::<crate::support::Ledger>(id).await.unwrap();
        for amount in 0..=i as u64 * 3 {
            ledger.send(Do::AddAll(vec![amount; 2])).await.unwrap();
        }
    }
    store.shutdown().await.unwrap();
    let streams = StoreReader::open(dir.path()).unwrap().streams().unwrap();
    let names: Vec<&str> = streams.iter().map(|stream| stream.id.as_str()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    for stream in streams {
        let bytes = std::fs::read(stream_file(dir.path(), &stream.id)).unwrap();
        let lines = bytes
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty());
        let lines: Vec<serde_json::Value> = lines
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect();
        let ms = |line: &serde_json::Value| line["ms"].as_u64().unwrap();
        let time = |time: std::time::SystemTime| {
            let since = time.duration_since(std::time::UNIX_EPOCH).unwrap();
            u64::try_from(since.as_millis()).unwrap()
        };
        assert_eq!(stream.events, lines.len() as u64);
        assert_eq!(u64::from(stream.version), lines.len() as u64);
        assert_eq!(stream.bytes, bytes.len() as u64);
        assert_eq!(time(stream.first), ms(&lines[0]));
        assert_eq!(time(stream.last), ms(lines.last().unwrap()));
    }
}

/// A store with two ledgers, some segments and a redo point in the middle.
async fn with_two_ledgers(dir: &Path) -> AggregateStore {
    let store = open(dir).await;
    for i in 0..20 {
        for id in ["a", "b"] {
            let ledger = store.get::<crate::support::Ledger>(id).await.unwrap();
            let text = "x".repeat(i * 1000);
            ledger.send(Do::Write(text)).await.unwrap();
            ledger.send(Do::AddAll(vec![1, 2])).await.unwrap();
        }
    }
    store
}

#[tokio::test]
async fn the_events_of_one_stream_are_those_of_the_journal_whatever_its_file_has() {
    let dir = temp_dir();
    let store = with_two_ledgers(dir.path()).await;
    check_streams(dir.path());
    store.shutdown().await.unwrap();
    let store = open(dir.path()).await;
    let ledger = store.get::<crate::support::Ledger>("a").await.unwrap();
    let old = std::fs::read(stream_file(dir.path(), "b")).unwrap();
    ledger.send(Do::Add(7)).await.unwrap();
    check_streams(dir.path());
    let _ = store.layout();
    let left = copy(dir.path());
    store.shutdown().await.unwrap();
    check_streams(dir.path());
    check_streams(left.path());
    let file = stream_file(left.path(), "b");
    // Cut, of another stream, with a line of another program, damaged, gone.
    let cut = old[..old.len() / 2].to_vec();
    let other = std::fs::read(stream_file(left.path(), "a")).unwrap();
    let foreign = [&old[..], b"{\"type\":\"Added\",\"data\":1,\"ts\":1}\n"].concat();
    let mut damaged = old.clone();
    damaged[old.len() / 2] ^= 1;
    for content in [cut, other, foreign, damaged] {
        std::fs::write(&file, content).unwrap();
        check_streams(left.path());
    }
    std::fs::remove_file(&file).unwrap();
    check_streams(left.path());
    std::fs::write(&file, old).unwrap();
    std::fs::remove_file(left.path().join("journal/stream_ends")).unwrap();
    check_streams(left.path());
}

#[tokio::test]
async fn a_stream_is_read_without_the_journal_that_its_file_stands_for() {
    let dir = temp_dir();
    let store = with_two_ledgers(dir.path()).await;
    store.shutdown().await.unwrap();
    let whole = of_stream(&StoreReader::open(dir.path()).unwrap(), "a");
    assert_eq!(whole.len(), 60);
    let first = &journal(dir.path())[0];
    let mut bytes = std::fs::read(&first.path).unwrap();
    bytes[first.offset + 60] ^= 1;
    std::fs::write(&first.path, &bytes).unwrap();
    let reader = StoreReader::open(dir.path()).unwrap();
    let read = reader.read(Position::default(), |_| ControlFlow::Continue(()));
    assert_eq!(read.unwrap_err().kind(), io::ErrorKind::InvalidData);
    assert!(of_stream(&reader, "a") == whole);
    assert!(of_stream(&reader, "nobody").is_empty());
}

/// A directory whose store was not closed, with some segments.
async fn abandoned() -> crate::support::TempDir {
    let dir = temp_dir();
    let store = open(dir.path()).await;
    let ledger = store.get::<crate::support::Ledger>("a").await.unwrap();
    for _ in 0..40 {
        ledger.send(Do::Write("x".repeat(20_000))).await.unwrap();
    }
    // The streams' files have all events then.
    let _ = store.layout();
    // As a killed process leaves it.
    let left = copy(dir.path());
    store.shutdown().await.unwrap();
    left
}

#[tokio::test]
async fn what_recovery_would_cut_off_is_not_shown() {
    let dir = abandoned().await;
    let whole = StoreReader::open(dir.path()).unwrap().head();
    let last = journal(dir.path()).pop().unwrap();
    let mut bytes = std::fs::read(&last.path).unwrap();
    // A line that was written in part.
    let part = bytes[last.offset..last.end() - 9].to_vec();
    bytes[last.end()..last.end() + part.len()].copy_from_slice(&part);
    std::fs::write(&last.path, &bytes).unwrap();
    assert_eq!(StoreReader::open(dir.path()).unwrap().head(), whole);
    // The same with the last whole line.
    bytes[last.offset + 40] ^= 1;
    std::fs::write(&last.path, &bytes).unwrap();
    // The stream's file did not get it.
    let stream = stream_file(dir.path(), "a");
    let lines = std::fs::read(&stream).unwrap();
    let end = usize::try_from(last.number("offset")).unwrap();
    std::fs::write(&stream, &lines[..end]).unwrap();
    let reader = StoreReader::open(dir.path()).unwrap();
    assert_eq!(number(reader.head()), number(whole) - 1);
    check_whole(&reader, &shown(&reader));
    assert_eq!(std::fs::read(&last.path).unwrap(), bytes);
    let store = open(dir.path()).await;
    assert_eq!(store.head(), reader.head());
    store.shutdown().await.unwrap();
}

#[tokio::test]
async fn damage_is_an_error_that_names_the_file_wherever_it_is() {
    let dir = abandoned().await;
    let lines = journal(dir.path());
    assert!(segments(dir.path()).len() > 2);
    let read = |dir: &Path| -> io::Result<()> {
        let reader = StoreReader::open(dir)?;
        reader.read(Position::default(), |_| ControlFlow::Continue(()))
    };
    for damaged in [0, lines.len() / 2, lines.len() - 2] {
        let line = &lines[damaged];
        let whole = std::fs::read(&line.path).unwrap();
        let mut bytes = whole.clone();
        bytes[line.offset + 300] ^= 1;
        std::fs::write(&line.path, &bytes).unwrap();
        let Err(error) = read(dir.path()) else {
            panic!("line {damaged} of {} is read", lines.len());
        };
        let name = line.path.file_name().unwrap().to_str().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(error.to_string().contains(name), "{error}");
        std::fs::write(&line.path, whole).unwrap();
    }
    // The loss of the newest one would show only in the streams' files, which a reader leaves alone.
    let mut all = segments(dir.path());
    all.pop();
    for segment in all {
        let whole = std::fs::read(&segment).unwrap();
        std::fs::remove_file(&segment).unwrap();
        let Err(error) = read(dir.path()) else {
            panic!("{} is not missed", segment.display());
        };
        assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
        assert!(error.to_string().contains("journal"), "{error}");
        std::fs::write(&segment, whole).unwrap();
    }
    read(dir.path()).unwrap();
    verify(dir.path());
}

#[tokio::test]
async fn a_directory_that_takes_the_place_of_another_one_is_noticed_while_it_is_followed() {
    let (dir, other) = (abandoned().await, abandoned().await);
    let mut reader = StoreReader::open(dir.path()).unwrap();
    std::fs::remove_dir_all(dir.path().join("journal")).unwrap();
    std::fs::rename(other.path().join("journal"), dir.path().join("journal")).unwrap();
    let error = reader.refresh().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    assert!(
        error.to_string().contains("was replaced by another"),
        "{error}"
    );
}

#[tokio::test]
async fn what_is_no_store_of_this_version_is_refused_and_nothing_is_created() {
    let dir = temp_dir();
    let missing = dir.path().join("missing");
    let error = StoreReader::open(&missing).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    assert!(error.to_string().contains("does not exist"), "{error}");
    let error = StoreReader::open(dir.path()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    assert!(error.to_string().contains("has no store"), "{error}");
    assert!(content(dir.path()).is_empty() && !missing.exists());

    let old = copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/0.2.0"));
    let left = content(old.path());
    let error = StoreReader::open(old.path()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::Unsupported);
    assert!(error.to_string().contains("0.2.0"), "{error}");
    assert!(content(old.path()) == left);
    // Once it is taken over, all of its streams are there.
    builder(old.path())
        .open()
        .await
        .unwrap()
        .shutdown()
        .await
        .unwrap();
    let reader = StoreReader::open(old.path()).unwrap();
    check_whole(&reader, &shown(&reader));
    assert!(!reader.streams().unwrap().is_empty());
}

#[tokio::test]
async fn a_dead_letter_is_discarded_only_while_no_store_is_open_and_only_of_a_known_process_manager()
 {
    let dir = temp_dir();
    let store = open(dir.path()).await;
    let refused = AggregateStore::discard_dead_letter(dir.path(), "any", "1").await;
    assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::ResourceBusy);
    store.shutdown().await.unwrap();
    let refused = AggregateStore::discard_dead_letter(dir.path(), "any", "1").await;
    let error = refused.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    assert!(
        error.to_string().contains("no process manager `any`"),
        "{error}"
    );
}
