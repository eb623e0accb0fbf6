//! A part of the index in a file: the tags of the events in some sealed segments, or in the last one
//! up to where the store was closed.
//!
//! The file has blocks of sorted entries, then pages with the first entry of each block, then a list of
//! these pages, then a footer of [`FOOTER`] bytes. Opening a file reads its end, and a search one page and
//! one block. All numbers are little-endian. Each part has a checksum. The file is derived from the journal,
//! so it is never synced; a file that is not valid is made again.

use std::fs::File as ReadFile;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::storage::error::{StorageError, StorageResult};
use crate::storage::files::disk::{self, File, Open};
use crate::storage::files::tags::entry::Entry;

/// The first bytes of a footer.
const MAGIC: &[u8; 8] = b"EFTAGS02";
/// How many bytes an entry takes.
const ENTRY: usize = 24;
/// How many entries a full block has.
const ENTRIES: usize = if cfg!(test) { 5 } else { 170 };
/// How many bytes a block takes: its entries, how many of them are used, and the checksum.
const BLOCK: usize = ENTRIES * ENTRY + 16;
/// How many bytes the first entry of a block takes in its page: its hash and its position.
const FENCE: usize = 16;
/// How many blocks a full page is about.
const FENCES: usize = if cfg!(test) { 3 } else { 256 };
/// How many bytes a page takes in the list of pages: its first entry, and its checksum.
const PAGE: usize = 24;
/// How many bytes the footer takes.
const FOOTER: usize = 72;
/// How many bytes at the end of a file are read at first. The list of pages is usually among them.
const END: u64 = if cfg!(test) { 128 } else { 4096 };

/// The tags of the events in the segments from `first` to `last`.
#[derive(Debug)]
pub(crate) struct TagFile {
    pub(crate) span: Span,
    path: PathBuf,
    file: ReadFile,
    blocks: usize,
    pages: Vec<Page>,
}

/// The first entries of up to [`FENCES`] blocks that follow each other.
#[derive(Debug)]
struct Page {
    /// Of the first block.
    first: (u64, u64),
    sum: u64,
    /// Read when they are first needed.
    fences: OnceLock<Fences>,
}

/// The hash and the position of the first entry of each block.
type Fences = Vec<(u64, u64)>;

/// Which segments a file is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    /// The first position of the first segment.
    pub(crate) first: u64,
    /// The first position of the last segment. If the file is about the segment in which the store was
    /// closed, the position of its last event.
    pub(crate) last: u64,
    /// The checksum of the last line. Another history has another one.
    pub(crate) chain: u64,
}

impl Span {
    pub(crate) fn path(&self, dir: &Path) -> PathBuf {
        dir.join(format!("{:020}-{:020}.tags", self.first, self.last))
    }

    /// The first and the last segment that a file name states.
    pub(crate) fn of_name(name: &str) -> Option<(u64, u64)> {
        let (first, last) = name.strip_suffix(".tags")?.split_once('-')?;
        let number = |digits: &str| {
            let is_number = digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit());
            is_number.then(|| digits.parse().ok()).flatten()
        };
        Some((number(first)?, number(last)?))
    }
}

/// Writes a file, entry by entry in their order.
struct Writer {
    file: File,
    offset: u64,
    block: Vec<u8>,
    used: usize,
    fences: Fences,
}

impl Writer {
    fn push(&mut self, entry: Entry) -> std::io::Result<()> {
        if self.used == 0 {
            self.fences.push((entry.hash, entry.position));
        }
        for number in [entry.hash, entry.position, entry.offset] {
            self.block.extend_from_slice(&number.to_le_bytes());
        }
        self.used += 1;
        if self.used == ENTRIES {
            self.end_block()?;
        }
        Ok(())
    }

    fn end_block(&mut self) -> std::io::Result<()> {
        if self.used == 0 {
            return Ok(());
        }
        self.block.resize(ENTRIES * ENTRY, 0);
        self.block
            .extend_from_slice(&(self.used as u64).to_le_bytes());
        let number = self.fences.len() as u64 - 1;
        let sum = xxh3_64_with_seed(&self.block, number);
        self.block.extend_from_slice(&sum.to_le_bytes());
        self.file.write_at(self.offset, &self.block)?;
        self.offset += self.block.len() as u64;
        self.block.clear();
        self.used = 0;
        Ok(())
    }

    fn finish(mut self, span: Span) -> std::io::Result<File> {
        self.end_block()?;
        let mut end = Vec::with_capacity(self.fences.len() * (FENCE + 1) + FOOTER);
        let mut pages = Vec::new();
        for (page, number) in self.fences.chunks(FENCES).zip(0..) {
            let start = end.len();
            for (hash, position) in page {
                end.extend_from_slice(&hash.to_le_bytes());
                end.extend_from_slice(&position.to_le_bytes());
            }
            pages.extend_from_slice(&end[start..start + FENCE]);
            let sum = xxh3_64_with_seed(&end[start..], number);
            pages.extend_from_slice(&sum.to_le_bytes());
        }
        let sum = xxh3_64_with_seed(&pages, 0);
        end.extend_from_slice(&pages);
        let footer = end.len();
        end.extend_from_slice(MAGIC);
        let blocks = self.fences.len() as u64;
        for number in [
            span.first,
            span.last,
            span.chain,
            blocks,
            ENTRIES as u64,
            FENCES as u64,
            sum,
        ] {
            end.extend_from_slice(&number.to_le_bytes());
        }
        let sum = xxh3_64_with_seed(&end[footer..], 0);
        end.extend_from_slice(&sum.to_le_bytes());
        self.file.write_at(self.offset, &end)?;
        Ok(self.file)
    }
}

impl TagFile {
    /// Writes the sorted `entries` into a file in `dir`.
    pub(crate) fn write(dir: &Path, span: Span, entries: &[Entry]) -> StorageResult<Self> {
        Self::write_from(dir, span, |each| entries.iter().try_for_each(|e| each(*e)))
    }

    /// Writes the entries of `parts`, which are in the order of their positions, into one file in
    /// `dir`.
    pub(crate) fn merge(dir: &Path, span: Span, parts: &[&Self]) -> StorageResult<Self> {
        Self::write_from(dir, span, |each| {
            let mut cursors: Vec<_> = parts.iter().map(|part| Cursor::new(part)).collect();
            let mut next = Vec::with_capacity(cursors.len());
            for cursor in &mut cursors {
                next.push(cursor.next()?);
            }
            loop {
                let smallest = next.iter().enumerate();
                let smallest = smallest.filter_map(|(i, entry)| entry.map(|entry| (entry, i)));
                let Some((entry, i)) = smallest.min() else {
                    return Ok(());
                };
                each(entry)?;
                next[i] = cursors[i].next()?;
            }
        })
    }

    fn write_from(
        dir: &Path,
        span: Span,
        entries: impl FnOnce(&mut dyn FnMut(Entry) -> StorageResult<()>) -> StorageResult<()>,
    ) -> StorageResult<Self> {
        disk::create_dir(dir)?;
        let path = span.path(dir);
        let mut temporary = path.clone().into_os_string();
        temporary.push(".tmp");
        let temporary = PathBuf::from(temporary);
        let failed = |e| StorageError::io("write", &path, e);
        let file = File::open(&temporary, Open::New).map_err(failed)?;
        let mut writer = Writer {
            file,
            offset: 0,
            block: Vec::with_capacity(BLOCK),
            used: 0,
            fences: Vec::new(),
        };
        let written = entries(&mut |entry| writer.push(entry).map_err(failed));
        let written = written.and_then(|()| writer.finish(span).map_err(failed));
        match written.and_then(|file| file.rename_to(&path)) {
            Ok(_) => Self::open(&path)?.ok_or_else(|| damaged(&path)),
            Err(error) => {
                let _ = disk::remove(&temporary);
                Err(error)
            }
        }
    }

    /// Opens the file at `path`, `None` if there is none, or if it is not valid.
    pub(crate) fn open(path: &Path) -> StorageResult<Option<Self>> {
        let Some(file) = disk::open_if_there(path)? else {
            return Ok(None);
        };
        let opened = Self::read_end(&file).map_err(|e| StorageError::io("read", path, e))?;
        Ok(opened.map(|(span, blocks, pages)| Self {
            span,
            path: path.to_owned(),
            file,
            blocks,
            pages,
        }))
    }

    /// Reads the footer and the list of pages, `None` if they are not valid.
    fn read_end(file: &ReadFile) -> io::Result<Option<(Span, usize, Vec<Page>)>> {
        let length = file.metadata()?.len();
        let Some(footer_at) = length.checked_sub(FOOTER as u64) else {
            return Ok(None);
        };
        let end = read(file, length - length.min(END), length.min(END))?;
        let (before, footer) = end.split_at(end.len() - FOOTER);
        let (content, sum) = footer.split_at(FOOTER - 8);
        if sum != xxh3_64_with_seed(content, 0).to_le_bytes() || !content.starts_with(MAGIC) {
            return Ok(None);
        }
        let numbers = numbers(&content[MAGIC.len()..]);
        let [first, last, chain, blocks, entries, fences, pages_sum] = numbers[..] else {
            return Ok(None);
        };
        let list = blocks.div_ceil(FENCES as u64) * PAGE as u64;
        let expected = blocks.checked_mul((BLOCK + FENCE) as u64);
        let expected = expected.and_then(|before| before.checked_add(list));
        let are_as_here = (entries, fences) == (ENTRIES as u64, FENCES as u64);
        if !are_as_here || expected != Some(footer_at) {
            return Ok(None);
        }
        let longer;
        let pages = match usize::try_from(list)
            .ok()
            .and_then(|list| before.len().checked_sub(list))
        {
            Some(start) => &before[start..],
            None => {
                longer = read(file, footer_at - list, list)?;
                &longer[..]
            }
        };
        if xxh3_64_with_seed(pages, 0) != pages_sum {
            return Ok(None);
        }
        let pages = numbers_of::<3>(pages).map(|[hash, position, sum]| Page {
            first: (hash, position),
            sum,
            fences: OnceLock::new(),
        });
        let blocks = usize::try_from(blocks).unwrap_or(usize::MAX);
        Ok(Some((Span { first, last, chain }, blocks, pages.collect())))
    }

    /// Removes the file. It can still be read until it is dropped.
    pub(crate) fn remove(&self) -> StorageResult<()> {
        disk::remove(&self.path)
    }

    /// Adds the entries of this hash with positions after `after` up to `until`, in order.
    ///
    /// # Errors
    ///
    /// If a block is not valid.
    pub(crate) fn find(
        &self,
        hash: u64,
        (after, until): (u64, u64),
        found: &mut Vec<Entry>,
    ) -> StorageResult<()> {
        let (start, end) = ((hash, after.saturating_add(1)), (hash, until));
        // What is before the first one that begins after the wanted place may end with it.
        let page = self.pages.partition_point(|page| page.first <= start);
        for page in page.saturating_sub(1)..self.pages.len() {
            if self.pages[page].first > end {
                break;
            }
            let fences = self.fences(page)?;
            let block = fences.partition_point(|fence| *fence <= start);
            for block in block.saturating_sub(1)..fences.len() {
                if fences[block] > end {
                    return Ok(());
                }
                let bytes = self.block(page * FENCES + block)?;
                let entries = entries_of(&bytes);
                let wanted = entries.partition_point(|entry| place_of(entry) < start);
                let wanted = entries[wanted..].iter();
                found.extend(
                    wanted
                        .map(entry_of)
                        .take_while(|e| (e.hash, e.position) <= end),
                );
            }
        }
        Ok(())
    }

    /// All entries.
    pub(crate) fn entries(&self) -> StorageResult<Vec<Entry>> {
        let mut entries = Vec::new();
        for block in 0..self.blocks {
            entries.extend(entries_of(&self.block(block)?).iter().map(entry_of));
        }
        Ok(entries)
    }

    /// The first entries of the blocks that a page is about.
    fn fences(&self, number: usize) -> StorageResult<&Fences> {
        let page = &self.pages[number];
        if let Some(fences) = page.fences.get() {
            return Ok(fences);
        }
        let before = number * FENCES;
        let count = FENCES.min(self.blocks - before);
        let offset = (self.blocks * BLOCK + before * FENCE) as u64;
        let bytes = self.read(offset, count * FENCE)?;
        if page.sum != xxh3_64_with_seed(&bytes, number as u64) {
            return Err(damaged(&self.path));
        }
        let fences = numbers_of::<2>(&bytes).map(|[hash, position]| (hash, position));
        Ok(page.fences.get_or_init(|| fences.collect()))
    }

    /// The bytes of a block.
    fn block(&self, number: usize) -> StorageResult<Vec<u8>> {
        let bytes = self.read((number * BLOCK) as u64, BLOCK)?;
        let (content, sum) = bytes.split_at(BLOCK - 8);
        if sum != xxh3_64_with_seed(content, number as u64).to_le_bytes() {
            return Err(damaged(&self.path));
        }
        Ok(bytes)
    }

    fn read(&self, offset: u64, length: usize) -> StorageResult<Vec<u8>> {
        read(&self.file, offset, length as u64).map_err(|e| StorageError::io("read", &self.path, e))
    }
}

/// The bytes from `offset` on, which must be there.
fn read(file: &ReadFile, offset: u64, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    if disk::read_at(file, &mut bytes, offset)? < bytes.len() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(bytes)
}

/// The used entries of a block.
fn entries_of(block: &[u8]) -> &[[u8; ENTRY]] {
    let (entries, rest) = block.split_at(ENTRIES * ENTRY);
    let (entries, _) = entries.as_chunks();
    let used = numbers_of::<1>(rest).next().map_or(0, |[used]| used);
    &entries[..usize::try_from(used).unwrap_or(0).min(ENTRIES)]
}

fn entry_of(bytes: &[u8; ENTRY]) -> Entry {
    let [hash, position, offset] = numbers_of(bytes).next().unwrap_or_default();
    Entry {
        hash,
        position,
        offset,
    }
}

/// The hash and the position of an entry.
fn place_of(bytes: &[u8; ENTRY]) -> (u64, u64) {
    let Entry { hash, position, .. } = entry_of(bytes);
    (hash, position)
}

/// Reads a file from its beginning.
struct Cursor<'a> {
    file: &'a TagFile,
    block: usize,
    entries: std::vec::IntoIter<Entry>,
}

impl<'a> Cursor<'a> {
    fn new(file: &'a TagFile) -> Self {
        Self {
            file,
            block: 0,
            entries: Vec::new().into_iter(),
        }
    }

    fn next(&mut self) -> StorageResult<Option<Entry>> {
        loop {
            if let Some(entry) = self.entries.next() {
                return Ok(Some(entry));
            }
            if self.block == self.file.blocks {
                return Ok(None);
            }
            let block = self.file.block(self.block)?;
            let entries: Vec<_> = entries_of(&block).iter().map(entry_of).collect();
            self.entries = entries.into_iter();
            self.block += 1;
        }
    }
}

fn damaged(path: &Path) -> StorageError {
    StorageError::damaged(path, 0, "the checksum does not match")
}

/// Groups of `N` numbers each.
fn numbers_of<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u64; N]> {
    let (numbers, _) = bytes.as_chunks::<8>();
    let (groups, _) = numbers.as_chunks::<N>();
    groups.iter().map(|group| group.map(u64::from_le_bytes))
}

fn numbers(bytes: &[u8]) -> Vec<u64> {
    let (numbers, _) = bytes.as_chunks::<8>();
    numbers.iter().map(|n| u64::from_le_bytes(*n)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: Span = Span {
        first: 1,
        last: 90,
        chain: 7,
    };

    fn entries(hashes: u64, positions: std::ops::Range<u64>) -> Vec<Entry> {
        let mut entries: Vec<_> = positions
            .map(|position| Entry {
                hash: position % hashes,
                position,
                offset: position * 10,
            })
            .collect();
        entries.sort_unstable();
        entries
    }

    fn expected(all: &[Entry], hash: u64, (after, until): (u64, u64)) -> Vec<Entry> {
        let wanted = |e: &&Entry| e.hash == hash && e.position > after && e.position <= until;
        all.iter().filter(wanted).copied().collect()
    }

    fn assert_finds(file: &TagFile, all: &[Entry]) {
        for hash in 0..9 {
            for range in [
                (0, u64::MAX),
                (0, 20),
                (13, 60),
                (59, 60),
                (60, 60),
                (200, 300),
            ] {
                let mut found = Vec::new();
                file.find(hash, range, &mut found).unwrap();
                assert_eq!(found, expected(all, hash, range), "{hash} {range:?}");
            }
        }
    }

    #[test]
    fn a_file_of_tags_finds_what_was_written_also_when_it_is_opened_again() {
        let dir = tempfile::tempdir().unwrap();
        for hashes in [1, 3, 8] {
            for count in [0, 1, 5, 6, 100] {
                let all = entries(hashes, 1..1 + count);
                let file = TagFile::write(dir.path(), SPAN, &all).unwrap();
                assert_finds(&file, &all);
                let file = TagFile::open(&SPAN.path(dir.path())).unwrap().unwrap();
                assert_eq!(file.span, SPAN);
                assert_finds(&file, &all);
            }
        }
    }

    #[test]
    fn merged_files_of_tags_have_the_entries_of_all() {
        let dir = tempfile::tempdir().unwrap();
        let span = |first, last| Span {
            first,
            last,
            chain: 7,
        };
        let parts = [1..30, 30..31, 31..31, 31..90].map(|positions| {
            let span = span(positions.start, positions.end);
            TagFile::write(dir.path(), span, &entries(4, positions)).unwrap()
        });
        let parts: Vec<&TagFile> = parts.iter().collect();
        let merged = TagFile::merge(dir.path(), span(1, 200), &parts).unwrap();
        assert_finds(&merged, &entries(4, 1..90));
    }

    #[test]
    fn a_changed_byte_or_a_missing_end_of_a_file_of_tags_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let all = entries(3, 1..40);
        let file = TagFile::write(dir.path(), SPAN, &all).unwrap();
        let path = SPAN.path(dir.path());
        let sound = std::fs::read(&path).unwrap();
        drop(file);
        let answers = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            let file = TagFile::open(&path).unwrap()?;
            let mut found = Vec::new();
            for hash in 0..3 {
                file.find(hash, (0, u64::MAX), &mut found).ok()?;
            }
            found.sort_unstable();
            Some(found)
        };
        assert_eq!(answers(&sound), Some(all));
        for i in 0..sound.len() {
            let mut changed = sound.clone();
            changed[i] ^= 0x10;
            assert_eq!(answers(&changed), None, "byte {i}");
            assert_eq!(answers(&sound[..i]), None, "cut at {i}");
        }
    }

    #[test]
    fn a_search_in_a_file_of_tags_reads_one_page_and_one_block() {
        let dir = tempfile::tempdir().unwrap();
        let all = entries(200, 1..200);
        drop(TagFile::write(dir.path(), SPAN, &all).unwrap());
        let path = SPAN.path(dir.path());
        let sound = std::fs::read(&path).unwrap();
        let blocks = all.len().div_ceil(ENTRIES);
        for (place, entry) in all.iter().enumerate() {
            // All other blocks and pages are changed. A wanted entry at the beginning of a block may be
            // followed by others in it only.
            let block = place / ENTRIES;
            let page = block / FENCES;
            let mut bytes = sound.clone();
            let needed = [
                block * BLOCK..(block + 1) * BLOCK,
                blocks * BLOCK + page * FENCES * FENCE
                    ..blocks * BLOCK + blocks.min((page + 1) * FENCES) * FENCE,
            ];
            for (i, byte) in bytes[..blocks * (BLOCK + FENCE)].iter_mut().enumerate() {
                if !needed.iter().any(|range| range.contains(&i)) {
                    *byte ^= 0x40;
                }
            }
            std::fs::write(&path, &bytes).unwrap();
            let file = TagFile::open(&path).unwrap().unwrap();
            let mut found = Vec::new();
            let range = (entry.position - 1, entry.position);
            file.find(entry.hash, range, &mut found).unwrap();
            assert_eq!(found, [*entry]);
        }
    }

    #[test]
    fn only_names_with_two_numbers_of_twenty_digits_are_files_of_tags() {
        let name = SPAN.path(Path::new("tags"));
        let name = name.file_name().unwrap().to_str().unwrap();
        assert_eq!(Span::of_name(name), Some((1, 90)));
        for other in ["1-90.tags", "00000000000000000001.tags", "x"] {
            assert_eq!(Span::of_name(other), None);
        }
    }
}
