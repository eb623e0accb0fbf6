//! The turn to import, which one process has at a time: [`Turn`].

use std::time::{Duration, Instant};

use crate::runtime::background::within;
use crate::storage::Storage;
use crate::storage::error::{StorageError, StorageErrorKind};
use crate::store::import::error::ImportError;

/// How long an import waits for one of another process to end.
const PATIENCE: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 30 });
const PAUSE: Duration = Duration::from_millis(100);

/// The turn. Dropping it gives it back.
pub(super) struct Turn(Storage);

impl Turn {
    /// Waits for the turn: the process of another import may just have ended, with its last events under
    /// way.
    pub(super) async fn take(storage: &Storage) -> Result<Self, ImportError> {
        let started = Instant::now();
        while !storage.take_turn_to_import().await? {
            if started.elapsed() >= PATIENCE {
                let text =
                    "another process imports events into this store: wait until it has ended";
                return Err(StorageError::new(StorageErrorKind::Busy, text).into());
            }
            within(PAUSE, std::future::pending::<()>()).await?;
        }
        Ok(Self(storage.clone()))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.give_back_turn_to_import();
    }
}
