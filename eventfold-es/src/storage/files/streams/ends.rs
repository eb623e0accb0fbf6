//! Where the streams end at the beginning of a journal whose oldest segments were dropped: [`Ends`].
//!
//! The high-water marks are read from the journal again when their file is of no use. Then they begin with
//! these. Invariants D14, S6.

use std::collections::HashMap;
use std::path::Path;

use xxhash_rust::xxh3::xxh3_64;

use crate::ids::StreamId;
use crate::storage::encoding::event_line;
use crate::storage::error::{StorageError, StorageResult};
use crate::storage::files::disk;
use crate::storage::files::format::commit_line::CommitLine;
use crate::storage::files::journal::beginning::{Beginning, ends_file};
use crate::storage::files::streams::end::line_hash;
use crate::storage::files::streams::high_water::{NOTE, read_note, write_note};
use crate::storage::files::streams::mark::{Mark, StreamHash, add_foreign};
use crate::storage::files::streams::stream::{Stream, stream_hash};

/// The marks of all streams at the beginning of the journal.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ends(HashMap<StreamHash, Mark>);

impl Ends {
    /// Reads them for a journal with this beginning.
    pub(crate) fn read(journal: &Path, beginning: &Beginning) -> StorageResult<Self> {
        if beginning.dropped == 0 {
            return Ok(Self::default());
        }
        let path = ends_file(journal, beginning.dropped);
        let bytes = disk::read_if_there(&path)?.unwrap_or_default();
        let damaged = || {
            let cause = "the file that says where the streams end at the beginning of the journal is \
                         missing or not as it was written";
            StorageError::damaged(&path, 0, cause)
        };
        let (notes, rest) = bytes.as_chunks::<NOTE>();
        if xxh3_64(&bytes) != beginning.ends || !rest.is_empty() {
            return Err(damaged());
        }
        let ends = notes.iter().map(read_note).collect::<Option<_>>();
        ends.map(Self).ok_or_else(damaged)
    }

    /// Writes them durably for a journal that begins after the position `dropped`. Returns the checksum of
    /// the file.
    pub(crate) fn write(&self, journal: &Path, dropped: u64) -> StorageResult<u64> {
        let notes = self
            .0
            .iter()
            .map(|(stream, mark)| write_note(*stream, *mark));
        let bytes = notes.collect::<Vec<_>>().concat();
        disk::replace_durably(&ends_file(journal, dropped), &bytes)?;
        Ok(xxh3_64(&bytes))
    }

    /// Moves them past a commit.
    pub(crate) fn add(&mut self, commit: &CommitLine<'_>) -> StorageResult<()> {
        for part in commit.streams() {
            let id = StreamId::new(part.aggregate_type, part.id)?;
            self.0.entry(stream_hash(&id)).or_default().add(&part);
        }
        Ok(())
    }

    /// The mark of the stream.
    pub(crate) fn of(&self, stream: StreamHash) -> Mark {
        self.0.get(&stream).copied().unwrap_or_default()
    }

    /// The streams that have events before the beginning of the journal.
    pub(crate) fn streams(&self) -> impl Iterator<Item = StreamHash> {
        self.0.keys().copied()
    }

    /// How many streams they are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn into_marks(self) -> HashMap<StreamHash, Mark> {
        self.0
    }
}

/// Where the lines end in `bytes`, the bytes of a stream's file, that are before the beginning of the journal.
/// `before` says with what they end.
///
/// # Errors
///
/// Where and why they are not those that the journal had.
pub(crate) fn end_of_dropped(
    stream: &Stream,
    before: &Mark,
    bytes: &[u8],
) -> Result<usize, (u64, String)> {
    let (mut end, mut version, mut hash, mut foreign) = (0, 0, 0, 0);
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        if version == before.version {
            break;
        }
        let Some(text) = line.strip_suffix(b"\n") else {
            break;
        };
        if !text.is_empty() {
            let read = event_line::read(text, stream.seed())
                .map_err(|error| (end as u64, error.to_string()))?;
            version += 1;
            hash = line_hash(text.trim_ascii());
            if read.position.is_none() {
                foreign = add_foreign(foreign, text.trim_ascii());
            }
        }
        end += line.len();
    }
    let (stated, there) = (before.version, version);
    if there < stated {
        let cause =
            format!("the file has {there} events here, and the stream had {stated} at least");
        return Err((end as u64, cause));
    }
    if there > 0 && (hash, foreign) != (before.hash, before.foreign) {
        let cause = format!("the events up to version {there} are not those that the journal had");
        return Err((end as u64, cause));
    }
    Ok(end)
}
