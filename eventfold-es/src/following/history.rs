//! Whether the files of a follower belong to the history in the journal.
//!
//! The parts of a directory may come from different backups. Each line of the journal has a checksum
//! that is chained to all lines before it. A follower saves the checksum of the line at its position, and
//! its file is trusted only if the journal has the same checksum there (invariant F9).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::ControlFlow;

use crate::following::outgoing::Saved;
use crate::storage::Storage;
use crate::storage::error::StorageResult;
use crate::storage::log::LogReader;

/// The checksums of the journal's lines that hold `positions`, as far as the journal has these
/// positions. What was dropped from the journal is not there.
pub(crate) fn chains(
    storage: &Storage,
    positions: &BTreeSet<u64>,
) -> StorageResult<BTreeMap<u64, u64>> {
    let mut reader = storage.reader(0);
    let there = storage.dropped().max(1)..=storage.ask_head()?;
    let held = positions
        .iter()
        .filter(|position| there.contains(*position));
    held.map(|position| Ok((*position, reader.history_at(*position)?)))
        .collect()
}

/// The newest position after `after` from which the process manager `name` has sent a command with
/// an effect in the journal, up to the durable `head`. `reader` is at `after`.
///
/// A command is sent only when the position that it comes from is saved. So if there is such a
/// position, the checkpoint on disk is older than the last saved one.
pub(crate) fn acted_on_behind(
    name: &str,
    after: u64,
    mut reader: LogReader,
    head: u64,
) -> StorageResult<Option<u64>> {
    let mut newest = None;
    reader.read_to(head, |committed| {
        committed.keys(|key| {
            let position = source_of(name, key);
            newest = newest.max(position.filter(|position| *position > after));
        });
        StorageResult::Ok(ControlFlow::Continue(()))
    })?;
    Ok(newest)
}

/// The error text for a checkpoint at `position` whose process manager has acted on `newest`.
pub(crate) fn rolled_back(position: u64, newest: u64) -> String {
    format!(
        "is at position {position}, but the journal or the dead letters have a command from \
         position {newest}: the process manager would send commands again"
    )
}

/// The numbers of those commands in `saved` that show that it is older than the last saved one: the
/// failure of the command was answered, and the answer has an effect in the journal, up to the durable
/// `head`. `reader` makes a reader that is at a position or before it.
pub(crate) fn answered(
    name: &str,
    saved: &Saved,
    reader: impl FnOnce(u64) -> Option<LogReader>,
    head: u64,
) -> StorageResult<BTreeSet<u64>> {
    let mut answered = BTreeSet::new();
    let Some(since) = saved.outgoing.iter().map(|outgoing| outgoing.since).min() else {
        return Ok(answered);
    };
    let Some(mut reader) = reader(since.min(head)) else {
        return Ok(answered);
    };
    let numbers: BTreeSet<u64> = saved.outgoing.iter().map(|o| o.number).collect();
    let mut or_send = HashMap::new();
    for outgoing in &saved.outgoing {
        for command in &outgoing.or_send {
            let key = command.context.idempotency_key.as_deref();
            for (kind, id) in command.streams() {
                or_send.insert((kind, id, key.unwrap_or_default()), outgoing.number);
            }
        }
    }
    reader.read_to(head, |committed| {
        if committed.last() <= since {
            return StorageResult::Ok(ControlFlow::Continue(()));
        }
        let (kind, id) = (committed.aggregate_type(), committed.id());
        committed.keys(|key| {
            let number = or_send.get(&(kind, id, key)).copied();
            let number = number.or_else(|| answer_to(name, key));
            answered.extend(number.filter(|number| numbers.contains(number)));
        });
        StorageResult::Ok(ControlFlow::Continue(()))
    })?;
    Ok(answered)
}

/// The error text for a checkpoint with the command `number`, whose failure was answered.
pub(crate) fn answered_already(number: u64) -> String {
    format!(
        "has command {number} to send, but the journal shows that its failure was answered: it would \
         send commands again"
    )
}

/// The number of the failed command that a command with this idempotency key answers, if it is such a
/// command of the process manager `name`.
fn answer_to(name: &str, key: &str) -> Option<u64> {
    let mut parts = key.strip_prefix(name)?.strip_prefix('/')?.split('/');
    let _position: u64 = parts.next()?.parse().ok()?;
    parts.next()?.strip_prefix('f')?.parse().ok()
}

/// The position of the event that a command with this idempotency key comes from, if it is a
/// command of the process manager `name`.
pub(crate) fn source_of(name: &str, key: &str) -> Option<u64> {
    let rest = key.strip_prefix(name)?.strip_prefix('/')?;
    let (position, _) = rest.split_once('/')?;
    position.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_idempotency_key_of_a_process_managers_command_names_the_position_of_its_event() {
        for key in ["a/b/17/0", "a/b/17/t0"] {
            assert_eq!(source_of("a/b", key), Some(17));
        }
        assert_eq!(answer_to("a/b", "a/b/17/f5/0"), Some(5));
        for key in ["a/b/17/0", "a/b/17/t0", "a/b/f5/0", "a/17/f5/0"] {
            assert_eq!(answer_to("a/b", key), None, "{key}");
        }
        for key in ["a/17/0", "a/b/letter/3", "a/b17/0", "a/b/17", "mine"] {
            assert_eq!(source_of("a/b", key), None, "{key}");
        }
    }
}
