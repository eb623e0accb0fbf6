//! A store joins the stores of a schema: [`open`], and [`resume`] after a lost connection.
//!
//! Each store has a number, a row in `writers`, and a lock of its session on the number. Once a store
//! holds the lock again, nothing that it sent on an earlier connection can have an effect any more, and
//! its row says what became of the newest batch.

use std::time::Duration;

use tokio_postgres::types::ToSql;

use crate::storage::error::{ErrorPlace, StorageError, StorageErrorKind, StorageResult};
use crate::storage::files::lock::Patience;
use crate::storage::postgres::connection::Connection;
use crate::storage::postgres::failure::Failure;
use crate::storage::postgres::known::HEAD;
use crate::storage::postgres::listener::NOTIFY;
use crate::storage::postgres::names::quoted;
use crate::storage::postgres::rows::unsigned;
use crate::storage::postgres::server::{FIRST_PAUSE, LONGEST_PAUSE, Server};
use crate::storage::random::random_number;

/// The version of the schema that this release makes.
const VERSION: i32 = 1;
const TABLES: &str = include_str!("schema.sql");
/// The oldest server that has what the schema uses.
const OLDEST_SERVER: i32 = 130_000;

/// The lock on a store's number.
const TRY_LOCK: &str =
    "SELECT pg_try_advisory_lock(hashtextextended('eventfold-es ' || $1 || ' ' || $2, 0))";
/// The lock of whoever makes the tables.
const LOCK_TABLES: &str =
    "SELECT pg_advisory_lock(hashtextextended('eventfold-es tables of ' || $1, 0))";
const UNLOCK_TABLES: &str =
    "SELECT pg_advisory_unlock(hashtextextended('eventfold-es tables of ' || $1, 0))";
const EXISTS: &str =
    "SELECT EXISTS (SELECT FROM pg_tables WHERE schemaname = $1 AND tablename = $2)";
const SCHEMA_EXISTS: &str = "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)";
const SETTINGS: &str = "\
    SELECT current_setting('server_version_num')::int, current_setting('server_version'), \
        current_setting('server_encoding'), pg_is_in_recovery(), \
        current_setting('synchronous_commit') = 'off' OR current_setting('fsync') = 'off'";
const JOIN: &str = "INSERT INTO writers (writer) VALUES ($1)";
/// A store that has written nothing for this long does not wait for an answer any more.
const FORGET: &str = "DELETE FROM writers WHERE seen < now() - interval '30 days'";
const LEAVE: &str = "DELETE FROM writers WHERE writer = $1";
const OUTCOME: &str =
    "SELECT batch, before, refused, actual, head, chain FROM writers WHERE writer = $1";
/// Ends the session that holds the lock on a store's number, which the server still believes in.
const END_HOLDER: &str = "\
    SELECT pg_terminate_backend(pid) FROM pg_locks \
    WHERE locktype = 'advisory' AND granted AND pid <> pg_backend_pid() \
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
        AND (classid::bigint << 32 | objid::bigint) \
            = hashtextextended('eventfold-es ' || $1 || ' ' || $2, 0)";

/// How long a batch waits for those of other stores before it looks who is in its way.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// Ends sessions that hold the end of the log in the middle of a request whose rest does not come. Whoever
/// they belong to finds in `writers` what became of the batch.
const END_SILENT: &str = "\
    SELECT pg_terminate_backend(a.pid) FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid \
    WHERE l.relation = 'head'::regclass AND l.granted AND l.pid <> pg_backend_pid() \
        AND a.state = 'active' AND a.wait_event = 'ClientRead' \
        AND a.query_start < now() - interval '2 s' AND a.usename = current_user";

/// How long opening a schema may take at least.
const SHORTEST_LIMIT: Duration = Duration::from_secs(10);

/// The session in which a store writes.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) connection: Connection,
    /// The number of the store.
    writer: i64,
}

/// How a schema is opened.
#[derive(Debug, Clone)]
pub(super) struct Terms {
    /// How often a command is decided at most.
    pub(super) conflict_rounds: u32,
    pub(super) create: bool,
    /// The server must make commits durable before it answers.
    pub(super) synced: bool,
}

/// What `append` answers to a batch.
#[derive(Debug)]
pub(super) struct Appended {
    /// The position before the batch.
    pub(super) before: u64,
    /// Which of its commits are not stored, from 1 on.
    pub(super) refused: Vec<i32>,
    /// The actual version of a stream for each of these, -1 for a condition that does not hold, or -2 if
    /// its term has ended.
    pub(super) actual: Vec<i64>,
    /// The new end of the log.
    pub(super) head: u64,
    pub(super) chain: i64,
}

/// Joins the stores of the schema. Creates its tables if there are none.
pub(super) async fn open(
    server: &Server,
    terms: &Terms,
    patience: &Patience,
) -> StorageResult<Session> {
    // The tables may have to be made.
    let limit = server.timeout().max(SHORTEST_LIMIT);
    let joined = tokio::time::timeout(limit, join(server, terms, patience)).await;
    joined.unwrap_or_else(|_| Err(Failure::NoAnswer(limit).into_error("open", server.place())))
}

async fn join(server: &Server, terms: &Terms, patience: &Patience) -> StorageResult<Session> {
    let failed = |failure: Failure| failure.into_error("open", server.place());
    let lost = |error: tokio_postgres::Error| failed(error.into());
    let mut connection = server.connect().await.map_err(failed)?;
    check(server, &mut connection, terms).await?;
    patience.check()?;
    migrate(server, &mut connection, terms).await?;
    let writer = random_number();
    limit_waits(server, &connection).await.map_err(failed)?;
    try_lock(server, &mut connection, writer)
        .await
        .map_err(failed)?;
    connection.query(FORGET, &[]).await.map_err(lost)?;
    connection.query(JOIN, &[&writer]).await.map_err(lost)?;
    let rows = connection.query(HEAD, &[]).await.map_err(lost)?;
    let Some(head) = rows.first() else {
        return Err(damaged(server, "has no row in `head`"));
    };
    let learned = server.learn(unsigned(head.get(0)), head.get(1));
    learned.map_err(failed)?;
    Ok(Session { connection, writer })
}

pub(super) fn damaged(server: &Server, cause: &str) -> StorageError {
    let place = ErrorPlace::Schema(server.place().to_owned());
    let error = StorageError::at(StorageErrorKind::Damaged, place, cause.to_owned());
    error.with_advice("restore the schema from a backup")
}

pub(super) fn refused(server: &Server, kind: StorageErrorKind, cause: String) -> StorageError {
    let place = ErrorPlace::Schema(server.place().to_owned());
    StorageError::at(kind, place, cause)
}

/// Fails if the server is too old: `number` is its version as a number.
pub(super) fn check_release(server: &Server, number: i32, version: &str) -> StorageResult<()> {
    if number >= OLDEST_SERVER {
        return Ok(());
    }
    let text = format!("is on PostgreSQL {version}: 13 or newer is needed");
    Err(refused(server, StorageErrorKind::Unsupported, text))
}

/// Fails if the tables are of another release. `version` is `None` if none is stated.
pub(super) fn check_version(server: &Server, version: Option<i32>) -> StorageResult<()> {
    match version {
        Some(VERSION) => Ok(()),
        Some(version) => {
            let text = format!(
                "has version {version} of the tables, and this release of eventfold-es knows \
                 {VERSION}: use the release that made them, or a newer one"
            );
            Err(refused(server, StorageErrorKind::Unsupported, text))
        }
        None => Err(damaged(server, "has no row in `eventfold_schema`")),
    }
}

/// Fails if the server is not one that can have a store.
async fn check(server: &Server, connection: &mut Connection, terms: &Terms) -> StorageResult<()> {
    let rows = connection.query(SETTINGS, &[]).await;
    let rows = rows.map_err(|error| Failure::from(error).into_error("open", server.place()))?;
    let Some(row) = rows.first() else {
        return Err(damaged(server, "does not tell its settings"));
    };
    let (number, version): (i32, &str) = (row.get(0), row.get(1));
    let (encoding, is_standby, is_unsynced): (&str, bool, bool) =
        (row.get(2), row.get(3), row.get(4));
    let unsupported = StorageErrorKind::Unsupported;
    check_release(server, number, version)?;
    if encoding != "UTF8" {
        let text = format!(
            "is in a database with the encoding {encoding}: create the database with \
             `ENCODING 'UTF8'`"
        );
        return Err(refused(server, unsupported, text));
    }
    if is_standby {
        let text = "is on a standby, which cannot be written to: connect to the primary";
        let kind = StorageErrorKind::Io(std::io::ErrorKind::ReadOnlyFilesystem);
        return Err(refused(server, kind, text.to_owned()));
    }
    if is_unsynced && terms.synced {
        let text = "is on a server that does not make commits durable before it answers \
                    (`synchronous_commit` or `fsync` is `off`): set both to `on`, or open the store \
                    with `allow_unsynced(true)` if losing events is fine";
        return Err(refused(server, unsupported, text.to_owned()));
    }
    Ok(())
}

async fn try_lock(
    server: &Server,
    connection: &mut Connection,
    writer: i64,
) -> Result<bool, Failure> {
    let writer = writer.to_string();
    let rows = connection
        .query(TRY_LOCK, &[&server.schema(), &writer])
        .await?;
    Ok(rows.first().is_some_and(|row| row.get(0)))
}

/// Fails if the tables are of another release, or if there are none and `terms` say that none are to be
/// created. Otherwise creates them if there are none.
async fn migrate(server: &Server, connection: &mut Connection, terms: &Terms) -> StorageResult<()> {
    if has_tables(server, connection).await? {
        return Ok(());
    }
    if !terms.create {
        let text = "has no store, and `create_if_missing` is `false`";
        return Err(refused(server, StorageErrorKind::Missing, text.to_owned()));
    }
    let failed = |error: tokio_postgres::Error| {
        Failure::from(error).into_error("create the tables in", server.place())
    };
    // Several stores may open a new schema at the same time.
    let locked = connection.query(LOCK_TABLES, &[&server.schema()]).await;
    locked.map_err(failed)?;
    if !has_tables(server, connection).await? {
        create(server, connection).await?;
    }
    let unlocked = connection.query(UNLOCK_TABLES, &[&server.schema()]).await;
    unlocked.map(drop).map_err(failed)
}

/// Whether the schema has the tables of a store. Fails if they are of another release.
async fn has_tables(server: &Server, connection: &mut Connection) -> StorageResult<bool> {
    if !exists(server, connection, "eventfold_schema").await? {
        return Ok(false);
    }
    let rows = connection
        .query("SELECT version FROM eventfold_schema", &[])
        .await;
    let rows = rows.map_err(|error| Failure::from(error).into_error("open", server.place()))?;
    check_version(server, rows.first().map(|row| row.get(0)))?;
    Ok(true)
}

async fn exists(
    server: &Server,
    connection: &mut Connection,
    table: &'static str,
) -> StorageResult<bool> {
    let rows = connection.query(EXISTS, &[&server.schema(), &table]).await;
    let rows = rows.map_err(|error| Failure::from(error).into_error("open", server.place()))?;
    Ok(rows.first().is_some_and(|row| row.get(0)))
}

async fn create(server: &Server, connection: &mut Connection) -> StorageResult<()> {
    let failed = |error: tokio_postgres::Error| {
        Failure::from(error).into_error("create the tables in", server.place())
    };
    for table in [
        "head",
        "writers",
        "streams",
        "events",
        "tags",
        "snapshots",
        "records",
    ] {
        if exists(server, connection, table).await? {
            let text = format!("has a table `{table}` that no store made: use another schema");
            return Err(refused(server, StorageErrorKind::InvalidInput, text));
        }
    }
    let schema = server.schema();
    let rows = connection.query(SCHEMA_EXISTS, &[&schema]).await;
    // A role may have the right to use a schema, and not to create one.
    let create_schema = if rows.map_err(failed)?.first().is_some_and(|row| row.get(0)) {
        String::new()
    } else {
        format!("CREATE SCHEMA {};", quoted(schema))
    };
    let create = format!(
        "BEGIN; {create_schema} {TABLES}; \
         CREATE TABLE eventfold_schema (version int NOT NULL); \
         INSERT INTO eventfold_schema VALUES ({VERSION}); COMMIT;"
    );
    let created = connection.client.batch_execute(&create).await;
    created.map_err(failed)?;
    tracing::info!(place = server.place(), "the tables of a store were created");
    Ok(())
}

/// A session for the store `writer` after its connection was lost. Once this returns, nothing that was
/// sent on an earlier one can have an effect any more.
pub(super) async fn resume(server: &Server, writer: i64) -> Result<Session, Failure> {
    let resumed = tokio::time::timeout(server.timeout(), async {
        let mut connection = server.connect().await?;
        let mut pause = FIRST_PAUSE;
        while !try_lock(server, &mut connection, writer).await? {
            let writer = writer.to_string();
            let params: [&(dyn ToSql + Sync); 2] = [&server.schema(), &writer];
            connection.query(END_HOLDER, &params).await?;
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        limit_waits(server, &connection).await?;
        Ok(Session { connection, writer })
    });
    let too_late = |_| Err(Failure::NoAnswer(server.timeout()));
    resumed.await.unwrap_or_else(too_late)
}

/// Lets batches end that wait for a lock for too long.
async fn limit_waits(server: &Server, connection: &Connection) -> Result<(), Failure> {
    let limit = LONGEST_WAIT.min(server.timeout() / 3).as_millis().max(1);
    let set = format!("SET lock_timeout = {limit}");
    Ok(connection.client.batch_execute(&set).await?)
}

impl Session {
    /// Ends the sessions of processes that have fallen silent and are in the way.
    pub(super) async fn end_silent(&mut self) -> Result<(), Failure> {
        self.query(END_SILENT, &[]).await.map(drop)
    }

    pub(super) fn writer(&self) -> i64 {
        self.writer
    }

    pub(super) async fn query(
        &mut self,
        sql: &'static str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<tokio_postgres::Row>, Failure> {
        Ok(self.connection.query(sql, params).await?)
    }

    /// What became of the batch `number`, the newest one that the store has sent: `None` if nothing of
    /// it is stored.
    pub(super) async fn outcome(&mut self, number: i64) -> Result<Option<Appended>, Failure> {
        let writer = self.writer;
        let rows = self.query(OUTCOME, &[&writer]).await?;
        let Some(row) = rows.first() else {
            return Err(Failure::Forgotten);
        };
        if row.get::<_, i64>(0) < number {
            return Ok(None);
        }
        Ok(Some(Appended {
            before: unsigned(row.get(1)),
            refused: row.get(2),
            actual: row.get(3),
            head: unsigned(row.get(4)),
            chain: row.get(5),
        }))
    }

    /// Leaves the stores of the schema.
    pub(super) async fn leave(mut self, server: &Server) {
        let writer = self.writer;
        // Without this the row stays for some days.
        let left = async {
            // Others may not know of the newest commits.
            self.query(NOTIFY, &[&writer.to_string()]).await?;
            self.query(LEAVE, &[&writer]).await
        };
        let _ = tokio::time::timeout(server.timeout(), left).await;
    }
}
