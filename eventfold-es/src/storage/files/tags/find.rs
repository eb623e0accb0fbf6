//! Searches for events: [`Finder`].

use std::ops::ControlFlow;
use std::sync::Arc;

use crate::event::StoredEvent;
use crate::storage::condition::selects;
use crate::storage::error::{StorageError, StorageResult};
use crate::storage::files::journal::Index;
use crate::storage::files::journal::backward::BackwardReader;
use crate::storage::files::journal::reader::Reader;
use crate::storage::search::Search;

/// Searches the journal.
#[derive(Debug, Clone)]
pub(crate) struct Finder {
    journal: Arc<Index>,
}

impl Finder {
    pub(crate) fn new(journal: Arc<Index>) -> Self {
        Self { journal }
    }

    /// Passes the events that `search` selects to `each`, until `each` breaks off. Blocks on the disk.
    pub(crate) fn find<E: From<StorageError>>(
        &self,
        search: &Search,
        each: &mut dyn FnMut(StoredEvent<'_>) -> Result<ControlFlow<()>, E>,
    ) -> Result<(), E> {
        if search.after >= search.until {
            return Ok(());
        }
        if search.backwards {
            self.scan_backwards(search, each)
        } else {
            self.scan(search, each)
        }
    }

    /// Reads all events in the range.
    fn scan<E: From<StorageError>>(
        &self,
        search: &Search,
        each: &mut dyn FnMut(StoredEvent<'_>) -> Result<ControlFlow<()>, E>,
    ) -> Result<(), E> {
        let mut reader = Reader::new(self.journal.clone(), search.after);
        reader.read_to(search.until, |commit, first| {
            for part in commit.parts() {
                for i in part.first_of(first)..part.events.len() {
                    if part.position + i as u64 > search.until {
                        return Ok(ControlFlow::Break(()));
                    }
                    let flow = part.read_event(i, |event| {
                        if selects(&search.query, &event) {
                            each(event)
                        } else {
                            Ok(ControlFlow::Continue(()))
                        }
                    })??;
                    if flow.is_break() {
                        return Ok(flow);
                    }
                }
            }
            Ok(ControlFlow::Continue(()))
        })
    }

    /// Reads all events in the range, the newest first.
    fn scan_backwards<E: From<StorageError>>(
        &self,
        search: &Search,
        each: &mut dyn FnMut(StoredEvent<'_>) -> Result<ControlFlow<()>, E>,
    ) -> Result<(), E> {
        let mut reader = BackwardReader::new(self.journal.clone(), search.until + 1);
        let mut failed = None;
        reader.read(|commit, wanted| {
            let parts: Vec<_> = commit.parts().collect();
            for part in parts.iter().rev() {
                for i in (0..part.wanted_of(wanted)).rev() {
                    if part.position + i as u64 <= search.after {
                        return Ok(ControlFlow::Break(()));
                    }
                    let flow = part.read_event(i, |event| {
                        if selects(&search.query, &event) {
                            each(event)
                        } else {
                            Ok(ControlFlow::Continue(()))
                        }
                    })?;
                    match flow {
                        Ok(ControlFlow::Continue(())) => {}
                        Ok(ControlFlow::Break(())) => return Ok(ControlFlow::Break(())),
                        Err(error) => {
                            failed = Some(error);
                            return Ok(ControlFlow::Break(()));
                        }
                    }
                }
            }
            StorageResult::Ok(ControlFlow::Continue(()))
        })?;
        failed.map_or(Ok(()), Err)
    }
}
