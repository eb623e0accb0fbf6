//! The checkpoint: up to where the streams' files are known to be durable, so that opening a store
//! replays the journal from there on only.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use xxhash_rust::xxh3::xxh3_64;

use super::adopted::Adopted;
use super::disk::{self, File, Open, OpenDir};
use super::journal::End;
use super::line::{split_sum, write_sum};
use crate::layout::EVENTS_FILE;

/// Beyond this many files, one call that syncs the file system is cheaper than one for each.
const FEW: usize = 64;

/// What `journal/checkpoint.json` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    pub(crate) end: End,
    /// The store was closed in order, so the journal ends here too.
    pub(crate) clean: bool,
}

#[derive(Deserialize)]
struct Content {
    segment: u64,
    offset: u64,
    chain: String,
    position: u64,
    clean: bool,
}

fn path(journal: &Path) -> PathBuf {
    journal.join("checkpoint.json")
}

impl Checkpoint {
    /// Reads the checkpoint of the journal in `dir`, `None` if there is none or it is damaged, in
    /// which case the whole journal is replayed.
    pub(crate) fn read(dir: &Path) -> io::Result<Option<Self>> {
        let Some(bytes) = disk::read_if_there(&path(dir))? else {
            return Ok(None);
        };
        let checkpoint = parse(&bytes);
        if checkpoint.is_none() {
            tracing::warn!(file = %path(dir).display(), "the checkpoint is damaged; the whole journal is replayed");
        }
        Ok(checkpoint)
    }

    /// Writes the checkpoint of the journal in `dir`, durably.
    pub(crate) fn write(&self, dir: &Path) -> io::Result<()> {
        let mut out = Vec::new();
        let End {
            segment,
            offset,
            chain,
            position,
        } = self.end;
        write!(
            out,
            "{{\"segment\":{segment},\"offset\":{offset},\"chain\":\"{chain:016x}\",\"position\":{position},\"clean\":{}",
            self.clean
        )?;
        let sum = xxh3_64(&out);
        write_sum(&mut out, sum);
        disk::replace_durably(&path(dir), &out)
    }
}

fn parse(bytes: &[u8]) -> Option<Checkpoint> {
    let (body, sum) = split_sum(bytes)?;
    if xxh3_64(body) != sum {
        return None;
    }
    let content: Content = serde_json::from_slice(bytes).ok()?;
    Some(Checkpoint {
        end: End {
            segment: content.segment,
            offset: content.offset,
            chain: u64::from_str_radix(&content.chain, 16).ok()?,
            position: content.position,
        },
        clean: content.clean,
    })
}

/// Makes the files of the streams in `dirs` durable.
pub(crate) fn sync_streams(base: &OpenDir, dirs: &[&Path]) -> io::Result<()> {
    if dirs.len() > FEW
        && let Some(synced) = disk::sync_file_system(base)
    {
        return synced;
    }
    let mut parents: Vec<&Path> = Vec::new();
    for dir in dirs.iter().copied() {
        let file = dir.join(EVENTS_FILE);
        File::open(&file, Open::Existing)
            .and_then(|file| file.sync_all())
            .map_err(|e| disk::at("sync", &file, &e))?;
        Adopted::sync(dir)?;
        disk::sync_dir(dir)?;
        // The directories that a new stream added an entry to.
        parents.extend(
            dir.ancestors()
                .skip(1)
                .take_while(|above| above.starts_with(&base.path)),
        );
    }
    parents.sort_unstable();
    parents.dedup();
    parents.into_iter().try_for_each(disk::sync_dir)
}
