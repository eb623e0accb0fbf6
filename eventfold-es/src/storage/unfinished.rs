//! What the end of a store waits for: [`Unfinished`].

/// What keeps a store from being closed as long as it is there.
pub(crate) trait Unfinished: Send + Sync {
    /// What it waits for.
    fn describe(&self) -> String;
}
