//! What led to an event and what followed from it: [`Trace`].

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use crate::console::event::{Event, FOR_LIST};
use crate::console::failure::Result;
use crate::console::read_side::ReadSideView;
use crate::console::reading::LOOKED_AT;
use crate::console::source::Source;
use crate::domain::command::CommandEnvelope;

/// How many events a tree has at most.
const MOST: usize = 200;

/// The events that hang together with one, by their causes.
pub(crate) struct Trace {
    /// In the order of the store.
    events: Vec<Event>,
    /// The index of the cause of each, if it is among them.
    causes: Vec<Option<usize>>,
    /// The cause of the first event is older than what was looked at.
    pub(crate) is_cut_before: bool,
    /// Up to where effects were looked for; `None`: to the end.
    pub(crate) looked_until: Option<u64>,
    pub(crate) is_full: bool,
}

/// A command of a process manager that follows from one of the events and had no effect yet.
pub(crate) struct Waiting<'a> {
    pub(crate) manager: &'a str,
    pub(crate) what: &'static str,
    pub(crate) command: &'a CommandEnvelope,
    pub(crate) error: Option<&'a str>,
}

/// The tree that the event belongs to. At most [`LOOKED_AT`] events before and after it are looked at.
pub(crate) fn trace(source: &Source, of: &Event) -> Result<Trace> {
    let mut chain = Vec::new();
    let mut is_cut_before = false;
    let mut wanted = of.causation.clone();
    let mut left = LOOKED_AT;
    if wanted.is_some() {
        source.read_backwards(Some(of.position), &mut |stored| {
            if left == 0 || chain.len() == MOST / 2 {
                is_cut_before = true;
                return ControlFlow::Break(());
            }
            left -= 1;
            if stored.record().event_id != wanted.as_deref() {
                return ControlFlow::Continue(());
            }
            let event = Event::of(stored, FOR_LIST);
            wanted.clone_from(&event.causation);
            chain.push(event);
            if wanted.is_some() {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        })?;
    }
    chain.reverse();
    let first = chain.first().unwrap_or(of).clone();
    let mut ids: HashSet<String> = first.own_id.iter().cloned().collect();
    let (mut events, mut looked_until, mut is_full) = (vec![first], None, false);
    let mut left = LOOKED_AT + of.position.saturating_sub(events[0].position);
    source.read(events[0].position, &mut |stored| {
        let record = stored.record();
        if left == 0 {
            looked_until = Some(record.position - 1);
            return ControlFlow::Break(());
        }
        left -= 1;
        let is_caused = record
            .causation_id()
            .is_some_and(|cause| ids.contains(&*cause));
        if !is_caused && record.position != of.position {
            return ControlFlow::Continue(());
        }
        if events.len() == MOST {
            is_full = true;
            return ControlFlow::Break(());
        }
        ids.extend(record.event_id.map(str::to_owned));
        events.push(Event::of(stored, FOR_LIST));
        ControlFlow::Continue(())
    })?;
    let places: HashMap<&str, usize> = events
        .iter()
        .enumerate()
        .filter_map(|(i, event)| Some((event.own_id.as_deref()?, i)))
        .collect();
    let cause_of = |(i, event): (usize, &Event)| {
        let cause = places.get(event.causation.as_deref()?).copied();
        // A cause is before its effect. Whatever else the metadata says makes no tree.
        cause.filter(|cause| *cause < i)
    };
    let causes = events.iter().enumerate().map(cause_of).collect();
    Ok(Trace {
        events,
        causes,
        is_cut_before,
        looked_until,
        is_full,
    })
}

impl Trace {
    pub(crate) fn len(&self) -> usize {
        self.events.len()
    }

    /// The events, each after the one that led to it, with how deep it lies.
    pub(crate) fn in_tree_order(&self) -> Vec<(usize, &Event)> {
        let mut children: HashMap<Option<usize>, Vec<usize>> = HashMap::new();
        for (i, cause) in self.causes.iter().enumerate() {
            children.entry(*cause).or_default().push(i);
        }
        let mut ordered = Vec::with_capacity(self.events.len());
        let below = |of: Option<usize>, depth: usize| {
            let children = children.get(&of).into_iter().flatten().rev();
            children.map(move |child| (*child, depth))
        };
        let mut rest: Vec<(usize, usize)> = below(None, 0).collect();
        while let Some((i, depth)) = rest.pop() {
            ordered.push((depth, &self.events[i]));
            rest.extend(below(Some(i), depth + 1));
        }
        ordered
    }

    /// The commands that wait, or were given up, because of the event with this id.
    pub(crate) fn waiting_for<'a>(read_side: &'a ReadSideView, event: &Event) -> Vec<Waiting<'a>> {
        let Some(id) = event.own_id.as_deref() else {
            return Vec::new();
        };
        let mut found = Vec::new();
        for of in &read_side.managers {
            let outbox = of
                .outbox
                .iter()
                .map(|c| ("in the outbox", &c.content.envelope, None));
            let timers = of
                .timers
                .iter()
                .map(|t| ("timer", &t.content.envelope, None));
            let letters = of
                .dead_letters
                .iter()
                .map(|l| ("dead letter", &l.envelope, Some(l.error.as_str())));
            let all = outbox.chain(timers).chain(letters);
            let caused =
                all.filter(|(_, command, _)| command.context.causation_id.as_deref() == Some(id));
            found.extend(caused.map(|(what, command, error)| Waiting {
                manager: &of.follower.name,
                what,
                command,
                error,
            }));
        }
        found
    }
}
