//! Work that the end of a store waits for: [`Unfinished`].

/// Work in progress. As long as it exists, the store cannot be closed.
pub(crate) trait Unfinished: Send + Sync {
    /// What the work waits for.
    fn describe(&self) -> String;
}
