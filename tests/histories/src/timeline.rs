//! Whether the time on the clock agrees with the order of the store: [`Timeline`].

use std::fmt::Write as _;

use crate::history::{Call, History, Operation, Outcome};
use crate::report::{Fault, Report};

/// What an operation says about the end of the store at some moment between its call and its answer:
/// it was between these positions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) operation: usize,
    /// Everything up to here was stored when the operation ended.
    pub(crate) low: u64,
    /// Nothing after this was stored when it began.
    pub(crate) high: u64,
}

/// When operations began and ended.
#[derive(Debug, Default)]
pub(crate) struct Timeline {
    /// The time, whether it is an end, and of what.
    events: Vec<(u64, bool, usize)>,
    moments: Vec<Moment>,
}

impl Timeline {
    pub(crate) fn add(&mut self, operation: &Operation, moment: Moment) {
        let number = self.moments.len();
        self.moments.push(moment);
        self.events.push((operation.start, false, number));
        if let Some(end) = operation.end {
            self.events.push((end, true, number));
        }
    }

    /// An operation must not lack what another one had that ended before it began. It is enough to
    /// compare with the one that had most.
    pub(crate) fn check(mut self, history: &History, report: &mut Report) {
        // At the same time beginnings come first: such operations overlap.
        self.events.sort_unstable();
        let mut newest: Option<Moment> = None;
        for (_, is_end, number) in self.events {
            let moment = self.moments[number];
            if is_end {
                if newest.is_none_or(|newest| newest.low < moment.low) {
                    newest = Some(moment);
                }
                continue;
            }
            let Some(earlier) = newest.filter(|earlier| earlier.low > moment.high) else {
                continue;
            };
            let operation = &history.operations[moment.operation];
            let is_read = matches!(operation.outcome, Outcome::Seen(_));
            let fault = if is_read {
                Fault::Stale
            } else {
                Fault::Reordered
            };
            report.violation(fault, || explain(history, earlier, moment, is_read));
        }
    }
}

fn explain(history: &History, earlier: Moment, moment: Moment, is_read: bool) -> String {
    let operation = &history.operations[moment.operation];
    let before = &history.operations[earlier.operation];
    let between = operation.start - before.end.unwrap_or_default();
    let (first, second) = (tell(history, before), tell(history, operation));
    let low = earlier.low;
    let next = moment.high + 1;
    let has = if matches!(before.outcome, Outcome::Seen(_)) {
        format!("saw position {low}")
    } else {
        format!("was stored at position {low}")
    };
    let lacks = if is_read {
        format!("was told a state without position {next}")
    } else {
        format!("is stored before that, at position {next}")
    };
    format!("{first} {has}. {between} ns later {second} began, and {lacks}")
}

/// An operation in a few words.
pub(crate) fn tell(history: &History, operation: &Operation) -> String {
    let mut text = format!(
        "operation {} of client {} in `{}` (",
        operation.number,
        operation.client,
        history.process(operation),
    );
    let names = |lists: &[crate::history::ListId]| {
        let names = lists.iter().map(|list| history.name(*list));
        names.collect::<Vec<_>>().join(" and ")
    };
    // Writing to a text never fails.
    let _ = match &operation.call {
        Call::Append(parts) => {
            let parts = parts
                .iter()
                .map(|part| format!("{:?} to {}", part.elements, names(&part.lists)));
            write!(
                text,
                "append {}",
                parts.collect::<Vec<_>>().join(" together with ")
            )
        }
        Call::Read(lists) => write!(text, "read {}", names(lists)),
        Call::Glance(lists) => write!(text, "glance at {}", names(lists)),
    };
    let start = operation.start;
    let _ = match operation.end {
        Some(end) => write!(text, "; from {start} to {end} ns)"),
        None => write!(text, "; from {start} ns, never answered)"),
    };
    text
}
