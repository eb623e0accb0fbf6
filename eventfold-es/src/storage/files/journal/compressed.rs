//! A segment in its compressed form: [`Compressed`].
//!
//! Its blocks are frames of zstd, each with a checksum, which are decoded one by one. If the table at the
//! end of the file is damaged, the blocks are found from the front. So they are still read, and the error
//! comes behind them.

use std::cell::RefCell;
use std::fmt;
use std::fs::File;
use std::io::{self, Cursor};
use std::path::{Path, PathBuf};

use zstd::bulk::Decompressor;
use zstd::zstd_safe::{find_frame_compressed_size, get_frame_content_size};

use crate::storage::error::{StorageError, StorageErrorKind, StorageResult};
use crate::storage::files::disk;
use crate::storage::files::journal::seek_table::{
    Block, LARGEST_BLOCK, Note, SeekTable, TableError,
};

/// How many bytes are read at first to find the table: enough for that of a segment of the usual size.
const TAIL: u64 = 8 * 1024;

/// A compressed segment, open for reading. Offsets are those in the segment as it was.
pub(crate) struct Compressed {
    file: File,
    path: PathBuf,
    blocks: Vec<Block>,
    /// What is wrong with the end of the file, if the note was not found there.
    note: Result<Note, String>,
    /// The frame that was read last.
    frame: Vec<u8>,
    /// The block that was read last, and its number.
    held: Option<usize>,
    block: Vec<u8>,
}

thread_local! {
    /// Making a decoder takes about as long as decoding a block, and whoever reads a few lines of many segments
    /// opens each of them.
    static ZSTD: RefCell<Decompressor<'static>> = RefCell::default();
}

impl Compressed {
    /// The segment that begins at `first`, of the file at `path`.
    pub(crate) fn new(file: File, path: PathBuf, first: u64) -> StorageResult<Self> {
        let (blocks, note) = match read_table(&file, &path, first)? {
            Ok(SeekTable { blocks, note }) => (blocks, Ok(note)),
            Err(cause) => (find_blocks(&path)?, Err(cause)),
        };
        Ok(Self {
            file,
            path,
            blocks,
            note,
            frame: Vec::new(),
            held: None,
            block: Vec::new(),
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The length of the file.
    pub(crate) fn stored_length(&self) -> StorageResult<u64> {
        let found = self.file.metadata();
        let found = found.map_err(|e| StorageError::io("read", &self.path, e))?;
        Ok(found.len())
    }

    /// What is known of the segment.
    ///
    /// # Errors
    ///
    /// If the end of the file is damaged.
    pub(crate) fn note(&self) -> StorageResult<Note> {
        self.note.clone().map_err(|cause| {
            let last = self.blocks.last();
            let end = last.map_or(0, |block| block.offset + u64::from(block.length));
            StorageError::damaged(&self.path, end, cause)
        })
    }

    /// Adds bytes from `offset` on to `out`, up to the end of their block. Returns how many; 0 at the end.
    pub(crate) fn read_on(&mut self, offset: u64, out: &mut Vec<u8>) -> StorageResult<usize> {
        let Some(number) = self.block_at(offset)? else {
            return Ok(0);
        };
        let block = self.blocks[number];
        if block.offset == offset && self.held != Some(number) {
            self.decode(number, out)?;
            return Ok(block.length as usize);
        }
        let bytes = self.hold(number)?;
        let from = usize::try_from(offset - block.offset).unwrap_or(usize::MAX);
        out.extend_from_slice(&bytes[from..]);
        Ok(bytes.len() - from)
    }

    /// Fills `bytes` from `offset` on. Returns how many bytes were read: fewer if the segment ends earlier.
    pub(crate) fn read_at(&mut self, offset: u64, bytes: &mut [u8]) -> StorageResult<usize> {
        let mut filled = 0;
        while filled < bytes.len() {
            let offset = offset + filled as u64;
            let Some(number) = self.block_at(offset)? else {
                break;
            };
            let from = usize::try_from(offset - self.blocks[number].offset).unwrap_or(usize::MAX);
            let held = &self.hold(number)?[from..];
            let length = held.len().min(bytes.len() - filled);
            bytes[filled..filled + length].copy_from_slice(&held[..length]);
            filled += length;
        }
        Ok(filled)
    }

    /// The block that has the byte at `offset`, `None` behind the last one.
    fn block_at(&self, offset: u64) -> StorageResult<Option<usize>> {
        let after = self.blocks.partition_point(|block| block.offset <= offset);
        let number = after.checked_sub(1).filter(|number| {
            let block = self.blocks[*number];
            offset - block.offset < u64::from(block.length)
        });
        if number.is_none() {
            self.note()?;
        }
        Ok(number)
    }

    /// The bytes of a block, which stay in memory until another one is read.
    fn hold(&mut self, number: usize) -> StorageResult<&[u8]> {
        if self.held != Some(number) {
            self.held = None;
            let mut block = std::mem::take(&mut self.block);
            block.clear();
            let decoded = self.decode(number, &mut block);
            self.block = block;
            decoded?;
            self.held = Some(number);
        }
        Ok(&self.block)
    }

    /// Adds the bytes of a block to `out`, or nothing if they are damaged.
    fn decode(&mut self, number: usize, out: &mut Vec<u8>) -> StorageResult<()> {
        let (block, path) = (self.blocks[number], &self.path);
        let damaged = |cause: &str| {
            let cause = format!("block {number} of the compressed file is damaged: {cause}");
            StorageError::damaged(path, block.offset, cause)
        };
        self.frame.resize(block.compressed as usize, 0);
        let read = disk::read_at(&self.file, &mut self.frame, block.start);
        let read = read.map_err(|e| StorageError::io("read", path, e))?;
        if read < self.frame.len() {
            return Err(damaged("the file ends within it"));
        }
        let (start, length) = (out.len(), block.length as usize);
        out.reserve(length);
        let mut behind = Cursor::new(&mut *out);
        behind.set_position(start as u64);
        let decoded =
            ZSTD.with_borrow_mut(|zstd| zstd.decompress_to_buffer(&self.frame, &mut behind));
        let cause = match decoded {
            Ok(decoded) if decoded == length => return Ok(()),
            Ok(decoded) => format!("it has {decoded} bytes in place of {length}"),
            Err(error) => error.to_string(),
        };
        out.truncate(start);
        Err(damaged(&cause))
    }
}

/// The table at the end of the file, or what is wrong there.
fn read_table(file: &File, path: &Path, first: u64) -> StorageResult<Result<SeekTable, String>> {
    let failed = |e| StorageError::io("read", path, e);
    let length = file.metadata().map_err(failed)?.len();
    let mut wanted = TAIL;
    loop {
        let start = length.saturating_sub(wanted);
        let mut tail =
            vec![0; usize::try_from(length - start).map_err(|e| failed(io::Error::other(e)))?];
        let read = disk::read_at(file, &mut tail, start).map_err(failed)?;
        tail.truncate(read);
        match SeekTable::read(&tail, length, first) {
            Err(TableError::Longer(longer)) if start > 0 => wanted = longer.max(2 * wanted),
            Err(TableError::Longer(_)) => {
                return Ok(Err("the table at its end is damaged".to_owned()));
            }
            Err(TableError::Damaged(cause)) => return Ok(Err(cause)),
            Err(TableError::OtherFormat(cause)) => {
                return Err(StorageError::file(
                    StorageErrorKind::Unsupported,
                    path,
                    cause,
                ));
            }
            Ok(table) => return Ok(Ok(table)),
        }
    }
}

/// The blocks at the front of a file whose table is damaged, up to the first one that is cut off.
fn find_blocks(path: &Path) -> StorageResult<Vec<Block>> {
    let bytes = disk::read(path).map_err(|e| StorageError::io("read", path, e))?;
    let mut blocks = Vec::new();
    let (mut start, mut offset) = (0_u64, 0_u64);
    let mut rest = &bytes[..];
    while let Ok(size) = find_frame_compressed_size(rest)
        && let Ok(Some(content)) = get_frame_content_size(rest)
        && let (Ok(compressed), Ok(length)) = (u32::try_from(size), u32::try_from(content))
        && (1..=LARGEST_BLOCK).contains(&length)
        && size > 0
    {
        blocks.push(Block {
            start,
            compressed,
            offset,
            length,
        });
        start += size as u64;
        offset += content;
        rest = &rest[size..];
    }
    Ok(blocks)
}

impl fmt::Debug for Compressed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compressed")
            .field("path", &self.path)
            .field("note", &self.note)
            .finish_non_exhaustive()
    }
}
