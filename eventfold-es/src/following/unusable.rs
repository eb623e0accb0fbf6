//! A process manager whose saved state cannot be used. It does nothing, and returns the reason.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::process_manager::DeadLetter;
use crate::following::dead_letters::DeadLetters;
use crate::following::failure::Failure;
use crate::following::outgoing::Outgoing;
use crate::following::reacting::{AnyReacting, Counts, Outcome};
use crate::following::status::{ProcessManagerStatus, Progress};
use crate::following::trace::Trace;
use crate::storage::error::{StorageError, StorageResult};
use crate::storage::log::Log;
use crate::storage::record::Records;

/// Replaces a process manager that is stopped from the start. Its files are not changed.
/// Invariant F8.
pub(crate) struct UnusableManager {
    failure: Failure,
    progress: Arc<Progress>,
    letters: DeadLetters,
}

impl UnusableManager {
    /// The process manager `name` with its `records`.
    pub(crate) fn new(
        name: &'static str,
        log: Log,
        records: &Records,
        error: StorageError,
    ) -> StorageResult<Self> {
        let failure = Failure::from(&io::Error::from(error));
        let progress = Progress::new(name, log, 0);
        progress.stop(&failure);
        Ok(Self {
            failure,
            progress: Arc::new(progress),
            // It is unknown which of them are finished.
            letters: DeadLetters::open(records, None)?,
        })
    }

    pub(crate) fn progress(&self) -> Arc<Progress> {
        self.progress.clone()
    }

    fn refused<T>(&self) -> io::Result<T> {
        Err(self.failure.clone().into())
    }
}

impl AnyReacting for UnusableManager {
    fn advance(&mut self, _: u64) -> io::Result<bool> {
        self.refused()
    }

    fn take(&mut self) -> Option<Outgoing> {
        None
    }

    fn take_behind(&mut self, _: u64) -> Option<Outgoing> {
        None
    }

    fn note(&mut self, _: u64, _: Outcome, _: bool) -> io::Result<()> {
        Ok(())
    }

    fn save(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn seal(&mut self) {}

    fn is_at_rest(&self, _: &Trace) -> bool {
        false
    }

    fn add_to(&self, _: &Trace) {}

    fn reached(&self, _: u64) -> Option<u64> {
        None
    }

    fn is_settled(&self, _: u64) -> bool {
        false
    }

    fn next_due(&self) -> Option<u64> {
        None
    }

    fn wants_events_after(&self) -> Option<u64> {
        None
    }

    fn save_in(&self) -> Option<Duration> {
        None
    }

    fn counts(&self) -> Counts {
        Counts::default()
    }

    fn status(&self, head: u64) -> ProcessManagerStatus {
        self.progress.manager_status(head)
    }

    fn letters(&self) -> io::Result<Vec<DeadLetter>> {
        let letters = self.letters.list()?;
        letters
            .into_iter()
            .map(|letter| Ok(letter.shown()?))
            .collect()
    }

    fn return_to_outbox(&mut self, _: &HashSet<&str>) -> io::Result<Vec<Outgoing>> {
        self.refused()
    }

    fn discard(&mut self, _: &str) -> io::Result<bool> {
        self.refused()
    }
}
