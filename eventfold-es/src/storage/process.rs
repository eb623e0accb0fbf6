//! The process that a store belongs to. The store's threads do not survive a fork.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::text::shown;

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
    pub(crate) fn check(&self, dir: &Path) -> io::Result<()> {
        if self.is_this() {
            return Ok(());
        }
        let text = format!(
            "the store in {} belongs to another process (its id: {}), from which this one was forked: a \
             store must be opened after the fork",
            shown(dir),
            self.0.load(Ordering::Relaxed)
        );
        Err(io::Error::new(io::ErrorKind::NotConnected, text))
    }

    /// Makes the store look as if this process were a forked child.
    #[cfg(test)]
    pub(crate) fn fork(&self) {
        self.0.store(std::process::id() ^ 1, Ordering::Relaxed);
    }
}
