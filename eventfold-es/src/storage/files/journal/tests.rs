//! Reading a journal gives the same, whether its segments are compressed or not.

use std::ops::ControlFlow;
use std::path::Path;

use crate::storage::error::{StorageError, StorageErrorKind, StorageResult};
use crate::storage::files::compress::Compressor;
use crate::storage::files::crash::extent;
use crate::storage::files::format::commit_line::CommitLine;
use crate::storage::files::journal::backward::BackwardReader;
use crate::storage::files::journal::backward::tests::{Events, backward, journal};
use crate::storage::files::journal::beginning::Segments;
use crate::storage::files::journal::paths::{compressed_path, list_forms, segment_path};
use crate::storage::files::journal::point::PointReader;
use crate::storage::files::journal::reader::{Reader, read_segment};
use crate::storage::files::journal::seek_table::SeekTable;
use crate::storage::files::journal::segment::{SegmentFile, Used, used};
use crate::storage::files::journal::{Index, Journal};
use crate::storage::files::recovery::redo_point::RedoPoint;
use crate::storage::files::recovery::scan::check_chain;

/// Compresses all segments but the newest one.
fn compress(dir: &Path, journal: &Journal) {
    let redo_point = RedoPoint {
        end: journal.end(),
        clean: false,
    };
    redo_point.write(dir).unwrap();
    let mut compressor = Compressor::new(dir.to_owned());
    compressor.look().unwrap();
    while !compressor.is_idle() {
        compressor.step().unwrap();
    }
    let forms = list_forms(dir).unwrap();
    let (newest, sealed) = forms.split_last().unwrap();
    assert!(sealed.len() > 4);
    assert!(sealed.iter().all(|(_, is_compressed)| *is_compressed));
    assert!(!newest.1);
}

/// What a reader delivers before it ends or fails.
fn forward(index: &std::sync::Arc<Index>, head: u64) -> (Events, Option<StorageError>) {
    let mut events = Events::new();
    let read = Reader::new(index.clone(), 0).read_to(head, |commit, _| {
        let texts = commit.events.iter().map(|event| event.get().to_owned());
        events.extend((commit.position..).zip(texts));
        StorageResult::Ok(ControlFlow::Continue(()))
    });
    (events, read.err())
}

/// The positions of all commits, with the offsets of their lines.
fn places(journal: &Journal) -> Vec<(u64, u64)> {
    let mut places = Vec::new();
    for first in journal.index().firsts() {
        read_segment(&journal.index(), first, u64::MAX, |commit, offset| {
            places.push((commit.position, offset));
            Ok(())
        })
        .unwrap();
    }
    places
}

#[test]
fn every_reader_delivers_the_same_from_compressed_segments() {
    let dir = tempfile::tempdir().unwrap();
    let journal = journal(dir.path());
    let (head, index) = (journal.end().position, journal.index());
    let (plain, failed) = forward(&index, head);
    assert!(failed.is_none() && plain.len() as u64 == head);
    let plain_places = places(&journal);
    let chains = || {
        let segments = Segments::of(dir.path()).unwrap();
        let chained = check_chain(dir.path(), &segments, journal.end());
        chained.unwrap().chains
    };
    let before = chains();

    compress(dir.path(), &journal);
    let (compressed, failed) = forward(&index, head);
    assert!(failed.is_none() && compressed == plain);
    assert_eq!(places(&journal), plain_places);
    assert_eq!(chains(), before);
    for after in 0..head {
        let mut reader = Reader::new(index.clone(), after);
        let mut first = None;
        let mut each = |commit: &CommitLine<'_>, new: usize| {
            first = Some(commit.position + new as u64);
            StorageResult::Ok(ControlFlow::Break(()))
        };
        reader.read_to(head, &mut each).unwrap();
        assert_eq!(first, Some(after + 1));
    }
    let mut reversed = plain.clone();
    reversed.reverse();
    for before in 0..=head + 1 {
        let mut reader = BackwardReader::new(index.clone(), before);
        let read = backward(&mut reader, before % 2 == 0).unwrap();
        let from = usize::try_from(head + 1 - before.max(1)).unwrap();
        assert!(read == reversed[from..], "before {before}");
    }
    // In an order in which each is in another block than the one before.
    let mut points = PointReader::new(index.clone());
    for i in 0..plain_places.len() {
        let (position, offset) = plain_places[i * 61 % plain_places.len()];
        points
            .read(position, offset, |commit| {
                let text = commit.events[0].get();
                assert_eq!(plain[usize::try_from(position).unwrap() - 1].1, text);
                Ok(())
            })
            .unwrap();
    }
}

#[test]
fn a_compressed_segment_is_a_file_of_zstd_with_the_bytes_of_the_plain_one() {
    let dir = tempfile::tempdir().unwrap();
    let journal = journal(dir.path());
    let firsts = journal.index().firsts();
    let read = |first| {
        let mut file = SegmentFile::open(dir.path(), first).unwrap();
        file.read_used(0).and_then(Used::whole).unwrap()
    };
    let plain: Vec<Vec<u8>> = firsts.iter().map(|first| read(*first)).collect();
    compress(dir.path(), &journal);
    for (first, plain) in firsts.iter().zip(&plain) {
        assert!(read(*first) == *plain);
        let Ok(file) = std::fs::File::open(compressed_path(dir.path(), *first)) else {
            assert_eq!(*first, journal.end().segment);
            continue;
        };
        assert!(zstd::stream::decode_all(file).unwrap() == *plain);
        // From the middle of blocks, and across them.
        let mut file = SegmentFile::open(dir.path(), *first).unwrap();
        for from in (0..plain.len()).step_by(97) {
            let until = plain.len().min(from + from % 1500);
            let mut bytes = vec![0; until - from];
            let length = file.read_at(from as u64, &mut bytes).unwrap();
            assert!(length == until - from && bytes == plain[from..until]);
        }
        assert_eq!(file.read_at(plain.len() as u64, &mut [0]).unwrap(), 0);
    }
}

/// The events of the segment that begins at `first` that are whole before `offset`.
fn before(journal: &Journal, first: u64, offset: u64) -> u64 {
    let mut last = first - 1;
    read_segment(&journal.index(), first, u64::MAX, |commit, start| {
        if start <= offset {
            last = commit.position - 1;
        }
        Ok(())
    })
    .unwrap();
    last
}

/// Reads the journal with `bytes` in the place of the segment's file at `path`. Everything
/// before the damage must be delivered, and then an error that names the file and the block. Returns how many
/// events were delivered; `None` if all is as if nothing was damaged: a few bits of a frame say nothing.
fn fails_behind(
    path: &Path,
    index: &std::sync::Arc<Index>,
    events: &Events,
    (bytes, intact, block): (&[u8], u64, Option<usize>),
) -> Option<u64> {
    std::fs::write(path, bytes).unwrap();
    let (read, error) = forward(index, events.len() as u64);
    let Some(error) = error else {
        assert!(read == *events && block.is_some());
        return None;
    };
    assert_eq!(error.kind(), StorageErrorKind::Damaged, "{error}");
    let text = error.to_string();
    assert!(text.contains(path.to_str().unwrap()), "{text}");
    if let Some(block) = block {
        assert!(text.contains(&format!("block {block} ")), "{text}");
    }
    assert!(read[..] == events[..read.len()], "{text}");
    assert!(
        read.len() as u64 >= intact,
        "{} of {intact}: {text}",
        read.len()
    );
    Some(read.len() as u64)
}

#[test]
fn damage_anywhere_in_a_compressed_segment_is_told_and_all_blocks_before_it_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let journal = journal(dir.path());
    let index = journal.index();
    let (events, _) = forward(&index, journal.end().position);
    compress(dir.path(), &journal);
    let [(first, _), (next, _), ..] = list_forms(dir.path()).unwrap()[1..] else {
        panic!("there are more");
    };
    let path = compressed_path(dir.path(), first);
    let bytes = std::fs::read(&path).unwrap();
    let table = SeekTable::read(&bytes, bytes.len() as u64, first).unwrap();
    assert!(table.blocks.len() > 3);
    let starts = table.blocks.iter().map(|block| block.offset);
    let intact: Vec<u64> = starts.map(|start| before(&journal, first, start)).collect();
    let end = table
        .blocks
        .last()
        .map(|b| b.start + u64::from(b.compressed));
    let end = usize::try_from(end.unwrap()).unwrap();
    let block_at = |at: usize| {
        let after = table.blocks.partition_point(|b| b.start <= at as u64);
        (at < end).then(|| after - 1)
    };

    let mut unnoticed = 0;
    // Fewer would not say how many are noticed.
    let step = usize::try_from(extent::step()).unwrap().min(7);
    for at in (0..bytes.len()).step_by(step) {
        let mut changed = bytes.clone();
        changed[at] ^= 1 << (at % 8);
        let block = block_at(at);
        let intact = block.map_or(next - 1, |block| intact[block]);
        let failed = fails_behind(&path, &index, &events, (&changed, intact, block));
        unnoticed += usize::from(failed.is_none());
    }
    let tried = bytes.len() / step;
    println!("{unnoticed} of {tried} unnoticed");
    assert!(unnoticed < tried / 50, "{unnoticed} of {tried}");
    for length in (0..bytes.len()).step_by(step) {
        let intact = block_at(length).map_or(next - 1, |block| intact[block]);
        let cut = &bytes[..length];
        assert!(fails_behind(&path, &index, &events, (cut, intact, None)).is_some());
    }
    // Another segment's file under this name.
    let other = std::fs::read(compressed_path(dir.path(), next)).unwrap();
    assert!(fails_behind(&path, &index, &events, (&other, 0, None)).is_some());
    std::fs::write(&path, bytes).unwrap();
    assert!(forward(&index, events.len() as u64).0 == events);
}

#[test]
fn damage_anywhere_in_a_plain_segment_is_told_and_all_lines_before_it_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let journal = journal(dir.path());
    let (head, index) = (journal.end().position, journal.index());
    let (events, _) = forward(&index, head);
    // The segments before it were read, so this one is read ahead.
    let first = index.firsts()[3];
    let path = segment_path(dir.path(), first);
    let bytes = std::fs::read(&path).unwrap();
    // The offsets of its lines, and the positions of the events before them; the header has none.
    let mut lines = vec![(0, first - 1)];
    lines.extend(
        places(&journal)
            .into_iter()
            .filter(|(position, _)| index.holding(*position) == Some(first))
            .map(|(position, offset)| (offset, position - 1)),
    );
    assert!(lines.len() > 4);
    for at in (0..used(&bytes)).step_by(7) {
        let mut changed = bytes.clone();
        changed[at] ^= 1 << (at % 8);
        let line = lines.partition_point(|(offset, _)| *offset <= at as u64) - 1;
        let intact = lines[line].1;
        let failed = fails_behind(&path, &index, &events, (&changed, intact, None));
        assert_eq!(failed, Some(intact), "byte {at}");
    }
    std::fs::write(&path, bytes).unwrap();
    assert!(forward(&index, head).0 == events);
}

#[test]
fn an_open_reader_goes_on_when_its_segment_is_compressed() {
    let dir = tempfile::tempdir().unwrap();
    let journal = journal(dir.path());
    let (head, index) = (journal.end().position, journal.index());
    let (plain, _) = forward(&index, head);
    let mut readers: Vec<_> = (0..head)
        .map(|after| (after, Reader::new(index.clone(), after)))
        .collect();
    let next = |reader: &mut Reader, position| {
        let mut text = None;
        let read = reader.read_to(head, |commit, new| {
            text = commit.events.get(new).map(|event| event.get().to_owned());
            assert_eq!(commit.position + new as u64, position);
            StorageResult::Ok(ControlFlow::Break(()))
        });
        read.unwrap();
        assert!(text.as_ref() == Some(&plain[usize::try_from(position).unwrap() - 1].1));
    };
    for (after, reader) in &mut readers {
        next(reader, *after + 1);
    }
    compress(dir.path(), &journal);
    assert!(!segment_path(dir.path(), 1).exists());
    for (after, reader) in &mut readers {
        let read = reader.read_to(head, |commit, new| {
            let position = commit.position + new as u64;
            let text = commit.events[new].get();
            assert!(text == plain[usize::try_from(position).unwrap() - 1].1);
            assert!(position > *after);
            StorageResult::Ok(ControlFlow::Continue(()))
        });
        read.unwrap();
    }
}
