//! Where a commit's events are in the buffer of all waiting commits: [`Span`].

/// The range of a commit's encoded events in the buffer.
#[derive(Debug)]
pub(crate) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
    /// Where the events after the first begin, relative to `start`.
    pub(super) later: Vec<usize>,
    pub(super) is_tagged: bool,
}

impl Span {
    /// How many bytes the events take.
    pub(crate) fn size(&self) -> usize {
        self.end - self.start
    }

    /// Whether an event has tags.
    pub(crate) fn is_tagged(&self) -> bool {
        self.is_tagged
    }

    pub(crate) fn count(&self) -> usize {
        self.later.len() + 1
    }
}
