//! A stream's file that is read on a thread of its own, ahead of a load: [`FileAhead`].

use std::fs::File;

use crate::storage::encoding::event_line::{Verified, verified};
use crate::storage::files::ahead::Lines;
use crate::storage::files::disk;
use crate::storage::files::streams::content::Content;

/// A stream's file that is read ahead.
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
    type Known = Verified;

    fn read_on(&mut self, offset: u64, about: usize, out: &mut Vec<u8>) -> Option<usize> {
        let left = usize::try_from(self.limit.saturating_sub(offset)).unwrap_or(usize::MAX);
        let start = out.len();
        // The reader has the same open file, so its place must not move.
        let read = disk::read_on(&self.file, out, offset - self.base, about.min(left)).ok()?;
        out.truncate(start + read.min(left));
        Some(read.min(left))
    }

    fn check(&mut self, line: &str, in_detail: bool) -> Option<Verified> {
        verified(line, self.seed, in_detail)
    }
}
