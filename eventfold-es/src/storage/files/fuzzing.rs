//! The storage's decoders, for the fuzzing targets.

use serde_json::value::RawValue;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::event::StoredEvent;
use crate::storage::files::format::commit_line::{
    CommitLine, JournaledEvent, Place, parse, write_adopted, write_header,
};
use crate::storage::files::format::event_line;
use crate::storage::files::format::event_line::{
    Common, EncodedEvents, verified, write_str, write_sum,
};
use crate::storage::files::journal::batch::JournalBatch;
use crate::storage::files::journal::end::End;
use crate::storage::files::recovery::scan;

const SEED: u64 = 42;

/// A segment of the journal with a header and with `bytes` as the bodies of its lines.
pub(crate) fn with_right_checksums(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut chain = write_header(&mut out, 1, 0);
    for body in bytes.split(|byte| *byte == b'\n') {
        let start = out.len();
        out.extend_from_slice(body);
        chain = xxh3_64_with_seed(&out[start..], chain);
        write_sum(&mut out, chain);
        out.push(b'\n');
    }
    out
}

/// Reads a segment. What is accepted is written again and reads the same.
pub(crate) fn journal(bytes: &[u8]) {
    let mut commits = 0;
    let scanned = scan::scan_bytes(bytes, |commit| {
        commits += 1;
        write_again(commit);
        Ok(())
    });
    let Ok((end, tail_end)) = scanned else { return };
    let used = usize::try_from(end.offset).expect("it is in the bytes");
    assert!(end.offset <= tail_end && tail_end <= bytes.len() as u64);
    assert!(end.position >= commits);
    let again = scan::scan_bytes(&bytes[..used], |_| Ok(())).expect("it was read before");
    assert_eq!(again, (end, end.offset));
}

fn write_again(commit: &CommitLine<'_>) {
    let mut stream = b"\"type\":".to_vec();
    write_str(&mut stream, &commit.aggregate_type);
    stream.extend_from_slice(b",\"id\":");
    write_str(&mut stream, &commit.id);
    let place = Place {
        stream: &stream,
        seed: SEED,
        version: commit.version,
        offset: commit.offset,
    };
    let mut batch = JournalBatch {
        bytes: Vec::new(),
        end: End {
            segment: 1,
            offset: 0,
            chain: SEED,
            position: commit.position - 1,
        },
        durable: commit.durable,
    };
    let lines: Vec<&[u8]> = commit.events.iter().map(|e| e.get().as_bytes()).collect();
    write_adopted(&mut batch, &place, &lines);
    let line = batch.bytes.strip_suffix(b"\n").expect("it has a line end");
    assert_eq!(verified(line, SEED), Some(batch.end.chain));
    let read: CommitLine<'_> = parse(line).expect("it was read before");
    assert_eq!(read.position, commit.position);
    assert_eq!(read.durable, commit.durable);
    assert_eq!(read.aggregate_type, commit.aggregate_type);
    assert_eq!(read.id, commit.id);
    assert_eq!(read.version, commit.version);
    assert_eq!(read.offset, commit.offset);
    let text = |events: &[JournaledEvent<'_>]| -> Vec<String> {
        events.iter().map(|event| event.get().to_owned()).collect()
    };
    assert_eq!(text(&read.events), text(&commit.events));
    assert_eq!(read.last(), batch.end.position);
}

/// Reads a line as it is.
pub(crate) fn foreign_line(bytes: &[u8]) {
    if let Ok(line) = event_line::read(bytes, SEED) {
        check_line(bytes, &line);
    }
}

/// Reads a line whose checksum is right.
pub(crate) fn sealed_line(bytes: &[u8]) {
    let mut sealed = bytes.to_vec();
    write_sum(&mut sealed, xxh3_64_with_seed(bytes, SEED));
    let read = event_line::read(&sealed, SEED);
    if let Ok(line) = &read {
        assert!(line.version.is_some() && line.position.is_some());
        check_line(&sealed, line);
    }
    assert!(event_line::read(&sealed, SEED + 1).is_err());
}

/// What is JSON is read as any reader of JSON reads it.
fn check_line(bytes: &[u8], line: &event_line::Line<'_>) {
    if let Ok(json) = serde_json::from_slice::<event_line::Line<'_>>(bytes) {
        assert_eq!(format!("{line:?}"), format!("{json:?}"));
    }
}

/// Reads lines of the journal whose checksums are right. What is JSON is read as any reader of JSON
/// reads it.
pub(crate) fn commits(bytes: &[u8]) {
    for line in bytes.split(|byte| *byte == b'\n') {
        let Ok(json) = parse::<CommitLine<'_>>(line) else {
            continue;
        };
        let read = CommitLine::read(line).expect("it is JSON");
        assert_eq!(
            (read.position, read.durable, read.version, read.offset),
            (json.position, json.durable, json.version, json.offset)
        );
        assert_eq!(
            (&read.aggregate_type, &read.id, read.adopted),
            (&json.aggregate_type, &json.id, json.adopted)
        );
        assert_eq!(read.events.len(), json.events.len());
        for i in 0..read.events.len() {
            assert_eq!(read.events[i].get(), json.events[i].get());
            let shown = |event: StoredEvent<'_>| format!("{event:?}");
            let (read, json) = (read.read_event(i, shown), json.read_event(i, shown));
            assert_eq!(read.ok(), json.ok());
        }
    }
}

/// Writes an event with that payload, unless it is refused; `eventfold` and we read it again.
pub(crate) fn new_event(data: &[u8]) {
    let Ok(data) = serde_json::from_slice::<&RawValue>(data) else {
        return;
    };
    if data.get().contains(['\n', '\r']) {
        return;
    }
    let mut events = EncodedEvents::default();
    let common = Common {
        ms: 1_767_225_600_123,
        ..Common::default()
    };
    events.push("Fuzzed", data.get().as_bytes(), "e-1", 3, &common);
    if events.is_too_deep() {
        return;
    }
    let mut sealed = Vec::new();
    let event = events.as_encoded().iter().next().expect("it was added");
    event_line::seal(event, 17, SEED, &mut sealed);
    let read = event_line::read(&sealed, SEED).expect("it was written so");
    assert_eq!(read.data, data.get());
    // Only what its own parser takes can be an `eventfold` event: numbers beyond an f64 are not.
    if serde_json::from_str::<serde_json::Value>(data.get()).is_ok() {
        serde_json::from_slice::<eventfold::Event>(&sealed).expect("eventfold reads it");
    }
}
