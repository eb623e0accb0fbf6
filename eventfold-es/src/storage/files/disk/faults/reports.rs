//! Whom the system tells that a sync of a whole file system failed.
//!
//! The next sync of each file and directory of it with unsynced changes fails, once. Linux keeps such an
//! error with the file, for every descriptor that was open then (`errseq_t`, since version 4.13).

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::storage::files::disk::faults::change::Change;

/// What can be synced alone.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Synced {
    File(usize),
    Dir(PathBuf),
}

/// What was changed and not synced, and the errors that are still to be told.
#[derive(Debug, Default)]
pub(crate) struct Reports {
    unsynced: HashSet<Synced>,
    untold: HashMap<Synced, i32>,
}

impl Reports {
    /// Notes a change that is made. `is_on` says whether something is on the file system of a path.
    pub(crate) fn note(&mut self, change: &Change, is_on: impl Fn(&Path, &Synced) -> bool) {
        match change {
            Change::Write { file, .. } | Change::SetLen { file, .. } => {
                self.unsynced.insert(Synced::File(*file));
            }
            Change::Open { path, .. } | Change::CreateDir { path } | Change::Remove { path } => {
                self.unsynced.insert(dir_of(path));
            }
            Change::Rename { from, to } => {
                self.unsynced.extend([dir_of(from), dir_of(to)]);
            }
            Change::Sync { .. } | Change::SyncDir { .. } => {
                if let Some(synced) = synced(change) {
                    self.unsynced.remove(&synced);
                }
            }
            Change::SyncAll { path } => self.unsynced.retain(|other| !is_on(path, other)),
            Change::FailedSync(_) | Change::Mark(_) => {}
        }
    }

    /// Notes that `sync` failed with `error`.
    pub(crate) fn fail(
        &mut self,
        sync: &Change,
        error: i32,
        is_on: impl Fn(&Path, &Synced) -> bool,
    ) {
        if let Change::SyncAll { path } = sync {
            let failed = self.unsynced.extract_if(|other| is_on(path, other));
            self.untold.extend(failed.map(|other| (other, error)));
        } else if let Some(told) = synced(sync) {
            self.unsynced.remove(&told);
            self.untold.remove(&told);
        }
    }

    /// Lets no later sync tell an error.
    pub(crate) fn forget_untold(&mut self) {
        self.untold.clear();
    }

    /// The error that the sync `change` must tell, if there is one.
    pub(crate) fn take(&mut self, change: &Change) -> Option<i32> {
        self.untold.remove(&synced(change)?)
    }
}

fn dir_of(path: &Path) -> Synced {
    Synced::Dir(path.parent().unwrap_or(path).to_owned())
}

/// What a sync is of, unless it is of a whole file system.
fn synced(change: &Change) -> Option<Synced> {
    match change {
        Change::Sync { file } => Some(Synced::File(*file)),
        Change::SyncDir { path } => Some(Synced::Dir(path.clone())),
        _ => None,
    }
}
