//! A stream's file that is open for writing: [`StreamFile`].

use std::fs::TryLockError;
use std::io;

use crate::storage::files::disk::File;
use crate::storage::process::Process;

/// A stream's file, locked against other programs in the way that `eventfold` locks it.
#[derive(Debug)]
pub(crate) struct StreamFile {
    file: File,
    /// The process that locked the file.
    process: Process,
}

impl StreamFile {
    /// Locks `file`.
    pub(crate) fn lock(file: File) -> Result<Self, TryLockError> {
        file.try_lock()?;
        let process = Process::this();
        Ok(Self { file, process })
    }

    pub(crate) fn length(&self) -> io::Result<u64> {
        self.file.length()
    }

    /// Writes all of `lines` at `offset`.
    pub(crate) fn write_at(&self, offset: u64, lines: &[u8]) -> io::Result<()> {
        self.file.write_at(offset, lines)
    }

    /// Whether the file's bytes from `offset` to its end at `length` are the beginning of `lines`.
    pub(crate) fn ends_with_start_of(
        &self,
        lines: &[u8],
        offset: u64,
        length: u64,
    ) -> io::Result<bool> {
        match length.checked_sub(offset) {
            Some(rest) if rest <= lines.len() as u64 => {
                let there = self.file.read_at(offset, rest)?;
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
