//! Noting that an aggregate has ended, is archived or is no more archived.

use std::io;

use tokio::sync::oneshot;
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_128;

use crate::domain::aggregate::Aggregate;
use crate::domain::command::CommandContext;
use crate::event::{LifecycleEvent, Standing};
use crate::runtime::actor::Actor;
use crate::storage::commit::{Commit, CommitError};
use crate::storage::encoding::event_line::{Common, EncodedEvents};

impl<A: Aggregate> Actor<A> {
    /// Stores `event`, unless it would change nothing. Returns what is so then, once it is durable. The
    /// stream's file is compressed if the aggregate is archived.
    pub(crate) async fn note(
        &mut self,
        event: &LifecycleEvent,
        context: &CommandContext,
    ) -> io::Result<Standing> {
        let rounds = self.stream.conflict_rounds();
        for _ in 1..rounds {
            match self.note_once(event, context).await? {
                Err(CommitError::Conflict { .. }) => self.make_ready_for_request().await?,
                noted => return self.noted(event, noted).await,
            }
        }
        let noted = self.note_once(event, context).await?;
        self.noted(event, noted).await
    }

    async fn noted(
        &mut self,
        event: &LifecycleEvent,
        noted: Result<Standing, CommitError>,
    ) -> io::Result<Standing> {
        let standing = noted.map_err(|error| error.to_io())?;
        if *event == LifecycleEvent::Archived {
            let packed = self.stream.pack().await;
            packed.map_err(|error| {
                error.in_context(
                    "the aggregate is archived, but its stream's file is not compressed; archive it \
                     again to compress it",
                )
            })?;
        }
        Ok(standing)
    }

    async fn note_once(
        &mut self,
        event: &LifecycleEvent,
        context: &CommandContext,
    ) -> io::Result<Result<Standing, CommitError>> {
        let Some(head) = &mut self.head else {
            return Err(io::Error::other("the aggregate is not loaded"));
        };
        if head.version == 0 {
            let text = format!("{} has no events", self.stream.id());
            return Err(io::Error::new(io::ErrorKind::NotFound, text));
        }
        if head.standing.has(event) {
            let standing = head.standing.clone();
            self.current().await?;
            let durable = self.wait_durable().await;
            return Ok(durable.map(|_| standing));
        }
        let now = self.clock.now_ms();
        let mut id = Uuid::encode_buffer();
        let id = Uuid::new_v4().hyphenated().encode_lower(&mut id);
        let mut encoded = EncodedEvents::new(self.stream.seed());
        let common = Common::of((context, None), now, None);
        encoded.push(event.name(), &event.data()?, id, head.version + 1, &common);
        if let Some(ids) = &mut head.event_ids {
            ids.insert(xxh3_128(id.as_bytes()));
        }
        head.version += 1;
        head.standing.take(event.clone(), now);
        let standing = head.standing.clone();
        let (done, stored) = oneshot::channel();
        let commit = Commit {
            epoch: head.epoch,
            expected: head.version - 1,
            snapshot: head.draft_if_due(self.snapshot_every, &self.stream),
            term: None,
            done: Box::new(move |result| drop(done.send(result))),
        };
        self.stream.commit(commit, encoded).await;
        let stored = stored.await.unwrap_or(Err(CommitError::Closed));
        Ok(stored.map(|_| standing))
    }
}
