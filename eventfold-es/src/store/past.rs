//! Past states of a projection: [`AggregateStore::read_at`].

use std::io;

use crate::domain::projection::Projection;
use crate::following::{PastProjection, state_at};
use crate::ids::Position;
use crate::runtime::background::blocking;
use crate::store::AggregateStore;

impl AggregateStore {
    /// The state that the projection `P` has with all commits up to `position`, and with nothing after
    /// it. A position within a commit is rounded down to the commit before. The projection itself is not
    /// touched, and nothing is stored.
    ///
    /// The events are folded by the present code, which may differ from the code that was there then. An
    /// event that cannot be taken is an error, or is left out, as `P` is
    /// [registered](crate::AggregateStoreBuilder::projection_with). Events that `P` has skipped are left
    /// out.
    ///
    /// It reads the journal from the checkpoint of `P` on if that is not after the position, and
    /// otherwise from the first event on. Checkpoints are usually near the newest event, so expect the
    /// cost of a [rebuild](Self::rebuild) up to the position. The memory that it takes is that of one
    /// state.
    ///
    /// The position of an event comes from a [`RecordedEvent`](crate::RecordedEvent), and that of a
    /// state from [`AggregateHandle::at`](crate::AggregateHandle::at), which also takes a time.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read), for the events up to the position; [`io::ErrorKind::InvalidInput`] if
    /// the position is ahead of the newest event.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let store = AggregateStore::in_memory().projection::<Total>().open().await?;
    /// let counter = store.get::<Counter>("c-1").await?;
    /// let first = counter.send(Add(5)).await?.position;
    /// counter.send(Add(6)).await?;
    ///
    /// let past = store.read_at::<Total>(first).await?;
    /// assert_eq!((past.state.value, past.position), (5, first));
    /// assert_eq!(store.read_at::<Total>(Position::default()).await?.state.value, 0);
    /// assert_eq!(store.read(|total: &Total| total.value).await?, 11);
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias("time travel", "as of", "temporal query"))]
    pub async fn read_at<P: Projection>(
        &self,
        position: Position,
    ) -> io::Result<PastProjection<P>> {
        let projection = self.open_projection::<P>()?;
        let (storage, position) = (self.inner.storage.clone(), position.get());
        storage.log().check_stored(position)?;
        blocking(move || {
            let on_failure = projection.lock()?.on_failure();
            state_at::<P>(&storage, on_failure, position)
        })
        .await
    }
}
