//! Exports: the events of a store as lines of text, [`Export`].

use std::fmt;
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};

pub(super) mod cloud_events;
pub(super) mod event_lines;
pub(super) mod exported;
pub(super) mod row;

use crate::following::moved::Carried;
use crate::ids::Position;
use crate::storage::Storage;
use crate::storage::error::{StorageError, StorageErrorKind, StorageResult};
use crate::storage::log::{Committed, LogReader};
use crate::storage::observed::{Observed, Opener};
use crate::storage::record::Records;
use crate::storage::record_name::Follower;
use crate::store::AggregateStore;
use crate::store::backup::while_awaited;
use row::Row;

/// How many bytes are gathered before they are written.
const CHUNK: usize = 128 * 1024;

/// How often the progress is told: once in so many events.
const TOLD_EVERY: u64 = 4096;

/// The form of the lines of an export. Both have everything that the store has of an event, so
/// [an import](AggregateStore::import) reads both, and tells them apart by itself.
///
/// ```
/// use eventfold_es::ExportForm;
///
/// assert_eq!(ExportForm::default(), ExportForm::EventLines);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExportForm {
    /// One JSON object for each event, see [the guide](crate::guide::moving#the-lines).
    #[default]
    EventLines,
    /// [CloudEvents 1.0](https://cloudevents.io) in JSON, one for each event, see [the
    /// guide](crate::guide::moving#cloudevents).
    CloudEvents,
}

/// What was exported. The lines are those of the process managers, then those of the events.
///
/// See the example of [`AggregateStore::export`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExportReport {
    /// How many events.
    pub events: u64,
    /// How many commits they were stored with.
    pub commits: u64,
    /// How many process managers come along with what they have saved, one a line before the events.
    pub process_managers: u64,
    /// The position of the last event that was looked at. A later export
    /// [after](Export::after) it has what came since.
    pub position: Position,
}

/// The events of a store on their way out, made by [`AggregateStore::export`] and
/// [`StoreReader::export`](crate::inspect::StoreReader::export).
#[must_use = "nothing is exported before `write_to`"]
pub struct Export {
    from: From,
    after: Position,
    form: ExportForm,
    has_managers: bool,
    told: Option<Box<dyn FnMut(u64, u64) + Send>>,
}

/// Where the events come from.
pub(super) enum From {
    Store(Storage),
    /// A store that other processes may have open.
    Beside(Opener),
}

/// Where an export begins to read, and what it must know of the store.
struct Begun {
    reader: LogReader,
    head: u64,
    /// How many events there are to export.
    total: u64,
    /// What the process managers have saved.
    carried: Vec<Carried>,
}

impl From {
    /// Reads the records of process managers before the end of the log is known, so that they rely on
    /// nothing that is not exported.
    fn begin(&self, after: u64, has_managers: bool) -> StorageResult<Begun> {
        let mut begun = match self {
            Self::Store(storage) => {
                storage.check_process()?;
                let names = || storage.followers(Follower::ProcessManager);
                let records = |name: &str| storage.records(Follower::ProcessManager, name);
                let carried = carried(has_managers, names, records)?;
                let head = storage.ask_head()?;
                Begun {
                    reader: storage.reader(after),
                    head,
                    total: storage.log().count_between(after, head),
                    carried,
                }
            }
            Self::Beside(open) => {
                let observed = open()?;
                let names = || observed.followers(Follower::ProcessManager);
                let records = |name: &str| observed.records(Follower::ProcessManager, name);
                let carried = carried(has_managers, names, records)?;
                let observed: Observed = if carried.is_empty() {
                    observed
                } else {
                    open()?
                };
                let head = observed.head();
                Begun {
                    reader: observed.reader(after),
                    head,
                    total: head.saturating_sub(after),
                    carried,
                }
            }
        };
        for carried in &mut begun.carried {
            let history_at = |position| match self {
                Self::Store(storage) => storage.history_at(position),
                Self::Beside(open) => open()?.reader(0).history_at(position),
            };
            carried.until(begun.head, history_at)?;
        }
        Ok(begun)
    }
}

/// The records of all process managers that have some, if they are wanted.
fn carried(
    is_wanted: bool,
    names: impl FnOnce() -> StorageResult<Vec<String>>,
    records: impl Fn(&str) -> Records,
) -> StorageResult<Vec<Carried>> {
    if !is_wanted {
        return Ok(Vec::new());
    }
    let read = |name: String| {
        let read = Carried::read(event_lines::FORM, &name, &records(&name));
        read.map_err(StorageError::from)
    };
    let names = names()?.into_iter();
    names.filter_map(|name| read(name).transpose()).collect()
}

/// Why an export stopped.
enum Stopped {
    Storage(StorageError),
    Output(io::Error),
}

impl std::convert::From<StorageError> for Stopped {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

impl std::convert::From<Stopped> for io::Error {
    fn from(stopped: Stopped) -> Self {
        match stopped {
            Stopped::Storage(error) => error.into(),
            Stopped::Output(error) => error,
        }
    }
}

impl Export {
    pub(super) fn new(from: From) -> Self {
        Self {
            from,
            after: Position::default(),
            form: ExportForm::default(),
            has_managers: true,
            told: None,
        }
    }

    /// Only the events after `position`: what is new since an earlier export, whose
    /// [report](ExportReport::position) names the position. A commit is exported whole, so a position
    /// within one is refused.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let store = AggregateStore::in_memory().open().await?;
    /// # let counter = store.get::<Counter>("c-1").await?;
    /// # counter.send(Add(5)).await?;
    /// let (_, first) = store.export().write_to(Vec::new()).await?;
    /// counter.send(Add(6)).await?;
    /// let (_, second) = store.export().after(first.position).write_to(Vec::new()).await?;
    /// assert_eq!((first.events, second.events), (1, 1));
    /// # Ok(())
    /// # }
    /// ```
    pub fn after(mut self, position: Position) -> Self {
        self.after = position;
        self
    }

    /// The form of the lines.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let store = AggregateStore::in_memory().open().await?;
    /// # store.get::<Counter>("c-1").await?.send(Add(5)).await?;
    /// let export = store.export().form(ExportForm::CloudEvents);
    /// let (lines, _) = export.write_to(Vec::new()).await?;
    /// assert!(lines.starts_with(br#"{"specversion":"1.0","id":""#));
    /// # Ok(())
    /// # }
    /// ```
    pub fn form(mut self, form: ExportForm) -> Self {
        self.form = form;
        self
    }

    /// Leaves out what process managers have saved, so that every line is an event. Whoever imports the
    /// lines says where each process manager begins.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let store = AggregateStore::in_memory().process_manager::<Forward>().aggregate_type::<Counter>().open().await?;
    /// # store.get::<Counter>("c-1").await?.send(Add(5)).await?;
    /// # store.run_process_managers().await?;
    /// let export = store.export().without_process_managers();
    /// let (_, report) = export.write_to(Vec::new()).await?;
    /// assert_eq!(report.process_managers, 0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn without_process_managers(mut self) -> Self {
        self.has_managers = false;
        self
    }

    /// Calls `told` now and then with how many events are exported so far, and how many there are. It is
    /// called on the thread that reads.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let store = AggregateStore::in_memory().open().await?;
    /// let export = store.export().on_progress(|done, total| println!("{done} of {total} events"));
    /// export.write_to(Vec::new()).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn on_progress(mut self, told: impl FnMut(u64, u64) + Send + 'static) -> Self {
        self.told = Some(Box::new(told));
        self
    }

    /// Writes the events to `out`, and gives it back with a report. Dropping the future ends the
    /// export within a moment; `out` then has whole lines, and perhaps a part of one.
    ///
    /// # Errors
    ///
    /// * [`io::ErrorKind::InvalidInput`]: there is no position such as that of [`after`](Self::after),
    ///   or it is within a commit; or what a process manager has saved is in doubt: the text names it
    ///   and says what to do;
    /// * [`io::ErrorKind::InvalidData`]: an event is damaged;
    /// * any other: the error from reading, or from writing to `out`.
    ///
    /// See the example of [`AggregateStore::export`].
    pub async fn write_to<W: Write + Send + 'static>(
        self,
        out: W,
    ) -> io::Result<(W, ExportReport)> {
        while_awaited(|given_up| self.run(out, &given_up)).await
    }

    /// As [`write_to`](Self::write_to), on this thread, which is blocked meanwhile.
    ///
    /// # Errors
    ///
    /// As [`write_to`](Self::write_to).
    ///
    /// See the example of [`StoreReader::export`](crate::inspect::StoreReader::export).
    pub fn write_blocking<W: Write>(self, out: W) -> io::Result<(W, ExportReport)> {
        self.run(out, &AtomicBool::new(false))
    }

    fn run<W: Write>(mut self, mut out: W, given_up: &AtomicBool) -> io::Result<(W, ExportReport)> {
        let after = self.after.get();
        // The attributes of CloudEvents have no place for them.
        let has_managers = self.has_managers && self.form == ExportForm::EventLines;
        let Begun {
            mut reader,
            head,
            total,
            carried,
        } = self.from.begin(after, has_managers)?;
        if after > head {
            let text = format!("position {after} is after the newest event, which is at {head}");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let mut lines = Lines {
            form: self.form,
            after,
            bytes: Vec::with_capacity(CHUNK * 2),
            whole: 0,
            report: ExportReport {
                position: Position::new(head),
                process_managers: carried.len() as u64,
                ..ExportReport::default()
            },
        };
        for carried in carried {
            serde_json::to_writer(&mut lines.bytes, &carried)?;
            lines.bytes.push(b'\n');
            lines.whole = lines.bytes.len();
            lines.write(&mut out)?;
        }
        let mut read = |reader: &mut LogReader, lines: &mut Lines| {
            reader.read_to(head, |committed| {
                lines.add(committed)?;
                if lines.whole >= CHUNK {
                    lines.write(&mut out)?;
                }
                let events = lines.report.events;
                if let Some(told) = &mut self.told
                    && events.is_multiple_of(TOLD_EVERY)
                {
                    told(events, total);
                }
                if given_up.load(Ordering::Acquire) {
                    return Ok(ControlFlow::Break(()));
                }
                Ok(ControlFlow::Continue(()))
            })
        };
        match read(&mut reader, &mut lines) {
            // A store that opens after a failed sync puts new files in the place of its segments. The
            // next attempt opens the new file, and goes on where this one stopped.
            Err(Stopped::Storage(error)) if error.kind() == StorageErrorKind::Damaged => {
                lines.forget_part();
                read(&mut reader, &mut lines)?;
            }
            done => done?,
        }
        lines.write(&mut out)?;
        out.flush()?;
        if let Some(told) = &mut self.told {
            told(lines.report.events, total);
        }
        Ok((out, lines.report))
    }
}

/// The lines that are not written yet.
struct Lines {
    form: ExportForm,
    after: u64,
    bytes: Vec<u8>,
    /// Where the last whole commit ends in `bytes`.
    whole: usize,
    report: ExportReport,
}

impl Lines {
    /// Adds the events of a commit in one stream.
    fn add(&mut self, committed: &Committed<'_>) -> Result<(), StorageError> {
        for i in 0..committed.len() {
            let (place, of) = committed.place_in_commit(i);
            if self.report.events == 0 && place > 1 {
                return Err(self.within_a_commit(committed.position(i), place, of));
            }
            let (form, bytes) = (self.form, &mut self.bytes);
            committed.event_and_command(i, |event, command| {
                let record = event.record();
                let row = Row::new(event, record, command, (place, of));
                match form {
                    ExportForm::EventLines => event_lines::write(bytes, &row),
                    ExportForm::CloudEvents => cloud_events::write(bytes, &row),
                }
            })?;
            self.bytes.push(b'\n');
            if place == of {
                self.whole = self.bytes.len();
                self.report.commits += 1;
            }
            self.report.events += 1;
        }
        Ok(())
    }

    /// The first event that was read is not the first one of its commit.
    fn within_a_commit(&self, position: u64, place: u64, of: u64) -> StorageError {
        let Self { after, .. } = self;
        let text = format!(
            "position {after} is within a commit, whose event {place} of {of} is at {position}: a commit \
             is exported whole, so name the position of the last event of one"
        );
        StorageError::new(StorageErrorKind::InvalidInput, text)
    }

    /// Forgets the beginning of a commit whose rest could not be read: it is read again.
    fn forget_part(&mut self) {
        let part = memchr::memchr_iter(b'\n', &self.bytes[self.whole..]).count();
        self.report.events -= part as u64;
        self.bytes.truncate(self.whole);
    }

    /// Writes the whole commits.
    fn write(&mut self, out: &mut impl Write) -> Result<(), Stopped> {
        let written = out.write_all(&self.bytes[..self.whole]);
        written.map_err(Stopped::Output)?;
        self.bytes.drain(..self.whole);
        self.whole = 0;
        Ok(())
    }
}

impl fmt::Debug for Export {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Export")
            .field("after", &self.after)
            .field("form", &self.form)
            .finish_non_exhaustive()
    }
}

impl AggregateStore {
    /// Exports the events of the store as text, one a line: everything that is durable when
    /// [`write_to`](Export::write_to) is called. The store goes on meanwhile.
    ///
    /// A line has all that the store has of an event: its stream and version, position, id, time,
    /// metadata, tags, idempotency key, and the payload byte for byte, without upcasting. Lines say
    /// which events were stored together in one commit. [`import`](Self::import) makes the same events
    /// of them, in any storage. [The guide](crate::guide::moving) describes the lines.
    ///
    /// What process managers have saved comes along, before the events: positions, states, timers, waiting
    /// commands, dead letters and skipped events, so that they go on in the new store. Projections are
    /// built again there. The events stream through: a store of any size needs little memory.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// let store = AggregateStore::open(dir.path()).await?;
    /// let counter = store.get::<Counter>("c-1").await?;
    /// counter.send(Add(5)).await?;
    ///
    /// let (lines, report) = store.export().write_to(Vec::new()).await?;
    /// assert_eq!((report.events, report.position), (1, store.head()));
    ///
    /// let other = AggregateStore::in_memory().open().await?;
    /// other.import(std::io::Cursor::new(lines)).await?;
    /// assert_eq!(other.get::<Counter>("c-1").await?.state().await?.value, 5);
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias("dump", "cloudevents", "jsonl", "ndjson", "migrate"))]
    pub fn export(&self) -> Export {
        Export::new(From::Store(self.inner.storage.clone()))
    }
}
