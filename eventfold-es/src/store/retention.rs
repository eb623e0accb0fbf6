//! Dropping the oldest files of a store's journal: [`AggregateStore::drop_old_journal`].

use std::io;
use std::time::Duration;

use crate::following;
use crate::storage::retention::DroppedJournal;
use crate::store::AggregateStore;

impl AggregateStore {
    /// Removes the oldest files of the journal now, whose events are all older than `keep_for`, and says what
    /// keeps the others. Commands are served meanwhile. A store that was opened with
    /// [`keep_journal_for`](crate::AggregateStoreBuilder::keep_journal_for), whose documentation says what is
    /// lost, does it by itself.
    ///
    /// The age of an event is the time since it was stored, by the [clock](crate::AggregateStoreBuilder::clock)
    /// of the store. Files go whole, the oldest first, and only as long as nothing needs them:
    /// [`WhyKept`](crate::WhyKept) has the reasons.
    ///
    /// # Errors
    ///
    /// * [`io::ErrorKind::Unsupported`]: the store is not in a directory;
    /// * [`io::ErrorKind::ResourceBusy`]: somebody reads files that an interrupted attempt was to remove;
    /// * [`io::ErrorKind::InvalidData`]: a file of the journal is damaged, so nothing is removed;
    /// * [`io::ErrorKind::NotConnected`]: the store was shut down meanwhile;
    /// * any other: a file could not be read, written, removed or made durable. What is not removed is
    ///   removed at the next attempt, or when the store is opened again.
    ///
    /// See the example of [`DroppedJournal`].
    #[doc(alias("retention", "disk", "space", "truncate", "delete"))]
    pub async fn drop_old_journal(&self, keep_for: Duration) -> io::Result<DroppedJournal> {
        let storage = &self.inner.storage;
        let needs = following::needs(storage, &self.read_side);
        Ok(storage.drop_old_journal(keep_for, needs).await?)
    }
}
