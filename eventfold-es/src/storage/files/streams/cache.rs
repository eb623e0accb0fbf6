//! The open files of streams: a small cache, so that descriptors stay few however many streams
//! are written.

use std::collections::{HashMap, VecDeque};
use std::fs::TryLockError;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::storage::files::disk;
use crate::storage::files::disk::{File, Open};
use crate::storage::files::names::explained;
use crate::storage::files::streams::file::StreamFile;
use crate::storage::files::streams::mark::StreamHash;
use crate::storage::files::streams::stream::{Stream, stream_error};

/// How many files are kept open at most.
const OPEN_FILES: usize = 192;
/// How many of them are looked at for one that can be closed.
const MOST_LOOKED_AT: usize = 16;
/// How many streams one batch may touch. Their files are in use until it is written, so that it is
/// less than may be open.
pub(crate) const STREAMS_OF_A_BATCH: usize = 128;

/// Open stream files. One that somebody uses stays open.
#[derive(Debug, Default)]
pub(crate) struct OpenFiles {
    cache: Mutex<Cache>,
}

#[derive(Debug, Default)]
struct Cache {
    open: HashMap<StreamHash, Cached>,
    /// All that are open. The first is the next to go, unless it was used since it was last here.
    order: VecDeque<StreamHash>,
}

#[derive(Debug)]
struct Cached {
    file: Arc<StreamFile>,
    /// It was found again.
    was_used: bool,
}

impl OpenFiles {
    /// Opens the file of `stream`, creates it if the stream is new, and checks that it is as long
    /// as it was left.
    pub(crate) fn prepare(&self, stream: &Stream, length: u64) -> io::Result<Arc<StreamFile>> {
        self.get(stream)
            .and_then(|file| self.checked(stream, file, length))
    }

    /// As [`prepare`](Self::prepare), if the file is open already.
    pub(crate) fn find_open(
        &self,
        stream: &Stream,
        length: u64,
    ) -> io::Result<Option<Arc<StreamFile>>> {
        let found = self.cache().find(stream.hash());
        found
            .map(|file| self.checked(stream, file, length))
            .transpose()
    }

    /// Fails unless `file` has the `length` at which it was left. Invariant C2.
    fn checked(
        &self,
        stream: &Stream,
        file: Arc<StreamFile>,
        length: u64,
    ) -> io::Result<Arc<StreamFile>> {
        let actual = file.length()?;
        if actual == length {
            return Ok(file);
        }
        drop(file);
        self.close(stream);
        Err(changed(stream, length, actual))
    }

    /// Writes `lines` to the file of `stream` at `offset`, whatever is there.
    pub(crate) fn write(&self, stream: &Stream, offset: u64, lines: &[u8]) -> io::Result<()> {
        let written = self
            .get(stream)
            .and_then(|file| file.write_at(offset, lines));
        self.closed_if_failed(stream, written)
    }

    /// Appends `lines` to the file of `stream`, which should end at `offset`, unless another
    /// program has written there. `file` is that file if it is in use already.
    pub(crate) fn append(
        &self,
        stream: &Stream,
        file: Option<Arc<StreamFile>>,
        offset: u64,
        lines: &[u8],
    ) -> io::Result<()> {
        let append = || -> io::Result<()> {
            let file = file.map_or_else(|| self.get(stream), Ok)?;
            let length = file.length()?;
            // An attempt that failed may have left a part of them. Invariant D8.
            if length != offset && !file.ends_with_start_of(lines, offset, length)? {
                return Err(changed(stream, offset, length));
            }
            file.write_at(offset, lines)
                .map_err(|e| disk::at("write", &stream.file(), &e))
        };
        let appended = append();
        if appended.is_err() {
            self.close(stream);
        }
        appended
    }

    fn closed_if_failed(&self, stream: &Stream, written: io::Result<()>) -> io::Result<()> {
        if written.is_err() {
            self.close(stream);
        }
        written.map_err(|e| disk::at("write", &stream.file(), &e))
    }

    /// Has a new file take the place of that of `stream`, if it has one. Another program must not have it
    /// locked: it would go on with the old one.
    pub(crate) fn renew(&self, stream: &Stream) -> io::Result<()> {
        let path = stream.file();
        if disk::find(&path)
            .map_err(|e| disk::at("find", &path, &e))?
            .is_none()
        {
            return Ok(());
        }
        self.close(stream);
        let old = open(stream)?;
        disk::renew(&path)?;
        drop(old);
        Ok(())
    }

    /// Whether one more file can be opened: not if all that are open are in use.
    pub(crate) fn has_room(&self) -> bool {
        let cache = self.cache();
        cache.open.len() < OPEN_FILES || cache.open.values().any(Cached::is_unused)
    }

    /// Closes a forked child's copies of the files, as far as no thread of its parent was using them.
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
        // With its lock, while nobody can open it anew.
        if let Some(closed) = cache.open.remove(&stream.hash()) {
            cache.order.retain(|other| *other != stream.hash());
            drop(closed);
        }
    }

    fn get(&self, stream: &Stream) -> io::Result<Arc<StreamFile>> {
        if let Some(file) = self.cache().find(stream.hash()) {
            return Ok(file);
        }
        // Nobody waits for the disk here. Two do not open the same one: either the committer is to
        // write a stream's file or the stream writer is.
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

    /// Takes a file in, for which another may have to go. If none can it is not kept.
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

    /// Closes a file that was not used for long; does not look for one for long.
    fn close_one(&mut self) -> bool {
        for _ in 0..MOST_LOOKED_AT {
            let Some(first) = self.order.pop_front() else {
                return false;
            };
            match self.open.get_mut(&first) {
                Some(cached) if cached.is_unused() && !cached.was_used => {
                    // Unlocked here: another thread that looks for it in vain opens and locks it.
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

fn open(stream: &Stream) -> io::Result<StreamFile> {
    let path = stream.file();
    let file = match File::open(&path, Open::Create) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            disk::create_dir(stream.dir())?;
            File::open(&path, Open::Create)
        }
        opened => opened,
    };
    let file = file.map_err(|e| disk::at("open", &path, &e))?;
    match StreamFile::lock(file) {
        Ok(file) => {
            stream.set_locked();
            Ok(file)
        }
        Err(TryLockError::WouldBlock) => {
            let cause = "is locked by another program";
            let error = stream_error(stream, io::ErrorKind::ResourceBusy, cause);
            Err(explained(stream, error))
        }
        Err(TryLockError::Error(error)) => Err(disk::at("lock", &path, &error)),
    }
}

fn changed(stream: &Stream, length: u64, actual: u64) -> io::Error {
    let cause = format!("was changed by another program: {actual} bytes, not {length}");
    explained(
        stream,
        stream_error(stream, io::ErrorKind::ResourceBusy, &cause),
    )
}
