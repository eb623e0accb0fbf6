//! The process that a store belongs to: its threads do not survive a fork.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::text::shown;

/// The process that opened a store. A child that is forked off it has a copy of the store and none of
/// its threads, so whatever it waited for would never come.
#[derive(Debug)]
pub(crate) struct Process(AtomicU32);

impl Process {
    /// This one.
    pub(crate) fn this() -> Self {
        Self(AtomicU32::new(std::process::id()))
    }

    /// Whether it is this one. That is a system call, though the cheapest: nothing in memory tells a
    /// child from its parent.
    pub(crate) fn is_this(&self) -> bool {
        self.0.load(Ordering::Relaxed) == std::process::id()
    }

    /// Fails if the store in `dir` is another process's.
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

    /// As if this process had been forked off the one that it is now.
    #[cfg(test)]
    pub(crate) fn fork(&self) {
        self.0.store(std::process::id() ^ 1, Ordering::Relaxed);
    }
}
