//! A stream's file that is open for writing: [`StreamFile`].

use std::fs::TryLockError;
use std::io;

use crate::storage::files::disk::File;
use crate::storage::process::Process;

/// A stream's file, locked against other programs in the way that `eventfold` locks it.
#[derive(Debug)]
pub(crate) struct StreamFile {
    file: File,
    /// How many bytes of the stream's lines were rotated out of the file. Offsets count them.
    base: u64,
    /// Where the compressed lines end. After an interrupted rotation the file begins with some of
    /// them. They are not written again: after a torn write they would look like new lines.
    compressed_end: u64,
    /// The process that locked the file.
    process: Process,
}

impl StreamFile {
    /// Locks `file`.
    pub(crate) fn lock(file: File) -> Result<Self, TryLockError> {
        file.try_lock()?;
        let process = Process::this();
        Ok(Self {
            file,
            base: 0,
            compressed_end: 0,
            process,
        })
    }

    /// The same file, whose lines come after `base` bytes of rotated ones. The compressed lines end at
    /// `compressed_end`, which is more than `base` if the file has some of them too.
    pub(crate) fn after(mut self, base: u64, compressed_end: u64) -> Self {
        self.base = base;
        self.compressed_end = compressed_end;
        self
    }

    /// Makes the file durable.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    /// How many bytes the stream's lines have.
    pub(crate) fn length(&self) -> io::Result<u64> {
        Ok(self.base + self.file.length()?)
    }

    /// Removes what is behind `offset`, but for lines that are compressed.
    pub(crate) fn cut(&self, offset: u64) -> io::Result<()> {
        let offset = offset.max(self.compressed_end).max(self.base);
        if self.length()? > offset {
            self.file.set_len(offset - self.base)?;
        }
        Ok(())
    }

    /// Writes all of `lines` at `offset`, but for those that are compressed.
    pub(crate) fn write_at(&self, offset: u64, lines: &[u8]) -> io::Result<()> {
        let end = self.compressed_end;
        let compressed = usize::try_from(end.saturating_sub(offset)).unwrap_or(usize::MAX);
        match lines.get(compressed..) {
            Some(rest) if compressed == 0 || !rest.is_empty() => {
                self.file.write_at(offset.max(end) - self.base, rest)
            }
            _ => Ok(()),
        }
    }

    /// Whether the file's bytes from `offset` to its end at `length` are the beginning of `lines`.
    pub(crate) fn ends_with_start_of(
        &self,
        lines: &[u8],
        offset: u64,
        length: u64,
    ) -> io::Result<bool> {
        match length.checked_sub(offset) {
            Some(rest) if rest <= lines.len() as u64 && offset >= self.base => {
                let there = self.file.read_at(offset - self.base, rest)?;
                Ok(lines.starts_with(&there))
            }
            _ => Ok(false),
        }
    }
}

impl Drop for StreamFile {
    fn drop(&mut self) {
        // Closing is not enough: a child process that is just being started shares the descriptor
        // and the lock until it executes its program. In a forked child the lock belongs to the
        // parent.
        if self.process.is_this() {
            self.file.unlock();
        }
    }
}
