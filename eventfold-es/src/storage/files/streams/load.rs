//! Reads a stream from its file, line by line, and checks every line.

use std::io::{self, BufRead, BufReader, Read as _};
use std::ops::ControlFlow;
use std::path::Path;

use memchr::memchr;

use crate::storage::encoding::event_line;
use crate::storage::encoding::event_line::Line;
use crate::storage::error::{Cause, StorageError, StorageErrorKind, StorageResult};
use crate::storage::files::ahead::Ahead;
use crate::storage::files::names::explained;
use crate::storage::files::streams::content::{Content, last_line};
use crate::storage::files::streams::end::StreamEnd;
use crate::storage::files::streams::end::line_hash;
use crate::storage::files::streams::extent::Extent;
use crate::storage::files::streams::file_ahead::FileAhead;
use crate::storage::files::streams::mark::Mark;
use crate::storage::files::streams::mark::add_foreign;
use crate::storage::files::streams::stream::{REPAIR, Stream, stream_error};
use crate::storage::files::streams::unflushed::MissingLines;
use crate::storage::loaded::Loaded;

/// The last line of `stream` that is not empty and ends at or before `offset`; `None` if no line
/// ends at `offset`. `unflushed` are the lines that the file lacks.
pub(crate) fn line_before(
    stream: &Stream,
    offset: u64,
    unflushed: Option<&MissingLines>,
) -> StorageResult<Option<Vec<u8>>> {
    if let Some(unflushed) = unflushed
        && offset > unflushed.offset
    {
        let length = usize::try_from(offset - unflushed.offset).unwrap_or(usize::MAX);
        let lines = unflushed.lines.get(..length).unwrap_or_default();
        return Ok(last_line(lines, true).map(<[u8]>::to_vec));
    }
    match Content::open(stream)? {
        Some(content) => content.line_before(offset),
        None => Ok(None),
    }
}

/// From this size on a stream's file is read ahead: a thread is started in less time than it saves.
const AHEAD_FROM: u64 = if cfg!(test) { 2 * 1024 } else { 512 * 1024 };

/// How much of a short file is read at a time. New memory costs more than a further read.
const MOST_READ: u64 = 64 * 1024;

/// Reads `stream` from `start` on and passes each event to `each`, until `each` breaks off. Returns
/// where the lines end.
///
/// `extent` says where the lines are. The stream must be exactly as in the journal. Lines from an
/// older copy, new lines of other programs and missing lines are refused.
pub(crate) fn load<E: From<StorageError>>(
    stream: &Stream,
    start: StreamEnd,
    extent: &Extent,
    mut each: impl FnMut(Loaded<'_>) -> Result<ControlFlow<()>, E>,
) -> Result<StreamEnd, E> {
    let Extent {
        mark,
        ref unflushed,
    } = *extent;
    let unflushed = unflushed.as_ref();
    let path = stream.file();
    let content = Content::open(stream)?;
    if content.is_none() && unflushed.is_none() {
        if mark.version == 0 && start.offset == 0 {
            return Ok(start);
        }
        let error = StorageError::damaged(&path, 0, "the file is missing").with_advice(REPAIR);
        return Err(explained(stream, error).into());
    }
    let mut lines = LineReader {
        stream,
        path: &path,
        mark,
        newest: mark.version,
        foreign: (start.offset == 0).then_some(0),
        end: start,
    };
    // After the offset up to which the file is known to be whole, only `unflushed` counts.
    let limit = unflushed.map_or(u64::MAX, |unflushed| unflushed.offset);
    if let Some(content) = &content
        && start.offset < limit
        && lines.read_content(content, limit, &mut each)?.is_break()
    {
        return Ok(lines.end);
    }
    if let Some(unflushed) = unflushed {
        let from = usize::try_from(start.offset.saturating_sub(unflushed.offset));
        let rest = unflushed.lines.get(from.unwrap_or(usize::MAX)..);
        let failed = |e| StorageError::io("read", &path, e);
        let rest = rest.unwrap_or_default();
        if lines.read(rest, failed, &mut each)?.is_break() {
            return Ok(lines.end);
        }
    }
    Ok(lines.finish()?)
}

/// Reads and checks the lines of a stream.
struct LineReader<'a> {
    stream: &'a Stream,
    path: &'a Path,
    /// The mark of the stream before it was read.
    mark: Mark,
    /// The newest version that the stream is known to have.
    newest: u64,
    /// The hash of the lines of other programs so far. `None` if the mark cannot be compared.
    foreign: Option<u64>,
    end: StreamEnd,
}

impl LineReader<'_> {
    /// Reads the stream's lines from where they were read to up to `limit`.
    fn read_content<E: From<StorageError>>(
        &mut self,
        content: &Content,
        limit: u64,
        each: &mut impl FnMut(Loaded<'_>) -> Result<ControlFlow<()>, E>,
    ) -> Result<ControlFlow<()>, E> {
        let mut start = self.end.offset;
        if let Some(rotated) = content.rotated().filter(|_| start < content.base()) {
            let lines = rotated.lines_from(start)?.take(limit - start);
            let flow = self.read(lines, |e| rotated.failed(e), each)?;
            if flow.is_break() || limit <= content.base() {
                return Ok(flow);
            }
            start = content.base();
            if self.end.offset != start {
                let cause = "the rotated lines end within a line";
                let error = StorageError::damaged(rotated.path(), 0, cause).with_advice(REPAIR);
                return Err(explained(self.stream, error).into());
            }
        }
        let mut size = content.length()?.min(limit).saturating_sub(start);
        if size >= AHEAD_FROM {
            let flow = self.read_ahead(content, limit, each)?;
            if flow.is_break() {
                return Ok(flow);
            }
            size -= self.end.offset - start;
            start = self.end.offset;
        }
        let Some(file) = content.file_from(start)? else {
            return Ok(ControlFlow::Continue(()));
        };
        let capacity = usize::try_from(size.clamp(1, MOST_READ)).expect("at most 64 KiB");
        let reader = BufReader::with_capacity(capacity, file.take(limit - start));
        self.read(reader, |e| content.failed(e), each)
    }

    /// Reads the lines of the stream's file as far as they are valid lines of ours, which a thread of its own
    /// finds out.
    fn read_ahead<E: From<StorageError>>(
        &mut self,
        content: &Content,
        limit: u64,
        each: &mut impl FnMut(Loaded<'_>) -> Result<ControlFlow<()>, E>,
    ) -> Result<ControlFlow<()>, E> {
        let ahead = FileAhead::of(content, limit, self.stream.seed());
        let Some(mut ahead) = ahead.and_then(|file| Ahead::start(self.end.offset, || Some(file)))
        else {
            return Ok(ControlFlow::Continue(()));
        };
        let mut flow = ControlFlow::Continue(());
        while flow.is_continue()
            && let Some((line, known)) = ahead.next()
        {
            let read = event_line::read_verified(line, known)
                .map_err(|cause| self.wrong(StorageErrorKind::Damaged, cause))?;
            flow = self.take_event(line.as_bytes(), &read, each)?;
        }
        // The hashes of the other lines are not needed.
        if let Some((last, _)) = ahead.line() {
            self.end.hash = line_hash(last.as_bytes());
        }
        Ok(flow)
    }

    fn read<E: From<StorageError>>(
        &mut self,
        mut reader: impl BufRead,
        failed: impl Fn(io::Error) -> StorageError,
        each: &mut impl FnMut(Loaded<'_>) -> Result<ControlFlow<()>, E>,
    ) -> Result<ControlFlow<()>, E> {
        let mut buffer = Vec::new();
        loop {
            // Takes the lines in place, unless the buffer has no line end.
            let read = reader.fill_buf().map_err(&failed)?;
            let (used, flow) = if memchr(b'\n', read).is_some() {
                self.take_all(read, each)?
            } else {
                buffer.clear();
                reader.read_until(b'\n', &mut buffer).map_err(&failed)?;
                if buffer.last() != Some(&b'\n') {
                    self.check_unfinished(&buffer)?;
                    return Ok(ControlFlow::Continue(()));
                }
                (0, self.take_all(&buffer, each)?.1)
            };
            reader.consume(used);
            if flow.is_break() {
                return Ok(flow);
            }
        }
    }

    /// Takes the whole lines of `bytes`, until `each` breaks off. Returns how many bytes were used.
    fn take_all<E: From<StorageError>>(
        &mut self,
        bytes: &[u8],
        each: &mut impl FnMut(Loaded<'_>) -> Result<ControlFlow<()>, E>,
    ) -> Result<(usize, ControlFlow<()>), E> {
        let mut used = 0;
        let mut last: &[u8] = &[];
        let mut flow = ControlFlow::Continue(());
        while flow.is_continue()
            && let Some(length) = memchr(b'\n', &bytes[used..])
        {
            let line = &bytes[used..used + length];
            used += length + 1;
            flow = self.take(line, each)?;
            if length > 0 {
                last = line;
            }
        }
        // The hashes of the other lines are not needed.
        if !last.is_empty() {
            self.end.hash = line_hash(last);
        }
        Ok((used, flow))
    }

    /// Checks the next line and passes its event to `each`.
    fn take<E: From<StorageError>>(
        &mut self,
        line: &[u8],
        each: &mut impl FnMut(Loaded<'_>) -> Result<ControlFlow<()>, E>,
    ) -> Result<ControlFlow<()>, E> {
        if line.is_empty() {
            self.end.offset += 1;
            return Ok(ControlFlow::Continue(()));
        }
        let read = event_line::read(line, self.stream.seed())
            .map_err(|cause| self.wrong(StorageErrorKind::Damaged, cause))?;
        self.take_event(line, &read, each)
    }

    /// Checks the place of the event that was read from the next line, and passes it to `each`.
    fn take_event<E: From<StorageError>>(
        &mut self,
        line: &[u8],
        read: &Line<'_>,
        each: &mut impl FnMut(Loaded<'_>) -> Result<ControlFlow<()>, E>,
    ) -> Result<ControlFlow<()>, E> {
        let version = self.end.version + 1;
        if version > self.newest {
            // The line may have been committed meanwhile.
            self.newest = self.stream.mark().version;
            if version > self.newest {
                return Err(self.beyond(read).into());
            }
        }
        if let Some(stated) = read.stated_version()
            && stated != version
        {
            let cause = format!("the line has version {stated}, but {version} must be next");
            return Err(self.wrong(StorageErrorKind::Damaged, cause).into());
        }
        if let Some(foreign) = &mut self.foreign
            && read.position.is_none()
        {
            *foreign = add_foreign(*foreign, line.trim_ascii());
        }
        if version == self.mark.version {
            self.compare(line)?;
        }
        let id = self.stream.id();
        let stream = (id.aggregate_type(), id.id());
        let record = read.record(stream, version, read.position.unwrap_or(0));
        let flow = each(Loaded {
            version,
            event: read.event(&record),
            key: read.key.as_deref(),
            command: read.fingerprint(),
            position: read.position,
        })?;
        self.end = StreamEnd {
            version,
            offset: self.end.offset + line.len() as u64 + 1,
            hash: 0,
            position: read.position.unwrap_or(self.end.position),
        };
        Ok(flow)
    }

    /// The error for the line that was not accepted. It may belong to another stream.
    fn wrong(&self, kind: StorageErrorKind, cause: impl Into<Cause>) -> StorageError {
        let mut error = StorageError::damaged(self.path, self.end.offset, cause).of_kind(kind);
        if kind == StorageErrorKind::Damaged {
            error = error.with_advice(REPAIR);
        }
        explained(self.stream, error)
    }

    /// Compares `line`, the line of the mark's version, with the stream's mark. Invariant S5.
    fn compare(&self, line: &[u8]) -> StorageResult<()> {
        if line_hash(line.trim_ascii()) != self.mark.hash {
            let Mark {
                version, position, ..
            } = self.mark;
            let cause = format!(
                "version {version} is not the event that the journal has at position {position}: \
                 the file and the journal are from different times"
            );
            return Err(self.wrong(StorageErrorKind::OtherHistory, cause));
        }
        if self.foreign.is_some_and(|hash| hash != self.mark.foreign) {
            let cause = "the checksum of the lines of other programs up to here does not match";
            return Err(self.wrong(StorageErrorKind::Damaged, cause));
        }
        Ok(())
    }

    /// The error for a line that the journal does not have. Invariant D11.
    fn beyond(&self, read: &Line<'_>) -> StorageError {
        let last = self.newest;
        let Some(position) = read.position else {
            let offset = self.end.offset;
            let cause = format!(
                "has lines of another program from byte {offset} on, which the journal does not \
                 have: `AggregateStore::repair` enters them"
            );
            let error = stream_error(self.stream, StorageErrorKind::OtherProgram, cause);
            return explained(self.stream, error);
        };
        let cause = format!(
            "an event with position {position} is here, but in the journal the stream ends with \
             version {last}: the file and the journal are from different times"
        );
        self.wrong(StorageErrorKind::OtherHistory, cause)
    }

    /// Checks bytes without a line end at the end of the file. Our own lines always have one, so
    /// another program did not finish this line.
    fn check_unfinished(&self, bytes: &[u8]) -> StorageResult<()> {
        if bytes.is_empty() || self.stream.mark().version > self.end.version {
            // The stream writer is writing the line.
            return Ok(());
        }
        let offset = self.end.offset;
        let without_last = bytes.split_last().map_or(&[][..], |(_, line)| line);
        let is_ours =
            |line| event_line::read(line, self.stream.seed()).is_ok_and(|l| l.position.is_some());
        if is_ours(bytes) || is_ours(without_last) {
            return Err(self.wrong(StorageErrorKind::Damaged, "the line end is missing"));
        }
        let cause = format!(
            "has an unfinished line of another program from byte {offset} on: \
             `AggregateStore::repair` moves it away"
        );
        let error = stream_error(self.stream, StorageErrorKind::OtherProgram, cause);
        Err(explained(self.stream, error))
    }

    /// Fails if lines are missing at the end. Invariant S5.
    fn finish(mut self) -> StorageResult<StreamEnd> {
        let version = self.end.version;
        if version < self.mark.version {
            let cause = format!(
                "the file ends with version {version}, but in the journal the stream ends with version {}",
                self.mark.version
            );
            return Err(self.wrong(StorageErrorKind::Damaged, cause));
        }
        if version == self.mark.version {
            // A line of another program does not state its position.
            self.end.position = self.mark.position;
        }
        Ok(self.end)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;

    use super::*;
    use crate::ids::StreamId;
    use crate::storage::encoding::event_line::{Common, EncodedEvents};
    use crate::storage::files::layout::StreamLayout;
    use crate::storage::files::streams::high_water::HighWaterMarks;
    use crate::storage::files::streams::stream::Streams;
    use crate::storage::files::streams::unflushed::UnflushedLines;

    const LINE: &[u8] = b"{\"type\":\"A\",\"data\":1,\"ts\":1}";

    /// The stream `a/b`, which has no file yet.
    fn new_stream(dir: &Path) -> (Arc<Streams>, Arc<Stream>) {
        let streams = Streams::new(StreamLayout::new(dir), HighWaterMarks::unknown());
        let stream = streams.get(&StreamId::new("a", "b").unwrap());
        fs::create_dir_all(stream.dir()).unwrap();
        (streams, stream)
    }

    /// Our own lines of `stream`. Their positions begin with `first`. The first line is a long one.
    fn ours(stream: &Stream, count: usize, first: u64) -> Vec<Vec<u8>> {
        let long = format!("\"{}\"", "x".repeat(300 * 1024));
        let payloads = [&[&long[..]], &vec!["1"; count - 1][..]].concat();
        lines_of(stream, &payloads, first)
    }

    /// Our own lines of `stream` with these payloads.
    fn lines_of(stream: &Stream, payloads: &[&str], first: u64) -> Vec<Vec<u8>> {
        let mut events = EncodedEvents::new(stream.seed());
        for (data, version) in payloads.iter().zip(1..) {
            events.push("A", data.as_bytes(), "e", version, &Common::default());
        }
        let lines = events
            .as_encoded()
            .iter()
            .zip(first..)
            .map(|(event, position)| {
                let mut line = Vec::new();
                event_line::seal(event, position, &mut line);
                line
            });
        lines.collect()
    }

    /// Where `lines` end, with an empty line after them.
    fn end_of(lines: &[Vec<u8>]) -> StreamEnd {
        StreamEnd {
            version: lines.len() as u64,
            offset: lines.iter().map(|line| line.len() as u64 + 1).sum::<u64>() + 1,
            hash: lines.last().map_or(0, |line| line_hash(line)),
            position: lines.len() as u64,
        }
    }

    fn write(stream: &Stream, lines: &[Vec<u8>]) {
        let mut bytes = lines.join(&b'\n');
        bytes.extend_from_slice(b"\n\n");
        fs::write(stream.file(), bytes).unwrap();
    }

    fn load_all(stream: &Stream, extent: &Extent) -> Result<(u64, StreamEnd), String> {
        let mut events = 0;
        let end = load(stream, StreamEnd::default(), extent, |_| {
            events += 1;
            Ok(ControlFlow::Continue(()))
        });
        end.map(|end| (events, end))
            .map_err(|e: StorageError| e.to_string())
    }

    #[test]
    fn a_stream_is_loaded_only_if_its_file_has_exactly_the_journals_events() {
        let dir = tempfile::tempdir().unwrap();
        let (streams, stream) = new_stream(dir.path());
        let lines = ours(&stream, 3, 1);
        for count in 1..=lines.len() {
            let right = &lines[..count];
            streams
                .marks()
                .set(stream.hash(), stream.dir(), &end_of(right));
            write(&stream, right);
            let loaded = load_all(&stream, &Extent::of(&stream).unwrap()).unwrap();
            assert_eq!(loaded, (count as u64, end_of(right)));
        }
        let refused = |lines: &[Vec<u8>], cause: &str| {
            write(&stream, lines);
            let error = load_all(&stream, &Extent::of(&stream).unwrap()).unwrap_err();
            assert!(error.contains(cause), "{error}");
            assert!(error.contains("app.jsonl"), "{error}");
        };
        refused(&lines[..2], "ends with version 2, but in the journal");
        let longer = ours(&stream, 4, 1);
        refused(&longer, "an event with position 4 is here");
        let twice = [&lines[..], &lines[2..]].concat();
        refused(&twice, "an event with position 3 is here");
        let others = [&lines[..], &[LINE.to_vec()]].concat();
        refused(&others, "`AggregateStore::repair` enters them");
        refused(
            &ours(&stream, 3, 2),
            "is not the event that the journal has",
        );
        fs::remove_file(stream.file()).unwrap();
        let error = load_all(&stream, &Extent::of(&stream).unwrap()).unwrap_err();
        assert!(error.contains("the file is missing"), "{error}");
    }

    #[test]
    fn damage_anywhere_in_a_long_stream_is_told_and_all_events_before_it_are_passed() {
        let dir = tempfile::tempdir().unwrap();
        let (streams, stream) = new_stream(dir.path());
        let lines = lines_of(&stream, &vec!["1"; 60], 1);
        streams
            .marks()
            .set(stream.hash(), stream.dir(), &end_of(&lines));
        write(&stream, &lines);
        assert_eq!(
            load_all(&stream, &Extent::of(&stream).unwrap()),
            Ok((60, end_of(&lines)))
        );
        let bytes = fs::read(stream.file()).unwrap();
        assert!(bytes.len() as u64 > 2 * AHEAD_FROM);

        for at in (0..bytes.len() - 2).step_by(5) {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << (at % 8);
            fs::write(stream.file(), changed).unwrap();
            let mut events = 0;
            let loaded = load(
                &stream,
                StreamEnd::default(),
                &Extent::of(&stream).unwrap(),
                |_| {
                    events += 1;
                    StorageResult::Ok(ControlFlow::Continue(()))
                },
            );
            let error = loaded.unwrap_err();
            assert_eq!(error.kind(), StorageErrorKind::Damaged, "{at}: {error}");
            let before = memchr::memchr_iter(b'\n', &bytes[..at]).count();
            assert_eq!(events, before, "{at}: {error}");
        }
    }

    #[test]
    fn a_stream_with_foreign_lines_is_loaded_only_if_they_were_entered_in_that_order() {
        let dir = tempfile::tempdir().unwrap();
        let (streams, stream) = new_stream(dir.path());
        let other = b"{\"type\":\"A\",\"data\":2,\"ts\":1}";
        for line in [LINE, other] {
            streams.marks().add_foreign(stream.hash(), line, 7);
        }
        // The file has white space that the journal does not have.
        let padded = [b" ", LINE, b"  "].concat();
        write(&stream, &[padded.clone(), other.to_vec()]);
        let (events, end) = load_all(&stream, &Extent::of(&stream).unwrap()).unwrap();
        assert_eq!((events, end.position), (2, 7));
        for wrong in [[other.to_vec(), other.to_vec()], [other.to_vec(), padded]] {
            write(&stream, &wrong);
            load_all(&stream, &Extent::of(&stream).unwrap()).unwrap_err();
        }
    }

    #[test]
    fn lines_written_while_a_stream_is_loaded_are_not_reported_as_damage() {
        let dir = tempfile::tempdir().unwrap();
        let (streams, stream) = new_stream(dir.path());
        let lines = ours(&stream, 3, 1);
        streams
            .marks()
            .set(stream.hash(), stream.dir(), &end_of(&lines[..2]));
        let second = [&lines[1][..], b"\n"].concat();
        let offset = lines[0].len() as u64 + 1;
        stream.tail().unflushed = Some(UnflushedLines::new(offset, second, None));
        let extent = Extent::of(&stream).unwrap();

        // The stream writer catches up, and another event comes.
        stream.tail().unflushed = None;
        streams
            .marks()
            .set(stream.hash(), stream.dir(), &end_of(&lines));
        write(&stream, &lines);
        assert_eq!(load_all(&stream, &extent).unwrap().0, 2);
        assert_eq!(
            load_all(&stream, &Extent::of(&stream).unwrap()).unwrap().0,
            3
        );
        let before = Extent {
            unflushed: None,
            ..extent
        };
        assert_eq!(load_all(&stream, &before).unwrap().0, 3);
        write(&stream, &lines[..2]);
        load_all(&stream, &Extent::of(&stream).unwrap()).unwrap_err();
    }

    #[test]
    fn the_last_line_before_an_offset_is_found_whatever_its_length() {
        let dir = tempfile::tempdir().unwrap();
        let (_streams, stream) = new_stream(dir.path());
        let lines = ours(&stream, 2, 1);
        write(&stream, &lines);
        let before = |offset| line_before(&stream, offset, None).unwrap();
        let first = lines[0].len() as u64 + 1;
        assert_eq!(before(first).as_ref(), Some(&lines[0]));
        let end = end_of(&lines).offset;
        assert_eq!(before(end).as_ref(), Some(&lines[1]));
        for offset in [0, 1, first - 1, end + 1] {
            assert_eq!(before(offset), None, "{offset}");
        }
    }
}
