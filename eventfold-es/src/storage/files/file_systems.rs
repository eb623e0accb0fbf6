//! The file systems of a store's streams, and how the streams' files are made durable.

use std::path::{Path, PathBuf};

use crate::storage::error::{StorageError, StorageResult};
use crate::storage::files::disk;
use crate::storage::files::disk::{File, Kind, Open, OpenDir};
use crate::storage::files::layout::{ARCHIVE_FILE, EVENTS_FILE};

/// With more files than this, one sync of the file system is cheaper than a sync of each file.
const FEW: usize = if cfg!(test) { 4 } else { 64 };

/// The file systems of a store. Each is represented by an open directory on it: a descriptor
/// reports only errors that occurred after it was opened.
#[derive(Debug)]
pub(crate) struct FileSystems {
    base: PathBuf,
    /// The first is the file system of the store's directory.
    held: Vec<OpenDir>,
}

impl FileSystems {
    /// The file systems of the store in `base`, if the system can distinguish them. `streams` or
    /// the directory of a type may be a mount or a link.
    pub(crate) fn of(base: &Path, streams: &Path) -> StorageResult<Self> {
        let mut file_systems = Self {
            base: base.to_owned(),
            held: vec![OpenDir::new(base)?],
        };
        let entries = match disk::list(streams) {
            Err(error) if error.is_not_found() => return Ok(file_systems),
            entries => entries?,
        };
        file_systems.hold(streams)?;
        for entry in entries {
            let path = streams.join(entry.name);
            if entry.kind == Kind::Dir || disk::is_dir(&path) {
                file_systems.hold(&path)?;
            }
        }
        Ok(file_systems)
    }

    /// Holds the file system of the directory `dir`.
    fn hold(&mut self, dir: &Path) -> StorageResult<()> {
        let dir = OpenDir::new(dir)?;
        if let Some(number) = dir.file_system()?
            && self.find(number)?.is_none()
        {
            self.held.push(dir);
        }
        Ok(())
    }

    fn find(&self, number: u64) -> StorageResult<Option<usize>> {
        for (i, held) in self.held.iter().enumerate() {
            if held.file_system()? == Some(number) {
                return Ok(Some(i));
            }
        }
        Ok(None)
    }

    /// Makes the files of the streams in `dirs` durable. Invariant D6.
    pub(crate) fn sync_streams(&mut self, dirs: &[&Path]) -> StorageResult<()> {
        if dirs.len() <= FEW {
            return self.sync_each(dirs);
        }
        let numbers = self.held.iter().map(OpenDir::file_system);
        let numbers = numbers.collect::<StorageResult<Vec<_>>>()?;
        let mut is_used = vec![false; numbers.len()];
        let mut others = Vec::new();
        for dir in dirs.iter().copied() {
            let number = disk::file_system_of(&dir.join(EVENTS_FILE))?;
            match numbers
                .iter()
                .position(|held| number.is_some() && *held == number)
            {
                Some(held) => is_used[held] = true,
                None => others.push(dir),
            }
        }
        self.sync_each(&others)?;
        // New streams on any file system may add entries to directories on this one.
        is_used[0] = true;
        for (held, is_used) in self.held.iter().zip(is_used) {
            if is_used && let Some(synced) = disk::sync_file_system(held) {
                synced?;
            }
        }
        // A sync of a file system that was not held may miss earlier errors. So the files there
        // were synced one by one before it is held.
        others.into_iter().try_for_each(|dir| self.hold(dir))
    }

    fn sync_each(&self, dirs: &[&Path]) -> StorageResult<()> {
        let mut parents: Vec<&Path> = Vec::new();
        for dir in dirs.iter().copied() {
            sync(&dir.join(EVENTS_FILE))?;
            // `eventfold` may have rotated the log, and syncs nothing.
            let rotated = dir.join(ARCHIVE_FILE);
            if disk::is_file(&rotated) {
                sync(&rotated)?;
            }
            disk::sync_dir(dir)?;
            // A new stream may have added an entry to each of these directories.
            parents.extend(
                dir.ancestors()
                    .skip(1)
                    .take_while(|above| above.starts_with(&self.base)),
            );
        }
        parents.sort_unstable();
        parents.dedup();
        parents.into_iter().try_for_each(disk::sync_dir)
    }
}

fn sync(file: &Path) -> StorageResult<()> {
    File::open(file, Open::Existing)
        .and_then(|file| file.sync_all())
        .map_err(|e| StorageError::io("sync", file, e))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::collections::BTreeSet;
    use std::os::unix::fs::{MetadataExt as _, symlink};

    use crate::storage::files::disk::faults::{Call, Fault, Watch};

    use super::*;

    #[test]
    fn the_lines_that_were_rotated_out_of_a_stream_are_made_durable_with_it() {
        const EIO: i32 = 5;
        let base = tempfile::tempdir().unwrap();
        let dir = base.path().join("streams/t/a");
        std::fs::create_dir_all(&dir).unwrap();
        for file in [EVENTS_FILE, ARCHIVE_FILE] {
            std::fs::write(dir.join(file), b"").unwrap();
        }
        let mut found = FileSystems::of(base.path(), &base.path().join("streams")).unwrap();
        let watch = Watch::resume(base.path());
        watch.set_fault(Fault {
            lasting: false,
            number: 2,
            ..Fault::lasting(Call::Sync, EIO)
        });
        let failed = found.sync_streams(&[&dir]).unwrap_err().to_string();
        assert!(failed.contains(ARCHIVE_FILE), "{failed}");
        watch.stop();
    }

    #[test]
    fn each_file_system_that_streams_are_linked_to_is_opened_once() {
        let base = tempfile::tempdir().unwrap();
        // This may be the same file system.
        let other = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        let other = other.unwrap();
        let streams = base.path().join("streams");
        std::fs::create_dir_all(streams.join("here")).unwrap();
        for name in ["there", "there-too"] {
            symlink(other.path(), streams.join(name)).unwrap();
        }
        let numbers = [base.path(), other.path()].map(|dir| dir.metadata().unwrap().dev());
        let expected = BTreeSet::from(numbers);

        let mut found = FileSystems::of(base.path(), &streams).unwrap();
        let held = |found: &FileSystems| {
            let held = found.held.iter().map(|dir| dir.file_system().unwrap());
            held.collect::<Option<Vec<u64>>>().unwrap()
        };
        assert_eq!(held(&found).len(), expected.len());
        assert_eq!(BTreeSet::from_iter(held(&found)), expected);

        let mut dirs = Vec::new();
        for number in 0..=FEW {
            for place in ["here", "there"] {
                let dir = streams.join(place).join(number.to_string());
                std::fs::create_dir(&dir).unwrap();
                std::fs::write(dir.join(EVENTS_FILE), b"{}\n").unwrap();
                dirs.push(dir);
            }
        }
        let dirs: Vec<&Path> = dirs.iter().map(PathBuf::as_path).collect();
        found.sync_streams(&dirs).unwrap();
        assert_eq!(held(&found).len(), expected.len());
    }
}
