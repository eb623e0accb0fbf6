//! Leases at the seam: of several stores on one storage, one runs a follower. It gives signs of life,
//! and another one takes its place once they stay away. Storage with one store has no leases.

use std::sync::atomic::{AtomicBool, Ordering};

use uuid::Uuid;

use crate::storage::error::{StorageError, StorageErrorKind, StorageResult};
use crate::storage::memory::leases::MemoryLeases;
#[cfg(feature = "postgres")]
use crate::storage::postgres::leases::PgLeases;
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

/// The leases of a storage that several stores may use at once.
#[derive(Debug, Clone)]
pub(crate) enum Leases {
    Memory(MemoryLeases),
    #[cfg(feature = "postgres")]
    Postgres(PgLeases),
}

impl Leases {
    /// The lease of a follower, `None` if nobody ever had it.
    pub(crate) fn read(&self, follower: Follower, name: &str) -> StorageResult<Option<LeaseSeen>> {
        match self {
            Self::Memory(leases) => Ok(leases.read(follower, name)),
            #[cfg(feature = "postgres")]
            Self::Postgres(leases) => leases.read(follower, name),
        }
    }

    /// Begins the term, unless the lease is not at `revision` any more; 0 stands for a lease that
    /// nobody ever had. Every earlier term has ended then, and nothing that carries one is under way.
    pub(crate) fn take(&self, term: &Term, revision: u64, sign: &str) -> StorageResult<bool> {
        match self {
            Self::Memory(leases) => Ok(leases.take(term, revision, sign)),
            #[cfg(feature = "postgres")]
            Self::Postgres(leases) => leases.take(term, revision, sign),
        }
    }

    /// Gives a sign of life. False if the term has ended.
    pub(crate) fn renew(&self, term: &Term, sign: &str) -> StorageResult<bool> {
        match self {
            Self::Memory(leases) => Ok(leases.renew(term, sign)),
            #[cfg(feature = "postgres")]
            Self::Postgres(leases) => leases.renew(term, sign),
        }
    }

    /// Ends the term of whoever has the lease. The holder does not notice, as if it had slept for too
    /// long.
    #[cfg(test)]
    pub(crate) fn end(&self, follower: Follower, name: &str) -> StorageResult<()> {
        match self {
            Self::Memory(leases) => {
                leases.end(follower, name);
                Ok(())
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(leases) => leases.end(follower, name),
        }
    }

    /// Ends the term, so that another one can begin at once.
    pub(crate) fn release(&self, term: &Term) -> StorageResult<()> {
        match self {
            Self::Memory(leases) => {
                leases.release(term);
                Ok(())
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(leases) => leases.release(term),
        }
    }
}
