//! How far a check of a directory is: [`Progress`].

use std::path::Path;

use crate::storage::error::StorageResult;
use crate::storage::files::backup::pace::Told;
use crate::storage::files::disk;
use crate::storage::files::journal::paths::{list_segments, segment_file};
use crate::storage::files::layout::{ARCHIVE_FILE, EVENTS_FILE, StreamLayout};

/// Tells how many bytes of the journal and of the streams' files were read, of how many.
pub(crate) struct Progress {
    told: Option<Told>,
    done: u64,
    total: u64,
}

impl Progress {
    pub(crate) fn new(told: Option<Told>) -> Self {
        Self {
            told,
            done: 0,
            total: 0,
        }
    }

    /// Begins with a directory, from the first byte.
    pub(crate) fn begin(&mut self, layout: &StreamLayout) -> StorageResult<()> {
        if self.told.is_none() {
            return Ok(());
        }
        let journal = layout.journal_dir();
        let mut total = 0;
        if disk::is_dir(&journal) {
            let segments = list_segments(&journal)?.into_iter();
            total += segments
                .map(|first| size(&segment_file(&journal, first)))
                .sum::<u64>();
        }
        for id in layout.list_all()? {
            let dir = layout.stream_dir(id.aggregate_type(), id.id());
            total += size(&dir.join(EVENTS_FILE)) + size(&dir.join(ARCHIVE_FILE));
        }
        (self.done, self.total) = (0, total);
        self.tell();
        Ok(())
    }

    /// Notes that a file was read.
    pub(crate) fn read(&mut self, file: &Path) {
        if self.told.is_some() {
            self.done += size(file);
            self.tell();
        }
    }

    fn tell(&mut self) {
        // A file may have grown meanwhile, or have a name that was not known at the beginning.
        self.total = self.total.max(self.done);
        if let Some(told) = &mut self.told {
            told(self.done, self.total);
        }
    }
}

/// The size of a file; 0 if it cannot be found out, which the check reports.
fn size(file: &Path) -> u64 {
    std::fs::metadata(file).map_or(0, |metadata| metadata.len())
}
