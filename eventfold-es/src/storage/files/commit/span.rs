//! Where a commit's events are in the buffer of all waiting commits: [`Span`].

/// The range of a commit's encoded events in the buffer.
#[derive(Debug)]
pub(crate) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
    /// Where the events after the first begin, relative to `start`.
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
