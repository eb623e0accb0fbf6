//! The unfinished work of a process manager: commands to send, and timers. It is saved with the
//! state and the position, in one file.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::domain::command::{Content, StoredCommand};
use crate::domain::process_manager::{Order, Timer, Unwritable};
use crate::following::chain::Chain;
use crate::following::checkpoint;
use crate::following::dead_letters;
use crate::following::outgoing::{GivenUp, Outgoing, Saved, ToSave};
use crate::following::trace::Trace;

/// Reads the command of `order` back in the form that the checkpoint will have, and the form of a
/// dead letter. A command that is readable alone may be nested too deeply in a file.
///
/// # Errors
///
/// Which command could not be read, and why.
pub(crate) fn read_back(order: &Order) -> Result<(), Unwritable> {
    // A timer becomes a command, and so does what is sent if that fails.
    for (i, command) in order.commands().enumerate() {
        let read_back = if command.context.metadata.is_some() {
            // It is nested deeper in a checkpoint than in a dead letter.
            let in_a_letter = dead_letters::read_back(command);
            in_a_letter.and_then(|()| read_back_saved(order, command, i == 0))
        } else {
            // The rest is texts and numbers, and both files hold the JSON of a command as it is.
            command.check_shown().map_err(|error| error.to_string())
        };
        read_back.map_err(|cause| {
            Unwritable::new(command, "could not be read again once it is saved", cause)
        })?;
    }
    Ok(())
}

/// Reads `command`, one of `order`, back in the form that the checkpoint will have.
fn read_back_saved(order: &Order, command: &StoredCommand, is_first: bool) -> Result<(), String> {
    let mut saved = Saved {
        outgoing: vec![Outgoing::new(0, command.clone())],
        ..Saved::default()
    };
    if let Order::Schedule(key, timer) = order {
        saved.timers.insert(key.clone(), timer.clone());
    }
    if !is_first {
        // It is nested deeper while it waits for the first one.
        saved.outgoing[0].or_send.push(command.clone());
    }
    checkpoint::read_back_pending(&saved.to_save())
}

/// Commands to send, and timers.
///
/// Commands for one aggregate are sent one after the other, in order. While one of them is retried,
/// the later ones wait until it succeeds or becomes a dead letter. Commands for other aggregates go
/// on. So it is with commands of decisions whose boundaries have a tag in common. Commands that take
/// effect together wait for those before them at each of their aggregates, and are waited for at each.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    next: u64,
    entries: BTreeMap<u64, Entry>,
    lanes: HashMap<Target, Lane>,
    under_way: usize,
    /// The commands that are the first in all their lanes, and may be sent at once.
    ready: BTreeSet<u64>,
    /// The commands that are the first in all their lanes, and are to be tried again at a later time.
    delayed: BTreeSet<(u64, u64)>,
    timers: BTreeMap<String, Timer>,
    /// The timers by the time at which they are due.
    due: BTreeSet<(u64, String)>,
    /// The commands that came from timers, by the timers' keys.
    fired: HashMap<String, u64>,
    /// The commands that become dead letters once that is saved.
    given_up: BTreeSet<u64>,
    /// How many of the commands come from dead letters.
    revived: usize,
    /// Some commands are not saved yet, so they must not be sent.
    is_unsaved: bool,
    /// Something changed since it was saved.
    has_changed: bool,
}

type Target = (String, String);

/// The numbers of commands, by target and idempotency key.
type Keys = HashMap<Target, HashMap<String, Vec<u64>>>;

/// The commands for one aggregate, or of decisions with a common tag, in order. Invariant F4.
#[derive(Debug, Default)]
struct Lane {
    numbers: BTreeSet<u64>,
    under_way: usize,
}

#[derive(Debug)]
struct Entry {
    outgoing: Outgoing,
    /// There is at least one.
    lanes: Arc<[Target]>,
    is_under_way: bool,
    /// It was sent, and its outcome is unknown.
    is_in_doubt: bool,
    /// When it is to be tried again, in milliseconds since 1970.
    not_before: u64,
    /// It is among the ready or the delayed, and it is delayed until then.
    offered: Option<u64>,
}

/// The lanes of a command.
fn lanes(envelope: &StoredCommand) -> Arc<[Target]> {
    let own = |(aggregate_type, id): (&str, &str)| (aggregate_type.to_owned(), id.to_owned());
    let mut lanes: Vec<Target> = match &envelope.content {
        // No aggregate type is empty, so these are lanes of their own.
        Content::Decision(decision) if !decision.tags.is_empty() => {
            let tags = decision.tags.iter();
            tags.map(|tag| own(("", tag.as_str()))).collect()
        }
        _ => envelope.streams().map(own).collect(),
    };
    lanes.sort_unstable();
    lanes.dedup();
    lanes.into()
}

impl Pending {
    /// Continues from what was saved. Whether its commands took effect is unknown: see
    /// [`in_doubt`](Self::in_doubt).
    pub(crate) fn new(saved: Saved) -> Self {
        let mut pending = Self {
            next: saved.next,
            ..Self::default()
        };
        for outgoing in saved.outgoing {
            pending.insert(outgoing, false);
        }
        for (key, timer) in saved.timers {
            pending.due.insert((timer.due, key.clone()));
            pending.timers.insert(key, timer);
        }
        pending
    }

    /// The form to save. The newest durable position is `head`, and the file of dead letters has
    /// `letters` bytes with the checksum `letters_sum`.
    pub(crate) fn saved_at(&mut self, head: u64, letters: u64, letters_sum: u64) -> ToSave<'_> {
        for entry in self.entries.values_mut() {
            // A command that is neither under way nor in doubt has not taken effect so far.
            if !entry.is_under_way && !entry.is_in_doubt {
                entry.outgoing.since = head;
            }
        }
        ToSave {
            next: self.next,
            outgoing: self.entries.values().map(|e| &e.outgoing).collect(),
            timers: &self.timers,
            letters: Some(letters),
            letters_sum: Some(Chain(letters_sum)),
            // A dead letter was read from another file, where its command is nested less deeply.
            is_read_back: self.revived == 0,
        }
    }

    pub(crate) fn mark_saved(&mut self) {
        self.is_unsaved = false;
        self.has_changed = false;
    }

    /// Whether there are commands that must be saved before they are sent.
    pub(crate) fn is_unsaved(&self) -> bool {
        self.is_unsaved
    }

    pub(crate) fn has_changed(&self) -> bool {
        self.has_changed
    }

    /// The position after which effects of the saved commands can be, and the commands' numbers by
    /// target and key.
    pub(crate) fn in_doubt(&self) -> Option<(u64, Keys)> {
        let after = self.entries.values().map(|e| e.outgoing.since).min()?;
        let mut keys = Keys::new();
        for Entry { outgoing, .. } in self.entries.values() {
            if let Some(key) = &outgoing.envelope.context.idempotency_key {
                for (aggregate_type, id) in outgoing.envelope.streams() {
                    let target = (aggregate_type.to_owned(), id.to_owned());
                    let of_target = keys.entry(target).or_default();
                    let numbers = of_target.entry(key.clone()).or_default();
                    numbers.push(outgoing.number);
                }
            }
        }
        Some((after, keys))
    }

    pub(crate) fn carry_out(&mut self, order: Order) {
        self.has_changed = true;
        match order {
            Order::Send(envelope, or_send) => {
                let outgoing = Outgoing {
                    or_send,
                    ..Outgoing::new(self.next, envelope)
                };
                self.send(outgoing);
            }
            Order::Schedule(key, timer) => {
                self.cancel(&key);
                self.due.insert((timer.due, key.clone()));
                self.timers.insert(key, timer);
            }
            Order::Cancel(key) => self.cancel(&key),
        }
    }

    /// Adds a command after the others.
    fn send(&mut self, outgoing: Outgoing) {
        self.next += 1;
        self.is_unsaved = true;
        self.insert(outgoing, false);
    }

    /// Carries out what answers the failure of a command. The changed state is to be saved too, also
    /// if there is no order.
    pub(crate) fn answer(&mut self, orders: Vec<Order>) {
        self.has_changed = true;
        self.is_unsaved = true;
        for order in orders {
            match order {
                Order::Send(envelope, or_send) => {
                    let outgoing = Outgoing {
                        or_send,
                        answers_failure: true,
                        ..Outgoing::new(self.next, envelope)
                    };
                    self.send(outgoing);
                }
                Order::Schedule(key, mut timer) => {
                    timer.answers_failure = true;
                    self.carry_out(Order::Schedule(key, timer));
                }
                Order::Cancel(_) => self.carry_out(order),
            }
        }
    }

    /// Adds a command that was the dead letter `letter`. It is under way, and its effects come
    /// after the position `since`.
    pub(crate) fn send_again(
        &mut self,
        letter: String,
        attempts: u32,
        since: u64,
        envelope: StoredCommand,
    ) -> Outgoing {
        let outgoing = Outgoing {
            attempts,
            since,
            letter: Some(letter),
            ..Outgoing::new(self.next, envelope)
        };
        self.next += 1;
        self.is_unsaved = true;
        self.has_changed = true;
        self.insert(outgoing.clone(), true);
        outgoing
    }

    /// Gives new commands higher numbers than those in the dead letters' `ids`.
    pub(crate) fn number_behind(&mut self, ids: &[String]) {
        let numbers = ids.iter().filter_map(|id| id.parse::<u64>().ok());
        let behind = numbers.map(|number| number.saturating_add(1)).max();
        self.next = self.next.max(behind.unwrap_or(0));
    }

    /// The numbers of the commands, by the ids of the dead letters that they would become.
    pub(crate) fn letter_ids(&self) -> HashMap<String, u64> {
        let entries = self.entries.values().map(|entry| &entry.outgoing);
        entries.map(|o| (o.letter_id(), o.number)).collect()
    }

    fn insert(&mut self, outgoing: Outgoing, is_under_way: bool) {
        let number = outgoing.number;
        let lanes = lanes(&outgoing.envelope);
        let is_given_up = outgoing.given_up.is_some();
        // A command that is given up has ended, so nobody cancels it.
        if let Some(key) = outgoing.timer.as_ref().filter(|_| !is_given_up) {
            self.fired.insert(key.clone(), number);
        }
        self.revived += usize::from(outgoing.letter.is_some());
        let entry = Entry {
            outgoing,
            lanes: lanes.clone(),
            is_under_way,
            is_in_doubt: false,
            not_before: 0,
            offered: None,
        };
        self.entries.insert(number, entry);
        if is_given_up {
            self.given_up.insert(number);
            return;
        }
        for lane in &*lanes {
            let lane = self.lanes.entry(lane.clone()).or_default();
            lane.numbers.insert(number);
        }
        self.count_under_way(&lanes, usize::from(is_under_way), 0);
        self.offer(&lanes);
    }

    fn count_under_way(&mut self, lanes: &[Target], more: usize, fewer: usize) {
        self.under_way = self.under_way + more - fewer;
        for lane in lanes {
            if let Some(lane) = self.lanes.get_mut(lane) {
                lane.under_way = lane.under_way + more - fewer;
            }
        }
    }

    /// Makes the commands of changed lanes that may be sent ready or delayed, and no others.
    fn offer(&mut self, lanes: &[Target]) {
        for lane in lanes {
            // The second one was the first one before, if a command came before it.
            let numbers = self.lanes.get(lane).map(|lane| &lane.numbers);
            let mut numbers = numbers.into_iter().flatten().copied();
            for number in [numbers.next(), numbers.next()].into_iter().flatten() {
                self.offer_one(number);
            }
        }
    }

    /// Makes a command ready or delayed if it is the first one in all its lanes, and none of them has
    /// a command under way. Otherwise it is neither.
    fn offer_one(&mut self, number: u64) {
        let Some(entry) = self.entries.get_mut(&number) else {
            return;
        };
        if let Some(not_before) = entry.offered.take() {
            self.ready.remove(&number);
            self.delayed.remove(&(not_before, number));
        }
        let may_be_sent = entry.lanes.iter().all(|lane| {
            let lane = self.lanes.get(lane);
            lane.is_some_and(|l| l.under_way == 0 && l.numbers.first() == Some(&number))
        });
        if may_be_sent {
            entry.offered = Some(entry.not_before);
            if entry.not_before > 0 {
                self.delayed.insert((entry.not_before, number));
            } else {
                self.ready.insert(number);
            }
        }
    }

    fn remove(&mut self, number: u64) -> Option<Outgoing> {
        let entry = self.entries.remove(&number)?;
        self.has_changed = true;
        self.given_up.remove(&number);
        self.revived -= usize::from(entry.outgoing.letter.is_some());
        if let Some(key) = &entry.outgoing.timer
            && self.fired.get(key) == Some(&number)
        {
            self.fired.remove(key);
        }
        if let Some(not_before) = entry.offered {
            self.ready.remove(&number);
            self.delayed.remove(&(not_before, number));
        }
        self.count_under_way(&entry.lanes, 0, usize::from(entry.is_under_way));
        for target in &*entry.lanes {
            if let Some(lane) = self.lanes.get_mut(target) {
                lane.numbers.remove(&number);
                if lane.numbers.is_empty() {
                    self.lanes.remove(target);
                }
            }
        }
        self.offer(&entry.lanes);
        Some(entry.outgoing)
    }

    /// Forgets a timer. Also forgets the command that it became, unless that is under way.
    fn cancel(&mut self, key: &str) {
        if let Some(timer) = self.timers.remove(key) {
            self.due.remove(&(timer.due, key.to_owned()));
        }
        if let Some(number) = self.fired.get(key).copied()
            && self.entries.get(&number).is_some_and(|e| !e.is_under_way)
        {
            self.remove(number);
        }
    }

    /// Sends the commands of all timers that are due at `now`. Invariant F5.
    pub(crate) fn fire(&mut self, now: u64) {
        while let Some((due, key)) = self.due.first().cloned()
            && due <= now
        {
            self.due.pop_first();
            if let Some(timer) = self.timers.remove(&key) {
                self.has_changed = true;
                self.send(Outgoing {
                    timer: Some(key),
                    or_send: timer.or_send,
                    answers_failure: timer.answers_failure,
                    ..Outgoing::new(self.next, timer.envelope)
                });
            }
        }
    }

    /// The next command to send at `now`, the oldest first. It is under way from then on.
    pub(crate) fn take(&mut self, now: u64) -> Option<Outgoing> {
        // Invariant F2.
        if self.is_unsaved {
            return None;
        }
        while let Some((not_before, number)) = self.delayed.first().copied()
            && not_before <= now
        {
            self.delayed.pop_first();
            self.ready.insert(number);
        }
        let number = self.ready.pop_first()?;
        self.begin(number)
    }

    /// Notes that a command, which is not among the ready and the delayed, is under way.
    fn begin(&mut self, number: u64) -> Option<Outgoing> {
        let entry = self.entries.get_mut(&number)?;
        entry.is_under_way = true;
        entry.offered = None;
        let (outgoing, lanes) = (entry.outgoing.clone(), entry.lanes.clone());
        self.count_under_way(&lanes, 1, 0);
        Some(outgoing)
    }

    /// The command to the one target of `number`, which is under way, that may be sent as soon as that one
    /// took effect, if it `follows`. It is under way from then on. A command of a timer does not follow:
    /// it can be cancelled until it is the first one.
    pub(crate) fn take_behind(
        &mut self,
        number: u64,
        follows: impl FnOnce(&Outgoing) -> bool,
    ) -> Option<Outgoing> {
        let [target] = &self.entries.get(&number)?.lanes[..] else {
            return None;
        };
        let next = *self.lanes.get(target)?.numbers.range(number + 1..).next()?;
        let entry = self.entries.get(&next)?;
        let may_follow = entry.lanes.len() == 1
            && !entry.is_under_way
            && entry.not_before == 0
            && entry.outgoing.timer.is_none()
            && follows(&entry.outgoing);
        if self.is_unsaved || !may_follow {
            return None;
        }
        self.begin(next)
    }

    /// Removes a command that took effect, or was written to the dead letters.
    pub(crate) fn done(&mut self, number: u64) {
        self.remove(number);
    }

    /// Puts the command to send if this one fails in its place, if there is one. The command must
    /// have had no effect.
    pub(crate) fn fall_back(&mut self, number: u64) -> bool {
        if self
            .get(number)
            .is_none_or(|failed| failed.or_send.is_empty())
        {
            return false;
        }
        if let Some(mut outgoing) = self.remove(number) {
            outgoing.envelope = outgoing.or_send.remove(0);
            outgoing.attempts = 0;
            self.is_unsaved = true;
            self.insert(outgoing, false);
        }
        true
    }

    /// Notes that the command is not sent any more, and becomes a dead letter once that is saved.
    pub(crate) fn give_up(&mut self, number: u64, attempts: u32, given_up: GivenUp) {
        if let Some(mut outgoing) = self.remove(number) {
            outgoing.attempts = attempts;
            outgoing.given_up = Some(given_up);
            self.is_unsaved = true;
            self.insert(outgoing, false);
        }
    }

    /// A command that becomes a dead letter.
    pub(crate) fn first_given_up(&self) -> Option<&Outgoing> {
        self.get(*self.given_up.first()?)
    }

    /// Whether the outcome of an earlier attempt is unknown.
    pub(crate) fn is_in_doubt(&self, number: u64) -> bool {
        let entry = self.entries.get(&number);
        entry.is_some_and(|entry| entry.is_in_doubt)
    }

    /// The idempotency keys of all unfinished commands and of the timers, and of what is sent if
    /// they fail.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        let entries = self.entries.values().map(|entry| &entry.outgoing);
        let outgoing = entries.flat_map(|o| o.or_send.iter().chain([&o.envelope]));
        let timers = self.timers.values();
        let timers = timers.flat_map(|t| t.or_send.iter().chain([&t.envelope]));
        let commands = outgoing.chain(timers);
        commands.filter_map(|command| command.context.idempotency_key.as_deref())
    }

    /// Whether a command of `trace` is unfinished, or one of its timers is due at `now`.
    pub(crate) fn is_busy_with(&self, trace: &Trace, now: u64) -> bool {
        let is_part = |command: &StoredCommand| {
            let key = command.context.idempotency_key.as_deref();
            key.is_some_and(|key| trace.has(key))
        };
        let mut due = self.due.iter().take_while(|(due, _)| *due <= now);
        self.entries.values().any(|e| is_part(&e.outgoing.envelope))
            || due.any(|(_, key)| self.timers.get(key).is_some_and(|t| is_part(&t.envelope)))
    }

    /// Notes that the command did not take effect. It is to be tried again at `not_before`.
    pub(crate) fn put_back(&mut self, number: u64, attempts: u32, not_before: u64) {
        if let Some(entry) = self.entries.get_mut(&number)
            && entry.is_under_way
        {
            self.has_changed = true;
            entry.is_under_way = false;
            entry.not_before = not_before;
            entry.outgoing.attempts = attempts;
            let lanes = entry.lanes.clone();
            self.count_under_way(&lanes, 0, 1);
            self.offer(&lanes);
        }
    }

    /// Notes that the command's outcome is unknown. It is sent again, or found in the journal when
    /// the store is next opened.
    pub(crate) fn leave_in_doubt(&mut self, number: u64) {
        if let Some(entry) = self.entries.get_mut(&number) {
            entry.is_in_doubt = true;
            let attempts = entry.outgoing.attempts;
            self.put_back(number, attempts, 0);
        }
    }

    pub(crate) fn get(&self, number: u64) -> Option<&Outgoing> {
        self.entries.get(&number).map(|entry| &entry.outgoing)
    }

    /// How many commands are unfinished.
    pub(crate) fn count(&self) -> usize {
        self.entries.len()
    }

    /// How many of them come from events. A replay must not stop the process manager from reacting.
    pub(crate) fn waiting(&self) -> usize {
        self.entries.len() - self.revived
    }

    pub(crate) fn timers(&self) -> usize {
        self.timers.len()
    }

    /// When the next timer or attempt is due.
    pub(crate) fn next_due(&self) -> Option<u64> {
        let timer = self.due.first().map(|(due, _)| *due);
        let delayed = self.delayed.first().map(|(due, _)| *due);
        timer.into_iter().chain(delayed).min()
    }

    /// The number of the next command, unless a timer is due at `now`.
    pub(crate) fn next_number(&self, now: u64) -> Option<u64> {
        (!self.has_due_timer(now)).then_some(self.next)
    }

    pub(crate) fn has_due_timer(&self, now: u64) -> bool {
        self.due.first().is_some_and(|(due, _)| *due <= now)
    }

    /// Whether all commands with a number below `number` are finished, or wait for their time.
    pub(crate) fn is_settled(&self, number: u64, now: u64) -> bool {
        let is_before = |first: Option<&u64>| first.is_some_and(|first| *first < number);
        let mut due = self.delayed.range(..=(now, u64::MAX));
        let mut lanes = self.lanes.values();
        !is_before(self.ready.first())
            && !is_before(self.given_up.first())
            && !due.any(|(_, delayed)| *delayed < number)
            && (self.under_way == 0
                || !lanes.any(|lane| lane.under_way > 0 && is_before(lane.numbers.first())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An outbox with a command that is under way. It was saved when the head was at 5.
    fn under_way() -> (Pending, u64) {
        let mut pending = Pending::default();
        let context = crate::domain::command::CommandContext::default();
        let command = StoredCommand::new("a", "b".to_owned(), &(), context).unwrap();
        pending.carry_out(Order::Send(command, Vec::new()));
        pending.saved_at(5, 0, 0);
        pending.mark_saved();
        let number = pending.take(0).expect("it is saved").number;
        (pending, number)
    }

    /// An outbox with commands for these targets, in order: of several aggregates, or of a decision with
    /// these tags.
    fn outbox(targets: &[&[&str]]) -> Pending {
        let mut pending = Pending::default();
        for ids in targets {
            let context = r#"{"actor":null,"correlation_id":null,"metadata":null}"#;
            let command = if let Some(tags) = ids.strip_prefix(&["decision"]) {
                format!(r#"{{"decision":"d","tags":{tags:?},"command":1,"context":{context}}}"#)
            } else {
                let parts = ids.iter().map(|id| {
                    format!(r#"{{"aggregate_type":"a","instance_id":"{id}","command":1}}"#)
                });
                let parts: Vec<_> = parts.collect();
                format!(
                    r#"{{"together":[{}],"context":{context}}}"#,
                    parts.join(",")
                )
            };
            let command = serde_json::from_str(&command).unwrap();
            pending.carry_out(Order::Send(command, Vec::new()));
        }
        saved(&mut pending);
        pending
    }

    fn saved(pending: &mut Pending) {
        pending.saved_at(0, 0, 0);
        pending.mark_saved();
    }

    /// The numbers of all commands that may be sent at `now`. They are under way then.
    fn taken(pending: &mut Pending, now: u64) -> Vec<u64> {
        std::iter::from_fn(|| pending.take(now))
            .map(|outgoing| outgoing.number)
            .collect()
    }

    #[test]
    fn commands_together_wait_for_earlier_ones_and_later_ones_wait_for_them_at_each_aggregate() {
        let mut pending = outbox(&[
            &["x"],
            &["y"],
            &["x", "y", "x"],
            &["y", "z"],
            &["x"],
            &["w"],
        ]);
        assert_eq!(taken(&mut pending, 0), [0, 1, 5]);
        pending.done(0);
        assert_eq!(taken(&mut pending, 0), [] as [u64; 0]);
        assert!(!pending.is_settled(3, 0));
        pending.done(1);
        assert_eq!(taken(&mut pending, 0), [2]);
        // It is tried again later, and all behind it wait.
        pending.put_back(2, 1, 9);
        assert_eq!(taken(&mut pending, 8), [] as [u64; 0]);
        assert!(pending.is_settled(5, 8));
        assert_eq!(taken(&mut pending, 9), [2]);
        pending.done(2);
        assert_eq!(taken(&mut pending, 9), [3, 4]);
        for number in [3, 4, 5] {
            pending.done(number);
        }
        assert!(pending.lanes.is_empty() && pending.under_way == 0);
    }

    #[test]
    fn a_command_may_follow_one_under_way_only_if_both_have_the_same_one_target() {
        fn behind(pending: &mut Pending, number: u64) -> Option<u64> {
            let next = pending.take_behind(number, |_| true);
            next.map(|outgoing| outgoing.number)
        }

        let mut pending = outbox(&[&["x"], &["y"], &["x"], &["x"], &["x", "y"], &["x"]]);
        assert_eq!(taken(&mut pending, 0), [0, 1]);
        assert_eq!(behind(&mut pending, 0), Some(2));
        assert!(pending.take_behind(2, |_| false).is_none());
        assert_eq!(behind(&mut pending, 2), Some(3));
        assert_eq!(behind(&mut pending, 3), None);
        assert_eq!(behind(&mut pending, 1), None);
        // The second one failed, so the third one was not sent.
        pending.done(0);
        pending.put_back(2, 1, 9);
        pending.put_back(3, 0, 0);
        assert_eq!(taken(&mut pending, 8), [] as [u64; 0]);
        assert_eq!(taken(&mut pending, 9), [2]);
        // One that was tried before waits for its own turn.
        pending.put_back(2, 2, 0);
        pending.entries.get_mut(&3).unwrap().not_before = 10;
        assert_eq!(taken(&mut pending, 10), [2]);
        assert_eq!(behind(&mut pending, 2), None);
        pending.done(2);
        pending.done(1);
        pending.entries.get_mut(&3).unwrap().not_before = 0;
        pending.offer_one(3);
        assert_eq!(taken(&mut pending, 10), [3]);
        pending.done(3);
        assert_eq!(taken(&mut pending, 10), [4]);
        assert_eq!(behind(&mut pending, 4), None);
        pending.done(4);
        assert_eq!(taken(&mut pending, 10), [5]);
        pending.done(5);
        assert!(pending.lanes.is_empty() && pending.under_way == 0);
    }

    #[test]
    fn a_command_follows_another_only_if_it_is_saved_and_comes_from_no_timer() {
        let mut pending = outbox(&[&["x"], &["x"]]);
        assert_eq!(taken(&mut pending, 0), [0]);
        pending.is_unsaved = true;
        assert!(pending.take_behind(0, |_| true).is_none());
        pending.is_unsaved = false;
        pending.entries.get_mut(&1).unwrap().outgoing.timer = Some("=t".to_owned());
        assert!(pending.take_behind(0, |_| true).is_none());
        pending.entries.get_mut(&1).unwrap().outgoing.timer = None;
        assert!(pending.take_behind(0, |_| true).is_some());
    }

    #[test]
    fn commands_of_decisions_are_in_order_if_their_boundaries_have_a_tag_in_common() {
        let mut pending = outbox(&[
            &["decision", "c:1", "s:1"],
            &["decision", "c:2", "s:1"],
            &["decision", "c:2", "s:2"],
            &["decision", "c:3"],
            &["c:1"],
        ]);
        assert_eq!(taken(&mut pending, 0), [0, 3, 4]);
        pending.done(0);
        assert_eq!(taken(&mut pending, 0), [1]);
        pending.done(1);
        assert_eq!(taken(&mut pending, 0), [2]);
    }

    #[test]
    fn a_command_in_the_place_of_a_failed_one_goes_before_later_ones_to_its_own_targets() {
        let mut pending = outbox(&[&["x"], &["y"], &["y"]]);
        let other = pending.get(1).unwrap().envelope.clone();
        let numbers = taken(&mut pending, 0);
        assert_eq!(numbers, [0, 1]);
        pending.put_back(1, 1, 0);
        pending
            .entries
            .get_mut(&0)
            .unwrap()
            .outgoing
            .or_send
            .push(other);
        assert!(pending.fall_back(0));
        saved(&mut pending);
        for number in [0, 1, 2] {
            assert_eq!(taken(&mut pending, 0), [number]);
            pending.done(number);
        }
    }

    #[test]
    fn the_effect_of_commands_together_is_looked_for_in_each_of_their_streams() {
        let mut pending = outbox(&[&["x", "y"], &["decision", "c:1"]]);
        for (number, entry) in &mut pending.entries {
            let key = format!("k{number}");
            entry.outgoing.envelope.context.idempotency_key = Some(key);
        }
        let (_, keys) = pending.in_doubt().unwrap();
        for (target, key, number) in [
            (("a", "x"), "k0", 0),
            (("a", "y"), "k0", 0),
            (("", ""), "k1", 1),
        ] {
            let target = (target.0.to_owned(), target.1.to_owned());
            assert_eq!(keys[&target][key], [number], "{target:?}");
        }
    }

    #[test]
    fn a_command_is_read_back_to_the_depth_that_can_be_shown() {
        let is_taken = |depth| {
            let deep = (0..depth).fold(serde_json::json!(1), |inner, _| serde_json::json!([inner]));
            let context = crate::domain::command::CommandContext::default();
            let command = StoredCommand::new("a", "b".to_owned(), &deep, context).unwrap();
            assert_eq!(command.clone().into_shown().is_ok(), depth < 128);
            read_back(&Order::Send(command, Vec::new())).is_ok()
        };
        assert!(is_taken(127) && !is_taken(128));
    }

    #[test]
    fn a_command_from_a_dead_letter_is_read_back_with_the_checkpoint() {
        // A dead letter can hold it, and a checkpoint cannot.
        let deep = (0..123).fold(serde_json::json!(1), |inner, _| serde_json::json!([inner]));
        let context = crate::domain::command::CommandContext::default().with_metadata(deep);
        let command = StoredCommand::new("a", "b".to_owned(), &(), context).unwrap();
        dead_letters::read_back(&command).unwrap();
        let order = Order::Send(command.clone(), Vec::new());
        assert!(read_back(&order).is_err());
        let mut pending = Pending::default();
        pending.send_again("7".to_owned(), 1, 0, command);
        let refused = checkpoint::read_back_pending(&pending.saved_at(0, 0, 0)).unwrap_err();
        assert!(refused.contains("recursion limit"), "{refused}");
    }

    #[test]
    fn the_search_for_a_commands_effect_starts_later_only_if_it_certainly_had_none_so_far() {
        let saved_since =
            |pending: &mut Pending, head| pending.saved_at(head, 0, 0).outgoing[0].since;

        let (mut pending, number) = under_way();
        assert_eq!(saved_since(&mut pending, 9), 5);
        pending.put_back(number, 1, 0);
        assert_eq!(saved_since(&mut pending, 9), 9);

        let (mut pending, number) = under_way();
        pending.leave_in_doubt(number);
        assert_eq!(saved_since(&mut pending, 9), 5);
        // A second attempt does not tell whether the first one took effect.
        assert_eq!(
            pending.take(0).map(|outgoing| outgoing.number),
            Some(number)
        );
        pending.put_back(number, 1, 0);
        assert_eq!(saved_since(&mut pending, 9), 5);
    }
}
