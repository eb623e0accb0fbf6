//! The checkpoint: the redo point, up to which the streams' files are known to be durable. Opening
//! a store replays the journal only from there on.

use std::io::Write as _;
use std::path::Path;

use serde::Deserialize;

use crate::storage::encoding::sealed;
use crate::storage::error::StorageResult;
use crate::storage::files::disk;
use crate::storage::files::journal::end::End;
use crate::storage::files::journal::paths;
use crate::text::shown;

/// The content of `journal/checkpoint.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RedoPoint {
    pub(crate) end: End,
    /// The store was closed in order, so the journal also ends here.
    pub(crate) clean: bool,
}

#[derive(Deserialize)]
struct Content {
    segment: u64,
    offset: u64,
    chain: String,
    position: u64,
    ms: u64,
    clean: bool,
}

impl RedoPoint {
    /// Reads the checkpoint of the journal in `dir`. `None` if there is none or it is damaged; then
    /// the whole journal is replayed.
    pub(crate) fn read(dir: &Path) -> StorageResult<Option<Self>> {
        let bytes = match disk::read_if_there(&paths::checkpoint(dir))? {
            // The checkpoint may have been renamed to the note of a failed sync.
            None => {
                disk::read_if_there(&paths::sync_failed(dir))?.filter(|bytes| !bytes.is_empty())
            }
            bytes => bytes,
        };
        let Some(bytes) = bytes else {
            return Ok(None);
        };
        let checkpoint = parse(&bytes);
        if checkpoint.is_none() {
            tracing::warn!(file = %shown(&paths::checkpoint(dir)), "the checkpoint is damaged; the whole journal is replayed");
        }
        Ok(checkpoint)
    }

    /// Writes the checkpoint of the journal in `dir`, durably.
    pub(crate) fn write(&self, dir: &Path) -> StorageResult<()> {
        let mut out = b"{".to_vec();
        self.end.write_members(&mut out);
        let _ = write!(out, ",\"clean\":{}", self.clean);
        sealed::seal(&mut out, 0, 0);
        disk::replace_durably(&paths::checkpoint(dir), &out)
    }
}

fn parse(bytes: &[u8]) -> Option<RedoPoint> {
    sealed::is_right(bytes, 0).filter(|is_right| *is_right)?;
    let content: Content = serde_json::from_slice(bytes).ok()?;
    Some(RedoPoint {
        end: End {
            segment: content.segment,
            offset: content.offset,
            chain: u64::from_str_radix(&content.chain, 16).ok()?,
            position: content.position,
            ms: content.ms,
        },
        clean: content.clean,
    })
}
