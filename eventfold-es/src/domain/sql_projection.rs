//! Read models in SQL: [`SqlProjection`], and [`ProjectSql`] for typed events.

use rusqlite::Transaction;

use crate::domain::aggregate::Aggregate;
use crate::event::{DecodeError, DomainEvent, EventSet, Recorded, StoredEvent};

/// The tables of a read model in SQL.
///
/// ```
/// # use eventfold_es::SqlSchema;
/// struct Orders;
///
/// impl SqlSchema for Orders {
///     const SCHEMA: &'static str = "
///         CREATE TABLE orders (id TEXT PRIMARY KEY, total INTEGER NOT NULL) STRICT;
///         CREATE INDEX orders_by_total ON orders (total);
///     ";
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say which tables it wants",
    label = "no `impl SqlSchema for {Self}`",
    note = "write `impl SqlSchema for {Self} {{ const SCHEMA: &'static str = \"CREATE TABLE ...\"; }}`"
)]
pub trait SqlSchema {
    /// The SQL statements that make the tables, in an empty database. If they change, the read model is
    /// built again. Names that begin with `eventfold_` belong to the store.
    ///
    /// See the example of [`SqlSchema`].
    const SCHEMA: &'static str;
}

/// A read model in tables of SQLite that projects the events of many streams.
///
/// Register it with a store ([`AggregateStoreBuilder::sql`](crate::AggregateStoreBuilder::sql)), and
/// read it by [`AggregateStore::sql`](crate::AggregateStore::sql). The tables are in a file of their
/// own, which any tool for SQLite may open meanwhile. The position is in the same file, and changes in
/// the transaction that writes the rows. So the tables are always exactly what the events up to that
/// position lead to, also after a crash.
///
/// Derive it ([`derive@SqlProjection`](crate::SqlProjection)), say by [`SqlSchema`] which tables there
/// are, and implement [`ProjectSql`] for each aggregate, and [`ProjectSqlEvent`] for each event that
/// belongs to no aggregate.
///
/// ```
/// use eventfold_es::rusqlite::{self, Transaction, params};
/// use eventfold_es::{AggregateStore, ProjectSql, Recorded, SqlProjection, SqlSchema};
/// # use eventfold_es::__private::example::{Add, Counter, CounterEvent};
///
/// #[derive(SqlProjection)]
/// #[projection(aggregates(Counter))]
/// struct Sums;
///
/// impl SqlSchema for Sums {
///     const SCHEMA: &'static str =
///         "CREATE TABLE sums (id TEXT PRIMARY KEY, sum INTEGER NOT NULL) STRICT";
/// }
///
/// impl ProjectSql<Counter> for Sums {
///     fn project(
///         &self,
///         tx: &Transaction<'_>,
///         event: &CounterEvent,
///         record: &Recorded<'_>,
///     ) -> rusqlite::Result<()> {
///         let CounterEvent::Added { amount } = event;
///         let mut write = tx.prepare_cached(
///             "INSERT INTO sums VALUES (?1, ?2)
///              ON CONFLICT (id) DO UPDATE SET sum = sum + ?2",
///         )?;
///         write.execute(params![record.id(), i64::try_from(*amount).unwrap_or(i64::MAX)])?;
///         Ok(())
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// let store = AggregateStore::builder(dir.path()).sql(Sums).open().await?;
/// store.get::<Counter>("c-1").await?.send(Add(5)).await?;
/// let sums = store.sql::<Sums>().await?;
/// let sum = sums.query(|db| db.query_row("SELECT sum(sum) FROM sums", [], |row| row.get(0)));
/// let sum: i64 = sum.await?;
/// assert_eq!(sum, 5);
/// # Ok(())
/// # }
/// ```
#[doc(alias(
    "sqlite",
    "sql",
    "read model",
    "view",
    "materialized view",
    "query model"
))]
pub trait SqlProjection: SqlSchema + Send + Sync + 'static {
    /// Names the read model: its file is in `projections/<NAME>`. The rules are those of
    /// [`Projection::NAME`](crate::Projection::NAME), and no projection or follower has the same name.
    ///
    /// See the example of [`SqlProjection`].
    const NAME: &'static str;

    /// The version of what is projected and how. Raise it when that changes. The tables of the new
    /// version are built in a file beside those of the old one, which serve in a
    /// [live](crate::AggregateStoreBuilder::live) store until the new ones have caught up.
    ///
    /// See the example of [`SqlProjection`].
    const VERSION: u32 = 1;

    /// The aggregate types whose events it projects; `""` stands for the events that belong to none.
    #[doc(hidden)]
    fn subscriptions() -> &'static [&'static str];

    /// The events that it projects by their types, for [`UnknownEvents`](crate::UnknownEvents).
    #[doc(hidden)]
    fn event_sets() -> &'static [EventSet];

    /// Projects one event in its stored form.
    #[doc(hidden)]
    fn project_stored(
        &self,
        tx: &Transaction<'_>,
        stored: StoredEvent<'_>,
    ) -> Result<(), SqlRefusal>;
}

/// How a read model in SQL projects the events of one type of aggregate.
///
/// See the example of [`SqlProjection`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not project the events of `{A}`",
    label = "no `impl ProjectSql<{A}> for {Self}`",
    note = "write `impl ProjectSql<{A}> for {Self}`, or remove `{A}` from the aggregates of `{Self}`"
)]
pub trait ProjectSql<A: Aggregate> {
    /// Writes what `event` means into the tables. It depends on its arguments and on the tables alone,
    /// and does not end the transaction, which has further events.
    ///
    /// # Errors
    ///
    /// If the database refuses a statement. An error that is about the database itself, such as a full
    /// disk, is tried again; any other is about the event, and the read model stops or skips it (see
    /// [`AggregateStoreBuilder::sql_with`](crate::AggregateStoreBuilder::sql_with)). A panic is about
    /// the event too.
    ///
    /// See the example of [`SqlProjection`].
    fn project(
        &self,
        tx: &Transaction<'_>,
        event: &A::DomainEvent,
        record: &Recorded<'_>,
    ) -> rusqlite::Result<()>;
}

/// How a read model in SQL projects an event that belongs to no aggregate.
///
/// ```
/// use eventfold_es::rusqlite::{self, Transaction};
/// use eventfold_es::{DomainEvent, ProjectSqlEvent, Recorded, SqlProjection, SqlSchema};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
/// struct Subscribed {
///     course: String,
/// }
///
/// #[derive(SqlProjection)]
/// #[projection(events(Subscribed))]
/// struct Courses;
///
/// impl SqlSchema for Courses {
///     const SCHEMA: &'static str = "CREATE TABLE subscriptions (course TEXT NOT NULL) STRICT";
/// }
///
/// impl ProjectSqlEvent<Subscribed> for Courses {
///     fn project_event(
///         &self,
///         tx: &Transaction<'_>,
///         event: &Subscribed,
///         _: &Recorded<'_>,
///     ) -> rusqlite::Result<()> {
///         let mut write = tx.prepare_cached("INSERT INTO subscriptions VALUES (?1)")?;
///         write.execute([&event.course])?;
///         Ok(())
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not project the event `{E}`",
    label = "no `impl ProjectSqlEvent<{E}> for {Self}`",
    note = "write `impl ProjectSqlEvent<{E}> for {Self}`, or remove `{E}` from the events of `{Self}`"
)]
pub trait ProjectSqlEvent<E: DomainEvent> {
    /// As [`ProjectSql::project`].
    ///
    /// # Errors
    ///
    /// As [`ProjectSql::project`].
    ///
    /// See the example of [`ProjectSqlEvent`].
    fn project_event(
        &self,
        tx: &Transaction<'_>,
        event: &E,
        record: &Recorded<'_>,
    ) -> rusqlite::Result<()>;
}

/// Why a read model in SQL did not take an event.
#[doc(hidden)]
#[derive(Debug)]
pub enum SqlRefusal {
    /// The event cannot be read.
    Decode(DecodeError),
    /// A statement failed.
    Sql(rusqlite::Error),
}

impl From<DecodeError> for SqlRefusal {
    fn from(error: DecodeError) -> Self {
        Self::Decode(error)
    }
}

impl From<rusqlite::Error> for SqlRefusal {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}
