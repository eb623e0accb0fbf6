//! Where a commit's events are among those of others: [`Span`].

/// Where the encoded events of a commit are in the buffer.
#[derive(Debug)]
pub(crate) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
    /// Where the events after the first begin, from `start` on.
    pub(super) later: Vec<usize>,
}

impl Span {
    /// How many bytes the events take.
    pub(crate) fn size(&self) -> usize {
        self.end - self.start
    }

    pub(crate) fn count(&self) -> usize {
        self.later.len() + 1
    }
}
