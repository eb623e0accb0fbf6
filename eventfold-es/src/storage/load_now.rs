//! What a storage has at hand and in memory at one moment: [`LoadNow`].

/// What waits for the storage, and what it keeps in memory.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct LoadNow {
    /// Commits that were handed over and are not answered.
    pub(crate) waiting_commits: u64,
    /// How many bytes they take, about.
    pub(crate) waiting_bytes: u64,
    pub(crate) open_files: usize,
    /// Streams with something in memory.
    pub(crate) streams: usize,
}
