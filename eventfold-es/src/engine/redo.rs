//! Replays the journal's newest commits onto the streams' files, when a store was not closed in
//! order.

use std::collections::{HashMap, HashSet};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::sync::Arc;

use super::adopted::Adopted;
use super::disk;
use super::ends::StreamHash;
use super::files::Files;
use super::journal::commit_line::CommitLine;
use super::line;
use super::names;
use super::stream::{Behind, Stream, Streams};
use super::upkeep::Dirty;
use crate::stream::StreamId;

/// Writes commits to the streams' files again.
#[derive(Debug)]
pub(crate) struct Redo {
    streams: Arc<Streams>,
    files: Files,
    /// The streams that were written, and where they end.
    touched: HashMap<StreamHash, Dirty>,
    /// Streams that are left as they are, with the lines that their files lack: another program has
    /// written where those belong, or there is no space for them.
    refused: HashMap<StreamId, Arc<Stream>>,
    /// How far each stream with adopted lines is in the journal.
    adopted: HashMap<StreamId, AdoptedEnd>,
    /// In doubt, the streams that have new files.
    renewed: Option<HashSet<StreamHash>>,
    /// A stream for which there is no space is left as it is.
    may_lack_space: bool,
}

/// What was brought up to the journal, and what could not be.
pub(crate) struct Redone {
    /// What must be synced.
    pub(crate) touched: Vec<Dirty>,
    pub(crate) adopted: HashMap<StreamId, AdoptedEnd>,
    /// The streams that are left as they are.
    pub(crate) refused: Vec<Arc<Stream>>,
}

/// The end of a stream's last adopted line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AdoptedEnd {
    pub(crate) offset: u64,
    pub(crate) version: u64,
    pub(crate) position: u64,
}

impl Redo {
    /// `in_doubt` says that a sync of the files may have failed, `may_lack_space` that a stream for which
    /// there is no space is to be left as it is.
    pub(crate) fn new(streams: Arc<Streams>, in_doubt: bool, may_lack_space: bool) -> Self {
        Self {
            streams,
            files: Files::default(),
            touched: HashMap::new(),
            refused: HashMap::new(),
            adopted: HashMap::new(),
            renewed: in_doubt.then(HashSet::new),
            may_lack_space,
        }
    }

    /// Makes sure that the stream's file holds the commit's lines. They are written even if they
    /// are there: what the system holds in memory need not be what the disk holds.
    pub(crate) fn commit(&mut self, commit: &CommitLine<'_>) -> io::Result<()> {
        let id = StreamId::new(&commit.aggregate_type, &commit.id)?;
        let stream = self.streams.get(&id);
        let lines = commit.lines();
        if self.refused.contains_key(&id) {
            if let Some(behind) = &mut stream.tail().behind {
                behind.lines.extend_from_slice(&lines);
            }
            return Ok(());
        }
        if let Some(renewed) = &mut self.renewed
            && renewed.insert(stream.hash())
        {
            self.files.renew(&stream)?;
            Adopted::renew(stream.dir())?;
        }
        let mut length = lines.len() as u64;
        match commit.adopted.then(|| adopted_length(&stream, commit)) {
            // Another program wrote them, with white space perhaps that the journal does not have.
            Some(Ok(Some(there))) => length = there,
            Some(Err(error)) => return Err(error),
            Some(Ok(None)) | None => {
                if let Overwritten::Foreign = look_before_writing(&stream, commit.offset, &lines)? {
                    tracing::error!(stream = %id, offset = commit.offset, "another program, or a stream whose name is the same to the file system, wrote to the stream's file: it takes no commands until those lines are moved away, by `repair` for example");
                    self.refuse(id, stream, commit.offset, lines);
                    return Ok(());
                }
                match self.files.write(&stream, commit.offset, &lines) {
                    Err(error) if self.may_leave(&error) => {
                        tracing::error!(stream = %id, %error, "the stream takes no commands until there is space for what its file lacks");
                        self.refuse(id, stream, commit.offset, lines);
                        return Ok(());
                    }
                    written => written?,
                }
            }
        }
        let dirty = self.touched.entry(stream.hash()).or_insert_with(|| Dirty {
            stream: stream.hash(),
            dir: stream.dir().to_owned(),
            end: 0,
        });
        dirty.end = commit.offset + length;
        if commit.adopted {
            let end = AdoptedEnd {
                offset: commit.offset + length,
                version: commit.version + commit.events.len() as u64 - 1,
                position: commit.last(),
            };
            self.adopted.insert(id, end);
        }
        Ok(())
    }

    /// Whether a stream that could not be written is left as it is. Not one with a new file: what it
    /// held is not known to be on the disk.
    fn may_leave(&self, error: &io::Error) -> bool {
        self.may_lack_space && self.renewed.is_none() && disk::is_full(error)
    }

    /// Leaves a stream as it is: its lines are read from memory, and it takes no commands.
    fn refuse(&mut self, id: StreamId, stream: Arc<Stream>, offset: u64, lines: Vec<u8>) {
        stream.tail().behind = Some(Behind {
            offset,
            lines,
            failed: true,
            file: None,
        });
        self.refused.insert(id, stream);
    }

    /// Notes what is adopted, and returns what was done.
    pub(crate) fn finish(self) -> io::Result<Redone> {
        for (id, end) in &self.adopted {
            let stream = self.streams.get(id);
            let noted = Adopted::read(stream.dir()).ok().flatten();
            if noted.is_none_or(|noted| noted.end < end.offset) {
                Adopted::record(stream.dir(), end.offset, end.version, end.position)?;
            }
        }
        Ok(Redone {
            touched: self.touched.into_values().collect(),
            adopted: self.adopted,
            refused: self.refused.into_values().collect(),
        })
    }
}

/// How many bytes the adopted lines of a commit take in the stream's file, `None` if they are not all
/// there.
fn adopted_length(stream: &Stream, commit: &CommitLine<'_>) -> io::Result<Option<u64>> {
    let path = stream.file();
    let Some(mut file) = disk::open_if_there(&path)? else {
        return Ok(None);
    };
    // A little more than the lines without white space.
    let most = commit
        .events
        .iter()
        .map(|event| event.get().len() as u64 + 16)
        .sum();
    let mut there = Vec::new();
    file.seek(SeekFrom::Start(commit.offset))?;
    file.take(most)
        .read_to_end(&mut there)
        .map_err(|e| disk::at("read", &path, &e))?;
    let mut length = 0;
    let mut lines = there.split_inclusive(|byte| *byte == b'\n');
    for event in commit.events.iter() {
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

/// What the file of a stream holds where lines are to be written.
enum Overwritten {
    /// The same, a part of it, or nothing.
    Own,
    /// A line of another program, or of the stream whose directory it is.
    Foreign,
}

/// Says whether `lines` at `offset` would overwrite what another program wrote. Fails if they would
/// leave a gap.
fn look_before_writing(stream: &Stream, offset: u64, lines: &[u8]) -> io::Result<Overwritten> {
    let path = stream.file();
    let mut file = match disk::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound && offset == 0 => {
            return Ok(Overwritten::Own);
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(disk::damaged(&path, 0, &"the file is missing"));
        }
        Err(error) => return Err(disk::at("open", &path, &error)),
    };
    let length = file.metadata()?.len();
    if length < offset {
        let cause = format!("the file ends here, but the journal goes on at byte {offset}");
        return Err(disk::damaged(&path, length, &cause));
    }
    file.seek(SeekFrom::Start(offset))?;
    let mut file = BufReader::new(file);
    let mut there = Vec::new();
    (&mut file)
        .take(lines.len() as u64)
        .read_to_end(&mut there)
        .map_err(|e| disk::at("read", &path, &e))?;
    if lines.starts_with(&there) {
        return Ok(Overwritten::Own);
    }
    // Torn writes of ours are overwritten; a whole line that is not ours must not be lost, however
    // long it is.
    if !there.contains(&b'\n') {
        file.read_until(b'\n', &mut there)
            .map_err(|e| disk::at("read", &path, &e))?;
    }
    let first = there.split(|byte| *byte == b'\n').next().unwrap_or(&there);
    let is_foreign = first.len() < there.len()
        && line::read(first, stream.seed()).is_ok_and(|line| line.position.is_none());
    Ok(if is_foreign || names::other_holder(stream).is_some() {
        Overwritten::Foreign
    } else {
        Overwritten::Own
    })
}

/// The newest position that any stream's file shows to be durable, with the stream that does.
/// A stream's lines are written after the journal, so the journal must have them all.
pub(crate) fn newest_in_streams(
    streams: &Arc<Streams>,
    ids: &[StreamId],
) -> io::Result<Option<(u64, StreamId)>> {
    let mut newest: Option<(u64, StreamId)> = None;
    for id in ids {
        if let Some(position) = newest_position(&streams.get(id))?
            && newest.as_ref().is_none_or(|(known, _)| *known < position)
        {
            newest = Some((position, id.clone()));
        }
    }
    Ok(newest)
}

fn newest_position(stream: &Stream) -> io::Result<Option<u64>> {
    let path = stream.file();
    let Some(mut file) = disk::open_if_there(&path)? else {
        return Ok(None);
    };
    let length = file.metadata()?.len();
    let adopted = Adopted::read(stream.dir()).ok().flatten();
    let mut back = 1024;
    loop {
        let start = length.saturating_sub(back);
        let mut tail = Vec::new();
        file.seek(SeekFrom::Start(start))?;
        (&mut file)
            .take(back)
            .read_to_end(&mut tail)
            .map_err(|e| disk::at("read", &path, &e))?;
        let newest = tail
            .split(|byte| *byte == b'\n')
            .rev()
            .filter_map(|line| line::read(line, stream.seed()).ok())
            .find_map(|line| line.position);
        if newest.is_some() || start == 0 {
            return Ok(newest.max(adopted.map(|adopted| adopted.position)));
        }
        if let Some(adopted) = adopted
            && start <= adopted.end
        {
            // What is further back was in the journal before that.
            return Ok(Some(adopted.position));
        }
        // A line may be of any length, and lines of other programs may follow on it.
        back *= 64;
    }
}
