//! How much of a stream was written by other programs and entered into the journal since.
//!
//! A line of ours says itself that it is in the journal. One of another program does not, so
//! `adopted.json` beside the stream's file says up to where they are. It is written after the
//! journal, and again when the journal is replayed.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::disk::{self, File, Open};
use super::line::{split_sum, write_sum};
use super::stream::StreamEnd;
use crate::layout::EVENTS_FILE;

/// The part of a stream's file that ends with the last adopted line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Adopted {
    /// The offset behind the last adopted line.
    pub(crate) end: u64,
    /// Its version.
    pub(crate) version: u64,
    /// Its position in the journal.
    pub(crate) position: u64,
    /// The checksum of the file up to `end`, if it could be read.
    pub(crate) hash: Option<u64>,
}

impl Adopted {
    /// The file in the stream's directory `dir` that says it.
    pub(crate) fn file(dir: &Path) -> PathBuf {
        dir.join("adopted.json")
    }

    /// What is known of the stream in `dir`, `None` if nothing was adopted.
    pub(crate) fn read(dir: &Path) -> io::Result<Option<Self>> {
        let path = Self::file(dir);
        let Some(bytes) = disk::read_if_there(&path)? else {
            return Ok(None);
        };
        if split_sum(&bytes).is_none_or(|(body, sum)| xxh3_64(body) != sum) {
            return Err(disk::damaged(&path, 0, &"the checksum does not match"));
        }
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|cause| disk::damaged(&path, 0, &cause))
    }

    /// Notes that the file in `dir` is adopted up to `end`.
    pub(crate) fn record(dir: &Path, end: u64, version: u64, position: u64) -> io::Result<()> {
        let file = dir.join(EVENTS_FILE);
        let bytes = disk::read(&file).map_err(|e| disk::at("read", &file, &e))?;
        let length = usize::try_from(end).unwrap_or(usize::MAX);
        let hashed = bytes
            .get(..length)
            .ok_or_else(|| disk::damaged(&file, bytes.len() as u64, &"the file is too short"))?;
        let adopted = Self {
            end,
            version,
            position,
            hash: Some(xxh3_64(hashed)),
        };
        let mut json = serde_json::to_vec(&adopted)?;
        json.pop();
        let sum = xxh3_64(&json);
        write_sum(&mut json, sum);
        disk::replace(&Self::file(dir), &json, false)
    }

    /// Has a new file take the place of the one in `dir`, if there is one.
    pub(crate) fn renew(dir: &Path) -> io::Result<()> {
        let path = Self::file(dir);
        match disk::find(&path) {
            Ok(None) => Ok(()),
            Ok(Some(_)) => disk::renew(&path),
            Err(error) => Err(disk::at("find", &path, &error)),
        }
    }

    /// What is adopted, where it could not be noted.
    pub(crate) fn unverified(end: &StreamEnd) -> Self {
        Self {
            end: end.offset,
            version: end.version,
            position: end.position,
            hash: None,
        }
    }

    /// Makes what [`record`](Self::record) wrote durable, if anything was.
    pub(crate) fn sync(dir: &Path) -> io::Result<()> {
        let path = Self::file(dir);
        match File::open(&path, Open::Existing) {
            Ok(file) => file.sync_all().map_err(|e| disk::at("sync", &path, &e)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(disk::at("open", &path, &error)),
        }
    }
}
