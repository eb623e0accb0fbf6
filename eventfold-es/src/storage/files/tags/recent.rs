//! The newest events in the committer's memory, to check conditions on them: [`Recent`].

use std::collections::VecDeque;
use std::ops::ControlFlow;

use crate::event::Tags;
use crate::storage::commit::CommitError;
use crate::storage::condition::{Clause, tags_of};
use crate::storage::error::{StorageError, StorageErrorKind, StorageResult};
use crate::storage::files::format::commit_line::CommitLine;
use crate::storage::files::journal::batch::JournalBatch;
use crate::storage::files::tags::find::Finder;
use crate::storage::search::Search;

/// How many events are kept at most, apart from those that are not durable yet.
const MOST: usize = if cfg!(test) { 8 } else { 4096 };

/// The newest events: those that are durable, and those of the batch that is being filled.
///
/// It is empty until the first condition is checked, so a store without conditions pays nothing.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    /// All events after this position are kept; `None` if events are not kept yet.
    from: Option<u64>,
    events: VecDeque<Event>,
}

/// What a query needs to know of an event.
#[derive(Debug)]
struct Event {
    position: u64,
    name: Box<str>,
    tags: Tags,
}

impl Recent {
    /// Whether events are kept.
    pub(crate) fn is_used(&self) -> bool {
        self.from.is_some()
    }

    /// Takes the events of a commit that was added to the batch. `durable` is the newest durable
    /// position.
    pub(crate) fn add(&mut self, commit: &CommitLine<'_>, durable: u64) -> StorageResult<()> {
        for part in commit.parts() {
            for i in 0..part.events.len() {
                part.read_event(i, |event| {
                    self.events.push_back(Event {
                        position: event.record().position,
                        name: event.name().into(),
                        tags: tags_of(&event),
                    });
                })?;
            }
        }
        while self.events.len() > MOST
            && let Some(first) = self.events.front()
            && first.position <= durable
        {
            self.from = Some(first.position);
            self.events.pop_front();
        }
        Ok(())
    }

    /// Forgets the events after `durable`, because their batch was not stored.
    pub(crate) fn forget_after(&mut self, durable: u64) {
        let kept = |event: &Event| event.position <= durable;
        let kept = self.events.partition_point(kept);
        self.events.truncate(kept);
    }

    /// Fails if an event is stored, or is in `batch`, that a clause of `condition` excludes.
    pub(crate) fn check(
        &mut self,
        condition: &[Clause],
        batch: &JournalBatch,
        finder: &Finder,
    ) -> Result<(), CommitError> {
        if condition.is_empty() {
            return Ok(());
        }
        let from = match self.from {
            Some(from) => from,
            None => self.start(batch).map_err(CommitError::NotStored)?,
        };
        for Clause { query, after } in condition {
            let after = after.position().ok_or(CommitError::ConditionFailed)?;
            let newer = self.events.iter().rev();
            let mut newer = newer.take_while(|event| event.position > after);
            if newer.any(|event| query.matches(&event.name, &event.tags)) {
                return Err(CommitError::ConditionFailed);
            }
            let mut is_found = false;
            let search = Search {
                query: query.clone(),
                after,
                until: from,
                backwards: false,
            };
            finder
                .find(&search, &mut |_| {
                    is_found = true;
                    StorageResult::Ok(ControlFlow::Break(()))
                })
                .map_err(CommitError::NotStored)?;
            if is_found {
                return Err(CommitError::ConditionFailed);
            }
        }
        Ok(())
    }

    /// Keeps events from now on, with those in `batch`. Returns the position after which events are
    /// kept.
    fn start(&mut self, batch: &JournalBatch) -> StorageResult<u64> {
        for line in batch.commits() {
            self.add(&read_own(line)?, batch.durable)?;
        }
        self.from = Some(batch.durable);
        Ok(batch.durable)
    }
}

/// Reads a line of the batch.
pub(crate) fn read_own(line: &[u8]) -> StorageResult<CommitLine<'_>> {
    CommitLine::read(line).map_err(|cause| {
        let text = format!("a commit of this program cannot be read: {cause}");
        StorageError::new(StorageErrorKind::Bug, text)
    })
}
