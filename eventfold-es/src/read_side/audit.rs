//! Looks at the checkpoints of projections and process managers, without knowing their types.

use std::io;
use std::path::Path;

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
        if let Some(flaw) = check_checkpoint(&projections.join(name), head)? {
            let rebuilt = format!("{}; the projection is built again", flaw.1);
            let flaw = Flaw::new(&flaw.0, Severity::Harmless, rebuilt);
            audit.flaws.push(flaw.remedy(Remedy::SetAside));
        }
    }
    let managers = audit.layout.process_managers_dir();
    for name in list_dirs(&managers)? {
        let dir = managers.join(name);
        if let Some((file, cause)) = check_checkpoint(&dir, head)? {
            let cause = format!("{cause}; without it its commands would be sent again");
            audit.flaws.push(Flaw::new(&file, Severity::Lost, cause));
        }
        check_dead_letters(audit, &dir.join("dead_letters.jsonl"))?;
    }
    Ok(())
}

/// What is wrong with the checkpoint in `dir`, and with which file.
fn check_checkpoint(dir: &Path, head: u64) -> io::Result<Option<(std::path::PathBuf, String)>> {
    let ours = dir.join("journal_checkpoint.json");
    let file = if ours.exists() {
        ours
    } else {
        dir.join("checkpoint.json")
    };
    Ok(match checkpoint::read::<IgnoredAny>(dir) {
        Ok(Some(checkpoint)) if checkpoint.position > head => {
            let position = checkpoint.position;
            let cause = format!("is at position {position}, the journal ends at {head}");
            Some((file, cause))
        }
        Ok(_) => None,
        Err(Unusable::Damaged(error)) => {
            let text = error.to_string();
            let prefix = format!("{} is ", file.display());
            let cause = text.strip_prefix(&prefix).unwrap_or(&text).to_owned();
            Some((file, cause))
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
