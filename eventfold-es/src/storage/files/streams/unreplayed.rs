//! What the journal has of a stream since the redo point, after a crash: [`Unreplayed`].

use crate::storage::files::streams::mark::Mark;

/// Lines of one stream that follow each other. The stream's file may lack them.
#[derive(Debug)]
pub(crate) struct Unreplayed {
    /// The end of the stream before them.
    pub(crate) before: Mark,
    /// Where the first one begins in the stream's file.
    pub(crate) offset: u64,
    pub(crate) lines: Vec<u8>,
}

impl Unreplayed {
    /// Where the last one ends.
    pub(crate) fn end(&self) -> u64 {
        self.offset + self.lines.len() as u64
    }
}
