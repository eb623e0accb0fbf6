//! Leases on a server: [`PgLeases`].

use std::sync::Arc;

use crate::storage::error::StorageResult;
use crate::storage::postgres::rows::{signed, unsigned};
use crate::storage::postgres::server::{Param, Server};
use crate::storage::record_name::Follower;
use crate::storage::term::{LeaseSeen, Term};

const READ: &str = "SELECT revision, term, sign FROM leases WHERE kind = $1 AND follower = $2";
const TAKE: &str = "SELECT take_lease($1, $2, $3, $4, $5)";
const RENEW: &str = "\
    UPDATE leases SET revision = revision + 1, sign = $4 \
    WHERE kind = $1 AND follower = $2 AND term = $3 RETURNING revision";
const RELEASE: &str = "\
    UPDATE leases SET revision = revision + 1, term = 0, sign = '' \
    WHERE kind = $1 AND follower = $2 AND term = $3";

/// The leases of a schema.
#[derive(Debug, Clone)]
pub(crate) struct PgLeases {
    server: Arc<Server>,
}

impl PgLeases {
    pub(super) fn new(server: Arc<Server>) -> Self {
        Self { server }
    }

    pub(crate) fn read(&self, follower: Follower, name: &str) -> StorageResult<Option<LeaseSeen>> {
        let params: Vec<Param> = vec![Box::new(follower.kind()), Box::new(name.to_owned())];
        let rows = self.server.read("read a lease of", READ, params)?;
        Ok(rows.first().map(|row| LeaseSeen {
            revision: unsigned(row.get(0)),
            is_held: row.get::<_, i64>(1) != 0,
            sign: row.get(2),
        }))
    }

    pub(crate) fn take(&self, term: &Term, revision: u64, sign: &str) -> StorageResult<bool> {
        let params: Vec<Param> = vec![
            Box::new(term.follower().kind()),
            Box::new(term.name().to_owned()),
            Box::new(signed(revision)),
            Box::new(term.number()),
            Box::new(sign.to_owned()),
        ];
        let rows = self.server.read("take a lease of", TAKE, params)?;
        Ok(rows.first().is_some_and(|row| row.get(0)))
    }

    /// A repeated attempt counts as two signs, which does no harm.
    pub(crate) fn renew(&self, term: &Term, sign: &str) -> StorageResult<bool> {
        let mut params = of(term);
        params.push(Box::new(sign.to_owned()));
        let rows = self.server.read("renew a lease of", RENEW, params)?;
        Ok(!rows.is_empty())
    }

    pub(crate) fn release(&self, term: &Term) -> StorageResult<()> {
        self.server.change("give up a lease of", RELEASE, of(term))
    }

    #[cfg(test)]
    pub(crate) fn end(&self, follower: Follower, name: &str) -> StorageResult<()> {
        const END: &str = "\
            UPDATE leases SET revision = revision + 1, term = 0 WHERE kind = $1 AND follower = $2";
        let params: Vec<Param> = vec![Box::new(follower.kind()), Box::new(name.to_owned())];
        self.server.change("end a lease of", END, params)
    }
}

fn of(term: &Term) -> Vec<Param> {
    vec![
        Box::new(term.follower().kind()),
        Box::new(term.name().to_owned()),
        Box::new(term.number()),
    ]
}
