//! Read models in SQLite, as they are read: [`SqlReadModel`].

use std::fmt;
use std::io;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;

use rusqlite::Connection;

use crate::domain::sql_projection::SqlProjection;
use crate::error::closed;
use crate::following::{AnyProjecting as _, Feeding, Generation, Sql, SqlModel};
use crate::ids::Position;
use crate::runtime::background::blocking;
use crate::storage::Storage;
use crate::store::rebuild::Rebuilt;
use crate::store::{AggregateStore, Rebuild};

/// A read model in SQLite, to be read. From [`AggregateStore::sql`].
///
/// See the example of [`SqlProjection`].
pub struct SqlReadModel<P: SqlProjection> {
    store: AggregateStore,
    model: Arc<SqlModel<P>>,
}

/// Why a query of a read model in SQLite failed.
///
/// ```
/// # use eventfold_es::SqlError;
/// fn is_retryable(error: &SqlError) -> bool {
///     matches!(error, SqlError::Follow(_))
/// }
/// # let _ = is_retryable;
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SqlError {
    /// The read model could not be brought up to date, or its file not be opened:
    ///
    /// * [`io::ErrorKind::NotConnected`]: the store is shut down;
    /// * [`io::ErrorKind::StorageFull`]: the disk is full;
    /// * [`io::ErrorKind::ResourceBusy`]: another program keeps a lock on the file;
    /// * [`io::ErrorKind::InvalidData`]: the file or the journal is damaged, or an event cannot be read;
    /// * [`io::ErrorKind::Deadlock`]: the calling code runs within the read model;
    /// * [`io::ErrorKind::Other`]: the database refused what the read model wrote for an event, or its
    ///   code panicked; the text says on which event. It stays failed until the store is opened again,
    ///   or the read model is [rebuilt](SqlReadModel::rebuild).
    #[error(transparent)]
    Follow(#[from] io::Error),

    /// The function that was given to the query failed.
    #[error("the query failed: {0}")]
    Query(#[from] rusqlite::Error),
}

/// The tables of a read model, as they were at one moment. They can be read, not written. It is a
/// connection ([`rusqlite::Connection`]), within a transaction.
///
/// See the example of [`SqlProjection`].
#[derive(Debug)]
pub struct SqlTables<'a> {
    connection: &'a Connection,
    version: u32,
}

impl SqlTables<'_> {
    /// The version of the read model that made the tables. It is an
    /// [earlier one](SqlProjection::VERSION) while the tables of the current version are built in a live
    /// store.
    ///
    /// ```
    /// # use eventfold_es::{SqlTables, rusqlite};
    /// fn count(db: &SqlTables<'_>) -> rusqlite::Result<i64> {
    ///     let query = if db.version() < 2 {
    ///         "SELECT count(*) FROM order_list"
    ///     } else {
    ///         "SELECT count(*) FROM orders"
    ///     };
    ///     db.query_row(query, [], |row| row.get(0))
    /// }
    /// # let _ = count;
    /// ```
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }
}

impl Deref for SqlTables<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection
    }
}

impl AggregateStore {
    /// The read model `P` in SQLite, to be read.
    ///
    /// # Errors
    ///
    /// * [`io::ErrorKind::NotFound`]: `P` is not registered;
    /// * [`io::ErrorKind::InvalidInput`]: another type is registered under its name;
    /// * [`io::ErrorKind::NotConnected`]: the store is shut down.
    ///
    /// See the example of [`SqlProjection`].
    #[doc(alias("sqlite", "database", "read model", "query"))]
    #[expect(clippy::unused_async, reason = "as `get`")]
    pub async fn sql<P: SqlProjection>(&self) -> io::Result<SqlReadModel<P>> {
        let model = self.read_side.sql::<P>()?;
        self.inner.storage.check_process()?;
        if self.inner.is_closed() {
            return Err(closed());
        }
        Ok(SqlReadModel {
            store: self.clone(),
            model,
        })
    }
}

impl<P: SqlProjection> SqlReadModel<P> {
    /// Brings the tables up to date, passes them to `read` and returns the result. They include every
    /// command that was answered before. `read` runs on a thread that may block, and other queries and
    /// the writer do not wait for it. All that it reads is from one moment.
    ///
    /// While a [new version](SqlProjection::VERSION) is built in a live store, `read` gets the tables of
    /// the earlier version instead, as they were when that version last ran;
    /// [`SqlTables::version`] says so, and [`wait_for`](Self::wait_for) waits for the new ones.
    ///
    /// # Errors
    ///
    /// See [`SqlError`].
    ///
    /// See the example of [`SqlProjection`].
    pub async fn query<R: Send + 'static>(
        &self,
        read: impl FnOnce(&SqlTables<'_>) -> rusqlite::Result<R> + Send + 'static,
    ) -> Result<R, SqlError> {
        let model = self.model.clone();
        let earlier = if model.progress.is_live() {
            model.served.earlier()
        } else {
            None
        };
        let head = match earlier {
            Some(_) => 0,
            None => self
                .store
                .inner
                .storage
                .current_head()
                .await
                .map_err(io::Error::from)?,
        };
        blocking(move || {
            let file = if let Some(earlier) = earlier {
                earlier
            } else {
                if model.progress.position() < head {
                    model.feeding.lock()?.catch_up()?;
                }
                model.served.current()
            };
            Ok(query(&file, read))
        })
        .await?
    }

    /// Waits until the tables of the current version include the event at `position`. The event need not
    /// be stored yet.
    ///
    /// # Errors
    ///
    /// As those of [`SqlError::Follow`]; if the store fails, its error.
    ///
    /// ```
    /// # use eventfold_es::{AggregateStore, Position, SqlProjection};
    /// async fn wait<P: SqlProjection>(store: &AggregateStore, at: Position) -> std::io::Result<()> {
    ///     store.sql::<P>().await?.wait_for(at).await
    /// }
    /// ```
    #[doc(alias("read your writes", "eventual consistency"))]
    pub async fn wait_for(&self, position: Position) -> io::Result<()> {
        self.store
            .inner
            .storage
            .log()
            .reached(position.get())
            .await?;
        let model = self.model.clone();
        blocking(move || {
            let is_behind = model.progress.position() < position.get();
            if is_behind || model.served.earlier().is_some() {
                model.feeding.lock()?.catch_up()?;
            }
            Ok(())
        })
        .await
    }

    /// Builds the tables again from the first event on, in a file of their own, and reports progress. The
    /// old ones serve until the new ones have caught up. Events that were skipped are met again.
    ///
    /// The rebuild advances only while it is polled, as [`AggregateStore::rebuild`] does. If it is dropped
    /// before its end, everything stays as it was.
    ///
    /// # Errors
    ///
    /// As those of [`SqlError::Follow`], as the last item. The old tables then stay.
    ///
    /// ```
    /// # use eventfold_es::{AggregateStore, SqlProjection};
    /// async fn build_again<P: SqlProjection>(store: &AggregateStore) -> std::io::Result<()> {
    ///     let mut rebuild = store.sql::<P>().await?.rebuild();
    ///     while let Some(progress) = rebuild.next().await {
    ///         let progress = progress?;
    ///         println!("{} of {}", progress.done, progress.total);
    ///     }
    ///     Ok(())
    /// }
    /// ```
    #[doc(alias("replay", "reset"))]
    pub fn rebuild(&self) -> Rebuild {
        Rebuild::new(self.model.feeding.clone(), &self.store.inner.storage)
    }

    /// The file that has the tables of the current version. Any tool for SQLite may open it while the
    /// store runs, to read. It is another one after a [rebuild](Self::rebuild).
    ///
    /// ```
    /// # use eventfold_es::{AggregateStore, SqlProjection};
    /// async fn show<P: SqlProjection>(store: &AggregateStore) -> std::io::Result<()> {
    ///     println!("sqlite3 {}", store.sql::<P>().await?.path().display());
    ///     Ok(())
    /// }
    /// ```
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.model.served.current().path().to_owned()
    }
}

impl<P: SqlProjection> Clone for SqlReadModel<P> {
    fn clone(&self) -> Self {
        Self {
            store: self.store.clone(),
            model: self.model.clone(),
        }
    }
}

impl<P: SqlProjection> fmt::Debug for SqlReadModel<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlReadModel")
            .field("name", &P::NAME)
            .field("path", &self.path())
            .finish_non_exhaustive()
    }
}

/// Reads within one transaction.
fn query<R>(
    file: &Generation,
    read: impl FnOnce(&SqlTables<'_>) -> rusqlite::Result<R>,
) -> Result<R, SqlError> {
    let connection = file.connection()?;
    let result = {
        let tx = connection.unchecked_transaction()?;
        read(&SqlTables {
            connection: &tx,
            version: file.version(),
        })
    };
    file.give_back(connection);
    Ok(result?)
}

impl<P: SqlProjection> Rebuilt for Feeding<Sql<P>> {
    fn anew(&self) -> io::Result<Self> {
        self.anew()
    }

    fn head(&self) -> u64 {
        self.head()
    }

    fn position(&self) -> u64 {
        self.position()
    }

    fn take_some(&mut self, head: u64, events: u64) -> io::Result<bool> {
        let until = head.min(self.position() + events);
        Ok(self.step(until)? && self.position() >= head)
    }

    fn replace_with(&mut self, rebuilt: Self) -> io::Result<()> {
        self.replace_with(rebuilt)
    }
}

/// Where the files of read models are, if the builder does not say so.
pub(super) fn directory(storage: &Storage, stated: Option<&PathBuf>) -> io::Result<PathBuf> {
    match (stated, storage) {
        (Some(dir), _) => Ok(dir.clone()),
        (None, Storage::Files(files)) => Ok(files.layout().projections_dir()),
        (None, _) => {
            let text = "the store has no directory for the files of read models in SQLite: name one by \
                        `sql_dir`";
            Err(io::Error::new(io::ErrorKind::InvalidInput, text))
        }
    }
}
