//! Lending an actor: somebody else decides on its head for a moment, and no message comes between.

use std::ops::ControlFlow;

use tokio::sync::oneshot;

use crate::domain::aggregate::Aggregate;
use crate::domain::command::Fingerprint;
use crate::error::ExecuteError;
use crate::ids::{Position, Version};
use crate::runtime::actor::Actor;
use crate::runtime::actor::mailbox::Borrower;
use crate::runtime::committed::Committed;
use crate::storage::commit::{CommitError, StreamPart};
use crate::storage::encoding::event_line::EncodedEvents;
use crate::storage::loaded::Loaded;
use crate::storage::snapshot::KnownKey;
use crate::storage::stream::{Reading, Stream};

/// An actor that is lent. It goes back when this is dropped.
pub(crate) struct Lent<A: Aggregate> {
    actor: Option<Box<Actor<A>>>,
    back: Option<oneshot::Sender<Box<Actor<A>>>>,
}

impl<A: Aggregate> Actor<A> {
    /// Lends itself, and waits until it is back. `None` if it never comes back.
    pub(crate) async fn lend(mut self, borrower: Borrower) -> Option<Self> {
        let ready = match self.conflicts {
            None => self.make_ready().await,
            Some(_) => Box::pin(self.make_ready_for_mail()).await,
        };
        if let Err(error) = ready {
            drop(borrower.send(Err(error)));
            return Some(self);
        }
        let (back, returned) = oneshot::channel();
        let lent = Lent {
            actor: Some(Box::new(self)),
            back: Some(back),
        };
        // A borrower that is gone gives it back at once.
        drop(borrower.send(Ok(Box::new(lent))));
        returned.await.ok().map(|actor| *actor)
    }
}

impl<A: Aggregate> Lent<A> {
    /// The actor.
    pub(crate) fn actor(&mut self) -> Option<&mut Actor<A>> {
        self.actor.as_deref_mut()
    }
}

impl<A: Aggregate> Drop for Lent<A> {
    fn drop(&mut self) {
        if let (Some(actor), Some(back)) = (self.actor.take(), self.back.take()) {
            // If its task is gone, the actor ends here.
            drop(back.send(actor));
        }
    }
}

/// What a borrower does with the actor.
impl<A: Aggregate> Actor<A> {
    /// The version of the head.
    pub(crate) fn head_version(&self) -> u64 {
        self.head.as_ref().map_or(0, |head| head.version)
    }

    /// Returns to the durable state, which is loaded for the next message.
    pub(crate) fn forget_head(&mut self) {
        self.head = None;
    }

    /// What the head remembers under an idempotency key.
    pub(crate) fn known(&self, key: &str) -> Option<KnownKey> {
        self.head.as_ref()?.keys.get(key).cloned()
    }

    /// Waits until the head is durable. A head that was forgotten is.
    pub(crate) async fn wait_durable_or_loaded(&mut self) -> Result<u64, CommitError> {
        if self.head.is_none() {
            return Ok(self.stream.durable_position());
        }
        self.wait_durable().await
    }

    /// The part of a commit with these events, which the head has already.
    pub(crate) fn part(
        &mut self,
        events: EncodedEvents,
        key: Option<(&str, Option<Fingerprint>)>,
    ) -> Option<StreamPart<Stream>> {
        let head = self.head.as_mut()?;
        let count = events.count();
        let expected = head.version - count;
        if let Some((key, command)) = key
            && count > 0
        {
            head.keys.add(KnownKey {
                key: key.to_owned(),
                version: expected + 1,
                count,
                command,
            });
        }
        Some(StreamPart {
            stream: self.stream.clone(),
            epoch: head.epoch,
            expected,
            events,
            snapshot: head.draft_if_due(self.snapshot_every, &self.stream),
        })
    }

    /// The events that the stream has under an idempotency key, although the head may have forgotten
    /// the key.
    pub(crate) async fn repeat_key(
        &mut self,
        key: String,
    ) -> Result<Committed<A>, ExecuteError<A::Error>> {
        let known = match self.known(&key) {
            Some(known) => Some(known),
            None => self.find_key(key).await?,
        };
        if let Some(known) = known {
            return self.repeat(&known).await;
        }
        let position = self.wait_durable_or_loaded().await?;
        Ok(Committed {
            events: Vec::new(),
            version: Version::new(self.head_version()),
            position: Position::new(position),
            repeated: true,
        })
    }

    /// Reads the stream for an idempotency key.
    async fn find_key(&mut self, key: String) -> Result<Option<KnownKey>, ExecuteError<A::Error>> {
        self.wait_durable_or_loaded().await?;
        let read = move |reading: &Reading<'_>| {
            let mut found: Option<KnownKey> = None;
            reading.events_from(1, |loaded: Loaded<'_>| -> std::io::Result<_> {
                if loaded.key == Some(&*key) {
                    let known = found.get_or_insert_with(|| KnownKey {
                        key: key.clone(),
                        version: loaded.version,
                        count: 0,
                        command: loaded.command,
                    });
                    known.count += 1;
                }
                Ok(ControlFlow::Continue(()))
            })?;
            Ok(found)
        };
        self.stream.load(read).await.map_err(ExecuteError::Io)
    }
}
