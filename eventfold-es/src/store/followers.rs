//! What is fed outside of the store.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::follower::Follower;
use crate::error::closed;
use crate::following::{AnyProjecting as _, Exclusive, Feeding, Outside};
use crate::ids::Position;
use crate::runtime::background::{blocking, within};
use crate::runtime::inside;
use crate::store::AggregateStore;

/// How long to wait before looking again how far another process is.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

impl AggregateStore {
    /// Waits until the [follower](Follower) `F` has the event at `position`. The event need not be
    /// stored yet.
    ///
    /// In a [live](crate::AggregateStoreBuilder::live) store the follower is fed in the background, and
    /// this call waits also while it fails and is tried again. Without `live`, this call feeds it, and
    /// returns the error of the first attempt that fails. If another process feeds it, it waits until
    /// that one has.
    ///
    /// # Errors
    ///
    /// * [`io::ErrorKind::NotFound`]: `F` is not registered;
    /// * [`io::ErrorKind::InvalidInput`]: another type is registered under its name, or its position is
    ///   ahead of the newest event;
    /// * [`io::ErrorKind::NotConnected`]: the store is shut down;
    /// * [`io::ErrorKind::Deadlock`]: code that the store runs made this call;
    /// * any other: the error of `F`, or the one that it is [stopped](crate::Running::Stopped) by.
    ///
    /// See the example of [`Follower`].
    pub async fn wait_for_follower<F: Follower>(&self, position: Position) -> io::Result<()> {
        inside::refuse("wait_for_follower")?;
        let follower = self.open_follower::<F>()?;
        self.inner.storage.log().reached(position.get()).await?;
        let progress = &self.read_side.followers[F::NAME].progress;
        loop {
            let (follower, told) = (follower.clone(), progress.told());
            if progress.is_live() {
                if let Some(failure) = progress.stopped_by() {
                    return Err(failure.into());
                }
            } else {
                blocking(move || follower.lock()?.catch_up()).await?;
            }
            if progress.position() >= position.get() {
                return Ok(());
            }
            if self.inner.is_closed() {
                return Err(closed());
            }
            within(LOOK_AGAIN, told).await?;
        }
    }

    /// Asks the [follower](Follower) `F` for its position again, and feeds it from there. Call it after the
    /// follower's place was emptied, or after a follower that was [stopped](crate::Running::Stopped) by an
    /// event can take that event. Events that were skipped stay skipped.
    ///
    /// # Errors
    ///
    /// As [`wait_for_follower`](Self::wait_for_follower).
    ///
    /// ```
    /// # use eventfold_es::{AggregateStore, Follower};
    /// async fn feed_again<F: Follower>(store: &AggregateStore) -> std::io::Result<()> {
    ///     // … the place was emptied, and its position set to 0 …
    ///     store.restart_follower::<F>().await?;
    ///     store.wait_for_follower::<F>(store.head()).await
    /// }
    /// ```
    #[doc(alias("rebuild", "replay", "reset", "resume"))]
    pub async fn restart_follower<F: Follower>(&self) -> io::Result<()> {
        inside::refuse("restart_follower")?;
        let follower = self.open_follower::<F>()?;
        blocking(move || follower.lock()?.ask_again()).await
    }

    fn open_follower<F: Follower>(&self) -> io::Result<Arc<Exclusive<Feeding<Outside<F>>>>> {
        let follower = self.read_side.follower::<F>()?;
        self.inner.storage.check_process()?;
        if self.inner.is_closed() {
            return Err(closed());
        }
        Ok(follower)
    }
}
