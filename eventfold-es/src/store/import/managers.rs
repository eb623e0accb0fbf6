//! What process managers make of imported events: [`Managers`].

use std::collections::BTreeMap;

use crate::following::moved::Carried;
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
    /// Fails if a name is none, or if a process manager cannot begin as it was decided. `registered` are
    /// those that the store was opened with.
    pub(super) fn check(&self, storage: &Storage, registered: &[&str]) -> StorageResult<()> {
        for name in self.begins.keys() {
            check_name("process manager", name)?;
            check_not_registered(name, registered)?;
            let records = storage.records(Follower::ProcessManager, name);
            if !Carried::is_unused(&records)? {
                return refused(format!(
                    "process manager `{name}` has reacted to events of this store, so it cannot begin \
                     anew: {}",
                    records.place(RecordName::Checkpoint(1))
                ));
            }
        }
        Ok(())
    }

    /// Fails if it is not decided what each process manager of the store makes of the events. Takes those
    /// out of `carried` that go on as they are.
    pub(super) fn check_carried(
        &self,
        storage: &Storage,
        registered: &[&str],
        carried: &mut Vec<Carried>,
    ) -> StorageResult<()> {
        let mut kept = Vec::new();
        for own in carried.drain(..) {
            let name = &own.process_manager;
            check_name("process manager", name)?;
            let records = storage.records(Follower::ProcessManager, name);
            let is_unused = Carried::is_unused(&records)?;
            if self.others_react && (registered.contains(&&**name) || !is_unused) {
                continue;
            }
            check_not_registered(name, registered)?;
            if !is_unused {
                return refused(format!(
                    "process manager `{name}` comes along, and has worked in this store already ({}): \
                     let it go on from there (`let_process_managers_react`), or import into a store in \
                     which it has not",
                    records.place(RecordName::Checkpoint(1))
                ));
            }
            // Lines of several exports may follow each other.
            kept.retain(|earlier: &Carried| earlier.process_manager != *name);
            kept.push(own);
        }
        *carried = kept;
        if self.others_react {
            return Ok(());
        }
        let saved = storage.followers(Follower::ProcessManager)?;
        let others = registered
            .iter()
            .copied()
            .chain(saved.iter().map(|name| &**name));
        let is_decided = |name: &str| {
            let comes = carried.iter().any(|own| own.process_manager == name);
            comes || self.begins.contains_key(name)
        };
        let mut undecided = others.filter(|name| !is_decided(name));
        match undecided.next() {
            None => Ok(()),
            Some(name) => refused(format!(
                "the store has the process manager `{name}`, to which all imported events are new: it \
                 would react to them. Say that it may (`let_process_managers_react`), or, if it has \
                 reacted to nothing here, where it begins (`from_now`, `react_again`)"
            )),
        }
    }

    /// Notes where they begin, and enters what comes along. The events are imported.
    pub(super) fn begin(&self, storage: &Storage, carried: &[Carried]) -> StorageResult<()> {
        let head = storage.ask_head()?;
        for (name, begins) in &self.begins {
            let mut note = Restored::until(head);
            match begins {
                Begins::FromNow => note.from = Some(head),
                Begins::ReactAgain => note.after = Some(0),
            }
            let records = storage.records(Follower::ProcessManager, name);
            Carried::forget(&records)?;
            records.replace(RecordName::Restored, &note.to_bytes())?;
        }
        for own in carried {
            if own.until > head {
                return refused(format!(
                    "process manager `{}` comes along with events up to position {}, and the lines end at \
                     {head}: they are cut off. Export again, or import all lines",
                    own.process_manager, own.until
                ));
            }
        }
        carried.iter().try_for_each(|own| own.enter(storage))
    }
}

fn check_not_registered(name: &str, registered: &[&str]) -> StorageResult<()> {
    if registered.contains(&name) {
        return refused(format!(
            "process manager `{name}` is registered with this store and may react to the events at once: \
             import with a store that is opened without it"
        ));
    }
    Ok(())
}

fn refused<T>(text: String) -> StorageResult<T> {
    Err(StorageError::new(StorageErrorKind::InvalidInput, text))
}
