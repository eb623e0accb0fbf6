//! What a process manager takes along into another store: [`Carried`], its records as a line of an export
//! has them. Invariant B5.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use xxhash_rust::xxh3::xxh3_64;

use crate::following::checkpoint::{Checkpoint, Place};
use crate::following::{again, checkpoint, dead_letters, skipped};
use crate::storage::Storage;
use crate::storage::error::{StorageError, StorageErrorKind, StorageResult};
use crate::storage::record::Records;
use crate::storage::record_name::{Follower, RecordName};
use crate::storage::restored::Restored;
use crate::text::Shown;

/// How often the records of a process manager are read that saves them meanwhile.
const ATTEMPTS: usize = 20;
/// Process managers have one version.
const VERSION: u32 = 1;

/// The records of a process manager.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Carried {
    /// The number of the form of the lines.
    eventfold: u64,
    /// Its name.
    pub(crate) process_manager: String,
    /// The newest event that comes along. The records know of none after it.
    pub(crate) until: u64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    checkpoint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    dead_letters: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    skipped: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    restored: Option<String>,
}

/// Why records cannot come along.
#[derive(Debug)]
pub(crate) enum Doubt {
    Storage(StorageError),
    /// What of the records of this process manager is in doubt, and what to do.
    Records(String, String),
}

impl From<StorageError> for Doubt {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

impl From<Doubt> for StorageError {
    fn from(doubt: Doubt) -> Self {
        let (name, cause) = match doubt {
            Doubt::Storage(error) => return error,
            Doubt::Records(name, cause) => (name, cause),
        };
        let text = format!(
            "the process manager `{}` cannot come along: {cause}",
            Shown(&name)
        );
        Self::new(StorageErrorKind::InvalidInput, text).with_advice(
            "or leave the records of all process managers out of the export, and say at the import where \
             each begins",
        )
    }
}

/// The state is of a type that only the program knows.
type AnyCheckpoint = Checkpoint<Box<RawValue>>;

impl Carried {
    /// Reads the records of the process manager `name`, `None` if it has none. Whoever exports events
    /// reads them first, and then [decides](Self::until) up to which position it exports: so they rely
    /// on no event that does not come along. A program may be saving them meanwhile.
    ///
    /// # Errors
    ///
    /// What of them is in doubt, and what to do.
    pub(crate) fn read(form: u64, name: &str, records: &Records) -> Result<Option<Self>, Doubt> {
        let doubt = |cause: String| in_doubt(name, &cause);
        let text = |record: RecordName| -> Result<Option<String>, Doubt> {
            let Some(bytes) = records.read(record)? else {
                return Ok(None);
            };
            let text = String::from_utf8(bytes);
            text.map(Some)
                .map_err(|_| doubt(format!("{} is damaged", records.place(record))))
        };
        for _ in 0..ATTEMPTS {
            let before = text(RecordName::Checkpoint(VERSION))?;
            let carried = Self {
                eventfold: form,
                process_manager: name.to_owned(),
                until: 0,
                restored: text(RecordName::Restored)?,
                skipped: text(RecordName::Skipped(VERSION))?,
                dead_letters: text(RecordName::DeadLetters)?,
                checkpoint: text(RecordName::Checkpoint(VERSION))?,
            };
            // Records of different moments may contradict each other.
            if before != carried.checkpoint {
                continue;
            }
            if carried.checkpoint.is_none() && records.read(RecordName::OldCheckpoint)?.is_some() {
                let cause = "its checkpoint is of eventfold-es 0.2.0, and states no position: open the \
                             store once with the process manager, let it save, and export again";
                return Err(doubt(cause.to_owned()));
            }
            let parts = [
                &carried.checkpoint,
                &carried.dead_letters,
                &carried.restored,
            ];
            let has_any = parts.iter().any(|part| part.is_some());
            return Ok(has_any.then_some(carried));
        }
        let cause = "its program saves faster than its records can be read: stop it first";
        Err(doubt(cause.to_owned()))
    }

    /// The events up to the position `until` come along. `history_at` tells the checksum of the history
    /// of the store up to a position.
    ///
    /// # Errors
    ///
    /// What of the records is in doubt, and what to do.
    pub(crate) fn until(
        &mut self,
        until: u64,
        history_at: impl FnOnce(u64) -> StorageResult<u64>,
    ) -> Result<(), Doubt> {
        self.until = until;
        let Some(checkpoint) = self.checked()? else {
            return Ok(());
        };
        let doubt = |cause: String| in_doubt(&self.process_manager, &cause);
        let position = checkpoint.position;
        if position > until {
            return Err(doubt(format!(
                "its checkpoint is at position {position}, and the newest durable event at {until}: open \
                 the store once, then export again"
            )));
        }
        if let Some(chain) = checkpoint.chain
            && history_at(position)? != chain
        {
            return Err(doubt(format!(
                "its checkpoint {}",
                checkpoint::another_history(position)
            )));
        }
        Ok(())
    }

    /// The checkpoint, if there is one.
    ///
    /// # Errors
    ///
    /// If the records cannot be read, or contradict each other.
    fn checked(&self) -> Result<Option<AnyCheckpoint>, Doubt> {
        let doubt = |cause: String| in_doubt(&self.process_manager, &cause);
        if let Some(note) = &self.restored {
            Restored::read(note.as_bytes())
                .map_err(|cause| doubt(format!("the note that it was restored {cause}")))?;
        }
        let read = |text: &String| {
            let read = checkpoint::of_bytes(text.as_bytes());
            read.map_err(|cause| doubt(format!("its checkpoint is damaged: {cause}")))
        };
        let checkpoint: Option<AnyCheckpoint> = self.checkpoint.as_ref().map(read).transpose()?;
        if checkpoint
            .as_ref()
            .is_some_and(|read| read.cursors.is_some())
        {
            let cause = "its checkpoint is of eventfold-es 0.2.0 in part: open the store once with the \
                         process manager, let it save, and export again";
            return Err(doubt(cause.to_owned()));
        }
        let letters = self.dead_letters.as_deref().unwrap_or_default();
        let pending = checkpoint.as_ref().map(|read| &read.pending);
        let flaws = dead_letters::audit(letters.as_bytes(), pending);
        if let Some((offset, cause)) = flaws.damaged.first() {
            return Err(doubt(format!(
                "its dead letters are damaged at byte {offset}: {cause}"
            )));
        }
        if let Some(cause) = flaws.misfit {
            return Err(doubt(format!("its dead letters {cause}")));
        }
        Ok(checkpoint)
    }

    /// Whether the records of the process manager in another store are those that an earlier import put
    /// there, or none.
    pub(crate) fn is_unused(records: &Records) -> StorageResult<bool> {
        let saved = records.read(RecordName::Checkpoint(VERSION))?;
        if saved.is_none() && records.read(RecordName::OldCheckpoint)?.is_none() {
            return Ok(true);
        }
        let sum = xxh3_64(&saved.unwrap_or_default());
        let imported = again::note(records)?.and_then(|note| note.imported);
        Ok(imported.is_some_and(|(newest, before)| sum == newest || sum == before))
    }

    /// Removes the records that an earlier import put into another store, if it did.
    pub(crate) fn forget(records: &Records) -> StorageResult<()> {
        if again::note(records)?.is_none_or(|note| note.imported.is_none()) {
            return Ok(());
        }
        for name in [
            RecordName::Checkpoint(VERSION),
            RecordName::DeadLetters,
            RecordName::Skipped(VERSION),
        ] {
            records.remove(name)?;
        }
        Ok(())
    }

    /// Puts the records into another store, which has the same events at the same positions. What
    /// happened in the store they come from after they were read shows in the events.
    pub(crate) fn enter(&self, storage: &Storage) -> StorageResult<()> {
        let name = &self.process_manager;
        let records = storage.records(Follower::ProcessManager, name);
        let content = match self.checked()? {
            None => None,
            Some(checkpoint) => {
                let chain = storage.history_at(checkpoint.position)?;
                let place = Place {
                    position: checkpoint.position,
                    chain,
                    skipped_events: checkpoint.skipped_events,
                    unknown: &checkpoint.unknown,
                    events: checkpoint.events,
                    cursors: None,
                    pending: Some(&checkpoint.pending.to_save()),
                };
                Some(checkpoint::content(name, place, &checkpoint.state)?)
            }
        };
        let earlier = match &self.restored {
            None => Restored::until(0),
            Some(note) => {
                Restored::read(note.as_bytes()).map_err(|cause| in_doubt(name, &cause))?
            }
        };
        let sum = xxh3_64(content.as_deref().unwrap_or_default());
        let imported = again::note(&records)?.and_then(|note| note.imported);
        let note = Restored {
            until: self.until.max(earlier.until),
            // An import that ends before the last line below is done again.
            imported: Some((sum, imported.map_or(sum, |(newest, _)| newest))),
            ..earlier
        };
        records.replace(RecordName::Restored, &note.to_bytes())?;
        let skipped = self.skipped.as_deref().unwrap_or_default();
        let skipped = skipped::moved(skipped.as_bytes(), storage)?;
        put(&records, RecordName::Skipped(VERSION), &skipped)?;
        let letters = self.dead_letters.as_deref().unwrap_or_default();
        put(&records, RecordName::DeadLetters, letters.as_bytes())?;
        match content {
            Some(content) => records.replace(RecordName::Checkpoint(VERSION), &content),
            None => records.remove(RecordName::Checkpoint(VERSION)),
        }
    }
}

/// Replaces a record, or removes it if it is empty.
fn put(records: &Records, name: RecordName, content: &[u8]) -> StorageResult<()> {
    if content.is_empty() {
        records.remove(name)
    } else {
        records.replace(name, content)
    }
}

fn in_doubt(name: &str, cause: &str) -> Doubt {
    Doubt::Records(name.to_owned(), cause.to_owned())
}
