//! Where a journal begins whose oldest segments were dropped: [`Beginning`].
//!
//! The record is durable before the first segment is removed. So a segment that is missing without it is
//! damage, and one that is there in spite of it is a leftover. Invariant D14.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::storage::encoding::sealed;
use crate::storage::error::{StorageError, StorageResult};
use crate::storage::files::disk;
use crate::storage::files::journal::end::End;
use crate::storage::files::journal::paths::list_segments;

/// The name of the record in the directory `meta`.
pub(crate) const BEGINNING_FILE: &str = "journal_begins.json";
/// The beginning of the name of the file that says where the streams end there.
const ENDS: &str = "stream_ends.";

/// The content of `meta/journal_begins.json`, or the beginning of a journal that has everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Beginning {
    /// The journal has no event up to this position: 0 if nothing was dropped. Positions have no gaps, so
    /// it is also the number of these events.
    pub(crate) dropped: u64,
    /// The checksum of the line that held the last of them.
    pub(crate) chain: u64,
    /// The time of its commit, in milliseconds since 1970.
    pub(crate) ms: u64,
    /// The checksum of the file that says where the streams end there.
    pub(crate) ends: u64,
}

#[derive(Deserialize)]
struct Content {
    dropped: u64,
    chain: String,
    ms: u64,
    stream_ends: String,
}

impl Beginning {
    /// The beginning of the journal in the directory `journal`.
    pub(crate) fn read(journal: &Path) -> StorageResult<Self> {
        let path = path(journal);
        let Some(bytes) = disk::read_if_there(&path)? else {
            return Ok(Self::default());
        };
        parse(&bytes).ok_or_else(|| {
            let cause = "the record of where the journal begins is not as it was written";
            StorageError::damaged(&path, 0, cause)
        })
    }

    /// Writes the record durably.
    pub(crate) fn write(&self, journal: &Path) -> StorageResult<()> {
        let Self {
            dropped,
            chain,
            ms,
            ends,
        } = self;
        let mut out = Vec::new();
        // Writing to memory cannot fail.
        let _ = write!(
            out,
            "{{\"dropped\":{dropped},\"chain\":\"{chain:016x}\",\"ms\":{ms},\
             \"stream_ends\":\"{ends:016x}\""
        );
        sealed::seal(&mut out, 0, 0);
        disk::replace_durably(&path(journal), &out)
    }

    /// The position of the first event, which is also that of the first segment.
    pub(crate) fn first(&self) -> u64 {
        self.dropped + 1
    }

    /// The place before the first line.
    pub(crate) fn end(&self) -> End {
        End {
            ms: self.ms,
            ..End::of_empty(self.first(), self.chain)
        }
    }
}

/// The segments that a journal has, from its beginning on.
#[derive(Debug, Clone)]
pub(crate) struct Segments {
    pub(crate) beginning: Beginning,
    /// The positions of their first events, in order.
    pub(crate) firsts: Vec<u64>,
}

impl Segments {
    /// Those of the journal in the directory `journal`. Another process may drop segments meanwhile.
    pub(crate) fn of(journal: &Path) -> StorageResult<Self> {
        let mut beginning = Beginning::read(journal)?;
        loop {
            let segments = Self::among(beginning, list_segments(journal)?);
            if segments.firsts.first() == Some(&beginning.first()) {
                return Ok(segments);
            }
            let now = Beginning::read(journal)?;
            if now == beginning {
                return Ok(segments);
            }
            beginning = now;
        }
    }

    /// Those of the listed ones that are not before `beginning`.
    pub(crate) fn among(beginning: Beginning, mut firsts: Vec<u64>) -> Self {
        firsts.retain(|first| *first > beginning.dropped);
        Self { beginning, firsts }
    }
}

fn parse(bytes: &[u8]) -> Option<Beginning> {
    sealed::is_right(bytes, 0).filter(|is_right| *is_right)?;
    let content: Content = serde_json::from_slice(bytes).ok()?;
    let number = |text: &str| u64::from_str_radix(text, 16).ok();
    // A later segment has a position too.
    content.dropped.checked_add(1)?;
    Some(Beginning {
        dropped: content.dropped,
        chain: number(&content.chain)?,
        ms: content.ms,
        ends: number(&content.stream_ends)?,
    })
}

/// The directory `meta` beside the directory `journal`.
pub(crate) fn meta(journal: &Path) -> PathBuf {
    journal.with_file_name("meta")
}

fn path(journal: &Path) -> PathBuf {
    meta(journal).join(BEGINNING_FILE)
}

/// The file that says where the streams end at the position `dropped`.
pub(crate) fn ends_file(journal: &Path, dropped: u64) -> PathBuf {
    meta(journal).join(format!("{ENDS}{dropped:020}"))
}

/// The position that a file called `name` says it for, `None` if it is no such file.
pub(crate) fn of_ends_file(name: &str) -> Option<u64> {
    let digits = name.strip_prefix(ENDS)?;
    let is_number = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_is_read_as_it_was_written_and_damage_in_it_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let journal = dir.path().join("journal");
        assert_eq!(Beginning::read(&journal).unwrap(), Beginning::default());
        std::fs::create_dir(meta(&journal)).unwrap();
        let written = Beginning {
            dropped: 17,
            chain: u64::MAX - 1,
            ms: 18,
            ends: 19,
        };
        written.write(&journal).unwrap();
        assert_eq!(Beginning::read(&journal).unwrap(), written);
        let file = path(&journal);
        let whole = std::fs::read(&file).unwrap();
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            std::fs::write(&file, flipped).unwrap();
            let error = Beginning::read(&journal).unwrap_err();
            assert!(error.to_string().contains(BEGINNING_FILE), "{error}");
        }
    }

    #[test]
    fn only_a_file_named_with_twenty_digits_says_where_streams_end() {
        let file = ends_file(Path::new("journal"), 17);
        let name = file.file_name().unwrap().to_str().unwrap();
        assert_eq!(of_ends_file(name), Some(17));
        for other in [
            "stream_ends",
            "stream_ends.17",
            "stream_ends.0000000000000000001x",
        ] {
            assert_eq!(of_ends_file(other), None, "{other}");
        }
    }
}
