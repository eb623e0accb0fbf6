//! A disk that tests can lose and break.
//!
//! A test watches a directory ([`Watch`]). Every change below it is carried out for real and noted
//! in a [`Log`], from which the test can build what a power failure at any point could have left: of
//! each file what was synced, and of the rest whatever a seed decides. A [`Fault`] makes one change
//! fail instead. What a sync that failed was to make durable never reaches the disk for certain, not
//! even if the same blocks of the same file are written and synced again; a new file does.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::storage::files::disk::access::Open;
use crate::sync::lock;

mod change;
mod image;
mod reports;
mod space;

pub(crate) use change::Call;
pub(crate) use image::Choices;

use change::Change;
use reports::{Reports, Synced};
use space::Space;

/// The system's number of the error that says that a call was interrupted.
const INTERRUPTED: i32 = 4;

/// The directories that are watched.
static WATCHED: Mutex<Vec<(PathBuf, Arc<Watch>)>> = Mutex::new(Vec::new());

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
    faults: Vec<(Fault, u64)>,
    space: Space,
    reports: Reports,
    /// The directories in which another file system begins.
    mounts: Vec<PathBuf>,
    /// The calls that failed.
    failed: Vec<(Call, String)>,
}

/// Everything that happened below a watched directory.
#[derive(Debug, Clone)]
pub(crate) struct Log {
    pub(crate) dir: PathBuf,
    changes: Vec<Change>,
    start: usize,
    mounts: Vec<PathBuf>,
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
        state.changes.push(Change::SyncAll {
            path: dir.to_owned(),
        });
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
            mounts: state.mounts.clone(),
        }
    }

    /// Has another file system begin at `path`, for whoever asks and for what a sync reaches.
    pub(crate) fn mount(&self, path: PathBuf) {
        self.state().mounts.push(path);
    }

    /// From now on there is no space but what is given free.
    pub(crate) fn fill_up(&self) {
        self.state().space.limit(0);
    }

    /// Ends that.
    pub(crate) fn give_space(&self) {
        self.state().space = Space::default();
    }

    /// Notes that the test got an answer.
    pub(crate) fn mark(&self, answer: u64) {
        self.state().changes.push(Change::Mark(answer));
    }

    /// The answers so far.
    pub(crate) fn marks(&self) -> Vec<u64> {
        answers(&self.state().changes)
    }

    /// Makes a call fail, and no other.
    pub(crate) fn set_fault(&self, fault: Fault) {
        self.state().faults = vec![(fault, 0)];
    }

    /// Makes a call of another kind fail as well.
    pub(crate) fn add_fault(&self, fault: Fault) {
        self.state().faults.push((fault, 0));
    }

    /// Lets all calls succeed again; returns those that failed, with what they were about.
    pub(crate) fn clear_fault(&self) -> Vec<(Call, String)> {
        let mut state = self.state();
        state.faults.clear();
        std::mem::take(&mut state.failed)
    }

    /// Lets no later sync tell the error of one that failed, as a system does that was asked before.
    pub(crate) fn forget_untold(&self) {
        self.state().reports.forget_untold();
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
                self.changes.push(Change::Open { path, file });
                let content = Change::Write {
                    file,
                    offset: 0,
                    bytes,
                };
                self.space.take(&content)?;
                self.changes.push(content);
            }
        }
        Ok(())
    }

    /// Notes a change, unless it is to fail. `Ok(Some(…))`: only so much of a write is made, before
    /// it fails.
    fn note(&mut self, mut change: Change) -> io::Result<Option<(usize, io::Error)>> {
        if let Some(fault) = self.fault_of(&change) {
            let error = io::Error::from_raw_os_error(fault.error);
            self.note_failed(fault.call, &change);
            if let Change::Write { bytes, .. } = &mut change
                && fault.partly > 0
            {
                let length = fault.partly.min(bytes.len());
                bytes.truncate(length);
                self.made(change);
                return Ok(Some((length, error)));
            }
            if fault.call == Call::Sync && fault.error != INTERRUPTED {
                self.fail_sync(change, fault.error);
            }
            return Err(error);
        }
        if let Some(error) = self.reports.take(&change) {
            self.note_failed(Call::Sync, &change);
            self.fail_sync(change, error);
            return Err(io::Error::from_raw_os_error(error));
        }
        self.space.take(&change)?;
        self.made(change);
        Ok(None)
    }

    /// The fault that lets the change fail. Counts the change.
    fn fault_of(&mut self, change: &Change) -> Option<Fault> {
        let of_this_kind = |(fault, _): &&mut (Fault, u64)| change.call() == Some(fault.call);
        let (fault, count) = self.faults.iter_mut().find(of_this_kind)?;
        *count += 1;
        let fails = *count == fault.number || (fault.lasting && *count > fault.number);
        fails.then_some(*fault)
    }

    fn note_failed(&mut self, call: Call, change: &Change) {
        let change = format!("{change:?}").chars().take(120).collect();
        self.failed.push((call, change));
    }

    fn made(&mut self, change: Change) {
        let on_mount = on_same_mount(&self.mounts, &self.at);
        self.reports.note(&change, on_mount);
        self.changes.push(change);
    }

    fn fail_sync(&mut self, sync: Change, error: i32) {
        let on_mount = on_same_mount(&self.mounts, &self.at);
        self.reports.fail(&sync, error, on_mount);
        self.changes.push(Change::FailedSync(Box::new(sync)));
    }
}

/// Which of the files and directories are on the file system of a path.
fn on_same_mount<'a>(
    mounts: &'a [PathBuf],
    at: &'a HashMap<PathBuf, usize>,
) -> impl Fn(&Path, &Synced) -> bool + use<'a> {
    move |path, changed| {
        let synced = mount_of(mounts, path);
        let is_there = |path: &Path| mount_of(mounts, path) == synced;
        match changed {
            Synced::Dir(dir) => is_there(dir),
            Synced::File(file) => at
                .iter()
                .any(|(path, other)| other == file && is_there(path)),
        }
    }
}

/// The answers among `changes`.
fn answers(changes: &[Change]) -> Vec<u64> {
    let marks = changes.iter();
    marks
        .filter_map(|change| match change {
            Change::Mark(answer) => Some(*answer),
            _ => None,
        })
        .collect()
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

    pub(crate) fn write(
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

    pub(crate) fn set_len(&self, length: u64) -> io::Result<()> {
        self.note(|file| Change::SetLen { file, length }).map(drop)
    }

    pub(crate) fn sync(&self) -> io::Result<()> {
        self.note(|file| Change::Sync { file }).map(drop)
    }
}

pub(crate) fn open(path: &Path, how: Open) -> io::Result<Watched> {
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
        (Some(_), Open::New) if path.exists() => return Ok(Watched::default()),
        // Another thread may be creating it: then the call would succeed unseen.
        (None, _) if !parent_is_there => return Err(io::ErrorKind::NotFound.into()),
        _ => {
            state.files += 1;
            let file = state.files;
            state.note(Change::Open {
                path: path.to_owned(),
                file,
            })?;
            state.at.insert(path.to_owned(), file);
            file
        }
    };
    drop(state);
    Ok(Watched(Some((watch, file))))
}

/// A sync of the file at `path` by somebody who only reads it.
pub(crate) fn sync_read_only(path: &Path) -> io::Result<()> {
    let Some(watch) = watch_of(path) else {
        return Ok(());
    };
    let mut state = watch.state();
    match state.at.get(path).copied() {
        Some(file) => state.note(Change::Sync { file }).map(drop),
        None => Ok(()),
    }
}

pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    let Some(watch) = watch_of(from) else {
        return Ok(());
    };
    let mut state = watch.state();
    state.note(Change::Rename {
        from: from.to_owned(),
        to: to.to_owned(),
    })?;
    if let Some(file) = state.at.remove(from)
        && let Some(replaced) = state.at.insert(to.to_owned(), file)
    {
        state.space.free(replaced);
    }
    Ok(())
}

/// A new name counts as a new file.
pub(crate) fn link(to: &Path) -> io::Result<()> {
    open(to, Open::New).map(drop)
}

pub(crate) fn remove(path: &Path) -> io::Result<()> {
    let Some(watch) = watch_of(path) else {
        return Ok(());
    };
    let mut state = watch.state();
    if let Some(file) = state.at.get(path).copied() {
        state.note(Change::Remove {
            path: path.to_owned(),
        })?;
        state.at.remove(path);
        state.space.free(file);
    }
    Ok(())
}

pub(crate) fn remove_dir(path: &Path) -> io::Result<()> {
    let change = Change::Remove {
        path: path.to_owned(),
    };
    note(path, change)
}

fn note(path: &Path, change: Change) -> io::Result<()> {
    match watch_of(path) {
        Some(watch) => watch.state().note(change).map(drop),
        None => Ok(()),
    }
}

pub(crate) fn create_dir(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let change = Change::CreateDir {
        path: path.to_owned(),
    };
    note(path, change)
}

pub(crate) fn sync_dir(path: &Path) -> io::Result<()> {
    let change = Change::SyncDir {
        path: path.to_owned(),
    };
    note(path, change)
}

pub(crate) fn sync_all(path: &Path) -> io::Result<()> {
    let change = Change::SyncAll {
        path: path.to_owned(),
    };
    note(path, change)
}

/// The number of the file system that holds `path`, if that is watched.
pub(crate) fn file_system(path: &Path) -> Option<u64> {
    let watch = watch_of(path)?;
    let state = watch.state();
    Some(mount_of(&state.mounts, path) as u64)
}

/// 0 if `path` is below none of `mounts`, else the number of the one that it is below.
fn mount_of(mounts: &[PathBuf], path: &Path) -> usize {
    let below = |(_, mount): &(usize, &PathBuf)| path.starts_with(mount);
    let innermost = mounts
        .iter()
        .enumerate()
        .filter(below)
        .max_by_key(|(_, mount)| mount.as_os_str().len());
    innermost.map_or(0, |(number, _)| number + 1)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use crate::storage::files::disk::{self, File, OpenDir};

    #[test]
    fn whoever_syncs_next_is_told_that_a_sync_of_the_file_system_failed() {
        const EIO: i32 = 5;
        let dir = tempfile::tempdir().unwrap();
        let watch = Watch::start(dir.path());
        let create = |name: &str| File::open(&dir.path().join(name), Open::New).unwrap();
        let (changed, durable) = (create("changed"), create("durable"));
        for file in [&changed, &durable] {
            file.write_at(0, b"a").unwrap();
        }
        durable.sync_all().unwrap();

        watch.set_fault(Fault::lasting(Call::Sync, EIO));
        let held = OpenDir::new(dir.path()).unwrap();
        disk::sync_file_system(&held).unwrap().unwrap_err();
        watch.clear_fault();

        durable.sync_all().unwrap();
        changed.sync_all().unwrap_err();
        changed.sync_all().unwrap();
        disk::sync_dir(dir.path()).unwrap_err();
        disk::sync_dir(dir.path()).unwrap();
        assert_eq!(watch.clear_fault().len(), 2);
        watch.stop();
    }
}
