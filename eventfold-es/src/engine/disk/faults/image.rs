//! What a power failure leaves of a watched directory.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};

use super::{Change, Log};

/// What becomes of unsynced bytes, in the unit in which a disk writes.
const SECTOR: usize = 512;

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
struct Content {
    durable: Vec<u8>,
    pending: Vec<Pending>,
}

#[derive(Debug, Clone)]
enum Pending {
    Write { offset: usize, bytes: Vec<u8> },
    SetLen(usize),
}

/// A change of a directory that was not synced.
#[derive(Debug, Clone)]
enum Entry {
    File(PathBuf, usize),
    Gone(PathBuf),
    Dir(PathBuf),
}

#[derive(Debug, Default)]
struct Tree {
    files: HashMap<usize, Content>,
    /// What is at a path, durably; a directory is `None`.
    durable: BTreeMap<PathBuf, Option<usize>>,
    pending: Vec<(PathBuf, Entry)>,
    /// What is at a path, durably or not.
    current: HashMap<PathBuf, usize>,
}

impl Log {
    /// A point at which the power fails.
    pub(crate) fn point(&self, choices: &mut Choices) -> usize {
        self.start + choices.below(self.changes.len() - self.start + 1)
    }

    /// The last answer before the point.
    pub(crate) fn answers(&self, point: usize) -> Vec<u64> {
        let marks = self.changes[..point].iter();
        marks
            .filter_map(|change| match change {
                Change::Mark(answer) => Some(*answer),
                _ => None,
            })
            .collect()
    }

    /// Writes to `to` what a power failure at the point could have left.
    pub(crate) fn image(&self, point: usize, choices: &mut Choices, to: &Path) -> io::Result<()> {
        let mut tree = Tree::default();
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
            Change::Open { path, file, is_new } => {
                let content = self.files.entry(*file).or_default();
                if *is_new {
                    self.entry(path, Entry::File(path.clone(), *file));
                } else {
                    content.pending.push(Pending::SetLen(0));
                }
                self.current.insert(path.clone(), *file);
            }
            Change::Write {
                file,
                offset,
                bytes,
            } => self.pend(
                *file,
                Pending::Write {
                    offset: index(*offset),
                    bytes: bytes.clone(),
                },
            ),
            Change::SetLen { file, length } => self.pend(*file, Pending::SetLen(index(*length))),
            Change::Sync { file } => self.files.entry(*file).or_default().sync(),
            Change::Rename { from, to } => {
                let Some(file) = self.current.remove(from) else {
                    return;
                };
                self.current.insert(to.clone(), file);
                self.entry(to, Entry::File(to.clone(), file));
                self.entry(from, Entry::Gone(from.clone()));
            }
            Change::Remove { path } => {
                self.current.remove(path);
                self.entry(path, Entry::Gone(path.clone()));
            }
            Change::CreateDir { path } => {
                let mut above: Vec<&Path> = path.ancestors().collect();
                above.reverse();
                for dir in above {
                    self.entry(dir, Entry::Dir(dir.to_owned()));
                }
            }
            Change::SyncDir { path } => {
                let (synced, pending) = std::mem::take(&mut self.pending)
                    .into_iter()
                    .partition(|(dir, _)| dir == path);
                self.pending = pending;
                self.settle(synced);
            }
            Change::SyncAll => {
                let pending = std::mem::take(&mut self.pending);
                self.settle(pending);
                self.files.values_mut().for_each(Content::sync);
            }
            Change::Mark(_) => {}
        }
    }

    fn pend(&mut self, file: usize, pending: Pending) {
        self.files.entry(file).or_default().pending.push(pending);
    }

    /// Notes a change in the directory that holds `path`.
    fn entry(&mut self, path: &Path, entry: Entry) {
        let dir = path.parent().unwrap_or(path).to_owned();
        self.pending.push((dir, entry));
    }

    fn settle(&mut self, entries: Vec<(PathBuf, Entry)>) {
        for (_, entry) in entries {
            match entry {
                Entry::File(path, file) => drop(self.durable.insert(path, Some(file))),
                Entry::Gone(path) => drop(self.durable.remove(&path)),
                Entry::Dir(path) => drop(self.durable.entry(path).or_insert(None)),
            }
        }
    }

    /// Of the unsynced entries of each directory, those before some point survive.
    fn surviving_entries(&mut self, choices: &mut Choices) -> BTreeMap<PathBuf, Option<usize>> {
        let pending = std::mem::take(&mut self.pending);
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

impl Content {
    fn sync(&mut self) {
        for pending in std::mem::take(&mut self.pending) {
            apply(&mut self.durable, &pending);
        }
    }

    /// Each unsynced change is kept, lost, torn or garbled, whatever became of the others.
    fn surviving(&self, choices: &mut Choices) -> Vec<u8> {
        let mut content = self.durable.clone();
        for pending in &self.pending {
            match (choices.below(6), pending) {
                (0..=2, pending) => apply(&mut content, pending),
                (3, Pending::Write { offset, bytes }) => {
                    let kept = choices.below(bytes.len() + 1);
                    write(&mut content, *offset, &bytes[..kept]);
                }
                (4, Pending::Write { offset, bytes }) => {
                    tear(&mut content, *offset, bytes, choices);
                }
                _ => {}
            }
        }
        content
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

fn apply(content: &mut Vec<u8>, pending: &Pending) {
    match pending {
        Pending::Write { offset, bytes } => write(content, *offset, bytes),
        Pending::SetLen(length) => content.resize(*length, 0),
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
