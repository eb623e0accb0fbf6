//! The records of projections and process managers. Each follower has a directory for its records.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::storage::error::StorageResult;
use crate::storage::files::disk;
#[cfg(feature = "personal")]
use crate::storage::files::layout::is_temporary;
use crate::storage::files::lines::FileLines;
use crate::storage::record_name::RecordName;

/// The records of one follower.
#[derive(Debug, Clone)]
pub(crate) struct FileRecords {
    dir: PathBuf,
    /// The directory's entry in its parent was made durable.
    is_durable: Arc<AtomicBool>,
}

impl FileRecords {
    pub(crate) fn new(dir: PathBuf) -> Self {
        Self {
            dir,
            is_durable: Arc::default(),
        }
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn path(&self, name: RecordName) -> PathBuf {
        self.dir.join(file_name(name))
    }

    /// The names of the existing records, sorted.
    pub(crate) fn names(&self) -> StorageResult<Vec<RecordName>> {
        let entries = disk::list(&self.dir)?;
        let names = entries.iter().filter_map(|entry| entry.name.to_str());
        let mut names: Vec<RecordName> = names.filter_map(record_name).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// The files with the tables of a read model in SQLite.
    pub(crate) fn read_models(&self) -> StorageResult<Vec<PathBuf>> {
        let entries = disk::list(&self.dir)?.into_iter();
        let paths = entries.map(|entry| self.dir.join(entry.name));
        let is_table = |path: &PathBuf| {
            let name = path.file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| is_of_read_model(name) && name.ends_with(".sqlite"))
        };
        Ok(paths.filter(is_table).collect())
    }

    pub(crate) fn read(&self, name: RecordName) -> StorageResult<Option<Vec<u8>>> {
        disk::read_if_there(&self.path(name))
    }

    pub(crate) fn replace(&self, name: RecordName, content: &[u8]) -> StorageResult<()> {
        disk::create_dir(&self.dir)?;
        if !self.is_durable.load(Ordering::Relaxed) {
            for parent in self.dir.ancestors().skip(1).take(2) {
                disk::sync_dir(parent)?;
            }
            self.is_durable.store(true, Ordering::Relaxed);
        }
        disk::replace_durably(&self.path(name), content)
    }

    /// A record was made durable before it got its name.
    pub(crate) fn make_durable(&self) -> StorageResult<()> {
        disk::sync_dir(&self.dir)
    }

    pub(crate) fn remove(&self, name: RecordName) -> StorageResult<()> {
        disk::remove(&self.path(name))
    }

    #[cfg(feature = "personal")]
    pub(crate) fn remove_temporaries(&self) -> StorageResult<()> {
        if disk::remove_from(&self.dir, is_temporary)? > 0 {
            disk::sync_dir(&self.dir)?;
        }
        Ok(())
    }

    #[cfg(feature = "personal")]
    pub(crate) fn remove_durably(&self, name: RecordName) -> StorageResult<()> {
        disk::remove_durably(&self.path(name)).map(drop)
    }

    pub(crate) fn lines(&self, name: RecordName) -> StorageResult<(FileLines, Vec<u8>)> {
        FileLines::open(self.path(name))
    }

    pub(crate) fn empty_lines(&self, name: RecordName) -> FileLines {
        FileLines::empty(self.path(name))
    }
}

fn file_name(name: RecordName) -> String {
    match name {
        RecordName::Checkpoint(1) => "journal_checkpoint.json".to_owned(),
        RecordName::Checkpoint(version) => format!("journal_checkpoint.v{version}.json"),
        RecordName::OldCheckpoint => "checkpoint.json".to_owned(),
        RecordName::Skipped(1) => "skipped.jsonl".to_owned(),
        RecordName::Skipped(version) => format!("skipped.v{version}.jsonl"),
        RecordName::DeadLetters => "dead_letters.jsonl".to_owned(),
        RecordName::Restored => "restored.json".to_owned(),
    }
}

/// The record in the file called `file`, `None` if the file is not a record.
pub(crate) fn record_name(file: &str) -> Option<RecordName> {
    let version = |prefix: &str, suffix: &str| -> Option<u32> {
        let version = file.strip_prefix(prefix)?.strip_suffix(suffix)?;
        version.parse().ok()
    };
    Some(match file {
        "journal_checkpoint.json" => RecordName::Checkpoint(1),
        "checkpoint.json" => RecordName::OldCheckpoint,
        "skipped.jsonl" => RecordName::Skipped(1),
        "dead_letters.jsonl" => RecordName::DeadLetters,
        "restored.json" => RecordName::Restored,
        _ => match version("journal_checkpoint.v", ".json") {
            Some(version) => RecordName::Checkpoint(version),
            None => RecordName::Skipped(version("skipped.v", ".jsonl")?),
        },
    })
}

/// Whether a file in the directory of a projection has the tables of a read model in SQLite, or is what
/// SQLite keeps beside them.
pub(crate) fn is_of_read_model(file: &str) -> bool {
    let mut suffixes = [".sqlite", ".sqlite-wal", ".sqlite-shm"].iter();
    file.starts_with('v') && suffixes.any(|suffix| file.ends_with(suffix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_files_name_identifies_its_record() {
        for name in [
            RecordName::Checkpoint(1),
            RecordName::Checkpoint(7),
            RecordName::OldCheckpoint,
            RecordName::Skipped(1),
            RecordName::Skipped(7),
            RecordName::DeadLetters,
            RecordName::Restored,
        ] {
            assert_eq!(record_name(&file_name(name)), Some(name));
        }
        for other in ["journal_checkpoint.vx.json", "skipped.json", "app.jsonl"] {
            assert_eq!(record_name(other), None, "{other}");
        }
    }
}
