//! `event` and `log`.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::time::Duration;

use eventfold_es::Position;
use eventfold_es::inspect::{Entry, StoreReader, visible};

use crate::args::Log;
use crate::commands::reading::{to_the_beginning, until_failure};
use crate::event;
use crate::failure::{Failure, Result};
use crate::filter::Wanted;
use crate::output::Output;
use crate::progress::{Progress, number};

/// How long a follower waits before it looks again.
const PAUSE: Duration = Duration::from_millis(200);
/// How many events a follower shows at first.
const AT_FIRST: usize = 10;

pub(crate) fn one(reader: &StoreReader, id: &str, out: &mut Output) -> Result<()> {
    let (mut is_found, mut failed) = (false, Ok(()));
    let progress = Progress::events(reader.head());
    let position: Option<u64> = id.parse().ok();
    let mut find = |entry: Entry<'_>| {
        let event = entry.event();
        let record = event.record();
        let at = number(record.position());
        progress.done(number(reader.head()) - at);
        let is_it = match position {
            Some(position) => at == position,
            None => record.event_id() == Some(id),
        };
        // At a position there is the first event that is read, or none.
        if is_it {
            is_found = true;
            let print = || progress.without(|| event::print_all(out, &entry));
            until_failure(&mut failed, print);
        }
        if is_it || position.is_some() {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    };
    match position {
        Some(position) => {
            // Reading begins after a position.
            let before = position.saturating_sub(1).to_string();
            reader.read(before.parse().unwrap_or_default(), &mut find)?;
        }
        // Whoever asks for an event usually has just seen it: the newest are read first.
        None => reader.read_backwards(None, &mut find)?,
    }
    failed?;
    if is_found {
        return Ok(());
    }
    let head = reader.head();
    let id = visible(id);
    Err(Failure::NotThere(match position {
        Some(_) => format!("there is no event at position {id}: the newest is at {head}"),
        None => format!("there is no event with the id `{id}` up to position {head}"),
    }))
}

pub(crate) fn log(reader: &mut StoreReader, log: &Log, out: &mut Output) -> Result<()> {
    let mut wanted = Wanted::new(&log.filter)?;
    let is_open = log.filter.from.is_none() && log.filter.since.is_none() && log.limit.is_none();
    let last = log.last.or((log.follow && is_open).then_some(AT_FIRST));
    let mut after = match last {
        Some(last) => before_last(reader, &mut wanted, last)?,
        None => wanted.after(reader)?,
    };
    let mut left = log.limit.unwrap_or(u64::MAX);
    loop {
        let mut failed = Ok(());
        reader.read(after, |entry| {
            if left == 0 {
                return ControlFlow::Break(());
            }
            if wanted.takes(&entry) {
                left -= 1;
                if until_failure(&mut failed, || event::print_line(out, &entry)).is_none() {
                    return ControlFlow::Break(());
                }
            }
            ControlFlow::Continue(())
        })?;
        failed?;
        if !log.follow || left == 0 {
            break;
        }
        out.finish()?;
        after = reader.head().max(after);
        while reader.refresh()? <= after {
            std::thread::sleep(PAUSE);
        }
    }
    if left > 0 && last.is_none() {
        wanted.check_names()?;
    }
    Ok(())
}

/// The position before the last `count` events that are wanted.
fn before_last(reader: &StoreReader, wanted: &mut Wanted<'_>, count: usize) -> Result<Position> {
    let mut positions = VecDeque::new();
    let mut before = reader.begins_after();
    let mut is_full = count == 0;
    if is_full {
        return Ok(reader.head());
    }
    let mut is_older = |entry: &Entry<'_>| {
        let position = entry.event().record().position();
        if is_full {
            before = position;
            return ControlFlow::Break(());
        }
        if wanted.takes(entry) {
            positions.push_front(position);
            is_full = positions.len() == count;
        }
        ControlFlow::Continue(())
    };
    to_the_beginning(reader.read_backwards(None, |entry| is_older(&entry)))?;
    if positions.is_empty() {
        wanted.check_names()?;
    }
    Ok(before)
}
