//! What process managers make of imported events: [`Managers`].

use std::collections::BTreeMap;

use crate::storage::Storage;
use crate::storage::error::{StorageError, StorageErrorKind, StorageResult};
use crate::storage::files::layout::check_name;
use crate::storage::record_name::{Follower, RecordName};
use crate::storage::restored::Restored;

/// Where a process manager begins that has not reacted to anything yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begins {
    FromNow,
    ReactAgain,
}

/// What was decided about process managers.
#[derive(Debug)]
pub(super) struct Managers {
    /// By name.
    pub(super) begins: BTreeMap<String, Begins>,
    /// The others take the imported events for new ones.
    pub(super) others_react: bool,
}

impl Managers {
    /// Fails if it is not decided what each process manager of the store makes of the events, or if it
    /// cannot be as it was decided. `registered` are those that the store was opened with.
    pub(super) fn check(&self, storage: &Storage, registered: &[&str]) -> StorageResult<()> {
        let refused = |text: String| Err(StorageError::new(StorageErrorKind::InvalidInput, text));
        for name in self.begins.keys() {
            check_name("process manager", name)?;
            if registered.contains(&&**name) {
                return refused(format!(
                    "process manager `{name}` is registered with this store and may react to the events \
                     at once: import with a store that is opened without it"
                ));
            }
            let records = storage.records(Follower::ProcessManager, name);
            for record in [RecordName::Checkpoint(1), RecordName::OldCheckpoint] {
                if records.read(record)?.is_some() {
                    return refused(format!(
                        "process manager `{name}` has reacted to events of this store, so it cannot \
                         begin anew: {}",
                        records.place(record)
                    ));
                }
            }
        }
        if self.others_react {
            return Ok(());
        }
        let saved = storage.followers(Follower::ProcessManager)?;
        let others = registered
            .iter()
            .copied()
            .chain(saved.iter().map(|name| &**name));
        let mut undecided = others.filter(|name| !self.begins.contains_key(*name));
        match undecided.next() {
            None => Ok(()),
            Some(name) => refused(format!(
                "the store has the process manager `{name}`, to which all imported events are new: it \
                 would react to them. Say that it may (`let_process_managers_react`), or, if it has \
                 reacted to nothing here, where it begins (`from_now`, `react_again`)"
            )),
        }
    }

    /// Notes where they begin. The events are imported.
    pub(super) fn begin(&self, storage: &Storage) -> StorageResult<()> {
        let head = storage.head();
        for (name, begins) in &self.begins {
            let mut note = Restored::until(head);
            match begins {
                Begins::FromNow => note.from = Some(head),
                Begins::ReactAgain => note.after = Some(0),
            }
            let records = storage.records(Follower::ProcessManager, name);
            records.replace(RecordName::Restored, &note.to_bytes())?;
        }
        Ok(())
    }
}
