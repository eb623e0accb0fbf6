//! Requests on their way to the committer: [`Requests`].

use std::sync::Arc;

use tokio::sync::{Semaphore, TryAcquireError, mpsc, oneshot};

use crate::meter::Meters;
use crate::storage::commit::{Commit, CommitError, Done, GroupCommit};
use crate::storage::encoding::event_line::EncodedEvents;
use crate::storage::error::StorageResult;
use crate::storage::postgres::in_use::StreamInUse;
use crate::storage::snapshot::Draft;

/// How many KiB of commits may wait for the committer. Invariant C10.
const ROOM: u32 = 64 * 1024;

/// A commit of several streams.
pub(super) type Group = GroupCommit<Arc<StreamInUse>>;

/// A request to the committer, which serves them in order.
pub(super) enum Request {
    Commit {
        stream: Arc<StreamInUse>,
        commit: Commit,
        events: EncodedEvents,
    },
    /// Boxed, because it is rare.
    Group(Box<Group>),
    /// Calls `done` after all requests before this one.
    Fence {
        stream: Arc<StreamInUse>,
        epoch: u64,
        /// The epoch fails if other stores have stored events in the stream.
        is_checked: bool,
        done: Done,
    },
    /// Takes the turn to import, after all requests before this one. False if another store has it.
    TakeTurn(oneshot::Sender<StorageResult<bool>>),
    GiveBackTurn,
    /// Ends the committer, after all requests before this one.
    Close,
}

/// How many KiB a commit takes while it is pending.
pub(super) fn kib<'a>(events: usize, snapshots: impl IntoIterator<Item = &'a Draft>) -> u32 {
    let snapshots: usize = snapshots.into_iter().map(|draft| draft.state.len()).sum();
    let kib = (events + snapshots) / 1024 + 1;
    u32::try_from(kib).unwrap_or(ROOM).min(ROOM)
}

impl Request {
    /// How many KiB the request takes while it is pending.
    pub(super) fn kib(&self) -> u32 {
        match self {
            Self::Commit { commit, events, .. } => kib(events.size(), commit.snapshot.as_deref()),
            Self::Group(group) => {
                let snapshots = group.streams.iter();
                kib(
                    group.size(),
                    snapshots.filter_map(|part| part.snapshot.as_deref()),
                )
            }
            Self::Fence { .. } | Self::TakeTurn(_) | Self::GiveBackTurn | Self::Close => 0,
        }
    }

    /// Answers the request: nothing of it is stored.
    pub(super) fn refuse(self, error: &CommitError) {
        match self {
            Self::Commit { stream, commit, .. } => {
                stream.fail(commit.epoch, error);
                (commit.done)(Err(error.clone()));
            }
            Self::Group(group) => {
                for part in &group.streams {
                    part.stream.fail(part.epoch, error);
                }
                group.fail();
                (group.done)(Err(error.clone()));
            }
            Self::Fence {
                stream,
                epoch,
                is_checked,
                done,
            } => {
                if is_checked {
                    stream.fail(epoch, error);
                }
                done(stream.fence(epoch));
            }
            // Whoever waits gets the error of a store that is closed.
            Self::TakeTurn(_) | Self::GiveBackTurn | Self::Close => {}
        }
    }
}

/// The senders' end of the queue.
#[derive(Debug)]
pub(crate) struct Requests {
    sender: mpsc::UnboundedSender<Request>,
    room: Arc<Semaphore>,
    meters: Arc<Meters>,
}

impl Requests {
    pub(super) fn new(
        meters: Arc<Meters>,
    ) -> (Self, mpsc::UnboundedReceiver<Request>, Arc<Semaphore>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let room = Arc::new(Semaphore::new(ROOM as usize));
        let requests = Self {
            sender,
            room: room.clone(),
            meters,
        };
        (requests, receiver, room)
    }

    /// How many bytes the commits take that are not answered, about.
    pub(super) fn bytes(&self) -> u64 {
        let free = self.room.available_permits().min(ROOM as usize);
        (u64::from(ROOM) - free as u64) * 1024
    }

    /// Sends a request that takes room, which the committer gives back when it answers it.
    pub(super) async fn send_with(&self, kib: u32, request: Request) {
        let room = match self.room.try_acquire_many(kib) {
            // Only the committer closes the semaphore, when it ends. Then the request is refused.
            Err(TryAcquireError::NoPermits) => self.room.acquire_many(kib).await.ok(),
            room => room.ok(),
        };
        if let Some(room) = room {
            room.forget();
        }
        self.meters.appended.in_hand.add(1);
        self.send(request);
    }

    pub(super) fn send(&self, request: Request) {
        if let Err(refused) = self.sender.send(request) {
            refused.0.refuse(&CommitError::Closed);
        }
    }
}
