//! The journal: every commit of a store, in one order, in one place.
//!
//! Its segments are the files `journal/<first position>.jsonl`, with one line a commit
//! ([`commit_line`]); sealed ones are compressed in the background, to `<first position>.jsonl.zst`. A segment is filled with zeros before its use. So making a batch durable does
//! not change the file's size, which the file system would also have to sync. Sealed segments are
//! kept: together they are the global log.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use crate::clock::Clock;
use crate::storage::error::{StorageError, StorageErrorKind, StorageResult};
use crate::storage::files::disk;
use crate::storage::files::disk::failed_syncs;
use crate::storage::files::disk::{File, Open};
use crate::storage::files::format::commit_line::{HEADER_MOST, write_header};
use crate::storage::files::recovery::redo_point::RedoPoint;
use crate::sync::lock;

pub(crate) mod backward;
pub(crate) mod batch;
pub(crate) mod beginning;
pub(crate) mod compressed;
pub(crate) mod end;
pub(crate) mod paths;
pub(crate) mod point;
pub(crate) mod reader;
pub(crate) mod readers;
pub(crate) mod seek_table;
pub(crate) mod segment;
#[cfg(test)]
mod tests;

use crate::storage::files::format::commit_line::{Header, Identity};
use batch::JournalBatch;
use beginning::Beginning;
use end::End;
use paths::{segment_file, segment_path};
use readers::{Readers, Reading};
use segment::SegmentFile;

/// The size of the first segment. Each further segment is twice as large, up to
/// [`LARGEST_SEGMENT`]. Small in this crate's own tests, so that they use many segments.
pub(crate) const FIRST_SEGMENT: u64 = if cfg!(test) { 2 } else { 256 } * 1024;
/// The size of the largest segments.
pub(crate) const LARGEST_SEGMENT: u64 = if cfg!(test) { 4 } else { 16 * 1024 } * 1024;

/// How much memory a buffer keeps between two batches, even if it is hardly used.
const KEPT_MEMORY: usize = 1024 * 1024;
/// How much it keeps at most. Memory that the system gives anew for each batch costs more than the bytes.
const MOST_MEMORY: usize = 8 * 1024 * 1024;

/// Empties `bytes` for the next use. Keeps twice the memory that was used, between `KEPT_MEMORY` and
/// `MOST_MEMORY` bytes.
pub(crate) fn empty(bytes: &mut Vec<u8>) {
    let used = bytes.len();
    bytes.clear();
    bytes.shrink_to((2 * used).clamp(KEPT_MEMORY, MOST_MEMORY));
}

/// The list of segments and the durable end, shared with the readers.
#[derive(Debug)]
pub(crate) struct Index {
    dir: PathBuf,
    segments: Mutex<Vec<u64>>,
    /// Those who read it. Locked before `segments`.
    readers: Mutex<Readers>,
    /// The checksum of the last line before each segment that was checked when the store was opened.
    chains: OnceLock<Vec<(u64, u64)>>,
    /// Where the durable lines end; `None` if nobody writes the journal.
    end: Mutex<Option<End>>,
}

impl Index {
    pub(crate) fn new(dir: PathBuf, segments: Vec<u64>) -> Self {
        Self {
            dir,
            segments: Mutex::new(segments),
            readers: Mutex::default(),
            chains: OnceLock::new(),
            end: Mutex::new(None),
        }
    }

    /// The journal's directory.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    fn segments(&self) -> MutexGuard<'_, Vec<u64>> {
        self.segments.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first positions of all segments, in order.
    pub(crate) fn firsts(&self) -> Vec<u64> {
        self.segments().clone()
    }

    /// The journal has no event up to this position, because they were dropped; 0 if none was.
    pub(crate) fn dropped(&self) -> u64 {
        self.segments().first().map_or(0, |first| first - 1)
    }

    /// Fails if the events after the position `after` were dropped.
    pub(crate) fn check_has_after(&self, after: u64) -> StorageResult<()> {
        let dropped = self.dropped();
        if after < dropped {
            return Err(StorageError::dropped(after, dropped));
        }
        Ok(())
    }

    /// Notes that somebody needs the events after the position `after`, for as long as what it returns is
    /// kept.
    pub(crate) fn reading(&self, after: u64) -> Reading {
        lock(&self.readers).add(after)
    }

    /// The lowest position that somebody reads from, if that is before `position`.
    pub(crate) fn reader_before(&self, position: u64) -> Option<u64> {
        let lowest = lock(&self.readers).lowest();
        lowest.filter(|lowest| *lowest < position)
    }

    /// Takes the segments before the one that begins at `first` off the list, unless somebody reads them.
    /// From then on nobody begins to.
    ///
    /// # Errors
    ///
    /// The position that somebody reads from.
    pub(crate) fn drop_before(&self, first: u64) -> Result<Vec<u64>, u64> {
        let mut readers = lock(&self.readers);
        if let Some(reader) = readers.lowest().filter(|lowest| lowest + 1 < first) {
            return Err(reader);
        }
        let mut segments = self.segments();
        let before = segments.partition_point(|other| *other < first);
        let kept = segments.split_off(before);
        Ok(std::mem::replace(&mut *segments, kept))
    }

    /// Puts the segments back that [`drop_before`](Self::drop_before) took off the list.
    pub(crate) fn put_back(&self, mut dropped: Vec<u64>) {
        let mut segments = self.segments();
        dropped.append(&mut segments);
        *segments = dropped;
    }

    /// The segment that holds `position`, or the last one before it.
    pub(crate) fn holding(&self, position: u64) -> Option<u64> {
        let segments = self.segments();
        let after = segments.partition_point(|first| *first <= position);
        after.checked_sub(1).map(|i| segments[i])
    }

    /// Notes the checksum of the last line before each of these segments, which are in order.
    pub(crate) fn note_chains(&self, chains: Vec<(u64, u64)>) {
        // They are noted once, right after the index was made.
        let _ = self.chains.set(chains);
    }

    /// The checksum of the last line before the segment that begins at `first`, if it was noted.
    pub(crate) fn noted_chain(&self, first: u64) -> Option<u64> {
        let chains = self.chains.get()?;
        let place = chains.binary_search_by_key(&first, |(segment, _)| *segment);
        place.ok().map(|place| chains[place].1)
    }

    /// Where the durable lines end; `None` if nobody writes the journal.
    pub(crate) fn end(&self) -> Option<End> {
        *lock(&self.end)
    }

    pub(crate) fn set_end(&self, end: End) {
        *lock(&self.end) = Some(end);
    }

    /// Adds the segment that begins at `first`, which follows all others.
    pub(crate) fn add(&self, first: u64) {
        let mut segments = self.segments();
        if segments.last().is_none_or(|last| *last < first) {
            segments.push(first);
        }
    }

    /// The file of the segment that begins at `first`.
    pub(crate) fn path(&self, first: u64) -> PathBuf {
        segment_file(&self.dir, first)
    }

    /// Opens the segment that begins at `first` for reading.
    pub(crate) fn open(&self, first: u64) -> StorageResult<SegmentFile> {
        if let Some(segment) = SegmentFile::open_if_there(&self.dir, first)? {
            return Ok(segment);
        }
        // Another process may have dropped it meanwhile.
        let beginning = Beginning::read(&self.dir)?;
        if first <= beginning.dropped {
            return Err(StorageError::dropped(first - 1, beginning.dropped));
        }
        SegmentFile::open(&self.dir, first)
    }
}

/// The file of a future segment, prepared before its use.
#[derive(Debug)]
pub(crate) struct Spare {
    file: File,
    capacity: u64,
}

impl Spare {
    /// The name of the spare `number` until it becomes a segment.
    pub(crate) fn name(number: u64) -> String {
        paths::spare(number)
    }

    /// Whether a file has the name of a spare.
    pub(crate) fn is_one(path: &Path) -> bool {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(paths::is_spare)
    }

    /// Removes the spares that an earlier process left in `dir`, and returns how many.
    pub(crate) fn remove_all(dir: &Path) -> StorageResult<usize> {
        disk::remove_from(dir, Self::is_one)
    }

    /// Creates the file `name` of `capacity` zeros in `dir` and makes it durable. No earlier spare
    /// may have had this name: it may be in use as a segment now.
    pub(crate) fn create(dir: &Path, name: &str, capacity: u64) -> StorageResult<Self> {
        let path = dir.join(name);
        let create = || -> io::Result<File> {
            let file = File::open(&path, Open::New)?;
            let zeros = vec![0; 64 * 1024];
            for offset in (0..capacity).step_by(zeros.len()) {
                let left = usize::try_from(capacity - offset).unwrap_or(usize::MAX);
                file.write_at(offset, &zeros[..left.min(zeros.len())])?;
            }
            file.sync_all()?;
            Ok(file)
        };
        match create() {
            Ok(file) => Ok(Self { file, capacity }),
            Err(error) => {
                // An unfinished file takes the space that the next attempt needs.
                let _ = disk::remove(&path);
                Err(StorageError::io("prepare", &path, error))
            }
        }
    }
}

/// Why a batch is not in the journal.
#[derive(Debug)]
pub(crate) enum AppendError {
    /// The batch could not be written. Any written part is erased.
    NotStored(StorageError),
    /// Whether the batch is durable is unknown. The journal must not be used any more.
    Unknown(StorageError),
}

impl AppendError {
    pub(crate) fn into_error(self) -> StorageError {
        match self {
            Self::NotStored(error) | Self::Unknown(error) => error,
        }
    }
}

/// The journal, open for writing at its end. Only the committer has it.
#[derive(Debug)]
pub(crate) struct Journal {
    dir: PathBuf,
    index: std::sync::Arc<Index>,
    file: File,
    /// Whether the file system counts the links of a file. Some report 0 links for every file.
    counts_links: bool,
    capacity: u64,
    end: End,
    identity: Identity,
    /// The source of the commits' times.
    clock: Clock,
    /// The note that the store is open. It must be durable before the next batch or segment.
    owed: Option<RedoPoint>,
    /// Memory for the bytes of the next batch.
    memory: Vec<u8>,
}

impl Journal {
    /// Starts a journal in an empty directory.
    pub(crate) fn create(dir: &Path) -> StorageResult<Self> {
        let spare = Spare::create(dir, "first.tmp", FIRST_SEGMENT)?;
        let index = std::sync::Arc::new(Index::new(dir.to_owned(), Vec::new()));
        let mut journal = Self {
            dir: dir.to_owned(),
            index,
            capacity: spare.capacity,
            file: File::open(spare.file.path(), Open::Existing)
                .map_err(|e| StorageError::io("open", spare.file.path(), e))?,
            counts_links: false,
            end: End::of_empty(1, 0),
            identity: Identity::new(),
            clock: Clock::System,
            owed: None,
            memory: Vec::new(),
        };
        journal
            .start_segment(spare)
            .map_err(AppendError::into_error)?;
        Ok(journal)
    }

    /// Opens the journal to continue at `end`.
    pub(crate) fn resume(dir: &Path, segments: Vec<u64>, end: End) -> StorageResult<Self> {
        let path = segment_path(dir, end.segment);
        let file = match File::open(&path, Open::Existing) {
            Err(_) if segment_file(dir, end.segment) != path => {
                let following = segment_path(dir, end.position + 1);
                let cause =
                    "the file is missing: the segment before it is compressed, so it was there";
                return Err(StorageError::damaged(&following, 0, cause));
            }
            opened => opened.map_err(|e| StorageError::io("open", &path, e))?,
        };
        let start = file
            .read_at(0, HEADER_MOST)
            .map_err(|e| StorageError::io("read", &path, e))?;
        let identity = match identity_in(&start) {
            None => newest_identity(dir, &segments)?,
            known => known,
        };
        let looked_at = |e| StorageError::io("look at", &path, e);
        let capacity = file.length().map_err(looked_at)?;
        let index = Index::new(dir.to_owned(), segments);
        index.set_end(end);
        Ok(Self {
            dir: dir.to_owned(),
            index: std::sync::Arc::new(index),
            counts_links: !file.is_deleted().map_err(looked_at)?,
            file,
            capacity,
            end,
            identity: identity.unwrap_or_else(Identity::new),
            clock: Clock::System,
            owed: None,
            memory: Vec::new(),
        })
    }

    /// Takes a checkpoint, to write it before the next batch or segment. The existing checkpoint may say
    /// that the journal ends here. So a store that is only read writes none. Invariant D7.
    pub(crate) fn owe(&mut self, checkpoint: RedoPoint) {
        self.owed = Some(checkpoint);
    }

    /// Sets the clock that gives commits their time.
    pub(crate) fn set_clock(&mut self, clock: Clock) {
        self.clock = clock;
    }

    /// A failed sync of the directory ends all writing: the note may never reach the disk, and a journal
    /// that goes on behind the end with which it was closed is damaged. Invariant D3.
    fn pay(&mut self) -> Result<(), AppendError> {
        let Some(checkpoint) = &self.owed else {
            return Ok(());
        };
        let written = match checkpoint.write(&self.dir) {
            // Invariant D7.
            Err(error) if error.is_full() => match Spare::remove_all(&self.dir) {
                Ok(0) | Err(_) => Err(error),
                Ok(_) => checkpoint.write(&self.dir),
            },
            written => written,
        };
        written.map_err(|error| {
            if failed_syncs::is_remembered(&self.dir) {
                AppendError::Unknown(error)
            } else {
                AppendError::NotStored(error)
            }
        })?;
        self.owed = None;
        Ok(())
    }

    pub(crate) fn index(&self) -> std::sync::Arc<Index> {
        self.index.clone()
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn end(&self) -> End {
        self.end
    }

    /// Whether `size` more bytes fit into the zeros of the segment.
    pub(crate) fn has_room_for(&self, size: u64) -> bool {
        self.end.offset + size <= self.capacity
    }

    /// The size that the next segment should have.
    pub(crate) fn next_capacity(&self) -> u64 {
        (self.capacity * 2).clamp(FIRST_SEGMENT, LARGEST_SEGMENT)
    }

    /// Seals the current segment and continues in `spare`. Makes the new segment's name durable.
    ///
    /// # Errors
    ///
    /// [`AppendError::Unknown`] if the new segment may or may not exist after a crash. Then the
    /// current one must not be written any more.
    pub(crate) fn start_segment(&mut self, spare: Spare) -> Result<(), AppendError> {
        let first = self.end.position + 1;
        let path = segment_path(&self.dir, first);
        self.pay()?;
        let Spare { file, capacity } = spare;
        let file = file.rename_to(&path).map_err(AppendError::NotStored)?;
        disk::sync_dir(&self.dir).map_err(AppendError::Unknown)?;
        if self.end.offset > 0 {
            // This only saves space: readers also stop at zeros.
            let _ = self.file.set_len(self.end.offset);
        }
        self.counts_links = !file.is_deleted().unwrap_or(true);
        self.file = file;
        self.capacity = capacity;
        self.end = self.end.of_next();
        self.index.add(first);
        self.index.set_end(self.end);
        Ok(())
    }

    /// An empty batch, or one with the header if it is the first of a segment. The batch's commits
    /// get the current time, or the time of the last commit if the clock went back.
    pub(crate) fn begin_batch(&mut self) -> JournalBatch {
        let mut batch = JournalBatch {
            bytes: std::mem::take(&mut self.memory),
            end: self.end,
            durable: self.end.position,
            first: 0,
        };
        batch.end.ms = self.clock.now_ms().max(self.end.ms);
        if batch.end.offset == 0 {
            let (first, previous) = (self.end.segment, self.end.chain);
            batch.end.chain = write_header(&mut batch.bytes, self.identity, first, previous);
            batch.first = batch.bytes.len();
        }
        batch
    }

    /// Takes the memory of a finished batch for the next one.
    pub(crate) fn reuse(&mut self, batch: JournalBatch) {
        self.memory = batch.bytes;
        empty(&mut self.memory);
    }

    /// Writes a batch and makes it durable.
    pub(crate) fn append(&mut self, batch: &JournalBatch) -> Result<(), AppendError> {
        self.pay()?;
        let path = || segment_path(&self.dir, self.end.segment);
        if let Err(error) = self.file.write_at(self.end.offset, &batch.bytes) {
            let error = StorageError::io("write", &path(), error);
            return match self.erase(batch.bytes.len() as u64) {
                Ok(()) => Err(AppendError::NotStored(error)),
                Err(_) => Err(AppendError::Unknown(error)),
            };
        }
        self.file
            .sync_data()
            .map_err(|e| AppendError::Unknown(StorageError::io("sync", &path(), e)))?;
        // Invariant C11.
        // The content of a deleted file is lost when the file is closed.
        if self.is_deleted() {
            return Err(AppendError::Unknown(self.deleted()));
        }
        self.end = End {
            offset: self.end.offset + batch.bytes.len() as u64,
            ..batch.end
        };
        self.capacity = self.capacity.max(self.end.offset);
        self.index.set_end(self.end);
        Ok(())
    }

    /// Whether the journal's file was deleted while the store is open. False if the file system
    /// does not report it.
    pub(crate) fn is_deleted(&self) -> bool {
        self.counts_links && self.file.is_deleted().unwrap_or(false)
    }

    /// The error for a deleted journal.
    pub(crate) fn deleted(&self) -> StorageError {
        let path = segment_path(&self.dir, self.end.segment);
        let cause = "was deleted while the store was open";
        StorageError::file(StorageErrorKind::Missing, &path, cause)
    }

    /// Erases durably any bytes written after the end: a line that was answered with an error must
    /// not come back after a crash. Invariant C6.
    fn erase(&self, size: u64) -> io::Result<()> {
        self.file.set_len(self.end.offset)?;
        // Extends the file with zeros again. Appending to them is slower than to written zeros.
        self.file
            .set_len(self.capacity.max(self.end.offset + size))?;
        self.file.sync_all()
    }
}

/// The identity in the header of the newest segment that has one, `None` if no segment has one.
pub(crate) fn newest_identity(dir: &Path, segments: &[u64]) -> StorageResult<Option<Identity>> {
    for first in segments.iter().rev() {
        let start = SegmentFile::open(dir, *first)?.start()?;
        let identity = identity_in(&start);
        if identity.is_some() {
            return Ok(identity);
        }
    }
    Ok(None)
}

/// The identity in the header at the `start` of a segment.
fn identity_in(start: &[u8]) -> Option<Identity> {
    let line = start.split(|byte| *byte == b'\n').next()?;
    Header::read(line).ok().map(|header| header.identity)
}
