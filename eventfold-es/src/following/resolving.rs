//! Opening a process manager: whether what it saved belongs together, and what became of the commands
//! that were unfinished.

use std::collections::{HashMap, HashSet};
use std::io;
use std::ops::ControlFlow;

use crate::domain::process_manager::ProcessManager;
use crate::following::again::Again;
use crate::following::dead_letters::DeadLetters;
use crate::following::history;
use crate::following::history::{acted_on_behind, source_of};
use crate::following::pending::Pending;
use crate::storage::Storage;
use crate::storage::error::StorageResult;
use crate::storage::record::Records;
use crate::storage::record_name::RecordName;

/// Why the state at `position` is older than the last saved one: the journal, or the dead letters,
/// have a command that comes from a later event. `None` if nothing shows that. Invariant F9.
pub(super) fn rolled_back<M: ProcessManager>(
    storage: &Storage,
    position: u64,
    letters: &DeadLetters,
) -> io::Result<Option<String>> {
    let reader = storage.reader(position);
    let in_journal = acted_on_behind(M::NAME, position, reader, storage.head())?;
    let keys = letters.keys()?;
    let given_up = keys.iter().filter_map(|key| source_of(M::NAME, key));
    let newest = in_journal.into_iter().chain(given_up).max();
    let newest = newest.filter(|newest| *newest > position);
    Ok(newest.map(|newest| history::rolled_back(position, newest)))
}

/// The error of a process manager whose dead letters do not belong to its checkpoint.
pub(super) fn letters_of_another_time<M: ProcessManager>(
    records: &Records,
    cause: &str,
) -> io::Error {
    let text = format!(
        "the dead letters of process manager `{}` in {} {cause}; restore both from the same backup",
        M::NAME,
        records.place(RecordName::DeadLetters)
    );
    io::Error::new(io::ErrorKind::InvalidData, text)
}

/// The error of a process manager whose checkpoint does not belong to the journal's history.
pub(super) fn of_another_time<M: ProcessManager>(records: &Records, cause: &str) -> io::Error {
    let text = format!(
        "the checkpoint of process manager `{}` in {} {cause}; restore it and the journal from \
         the same backup",
        M::NAME,
        records.all()
    );
    io::Error::new(io::ErrorKind::InvalidData, text)
}

/// Removes the dead letters whose commands took effect later, in a replay.
pub(super) fn remove_effective(again: &Again, letters: &mut DeadLetters) -> io::Result<()> {
    if again.until() == 0 {
        return Ok(());
    }
    let mut all = letters.list()?;
    all.retain(|letter| again.has(&letter.command));
    let ids: HashSet<&str> = all.iter().map(|letter| letter.id.as_str()).collect();
    if !ids.is_empty() {
        letters.remove(&ids)?;
    }
    Ok(())
}

/// Finds the outcome of the commands that were unfinished when the program ended. Invariant F2.
pub(super) fn resolve(
    storage: &Storage,
    pending: &mut Pending,
    letters: &mut DeadLetters,
) -> io::Result<()> {
    let Some((after, keys)) = pending.in_doubt() else {
        return Ok(());
    };
    let keys: HashMap<(&str, &str), _> = keys
        .iter()
        .map(|((aggregate_type, id), keys)| ((aggregate_type.as_str(), id.as_str()), keys))
        .collect();
    let mut effective = HashSet::new();
    storage.reader(after).read_to(storage.head(), |committed| {
        if let Some(keys) = keys.get(&(committed.aggregate_type(), committed.id())) {
            committed.keys(|key| effective.extend(keys.get(key).into_iter().flatten()));
        }
        StorageResult::Ok(ControlFlow::Continue(()))
    })?;
    let numbers = pending.letter_ids();
    let ids = letters.ids()?;
    // A command in both files is a dead letter, unless it took effect in a replay.
    let in_both = || ids.iter().filter_map(|id| Some((id, *numbers.get(id)?)));
    let took_effect = in_both().filter(|(_, number)| effective.contains(number));
    let took_effect: HashSet<&str> = took_effect.map(|(id, _)| id.as_str()).collect();
    if !took_effect.is_empty() {
        letters.remove(&took_effect)?;
    }
    for (_, number) in in_both() {
        pending.done(number);
    }
    for number in effective {
        pending.done(number);
    }
    Ok(())
}
