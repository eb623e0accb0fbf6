//! A disk that tests can lose and break.
//!
//! A test watches a directory ([`Watch`]). Every change below it is carried out for real and noted
//! in a [`Log`], from which the test can build what a power failure at any point could have left: of
//! each file what was synced, and of the rest whatever a seed decides. A [`Fault`] makes one change
//! fail instead.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Open;

mod image;

pub(crate) use image::Choices;

/// The directories that are watched.
static WATCHED: Mutex<Vec<(PathBuf, Arc<Watch>)>> = Mutex::new(Vec::new());

/// A change to the disk, as far as it matters for what a power failure leaves.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    /// A file came to be, or was emptied if it is there.
    Open {
        path: PathBuf,
        file: usize,
        is_new: bool,
    },
    Write {
        file: usize,
        offset: u64,
        bytes: Vec<u8>,
    },
    SetLen {
        file: usize,
        length: u64,
    },
    Sync {
        file: usize,
    },
    Rename {
        from: PathBuf,
        to: PathBuf,
    },
    Remove {
        path: PathBuf,
    },
    CreateDir {
        path: PathBuf,
    },
    SyncDir {
        path: PathBuf,
    },
    SyncAll,
    /// Not a change: the test was answered by then.
    Mark(u64),
}

impl Change {
    /// What kind of call a fault can make fail.
    fn call(&self) -> Option<Call> {
        Some(match self {
            Self::Open { .. } => Call::Open,
            Self::Write { .. } => Call::Write,
            Self::SetLen { .. } => Call::SetLen,
            Self::Sync { .. } | Self::SyncDir { .. } | Self::SyncAll => Call::Sync,
            Self::Rename { .. } | Self::Remove { .. } => Call::Rename,
            Self::CreateDir { .. } => Call::CreateDir,
            Self::Mark(_) => return None,
        })
    }
}

/// A kind of call to the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    Open,
    Write,
    SetLen,
    Sync,
    Rename,
    CreateDir,
}

/// A call that is to fail.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fault {
    pub(crate) call: Call,
    /// Which one of that kind, counted from now on.
    pub(crate) number: u64,
    /// The system's number of the error that it fails with.
    pub(crate) error: i32,
    /// Whether all later ones of that kind fail as well.
    pub(crate) lasting: bool,
    /// Of a write, how many bytes are written before it fails.
    pub(crate) partly: usize,
}

impl Fault {
    /// All calls of that kind fail from now on.
    pub(crate) fn lasting(call: Call, error: i32) -> Self {
        Self {
            call,
            number: 1,
            error,
            lasting: true,
            partly: 0,
        }
    }
}

/// A watched directory.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    changes: Vec<Change>,
    /// How many of them only say what was there before.
    start: usize,
    /// Which file is at a path now.
    at: HashMap<PathBuf, usize>,
    files: usize,
    fault: Option<(Fault, u64)>,
    /// The calls that failed.
    failed: Vec<(Call, String)>,
}

/// Everything that happened below a watched directory.
#[derive(Debug, Clone)]
pub(crate) struct Log {
    pub(crate) dir: PathBuf,
    changes: Vec<Change>,
    start: usize,
}

impl Watch {
    /// Watches `dir`, which is empty.
    pub(crate) fn start(dir: &Path) -> Arc<Self> {
        let watch = Arc::<Self>::default();
        lock(&WATCHED).push((dir.to_owned(), watch.clone()));
        watch
    }

    /// Watches `dir`, whose content is durable.
    pub(crate) fn resume(dir: &Path) -> Arc<Self> {
        let watch = Self::start(dir);
        watch
            .state()
            .take_in(dir)
            .expect("a directory that was just written can be read");
        let mut state = watch.state();
        state.changes.push(Change::SyncAll);
        state.start = state.changes.len();
        drop(state);
        watch
    }

    /// Ends the watch and returns what was seen.
    pub(crate) fn stop(self: &Arc<Self>) -> Log {
        let mut watched = lock(&WATCHED);
        let place = watched
            .iter()
            .position(|(_, watch)| Arc::ptr_eq(watch, self));
        let (dir, _) = watched.swap_remove(place.expect("it is stopped once"));
        let state = self.state();
        Log {
            dir,
            changes: state.changes.clone(),
            start: state.start,
        }
    }

    /// Notes that the test got an answer.
    pub(crate) fn mark(&self, answer: u64) {
        self.state().changes.push(Change::Mark(answer));
    }

    /// Makes a call fail.
    pub(crate) fn set_fault(&self, fault: Fault) {
        self.state().fault = Some((fault, 0));
    }

    /// Lets all calls succeed again; returns those that failed, with what they were about.
    pub(crate) fn clear_fault(&self) -> Vec<(Call, String)> {
        let mut state = self.state();
        state.fault = None;
        std::mem::take(&mut state.failed)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl Log {
    /// How many bytes were written to files below `dir`, those included that were there before.
    pub(crate) fn written_below(&self, dir: &Path) -> usize {
        let mut below = HashSet::new();
        let mut written = 0;
        for change in &self.changes {
            match change {
                Change::Open { path, file, .. } if path.starts_with(dir) => {
                    below.insert(*file);
                }
                Change::Write { file, bytes, .. } if below.contains(file) => written += bytes.len(),
                _ => {}
            }
        }
        written
    }
}

impl State {
    /// Notes what is in `dir` as if it were written now.
    fn take_in(&mut self, dir: &Path) -> io::Result<()> {
        for entry in std::fs::read_dir(dir)? {
            let path = entry?.path();
            if path.is_dir() {
                self.changes.push(Change::CreateDir { path: path.clone() });
                self.take_in(&path)?;
            } else {
                self.files += 1;
                let file = self.files;
                let bytes = std::fs::read(&path)?;
                self.at.insert(path.clone(), file);
                self.changes.push(Change::Open {
                    path,
                    file,
                    is_new: true,
                });
                self.changes.push(Change::Write {
                    file,
                    offset: 0,
                    bytes,
                });
            }
        }
        Ok(())
    }

    /// Notes a change, unless it is to fail. `Ok(Some(…))`: only so much of a write is made, before
    /// it fails.
    fn note(&mut self, mut change: Change) -> io::Result<Option<(usize, io::Error)>> {
        if let Some((fault, count)) = &mut self.fault
            && change.call() == Some(fault.call)
        {
            *count += 1;
            if *count == fault.number || (fault.lasting && *count > fault.number) {
                let error = io::Error::from_raw_os_error(fault.error);
                self.failed.push((
                    fault.call,
                    format!("{change:?}").chars().take(120).collect(),
                ));
                if let Change::Write { bytes, .. } = &mut change
                    && fault.partly > 0
                {
                    let length = fault.partly.min(bytes.len());
                    bytes.truncate(length);
                    self.changes.push(change);
                    return Ok(Some((length, error)));
                }
                return Err(error);
            }
        }
        self.changes.push(change);
        Ok(None)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn watch_of(path: &Path) -> Option<Arc<Watch>> {
    let watched = lock(&WATCHED);
    let found = watched.iter().find(|(dir, _)| path.starts_with(dir));
    found.map(|(_, watch)| watch.clone())
}

/// A file's part in a watch.
#[derive(Debug, Default)]
pub(crate) struct Watched(Option<(Arc<Watch>, usize)>);

impl Watched {
    fn note(&self, change: impl FnOnce(usize) -> Change) -> io::Result<Option<(usize, io::Error)>> {
        match &self.0 {
            Some((watch, file)) => watch.state().note(change(*file)),
            None => Ok(None),
        }
    }

    pub(super) fn write(
        &self,
        offset: u64,
        bytes: &[u8],
    ) -> io::Result<Option<(usize, io::Error)>> {
        self.note(|file| Change::Write {
            file,
            offset,
            bytes: bytes.to_owned(),
        })
    }

    pub(super) fn set_len(&self, length: u64) -> io::Result<()> {
        self.note(|file| Change::SetLen { file, length }).map(drop)
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        self.note(|file| Change::Sync { file }).map(drop)
    }
}

pub(super) fn open(path: &Path, how: Open) -> io::Result<Watched> {
    let Some(watch) = watch_of(path) else {
        return Ok(Watched::default());
    };
    let mut state = watch.state();
    let known = state.at.get(path).copied();
    let parent_is_there = path.parent().is_some_and(Path::is_dir);
    let file = match (known, how) {
        (Some(file), Open::Existing | Open::Create) => file,
        // The call itself says that something is not there.
        (None, Open::Existing) => return Ok(Watched::default()),
        (None, _) if !parent_is_there => return Ok(Watched::default()),
        (known, _) => {
            state.files += 1;
            let file = known.unwrap_or(state.files);
            state.note(Change::Open {
                path: path.to_owned(),
                file,
                is_new: known.is_none(),
            })?;
            state.at.insert(path.to_owned(), file);
            file
        }
    };
    drop(state);
    Ok(Watched(Some((watch, file))))
}

pub(super) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    let Some(watch) = watch_of(from) else {
        return Ok(());
    };
    let mut state = watch.state();
    state.note(Change::Rename {
        from: from.to_owned(),
        to: to.to_owned(),
    })?;
    if let Some(file) = state.at.remove(from) {
        state.at.insert(to.to_owned(), file);
    }
    Ok(())
}

pub(super) fn remove(path: &Path) -> io::Result<()> {
    let Some(watch) = watch_of(path) else {
        return Ok(());
    };
    let mut state = watch.state();
    if state.at.remove(path).is_some() {
        state.note(Change::Remove {
            path: path.to_owned(),
        })?;
    }
    Ok(())
}

fn note(path: &Path, change: Change) -> io::Result<()> {
    match watch_of(path) {
        Some(watch) => watch.state().note(change).map(drop),
        None => Ok(()),
    }
}

pub(super) fn create_dir(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let change = Change::CreateDir {
        path: path.to_owned(),
    };
    note(path, change)
}

pub(super) fn sync_dir(path: &Path) -> io::Result<()> {
    let change = Change::SyncDir {
        path: path.to_owned(),
    };
    note(path, change)
}

pub(super) fn sync_all(path: &Path) -> io::Result<()> {
    note(path, Change::SyncAll)
}
