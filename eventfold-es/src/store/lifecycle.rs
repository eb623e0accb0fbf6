//! Ending and archiving aggregates.

use std::io;

use crate::domain::aggregate::Aggregate;
use crate::domain::command::CommandContext;
use crate::event::{Lifecycle, LifecycleEvent};
use crate::store::AggregateStore;

impl AggregateStore {
    /// Ends an aggregate: it takes no more commands, for ever. Returns what is so then.
    ///
    /// Commands are refused with [`ExecuteError::Ended`](crate::ExecuteError::Ended), of several
    /// aggregates [together](Self::together) with [`TogetherError::Ended`](crate::TogetherError::Ended).
    /// Those of process managers become dead letters of the kind
    /// [`FailureKind::Ended`](crate::FailureKind::Ended). A command that was answered before is answered
    /// in the same way if it is sent again with its idempotency key. State, history and past states are
    /// read as before.
    ///
    /// The end is stored in the aggregate's stream, in the place of its next event, with the reason as
    /// it is given here, in clear. So it has a version and a position, and backups, exports and other
    /// processes have it too. It is none of the aggregate's events: [`LifecycleEvent`] says who sees it.
    ///
    /// Ending an aggregate that has ended changes nothing: the first reason stays, and is returned.
    /// It is no command: [layers](crate::Layer) do not see it.
    ///
    /// # Errors
    ///
    /// * [`NotFound`](io::ErrorKind::NotFound): the aggregate has no events;
    /// * as [`ExecuteError::Io`](crate::ExecuteError::Io): the stream could not be loaded, or the end not
    ///   stored. If the text says that it is unknown whether it is stored, end it again once the store
    ///   works.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let store = AggregateStore::open(dir.path()).await?;
    /// let counter = store.get::<Counter>("c-1").await?;
    /// counter.send(Add(5)).await?;
    /// store.end::<Counter>("c-1", "merged into c-2").await?;
    ///
    /// match counter.send(Add(1)).await {
    ///     Err(ExecuteError::Ended { reason, .. }) => assert_eq!(reason, "merged into c-2"),
    ///     other => panic!("{other:?}"),
    /// }
    /// assert_eq!(counter.state().await?.value, 5);
    /// let known = store.end::<Counter>("c-1", "a later reason").await?;
    /// assert_eq!(known.ended.expect("it has ended").reason, "merged into c-2");
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias("tombstone", "delete", "soft delete", "close", "terminate"))]
    pub async fn end<A: Aggregate>(
        &self,
        id: &str,
        reason: impl Into<String>,
    ) -> io::Result<Lifecycle> {
        let reason = reason.into();
        self.note::<A>(id, LifecycleEvent::Ended { reason }).await
    }

    /// Archives an aggregate: it takes no commands until it is [unarchived](Self::unarchive), and the
    /// file of its stream is compressed. Returns what is so then.
    ///
    /// Commands are refused with [`ExecuteError::Archived`](crate::ExecuteError::Archived), as those to
    /// an aggregate that has [ended](Self::end) are with theirs. Everything is read as before: state,
    /// history and past states, projections that are built again, subscriptions, exports.
    ///
    /// That it is archived is stored as the [end](Self::end) is. The events of the stream are compressed
    /// in `archive.jsonl.zst` beside `app.jsonl`, as `eventfold` rotates a log, so that `zstdcat` and
    /// `eventfold` read them. The journal has the events still. In memory and on PostgreSQL the
    /// aggregate is archived in the same way, and nothing is compressed.
    ///
    /// Archiving an archived aggregate changes nothing, and compresses what is not compressed: after a
    /// restore from a backup, or if the program ended in between.
    ///
    /// # Errors
    ///
    /// As [`end`](Self::end). And if the text says so, the aggregate is archived and its stream's file
    /// could not be compressed: the disk is full, another program has locked the file, or the file is
    /// damaged.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let store = AggregateStore::open(dir.path()).await?;
    /// let counter = store.get::<Counter>("c-1").await?;
    /// counter.send(Add(5)).await?;
    /// store.archive::<Counter>("c-1").await?;
    ///
    /// let refused = counter.send(Add(1)).await;
    /// assert!(matches!(refused, Err(ExecuteError::Archived { .. })));
    /// assert_eq!(counter.state().await?.value, 5);
    ///
    /// store.unarchive::<Counter>("c-1").await?;
    /// counter.send(Add(1)).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias("compress", "cold storage", "freeze"))]
    pub async fn archive<A: Aggregate>(&self, id: &str) -> io::Result<Lifecycle> {
        self.note::<A>(id, LifecycleEvent::Archived).await
    }

    /// Lets an archived aggregate take commands again, unless it has ended. Returns what is so then.
    ///
    /// What is compressed of its stream stays compressed; new events are appended to `app.jsonl`. If it
    /// is not archived nothing changes.
    ///
    /// # Errors
    ///
    /// As [`end`](Self::end).
    ///
    /// See the example of [`archive`](Self::archive).
    pub async fn unarchive<A: Aggregate>(&self, id: &str) -> io::Result<Lifecycle> {
        self.note::<A>(id, LifecycleEvent::Unarchived).await
    }

    async fn note<A: Aggregate>(&self, id: &str, event: LifecycleEvent) -> io::Result<Lifecycle> {
        let handle = self.get::<A>(id).await?;
        handle.note(event, CommandContext::default()).await
    }
}
