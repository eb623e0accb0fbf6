//! A process manager in a restored store: it reacts again to events that it had reacted to, and the
//! journal may have the effects of what it sends. Invariant B4.

use std::collections::HashSet;
use std::ops::ControlFlow;

use xxhash_rust::xxh3::xxh3_128;

use crate::domain::command::StoredCommand;
use crate::following::outgoing::{Outgoing, Saved};
use crate::storage::Storage;
use crate::storage::error::{StorageError, StorageErrorKind, StorageResult};
use crate::storage::record::Records;
use crate::storage::record_name::RecordName;
use crate::storage::restored::Restored;

/// The effects in the journal that a process manager of a restored store may not know of.
#[derive(Debug, Default)]
pub(crate) struct Again {
    /// Up to where they are; 0 if there are none.
    until: u64,
    /// The hashes of the targets and idempotency keys of commands that took effect.
    effects: HashSet<u128>,
}

/// The note for a process manager whose records are `records`, `None` if its store was not restored or
/// it has caught up since.
pub(crate) fn note(records: &Records) -> StorageResult<Option<Restored>> {
    let Some(bytes) = records.read(RecordName::Restored)? else {
        return Ok(None);
    };
    let read = Restored::read(&bytes).map_err(|cause| {
        let text = format!("{} {cause}", records.place(RecordName::Restored));
        StorageError::new(StorageErrorKind::Damaged, text)
    })?;
    Ok(Some(read))
}

impl Again {
    /// Reads the effects of a process manager with the note `restored`, whose checkpoint is at `position`
    /// and has the commands `saved`.
    pub(crate) fn open(
        storage: &Storage,
        records: &Records,
        restored: Option<Restored>,
        position: u64,
        saved: &Saved,
    ) -> StorageResult<Self> {
        let Some(restored) = restored else {
            return Ok(Self::default());
        };
        let since = saved.outgoing.iter().map(|outgoing| outgoing.since);
        let after = restored.after.unwrap_or_else(|| {
            let after = since.chain([position]).min();
            after.unwrap_or(position)
        });
        if restored.after.is_none() {
            // Once the checkpoint moves on, nothing else shows from where on there are effects.
            let restored = Restored {
                after: Some(after),
                ..restored
            };
            records.replace(RecordName::Restored, &restored.to_bytes())?;
        }
        let until = restored.until.min(storage.head());
        let mut effects = HashSet::new();
        storage
            .reader(after.min(until))
            .read_to(until, |committed| {
                let (kind, id) = (committed.aggregate_type(), committed.id());
                committed.keys(|key| effects.extend([hash(kind, id, key)]));
                StorageResult::Ok(ControlFlow::Continue(()))
            })?;
        Ok(Self { until, effects })
    }

    /// Up to where the journal may have such effects.
    pub(crate) fn until(&self) -> u64 {
        self.until
    }

    /// Whether the journal has the effect of a command, or of one that is sent if it fails.
    pub(crate) fn has_effect(&self, outgoing: &Outgoing) -> bool {
        let mut commands = [&outgoing.envelope].into_iter().chain(&outgoing.or_send);
        !self.effects.is_empty() && commands.any(|command| self.has(command))
    }

    /// Whether the journal has the effect of `command`.
    pub(crate) fn has(&self, command: &StoredCommand) -> bool {
        let key = command.context.idempotency_key.as_deref();
        key.is_some_and(|key| {
            let mut streams = command.streams();
            streams.any(|(kind, id)| self.effects.contains(&hash(kind, id, key)))
        })
    }

    /// Ends it, if there is one: the checkpoint on disk knows of all effects.
    pub(crate) fn end(&mut self, records: &Records) -> StorageResult<()> {
        if self.until > 0 {
            records.remove(RecordName::Restored)?;
            *self = Self::default();
        }
        Ok(())
    }
}

fn hash(aggregate_type: &str, id: &str, key: &str) -> u128 {
    let text = [aggregate_type, id, key].join("\0");
    xxh3_128(text.as_bytes())
}
