//! The open files of streams: a small cache, so that descriptors stay few however many streams
//! are written.

use std::collections::HashMap;
use std::fs::TryLockError;
use std::io;

use super::disk::{self, File, Open};
use super::stream::{Stream, stream_error};
use crate::stream::StreamId;

/// How many files are kept open, and how many streams one batch may touch.
pub(crate) const OPEN_FILES: usize = 128;

/// Open stream files, each locked against other programs the way `eventfold` locks it.
#[derive(Debug, Default)]
pub(crate) struct Files {
    open: HashMap<StreamId, OpenFile>,
    clock: u64,
}

#[derive(Debug)]
struct OpenFile {
    file: File,
    last_use: u64,
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        // Closing is not enough: a process that is being started at this moment shares the
        // descriptor, and the lock with it, until it executes its program.
        let _ = self.file.unlock();
    }
}

impl Files {
    /// Opens the file of `stream`, creates it if the stream is new, and checks that it is as long
    /// as it was left.
    pub(crate) fn prepare(&mut self, stream: &Stream, length: u64) -> io::Result<()> {
        let file = self.get(stream)?;
        let actual = file.length()?;
        if actual == length {
            return Ok(());
        }
        self.close(stream);
        let cause = format!("was changed by another program: {actual} bytes, not {length}");
        Err(stream_error(stream, io::ErrorKind::ResourceBusy, &cause))
    }

    /// Writes `lines` to the file of `stream` at `offset`.
    pub(crate) fn write(&mut self, stream: &Stream, offset: u64, lines: &[u8]) -> io::Result<()> {
        let written = self
            .get(stream)
            .and_then(|file| file.write_at(offset, lines));
        if written.is_err() {
            self.close(stream);
        }
        written.map_err(|e| disk::at("write", &stream.file(), &e))
    }

    /// Cuts the file of `stream` off at `length`.
    pub(crate) fn cut(&mut self, stream: &Stream, length: u64) -> io::Result<()> {
        self.get(stream)?
            .set_len(length)
            .map_err(|e| disk::at("cut", &stream.file(), &e))
    }

    fn close(&mut self, stream: &Stream) {
        self.open.remove(stream.id());
    }

    fn get(&mut self, stream: &Stream) -> io::Result<&File> {
        self.clock += 1;
        let now = self.clock;
        if !self.open.contains_key(stream.id()) {
            if self.open.len() >= OPEN_FILES {
                let oldest = self.open.iter().min_by_key(|(_, open)| open.last_use);
                if let Some(id) = oldest.map(|(id, _)| id.clone()) {
                    self.open.remove(&id);
                }
            }
            let file = open(stream)?;
            let last_use = now;
            self.open
                .insert(stream.id().clone(), OpenFile { file, last_use });
        }
        let open = self
            .open
            .get_mut(stream.id())
            .expect("it was just put there");
        open.last_use = now;
        Ok(&open.file)
    }
}

fn open(stream: &Stream) -> io::Result<File> {
    let path = stream.file();
    let file = match File::open(&path, Open::Create) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            disk::create_dir(stream.dir())?;
            File::open(&path, Open::Create)
        }
        opened => opened,
    };
    let file = file.map_err(|e| disk::at("open", &path, &e))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let cause = "is locked by another program";
            Err(stream_error(stream, io::ErrorKind::ResourceBusy, cause))
        }
        Err(TryLockError::Error(error)) => Err(disk::at("lock", &path, &error)),
    }
}
