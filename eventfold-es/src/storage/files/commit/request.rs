//! Requests to the committer, and how it answers them.

use std::sync::Arc;

use crate::storage::commit::{Commit, Done, GroupCommit};
use crate::storage::files::commit::span::Span;
use crate::storage::files::streams::stream::Stream;
use crate::storage::snapshot::Draft;

/// How many KiB of commits may wait for the committer. Invariant C10.
pub(crate) const ROOM: u32 = 64 * 1024;

/// A commit of one stream on its way to the committer. The events are passed beside it.
pub(crate) struct StreamCommit {
    pub(crate) stream: Arc<Stream>,
    pub(crate) epoch: u64,
    pub(crate) expected: u64,
    pub(crate) snapshot: Option<Box<Draft>>,
    pub(crate) done: Done,
}

impl StreamCommit {
    pub(crate) fn new(stream: Arc<Stream>, commit: Commit) -> Self {
        let Commit {
            epoch,
            expected,
            snapshot,
            term: _,
            done,
        } = commit;
        Self {
            stream,
            epoch,
            expected,
            snapshot,
            done,
        }
    }

    /// How many KiB the commit takes while it is pending. Its events take `events` bytes.
    pub(crate) fn kib(&self, events: usize) -> u32 {
        kib(events, self.snapshot.as_deref())
    }
}

/// How many KiB a commit takes while it is pending.
fn kib<'a>(events: usize, snapshots: impl IntoIterator<Item = &'a Draft>) -> u32 {
    let snapshots: usize = snapshots.into_iter().map(|draft| draft.state.len()).sum();
    let kib = (events + snapshots) / 1024 + 1;
    u32::try_from(kib).unwrap_or(ROOM).min(ROOM)
}

/// A commit of several streams on its way to the committer.
pub(crate) type StreamsCommit = GroupCommit<Arc<Stream>>;

impl StreamsCommit {
    /// How many KiB the commit takes while it is pending.
    pub(crate) fn kib(&self) -> u32 {
        let snapshots = self.streams.iter();
        kib(
            self.size(),
            snapshots.filter_map(|part| part.snapshot.as_deref()),
        )
    }
}

/// A request to the committer. The committer serves requests in order.
pub(crate) enum Request {
    Commit(StreamCommit, Span),
    /// Boxed, because it is rare.
    Group(Box<StreamsCommit>),
    /// Calls `done` after all requests before this one.
    Fence {
        stream: Arc<Stream>,
        epoch: u64,
        done: Done,
    },
    /// Ends the committer, after all requests before this one.
    Close,
}
