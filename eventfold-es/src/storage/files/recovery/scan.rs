//! Finds the end of the journal after a crash, and proves that nothing durable is missing.
//!
//! The lines before the first invalid one are whole, because their checksums are chained. The bytes
//! after them are an unfinished tail if nothing shows that they had been durable. Otherwise the
//! journal is damaged, and opening it would lose answered commits.

use std::io;
use std::iter::Peekable;
use std::path::{Path, PathBuf};

use crate::storage::encoding::event_line::line_end;
use crate::storage::encoding::sealed::verified;
use crate::storage::error::{ErrorPlace, StorageError, StorageErrorKind, StorageResult};
use crate::storage::files::disk;
use crate::storage::files::disk::{File, Open};
use crate::storage::files::format::commit_line::{CommitLine, Header, HeaderError, stated_sum};
use crate::storage::files::journal::beginning::Segments;
use crate::storage::files::journal::end::End;
use crate::storage::files::journal::paths::{list_segments, segment_file, segment_path};
use crate::storage::files::journal::reader::stated_previous;
#[cfg(fuzzing)]
use crate::storage::files::journal::segment::used;
use crate::storage::files::journal::segment::{SegmentFile, Used};
use crate::text::shown;

/// The segments of a journal, its end, and the bytes after its last valid line.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) segments: Vec<u64>,
    pub(crate) end: End,
    /// The newest position that was durable according to lines after the end.
    pub(crate) proven_by_tail: u64,
    /// The offset after which only zeros follow; the end's offset if there is no tail.
    pub(crate) tail_end: u64,
}

/// A place in the journal that is damaged.
#[derive(Debug)]
pub(crate) struct Damage {
    pub(crate) path: PathBuf,
    pub(crate) offset: u64,
    pub(crate) cause: String,
}

/// Why reading the journal stopped.
#[derive(Debug)]
pub(crate) enum ScanError {
    Damaged(Damage),
    /// The segment has the format of a newer version, or of a version that was never released.
    OtherFormat(PathBuf, HeaderError),
    /// The journal could not be read, or the caller's function for commits failed.
    Failed(StorageError),
}

impl ScanError {
    fn damaged(path: &Path, offset: u64, cause: impl Into<String>) -> Self {
        Self::Damaged(Damage {
            path: path.to_owned(),
            offset,
            cause: cause.into(),
        })
    }
}

impl ScanError {
    /// The error for a segment whose header has a right checksum but cannot be read.
    fn of_header(path: &Path, cause: HeaderError) -> Self {
        match cause {
            HeaderError::Damaged(_) => Self::damaged(path, 0, cause.to_string()),
            HeaderError::Development | HeaderError::Newer(_) => {
                Self::OtherFormat(path.to_owned(), cause)
            }
        }
    }
}

impl Damage {
    /// The damage that `error` tells of a segment in `path`.
    fn of(error: &StorageError, path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            offset: error.offset().unwrap_or(0),
            cause: error.cause().to_string(),
        }
    }

    /// The damage of a segment that `error` tells; `None` if it tells of none.
    pub(crate) fn of_segment(error: &StorageError) -> Option<Self> {
        let is_damage = matches!(
            error.kind(),
            StorageErrorKind::Damaged | StorageErrorKind::Unsupported
        );
        match error.place() {
            ErrorPlace::File(path) if is_damage => Some(Self::of(error, path)),
            _ => None,
        }
    }
}

impl From<StorageError> for ScanError {
    fn from(error: StorageError) -> Self {
        Self::Failed(error)
    }
}

impl From<ScanError> for StorageError {
    fn from(error: ScanError) -> Self {
        match error {
            ScanError::Damaged(damage) => Self::damaged(&damage.path, damage.offset, damage.cause),
            ScanError::OtherFormat(path, cause) => {
                Self::file(StorageErrorKind::Unsupported, &path, cause)
            }
            ScanError::Failed(error) => error,
        }
    }
}

/// The segments of a journal, read one after the other.
#[derive(Debug)]
pub(crate) struct Walk<'a> {
    dir: &'a Path,
    remaining: Peekable<std::vec::IntoIter<u64>>,
    /// The part of the journal that was read so far.
    pub(crate) recovered: Recovered,
    /// Where the lines end in each segment that was read.
    pub(crate) ends: Vec<End>,
}

impl<'a> Walk<'a> {
    /// Begins at `start`, or with the first segment if `start` is `None`.
    pub(crate) fn start(dir: &'a Path, start: Option<End>) -> StorageResult<Self> {
        Ok(Self::among(dir, Segments::of(dir)?, start))
    }

    /// As [`start`](Self::start), through these segments.
    fn among(dir: &'a Path, segments: Segments, start: Option<End>) -> Self {
        let Segments {
            beginning,
            firsts: segments,
        } = segments;
        let end = start.unwrap_or(beginning.end());
        let mut remaining = segments.clone();
        remaining.retain(|segment| *segment >= end.segment);
        Self {
            dir,
            remaining: remaining.into_iter().peekable(),
            recovered: Recovered {
                segments,
                end,
                proven_by_tail: 0,
                tail_end: end.offset,
            },
            ends: Vec::new(),
        }
    }

    /// Reads the next segment with `read`, from an offset on. Passes each commit to `each`. False if there
    /// is no further segment.
    pub(crate) fn read_next(
        &mut self,
        read: impl FnOnce(&mut SegmentFile, u64) -> StorageResult<Used>,
        each: &mut impl FnMut(&CommitLine<'_>) -> StorageResult<()>,
    ) -> Result<bool, ScanError> {
        let mut end = self.recovered.end;
        let is_first = self.ends.is_empty();
        let next = self.remaining.next();
        if is_first && next != Some(end.segment) {
            let path = segment_path(self.dir, end.segment);
            return Err(ScanError::damaged(&path, 0, "the file is missing"));
        }
        let Some(segment) = next else {
            return Ok(false);
        };
        if !is_first {
            if segment != end.position + 1 {
                let cause = format!("the segment before it ends at position {}", end.position);
                let path = segment_file(self.dir, segment);
                return Err(ScanError::damaged(&path, 0, cause));
            }
            end = end.of_next();
        }
        let mut file = SegmentFile::open(self.dir, segment)?;
        let Used { bytes, damage } = read(&mut file, end.offset)?;
        let path = file.path();
        let mut tail = &bytes[..];
        let scanned = scan_segment(path, &mut tail, &mut end, each);
        let (tail_end, proven_by_tail) = examine_tail(tail, end);
        self.recovered.end = end;
        self.recovered.tail_end = tail_end;
        self.recovered.proven_by_tail = proven_by_tail;
        self.ends.push(end);
        scanned?;
        if let Some(damage) = damage {
            return Err(ScanError::Damaged(Damage::of(&damage, path)));
        }
        if let Some(note) = file.note()?
            && (note.length, note.chain) != (end.offset, end.chain)
        {
            let cause = "the lines do not end as the note at the end of the compressed file states";
            return Err(ScanError::damaged(path, end.offset, cause));
        }
        if self.remaining.peek().is_some() && tail_end > end.offset {
            let cause = "the line is not valid, and later segments follow";
            return Err(ScanError::damaged(path, end.offset, cause));
        }
        Ok(true)
    }
}

/// Reads the `segments` in `dir` from `start` on, or from the beginning if `start` is `None`. Passes
/// each commit to `redo`. Makes the bytes durable that it reads. `in_doubt` says that a sync
/// failed.
pub(crate) fn scan(
    dir: &Path,
    segments: Segments,
    start: Option<End>,
    in_doubt: bool,
    mut redo: impl FnMut(&CommitLine<'_>) -> StorageResult<()>,
) -> StorageResult<Recovered> {
    let mut walk = Walk::among(dir, segments, start);
    let read = |segment: &mut SegmentFile, offset| read_durable(segment, offset, in_doubt);
    while walk.read_next(read, &mut redo)? {}
    Ok(walk.recovered)
}

/// What [`scan`] finds in `segments` after `end`, at which the store was closed, if that is nothing. `None` if
/// there is something, so that it must be read. The zeros after it, which may be megabytes, are not read.
/// `file` is the segment of `end`.
pub(crate) fn nothing_after(
    segments: &Segments,
    file: &mut SegmentFile,
    end: End,
) -> StorageResult<Option<Recovered>> {
    if segments.firsts.last() != Some(&end.segment) {
        return Ok(None);
    }
    let mut after = [0; 4 * 1024];
    let is_short = end.offset > file.length()?;
    let read = file.read_at(end.offset, &mut after)?;
    if is_short || after[..read].iter().any(|byte| *byte != 0) {
        return Ok(None);
    }
    Ok(Some(Recovered {
        segments: segments.firsts.clone(),
        end,
        proven_by_tail: 0,
        tail_end: end.offset,
    }))
}

/// The part of a journal up to a place, as [`check_chain`] found it.
#[derive(Debug, Default)]
pub(crate) struct Chained {
    /// The checksum of the last line before each segment.
    pub(crate) chains: Vec<(u64, u64)>,
    /// The segment of the place, if it is there.
    pub(crate) last: Option<SegmentFile>,
}

/// Checks that the `segments` in `dir` up to the segment of `place` follow each other, and that a
/// line ends at `place`. The other lines are checked when they are read, because each line is
/// chained to the line before. Invariant D14.
pub(crate) fn check_chain(dir: &Path, segments: &Segments, place: End) -> StorageResult<Chained> {
    let Segments {
        beginning,
        firsts: segments,
    } = segments;
    let mut chain = beginning.chain;
    let mut chained = Chained::default();
    for (i, segment) in segments.iter().enumerate() {
        if i == 0 && *segment != beginning.first() {
            return Err(StorageError::damaged(
                &segment_path(dir, beginning.first()),
                0,
                "the file is missing",
            ));
        }
        if *segment > place.segment {
            break;
        }
        let mut file = SegmentFile::open(dir, *segment)?;
        let previous = previous_of(&mut file)?;
        // The header of a segment without lines may be unfinished.
        let may_lack_header = *segment == place.segment && place.offset == 0;
        if previous != Some(chain) && !(may_lack_header && previous.is_none()) {
            let before = i.checked_sub(1).map(|before| segments[before]);
            return Err(not_following(dir, before, *segment)?);
        }
        chained.chains.push((*segment, chain));
        if *segment == place.segment {
            let stated = if place.offset == 0 {
                Some(chain)
            } else {
                file.stated_before(place.offset)?
            };
            if stated != Some(place.chain) {
                let cause = "the line that checkpoint.json names does not end here: the two \
                             files are from different times or different stores";
                let error = StorageError::damaged(file.path(), place.offset, cause);
                return Err(error.of_kind(StorageErrorKind::OtherHistory));
            }
            chained.last = Some(file);
            break;
        }
        let end = file.used_length()?;
        chain = file.stated_before(end)?.ok_or_else(|| {
            StorageError::damaged(
                file.path(),
                end,
                "the line is not valid, and later segments follow",
            )
        })?;
    }
    Ok(chained)
}

/// The error for a segment that does not follow the segment before it.
fn not_following(dir: &Path, before: Option<u64>, segment: u64) -> StorageResult<StorageError> {
    let mut on = "nothing".to_owned();
    if let Some(before) = before {
        let mut file = SegmentFile::open(dir, before)?;
        let bytes = file.read_used(0)?.bytes;
        let mut lines = bytes.split(|byte| *byte == b'\n');
        let last = lines.rfind(|line| !line.is_empty());
        let commit = last.and_then(|last| CommitLine::read(last).ok());
        if let Some(next) = commit.map(|commit| commit.last() + 1)
            && next < segment
        {
            // A segment without its last lines looks as if another segment had followed.
            let cause = format!(
                "the file is missing, or {} lacks its last lines",
                shown(file.path())
            );
            return Ok(StorageError::damaged(&segment_path(dir, next), 0, cause));
        }
        on = shown(file.path()).to_string();
    }
    let cause = format!(
        "the file does not continue {on}: one of them is damaged or from another time or store, \
         or a file between them is missing"
    );
    Ok(StorageError::damaged(&segment_file(dir, segment), 0, cause))
}

/// The previous segment's checksum as the segment states it, `None` if its header is not whole.
fn previous_of(segment: &mut SegmentFile) -> StorageResult<Option<u64>> {
    if let Some(note) = segment.note()? {
        return Ok(Some(note.previous));
    }
    let start = segment.start()?;
    let header = start
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    let previous = stated_previous(header);
    let previous = previous.filter(|previous| verified(header, *previous).is_some());
    if previous.is_some() {
        Header::read(header).map_err(|cause| ScanError::of_header(segment.path(), cause))?;
    }
    Ok(previous)
}

/// Makes the segments in `dir` durable from `start` on. A killed process may have left the lines
/// only in the system's memory, and nothing may be derived from lines that could still be lost.
pub(crate) fn make_durable(dir: &Path, start: Option<End>, in_doubt: bool) -> StorageResult<()> {
    let first = start.map_or(1, |start| start.segment);
    for segment in list_segments(dir)?.into_iter().filter(|s| *s >= first) {
        let offset = start.filter(|start| start.segment == segment);
        let offset = offset.map_or(0, |start| start.offset);
        read_durable(&mut SegmentFile::open(dir, segment)?, offset, in_doubt)?;
    }
    Ok(())
}

/// Makes a segment durable and returns its bytes from `start` on, without the zeros at its end. In
/// doubt, this writes a new file. Invariant D4. A compressed segment is durable: its plain file was
/// removed only after that, and after no sync had failed.
fn read_durable(segment: &mut SegmentFile, start: u64, in_doubt: bool) -> StorageResult<Used> {
    let is_plain = matches!(segment, SegmentFile::Plain(_));
    if !in_doubt || !is_plain {
        let used = segment.read_used(start)?;
        if is_plain && !used.bytes.is_empty() {
            let file = File::open(segment.path(), Open::Existing);
            let synced = file.and_then(|file| file.sync_all());
            synced.map_err(|e| StorageError::io("make durable", segment.path(), e))?;
        }
        return Ok(used);
    }
    let length = segment.length()?;
    let mut bytes = segment.read_used(0).and_then(Used::whole)?;
    let path = segment.path();
    if start > length {
        return Err(StorageError::damaged(
            path,
            start,
            "the file ends before this byte",
        ));
    }
    let used = bytes.len();
    // The new file gets the zeros too, up to the old length.
    let in_memory = |number| {
        let number = usize::try_from(number).map_err(io::Error::other);
        number.map_err(|e| StorageError::io("make durable", path, e))
    };
    bytes.resize(in_memory(length)?, 0);
    disk::replace_durably(path, &bytes)?;
    bytes.truncate(used);
    let start = in_memory(start)?;
    Ok(Used {
        bytes: bytes.split_off(start.min(used)),
        damage: None,
    })
}

/// Moves `end` and `bytes` past the valid lines of a segment. `bytes` begins at `end`.
pub(crate) fn scan_segment(
    path: &Path,
    bytes: &mut &[u8],
    end: &mut End,
    redo: &mut impl FnMut(&CommitLine<'_>) -> StorageResult<()>,
) -> Result<(), ScanError> {
    while let Some(line) = scan_line(path, bytes, end)? {
        if let Scanned::Commit(commit) = line {
            redo(&commit)?;
        }
    }
    Ok(())
}

/// A valid line of a segment.
#[derive(Debug)]
pub(crate) enum Scanned<'a> {
    Header,
    Commit(CommitLine<'a>),
}

/// Moves `end` and `bytes` past the next line of a segment, if it is valid. `bytes` begins at `end`.
pub(crate) fn scan_line<'a>(
    path: &Path,
    bytes: &mut &'a [u8],
    end: &mut End,
) -> Result<Option<Scanned<'a>>, ScanError> {
    let Some((line, rest)) = split_line(bytes) else {
        return Ok(None);
    };
    let Some(sum) = verified(line, end.chain) else {
        return Ok(None);
    };
    let scanned = if end.offset == 0 {
        let header = Header::read(line).map_err(|cause| ScanError::of_header(path, cause))?;
        if header.first != end.segment {
            return Err(ScanError::damaged(
                path,
                end.offset,
                "the file has another segment's name",
            ));
        }
        Scanned::Header
    } else {
        let damaged = |cause: String| ScanError::damaged(path, end.offset, cause);
        let commit = CommitLine::read(line).map_err(damaged)?;
        if commit.position != end.position + 1 {
            return Err(damaged("the positions have a gap".to_owned()));
        }
        if commit.ms.value() < end.ms {
            let cause = "the commit is older than the one before it";
            return Err(damaged(cause.to_owned()));
        }
        end.position = commit.last();
        end.ms = commit.ms.value();
        Scanned::Commit(commit)
    };
    end.chain = sum;
    end.offset += line.len() as u64 + 1;
    *bytes = rest;
    Ok(Some(scanned))
}

/// Reads the bytes of a journal's first segment. Returns where its valid lines end, and where the
/// bytes after them end.
#[cfg(fuzzing)]
pub(crate) fn scan_bytes(
    bytes: &[u8],
    mut each: impl FnMut(&CommitLine<'_>) -> StorageResult<()>,
) -> StorageResult<(End, u64)> {
    let mut end = End::of_empty(1, 0);
    let mut tail = &bytes[..used(bytes)];
    scan_segment(Path::new("fuzzed"), &mut tail, &mut end, &mut each)?;
    let (tail_end, _) = examine_tail(tail, end);
    Ok((end, tail_end))
}

/// The first line without its line end, and the rest; `None` if there is no line end.
fn split_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (line, rest) = bytes.split_at(line_end(bytes, 0)?);
    Some((line, &rest[1..]))
}

/// Examines `tail`, the bytes after the valid lines. Returns where they end, and the newest
/// position that they prove to have been durable.
///
/// A line is genuine if its checksum is chained to the checksum that the line before it states. The
/// rest of the line before may be damaged. A genuine line states the position that was durable when
/// it was written. Invariant D1.
pub(crate) fn examine_tail(tail: &[u8], end: End) -> (u64, u64) {
    let mut proven = 0;
    let mut stated = None;
    let mut bytes = tail;
    while let Some((line, rest)) = split_line(bytes) {
        if let Some(chain) = stated
            && verified(line, chain).is_some()
            && let Ok(commit) = CommitLine::read(line)
        {
            proven = proven.max(commit.durable.value());
        }
        stated = stated_sum(line);
        bytes = rest;
    }
    (end.offset + tail.len() as u64, proven)
}

impl Recovered {
    /// Fails if a position after the end is known to have been durable. `proven` is the newest
    /// durable position known from outside the journal; `by` says what proves it.
    pub(crate) fn check(&self, dir: &Path, proven: u64, by: &str) -> StorageResult<()> {
        let path = segment_file(dir, self.end.segment);
        match self.missing(proven, by) {
            None => Ok(()),
            Some(cause) => Err(StorageError::damaged(&path, self.end.offset, cause)),
        }
    }

    /// A text about the missing positions after the end, if some are known to have been durable.
    pub(crate) fn missing(&self, proven: u64, by: &str) -> Option<String> {
        let (proven, by) = if self.proven_by_tail > proven {
            (self.proven_by_tail, "a later line of the journal")
        } else {
            (proven, by)
        };
        (proven > self.end.position).then(|| {
            format!(
                "the line with position {} is missing or not valid, but {by} shows that \
                 positions up to {proven} were durable",
                self.end.position + 1,
            )
        })
    }

    /// Overwrites an unfinished tail with zeros durably, so that its lines never come back. Returns
    /// the length of the tail. Invariant D1.
    pub(crate) fn erase_tail(&self, dir: &Path) -> StorageResult<u64> {
        let size = self.tail_end - self.end.offset;
        if size > 0 {
            let path = segment_path(dir, self.end.segment);
            let erase = || -> io::Result<()> {
                let file = File::open(&path, Open::Existing)?;
                let zeros = vec![0; usize::try_from(size).map_err(io::Error::other)?];
                file.write_at(self.end.offset, &zeros)?;
                file.sync_all()
            };
            erase().map_err(|e| StorageError::io("cut the unfinished tail of", &path, e))?;
        }
        Ok(size)
    }
}
