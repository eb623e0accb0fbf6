//! The open files of streams: a small cache, so that many written streams need few descriptors.

use std::collections::{HashMap, VecDeque};
use std::fs::TryLockError;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::storage::error::{StorageError, StorageErrorKind, StorageResult};
use crate::storage::files::disk;
use crate::storage::files::disk::{File, Open};
use crate::storage::files::layout::ARCHIVE_FILE;
use crate::storage::files::names::explained;
use crate::storage::files::streams::content::Content;
use crate::storage::files::streams::file::StreamFile;
use crate::storage::files::streams::mark::StreamHash;
use crate::storage::files::streams::stream::{Stream, stream_error};

/// How many files stay open at most.
const OPEN_FILES: usize = 192;
/// How many files are checked in the search for one to close.
const MOST_LOOKED_AT: usize = 16;
/// How many streams one batch may touch. Their files are in use until the batch is written, so this
/// is less than the number of files that may be open.
pub(crate) const STREAMS_OF_A_BATCH: usize = 128;

/// Open stream files. A file in use stays open.
#[derive(Debug, Default)]
pub(crate) struct OpenFiles {
    cache: Mutex<Cache>,
}

#[derive(Debug, Default)]
struct Cache {
    open: HashMap<StreamHash, Cached>,
    /// All open files. The first is closed next, unless it was used since it was last the first.
    order: VecDeque<StreamHash>,
}

#[derive(Debug)]
struct Cached {
    file: Arc<StreamFile>,
    /// The file was used since it was last the first in `order`.
    was_used: bool,
}

impl OpenFiles {
    /// Opens or creates the file of `stream`, and checks that it is `length` bytes long.
    pub(crate) fn prepare(&self, stream: &Stream, length: u64) -> StorageResult<Arc<StreamFile>> {
        self.get(stream)
            .and_then(|file| self.checked(stream, file, length))
    }

    /// As [`prepare`](Self::prepare), if the file is already open.
    pub(crate) fn find_open(
        &self,
        stream: &Stream,
        length: u64,
    ) -> StorageResult<Option<Arc<StreamFile>>> {
        let found = self.cache().find(stream.hash());
        found
            .map(|file| self.checked(stream, file, length))
            .transpose()
    }

    /// Fails if `file` is not `length` bytes long. Invariant C2.
    fn checked(
        &self,
        stream: &Stream,
        file: Arc<StreamFile>,
        length: u64,
    ) -> StorageResult<Arc<StreamFile>> {
        let actual = file
            .length()
            .map_err(|e| StorageError::io("look at", &stream.file(), e))?;
        if actual == length {
            return Ok(file);
        }
        drop(file);
        self.close(stream);
        Err(changed(stream, length, actual))
    }

    /// Writes `lines` to the file of `stream` at `offset`, and overwrites what is there.
    pub(crate) fn write(&self, stream: &Stream, offset: u64, lines: &[u8]) -> StorageResult<()> {
        let written = self.get(stream).and_then(|file| {
            file.write_at(offset, lines)
                .map_err(|e| StorageError::io("write", &stream.file(), e))
        });
        self.closed_if_failed(stream, written)
    }

    /// Removes what is behind `offset` in the file of `stream`.
    pub(crate) fn cut(&self, stream: &Stream, offset: u64) -> StorageResult<()> {
        let cut = self.get(stream).and_then(|file| {
            file.cut(offset)
                .map_err(|e| StorageError::io("cut", &stream.file(), e))
        });
        self.closed_if_failed(stream, cut)
    }

    /// Appends `lines` to the file of `stream`, which must end at `offset`. Fails if another
    /// program has written to the file. `file` is the stream's file if it is already open.
    pub(crate) fn append(
        &self,
        stream: &Stream,
        file: Option<Arc<StreamFile>>,
        offset: u64,
        lines: &[u8],
    ) -> StorageResult<()> {
        let append = || -> StorageResult<()> {
            let file = file.map_or_else(|| self.get(stream), Ok)?;
            let failed = |action| move |e| StorageError::io(action, &stream.file(), e);
            let length = file.length().map_err(failed("look at"))?;
            // A failed attempt may have left a part of the lines. Invariant D8.
            if length != offset
                && !file
                    .ends_with_start_of(lines, offset, length)
                    .map_err(failed("read"))?
            {
                return Err(changed(stream, offset, length));
            }
            file.write_at(offset, lines).map_err(failed("write"))
        };
        let appended = append();
        self.closed_if_failed(stream, appended)
    }

    fn closed_if_failed(&self, stream: &Stream, written: StorageResult<()>) -> StorageResult<()> {
        if written.is_err() {
            self.close(stream);
        }
        written
    }

    /// Replaces the file of `stream` with a new file of the same content, if the stream has one.
    /// Fails if another program has the file locked: that program would continue with the old file.
    pub(crate) fn renew(&self, stream: &Stream) -> StorageResult<()> {
        let path = stream.file();
        if disk::find(&path)
            .map_err(|e| StorageError::io("find", &path, e))?
            .is_none()
        {
            return Ok(());
        }
        self.close(stream);
        let old = open(stream)?;
        if stream.is_rotated() {
            disk::renew(&stream.dir().join(ARCHIVE_FILE))?;
        }
        disk::renew(&path)?;
        drop(old);
        Ok(())
    }

    /// Closes the file of `stream`, and returns it, opened anew. Nobody else may use it meanwhile.
    pub(crate) fn take_out(&self, stream: &Stream) -> StorageResult<StreamFile> {
        self.close(stream);
        open(stream)
    }

    /// How many files are open.
    pub(crate) fn len(&self) -> usize {
        self.cache().open.len()
    }

    /// Whether one more file can be opened. False if the cache is full of files in use.
    pub(crate) fn has_room(&self) -> bool {
        let cache = self.cache();
        cache.open.len() < OPEN_FILES || cache.open.values().any(Cached::is_unused)
    }

    /// Closes a forked child's copies of the files, unless a thread of its parent used the cache.
    pub(crate) fn close_copies(&self) {
        if let Ok(mut cache) = self.cache.try_lock() {
            *cache = Cache::default();
        }
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self, stream: &Stream) {
        let mut cache = self.cache();
        // Dropped under the cache's lock, so that no thread opens the file before it is unlocked.
        if let Some(closed) = cache.open.remove(&stream.hash()) {
            cache.order.retain(|other| *other != stream.hash());
            drop(closed);
        }
    }

    fn get(&self, stream: &Stream) -> StorageResult<Arc<StreamFile>> {
        if let Some(file) = self.cache().find(stream.hash()) {
            return Ok(file);
        }
        // The cache is not locked during the open. No two threads open the same file: at any time
        // either the committer or the stream writer opens a stream's file.
        let file = Arc::new(open(stream)?);
        self.cache().keep(stream.hash(), &file);
        Ok(file)
    }
}

impl Cache {
    fn find(&mut self, stream: StreamHash) -> Option<Arc<StreamFile>> {
        let cached = self.open.get_mut(&stream)?;
        cached.was_used = true;
        Some(cached.file.clone())
    }

    /// Adds a file to the cache, and closes another one if the cache is full. If none can be
    /// closed, the file is not added.
    fn keep(&mut self, stream: StreamHash, file: &Arc<StreamFile>) {
        if self.open.len() >= OPEN_FILES && !self.close_one() {
            return;
        }
        let cached = Cached {
            file: file.clone(),
            was_used: false,
        };
        self.open.insert(stream, cached);
        self.order.push_back(stream);
    }

    /// Closes a file that was not used for some time. Checks only a few files.
    fn close_one(&mut self) -> bool {
        for _ in 0..MOST_LOOKED_AT {
            let Some(first) = self.order.pop_front() else {
                return false;
            };
            match self.open.get_mut(&first) {
                Some(cached) if cached.is_unused() && !cached.was_used => {
                    // Closed under the cache's lock: a thread that misses the file must be able to
                    // lock it.
                    drop(self.open.remove(&first));
                    return true;
                }
                Some(cached) => cached.was_used = false,
                None => continue,
            }
            self.order.push_back(first);
        }
        false
    }
}

impl Cached {
    fn is_unused(&self) -> bool {
        Arc::strong_count(&self.file) == 1
    }
}

fn open(stream: &Stream) -> StorageResult<StreamFile> {
    let path = stream.file();
    let file = match File::open(&path, Open::Create) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            disk::create_dir(stream.dir())?;
            File::open(&path, Open::Create)
        }
        opened => opened,
    };
    let file = file.map_err(|e| StorageError::io("open", &path, e))?;
    match StreamFile::lock(file) {
        Ok(file) => {
            stream.set_locked();
            if !stream.is_rotated() {
                return Ok(file);
            }
            Ok(match Content::open(stream)? {
                Some(content) => file.after(content.base(), content.compressed_end()),
                None => file,
            })
        }
        Err(TryLockError::WouldBlock) => {
            let cause = "is locked by another program";
            let error = stream_error(stream, StorageErrorKind::Busy, cause);
            Err(explained(stream, error))
        }
        Err(TryLockError::Error(error)) => Err(StorageError::io("lock", &path, error)),
    }
}

fn changed(stream: &Stream, length: u64, actual: u64) -> StorageError {
    let cause = format!("was changed by another program: it has {actual} bytes, not {length}");
    explained(stream, stream_error(stream, StorageErrorKind::Busy, cause))
}
