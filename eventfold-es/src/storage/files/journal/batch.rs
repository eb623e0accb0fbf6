//! What the journal takes in one write: [`JournalBatch`].

use crate::storage::files::journal::end::End;

/// Lines for the journal, in the order of their commits.
#[derive(Debug)]
pub(crate) struct JournalBatch {
    pub(crate) bytes: Vec<u8>,
    /// Where the journal will end; `offset` is brought up to date by `Journal::append`.
    pub(crate) end: End,
    /// The newest durable position before this batch, stated by each of its lines.
    pub(crate) durable: u64,
}
