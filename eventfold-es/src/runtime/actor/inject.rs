//! Events that were decided elsewhere. They are appended unchanged, in turn with the commands.

use std::collections::HashSet;
use std::io;
use std::ops::ControlFlow;

use xxhash_rust::xxh3::xxh3_128;

use crate::domain::aggregate::{Aggregate, decode_unless_left_out};
use crate::error::{guarded, panic_message};
use crate::event::{RESERVED, Recorded, StoredEvent};
use crate::runtime::actor::Actor;
use crate::runtime::actor::mailbox::Reply;
use crate::runtime::inside;
use crate::storage::commit::Commit;
use crate::storage::encoding::event_line::EncodedEvents;
use crate::storage::error::StorageResult;
use crate::storage::loaded::Loaded;
use crate::storage::place::Place;
use crate::storage::stream::Reading;
use crate::text::Shown;

impl<A: Aggregate> Actor<A> {
    pub(crate) async fn inject(&mut self, event: eventfold::Event, reply: Reply<(), io::Error>) {
        match self.prepare_injection(&event).await {
            Ok(Some(encoded)) => {
                let Some(head) = &mut self.head else { return };
                let snapshot = head.draft_if_due(self.snapshot_every, &self.stream);
                let commit = Commit {
                    epoch: head.epoch,
                    expected: head.version - 1,
                    snapshot,
                    term: None,
                    done: Box::new(move |result| {
                        reply.send(result.map(|_| ()).map_err(|error| error.to_io()));
                    }),
                };
                self.stream.commit(commit, encoded).await;
            }
            // A duplicate is answered like the original, once that is durable.
            Ok(None) => self.when_durable(Box::new(move |result| {
                reply.send(result.map(|_| ()).map_err(|error| error.to_io()));
            })),
            Err(error) => reply.send(Err(error)),
        }
    }

    /// Adds the event to the head and encodes it. `None` if the stream has it already.
    async fn prepare_injection(
        &mut self,
        event: &eventfold::Event,
    ) -> io::Result<Option<EncodedEvents>> {
        let id_hash = event.id.as_ref().map(|id| xxh3_128(id.as_bytes()));
        if let Some(hash) = id_hash
            && self.knows_event_id(hash).await?
        {
            return Ok(None);
        }
        let Some(head) = &mut self.head else {
            return Err(io::Error::other("the aggregate is not loaded"));
        };
        let refused = if event.event_type.starts_with(RESERVED) {
            Some("its name is reserved for the store")
        } else if head.standing.ended.is_some() {
            Some("the aggregate has ended")
        } else if head.standing.archived.is_some() {
            Some("the aggregate is archived")
        } else {
            None
        };
        if let Some(cause) = refused {
            let event = Shown(&event.event_type);
            let text = format!(
                "{}: the event `{event}` is refused: {cause}",
                self.stream.id()
            );
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let data = event.data.to_string();
        let id = self.stream.id();
        let record = Recorded {
            version: head.version + 1,
            ..Recorded::of_eventfold(event, id.aggregate_type(), id.id())
        };
        let stored = StoredEvent::new(&event.event_type, &data).with_record(&record);
        let own = inside::Aggregate::of(self.stream.id());
        let decoded = match guarded(|| own.run(|| decode_unless_left_out::<A>(stored))) {
            Err(panic) => {
                let text = format!("decoding panicked: {}", panic_message(&*panic));
                return Err(stored.failed(&text));
            }
            Ok(decoded) => decoded.map_err(|error| stored.failed(&error))?,
        };
        let mut encoded = EncodedEvents::new(self.stream.seed());
        encoded.push_event(event, head.version + 1, event.ts.saturating_mul(1000))?;
        if encoded.is_too_deep() {
            let text = format!("event `{}` is nested too deeply", Shown(&event.event_type));
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        if let Some(decoded) = decoded {
            if let Err(panic) = own.run(|| head.evolve(decoded.as_slice(), 1)) {
                self.head = None;
                let text = format!("`evolve` panicked: {}", panic_message(&*panic));
                return Err(io::Error::new(io::ErrorKind::InvalidData, text));
            }
        } else {
            head.version += 1;
            if !head.unknown.contains(&event.event_type) {
                head.unknown.push(event.event_type.clone());
            }
        }
        if let (Some(hash), Some(ids)) = (id_hash, &mut head.event_ids) {
            ids.insert(hash);
        }
        Ok(Some(encoded))
    }

    /// Whether the stream has an event with this id. The first call reads the whole stream and
    /// keeps its ids.
    async fn knows_event_id(&mut self, hash: u128) -> io::Result<bool> {
        if self
            .head
            .as_ref()
            .is_some_and(|head| head.event_ids.is_none())
        {
            self.wait_durable().await.map_err(|error| error.to_io())?;
            let read = |reading: &Reading<'_>| {
                let mut ids = HashSet::new();
                reading.events(Place::default(), |loaded: Loaded<'_>| {
                    let id = loaded.event.record().event_id();
                    ids.extend(id.map(|id| xxh3_128(id.as_bytes())));
                    StorageResult::Ok(ControlFlow::Continue(()))
                })?;
                StorageResult::Ok(ids)
            };
            let ids = self.stream.load(read).await?;
            if let Some(head) = &mut self.head {
                head.event_ids = Some(ids);
            }
        }
        let ids = self.head.as_ref().and_then(|head| head.event_ids.as_ref());
        Ok(ids.is_some_and(|ids| ids.contains(&hash)))
    }
}
