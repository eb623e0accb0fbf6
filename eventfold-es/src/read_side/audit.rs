//! Looks at the checkpoints of projections and process managers, without knowing their types.

use std::io;
use std::path::{Path, PathBuf};

use serde::de::IgnoredAny;

use super::checkpoint::{self, Unusable};
use super::{dead_letters, skipped};
use crate::engine::audit::{Audit, Flaw, Remedy};
use crate::engine::disk;
use crate::layout::list_dirs;
use crate::report::Severity;
use crate::text::shown;

/// Adds what is wrong with the checkpoints to `audit`.
pub(crate) fn check(audit: &mut Audit) -> io::Result<()> {
    let head = audit.head();
    let projections = audit.layout.projections_dir();
    for name in list_dirs(&projections)? {
        let dir = projections.join(name);
        check_skipped(audit, &dir)?;
        for (file, cause) in check_checkpoints(&dir, head)? {
            let rebuilt = format!("{cause}; the projection is built again");
            let flaw = Flaw::new(&file, Severity::Harmless, rebuilt);
            audit.flaws.push(flaw.remedy(Remedy::SetAside));
        }
    }
    let managers = audit.layout.process_managers_dir();
    for name in list_dirs(&managers)? {
        let dir = managers.join(name);
        for (file, cause) in check_checkpoints(&dir, head)? {
            let cause = format!("{cause}; without it its commands would be sent again");
            audit.flaws.push(Flaw::new(&file, Severity::Lost, cause));
        }
        check_skipped(audit, &dir)?;
        check_dead_letters(audit, &dir)?;
    }
    Ok(())
}

/// The files in `dir` that are checkpoints and have something wrong with them, and what. One of
/// 0.2.0 does not matter any more beside one of ours.
fn check_checkpoints(dir: &Path, head: u64) -> io::Result<Vec<(PathBuf, String)>> {
    let ours = disk::is_there(&dir.join("journal_checkpoint.json"));
    let mut found = Vec::new();
    for file in files(dir)? {
        let name = file.file_name().and_then(|name| name.to_str());
        let is_old = name == Some("checkpoint.json");
        if name.is_some_and(checkpoint::is_one) && !(is_old && ours) {
            found.extend(check_checkpoint(&file, head)?.map(|cause| (file, cause)));
        }
    }
    Ok(found)
}

/// What is wrong with the checkpoint in `file`.
fn check_checkpoint(file: &Path, head: u64) -> io::Result<Option<String>> {
    Ok(match checkpoint::read_file::<IgnoredAny>(file) {
        Ok(Some(checkpoint)) if checkpoint.position > head => {
            let position = checkpoint.position;
            Some(format!(
                "is at position {position}, the journal ends at {head}"
            ))
        }
        Ok(_) => None,
        Err(Unusable::Damaged(error)) => {
            let text = error.to_string();
            let prefix = format!("{} is ", shown(file));
            Some(text.strip_prefix(&prefix).unwrap_or(&text).to_owned())
        }
        Err(error) => return Err(error.into_io()),
    })
}

/// Whether a file of that name may be one of a projection's or a process manager's.
pub(crate) fn is_file(name: &str) -> bool {
    checkpoint::is_one(name) || skipped::is_one(name)
}

/// Looks at the dead letters in `dir` as opening does, which knows from the checkpoint what may be
/// unfinished.
fn check_dead_letters(audit: &mut Audit, dir: &Path) -> io::Result<()> {
    let settled = match checkpoint::read::<IgnoredAny>(dir, 1) {
        Ok(checkpoint) => checkpoint.and_then(|read| read.pending.settled_letters()),
        Err(Unusable::Io(error)) => return Err(error),
        // With such a checkpoint the process manager is stopped, and its dead letters are left alone.
        Err(Unusable::Damaged(_) | Unusable::Unfit(..)) => None,
    };
    let file = dead_letters::file(dir);
    let flaws = dead_letters::audit(dir, settled)?;
    for (offset, cause) in flaws.damaged {
        let cause = format!("a dead letter cannot be read: {cause}");
        let flaw = Flaw::new(&file, Severity::Lost, cause);
        audit.flaws.push(flaw.at(offset));
    }
    if let Some(offset) = flaws.unfinished {
        let cause =
            "the last dead letter was not written to its end; opening the store cuts it off";
        let flaw = Flaw::new(&file, Severity::Harmless, cause);
        audit.flaws.push(flaw.at(offset));
    }
    Ok(())
}

/// Looks at the records of skipped events in `dir`. Nothing depends on them but what is shown.
fn check_skipped(audit: &mut Audit, dir: &Path) -> io::Result<()> {
    for file in files(dir)? {
        let name = file.file_name().and_then(|name| name.to_str());
        if name.is_some_and(skipped::is_one) {
            for (offset, cause) in skipped::flaws(&file)? {
                let cause = format!("the record of a skipped event cannot be read: {cause}");
                let flaw = Flaw::new(&file, Severity::Harmless, cause);
                audit.flaws.push(flaw.at(offset));
            }
        }
    }
    Ok(())
}

/// The files in `dir`, sorted.
fn files(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = disk::list(dir)?;
    let mut files: Vec<PathBuf> = entries.iter().map(|entry| dir.join(&entry.name)).collect();
    files.sort();
    Ok(files)
}
