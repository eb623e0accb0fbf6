//! Where a stream's file ends: [`StreamEnd`].

use xxhash_rust::xxh64::xxh64;

/// The end of a stream's file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct StreamEnd {
    pub(crate) version: u64,
    pub(crate) offset: u64,
    /// `eventfold`'s hash of the last line, 0 if there is none.
    pub(crate) hash: u64,
    /// The position of the last event, if it is known.
    pub(crate) position: u64,
}

/// `eventfold`'s hash of a line.
pub(crate) fn line_hash(line: &[u8]) -> u64 {
    xxh64(line, 0)
}
