//! A term of a lease: [`Term`].

use std::sync::atomic::{AtomicBool, Ordering};

use crate::storage::error::{StorageError, StorageErrorKind};
use crate::storage::random::random_number;
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
        Self {
            follower,
            name: name.to_owned(),
            number: random_number(),
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
        let kind = self.follower.kind();
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
