//! What a program writes and reads that does no more than that: [`Bare`].

use std::time::{Duration, Instant};

use tokio_postgres::{Client, NoTls, Statement};

use crate::Result;

/// The tables of a store, of which the rest is not used.
const TABLES: &str = include_str!("../../src/storage/postgres/schema.sql");
/// The rows of a batch, by one statement, which is a transaction of its own.
const INSERT: &str = "\
    WITH h AS (UPDATE head SET position = position + cardinality($1::bigint[])), \
    e AS (INSERT INTO events (position, commit, place, type, id, version, name, line, sum, chain) \
        SELECT e.position, e.position, 1, e.type, e.id, e.version, e.name, e.line, e.sum, 0 \
        FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[], \
            $7::bigint[]) AS e(position, type, id, version, name, line, sum)) \
    INSERT INTO streams (type, id, version, position) \
        SELECT e.type, e.id, e.version, e.position \
        FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[]) AS e(position, type, id, version) \
        ON CONFLICT (type, id) DO UPDATE \
            SET version = excluded.version, position = excluded.position";
const COLUMNS: &str = "position, commit, place, type, id, version, line, sum, chain";
/// How many rows of the log are read at once.
const PAGE: i64 = 4_096;

/// A connection that stores and reads rows.
pub(crate) struct Bare {
    client: Client,
    insert: Statement,
    /// An event as the store has it.
    line: String,
    position: i64,
    /// How many commits each aggregate has.
    versions: Vec<i64>,
    next: usize,
}

impl Bare {
    /// Makes the tables in a schema of its own. `store` is the schema of a store with events.
    pub(crate) async fn new(url: &str, schema: &str, store: &str) -> Result<Self> {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
        tokio::spawn(connection);
        client
            .batch_execute(&format!(
                "CREATE SCHEMA \"{schema}\"; SET search_path TO \"{schema}\"; SET jit = off; {TABLES}"
            ))
            .await?;
        let line = format!("SELECT line FROM \"{store}\".events ORDER BY position DESC LIMIT 1");
        let line = client.query_one(&line, &[]).await?.get(0);
        let insert = client.prepare(INSERT).await?;
        Ok(Self {
            client,
            insert,
            line,
            position: 0,
            versions: Vec::new(),
            next: 0,
        })
    }

    /// Stores batches of `size` rows of so many aggregates for so long, and returns how many rows in
    /// a second.
    pub(crate) async fn run(
        &mut self,
        aggregates: usize,
        size: usize,
        time: Duration,
    ) -> Result<f64> {
        self.versions.resize(aggregates, 0);
        let start = Instant::now();
        let mut stored = 0_u32;
        while start.elapsed() < time {
            let (mut positions, mut ids, mut versions) = (Vec::new(), Vec::new(), Vec::new());
            for _ in 0..size.min(aggregates) {
                self.position += 1;
                self.next = (self.next + 1) % aggregates;
                self.versions[self.next] += 1;
                positions.push(self.position);
                ids.push(format!("account-{}", self.next));
                versions.push(self.versions[self.next]);
            }
            let rows = positions.len();
            let types = vec!["account"; rows];
            let names = vec!["Deposited"; rows];
            let lines = vec![self.line.as_str(); rows];
            let sums = vec![self.position; rows];
            self.client
                .execute(
                    &self.insert,
                    &[&positions, &types, &ids, &versions, &names, &lines, &sums],
                )
                .await?;
            stored += u32::try_from(rows)?;
        }
        Ok(f64::from(stored) / start.elapsed().as_secs_f64())
    }

    /// Reads the rows of all events of a store, page by page, and counts them.
    pub(crate) async fn read_log(&mut self, store: &str) -> Result<u64> {
        let sql = format!(
            "SELECT {COLUMNS} FROM \"{store}\".events WHERE position > $1 ORDER BY position LIMIT {PAGE}"
        );
        let statement = self.client.prepare(&sql).await?;
        let (mut after, mut count) = (0_i64, 0);
        loop {
            let rows = self.client.query(&statement, &[&after]).await?;
            let Some(last) = rows.last() else {
                return Ok(count);
            };
            after = last.get(0);
            count += rows.len() as u64;
        }
    }

    /// Reads the rows of an aggregate, and counts them.
    pub(crate) async fn read_stream(&mut self, store: &str, id: &str) -> Result<u64> {
        let sql = format!(
            "SELECT {COLUMNS} FROM \"{store}\".events WHERE type = 'account' AND id = $1 ORDER BY version"
        );
        let statement = self.client.prepare(&sql).await?;
        let rows = self.client.query(&statement, &[&id]).await?;
        Ok(rows.len() as u64)
    }
}
