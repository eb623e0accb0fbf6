//! The journal as those see it who follow it from outside: [`Tail`].

use std::io;
use std::sync::Arc;

use crate::storage::files::JournalReader;
use crate::storage::files::commit::health::Health;
use crate::storage::files::journal::Index;

/// How far the journal is, and what is in it. Whoever holds this does not keep the store open.
/// Invariant S4.
#[derive(Debug, Clone)]
pub(crate) struct Tail {
    pub(crate) health: Arc<Health>,
    pub(crate) index: Arc<Index>,
}

impl Tail {
    /// Waits until the event at `position` is durable, and returns the position of the newest that is.
    ///
    /// # Errors
    ///
    /// Why there will be none: the store was shut down, or has failed.
    pub(crate) async fn reached(&self, position: u64) -> io::Result<u64> {
        self.health.reached(position).await
    }

    /// The position of the newest durable event.
    pub(crate) fn head(&self) -> u64 {
        self.health.head()
    }

    /// Reads the journal from behind position `after`.
    pub(crate) fn reader(&self, after: u64) -> JournalReader {
        JournalReader::new(self.index.clone(), after)
    }
}
