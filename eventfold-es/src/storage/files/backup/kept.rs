//! The files of process managers that a backup keeps: `backup/process_managers/<name>/`. Each file
//! has all records of one process manager at one moment, and is never changed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::storage::encoding::sealed;
use crate::storage::error::{StorageError, StorageErrorKind, StorageResult};
use crate::storage::files::backup::manifest;
use crate::storage::files::disk;
use crate::storage::files::disk::Kind;
use crate::storage::files::layout::list_dirs;
use crate::storage::files::records::record_name;

/// How many moments of one process manager a backup keeps.
const MOST: usize = 64;
/// How many of the newest ones it keeps in any case.
const NEWEST: usize = 16;
/// How often the files of a process manager are read until they do not change meanwhile.
const ATTEMPTS: u32 = 1_000;

/// The records of one process manager, as text, by the names of their files.
pub(crate) type Files = BTreeMap<String, String>;

/// A moment of a process manager: the position up to which the journal must reach, and a number that
/// tells several moments of one position apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment {
    pub(crate) position: u64,
    number: u64,
}

impl Moment {
    fn file_name(self) -> String {
        format!("{:020}-{}.json", self.position, self.number)
    }

    fn of_name(name: &str) -> Option<Self> {
        let (position, number) = name.strip_suffix(".json")?.split_once('-')?;
        let moment = Self {
            position: position.parse().ok()?,
            number: number.parse().ok()?,
        };
        (moment.file_name() == name).then_some(moment)
    }
}

#[derive(Serialize, Deserialize)]
struct Content {
    files: Files,
}

/// Reads the records in `dir`, the directory of a process manager, as they are at one moment. A
/// process manager may write them at the same time.
pub(crate) fn read_records(dir: &Path) -> StorageResult<Files> {
    let mut before = read_once(dir)?;
    for _ in 0..ATTEMPTS {
        let again = read_once(dir)?;
        if again == before {
            return to_text(dir, again);
        }
        before = again;
        std::thread::yield_now();
    }
    let cause = "changes all the time, so it cannot be copied: try again";
    Err(StorageError::file(StorageErrorKind::Busy, dir, cause))
}

fn read_once(dir: &Path) -> StorageResult<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    for entry in disk::list(dir)? {
        let Ok(name) = entry.name.into_string() else {
            continue;
        };
        if entry.kind == Kind::Dir || record_name(&name).is_none() {
            continue;
        }
        if let Some(bytes) = disk::read_if_there(&dir.join(&name))? {
            files.insert(name, bytes);
        }
    }
    Ok(files)
}

fn to_text(dir: &Path, files: BTreeMap<String, Vec<u8>>) -> StorageResult<Files> {
    let text = |(name, bytes): (String, Vec<u8>)| {
        let text = String::from_utf8(bytes)
            .map_err(|error| StorageError::damaged(&dir.join(&name), 0, error))?;
        Ok((name, text))
    };
    files.into_iter().map(text).collect()
}

fn dir_of(base: &Path, name: &str) -> PathBuf {
    manifest::dir(base).join("process_managers").join(name)
}

/// The process managers that the backup `base` has files of.
pub(crate) fn names(base: &Path) -> StorageResult<Vec<String>> {
    let mut names = list_dirs(&manifest::dir(base).join("process_managers"))?;
    names.sort_unstable();
    Ok(names)
}

/// The moments of the process manager `name` in the backup `base`, the oldest first.
pub(crate) fn moments(base: &Path, name: &str) -> StorageResult<Vec<Moment>> {
    let entries = match disk::list(&dir_of(base, name)) {
        Err(error) if error.is_not_found() => return Ok(Vec::new()),
        entries => entries?,
    };
    let names = entries.iter().filter_map(|entry| entry.name.to_str());
    let mut moments: Vec<Moment> = names.filter_map(Moment::of_name).collect();
    moments.sort_unstable();
    Ok(moments)
}

/// The records of the process manager `name` at `moment`.
pub(crate) fn read(base: &Path, name: &str, moment: Moment) -> StorageResult<Files> {
    let path = dir_of(base, name).join(moment.file_name());
    let bytes = disk::read(&path).map_err(|e| StorageError::io("read", &path, e))?;
    if sealed::is_right(&bytes, 0) != Some(true) {
        return Err(StorageError::damaged(
            &path,
            0,
            "the checksum does not match",
        ));
    }
    let content: Content =
        serde_json::from_slice(&bytes).map_err(|cause| StorageError::damaged(&path, 0, cause))?;
    Ok(content.files)
}

/// The file of a moment.
pub(crate) fn file(base: &Path, name: &str, moment: Moment) -> PathBuf {
    dir_of(base, name).join(moment.file_name())
}

/// Keeps the records of the process manager `name`, which need the journal up to `position`, durably.
/// `end` is where the backup ends so far. Returns whether they differ from what was kept last.
pub(crate) fn keep(
    base: &Path,
    name: &str,
    position: u64,
    end: u64,
    files: &Files,
) -> StorageResult<bool> {
    let moments = moments(base, name)?;
    // Of one behind the end, the journal may never have been copied.
    let newest = moments.iter().rfind(|moment| moment.position <= end);
    if let Some(newest) = newest
        && read(base, name, *newest).is_ok_and(|kept| kept == *files)
    {
        return Ok(false);
    }
    let dir = dir_of(base, name);
    disk::create_private_dir(&dir)?;
    let number = moments.last().map_or(0, |last| last.number) + 1;
    let moment = Moment { position, number };
    let content = Content {
        files: files.clone(),
    };
    let path = dir.join(moment.file_name());
    let mut bytes = serde_json::to_vec(&content)
        .map_err(|cause| StorageError::io("write", &path, cause.into()))?;
    bytes.pop();
    sealed::seal(&mut bytes, 0, 0);
    disk::replace_durably(&path, &bytes)?;
    Ok(true)
}

/// Removes moments if there are too many: those that lie closest together.
pub(crate) fn thin_out(base: &Path, name: &str) -> StorageResult<()> {
    let mut moments = moments(base, name)?;
    while moments.len() > MOST {
        let gap = |i: &usize| moments[i + 1].position - moments[i - 1].position;
        let Some(closest) = (1..moments.len() - NEWEST).min_by_key(gap) else {
            break;
        };
        let moment = moments.remove(closest);
        disk::remove(&dir_of(base, name).join(moment.file_name()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_and_the_newest_moments_stay_when_a_backup_is_thinned_out() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path();
        for position in 0..200 {
            let files = Files::from([("checkpoint.json".to_owned(), position.to_string())]);
            assert!(keep(base, "p", position, position, &files).unwrap());
            assert!(!keep(base, "p", position, position, &files).unwrap());
            thin_out(base, "p").unwrap();
        }
        let moments = moments(base, "p").unwrap();
        assert_eq!(moments.len(), MOST);
        assert_eq!(moments[0].position, 0);
        let newest: Vec<u64> = moments.iter().rev().take(16).map(|m| m.position).collect();
        assert_eq!(newest, (184..200).rev().collect::<Vec<_>>());
        for moment in moments {
            let files = read(base, "p", moment).unwrap();
            assert_eq!(files["checkpoint.json"], moment.position.to_string());
        }
    }
}
