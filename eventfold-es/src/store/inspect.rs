//! Looking into a store's directory without opening the store, also while another process writes it.
//!
//! A [`StoreReader`] reads the files of a directory. It takes no lock, writes nothing and creates
//! nothing, so it disturbs no process that has the store open, and works after a crash as well. It needs
//! no types of the application. The command `eventfold` (feature `cli`) is made of it.
//!
//! It shows only events that are durable: what it shows is still there after a power failure. The newest
//! events of another process are proven to be durable by the events after them; when no more come, the
//! reader makes them durable itself, by an `fdatasync` of the file, which changes nothing. Where a
//! program cannot do that for a file that it only reads, as on Windows, and after a sync of the store has
//! failed, the newest commits are shown once later ones prove them, or once the store is closed.
//!
//! It reads the journal, and what projections and process managers have saved, not the files of the
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
use crate::ids::{Position, StreamId};
use crate::storage::error::{StorageError, StorageErrorKind, StorageResult};
use crate::storage::files::disk;
use crate::storage::files::disk::Kind;
use crate::storage::files::doubt;
use crate::storage::files::journal::reader::Reader;
use crate::storage::files::layout::{StreamLayout, list_dirs};
use crate::storage::files::observe::ObservedJournal;
use crate::storage::files::records::FileRecords;
use crate::storage::log::LogReader;
use crate::storage::record::Records;
use crate::store::export::{Export, From};

mod disk_use;
mod entry;
mod one_stream;
mod streams;

pub use crate::following::saved::{
    SavedCommand, SavedContent, SavedFollower, SavedProcessManager, SavedTimer,
};
pub use crate::text::visible;
#[cfg(feature = "console")]
pub(crate) use disk_use::in_layout as disk_use_of;
pub use disk_use::{DiskUse, Part};
pub use entry::Entry;
pub use streams::{StreamSummaries, StreamSummary};

use entry::{read_backwards, read_forwards};

/// A store's directory, read beside the process that writes it. See the [module](self).
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
    layout: StreamLayout,
    journal: ObservedJournal,
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
        let journal = ObservedJournal::open(&layout.journal_dir())?;
        Ok(Self { layout, journal })
    }

    /// The position of the newest event that is shown.
    ///
    /// See the example of [`StoreReader`].
    #[must_use]
    pub fn head(&self) -> Position {
        Position::new(self.journal.head())
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
        self.journal.refresh()?;
        Ok(self.head())
    }

    /// Whether the store was closed in order when this reader was opened, and was not open again. If
    /// not, a process has it open, or the last one ended without closing it.
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
        let redo_point = self.journal.redo_point();
        redo_point.is_some_and(|redo_point| redo_point.clean)
    }

    /// Whether a sync has failed since the store was last opened. Then its newest commits may not be
    /// durable, and are not shown, until it is opened again.
    ///
    /// # Errors
    ///
    /// If this cannot be found out.
    pub fn sync_failed(&self) -> io::Result<bool> {
        Ok(doubt::is_noted(&self.layout.journal_dir())?)
    }

    /// The directories of the store. Streams that 0.2.0 stored under a raw name are not known to it.
    #[must_use]
    pub fn layout(&self) -> &StreamLayout {
        &self.layout
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
        Ok(read_forwards(&self.journal, after.get(), each)?)
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
        let before = before.map(Position::get);
        Ok(read_backwards(&self.journal, before, each)?)
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
        Ok(one_stream::read(&self.layout, &self.journal, id, each)?)
    }

    /// Exports the events that are shown as text, one a line, as
    /// [`AggregateStore::export`](crate::AggregateStore::export) does. Nothing is exported before
    /// [`write_blocking`](Export::write_blocking).
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
        let index = self.journal.index().clone();
        let reader = move |after| LogReader::Files(Reader::new(index.clone(), after));
        Export::new(From::Journal(Box::new(reader), self.journal.head()))
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

    /// What the projections have saved, by name and version. A projection without a checkpoint is not
    /// among them.
    ///
    /// # Errors
    ///
    /// If a file cannot be read. Damage in one is a [`problem`](SavedFollower::problem) of its
    /// projection.
    ///
    /// See the example of [`StoreReader`].
    pub fn projections(&self) -> io::Result<Vec<SavedFollower>> {
        let mut projections = Vec::new();
        for (name, records) in followers(&self.layout.projections_dir())? {
            let names = records.names()?;
            let records = Records::Files(records);
            let head = self.journal.head();
            projections.extend(saved::projection(&name, &records, &names, head)?);
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
        for (name, records) in followers(&self.layout.process_managers_dir())? {
            let records = Records::Files(records);
            let head = self.journal.head();
            managers.push(saved::process_manager(&name, &records, head)?);
        }
        Ok(managers)
    }

    /// How much space the parts of the directory take.
    ///
    /// # Errors
    ///
    /// If a directory cannot be read.
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
        Ok(disk_use::of(self.layout.base_dir())?)
    }
}

/// The names of the followers in `dir`, sorted, and their records.
fn followers(dir: &Path) -> StorageResult<Vec<(String, FileRecords)>> {
    let mut names = list_dirs(dir)?;
    names.sort_unstable();
    let records = names.into_iter().map(|name| {
        let records = FileRecords::new(dir.join(&name));
        (name, records)
    });
    Ok(records.collect())
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
