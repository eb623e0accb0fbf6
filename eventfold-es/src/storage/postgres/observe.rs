//! A schema that stores of other processes may be writing: [`ObservedSchema`].
//!
//! It takes no lock and no number of a writer, and its sessions are read-only for the server, so it
//! disturbs nobody and changes nothing. Whatever the server shows is durable, as far as the server's
//! settings make it so. A standby is read as well as the primary.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, mpsc};

use crate::event::StoredEvent;
use crate::ids::StreamId;
use crate::storage::error::{ErrorPlace, StorageError, StorageErrorKind, StorageResult};
use crate::storage::files::layout::StreamLayout;
use crate::storage::health::Health;
use crate::storage::postgres::NOWHERE;
use crate::storage::postgres::known::HEAD;
use crate::storage::postgres::log::PgLog;
use crate::storage::postgres::options::PgOptions;
use crate::storage::postgres::records;
use crate::storage::postgres::records::PgRecords;
use crate::storage::postgres::rows::{PageSize, StoredRow, columns, signed, unsigned};
use crate::storage::postgres::server::Server;
use crate::storage::postgres::session::{check_release, check_version, damaged, refused};
use crate::storage::record_name::Follower;

const SETTINGS: &str = "\
    SELECT current_setting('server_version_num')::int, current_setting('server_version'), \
        EXISTS (SELECT FROM pg_tables WHERE schemaname = $1 AND tablename = 'eventfold_schema')";
const TABLES_VERSION: &str = "SELECT version FROM eventfold_schema";
const OTHER_SCHEMAS: &str = "\
    SELECT DISTINCT schemaname::text FROM pg_tables WHERE tablename = 'eventfold_schema' ORDER BY 1 LIMIT 20";
const OF_STREAM: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM events WHERE type = $1 AND id = $2 AND version > $3 AND position <= $4 \
     ORDER BY version LIMIT $5"
);
const SIZES: &str = "\
    SELECT c.relname::text, pg_total_relation_size(c.oid) FROM pg_class c \
    JOIN pg_namespace n ON n.oid = c.relnamespace \
    WHERE n.nspname = $1 AND c.relkind = 'r' ORDER BY c.relname";
/// Lets the server refuse every change, whatever is asked of it.
const READ_ONLY: &str = "-c default_transaction_read_only=on";
const LOOK: &str = "look into";

/// A store's schema, up to the newest event that was seen.
#[derive(Debug, Clone)]
pub(crate) struct ObservedSchema {
    server: Arc<Server>,
    head: u64,
    layout: StreamLayout,
}

impl ObservedSchema {
    /// Connects to the server. Blocks.
    pub(crate) fn open(options: &PgOptions) -> StorageResult<Self> {
        let server = connect(options)?;
        let observed = server.clone();
        let head = server.wait(async move {
            check(&observed).await?;
            head(&observed).await
        })?;
        Ok(Self {
            server,
            head,
            layout: StreamLayout::new(Path::new(NOWHERE)),
        })
    }

    /// Looks for events that came since the last look.
    pub(crate) fn refresh(&mut self) -> StorageResult<()> {
        let server = self.server.clone();
        let newest = self.server.wait(async move { head(&server).await })?;
        if newest < self.head {
            let place = ErrorPlace::Schema(self.server.place().to_owned());
            let text = format!(
                "ends at position {newest}, and ended at position {} before: an older copy took its \
                 place while it was read; open it again",
                self.head
            );
            return Err(StorageError::at(
                StorageErrorKind::OtherHistory,
                place,
                text,
            ));
        }
        self.head = newest;
        Ok(())
    }

    pub(super) fn server(&self) -> &Arc<Server> {
        &self.server
    }

    /// The position of the newest event that was seen.
    pub(crate) fn head(&self) -> u64 {
        self.head
    }

    /// The schema in a sentence, without the password.
    pub(crate) fn place(&self) -> &str {
        self.server.place()
    }

    /// The directories that the store would have. They cannot exist.
    pub(crate) fn layout(&self) -> &StreamLayout {
        &self.layout
    }

    /// The log, as it is when it is read. Its head does not move.
    pub(crate) fn log(&self) -> PgLog {
        PgLog {
            server: self.server.clone(),
            health: Health::new(self.head),
        }
    }

    pub(crate) fn records(&self, follower: Follower, name: &str) -> PgRecords {
        PgRecords::new(self.server.clone(), follower, name)
    }

    pub(crate) fn followers(&self, follower: Follower) -> StorageResult<Vec<String>> {
        records::followers(&self.server, follower)
    }

    /// The tables, and how many bytes each takes on the server, with its indexes.
    pub(crate) fn sizes(&self) -> StorageResult<Vec<(String, u64)>> {
        let schema = self.server.schema().to_owned();
        let rows = self.server.read(LOOK, SIZES, vec![Box::new(schema)])?;
        let size = |row: &tokio_postgres::Row| (row.get(0), unsigned(row.get(1)));
        Ok(rows.iter().map(size).collect())
    }

    /// Passes the events of a stream and their lines to `each`, the oldest first, until it breaks off.
    pub(crate) fn read_stream(
        &self,
        id: &StreamId,
        mut each: impl FnMut(StoredEvent<'_>, &str) -> ControlFlow<()>,
    ) -> StorageResult<()> {
        let (aggregate_type, name) = id.file_names();
        let mut size = PageSize::default();
        let mut version = 0;
        loop {
            let rows = self.server.read(
                "read a stream of",
                OF_STREAM,
                vec![
                    Box::new(aggregate_type.clone()),
                    Box::new(name.clone()),
                    Box::new(signed(version)),
                    Box::new(signed(self.head)),
                    Box::new(size.rows()),
                ],
            )?;
            let is_last = size.is_last(rows.len());
            let page = StoredRow::all_of(rows)?;
            size.learn(&page);
            for row in &page {
                version += 1;
                if row.version != version {
                    let place = ErrorPlace::Stream(id.clone());
                    let text = format!("lacks the event of version {version}");
                    let error = StorageError::at(StorageErrorKind::Damaged, place, text);
                    return Err(error.with_advice("restore the schema from a backup"));
                }
                if row.read(|event, _| each(event, row.line()))?.is_break() {
                    return Ok(());
                }
            }
            if is_last {
                return Ok(());
            }
        }
    }
}

/// Connects, on a thread for the connections, which ends when nobody has the server any more.
pub(super) fn connect(options: &PgOptions) -> StorageResult<Arc<Server>> {
    let mut config = options.config()?;
    let tls = options.tls(&config)?;
    let own = config.get_options().unwrap_or_default();
    config.options(format!("{own} {READ_ONLY}").trim_start());
    let place = options.place(&config);
    let (schema, timeout) = (options.schema.clone(), options.command_timeout);
    let (tell, connected) = mpsc::channel();
    let thread = std::thread::Builder::new().name("eventfold-postgres".to_owned());
    let started = thread.spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build();
        let runtime = match runtime {
            Ok(runtime) => runtime,
            Err(error) => return drop(tell.send(Err(StorageError::thread(error)))),
        };
        runtime.block_on(async {
            let (server, gone) = Server::new((config, tls), schema, place, timeout, Health::new(0));
            // A server that cannot be reached at first is told at once, and not waited for.
            let connected = server.connect().await;
            let connected = connected
                .map(|_| server.clone())
                .map_err(|failure| failure.into_error(LOOK, server.place()));
            drop(server);
            drop(tell.send(connected));
            let _ = gone.await;
        });
    });
    started.map_err(StorageError::thread)?;
    let text = "the thread of the connections panicked while it connected";
    let panicked = |_| Err(StorageError::new(StorageErrorKind::Bug, text));
    connected.recv().unwrap_or_else(panicked)
}

/// Fails if there is no store in the schema that this release can read.
async fn check(server: &Server) -> StorageResult<()> {
    let schema = server.schema().to_owned();
    let rows = server.query(LOOK, SETTINGS, &[Box::new(schema)]).await?;
    let settings = rows.first();
    let number = settings.map_or(0, |row| row.get(0));
    let version = settings.map_or("of an unknown version", |row| row.get(1));
    check_release(server, number, version)?;
    if !settings.is_some_and(|row| row.get(2)) {
        let rows = server.query(LOOK, OTHER_SCHEMAS, &[]).await?;
        let others = rows
            .iter()
            .map(|row| format!("`{}`", row.get::<_, &str>(0)));
        let others: Vec<_> = others.collect();
        let text = match others.as_slice() {
            [] => "has no store, and no other schema of the database has one: correct the URL"
                .to_owned(),
            others => format!(
                "has no store: the schemas with one are {} (`?schema=` at the end of the URL names one)",
                others.join(", ")
            ),
        };
        return Err(refused(server, StorageErrorKind::Missing, text));
    }
    let rows = server.query(LOOK, TABLES_VERSION, &[]).await?;
    check_version(server, rows.first().map(|row| row.get(0)))
}

/// The position of the newest event.
async fn head(server: &Server) -> StorageResult<u64> {
    let rows = server.query(LOOK, HEAD, &[]).await?;
    let head = rows.first().map(|row| unsigned(row.get(0)));
    head.ok_or_else(|| damaged(server, "has no row in `head`"))
}
