//! A process manager at work: it reacts, its commands are saved and then sent, and their outcomes
//! are noted.
//!
//! A command is sent only when it is on disk, with the state and the position that it comes from.
//! If the program ends before it notes the outcome of a command, the next start finds the command
//! on disk. It then looks for the command's key in the journal, in everything that was stored
//! since. So a command takes effect once, however many commands its target has taken meanwhile.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::from_unix_millis;
use crate::domain::process_manager::{
    DeadLetter, FailureKind, OnFailure, Order, Outbox, ProcessManager, Retry,
};
use crate::error::closed;
use crate::following::again::Again;
use crate::following::checkpoint::Checkpoint;
use crate::following::dead_letters::DeadLetters;
use crate::following::follower::{Follower, Refusal};
use crate::following::history;
use crate::following::outgoing::{GivenUp, Outgoing};
use crate::following::pending;
use crate::following::pending::Pending;
use crate::following::reacting::{AnyReacting, CommandFailure, Counts, Outcome};
use crate::following::resolving::{
    letters_of_another_time, of_another_time, remove_effective, resolve, rolled_back,
};
use crate::following::spans;
use crate::following::status::{ProcessManagerStatus, Progress, ToDo};
use crate::following::trace::{Trace, Traces};
use crate::runtime::spans::traceparent;
use crate::storage::Storage;
use crate::storage::error::StorageResult;
use crate::storage::record::Records;
use crate::storage::restored::Restored;

/// How many events it reacts to before it saves and sends the commands.
const SLICE: u64 = 1_024;
/// How many commands may be unfinished before it stops reacting to more events. Invariant F4.
const WAITING: usize = 1_000;

/// A registered process manager: its state, its position, and its unfinished work.
pub(crate) struct Reacting<M: ProcessManager> {
    follower: Follower<M>,
    pending: Pending,
    letters: DeadLetters,
    /// The length of the file of dead letters when the checkpoint was saved.
    settled_letters: u64,
    retry: Retry,
    traces: Arc<Traces>,
    counts: Counts,
    /// What the journal of a restored store has of its commands.
    again: Again,
    /// The store is closed: another store may have the directory.
    is_sealed: bool,
}

/// How a process manager works, besides its type.
pub(crate) struct Reaction {
    pub(crate) on_failure: OnFailure,
    pub(crate) retry: Retry,
    pub(crate) traces: Arc<Traces>,
    /// The note that its store was restored.
    pub(crate) restored: Option<Restored>,
    /// What it counted in earlier terms of its lease.
    pub(crate) counts: Counts,
    /// Where it tells how it is doing, if others may have run it before.
    pub(crate) progress: Option<Arc<Progress>>,
}

impl<M: ProcessManager> Reacting<M> {
    /// Continues the process manager from `checkpoint`, which was read from `records`.
    ///
    /// # Errors
    ///
    /// If the checkpoint or the dead letters do not belong to the journal's history: commands would
    /// be sent again, or never.
    pub(crate) fn open(
        storage: &Storage,
        records: Records,
        mut checkpoint: Checkpoint<M>,
        how: Reaction,
    ) -> io::Result<Self> {
        if let Some(cause) = checkpoint.misfit(storage)? {
            return Err(of_another_time::<M>(&records, &cause));
        }
        // Without a position it may send its commands again. Those of 0.2.0 have no keys to detect
        // that.
        let is_ours = checkpoint.position > 0 && checkpoint.cursors.is_none();
        let saved = std::mem::take(&mut checkpoint.pending);
        let settled_letters = saved.letters.unwrap_or(0);
        let mut letters = DeadLetters::open(&records, saved.settled_letters())?;
        if let Some(cause) = letters.misfit(&saved)? {
            return Err(letters_of_another_time::<M>(&records, &cause));
        }
        let again = Again::open(storage, &records, how.restored, checkpoint.position, &saved)?;
        let known = checkpoint.position.max(again.until());
        if is_ours && let Some(cause) = rolled_back::<M>(storage, known, &letters)? {
            return Err(of_another_time::<M>(&records, &cause));
        }
        let reader = |position| Some(storage.reader(position));
        let answered = if is_ours {
            history::answered(M::NAME, &saved, reader, storage.head())?
        } else {
            BTreeSet::new()
        };
        if let Some(number) = answered.first().filter(|_| how.restored.is_none()) {
            let cause = history::answered_already(*number);
            return Err(of_another_time::<M>(&records, &cause));
        }
        let mut pending = Pending::new(saved);
        for number in answered {
            pending.done(number);
        }
        remove_effective(&again, &mut letters)?;
        resolve(storage, &mut pending, &mut letters)?;
        pending.number_behind(&letters.ids()?);
        let skipped_events = checkpoint.chain.map(|_| checkpoint.skipped_events);
        let mut follower = Follower::new(M::NAME, storage.clone(), records, checkpoint)
            .subscribed_to(1, M::event_sets())
            .with_on_failure(how.on_failure)?;
        if let Some(progress) = how.progress {
            follower.report_to(progress);
        }
        if skipped_events.is_some_and(|sum| !follower.has_skipped(sum)) {
            tracing::warn!(
                pm_name = M::NAME,
                "the events that the process manager skipped are not those in its record"
            );
        }
        Ok(Self {
            follower,
            pending,
            letters,
            settled_letters,
            retry: how.retry,
            traces: how.traces,
            counts: how.counts,
            again,
            is_sealed: false,
        })
    }

    pub(crate) fn progress(&self) -> Arc<Progress> {
        self.follower.progress().clone()
    }

    fn now(&self) -> u64 {
        self.follower.storage().clock().now_ms()
    }

    fn react(&mut self, head: u64) -> io::Result<()> {
        let _span = tracing::debug_span!("pm_catchup", pm_name = M::NAME).entered();
        let types = self.follower.state.subscriptions();
        let slice = head.min(self.follower.position() + SLICE);
        let traces = &self.traces;
        // Ordered by position. If an event is passed again, its orders replace the earlier ones.
        let mut orders: BTreeMap<u64, Vec<Order>> = BTreeMap::new();
        let followed = self.follower.follow(types, slice, |state, event| {
            let span = spans::reaction(M::NAME, event).entered();
            let mut out = Outbox::new(M::NAME, event.record()).within(traceparent(&span));
            state.react_stored(event, &mut out)?;
            let new = out.finish()?;
            new.iter().try_for_each(pending::read_back)?;
            traces.reacted(event.record(), &new);
            if !new.is_empty() {
                orders.insert(event.record().position, new);
            }
            Ok::<(), Refusal>(())
        });
        // Orders from before an event that could not be taken stay valid: the position is after
        // them.
        for order in orders.into_values().flatten() {
            self.pending.carry_out(order);
        }
        followed
    }

    fn note_to_do(&self) {
        self.follower.progress().set_to_do(ToDo {
            outgoing: self.pending.count(),
            timers: self.pending.timers(),
            dead_letters: self.letters.count(),
            sent: self.counts.dispatched as u64,
            retried: self.counts.retried as u64,
            given_up: self.counts.dead_lettered as u64,
        });
    }

    /// Saves if that is due. A failure is reported, and the save is tried again later.
    fn save_if_due(&mut self) {
        if self.follower.is_save_due(self.pending.has_changed())
            && let Err(error) = self.save()
        {
            self.follower.note_unsaved(&error);
        }
    }

    /// What becomes of a command that is not tried again: it is answered, or it becomes a dead
    /// letter. Invariant F10.
    fn end(&mut self, failed: &Outgoing, attempts: u32, failure: CommandFailure) -> io::Result<()> {
        let number = failed.number;
        // Whoever replays a dead letter learns that it failed.
        let may_answer =
            failed.letter.is_none() && failure.had_no_effect && !self.pending.is_in_doubt(number);
        let CommandFailure { error, kind, .. } = failure;
        if !may_answer {
            return self.bury(failed, attempts, &error, kind);
        }
        if kind == FailureKind::Io && self.is_in_journal(failed)? {
            // It took effect earlier, and only its answer could not be read.
            self.pending.done(number);
            self.counts.dispatched += 1;
            return Ok(());
        }
        if self.pending.fall_back(number) {
            tracing::warn!(pm_name = M::NAME, %error, attempts, "another command is sent instead");
            return Ok(());
        }
        if failed.answers_failure {
            return self.bury(failed, attempts, &error, kind);
        }
        self.answer(failed, attempts, &error, kind)
    }

    /// Lets the process manager answer the failure of a command. Invariant F10.
    fn answer(
        &mut self,
        failed: &Outgoing,
        attempts: u32,
        error: &str,
        kind: FailureKind,
    ) -> io::Result<()> {
        let shown = failed.envelope.clone().into_shown()?;
        let letter = DeadLetter {
            id: failed.letter_id(),
            envelope: shown.envelope,
            together: shown.together,
            decision: shown.decision,
            error: error.to_owned(),
            kind: Some(kind),
            time: from_unix_millis(self.now()),
            attempts,
        };
        let position = self.follower.position();
        let answered = self.follower.change(|state| {
            let mut out = Outbox::answering(M::NAME, &letter, position);
            state.on_dead_letter(&letter, &mut out);
            let orders = out.finish().map_err(|error| error.to_string())?;
            let read_back = orders.iter().try_for_each(pending::read_back);
            read_back.map_err(|error| error.to_string())?;
            Ok(orders)
        })?;
        let (orders, has_changed) = match answered {
            Ok(answered) => answered,
            Err(cause) => {
                let text = format!(
                    "`on_dead_letter` of `{}` for dead letter `{}` {cause}",
                    M::NAME,
                    letter.id
                );
                self.follower.progress().fail(&text);
                return self.bury(failed, attempts, error, kind);
            }
        };
        if orders.is_empty() && !has_changed {
            return self.bury(failed, attempts, error, kind);
        }
        let key = failed.envelope.context.idempotency_key.as_deref();
        self.traces.answered(key, &orders);
        let is_cancel = |order: &Order| matches!(order, Order::Cancel(_));
        if orders.iter().all(is_cancel) {
            let given_up = GivenUp {
                error: error.to_owned(),
                kind,
            };
            self.pending.give_up(failed.number, attempts, given_up);
        } else {
            tracing::warn!(pm_name = M::NAME, %error, attempts, "the failure is answered");
            self.pending.done(failed.number);
        }
        self.pending.answer(orders);
        Ok(())
    }

    /// Whether the journal has the effect of a command.
    fn is_in_journal(&self, outgoing: &Outgoing) -> io::Result<bool> {
        let envelope = &outgoing.envelope;
        let Some(key) = envelope.context.idempotency_key.as_deref() else {
            return Ok(false);
        };
        let storage = self.follower.storage();
        let mut is_there = false;
        let mut reader = storage.reader(outgoing.since);
        reader.read_to(storage.head(), |committed| {
            let stream = (committed.aggregate_type(), committed.id());
            if envelope.streams().any(|other| other == stream) {
                committed.keys(|found| is_there |= found == key);
            }
            StorageResult::Ok(if is_there {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            })
        })?;
        Ok(is_there)
    }

    /// Turns the commands that were given up, and are saved as such, into dead letters.
    fn bury_given_up(&mut self) -> io::Result<()> {
        while let Some(outgoing) = self.pending.first_given_up().cloned()
            && let Some(GivenUp { error, kind }) = &outgoing.given_up
        {
            self.bury(&outgoing, outgoing.attempts, error, *kind)?;
        }
        Ok(())
    }

    /// Adds a command to the dead letters. If that fails, the command stays in the outbox.
    /// Invariant F3.
    fn bury(
        &mut self,
        outgoing: &Outgoing,
        attempts: u32,
        error: &str,
        kind: FailureKind,
    ) -> io::Result<()> {
        if self.letters.length() < self.settled_letters {
            // Otherwise an unfinished line would be taken for a finished one.
            self.save()?;
        }
        let (id, now) = (outgoing.letter_id(), self.now());
        self.letters
            .add(&id, &outgoing.envelope, (error, kind), attempts, now)?;
        let (target_type, target_id) = outgoing.envelope.first_target();
        tracing::error!(
            pm_name = M::NAME,
            target_type,
            target_id,
            %error,
            attempts,
            "command dead-lettered"
        );
        self.pending.done(outgoing.number);
        self.counts.dead_lettered += 1;
        Ok(())
    }
}

impl<M: ProcessManager> AnyReacting for Reacting<M> {
    fn advance(&mut self, head: u64) -> io::Result<bool> {
        if self.is_sealed {
            return Ok(false);
        }
        if self.pending.is_unsaved() {
            self.save()?;
        }
        self.bury_given_up()?;
        let may_react = self.pending.waiting() < WAITING;
        if may_react {
            // The process manager's own code may ask for the status.
            self.note_to_do();
            self.react(head)?;
        }
        let mut is_behind = self.follower.position() < head;
        let now = self.now();
        if !is_behind && self.pending.has_due_timer(now) {
            // An event that cancels a timer comes before the timer. A run on demand has just asked.
            if self.follower.progress().is_live() {
                is_behind = self.follower.position() < self.follower.storage().ask_head()?;
            }
            if !is_behind {
                self.pending.fire(now);
            }
        }
        if self.pending.is_unsaved() {
            self.save()?;
        } else {
            self.save_if_due();
        }
        Ok(may_react && is_behind)
    }

    fn take(&mut self) -> Option<Outgoing> {
        if self.is_sealed {
            return None;
        }
        while let Some(outgoing) = self.pending.take(self.now()) {
            // Invariant B4.
            if !self.again.has_effect(&outgoing) {
                return Some(outgoing);
            }
            self.pending.done(outgoing.number);
        }
        None
    }

    fn take_behind(&mut self, number: u64) -> Option<Outgoing> {
        let again = &self.again;
        let follows = |next: &Outgoing| !again.has_effect(next);
        self.pending.take_behind(number, follows)
    }

    fn note(&mut self, number: u64, outcome: Outcome, retry: bool) -> io::Result<()> {
        let Some(outgoing) = self.pending.get(number) else {
            return Ok(());
        };
        if self.is_sealed {
            return Ok(());
        }
        let before = outgoing.attempts;
        let attempts = before + 1;
        match outcome {
            Outcome::Succeeded(position) => {
                let key = outgoing.envelope.context.idempotency_key.as_deref();
                self.traces.took_effect(key, position);
                self.pending.done(number);
                self.counts.dispatched += 1;
            }
            Outcome::Undecided => self.pending.leave_in_doubt(number),
            Outcome::Unsent => self.pending.put_back(number, before, 0),
            Outcome::Failed(failure) => {
                let outgoing = outgoing.clone();
                let chance = uuid::Uuid::new_v4().as_u64_pair().1;
                let pause = self.retry.pause(failure.kind, attempts, chance);
                match pause.filter(|_| retry) {
                    Some(pause) => {
                        let error = &failure.error;
                        tracing::warn!(pm_name = M::NAME, %error, attempts, pause, "a command failed and is tried again later");
                        let not_before = self.now().saturating_add(pause).max(1);
                        self.pending.put_back(number, attempts, not_before);
                        self.counts.retried += 1;
                    }
                    None => {
                        if let Err(error) = self.end(&outgoing, attempts, failure) {
                            self.pending.put_back(number, attempts, 0);
                            return Err(error);
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn save(&mut self) -> io::Result<()> {
        let is_shorter = self.letters.length() < self.settled_letters;
        let has_changed = self.pending.has_changed() || self.follower.has_moved() || is_shorter;
        if self.is_sealed || !has_changed {
            return Ok(());
        }
        self.letters.tidy()?;
        let length = self.letters.length();
        let sum = self.letters.sum()?;
        let saved = self.pending.saved_at(self.follower.head(), length, sum);
        self.follower.save_with(Some(&saved))?;
        self.settled_letters = length;
        self.pending.mark_saved();
        let is_due = self.pending.next_due().is_some_and(|due| due <= self.now());
        if self.follower.position() >= self.again.until() && self.pending.count() == 0 && !is_due {
            self.again.end(self.follower.records())?;
        }
        Ok(())
    }

    fn seal(&mut self) {
        if !self.is_sealed
            && self.follower.check().is_ok()
            && let Err(error) = self.save()
        {
            tracing::warn!(name = M::NAME, %error, "the checkpoint could not be saved");
        }
        self.is_sealed = true;
    }

    fn add_to(&self, trace: &Trace) {
        self.pending.keys().for_each(|key| trace.add(key));
    }

    fn is_at_rest(&self, trace: &Trace) -> bool {
        self.follower.position() >= trace.until() && !self.pending.is_busy_with(trace, self.now())
    }

    fn reached(&self, head: u64) -> Option<u64> {
        let is_there = self.follower.position() >= head;
        let next = self.pending.next_number(self.now());
        next.filter(|_| is_there)
    }

    fn is_settled(&self, number: u64) -> bool {
        self.pending.is_settled(number, self.now())
    }

    fn next_due(&self) -> Option<u64> {
        self.pending.next_due()
    }

    fn wants_events_after(&self) -> Option<u64> {
        (self.pending.waiting() < WAITING).then(|| self.follower.position())
    }

    fn save_in(&self) -> Option<Duration> {
        let has_changed = self.pending.has_changed();
        self.follower
            .save_in(has_changed)
            .filter(|_| !self.is_sealed)
    }

    fn counts(&self) -> Counts {
        self.counts
    }

    fn status(&self, head: u64) -> ProcessManagerStatus {
        self.note_to_do();
        self.follower.progress().manager_status(head)
    }

    fn letters(&self) -> io::Result<Vec<DeadLetter>> {
        let letters = self.letters.list()?;
        letters
            .into_iter()
            .map(|letter| Ok(letter.shown()?))
            .collect()
    }

    fn return_to_outbox(&mut self, ids: &HashSet<&str>) -> io::Result<Vec<Outgoing>> {
        if self.is_sealed {
            return Err(closed());
        }
        let mut letters = self.letters.list()?;
        letters.retain(|letter| ids.contains(letter.id.as_str()));
        if letters.is_empty() {
            return Ok(Vec::new());
        }
        let since = self.follower.head();
        let mut revived = Vec::with_capacity(letters.len());
        for letter in letters {
            let mut envelope = letter.command;
            // A dead letter of 0.2.0 has no key.
            envelope
                .context
                .idempotency_key
                .get_or_insert_with(|| format!("{}/letter/{}", M::NAME, letter.id));
            let again = self
                .pending
                .send_again(letter.id, letter.attempts, since, envelope);
            revived.push(again);
        }
        if let Err(error) = self.save() {
            for outgoing in &revived {
                self.pending.done(outgoing.number);
            }
            return Err(error);
        }
        if let Err(error) = self.letters.remove(ids) {
            // The lines may have been removed despite the error.
            if let Ok(left) = self.letters.recount() {
                for outgoing in &revived {
                    if left.contains(&outgoing.letter_id()) {
                        self.pending.done(outgoing.number);
                    } else {
                        self.pending.put_back(outgoing.number, outgoing.attempts, 0);
                    }
                }
            }
            return Err(error.into());
        }
        Ok(revived)
    }

    fn discard(&mut self, id: &str) -> io::Result<bool> {
        if self.is_sealed {
            return Err(closed());
        }
        if self.pending.has_changed() {
            // The saved outbox may still have the command, and would send it.
            self.save()?;
        }
        Ok(self.letters.remove(&HashSet::from([id]))? > 0)
    }
}
