//! What a power failure leaves of a watched directory.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::path::{Path, PathBuf};

use crate::storage::files::disk::faults::change::Change;
use crate::storage::files::disk::faults::{Log, answers, mount_of};

/// What becomes of unsynced bytes, in the unit in which a disk writes.
const SECTOR: usize = 512;
/// What a sync that failed leaves in doubt, in the unit in which a file system keeps a file.
const BLOCK: usize = 4096;

/// A small generator of reproducible choices (`SplitMix64`, Steele, Lea and Flood 2014).
#[derive(Debug, Clone)]
pub(crate) struct Choices(u64);

impl Choices {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`, which is not 0.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).expect("below a usize")
    }
}

#[derive(Debug, Default, Clone)]
struct WatchedFile {
    durable: Vec<u8>,
    pending: Vec<Unsynced>,
    /// The blocks that a sync failed to make durable: none that is written later reaches the disk for
    /// certain.
    lost: BTreeSet<usize>,
    /// What was written to them.
    doubtful: Vec<Unsynced>,
}

#[derive(Debug, Clone)]
enum Unsynced {
    Write { offset: usize, bytes: Vec<u8> },
    SetLen(usize),
}

/// A change of a directory that was not synced.
#[derive(Debug, Clone)]
enum DirChange {
    File(PathBuf, usize),
    Gone(PathBuf),
    Dir(PathBuf),
}

#[derive(Debug, Default)]
struct Tree {
    files: HashMap<usize, WatchedFile>,
    /// What is at a path, durably; a directory is `None`.
    durable: BTreeMap<PathBuf, Option<usize>>,
    pending: Vec<(PathBuf, DirChange)>,
    /// Changes of directories whose sync failed: a later sync makes none of them durable.
    doubtful: Vec<(PathBuf, DirChange)>,
    /// What is at a path, durably or not.
    current: HashMap<PathBuf, usize>,
    mounts: Vec<PathBuf>,
}

impl Log {
    /// A point at which the power fails.
    pub(crate) fn point(&self, choices: &mut Choices) -> usize {
        self.start + choices.below(self.changes.len() - self.start + 1)
    }

    /// All points at which the power may fail.
    pub(crate) fn points(&self) -> std::ops::RangeInclusive<usize> {
        self.start..=self.changes.len()
    }

    /// The point at which everything has happened.
    pub(crate) fn end(&self) -> usize {
        self.changes.len()
    }

    /// The answers before the point.
    pub(crate) fn answers(&self, point: usize) -> Vec<u64> {
        answers(&self.changes[..point])
    }

    /// Writes to `to` what a power failure at the point could have left.
    pub(crate) fn image(&self, point: usize, choices: &mut Choices, to: &Path) -> io::Result<()> {
        let mut tree = Tree {
            mounts: self.mounts.clone(),
            ..Tree::default()
        };
        for change in &self.changes[..point] {
            tree.change(change);
        }
        let entries = tree.surviving_entries(choices);
        for (path, file) in entries {
            let Ok(inside) = path.strip_prefix(&self.dir) else {
                continue;
            };
            let path = to.join(inside);
            match file {
                None => std::fs::create_dir_all(path)?,
                Some(file) => {
                    // A file whose directory was lost is lost with it.
                    if path.parent().is_some_and(Path::is_dir) {
                        std::fs::write(path, tree.files[&file].surviving(choices))?;
                    }
                }
            }
        }
        Ok(())
    }
}

impl Tree {
    fn change(&mut self, change: &Change) {
        match change {
            Change::Open { path, file } => {
                self.files.entry(*file).or_default();
                self.entry(path, DirChange::File(path.clone(), *file));
                self.current.insert(path.clone(), *file);
            }
            Change::Write {
                file,
                offset,
                bytes,
            } => self.pend(
                *file,
                Unsynced::Write {
                    offset: index(*offset),
                    bytes: bytes.clone(),
                },
            ),
            Change::SetLen { file, length } => self.pend(*file, Unsynced::SetLen(index(*length))),
            Change::Sync { file } => self.files.entry(*file).or_default().sync(),
            Change::Rename { from, to } => {
                let Some(file) = self.current.remove(from) else {
                    return;
                };
                self.current.insert(to.clone(), file);
                self.entry(to, DirChange::File(to.clone(), file));
                self.entry(from, DirChange::Gone(from.clone()));
            }
            Change::Remove { path } => {
                self.current.remove(path);
                self.entry(path, DirChange::Gone(path.clone()));
            }
            Change::CreateDir { path } => {
                let mut above: Vec<&Path> = path.ancestors().collect();
                above.reverse();
                for dir in above {
                    self.entry(dir, DirChange::Dir(dir.to_owned()));
                }
            }
            Change::SyncDir { path } => {
                let synced = self.take_pending(|dir| dir == path);
                self.settle(synced);
            }
            Change::SyncAll { path } => {
                let (mounts, synced) = (self.mounts.clone(), mount_of(&self.mounts, path));
                let entries = self.take_pending(|dir| mount_of(&mounts, dir) == synced);
                self.settle(entries);
                for content in self.on_file_system(path) {
                    content.sync();
                }
            }
            Change::FailedSync(sync) => self.fail(sync),
            Change::Mark(_) => {}
        }
    }

    fn pend(&mut self, file: usize, pending: Unsynced) {
        self.files.entry(file).or_default().pending.push(pending);
    }

    /// Lets a sync fail.
    fn fail(&mut self, sync: &Change) {
        match sync {
            Change::Sync { file } => self.files.entry(*file).or_default().fail_sync(),
            Change::SyncDir { path } => {
                let failed = self.take_pending(|dir| dir == path);
                self.put_in_doubt(failed);
            }
            Change::SyncAll { path } => {
                let (mounts, synced) = (self.mounts.clone(), mount_of(&self.mounts, path));
                let failed = self.take_pending(|dir| mount_of(&mounts, dir) == synced);
                self.put_in_doubt(failed);
                for content in self.on_file_system(path) {
                    content.fail_sync();
                }
            }
            other => unreachable!("no sync: {other:?}"),
        }
    }

    /// A file can be created and renamed anew, which a later sync makes durable. For a directory there
    /// is no such way, so it is as if its sync had not been tried.
    fn put_in_doubt(&mut self, entries: Vec<(PathBuf, DirChange)>) {
        for (dir, entry) in entries {
            match entry {
                DirChange::Dir(_) => self.pending.push((dir, entry)),
                DirChange::File(..) | DirChange::Gone(_) => self.doubtful.push((dir, entry)),
            }
        }
    }

    fn take_pending(&mut self, is_taken: impl Fn(&Path) -> bool) -> Vec<(PathBuf, DirChange)> {
        let (taken, left) = std::mem::take(&mut self.pending)
            .into_iter()
            .partition(|(dir, _)| is_taken(dir));
        self.pending = left;
        taken
    }

    /// The files on the file system that holds `path`.
    fn on_file_system(&mut self, path: &Path) -> impl Iterator<Item = &mut WatchedFile> {
        let synced = mount_of(&self.mounts, path);
        let there: BTreeSet<usize> = self
            .current
            .iter()
            .filter(|(path, _)| mount_of(&self.mounts, path) == synced)
            .map(|(_, file)| *file)
            .collect();
        let files = self.files.iter_mut();
        files.filter_map(move |(file, content)| there.contains(file).then_some(content))
    }

    /// Notes a change in the directory that holds `path`.
    fn entry(&mut self, path: &Path, entry: DirChange) {
        let dir = path.parent().unwrap_or(path).to_owned();
        self.pending.push((dir, entry));
    }

    fn settle(&mut self, entries: Vec<(PathBuf, DirChange)>) {
        for (_, entry) in entries {
            // What was in doubt at that place is over.
            self.doubtful
                .retain(|(_, other)| other.path() != entry.path());
            match entry {
                DirChange::File(path, file) => drop(self.durable.insert(path, Some(file))),
                DirChange::Gone(path) => drop(self.durable.remove(&path)),
                DirChange::Dir(path) => drop(self.durable.entry(path).or_insert(None)),
            }
        }
    }

    /// Of the unsynced entries of each directory, those before some point survive.
    fn surviving_entries(&mut self, choices: &mut Choices) -> BTreeMap<PathBuf, Option<usize>> {
        // Settling later ones takes the doubt from earlier ones.
        let mut pending = std::mem::take(&mut self.doubtful);
        pending.append(&mut self.pending);
        let mut dirs: Vec<&PathBuf> = pending.iter().map(|(dir, _)| dir).collect();
        dirs.sort_unstable();
        dirs.dedup();
        let mut surviving = Vec::new();
        for dir in dirs {
            let of_dir: Vec<_> = pending.iter().filter(|(other, _)| other == dir).collect();
            let kept = choices.below(of_dir.len() + 1);
            surviving.extend(of_dir[..kept].iter().map(|entry| (*entry).clone()));
        }
        self.settle(surviving);
        std::mem::take(&mut self.durable)
    }
}

impl DirChange {
    fn path(&self) -> &Path {
        match self {
            Self::File(path, _) | Self::Gone(path) | Self::Dir(path) => path,
        }
    }
}

impl WatchedFile {
    fn sync(&mut self) {
        for pending in std::mem::take(&mut self.pending) {
            match pending {
                Unsynced::Write { offset, bytes } => self.sync_write(offset, &bytes),
                Unsynced::SetLen(_) => apply(&mut self.durable, &pending),
            }
        }
    }

    /// Makes a write durable but for the blocks that are lost.
    fn sync_write(&mut self, offset: usize, bytes: &[u8]) {
        let mut start = 0;
        while start < bytes.len() {
            let block = (offset + start) / BLOCK;
            let end = ((block + 1) * BLOCK - offset).min(bytes.len());
            let (offset, bytes) = (offset + start, &bytes[start..end]);
            if self.lost.contains(&block) {
                let bytes = bytes.to_owned();
                self.doubtful.push(Unsynced::Write { offset, bytes });
            } else {
                write(&mut self.durable, offset, bytes);
            }
            start = end;
        }
    }

    /// What was to be made durable may be on the disk or not, and stays so.
    fn fail_sync(&mut self) {
        let mut length = self.durable.len();
        for pending in std::mem::take(&mut self.pending) {
            let changed = match &pending {
                Unsynced::Write { offset, bytes } => *offset..offset + bytes.len(),
                Unsynced::SetLen(new) => (*new).min(length)..(*new).max(length),
            };
            length = pending.length_after(length);
            self.lost
                .extend(changed.start / BLOCK..changed.end.div_ceil(BLOCK));
            if let Unsynced::Write { .. } = pending {
                self.doubtful.push(pending);
            }
        }
    }

    /// Each unsynced change is kept, lost, torn or garbled, whatever became of the others.
    fn surviving(&self, choices: &mut Choices) -> Vec<u8> {
        let mut content = self.durable.clone();
        for pending in &self.doubtful {
            if choices.below(4) == 0 {
                apply(&mut content, pending);
            }
        }
        for pending in &self.pending {
            match (choices.below(6), pending) {
                (0..=2, pending) => apply(&mut content, pending),
                (3, Unsynced::Write { offset, bytes }) => {
                    let kept = choices.below(bytes.len() + 1);
                    write(&mut content, *offset, &bytes[..kept]);
                }
                (4, Unsynced::Write { offset, bytes }) => {
                    tear(&mut content, *offset, bytes, choices);
                }
                _ => {}
            }
        }
        content
    }
}

impl Unsynced {
    /// How long a file of that length is afterwards.
    fn length_after(&self, length: usize) -> usize {
        match self {
            Self::Write { offset, bytes } => length.max(offset + bytes.len()),
            Self::SetLen(new) => *new,
        }
    }
}

/// Writes some sectors of `bytes`, leaves others, and fills others with garbage.
fn tear(content: &mut Vec<u8>, offset: usize, bytes: &[u8], choices: &mut Choices) {
    let mut start = 0;
    while start < bytes.len() {
        let to_boundary = SECTOR - (offset + start) % SECTOR;
        let end = (start + to_boundary).min(bytes.len());
        match choices.below(4) {
            0 | 1 => write(content, offset + start, &bytes[start..end]),
            2 => {
                let garbage: Vec<u8> = (start..end)
                    .map(|_| u8::try_from(choices.below(256)).expect("a byte"))
                    .collect();
                write(content, offset + start, &garbage);
            }
            _ => {}
        }
        start = end;
    }
}

fn apply(content: &mut Vec<u8>, pending: &Unsynced) {
    match pending {
        Unsynced::Write { offset, bytes } => write(content, *offset, bytes),
        Unsynced::SetLen(length) => content.resize(*length, 0),
    }
}

fn write(content: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[offset..end].copy_from_slice(bytes);
}

fn index(number: u64) -> usize {
    usize::try_from(number).expect("tests stay small")
}
