//! A process manager of any type, as those who run it see it: [`AnyReacting`].

use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::process_manager::{DeadLetter, FailureKind};
use crate::following::outgoing::Outgoing;
use crate::following::status::ProcessManagerStatus;
use crate::following::trace::Trace;
use crate::runtime::dispatch::{Effect, Failed};
use crate::storage::term::Term;

/// How many commands ended since the store was opened.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) dispatched: usize,
    pub(crate) dead_lettered: usize,
    /// Attempts that failed and were followed by another one.
    pub(crate) retried: usize,
}

/// The outcome of a command.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Its events are stored, up to this position, or it had none.
    Succeeded(u64),
    Failed(CommandFailure),
    /// It was not decided: the store is closed, or has failed. It is sent when the store is open
    /// again.
    Undecided,
    /// It was not sent, because one before it to the same target did not take effect or sending was
    /// stopped.
    Unsent,
}

/// Why a command failed.
#[derive(Debug)]
pub(crate) struct CommandFailure {
    pub(super) error: String,
    pub(super) kind: FailureKind,
    /// It certainly had no effect.
    pub(super) had_no_effect: bool,
}

impl From<&Failed> for CommandFailure {
    fn from(failed: &Failed) -> Self {
        Self {
            error: failed.error.to_string(),
            kind: failed.kind,
            had_no_effect: failed.effect == Effect::None,
        }
    }
}

impl CommandFailure {
    /// A failure that does not tell whether the command took effect. The command is not sent again.
    pub(crate) fn unclear(error: String) -> Self {
        Self {
            error,
            kind: FailureKind::Undeliverable,
            had_no_effect: false,
        }
    }
}

/// A process manager of any type.
pub(crate) trait AnyReacting: Send {
    /// Reacts to new events up to the durable position `head`, a slice at a time, fires the due
    /// timers, and saves the commands to send. True if there may be more to do at once.
    fn advance(&mut self, head: u64) -> io::Result<bool>;
    /// The next command that may be sent now, the oldest first.
    fn take(&mut self) -> Option<Outgoing>;
    /// The command to the same target that may be sent as soon as the command `number`, which is under
    /// way, took effect.
    fn take_behind(&mut self, number: u64) -> Option<Outgoing>;
    /// Notes the outcome of a command. A failed command is tried again later if `retry`.
    fn note(&mut self, number: u64, outcome: Outcome, retry: bool) -> io::Result<()>;
    /// Saves everything as it is.
    fn save(&mut self) -> io::Result<()>;
    /// Saves what can be saved. Nothing is written after that.
    fn seal(&mut self);
    /// Adds all unfinished commands to `trace`.
    fn add_to(&self, trace: &Trace);
    /// Whether it has reacted to all known events of `trace`, and none of the trace's commands is
    /// unfinished.
    fn is_at_rest(&self, trace: &Trace) -> bool;
    /// The number of the next command, once it has reacted to all events up to `head` and no timer
    /// is due.
    fn reached(&self, head: u64) -> Option<u64>;
    /// Whether all commands with a number below `number` were sent, except those that must wait.
    fn is_settled(&self, number: u64) -> bool;
    /// When the next timer or attempt is due, in milliseconds since 1970.
    fn next_due(&self) -> Option<u64>;
    /// The position after which it waits for events; `None` while too many commands wait.
    fn wants_events_after(&self) -> Option<u64>;
    /// How long until the changes should be saved.
    fn save_in(&self) -> Option<Duration>;
    fn counts(&self) -> Counts;
    fn status(&self, head: u64) -> ProcessManagerStatus;
    fn letters(&self) -> io::Result<Vec<DeadLetter>>;
    /// Moves the existing dead letters among `ids` back into the outbox, the oldest first, durably,
    /// as under way.
    fn return_to_outbox(&mut self, ids: &HashSet<&str>) -> io::Result<Vec<Outgoing>>;
    /// Removes a dead letter for good; false if it is not there.
    fn discard(&mut self, id: &str) -> io::Result<bool>;

    /// The term in which its commands are sent, if other processes may run it.
    fn term(&self) -> Option<Arc<Term>> {
        None
    }

    /// The process that runs it, if it is another one.
    fn runs_elsewhere(&self) -> Option<String> {
        None
    }

    /// Lets other processes run it, unless it runs in the background. Called after a run on demand.
    fn rest(&mut self) {}
}
