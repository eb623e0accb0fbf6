//! A process manager that one of several stores runs: [`Leased`]. The others stand by.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::process_manager::DeadLetter;
use crate::error::closed;
use crate::following::dead_letters;
use crate::following::lease::Lease;
use crate::following::outgoing::Outgoing;
use crate::following::reacting::{AnyReacting, Counts, Outcome};
use crate::following::status::{ProcessManagerStatus, Progress};
use crate::following::trace::Trace;
use crate::storage::record::Records;
use crate::storage::record_name::RecordName;
use crate::storage::term::Term;

/// Continues the process manager from what is saved, within a term.
type Open = dyn Fn(&Arc<Term>, Counts) -> io::Result<Box<dyn AnyReacting>> + Send;

/// A process manager of which this store may have the lease. Without it, it does nothing.
pub(crate) struct Leased {
    lease: Lease,
    open: Box<Open>,
    records: Records,
    progress: Arc<Progress>,
    /// As it is in this store's term, or as it was when that ended.
    reacting: Option<Box<dyn AnyReacting>>,
    counts: Counts,
    is_sealed: bool,
}

impl Leased {
    pub(crate) fn new(
        lease: Lease,
        records: Records,
        progress: Arc<Progress>,
        open: Box<Open>,
    ) -> Self {
        Self {
            lease,
            open,
            records,
            progress,
            reacting: None,
            counts: Counts::default(),
            is_sealed: false,
        }
    }

    /// The process manager, if this store runs it.
    fn running(&mut self) -> Option<&mut Box<dyn AnyReacting>> {
        self.lease.term()?;
        self.reacting.as_mut()
    }

    /// Takes the lease, if this store has it not and may have it. Returns whether it has it then.
    fn take(&mut self) -> io::Result<bool> {
        if self.is_sealed {
            return Err(closed());
        }
        if self.lease.term().is_some() {
            return Ok(true);
        }
        self.note_loss();
        let Some(term) = self.lease.take()? else {
            return Ok(false);
        };
        match (self.open)(&term, self.counts) {
            Ok(reacting) => {
                self.reacting = Some(reacting);
                Ok(true)
            }
            Err(error) => {
                self.lease.release();
                Err(error)
            }
        }
    }

    /// If this store's term has ended by itself, forgets what was done in it and is not saved: whoever
    /// runs it now knows better.
    fn note_loss(&mut self) {
        if self.lease.note_loss()
            && let Some(reacting) = self.reacting.take()
        {
            self.counts = reacting.counts();
        }
    }

    /// Does `work` in this store's term. If the term has ended, an error of the work is that of a
    /// runner who is not needed any more.
    fn within<T>(
        &mut self,
        otherwise: T,
        work: impl FnOnce(&mut dyn AnyReacting) -> io::Result<T>,
    ) -> io::Result<T> {
        let Some(reacting) = self.running() else {
            self.note_loss();
            return Ok(otherwise);
        };
        let done = work(&mut **reacting);
        if done.is_err() && self.lease.has_lost() {
            self.note_loss();
            return Ok(otherwise);
        }
        if done.is_err() && self.progress.is_stopped() {
            // Another release may be able to go on.
            self.end_term();
        }
        done
    }

    /// Saves what can be saved, and lets others run it.
    fn end_term(&mut self) {
        if let Some(reacting) = self.running() {
            reacting.seal();
            // It notes its status for others.
            let _ = reacting.status(0);
            self.counts = reacting.counts();
        }
        self.note_loss();
        self.lease.release();
    }

    /// Takes the lease for a change of the dead letters.
    fn take_for_letters(&mut self) -> io::Result<&mut dyn AnyReacting> {
        if !self.take()? {
            let name = self.lease.name();
            let runner = self.progress.runs_elsewhere();
            let runner = runner.unwrap_or_else(|| "another process".to_owned());
            let text = format!(
                "process manager `{name}` is run by {runner}, so its dead letters are replayed and \
                 discarded there"
            );
            return Err(io::Error::new(io::ErrorKind::ResourceBusy, text));
        }
        match &mut self.reacting {
            Some(reacting) => Ok(&mut **reacting),
            None => Err(io::Error::other(
                "the process manager has its lease and is not open; this is a bug",
            )),
        }
    }
}

impl AnyReacting for Leased {
    fn advance(&mut self, head: u64) -> io::Result<bool> {
        if self.is_sealed {
            return Ok(false);
        }
        if let Some(failure) = self.progress.stopped_by() {
            return Err(failure.into());
        }
        if self.lease.term().is_none() {
            self.note_loss();
            let is_due = !self.progress.is_live() || self.lease.look_in().is_zero();
            if !is_due || !self.take()? {
                return Ok(false);
            }
        }
        self.within(false, |reacting| reacting.advance(head))
    }

    fn take(&mut self) -> Option<Outgoing> {
        self.running()?.take()
    }

    fn take_behind(&mut self, number: u64) -> Option<Outgoing> {
        self.running()?.take_behind(number)
    }

    fn note(&mut self, number: u64, outcome: Outcome, retry: bool) -> io::Result<()> {
        self.within((), |reacting| reacting.note(number, outcome, retry))
    }

    fn save(&mut self) -> io::Result<()> {
        self.within((), |reacting| reacting.save())
    }

    fn seal(&mut self) {
        self.end_term();
        self.is_sealed = true;
    }

    fn add_to(&self, trace: &Trace) {
        if let Some(reacting) = &self.reacting {
            reacting.add_to(trace);
        }
    }

    fn is_at_rest(&self, trace: &Trace) -> bool {
        let reacting = self.reacting.as_ref();
        reacting.is_some_and(|reacting| reacting.is_at_rest(trace))
    }

    fn reached(&self, head: u64) -> Option<u64> {
        self.reacting.as_ref()?.reached(head)
    }

    fn is_settled(&self, number: u64) -> bool {
        let reacting = self.reacting.as_ref();
        reacting.is_some_and(|reacting| reacting.is_settled(number))
    }

    fn next_due(&self) -> Option<u64> {
        self.lease.term()?;
        self.reacting.as_ref()?.next_due()
    }

    fn wants_events_after(&self) -> Option<u64> {
        self.lease.term()?;
        self.reacting.as_ref()?.wants_events_after()
    }

    fn save_in(&self) -> Option<Duration> {
        match (&self.reacting, self.lease.term()) {
            (Some(reacting), Some(_)) => reacting.save_in(),
            _ => (!self.is_sealed).then(|| self.lease.look_in()),
        }
    }

    fn counts(&self) -> Counts {
        let reacting = self.reacting.as_ref();
        reacting.map_or(self.counts, |reacting| reacting.counts())
    }

    fn status(&self, head: u64) -> ProcessManagerStatus {
        match (&self.reacting, self.lease.term()) {
            (Some(reacting), Some(_)) => reacting.status(head),
            _ => self.progress.manager_status(head),
        }
    }

    fn letters(&self) -> io::Result<Vec<DeadLetter>> {
        if let (Some(reacting), Some(_)) = (&self.reacting, self.lease.term()) {
            return reacting.letters();
        }
        let bytes = self.records.read(RecordName::DeadLetters)?;
        let (letters, damaged) = dead_letters::listed(&bytes.unwrap_or_default(), None);
        if let Some((offset, cause)) = damaged.first() {
            let name = RecordName::DeadLetters;
            return Err(self.records.damaged(name, *offset, cause).into());
        }
        let letters = letters.into_iter();
        letters.map(|letter| Ok(letter.shown()?)).collect()
    }

    fn return_to_outbox(&mut self, ids: &HashSet<&str>) -> io::Result<Vec<Outgoing>> {
        self.take_for_letters()?.return_to_outbox(ids)
    }

    fn discard(&mut self, id: &str) -> io::Result<bool> {
        self.take_for_letters()?.discard(id)
    }

    fn term(&self) -> Option<Arc<Term>> {
        self.lease.term().cloned()
    }

    fn runs_elsewhere(&self) -> Option<String> {
        self.progress.runs_elsewhere()
    }

    fn rest(&mut self) {
        if !self.progress.is_live() {
            self.end_term();
        }
    }
}
