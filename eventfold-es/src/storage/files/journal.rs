//! The journal: every commit of a store, in one order, in one place.
//!
//! `journal/<first position>.jsonl` are its segments, one line a commit ([`commit_line`]). A
//! segment is filled with zeros ahead of its use, so that making a batch durable changes no size
//! for the file system to commit. Sealed segments are kept: together they are the global log.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::clock::Clock;
use crate::storage::files::disk;
use crate::storage::files::disk::{File, Open};
use crate::storage::files::format::commit_line::write_header;
use crate::storage::files::recovery::redo_point::RedoPoint;
use crate::text::shown;

pub(crate) mod batch;
pub(crate) mod end;
pub(crate) mod paths;
pub(crate) mod reader;

use crate::storage::files::format::commit_line::{HEADER_MOST, Header, Identity};
use batch::JournalBatch;
use end::End;
use paths::segment_path;

/// The first segment's size; each further one is twice as large, up to [`LARGEST_SEGMENT`]. Small
/// in this crate's own tests, so that they get to see many segments.
pub(crate) const FIRST_SEGMENT: u64 = if cfg!(test) { 2 } else { 256 } * 1024;
/// The size at which segments stop to grow.
pub(crate) const LARGEST_SEGMENT: u64 = if cfg!(test) { 4 } else { 16 * 1024 } * 1024;

/// How much memory is kept from one batch, or what is to become one, to the next.
const MOST_MEMORY: usize = 1024 * 1024;

/// Empties `bytes` for their next use, with as much of their memory as is worth keeping.
pub(crate) fn empty(bytes: &mut Vec<u8>) {
    bytes.clear();
    bytes.shrink_to(MOST_MEMORY);
}

/// Which segments there are; shared with those who read them.
#[derive(Debug)]
pub(crate) struct Index {
    dir: PathBuf,
    segments: Mutex<Vec<u64>>,
}

impl Index {
    pub(crate) fn new(dir: PathBuf, segments: Vec<u64>) -> Self {
        Self {
            dir,
            segments: Mutex::new(segments),
        }
    }

    fn segments(&self) -> MutexGuard<'_, Vec<u64>> {
        self.segments.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The segment that holds `position`, or the last one before it.
    pub(crate) fn holding(&self, position: u64) -> Option<u64> {
        let segments = self.segments();
        let after = segments.partition_point(|first| *first <= position);
        after.checked_sub(1).map(|i| segments[i])
    }

    pub(crate) fn path(&self, first: u64) -> PathBuf {
        segment_path(&self.dir, first)
    }
}

/// A segment's file, prepared ahead of its use.
#[derive(Debug)]
pub(crate) struct Spare {
    file: File,
    capacity: u64,
}

impl Spare {
    /// The name of the spare `number`, as long as it is one.
    pub(crate) fn name(number: u64) -> String {
        paths::spare(number)
    }

    /// Whether a file is a spare by its name.
    pub(crate) fn is_one(path: &Path) -> bool {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(paths::is_spare)
    }

    /// Removes the spares that an earlier run has left in `dir`, and returns how many.
    pub(crate) fn remove_all(dir: &Path) -> io::Result<usize> {
        disk::remove_from(dir, Self::is_one)
    }

    /// Creates the file `name` of `capacity` zeros in `dir` and makes it durable. No other spare has
    /// had that name: an older one of the same name may be in use under another by now.
    pub(crate) fn create(dir: &Path, name: &str, capacity: u64) -> io::Result<Self> {
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
                // Half a file would only take the space that the next attempt needs.
                let _ = disk::remove(&path);
                Err(disk::at("prepare", &path, &error))
            }
        }
    }
}

/// Why a batch is not in the journal.
#[derive(Debug)]
pub(crate) enum AppendError {
    /// It could not be written, and what was written of it is gone again.
    NotStored(io::Error),
    /// Whether it is durable is unknown: the journal must not be used any more.
    Unknown(io::Error),
}

impl AppendError {
    pub(crate) fn into_io(self) -> io::Error {
        match self {
            Self::NotStored(error) | Self::Unknown(error) => error,
        }
    }
}

/// The end of the journal, open for writing. There is one, and the committer has it.
#[derive(Debug)]
pub(crate) struct Journal {
    dir: PathBuf,
    index: std::sync::Arc<Index>,
    file: File,
    /// Whether the file system tells how many names a file has; some say none of every file.
    counts_links: bool,
    capacity: u64,
    end: End,
    identity: Identity,
    /// Where commits have their time from.
    clock: Clock,
    /// What must be written before the journal goes on.
    owed: Option<RedoPoint>,
    /// Memory for the bytes of the next batch.
    memory: Vec<u8>,
}

impl Journal {
    /// Starts a journal in an empty directory.
    pub(crate) fn create(dir: &Path) -> io::Result<Self> {
        let spare = Spare::create(dir, "first.tmp", FIRST_SEGMENT)?;
        let index = std::sync::Arc::new(Index::new(dir.to_owned(), Vec::new()));
        let mut journal = Self {
            dir: dir.to_owned(),
            index,
            capacity: spare.capacity,
            file: File::open(spare.file.path(), Open::Existing)?,
            counts_links: false,
            end: End::of_empty(1, 0),
            identity: Identity::new(),
            clock: Clock::System,
            owed: None,
            memory: Vec::new(),
        };
        journal.start_segment(spare).map_err(AppendError::into_io)?;
        Ok(journal)
    }

    /// Opens the journal to go on at `end`.
    pub(crate) fn resume(dir: &Path, segments: Vec<u64>, end: End) -> io::Result<Self> {
        let identity = newest_identity(dir, &segments)?;
        let path = segment_path(dir, end.segment);
        let file = File::open(&path, Open::Existing).map_err(|e| disk::at("open", &path, &e))?;
        let capacity = file.length()?;
        Ok(Self {
            dir: dir.to_owned(),
            index: std::sync::Arc::new(Index::new(dir.to_owned(), segments)),
            counts_links: !file.is_deleted()?,
            file,
            capacity,
            end,
            identity: identity.unwrap_or_else(Identity::new),
            clock: Clock::System,
            owed: None,
            memory: Vec::new(),
        })
    }

    /// Has a checkpoint written before the journal goes on, for which there is no space now: the one that
    /// is there may say that the journal ends here. Invariant D7.
    pub(crate) fn owe(&mut self, checkpoint: RedoPoint) {
        self.owed = Some(checkpoint);
    }

    /// Has commits take their time from `clock`.
    pub(crate) fn set_clock(&mut self, clock: Clock) {
        self.clock = clock;
    }

    fn pay(&mut self) -> io::Result<()> {
        if let Some(checkpoint) = &self.owed {
            checkpoint.write(&self.dir)?;
            self.owed = None;
        }
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

    /// Whether about `size` more bytes fit into the space that is filled with zeros.
    pub(crate) fn has_room_for(&self, size: u64) -> bool {
        self.end.offset + size <= self.capacity
    }

    /// The size that the next segment should have.
    pub(crate) fn next_capacity(&self) -> u64 {
        (self.capacity * 2).clamp(FIRST_SEGMENT, LARGEST_SEGMENT)
    }

    /// Seals the current segment and goes on in `spare`, whose name becomes durable here.
    ///
    /// # Errors
    ///
    /// [`AppendError::Unknown`] if the new segment may be there or not after a crash, so that the
    /// current one must not be written any more.
    pub(crate) fn start_segment(&mut self, spare: Spare) -> Result<(), AppendError> {
        let first = self.end.position + 1;
        let path = segment_path(&self.dir, first);
        self.pay().map_err(AppendError::NotStored)?;
        let Spare { file, capacity } = spare;
        let file = file.rename_to(&path).map_err(AppendError::NotStored)?;
        disk::sync_dir(&self.dir).map_err(AppendError::Unknown)?;
        if self.end.offset > 0 {
            // Only for looks and space: a reader stops at the zeros as well.
            let _ = self.file.set_len(self.end.offset);
        }
        self.counts_links = !file.is_deleted().unwrap_or(true);
        self.file = file;
        self.capacity = capacity;
        self.end = self.end.of_next();
        self.index.segments().push(first);
        Ok(())
    }

    /// What must stand before the first line that goes to `end`: a new segment's header. The commits
    /// of the batch are of the time that it is now, or of that of the last one if the clock went back.
    pub(crate) fn begin_batch(&mut self) -> JournalBatch {
        let mut batch = JournalBatch {
            bytes: std::mem::take(&mut self.memory),
            end: self.end,
            durable: self.end.position,
        };
        batch.end.ms = self.clock.now_ms().max(self.end.ms);
        if batch.end.offset == 0 {
            let (first, previous) = (self.end.segment, self.end.chain);
            batch.end.chain = write_header(&mut batch.bytes, self.identity, first, previous);
        }
        batch
    }

    /// Takes back the memory of a batch that is done with, so that each need not ask for its own.
    pub(crate) fn reuse(&mut self, batch: JournalBatch) {
        self.memory = batch.bytes;
        empty(&mut self.memory);
    }

    /// Writes a batch and makes it durable.
    pub(crate) fn append(&mut self, batch: &JournalBatch) -> Result<(), AppendError> {
        self.pay().map_err(AppendError::NotStored)?;
        let path = || segment_path(&self.dir, self.end.segment);
        if let Err(error) = self.file.write_at(self.end.offset, &batch.bytes) {
            let error = disk::at("write", &path(), &error);
            return match self.erase(batch.bytes.len() as u64) {
                Ok(()) => Err(AppendError::NotStored(error)),
                Err(_) => Err(AppendError::Unknown(error)),
            };
        }
        self.file
            .sync_data()
            .map_err(|e| AppendError::Unknown(disk::at("sync", &path(), &e)))?;
        // Invariant C11.
        // What is in a deleted file is gone when it is closed.
        if self.is_deleted() {
            return Err(AppendError::Unknown(self.deleted()));
        }
        self.end = End {
            offset: self.end.offset + batch.bytes.len() as u64,
            ..batch.end
        };
        self.capacity = self.capacity.max(self.end.offset);
        Ok(())
    }

    /// Whether somebody deleted the journal under the open store, as far as the file system tells.
    pub(crate) fn is_deleted(&self) -> bool {
        self.counts_links && self.file.is_deleted().unwrap_or(false)
    }

    /// What the store has failed with then.
    pub(crate) fn deleted(&self) -> io::Error {
        let text = format!(
            "{} was deleted while the store was open",
            shown(&segment_path(&self.dir, self.end.segment))
        );
        io::Error::new(io::ErrorKind::NotFound, text)
    }

    /// Takes back what may have been written after the end, durably: a line that was answered
    /// with an error must not come back after a crash. Invariant C6.
    fn erase(&self, size: u64) -> io::Result<()> {
        self.file.set_len(self.end.offset)?;
        // Grows the file again by zeros; slower to append to than written ones, but no less right.
        self.file
            .set_len(self.capacity.max(self.end.offset + size))?;
        self.file.sync_all()
    }
}

/// What the newest segment with a header says of the directory, `None` if there is none yet.
fn newest_identity(dir: &Path, segments: &[u64]) -> io::Result<Option<Identity>> {
    for first in segments.iter().rev() {
        let path = segment_path(dir, *first);
        let mut start = Vec::new();
        disk::open(&path)
            .and_then(|file| file.take(HEADER_MOST).read_to_end(&mut start))
            .map_err(|e| disk::at("read", &path, &e))?;
        let line = start.split(|byte| *byte == b'\n').next();
        if let Some(Ok(header)) = line.map(Header::read) {
            return Ok(Some(header.identity));
        }
    }
    Ok(None)
}
