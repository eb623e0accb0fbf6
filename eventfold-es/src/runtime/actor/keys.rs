//! The idempotency keys that a stream remembers.

use std::collections::{HashMap, VecDeque};

use crate::domain::command::Fingerprint;
use crate::storage::snapshot::KnownKey;

/// How many keys a stream remembers. In the crash tests it is two, since process managers must not
/// depend on it.
const REMEMBERED: usize = if cfg!(test) { 2 } else { 1_000 };

/// The newest keys of a stream, with the versions of their events. Takes no memory while there are
/// none.
#[derive(Debug, Default)]
pub(crate) struct Keys(Option<Box<Known>>);

#[derive(Debug, Default)]
struct Known {
    by_key: HashMap<String, KnownKey>,
    /// The oldest first.
    order: VecDeque<String>,
}

impl Keys {
    pub(crate) fn get(&self, key: &str) -> Option<&KnownKey> {
        self.0.as_ref()?.by_key.get(key)
    }

    /// Remembers a key. If a forgotten key is used again, it counts as new.
    pub(crate) fn add(&mut self, known: KnownKey) {
        let keys = self.0.get_or_insert_default();
        if keys.by_key.contains_key(&known.key) {
            keys.order.retain(|key| *key != known.key);
        }
        if keys.order.len() >= REMEMBERED
            && let Some(oldest) = keys.order.pop_front()
        {
            keys.by_key.remove(&oldest);
        }
        keys.order.push_back(known.key.clone());
        keys.by_key.insert(known.key.clone(), known);
    }

    /// Adds an event that was stored under `key`: a further event of the same command, or the first
    /// event of a new one.
    pub(crate) fn add_event(&mut self, key: &str, command: Option<Fingerprint>, version: u64) {
        let known = self
            .0
            .as_mut()
            .and_then(|keys| keys.by_key.get_mut(key))
            .filter(|known| known.version + known.count == version);
        if let Some(known) = known {
            known.count += 1;
        } else {
            self.add(KnownKey {
                key: key.to_owned(),
                version,
                count: 1,
                command,
            });
        }
    }

    /// The keys, the oldest first.
    pub(crate) fn list(&self) -> Vec<KnownKey> {
        let Some(keys) = &self.0 else {
            return Vec::new();
        };
        keys.order
            .iter()
            .filter_map(|key| keys.by_key.get(key).cloned())
            .collect()
    }
}

impl FromIterator<KnownKey> for Keys {
    fn from_iter<I: IntoIterator<Item = KnownKey>>(known: I) -> Self {
        let mut keys = Self::default();
        known.into_iter().for_each(|known| keys.add(known));
        keys
    }
}
