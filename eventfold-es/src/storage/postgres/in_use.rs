//! A stream that a store uses: [`StreamInUse`].

use std::sync::{Arc, Mutex};

use crate::ids::StreamId;
use crate::storage::commit::CommitError;
use crate::storage::encoding::event_line as line;
use crate::storage::snapshot::SnapshotWarnings;
use crate::sync::lock;

/// What the parts of a store know of a stream in use.
#[derive(Debug)]
pub(crate) struct StreamInUse {
    id: StreamId,
    /// Its name as the server has it.
    pub(super) names: (String, String),
    seed: u64,
    state: Mutex<State>,
    pub(super) turn: Arc<tokio::sync::Mutex<()>>,
    pub(super) warnings: SnapshotWarnings,
}

#[derive(Debug, Default)]
struct State {
    /// The version and the position of the newest event that is known to be durable. `None` until the
    /// server was asked. Other stores may have stored more.
    durable: Option<(u64, u64)>,
    /// The version after the newest commit of the epoch.
    version: u64,
    /// The number of the activation that may append.
    epoch: u64,
    failure: Option<CommitError>,
    /// How many commits in a row have come second to those of other stores.
    conflicts: u32,
}

impl StreamInUse {
    pub(super) fn new(id: StreamId) -> Self {
        Self {
            names: id.file_names(),
            seed: line::seed(&id),
            id,
            state: Mutex::default(),
            turn: Arc::default(),
            warnings: SnapshotWarnings::default(),
        }
    }

    pub(super) fn id(&self) -> &StreamId {
        &self.id
    }

    pub(super) fn seed(&self) -> u64 {
        self.seed
    }

    pub(super) fn durable(&self) -> Option<(u64, u64)> {
        lock(&self.state).durable
    }

    /// Notes the last event of a commit of the present epoch.
    pub(super) fn set_durable(&self, version: u64, position: u64) {
        let mut state = lock(&self.state);
        state.durable = Some((version, position));
        state.version = version;
        state.conflicts = 0;
    }

    /// Notes that another store was first. Returns how often that was so in a row.
    pub(super) fn count_conflict(&self) -> u32 {
        let mut state = lock(&self.state);
        state.conflicts += 1;
        state.conflicts
    }

    /// Notes what the server said, unless something newer is known, and returns the newest.
    pub(super) fn found(&self, version: u64, position: u64) -> (u64, u64) {
        let mut state = lock(&self.state);
        let newest = state.durable.unwrap_or_default().max((version, position));
        *state.durable.insert(newest)
    }

    /// The version after the newest commit of the present epoch.
    pub(super) fn version(&self) -> u64 {
        lock(&self.state).version
    }

    pub(super) fn failure(&self, epoch: u64) -> Option<CommitError> {
        let state = lock(&self.state);
        if state.epoch == epoch {
            state.failure.clone()
        } else {
            Some(CommitError::Superseded)
        }
    }

    pub(super) fn epoch(&self) -> u64 {
        lock(&self.state).epoch
    }

    pub(super) fn start_epoch(&self, version: u64) -> u64 {
        let mut state = lock(&self.state);
        state.epoch += 1;
        state.version = version;
        state.failure = None;
        state.epoch
    }

    /// Forgets where the stream ends, and lets a new epoch begin although it was unknown whether a
    /// commit of the last one is stored.
    pub(super) fn forget(&self) {
        let mut state = lock(&self.state);
        state.durable = None;
        if let Some(failure) = &mut state.failure {
            *failure = CommitError::Superseded;
        }
    }

    /// The position of the last durable event, or why the epoch failed.
    pub(super) fn fence(&self, epoch: u64) -> Result<u64, CommitError> {
        match self.failure(epoch) {
            Some(failure) => Err(failure),
            None => Ok(self.durable().unwrap_or_default().1),
        }
    }

    /// Notes that the epoch failed, unless it has failed before or a later one has begun.
    pub(super) fn fail(&self, epoch: u64, error: &CommitError) {
        let mut state = lock(&self.state);
        if state.epoch == epoch && state.failure.is_none() {
            state.failure = Some(error.clone());
        }
    }
}
