//! Looks at the checkpoints of projections and process managers, without knowing their types.

use std::io;
use std::path::{Path, PathBuf};

use serde::de::IgnoredAny;

use super::checkpoint::{self, Unusable};
use crate::engine::audit::{Audit, Flaw, Remedy};
use crate::engine::disk;
use crate::layout::list_dirs;
use crate::report::Severity;

/// Adds what is wrong with the checkpoints to `audit`.
pub(crate) fn check(audit: &mut Audit) -> io::Result<()> {
    let head = audit.head();
    let projections = audit.layout.projections_dir();
    for name in list_dirs(&projections)? {
        for (file, cause) in check_checkpoints(&projections.join(name), head)? {
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
        check_dead_letters(audit, &dir.join("dead_letters.jsonl"))?;
    }
    Ok(())
}

/// The files in `dir` that are checkpoints and have something wrong with them, and what. One of
/// 0.2.0 does not matter any more beside one of ours.
fn check_checkpoints(dir: &Path, head: u64) -> io::Result<Vec<(PathBuf, String)>> {
    let ours = dir.join("journal_checkpoint.json").exists();
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(|e| disk::at("read", dir, &e))? {
        let file = entry.map_err(|e| disk::at("read", dir, &e))?.path();
        let name = file.file_name().and_then(|name| name.to_str());
        let is_old = name == Some("checkpoint.json");
        if name.is_some_and(checkpoint::is_one) && !(is_old && ours) {
            found.extend(check_checkpoint(&file, head)?.map(|cause| (file, cause)));
        }
    }
    found.sort();
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
            let prefix = format!("{} is ", file.display());
            Some(text.strip_prefix(&prefix).unwrap_or(&text).to_owned())
        }
        Err(Unusable::Io(error)) => return Err(error),
    })
}

fn check_dead_letters(audit: &mut Audit, file: &Path) -> io::Result<()> {
    let letters = disk::read_if_there(file)?.unwrap_or_default();
    let mut offset = 0;
    for line in letters.split_inclusive(|byte| *byte == b'\n') {
        let is_whole = line.ends_with(b"\n") && serde_json::from_slice::<IgnoredAny>(line).is_ok();
        if !is_whole {
            let cause = "the dead letter cannot be read";
            let flaw = Flaw::new(file, Severity::Harmless, cause);
            audit.flaws.push(flaw.at(offset));
        }
        offset += line.len() as u64;
    }
    Ok(())
}
