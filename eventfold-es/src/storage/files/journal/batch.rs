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
}
