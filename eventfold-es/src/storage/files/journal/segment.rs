//! One segment of the journal, open for reading, in whichever form it has: [`SegmentFile`].
//!
//! A sealed segment is compressed in the background, and its plain file removed after that. So whoever
//! does not find the one finds the other. If both are there, the plain one counts: it is whole, since it
//! is removed only when the other one is. An open file stays readable when it is removed.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use crate::storage::encoding::sealed::{SUM_LEN, split_sum};
use crate::storage::error::{StorageError, StorageErrorKind, StorageResult};
use crate::storage::files::disk;
use crate::storage::files::format::commit_line::HEADER_MOST;
use crate::storage::files::journal::compressed::Compressed;
use crate::storage::files::journal::paths::{compressed_path, segment_path};
use crate::storage::files::journal::seek_table::Note;

/// How many bytes are read at a time.
const CHUNK: usize = 128 * 1024;

/// A segment, open for reading. All offsets are those in the segment without compression.
#[derive(Debug)]
pub(crate) enum SegmentFile {
    Plain(Plain),
    Compressed(Box<Compressed>),
}

/// A segment that is not compressed. The newest one grows while it is read.
#[derive(Debug)]
pub(crate) struct Plain {
    file: File,
    path: PathBuf,
}

/// The bytes of a segment, without the zeros at its end, as far as they can be read.
#[derive(Debug)]
pub(crate) struct Used {
    pub(crate) bytes: Vec<u8>,
    /// What is wrong behind them.
    pub(crate) damage: Option<StorageError>,
}

impl Used {
    /// All bytes.
    ///
    /// # Errors
    ///
    /// If the segment is damaged.
    pub(crate) fn whole(self) -> StorageResult<Vec<u8>> {
        self.damage.map_or(Ok(self.bytes), Err)
    }
}

impl SegmentFile {
    /// Opens the segment in `journal` that begins at `first`.
    pub(crate) fn open(journal: &Path, first: u64) -> StorageResult<Self> {
        Self::open_if_there(journal, first)?.ok_or_else(|| {
            let missing = io::ErrorKind::NotFound.into();
            StorageError::io("open", &segment_path(journal, first), missing)
        })
    }

    /// As [`open`](Self::open); `None` if there is no such segment.
    pub(crate) fn open_if_there(journal: &Path, first: u64) -> StorageResult<Option<Self>> {
        let path = segment_path(journal, first);
        if let Some(file) = disk::open_if_there(&path)? {
            return Ok(Some(Self::Plain(Plain { file, path })));
        }
        let path = compressed_path(journal, first);
        let Some(file) = disk::open_if_there(&path)? else {
            return Ok(None);
        };
        Self::compressed(file, path, first).map(Some)
    }

    /// The compressed `file` of the segment that begins at `first`.
    pub(crate) fn compressed(file: File, path: PathBuf, first: u64) -> StorageResult<Self> {
        let compressed = Compressed::new(file, path, first)?;
        Ok(Self::Compressed(Box::new(compressed)))
    }

    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Plain(plain) => &plain.path,
            Self::Compressed(compressed) => compressed.path(),
        }
    }

    /// What a compressed segment states of itself; `None` of a plain one.
    pub(crate) fn note(&self) -> StorageResult<Option<Note>> {
        match self {
            Self::Plain(_) => Ok(None),
            Self::Compressed(compressed) => compressed.note().map(Some),
        }
    }

    /// Its length, with the zeros at its end.
    pub(crate) fn length(&self) -> StorageResult<u64> {
        match self {
            Self::Plain(plain) => plain.length(),
            Self::Compressed(compressed) => Ok(compressed.note()?.length),
        }
    }

    /// Its length without the zeros at its end.
    pub(crate) fn used_length(&mut self) -> StorageResult<u64> {
        match self {
            Self::Plain(plain) => plain.used_length(),
            Self::Compressed(compressed) => Ok(compressed.note()?.length),
        }
    }

    /// The length of its file, without zeros at its end.
    pub(crate) fn stored_length(&mut self) -> StorageResult<u64> {
        match self {
            Self::Plain(plain) => plain.used_length(),
            Self::Compressed(compressed) => compressed.stored_length(),
        }
    }

    /// Adds bytes from `offset` on to `out`: `about` so many, or what is decoded at once. Returns how many;
    /// 0 at the end.
    pub(crate) fn read_on(
        &mut self,
        offset: u64,
        about: u64,
        out: &mut Vec<u8>,
    ) -> StorageResult<usize> {
        match self {
            Self::Plain(plain) => plain.read_on(offset, about, out),
            Self::Compressed(compressed) => compressed.read_on(offset, out),
        }
    }

    /// Fills `bytes` from `offset` on. Returns how many bytes were read: fewer if the segment ends earlier.
    pub(crate) fn read_at(&mut self, offset: u64, bytes: &mut [u8]) -> StorageResult<usize> {
        match self {
            Self::Plain(plain) => plain.read_at(offset, bytes),
            Self::Compressed(compressed) => compressed.read_at(offset, bytes),
        }
    }

    /// Its first bytes, in which the header ends, if it is whole.
    pub(crate) fn start(&mut self) -> StorageResult<Vec<u8>> {
        let most = usize::try_from(HEADER_MOST).unwrap_or(usize::MAX);
        let mut start = vec![0; most];
        let length = self.read_at(0, &mut start)?;
        start.truncate(length);
        Ok(start)
    }

    /// The checksum that the line that ends at `offset` states; `None` if no line ends there.
    pub(crate) fn stated_before(&mut self, offset: u64) -> StorageResult<Option<u64>> {
        if let Some(note) = self.note()?
            && note.length == offset
        {
            return Ok(Some(note.chain));
        }
        let mut end = [0; SUM_LEN + 1];
        let Some(start) = offset.checked_sub(end.len() as u64) else {
            return Ok(None);
        };
        let is_whole = self.read_at(start, &mut end)? == end.len();
        let line = end.strip_suffix(b"\n").filter(|_| is_whole);
        Ok(line.and_then(split_sum).map(|(_, sum)| sum))
    }

    /// The bytes from `start` on, without the zeros at the end, which may be megabytes.
    pub(crate) fn read_used(&mut self, start: u64) -> StorageResult<Used> {
        match self {
            Self::Plain(plain) => {
                let bytes = plain.read_used(start)?;
                Ok(Used {
                    bytes,
                    damage: None,
                })
            }
            Self::Compressed(compressed) => {
                let mut bytes = Vec::new();
                let damage = loop {
                    match compressed.read_on(start + bytes.len() as u64, &mut bytes) {
                        Ok(0) => break None,
                        Ok(_) => {}
                        Err(error) if error.kind() == StorageErrorKind::Damaged => {
                            break Some(error);
                        }
                        Err(error) => return Err(error),
                    }
                };
                let is_before = damage.is_some() || start <= compressed.note()?.length;
                if is_before {
                    return Ok(Used { bytes, damage });
                }
                let cause = "the file ends before this byte";
                Err(StorageError::damaged(compressed.path(), start, cause))
            }
        }
    }

    /// The bytes from `start` on, up to the zeros behind the last line.
    pub(crate) fn read_written(&mut self, start: u64) -> StorageResult<Vec<u8>> {
        let mut bytes = Vec::new();
        loop {
            let known = bytes.len();
            let read = self.read_on(start + known as u64, CHUNK as u64, &mut bytes)?;
            if let Some(zero) = memchr::memchr(0, &bytes[known..]) {
                bytes.truncate(known + zero);
                return Ok(bytes);
            }
            if read == 0 {
                return Ok(bytes);
            }
        }
    }

    /// Makes what was read durable. False if the system syncs only what is open for writing. A compressed
    /// segment got its name after it was durable.
    pub(crate) fn sync(&self) -> io::Result<bool> {
        match self {
            Self::Plain(plain) => disk::sync_read_only(&plain.file, &plain.path),
            Self::Compressed(_) => Ok(true),
        }
    }
}

impl Plain {
    fn failed(&self, error: io::Error) -> StorageError {
        StorageError::io("read", &self.path, error)
    }

    fn length(&self) -> StorageResult<u64> {
        let found = self.file.metadata().map_err(|e| self.failed(e))?;
        Ok(found.len())
    }

    fn read_on(&self, offset: u64, about: u64, out: &mut Vec<u8>) -> StorageResult<usize> {
        let about = usize::try_from(about).unwrap_or(usize::MAX);
        disk::read_on(&self.file, out, offset, about).map_err(|e| self.failed(e))
    }

    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> StorageResult<usize> {
        disk::read_at(&self.file, bytes, offset).map_err(|e| self.failed(e))
    }

    fn used_length(&mut self) -> StorageResult<u64> {
        let mut end = self.length()?;
        // Few zeros as a rule, because a sealed segment is cut after its last line.
        let mut most = 4 * 1024;
        let mut chunk = vec![0; CHUNK];
        while end > 0 {
            let start = end.saturating_sub(most);
            most = (2 * most).min(CHUNK as u64);
            let length = usize::try_from(end - start).unwrap_or(CHUNK);
            let length = self.read_at(start, &mut chunk[..length])?;
            let used = used(&chunk[..length]);
            if used > 0 {
                return Ok(start + used as u64);
            }
            end = start;
        }
        Ok(0)
    }

    fn read_used(&mut self, start: u64) -> StorageResult<Vec<u8>> {
        if start > self.length()? {
            let cause = "the file ends before this byte";
            return Err(StorageError::damaged(&self.path, start, cause));
        }
        let mut chunk = vec![0; CHUNK];
        let mut bytes = Vec::new();
        let (mut offset, mut zeros) = (start, 0);
        loop {
            let length = self.read_at(offset, &mut chunk)?;
            if length == 0 {
                return Ok(bytes);
            }
            let used = used(&chunk[..length]);
            if used > 0 {
                bytes.resize(bytes.len() + zeros, 0);
                bytes.extend_from_slice(&chunk[..used]);
                zeros = 0;
            }
            zeros += length - used;
            offset += length as u64;
        }
    }
}

/// The number of bytes before the zeros at the end.
pub(crate) fn used(bytes: &[u8]) -> usize {
    let is_zero = |chunk: &&[u8]| chunk.iter().fold(0, |any, byte| any | byte) == 0;
    let zeros: usize = bytes
        .rchunks(4096)
        .take_while(is_zero)
        .map(<[u8]>::len)
        .sum();
    let rest = &bytes[..bytes.len() - zeros];
    rest.iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |i| i + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_trailing_zeros_are_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let path = segment_path(dir.path(), 1);
        let zeros = vec![0; 2 * CHUNK];
        let read = |start| {
            let mut segment = SegmentFile::open(dir.path(), 1).unwrap();
            segment.read_used(start).and_then(Used::whole)
        };
        for used in [
            Vec::new(),
            b"a".to_vec(),
            [b"a\n", &zeros[..], b"b"].concat(),
            [&zeros[..CHUNK - 1], b"b"].concat(),
            [&zeros[..CHUNK], b"b"].concat(),
        ] {
            let content = [b"passed over", &used[..], &zeros[..]].concat();
            std::fs::write(&path, &content).unwrap();
            assert_eq!(read(11).unwrap(), used);
            let mut segment = SegmentFile::open(dir.path(), 1).unwrap();
            assert_eq!(segment.used_length().unwrap(), 11 + used.len() as u64);
        }
        let length = std::fs::metadata(&path).unwrap().len();
        assert_eq!(read(length).unwrap(), b"");
        let error = read(length + 1).unwrap_err();
        assert_eq!(error.kind(), StorageErrorKind::Damaged);
    }
}
