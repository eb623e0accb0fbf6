//! Leases in a memory that several stores use.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use crate::storage::error::StorageResult;
use crate::storage::record_name::Follower;
use crate::storage::term::{LeaseSeen, Term};
use crate::sync::lock;

/// The leases of all followers.
#[derive(Debug, Clone, Default)]
pub(crate) struct MemoryLeases(Arc<Mutex<BTreeMap<(Follower, String), Lease>>>);

#[derive(Debug)]
struct Lease {
    revision: u64,
    /// 0 if nobody has it.
    term: i64,
    sign: String,
}

fn key(term: &Term) -> (Follower, String) {
    (term.follower(), term.name().to_owned())
}

impl MemoryLeases {
    pub(crate) fn read(&self, follower: Follower, name: &str) -> Option<LeaseSeen> {
        let leases = lock(&self.0);
        let lease = leases.get(&(follower, name.to_owned()))?;
        Some(LeaseSeen {
            revision: lease.revision,
            is_held: lease.term != 0,
            sign: lease.sign.clone(),
        })
    }

    pub(crate) fn take(&self, term: &Term, revision: u64, sign: &str) -> bool {
        let mut leases = lock(&self.0);
        let known = leases.get(&key(term)).map_or(0, |lease| lease.revision);
        if known != revision {
            return false;
        }
        let lease = Lease {
            revision: revision + 1,
            term: term.number(),
            sign: sign.to_owned(),
        };
        leases.insert(key(term), lease);
        true
    }

    pub(crate) fn renew(&self, term: &Term, sign: &str) -> bool {
        self.change(term, |lease| sign.clone_into(&mut lease.sign))
    }

    pub(crate) fn release(&self, term: &Term) {
        self.change(term, |lease| {
            lease.term = 0;
            lease.sign.clear();
        });
    }

    /// Changes the lease if its term is this one.
    fn change(&self, term: &Term, change: impl FnOnce(&mut Lease)) -> bool {
        let mut leases = lock(&self.0);
        let lease = leases.get_mut(&key(term));
        let Some(lease) = lease.filter(|lease| lease.term == term.number()) else {
            return false;
        };
        lease.revision += 1;
        change(lease);
        true
    }

    /// Makes a change that carries `term`. No other term begins meanwhile.
    ///
    /// # Errors
    ///
    /// If its term has ended. Nothing is changed then.
    pub(crate) fn within<T>(
        &self,
        term: Option<&Term>,
        change: impl FnOnce() -> T,
    ) -> StorageResult<T> {
        let Some(term) = term else {
            return Ok(change());
        };
        let leases = lock(&self.0);
        let lease = leases.get(&key(term));
        if lease.is_none_or(|lease| lease.term != term.number()) {
            return Err(term.refused());
        }
        Ok(change())
    }

    #[cfg(test)]
    pub(crate) fn end(&self, follower: Follower, name: &str) {
        let mut leases = lock(&self.0);
        if let Some(lease) = leases.get_mut(&(follower, name.to_owned())) {
            lease.term = 0;
            lease.revision += 1;
        }
    }
}
