//! A stream's file that is read on a thread of its own, ahead of a load: [`FileAhead`].

use std::fs::File;

use crate::storage::encoding::event_line;
use crate::storage::files::ahead::Lines;
use crate::storage::files::disk;
use crate::storage::files::streams::content::Content;

/// A stream's file that is read ahead. What is known of its lines are their positions.
#[derive(Debug)]
pub(super) struct FileAhead {
    file: File,
    /// Where the lines in the file begin in the stream.
    base: u64,
    /// Where they end at the latest.
    limit: u64,
    seed: u64,
}

impl FileAhead {
    /// The file of `content` up to `limit`. `seed` is that of the stream's checksums. `None` if there is no file.
    pub(super) fn of(content: &Content, limit: u64, seed: u64) -> Option<Self> {
        Some(Self {
            file: content.file()?.try_clone().ok()?,
            base: content.base(),
            limit,
            seed,
        })
    }
}

impl Lines for FileAhead {
    type Known = u64;

    fn read_on(&mut self, offset: u64, about: usize, out: &mut Vec<u8>) -> Option<usize> {
        let start = out.len();
        let most = usize::try_from(self.limit.saturating_sub(offset)).unwrap_or(usize::MAX);
        out.resize(start + about.min(most), 0);
        // The reader has the same open file, so its place must not move.
        let read = disk::read_at(&self.file, &mut out[start..], offset - self.base).ok()?;
        out.truncate(start + read);
        Some(read)
    }

    fn check(&mut self, line: &str) -> Option<u64> {
        event_line::verified_position(line.as_bytes(), self.seed)
    }
}
