//! Compresses sealed segments of the journal, one at a time and in small steps: [`Compressor`].
//!
//! The compressed file is written under a temporary name, made durable, and decoded again to compare it
//! with the plain one. Only then it gets its name, and when that is durable the plain file is removed. So
//! at each moment one whole file is there. Invariant D13.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use memchr::memchr;
use zstd::bulk;

use crate::clock::millis;
use crate::storage::encoding::sealed::verified;
use crate::storage::error::{StorageError, StorageErrorKind, StorageResult};
use crate::storage::files::disk;
use crate::storage::files::disk::failed_syncs;
use crate::storage::files::disk::{File, Open};
use crate::storage::files::journal::end::End;
use crate::storage::files::journal::paths::{compressed_path, list_forms, segment_path};
use crate::storage::files::journal::reader::stated_previous;
use crate::storage::files::journal::seek_table::{BLOCK, Entries, Note};
use crate::storage::files::journal::segment::SegmentFile;
use crate::storage::files::recovery::redo_point::RedoPoint;

/// How much zstd tries. More takes several times as long, and lines of the journal hardly become smaller.
const LEVEL: i32 = 1;
/// How many blocks are done in a step.
const BLOCKS_OF_A_STEP: usize = 4;
/// How long it waits after a failure.
const RETRY: Duration = Duration::from_secs(60);

/// Compresses the segments of one journal.
#[derive(Debug)]
pub(crate) struct Compressor {
    journal: PathBuf,
    /// The segments that are to be compressed, in order.
    due: VecDeque<u64>,
    work: Option<Work>,
    /// The segments that are damaged, and so stay as they are.
    refused: BTreeSet<u64>,
    /// When to try again, after an attempt failed.
    retry_at: Option<Instant>,
    /// How many segments were compressed.
    pub(crate) done: u64,
}

/// A segment that is being compressed.
struct Work {
    first: u64,
    plain: SegmentFile,
    /// How many bytes it has.
    length: u64,
    /// The checksum of its last line, as the segment behind it states.
    chain: u64,
    temporary: PathBuf,
    file: File,
    stage: Stage,
    /// How many bytes the stage has done.
    offset: u64,
    block: Vec<u8>,
    other: Vec<u8>,
    start: Instant,
}

enum Stage {
    Writing(Box<Writing>),
    Comparing(SegmentFile),
}

struct Writing {
    zstd: bulk::Compressor<'static>,
    entries: Entries,
    /// How many bytes were written.
    written: u64,
    lines: Lines,
}

/// The checksums of the lines that passed.
#[derive(Default)]
struct Lines {
    /// Of the last line before the segment.
    previous: Option<u64>,
    chain: u64,
    /// Where the last whole line ends.
    end: u64,
    /// The beginning of a line.
    begun: Vec<u8>,
}

impl Compressor {
    pub(crate) fn new(journal: PathBuf) -> Self {
        Self {
            journal,
            due: VecDeque::new(),
            work: None,
            refused: BTreeSet::new(),
            retry_at: None,
            done: 0,
        }
    }

    /// Looks which segments are sealed, before the redo point and not compressed.
    pub(crate) fn look(&mut self) -> StorageResult<()> {
        self.retry_at = None;
        // After a failed sync nothing is removed. Invariant D5.
        if failed_syncs::is_remembered(&self.journal) {
            self.due.clear();
            let cause = "is in doubt, because a sync failed: it is not compressed until the store is \
                         opened again";
            let kind = StorageErrorKind::Io(std::io::ErrorKind::Other);
            return Err(StorageError::file(kind, &self.journal, cause));
        }
        let Some(redo_point) = RedoPoint::read(&self.journal)? else {
            return Ok(());
        };
        let under_way = self.work.as_ref().map(|work| work.first);
        let plain = list_forms(&self.journal)?.into_iter();
        let plain = plain.filter_map(|(first, is_compressed)| (!is_compressed).then_some(first));
        let due = plain.filter(|first| {
            *first < redo_point.end.segment
                && Some(*first) != under_way
                && !self.refused.contains(first)
        });
        self.due = due.collect();
        Ok(())
    }

    /// Puts the first look off until `at`.
    pub(crate) fn look_at(&mut self, at: Instant) {
        self.retry_at = Some(at);
    }

    /// When something is to be looked at or tried again.
    pub(crate) fn retry_at(&self) -> Option<Instant> {
        self.retry_at
    }

    /// Whether there is nothing to do now.
    pub(crate) fn is_idle(&self) -> bool {
        self.work.is_none() && self.due.is_empty()
    }

    /// Does a little. After an error nothing is to do until the next look.
    pub(crate) fn step(&mut self) -> StorageResult<()> {
        let stepped = self.try_step();
        if stepped.is_err() {
            self.abandon();
            self.retry_at = Some(Instant::now() + RETRY);
        }
        stepped
    }

    /// Leaves the segment that is under way as it is, and all others.
    pub(crate) fn abandon(&mut self) {
        self.due.clear();
        if let Some(work) = self.work.take() {
            // Otherwise the next open removes it.
            let _ = disk::remove(&work.temporary);
        }
    }

    fn try_step(&mut self) -> StorageResult<()> {
        let Some(work) = &mut self.work else {
            if let Some(first) = self.due.pop_front() {
                self.work = Some(Work::begin(&self.journal, first)?);
            }
            return Ok(());
        };
        for _ in 0..BLOCKS_OF_A_STEP {
            match work.step() {
                Ok(true) => {}
                Ok(false) => {
                    let journal = &self.journal;
                    work.finish(journal)?;
                    self.work = None;
                    self.done += 1;
                    return Ok(());
                }
                Err(error) if error.kind() == StorageErrorKind::Damaged => {
                    let first = work.first;
                    let _ = disk::remove(&work.temporary);
                    self.work = None;
                    self.refused.insert(first);
                    tracing::error!(%error, "a segment of the journal is damaged, so it is not compressed: `verify` says more");
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Work {
    fn begin(journal: &Path, first: u64) -> StorageResult<Self> {
        let mut plain = SegmentFile::open(journal, first)?;
        let length = plain.used_length()?;
        let chain = chain_after(journal, first)?;
        let mut temporary = compressed_path(journal, first).into_os_string();
        temporary.push(".tmp");
        let temporary = PathBuf::from(temporary);
        let failed = |e| StorageError::io("write", &temporary, e);
        let mut zstd = bulk::Compressor::new(LEVEL).map_err(failed)?;
        zstd.include_checksum(true).map_err(failed)?;
        let file = File::open(&temporary, Open::New).map_err(failed)?;
        Ok(Self {
            first,
            plain,
            length,
            chain,
            temporary,
            file,
            stage: Stage::Writing(Box::new(Writing {
                zstd,
                entries: Entries::default(),
                written: 0,
                lines: Lines::default(),
            })),
            offset: 0,
            block: Vec::new(),
            other: Vec::new(),
            start: Instant::now(),
        })
    }

    /// Goes on by a block. False if the file is complete and was compared.
    fn step(&mut self) -> StorageResult<bool> {
        match &mut self.stage {
            Stage::Writing(_) if self.offset == self.length => self.end_writing()?,
            Stage::Writing(_) => self.write_block()?,
            Stage::Comparing(_) if self.offset == self.length => return Ok(false),
            Stage::Comparing(_) => self.compare_block()?,
        }
        Ok(true)
    }

    fn write_block(&mut self) -> StorageResult<()> {
        let Stage::Writing(writing) = &mut self.stage else {
            return Ok(());
        };
        let left = usize::try_from(self.length - self.offset).unwrap_or(usize::MAX);
        self.block.resize(left.min(BLOCK), 0);
        let read = self.plain.read_at(self.offset, &mut self.block)?;
        if read < self.block.len() {
            let cause = "the file became shorter while it was compressed";
            return Err(StorageError::damaged(self.plain.path(), self.offset, cause));
        }
        writing
            .lines
            .pass(&self.block)
            .map_err(|offset| broken(self.plain.path(), offset))?;
        let failed = |e| StorageError::io("write", &self.temporary, e);
        let frame = writing.zstd.compress(&self.block).map_err(failed)?;
        self.file
            .write_at(writing.written, &frame)
            .map_err(failed)?;
        writing.entries.add(&frame, self.block.len());
        writing.written += frame.len() as u64;
        self.offset += self.block.len() as u64;
        Ok(())
    }

    fn end_writing(&mut self) -> StorageResult<()> {
        let Stage::Writing(writing) = &mut self.stage else {
            return Ok(());
        };
        let lines = &writing.lines;
        let whole = lines.previous.filter(|_| {
            lines.begun.is_empty() && lines.end == self.length && lines.chain == self.chain
        });
        let previous = whole.ok_or_else(|| broken(self.plain.path(), lines.end))?;
        let note = Note {
            first: self.first,
            length: self.length,
            previous,
            chain: self.chain,
        };
        let end = std::mem::take(&mut writing.entries).finish(note);
        let failed = |e| StorageError::io("write", &self.temporary, e);
        self.file
            .write_at(writing.written, &end)
            .and_then(|()| self.file.sync_all())
            .map_err(failed)?;
        let file = disk::open(&self.temporary).map_err(failed)?;
        let back = SegmentFile::compressed(file, self.temporary.clone(), self.first)?;
        if back.note().ok().flatten() != Some(note) {
            return Err(self.differs());
        }
        self.stage = Stage::Comparing(back);
        self.offset = 0;
        Ok(())
    }

    fn compare_block(&mut self) -> StorageResult<()> {
        let Stage::Comparing(back) = &mut self.stage else {
            return Ok(());
        };
        self.block.clear();
        let decoded = back.read_on(self.offset, BLOCK as u64, &mut self.block);
        self.other.resize(self.block.len(), 0);
        let read = self.plain.read_at(self.offset, &mut self.other)?;
        if decoded.is_err()
            || self.block.is_empty()
            || read < self.other.len()
            || self.block != self.other
        {
            return Err(self.differs());
        }
        self.offset += read as u64;
        Ok(())
    }

    /// The error for a file that does not have what was written to it.
    fn differs(&self) -> StorageError {
        let cause = "does not have what was just written to it: the disk or the memory is not to be trusted";
        let kind = StorageErrorKind::Io(std::io::ErrorKind::InvalidData);
        StorageError::file(kind, &self.temporary, cause)
    }

    /// Gives the file its name, and removes the plain one.
    fn finish(&mut self, journal: &Path) -> StorageResult<()> {
        disk::rename(&self.temporary, &compressed_path(journal, self.first))?;
        disk::sync_dir(journal)?;
        if failed_syncs::is_remembered(journal) {
            let cause = "stays beside the compressed one, because a sync failed";
            let kind = StorageErrorKind::Io(std::io::ErrorKind::Other);
            return Err(StorageError::file(kind, self.plain.path(), cause));
        }
        disk::remove(&segment_path(journal, self.first))?;
        tracing::debug!(
            first = self.first,
            bytes = self.length,
            elapsed_ms = millis(self.start),
            "a segment of the journal was compressed"
        );
        Ok(())
    }
}

impl Lines {
    /// Takes the next bytes of the segment.
    ///
    /// # Errors
    ///
    /// Where a line begins that is not valid.
    fn pass(&mut self, bytes: &[u8]) -> Result<(), u64> {
        let mut rest = bytes;
        while let Some(length) = memchr(b'\n', rest) {
            let (line, behind) = rest.split_at(length);
            if self.begun.is_empty() {
                self.take(line)?;
            } else {
                let mut begun = std::mem::take(&mut self.begun);
                begun.extend_from_slice(line);
                self.take(&begun)?;
                begun.clear();
                self.begun = begun;
            }
            rest = &behind[1..];
        }
        self.begun.extend_from_slice(rest);
        Ok(())
    }

    fn take(&mut self, line: &[u8]) -> Result<(), u64> {
        let seed = match self.previous {
            Some(_) => self.chain,
            None => stated_previous(line).ok_or(self.end)?,
        };
        self.chain = verified(line, seed).ok_or(self.end)?;
        self.previous.get_or_insert(seed);
        self.end += line.len() as u64 + 1;
        Ok(())
    }
}

fn broken(path: &Path, offset: u64) -> StorageError {
    StorageError::damaged(
        path,
        offset,
        "the line is not valid, although it was durable",
    )
}

/// The checksum of the last line of the segment that begins at `first`, as the next one states it, or the
/// redo point if that is at the beginning of the next one.
fn chain_after(journal: &Path, first: u64) -> StorageResult<u64> {
    let forms = list_forms(journal)?;
    let next = forms.into_iter().map(|(next, _)| next);
    let next = next.filter(|next| *next > first).min().unwrap_or(first);
    let redo_point = RedoPoint::read(journal)?.map(|redo_point| redo_point.end);
    if let Some(End {
        segment,
        offset: 0,
        chain,
        ..
    }) = redo_point
        && segment == next
    {
        return Ok(chain);
    }
    let mut next = SegmentFile::open(journal, next)?;
    if let Some(note) = next.note()? {
        return Ok(note.previous);
    }
    stated_previous(&next.start()?)
        .ok_or_else(|| StorageError::damaged(next.path(), 0, "the header is not valid"))
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Work")
            .field("first", &self.first)
            .field("length", &self.length)
            .field("offset", &self.offset)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::files::journal::backward::tests::journal;

    #[test]
    fn a_file_that_does_not_have_what_was_written_to_it_takes_no_segments_place() {
        let dir = tempfile::tempdir().unwrap();
        let redo_point = RedoPoint {
            end: journal(dir.path()).end(),
            clean: false,
        };
        redo_point.write(dir.path()).unwrap();
        let before = list_forms(dir.path()).unwrap();
        let mut compressor = Compressor::new(dir.path().to_owned());
        compressor.look().unwrap();
        loop {
            compressor.step().unwrap();
            let Some(work) = &compressor.work else {
                continue;
            };
            if let Stage::Comparing(_) = work.stage {
                let last = usize::try_from(std::fs::metadata(&work.temporary).unwrap().len() / 2);
                let mut bytes = std::fs::read(&work.temporary).unwrap();
                bytes[last.unwrap()] ^= 1;
                std::fs::write(&work.temporary, bytes).unwrap();
                break;
            }
        }
        let error = loop {
            if let Err(error) = compressor.step() {
                break error;
            }
            assert_eq!(compressor.done, 0, "it was not noticed");
        };
        assert!(error.to_string().contains(".zst.tmp"), "{error}");
        assert!(compressor.is_idle() && compressor.retry_at().is_some());
        assert_eq!(list_forms(dir.path()).unwrap(), before);
        let names = disk::list(dir.path()).unwrap();
        let is_left = |name: &str| name.contains(".zst");
        assert!(
            names
                .iter()
                .all(|entry| !is_left(entry.name.to_str().unwrap()))
        );
        // The next attempt succeeds.
        compressor.look().unwrap();
        while !compressor.is_idle() {
            compressor.step().unwrap();
        }
        assert_eq!(compressor.done, before.len() as u64 - 1);
    }
}
