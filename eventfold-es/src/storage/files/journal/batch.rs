//! The lines that the journal takes in one write: [`JournalBatch`].

use crate::storage::files::journal::end::End;

/// Lines for the journal, in the order of their commits.
#[derive(Debug)]
pub(crate) struct JournalBatch {
    pub(crate) bytes: Vec<u8>,
    /// Where the journal will end. `Journal::append` updates `offset`.
    pub(crate) end: End,
    /// The newest durable position before this batch. Each line states it.
    pub(crate) durable: u64,
    /// Where the first commit begins in `bytes`, after the header of a new segment.
    pub(crate) first: usize,
}

impl JournalBatch {
    /// The lines of the commits.
    pub(crate) fn commits(&self) -> impl Iterator<Item = &[u8]> {
        let lines = self.bytes[self.first..].split(|byte| *byte == b'\n');
        lines.filter(|line| !line.is_empty())
    }
}
