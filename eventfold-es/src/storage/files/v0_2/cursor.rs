//! The cursors of eventfold-es 0.2.0. A cursor states up to which byte of a stream a projection or
//! a process manager had read.

use std::io::{BufRead as _, BufReader, Read as _};

use crate::ids::StreamId;
use crate::storage::error::{StorageError, StorageResult};
use crate::storage::files::streams::end::line_hash;
use crate::storage::files::streams::load::line_before;
use crate::storage::files::{FileStorage, disk};

impl FileStorage {
    /// The version of the last event of the stream `id` that ends at or before the byte `offset`.
    /// `None` if the line that ends there does not have the hash `hash`.
    pub(crate) fn version_of_cursor(
        &self,
        id: &StreamId,
        offset: u64,
        hash: Option<&str>,
    ) -> StorageResult<Option<u64>> {
        let stream = self.stream(id);
        if let Some(hash) = hash.filter(|_| offset > 0) {
            let line = line_before(&stream, offset, None)?;
            let is_there = line.is_some_and(|line| format!("{:016x}", line_hash(&line)) == hash);
            if !is_there {
                return Ok(None);
            }
        }
        let path = stream.file();
        let Some(file) = disk::open_if_there(&path)? else {
            return Ok(Some(0));
        };
        // The lines are only counted here. A load checks them.
        let mut lines = BufReader::new(file.take(offset));
        let mut version = 0;
        let mut line = Vec::new();
        while lines
            .read_until(b'\n', &mut line)
            .map_err(|error| StorageError::io("read", &path, error))?
            > 0
        {
            if line.len() > 1 && line.ends_with(b"\n") {
                version += 1;
            }
            line.clear();
        }
        Ok(Some(version))
    }
}
