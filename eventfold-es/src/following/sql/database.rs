//! The file of a read model: its tables, and beside them the position and what belongs to it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension as _, TransactionBehavior};

use crate::clock::from_unix_millis;
use crate::following::checkpoint::UnknownEvent;
use crate::following::skipped::{Poisoned, SkippedEvent};
use crate::ids::Position;
use crate::text::shown;

/// The form of the store's own tables.
const FORM: i64 = 1;
/// How long to wait for another program that writes to the file.
const BUSY: Duration = Duration::from_secs(5);

const OWN_TABLES: &str = "
    CREATE TABLE eventfold_position (
        form INTEGER NOT NULL,
        name TEXT NOT NULL,
        version INTEGER NOT NULL,
        events TEXT NOT NULL,
        schema TEXT NOT NULL,
        position INTEGER NOT NULL,
        history TEXT NOT NULL,
        is_complete INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE eventfold_skipped (
        position INTEGER PRIMARY KEY,
        event TEXT NOT NULL,
        aggregate_type TEXT NOT NULL,
        id TEXT NOT NULL,
        error TEXT NOT NULL,
        unix_millis INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE eventfold_left_out (
        aggregate_type TEXT NOT NULL,
        event TEXT NOT NULL,
        PRIMARY KEY (aggregate_type, event)
    ) STRICT;
";

/// What a file says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct About {
    pub(crate) name: String,
    pub(crate) version: u32,
    /// The fingerprint of the events that it was made from.
    pub(crate) events: u64,
    /// The checksum of the statements that made the tables.
    pub(crate) schema: u64,
    /// All events up to here are in the tables.
    pub(crate) position: u64,
    /// The checksum of the history up to there.
    pub(crate) history: u64,
    /// Whether the tables once had all events that there were.
    pub(crate) is_complete: bool,
}

/// Opens a file to write to it.
pub(crate) fn open(path: &Path) -> io::Result<Connection> {
    let opened = || {
        let connection = Connection::open(path)?;
        connection.busy_timeout(BUSY)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        // What a loss of power takes back is projected again: the position is taken back too.
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.set_prepared_statement_cache_capacity(64);
        Ok(connection)
    };
    opened().map_err(|error| failure(path, &error))
}

/// Opens a file to read it.
pub(crate) fn open_to_read(path: &Path) -> io::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let opened = || {
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY)?;
        connection.set_prepared_statement_cache_capacity(64);
        Ok(connection)
    };
    opened().map_err(|error| failure(path, &error))
}

/// Makes the tables in an empty file, all or none.
pub(crate) fn make(
    connection: &mut Connection,
    path: &Path,
    about: &About,
    schema: &str,
) -> io::Result<()> {
    let failed = |error: rusqlite::Error| failure(path, &error);
    let behavior = TransactionBehavior::Immediate;
    let tx = connection
        .transaction_with_behavior(behavior)
        .map_err(failed)?;
    tx.execute_batch(OWN_TABLES).map_err(failed)?;
    make_tables(&tx, path, &about.name, schema)?;
    let row = rusqlite::params![
        FORM,
        about.name,
        about.version,
        hexadecimal(about.events),
        hexadecimal(about.schema),
        about.position.cast_signed(),
        hexadecimal(about.history),
        about.is_complete,
    ];
    let insert = "INSERT INTO eventfold_position VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    tx.execute(insert, row).map_err(failed)?;
    tx.commit().map_err(failed)
}

/// Runs the statements of the user's schema. An error names the statement.
fn make_tables(connection: &Connection, path: &Path, name: &str, schema: &str) -> io::Result<()> {
    let mut statements = rusqlite::Batch::new(connection, schema);
    let (mut number, mut rest) = (0, schema);
    loop {
        number += 1;
        let made = (|| {
            let next = rusqlite::fallible_iterator::FallibleIterator::next(&mut statements);
            let Some(mut statement) = next? else {
                return Ok(false);
            };
            let length = statement.expanded_sql().map_or(0, |text| text.len());
            let mut rows = statement.query([])?;
            while rows.next()?.is_some() {}
            if connection.is_autocommit() {
                return Err(rusqlite::Error::ExecuteReturnedResults);
            }
            rest = rest.get(length..).unwrap_or_default();
            Ok(true)
        })();
        let error = match made {
            Ok(true) => continue,
            Ok(false) => return Ok(()),
            Err(error) if is_of_database(&error) => return Err(failure(path, &error)),
            Err(rusqlite::Error::ExecuteReturnedResults) => {
                "it ends the transaction, which makes all tables or none".to_owned()
            }
            Err(rusqlite::Error::SqlInputError { msg, .. }) => msg,
            Err(error) => error.to_string(),
        };
        let text = format!(
            "the read model `{name}` cannot make its tables: statement {number} of its schema, `{}`: \
             {error}",
            beginning(rest)
        );
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
}

/// The beginning of a statement on one line.
fn beginning(sql: &str) -> String {
    let words: Vec<_> = sql.split_whitespace().collect();
    let line = words.join(" ");
    let short: String = line.chars().take(100).collect();
    let short = short.split(';').next().unwrap_or_default();
    if short.len() < line.len() && !line[short.len()..].starts_with(';') {
        return format!("{short}…");
    }
    short.to_owned()
}

/// What the file at `path` says about itself, `None` if it is no read model or is damaged.
pub(crate) fn about(connection: &Connection, path: &Path) -> io::Result<Option<About>> {
    let query = "SELECT name, version, events, schema, position, history, is_complete \
                 FROM eventfold_position WHERE form = ?1";
    let read = connection.query_row(query, [FORM], |row| {
        Ok(About {
            name: row.get(0)?,
            version: row.get(1)?,
            events: of_hexadecimal(&row.get::<_, String>(2)?),
            schema: of_hexadecimal(&row.get::<_, String>(3)?),
            position: row.get::<_, i64>(4)?.cast_unsigned(),
            history: of_hexadecimal(&row.get::<_, String>(5)?),
            is_complete: row.get(6)?,
        })
    });
    match read.optional() {
        Ok(about) => Ok(about),
        Err(error) if is_of_database(&error) && !is_damaged(&error) => Err(failure(path, &error)),
        Err(error) => {
            let file = shown(path).to_string();
            tracing::warn!(file, %error, "the file of a read model cannot be used");
            Ok(None)
        }
    }
}

/// All events up to here are in the tables.
pub(crate) fn position(connection: &Connection) -> rusqlite::Result<u64> {
    let mut read = connection.prepare_cached("SELECT position FROM eventfold_position")?;
    let position: i64 = read.query_row([], |row| row.get(0))?;
    Ok(position.cast_unsigned())
}

/// Moves the position, within the transaction that writes the rows.
pub(crate) fn set_position(
    connection: &Connection,
    position: u64,
    history: u64,
    is_complete: bool,
) -> rusqlite::Result<()> {
    let update = "UPDATE eventfold_position SET position = ?1, history = ?2, is_complete = ?3";
    let row = rusqlite::params![position.cast_signed(), hexadecimal(history), is_complete];
    connection.prepare_cached(update)?.execute(row)?;
    Ok(())
}

/// Notes that the tables have all events.
pub(crate) fn complete(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute("UPDATE eventfold_position SET is_complete = 1", [])?;
    Ok(())
}

/// Records that an event was skipped.
pub(crate) fn skip(
    connection: &Connection,
    poisoned: &Poisoned,
    ms: u64,
) -> rusqlite::Result<SkippedEvent> {
    let row = rusqlite::params![
        poisoned.position.cast_signed(),
        poisoned.event,
        poisoned.aggregate_type,
        poisoned.id,
        poisoned.error,
        ms.cast_signed(),
    ];
    let insert = "INSERT OR REPLACE INTO eventfold_skipped VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    connection.execute(insert, row)?;
    Ok(SkippedEvent {
        position: Position::new(poisoned.position),
        event: poisoned.event.clone(),
        aggregate_type: poisoned.aggregate_type.clone(),
        id: poisoned.id.clone(),
        error: poisoned.error.clone(),
        time: from_unix_millis(ms),
    })
}

/// The events that were skipped, in order.
pub(crate) fn skipped(connection: &Connection) -> rusqlite::Result<Vec<SkippedEvent>> {
    let query = "SELECT position, event, aggregate_type, id, error, unix_millis \
                 FROM eventfold_skipped ORDER BY position";
    let mut query = connection.prepare(query)?;
    let events = query.query_map([], |row| {
        Ok(SkippedEvent {
            position: Position::new(row.get::<_, i64>(0)?.cast_unsigned()),
            event: row.get(1)?,
            aggregate_type: row.get(2)?,
            id: row.get(3)?,
            error: row.get(4)?,
            time: from_unix_millis(row.get::<_, i64>(5)?.cast_unsigned()),
        })
    })?;
    events.collect()
}

/// Notes the events that were left out because their names are unknown.
pub(crate) fn leave_out(connection: &Connection, unknown: &[UnknownEvent]) -> rusqlite::Result<()> {
    let insert = "INSERT OR IGNORE INTO eventfold_left_out VALUES (?1, ?2)";
    let mut insert = connection.prepare_cached(insert)?;
    for event in unknown {
        insert.execute([&event.aggregate_type, &event.event])?;
    }
    Ok(())
}

/// The events that were left out.
pub(crate) fn left_out(connection: &Connection) -> rusqlite::Result<Vec<UnknownEvent>> {
    let query = "SELECT aggregate_type, event FROM eventfold_left_out";
    let mut query = connection.prepare(query)?;
    let events = query.query_map([], |row| {
        Ok(UnknownEvent {
            aggregate_type: row.get(0)?,
            event: row.get(1)?,
        })
    })?;
    events.collect()
}

/// Removes a file that no connection uses.
pub(crate) fn remove(path: &Path) {
    if let Err(error) = try_remove(path) {
        tracing::warn!(%error, "a file that is not needed any more could not be removed");
    }
}

/// Removes the file and what SQLite keeps beside it.
pub(crate) fn try_remove(path: &Path) -> io::Result<()> {
    for suffix in ["-wal", "-shm", ""] {
        let mut file = path.as_os_str().to_owned();
        file.push(suffix);
        let file = PathBuf::from(file);
        match fs::remove_file(&file) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                let text = format!("remove {}: {error}", shown(&file));
                return Err(io::Error::new(error.kind(), text));
            }
        }
    }
    Ok(())
}

/// Whether an error is about the database or its disk, rather than about what was to be written.
pub(crate) fn is_of_database(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure
                | ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::OutOfMemory
                | ErrorCode::ReadOnly
                | ErrorCode::PermissionDenied
                | ErrorCode::CannotOpen
                | ErrorCode::OperationInterrupted
                | ErrorCode::FileLockingProtocolFailed
                | ErrorCode::NoLargeFileSupport
        )
    ) || is_damaged(error)
}

/// Whether the file is not what was written to it.
pub(crate) fn is_damaged(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    )
}

/// The error of the file at `path`.
pub(crate) fn failure(path: &Path, error: &rusqlite::Error) -> io::Error {
    let kind = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => io::ErrorKind::StorageFull,
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => io::ErrorKind::ResourceBusy,
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => io::ErrorKind::PermissionDenied,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => io::ErrorKind::InvalidData,
        _ => io::ErrorKind::Other,
    };
    let advice = match kind {
        io::ErrorKind::InvalidData => {
            "; rebuild the read model, or delete the file while the store is closed"
        }
        io::ErrorKind::ResourceBusy => "; another program keeps a lock on it",
        _ => "",
    };
    io::Error::new(kind, format!("{}: {error}{advice}", shown(path)))
}

fn hexadecimal(number: u64) -> String {
    format!("{number:016x}")
}

/// 0, which fits nothing, for what is not such a number.
fn of_hexadecimal(text: &str) -> u64 {
    u64::from_str_radix(text, 16).unwrap_or_default()
}
