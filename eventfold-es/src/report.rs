//! The reports of `verify` and `repair`: what they found and did.

use std::fmt;
use std::path::PathBuf;

use crate::text::{Shown, shown};

/// How much a [`Finding`] matters.
///
/// ```
/// use eventfold_es::Severity;
///
/// assert!(Severity::Harmless < Severity::Repairable && Severity::Repairable < Severity::Lost);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Severity {
    /// The store ignores this, or corrects it when it is opened.
    Harmless,
    /// The store would fail or lack data; [`repair`](crate::store::AggregateStore::repair) restores it
    /// from the journal.
    Repairable,
    /// The directory does not have what a repair needs: restore it from a backup.
    Lost,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Harmless => "harmless",
            Self::Repairable => "repairable",
            Self::Lost => "lost",
        })
    }
}

/// One thing that [`AggregateStore::verify`](crate::store::AggregateStore::verify) noticed.
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
/// let report = AggregateStore::verify(path).await?;
/// let finding = &report.findings[0];
/// assert_eq!((&finding.file, finding.severity), (&file, Severity::Repairable));
/// assert!(finding.to_string().contains("the file is missing"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// The file with the fault, which may be missing. Of a schema: the table, or the record.
    pub file: PathBuf,
    /// The byte at which the fault begins; `None` if it concerns the whole file.
    pub offset: Option<u64>,
    /// How much it matters.
    pub severity: Severity,
    /// A description of the fault.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.severity, shown(&self.file))?;
        if let Some(offset) = self.offset {
            write!(f, " at byte {offset}")?;
        }
        write!(f, ": {}", Shown(&self.message))
    }
}

/// What [`AggregateStore::verify`](crate::store::AggregateStore::verify) saw.
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
/// assert!(report.is_clean());
/// assert_eq!(report.to_string(), "1 event in 1 stream; nothing is wrong");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifyReport {
    /// Everything that was noticed, in the order of the files: journal, streams, the rest.
    pub findings: Vec<Finding>,
    /// How many streams the journal has events of.
    pub streams: u64,
    /// How many events were stored: those that the journal holds, as far as it can be read, and those that
    /// were dropped from it.
    pub events: u64,
    /// How many of them were [dropped](crate::AggregateStoreBuilder::keep_journal_for) from the journal, which
    /// begins after so many. The streams' files have them all the same, and they were checked there.
    pub dropped: u64,
}

impl VerifyReport {
    /// Whether nothing is wrong: there are none but harmless findings.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path();
    /// # AggregateStore::open(path).await?.shutdown().await?;
    /// std::fs::write(path.join("notes.txt"), "not the store's")?;
    /// let report = AggregateStore::verify(path).await?;
    /// assert!(report.is_clean() && report.findings.len() == 1);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn is_clean(&self) -> bool {
        is_clean(&self.findings)
    }
}

impl fmt::Display for VerifyReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} in {}; ",
            count(self.events, "event"),
            count(self.streams, "stream")
        )?;
        if self.dropped > 0 {
            write!(f, "the journal begins after position {}; ", self.dropped)?;
        }
        if self.is_clean() {
            f.write_str("nothing is wrong")?;
        } else {
            f.write_str("something is wrong")?;
        }
        self.findings
            .iter()
            .try_for_each(|finding| write!(f, "\n{finding}"))
    }
}

/// One thing that [`AggregateStore::repair`](crate::store::AggregateStore::repair) did.
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
/// std::fs::write(&file, "scribbled over\n")?;
/// let report = AggregateStore::repair(path).await?;
/// let repaired = &report.repaired[0];
/// assert_eq!(repaired.file, file);
/// let kept = repaired.kept.as_ref().expect("what was there is never deleted");
/// assert_eq!(std::fs::read_to_string(kept)?, "scribbled over\n");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Repaired {
    /// The file that was written or moved away.
    pub file: PathBuf,
    /// Where what it held before is kept, if it held anything.
    pub kept: Option<PathBuf>,
    /// What was done, in words.
    pub action: String,
}

impl fmt::Display for Repaired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", shown(&self.file), self.action)?;
        if let Some(kept) = &self.kept {
            write!(f, " (kept in {})", shown(kept))?;
        }
        Ok(())
    }
}

/// What [`AggregateStore::repair`](crate::store::AggregateStore::repair) did, and what it could not do.
///
/// ```
/// # use eventfold_es::{*, __private::example::*};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path();
/// # AggregateStore::open(path).await?.shutdown().await?;
/// let report = AggregateStore::repair(path).await?;
/// assert!(report.is_success() && report.repaired.is_empty());
/// assert_eq!(report.to_string(), "there was nothing to do");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RepairReport {
    /// What was done, in this order.
    pub repaired: Vec<Repaired>,
    /// What a second look found afterwards.
    pub remaining: Vec<Finding>,
}

impl RepairReport {
    /// Whether nothing is wrong any more: what remains is harmless.
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
    /// std::fs::remove_file(path.join("journal/00000000000000000001.jsonl"))?;
    /// let report = AggregateStore::repair(path).await?;
    /// assert!(!report.is_success()); // the order of all events is nowhere else
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn is_success(&self) -> bool {
        is_clean(&self.remaining)
    }
}

impl fmt::Display for RepairReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.is_success(), self.repaired.is_empty()) {
            (true, true) => "there was nothing to do",
            (true, false) => "the store is in order",
            (false, _) => "the store is not in order",
        })?;
        for repaired in &self.repaired {
            write!(f, "\n{repaired}")?;
        }
        for finding in &self.remaining {
            write!(f, "\n{finding}")?;
        }
        Ok(())
    }
}

fn is_clean(findings: &[Finding]) -> bool {
    let harmless = |finding: &Finding| finding.severity == Severity::Harmless;
    findings.iter().all(harmless)
}

fn count(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}
