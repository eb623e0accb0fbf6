//! A follower outside of the store, as it is fed: [`Outside`].

use std::io;
use std::sync::Arc;

use crate::domain::follower::{Batch, Follower, Reads};
use crate::domain::process_manager::{Backoff, OnFailure, Retry};
use crate::error::{guarded, panic_message};
use crate::event::{EventSet, RecordedEvent};
use crate::following::exclusive::Exclusive;
use crate::following::feeding::{Failed, Fed, Feed, Feeding, Target};
use crate::following::lease::{Candidate, Lease};
use crate::following::projecting::Registered;
use crate::following::skipped::{Poisoned, SkippedEvent, SkippedEvents};
use crate::runtime::background;
use crate::storage::Storage;
use crate::storage::record_name::Follower as Kind;

/// How far the events go on before the follower keeps a position without having got an event.
const WITHOUT_EVENTS: u64 = 10_000;

/// A follower of the host's.
pub(crate) struct Outside<F: Follower> {
    follower: F,
    reads: Reads,
    storage: Storage,
    skipped: SkippedEvents,
    /// The position that it keeps.
    kept: u64,
}

impl<F: Follower> Outside<F> {
    /// Registers `follower`. If several stores have the storage, one of them feeds it.
    pub(crate) fn open(
        follower: F,
        storage: &Storage,
        (on_failure, backoff): (OnFailure, Backoff),
        candidate: &Candidate,
    ) -> io::Result<Registered> {
        let records = storage.records(Kind::Projection, F::NAME);
        let (skipped, events) = SkippedEvents::open(&records, 1, storage)?;
        let outside = Self {
            reads: follower.reads(),
            follower,
            storage: storage.clone(),
            skipped,
            kept: 0,
        };
        let retry = Retry::all(backoff);
        let mut feeding = Feeding::new(F::NAME, storage, outside, retry, on_failure, events);
        let progress = feeding.progress().clone();
        if let Some(leases) = storage.leases() {
            feeding = feeding.elected_by(Lease::new(
                leases,
                (Kind::Projection, F::NAME),
                candidate.clone(),
                storage.clock().clone(),
                progress.clone(),
                Arc::default(),
            ));
        }
        let feeding = Arc::new(Exclusive::new(format!("follower `{}`", F::NAME), feeding));
        Ok(Registered {
            typed: feeding.clone(),
            any: feeding,
            progress,
        })
    }
}

impl<F: Follower> Target for Outside<F> {
    fn reads(&self) -> &Reads {
        &self.reads
    }

    fn event_sets(&self) -> &'static [EventSet] {
        // It decodes the events itself.
        &[]
    }

    fn batch_size(&self) -> usize {
        self.follower.batch_size()
    }

    fn place(&mut self) -> io::Result<u64> {
        let position = wait(self.follower.position());
        let position = position.map_err(|error| {
            let text = format!("`{}` does not know its position: {error}", F::NAME);
            io::Error::new(error.kind(), text)
        })?;
        self.kept = position.get();
        Ok(self.kept)
    }

    fn take(&mut self, next: Feed<'_>) -> Result<Fed, Failed> {
        let mut events = Vec::new();
        let fed = next.read(&mut Vec::new(), |event| {
            events.push(RecordedEvent::new(event));
            Ok(())
        })?;
        if events.is_empty() && fed.position - self.kept < WITHOUT_EVENTS {
            return Ok(fed);
        }
        let batch = Batch {
            events,
            after: self.kept,
            position: fed.position,
        };
        match wait(self.follower.apply(&batch)) {
            Ok(()) => {
                self.kept = fed.position;
                Ok(fed)
            }
            Err(error) => Err(Failed::Batch(error, fed)),
        }
    }

    fn skip(&mut self, poisoned: &Poisoned) -> io::Result<SkippedEvent> {
        let now = self.storage.clock().now_ms();
        let history = self.storage.history_at(poisoned.position)?;
        Ok(self.skipped.add(poisoned, history, now)?)
    }

    fn close(&mut self) {}
}

/// Waits on this thread, within a runtime that lasts as long as the process.
fn wait<T, E: Into<Box<dyn std::error::Error + Send + Sync>>>(
    work: impl Future<Output = Result<T, E>>,
) -> io::Result<T> {
    let runtime = background::runtime()?;
    match guarded(|| runtime.block_on(work)) {
        Ok(done) => done.map_err(|error| match error.into().downcast::<io::Error>() {
            Ok(error) => *error,
            Err(error) => io::Error::other(error),
        }),
        Err(panic) => {
            let text = format!("panicked: {}", panic_message(&*panic));
            Err(io::Error::other(text))
        }
    }
}
