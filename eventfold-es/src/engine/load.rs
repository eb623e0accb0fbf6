//! Reads a stream from its file, line by line, and checks every line.

use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::ops::ControlFlow;
use std::path::Path;

use memchr::memchr;
use xxhash_rust::xxh3::Xxh3Default;
use xxhash_rust::xxh64::xxh64;

use super::adopted::Adopted;
use super::disk;
use super::line;
use super::names::explained;
use super::snapshot::Saved;
use super::stream::{Behind, Extent, Stream, StreamEnd};
use crate::event::StoredEvent;

/// An event on its way from the file to whoever folds it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Loaded<'a> {
    pub(crate) version: u64,
    pub(crate) event: StoredEvent<'a>,
    pub(crate) key: Option<&'a str>,
    /// Its position in the journal, which only a line of ours states.
    pub(crate) position: Option<u64>,
    /// Where its line begins.
    pub(crate) offset: u64,
}

/// What reading a stream to its end found out.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Where the lines end.
    pub(crate) end: StreamEnd,
    /// Lines of other programs that are not in the journal yet, and what precedes them.
    pub(crate) foreign: Vec<(u64, Vec<u8>)>,
    pub(crate) before_foreign: StreamEnd,
    /// The file's length, which an unfinished line makes greater than the end's offset.
    pub(crate) file_length: u64,
}

impl Found {
    /// Hashes the last line, unless it is empty and the one before it is hashed.
    fn set_hash(&mut self, last: &[u8]) {
        if !last.is_empty() {
            self.end.hash = line_hash(last);
            if self.foreign.is_empty() {
                self.before_foreign.hash = self.end.hash;
            }
        }
    }
}

/// The hash of the last of `lines`, each of which has its line end.
pub(crate) fn last_line_hash(lines: &[u8]) -> u64 {
    let line = lines.strip_suffix(b"\n").unwrap_or(lines);
    let start = line.iter().rposition(|byte| *byte == b'\n');
    line_hash(&line[start.map_or(0, |newline| newline + 1)..])
}

/// `eventfold`'s hash of a line.
pub(crate) fn line_hash(line: &[u8]) -> u64 {
    xxh64(line, 0)
}

/// Whether `stream` has, right before `end.offset`, the line whose hash is `end.hash`. `behind` is
/// what its file lacks.
pub(crate) fn is_at(stream: &Stream, end: &StreamEnd, behind: Option<&Behind>) -> io::Result<bool> {
    if let Some(behind) = behind
        && end.offset > behind.offset
    {
        let length = usize::try_from(end.offset - behind.offset).unwrap_or(usize::MAX);
        let lines = behind.lines.get(..length).unwrap_or_default();
        return Ok(lines.ends_with(b"\n") && last_line_hash(lines) == end.hash);
    }
    let path = stream.file();
    let Some(mut file) = disk::open_if_there(&path)? else {
        return Ok(false);
    };
    let length = file.metadata()?.len();
    if end.offset == 0 || end.offset > length {
        return Ok(false);
    }
    let mut read_back = 4 * 1024;
    loop {
        let start = end.offset.saturating_sub(read_back);
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(start))?;
        (&mut file)
            .take(end.offset - start)
            .read_to_end(&mut bytes)
            .map_err(|e| disk::at("read", &path, &e))?;
        let Some(line) = bytes.strip_suffix(b"\n") else {
            return Ok(false);
        };
        match line.iter().rposition(|byte| *byte == b'\n') {
            Some(newline) => return Ok(line_hash(&line[newline + 1..]) == end.hash),
            None if start == 0 => return Ok(line_hash(line) == end.hash),
            None => read_back *= 8,
        }
    }
}

/// Reads `stream` from `start` on and hands each event to `each`, until that breaks off.
///
/// `extent` says where they are. Lines of other programs behind all that the journal has are
/// handed on like the others and listed in [`Found::foreign`].
pub(crate) fn load(
    stream: &Stream,
    start: StreamEnd,
    extent: &Extent,
    each: impl FnMut(Loaded<'_>) -> io::Result<ControlFlow<()>>,
) -> io::Result<Found> {
    load_from_files(stream, start, extent, each).map_err(|error| match error.kind() {
        // The lines may be another stream's.
        io::ErrorKind::InvalidData => explained(stream, error),
        _ => error,
    })
}

fn load_from_files(
    stream: &Stream,
    start: StreamEnd,
    extent: &Extent,
    mut each: impl FnMut(Loaded<'_>) -> io::Result<ControlFlow<()>>,
) -> io::Result<Found> {
    let Extent {
        adopted,
        whole,
        ref behind,
    } = *extent;
    let behind = behind.as_ref();
    let path = stream.file();
    let mut found = Found {
        end: start,
        before_foreign: start,
        ..Found::default()
    };
    let file = disk::open_if_there(&path)?;
    if file.is_none() && behind.is_none() {
        // What is of its lines shows that there were some.
        let is_lost = || -> io::Result<bool> {
            Ok(start.offset > 0
                || stream.known_end() > 0
                || Adopted::read(stream.dir())?.is_some()
                || Saved::read(stream).is_some())
        };
        if !is_lost()? {
            return Ok(found);
        }
        // Unless the first lines came meanwhile.
        let now = stream.extent()?;
        if now.behind.is_some() || disk::open_if_there(&path)?.is_some() {
            return load_from_files(stream, start, &now, each);
        }
        return Err(disk::damaged(&path, 0, &"the file is missing"));
    }
    stream.refuse_rotated()?;
    // Past the place where the file was last known to be whole, only `behind` counts.
    let limit = behind.map_or(u64::MAX, |behind| behind.offset);
    if let Some(mut file) = file
        && start.offset < limit
    {
        found.file_length = file.metadata()?.len();
        file.seek(SeekFrom::Start(start.offset))?;
        let size = found.file_length.min(limit).saturating_sub(start.offset);
        let capacity = usize::try_from(size.clamp(1, 256 * 1024)).expect("at most 256 KiB");
        let reader = BufReader::with_capacity(capacity, file.take(limit - start.offset));
        if read_lines(stream, reader, adopted, &mut found, &mut each)?.is_break() {
            return Ok(found);
        }
    }
    if let Some(behind) = behind {
        let from = usize::try_from(start.offset.saturating_sub(behind.offset));
        let lines = behind.lines.get(from.unwrap_or(usize::MAX)..);
        let lines = lines.unwrap_or_default();
        if read_lines(stream, lines, adopted, &mut found, &mut each)?.is_break() {
            return Ok(found);
        }
        found.file_length = found.end.offset;
    }
    if found.end.offset < whole {
        let cause = format!("the file has been whole up to byte {whole}");
        return Err(disk::damaged(&path, found.end.offset, &cause));
    }
    Ok(found)
}

fn read_lines(
    stream: &Stream,
    mut reader: impl BufRead,
    adopted: Option<Adopted>,
    found: &mut Found,
    each: &mut impl FnMut(Loaded<'_>) -> io::Result<ControlFlow<()>>,
) -> io::Result<ControlFlow<()>> {
    let path = stream.file();
    let failed = |e: io::Error| disk::at("read", &path, &e);
    let mut lines = Lines {
        stream,
        path: &path,
        adopted,
        prefix: (found.end.offset == 0 && adopted.is_some()).then(Xxh3Default::new),
        found,
    };
    let mut buffer = Vec::new();
    loop {
        // Where they are, unless a line does not end there.
        let read = reader.fill_buf().map_err(failed)?;
        let (used, flow) = if memchr(b'\n', read).is_some() {
            lines.take_all(read, each)?
        } else {
            buffer.clear();
            reader.read_until(b'\n', &mut buffer).map_err(failed)?;
            if buffer.last() != Some(&b'\n') {
                lines.check_unfinished(&buffer)?;
                return Ok(ControlFlow::Continue(()));
            }
            (0, lines.take_all(&buffer, each)?.1)
        };
        reader.consume(used);
        if flow.is_break() {
            return Ok(flow);
        }
    }
}

/// The lines of a stream on their way to whoever folds them.
struct Lines<'a> {
    stream: &'a Stream,
    path: &'a Path,
    adopted: Option<Adopted>,
    /// The hash of the file so far, as long as it is to be compared.
    prefix: Option<Xxh3Default>,
    found: &'a mut Found,
}

impl Lines<'_> {
    /// Takes the lines of `bytes` that have their line end, until `each` has enough. Returns how many
    /// bytes that were.
    fn take_all(
        &mut self,
        bytes: &[u8],
        each: &mut impl FnMut(Loaded<'_>) -> io::Result<ControlFlow<()>>,
    ) -> io::Result<(usize, ControlFlow<()>)> {
        let mut used = 0;
        let mut last: &[u8] = &[];
        let mut flow = ControlFlow::Continue(());
        while flow.is_continue()
            && let Some(length) = memchr(b'\n', &bytes[used..])
        {
            let line = &bytes[used..used + length];
            used += length + 1;
            flow = self.take(line, last, each)?;
            if length > 0 {
                last = line;
            }
        }
        // Of the others nobody needs it.
        self.found.set_hash(last);
        Ok((used, flow))
    }

    /// Checks the next line and hands its event on. `last` is the one before, unless that is hashed.
    fn take(
        &mut self,
        line: &[u8],
        last: &[u8],
        each: &mut impl FnMut(Loaded<'_>) -> io::Result<ControlFlow<()>>,
    ) -> io::Result<ControlFlow<()>> {
        let offset = self.found.end.offset;
        let next = offset + line.len() as u64 + 1;
        self.check_prefix(line, next)?;
        if line.is_empty() {
            self.found.end.offset = next;
            return Ok(ControlFlow::Continue(()));
        }

        let damaged = |cause: &dyn std::fmt::Display| disk::damaged(self.path, offset, cause);
        let read = line::read(line, self.stream.seed()).map_err(|cause| damaged(&cause))?;
        let known = self.adopted.filter(|adopted| next <= adopted.end);
        let position = read.position.or(known.map(|adopted| adopted.position));
        if position.is_none() {
            line::check_foreign(line).map_err(|cause| damaged(&cause))?;
        }
        let version = self.found.end.version + 1;
        if let Some(stated) = read.version
            && stated != version
        {
            return Err(damaged(&format!(
                "version {stated} stands where {version} belongs"
            )));
        }
        let id = self.stream.id();
        let stream = (id.aggregate_type(), id.id());
        let record = read.record(stream, version, read.position.unwrap_or(0));
        let flow = each(Loaded {
            version,
            event: read.event(&record),
            key: read.key.as_deref(),
            position: read.position,
            offset,
        })?;
        if position.is_none() {
            // The end before it is kept.
            self.found.set_hash(last);
        }
        let found = &mut *self.found;
        found.end = StreamEnd {
            version,
            offset: next,
            hash: 0,
            position: position.unwrap_or(found.end.position),
        };
        if position.is_some() {
            // What precedes a line of ours is in the journal, whoever wrote it.
            found.foreign.clear();
            found.before_foreign = found.end;
        } else {
            found.foreign.push((offset, line.to_vec()));
        }
        Ok(flow)
    }

    /// Compares the file up to `next`, where `line` ends, with what was adopted.
    fn check_prefix(&mut self, line: &[u8], next: u64) -> io::Result<()> {
        if let (Some(hasher), Some(adopted)) = (&mut self.prefix, &self.adopted)
            && next <= adopted.end
        {
            hasher.update(line);
            hasher.update(b"\n");
            if next == adopted.end && adopted.hash.is_some_and(|hash| hash != hasher.digest()) {
                let cause = "the checksum of the file up to here does not match";
                return Err(disk::damaged(self.path, next, &cause));
            }
        }
        Ok(())
    }

    /// What has no line end is a line that another program did not finish. Ours are whole.
    fn check_unfinished(&self, bytes: &[u8]) -> io::Result<()> {
        let without_last = bytes.split_last().map_or(&[][..], |(_, line)| line);
        let is_ours =
            |line| line::read(line, self.stream.seed()).is_ok_and(|l| l.position.is_some());
        if is_ours(bytes) || is_ours(without_last) {
            let cause = "the line end is missing";
            return Err(disk::damaged(self.path, self.found.end.offset, &cause));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;

    use super::*;
    use crate::engine::ends::Ends;
    use crate::engine::line::{Common, EncodedEvents};
    use crate::engine::stream::{Behind, Streams};
    use crate::layout::StreamLayout;
    use crate::stream::StreamId;

    const LINE: &[u8] = b"{\"type\":\"A\",\"data\":1,\"ts\":1}\n";

    /// A stream with these lines in its file.
    fn stream_of(dir: &Path, lines: &[u8]) -> Arc<Stream> {
        let streams = Streams::new(StreamLayout::new(dir), Ends::unknown());
        let stream = streams.get(&StreamId::new("a", "b").unwrap());
        fs::create_dir_all(stream.dir()).unwrap();
        fs::write(stream.file(), lines).unwrap();
        stream
    }

    #[test]
    fn the_end_before_and_the_end_behind_lines_of_others_are_known_with_their_hashes() {
        let dir = tempfile::tempdir().unwrap();
        let seed = stream_of(dir.path(), b"").seed();
        let mut events = EncodedEvents::default();
        let long = format!("\"{}\"", "x".repeat(300 * 1024));
        events.push("A", long.as_bytes(), "e-1", 1, &Common::default());
        events.push("A", b"1", "e-2", 2, &Common::default());
        let ours: Vec<Vec<u8>> = events
            .as_encoded()
            .iter()
            .zip(1..)
            .map(|(event, position)| {
                let mut line = Vec::new();
                line::seal(event, position, seed, &mut line);
                line
            })
            .collect();
        let foreign = &LINE[..LINE.len() - 1];
        let end = |lines: &[&[u8]], position| StreamEnd {
            version: lines.len() as u64,
            offset: lines.iter().map(|line| line.len() as u64 + 1).sum(),
            hash: lines.last().map_or(0, |line| line_hash(line)),
            position,
        };
        for (ours, others) in [(0, 1), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2)]
            .map(|(count, others)| (&ours[..count], vec![foreign; others]))
        {
            let mut lines: Vec<&[u8]> = ours.iter().map(Vec::as_slice).collect();
            let before = end(&lines, lines.len() as u64);
            lines.extend(&others);
            let mut bytes = lines.join(&b'\n');
            // An empty line is passed over.
            bytes.extend_from_slice(b"\n\n");
            let stream = stream_of(dir.path(), &bytes);
            let extent = stream.extent().unwrap();
            let all = |_: Loaded<'_>| Ok(ControlFlow::Continue(()));
            let found = load(&stream, StreamEnd::default(), &extent, all).unwrap();
            let mut whole = end(&lines, before.position);
            whole.offset += 1;
            assert_eq!(found.end, whole);
            assert_eq!(found.foreign.len(), others.len());
            if !others.is_empty() {
                assert_eq!(found.before_foreign, before);
            }
        }
    }

    #[test]
    fn what_is_written_while_a_stream_is_read_is_no_damage() {
        let dir = tempfile::tempdir().unwrap();
        let ends = Ends::read(dir.path(), false).unwrap();
        let streams = Streams::new(StreamLayout::new(dir.path()), ends);
        let stream = streams.get(&StreamId::new("a", "b").unwrap());
        fs::create_dir_all(stream.dir()).unwrap();
        fs::write(stream.file(), LINE).unwrap();
        let length = LINE.len() as u64;
        stream.tail().behind = Some(Behind {
            offset: length,
            lines: LINE.to_vec(),
            failed: false,
            file: None,
        });
        let extent = stream.extent().unwrap();

        // The stream writer catches up, another event comes, and a checkpoint notes the end.
        stream.tail().behind = None;
        fs::write(stream.file(), LINE.repeat(3)).unwrap();
        streams.ends().note(&[(stream.hash(), 3 * length)]);
        let count = |extent: &Extent| {
            let mut events = 0;
            load(&stream, StreamEnd::default(), extent, |_| {
                events += 1;
                Ok(ControlFlow::Continue(()))
            })
            .map(|_| events)
        };
        assert_eq!(count(&extent).unwrap(), 2);
        assert_eq!(count(&stream.extent().unwrap()).unwrap(), 3);
        fs::write(stream.file(), LINE.repeat(2)).unwrap();
        count(&stream.extent().unwrap()).unwrap_err();
    }
}
