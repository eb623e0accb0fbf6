//! Leases at the seam: of several stores on one storage, one runs a follower. It gives signs of life,
//! and another one takes its place once they stay away. Storage with one store has no leases.

use crate::storage::error::StorageResult;
use crate::storage::memory::leases::MemoryLeases;
#[cfg(feature = "postgres")]
use crate::storage::postgres::leases::PgLeases;
use crate::storage::record_name::Follower;
use crate::storage::term::{LeaseSeen, Term};

/// The leases of a storage that several stores may use at once.
#[derive(Debug, Clone)]
pub(crate) enum Leases {
    Memory(MemoryLeases),
    #[cfg(feature = "postgres")]
    Postgres(PgLeases),
}

#[cfg_attr(
    not(feature = "postgres"),
    expect(clippy::unnecessary_wraps, reason = "a server can fail")
)]
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
