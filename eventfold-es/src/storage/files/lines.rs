//! A file that takes further lines. Each line is made durable by itself.

use std::io;
use std::path::PathBuf;

use crate::storage::error::{StorageError, StorageResult};
use crate::storage::files::disk;

/// A file of lines.
#[derive(Debug)]
pub(crate) struct FileLines {
    path: PathBuf,
    /// The offset of the next line. The only bytes after it are from a failed addition.
    length: u64,
    /// A change failed: there may be bytes after `length`, and the bytes before it may not be
    /// durable. The next change writes a new file.
    is_torn: bool,
}

impl FileLines {
    /// The file at `path` and its content. The file need not exist.
    pub(crate) fn open(path: PathBuf) -> StorageResult<(Self, Vec<u8>)> {
        let bytes = disk::read_if_there(&path)?.unwrap_or_default();
        let length = bytes.len() as u64;
        let lines = Self {
            path,
            length,
            is_torn: false,
        };
        Ok((lines, bytes))
    }

    /// The file at `path`. Its old content is no longer needed.
    pub(crate) fn empty(path: PathBuf) -> Self {
        Self {
            path,
            length: 0,
            is_torn: false,
        }
    }

    /// The length of the content in bytes.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    pub(crate) fn read(&self) -> StorageResult<Vec<u8>> {
        let mut bytes = disk::read_if_there(&self.path)?.unwrap_or_default();
        bytes.truncate(usize::try_from(self.length).unwrap_or(usize::MAX));
        Ok(bytes)
    }

    /// Replaces the content atomically and durably.
    pub(crate) fn replace(&mut self, content: &[u8]) -> StorageResult<()> {
        if let Some(dir) = self.path.parent() {
            disk::create_dir(dir)?;
        }
        self.is_torn = true;
        disk::replace_durably(&self.path, content)?;
        self.length = content.len() as u64;
        self.is_torn = false;
        Ok(())
    }

    /// Removes what a failed change may have left, and makes the rest durable.
    pub(crate) fn tidy(&mut self) -> StorageResult<()> {
        if self.is_torn && disk::is_there(&self.path) {
            let content = self.read()?;
            self.replace(&content)?;
        }
        self.is_torn = false;
        Ok(())
    }

    /// Adds `line` durably. `line` includes its line end.
    pub(crate) fn add(&mut self, mut line: Vec<u8>) -> StorageResult<()> {
        if let Some(dir) = self.path.parent() {
            disk::create_dir(dir)?;
        }
        if self.is_torn {
            let mut content = self.read()?;
            if content.last().is_some_and(|last| *last != b'\n') {
                content.push(b'\n');
            }
            content.append(&mut line);
            return self.replace(&content);
        }
        self.is_torn = true;
        let length = self
            .append(&mut line)
            .map_err(|e| StorageError::io("append to", &self.path, e))?;
        self.path.parent().map_or(Ok(()), disk::sync_dir)?;
        self.length = length;
        self.is_torn = false;
        Ok(())
    }

    /// Writes a line, and returns the new length.
    fn append(&self, line: &mut Vec<u8>) -> io::Result<u64> {
        let file = disk::File::open(&self.path, disk::Open::Create)?;
        let end = self.length.min(file.length()?);
        if end > 0 && file.read_at(end - 1, 1)? != b"\n" {
            // The last line is unfinished.
            line.insert(0, b'\n');
        }
        file.write_at(end, line)?;
        let length = end + line.len() as u64;
        if file.length()? > length {
            file.set_len(length)?;
        }
        file.sync_all()?;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::AggregateStore;
    use crate::storage::files::disk::failed_syncs;
    use crate::storage::files::disk::faults::{Call, Choices, Fault, Watch};

    const EIO: i32 = 5;

    /// A file of lines of a process manager in `base`.
    fn open(base: &Path) -> FileLines {
        let path = base.join("process_managers/p/dead_letters.jsonl");
        FileLines::open(path).unwrap().0
    }

    fn line(number: u64) -> Vec<u8> {
        format!("{{\"number\":{number}}}\n").into_bytes()
    }

    /// The number of lines.
    fn count(lines: &FileLines) -> usize {
        let content = lines.read().unwrap();
        content.split_inclusive(|byte| *byte == b'\n').count()
    }

    /// Checks that the content of `lines` survives any power failure after the changes in `watch`.
    fn assert_durable(watch: &std::sync::Arc<Watch>, lines: &FileLines) {
        let expected = lines.read().unwrap();
        let log = watch.stop();
        for seed in 0..20 {
            let left = tempfile::tempdir().unwrap();
            let mut choices = Choices::new(seed);
            log.image(log.end(), &mut choices, left.path()).unwrap();
            assert_eq!(open(left.path()).read().unwrap(), expected, "seed {seed}");
        }
    }

    fn with_two_lines(base: &Path) -> FileLines {
        let mut lines = open(base);
        disk::create_private_dir(lines.path.parent().unwrap()).unwrap();
        lines.add(line(1)).unwrap();
        lines.add(line(2)).unwrap();
        lines
    }

    fn fail_to_add(watch: &Watch, lines: &mut FileLines) {
        watch.set_fault(Fault::lasting(Call::Sync, EIO));
        lines.add(line(3)).unwrap_err();
        watch.clear_fault();
    }

    #[test]
    fn a_line_added_after_a_failed_sync_is_durable() {
        let base = tempfile::tempdir().unwrap();
        let watch = Watch::start(base.path());
        let mut lines = with_two_lines(base.path());
        fail_to_add(&watch, &mut lines);
        lines.add(line(4)).unwrap();
        assert_eq!(count(&lines), 3);
        assert_durable(&watch, &lines);
    }

    #[test]
    fn tidying_up_makes_all_lines_durable_after_a_failed_sync() {
        let base = tempfile::tempdir().unwrap();
        let watch = Watch::start(base.path());
        let mut lines = with_two_lines(base.path());
        fail_to_add(&watch, &mut lines);
        lines.tidy().unwrap();
        assert_eq!(count(&lines), 2);
        lines.add(line(4)).unwrap();
        assert_durable(&watch, &lines);
    }

    #[test]
    fn the_next_store_replaces_a_file_whose_sync_failed() {
        let base = tempfile::tempdir().unwrap();
        let watch = Watch::start(base.path());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let closed = runtime.block_on(async {
            let store = AggregateStore::open(base.path()).await.unwrap();
            let mut lines = with_two_lines(base.path());
            fail_to_add(&watch, &mut lines);
            store.shutdown().await
        });
        closed.unwrap();
        failed_syncs::forget(base.path());
        let lines = runtime.block_on(async {
            let store = AggregateStore::open(base.path()).await.unwrap();
            let mut lines = open(base.path());
            lines.add(line(4)).unwrap();
            store.shutdown().await.unwrap();
            lines
        });
        assert_durable(&watch, &lines);
    }
}
