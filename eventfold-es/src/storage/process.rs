//! The process that a store belongs to. The store's threads do not survive a fork.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::storage::error::{StorageError, StorageErrorKind, StorageResult};

/// The process that opened a store. A forked child has a copy of the store but none of its threads,
/// so it would wait forever.
#[derive(Debug)]
pub(crate) struct Process(AtomicU32);

impl Process {
    /// The current process.
    pub(crate) fn this() -> Self {
        Self(AtomicU32::new(std::process::id()))
    }

    /// Whether it is the current process. This takes a system call, the cheapest one: nothing in
    /// memory distinguishes a child from its parent.
    pub(crate) fn is_this(&self) -> bool {
        self.0.load(Ordering::Relaxed) == std::process::id()
    }

    /// Fails if the store in `dir` belongs to another process.
    pub(crate) fn check(&self, dir: &Path) -> StorageResult<()> {
        if self.is_this() {
            return Ok(());
        }
        let cause = format!(
            "belongs to another process (its id: {}), from which this one was forked: open the store \
             after the fork",
            self.0.load(Ordering::Relaxed)
        );
        Err(StorageError::file(StorageErrorKind::Closed, dir, cause))
    }

    /// Makes the store look as if this process were a forked child.
    #[cfg(test)]
    pub(crate) fn fork(&self) {
        self.0.store(std::process::id() ^ 1, Ordering::Relaxed);
    }
}
