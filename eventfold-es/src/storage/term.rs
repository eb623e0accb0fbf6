//! A term of a lease: [`Term`].

use std::sync::atomic::{AtomicBool, Ordering};

use uuid::Uuid;

use crate::storage::error::{StorageError, StorageErrorKind};
use crate::storage::record_name::Follower;

/// One term of a lease. What carries it (a change of a record, a commit) is refused by the storage once
/// the term has ended, whatever its sender believes. Invariant F11.
#[derive(Debug)]
pub(crate) struct Term {
    follower: Follower,
    name: String,
    /// Unique among the terms of the lease, never 0.
    number: i64,
    is_lost: AtomicBool,
}

impl Term {
    /// A term that is still to begin.
    pub(crate) fn new(follower: Follower, name: &str) -> Self {
        let (high, low) = Uuid::new_v4().as_u64_pair();
        Self {
            follower,
            name: name.to_owned(),
            // The bits of a random id, in which only a few are fixed.
            number: ((high ^ low.rotate_left(32)) | 1).cast_signed(),
            is_lost: AtomicBool::new(false),
        }
    }

    pub(crate) fn follower(&self) -> Follower {
        self.follower
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn number(&self) -> i64 {
        self.number
    }

    /// Whether it is known that the term has ended.
    pub(crate) fn is_lost(&self) -> bool {
        self.is_lost.load(Ordering::Acquire)
    }

    pub(crate) fn lose(&self) {
        self.is_lost.store(true, Ordering::Release);
    }

    /// Notes that the storage refused what carries it, and returns the error for that.
    pub(crate) fn refused(&self) -> StorageError {
        self.lose();
        let kind = match self.follower {
            Follower::Projection => "projection",
            Follower::ProcessManager => "process manager",
        };
        let text = format!(
            "another process runs the {kind} `{}` now, so nothing of it is changed from here",
            self.name
        );
        StorageError::new(StorageErrorKind::Busy, text)
    }
}

/// A lease as the storage has it.
#[derive(Debug, Clone)]
pub(crate) struct LeaseSeen {
    /// Each change of the lease raises it, so each sign of life does.
    pub(crate) revision: u64,
    pub(crate) is_held: bool,
    /// What its holder says of itself.
    pub(crate) sign: String,
}
