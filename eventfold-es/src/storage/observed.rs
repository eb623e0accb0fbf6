//! A store as a reader beside it sees it: [`Observed`]. It takes no lock, changes nothing, and shows what
//! is durable.

use std::path::PathBuf;

use crate::storage::error::StorageResult;
use crate::storage::files::journal::backward::BackwardReader as FileBackwardReader;
use crate::storage::files::journal::reader::Reader as FileReader;
use crate::storage::files::layout::{StreamLayout, list_dirs};
use crate::storage::files::observe::ObservedJournal;
use crate::storage::files::records::FileRecords;
use crate::storage::log::{BackwardReader, LogReader};
#[cfg(feature = "postgres")]
use crate::storage::postgres::observe::ObservedSchema;
use crate::storage::record::Records;
use crate::storage::record_name::Follower;
use crate::text::shown;

/// A store that other processes may be writing.
#[derive(Debug)]
pub(crate) enum Observed {
    Files(ObservedFiles),
    #[cfg(feature = "postgres")]
    Postgres(ObservedSchema),
}

/// Looks at a store.
pub(crate) type Opener = Box<dyn Fn() -> StorageResult<Observed> + Send>;

/// A directory, and its journal up to where it is known to be durable.
#[derive(Debug)]
pub(crate) struct ObservedFiles {
    pub(crate) layout: StreamLayout,
    pub(crate) journal: ObservedJournal,
}

impl ObservedFiles {
    pub(crate) fn open(layout: StreamLayout) -> StorageResult<Self> {
        let journal = ObservedJournal::open(&layout.journal_dir())?;
        Ok(Self { layout, journal })
    }
}

impl Observed {
    /// Looks at the same store anew, whenever it is called.
    pub(crate) fn opener(&self) -> Opener {
        match self {
            Self::Files(files) => {
                let layout = files.layout.clone();
                Box::new(move || ObservedFiles::open(layout.clone()).map(Self::Files))
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(schema) => {
                let schema = schema.clone();
                Box::new(move || {
                    let mut schema = schema.clone();
                    schema.refresh()?;
                    Ok(Self::Postgres(schema))
                })
            }
        }
    }

    /// The store in a sentence.
    pub(crate) fn place(&self) -> String {
        match self {
            Self::Files(files) => shown(files.layout.base_dir()).to_string(),
            #[cfg(feature = "postgres")]
            Self::Postgres(schema) => schema.place().to_owned(),
        }
    }

    /// The directories of the store. Without directories these are paths that cannot exist.
    pub(crate) fn layout(&self) -> &StreamLayout {
        match self {
            Self::Files(files) => &files.layout,
            #[cfg(feature = "postgres")]
            Self::Postgres(schema) => schema.layout(),
        }
    }

    /// The position of the newest event that is shown.
    pub(crate) fn head(&self) -> u64 {
        match self {
            Self::Files(files) => files.journal.head(),
            #[cfg(feature = "postgres")]
            Self::Postgres(schema) => schema.head(),
        }
    }

    /// There are no events up to this position, because they were dropped; 0 if none was.
    pub(crate) fn dropped(&self) -> u64 {
        match self {
            Self::Files(files) => files.journal.index().dropped(),
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => 0,
        }
    }

    /// Looks for events that came since.
    pub(crate) fn refresh(&mut self) -> StorageResult<()> {
        match self {
            Self::Files(files) => files.journal.refresh(),
            #[cfg(feature = "postgres")]
            Self::Postgres(schema) => schema.refresh(),
        }
    }

    /// A reader of the log that starts after position `after`.
    pub(crate) fn reader(&self, after: u64) -> LogReader {
        match self {
            Self::Files(files) => {
                LogReader::Files(FileReader::new(files.journal.index().clone(), after))
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(schema) => LogReader::Postgres(schema.log().reader(after)),
        }
    }

    /// A reader of the log from before the position `before`, or from the newest event, back to the
    /// beginning.
    pub(crate) fn backward_reader(&self, before: Option<u64>) -> BackwardReader {
        let newest = self.head() + 1;
        let before = before.map_or(newest, |before| before.min(newest));
        match self {
            Self::Files(files) => {
                let index = files.journal.index().clone();
                BackwardReader::Files(FileBackwardReader::new(index, before))
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(schema) => {
                BackwardReader::Postgres(schema.log().backward_reader(Some(before)))
            }
        }
    }

    /// The records of the follower `name`.
    pub(crate) fn records(&self, follower: Follower, name: &str) -> Records {
        match self {
            Self::Files(files) => {
                let dir = match follower {
                    Follower::Projection => files.layout.projections_dir(),
                    Follower::ProcessManager => files.layout.process_managers_dir(),
                };
                Records::Files(FileRecords::new(dir.join(name)))
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(schema) => Records::Postgres(schema.records(follower, name)),
        }
    }

    /// The directory of the projection `name`, in which read models have their files; `None` where the storage
    /// has none.
    #[cfg_attr(
        not(feature = "postgres"),
        expect(clippy::unnecessary_wraps, reason = "there are only directories")
    )]
    pub(crate) fn projection_dir(&self, name: &str) -> Option<PathBuf> {
        match self {
            Self::Files(files) => Some(files.layout.projections_dir().join(name)),
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => None,
        }
    }

    /// The names of all followers of this kind that have records, sorted.
    pub(crate) fn followers(&self, follower: Follower) -> StorageResult<Vec<String>> {
        let mut names = match self {
            Self::Files(files) => match follower {
                Follower::Projection => list_dirs(&files.layout.projections_dir())?,
                Follower::ProcessManager => list_dirs(&files.layout.process_managers_dir())?,
            },
            #[cfg(feature = "postgres")]
            Self::Postgres(schema) => schema.followers(follower)?,
        };
        names.sort_unstable();
        Ok(names)
    }
}
