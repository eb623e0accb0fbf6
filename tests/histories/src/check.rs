//! Whether a store may have answered a history, given what is stored: [`check`].
//!
//! The stored order is the witness. Everything that was answered has a place in it, and the time on
//! the clock must agree with these places ([`timeline`](crate::timeline)). So the whole takes time in
//! proportion to the operations, where a search for an order would not end.

use std::collections::HashMap;

use crate::history::{Call, Element, History, ListId, Operation, Outcome, Part, Seen, digest};
use crate::report::{Fault, Report};
use crate::timeline::{Moment, Timeline, tell};

/// A stored element, as it is read at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// In the order of the store.
    pub position: u64,
    /// What was appended.
    pub element: Element,
    /// The lists that have it, each with its length after it and the digest of the state that the
    /// element was decided on, where the store tells them.
    pub lists: Vec<(ListId, Option<u64>, Option<u64>)>,
}

/// A list as it is stored.
#[derive(Debug, Clone)]
struct List {
    /// The places of its elements among all.
    places: Vec<usize>,
    /// The digest at each length.
    digests: Vec<u64>,
}

/// The positions of the first and the last element of an operation.
#[derive(Debug, Clone, Copy)]
struct Commit {
    operation: Option<usize>,
    first: u64,
    last: u64,
}

struct Check<'a> {
    history: &'a History,
    stored: &'a [Stored],
    lists: Vec<List>,
    places: HashMap<Element, usize>,
    /// Of each stored element.
    commits: Vec<Commit>,
    timeline: Timeline,
    /// What each process knows of each list that it glances at.
    own: HashMap<(usize, ListId), Timeline>,
    report: Report,
}

/// Checks a history against what is stored at its end, in the order of the store.
///
/// * positions and versions increase, and versions have no gaps;
/// * an answered element is stored once, at the answered version and position; one of an operation
///   that stored nothing is not; one of which nobody knows is stored at most once;
/// * an operation is stored whole, and nothing is between its elements;
/// * what was read was the list at some moment between the call and the answer;
/// * whatever ended before an operation began is before it in the order of the store;
/// * a glance may miss what other processes did, but nothing that its own process was told before.
pub fn check(history: &History, stored: &[Stored]) -> Report {
    let empty = List {
        places: Vec::new(),
        digests: vec![0],
    };
    let mut check = Check {
        history,
        stored,
        lists: vec![empty; history.lists()],
        places: HashMap::with_capacity(stored.len()),
        commits: Vec::with_capacity(stored.len()),
        timeline: Timeline::default(),
        own: glances(history),
        report: Report::default(),
    };
    check.report.elements = stored.len() as u64;
    check.order();
    for (number, operation) in history.operations.iter().enumerate() {
        check.report.operations += 1;
        if operation.end.is_some_and(|end| end < operation.start) {
            check.report.violation(Fault::WrongHistory, || {
                format!(
                    "{} ended before it began: its clock is not the one of the others",
                    tell(history, operation)
                )
            });
        }
        if let Call::Append(parts) = &operation.call {
            check.append(number, operation, parts);
        }
    }
    check.nobody_asked();
    // Once it is known which elements belong together.
    for (number, operation) in history.operations.iter().enumerate() {
        if let Outcome::Seen(seen) = &operation.outcome {
            check.seen(number, operation, seen);
        }
    }
    let Check {
        timeline,
        own,
        mut report,
        ..
    } = check;
    timeline.check(history, &mut report);
    for timeline in own.into_values() {
        timeline.check(history, &mut report);
    }
    report
}

/// The lists that processes glance at.
fn glances(history: &History) -> HashMap<(usize, ListId), Timeline> {
    let operations = history.operations.iter();
    let glanced = operations.flat_map(|operation| match &operation.call {
        Call::Glance(lists) => lists
            .iter()
            .map(|list| (operation.process, *list))
            .collect(),
        _ => Vec::new(),
    });
    glanced
        .map(|glanced| (glanced, Timeline::default()))
        .collect()
}

impl Check<'_> {
    /// Looks at the stored elements alone, and makes the lists of them.
    fn order(&mut self) {
        let mut newest = 0;
        for (place, stored) in self.stored.iter().enumerate() {
            let Stored {
                position, element, ..
            } = stored;
            if *position <= newest {
                self.report.violation(Fault::WrongOrder, || {
                    format!("element {element} is at position {position}, after position {newest}")
                });
            }
            newest = *position;
            self.commits.push(Commit {
                operation: None,
                first: *position,
                last: *position,
            });
            if let Some(first) = self.places.insert(*element, place) {
                let first = self.stored[first].position;
                self.report.violation(Fault::Doubled, || {
                    format!("element {element} is stored at position {first} and at {position}")
                });
            }
            for (id, version, basis) in &stored.lists {
                let list = &mut self.lists[id.0 as usize];
                let before = list.digests[list.places.len()];
                list.places.push(place);
                list.digests.push(digest(before, *element));
                let length = list.places.len() as u64;
                let name = self.history.name(*id);
                if version.is_some_and(|version| version != length) {
                    self.report.violation(Fault::WrongOrder, || {
                        format!(
                            "element {element} at position {position} is number {length} of the list \
                             `{name}`, and its stored version is {}",
                            version.unwrap_or_default()
                        )
                    });
                }
                if basis.is_some_and(|basis| basis != before) {
                    self.report.violation(Fault::WrongBasis, || {
                        format!(
                            "element {element} at position {position} is number {length} of the list \
                             `{name}`, and was decided on another state than the one before it"
                        )
                    });
                }
            }
        }
    }

    /// Looks where the elements of an operation are.
    fn append(&mut self, number: usize, operation: &Operation, parts: &[Part]) {
        let asked = parts.iter().flat_map(|part| &part.elements);
        let asked: Vec<Element> = asked.copied().collect();
        let there = asked
            .iter()
            .filter_map(|element| self.places.get(element).copied());
        let there: Vec<usize> = there.collect();
        let history = self.history;
        let missing = asked
            .iter()
            .find(|element| !self.places.contains_key(element));
        match &operation.outcome {
            Outcome::Stored { .. } => self.report.stored += 1,
            Outcome::Seen(_) | Outcome::Nothing => self.report.not_stored += 1,
            Outcome::Unknown => {
                self.report.unknown += 1;
                self.report.unknown_stored += u64::from(!there.is_empty());
            }
        }
        match (&operation.outcome, missing) {
            (Outcome::Seen(_) | Outcome::Nothing, _) if !there.is_empty() => {
                let stored = &self.stored[there[0]];
                self.report.violation(Fault::Phantom, || {
                    format!(
                        "{} was told that nothing is stored, and element {} is at position {}",
                        tell(history, operation),
                        stored.element,
                        stored.position
                    )
                });
            }
            (Outcome::Stored { position, .. }, Some(missing)) => {
                self.report.violation(Fault::Lost, || {
                    format!(
                        "{} was told that it is stored up to position {position}, and element \
                         {missing} is not there; {} of its {} elements are, and the newest of all is \
                         at position {}",
                        tell(history, operation),
                        there.len(),
                        asked.len(),
                        self.stored.last().map_or(0, |stored| stored.position)
                    )
                });
            }
            (Outcome::Unknown, Some(missing)) if !there.is_empty() => {
                self.report.violation(Fault::Torn, || {
                    format!(
                        "{} was not answered, and {} of its {} elements are stored; {missing} is not",
                        tell(history, operation),
                        there.len(),
                        asked.len()
                    )
                });
            }
            _ => {}
        }
        self.take_places(number, operation, &there);
        if missing.is_none() && !there.is_empty() {
            self.whole(number, operation, parts, &there);
        }
    }

    /// Notes whose the elements are.
    fn take_places(&mut self, number: usize, operation: &Operation, there: &[usize]) {
        for place in there {
            let other = self.commits[*place].operation.replace(number);
            if let Some(other) = other {
                let (history, element) = (self.history, self.stored[*place].element);
                self.report.violation(Fault::WrongHistory, || {
                    format!(
                        "element {element} was appended by two operations: {} and {}",
                        tell(history, &history.operations[other]),
                        tell(history, operation)
                    )
                });
            }
        }
    }

    /// Looks at an operation of which all is stored.
    fn whole(&mut self, number: usize, operation: &Operation, parts: &[Part], there: &[usize]) {
        let (history, stored) = (self.history, self.stored);
        let first = there.iter().min().copied().unwrap_or_default();
        let last = there.iter().max().copied().unwrap_or_default();
        if last - first + 1 != there.len() {
            self.report.violation(Fault::Torn, || {
                format!(
                    "{} is stored from position {} to {}, with elements of others between its {}",
                    tell(history, operation),
                    stored[first].position,
                    stored[last].position,
                    there.len()
                )
            });
        }
        let (first, last) = (stored[first].position, stored[last].position);
        for place in there {
            self.commits[*place].first = first;
            self.commits[*place].last = last;
        }
        let moment = Moment {
            operation: number,
            low: last,
            high: first.saturating_sub(1),
        };
        self.timeline.add(operation, moment);
        for list in parts.iter().flat_map(|part| &part.lists) {
            self.add_own(operation, *list, moment);
        }
        let mut rest = there;
        for (i, part) in parts.iter().enumerate() {
            let (of_part, after) = rest.split_at(part.elements.len());
            rest = after;
            self.part(operation, i, part, of_part);
        }
        if let Outcome::Stored { position, .. } = operation.outcome
            && position != last
        {
            self.report.violation(Fault::WrongPlace, || {
                format!(
                    "{} was told position {position}, and its last element is at {last}",
                    tell(history, operation)
                )
            });
        }
    }

    fn part(&mut self, operation: &Operation, i: usize, part: &Part, there: &[usize]) {
        let (history, stored) = (self.history, self.stored);
        if !there.is_sorted() {
            self.report.violation(Fault::Reordered, || {
                format!(
                    "{}: its elements {:?} are stored in another order",
                    tell(history, operation),
                    part.elements
                )
            });
        }
        let is_in = |place: usize| {
            let lists = &stored[place].lists;
            let mut asked = part.lists.iter();
            lists.len() == part.lists.len()
                && asked.all(|asked| lists.iter().any(|(list, _, _)| list == asked))
        };
        if let Some(place) = there.iter().find(|place| !is_in(**place)) {
            let lists = stored[*place].lists.iter();
            let names: Vec<_> = lists.map(|(list, _, _)| history.name(*list)).collect();
            self.report.violation(Fault::WrongPlace, || {
                format!(
                    "{}: element {} is stored in {names:?}",
                    tell(history, operation),
                    stored[*place].element
                )
            });
            return;
        }
        let Outcome::Stored { versions, .. } = &operation.outcome else {
            return;
        };
        let (Some(Some(told)), [list], Some(end)) =
            (versions.get(i), &*part.lists, there.iter().max())
        else {
            return;
        };
        let list_places = &self.lists[list.0 as usize].places;
        let version = list_places.partition_point(|place| place <= end) as u64;
        if version != *told {
            self.report.violation(Fault::WrongPlace, || {
                format!(
                    "{} was told version {told} of the list `{}`, and its last element there is \
                     number {version}",
                    tell(history, operation),
                    history.name(*list)
                )
            });
        }
    }

    fn nobody_asked(&mut self) {
        for (commit, stored) in self.commits.iter().zip(self.stored) {
            // Of a doubled element only one was given to its operation.
            let is_doubled = self.stored[self.places[&stored.element]].position != stored.position;
            if commit.operation.is_none() && !is_doubled {
                self.report.violation(Fault::Phantom, || {
                    format!(
                        "element {} is stored at position {}, and no operation appended it",
                        stored.element, stored.position
                    )
                });
            }
        }
    }

    /// Looks at what an operation was told of lists.
    fn seen(&mut self, number: usize, operation: &Operation, seen: &[Seen]) {
        let history = self.history;
        let (mut low, mut high) = (0, u64::MAX);
        let mut own = Vec::new();
        for told in seen {
            let (mut own_low, mut own_high) = (0, u64::MAX);
            self.report.reads += 1;
            let list = &self.lists[told.list.0 as usize];
            let name = history.name(told.list);
            let length = usize::try_from(told.length).unwrap_or(usize::MAX);
            let Some(digest) = list.digests.get(length) else {
                return self.report.violation(Fault::Unreal, || {
                    format!(
                        "{} saw {length} elements in the list `{name}`, which has {}",
                        tell(history, operation),
                        list.places.len()
                    )
                });
            };
            if told.digest.is_some_and(|told| told != *digest) {
                return self.report.violation(Fault::Unreal, || {
                    format!(
                        "{} saw {length} elements in the list `{name}`, which are not its first \
                         {length}: others, or in another order",
                        tell(history, operation)
                    )
                });
            }
            let commit = |place: &usize| self.commits[*place];
            if let Some(newest) = length.checked_sub(1) {
                own_low = commit(&list.places[newest]).last;
            }
            if let Some(next) = list.places.get(length) {
                own_high = commit(next).first.saturating_sub(1);
            }
            (low, high) = (low.max(own_low), high.min(own_high));
            own.push((told.list, own_low, own_high));
        }
        if low > high {
            return self.report.violation(Fault::Torn, || {
                format!(
                    "{} saw a part of an operation, or lists that were never like this at the same \
                     time: the one had all up to position {low}, the other lacked position {}",
                    tell(history, operation),
                    high + 1
                )
            });
        }
        for (list, low, high) in own {
            let operation = number;
            let moment = Moment {
                operation,
                low,
                high,
            };
            self.add_own(&history.operations[number], list, moment);
        }
        // What others did may be missing, but what was seen was stored.
        let is_glance = matches!(operation.call, Call::Glance(_));
        let moment = Moment {
            operation: number,
            low,
            high: if is_glance { u64::MAX } else { high },
        };
        self.timeline.add(operation, moment);
    }

    /// Notes what its process knows of a list, if it glances at that.
    fn add_own(&mut self, operation: &Operation, list: ListId, moment: Moment) {
        if let Some(own) = self.own.get_mut(&(operation.process, list)) {
            own.add(operation, moment);
        }
    }
}

#[cfg(test)]
mod tests;
