//! Checks the checkpoints of projections and process managers, without knowing their types.

use std::path::PathBuf;

use serde::de::IgnoredAny;

use crate::following::again;
use crate::following::checkpoint;
use crate::following::checkpoint::{Checkpoint, Unusable, another_history};
use crate::following::history::{
    acted_on_behind, answered, answered_already, rolled_back, source_of,
};
use crate::following::{dead_letters, skipped};
use crate::report::Severity;
use crate::storage::error::{StorageErrorKind, StorageResult};
use crate::storage::files::check::audit::findings::{Audit, Flaw, Remedy};
use crate::storage::files::layout::list_dirs;
use crate::storage::files::records::FileRecords;
use crate::storage::log::LogReader;
use crate::storage::record::Records;
use crate::storage::record_name::RecordName;

/// Adds the faults of the checkpoints to `audit`.
pub(crate) fn check(audit: &mut Audit) -> StorageResult<()> {
    if audit.is_cut_short {
        return Ok(());
    }
    let projections = audit.layout.projections_dir();
    for name in list_dirs(&projections)? {
        let records = FileRecords::new(projections.join(name));
        check_skipped(audit, &records)?;
        for (file, cause) in check_checkpoints(audit, &records, None)? {
            let dropped = audit.beginning.dropped;
            let flaw = if dropped > 0 {
                let cause = format!(
                    "{cause}; the projection cannot be built again, because the journal begins after position \
                     {dropped}: restore it from a copy"
                );
                Flaw::new(&file, Severity::Lost, cause)
            } else {
                let rebuilt = format!("{cause}; the projection is built again");
                Flaw::new(&file, Severity::Harmless, rebuilt).remedy(Remedy::SetAside)
            };
            audit.flaws.push(flaw);
        }
    }
    let managers = audit.layout.process_managers_dir();
    for name in list_dirs(&managers)? {
        let records = FileRecords::new(managers.join(&name));
        for (file, cause) in check_checkpoints(audit, &records, Some(&name))? {
            let cause = format!(
                "{cause}; without its checkpoint, the process manager would send \
                 its commands again"
            );
            audit.flaws.push(Flaw::new(&file, Severity::Lost, cause));
        }
        check_skipped(audit, &records)?;
        check_dead_letters(audit, &records)?;
    }
    Ok(())
}

/// The checkpoint files among `records` that have a fault, with the fault. A checkpoint of 0.2.0
/// does not matter if there is one of ours. `manager` is the process manager's name.
fn check_checkpoints(
    audit: &Audit,
    records: &FileRecords,
    manager: Option<&str>,
) -> StorageResult<Vec<(PathBuf, String)>> {
    let names = records.names()?;
    let mut found = Vec::new();
    for name in names.iter().copied() {
        let is_checked = match name {
            RecordName::Checkpoint(_) => true,
            RecordName::OldCheckpoint => !names.contains(&RecordName::Checkpoint(1)),
            RecordName::Skipped(_) | RecordName::DeadLetters | RecordName::Restored => false,
        };
        if is_checked {
            let cause = check_checkpoint(audit, records, name, manager)?;
            found.extend(cause.map(|cause| (records.path(name), cause)));
        }
    }
    Ok(found)
}

/// The fault of the checkpoint in the record `name`.
fn check_checkpoint(
    audit: &Audit,
    records: &FileRecords,
    name: RecordName,
    manager: Option<&str>,
) -> StorageResult<Option<String>> {
    let head = audit.head();
    let read = Records::Files(records.clone());
    Ok(match checkpoint::read_record::<IgnoredAny>(&read, name) {
        Ok(Some(checkpoint)) if checkpoint.position > head => {
            let position = checkpoint.position;
            Some(format!(
                "is at position {position}, but the journal ends at position {head}"
            ))
        }
        Ok(Some(Checkpoint { position, .. })) if position < audit.beginning.dropped => {
            let dropped = audit.beginning.dropped;
            Some(format!(
                "is at position {position}, but the journal begins after position {dropped}"
            ))
        }
        Ok(Some(checkpoint)) => compare(audit, &checkpoint, manager)?,
        Ok(None) => None,
        Err(Unusable::Damaged(error)) => Some(format!("is damaged: {}", error.cause())),
        Err(error) => return Err(error.into_error()),
    })
}

/// Why `checkpoint` does not belong to the journal's history. `None` if it does, or if the journal
/// cannot show it.
fn compare(
    audit: &Audit,
    checkpoint: &Checkpoint<IgnoredAny>,
    manager: Option<&str>,
) -> StorageResult<Option<String>> {
    let position = checkpoint.position;
    let Some(mut reader) = audit.reader() else {
        return Ok(None);
    };
    if let Some(chain) = checkpoint.chain
        && reader.chain_at(position)? != chain
    {
        return Ok(Some(another_history(position)));
    }
    let Some(manager) = manager.filter(|_| checkpoint.cursors.is_none()) else {
        return Ok(None);
    };
    let records = FileRecords::new(audit.layout.process_managers_dir().join(manager));
    let restored = match again::note(&Records::Files(records.clone())) {
        Ok(restored) => restored,
        Err(error) if error.kind() == StorageErrorKind::Damaged => {
            return Ok(Some(error.to_string()));
        }
        Err(error) => return Err(error),
    };
    // In a restored store it continues from an older checkpoint. Invariant B4.
    let position = position.max(restored.map_or(0, |restored| restored.until));
    let reader_at = |_| audit.reader().map(LogReader::Files);
    let in_journal = acted_on_behind(manager, position, LogReader::Files(reader), audit.head())?;
    let saved = &checkpoint.pending;
    let answered = answered(manager, saved, reader_at, audit.head())?;
    if let Some(number) = answered.first().filter(|_| restored.is_none()) {
        return Ok(Some(answered_already(*number)));
    }
    let letters = records.read(RecordName::DeadLetters)?;
    let keys = dead_letters::audit(&letters.unwrap_or_default(), None).keys;
    let given_up = keys.iter().filter_map(|key| source_of(manager, key));
    let newest = in_journal.into_iter().chain(given_up).max();
    let newest = newest.filter(|newest| *newest > position);
    Ok(newest.map(|newest| rolled_back(position, newest)))
}

/// Checks the dead letters as opening does. The checkpoint shows which lines may be unfinished.
fn check_dead_letters(audit: &mut Audit, records: &FileRecords) -> StorageResult<()> {
    let read = Records::Files(records.clone());
    let pending = match checkpoint::read::<IgnoredAny>(&read, 1) {
        Ok(checkpoint) => checkpoint.map(|read| read.pending),
        Err(Unusable::Storage(error)) => return Err(error),
        // With such a checkpoint the process manager is stopped, and its dead letters are not
        // changed.
        Err(Unusable::Damaged(..) | Unusable::Unfit(..)) => None,
    };
    let file = records.path(RecordName::DeadLetters);
    let content = records.read(RecordName::DeadLetters)?;
    let flaws = dead_letters::audit(&content.unwrap_or_default(), pending.as_ref());
    if let Some(cause) = flaws.misfit {
        audit.flaws.push(Flaw::new(&file, Severity::Lost, cause));
    } else if let Some(cause) = flaws.lost {
        audit
            .flaws
            .push(Flaw::new(&file, Severity::Harmless, cause));
    }
    for (offset, cause) in flaws.damaged {
        let cause = format!("a dead letter cannot be read: {cause}");
        let flaw = Flaw::new(&file, Severity::Lost, cause);
        audit.flaws.push(flaw.at(offset));
    }
    if let Some(offset) = flaws.unfinished {
        let cause = "the last dead letter is unfinished; opening the store cuts it off";
        let flaw = Flaw::new(&file, Severity::Harmless, cause);
        audit.flaws.push(flaw.at(offset));
    }
    Ok(())
}

/// Checks the records of skipped events. Damage in them is reported as harmless.
fn check_skipped(audit: &mut Audit, records: &FileRecords) -> StorageResult<()> {
    for name in records.names()? {
        if matches!(name, RecordName::Skipped(_)) {
            let content = records.read(name)?.unwrap_or_default();
            for (offset, cause) in skipped::flaws(&content) {
                let cause = format!("the record of a skipped event cannot be read: {cause}");
                let flaw = Flaw::new(&records.path(name), Severity::Harmless, cause);
                audit.flaws.push(flaw.at(offset));
            }
        }
    }
    Ok(())
}
