//! The state of a projection as it was at a position, beside the projection itself.

use std::collections::BTreeSet;
use std::io;
use std::ops::ControlFlow;
use std::time::SystemTime;

use crate::domain::process_manager::OnFailure;
use crate::domain::projection::Projection;
use crate::event::EventSet;
use crate::following::checkpoint;
use crate::following::checkpoint::{Checkpoint, Unusable};
use crate::following::follower::{Handed, describe, hand};
use crate::following::projecting::is_known;
use crate::following::skipped::{Poisoned, SkippedEvents};
use crate::ids::Position;
use crate::storage::Storage;
use crate::storage::error::{StorageError, StorageResult};
use crate::storage::record_name::Follower;

/// A projection as it was at a position.
/// [`AggregateStore::read_at`](crate::store::AggregateStore::read_at) returns it.
///
/// See the example there.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PastProjection<P> {
    /// The state.
    pub state: P,
    /// The position of the newest event of the store at that time, the default if there was none. It is
    /// before the position that was asked for if that is within a commit.
    pub position: Position,
    /// The time of that event, `None` if there was none.
    pub time: Option<SystemTime>,
}

/// Why the events could not be folded.
enum Stop {
    Io(io::Error),
    Poisoned(Poisoned),
}

impl From<StorageError> for Stop {
    fn from(error: StorageError) -> Self {
        Self::Io(error.into())
    }
}

/// The state with all commits up to `position`, which must be durable. Nothing is written. Blocks on the
/// disk.
pub(crate) fn state_at<P: Projection>(
    storage: &Storage,
    on_failure: OnFailure,
    position: u64,
) -> io::Result<PastProjection<P>> {
    let log = storage.log();
    let before = log.end_of_commits(position)?;
    let records = storage.records(Follower::Projection, P::NAME);
    let (mut skipped, mut poisoned) = (None, BTreeSet::new());
    if on_failure == OnFailure::Skip {
        skipped = Some(SkippedEvents::open(&records, P::VERSION, storage)?.0);
    }
    let state = loop {
        let start = match checkpoint_before::<P>(storage, before, skipped.as_ref())? {
            // It does not have the events that are left out now.
            Some(start) if poisoned.iter().all(|position| *position > start.position) => start,
            _ => Checkpoint::beginning(),
        };
        let is_skipped = |position: u64| {
            poisoned.contains(&position)
                || skipped
                    .as_ref()
                    .is_some_and(|skipped| skipped.contains(position))
        };
        match fold(storage, start, before, is_skipped) {
            Ok(state) => break state,
            Err(Stop::Io(error)) => return Err(error),
            // It may have changed half of the state. Invariant F6.
            Err(Stop::Poisoned(event)) if on_failure == OnFailure::Skip => {
                poisoned.insert(event.position);
            }
            Err(Stop::Poisoned(event)) => {
                return Err(io::Error::new(event.kind, describe(P::NAME, &event)));
            }
        }
    };
    let (mut newest, mut time) = (0, None);
    log.backward_reader(Some(before)).read(|committed| {
        if newest == 0 {
            newest = committed.last();
            let last = committed.len() - 1;
            time = Some(committed.event(last, |event| event.record().time())?);
        }
        Ok(ControlFlow::Break(()))
    })?;
    Ok(PastProjection {
        state,
        position: Position::new(newest),
        time,
    })
}

/// The projection's checkpoint, if its state can be continued up to the position `before`.
fn checkpoint_before<P: Projection>(
    storage: &Storage,
    before: u64,
    skipped: Option<&SkippedEvents>,
) -> StorageResult<Option<Checkpoint<P>>> {
    let records = storage.records(Follower::Projection, P::NAME);
    let mut checkpoint = match checkpoint::read::<P>(&records, P::VERSION) {
        Ok(Some(checkpoint)) => checkpoint,
        Err(Unusable::Storage(error)) => return Err(error),
        // The projection is built from the first event on then, and so is its past.
        Ok(None) | Err(_) => return Ok(None),
    };
    let sum = skipped.map_or(0, |skipped| skipped.sum(checkpoint.position));
    let can_be_used = checkpoint.position < before
        && checkpoint.chain.is_some()
        && checkpoint.cursors.is_none()
        && checkpoint.skipped_events == sum
        && checkpoint.events == EventSet::fingerprint(P::event_sets())
        && !checkpoint.unknown.iter().any(is_known::<P>);
    if !can_be_used || checkpoint.misfit(storage)?.is_some() {
        return Ok(None);
    }
    Ok(Some(checkpoint))
}

/// Folds the events before the position `before`, at which a commit begins.
fn fold<P: Projection>(
    storage: &Storage,
    start: Checkpoint<P>,
    before: u64,
    is_skipped: impl Fn(u64) -> bool,
) -> Result<P, Stop> {
    let mut state = start.state;
    let types = state.subscriptions();
    let event_sets = P::event_sets();
    storage
        .reader(start.position)
        .read_to(before - 1, |committed| {
            if committed.position(0) >= before {
                return Ok(ControlFlow::Break(()));
            }
            if !types.contains(&committed.aggregate_type()) {
                return Ok(ControlFlow::Continue(()));
            }
            for i in 0..committed.len() {
                if is_skipped(committed.position(i)) {
                    continue;
                }
                let handed = committed.event(i, |event| {
                    hand(event, event_sets, || state.apply_stored(event))
                })?;
                match handed {
                    Handed::Poisoned(event) => return Err(Stop::Poisoned(event)),
                    Handed::Later(cause) => return Err(Stop::Io(cause)),
                    Handed::Taken | Handed::LeftOut => {}
                }
            }
            Ok(ControlFlow::Continue(()))
        })?;
    Ok(state)
}
