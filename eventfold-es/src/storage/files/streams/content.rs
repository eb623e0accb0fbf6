//! The lines of a stream on the disk: those that were rotated out of its file, then those in its file.
//! Invariant S8.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use crate::storage::error::{StorageError, StorageErrorKind, StorageResult};
use crate::storage::files::disk;
use crate::storage::files::layout::{ARCHIVE_FILE, EVENTS_FILE};
use crate::storage::files::streams::rotated::Rotated;
use crate::storage::files::streams::stream::Stream;

/// How often the files are opened again if they change meanwhile.
const ATTEMPTS: u32 = 5;

/// A stream's files, open for reading. Offsets count all lines, the rotated ones first.
#[derive(Debug)]
pub(crate) struct Content {
    path: PathBuf,
    rotated: Option<Rotated>,
    file: Option<File>,
}

impl Content {
    /// The lines of `stream`, `None` if it has no file.
    ///
    /// # Errors
    ///
    /// Those of [`Rotated::open`].
    pub(crate) fn open(stream: &Stream) -> StorageResult<Option<Self>> {
        Self::in_dir(stream.dir(), stream.seed())
    }

    /// As [`open`](Self::open), by the stream's directory and the seed of its checksums.
    pub(crate) fn in_dir(dir: &Path, seed: u64) -> StorageResult<Option<Self>> {
        let (path, archive) = (dir.join(EVENTS_FILE), dir.join(ARCHIVE_FILE));
        let look = || {
            let found = disk::find(&archive).map_err(|e| StorageError::io("open", &archive, e))?;
            StorageResult::Ok(found.map(|found| (found.identity, found.length)))
        };
        let mut before = look()?;
        for _ in 0..ATTEMPTS {
            let rotated = match before {
                Some(_) => disk::open_if_there(&archive)?,
                None => None,
            };
            let file = disk::open_if_there(&path)?;
            // If lines were rotated meanwhile, they may be in neither file, as these were opened.
            let after = look()?;
            if after != before || rotated.is_some() != after.is_some() {
                before = after;
                continue;
            }
            if rotated.is_none() && file.is_none() {
                return Ok(None);
            }
            let rotated = rotated
                .map(|rotated| Rotated::open(archive, rotated, file.as_ref(), seed))
                .transpose()?;
            return Ok(Some(Self {
                path,
                rotated,
                file,
            }));
        }
        let cause = "changes again and again: another program rotates the stream";
        Err(StorageError::file(StorageErrorKind::Busy, &archive, cause))
    }

    /// The lines that were rotated out of the stream's file.
    pub(crate) fn rotated(&self) -> Option<&Rotated> {
        self.rotated.as_ref()
    }

    /// Where the lines in the stream's file begin.
    pub(crate) fn base(&self) -> u64 {
        self.rotated.as_ref().map_or(0, Rotated::length)
    }

    /// Where the compressed lines end, those included that the stream's file has too.
    pub(crate) fn compressed_end(&self) -> u64 {
        self.rotated.as_ref().map_or(0, Rotated::whole)
    }

    /// Where the lines end.
    pub(crate) fn length(&self) -> StorageResult<u64> {
        let length = match &self.file {
            Some(file) => file.metadata().map_err(|e| self.failed(e))?.len(),
            None => 0,
        };
        Ok(self.base() + length)
    }

    /// The stream's file.
    pub(crate) fn file(&self) -> Option<&File> {
        self.file.as_ref()
    }

    /// The stream's file, so that the byte at `start` is read next. `None` if it is missing, or if
    /// `start` is among the rotated lines.
    pub(crate) fn file_from(&self, start: u64) -> StorageResult<Option<&File>> {
        let (Some(mut file), Some(start)) = (self.file.as_ref(), start.checked_sub(self.base()))
        else {
            return Ok(None);
        };
        file.seek(SeekFrom::Start(start))
            .map_err(|e| self.failed(e))?;
        Ok(Some(file))
    }

    /// Up to `length` bytes from `start` on; fewer if the lines end earlier.
    pub(crate) fn read_at(&self, start: u64, length: u64) -> StorageResult<Vec<u8>> {
        let mut bytes = Vec::new();
        if let Some(rotated) = self.rotated.as_ref().filter(|_| start < self.base()) {
            let mut lines = rotated.lines_from(start)?.take(length);
            let read = lines.read_to_end(&mut bytes);
            read.map_err(|error| rotated.failed(error))?;
        }
        let read = bytes.len() as u64;
        if read < length
            && let Some(file) = self.file_from(start + read)?
        {
            // Without room, the first reads are tiny.
            let room = (length - read).min(64 * 1024);
            bytes.reserve(usize::try_from(room).unwrap_or_default());
            let rest = file.take(length - read).read_to_end(&mut bytes);
            rest.map_err(|e| self.failed(e))?;
        }
        Ok(bytes)
    }

    /// The rest of the line that the byte at `start` is in, with its line end if it has one. `start`
    /// must not be among the rotated lines.
    pub(crate) fn read_line_at(&self, start: u64) -> StorageResult<Vec<u8>> {
        let mut line = Vec::new();
        if let Some(file) = self.file_from(start)? {
            let read = BufReader::new(file).read_until(b'\n', &mut line);
            read.map_err(|e| self.failed(e))?;
        }
        Ok(line)
    }

    /// The last line that is not empty and ends at or before `offset`; `None` if no line ends at `offset`.
    pub(crate) fn line_before(&self, offset: u64) -> StorageResult<Option<Vec<u8>>> {
        if offset > self.length()? {
            return Ok(None);
        }
        let mut read_back = 4 * 1024;
        loop {
            let start = offset.saturating_sub(read_back);
            let bytes = self.read_at(start, offset - start)?;
            if !bytes.ends_with(b"\n") {
                return Ok(None);
            }
            if let Some(line) = last_line(&bytes, start == 0) {
                return Ok(Some(line.to_vec()));
            }
            if start == 0 {
                return Ok(None);
            }
            read_back *= 8;
        }
    }

    /// The lines, from the first one on.
    pub(crate) fn lines(&self) -> StorageResult<Box<dyn BufRead + '_>> {
        let file = self.file_from(self.base())?;
        let file = file.map(|file| BufReader::with_capacity(256 * 1024, file));
        Ok(match (&self.rotated, file) {
            (None, None) => Box::new(io::empty()),
            (None, Some(file)) => Box::new(file),
            (Some(rotated), None) => Box::new(rotated.lines_from(0)?),
            (Some(rotated), Some(file)) => Box::new(rotated.lines_from(0)?.chain(file)),
        })
    }

    /// The error of reading the lines.
    pub(crate) fn failed(&self, error: io::Error) -> StorageError {
        match &self.rotated {
            // `zstd` tells what it found wrong without a number of the system.
            Some(rotated) if error.raw_os_error().is_none() => rotated.failed(error),
            _ => StorageError::io("read", &self.path, error),
        }
    }
}

/// All bytes of the lines of `stream`, `None` if it has no file.
pub(crate) fn read_all(stream: &Stream) -> StorageResult<Option<Vec<u8>>> {
    let content = Content::open(stream)?;
    content
        .map(|content| content.read_at(0, u64::MAX))
        .transpose()
}

/// The last line of `bytes` that is not empty. `None` if its beginning is unknown: a line can begin
/// at the beginning of `bytes` only if `is_whole`.
pub(crate) fn last_line(bytes: &[u8], is_whole: bool) -> Option<&[u8]> {
    let bytes = bytes.strip_suffix(b"\n")?;
    let end = bytes.len() - bytes.iter().rev().take_while(|b| **b == b'\n').count();
    let bytes = &bytes[..end];
    match bytes.iter().rposition(|byte| *byte == b'\n') {
        Some(newline) => Some(&bytes[newline + 1..]),
        None => (is_whole && !bytes.is_empty()).then_some(bytes),
    }
}
