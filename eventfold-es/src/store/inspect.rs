//! Looking into a store without opening it, also while another process writes it.
//!
//! A [`StoreReader`] reads the files of a directory, or with the feature `postgres` a schema of PostgreSQL.
//! It takes no lock, writes nothing and creates nothing, so it disturbs no process that has the store
//! open, and works after a crash as well. It needs no types of the application. The command `eventfold`
//! (feature `cli`) is made of it.
//!
//! It shows only events that are durable: what it shows is still there after a power failure. The newest
//! events of another process are proven to be durable by the events after them; when no more come, the
//! reader makes them durable itself, by an `fdatasync` of the file, which changes nothing. Where a
//! program cannot do that for a file that it only reads, as on Windows, and after a sync of the store has
//! failed, the newest commits are shown once later ones prove them, or once the store is closed.
//!
//! Of a directory it reads the journal, and what projections and process managers have saved, not the files of the
//! streams. So it does not notice that the end of the journal is lost if only they show that;
//! [`AggregateStore::verify`](crate::AggregateStore::verify) does, and so does opening the store.
//!
//! All functions block while they read. An asynchronous program calls them in
//! `tokio::task::spawn_blocking`.

use std::io;
use std::ops::ControlFlow;
use std::path::Path;

use crate::event::RecordedEvent;
use crate::following::saved;
use crate::following::saved_tables;
use crate::ids::{Position, StreamId};
use crate::storage::error::{StorageError, StorageErrorKind, StorageResult};
use crate::storage::files::disk;
use crate::storage::files::disk::Kind;
use crate::storage::files::doubt;
use crate::storage::files::layout::StreamLayout;
use crate::storage::observed::{Observed, ObservedFiles};
#[cfg(feature = "postgres")]
use crate::storage::postgres::observe::ObservedSchema;
#[cfg(feature = "postgres")]
use crate::storage::postgres::options::PgOptions;
use crate::storage::record_name::Follower;
use crate::store::export::{Export, From};

mod compare;
mod disk_use;
mod entry;
mod one_stream;
mod streams;

pub use crate::following::saved::{
    SavedCommand, SavedContent, SavedFollower, SavedProcessManager, SavedTimer,
};
pub use crate::text::visible;
pub use compare::{Comparison, StreamDifference};
#[cfg(feature = "console")]
pub(crate) use disk_use::in_layout as disk_use_of;
pub use disk_use::{DiskUse, Part};
pub use entry::Entry;
pub use streams::{StreamSummaries, StreamSummary};

use entry::{read_backwards, read_forwards};

/// A store's directory or schema, read beside the processes that write it. See the [module](self).
///
/// ```
/// # use eventfold_es::{*, __private::example::*};
/// use std::ops::ControlFlow;
///
/// use eventfold_es::inspect::StoreReader;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path();
/// let store = AggregateStore::builder(path).process_manager::<Forward>().open().await?;
/// store.get::<Counter>("c-1").await?.send(Add(5)).await?;
///
/// let mut reader = StoreReader::open(path)?; // usually in another process
/// assert_eq!(reader.head(), store.head());
/// reader.read(Position::default(), |entry| {
///     assert_eq!((entry.event().name(), entry.event().data()), ("Added", r#"{"amount":5}"#));
///     ControlFlow::Continue(())
/// })?;
/// let streams = reader.streams()?;
/// assert_eq!((streams[0].id.as_str(), streams[0].events), ("c-1", 1));
///
/// store.run_process_managers().await?; // nobody registered the aggregate type `counter`
/// store.shutdown().await?;
/// let managers = reader.process_managers()?;
/// assert_eq!((managers[0].follower.lag, managers[0].dead_letters.len()), (0, 1));
/// assert!(managers[0].outbox.is_empty() && managers[0].timers.is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct StoreReader {
    observed: Observed,
}

impl StoreReader {
    /// Looks at the store in `base_dir`.
    ///
    /// # Errors
    ///
    /// * [`io::ErrorKind::NotFound`]: there is no directory, or no store in it;
    /// * [`io::ErrorKind::Unsupported`]: eventfold-es 0.2.0 or a newer version wrote it;
    /// * [`io::ErrorKind::InvalidData`]: the journal is damaged; the text names file and byte;
    /// * any other: a file could not be read.
    ///
    /// See the example of [`StoreReader`].
    pub fn open(base_dir: impl AsRef<Path>) -> io::Result<Self> {
        let base = base_dir.as_ref();
        let base = std::path::absolute(base).map_err(|e| StorageError::io("open", base, e))?;
        let layout = StreamLayout::new(base);
        require_journal(&layout)?;
        let observed = Observed::Files(ObservedFiles::open(layout)?);
        Ok(Self { observed })
    }

    /// Looks at the store in a schema of the database at `url`, as
    /// [`AggregateStore::postgres`](crate::AggregateStore::postgres) takes it. The parameter `schema` of
    /// the URL names the schema, `eventfold` without it. It may be a standby.
    ///
    /// The sessions of the reader are read-only. It takes no lock and creates nothing, so it disturbs no
    /// store, and needs no right but to read the tables. It must not be called on the thread of an
    /// asynchronous runtime.
    ///
    /// # Errors
    ///
    /// * [`io::ErrorKind::NotFound`]: there is no store in the schema; the text names those that have one;
    /// * [`io::ErrorKind::Unsupported`]: a newer version made the tables;
    /// * [`io::ErrorKind::InvalidInput`]: the URL cannot be used;
    /// * any other: the server cannot be reached, or refuses. The text has no password.
    ///
    /// ```no_run
    /// use eventfold_es::inspect::StoreReader;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let reader = StoreReader::postgres("postgres://reader@db.internal/shop?schema=orders")?;
    /// println!("{} has events up to {}", reader.place(), reader.head());
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "postgres")]
    pub fn postgres(url: impl Into<String>) -> io::Result<Self> {
        let schema = ObservedSchema::open(&PgOptions::new(url.into()))?;
        let observed = Observed::Postgres(schema);
        Ok(Self { observed })
    }

    /// The directory, or the schema with its database and server. Without the password.
    ///
    /// ```
    /// # use eventfold_es::{*, inspect::StoreReader};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # AggregateStore::open(dir.path()).await?.shutdown().await?;
    /// println!("looking into {}", StoreReader::open(dir.path())?.place());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn place(&self) -> String {
        self.observed.place()
    }

    /// Whether it reads a directory, and not a schema.
    ///
    /// See the example of [`place`](Self::place).
    #[must_use]
    pub fn is_of_directory(&self) -> bool {
        matches!(self.observed, Observed::Files(_))
    }

    /// The position of the newest event that is shown.
    ///
    /// See the example of [`StoreReader`].
    #[must_use]
    pub fn head(&self) -> Position {
        Position::new(self.observed.head())
    }

    /// The events after this position can be read: [`Position::default()`] unless older ones were
    /// [dropped](crate::AggregateStoreBuilder::keep_journal_for). Whoever asks for those gets
    /// [`JournalDropped`](crate::JournalDropped).
    ///
    /// ```
    /// # use eventfold_es::{*, inspect::StoreReader};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # AggregateStore::open(dir.path()).await?.shutdown().await?;
    /// assert_eq!(StoreReader::open(dir.path())?.begins_after(), Position::default());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn begins_after(&self) -> Position {
        Position::new(self.observed.dropped())
    }

    /// Looks for events that came since, and returns the new [`head`](Self::head). To follow a store,
    /// call it again and again with a pause of some hundred milliseconds.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open). [`io::ErrorKind::InvalidData`] also if another directory was put in the
    /// place of this one.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*, inspect::StoreReader};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let store = AggregateStore::open(dir.path()).await?;
    /// let mut reader = StoreReader::open(dir.path())?;
    /// store.get::<Counter>("c-1").await?.send(Add(5)).await?;
    /// while reader.head() < store.head() {
    ///     reader.refresh()?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn refresh(&mut self) -> io::Result<Position> {
        self.observed.refresh()?;
        Ok(self.head())
    }

    /// Whether the store was closed in order when this reader was opened, and nothing was stored since. If
    /// not, a process has it open, or the last one ended without closing it. A process that has it open and
    /// has stored nothing yet does not show. A schema does not show it: false.
    ///
    /// ```
    /// # use eventfold_es::{*, inspect::StoreReader};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// AggregateStore::open(dir.path()).await?.shutdown().await?;
    /// assert!(StoreReader::open(dir.path())?.was_closed());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn was_closed(&self) -> bool {
        match &self.observed {
            Observed::Files(files) => {
                let redo_point = files.journal.redo_point();
                redo_point.is_some_and(|redo_point| redo_point.clean)
            }
            #[cfg(feature = "postgres")]
            Observed::Postgres(_) => false,
        }
    }

    /// Whether a sync has failed since the store was last opened. Then its newest commits may not be
    /// durable, and are not shown, until it is opened again. Never of a schema: its server sees to that.
    ///
    /// # Errors
    ///
    /// If this cannot be found out.
    pub fn sync_failed(&self) -> io::Result<bool> {
        Ok(match &self.observed {
            Observed::Files(files) => doubt::is_noted(&files.layout.journal_dir())?,
            #[cfg(feature = "postgres")]
            Observed::Postgres(_) => false,
        })
    }

    /// The directories of the store. Streams that 0.2.0 stored under a raw name are not known to it. Of a
    /// schema these are paths that cannot exist.
    #[must_use]
    pub fn layout(&self) -> &StreamLayout {
        self.observed.layout()
    }

    /// Passes the events after the position `after` to `each`, in the order of the store, up to the
    /// [`head`](Self::head) or until `each` breaks off. Nothing is kept in memory.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidData`] if the journal is damaged, with file and byte; any other if it
    /// cannot be read.
    ///
    /// See the example of [`StoreReader`].
    pub fn read(
        &self,
        after: Position,
        each: impl FnMut(Entry<'_>) -> ControlFlow<()>,
    ) -> io::Result<()> {
        let reader = self.observed.reader(after.get());
        Ok(read_forwards(reader, self.observed.head(), each)?)
    }

    /// Passes the events before the position `before` to `each`, the newest first, until `each` breaks
    /// off. Without a position it begins with the newest event.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*, inspect::StoreReader};
    /// # use std::ops::ControlFlow;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let store = AggregateStore::open(dir.path()).await?;
    /// # let counter = store.get::<Counter>("c-1").await?;
    /// # counter.send(Add(5)).await?;
    /// counter.send(Add(6)).await?;
    /// let mut newest = None;
    /// StoreReader::open(dir.path())?.read_backwards(None, |entry| {
    ///     newest = Some(entry.event().data().to_owned());
    ///     ControlFlow::Break(())
    /// })?;
    /// assert_eq!(newest.as_deref(), Some(r#"{"amount":6}"#));
    /// # Ok(())
    /// # }
    /// ```
    pub fn read_backwards(
        &self,
        before: Option<Position>,
        each: impl FnMut(Entry<'_>) -> ControlFlow<()>,
    ) -> io::Result<()> {
        let reader = self.observed.backward_reader(before.map(Position::get));
        Ok(read_backwards(reader, each)?)
    }

    /// Passes the events of one aggregate to `each`, the oldest first, until it breaks off. They are
    /// read from the file of its stream, as far as the journal proves it, and then from the journal.
    /// Without such a proof, as for a stream that eventfold-es 0.2.0 wrote, the whole journal is read.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*, inspect::StoreReader};
    /// # use std::ops::ControlFlow;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let store = AggregateStore::open(dir.path()).await?;
    /// # store.get::<Counter>("c-1").await?.send(Add(5)).await?;
    /// let mut amounts = Vec::new();
    /// StoreReader::open(dir.path())?.read_stream(&StreamId::new("counter", "c-1")?, |entry| {
    ///     amounts.push(entry.event().data().to_owned());
    ///     ControlFlow::Continue(())
    /// })?;
    /// assert_eq!(amounts, [r#"{"amount":5}"#]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn read_stream(
        &self,
        id: &StreamId,
        each: impl FnMut(Entry<'_>) -> ControlFlow<()>,
    ) -> io::Result<()> {
        match &self.observed {
            Observed::Files(files) => one_stream::read(&files.layout, &files.journal, id, each)?,
            #[cfg(feature = "postgres")]
            Observed::Postgres(schema) => {
                let mut each = each;
                schema.read_stream(id, |event, line| each(Entry::of_stream(event, line)))?;
            }
        }
        Ok(())
    }

    /// Exports the events as text, one a line, as
    /// [`AggregateStore::export`](crate::AggregateStore::export) does: those that are durable when
    /// [`write_blocking`](Export::write_blocking) is called.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*, inspect::StoreReader};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let store = AggregateStore::open(dir.path()).await?;
    /// store.get::<Counter>("c-1").await?.send(Add(5)).await?;
    /// let (lines, report) = StoreReader::open(dir.path())?.export().write_blocking(Vec::new())?;
    /// assert_eq!((report.events, report.position), (1, store.head()));
    /// assert!(String::from_utf8(lines)?.ends_with("\"data\":{\"amount\":5}}\n"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn export(&self) -> Export {
        Export::new(From::Beside(self.observed.opener()))
    }

    /// The event with this id, if there is one. All events after it are read.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*, inspect::StoreReader};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let store = AggregateStore::open(dir.path()).await?;
    /// # store.get::<Counter>("c-1").await?.send(Add(5)).await?;
    /// let stored = store.recent(1).await?;
    /// let id = stored[0].event_id().expect("every event has one");
    /// let found = StoreReader::open(dir.path())?.find_event(id)?;
    /// assert_eq!(found.map(|event| event.position()), Some(store.head()));
    /// # Ok(())
    /// # }
    /// ```
    pub fn find_event(&self, id: &str) -> io::Result<Option<RecordedEvent>> {
        let mut found = None;
        self.read_backwards(None, |entry| {
            if entry.event().record().event_id() == Some(id) {
                found = Some(entry.to_recorded());
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        })?;
        Ok(found)
    }

    /// All streams, by type and id. The whole journal is read; about 150 bytes of memory are needed
    /// for each stream. [`StreamSummaries`] does the same along with something else.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    ///
    /// See the example of [`StoreReader`].
    pub fn streams(&self) -> io::Result<Vec<StreamSummary>> {
        let mut streams = StreamSummaries::default();
        self.read(Position::default(), |entry| {
            streams.add(&entry);
            ControlFlow::Continue(())
        })?;
        Ok(streams.into_sorted())
    }

    /// What the projections and the read models in SQLite have saved, by name and version. A projection without
    /// a checkpoint is not among them, and a read model only if its files are in the directory of the store.
    ///
    /// # Errors
    ///
    /// If a file cannot be read. Damage in one is a [`problem`](SavedFollower::problem) of its
    /// projection.
    ///
    /// See the example of [`StoreReader`].
    pub fn projections(&self) -> io::Result<Vec<SavedFollower>> {
        let mut projections = Vec::new();
        for name in self.observed.followers(Follower::Projection)? {
            let records = self.observed.records(Follower::Projection, &name);
            let (names, head) = (records.names()?, self.observed.head());
            projections.extend(saved::projection(&name, &records, &names, head)?);
            if let Some(dir) = self.observed.projection_dir(&name) {
                projections.extend(saved_tables::read_model(&name, &dir, head)?);
            }
        }
        Ok(projections)
    }

    /// What the process managers have saved, by name: their positions, outboxes, timers and dead
    /// letters.
    ///
    /// # Errors
    ///
    /// As [`projections`](Self::projections).
    ///
    /// See the example of [`StoreReader`].
    pub fn process_managers(&self) -> io::Result<Vec<SavedProcessManager>> {
        let mut managers = Vec::new();
        for name in self.observed.followers(Follower::ProcessManager)? {
            let records = self.observed.records(Follower::ProcessManager, &name);
            let head = self.observed.head();
            managers.push(saved::process_manager(&name, &records, head)?);
        }
        Ok(managers)
    }

    /// How much space the parts of the directory take, or the tables of the schema.
    ///
    /// # Errors
    ///
    /// If a directory cannot be read, or the server does not answer.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*, inspect::StoreReader};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let store = AggregateStore::open(dir.path()).await?;
    /// # store.get::<Counter>("c-1").await?.send(Add(5)).await?;
    /// # store.shutdown().await?;
    /// let used = StoreReader::open(dir.path())?.disk_use()?;
    /// assert!(used.parts.iter().any(|part| part.name == "journal" && part.bytes > 0));
    /// # Ok(())
    /// # }
    /// ```
    pub fn disk_use(&self) -> io::Result<DiskUse> {
        Ok(match &self.observed {
            Observed::Files(files) => disk_use::of(files.layout.base_dir())?,
            #[cfg(feature = "postgres")]
            Observed::Postgres(schema) => disk_use::of_tables(schema.sizes()?),
        })
    }
}

/// Fails if the directory has no journal.
fn require_journal(layout: &StreamLayout) -> StorageResult<()> {
    let is_dir = |dir: &Path| match disk::find(dir) {
        Ok(found) => Ok(found.is_some_and(|found| found.kind == Kind::Dir)),
        Err(error) => Err(StorageError::io("open", dir, error)),
    };
    if is_dir(&layout.journal_dir())? {
        return Ok(());
    }
    let base = layout.base_dir();
    if is_dir(&layout.streams_dir())? || is_dir(&layout.meta_dir())? {
        let cause = "is a directory of eventfold-es 0.2.0, which has no journal: it can be looked at \
                     once a program with this version has opened it";
        return Err(StorageError::file(
            StorageErrorKind::Unsupported,
            base,
            cause,
        ));
    }
    let cause = if is_dir(base)? {
        "has no store: correct the path"
    } else {
        "does not exist, or is not a directory: correct the path"
    };
    Err(StorageError::file(StorageErrorKind::Missing, base, cause))
}
