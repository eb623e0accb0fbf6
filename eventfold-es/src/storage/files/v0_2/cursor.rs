//! The cursors of eventfold-es 0.2.0. A cursor states up to which byte of a stream a projection or
//! a process manager had read.

use std::io::{BufRead as _, Read as _};

use crate::ids::StreamId;
use crate::storage::error::StorageResult;
use crate::storage::files::FileStorage;
use crate::storage::files::streams::content::Content;
use crate::storage::files::streams::end::line_hash;
use crate::storage::files::streams::load::line_before;

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
        let Some(content) = Content::open(&stream)? else {
            return Ok((hash.is_none() || offset == 0).then_some(0));
        };
        let mut offset = offset;
        if let Some(hash) = hash.filter(|_| offset > 0) {
            let is_there = |offset| -> StorageResult<bool> {
                let line = line_before(&stream, offset, None)?;
                Ok(line.is_some_and(|line| format!("{:016x}", line_hash(&line)) == hash))
            };
            // It was an offset into the file, before lines were rotated out of it or after that.
            let after = content.base() + offset;
            match (is_there(offset)?, is_there(after)?) {
                (true, is_after) if !is_after || after == offset => {}
                (false, true) => offset = after,
                _ => return Ok(None),
            }
        } else if offset > 0 && content.rotated().is_some() {
            return Ok(None);
        }
        // The lines are only counted here. A load checks them.
        let mut lines = content.lines()?.take(offset);
        let mut version = 0;
        let mut line = Vec::new();
        while lines
            .read_until(b'\n', &mut line)
            .map_err(|error| content.failed(error))?
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
