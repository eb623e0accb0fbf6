//! What follows from the events up to a position, as far as somebody waits for it: [`Trace`].
//!
//! The commands of process managers have idempotency keys, and their events are stored with them. So
//! a command belongs to a trace if it comes from an event up to the trace's position, or from one
//! that was stored under the key of a command of the trace.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};

use crate::domain::process_manager::Order;
use crate::event::Recorded;
use crate::sync::lock;

/// The traces of a store.
#[derive(Debug, Default)]
pub(crate) struct Traces(Mutex<Vec<Weak<Trace>>>);

/// The commands that follow from the events up to a position.
#[derive(Debug)]
pub(crate) struct Trace {
    /// All events up to here begin the trace.
    from: AtomicU64,
    commands: Mutex<Commands>,
}

#[derive(Debug, Default)]
struct Commands {
    /// The idempotency keys of the commands, ended or not.
    keys: HashSet<String>,
    /// Their events that are known so far are at this position or before.
    until: u64,
}

impl Traces {
    /// A trace that every new command belongs to, until it is [told](Trace::begin) where it begins.
    pub(crate) fn start(&self) -> Arc<Trace> {
        let trace = Arc::new(Trace {
            from: AtomicU64::new(u64::MAX),
            commands: Mutex::default(),
        });
        let mut traces = lock(&self.0);
        traces.retain(|trace| trace.strong_count() > 0);
        traces.push(Arc::downgrade(&trace));
        trace
    }

    fn each(&self, each: impl Fn(&Trace)) {
        for trace in lock(&self.0).iter().filter_map(Weak::upgrade) {
            each(&trace);
        }
    }

    /// Notes the commands of the reaction to an event.
    pub(crate) fn reacted(&self, event: &Recorded<'_>, orders: &[Order]) {
        self.each(|trace| {
            let mut commands = lock(&trace.commands);
            if event.position <= trace.from.load(Ordering::Acquire)
                || event.key.is_some_and(|key| commands.keys.contains(key))
            {
                commands.add(orders);
            }
        });
    }

    /// Notes the commands of the answer to the failure of the command with the key `failed`.
    pub(crate) fn answered(&self, failed: Option<&str>, orders: &[Order]) {
        self.each(|trace| {
            let mut commands = lock(&trace.commands);
            if failed.is_some_and(|key| commands.keys.contains(key)) {
                commands.add(orders);
            }
        });
    }

    /// Notes that the events of the command with this key are at `position` or before.
    pub(crate) fn took_effect(&self, key: Option<&str>, position: u64) {
        self.each(|trace| {
            let mut commands = lock(&trace.commands);
            if key.is_some_and(|key| commands.keys.contains(key)) {
                commands.until = commands.until.max(position);
            }
        });
    }
}

impl Trace {
    /// Adds a command that was there before.
    pub(crate) fn add(&self, key: &str) {
        lock(&self.commands).keys.insert(key.to_owned());
    }

    /// Sets where the trace begins.
    pub(crate) fn begin(&self, from: u64) {
        self.from.store(from, Ordering::Release);
    }

    /// Whether the command with this key belongs to it.
    pub(crate) fn has(&self, key: &str) -> bool {
        lock(&self.commands).keys.contains(key)
    }

    /// All of its events that are known so far are at this position or before.
    pub(crate) fn until(&self) -> u64 {
        let from = self.from.load(Ordering::Acquire);
        lock(&self.commands).until.max(from)
    }
}

impl Commands {
    fn add(&mut self, orders: &[Order]) {
        for command in orders.iter().flat_map(Order::commands) {
            if let Some(key) = &command.context.idempotency_key {
                self.keys.insert(key.clone());
            }
        }
    }
}
