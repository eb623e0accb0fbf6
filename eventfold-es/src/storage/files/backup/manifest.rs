//! What a backup states about itself: [`Manifest`], the file `backup/manifest.json`.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::storage::encoding::sealed;
use crate::storage::error::{StorageError, StorageErrorKind, StorageResult};
use crate::storage::files::disk;
use crate::storage::files::format::commit_line::Identity;
use crate::storage::files::journal::end::End;

/// The version of the form of a backup.
const FORM: u64 = 1;

/// The directory in a backup that has what is not part of a store.
pub(crate) const DIR: &str = "backup";

/// What a backup has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Manifest {
    /// Up to where it has the journal. What is behind that place is not part of it.
    pub(crate) end: End,
    /// The identity of the store that it was taken of; `None` if that had no events yet.
    pub(crate) identity: Option<Identity>,
    /// When it was taken, in milliseconds since 1970.
    pub(crate) taken_ms: u64,
    pub(crate) stage: Stage,
}

/// How far the directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The first backup into the directory is not finished.
    Begun,
    /// A store is being restored into the directory.
    Restoring,
    Finished,
}

impl Stage {
    fn name(self) -> &'static str {
        match self {
            Self::Begun => "begun",
            Self::Restoring => "restoring",
            Self::Finished => "finished",
        }
    }
}

#[derive(Deserialize)]
struct Content {
    backup: u64,
    stage: String,
    directory: Option<String>,
    timeline: Option<String>,
    segment: u64,
    offset: u64,
    chain: String,
    position: u64,
    ms: u64,
    taken: u64,
}

/// The directory in the backup `base` that has what is not part of a store.
pub(crate) fn dir(base: &Path) -> PathBuf {
    base.join(DIR)
}

pub(crate) fn path(base: &Path) -> PathBuf {
    dir(base).join("manifest.json")
}

impl Manifest {
    /// Of a directory that has nothing yet.
    pub(crate) fn begun(identity: Option<Identity>, stage: Stage) -> Self {
        Self {
            end: End::of_empty(1, 0),
            identity,
            taken_ms: 0,
            stage,
        }
    }

    /// The manifest of the directory `base`, `None` if the directory is no backup.
    pub(crate) fn read(base: &Path) -> StorageResult<Option<Self>> {
        let path = path(base);
        let Some(bytes) = disk::read_if_there(&path)? else {
            return Ok(None);
        };
        let damaged = |cause: String| StorageError::file(StorageErrorKind::Damaged, &path, cause);
        if sealed::is_right(&bytes, 0) != Some(true) {
            return Err(damaged(
                "is damaged: the checksum does not match".to_owned(),
            ));
        }
        let read: Content = serde_json::from_slice(&bytes)
            .map_err(|error| damaged(format!("is damaged: {error}")))?;
        if read.backup != FORM {
            let cause = format!(
                "was written by a newer version: its form is {}, and this version reads {FORM}",
                read.backup
            );
            return Err(StorageError::file(
                StorageErrorKind::Unsupported,
                &path,
                cause,
            ));
        }
        let hex = |text: &str| {
            u128::from_str_radix(text, 16)
                .map_err(|error| damaged(format!("is damaged: {text:?}: {error}")))
        };
        let identity = match (&read.directory, &read.timeline) {
            (Some(directory), Some(timeline)) => Some(Identity {
                directory: hex(directory)?,
                timeline: hex(timeline)?,
            }),
            _ => None,
        };
        let stages = [Stage::Begun, Stage::Restoring, Stage::Finished];
        let stage = stages.into_iter().find(|stage| stage.name() == read.stage);
        let stage = stage.ok_or_else(|| damaged(format!("has an unknown stage {:?}", read.stage)));
        let chain = u64::from_str_radix(&read.chain, 16)
            .map_err(|error| damaged(format!("is damaged: {error}")))?;
        Ok(Some(Self {
            end: End {
                segment: read.segment,
                offset: read.offset,
                chain,
                position: read.position,
                ms: read.ms,
            },
            identity,
            taken_ms: read.taken,
            stage: stage?,
        }))
    }

    /// Replaces the manifest of the directory `base`, durably. Everything that it states must be
    /// durable by then. Invariant B1.
    pub(crate) fn write(&self, base: &Path) -> StorageResult<()> {
        let mut out = Vec::new();
        let _ = write!(
            out,
            "{{\"backup\":{FORM},\"stage\":\"{}\"",
            self.stage.name()
        );
        if let Some(Identity {
            directory,
            timeline,
        }) = self.identity
        {
            let _ = write!(
                out,
                ",\"directory\":\"{directory:032x}\",\"timeline\":\"{timeline:032x}\""
            );
        }
        out.push(b',');
        self.end.write_members(&mut out);
        let _ = write!(out, ",\"taken\":{}", self.taken_ms);
        sealed::seal(&mut out, 0, 0);
        disk::create_private_dir(&dir(base))?;
        disk::replace_durably(&path(base), &out)
    }
}
