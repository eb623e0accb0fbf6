//! The bytes of a directory, as `docs/format.md` describes them.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use eventfold_es::__private::example::{Add, Counter};
use eventfold_es::{AggregateStore, ManualClock};
use serde_json::Value;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::support::files::{content, edit, journal, segments};
use crate::support::{Ledger, LedgerCommand, temp_dir};

async fn open_at(dir: &Path, seconds: u64) -> AggregateStore {
    let clock = ManualClock::new(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
    let builder = AggregateStore::builder(dir).aggregate_type::<Counter>();
    builder.clock(clock).open().await.unwrap()
}

async fn add(store: &AggregateStore, id: &str, amount: u64) {
    let counter = store.get::<Counter>(id).await.unwrap();
    counter.send(Add(amount)).await.unwrap();
}

/// The first line of a segment.
fn header(segment: &Path) -> String {
    let bytes = content(segment);
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap();
    String::from_utf8(line.to_vec()).unwrap()
}

/// What the checksum at the end of an object covers, and the checksum.
fn split(object: &str) -> (&str, u64) {
    let (body, sum) = object.rsplit_once(",\"sum\":\"").unwrap();
    let sum = sum.strip_suffix("\"}").unwrap();
    assert_eq!(sum.len(), 16);
    (body, u64::from_str_radix(sum, 16).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_of_commits_never_decreases_even_if_the_clock_goes_back() {
    let dir = temp_dir();
    // The last one finds the time in the redo point, the one before in the journal's last line.
    for seconds in [1_000, 400, 2_000, 500] {
        let store = open_at(dir.path(), seconds).await;
        add(&store, "a", 1).await;
        store.shutdown().await.unwrap();
        drop(store);
        if seconds == 2_000 {
            std::fs::remove_file(dir.path().join("journal/checkpoint.json")).unwrap();
        }
    }
    let times: Vec<u64> = journal(dir.path()).iter().map(|l| l.number("ms")).collect();
    assert_eq!(times, [1_000_000, 1_000_000, 2_000_000, 2_000_000]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_segment_names_its_directory_and_its_timeline() {
    let mut known = Vec::new();
    for _ in 0..2 {
        let dir = temp_dir();
        let large = "x".repeat(64 * 1024);
        for times in 0..3 {
            let store = open_at(dir.path(), 1_000).await;
            let ledger = store.get::<Ledger>("a").await.unwrap();
            for _ in 0..4 {
                let command = LedgerCommand::Write(large.clone());
                ledger.send(command).await.unwrap();
            }
            store.shutdown().await.unwrap();
            assert!(times < 2 || segments(dir.path()).len() > 1);
        }
        let ids = segments(dir.path()).into_iter().map(|segment| {
            let header: Value = serde_json::from_str(&header(&segment)).unwrap();
            assert_eq!(header["journal"], 2);
            ["directory", "timeline"].map(|key| header[key].as_str().unwrap().to_owned())
        });
        let mut ids: Vec<_> = ids.collect();
        ids.dedup();
        assert_eq!(ids.len(), 1, "{ids:?}");
        known.extend(ids.remove(0));
    }
    known.sort_unstable();
    known.dedup();
    assert_eq!(known.len(), 4);
    assert!(known.iter().all(|id| id.len() == 32));
}

/// Gives the first segment another format, with a right checksum.
fn set_format(base: &Path, format: &str) {
    let segment = segments(base).remove(0);
    let old = header(&segment);
    let new = old.replace("{\"journal\":2,", &format!("{{\"journal\":{format},"));
    let (body, _) = split(&new);
    let sum = xxh3_64_with_seed(body.as_bytes(), 0);
    let new = format!("{body},\"sum\":\"{sum:016x}\"}}");
    edit(&segment, |bytes| {
        bytes.splice(..old.len(), new.into_bytes());
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_of_another_format_is_refused_with_the_cause_and_its_file() {
    for (format, why) in [("1", "development version"), ("3", "newer version")] {
        for has_checkpoint in [true, false] {
            let dir = temp_dir();
            let store = open_at(dir.path(), 1_000).await;
            add(&store, "a", 1).await;
            store.shutdown().await.unwrap();
            drop(store);
            set_format(dir.path(), format);
            if !has_checkpoint {
                std::fs::remove_file(dir.path().join("journal/checkpoint.json")).unwrap();
            }
            let builder = AggregateStore::builder(&dir).aggregate_type::<Counter>();
            let error = builder.open().await.unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::Unsupported, "{error}");
            let error = error.to_string();
            assert!(error.contains(why), "{error}");
            assert!(error.contains("00000000000000000001.jsonl"), "{error}");
            let report = AggregateStore::verify(&dir).await.unwrap();
            assert!(report.to_string().contains(why), "{report}");
        }
    }
}

/// The page that describes the format.
fn page() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../eventfold-es/docs/format.md")
}

const BEGIN: &str = "<!-- example: journal -->\n```json\n";
const MIDDLE: &str = "```\n\n<!-- example: stream -->\n```json\n";
const END: &str = "```\n";

/// The lines of the journal and of the stream in the page's example.
fn example(page: &str) -> (&str, &str) {
    let (_, rest) = page.split_once(BEGIN).unwrap();
    let (journal, rest) = rest.split_once(MIDDLE).unwrap();
    (journal, rest.split_once(END).unwrap().0)
}

/// Puts what a store writes into the page.
async fn bless() {
    let dir = temp_dir();
    let store = open_at(dir.path(), 1_767_225_600).await;
    add(&store, "c-1", 5).await;
    add(&store, "c-1", 6).await;
    store.shutdown().await.unwrap();
    let journal = std::fs::read_to_string(segments(dir.path()).remove(0)).unwrap();
    let stream = dir.path().join("streams/counter/c-1/app.jsonl");
    let stream = std::fs::read_to_string(stream).unwrap();
    let text = std::fs::read_to_string(page()).unwrap();
    let (old_journal, old_stream) = example(&text);
    let old = [BEGIN, old_journal, MIDDLE, old_stream, END].concat();
    let new = [BEGIN, journal.trim_end_matches('\0'), MIDDLE, &stream, END].concat();
    std::fs::write(page(), text.replace(&old, &new)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_on_the_format_page_is_a_valid_store_with_the_described_checksums() {
    if std::env::var_os("EVENTFOLD_BLESS").is_some() {
        bless().await;
    }
    let page = std::fs::read_to_string(page()).unwrap();
    let (journal, stream) = example(&page);

    let mut chain = 0;
    for line in journal.lines() {
        let (body, sum) = split(line);
        assert_eq!(sum, xxh3_64_with_seed(body.as_bytes(), chain), "{line}");
        let json: Value = serde_json::from_str(line).unwrap();
        if let Some(len) = json.get("len") {
            assert_eq!(len, body.len());
        } else {
            assert_eq!(json["previous"], format!("{chain:016x}"));
        }
        chain = sum;
    }
    let seed = xxh3_64(b"counter\0c-1");
    for line in stream.lines() {
        let json: Value = serde_json::from_str(line).unwrap();
        let body = &line[..usize::try_from(json["len"].as_u64().unwrap()).unwrap()];
        let position = json["pos"].as_u64().unwrap();
        let rest = split(line).0.strip_prefix(body).unwrap();
        assert_eq!(rest, format!(",\"pos\":{position}"));
        let mixed = position.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let sum = xxh3_64_with_seed(body.as_bytes(), seed).wrapping_add(mixed);
        assert_eq!(split(line).1, sum, "{line}");
        assert_eq!(json["sizes"][0], json["data"].to_string().len());
        assert_eq!(json["sizes"][1], 0);
        assert!(journal.contains(line));
    }

    let dir = temp_dir();
    let journal_dir = dir.path().join("journal");
    let stream_dir = dir.path().join("streams/counter/c-1");
    std::fs::create_dir_all(&journal_dir).unwrap();
    std::fs::create_dir_all(&stream_dir).unwrap();
    std::fs::write(journal_dir.join("00000000000000000001.jsonl"), journal).unwrap();
    std::fs::write(stream_dir.join("app.jsonl"), stream).unwrap();
    let report = AggregateStore::verify(&dir).await.unwrap();
    assert!(report.findings.is_empty(), "{report}");
    let store = open_at(dir.path(), 1_767_225_601).await;
    let counter = store.get::<Counter>("c-1").await.unwrap();
    assert_eq!(counter.state().await.unwrap().value, 11);
    store.shutdown().await.unwrap();
}
