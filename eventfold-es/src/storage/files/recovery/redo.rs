//! Replays the journal's newest commits into the streams' files, if the store was not closed.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use memchr::memrchr;

use crate::ids::StreamId;
use crate::storage::encoding::event_line;
use crate::storage::error::{StorageError, StorageErrorKind, StorageResult};
use crate::storage::files::format::commit_line::{CommitLine, Part};
use crate::storage::files::names;
use crate::storage::files::recovery::shares::in_shares;
use crate::storage::files::streams::cache::OpenFiles;
use crate::storage::files::streams::content::Content;
use crate::storage::files::streams::end::line_hash;
use crate::storage::files::streams::load::line_before_in;
use crate::storage::files::streams::mark::{Mark, StreamHash};
use crate::storage::files::streams::stream::{Stream, Streams, stream_hash};
use crate::storage::files::streams::unflushed::UnflushedLines;

/// Writes commits from the journal to the streams' files again.
#[derive(Debug)]
pub(crate) struct Redo {
    streams: Arc<Streams>,
    files: OpenFiles,
    /// The lines that are not written yet. A killed process left thousands of commits, of often the same
    /// streams, so each file is opened once for all its lines.
    gathered: HashMap<StreamHash, Gathered>,
    gathered_bytes: usize,
    /// The streams that were written, with their directories.
    touched: HashMap<StreamHash, PathBuf>,
    /// Streams whose files are left unchanged, with the lines that the files lack. Either other
    /// lines are in their place, or the disk is full.
    refused: HashMap<StreamId, Arc<Stream>>,
    /// Where the lines of each stream end that were written last.
    ends: HashMap<StreamHash, u64>,
    /// The offset up to which each stream's lines of other programs are in the journal.
    adopted: HashMap<StreamId, u64>,
    /// Whether the journal has commits of our own. After these, no directory is taken over.
    has_own: bool,
    /// In doubt, the streams whose files were replaced with new ones.
    renewed: Option<HashSet<StreamHash>>,
    /// If the disk is full, a stream's file is left unchanged.
    may_lack_space: bool,
}

/// How many bytes of lines are gathered before they are written.
const MOST_GATHERED: usize = if cfg!(test) { 64 } else { 64 * 1024 } * 1024;

/// Lines of one stream that follow each other.
#[derive(Debug)]
struct Gathered {
    stream: Arc<Stream>,
    /// The end of the stream before them.
    before: Mark,
    /// Where the first one begins in the stream's file.
    offset: u64,
    lines: Vec<u8>,
}

impl Gathered {
    fn end(&self) -> u64 {
        self.offset + self.lines.len() as u64
    }
}

/// What became of a stream's lines.
struct Written {
    stream: Arc<Stream>,
    outcome: Outcome,
}

enum Outcome {
    /// The stream's file has its lines up to this offset.
    UpTo(u64),
    /// The file is left unchanged.
    Refused,
}

/// The streams that were brought up to the journal, and the streams that could not be.
pub(crate) struct Redone {
    /// The streams whose files must be synced, with their directories.
    pub(crate) touched: HashMap<StreamHash, PathBuf>,
    pub(crate) adopted: HashMap<StreamId, u64>,
    pub(crate) has_own: bool,
    /// The streams whose files are left unchanged.
    pub(crate) refused: Vec<Arc<Stream>>,
}

impl Redo {
    /// `in_doubt` says that a sync of the files may have failed. `may_lack_space` says to leave a
    /// stream's file unchanged if the disk is full.
    pub(crate) fn new(streams: Arc<Streams>, in_doubt: bool, may_lack_space: bool) -> Self {
        Self {
            streams,
            files: OpenFiles::default(),
            gathered: HashMap::new(),
            gathered_bytes: 0,
            touched: HashMap::new(),
            refused: HashMap::new(),
            ends: HashMap::new(),
            adopted: HashMap::new(),
            has_own: false,
            renewed: in_doubt.then(HashSet::new),
            may_lack_space,
        }
    }

    /// Reads a commit whose lines are known to be in the streams' files.
    pub(crate) fn pass(&mut self, commit: &CommitLine<'_>) -> StorageResult<()> {
        for part in commit.parts() {
            self.pass_part(&part)?;
        }
        Ok(())
    }

    fn pass_part(&mut self, part: &Part<'_, '_>) -> StorageResult<()> {
        self.has_own |= !part.adopted;
        if part.is_of_stream && !part.events.is_empty() {
            let id = StreamId::new(part.aggregate_type, part.id)?;
            self.streams.marks().add(stream_hash(&id), part);
        }
        Ok(())
    }

    /// Makes sure that the streams' files have the commit's lines, at the latest when
    /// [`finish`](Self::finish) is called. The lines are written even if they are there: the system's
    /// memory may differ from the disk.
    pub(crate) fn commit(&mut self, commit: &CommitLine<'_>) -> StorageResult<()> {
        for part in commit.parts() {
            if !part.is_of_stream || part.events.is_empty() {
                self.pass_part(&part)?;
                continue;
            }
            let id = StreamId::new(part.aggregate_type, part.id)?;
            let hash = stream_hash(&id);
            let gathered = self.gathered.get(&hash);
            if part.adopted || gathered.is_none_or(|g| g.end() != part.offset) {
                self.write_gathered_of(hash)?;
                let stream = self.streams.get(&id);
                let gathered = Gathered {
                    before: stream.mark(),
                    stream,
                    offset: part.offset,
                    lines: Vec::new(),
                };
                self.gathered.insert(hash, gathered);
            }
            self.pass_part(&part)?;
            if let Some(gathered) = self.gathered.get_mut(&hash) {
                let before = gathered.lines.len();
                gathered.lines.append(&mut part.lines());
                self.gathered_bytes += gathered.lines.len() - before;
            }
            if part.adopted
                && let Some(gathered) = self.gathered.remove(&hash)
            {
                self.gathered_bytes -= gathered.lines.len();
                let written = self.write(&gathered, Some(&part))?;
                if let Outcome::UpTo(end) = written.outcome {
                    self.adopted.insert(id, end);
                }
                self.note(written);
            }
        }
        if self.gathered_bytes > MOST_GATHERED {
            self.write_gathered()?;
        }
        Ok(())
    }

    fn write_gathered_of(&mut self, stream: StreamHash) -> StorageResult<()> {
        let Some(gathered) = self.gathered.remove(&stream) else {
            return Ok(());
        };
        self.gathered_bytes -= gathered.lines.len();
        let written = self.write(&gathered, None)?;
        self.note(written);
        Ok(())
    }

    fn write_gathered(&mut self) -> StorageResult<()> {
        self.gathered_bytes = 0;
        let mut gathered: Vec<_> = std::mem::take(&mut self.gathered).into_values().collect();
        // Files of one directory after each other.
        gathered.sort_unstable_by(|one, other| one.stream.dir().cmp(other.stream.dir()));
        let write = |gathered: &[Gathered]| -> StorageResult<Vec<Written>> {
            gathered
                .iter()
                .map(|lines| self.write(lines, None))
                .collect()
        };
        // Where two names may lead to one directory, the second of two streams must find the lines of the
        // first. Invariant D8.
        let written = if gathered.len() > 1 && !self.streams.names_may_fold() {
            in_shares(&gathered, write)
        } else {
            vec![write(&gathered)]
        };
        for share in written {
            share?.into_iter().for_each(|written| self.note(written));
        }
        Ok(())
    }

    /// Makes sure that one stream's file has the lines. `adopted` are the lines if they are of another
    /// program.
    fn write(&self, gathered: &Gathered, adopted: Option<&Part<'_, '_>>) -> StorageResult<Written> {
        let Gathered {
            stream,
            before,
            offset,
            lines,
        } = gathered;
        let offset = *offset;
        let id = stream.id();
        let written = |outcome| Written {
            stream: stream.clone(),
            outcome,
        };
        if self.refused.contains_key(id) {
            if let Some(behind) = &mut stream.tail().unflushed {
                behind.further().extend_from_slice(lines);
            }
            return Ok(written(Outcome::Refused));
        }
        if let Some(renewed) = &self.renewed
            && !renewed.contains(&stream.hash())
        {
            self.files.renew(stream)?;
        }
        let is_first = !self.touched.contains_key(&stream.hash());
        let end = self.ends.get(&stream.hash()).copied();
        let end = end.or((before.version == 0).then_some(0));
        if let Some(end) = end.filter(|end| *end < offset) {
            self.fill(stream, end, offset)?;
        }
        let content = Content::open(stream)?;
        if is_first {
            check_before(stream, content.as_ref(), offset, before)?;
        }
        let mut length = lines.len() as u64;
        match adopted.map(|part| adopted_length(stream, part)) {
            // Another program wrote them, perhaps with white space that the journal lacks.
            Some(Ok(Some(there))) => length = there,
            Some(Err(error)) => return Err(error),
            Some(Ok(None)) | None => {
                if let Overwritten::Others =
                    look_before_writing(stream, content.as_ref(), offset, lines)?
                {
                    tracing::error!(stream = %id, offset, "the stream's file has other lines than the journal here (of another program, of an older backup, or of a stream whose name is the same on this file system); the stream takes no commands until they are moved away, by `repair` for example");
                    refuse(gathered);
                    return Ok(written(Outcome::Refused));
                }
                match self.files.write(stream, offset, lines) {
                    Err(error) if self.may_leave(&error) => {
                        tracing::error!(stream = %id, %error, "the stream takes no commands until there is space for the lines that its file lacks");
                        if let Err(error) = self.cut_torn(stream, offset, lines) {
                            tracing::warn!(stream = %id, %error, "a torn end of the stream's file stays until the store is opened again");
                        }
                        refuse(gathered);
                        return Ok(written(Outcome::Refused));
                    }
                    written => written?,
                }
            }
        }
        Ok(written(Outcome::UpTo(offset + length)))
    }

    fn note(&mut self, Written { stream, outcome }: Written) {
        if let Some(renewed) = &mut self.renewed {
            renewed.insert(stream.hash());
        }
        match outcome {
            Outcome::UpTo(end) => {
                let dir = || stream.dir().to_owned();
                self.touched.entry(stream.hash()).or_insert_with(dir);
                self.ends.insert(stream.hash(), end);
            }
            Outcome::Refused => {
                self.refused.insert(stream.id().clone(), stream);
            }
        }
    }

    /// Removes what is behind the part of `lines` that the stream's file has at `offset`: when the lines are
    /// written later, torn bytes would look as if another program had written them. Invariant D8.
    fn cut_torn(&self, stream: &Stream, offset: u64, lines: &[u8]) -> StorageResult<()> {
        let Some(content) = Content::open(stream)? else {
            return Ok(());
        };
        let there = content.read_at(offset, lines.len() as u64)?;
        self.files
            .cut(stream, offset + equal_start(&there, lines) as u64)
    }

    /// Writes empty lines from `end`, where the stream's lines end, up to `offset`, if its file is not as
    /// long. Another program left white space there, which the journal does not have.
    fn fill(&self, stream: &Stream, end: u64, offset: u64) -> StorageResult<()> {
        let content = Content::open(stream)?;
        if content.map_or(Ok(0), |content| content.length())? != end {
            return Ok(());
        }
        let length = usize::try_from(offset - end).unwrap_or(usize::MAX);
        self.files.write(stream, end, &vec![b'\n'; length])
    }

    /// Whether the file of a stream that could not be written is left unchanged. This is not
    /// allowed in doubt: then the file's old content may not be on the disk.
    fn may_leave(&self, error: &StorageError) -> bool {
        self.may_lack_space && self.renewed.is_none() && error.is_full()
    }

    /// Writes what is not written yet. Returns the result of the replay.
    pub(crate) fn finish(mut self) -> StorageResult<Redone> {
        self.write_gathered()?;
        Ok(Redone {
            touched: self.touched,
            adopted: self.adopted,
            has_own: self.has_own,
            refused: self.refused.into_values().collect(),
        })
    }
}

/// Leaves a stream's file unchanged. Its lines are read from memory, and it takes no commands.
fn refuse(gathered: &Gathered) {
    let mut unflushed = UnflushedLines::new(gathered.offset, gathered.lines.clone(), None);
    unflushed.failed = true;
    gathered.stream.tail().unflushed = Some(unflushed);
}

/// Fails if the file of `stream` does not have the event `before` right before `offset`. The stream
/// ended with this event when its file was last made durable.
fn check_before(
    stream: &Stream,
    content: Option<&Content>,
    offset: u64,
    before: &Mark,
) -> StorageResult<()> {
    if offset == 0 {
        return Ok(());
    }
    let path = stream.file();
    let Some(content) = content else {
        return Err(StorageError::damaged(&path, 0, "the file is missing"));
    };
    let length = content.length()?;
    if length < offset {
        let cause = format!(
            "the file ends here, but its next event in the journal begins at byte {offset}"
        );
        return Err(StorageError::damaged(&path, length, cause));
    }
    let hash = match line_before_in(content, offset)? {
        Some(line) => line_hash(line.trim_ascii()),
        None => 0,
    };
    if hash != before.hash {
        let cause = format!(
            "version {} does not end here, although it does in the journal: the file and the \
             journal are from different times",
            before.version
        );
        let error = StorageError::damaged(&path, offset, cause);
        return Err(error.of_kind(StorageErrorKind::OtherHistory));
    }
    Ok(())
}

/// The length of a commit's adopted lines in the stream's file, `None` if a line is missing.
fn adopted_length(stream: &Stream, commit: &Part<'_, '_>) -> StorageResult<Option<u64>> {
    let Some(content) = Content::open(stream)? else {
        return Ok(None);
    };
    // The length of the lines, with some room for white space.
    let most = commit
        .events
        .iter()
        .map(|event| event.get().len() as u64 + 16)
        .sum();
    let there = content.read_at(commit.offset, most)?;
    let mut length = 0;
    let mut lines = there.split_inclusive(|byte| *byte == b'\n');
    for event in commit.events {
        let Some(line) = lines.next() else {
            return Ok(None);
        };
        if !line.ends_with(b"\n") || line.trim_ascii() != event.get().as_bytes() {
            return Ok(None);
        }
        length += line.len() as u64;
    }
    Ok(Some(length))
}

/// Whose bytes a write to a stream's file would overwrite.
enum Overwritten {
    /// The same lines, a part of them, a torn write of ours, or nothing.
    Own,
    /// A whole line that must not be overwritten: of another program, from an older copy, or of the
    /// stream that owns the directory.
    Others,
}

/// How many bytes at the beginning of both are the same.
fn equal_start(one: &[u8], other: &[u8]) -> usize {
    let pairs = one.iter().zip(other);
    pairs.take_while(|(one, other)| one == other).count()
}

/// Whether `lines`, written at `offset`, would overwrite lines of others. Invariant D8.
fn look_before_writing(
    stream: &Stream,
    content: Option<&Content>,
    offset: u64,
    lines: &[u8],
) -> StorageResult<Overwritten> {
    let Some(content) = content else {
        return Ok(Overwritten::Own);
    };
    let mut there = content.read_at(offset, lines.len() as u64)?;
    if lines.starts_with(&there) {
        return Ok(Overwritten::Own);
    }
    // The whole lines at the beginning that are the same.
    let same = &there[..equal_start(&there, lines)];
    let same = memrchr(b'\n', same).map_or(0, |end| end + 1);
    if offset + (same as u64) < content.compressed_end() {
        // Compressed lines are not written again.
        return Ok(Overwritten::Others);
    }
    // Our torn writes are overwritten. A whole line of others must not be lost, even a long one.
    if !there.ends_with(b"\n") {
        let rest = content.read_line_at(offset + there.len() as u64)?;
        there.extend_from_slice(&rest);
    }
    let own: HashSet<&[u8]> = lines.split(|byte| *byte == b'\n').collect();
    let there = there[same..].split_inclusive(|byte| *byte == b'\n');
    let mut others = there
        .filter_map(|line| line.strip_suffix(b"\n"))
        .filter(|line| {
            !line.is_empty() && event_line::read(line, stream.seed()).is_ok() && !own.contains(line)
        });
    Ok(
        if others.next().is_some() || names::other_holder(stream).is_some() {
            Overwritten::Others
        } else {
            Overwritten::Own
        },
    )
}
