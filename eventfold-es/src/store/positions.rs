//! Positions for people: the newest events, and how many lie between two positions.

use std::io;

use crate::event::RecordedEvent;
use crate::following::backwards::Backwards;
use crate::ids::Position;
use crate::store::AggregateStore;

impl AggregateStore {
    /// The position of the newest durable event, [`Position::default()`] if there is none.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let store = AggregateStore::open(dir.path()).await?;
    /// # let counter = store.get::<Counter>("c-1").await?;
    /// let done = counter.send(Add(5)).await?;
    /// assert_eq!(store.head(), done.position);
    /// # Ok(())
    /// # }
    /// ```
    pub fn head(&self) -> Position {
        Position::new(self.inner.storage.head())
    }

    /// The newest `n` events of the store, the newest first; all events if there are fewer.
    /// [`backwards`](Self::backwards) has filters, and reads on from there.
    ///
    /// # Errors
    ///
    /// As [`Backwards`].
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let store = AggregateStore::open(dir.path()).await?;
    /// # let counter = store.get::<Counter>("c-1").await?;
    /// counter.send(Add(5)).await?;
    /// counter.send(Add(6)).await?;
    /// for event in store.recent(20).await? {
    ///     println!("{} of {}/{}", event.name(), event.aggregate_type(), event.id());
    /// }
    /// assert_eq!(store.recent(1).await?[0].data(), r#"{"amount":6}"#);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn recent(&self, n: usize) -> io::Result<Vec<RecordedEvent>> {
        let mut events = self.backwards().ahead(n);
        let mut recent = Vec::new();
        while recent.len() < n
            && let Some(event) = events.next().await
        {
            recent.push(event?);
        }
        Ok(recent)
    }

    /// The stored events, the newest first. It reads as far as it is polled. It does not keep the
    /// store open.
    ///
    /// See the example of [`Backwards`].
    pub fn backwards(&self) -> Backwards {
        match self.inner.check_open() {
            Ok(()) => Backwards::new(self.inner.storage.log()),
            Err(error) => Backwards::ended(error.into()),
        }
    }

    /// How many events are stored after `position`: how far somebody is behind who has processed
    /// everything up to there. It is cheap, however many there are.
    ///
    /// [`read_side`](Self::read_side) has the lag of the store's own projections and process
    /// managers.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidInput`]: the position is ahead of the newest event. It comes from
    /// another store, or this store was restored from a backup.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let store = AggregateStore::open(dir.path()).await?;
    /// # let counter = store.get::<Counter>("c-1").await?;
    /// let processed = counter.send(Add(5)).await?.position;
    /// counter.send(Add(6)).await?;
    /// assert_eq!(store.lag_of(processed)?, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn lag_of(&self, position: Position) -> io::Result<u64> {
        self.count_between(position, self.head().max(position))
    }

    /// How many events are after the position `after`, up to and with the one at `until`; 0 if
    /// `until` is not after it. It is cheap, however many there are.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidInput`]: one of the positions is ahead of the newest event. It comes
    /// from another store, or this store was restored from a backup.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let store = AggregateStore::open(dir.path()).await?;
    /// # let counter = store.get::<Counter>("c-1").await?;
    /// let first = counter.send(Add(5)).await?.position;
    /// let second = counter.send(Add(6)).await?.position;
    /// assert_eq!(store.count_between(Position::default(), second)?, 2);
    /// assert_eq!(store.count_between(first, second)?, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn count_between(&self, after: Position, until: Position) -> io::Result<u64> {
        let log = self.inner.storage.log();
        log.check_stored(after.max(until).get())?;
        Ok(log.count_between(after.get(), until.get()))
    }
}
