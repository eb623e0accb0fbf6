//! Opening a schema, and staying its only writer: [`open`], [`retake`].
//!
//! A lock of the session keeps other programs out while they can be seen. The number of the owner
//! keeps them out when they cannot: what an earlier owner sends is refused by the server.

use std::time::{Duration, Instant};

use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::storage::error::{ErrorPlace, StorageError, StorageErrorKind, StorageResult};
use crate::storage::files::lock::Patience;
use crate::storage::postgres::failure::Failure;
use crate::storage::postgres::names::quoted;
use crate::storage::postgres::server::{Connection, FIRST_PAUSE, LONGEST_PAUSE, Server};

/// The version of the schema that this release makes.
const VERSION: i32 = 1;
const TABLES: &str = include_str!("schema.sql");
/// The oldest server that has what the schema uses.
const OLDEST_SERVER: i32 = 130_000;

/// The key of a schema's lock.
const TRY_LOCK: &str = "SELECT pg_try_advisory_lock(hashtextextended('eventfold-es ' || $1, 0))";
const UNLOCK: &str = "SELECT pg_advisory_unlock(hashtextextended('eventfold-es ' || $1, 0))";
/// Who holds the lock.
const HOLDER: &str = "\
    SELECT a.pid, a.application_name, coalesce(host(a.client_addr), 'this machine') \
    FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid \
    WHERE l.locktype = 'advisory' AND l.granted \
        AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
        AND l.classid::bigint << 32 | l.objid::bigint \
            = hashtextextended('eventfold-es ' || $1, 0)";
const EXISTS: &str =
    "SELECT EXISTS (SELECT FROM pg_tables WHERE schemaname = $1 AND tablename = $2)";
const SCHEMA_EXISTS: &str = "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)";
const SETTINGS: &str = "\
    SELECT current_setting('server_version_num')::int, current_setting('server_version'), \
        current_setting('server_encoding'), pg_is_in_recovery(), \
        current_setting('synchronous_commit') = 'off' OR current_setting('fsync') = 'off', \
        pg_backend_pid()";
const TAKE: &str = "UPDATE head SET owner = $1 RETURNING position, batch";
const RETAKE: &str = "UPDATE head SET owner = $1 WHERE owner IN ($1, $2) RETURNING position, batch";
/// Ends an earlier session of ours that the server still believes in.
const END_SESSION: &str = "\
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
    WHERE pid = $1 AND usename = current_user AND backend_start < now()";

/// The session of a schema's writer.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) connection: Connection,
    /// The server's process of the session.
    pid: i32,
    /// The position of the newest event.
    pub(super) position: i64,
    /// The number of the newest batch.
    pub(super) batch: i64,
}

/// How a schema is opened.
#[derive(Debug, Clone)]
pub(super) struct Terms {
    pub(super) create: bool,
    /// The server must make commits durable before it answers.
    pub(super) synced: bool,
}

/// Takes the schema, and creates its tables if there are none.
pub(super) async fn open(
    server: &Server,
    terms: &Terms,
    patience: &Patience,
) -> StorageResult<Session> {
    let failed = |failure: Failure| failure.into_error("open", server.place());
    let mut connection = server.connect().await.map_err(failed)?;
    let pid = check(server, &mut connection, terms).await?;
    let started = Instant::now();
    let mut pause = FIRST_PAUSE;
    while !try_lock(server, &mut connection).await.map_err(failed)? {
        let limit = patience.limit().unwrap_or_default();
        let left = limit.saturating_sub(started.elapsed());
        if left.is_zero() {
            return Err(in_use(server, &mut connection).await);
        }
        // Nothing tells of a released lock but a call that may wait for ever.
        tokio::time::sleep(pause.min(left)).await;
        pause = (pause * 2).min(Duration::from_millis(50));
        patience.check()?;
    }
    migrate(server, &mut connection, terms).await?;
    let owner = new_owner();
    let rows = connection.query(TAKE, &[&owner]).await;
    let rows = rows.map_err(|error| failed(error.into()))?;
    let Some(head) = rows.first() else {
        return Err(damaged(server, "has no row in `head`"));
    };
    server.set_owner(owner);
    Ok(Session {
        position: head.get(0),
        batch: head.get(1),
        connection,
        pid,
    })
}

/// A number that no other store has.
fn new_owner() -> i64 {
    // The bits of a random id, in which only a few are fixed.
    let (high, low) = Uuid::new_v4().as_u64_pair();
    (high ^ low.rotate_left(32)).cast_signed()
}

fn damaged(server: &Server, cause: &str) -> StorageError {
    let place = ErrorPlace::Schema(server.place().to_owned());
    let error = StorageError::at(StorageErrorKind::Damaged, place, cause.to_owned());
    error.with_advice("restore the schema from a backup")
}

fn refused(server: &Server, kind: StorageErrorKind, cause: String) -> StorageError {
    let place = ErrorPlace::Schema(server.place().to_owned());
    StorageError::at(kind, place, cause)
}

/// Fails if the server is not one that can have a store. Returns its process of this session.
async fn check(server: &Server, connection: &mut Connection, terms: &Terms) -> StorageResult<i32> {
    let rows = connection.query(SETTINGS, &[]).await;
    let rows = rows.map_err(|error| Failure::from(error).into_error("open", server.place()))?;
    let Some(row) = rows.first() else {
        return Err(damaged(server, "does not tell its settings"));
    };
    let (number, version): (i32, &str) = (row.get(0), row.get(1));
    let (encoding, is_standby, is_unsynced): (&str, bool, bool) =
        (row.get(2), row.get(3), row.get(4));
    let unsupported = StorageErrorKind::Unsupported;
    if number < OLDEST_SERVER {
        let text = format!("is on PostgreSQL {version}: 13 or newer is needed");
        return Err(refused(server, unsupported, text));
    }
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
    Ok(row.get(5))
}

async fn try_lock(server: &Server, connection: &mut Connection) -> Result<bool, Failure> {
    let rows = connection.query(TRY_LOCK, &[&server.schema()]).await?;
    Ok(rows.first().is_some_and(|row| row.get(0)))
}

/// The error for a schema that another program has open.
async fn in_use(server: &Server, connection: &mut Connection) -> StorageError {
    let holder = match connection.query(HOLDER, &[&server.schema()]).await {
        Ok(rows) => rows.first().map(|row| {
            let (pid, name, address): (i32, &str, &str) = (row.get(0), row.get(1), row.get(2));
            let name = if name.is_empty() { "no name" } else { name };
            format!(" (session {pid} of the server, application {name}, from {address})")
        }),
        Err(_) => None,
    };
    let text = format!(
        "is in use by another store{}: a schema has one store at a time; shut that one down first, \
         or let `open` wait with `lock_timeout`",
        holder.unwrap_or_default()
    );
    refused(server, StorageErrorKind::Busy, text)
}

/// Creates the tables, or brings those of an older release up to date.
async fn migrate(server: &Server, connection: &mut Connection, terms: &Terms) -> StorageResult<()> {
    let failed = |action: &'static str| {
        move |error: tokio_postgres::Error| Failure::from(error).into_error(action, server.place())
    };
    let schema = server.schema();
    let exists = |table: &'static str| [schema.to_owned(), table.to_owned()];
    let [name, table] = exists("eventfold_schema");
    let rows = connection.query(EXISTS, &[&name, &table]).await;
    let rows = rows.map_err(failed("open"))?;
    if rows.first().is_some_and(|row| row.get(0)) {
        let rows = connection
            .query("SELECT version FROM eventfold_schema", &[])
            .await;
        let rows = rows.map_err(failed("open"))?;
        return match rows.first().map(|row| row.get::<_, i32>(0)) {
            Some(VERSION) => Ok(()),
            Some(version) => {
                let text = format!(
                    "has version {version} of the tables, and this release of eventfold-es knows \
                     {VERSION}: use the release that made them, or a newer one"
                );
                Err(refused(server, StorageErrorKind::Unsupported, text))
            }
            None => Err(damaged(server, "has no row in `eventfold_schema`")),
        };
    }
    if !terms.create {
        let text = "has no store, and `create_if_missing` is `false`";
        return Err(refused(server, StorageErrorKind::Missing, text.to_owned()));
    }
    for table in ["head", "streams", "events", "tags", "snapshots", "records"] {
        let [name, table] = exists(table);
        let rows = connection.query(EXISTS, &[&name, &table]).await;
        let rows = rows.map_err(failed("open"))?;
        if rows.first().is_some_and(|row| row.get(0)) {
            let text = format!("has a table `{table}` that no store made: use another schema");
            return Err(refused(server, StorageErrorKind::InvalidInput, text));
        }
    }
    let rows = connection.query(SCHEMA_EXISTS, &[&schema]).await;
    let rows = rows.map_err(failed("open"))?;
    // A role may have the right to use a schema, and not to create one.
    let create_schema = if rows.first().is_some_and(|row| row.get(0)) {
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
    created.map_err(failed("create the tables in"))?;
    tracing::info!(place = server.place(), "the tables of a store were created");
    Ok(())
}

/// Takes the schema again after the connection of `earlier` was lost. Once this returns, nothing
/// that was sent on it can have an effect any more. `None` if another store has taken it.
pub(super) async fn retake(
    server: &Server,
    earlier: Option<i32>,
    until: Instant,
) -> Result<Option<Session>, Failure> {
    let mut connection = server.connect().await?;
    let rows = connection.query("SELECT pg_backend_pid()", &[]).await?;
    let pid = rows.first().map_or(0, |row| row.get(0));
    let mut pause = FIRST_PAUSE;
    while !try_lock(server, &mut connection).await? {
        if let Some(earlier) = earlier {
            connection.query(END_SESSION, &[&earlier]).await?;
        }
        if Instant::now() >= until {
            return Err(Failure::NoAnswer(server.timeout()));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    let new = server.next_owner(new_owner);
    // Waits for a batch that the server is still storing.
    let rows = connection.query(RETAKE, &[&new, &server.owner()]).await?;
    let Some(head) = rows.first() else {
        return Ok(None);
    };
    server.set_owner(new);
    Ok(Some(Session {
        position: head.get(0),
        batch: head.get(1),
        connection,
        pid,
    }))
}

impl Session {
    pub(super) fn pid(&self) -> i32 {
        self.pid
    }

    pub(super) async fn query(
        &mut self,
        sql: &'static str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<tokio_postgres::Row>, Failure> {
        Ok(self.connection.query(sql, params).await?)
    }

    /// Lets other stores take the schema.
    pub(super) async fn release(mut self, server: &Server) {
        // The end of the session releases it too, a moment later.
        let _ = self.connection.query(UNLOCK, &[&server.schema()]).await;
    }
}
