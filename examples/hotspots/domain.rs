//! What is recorded of a history, and what is read from it.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use eventfold_es::StreamId;
use eventfold_es::prelude::*;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

/// One file of the repository, whose stream are its changes.
#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "file", commands(RecordChange), events(FileChanged))]
pub(crate) struct TrackedFile {
    changes: u64,
}

/// Records what a commit did to a file. That happened long ago, so it is never refused.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RecordChange(pub(crate) FileChanged);

/// A commit changed a file. The author of the commit is the event's actor.
#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
pub(crate) struct FileChanged {
    pub(crate) path: String,
    pub(crate) commit: String,
    /// How many files the commit changed.
    pub(crate) files: usize,
    pub(crate) added: u64,
    pub(crate) deleted: u64,
}

impl TrackedFile {
    /// The id of the file at `path`: the path itself, or a hash of it if it is too long for an id.
    pub(crate) fn id(path: &str) -> String {
        match StreamId::new(Self::AGGREGATE_TYPE, path) {
            Ok(_) => path.to_owned(),
            Err(_) => format!("long-path-{:032x}", xxh3_128(path.as_bytes())),
        }
    }
}

impl Decide<RecordChange> for TrackedFile {
    fn decide(&self, RecordChange(change): RecordChange) -> Decision<Self> {
        Ok(events![change])
    }
}

impl Evolve<FileChanged> for TrackedFile {
    fn evolve(&mut self, _: &FileChanged) {
        self.changes += 1;
    }
}

/// How far the history is imported. It makes the import one that can be interrupted anywhere: the
/// next one knows the range of commits that was being imported, and how many of them are done.
#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(
    name = "import",
    commands(StartImport, RecordProgress),
    events(ImportStarted, CommitsImported, ImportFinished),
    error = ImportError,
)]
pub(crate) struct Import {
    /// The commit up to which everything is imported.
    pub(crate) imported: Option<String>,
    /// The import that was started and is not finished.
    pub(crate) running: Option<Running>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Running {
    /// The range of commits, in git's notation.
    pub(crate) range: String,
    /// The commit that the range ends with.
    pub(crate) to: String,
    pub(crate) commits: u64,
    pub(crate) done: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StartImport {
    pub(crate) to: String,
    /// How many commits are to be imported.
    pub(crate) commits: u64,
}

/// Records that all changes of further commits are recorded.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RecordProgress {
    pub(crate) commits: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
pub(crate) struct ImportStarted {
    pub(crate) range: String,
    pub(crate) to: String,
    pub(crate) commits: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
pub(crate) struct CommitsImported {
    pub(crate) commits: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
pub(crate) struct ImportFinished;

#[derive(Debug, PartialEq, thiserror::Error)]
pub(crate) enum ImportError {
    #[error("an import is running already")]
    Running,
    #[error("no import is running")]
    NotRunning,
    #[error("the import has {left} commits left, {imported} were imported")]
    TooMany { left: u64, imported: u64 },
}

impl Import {
    /// The commits that an import up to the commit `to` brings, in git's notation.
    pub(crate) fn range(&self, to: &str) -> String {
        match &self.imported {
            Some(from) => format!("{from}..{to}"),
            None => to.to_owned(),
        }
    }
}

impl Decide<StartImport> for Import {
    fn decide(&self, StartImport { to, commits }: StartImport) -> Decision<Self> {
        if self.running.is_some() {
            return Err(ImportError::Running);
        }
        let range = self.range(&to);
        Ok(events![ImportStarted { range, to, commits }])
    }
}

impl Decide<RecordProgress> for Import {
    fn decide(&self, RecordProgress { commits }: RecordProgress) -> Decision<Self> {
        let running = self.running.as_ref().ok_or(ImportError::NotRunning)?;
        let left = running.commits - running.done;
        if commits > left {
            let imported = commits;
            return Err(ImportError::TooMany { left, imported });
        }
        let mut events = events![CommitsImported { commits }];
        if commits == left {
            // Both are stored or none, so that no import is ever left complete but running.
            events.push(ImportFinished.into());
        }
        Ok(events)
    }
}

impl Evolve<ImportStarted> for Import {
    fn evolve(&mut self, event: &ImportStarted) {
        self.running = Some(Running {
            range: event.range.clone(),
            to: event.to.clone(),
            commits: event.commits,
            done: 0,
        });
    }
}

impl Evolve<CommitsImported> for Import {
    fn evolve(&mut self, event: &CommitsImported) {
        if let Some(running) = &mut self.running {
            running.done += event.commits;
        }
    }
}

impl Evolve<ImportFinished> for Import {
    fn evolve(&mut self, _: &ImportFinished) {
        self.imported = self.running.take().map(|running| running.to);
    }
}

/// A commit of more files than this (a new licence text, a formatter's work) does not say that they
/// belong together.
const MOST_FILES_TOGETHER: usize = 30;

/// The read model: which files are changed most often, and which are changed together.
#[derive(Debug, Clone, Default, Serialize, Deserialize, Projection)]
#[projection(aggregates(TrackedFile))]
pub(crate) struct Hotspots {
    files: IndexMap<String, FileStats>,
    /// How often two files were changed together; each by its index in `files`, the lesser first.
    together: HashMap<usize, HashMap<usize, u64>>,
    /// The files seen of commits of which further files are to come. The changes of one commit are
    /// recorded side by side, so commits overlap in the order of all events.
    incomplete: HashMap<String, Vec<usize>>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct FileStats {
    pub(crate) changes: u64,
    pub(crate) added: u64,
    pub(crate) deleted: u64,
    pub(crate) authors: HashSet<String>,
}

impl FileStats {
    pub(crate) fn churn(&self) -> u64 {
        self.added + self.deleted
    }
}

/// Two files that are changed together.
#[derive(Debug, PartialEq)]
pub(crate) struct Pair<'a> {
    pub(crate) files: [&'a str; 2],
    pub(crate) together: u64,
    /// In how many of the changes of the less often changed file, in percent.
    pub(crate) percent: u64,
}

impl Project<TrackedFile> for Hotspots {
    fn project(&mut self, event: &TrackedFileEvent, record: &Recorded<'_>) {
        let TrackedFileEvent::FileChanged(change) = event;
        self.add(change, record.actor());
    }
}

impl Hotspots {
    fn add(&mut self, change: &FileChanged, author: Option<&str>) {
        let file = self.files.entry(change.path.clone());
        let index = file.index();
        let stats = file.or_default();
        stats.changes += 1;
        stats.added += change.added;
        stats.deleted += change.deleted;
        stats.authors.extend(author.map(str::to_owned));

        if !(2..=MOST_FILES_TOGETHER).contains(&change.files) {
            return;
        }
        let seen = self.incomplete.entry(change.commit.clone()).or_default();
        for &other in &*seen {
            let others = self.together.entry(index.min(other)).or_default();
            *others.entry(index.max(other)).or_default() += 1;
        }
        seen.push(index);
        if seen.len() == change.files {
            self.incomplete.remove(&change.commit);
        }
    }

    /// All files, the most often changed first.
    pub(crate) fn files(&self) -> Vec<(&str, &FileStats)> {
        let mut files: Vec<_> = self
            .files
            .iter()
            .map(|(path, stats)| (&**path, stats))
            .collect();
        files.sort_by_key(|(path, stats)| (Reverse(stats.changes), Reverse(stats.churn()), *path));
        files
    }

    /// The pairs of files that were changed together more than once, the most often first.
    pub(crate) fn pairs(&self) -> Vec<Pair<'_>> {
        let paths: Vec<&str> = self.files.keys().map(String::as_str).collect();
        let mut pairs = Vec::new();
        for (&one, others) in &self.together {
            for (&other, &together) in others.iter().filter(|(_, together)| **together > 1) {
                let mut files = [paths[one], paths[other]];
                files.sort_unstable();
                let fewer = self.files[one].changes.min(self.files[other].changes);
                pairs.push(Pair {
                    files,
                    together,
                    percent: together * 100 / fewer,
                });
            }
        }
        pairs.sort_by_key(|pair| (Reverse(pair.together), Reverse(pair.percent), pair.files));
        pairs
    }
}
