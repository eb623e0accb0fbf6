//! Checking and repairing a store's directory while no store has it open.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;

use crate::following;
#[cfg(feature = "postgres")]
use crate::report::Severity;
use crate::report::{Finding, RepairReport, VerifyReport};
use crate::runtime::background::blocking;
use crate::storage::error::{StorageError, StorageErrorKind, StorageResult};
use crate::storage::files::backup::pace::Told;
use crate::storage::files::check::audit::audit;
use crate::storage::files::check::audit::findings::Audit;
use crate::storage::files::check::progress::Progress;
use crate::storage::files::check::repair::repair;
use crate::storage::files::layout::{StreamLayout, list_dirs};
use crate::storage::files::lock::{DirLock, Patience};
use crate::storage::files::records::FileRecords;
#[cfg(feature = "postgres")]
use crate::storage::observed::Observed;
#[cfg(feature = "postgres")]
use crate::storage::postgres::observe::ObservedSchema;
#[cfg(feature = "postgres")]
use crate::storage::postgres::options::PgOptions;
#[cfg(feature = "postgres")]
use crate::storage::postgres::verify::verify;
use crate::storage::record::Records;
use crate::store::AggregateStore;
use crate::text::Shown;

impl AggregateStore {
    /// Checks the store in `base_dir`, which must not be open, and reports everything that is
    /// wrong. It checks the journal, the streams' files against the journal, the snapshots, and the
    /// checkpoints of projections and process managers. It also reports leftover files and files
    /// that do not belong to the store.
    ///
    /// It changes only the `lock` file, and works on a damaged store. It reads every byte, so it
    /// also finds damage that `open` and loads do not meet. Leftovers of a crash that the next
    /// `open` removes are reported as harmless. It needs about 50 bytes of memory for each commit,
    /// and the size of the largest file.
    ///
    /// # Errors
    ///
    /// * [`io::ErrorKind::NotFound`]: there is no such directory;
    /// * [`io::ErrorKind::ResourceBusy`]: a store has it open;
    /// * any other: a file could not be read. Damage is not an error, but a finding in the report.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path();
    /// # let store = AggregateStore::open(path).await?;
    /// # store.get::<Counter>("c-1").await?.send(Add(5)).await?;
    /// # store.shutdown().await?;
    /// let report = AggregateStore::verify(path).await?;
    /// for finding in &report.findings {
    ///     println!("{finding}");
    /// }
    /// assert!(report.is_clean());
    /// # Ok(())
    /// # }
    /// ```
    pub fn verify(base_dir: impl AsRef<Path>) -> Verify {
        Verify {
            place: Place::Directory(base_dir.as_ref().to_owned()),
            told: None,
        }
    }

    /// Checks the store in a schema of the database at `url`, whose parameter `schema` names the schema, also
    /// beside the stores that have it open. It checks each event's checksum and columns, that positions and
    /// versions have no gaps, that commits are whole, the checksums that are chained over all events, the
    /// tables `streams` and `tags`, which are made of the events, and what projections and process managers
    /// have saved.
    ///
    /// The events are read in one read-only transaction, so all that is found is of one moment. The
    /// [`file`](Finding::file) of a finding is the name of a table. It needs a few MiB of memory, whatever
    /// the store has.
    ///
    /// # Errors
    ///
    /// As [`StoreReader::postgres`](crate::inspect::StoreReader::postgres). Damage is not an error, but a
    /// finding in the report.
    ///
    /// ```no_run
    /// # use eventfold_es::AggregateStore;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let url = "postgres://reader@db.internal/shop?schema=orders";
    /// let report = AggregateStore::verify_postgres(url).await?;
    /// for finding in &report.findings {
    ///     println!("{finding}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "postgres")]
    pub fn verify_postgres(url: impl Into<String>) -> Verify {
        Verify {
            place: Place::Schema(PgOptions::new(url.into())),
            told: None,
        }
    }

    /// Repairs the store in `base_dir`, which must not be open, as far as that is safe. Reports
    /// what it did and what remains.
    ///
    /// It cuts off an unfinished tail of the journal. It writes streams' files again from the
    /// journal if they are missing, cut off or damaged. It enters lines that another program
    /// appended to a stream into the journal, in the order of their times. It cuts off a line that
    /// the program did not finish. It moves away snapshots, checkpoints and leftovers that the
    /// store cannot use and can make again. It never deletes: everything that it replaces or moves
    /// away is kept in `repaired-<seconds since 1970>` in the directory.
    ///
    /// It does nothing if the journal itself is damaged, and does not touch a process manager's
    /// damaged checkpoint: only a backup helps there. After a repair that
    /// [succeeded](RepairReport::is_success), the store opens.
    ///
    /// # Errors
    ///
    /// As [`verify`](Self::verify), and:
    ///
    /// * [`io::ErrorKind::ResourceBusy`]: another program has locked a stream's file;
    /// * any other: the error from writing. The repair can then be run again.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path();
    /// # let store = AggregateStore::open(path).await?;
    /// # store.get::<Counter>("c-1").await?.send(Add(5)).await?;
    /// # let file = store.layout().stream_dir("counter", "c-1").join("app.jsonl");
    /// # store.shutdown().await?;
    /// std::fs::remove_file(&file)?;
    /// let report = AggregateStore::repair(path).await?;
    /// assert!(report.is_success());
    /// let store = AggregateStore::open(path).await?;
    /// assert_eq!(store.get::<Counter>("c-1").await?.state().await?.value, 5);
    /// # Ok(())
    /// # }
    /// ```
    pub fn repair(base_dir: impl AsRef<Path>) -> Repair {
        Repair {
            base: base_dir.as_ref().to_owned(),
            told: None,
        }
    }
}

/// [`AggregateStore::verify`] returns it. Awaiting it checks the store.
#[must_use = "it checks when it is awaited"]
pub struct Verify {
    place: Place,
    told: Option<Told>,
}

/// What is checked.
#[derive(Debug)]
enum Place {
    Directory(PathBuf),
    #[cfg(feature = "postgres")]
    Schema(PgOptions),
}

impl Verify {
    /// Tells `told` how many bytes of the journal and of the streams' files were read, and how many there
    /// are; of a schema, how many events. It is called from another thread.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # AggregateStore::open(dir.path()).await?.shutdown().await?;
    /// let verify = AggregateStore::verify(dir.path());
    /// let report = verify.on_progress(|done, total| println!("{done} of {total} bytes")).await?;
    /// assert!(report.is_clean());
    /// # Ok(())
    /// # }
    /// ```
    pub fn on_progress(mut self, told: impl FnMut(u64, u64) + Send + 'static) -> Self {
        self.told = Some(Box::new(told));
        self
    }
}

impl IntoFuture for Verify {
    type Output = io::Result<VerifyReport>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { place, told } = self;
        match place {
            Place::Directory(base) => Box::pin(while_locked(base, move |base| {
                let audit = examine(base, &mut Progress::new(told))?;
                Ok(VerifyReport {
                    streams: audit.journaled.len() as u64,
                    events: audit.head(),
                    dropped: audit.beginning.dropped,
                    findings: findings(audit),
                })
            })),
            #[cfg(feature = "postgres")]
            Place::Schema(options) => {
                Box::pin(blocking(move || Ok(verify_schema(&options, told)?)))
            }
        }
    }
}

#[cfg(feature = "postgres")]
fn verify_schema(options: &PgOptions, told: Option<Told>) -> StorageResult<VerifyReport> {
    let schema = ObservedSchema::open(options)?;
    let verified = verify(&schema, told.unwrap_or_else(|| Box::new(|_, _| {})))?;
    let mut findings = verified.findings;
    // Faults of the events show in them again.
    if findings
        .iter()
        .all(|finding| finding.severity != Severity::Lost)
    {
        let open = Observed::Postgres(schema).opener();
        let faults = following::beside::faults(&open)?.into_iter();
        findings.extend(faults.map(|(place, severity, message)| Finding {
            file: place.into(),
            offset: None,
            severity,
            message,
        }));
    }
    Ok(VerifyReport {
        findings,
        streams: verified.streams,
        events: verified.events,
        dropped: 0,
    })
}

impl fmt::Debug for Verify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut verify = f.debug_struct("Verify");
        verify.field("place", &self.place).finish_non_exhaustive()
    }
}

/// [`AggregateStore::repair`] returns it. Awaiting it repairs the store.
#[must_use = "it repairs when it is awaited"]
pub struct Repair {
    base: PathBuf,
    told: Option<Told>,
}

impl Repair {
    /// Tells `told` how far it is with checking the store, as [`Verify::on_progress`], which it does twice:
    /// before the repair and after it.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # AggregateStore::open(dir.path()).await?.shutdown().await?;
    /// let repair = AggregateStore::repair(dir.path());
    /// let report = repair.on_progress(|done, total| println!("{done} of {total} bytes")).await?;
    /// assert!(report.is_success());
    /// # Ok(())
    /// # }
    /// ```
    pub fn on_progress(mut self, told: impl FnMut(u64, u64) + Send + 'static) -> Self {
        self.told = Some(Box::new(told));
        self
    }
}

impl IntoFuture for Repair {
    type Output = io::Result<RepairReport>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { base, told } = self;
        Box::pin(while_locked(base, move |base| {
            let progress = &mut Progress::new(told);
            let repaired = repair(&examine(base, progress)?)?;
            for repaired in &repaired {
                tracing::warn!(%repaired, "repaired");
            }
            let remaining = findings(examine(base, progress)?);
            Ok(RepairReport {
                repaired,
                remaining,
            })
        }))
    }
}

impl fmt::Debug for Repair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut repair = f.debug_struct("Repair");
        repair.field("base", &self.base).finish_non_exhaustive()
    }
}

impl AggregateStore {
    /// Removes a dead letter for good from the store in `base_dir`, which must not be open. False if the
    /// process manager has none with this id. The store need not know the process manager's type;
    /// [`DeadLetters::discard`](crate::store::DeadLetters::discard) is for an open store.
    ///
    /// # Errors
    ///
    /// * [`io::ErrorKind::NotFound`]: there is no such directory, or no such process manager;
    /// * [`io::ErrorKind::ResourceBusy`]: a store has it open;
    /// * [`io::ErrorKind::InvalidInput`]: the program ended just when the command was given up: open
    ///   the store with the process manager first;
    /// * [`io::ErrorKind::InvalidData`]: a file is damaged;
    /// * any other: a file could not be read or written.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path();
    /// # let store = AggregateStore::builder(path).process_manager::<Forward>().open().await?;
    /// # store.get::<Counter>("c-1").await?.send(Add(5)).await?;
    /// # store.run_process_managers().await?; // nobody registered the aggregate type `counter`
    /// # let id = store.dead_letters("forward")?.list().await?[0].id.clone();
    /// # store.shutdown().await?;
    /// assert!(AggregateStore::discard_dead_letter(path, "forward", &id).await?);
    /// assert!(!AggregateStore::discard_dead_letter(path, "forward", &id).await?);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn discard_dead_letter(
        base_dir: impl AsRef<Path>,
        process_manager: &str,
        id: &str,
    ) -> io::Result<bool> {
        let (name, id) = (process_manager.to_owned(), id.to_owned());
        while_locked(base_dir.as_ref().to_owned(), move |base| {
            let managers = StreamLayout::new(base).process_managers_dir();
            if !list_dirs(&managers)?.contains(&name) {
                let cause = format!("has no process manager `{}`", Shown(&name));
                return Err(StorageError::file(StorageErrorKind::Missing, base, cause));
            }
            let records = Records::Files(FileRecords::new(managers.join(&name)));
            following::saved::discard(&name, &records, &id)
        })
        .await
    }
}

/// Runs `run` while it holds the lock of the directory `base`. If the caller drops the future,
/// `run` still completes, and the next `open` waits for that.
async fn while_locked<T: Send + 'static>(
    base: PathBuf,
    run: impl FnOnce(&Path) -> StorageResult<T> + Send + 'static,
) -> io::Result<T> {
    let absolute = std::path::absolute(&base);
    let base = absolute.map_err(|e| StorageError::io("open", &base, e))?;
    let patience = Patience::default();
    let opening = patience.opening();
    let done = blocking(move || {
        let lock = DirLock::take(&base, &patience)?;
        Ok(run(lock.dir())?)
    });
    let done = done.await;
    opening.finish();
    done
}

/// Checks everything.
fn examine(base: &Path, progress: &mut Progress) -> StorageResult<Audit> {
    let mut audit = audit(base, progress)?;
    following::audit::check(&mut audit)?;
    Ok(audit)
}

fn findings(audit: Audit) -> Vec<Finding> {
    let flaws = audit.flaws.into_iter();
    flaws.map(|flaw| flaw.finding).collect()
}
