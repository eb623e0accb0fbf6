//! Replays onto a stream's file what the journal has since the redo point, after a crash: [`replay`].

use std::collections::HashSet;

use memchr::memrchr;

use crate::storage::encoding::event_line;
use crate::storage::error::{StorageError, StorageErrorKind, StorageResult};
use crate::storage::files::names;
use crate::storage::files::streams::cache::OpenFiles;
use crate::storage::files::streams::content::Content;
use crate::storage::files::streams::end::line_hash;
use crate::storage::files::streams::mark::Mark;
use crate::storage::files::streams::stream::{REPAIR, Stream};
use crate::storage::files::streams::unflushed::UnflushedLines;
use crate::storage::files::streams::unreplayed::Unreplayed;

/// What became of a stream's lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Replayed {
    /// The file has them.
    Written,
    /// The file is left unchanged. The lines are read from memory, and the stream takes no commands.
    Refused,
}

/// Replays the lines of `stream` that wait for it, if there are any. Whoever reads the stream's file does so
/// first. Invariant D8.
///
/// # Errors
///
/// Those of [`check_before`], and if the file cannot be read or written. The lines wait on then.
pub(crate) fn replay_pending(stream: &Stream) -> StorageResult<()> {
    let mut pending = stream.unreplayed();
    let Some(lines) = &*pending else {
        return Ok(());
    };
    let files = OpenFiles::default();
    let content = prepare(stream, lines, None, &files)?;
    check_before(stream, content.as_ref(), lines)?;
    replay(stream, lines, content.as_ref(), &files, true)?;
    *pending = None;
    Ok(())
}

/// Opens what is there of `stream`. `end` is where its lines so far end, if they were written before. If the file
/// ends there, too, and `lines` do not begin there, then another program left white space, which the journal does
/// not have: it is made up for.
pub(crate) fn prepare(
    stream: &Stream,
    lines: &Unreplayed,
    end: Option<u64>,
    files: &OpenFiles,
) -> StorageResult<Option<Content>> {
    let content = Content::open(stream)?;
    let end = end.or((lines.before.version == 0).then_some(0));
    let Some(end) = end.filter(|end| *end < lines.offset) else {
        return Ok(content);
    };
    if content.map_or(Ok(0), |content| content.length())? == end {
        let length = usize::try_from(lines.offset - end).unwrap_or(usize::MAX);
        files.write(stream, end, &vec![b'\n'; length])?;
    }
    Content::open(stream)
}

/// Fails if the file of `stream` does not have the event before `lines` right before them. The stream ended
/// with this event when its file was last made durable.
///
/// # Errors
///
/// The file is missing or too short, or it has another event there.
pub(crate) fn check_before(
    stream: &Stream,
    content: Option<&Content>,
    lines: &Unreplayed,
) -> StorageResult<()> {
    let Unreplayed { before, offset, .. } = lines;
    let offset = *offset;
    if offset == 0 {
        return Ok(());
    }
    let path = stream.file();
    let Some(content) = content else {
        let error = StorageError::damaged(&path, 0, "the file is missing");
        return Err(error.with_advice(REPAIR));
    };
    let length = content.length()?;
    if length < offset {
        let cause = format!(
            "the file ends here, but its next event in the journal begins at byte {offset}"
        );
        return Err(StorageError::damaged(&path, length, cause).with_advice(REPAIR));
    }
    let hash = match content.line_before(offset)? {
        Some(line) => line_hash(line.trim_ascii()),
        None => 0,
    };
    let Mark {
        version,
        hash: expected,
        ..
    } = before;
    if hash != *expected {
        let cause = format!(
            "version {version} does not end here, although it does in the journal: the file and \
             the journal are from different times"
        );
        let error = StorageError::damaged(&path, offset, cause);
        return Err(error.of_kind(StorageErrorKind::OtherHistory));
    }
    Ok(())
}

/// Writes `lines` to the file of `stream`, whose content is `content`, unless other lines are in their place.
/// They are written even if they are there: the system's memory may differ from the disk. If the disk is full
/// and `may_leave`, the file is left unchanged.
pub(crate) fn replay(
    stream: &Stream,
    lines: &Unreplayed,
    content: Option<&Content>,
    files: &OpenFiles,
    may_leave: bool,
) -> StorageResult<Replayed> {
    let id = stream.id();
    let offset = lines.offset;
    if let Overwritten::Others = look_before_writing(stream, content, lines)? {
        tracing::error!(stream = %id, offset, "the stream's file has other lines than the journal here (of another program, of an older backup, or of a stream whose name is the same on this file system); the stream takes no commands until they are moved away, by `repair` for example");
        refuse(stream, lines);
        return Ok(Replayed::Refused);
    }
    match files.write(stream, offset, &lines.lines) {
        Err(error) if may_leave && error.is_full() => {
            tracing::error!(stream = %id, %error, "the stream takes no commands until there is space for the lines that its file lacks");
            if let Err(error) = cut_torn(stream, lines, files) {
                tracing::warn!(stream = %id, %error, "a torn end of the stream's file stays until the store is opened again");
            }
            refuse(stream, lines);
            Ok(Replayed::Refused)
        }
        written => written.map(|()| Replayed::Written),
    }
}

/// Leaves a stream's file unchanged. Its lines are read from memory, and it takes no commands.
fn refuse(stream: &Stream, lines: &Unreplayed) {
    let mut unflushed = UnflushedLines::new(lines.offset, lines.lines.clone(), None);
    unflushed.failed = true;
    stream.tail().unflushed = Some(unflushed);
}

/// Removes what is behind the part of `lines` that the stream's file has: when the lines are written later,
/// torn bytes would look as if another program had written them. Invariant D8.
fn cut_torn(stream: &Stream, lines: &Unreplayed, files: &OpenFiles) -> StorageResult<()> {
    let Some(content) = Content::open(stream)? else {
        return Ok(());
    };
    let there = content.read_at(lines.offset, lines.lines.len() as u64)?;
    let equal = equal_start(&there, &lines.lines) as u64;
    files.cut(stream, lines.offset + equal)
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

/// Whether writing `lines` would overwrite lines of others. Invariant D8.
fn look_before_writing(
    stream: &Stream,
    content: Option<&Content>,
    lines: &Unreplayed,
) -> StorageResult<Overwritten> {
    let Some(content) = content else {
        return Ok(Overwritten::Own);
    };
    let (offset, lines) = (lines.offset, &lines.lines);
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
