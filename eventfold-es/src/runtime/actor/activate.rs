//! Activation: an aggregate enters memory from its newest snapshot and the events after it.

use std::future::{Future as _, poll_fn};
use std::io;
use std::ops::ControlFlow;
use std::pin::pin;
use std::task::Poll;
use std::time::Instant;

use crate::clock::{millis, nanos};
use crate::domain::aggregate::{Aggregate, fold_stored};
use crate::error::{StateError, guarded, panic_message};
use crate::event::{LifecycleEvent, RESERVED, Standing};
use crate::runtime::actor::Actor;
use crate::runtime::actor::head::Head;
use crate::runtime::actor::keys::Keys;
use crate::runtime::inside;
use crate::storage::error::StorageResult;
use crate::storage::loaded::Loaded;
use crate::storage::place::Place;
use crate::storage::stream::{Reading, Stream};

impl<A: Aggregate> Actor<A> {
    /// Loads the durable state. When it returns, no commit of an earlier activation is under way.
    pub(crate) async fn activate(&mut self) -> Result<Head<A>, StateError> {
        self.stream.settle().await?;
        let start = Instant::now();
        let (mut head, end) = if self.stream.is_new() {
            self.passivator.start();
            (Head::empty(&self.stream), Place::default())
        } else {
            let (stream, own) = (self.stream.clone(), inside::Aggregate::of(self.stream.id()));
            let load = move |reading: &Reading<'_>| own.run(|| Head::<A>::load(&stream, reading));
            let mut load = pin!(self.stream.load(load));
            // The first poll hands the load to another thread, and so there is time for this.
            let begun = poll_fn(|context| Poll::Ready(load.as_mut().poll(context))).await;
            self.passivator.start();
            let (head, end) = match begun {
                Poll::Ready(loaded) => loaded?,
                Poll::Pending => load.await?,
            };
            self.stream.meters().live.load.add(nanos(start.elapsed()));
            tracing::debug!(
                stream = %self.stream.id(),
                version = head.version,
                snapshot_version = head.snapshot_version,
                elapsed_ms = millis(start),
                "aggregate loaded"
            );
            (head, end)
        };
        head.epoch = self.stream.start_epoch(end);
        if let Some(draft) = head.draft_if_due(self.snapshot_every, &self.stream) {
            self.stream.save_snapshot(head.version, draft);
        }
        Ok(head)
    }
}

impl<A: Aggregate> Head<A> {
    pub(super) fn empty(stream: &Stream) -> Self {
        Self {
            state: A::default(),
            version: 0,
            epoch: 0,
            snapshot_version: 0,
            keys: Keys::default(),
            standing: Standing::default(),
            unknown: Vec::new(),
            event_ids: None,
            read_after: stream.meters().erasures.until_now(),
        }
    }

    fn load(stream: &Stream, reading: &Reading<'_>) -> io::Result<(Self, Place)> {
        let (mut head, start) = Self::from_snapshot(stream, reading)?
            .unwrap_or_else(|| (Self::empty(stream), Place::default()));
        let end = reading.events(start, |loaded| {
            head.fold(stream, loaded).map(ControlFlow::Continue)
        })?;
        Ok((head, end))
    }

    /// The head of the newest snapshot, `None` if no snapshot can be used.
    pub(super) fn from_snapshot(
        stream: &Stream,
        reading: &Reading<'_>,
    ) -> StorageResult<Option<(Self, Place)>> {
        let empty = Self::empty(stream);
        // Invariant P3.
        if stream.meters().erasures.is_under_way() {
            return Ok(None);
        }
        let Some(snapshot) = reading.snapshot()? else {
            return Ok(None);
        };
        let Some(contents) = snapshot.contents() else {
            return Ok(None);
        };
        if contents.state_version != A::STATE_VERSION
            || contents.events != A::__fingerprint()
            || contents.unknown.iter().any(|name| A::knows_event(name))
            // It is of a version that did not know them.
            || contents.unknown.iter().any(|name| name.starts_with(RESERVED))
        {
            tracing::debug!(stream = %stream.id(), "a snapshot with other versions of the state or the events is ignored");
            return Ok(None);
        }
        let state = match guarded(|| serde_json::from_str(contents.state.get())) {
            Ok(Ok(state)) => state,
            Ok(Err(error)) => {
                stream.lacks_snapshot(&format!("its state cannot be read: {error}"));
                return Ok(None);
            }
            Err(panic) => {
                let panic = panic_message(&*panic);
                stream.lacks_snapshot(&format!("reading its state panicked: {panic}"));
                return Ok(None);
            }
        };
        let head = Self {
            state,
            version: snapshot.place.version(),
            snapshot_version: snapshot.place.version(),
            keys: contents.keys.into_iter().collect(),
            unknown: contents.unknown,
            standing: contents.lifecycle,
            ..empty
        };
        Ok(Some((head, snapshot.place)))
    }

    pub(super) fn fold(&mut self, stream: &Stream, loaded: Loaded<'_>) -> io::Result<()> {
        if let Some(key) = loaded.key {
            self.keys.add_event(key, loaded.command, loaded.version);
        }
        let noted = LifecycleEvent::of(loaded.event);
        if let Some(noted) = noted.map_err(|error| loaded.event.failed(&error))? {
            let ms = loaded.event.record().unix_millis();
            self.standing.take(noted, ms);
        } else if !fold_stored(&mut self.state, loaded.event)? {
            let name = loaded.event.name();
            if !self.unknown.iter().any(|unknown| unknown == name) {
                tracing::warn!(stream = %stream.id(), event = name, "an unknown event is left out");
                self.unknown.push(name.to_owned());
            }
        }
        self.version += 1;
        Ok(())
    }
}
