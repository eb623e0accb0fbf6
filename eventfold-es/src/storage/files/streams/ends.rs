//! Where the streams end at the beginning of a journal whose oldest segments were dropped: [`Ends`].
//!
//! The high-water marks are read from the journal again when their file is of no use. Then they begin with
//! these. Invariants D14, S6.

use std::collections::HashMap;
use std::path::Path;

use xxhash_rust::xxh3::xxh3_64;

use crate::ids::StreamId;
use crate::storage::error::{StorageError, StorageResult};
use crate::storage::files::disk;
use crate::storage::files::format::commit_line::CommitLine;
use crate::storage::files::journal::beginning::{Beginning, ends_file};
use crate::storage::files::streams::high_water::{NOTE, read_note, write_note};
use crate::storage::files::streams::mark::{Mark, StreamHash};
use crate::storage::files::streams::stream::stream_hash;

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

    pub(crate) fn into_marks(self) -> HashMap<StreamHash, Mark> {
        self.0
    }
}
