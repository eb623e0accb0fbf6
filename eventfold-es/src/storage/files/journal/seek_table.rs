//! What is at the end of a compressed segment: a note about the segment, and the table of its blocks.
//!
//! Both are *skippable frames*, which `zstd` passes over. The table is that of zstd's seekable format.
//! The note is the last frame that the table lists. It has the checksum of the table's other entries, and
//! what opening a store wants to know of a segment, so that no block has to be decoded for that.

use serde::Deserialize;
use xxhash_rust::xxh3::xxh3_64;

use crate::storage::encoding::sealed::{is_right, seal};
use crate::storage::files::format::commit_line::{FORMAT, HeaderError, check_format};

/// How many bytes of the segment are in a block; the last block has fewer.
pub(crate) const BLOCK: usize = if cfg!(test) { 512 } else { 32 * 1024 };
/// The largest block that is read. So a table that was made up asks for little memory.
pub(crate) const LARGEST_BLOCK: u32 = 16 * 1024 * 1024;

/// The first bytes of the skippable frame with the note.
const NOTE: u32 = 0x184D_2A50;
/// The first bytes of the skippable frame with the table.
const TABLE: u32 = 0x184D_2A5E;
/// The last bytes of the file.
const SEEKABLE: u32 = 0x8F92_EAB1;
/// Says that each entry of the table has a checksum.
const WITH_CHECKSUMS: u8 = 0x80;
/// The low half of the XXH64 of no bytes.
const SUM_OF_NOTHING: u32 = 0x51D8_E999;

/// The length of a frame's head: its first bytes, and the length of the rest.
const HEAD: u64 = 8;
const ENTRY: u64 = 12;
/// The number of entries, the byte about checksums, and the last bytes.
const FOOT: u64 = 9;

/// A block of a compressed segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Block {
    /// Where its frame begins in the file.
    pub(crate) start: u64,
    /// The length of its frame.
    pub(crate) compressed: u32,
    /// Where it begins in the segment.
    pub(crate) offset: u64,
    /// How many bytes of the segment it has.
    pub(crate) length: u32,
}

/// What is known of a compressed segment without decoding it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Note {
    /// The position of its first event.
    pub(crate) first: u64,
    /// How many bytes it has.
    pub(crate) length: u64,
    /// The checksum of the last line before it.
    pub(crate) previous: u64,
    /// The checksum of its last line.
    pub(crate) chain: u64,
}

/// The table of a segment that is being compressed.
#[derive(Debug, Default)]
pub(crate) struct Entries(Vec<u8>);

impl Entries {
    /// Adds the block whose frame is `frame`, which ends with its checksum.
    pub(crate) fn add(&mut self, frame: &[u8], length: usize) {
        let sum = frame.last_chunk().copied().map_or(0, u32::from_le_bytes);
        // A block is much smaller than 4 GiB.
        let number = |length| u32::try_from(length).unwrap_or(u32::MAX);
        self.push([number(frame.len()), number(length), sum]);
    }

    fn push(&mut self, entry: [u32; 3]) {
        self.0.extend(entry.into_iter().flat_map(u32::to_le_bytes));
    }

    /// The frames that end the file.
    pub(crate) fn finish(mut self, note: Note) -> Vec<u8> {
        let Note {
            first,
            length,
            previous,
            chain,
        } = note;
        let table = xxh3_64(&self.0);
        let mut text = format!(
            "{{\"journal\":{FORMAT},\"first\":{first},\"length\":{length},\
             \"previous\":\"{previous:016x}\",\"chain\":\"{chain:016x}\",\"table\":\"{table:016x}\""
        )
        .into_bytes();
        seal(&mut text, 0, 0);
        let mut out = frame(NOTE, &text);
        let length = u32::try_from(out.len()).unwrap_or(u32::MAX);
        self.push([length, 0, SUM_OF_NOTHING]);

        let count = self.0.len() as u64 / ENTRY;
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let mut rest = self.0;
        rest.extend(count.to_le_bytes());
        rest.push(WITH_CHECKSUMS);
        rest.extend(SEEKABLE.to_le_bytes());
        out.extend(frame(TABLE, &rest));
        out
    }
}

fn frame(magic: u32, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap_or(u32::MAX);
    let mut out = Vec::with_capacity(content.len() + 8);
    out.extend(magic.to_le_bytes());
    out.extend(length.to_le_bytes());
    out.extend_from_slice(content);
    out
}

/// The blocks of a compressed segment, and the note about it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SeekTable {
    pub(crate) blocks: Vec<Block>,
    pub(crate) note: Note,
}

/// Why a table was not read.
#[derive(Debug)]
pub(crate) enum TableError {
    /// It takes so many bytes at the end of the file.
    Longer(u64),
    /// The segment has the format of another version.
    OtherFormat(HeaderError),
    Damaged(String),
}

impl From<&str> for TableError {
    fn from(cause: &str) -> Self {
        Self::Damaged(cause.to_owned())
    }
}

impl SeekTable {
    /// Reads the table of the segment that begins at `first`. `tail` is the end of its file, which has
    /// `length` bytes.
    pub(crate) fn read(tail: &[u8], length: u64, first: u64) -> Result<Self, TableError> {
        let count = stated_count(tail)?;
        let table_length = HEAD + u64::from(count) * ENTRY + FOOT;
        if table_length > length {
            return Err("the number of blocks in its table is not right".into());
        }
        if table_length > tail.len() as u64 {
            return Err(TableError::Longer(table_length + 4096));
        }
        // Both fit into memory now.
        let start = tail.len() - to_usize(table_length);
        let content = table_length - HEAD;
        if word(tail, start) != Some(TABLE)
            || word(tail, start + 4).map(u64::from) != Some(content)
            || count == 0
        {
            return Err("the table at its end is damaged".into());
        }
        let entries = &tail[start + 8..start + 8 + to_usize(u64::from(count) * ENTRY)];
        let (of_blocks, of_note) = entries.split_at(entries.len() - to_usize(ENTRY));
        let note_length = word(of_note, 0).map_or(0, u64::from);
        if (word(of_note, 4), word(of_note, 8)) != (Some(0), Some(SUM_OF_NOTHING)) {
            return Err("the table at its end is damaged".into());
        }
        if note_length + table_length > length {
            return Err("the table at its end is damaged".into());
        }
        if note_length + table_length > tail.len() as u64 {
            return Err(TableError::Longer(note_length + table_length));
        }
        let text = &tail[start - to_usize(note_length)..start];
        let (note, sum) = read_note(text)?;
        if note.first != first {
            return Err("it is another segment's".into());
        }
        if xxh3_64(of_blocks) != sum {
            return Err("the table at its end is damaged".into());
        }
        let blocks = blocks_of(of_blocks)?;
        let end = blocks.last().map_or((0, 0), |block| {
            (
                block.start + u64::from(block.compressed),
                block.offset + u64::from(block.length),
            )
        });
        if end != (length - table_length - note_length, note.length) {
            return Err("its length is not what the table at its end states".into());
        }
        Ok(Self { blocks, note })
    }
}

/// The number of entries that the end of a file states.
fn stated_count(tail: &[u8]) -> Result<u32, TableError> {
    let missing = "the table at its end is missing: it is cut off or damaged";
    let foot = tail.last_chunk::<9>().ok_or(missing)?;
    if word(foot, 5) != Some(SEEKABLE) || foot[4] != WITH_CHECKSUMS {
        return Err(missing.into());
    }
    Ok(word(foot, 0).unwrap_or(0))
}

fn blocks_of(entries: &[u8]) -> Result<Vec<Block>, TableError> {
    let (entries, _) = entries.as_chunks::<12>();
    let (mut start, mut offset) = (0, 0);
    let mut blocks = Vec::with_capacity(entries.len());
    for entry in entries {
        let (compressed, length) = (word(entry, 0).unwrap_or(0), word(entry, 4).unwrap_or(0));
        if length > LARGEST_BLOCK || compressed > LARGEST_BLOCK || length == 0 {
            return Err("a block in its table has a size that is not possible".into());
        }
        blocks.push(Block {
            start,
            compressed,
            offset,
            length,
        });
        start += u64::from(compressed);
        offset += u64::from(length);
    }
    Ok(blocks)
}

/// The note in a frame, and the checksum of the table that it states.
fn read_note(frame: &[u8]) -> Result<(Note, u64), TableError> {
    #[derive(Deserialize)]
    struct Format {
        journal: u64,
    }
    #[derive(Deserialize)]
    struct Content<'a> {
        first: u64,
        length: u64,
        previous: &'a str,
        chain: &'a str,
        table: &'a str,
    }
    let damaged = "the note at its end is damaged";
    let text = frame.get(8..).ok_or(damaged)?;
    let is_whole = word(frame, 0) == Some(NOTE)
        && word(frame, 4).map(u64::from) == Some(text.len() as u64)
        && is_right(text, 0) == Some(true);
    if !is_whole {
        return Err(damaged.into());
    }
    let Format { journal } = serde_json::from_slice(text).map_err(|_| damaged)?;
    check_format(journal).map_err(TableError::OtherFormat)?;
    let content: Content<'_> = serde_json::from_slice(text).map_err(|_| damaged)?;
    let number = |digits| u64::from_str_radix(digits, 16).map_err(|_| damaged);
    let note = Note {
        first: content.first,
        length: content.length,
        previous: number(content.previous)?,
        chain: number(content.chain)?,
    };
    Ok((note, number(content.table)?))
}

/// The number in the four bytes at `at`.
fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes(*bytes))
}

/// A number that is known to be at most the length of something in memory.
fn to_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
