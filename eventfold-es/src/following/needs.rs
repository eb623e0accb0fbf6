//! What needs the log: everybody who follows it, and how far it has come durably. Invariant D15.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::de::IgnoredAny;

use crate::following::checkpoint;
use crate::following::checkpoint::Unusable;
#[cfg(feature = "sqlite")]
use crate::following::read_model_files::all_below;
use crate::following::read_side::ReadSide;
use crate::following::status::Progress;
use crate::storage::Storage;
use crate::storage::error::StorageResult;
#[cfg(feature = "sqlite")]
use crate::storage::error::{StorageError, StorageErrorKind};
use crate::storage::record::Records;
use crate::storage::record_name::{Follower, RecordName};
use crate::storage::restored::Restored;
use crate::storage::retention::{Need, Needs};

/// What is registered, and asked each time.
struct Asked {
    storage: Storage,
    /// What has saved something in the storage, or will.
    registered: Vec<(Follower, &'static str)>,
    /// What is fed outside of the store and keeps its own position.
    outside: Vec<Arc<Progress>>,
    #[cfg(feature = "sqlite")]
    sql_dir: Option<std::path::PathBuf>,
}

/// What needs the log of `storage`: what the store was opened with, and what has saved something in it.
pub(crate) fn needs(storage: &Storage, read_side: &ReadSide) -> Needs {
    let projections = read_side.projections.keys();
    let projections = projections.map(|name| (Follower::Projection, *name));
    let managers = read_side.process_managers.iter();
    let managers = managers.map(|manager| (Follower::ProcessManager, manager.name));
    let outside = read_side.followers.values();
    let asked = Asked {
        storage: storage.clone(),
        registered: projections.chain(managers).collect(),
        outside: outside.map(|follower| follower.progress.clone()).collect(),
        #[cfg(feature = "sqlite")]
        sql_dir: read_side.sql_dir.clone(),
    };
    Box::new(move || asked.ask())
}

impl Asked {
    fn ask(&self) -> StorageResult<Vec<Need>> {
        let mut needs = Vec::new();
        // Those that have saved a position.
        let mut saved = BTreeSet::new();
        for kind in [Follower::Projection, Follower::ProcessManager] {
            for name in self.storage.followers(kind)? {
                let records = self.storage.records(kind, &name);
                let positions = of_records(&records)?;
                if !positions.is_empty() {
                    records.make_durable()?;
                    saved.insert((kind, name.clone()));
                }
                needs.extend(positions.into_iter().map(|position| Need {
                    name: format!("{} `{name}`", kind.kind()),
                    position,
                }));
            }
        }
        for (name, need) in self.read_models()? {
            saved.insert((Follower::Projection, name));
            needs.push(need);
        }
        for (kind, name) in &self.registered {
            if !saved.contains(&(*kind, (*name).to_owned())) {
                needs.push(Need {
                    name: format!("{} `{name}`", kind.kind()),
                    position: 0,
                });
            }
        }
        needs.extend(self.outside.iter().map(|progress| Need {
            name: format!("follower `{}`", progress.name()),
            position: progress.position(),
        }));
        Ok(needs)
    }

    /// The read models in SQLite, by name.
    fn read_models(&self) -> StorageResult<Vec<(String, Need)>> {
        let files = self.storage.read_models()?;
        #[cfg(feature = "sqlite")]
        let files = {
            let mut files = files;
            if let Some(dir) = &self.sql_dir {
                let failed = |error: std::io::Error| {
                    StorageError::new(StorageErrorKind::Io(error.kind()), error)
                };
                files.extend(all_below(dir).map_err(failed)?);
            }
            files
        };
        let needs = files.into_iter().map(|(name, file)| {
            #[cfg(feature = "sqlite")]
            let (position, why) = match crate::following::sql::durable_position(&file) {
                Some(position) => (position, ""),
                None => (0, ", which is not known to be on the disk yet,"),
            };
            #[cfg(not(feature = "sqlite"))]
            let (position, why) = (
                0,
                ", which a program without the feature `sqlite` cannot read,",
            );
            let file = file.file_name().unwrap_or_default().to_string_lossy();
            let need = Need {
                name: format!("read model `{name}` in {file}{why}"),
                position,
            };
            (name, need)
        });
        Ok(needs.collect())
    }
}

/// The positions that these records need the events after.
fn of_records(records: &Records) -> StorageResult<Vec<u64>> {
    let names = records.names()?;
    let mut positions = Vec::new();
    for name in &names {
        match name {
            RecordName::Checkpoint(_) => {}
            // It does not matter if there is one of ours.
            RecordName::OldCheckpoint if !names.contains(&RecordName::Checkpoint(1)) => {}
            RecordName::Restored => {
                let bytes = records.read(*name)?.unwrap_or_default();
                let restored = Restored::read(&bytes).ok();
                let after = restored.and_then(|restored| restored.after.or(restored.from));
                positions.push(after.unwrap_or(0));
                continue;
            }
            _ => continue,
        }
        match checkpoint::read_record::<IgnoredAny>(records, *name) {
            Ok(None) => {}
            Ok(Some(checkpoint)) => {
                // The effects of unfinished commands are looked for. Invariant F2.
                let outgoing = checkpoint.pending.outgoing.iter();
                let since = outgoing.map(|outgoing| outgoing.since);
                positions.extend(since.chain([checkpoint.position]).min());
            }
            Err(Unusable::Storage(error)) => return Err(error),
            // It begins again, or its program has to be asked.
            Err(_) => positions.push(0),
        }
    }
    Ok(positions)
}
