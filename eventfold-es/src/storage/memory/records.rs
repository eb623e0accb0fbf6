//! Records in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use crate::storage::error::StorageResult;
use crate::storage::memory::leases::MemoryLeases;
use crate::storage::record_name::{Follower, RecordName};
use crate::storage::term::Term;
use crate::sync::lock;

type Contents = BTreeMap<(Follower, String), BTreeMap<RecordName, Content>>;

/// The content of a record.
#[derive(Debug)]
struct Content {
    bytes: Vec<u8>,
    /// All events up to here are in a saved state.
    position: Option<u64>,
}

/// The records of all followers, and their leases.
#[derive(Debug, Clone, Default)]
pub(crate) struct AllRecords {
    contents: Arc<Mutex<Contents>>,
    pub(crate) leases: MemoryLeases,
    /// Several stores may have the same records.
    is_shared: bool,
}

impl AllRecords {
    /// Records that several stores may have.
    #[cfg(test)]
    pub(crate) fn shared() -> Self {
        Self {
            is_shared: true,
            ..Self::default()
        }
    }

    pub(crate) fn of(&self, follower: Follower, name: &str) -> MemoryRecords {
        MemoryRecords {
            all: self.clone(),
            owner: (follower, name.to_owned()),
            term: None,
        }
    }

    /// The names of all followers of this kind that have records.
    pub(crate) fn followers(&self, follower: Follower) -> Vec<String> {
        let all = lock(&self.contents);
        let owners = all.keys().filter(|(kind, _)| *kind == follower);
        owners.map(|(_, name)| name.clone()).collect()
    }
}

/// The records of one follower.
#[derive(Debug, Clone)]
pub(crate) struct MemoryRecords {
    all: AllRecords,
    owner: (Follower, String),
    /// Changes are refused once this term has ended.
    term: Option<Arc<Term>>,
}

impl MemoryRecords {
    pub(crate) fn within(self, term: &Arc<Term>) -> Self {
        Self {
            term: Some(term.clone()),
            ..self
        }
    }

    /// The name of the follower that the records belong to.
    pub(crate) fn owner(&self) -> &str {
        &self.owner.1
    }

    /// Where a record is, for error messages.
    pub(crate) fn place(&self, name: RecordName) -> String {
        format!("{name:?} of {}, in memory", self.owner())
    }

    /// The names of the existing records, sorted.
    pub(crate) fn names(&self) -> Vec<RecordName> {
        let all = lock(&self.all.contents);
        let records = all.get(&self.owner);
        records.map_or_else(Vec::new, |records| records.keys().copied().collect())
    }

    pub(crate) fn read(&self, name: RecordName) -> Option<Vec<u8>> {
        let all = lock(&self.all.contents);
        let record = all.get(&self.owner)?.get(&name);
        record.map(|record| record.bytes.clone())
    }

    pub(crate) fn replace(&self, name: RecordName, bytes: Vec<u8>) -> StorageResult<()> {
        let position = None;
        self.insert(name, Content { bytes, position })
    }

    /// Replaces the record, unless another store has saved a state with more events.
    pub(crate) fn replace_older(
        &self,
        name: RecordName,
        position: u64,
        bytes: Vec<u8>,
    ) -> StorageResult<()> {
        let position = self.all.is_shared.then_some(position);
        self.insert(name, Content { bytes, position })
    }

    fn insert(&self, name: RecordName, content: Content) -> StorageResult<()> {
        self.all.leases.within(self.term.as_deref(), || {
            let mut all = lock(&self.all.contents);
            let records = all.entry(self.owner.clone()).or_default();
            let known = records.get(&name).and_then(|known| known.position);
            if content.position.is_none() || content.position >= known {
                records.insert(name, content);
            }
        })
    }

    /// The position of a saved state, where several stores may save it.
    pub(crate) fn position(&self, name: RecordName) -> Option<u64> {
        let all = lock(&self.all.contents);
        all.get(&self.owner)?.get(&name)?.position
    }

    pub(crate) fn remove(&self, name: RecordName) -> StorageResult<()> {
        self.all.leases.within(self.term.as_deref(), || {
            if let Some(records) = lock(&self.all.contents).get_mut(&self.owner) {
                records.remove(&name);
            }
        })
    }

    /// A record that lines are added to.
    pub(crate) fn lines(&self, name: RecordName) -> MemoryLines {
        MemoryLines {
            records: self.clone(),
            name,
            is_new: false,
        }
    }

    /// A record that takes further lines. Its old content is no longer needed.
    pub(crate) fn empty_lines(&self, name: RecordName) -> MemoryLines {
        MemoryLines {
            is_new: true,
            ..self.lines(name)
        }
    }
}

/// A record that lines are added to.
#[derive(Debug)]
pub(crate) struct MemoryLines {
    records: MemoryRecords,
    name: RecordName,
    /// The stored content is outdated. The first change replaces it.
    is_new: bool,
}

impl MemoryLines {
    pub(crate) fn read(&self) -> Vec<u8> {
        let content = self.records.read(self.name).filter(|_| !self.is_new);
        content.unwrap_or_default()
    }

    pub(crate) fn length(&self) -> u64 {
        self.read().len() as u64
    }

    pub(crate) fn add(&mut self, line: &[u8]) -> StorageResult<()> {
        let mut content = self.read();
        content.extend_from_slice(line);
        self.replace(&content)
    }

    pub(crate) fn replace(&mut self, content: &[u8]) -> StorageResult<()> {
        self.records.replace(self.name, content.to_vec())?;
        self.is_new = false;
        Ok(())
    }
}
