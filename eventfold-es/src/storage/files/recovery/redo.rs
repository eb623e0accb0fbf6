//! Gathers the lines of the journal's newest commits by stream, if the store was not closed, to be replayed onto the
//! streams' files: here, or later.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use crate::ids::StreamId;
use crate::storage::error::StorageResult;
use crate::storage::files::format::commit_line::{CommitLine, Part};
use crate::storage::files::shares::in_shares;
use crate::storage::files::streams::cache::OpenFiles;
use crate::storage::files::streams::content::Content;
use crate::storage::files::streams::mark::StreamHash;
use crate::storage::files::streams::replay::{Replayed, check_before, prepare, replay};
use crate::storage::files::streams::stream::{Stream, Streams, stream_hash};
use crate::storage::files::streams::unreplayed::Unreplayed;

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
    lines: Unreplayed,
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

    /// Gathers the commit's lines. They are in the streams' files at the latest when [`finish`](Self::finish) has
    /// returned, but for those that were [left](Self::leave).
    pub(crate) fn commit(&mut self, commit: &CommitLine<'_>) -> StorageResult<()> {
        for part in commit.parts() {
            if !part.is_of_stream || part.events.is_empty() {
                self.pass_part(&part)?;
                continue;
            }
            let id = StreamId::new(part.aggregate_type, part.id)?;
            let hash = stream_hash(&id);
            let gathered = self.gathered.get(&hash);
            if part.adopted || gathered.is_none_or(|g| g.lines.end() != part.offset) {
                self.write_gathered_of(hash)?;
                let stream = self.streams.get(&id);
                let lines = Unreplayed {
                    before: stream.mark(),
                    offset: part.offset,
                    lines: Vec::new(),
                };
                self.gathered.insert(hash, Gathered { stream, lines });
            }
            self.pass_part(&part)?;
            if let Some(gathered) = self.gathered.get_mut(&hash) {
                let lines = &mut gathered.lines.lines;
                let before = lines.len();
                lines.append(&mut part.lines());
                self.gathered_bytes += lines.len() - before;
            }
            if part.adopted
                && let Some(gathered) = self.gathered.remove(&hash)
            {
                self.gathered_bytes -= gathered.lines.lines.len();
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
        self.gathered_bytes -= gathered.lines.lines.len();
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
        let Gathered { stream, lines } = gathered;
        let written = |outcome| Written {
            stream: stream.clone(),
            outcome,
        };
        if self.refused.contains_key(stream.id()) {
            if let Some(behind) = &mut stream.tail().unflushed {
                behind.further().extend_from_slice(&lines.lines);
            }
            return Ok(written(Outcome::Refused));
        }
        if let Some(renewed) = &self.renewed
            && !renewed.contains(&stream.hash())
        {
            self.files.renew(stream)?;
        }
        let end = self.ends.get(&stream.hash()).copied();
        let content = prepare(stream, lines, end, &self.files)?;
        if !self.touched.contains_key(&stream.hash()) {
            check_before(stream, content.as_ref(), lines)?;
        }
        let there = adopted
            .map(|part| adopted_length(stream, part))
            .transpose()?;
        if let Some(length) = there.flatten() {
            // Another program wrote them, perhaps with white space that the journal lacks.
            return Ok(written(Outcome::UpTo(lines.offset + length)));
        }
        // In doubt, the file's old content may not be on the disk.
        let may_leave = self.may_lack_space && self.renewed.is_none();
        let replayed = replay(stream, lines, content.as_ref(), &self.files, may_leave)?;
        Ok(written(match replayed {
            Replayed::Written => Outcome::UpTo(lines.end()),
            Replayed::Refused => Outcome::Refused,
        }))
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

    /// Whether the journal has commits of our own.
    pub(crate) fn has_own(&self) -> bool {
        self.has_own
    }

    /// Leaves what is not written yet to whoever reads the streams, as far as it can wait. It cannot if lines
    /// of the stream were written before, or if two names may lead to one directory.
    pub(crate) fn leave(&mut self) -> Vec<Arc<Stream>> {
        if self.streams.names_may_fold() {
            return Vec::new();
        }
        let (touched, refused) = (&self.touched, &self.refused);
        let can_wait = |hash: &StreamHash, gathered: &mut Gathered| {
            !touched.contains_key(hash) && !refused.contains_key(gathered.stream.id())
        };
        let left: Vec<_> = self.gathered.extract_if(can_wait).collect();
        let left = left.into_iter().map(|(hash, Gathered { stream, lines })| {
            self.gathered_bytes -= lines.lines.len();
            self.touched.insert(hash, stream.dir().to_owned());
            *stream.unreplayed() = Some(Box::new(lines));
            stream
        });
        left.collect()
    }

    /// Writes what is not written yet. Returns the result of the replay.
    pub(crate) fn finish(mut self) -> StorageResult<Redone> {
        self.write_gathered()?;
        Ok(Redone {
            touched: self.touched,
            adopted: self.adopted,
            refused: self.refused.into_values().collect(),
        })
    }
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
