//! The idempotency keys of decisions.

use std::sync::{Arc, Mutex};

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::domain::command::Fingerprint;
use crate::domain::decider::Decider;
use crate::event::{DomainEvent, StoredEvent};
use crate::storage::Storage;
use crate::storage::error::{StorageError, StorageResult};
use crate::sync::lock;

/// The name under which a key is locked. No tag has a control character.
pub(crate) fn lock_name(key: &str) -> String {
    format!("\0{key}")
}

/// The fingerprint of a command for this decision, which is stored with its key.
pub(crate) fn fingerprint<D: Decider>(command: &D::Command) -> Option<Fingerprint> {
    let command = D::fingerprint(command)?;
    let fingerprint = xxh3_64_with_seed(D::NAME.as_bytes(), command);
    Some(Fingerprint::new(fingerprint))
}

/// What an earlier decision stored under a key.
pub(crate) struct Known<E> {
    /// An error if they cannot be read as events of this decision.
    pub(crate) events: StorageResult<Vec<E>>,
    pub(crate) position: u64,
    pub(crate) command: Option<Fingerprint>,
}

/// The events that a decision stored under `key`, `None` if there are none.
pub(crate) async fn find<D: Decider>(
    storage: &Storage,
    key: &str,
) -> StorageResult<Option<Known<D::DomainEvent>>> {
    let found = Arc::<Mutex<Option<Known<D::DomainEvent>>>>::default();
    let finding = found.clone();
    let each = move |event: StoredEvent<'_>, command: Option<Fingerprint>| {
        let mut finding = lock(&finding);
        let position = event.record().position;
        let known = finding.get_or_insert_with(|| Known {
            events: Ok(Vec::new()),
            position,
            command,
        });
        known.position = position;
        if let Ok(events) = &mut known.events {
            match D::DomainEvent::decode(event) {
                Ok(decoded) => events.extend(decoded),
                Err(error) => known.events = Err(StorageError::event(position, error)),
            }
        }
    };
    storage.find_key(key, each).await?;
    let found = lock(&found).take();
    Ok(found)
}
