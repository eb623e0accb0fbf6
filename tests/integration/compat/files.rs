//! What the tests do to the files of a store.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::files::content;
pub(crate) use crate::support::files::{copy_into as copy, segments};

pub(crate) use super::published::tools::wait_until_released;

/// All files below `dir` of that name.
pub(crate) fn find(dir: &Path, name: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(find(&path, name));
        } else if path.ends_with(name) {
            found.push(path);
        }
    }
    found
}

/// The commits of the journal, in order.
pub(crate) fn commits(base: &Path) -> Vec<Value> {
    let mut commits = Vec::new();
    for segment in segments(base) {
        let bytes = content(&segment);
        let lines = bytes.split(|byte| *byte == b'\n' || *byte == 0);
        let lines = lines.filter(|line| !line.is_empty()).skip(1);
        commits.extend(lines.map(|line| serde_json::from_slice::<Value>(line).unwrap()));
    }
    commits
}

/// How the rest of the journal looks like after a crash.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Rest {
    /// Not written yet, the file was made larger before.
    Zeros,
    /// The file ends.
    Nothing,
    /// The next line was half written.
    HalfALine,
}

/// Leaves only the first `lines` lines, header included, of the journal's first segment, and nothing of
/// what is written once a migration is through.
pub(crate) fn interrupt_migration(base: &Path, lines: usize, rest: Rest) {
    fs::remove_file(base.join("journal/checkpoint.json")).unwrap();
    fs::remove_file(base.join("meta/taken_over")).unwrap();
    let mut all = segments(base).into_iter();
    let segment = all.next().unwrap();
    for later in all {
        fs::remove_file(later).unwrap();
    }
    let mut bytes = content(&segment);
    fs::remove_file(&segment).unwrap();
    // It is the newest one now, which is never compressed.
    let is_compressed = segment.extension().is_some_and(|last| last == "zst");
    let plain = if is_compressed {
        segment.with_extension("")
    } else {
        segment
    };
    let whole = bytes.split_inclusive(|byte| *byte == b'\n');
    let keep: usize = whole.take(lines).map(<[u8]>::len).sum();
    match rest {
        Rest::Zeros => bytes[keep..].fill(0),
        Rest::Nothing => bytes.truncate(keep),
        Rest::HalfALine => {
            let next = bytes[keep..].iter().position(|byte| *byte == b'\n');
            bytes.truncate(keep + next.unwrap_or(0) / 2);
        }
    }
    fs::write(plain, bytes).unwrap();
}
