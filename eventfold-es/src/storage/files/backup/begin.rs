//! What a copy has of a store whose oldest segments were dropped: the streams' events from before the
//! beginning of the journal, and the record of where that is. Invariant B6.

use std::path::{Path, PathBuf};

use crate::ids::StreamId;
use crate::storage::error::{StorageError, StorageErrorKind, StorageResult};
use crate::storage::files::disk;
use crate::storage::files::file_systems::FileSystems;
use crate::storage::files::journal::beginning::{Beginning, meta};
use crate::storage::files::layout::{EVENTS_FILE, StreamLayout};
use crate::storage::files::streams::content;
use crate::storage::files::streams::ends::{Ends, end_of_dropped};
use crate::storage::files::streams::high_water::HighWaterMarks;
use crate::storage::files::streams::stream::{Streams, stream_hash};

/// Copies what the journal of `from` does not have any more into the directory `base`, durably. Returns where
/// the journal begins in both.
pub(crate) fn copy(from: &StreamLayout, base: &Path) -> StorageResult<Beginning> {
    let journal = from.journal_dir();
    let beginning = Beginning::read(&journal)?;
    if beginning.dropped == 0 {
        return Ok(beginning);
    }
    let ends = Ends::read(&journal, &beginning)?;
    let to = StreamLayout::new(base);
    disk::create_private_dir(&to.streams_dir())?;
    let mut file_systems = FileSystems::of(base, &to.streams_dir())?;
    let streams = Streams::new(from.clone(), HighWaterMarks::unknown());
    let mut dirs = Vec::new();
    for id in from.list_all()? {
        let mark = ends.of(stream_hash(&id));
        if mark.version == 0 {
            continue;
        }
        let stream = streams.get(&id);
        let mut bytes = content::read_all(&stream)?.unwrap_or_default();
        let end = end_of_dropped(&stream, &mark, &bytes)
            .map_err(|(offset, cause)| StorageError::damaged(&stream.file(), offset, cause))?;
        bytes.truncate(end);
        let dir = place(from, &to, &id, stream.dir());
        disk::create_dir(&dir)?;
        disk::replace(&dir.join(EVENTS_FILE), &bytes, false)?;
        dirs.push(dir);
    }
    let lost = ends.len() - dirs.len();
    if lost > 0 {
        let cause = format!(
            "lacks the directories of {lost} streams, whose events are all before position {}, at which the \
             journal begins: `AggregateStore::verify` says more",
            beginning.first()
        );
        let dir = from.streams_dir();
        return Err(StorageError::file(StorageErrorKind::Damaged, &dir, cause));
    }
    let dirs: Vec<&Path> = dirs.iter().map(PathBuf::as_path).collect();
    file_systems.sync_streams(&dirs)?;

    let journal = to.journal_dir();
    disk::create_private_dir(&meta(&journal))?;
    let copied = Beginning {
        ends: ends.write(&journal, beginning.dropped)?,
        ..beginning
    };
    copied.write(&journal)?;
    Ok(copied)
}

/// Where the copy has the stream: under the same raw name, if it has one.
fn place(from: &StreamLayout, to: &StreamLayout, id: &StreamId, dir: &Path) -> PathBuf {
    match dir.strip_prefix(from.streams_dir()) {
        Ok(below) => to.streams_dir().join(below),
        Err(_) => to.stream_dir(id.aggregate_type(), id.id()),
    }
}
