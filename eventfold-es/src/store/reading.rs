//! Reading what a store holds: projections, and the events themselves.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::projection::Projection;
use crate::error::closed;
use crate::following::subscription::Subscription;
use crate::following::{Exclusive, Projecting};
use crate::ids::Position;
use crate::runtime::background::{blocking, within};
use crate::store::{AggregateStore, Rebuild};

/// How long to wait before looking again what another process has saved.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

impl AggregateStore {
    /// Brings the projection `P` up to date, blocking, and returns a copy of its state, which includes
    /// every command that was answered before.
    ///
    /// Of a projection that [one process follows for all](crate::store::AggregateStoreBuilder::projection_elected),
    /// another process gets the state that was last saved, a few seconds old.
    ///
    /// It blocks the calling thread on the disk while there are new events, and never waits for a
    /// task. Async code calls [`read`](Self::read), which blocks nobody; `store.read(P::clone).await`
    /// returns a copy.
    ///
    /// # Errors
    ///
    /// * [`io::ErrorKind::NotFound`]: `P` is not registered;
    /// * [`io::ErrorKind::InvalidInput`]: another type is registered under its name;
    /// * [`io::ErrorKind::InvalidData`]: the journal is damaged, or holds an event that cannot be
    ///   read; the text says where;
    /// * [`io::ErrorKind::Other`]: `P` panicked on an event; the text says on which;
    /// * [`io::ErrorKind::NotConnected`]: the store is shut down;
    /// * [`io::ErrorKind::Deadlock`]: the calling code runs within `P`, or within a
    ///   [`read`](Self::read) of `P`, so it would wait for itself;
    /// * any other: the journal could not be read.
    ///
    /// After a panic, or an event that cannot be read, `P` stays failed until the store is opened
    /// again.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path();
    /// let store = AggregateStore::builder(path).projection::<Total>().open().await?;
    /// store.get::<Counter>("c-1").await?.send(Add(5)).await?;
    /// assert_eq!(store.projection::<Total>()?.value, 5);
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias("blocking read", "synchronous"))]
    pub fn projection<P: Projection>(&self) -> io::Result<P> {
        let projection = self.open_projection::<P>()?;
        projection.lock()?.catch_up().cloned()
    }

    /// Brings the projection `P` up to date without blocking, passes its state to `read` and returns
    /// the result. The state is not copied, unless `read` does: `store.read(P::clone).await`. It includes every command that was
    /// answered before.
    ///
    /// No other code can read `P` while `read` runs, so `read` should be short. It must not wait
    /// for another thread that reads `P`. On its own thread, reading `P` again is an error. New
    /// events are read on a separate thread.
    ///
    /// # Errors
    ///
    /// As [`projection`](Self::projection).
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path();
    /// let store = AggregateStore::builder(path).projection::<Total>().open().await?;
    /// store.get::<Counter>("c-1").await?.send(Add(5)).await?;
    /// let sum = store.read(|total: &Total| total.value).await?;
    /// assert_eq!(sum, 5);
    /// let copy = store.read(Total::clone).await?;
    /// assert_eq!(copy.value, 5);
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias("read model", "query", "async projection"))]
    pub async fn read<P: Projection, R>(&self, read: impl FnOnce(&P) -> R) -> io::Result<R> {
        let projection = self.open_projection::<P>()?;
        let head = self.inner.storage.current_head().await?;
        // Without new events, no thread is needed.
        if let Some(projection) = projection.try_lock()?
            && let Some(state) = projection.at_least(head)?
        {
            return Ok(read(state));
        }
        catch_up(&projection).await?;
        // Other callers may have advanced it since. That does no harm.
        let projection = projection.lock()?;
        match projection.at_least(head)?.or(projection.saved_elsewhere()) {
            Some(state) => Ok(read(state)),
            None => Err(io::Error::other(
                "the projection was brought up to date, but lacks events; this is a bug",
            )),
        }
    }

    /// Waits until the projection `P` includes the event at `position`. The position may come from
    /// another process, or from a [`Committed`](crate::Committed). The event need not be stored
    /// yet. Of a projection that another process follows for this one, it waits until that process has
    /// saved it.
    ///
    /// # Errors
    ///
    /// As [`projection`](Self::projection); [`io::ErrorKind::NotConnected`] if the store is shut
    /// down before the event is stored; if the store fails, its error.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path();
    /// let store = AggregateStore::builder(path).projection::<Total>().open().await?;
    /// let done = store.get::<Counter>("c-1").await?.send(Add(5)).await?;
    /// store.wait_for::<Total>(done.position).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias("read your writes", "eventual consistency"))]
    pub async fn wait_for<P: Projection>(&self, position: Position) -> io::Result<()> {
        let projection = self.open_projection::<P>()?;
        let log = self.inner.storage.log();
        log.reached(position.get()).await?;
        let is_there = match projection.try_lock()? {
            Some(projection) => projection.at_least(position.get())?.is_some(),
            None => false,
        };
        if is_there {
            return Ok(());
        }
        loop {
            catch_up(&projection).await?;
            if projection.lock()?.at_least(position.get())?.is_some() {
                return Ok(());
            }
            // Another process follows for this one, and has not saved it yet.
            within(LOOK_AGAIN, std::future::pending::<()>()).await?;
        }
    }

    /// Builds the projection `P` again from the first event on. Its old state serves meanwhile.
    ///
    /// Blocks on the disk until that is done, and never waits for a task.
    /// [`rebuild`](Self::rebuild) blocks nobody, and reports progress.
    ///
    /// # Errors
    ///
    /// As [`projection`](Self::projection), or the error from saving the checkpoint. The old state
    /// then stays. [`io::ErrorKind::ResourceBusy`] if the projection is
    /// [elected](crate::AggregateStoreBuilder::projection_elected) and another process follows it.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path();
    /// let store = AggregateStore::builder(path).projection::<Total>().open().await?;
    /// store.get::<Counter>("c-1").await?.send(Add(5)).await?;
    /// store.rebuild_projection::<Total>()?;
    /// assert_eq!(store.projection::<Total>()?.value, 5);
    /// # Ok(())
    /// # }
    /// ```
    pub fn rebuild_projection<P: Projection>(&self) -> io::Result<()> {
        let projection = self.open_projection::<P>()?;
        let mut rebuilt = projection.lock()?.anew()?;
        while !rebuilt.follow(self.inner.storage.head(), u64::MAX)? {}
        projection.lock()?.replace_with(rebuilt)
    }

    /// Builds the projection `P` again from the first event on, and reports progress. Its old state
    /// serves until the new one has caught up. Other projections are not affected.
    ///
    /// The rebuild advances only while it is polled: as a [`Stream`](futures_core::Stream) of
    /// [`RebuildProgress`](crate::RebuildProgress), or as a future if only the end matters. If it
    /// is dropped before its end, everything stays as it was.
    ///
    /// # Errors
    ///
    /// As [`projection`](Self::projection), or the error from saving the checkpoint, as the last
    /// item. The old state then stays.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path();
    /// let store = AggregateStore::builder(path).projection::<Total>().open().await?;
    /// store.get::<Counter>("c-1").await?.send(Add(5)).await?;
    ///
    /// let mut rebuild = store.rebuild::<Total>();
    /// while let Some(progress) = rebuild.next().await {
    ///     let progress = progress?;
    ///     println!("{} of {}", progress.done, progress.total);
    /// }
    /// store.rebuild::<Total>().await?; // without looking
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias("replay", "reset"))]
    pub fn rebuild<P: Projection>(&self) -> Rebuild {
        match self.open_projection::<P>() {
            Ok(projection) => Rebuild::new(projection, &self.inner.storage),
            Err(error) => Rebuild::refused(error),
        }
    }

    /// All events after the position `from`, as they are stored, in order: first the existing
    /// events, then each new one as soon as it is durable. No event is left out, and none comes
    /// twice.
    ///
    /// `Position::default()` is the beginning, [`head`](Self::head) the newest event. The
    /// subscription reads the journal at its own pace: a slow one loses nothing and slows nobody
    /// down. It does not keep the store open. See [`Subscription`] for its filters and for how it
    /// ends.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path();
    /// let store = AggregateStore::open(path).await?;
    /// store.get::<Counter>("c-1").await?.send(Add(5)).await?;
    ///
    /// let mut events = store.subscribe(Position::default()).aggregate::<Counter>();
    /// if let Some(event) = events.next().await {
    ///     let event = event?;
    ///     println!("{} {} of {}: {}", event.position(), event.name(), event.id(), event.data());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias("catch-up", "catch-up subscription", "listen", "follow", "tail"))]
    pub fn subscribe(&self, from: Position) -> Subscription {
        if self.inner.is_closed() {
            return Subscription::ended(closed());
        }
        if let Err(error) = self.inner.storage.check_process() {
            return Subscription::ended(error.into());
        }
        Subscription::new(self.inner.storage.log(), from)
    }

    /// The projection `P`, unless the store is shut down: another store may have the directory by
    /// then.
    pub(super) fn open_projection<P: Projection>(
        &self,
    ) -> io::Result<Arc<Exclusive<Projecting<P>>>> {
        let projection = self.read_side.projection::<P>()?;
        self.inner.storage.check_process()?;
        if self.inner.is_closed() {
            return Err(closed());
        }
        Ok(projection)
    }
}

/// Brings a projection up to date on a thread that may block.
async fn catch_up<P: Projection>(projection: &Arc<Exclusive<Projecting<P>>>) -> io::Result<()> {
    let projection = projection.clone();
    blocking(move || projection.lock()?.catch_up().map(drop)).await
}
