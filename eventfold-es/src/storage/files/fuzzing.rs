//! The storage's decoders, for the fuzzing targets.

use serde_json::value::RawValue;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::event::StoredEvent;
use crate::storage::encoding::event_line;
use crate::storage::encoding::event_line::{Common, EncodedEvents, write_str};
use crate::storage::encoding::sealed::{seal, verified};
use crate::storage::files::format::commit_line::{
    CommitLine, Identity, Part, Place, write_adopted, write_header,
};
use crate::storage::files::journal::batch::JournalBatch;
use crate::storage::files::journal::end::End;
use crate::storage::files::journal::seek_table::{Entries, Note, SeekTable};
use crate::storage::files::journal::segment::{SegmentFile, Used};
use crate::storage::files::recovery::scan;

const SEED: u64 = 42;

/// A segment of the journal with a header. `bytes` are the bodies of its lines.
pub(crate) fn with_right_checksums(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut chain = write_header(
        &mut out,
        Identity {
            directory: 1,
            timeline: 2,
        },
        1,
        0,
    );
    for body in bytes.split(|byte| *byte == b'\n') {
        let start = out.len();
        out.extend_from_slice(body);
        chain = seal(&mut out, start, chain);
        out.push(b'\n');
    }
    out
}

/// Reads a segment. Accepted commits are written again, and must read the same.
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
    for part in commit.streams().filter(|part| !part.events.is_empty()) {
        write_part_again(commit, &part);
    }
}

fn write_part_again(commit: &CommitLine<'_>, part: &Part<'_, '_>) {
    let mut stream = b"\"type\":".to_vec();
    write_str(&mut stream, part.aggregate_type);
    stream.extend_from_slice(b",\"id\":");
    write_str(&mut stream, part.id);
    let place = Place {
        stream: &stream,
        version: part.version,
        offset: part.offset,
    };
    let mut batch = JournalBatch {
        bytes: Vec::new(),
        end: End {
            segment: 1,
            offset: 0,
            chain: SEED,
            position: part.position - 1,
            ms: commit.ms.value(),
        },
        durable: commit.durable.value(),
        first: 0,
    };
    let lines: Vec<&[u8]> = part.events.iter().map(|e| e.get().as_bytes()).collect();
    write_adopted(&mut batch, &place, &lines);
    let line = batch.bytes.strip_suffix(b"\n").expect("it has a line end");
    assert_eq!(verified(line, SEED), Some(batch.end.chain));
    let read = CommitLine::read(line).expect("it was read before");
    assert_eq!(
        (read.ms.value(), read.durable.value()),
        (commit.ms.value(), commit.durable.value())
    );
    let again = read.parts().next().expect("it has a stream");
    assert_eq!(shown(&again), shown(part));
    assert_eq!(read.last(), batch.end.position);
}

/// Where the part belongs, and its events as text.
fn shown(part: &Part<'_, '_>) -> String {
    let events: Vec<&str> = part.events.iter().map(|event| event.get()).collect();
    let (position, version, offset) = (part.position, part.version, part.offset);
    format!(
        "{}/{} {position} {version} {offset} {events:?}",
        part.aggregate_type, part.id
    )
}

/// Reads a line as it is.
pub(crate) fn foreign_line(bytes: &[u8]) {
    if let Ok(line) = event_line::read(bytes, SEED) {
        check_line(bytes, &line);
    }
}

/// Reads a line whose checksum is right.
pub(crate) fn sealed_line(bytes: &[u8]) {
    let mut body = b"{\"len\":".to_vec();
    let length = body.len() + 11 + bytes.len();
    body.extend_from_slice(format!("{length:>10},").as_bytes());
    body.extend_from_slice(bytes);
    let mut encoded = body.clone();
    encoded.extend_from_slice(&xxh3_64_with_seed(&body, SEED).to_le_bytes());
    let mut sealed = Vec::new();
    event_line::seal(&encoded, 17, &mut sealed);
    let read = event_line::read(&sealed, SEED);
    if let Ok(line) = &read {
        assert!(line.version.is_some() && line.position == Some(17));
        check_line(&sealed, line);
    }
    assert!(event_line::read(&sealed, SEED + 1).is_err());
}

/// Checks that a line with right lengths is read as a general JSON reader reads it.
fn check_line(bytes: &[u8], line: &event_line::Line<'_>) {
    if let Ok(json) = serde_json::from_slice::<event_line::Line<'_>>(bytes)
        && json.data == line.data
        && json.meta == line.meta
    {
        assert_eq!(format!("{line:?}"), format!("{json:?}"));
    }
}

/// Reads lines of the journal as if their checksums were right.
pub(crate) fn commits(bytes: &[u8]) {
    for line in bytes.split(|byte| *byte == b'\n') {
        let Ok(read) = CommitLine::read(line) else {
            continue;
        };
        let mut events = 0;
        for part in read.parts() {
            assert_eq!(part.position, read.position + events as u64);
            events += part.events.len();
            for i in 0..part.events.len() {
                // The line need not be an event. Any content must be handled without a panic.
                let _ = part.read_event(i, |event: StoredEvent<'_>| format!("{event:?}"));
            }
        }
        assert_eq!(events, read.events.len());
    }
}

/// Writes an event with this payload, if it is allowed. `eventfold` and this crate read it again.
pub(crate) fn new_event(data: &[u8]) {
    let Ok(data) = serde_json::from_slice::<&RawValue>(data) else {
        return;
    };
    if data.get().contains(['\n', '\r']) {
        return;
    }
    let mut events = EncodedEvents::new(SEED);
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
    event_line::seal(event, 17, &mut sealed);
    let read = event_line::read(&sealed, SEED).expect("it was written so");
    assert_eq!(read.data, data.get());
    // `eventfold` needs a payload that its parser accepts: numbers beyond an f64 are refused.
    if serde_json::from_str::<serde_json::Value>(data.get()).is_ok() {
        serde_json::from_slice::<eventfold::Event>(&sealed).expect("eventfold reads it");
    }
}

/// Reads a file as a compressed segment: whatever is in it, some of it is read, or an error says what is wrong.
pub(crate) fn compressed(bytes: &[u8]) {
    if let Ok(table) = SeekTable::read(bytes, bytes.len() as u64, 1) {
        let mut end = (0, 0);
        for block in &table.blocks {
            assert_eq!((block.start, block.offset), end);
            end = (
                block.start + u64::from(block.compressed),
                block.offset + u64::from(block.length),
            );
        }
        assert!(end.0 <= bytes.len() as u64 && end.1 == table.note.length);
    }
    read_compressed(bytes);
}

/// Compresses `bytes` as a segment, with blocks of `block` bytes. What is read must be the same, also if the byte at `place` is
/// another one.
pub(crate) fn compressed_again(bytes: &[u8], block: usize, (place, other): (usize, u8)) {
    let mut zstd = zstd::bulk::Compressor::new(1).expect("there is memory");
    zstd.include_checksum(true).expect("it can");
    let (mut file, mut entries) = (Vec::new(), Entries::default());
    for part in bytes.chunks(block.max(1)) {
        let frame = zstd.compress(part).expect("there is memory");
        entries.add(&frame, part.len());
        file.extend_from_slice(&frame);
    }
    file.extend(entries.finish(Note {
        first: 1,
        length: bytes.len() as u64,
        previous: 0,
        chain: SEED,
    }));
    let whole = read_compressed(&file).expect("it was written so");
    assert!(whole.damage.is_none() && whole.bytes == bytes);
    let place = place % file.len();
    file[place] = other;
    if let Some(read) = read_compressed(&file) {
        assert!(bytes.starts_with(&read.bytes));
        assert!(read.damage.is_some() || read.bytes == bytes);
    }
}

/// Reads a compressed segment to its end; `None` if it cannot be opened.
fn read_compressed(bytes: &[u8]) -> Option<Used> {
    let name = format!("eventfold-fuzzed-{}", std::process::id());
    let path = std::env::temp_dir().join(name);
    std::fs::write(&path, bytes).expect("there is space");
    let file = std::fs::File::open(&path).expect("it was written");
    std::fs::remove_file(&path).expect("it was written");
    let mut segment = SegmentFile::compressed(file, path, 1).ok()?;
    segment.read_used(0).ok()
}
